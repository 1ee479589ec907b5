package kv

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"hindcast.dev/check"
	"hindcast.dev/machine"
	"hindcast.dev/sim"
)

// Sim is the store as the simulator runs it: clients ask for all that there is,
// and judges hold the answers against what the store promises (simjudge.go).
func Sim() *sim.Subject {
	return &sim.Subject{Name: Name, Doc: "a replicated key-value store that stays available", Machines: versions(), Setup: simulate}
}

// versions has a version 2 that is the same: what is simulated is going there.
func versions() machine.Registry { return machine.Registry{Name: {1: New, 2: New}} }

func simulate(w *sim.World) {
	w.Cluster(3)
	if w.Chance("disks.replaced", 0.7) {
		w.Replace(nil)
	}
	m := mix{
		keys:     w.Int("keys", 1, 30),
		bytes:    w.Int("value.bytes", 0, 400),
		writes:   w.Float("ops.writes", 0.1, 0.9),
		deletes:  share(w, "ops.deletes", 0.5),
		scans:    share(w, "ops.scans", 0.2),
		eventual: share(w, "ops.eventual", 0.5),
		strict:   share(w, "ops.strict", 0.5),
		sticky:   w.Chance("clients.sticky", 0.3),
		patient:  w.Chance("clients.patient", 0.8),
	}
	w.Clients(sim.Workload{
		Clients: w.Int("clients", 2, 12),
		Think:   w.Duration("think", 500*time.Microsecond, 50*time.Millisecond),
		Timeout: w.Duration("timeout", 300*time.Millisecond, 3*time.Second),
		Next:    m.next,
		Found:   m.found,
	})
	judged(w)
}

// share draws how much of something there is: in half of the runs nothing at all.
func share(w *sim.World, name string, most float64) float64 {
	if !w.Chance(name, 0.5) {
		return 0
	}
	return w.Float(name+".share", 0, most)
}

// A mix is what the clients of a run ask for.
type mix struct {
	keys, bytes      int
	writes           float64 // of all but scans
	deletes          float64 // of writes
	scans            float64
	eventual, strict float64
	sticky           bool // a client asks one node, as long as it may
	patient          bool // who finds a node down asks another one
}

func (m mix) next(c *sim.Client) sim.Op {
	op := sim.Op{Machine: Name}
	if m.sticky {
		nodes := c.Nodes()
		op.Node = nodes[c.Index%len(nodes)].Name()
	}
	var consistency Consistency
	switch x := c.Rand.Float64(); {
	case x < m.eventual:
		consistency = Eventual
	case 1-x < m.strict:
		consistency = Strict
	}
	key := keyOf(c.Rand.IntN(m.keys))
	switch {
	case c.Rand.Float64() < m.scans:
		s := Scan{Prefix: []string{"", "a/", "b/", "none/"}[c.Rand.IntN(4)], Limit: c.Rand.IntN(8), Consistency: consistency}
		if c.Rand.IntN(3) == 0 {
			s.From = key
		}
		op.F, op.Body = "scan", s
	case c.Rand.Float64() >= m.writes:
		op.F, op.Key, op.Body = "read", key, Get{key, consistency}
	case c.Rand.Float64() < m.deletes:
		op.F, op.Key, op.Body = "delete", key, Delete{key, consistency}
	default:
		// The text is of this write alone: who reads it has read this write.
		value := fmt.Sprintf("%d/%d/%s", c.Index, c.Rand.Uint64()>>20, strings.Repeat("v", c.Rand.IntN(m.bytes+1)))
		op.F, op.Key, op.Body = "write", key, Put{key, value, consistency}
	}
	op.Input = inputOf(op.Body)
	return op
}

// keyOf names the keys so that some have a prefix in common.
func keyOf(i int) string { return string(rune('a'+i%2)) + "/" + strconv.Itoa(i) }

func (m mix) found(c *sim.Client, op *sim.Op, a sim.Answer) sim.Finding {
	if a.Refused != "" {
		// Nothing was done: the operation may as well be tried elsewhere.
		if m.patient && c.Rand.IntN(4) > 0 {
			return sim.Finding{Again: true, After: time.Duration(1+c.Rand.IntN(20)) * time.Millisecond}
		}
		return sim.Finding{Outcome: check.Fail, Output: outputOf(a)}
	}
	f := sim.Finding{Outcome: check.Ok, Output: outputOf(a)}
	switch body := a.Body.(type) {
	case Answer, Listing:
	case Failure:
		f.Outcome = check.Fail
		if body.Code == Uncertain {
			f.Outcome = check.Info
		}
	}
	return f
}
