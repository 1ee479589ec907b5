package app_test

import (
	"fmt"
	"time"

	"hindcast.dev/app"
	"hindcast.dev/check"
	"hindcast.dev/event"
	"hindcast.dev/machine"
	"hindcast.dev/sim"
)

// A Tally counts, and tells its peers what to count. It claims to bear any
// network and doesn't: a message that comes twice is counted twice.
type Tally struct{ Total int64 }

type (
	AddN  struct{ N int64 }
	Total struct{ N int64 }
	Added struct{ N int64 }
)

// hangs is what the machine never comes to an end with.
const hangs = 666

// Payloads are the types of its payloads.
func (*Tally) Payloads() []any { return []any{AddN{}, Total{}, Added{}} }

// Delivery is what the planted fault is about.
func (*Tally) Delivery() machine.Delivery { return machine.AnyOrder }

// Step counts.
func (m *Tally) Step(ctx *machine.Context, ev event.Event) {
	switch b := ev.Body.(type) {
	case AddN:
		for n := b.N; n == hangs; n = max(n, b.N) {
		}
		m.Total += b.N
		for _, p := range ctx.Peers() {
			ctx.Send(p, "tally", Added(b))
		}
		ctx.Reply(ev.ID, Total{m.Total})
	case Added:
		m.Total += b.N
	}
}

// tallyService is a program with the subject.
func tallyService() app.Service {
	s := tally()
	return app.Service{Name: s.Name, Machines: s.Machines, Sim: s}
}

// tally is the subject: nobody counts more than was added.
func tally() *sim.Subject {
	return &sim.Subject{Name: "tally", Doc: "a count on two nodes, with a planted fault",
		Machines: machine.Registry{"tally": {1: func() machine.Machine { return &Tally{} }}}, Setup: setUpTally}
}

func setUpTally(w *sim.World) {
	w.Cluster(2)
	var asked int64
	hang := w.Chance("hang", 0)
	w.Clients(sim.Workload{
		Clients: w.Int("clients", 1, 3),
		Think:   w.Duration("think", time.Millisecond, 20*time.Millisecond),
		Next: func(c *sim.Client) sim.Op {
			n := int64(1 + c.Rand.IntN(9))
			if hang {
				n = hangs
			}
			asked += n
			return sim.Op{F: "add", Input: event.Int(n), Machine: "tally", Body: AddN{n}}
		},
		Found: func(_ *sim.Client, _ *sim.Op, a sim.Answer) sim.Finding {
			total, ok := a.Body.(Total)
			if !ok {
				return sim.Finding{Outcome: check.Fail}
			}
			return sim.Finding{Outcome: check.Ok, Output: event.Int(total.N)}
		},
	})
	if w.Chance("hard", 0) {
		w.Judge("too hard", func([]check.Operation) check.Result { return check.Result{Verdict: check.Undecided, Bound: "4 steps"} })
	}
	w.Invariant("no more than was added", func(n *sim.Node) error {
		if m, _ := n.Machine("tally").(*Tally); m != nil && m.Total > asked {
			return fmt.Errorf("%s counts %d, and only %d were ever added", n.Name(), m.Total, asked)
		}
		return nil
	})
}
