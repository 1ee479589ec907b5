package sim

// CoverageReport says what a run exercised.
type CoverageReport struct {
	Kinds map[string]int // "state × fault × message" → how often
}

// coverage counts what happened in which circumstances.
type coverage struct {
	label func(n *Node) string
	seen  map[coverKey]int
}

type coverKey struct {
	state, fault, message string
}

// State names what a node is, such as leader or follower: what coverage tells
// apart.
func (w *World) State(label func(n *Node) string) { w.cover.label = label }

func (c *coverage) state(w *World, n *Node) {}

// message counts a message that a node takes in.
func (c *coverage) message(n *Node, m *message) {
	if c.seen == nil {
		c.seen = map[coverKey]int{}
	}
	k := coverKey{fault: string(n.fault), message: m.frame.Name}
	if c.label != nil {
		k.state = c.label(n)
	}
	c.seen[k]++
}

func (c *coverage) report(w *World) CoverageReport {
	r := CoverageReport{Kinds: map[string]int{}}
	for k, n := range c.seen {
		r.Kinds[k.state+" × "+k.fault+" × "+k.message] += n
	}
	return r
}
