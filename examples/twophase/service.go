package twophase

import "hindcast.dev/app"

// Services are two-phase commit, right and wrong, for the simulator.
func Services() []app.Service {
	right, wrong := Sim(), SimImpatient()
	return []app.Service{{Name: right.Name, Machines: Registry(), Sim: right},
		{Name: wrong.Name, Machines: Registry(), Sim: wrong, Settings: map[string]string{Impatient: "yes"}}}
}
