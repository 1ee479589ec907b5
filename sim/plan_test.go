package sim_test

import (
	"time"

	"fmt"
	"slices"
	"testing"

	"hindcast.dev/check"
	"hindcast.dev/sim"
)

// same counts operations of b that are in a, with what was asked and answered.
func same(a, b *sim.Result) (n int) {
	for _, o := range b.Operations {
		i := slices.IndexFunc(a.Operations, func(p check.Operation) bool { return p.Process == o.Process && p.Call == o.Call })
		if i >= 0 && fmt.Sprint(a.Operations[i].Input) == fmt.Sprint(o.Input) && a.Operations[i].Outcome == o.Outcome {
			n++
		}
	}
	return n
}

// underFaults counts the operations that began before the faults ended. How long
// they go on after that depends on when the last client has its answer.
func underFaults(r *sim.Result) (n int) {
	for _, o := range r.Operations {
		if time.Duration(o.Call) < r.Healed {
			n++
		}
	}
	return n
}

func TestRunAsAPlanIsNearlyTheSameRun(t *testing.T) {
	var all, kept, halves, keptHalf int
	for seed := range uint64(8) {
		options := sim.Options{Seed: seed, Set: map[string]string{"operations": "200", "network.doubles": "false", "fault.double": "false"}}
		run := func(o sim.Options) *sim.Result {
			t.Helper()
			r, err := sim.Run(tally(), o)
			if err != nil || r.Failure != nil {
				t.Fatal(seed, err, r.Failure)
			}
			return r
		}
		was := run(options)
		options.Faults, options.Plan = was.Faults, sim.PlanOf(was)
		again := run(options)
		all, kept = all+len(was.Operations), kept+same(was, again)
		if underFaults(again) != underFaults(was) || again.Healed != was.Healed {
			t.Errorf("seed %d: %d operations until the faults ended at %s, were %d and %s", seed, underFaults(again), again.Healed, underFaults(was), was.Healed)
		}
		// Without the first half of the operations, the others are what they were.
		half := *options.Plan
		half.Operations = slices.DeleteFunc(slices.Clone(half.Operations), func(p sim.Planned) bool { return p.At < was.Healed/2 })
		options.Plan = &half
		fewer := run(options)
		halves, keptHalf = halves+len(half.Operations), keptHalf+same(was, fewer)
	}
	t.Logf("%d operations of %d are as they were, %d of the half's %d", kept, all, keptHalf, halves)
	if kept < all*9/10 || keptHalf < halves*8/10 {
		t.Errorf("%d operations of %d are as they were, %d of the half's %d", kept, all, keptHalf, halves)
	}
}
