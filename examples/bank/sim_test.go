package bank

import (
	"testing"

	"hindcast.dev/sim"
)

// calm is the bank in a world that loses no message: there the money under way can
// be counted in messages.
func calm() *sim.Subject {
	return &sim.Subject{Name: "calm", Machines: Registry(), Setup: func(w *sim.World) {
		simulate(w)
		w.Reliable()
		w.Always("no money is made or lost", Conserved(3, DefaultAccounts))
	}}
}

func TestNoMoneyIsMadeOrLost(t *testing.T) {
	for _, s := range []*sim.Subject{Sim(), calm()} {
		for seed := range uint64(2) {
			o := sim.Options{Seed: seed}
			if s.Name != Name {
				o.Faults = []sim.Fault{}
			}
			r, err := sim.Run(s, o)
			if err != nil {
				t.Fatal(err)
			}
			if r.Failure != nil {
				t.Errorf("%s, seed %d: %v", s.Name, seed, r.Failure)
			}
			if len(r.Operations) < 500 {
				t.Errorf("%s, seed %d doesn't count: %d operations", s.Name, seed, len(r.Operations))
			}
		}
	}
}
