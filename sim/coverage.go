package sim

import "slices"

// Floors and the ceiling of a run that counts.
const (
	OperationsMin = 2000   // that clients began
	FaultKindsMin = 3      // that took effect
	EventsMax     = 50_000 // that loops stamped: Result.Steps
)

// CoverageReport says what a run exercised, or, after Merge, what many did.
type CoverageReport struct {
	// Kinds are "state × fault × message" → how often a node in that state, while
	// that fault was under way anywhere, took in that message, or request; – is none.
	// "state × fault × –" is how often a node came into the state.
	Kinds map[string]int `json:"kinds"`
}

// Merge adds what other runs exercised.
func (c *CoverageReport) Merge(o CoverageReport) {
	if c.Kinds == nil {
		c.Kinds = map[string]int{}
	}
	for k, n := range o.Kinds {
		c.Kinds[k] += n
	}
}

// Counted reports whether the run exercised enough to count as one of many, and
// if not, why. Operations are those that were begun. A kind of fault counts where
// it took effect (Result.Happened): there was something that suffered it, so that
// the kill of a dead node doesn't. Whether messages met it is what Coverage says.
func (r *Result) Counted() (ok bool, why string) {
	switch {
	case r.Stopped:
		why = "stopped before the end"
	case r.Steps == 0:
		why = "no node took in an event"
	case len(r.Coverage.Kinds) == 0:
		why = "no node took in a message or a request"
	default:
		why = DefaultFloors.Short(r)
	}
	return why == "", why
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
	r := CoverageReport{Kinds: map[string]int{}}
	for k, n := range c.seen {
		r.Kinds[c.names[k.state]+" × "+c.names[k.fault]+" × "+c.names[k.message]] += n
	}
	return r
}
