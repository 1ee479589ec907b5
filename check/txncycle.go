package check

import "slices"

// A cycleFamily is a set of cycles that components find in linear time, and the
// classes of anomalies that they belong to. Each family holds those before it.
type cycleFamily struct {
	rule    walkRule
	classes []int
}

const dependencies = edgeWW | edgeWR

var cycleFamilies = []cycleFamily{
	{walkRule{kinds: edgeWW}, []int{g0}},
	{walkRule{kinds: dependencies}, []int{g1c}},
	{walkRule{kinds: dependencies | edgeUpdate | edgeRW, apart: true}, []int{gSingle, gNonadjacent}},
	{walkRule{kinds: dependencies | edgeUpdate | edgeRW}, []int{g2Item}},
}

// orderKinds are the edges that come to those of the data in each form, and the
// one without which a cycle is not of the form.
var orderKinds = [orders]edgeKind{0, edgeProcess, edgeProcess | edgeTime}
var orderNeeds = [orders]edgeKind{0, edgeProcess, edgeTime}

// searchMax bounds the search for short cycles of one class, in edges looked at.
// It bounds neither whether an anomaly is found nor what it excludes: that is
// known from the components.
const searchMax = 4_000_000

// cycleAnomalies finds the anomalies that are cycles: in each family first the
// components, then in each the shortest cycle of each class that the bound allows
// to find. It returns false if it was stopped.
func (f *txnFindings) cycleAnomalies(g *txnGraph) bool {
	rule := cycleFamilies[len(cycleFamilies)-1].rule
	rule.kinds |= orderKinds[timeOrder]
	all := g.components(rule, nil)
	if all.count == 0 {
		return true // what has no cycle has none with fewer edges
	}
	s := newCycleSearch(f, g, all)
	for order := range orders {
		for i, family := range cycleFamilies {
			rule := family.rule
			rule.kinds |= orderKinds[order]
			c := g.components(rule, all)
			if c.count == 0 {
				continue
			}
			for _, class := range family.classes {
				if !f.hasForm([]int{class}, order) && !s.search(c, anomalyForm{class, order}) {
					return false
				}
			}
			f.unlocated(c, i, order)
		}
	}
	return true
}

// hasForm reports whether one of the classes was found, in the form or one that
// needs fewer edges.
func (f *txnFindings) hasForm(classes []int, order int) bool {
	for _, class := range classes {
		for o := range order + 1 {
			if f.has(anomalyForm{class, o}) {
				return true
			}
		}
	}
	return false
}

// unlocated sees to it that a family's components are never without an anomaly
// in the report, even where the search for a short cycle met its bound.
func (f *txnFindings) unlocated(c *components, family, order int) {
	var classes []int
	for _, fam := range cycleFamilies[:family+1] {
		classes = append(classes, fam.classes...)
	}
	if f.hasForm(classes, order) {
		return
	}
	var parts []int32
	for t := range f.h.txns {
		if c.cyclic(int32(t)) && len(parts) < 2 {
			parts = append(parts, int32(t))
		}
	}
	f.add(anomalyForm{classes[len(classes)-1], order}, func() Violation {
		return f.violation(parts, nil, "These are among transactions that depend on each other in circles; the search met its bound",
			"before it had found a short circle to show.")
	})
}

// The state of a walk that is to become a cycle, as bits.
const (
	walkRW    = 1 << iota // the last edge was rw
	walkMet               // what the class needs besides its first edge was met
	walkOrder             // the edge that the form needs was met
	walkFirst             // the next edge must be rw
	walkStates
)

// A cycleSearch looks for short cycles by breadth-first search over vertices and
// states.
type cycleSearch struct {
	f     *txnFindings
	g     *txnGraph
	local []int32 // by vertex: its place in the tables below, -1 if it is in no cycle
	// By place and state:
	seen  []int32 // in which search
	depth []int32
	via   []int32 // the edge by which it was reached
	prev  []int32 // the state from which
	at    []int32 // by place: the vertex
	turn  int32
	left  int // what remains of searchMax

	form anomalyForm
	c    *components
}

// newCycleSearch makes one for the vertices that are in cycles at all.
func newCycleSearch(f *txnFindings, g *txnGraph, all *components) *cycleSearch {
	s := &cycleSearch{f: f, g: g, local: make([]int32, g.n)}
	for v := range g.n {
		s.local[v] = -1
		if all.cyclic(v) {
			s.local[v] = int32(len(s.at))
			s.at = append(s.at, v)
		}
	}
	n := len(s.at) * walkStates
	s.seen, s.depth, s.via, s.prev = make([]int32, n), make([]int32, n), make([]int32, n), make([]int32, n)
	return s
}

// search adds the shortest cycle of the form that it finds in each component.
// It returns false if it was stopped.
func (s *cycleSearch) search(c *components, form anomalyForm) bool {
	s.c, s.form, s.left = c, form, searchMax
	best := make([][]int32, c.count)
	for _, v := range s.at {
		lo, hi := s.g.from(v)
		for e := lo; e < hi; e++ {
			s.try(e, best)
		}
		if s.left <= 0 {
			break
		}
		if s.f.o.stopped() {
			return false
		}
	}
	for _, cycle := range best {
		if cycle != nil {
			s.f.add(form, func() Violation { return s.f.explainCycle(s.g, form, cycle) })
		}
	}
	return true
}

// try looks for a cycle that begins with the edge and is shorter than the best
// of its component.
func (s *cycleSearch) try(e int32, best [][]int32) {
	edge := &s.g.edges[e]
	state, ok := s.begin(edge.kind)
	if !ok || s.local[edge.to] < 0 || s.left <= 0 {
		return
	}
	rw, _ := s.c.rule.next(0, edge.kind)
	comp := s.c.of[2*edge.from]
	if comp < 0 || s.c.of[2*edge.to+rw] != comp {
		return
	}
	longest := int32(1 << 30)
	if b := best[comp]; b != nil {
		longest = int32(s.length(b)) - 1
	}
	if longest < 2 {
		return
	}
	if cycle := s.shortest(e, state, comp, longest); cycle != nil && s.simple(cycle) {
		best[comp] = cycle
	}
}

// begin is the state after a first edge of the kind; ok is false if cycles of
// the form don't begin with one.
func (s *cycleSearch) begin(kind edgeKind) (state int32, ok bool) {
	need := orderNeeds[s.form.order]
	switch s.form.class {
	case g0:
		return walkOrder, kind == edgeWW && need == 0 || kind == need
	case g1c:
		if need == 0 {
			return walkMet, kind == edgeWR
		}
		return walkOrder, kind == need
	case g2Item:
		return walkRW | walkFirst, kind == edgeRW
	case gSingle:
		if kind == edgeUpdate {
			return 0, true
		}
	}
	return walkRW, kind == edgeRW
}

// step is the state after another edge; ok is false if it must not follow.
func (s *cycleSearch) step(state int32, kind edgeKind) (next int32, ok bool) {
	if kind == edgeOn {
		return state, true
	}
	if kind&s.c.rule.kinds == 0 {
		return 0, false
	}
	next = state &^ walkRW
	if kind == orderNeeds[s.form.order] {
		next |= walkOrder
	}
	switch {
	case kind == edgeRW && s.form.class == gSingle:
		return 0, false
	case kind == edgeRW && s.form.class == gNonadjacent:
		return next | walkRW | walkMet, state&walkRW == 0
	case kind == edgeRW:
		return next&^walkFirst | walkRW, true
	case kind == edgeWR && s.form.class == g1c:
		next |= walkMet
	}
	return next, state&walkFirst == 0
}

// accepts reports whether a walk that is back at its beginning is a cycle of the
// form.
func (s *cycleSearch) accepts(state int32) bool {
	if s.form.order != anyOrder && state&walkOrder == 0 {
		return false
	}
	switch s.form.class {
	case g1c:
		return state&walkMet != 0
	case gNonadjacent:
		return state&walkMet != 0 && state&walkRW == 0
	case g2Item:
		return state&walkFirst == 0
	}
	return true
}

// shortest returns the edges of a shortest walk of at most so many edges, from
// e back to where e begins, nil if there is none. EdgeOn counts nothing.
func (s *cycleSearch) shortest(e, state, comp, longest int32) []int32 {
	s.turn++
	goal, middle := s.g.edges[e].from, s.g.edges[e].to
	first := s.local[middle]*walkStates + state
	s.seen[first], s.depth[first], s.via[first], s.prev[first] = s.turn, 1, e, -1
	now, later := []int32{first}, []int32(nil)
	for depth := int32(1); len(now) > 0; depth++ {
		for i := 0; i < len(now); i++ {
			node := now[i]
			if s.depth[node] != depth {
				continue // reached by a shorter way meanwhile
			}
			lo, hi := s.g.from(s.at[node/walkStates])
			for x := lo; x < hi; x++ {
				s.left--
				edge := &s.g.edges[x]
				next, ok := s.step(node%walkStates, edge.kind)
				cost := int32(1)
				if edge.kind == edgeOn {
					cost = 0
				}
				if !ok || depth+cost > longest || edge.to == middle {
					continue
				}
				if edge.to == goal {
					if s.accepts(next) {
						return s.walk(node, x)
					}
					continue
				}
				if s.reach(edge.to, next, depth+cost, comp, node, x) {
					if cost == 0 {
						now = append(now, s.local[edge.to]*walkStates+next)
					} else {
						later = append(later, s.local[edge.to]*walkStates+next)
					}
				}
			}
		}
		if s.left <= 0 {
			return nil
		}
		now, later = later, now[:0]
	}
	return nil
}

// reach enters a vertex and state unless it is outside of the component, or was
// reached before by a way as short.
func (s *cycleSearch) reach(v, state, depth, comp, prev, via int32) bool {
	rw := int32(0)
	if s.c.rule.apart {
		rw = state & walkRW
	}
	if s.local[v] < 0 || s.c.of[2*v+rw] != comp {
		return false
	}
	node := s.local[v]*walkStates + state
	if s.seen[node] == s.turn && s.depth[node] <= depth {
		return false
	}
	s.seen[node], s.depth[node], s.via[node], s.prev[node] = s.turn, depth, via, prev
	return true
}

// walk returns the edges that led to the node, and the last one.
func (s *cycleSearch) walk(node, last int32) []int32 {
	edges := []int32{last}
	for ; node >= 0; node = s.prev[node] {
		edges = append(edges, s.via[node])
	}
	slices.Reverse(edges)
	return edges
}

// length is how many transactions a cycle has.
func (s *cycleSearch) length(cycle []int32) int {
	n := 0
	for _, e := range cycle {
		if s.g.edges[e].kind != edgeOn {
			n++
		}
	}
	return n
}

// simple reports whether a walk meets no vertex twice; one that does is several
// cycles, which are found by themselves.
func (s *cycleSearch) simple(cycle []int32) bool {
	met := map[int32]bool{}
	for _, e := range cycle {
		if v := s.g.edges[e].from; met[v] {
			return false
		} else {
			met[v] = true
		}
	}
	return true
}
