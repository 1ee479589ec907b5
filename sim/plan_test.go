package sim_test

import (
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

func TestRunAsAPlanIsNearlyTheSameRun(t *testing.T) {
	options := sim.Options{Seed: 4, Set: map[string]string{"operations": "200", "network.doubles": "false", "fault.double": "false"}}
	run := func(o sim.Options) *sim.Result {
		t.Helper()
		r, err := sim.Run(tally(), o)
		if err != nil || r.Failure != nil {
			t.Fatal(err, r.Failure)
		}
		return r
	}
	was := run(options)
	options.Faults, options.Plan = was.Faults, sim.PlanOf(was)
	again := run(options)
	if n := same(was, again); n < len(was.Operations)*9/10 || len(again.Operations) != len(was.Operations) {
		t.Errorf("%d operations of %d are as they were", n, len(was.Operations))
	}
	if again.Healed != was.Healed {
		t.Errorf("the faults ended at %s, and at %s in the plan's run", was.Healed, again.Healed)
	}
	// Without the first half of the operations, the others are what they were.
	half := *options.Plan
	half.Operations = slices.DeleteFunc(slices.Clone(half.Operations), func(p sim.Planned) bool { return p.At < was.Healed/2 })
	options.Plan = &half
	fewer := run(options)
	if n := same(was, fewer); n < len(half.Operations)*8/10 || len(fewer.Operations) != len(half.Operations) {
		t.Errorf("%d operations of %d are as they were", n, len(half.Operations))
	}
}
