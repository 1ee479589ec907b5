package check

// A walkRule says which walks through a txnGraph count.
type walkRule struct {
	kinds edgeKind
	// apart: no two rw edges meet. Snapshot isolation allows exactly the cycles in
	// which two do (Fekete et al. 2005; Cerone and Gotsman 2016).
	apart bool
}

// next takes an edge after one that was (1) or wasn't (0) an rw edge that must
// not be followed by another.
func (r walkRule) next(afterRW int32, kind edgeKind) (int32, bool) {
	switch {
	case kind == edgeOn:
		return afterRW, true
	case kind&r.kinds == 0:
		return 0, false
	case !r.apart:
		return 0, true
	case kind == edgeRW:
		return 1, afterRW == 0
	}
	return 0, true
}

// Components are the strongly connected components, of more than one node, of a
// txnGraph under a walkRule. A node is a vertex and whether it was entered by an
// rw edge: 2v or 2v+1.
type components struct {
	rule walkRule
	// within, if not nil, bounds where walks may go: what is in no cycle there is in
	// none of fewer edges.
	within *components
	of     []int32 // by node: its component, -1 where it is in no cycle
	count  int32
}

// cyclic reports whether the vertex is in some cycle.
func (c *components) cyclic(v int32) bool { return c.of[2*v] >= 0 || c.of[2*v+1] >= 0 }

// open reports whether walks may enter the vertex.
func (c *components) open(v int32) bool { return c.within == nil || c.within.cyclic(v) }

// A tarjan is the state of Tarjan's algorithm (1972), without recursion: a chain
// of dependencies may be as long as the history.
type tarjan struct {
	g      *txnGraph
	c      *components
	index  []int32 // by node: when it was first seen, from 1
	low    []int32
	stack  []int32
	frames []tarjanFrame
	seen   int32
}

type tarjanFrame struct {
	node int32
	edge int32 // the next to follow
}

// componentDone marks in low that a node's component is known.
const componentDone = int32(1<<31 - 1)

// components finds the components, of the whole graph or, if within isn't nil,
// inside its components.
func (g *txnGraph) components(rule walkRule, within *components) *components {
	c := &components{rule: rule, within: within, of: make([]int32, 2*g.n)}
	for i := range c.of {
		c.of[i] = -1
	}
	s := &tarjan{g: g, c: c, index: make([]int32, 2*g.n), low: make([]int32, 2*g.n)}
	for v := range g.n {
		if s.index[2*v] == 0 && c.open(v) {
			s.from(2 * v)
		}
	}
	return c
}

// from runs through all that the node leads to.
func (s *tarjan) from(root int32) {
	s.enter(root)
	for len(s.frames) > 0 {
		f := &s.frames[len(s.frames)-1]
		v := f.node / 2
		_, hi := s.g.from(v)
		if f.edge == hi {
			s.leave(f.node)
			continue
		}
		e := &s.g.edges[f.edge]
		f.edge++
		rw, ok := s.c.rule.next(f.node&1, e.kind)
		if !ok || !s.c.open(e.to) {
			continue
		}
		to := 2*e.to + rw
		if s.index[to] == 0 {
			s.enter(to)
		} else if s.low[to] != componentDone {
			s.low[f.node] = min(s.low[f.node], s.index[to])
		}
	}
}

func (s *tarjan) enter(node int32) {
	s.seen++
	s.index[node], s.low[node] = s.seen, s.seen
	s.stack = append(s.stack, node)
	lo, _ := s.g.from(node / 2)
	s.frames = append(s.frames, tarjanFrame{node, lo})
}

// leave ends a node; if it is the first of its component, that is complete.
func (s *tarjan) leave(node int32) {
	s.frames = s.frames[:len(s.frames)-1]
	low := s.low[node]
	if low == s.index[node] {
		top := len(s.stack) - 1
		alone := s.stack[top] == node
		for {
			n := s.stack[top]
			s.low[n] = componentDone
			if !alone {
				s.c.of[n] = s.c.count
			}
			top--
			if n == node {
				break
			}
		}
		s.stack = s.stack[:top+1]
		if !alone {
			s.c.count++
		}
	}
	if len(s.frames) > 0 {
		up := s.frames[len(s.frames)-1].node
		s.low[up] = min(s.low[up], low)
	}
}
