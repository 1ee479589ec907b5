package lease

import "hindcast.dev/app"

// Services are the lease, right and wrong, for the simulator.
func Services() []app.Service {
	right, wrong := Sim(), SimUnfenced()
	return []app.Service{{Name: right.Name, Machines: Registry(), Sim: right},
		{Name: wrong.Name, Machines: Registry(), Sim: wrong, Settings: map[string]string{Unfenced: "yes"}}}
}
