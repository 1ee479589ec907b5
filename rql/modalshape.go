package rql

import (
	"fmt"
	"slices"

	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/rql/lattice"
	"hindcast.dev/rql/plan"
	"hindcast.dev/rql/syntax"
)

// alternativesMax bounds the choices of nodes that are told apart; with more the
// lattice is searched.
const alternativesMax = 10_000

// triedMax bounds those that are looked at, of which NODE(…) may leave few.
const triedMax = 20 * alternativesMax

// A shape is the condition of a modality in terms of the lattice: an OR of
// alternatives, each a choice of nodes for the placeholders. If some part can't be
// put so, the cuts must be evaluated one by one.
type shape struct {
	e      *engine
	meta   *history.Meta
	alts   []alternative
	probes map[string]*probe
	series map[seriesKey]*series
	tracks map[trackKey]*track
	unfit  bool      // some value isn't such as the probes and tracks are made for
	loose  plan.Expr // the part that can't be put so; nil: the alternatives tell all
	many   bool      // there are too many of them
	tried  int       // choices of nodes that were looked at, also such as are none
}

// An alternative holds where all of its probes do and its sums keep to their
// bounds.
type alternative struct {
	probes []*probe
	sums   []bounded
	pairs  []*fitting
}

// A probe is a condition that one node decides alone.
type probe struct {
	node  int
	holds func() bool // on its node as it is now
	spans []lattice.Span
}

// set says that the condition has a truth from state k on, or only changes what
// was said of k.
func (p *probe) set(k uint64, now bool) {
	n := len(p.spans)
	was := n > 0 && p.spans[n-1].To == lattice.Forever
	switch {
	case now == was:
	case now && n > 0 && p.spans[n-1].To == k:
		p.spans[n-1].To = lattice.Forever
	case now:
		p.spans = append(p.spans, lattice.Span{From: k, To: lattice.Forever})
	case p.spans[n-1].From == k:
		p.spans = p.spans[:n-1]
	default:
		p.spans[n-1].To = k
	}
}

// shapeOf puts a condition into alternatives. e has the nodes and no event yet.
func shapeOf(e *engine, meta *history.Meta) *shape {
	s := &shape{e: e, meta: meta, probes: map[string]*probe{}, series: map[seriesKey]*series{}, tracks: map[trackKey]*track{}}
	if e.q.Root == nil {
		s.alts = []alternative{{}}
		return s
	}
	s.alts = s.of(e.q.Root)
	return s
}

func (s *shape) known() bool { return s.loose == nil && !s.many }

func (s *shape) of(c *plan.Cond) []alternative {
	switch c.Op {
	case plan.CondOr:
		var out []alternative
		for _, k := range c.Kids {
			out = s.bound(append(out, s.of(k)...))
		}
		return out
	case plan.CondAnd:
		out := []alternative{{}}
		for _, k := range c.Kids {
			out = s.both(out, s.of(k))
		}
		return out
	}
	return s.leaf(c.Leaf)
}

// both are the alternatives of a AND b.
func (s *shape) both(a, b []alternative) []alternative {
	if len(a)*len(b) > alternativesMax {
		s.many = true
		return nil
	}
	var out []alternative
	for _, x := range a {
		for _, y := range b {
			out = append(out, alternative{slices.Concat(x.probes, y.probes), slices.Concat(x.sums, y.sums), slices.Concat(x.pairs, y.pairs)})
		}
	}
	return out
}

func (s *shape) bound(alts []alternative) []alternative {
	if len(alts) > alternativesMax {
		s.many = true
		return nil
	}
	return alts
}

func (s *shape) leaf(l *plan.Leaf) []alternative {
	switch l.Class {
	case plan.ClassOneNode, plan.ClassJoin:
		return s.choices(l)
	case plan.ClassEachNode:
		return s.everyNode(l)
	case plan.ClassGlobal:
		return s.part(l.Parts[0], nil, alternative{})
	}
	s.loose = l.Parts[0].X
	return nil
}

// probe returns the probe of a key, made by holds if it is new.
func (s *shape) probe(key string, node int, holds func() bool) *probe {
	p := s.probes[key]
	if p == nil {
		p = &probe{node: node, holds: holds}
		s.probes[key] = p
	}
	return p
}

// choices are the choices of a node for each slot of a leaf, none included: it
// stands where no node is a candidate. A part is looked at once its slots are
// chosen.
func (s *shape) choices(l *plan.Leaf) []alternative {
	due := make([][]plan.Part, len(l.Slots))
	for _, p := range l.Parts {
		last := slices.Index(l.Slots, p.Slots[len(p.Slots)-1])
		due[last] = append(due[last], p)
	}
	var out []alternative
	chosen := map[int]int{} // slot → node
	var choose func(depth int, a alternative)
	choose = func(depth int, a alternative) {
		if depth == len(l.Slots) {
			out = s.bound(append(out, a))
			return
		}
		slot := l.Slots[depth]
		for _, n := range append([]int{none}, s.nodesOf(slot)...) {
			if s.tried++; s.tried > triedMax {
				s.many = true
				return
			}
			chosen[slot] = n
			alts := []alternative{{append(slices.Clip(a.probes), s.candidates(slot, n)...), a.sums, a.pairs}}
			for _, p := range due[depth] {
				var next []alternative
				for _, a := range alts {
					next = append(next, s.part(p, chosen, a)...)
				}
				alts = next
			}
			for _, a := range alts {
				if choose(depth+1, a); s.many {
					return
				}
			}
		}
		delete(chosen, slot)
	}
	choose(0, alternative{})
	return out
}

// nodesOf are the nodes that a slot may ever stand for.
func (s *shape) nodesOf(slot int) []int {
	var out []int
	for _, n := range s.e.w.nodes {
		if !slices.ContainsFunc(s.e.q.Slots[slot].Needs, func(r *plan.Ref) bool { return !s.ever(r, n) }) {
			out = append(out, n)
		}
	}
	return out
}

// ever reports whether a node ever has a variable that a path may lead to.
func (s *shape) ever(r *plan.Ref, node int) bool {
	return slices.ContainsFunc(r.Vars, func(c plan.Candidate) bool {
		return c.Var >= len(s.meta.Vars) || slices.Contains(s.meta.Vars[c.Var].Nodes, node)
	})
}

// candidates are the probes for a slot to stand for a node, or for none.
func (s *shape) candidates(slot, node int) []*probe {
	if node != none {
		return []*probe{s.probe(fmt.Sprint("candidate ", slot, " ", node), node, func() bool { return s.e.candidate(slot, node) })}
	}
	var out []*probe
	for _, n := range s.e.w.nodes {
		out = append(out, s.probe(fmt.Sprint("no candidate ", slot, " ", n), n, func() bool { return !s.e.candidate(slot, n) }))
	}
	return out
}

// part adds a condition under a choice of nodes to an alternative: what no node
// decides at once, what one node decides as a probe, and a sum.
func (s *shape) part(p plan.Part, chosen map[int]int, a alternative) []alternative {
	x := p.X
	slots, everywhere, refs := s.e.q.Reads(x)
	var nodes []int
	known := !everywhere && !s.elsewhere(refs)
	for _, sl := range slots {
		n, ok := chosen[sl]
		known = known && ok
		if ok && n != none && !slices.Contains(nodes, n) {
			nodes = append(nodes, n)
		}
	}
	switch {
	case known && len(nodes) == 0:
		if s.always(x, chosen) {
			return []alternative{a}
		}
		return nil
	case known && len(nodes) == 1:
		key := fmt.Sprintf("part %p", x)
		under := map[int]int{}
		for _, sl := range p.Slots {
			under[sl] = chosen[sl]
			key += fmt.Sprint(" ", sl, "=", chosen[sl])
		}
		probe := s.probe(key, nodes[0], func() bool { return s.under(x, under, nodes[0]) })
		return []alternative{{append(slices.Clip(a.probes), probe), a.sums, a.pairs}}
	}
	return s.both([]alternative{a}, s.apart(x, chosen))
}

// apart are the alternatives of a condition that no node decides alone.
func (s *shape) apart(x plan.Expr, chosen map[int]int) []alternative {
	if b, ok := x.(*plan.Binary); ok && (b.Op == syntax.And || b.Op == syntax.Or) {
		l, r := s.within(b.L, chosen), s.within(b.R, chosen)
		if b.Op == syntax.And {
			return s.both(l, r)
		}
		return s.bound(slices.Concat(l, r))
	}
	if alts, ok := s.extremes(x); ok {
		return alts
	}
	if alts := s.pairs(x, chosen); alts != nil {
		return alts
	}
	var out []alternative
	for _, b := range s.bounds(x, chosen) {
		out = append(out, alternative{sums: []bounded{b}})
	}
	if out == nil && s.loose == nil {
		s.loose = x
	}
	return out
}

// within are the alternatives of a part of a condition.
func (s *shape) within(x plan.Expr, chosen map[int]int) []alternative {
	return s.part(plan.Part{X: x, Slots: s.slotsOf(x)}, chosen, alternative{})
}

// slotsOf are the chosen slots of which an expression speaks.
func (s *shape) slotsOf(x plan.Expr) []int {
	return s.e.q.ChosenIn(x)
}

// always evaluates a condition that reads nothing, at most who was chosen.
func (s *shape) always(x plan.Expr, chosen map[int]int) bool {
	for slot, n := range chosen {
		s.e.slots[slot] = n
	}
	defer func(f *faults) { s.e.faults = f }(s.e.faults)
	s.e.faults = &faults{}
	s.e.choice++
	return s.e.holds(x)
}

// under evaluates a condition, of which one node decides, under a choice of nodes;
// it doesn't hold where that one isn't a candidate.
func (s *shape) under(x plan.Expr, chosen map[int]int, node int) bool {
	for slot, n := range chosen {
		s.e.slots[slot] = n
		switch {
		case n == none: // what it says of ⊥ may never be asked
			defer func(f *faults) { s.e.faults = f }(s.e.faults)
			s.e.faults = &faults{}
		case n == node && !s.e.candidate(slot, n):
			return false
		}
	}
	s.e.choice++
	return s.e.holds(x)
}

// elsewhere reports whether some path leads to what another node's events change.
func (s *shape) elsewhere(refs []*plan.Ref) bool {
	return s.e.net != nil && slices.ContainsFunc(refs, func(r *plan.Ref) bool {
		return slices.ContainsFunc(r.Vars, func(c plan.Candidate) bool { return history.VarID(c.Var) == s.e.net.inflight })
	})
}

// everyNode are the alternatives of LINK EACH_NODE: it holds on every node that it
// speaks of, and there is one; or, negated, on one it doesn't, or there is none.
func (s *shape) everyNode(l *plan.Leaf) []alternative {
	slots, everywhere, refs := s.e.q.Reads(l.Each.X)
	slot := l.Each.Slot
	if everywhere || s.elsewhere(refs) || len(slots) != 1 || slots[0] != slot {
		s.loose = l.Each.X
		return nil
	}
	on := func(what string, n int, f func(relevant bool, holds func() bool) bool) *probe {
		return s.probe(fmt.Sprint(what, slot, " ", n), n, func() bool {
			s.e.slots[slot] = n
			return f(s.e.relevant(slot, n), func() bool { return s.e.holds(l.Each.X) })
		})
	}
	var out []alternative
	var all []*probe
	for _, n := range s.e.w.nodes {
		if l.Not {
			all = append(all, on("not each ", n, func(r bool, _ func() bool) bool { return !r }))
			out = append(out, alternative{probes: []*probe{on("each fails ", n, func(r bool, h func() bool) bool { return r && !h() })}})
			continue
		}
		all = append(all, on("each ", n, func(r bool, h func() bool) bool { return !r || h() }))
		out = append(out, alternative{probes: []*probe{on("one of each ", n, func(r bool, h func() bool) bool { return r && h() })}})
	}
	if l.Not {
		return append(out, alternative{probes: all})
	}
	return s.both(out, []alternative{{probes: all}})
}

// A bounded is a sum of terms and what it must be: at least k, or k itself.
type bounded struct {
	terms []weighted
	k     int64
	equal bool
}

// A weighted is a term so many times.
type weighted struct {
	times int64
	of    *series
}

// literalMax bounds the numbers of a sum's text.
const literalMax = 1 << 40

// bounds puts a comparison of two sums into bounds that do for it: one of them must
// be kept. nil: it isn't one.
func (s *shape) bounds(x plan.Expr, chosen map[int]int) []bounded {
	not := false
	for {
		u, ok := x.(*plan.Unary)
		if !ok || u.Op != syntax.Not {
			break
		}
		not, x = !not, u.X
	}
	cmp, ok := x.(*plan.Binary)
	if !ok || !cmp.Op.IsComparison() {
		return nil
	}
	l := &linear{s: s, chosen: chosen}
	if !l.add(cmp.L, 1) || !l.add(cmp.R, -1) {
		return nil
	}
	op := cmp.Op
	if not {
		op = opposite[op]
	}
	atLeast := func(k int64) bounded { return bounded{terms: l.terms, k: k - l.constant} }
	atMost := func(k int64) bounded {
		var neg []weighted
		for _, t := range l.terms {
			neg = append(neg, weighted{-t.times, t.of})
		}
		return bounded{terms: neg, k: l.constant - k}
	}
	switch op {
	case syntax.Ge:
		return []bounded{atLeast(0)}
	case syntax.Gt:
		return []bounded{atLeast(1)}
	case syntax.Le:
		return []bounded{atMost(0)}
	case syntax.Lt:
		return []bounded{atMost(-1)}
	case syntax.Eq:
		return []bounded{{terms: l.terms, k: -l.constant, equal: true}}
	case syntax.Ne:
		return []bounded{atMost(-1), atLeast(1)}
	}
	return nil
}

var opposite = map[syntax.Op]syntax.Op{syntax.Ge: syntax.Lt, syntax.Lt: syntax.Ge, syntax.Gt: syntax.Le, syntax.Le: syntax.Gt,
	syntax.Eq: syntax.Ne, syntax.Ne: syntax.Eq}

// A linear is a sum of terms and a constant, under a choice of nodes.
type linear struct {
	s        *shape
	chosen   map[int]int
	terms    []weighted
	constant int64
}

// add adds an expression so many times; false if it is no such sum.
func (l *linear) add(x plan.Expr, times int64) bool {
	switch x := x.(type) {
	case *plan.Const:
		n, ok := x.Value.AsInt()
		if !ok || n > literalMax || n < -literalMax {
			return false
		}
		l.constant += times * n
		return l.constant < literalMax && l.constant > -literalMax
	case *plan.Computed:
		return len(x.Steps) == 0 && l.add(l.s.e.q.Compute[x.Index].X, times)
	case *plan.HolderValue:
		return l.add(x.Var, times)
	case *plan.Unary:
		return x.Op == syntax.Neg && l.add(x.X, -times)
	case *plan.Binary:
		return l.binary(x, times)
	case *plan.Var:
		n, ok := l.chosen[x.Slot]
		if !ok || n == none || x.Mode != plan.ModeValue || x.Anyway || l.s.elsewhere([]*plan.Ref{x.Ref}) || x.Ref.Fixed < len(x.Ref.Steps) {
			return false
		}
		return l.term(x, n, times)
	case *plan.Agg:
		sp, ok := x.Arg.(*plan.Spread)
		if !ok || sp.Ref == nil || x.Distinct || x.Op != plan.AggSum && x.Op != plan.AggCount || l.s.computedIndex(sp.Ref) {
			return false
		}
		return l.term(x, allNodes, times)
	}
	return false
}

// computedIndex reports whether a path has an index that isn't the same always; the
// name of FOR EACH is.
func (s *shape) computedIndex(r *plan.Ref) bool {
	return slices.ContainsFunc(r.Steps, func(st plan.Step) bool {
		l, ok := st.Index.(*plan.Local)
		return st.Kind == plan.StepIndex && !(ok && l.Index == 0 && s.e.q.ForEach != nil)
	})
}

func (l *linear) binary(x *plan.Binary, times int64) bool {
	switch x.Op {
	case syntax.Add:
		return l.add(x.L, times) && l.add(x.R, times)
	case syntax.Sub:
		return l.add(x.L, times) && l.add(x.R, -times)
	case syntax.Mul:
		for _, side := range [2][2]plan.Expr{{x.L, x.R}, {x.R, x.L}} {
			if c, ok := side[0].(*plan.Const); ok {
				n, small := c.Value.AsInt()
				return small && n < literalMax && n > -literalMax && times*n/max(n*n, 1) < literalMax && l.add(side[1], times*n)
			}
		}
	}
	return false
}

func (l *linear) term(x plan.Expr, node int, times int64) bool {
	if times >= literalMax || times <= -literalMax {
		return false
	}
	key := seriesKey{x, node}
	t := l.s.series[key]
	if t == nil {
		t = &series{x: x, node: node, last: make([]int64, len(l.s.e.w.names)), steps: make([][]lattice.Step, len(l.s.e.w.names))}
		l.s.series[key] = t
	}
	l.terms = append(l.terms, weighted{times, t})
	return true
}

type seriesKey struct {
	x    plan.Expr
	node int
}

// A series is how a term changes along the computation. Of a variable it is its
// value on a node, 0 where it is absent; of an aggregate what each node adds.
type series struct {
	x     plan.Expr // *plan.Var or *plan.Agg
	node  int       // or allNodes
	last  []int64   // what each node's state adds now
	base  int64
	steps [][]lattice.Step // by process whose event changes it
	unfit bool             // it isn't always an int of 64 bits
}

// look takes what a node's state adds after event k of a process.
func (t *series) look(e *engine, node, process int, k uint64) {
	if t.node != allNodes && t.node != node {
		return
	}
	now, ok := t.value(e, node)
	if !ok {
		t.unfit = true
		return
	}
	d := now - t.last[node]
	t.last[node] = now
	switch n := len(t.steps[process]); {
	case d == 0:
	case k == 0:
		t.base += d
	case n > 0 && t.steps[process][n-1].At == k:
		if t.steps[process][n-1].Delta += d; t.steps[process][n-1].Delta == 0 {
			t.steps[process] = t.steps[process][:n-1]
		}
	default:
		t.steps[process] = append(t.steps[process], lattice.Step{At: k, Delta: d})
	}
}

func (t *series) value(e *engine, node int) (int64, bool) {
	if v, ok := t.x.(*plan.Var); ok {
		if !e.w.in(node) {
			return 0, true
		}
		x := e.variable(v.Ref, node, false)
		n, isInt := x.AsInt()
		return n, (isInt || x.IsAbsent()) && small(n)
	}
	a := t.x.(*plan.Agg)
	if a.Tally >= 0 {
		return e.tallies[a.Tally].int(node)
	}
	sum, fits := int64(0), true
	e.spread(a.Arg.(*plan.Spread).Ref, node, func(v event.Value) {
		n, isInt := v.AsInt()
		switch {
		case a.Op == plan.AggCount:
			sum++
		case !isInt || !small(n):
			fits = false
		default:
			sum += n
			fits = fits && small(sum)
		}
	})
	return sum, fits
}

func small(n int64) bool { return n < 1<<60 && n > -1<<60 }
