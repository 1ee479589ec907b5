package twophase

import (
	"fmt"
	"time"

	"hindcast.dev/check"
	"hindcast.dev/event"
	"hindcast.dev/sim"
)

// Sim is two-phase commit as the simulator runs it.
func Sim() *sim.Subject {
	return &sim.Subject{Name: Name, Doc: "two-phase commit", Machines: Registry(), Setup: simulate}
}

// SimImpatient is the same with the mistake switched on.
func SimImpatient() *sim.Subject {
	return &sim.Subject{Name: "twophase-impatient", Doc: "two-phase commit with participants that don't wait: wrong on purpose", Machines: Registry(),
		Setup: func(w *sim.World) {
			w.Setting(Impatient, "yes")
			simulate(w)
		}}
}

func simulate(w *sim.World) {
	w.Cluster(3)
	w.CoreSize(3) // it blocks while a node is away: that is its price
	w.Without("a vote or decision that is forgotten can be made again, otherwise",
		sim.FaultDiskLoss, sim.FaultReadError, sim.FaultBitRot, sim.FaultLostWrite, sim.FaultMisplaced)
	keys := w.Int("keys", 1, 10)
	w.Clients(sim.Workload{
		Clients: w.Int("clients", 1, 6),
		Think:   w.Duration("think", time.Millisecond, 20*time.Millisecond),
		Timeout: 3 * time.Second,
		Next: func(c *sim.Client) sim.Op {
			m := Write{fmt.Sprint("k", c.Rand.IntN(keys)), fmt.Sprint(c.Rand.Uint64())}
			return sim.Op{F: "write", Key: m.Key, Input: event.String(m.Value), Machine: Name, Body: m}
		},
		Found: func(_ *sim.Client, _ *sim.Op, a sim.Answer) sim.Finding {
			done, ok := a.Body.(Done)
			switch {
			case !ok:
				return sim.Finding{Outcome: check.Fail}
			case done.State == Aborted:
				return sim.Finding{Outcome: check.Ok, Output: event.String("aborted")}
			}
			return sim.Finding{Outcome: check.Ok, Output: event.String("committed")}
		},
	})
	w.Never("a transaction is committed here and aborted there",
		"EXISTS k IN KEYS(twophase.aborted) : (twophase.committed[k] = twophase.aborted[k])")
	w.Sometimes("a participant is in doubt", "(LEN(twophase.prepared) > 0 AND LEN(twophase.ballots) = 0) LINK SAME_NODE")
	w.Converges("nobody is in doubt", func(n *sim.Node) string {
		if s, ok := n.Machine(Name).(*Store); ok && s.Locks.Len() == 0 {
			return "nothing is locked"
		}
		return n.Name() + " has locks"
	})
}
