package rql

import (
	"fmt"
	"slices"

	"hindcast.dev/event"
	"hindcast.dev/rql/plan"
	"hindcast.dev/rql/syntax"
)

// An extremal is MIN or MAX over the nodes compared with a constant, or the
// difference of two of them. What one node's value can do alone is asked of one,
// what no node's value may prevent of all:
//
//	MAX(v) >= c          some node has a v of at least c
//	MAX(v) <= c          some node has a v, and none a greater one than c
//	MAX(v) - MIN(w) >= c some node's v is c above the w of one, the same or another
type extremal struct {
	plus, minus *plan.Agg // minus is nil where there is but one
	turned      bool      // the comparison is of what is subtracted: its sign turns
	cmp         *plan.Binary
	limit       value
	bare        bool // MAX(v) < MIN(w), without a constant: no difference is computed
	ints        bool // constants were put together, which only ints allow
}

// extremes are the alternatives of a comparison of MIN and MAX; ok is false if it
// isn't one that can be put so.
func (s *shape) extremes(x plan.Expr) (alts []alternative, ok bool) {
	not := false
	for {
		u, is := x.(*plan.Unary)
		if !is || u.Op != syntax.Not {
			break
		}
		not, x = !not, u.X
	}
	cmp, _, ok := compares(x)
	if !ok {
		return nil, false
	}
	e, ok := s.extremeOf(cmp)
	if !ok {
		return nil, false
	}
	op := cmp.Op
	if not {
		op = opposite[op]
	}
	if e.turned {
		op = mirrored[op]
	}
	ops := []syntax.Op{op}
	if op == syntax.Ne {
		ops = []syntax.Op{syntax.Lt, syntax.Gt}
	}
	for _, op := range ops {
		these, ok := s.extremeAlts(e, op)
		if !ok {
			return nil, false
		}
		alts = append(alts, these...)
	}
	if not { // of nothing there is no extreme, and a comparison is false
		for _, a := range []*plan.Agg{e.plus, e.minus} {
			if a != nil {
				alts = append(alts, alternative{probes: s.onAll(a, "none", func(_ value, has bool) bool { return !has })})
			}
		}
	}
	return s.bound(alts), true
}

var mirrored = map[syntax.Op]syntax.Op{syntax.Ge: syntax.Le, syntax.Gt: syntax.Lt, syntax.Le: syntax.Ge, syntax.Lt: syntax.Gt,
	syntax.Eq: syntax.Eq, syntax.Ne: syntax.Ne}

// extremeOf takes a comparison apart.
func (s *shape) extremeOf(cmp *plan.Binary) (*extremal, bool) {
	f := flat{constant: ofInt(0), ints: true}
	if !f.add(s, cmp.L, 1) || !f.add(s, cmp.R, -1) {
		return nil, false
	}
	e := &extremal{cmp: cmp, ints: true}
	switch {
	case len(f.aggs) == 1:
		e.plus, e.turned = f.aggs[0], f.signs[0] < 0
	case len(f.aggs) == 2 && f.signs[0] != f.signs[1]:
		e.plus, e.minus = f.aggs[0], f.aggs[1]
		if f.signs[0] < 0 {
			e.plus, e.minus = e.minus, e.plus
		}
	default:
		return nil, false
	}
	if e.limit = f.constant; !e.turned {
		e.limit, _ = negative(f.constant)
	}
	l, isL := cmp.L.(*plan.Const)
	r, isR := cmp.R.(*plan.Const)
	switch {
	case isL && written(cmp.R): // c < MAX(v) - MIN(w) is as good as MIN(w) - MAX(v) < -c
		if e.ints = false; e.minus == nil {
			e.limit = of(l.Value)
		}
	case isR && written(cmp.L):
		if e.ints = false; e.minus == nil {
			e.limit = of(r.Value)
		}
	case e.minus != nil && cmp.L == plan.Expr(e.plus) && cmp.R == plan.Expr(e.minus):
		e.bare, e.ints = true, false
	}
	if e.minus != nil && (!e.limit.isNumber() || e.limit.isNaN()) {
		return nil, false
	}
	return e, !e.ints || f.ints
}

// written reports whether a side of a comparison is MIN or MAX, or the difference of
// two, as it is written, so that floats may be among the values.
func written(x plan.Expr) bool {
	if b, ok := x.(*plan.Binary); ok && b.Op == syntax.Sub {
		_, l := b.L.(*plan.Agg)
		_, r := b.R.(*plan.Agg)
		return l && r
	}
	_, ok := x.(*plan.Agg)
	return ok
}

// A flat is a sum of MINs and MAXs and constants.
type flat struct {
	aggs     []*plan.Agg
	signs    []int
	constant value // the sum of the constants
	ints     bool  // which are ints
}

func (f *flat) add(s *shape, x plan.Expr, sign int) bool {
	switch x := x.(type) {
	case *plan.Const:
		op := syntax.Add
		if sign < 0 {
			op = syntax.Sub
		}
		v := of(x.Value)
		f.ints = f.ints && v.isInt()
		f.constant, _ = arith(op, f.constant, v)
		return true
	case *plan.Computed:
		return len(x.Steps) == 0 && f.add(s, s.e.q.Compute[x.Index].X, sign)
	case *plan.Unary:
		return x.Op == syntax.Neg && f.add(s, x.X, -sign)
	case *plan.Binary:
		switch x.Op {
		case syntax.Add:
			return f.add(s, x.L, sign) && f.add(s, x.R, sign)
		case syntax.Sub:
			return f.add(s, x.L, sign) && f.add(s, x.R, -sign)
		}
	case *plan.Agg:
		if len(f.aggs) < 2 && s.isExtreme(x) {
			f.aggs, f.signs = append(f.aggs, x), append(f.signs, sign)
			return true
		}
	}
	return false
}

// isExtreme reports whether an aggregate is a MIN or MAX to which every node
// contributes what its own state has.
func (s *shape) isExtreme(a *plan.Agg) bool {
	sp, ok := a.Arg.(*plan.Spread)
	return ok && (a.Op == plan.AggMin || a.Op == plan.AggMax) && sp.Ref != nil && !s.computedIndex(sp.Ref) && !s.elsewhere([]*plan.Ref{sp.Ref})
}

// byOne reports whether one node's value is enough for an aggregate to be as an
// operator wants it.
func byOne(a *plan.Agg, op syntax.Op) bool {
	return (a.Op == plan.AggMax) == (op == syntax.Gt || op == syntax.Ge)
}

// extremeAlts are those of a comparison by an operator.
func (s *shape) extremeAlts(e *extremal, op syntax.Op) ([]alternative, bool) {
	if e.minus != nil {
		if op == syntax.Eq || !byOne(e.plus, op) || !byOne(e.minus, mirrored[op]) {
			return nil, false
		}
		return s.twoExtremes(e, op), true
	}
	is := func(op syntax.Op) func(value, bool) bool {
		return func(v value, has bool) bool {
			if !has {
				return false
			}
			s.unfit = s.unfit || v.rank() != e.limit.rank() || !ordered(v.rank()) || v.isNaN() || e.ints && !v.isInt()
			ok, _ := compare(op, v, e.limit)
			return ok
		}
	}
	against := func(op syntax.Op) func(value, bool) bool {
		return func(v value, has bool) bool { return !has || is(op)(v, true) }
	}
	name := func(op syntax.Op) string { return fmt.Sprintf("%p %s", e.cmp, op) }
	if op == syntax.Eq {
		beside := syntax.Le
		if e.plus.Op == plan.AggMin {
			beside = syntax.Ge
		}
		return s.both(each(s.onAll(e.plus, name(op), is(op))), []alternative{{probes: s.onAll(e.plus, "all "+name(beside), against(beside))}}), true
	}
	if byOne(e.plus, op) {
		return each(s.onAll(e.plus, name(op), is(op))), true
	}
	some := each(s.onAll(e.plus, "some", func(_ value, has bool) bool { return has }))
	return s.both(some, []alternative{{probes: s.onAll(e.plus, "all "+name(op), against(op))}}), true
}

// each makes an alternative of every probe.
func each(probes []*probe) []alternative {
	var out []alternative
	for _, p := range probes {
		out = append(out, alternative{probes: []*probe{p}})
	}
	return out
}

// onAll are the probes of what every node contributes to an aggregate, for nodes
// that may.
func (s *shape) onAll(a *plan.Agg, what string, holds func(v value, has bool) bool) []*probe {
	var out []*probe
	for _, n := range s.contributors(a) {
		out = append(out, s.probe(fmt.Sprintf("%p %d %s", a, n, what), n, func() bool { return holds(s.nodeExtreme(a, n)) }))
	}
	return out
}

// contributors are the nodes that ever have a variable that leads to what is
// aggregated.
func (s *shape) contributors(a *plan.Agg) []int {
	return slices.DeleteFunc(slices.Clone(s.e.w.nodes), func(n int) bool { return !s.ever(a.Arg.(*plan.Spread).Ref, n) })
}

// nodeExtreme is what a node contributes to MIN or MAX.
func (s *shape) nodeExtreme(a *plan.Agg, node int) (best value, has bool) {
	s.e.spread(a.Arg.(*plan.Spread).Ref, node, func(v event.Value) {
		x := of(v)
		switch {
		case !has:
			best, has = x, true
		case x.rank() != best.rank() || x.isNaN() || best.isNaN():
			s.unfit = true
		case (canonical(x, best) > 0) == (a.Op == plan.AggMax):
			best = x
		}
	})
	return best, has
}

// twoExtremes are a pair of nodes, or one node.
func (s *shape) twoExtremes(e *extremal, op syntax.Op) []alternative {
	fits := func(l, r value) bool {
		limit := r
		if !e.bare {
			l, _ = arith(syntax.Sub, l, r)
			limit = e.limit
		}
		ok, _ := compare(op, l, limit)
		return ok
	}
	p := s.newPairing(op, fits)
	p.strict, p.ints = !e.bare, e.ints
	s.extremeTracks(p.left, e.plus)
	s.extremeTracks(p.right, e.minus)
	out := []alternative{{pairs: []*fitting{p}}}
	for _, n := range s.contributors(e.plus) {
		if p.right[n] == nil {
			continue
		}
		both := s.probe(fmt.Sprintf("%p %d %s alone", e.cmp, n, op), n, func() bool {
			l, hasL := s.nodeExtreme(e.plus, n)
			r, hasR := s.nodeExtreme(e.minus, n)
			return hasL && hasR && fits(l, r)
		})
		out = append(out, alternative{probes: []*probe{both}})
	}
	return out
}
