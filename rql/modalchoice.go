package rql

import (
	"math"
	"slices"
	"sort"

	"hindcast.dev/causal"
	"hindcast.dev/rql/lattice"
)

// choices decides a condition of which the alternatives tell all.
type choices struct {
	*decider
	alts []*alternatively
}

// An alternatively is an alternative in terms of the lattice.
type alternatively struct {
	truth [][]lattice.Span // by process: where all of its probes hold
	sums  []limit
	pairs []*fitting
}

// A limit is a sum and what it must be: at least k, or k itself.
type limit struct {
	sum    *lattice.Sum
	totals *lattice.Totals
	k      int64
	equal  bool
}

// holds reports whether the sum is as it must be at a cut.
func (l *limit) holds(cut causal.Cut) bool {
	v := l.totals.At(cut)
	return v == l.k || v > l.k && !l.equal
}

// gather puts the alternatives together, but for those in which a probe never
// holds.
func (c *choices) gather() error {
	if c.ask.shape.unfit {
		return errUnfit
	}
	for _, t := range c.ask.shape.series {
		if t.unfit {
			return errUnfit
		}
	}
	for _, a := range c.ask.shape.alts {
		if err := c.ctx.Err(); err != nil {
			return err
		}
		alt := &alternatively{truth: make([][]lattice.Span, len(c.m.meta.Nodes))}
		for n := range alt.truth {
			alt.truth[n] = lattice.Always
		}
		never := false
		for _, p := range a.probes {
			alt.truth[p.node] = intersect(alt.truth[p.node], p.spans)
			never = never || len(alt.truth[p.node]) == 0
		}
		if never {
			continue
		}
		parts, ok := c.parts(alt.truth, a.sums)
		if !ok {
			return errUnfit
		}
		for _, p := range parts {
			one := &alternatively{truth: p.truth}
			for _, b := range a.sums {
				sum, ok := c.sum(b, p.amends)
				if !ok {
					return errUnfit
				}
				one.sums = append(one.sums, limit{sum, c.g.comp.Totals(sum), b.k, b.equal})
			}
			if one.pairs = a.pairs; !c.simplify(one) {
				return errUnfit
			}
			c.alts = append(c.alts, one)
		}
	}
	return nil
}

// simplify makes conditions of single nodes of sums that one node's events change.
// It fails where values of a pair can't be compared by rank.
func (c *choices) simplify(a *alternatively) bool {
	a.sums = slices.DeleteFunc(a.sums, func(l limit) bool {
		node, spans, ok := sumSpans(&l)
		if ok {
			a.truth[node] = intersect(a.truth[node], spans)
		}
		return ok
	})
	for _, p := range a.pairs {
		if p.rank == nil {
			rank, ok := p.ranked()
			if !ok {
				return false
			}
			p.rank = rank
		}
	}
	return true
}

// intersect returns where both hold.
func intersect(a, b []lattice.Span) []lattice.Span {
	if len(a) == 1 && a[0] == lattice.Always[0] {
		return b
	}
	var out []lattice.Span
	for i, k := 0, 0; i < len(a) && k < len(b); {
		if s := (lattice.Span{From: max(a[i].From, b[k].From), To: min(a[i].To, b[k].To)}); s.From < s.To {
			out = append(out, s)
		}
		if a[i].To < b[k].To {
			i++
		} else {
			k++
		}
	}
	return out
}

// sum puts the terms of a bound together, as they are where the amends hold.
func (c *choices) sum(b bounded, amends []amend) (*lattice.Sum, bool) {
	s := &lattice.Sum{Steps: make([][]lattice.Step, len(c.m.meta.Nodes))}
	fits := b.k < lattice.SpanMax && b.k > -lattice.SpanMax
	times := func(n, t int64) int64 {
		if n != 0 && (math.Abs(float64(n))*math.Abs(float64(t)) >= lattice.SpanMax) {
			fits = false
		}
		return n * t
	}
	for _, t := range b.terms {
		s.Base += times(t.of.base, t.times)
		for p, steps := range t.of.steps {
			scaled := make([]lattice.Step, len(steps))
			for i, st := range steps {
				scaled[i] = lattice.Step{At: st.At, Delta: times(st.Delta, t.times)}
			}
			s.Steps[p] = addSteps(s.Steps[p], scaled)
		}
		for i := range amends {
			a := &amends[i]
			n, ok := t.of.weigh(c.g.e, a)
			if fits = fits && ok; n != 0 {
				s.Steps[a.with.node] = addSteps(s.Steps[a.with.node], []lattice.Step{{At: a.with.k, Delta: times(n, a.times*t.times)}})
			}
		}
		if !fits || !s.Fits() {
			return nil, false
		}
	}
	return s, fits
}

// addSteps merges two rows of steps.
func addSteps(a, b []lattice.Step) []lattice.Step {
	if len(a) == 0 {
		return b
	}
	var out []lattice.Step
	for len(a) > 0 || len(b) > 0 {
		switch {
		case len(b) == 0 || len(a) > 0 && a[0].At < b[0].At:
			out, a = append(out, a[0]), a[1:]
		case len(a) == 0 || b[0].At < a[0].At:
			out, b = append(out, b[0]), b[1:]
		default:
			if d := a[0].Delta + b[0].Delta; d != 0 {
				out = append(out, lattice.Step{At: a[0].At, Delta: d})
			}
			a, b = a[1:], b[1:]
		}
	}
	return out
}

// possibly takes the first cut of any alternative.
func (c *choices) possibly() error {
	f := c.f
	for _, a := range c.alts {
		if err := c.ctx.Err(); err != nil {
			return err
		}
		one, err := c.first(a)
		if err != nil {
			return err
		}
		switch {
		case !one.holds:
		case !f.holds, one.cut != nil && !one.until && (f.until || c.g.comp.Compare(one.cut, f.cut) < 0):
			f.holds, f.cut, f.until, f.later = true, one.cut, one.until, f.later || one.later
		default:
			f.later = f.later || one.later
		}
	}
	return nil
}

// first finds the first cut of one alternative. The empty cut isn't one: if all is
// well there, the first is at or above one of the cuts next to it.
func (c *choices) first(a *alternatively) (finding, error) {
	one, err := c.firstFrom(c.g.comp, a)
	if err != nil || !one.holds || one.until || !c.m.empty || c.g.comp.Size(one.cut) > 0 {
		return one, err
	}
	best := finding{}
	for _, atom := range c.g.comp.Atoms() {
		one, err := c.firstFrom(c.g.comp.From(atom), a)
		if err != nil {
			return one, err
		}
		if one.holds && (!best.holds || c.g.comp.Compare(one.cut, best.cut) < 0) {
			best, one.later = one, best.later || one.later
		}
	}
	return best, nil
}

// pair is an alternative as a pair of two nodes' states, nil if it isn't one.
func (a *alternatively) pair() *lattice.Pair {
	var p *lattice.Pair
	switch {
	case len(a.sums) == 0 && len(a.pairs) == 1:
		one := *a.pairs[0].rank
		p = &one
	case len(a.sums) == 1 && len(a.pairs) == 0:
		p = sumPair(&a.sums[0])
	}
	if p != nil {
		p.Truth = a.truth
	}
	return p
}

func (c *choices) firstFrom(comp *lattice.Computation, a *alternatively) (finding, error) {
	if len(a.sums) == 0 && len(a.pairs) == 0 {
		cut, ok, err := comp.Least(a.truth)
		return finding{holds: ok, cut: cut}, err
	}
	if p := a.pair(); p != nil {
		cut, ok, err := comp.FirstPair(p)
		return finding{holds: ok, cut: cut}, err
	}
	if len(a.sums) != 1 || len(a.pairs) > 0 {
		return c.searchOne(comp, a, nil)
	}
	l := c.penalized(comp, a)
	if l == nil {
		return c.searchOne(comp, a, nil)
	}
	top, at, err := comp.Max(l.sum)
	if err != nil || top < l.k {
		return finding{}, err
	}
	up := comp.AtLeast(l.sum, l.k, c.limit)
	reaches := up.Holds
	up.Holds = func(cut causal.Cut) (bool, error) {
		if err := c.alive(); err != nil {
			return false, err
		}
		return reaches(cut)
	}
	if !l.equal {
		cut, v, err := comp.First(up)
		if v == lattice.Undecided {
			return finding{holds: true, cut: at, until: true, later: true}, err
		}
		return finding{holds: v == lattice.Yes, cut: cut}, err
	}
	neg := l.sum.Negative()
	if low, _, err := comp.Max(neg); err != nil || low < -l.k {
		return finding{}, err
	}
	down := comp.AtLeast(neg, -l.k, c.limit)
	one, err := c.searchOne(comp, &alternatively{truth: a.truth, sums: []limit{*l}}, func(cut causal.Cut) (uint64, bool) {
		if l.totals.At(cut) < l.k {
			return up.AtLeast(cut)
		}
		return down.AtLeast(cut)
	})
	if _, hit := err.(*LatticeError); hit && l.sum.Unit() && top >= l.k && l.totals.At(comp.Bottom()) <= l.k {
		return finding{holds: true, cut: at, until: true, later: true}, nil
	}
	return one, err
}

// penalized makes one sum of an alternative's sum and its probes: where one of
// those doesn't hold, a penalty keeps the sum below what it must be. nil: that
// doesn't fit, or must be equal to something.
func (c *choices) penalized(comp *lattice.Computation, a *alternatively) *limit {
	l := a.sums[0]
	base := l.totals.At(comp.Bottom())
	all := &lattice.Sum{Base: base, Steps: l.sum.Steps}
	reach := float64(base)
	for _, steps := range l.sum.Steps {
		for _, st := range steps {
			reach += math.Abs(float64(st.Delta))
		}
	}
	penalty := int64(0)
	if p := reach - float64(l.k); p < lattice.SpanMax {
		penalty = int64(max(p, 0)*(1+1e-9)) + 2
	}
	plain := true
	for n, spans := range a.truth {
		if len(spans) == 1 && spans[0] == lattice.Always[0] {
			continue
		}
		if plain {
			plain = false
			all.Steps = slices.Clone(all.Steps)
		}
		steps, holds := penalties(spans, comp.Bottom()[n], comp.Top()[n], penalty)
		all.Steps[n] = addSteps(all.Steps[n], steps)
		if !holds {
			all.Base -= penalty
		}
	}
	if !plain && (l.equal || penalty == 0) || !all.Fits() {
		return nil
	}
	return &limit{all, comp.Totals(all), l.k, l.equal}
}

// penalties are the steps that take a penalty away where spans begin, and bring it
// back where they end; holds says whether they hold at the bottom.
func penalties(spans []lattice.Span, bottom, top uint64, penalty int64) (steps []lattice.Step, holds bool) {
	for _, s := range spans {
		if s.To <= bottom {
			continue
		}
		if s.From <= bottom {
			holds = true
		} else if s.From <= top {
			steps = append(steps, lattice.Step{At: s.From, Delta: penalty})
		}
		if s.To <= top {
			steps = append(steps, lattice.Step{At: s.To, Delta: -penalty})
		}
	}
	return steps, holds
}

// searchOne searches the lattice for one alternative.
func (c *choices) searchOne(comp *lattice.Computation, a *alternatively, atLeast func(causal.Cut) (uint64, bool)) (finding, error) {
	one := &choices{decider: c.decider, alts: []*alternatively{a}}
	s := &lattice.Search{Relevant: one.relevant(), Holds: one.holds, AtLeast: atLeast, Bound: c.limit}
	cut, v, err := comp.First(s)
	if v == lattice.Undecided && err == nil {
		err = c.undecided()
	}
	return finding{holds: v == lattice.Yes, cut: cut}, err
}

// definitely tries what is polynomial, then looks for a path around.
func (c *choices) definitely() error {
	for _, a := range c.alts {
		if len(a.sums)+len(a.pairs) > 0 {
			continue
		}
		if yes, err := c.inevitableOne(a); err != nil {
			return err
		} else if yes {
			c.inevitable()
			return nil
		}
	}
	if c.ask.first == nil {
		c.f.walk = true
		return nil
	}
	err := c.search(c)
	if _, hit := err.(*LatticeError); hit && (len(c.alts) == 0 || len(c.alts) == 1 && len(c.alts[0].sums)+len(c.alts[0].pairs) == 0) {
		return nil // it doesn't hold, only the path wasn't found
	}
	return err
}

// inevitableOne reports whether every path passes a cut of an alternative without
// sums. The empty cut isn't one.
func (c *choices) inevitableOne(a *alternatively) (bool, error) {
	comp := c.g.comp
	cut, ok, err := comp.Least(a.truth)
	if err != nil || !ok {
		return false, err
	}
	if !c.m.empty || comp.Size(cut) > 0 {
		return comp.Inevitable(a.truth)
	}
	for _, atom := range comp.Atoms() {
		if ok, err := comp.From(atom).Inevitable(a.truth); err != nil || !ok {
			return false, err
		}
	}
	return true, nil
}

// relevant are the events that change a probe, a sum or a pair, and those with
// which a node comes into the cut.
func (c *choices) relevant() [][]uint64 {
	all := make([]map[uint64]bool, len(c.m.meta.Nodes))
	for _, n := range c.g.e.w.nodes {
		all[n] = map[uint64]bool{1: true}
	}
	for _, a := range c.alts {
		for _, n := range c.g.e.w.nodes {
			for _, s := range a.truth[n] {
				all[n][s.From], all[n][s.To] = true, true
			}
			for _, l := range a.sums {
				for _, st := range l.sum.Steps[n] {
					all[n][st.At] = true
				}
			}
			for _, p := range a.pairs {
				for _, t := range [2]*track{p.left[n], p.right[n]} {
					t.events(all[n])
				}
			}
		}
		if c.ctx.Err() != nil {
			break // the search ends at once
		}
	}
	out, top := make([][]uint64, len(all)), c.g.comp.Top()
	for n := range all {
		for k := range all[n] {
			if k > 0 && k <= top[n] {
				out[n] = append(out[n], k)
			}
		}
		slices.Sort(out[n])
	}
	return out
}

func (c *choices) holds(cut causal.Cut) (bool, error) {
	if err := c.alive(); err != nil {
		return false, err
	}
	return slices.ContainsFunc(c.alts, func(a *alternatively) bool {
		for n, spans := range a.truth {
			i := sort.Search(len(spans), func(i int) bool { return spans[i].To > cut[n] })
			if i == len(spans) || spans[i].From > cut[n] {
				return false
			}
		}
		return !slices.ContainsFunc(a.sums, func(l limit) bool { return !l.holds(cut) }) &&
			!slices.ContainsFunc(a.pairs, func(p *fitting) bool { return !p.holdsAt(cut) })
	}), nil
}
