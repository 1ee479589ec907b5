// Package simtest is what a user of sim.Test writes; tests of package sim run it.
package simtest

import (
	"fmt"
	"os"
	"testing"
	"time"

	"hindcast.dev/check"
	"hindcast.dev/event"
	"hindcast.dev/machine"
	"hindcast.dev/sim"
)

// Counter counts twice what comes twice.
type Counter struct{ N int64 }

type (
	Add  struct{ N int64 }
	Sum  struct{ N int64 }
	Tell struct{ N int64 }
)

// Payloads are the types of its payloads.
func (*Counter) Payloads() []any { return []any{Add{}, Sum{}, Tell{}} }

// Delivery is any: that is the mistake.
func (*Counter) Delivery() machine.Delivery {
	if os.Getenv("FIXED") != "" {
		return machine.Ordered
	}
	return machine.AnyOrder
}

// Step counts.
func (m *Counter) Step(ctx *machine.Context, ev event.Event) {
	switch b := ev.Body.(type) {
	case Add:
		m.N += b.N
		for _, p := range ctx.Peers() {
			ctx.Send(p, "counter", Tell(b))
		}
		ctx.Reply(ev.ID, Sum{m.N})
	case Tell:
		m.N += b.N
	}
}

func counter(w *sim.World) {
	w.Cluster(2)
	asked := int64(0)
	w.Clients(sim.Workload{Clients: 2, Think: 2 * time.Millisecond,
		Next: func(c *sim.Client) sim.Op {
			asked++
			return sim.Op{F: "add", Machine: "counter", Body: Add{1}}
		},
		Found: func(*sim.Client, *sim.Op, sim.Answer) sim.Finding { return sim.Finding{Outcome: check.Ok} },
	})
	if os.Getenv("HARD") != "" {
		w.Judge("too hard", func([]check.Operation) check.Result { return check.Result{Bound: "0 steps"} })
	}
	w.Invariant("counted once", func(n *sim.Node) error {
		if m, _ := n.Machine("counter").(*Counter); m != nil && m.N > asked {
			return fmt.Errorf("%s counts %d of %d", n.Name(), m.N, asked)
		}
		return nil
	})
}

var options = sim.TestOptions{Machines: machine.Registry{"counter": {1: func() machine.Machine { return &Counter{} }}}, Runs: 30,
	Set: map[string]string{"operations": "50"}}

func TestCounter(t *testing.T) {
	for _, name := range []string{"one", "two"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sim.Test(t, options, counter)
		})
	}
}
