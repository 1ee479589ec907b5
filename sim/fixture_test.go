package sim_test

import (
	"fmt"
	"time"

	"hindcast.dev/check"
	"hindcast.dev/event"
	"hindcast.dev/machine"
	"hindcast.dev/sim"
)

// What the register takes and gives.
type (
	Write struct{ Value int64 }
	Read  struct{}
	Value struct{ N int64 }
	Copy  struct{ N int64 }
)

// register is a register on one node, n1, with a copy on every other that nobody
// reads: small, and right as long as n1 keeps what it has.
type register struct {
	N      int64
	Copies int64
}

func (*register) Payloads() []any { return []any{Write{}, Read{}, Value{}, Copy{}} }

func (r *register) Step(ctx *machine.Context, ev event.Event) {
	switch m := ev.Body.(type) {
	case Write:
		r.N = m.Value
		ctx.Reply(ev.ID, Value{r.N})
		for _, p := range ctx.Peers() {
			ctx.Send(p, "register", Copy{r.N})
		}
	case Read:
		ctx.Reply(ev.ID, Value{r.N})
	case Copy:
		r.N, r.Copies = m.N, r.Copies+1
	}
}

// subject is the register, with what a test wants to add.
func subject(setup func(w *sim.World)) *sim.Subject {
	return &sim.Subject{Name: "register", Doc: "a register for tests",
		Machines: machine.Registry{"register": {1: func() machine.Machine { return &register{} }}},
		Setup: func(w *sim.World) {
			w.Cluster(3)
			w.Without("the only copy is on n1", sim.FaultDiskLoss, sim.FaultReadError, sim.FaultBitRot, sim.FaultLostWrite, sim.FaultMisplaced)
			w.CoreSize(3)
			work := work()
			w.Clients(work)
			if setup != nil {
				setup(w)
			}
		}}
}

func work() sim.Workload {
	next := int64(0)
	return sim.Workload{Clients: 3, Think: 2 * time.Millisecond, Timeout: time.Second,
		Next: func(c *sim.Client) sim.Op {
			if c.Rand.IntN(2) == 0 {
				return sim.Op{F: "read", Node: "n1", Machine: "register", Body: Read{}}
			}
			next++
			return sim.Op{F: "write", Node: "n1", Input: event.Int(next), Machine: "register", Body: Write{next}}
		},
		Found: func(_ *sim.Client, op *sim.Op, a sim.Answer) sim.Finding {
			if a.Refused != "" {
				return sim.Finding{Outcome: check.Fail}
			}
			f := sim.Finding{Outcome: check.Ok}
			if v, ok := a.Body.(Value); ok && op.F == "read" {
				f.Output = event.Int(v.N)
			}
			return f
		}}
}

func describe(r *sim.Result) string {
	return fmt.Sprintf("seed %d: hash %x, %d happenings, %d events, %s, %d operations, %v, %v", r.Seed, r.Hash, r.Events, r.Steps, r.Simulated, len(r.Operations), r.Happened, r.Failure)
}
