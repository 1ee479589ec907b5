package kv

import (
	"fmt"
	"time"

	"hindcast.dev/check"
	"hindcast.dev/event"
	"hindcast.dev/sim"
)

// Sim is the store as the simulator runs it.
func Sim() *sim.Subject {
	return &sim.Subject{Name: Name, Doc: "a replicated key-value store that stays available", Machines: Registry(), Setup: simulate}
}

func simulate(w *sim.World) {
	w.Cluster(3)
	keys := w.Int("keys", 1, 30)
	w.Clients(sim.Workload{
		Clients: w.Int("clients", 2, 12),
		Think:   w.Duration("think", 500*time.Microsecond, 50*time.Millisecond),
		Timeout: 3 * time.Second,
		Next: func(c *sim.Client) sim.Op {
			key := fmt.Sprintf("key-%d", c.Rand.IntN(keys))
			if c.Rand.IntN(2) == 0 {
				return sim.Op{F: "read", Key: key, Machine: Name, Body: Get{Key: key}}
			}
			value := fmt.Sprintf("%d-%d", c.Index, c.Rand.IntN(1e9))
			return sim.Op{F: "write", Key: key, Input: event.String(value), Machine: Name, Body: Put{Key: key, Value: value}}
		},
		Found: func(_ *sim.Client, op *sim.Op, a sim.Answer) sim.Finding {
			answer, ok := a.Body.(Answer)
			if !ok {
				return sim.Finding{Outcome: check.Fail}
			}
			f := sim.Finding{Outcome: check.Ok}
			if op.F == "read" {
				f.Output = event.String(answer.Item.Value)
			}
			return f
		},
	})
}
