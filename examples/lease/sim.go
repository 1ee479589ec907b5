package lease

import (
	"fmt"
	"time"

	"hindcast.dev/check"
	"hindcast.dev/event"
	"hindcast.dev/sim"
)

// Sim is the lock as the simulator runs it.
func Sim() *sim.Subject {
	return &sim.Subject{Name: Name, Doc: "a lease on a register, with a fence", Machines: Registry(), Setup: simulate}
}

// SimUnfenced is the same with the mistake switched on.
func SimUnfenced() *sim.Subject {
	return &sim.Subject{Name: "lease-unfenced", Doc: "a lease that everybody is trusted to have: wrong on purpose", Machines: Registry(),
		Setup: func(w *sim.World) {
			w.Setting(Unfenced, "yes")
			simulate(w)
		}}
}

func simulate(w *sim.World) {
	w.Cluster(3)
	w.CoreSize(3) // the keeper must be there
	w.Without("the register and the number of the newest lease have no copy",
		sim.FaultDiskLoss, sim.FaultReadError, sim.FaultBitRot, sim.FaultLostWrite, sim.FaultMisplaced)
	w.Clients(sim.Workload{
		Clients: w.Int("clients", 2, 8),
		Think:   w.Duration("think", time.Millisecond, 50*time.Millisecond),
		Timeout: 2 * time.Second,
		Next: func(*sim.Client) sim.Op {
			return sim.Op{F: "next", Machine: Name, Body: Next{}}
		},
		Found: func(_ *sim.Client, _ *sim.Op, a sim.Answer) sim.Finding {
			if n, ok := a.Body.(Number); ok {
				return sim.Finding{Outcome: check.Ok, Output: event.Int(n.Value)}
			}
			return sim.Finding{Outcome: check.Fail}
		},
	})
	w.Never("a lease that is over writes over a newer one", "(lease.register.token < PREV(lease.register.token)) LINK SAME_NODE")
	w.Sometimes("two nodes believe that they have the lease", "lease.held AND lease.held AND NODE($1) != NODE($2)")
	w.Judge("nobody gets another's number", unique)
}

// unique is what the lease is for.
func unique(ops []check.Operation) check.Result {
	const name = "nobody gets another's number"
	r := check.Result{Check: name, Verdict: check.Holds, Operations: len(ops)}
	of := map[int64]check.Operation{}
	for _, op := range ops {
		n, ok := op.Output.AsInt()
		if !ok {
			continue
		}
		if first, taken := of[n]; taken {
			r.Verdict = check.Violated
			r.Violations = append(r.Violations, check.Violation{Property: name, Operations: []check.Operation{first, op},
				Text: fmt.Sprintf("%s and %s were both told %d", first.Ref, op.Ref, n)})
			return r
		}
		of[n] = op
	}
	return r
}
