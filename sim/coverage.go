package sim

import (
	"fmt"
	"maps"
	"slices"
)

// Floors and ceilings of a run that counts.
const (
	OperationsMin = 2000  // that clients began
	FaultKindsMin = 3     // that took effect
	EventsMax     = 50000 // Result.Steps
)

// CoverageReport says what one run exercised, or, after Merge, many.
type CoverageReport struct {
	Runs    int `json:"runs"`
	Counted int `json:"counted"` // of them: Result.Counted
	Judged  int `json:"judged"`  // of them: all properties were followed to the end
	// Kinds are "state × fault × message" → how often a node in that state, while
	// that fault was under way, took in that message. "–" is none.
	Kinds map[string]int `json:"kinds"`
	// Faults are the runs in which a kind of fault took effect.
	Faults map[FaultKind]int `json:"faults"`
	// Sometimes are the runs in which a `sometimes` property held, also 0.
	Sometimes map[string]int `json:"sometimes,omitempty"`
	// Vacuous are the properties that said nothing of a run.
	Vacuous map[string]Vacuity `json:"vacuous,omitempty"`
}

// A Vacuity is that a property said nothing: what it speaks of wasn't there.
type Vacuity struct {
	Runs int    `json:"runs"`
	Why  string `json:"why"` // in the first of them
}

// Merge adds what other runs exercised.
func (c *CoverageReport) Merge(o CoverageReport) {
	c.Runs += o.Runs
	c.Counted += o.Counted
	c.Judged += o.Judged
	c.make()
	for k, n := range o.Kinds {
		c.Kinds[k] += n
	}
	for k, n := range o.Faults {
		c.Faults[k] += n
	}
	for k, n := range o.Sometimes {
		c.Sometimes[k] += n
	}
	for k, v := range o.Vacuous {
		sum := c.Vacuous[k]
		if sum.Runs == 0 {
			sum.Why = v.Why
		}
		sum.Runs += v.Runs
		c.Vacuous[k] = sum
	}
}

func (c *CoverageReport) make() {
	if c.Kinds == nil {
		c.Kinds, c.Faults = map[string]int{}, map[FaultKind]int{}
		c.Sometimes, c.Vacuous = map[string]int{}, map[string]Vacuity{}
	}
}

// Defects says in sentences what all these runs together didn't do and should
// have: no run counted, a `sometimes` property that never held, a property that
// said nothing of any run.
func (c *CoverageReport) Defects() []string {
	var out []string
	if c.Runs > 0 && c.Counted == 0 {
		out = append(out, fmt.Sprintf("none of the %d runs exercises enough to count: %d operations, %d kinds of fault and at most %d events are wanted",
			c.Runs, OperationsMin, FaultKindsMin, EventsMax))
	}
	for _, name := range slices.Sorted(maps.Keys(c.Sometimes)) {
		if c.Sometimes[name] == 0 {
			out = append(out, fmt.Sprintf("sometimes %q: held in none of the %d runs that were judged", name, c.Judged))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Vacuous)) {
		if v := c.Vacuous[name]; v.Runs >= c.Judged {
			out = append(out, fmt.Sprintf("property %q said nothing of any of the %d runs that were judged: %s", name, c.Judged, v.Why))
		}
	}
	return out
}

// Counted reports whether the run exercised enough to count as one, and if not,
// why. Operations are those that were begun; a kind of fault counts where it took
// effect (Result.Happened), so that a kill of a dead node doesn't; events are
// what loops stamped.
func (r *Result) Counted() (ok bool, why string) {
	kinds := 0
	for _, n := range r.Happened {
		if n > 0 {
			kinds++
		}
	}
	switch {
	case r.Stopped:
		return false, "the run was stopped before its end"
	case r.Steps == 0:
		return false, "no machine handled any event"
	case len(r.Operations) < OperationsMin:
		return false, fmt.Sprintf("%d client operations, of at least %d", len(r.Operations), OperationsMin)
	case kinds < FaultKindsMin:
		return false, fmt.Sprintf("%d kinds of fault took effect, of at least %d", kinds, FaultKindsMin)
	case r.Steps > EventsMax:
		return false, fmt.Sprintf("%d events, of at most %d: a run is to be short, so that there can be many", r.Steps, EventsMax)
	case len(r.Coverage.Kinds) == 0:
		return false, "no node took in a message"
	}
	return true, ""
}

// coverage counts what happened in which circumstances. Names are interned, so
// that counting builds no text.
type coverage struct {
	label  func(n *Node) string
	ids    map[string]uint16
	names  []string // by id
	seen   map[coverKey]int
	states []uint16 // by node: its state when it was last asked, and 1; 0 is never
	kinds  []uint16 // by index of the schedule: the id of the fault's kind, and 1; 0 is not known yet
	now    []uint16 // ids of the kinds of fault under way, each once
}

type coverKey struct{ state, fault, message uint16 }

// none is what is shown where there is no state, fault or message.
const none = "–"

// State names what a node is, such as leader or follower: what coverage tells
// apart.
func (w *World) State(label func(n *Node) string) { w.cover.label = label }

func (c *coverage) id(name string) uint16 {
	if id, ok := c.ids[name]; ok {
		return id
	}
	if c.ids == nil {
		c.ids, c.seen = map[string]uint16{}, map[coverKey]int{}
	}
	id := uint16(len(c.names))
	c.names = append(c.names, name)
	c.ids[name] = id
	return id
}

// message counts a message that a node takes in, once for every kind of fault
// that is under way.
func (c *coverage) message(n *Node, m *message) { c.count(n, m.frame.Name) }

// request counts a client's request that a node takes in.
func (c *coverage) request(n *Node, x *call) { c.count(n, x.op.F) }

func (c *coverage) count(n *Node, name string) {
	state := none
	if c.label != nil && n.up {
		state = c.label(n)
	}
	k := coverKey{state: c.id(state), message: c.id(name)}
	if c.underWay(n.w); len(c.now) == 0 {
		k.fault = c.id(none)
		c.seen[k]++
		return
	}
	for _, f := range c.now {
		k.fault = f
		c.seen[k]++
	}
}

// state looks whether a node has come into another state, and counts that it has:
// also one in which no message finds it.
func (c *coverage) state(_ *World, n *Node) {
	if c.label == nil {
		return
	}
	if len(c.states) <= n.index {
		c.states = append(c.states, make([]uint16, n.index+1-len(c.states))...)
	}
	if id := c.id(c.label(n)) + 1; c.states[n.index] != id {
		c.states[n.index] = id
		c.count(n, none)
	}
}

// underWay finds out which kinds of fault are.
func (c *coverage) underWay(w *World) {
	c.now = c.now[:0]
	if n := len(w.faults); len(c.kinds) < n {
		c.kinds = append(c.kinds, make([]uint16, n-len(c.kinds))...)
	}
	for _, i := range w.nemesis.active {
		if c.kinds[i] == 0 {
			c.kinds[i] = c.id(string(w.faults[i].Kind)) + 1
		}
		if id := c.kinds[i] - 1; !slices.Contains(c.now, id) {
			c.now = append(c.now, id)
		}
	}
}

func (c *coverage) report(w *World) CoverageReport {
	r := CoverageReport{Runs: 1}
	r.make()
	for k, n := range c.seen {
		r.Kinds[c.names[k.state]+" × "+c.names[k.fault]+" × "+c.names[k.message]] += n
	}
	for k, n := range w.nemesis.happened {
		if n > 0 {
			r.Faults[k] = 1
		}
	}
	return r
}
