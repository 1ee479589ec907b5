package rql

import (
	"fmt"
	"slices"
	"sort"

	"hindcast.dev/causal"
	"hindcast.dev/event"
	"hindcast.dev/rql/lattice"
	"hindcast.dev/rql/plan"
	"hindcast.dev/rql/syntax"
)

// A track is a term of which one node decides, along that node's states.
type track struct {
	node int
	now  func() (v value, ok bool) // on its node as it is now; false: it has no value
	runs []tracked
}

// A tracked is a run of states in which a track has a value.
type tracked struct {
	lattice.Span
	v value
}

// set says what the track has from state k on, or changes what was said of k.
func (t *track) set(k uint64) {
	v, ok := t.now()
	n := len(t.runs)
	if n > 0 && t.runs[n-1].To == lattice.Forever {
		last := &t.runs[n-1]
		if ok && last.v.ext == nil && v.ext == nil && event.Equal(last.v.v, v.v) {
			return
		}
		if last.To = k; last.From == k {
			t.runs = t.runs[:n-1]
		}
	}
	if ok {
		t.runs = append(t.runs, tracked{lattice.Span{From: k, To: lattice.Forever}, v})
	}
}

// A fitting holds where the left term on some node and the right one on another
// compare as asked.
type fitting struct {
	left, right []*track // by node; nil where the term isn't looked for
	op          syntax.Op
	fits        func(l, r value) bool
	strict      bool // fits computes: it wants numbers of one type, finite, or times
	ints        bool // it wants ints
	rank        *lattice.Pair
}

// holdsAt is the definition.
func (p *fitting) holdsAt(cut causal.Cut) bool {
	for i, l := range p.left {
		x := l.at(cut, i)
		if x == nil {
			continue
		}
		for j, r := range p.right {
			if y := r.at(cut, j); y != nil && i != j && p.fits(x.v, y.v) {
				return true
			}
		}
	}
	return false
}

// at returns the run in which a node is at a cut, nil if it is in none.
func (t *track) at(cut causal.Cut, node int) *tracked {
	if t == nil {
		return nil
	}
	i := sort.Search(len(t.runs), func(i int) bool { return t.runs[i].To > cut[node] })
	if i == len(t.runs) || t.runs[i].From > cut[node] {
		return nil
	}
	return &t.runs[i]
}

// events adds those that begin and end runs.
func (t *track) events(all map[uint64]bool) {
	if t != nil {
		for i := range t.runs {
			all[t.runs[i].From], all[t.runs[i].To] = true, true
		}
	}
}

// ranked makes numbers of the values: which of them fit depends on their ranks
// alone. ok is false if the values are such that it doesn't.
func (p *fitting) ranked() (lp *lattice.Pair, ok bool) {
	lp = &lattice.Pair{Asks: make([][]lattice.Run, len(p.left)), Has: make([][]lattice.Run, len(p.left))}
	if p.op == syntax.Eq || p.op == syntax.Ne {
		return lp, p.rankEqual(lp)
	}
	if !p.comparable() {
		return nil, false
	}
	var offers []value
	for _, t := range p.right {
		if t != nil {
			for i := range t.runs {
				offers = append(offers, t.runs[i].v)
			}
		}
	}
	order := canonical
	if p.op == syntax.Gt || p.op == syntax.Ge { // the less there is on the right, the better
		order = func(a, b value) int { return canonical(b, a) }
	}
	slices.SortFunc(offers, order)
	offers = slices.CompactFunc(offers, func(a, b value) bool { return order(a, b) == 0 })
	for i, t := range p.right {
		lp.Has[i] = t.ranks(func(v value) (int, bool) { return slices.BinarySearchFunc(offers, v, order) })
	}
	for i, t := range p.left {
		lp.Asks[i] = t.ranks(func(v value) (int, bool) {
			n := sort.Search(len(offers), func(i int) bool { return p.fits(v, offers[i]) })
			return n, n < len(offers)
		})
	}
	return lp, true
}

// ranks are the runs of values that have a rank.
func (t *track) ranks(rank func(value) (int, bool)) []lattice.Run {
	if t == nil {
		return nil
	}
	var out []lattice.Run
	for i := range t.runs {
		if n, ok := rank(t.runs[i].v); ok {
			out = append(out, lattice.Run{Span: t.runs[i].Span, Rank: n})
		}
	}
	return out
}

// rankEqual gives equal values the same rank.
func (p *fitting) rankEqual(lp *lattice.Pair) bool {
	ids := map[equalKey]int{}
	known := true
	id := func(v value) (int, bool) {
		k, ok := equalKeyOf(v)
		known = known && ok && !v.isNaN()
		if _, has := ids[k]; !has {
			ids[k] = len(ids)
		}
		return ids[k], true
	}
	for i := range p.left {
		lp.Asks[i], lp.Has[i] = p.left[i].ranks(id), p.right[i].ranks(id)
	}
	lp.Fit = lattice.FitSame
	if p.op == syntax.Ne {
		lp.Fit = lattice.FitOther
	}
	return known
}

// comparable reports whether all values are of one order.
func (p *fitting) comparable() bool {
	var first *value
	for _, t := range slices.Concat(p.left, p.right) {
		if t == nil {
			continue
		}
		for i := range t.runs {
			v := &t.runs[i].v
			if first == nil {
				first = v
			}
			if v.rank() != first.rank() || !ordered(v.rank()) || v.isNaN() || p.strict && !oneType(*v, *first) || p.ints && !v.isInt() {
				return false
			}
		}
	}
	return true
}

// oneType reports whether both are ints, or both finite floats, or both times.
func oneType(a, b value) bool {
	if a.isTime() || b.isTime() {
		return a.isTime() && b.isTime()
	}
	x, isFloat := a.float()
	_, alike := b.float()
	return a.isNumber() && isFloat == alike && (!isFloat || x-x == 0)
}

// sumSpans is where a sum that one node's events change is as it must be; ok is
// false if more nodes do.
func sumSpans(l *limit) (node int, spans []lattice.Span, ok bool) {
	node = none
	for n, steps := range l.sum.Steps {
		if len(steps) > 0 && node != none {
			return 0, nil, false
		}
		if len(steps) > 0 {
			node = n
		}
	}
	if node == none {
		return 0, nil, false
	}
	for _, r := range sumRuns(l.sum.Steps[node], func(v int64) int { return int(l.sum.Base + v - l.k) }) {
		if r.Rank < 0 || l.equal && r.Rank > 0 {
			continue
		}
		if n := len(spans); n > 0 && spans[n-1].To == r.From {
			spans[n-1].To = r.To
		} else {
			spans = append(spans, r.Span)
		}
	}
	return node, spans, true
}

// sumPair makes a pair of a sum that two nodes' events change; nil if more do.
func sumPair(l *limit) *lattice.Pair {
	var of []int
	for n, steps := range l.sum.Steps {
		if len(steps) > 0 {
			of = append(of, n)
		}
	}
	if len(of) != 2 {
		return nil
	}
	n := len(l.sum.Steps)
	lp := &lattice.Pair{Asks: make([][]lattice.Run, n), Has: make([][]lattice.Run, n)}
	if l.equal {
		lp.Fit = lattice.FitSame
	}
	lp.Asks[of[0]] = sumRuns(l.sum.Steps[of[0]], func(v int64) int { return int(l.k - l.sum.Base - v) })
	lp.Has[of[1]] = sumRuns(l.sum.Steps[of[1]], func(v int64) int { return int(v) })
	return lp
}

// sumRuns are the runs between steps, of what those before add up to.
func sumRuns(steps []lattice.Step, rank func(int64) int) []lattice.Run {
	var out []lattice.Run
	from, v := uint64(0), int64(0)
	for _, s := range steps {
		out = append(out, lattice.Run{Span: lattice.Span{From: from, To: s.At}, Rank: rank(v)})
		from, v = s.At, v+s.Delta
	}
	return append(out, lattice.Run{Span: lattice.Span{From: from, To: lattice.Forever}, Rank: rank(v)})
}

// pairs are the alternatives of a comparison of what a chosen node has with what
// another has, or with the greatest or least that any has; nil if it isn't one.
func (s *shape) pairs(x plan.Expr, chosen map[int]int) []alternative {
	cmp, op, ok := compares(x)
	if !ok {
		return nil
	}
	p := s.newPairing(op, func(a, b value) bool { ok, _ := compare(op, a, b); return ok })
	if !s.sideOf(p.left, cmp.L, op, chosen) || !s.sideOf(p.right, cmp.R, mirrored[op], chosen) {
		return nil
	}
	out := []alternative{{pairs: []*fitting{p}}}
	for n, l := range p.left {
		if r := p.right[n]; l != nil && r != nil {
			out = append(out, alternative{probes: []*probe{s.probe(fmt.Sprintf("%p %d alone %v", cmp, n, chosen), n, func() bool {
				a, hasA := l.now()
				b, hasB := r.now()
				return hasA && hasB && p.fits(a, b)
			})}})
		}
	}
	return out
}

// sideOf finds the tracks of a side of a comparison, by the nodes that have it.
func (s *shape) sideOf(side []*track, x plan.Expr, op syntax.Op, chosen map[int]int) bool {
	if a, ok := x.(*plan.Agg); ok {
		if op == syntax.Eq || op == syntax.Ne || !s.isExtreme(a) || !byOne(a, op) {
			return false
		}
		s.extremeTracks(side, a)
		return true
	}
	t := s.termOf(x, chosen)
	if t != nil {
		side[t.node] = t
	}
	return t != nil || s.isNothing(x, chosen)
}

// isNothing reports whether a term of nodes that can't be chosen is ⊥.
func (s *shape) isNothing(x plan.Expr, chosen map[int]int) bool {
	slots, everywhere, _ := s.e.q.Reads(x)
	if everywhere || len(slots) == 0 || slices.ContainsFunc(slots, func(sl int) bool { n, ok := chosen[sl]; return !ok || n != none }) {
		return false
	}
	for _, sl := range slots {
		s.e.slots[sl] = none
	}
	defer func(f *faults) { s.e.faults = f }(s.e.faults)
	s.e.faults = &faults{}
	s.e.choice++
	return s.e.eval(x).isBot()
}

// extremeTracks are what the nodes contribute to an aggregate.
func (s *shape) extremeTracks(side []*track, a *plan.Agg) {
	for _, n := range s.contributors(a) {
		side[n] = s.track(trackKey{a, n}, func() (value, bool) { return s.nodeExtreme(a, n) })
	}
}

func (s *shape) newPairing(op syntax.Op, fits func(l, r value) bool) *fitting {
	n := len(s.e.w.names)
	return &fitting{left: make([]*track, n), right: make([]*track, n), op: op, fits: fits}
}

// compares is what an expression compares, if it does.
func compares(x plan.Expr) (cmp *plan.Binary, op syntax.Op, ok bool) {
	if cmp, ok = x.(*plan.Binary); !ok {
		return nil, 0, false
	}
	_, ok = opposite[cmp.Op]
	return cmp, cmp.Op, ok
}

// termOf is the track of a term of which one chosen node decides; nil if it isn't
// one.
func (s *shape) termOf(x plan.Expr, chosen map[int]int) *track {
	slots, everywhere, refs := s.e.q.Reads(x)
	if everywhere || s.elsewhere(refs) || len(slots) == 0 {
		return nil
	}
	node, under := none, map[int]int{}
	for _, sl := range slots {
		n, ok := chosen[sl]
		if !ok || n == none || node != none && n != node {
			return nil
		}
		node, under[sl] = n, n
	}
	return s.track(trackKey{x, node}, func() (value, bool) {
		for sl := range under {
			if s.e.slots[sl] = node; !s.e.candidate(sl, node) {
				return bot, false
			}
		}
		s.e.choice++
		v := s.e.eval(x)
		return v, !v.isBot()
	})
}

type trackKey struct {
	x    plan.Expr
	node int
}

// track returns the track of a key, made by now if it is new.
func (s *shape) track(key trackKey, now func() (value, bool)) *track {
	t := s.tracks[key]
	if t == nil {
		t = &track{node: key.node, now: now}
		s.tracks[key] = t
	}
	return t
}
