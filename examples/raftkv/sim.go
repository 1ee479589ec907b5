package raftkv

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"hindcast.dev/check"
	"hindcast.dev/event"
	"hindcast.dev/sim"
)

// Subject is the store as the simulator runs it.
func Subject() *sim.Subject {
	return &sim.Subject{Name: "raftkv", Doc: "a linearizable key-value store on etcd-io/raft", Machines: Registry(), Setup: setup}
}

// setup draws what a run is like. Everything that the library lets one choose is
// drawn, in ranges that make elections, snapshots and full windows frequent.
func setup(w *sim.World) {
	nodes, changes := 3, w.Chance("members", 0.1)
	switch {
	case changes:
		nodes = 4 // of which the last comes and goes: any three have a majority all the time
	case w.Chance("five", 0.05):
		nodes = 5
	}
	heartbeat := w.Int("heartbeatTick", 1, 2)
	for name, value := range map[string]string{
		"tick":          w.Duration("tick", 20*time.Millisecond, 80*time.Millisecond).String(),
		"heartbeatTick": strconv.Itoa(heartbeat),
		"electionTick":  strconv.Itoa(heartbeat + w.Int("electionTick", 1, 4)),
		"checkQuorum":   strconv.FormatBool(w.Chance("checkQuorum", 0.3)),
		"preVote":       strconv.FormatBool(w.Chance("preVote", 0.5)),
		"forward":       strconv.FormatBool(w.Chance("forward", 0.5)),
		"maxInflight":   strconv.Itoa(w.Int("maxInflight", 1, 64)),
		"maxMessage":    strconv.Itoa(w.Int("maxMessage", 100, 8000)),
		"snapshotEvery": strconv.Itoa(w.Int("snapshotEvery", 10, 500)),
		"keep":          strconv.Itoa(w.Int("keep", 0, 20)),
		"maxBytes":      "16384",
		"timeout":       w.Duration("timeout", 500*time.Millisecond, 3*time.Second).String(),
		"retry":         "500ms", // etcd's
	} {
		w.Setting(name, value)
	}
	w.Cluster(nodes)
	w.Without("Raft counts votes and acknowledgements: what was synced must stay", sim.FaultLostWrite, sim.FaultMisplaced, sim.FaultDiskLoss)
	w.Often(sim.FaultSlowLink) // Raft orders by terms, not by time: late messages are its trial
	l := newLoad(w, changes)
	w.Clients(sim.Workload{Clients: w.Int("clients", 8, 24), Think: w.Duration("think", 10*time.Millisecond, 60*time.Millisecond),
		Timeout: w.Duration("patience", 500*time.Millisecond, 2*time.Second), Takes: 60 * time.Millisecond, Next: l.next, Found: l.found})
	w.State(func(n *sim.Node) string {
		if r := raftOf(n); r != nil {
			return r.State
		}
		return ""
	})
	stateProperties(w)
}

// raftOf is a node's machine, nil while it is down or hasn't begun.
func raftOf(n *sim.Node) *Raft {
	r, _ := n.Machine(Name).(*Raft)
	return r
}

// stateProperties states the properties.
func stateProperties(w *sim.World) {
	for _, p := range Properties() {
		if p.Watch == nil {
			w.Never(p.Name, p.RQL)
			continue
		}
		watch := p.Watch()
		w.Invariant(p.Name, func(n *sim.Node) error {
			if r := raftOf(n); r != nil {
				return watch(n.Name(), r)
			}
			return nil
		})
	}
	w.Sometimes("a snapshot is sent", "EXISTS p IN KEYS(raft.progress) : (raft.progress[p].state = 'snapshot')")
	w.Judge("linearizable", func(ops []check.Operation) check.Result {
		m, _ := check.ModelByName("kv")
		return check.Linearizable(recordsOnly(ops), m, check.Options{})
	})
	w.Converges("records", func(n *sim.Node) string { return converged(w, n) })
}

func recordsOnly(ops []check.Operation) []check.Operation {
	kept := make([]check.Operation, 0, len(ops))
	for _, op := range ops {
		if op.F != "members" {
			kept = append(kept, op)
		}
	}
	return kept
}

// converged is what a node has, in words. A node that was removed from the cluster
// hears of nothing any more: it counts as having what the leader has.
func converged(w *sim.World, n *sim.Node) string {
	r := raftOf(n)
	if r == nil {
		return "down"
	}
	var first *Raft
	for _, m := range w.Nodes() {
		if o := raftOf(m); o != nil && o.State == leader && (first == nil || o.Term > first.Term) {
			first = o
		}
	}
	if first != nil && !first.has(r.Self) {
		r = first
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d:", r.Applied)
	for k, v := range r.Data.All() {
		fmt.Fprintf(&b, " %s=%q@%d", k, v.Value, v.Index)
	}
	return b.String()
}

func (r *Raft) has(node string) bool {
	for _, names := range [][]string{r.Conf.Voters, r.Conf.Learners} {
		for _, n := range names {
			if n == node {
				return true
			}
		}
	}
	return false
}

// A load is what clients do.
type load struct {
	keys     int
	changes  bool
	sessions bool
	reads    float64           // share of them
	others   float64           // of the writes: those that aren't puts
	last     map[string]string // by client and key: what it saw last
	writes   map[int]uint64    // by client
	unsure   map[int]uint64    // by client: the write of which an attempt has an unknown fate
}

// newLoad draws what clients do. Appends and the like have no value that is only
// written once, and whether there is an order must be searched for: there are more
// keys then, so that each has few operations of which nobody knows whether they
// were done.
func newLoad(w *sim.World, changes bool) *load {
	l := &load{keys: w.Int("keys", 1, 3), changes: changes, sessions: w.Chance("sessions", 0.5),
		reads: w.Float("reads", 0.6, 0.95), last: map[string]string{}, writes: map[int]uint64{}, unsure: map[int]uint64{}}
	mixed, keys, others := w.Chance("mixed", 0.4), w.Int("mixed.keys", 10, 30), w.Float("others", 0.05, 0.5)
	if mixed {
		l.keys, l.others = keys, others
	}
	return l
}

func (l *load) next(c *sim.Client) sim.Op {
	key := "k" + strconv.Itoa(c.Rand.IntN(l.keys))
	op := sim.Op{F: "read", Key: key, Machine: Name, Body: Get{Key: key}}
	switch {
	case l.changes && c.Rand.Float64() < 0.01:
		change := []string{"add", "add", "learn", "remove"}[c.Rand.IntN(4)]
		return sim.Op{F: "members", Machine: Name, Body: Members{change, "n4"}}
	case c.Rand.Float64() < l.reads:
		return op
	}
	l.writes[c.Index]++
	value := fmt.Sprintf("%d-%d", c.Index, l.writes[c.Index])
	var once Once
	if l.sessions {
		once = Once{strconv.Itoa(c.Index), l.writes[c.Index]}
	}
	op.F, op.Input, op.Body = "write", event.String(value), Put{key, value, once}
	if c.Rand.Float64() >= l.others {
		return op
	}
	switch c.Rand.IntN(4) {
	case 0:
		op.F, op.Input, op.Body = "delete", event.Absent, Delete{key, once}
	case 1:
		op.F, op.Body = "append", Append{key, value, once}
	default:
		if old, ok := l.last[lastOf(c, key)]; ok {
			op.F, op.Input, op.Body = "cas", event.List(event.String(old), event.String(value)), Cas{Key: key, Old: old, New: value, Once: once}
		}
	}
	return op
}

func (l *load) found(c *sim.Client, op *sim.Op, a sim.Answer) sim.Finding {
	switch m := a.Body.(type) {
	case Answer:
		return sim.Finding{Outcome: check.Ok, Output: l.output(c, op, m)}
	case Failure:
		switch {
		case m.Code == Unknown && op.F == "members":
			return sim.Finding{Outcome: check.Info}
		case m.Code == Unknown:
			l.unsure[c.Index] = l.writes[c.Index]
			if l.sessions {
				return sim.Finding{Again: true, After: 10 * time.Millisecond}
			}
		case m.Code == NotLeader && m.Leader != "" && c.Rand.IntN(4) > 0:
			return sim.Finding{Again: true, After: time.Millisecond, Node: m.Leader}
		}
	}
	if op.F != "read" && l.unsure[c.Index] == l.writes[c.Index] {
		return sim.Finding{Outcome: check.Info} // an attempt before this one may have been
	}
	return sim.Finding{Outcome: check.Fail}
}

// output is what an answer is to the checkers.
func (l *load) output(c *sim.Client, op *sim.Op, a Answer) event.Value {
	switch op.F {
	case "read":
		if !a.Found {
			return event.Null()
		}
		l.last[lastOf(c, op.Key)] = a.Value
		return event.String(a.Value)
	case "cas":
		return event.Bool(a.Found)
	}
	return event.Absent
}

func lastOf(c *sim.Client, key string) string { return strconv.Itoa(c.Index) + "/" + key }
