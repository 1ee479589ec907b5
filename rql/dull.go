package rql

import (
	"slices"

	"hindcast.dev/history"
	"hindcast.dev/hlc"
	"hindcast.dev/rql/plan"
	"hindcast.dev/rql/syntax"
)

// A Hull bounds what a variable has during a stretch of the walk, on the nodes
// that have it: ints from Least to Most.
type Hull struct{ Least, Most int64 }

// hullMax bounds the numbers that are reckoned with here.
const hullMax = 1 << 40

// Prunable reports whether it may be known of stretches of the walk, from what is
// known of the variables there, that the condition can't hold in them. The paths
// of such a query are variables, and its condition depends on the cut alone.
func (q *Query) Prunable(meta *history.Meta) bool {
	if q.cut == nil || q.cut.Explain || q.Whole(meta) != "" || q.cut.Root == nil || q.cut.Group != nil || q.cut.ForEach != nil || q.cut.UsesPrev || len(q.cut.Pasts) > 0 {
		return false
	}
	if slices.ContainsFunc(q.cut.Items, func(it plan.Item) bool { return it.Late != nil }) {
		return false
	}
	return !slices.ContainsFunc(q.cut.Leaves, func(l *plan.Leaf) bool { return l.Volatile }) &&
		!slices.ContainsFunc(q.cut.Refs, func(r *plan.Ref) bool { return len(r.Vars) != 1 || len(r.Steps) != r.Vars[0].Rest })
}

// Dull reports whether the condition of a Prunable query can't hold in a stretch
// of the walk, nor anything in it go wrong. There, some node must have all of
// Variables at every cut, and whatever node has one of them has an int, within the
// hull; nodes is how many nodes there are.
func (q *Query) Dull(nodes int, hull func(history.VarID) Hull) bool {
	b := reckoning{q: q.cut, nodes: int64(nodes), hull: hull}
	return b.equality(q.cut.Cond) == no || b.truth(q.cut.Cond) == no
}

// A reckoning is done with bounds in place of values.
type reckoning struct {
	q     *plan.Query
	nodes int64
	hull  func(history.VarID) Hull
}

// A verdict is the truth of a condition whatever the values within the bounds.
type verdict int

const (
	maybe verdict = iota
	no
	yes
)

func (v verdict) not() verdict { return [...]verdict{maybe: maybe, no: yes, yes: no}[v] }

// equality decides an = between a variable or aggregate and a literal that is the
// whole condition: then it is known that it was compared, as the summary of a run
// must know.
func (b *reckoning) equality(x plan.Expr) verdict {
	c, ok := x.(*plan.Binary)
	if !ok || c.Op != syntax.Eq {
		return maybe
	}
	if _, ok := c.R.(*plan.Const); !ok {
		return maybe
	}
	switch l := c.L.(type) {
	case *plan.Var:
	case *plan.Agg:
		if l.Op != plan.AggMin && l.Op != plan.AggMax {
			return maybe
		}
	default:
		return maybe
	}
	l, okL := b.bounds(c.L)
	r, okR := b.bounds(c.R)
	if okL && okR && (l.Most < r.Least || r.Most < l.Least) {
		return no
	}
	return maybe
}

func (b *reckoning) truth(x plan.Expr) verdict {
	switch x := x.(type) {
	case *plan.Unary:
		if x.Op == syntax.Not {
			return b.truth(x.X).not()
		}
	case *plan.Binary:
		switch x.Op {
		case syntax.And:
			return b.both(b.truth(x.L), b.truth(x.R), no)
		case syntax.Or:
			return b.both(b.truth(x.L), b.truth(x.R), yes)
		}
		return b.compare(x)
	}
	return maybe
}

// both joins two verdicts, of which one that is decisive decides. What isn't
// known makes the whole unknown even then: something might go wrong in it.
func (b *reckoning) both(l, r, decisive verdict) verdict {
	switch {
	case l == maybe || r == maybe:
		return maybe
	case l == decisive || r == decisive:
		return decisive
	}
	return decisive.not()
}

func (b *reckoning) compare(x *plan.Binary) verdict {
	l, okL := b.bounds(x.L)
	r, okR := b.bounds(x.R)
	if !okL || !okR {
		return maybe
	}
	less := func(l, r Hull) verdict { // l < r
		switch {
		case l.Most < r.Least:
			return yes
		case l.Least >= r.Most:
			return no
		}
		return maybe
	}
	switch x.Op {
	case syntax.Lt:
		return less(l, r)
	case syntax.Gt:
		return less(r, l)
	case syntax.Le:
		return less(r, l).not()
	case syntax.Ge:
		return less(l, r).not()
	}
	return maybe
}

// bounds are those of an int; ok is false for what isn't sure to be one.
func (b *reckoning) bounds(x plan.Expr) (h Hull, ok bool) {
	switch x := x.(type) {
	case *plan.Const:
		n, isInt := x.Value.AsInt()
		h, ok = Hull{n, n}, isInt
	case *plan.Var:
		if x.Mode == plan.ModeValue && !x.Anyway {
			h, ok = b.hull(history.VarID(x.Ref.Vars[0].Var)), true
		}
	case *plan.Computed:
		if len(x.Steps) == 0 {
			h, ok = b.bounds(b.q.Compute[x.Index].X)
		}
	case *plan.Unary:
		if h, ok = b.bounds(x.X); x.Op == syntax.Not {
			return h, false
		}
		h = Hull{-h.Most, -h.Least}
	case *plan.Agg:
		h, ok = b.aggregate(x)
	case *plan.Binary:
		h, ok = b.arith(x)
	}
	return h, ok && h.Least >= -hullMax && h.Most <= hullMax
}

func (b *reckoning) aggregate(x *plan.Agg) (Hull, bool) {
	s, ok := x.Arg.(*plan.Spread)
	if !ok || s.Ref == nil || x.Distinct {
		return Hull{}, false
	}
	h := b.hull(history.VarID(s.Ref.Vars[0].Var))
	if h.Least < -hullMax || h.Most > hullMax {
		return h, false
	}
	switch x.Op {
	case plan.AggMin, plan.AggMax:
		return h, true
	case plan.AggCount:
		return Hull{1, b.nodes}, true
	case plan.AggSum:
		return Hull{min(h.Least, h.Least*b.nodes), max(h.Most, h.Most*b.nodes)}, b.nodes < 1<<20
	}
	return h, false
}

func (b *reckoning) arith(x *plan.Binary) (Hull, bool) {
	l, okL := b.bounds(x.L)
	r, okR := b.bounds(x.R)
	if !okL || !okR {
		return l, false
	}
	switch x.Op {
	case syntax.Add:
		return Hull{l.Least + r.Least, l.Most + r.Most}, true
	case syntax.Sub:
		return Hull{l.Least - r.Most, l.Most - r.Least}, true
	}
	return l, false
}

// Skip passes over a stretch of the walk, from what is joined up to an edge, in
// which the condition can't hold: it has so many cuts, one at least, of which the
// first is at first. It is false if the stretch must be walked, for the condition
// held at the last cut before it.
func (p *Parts) Skip(to history.Position, cuts uint64, first hlc.Timestamp) bool {
	r := p.r
	if p.err != nil || r.e == nil || cuts == 0 || slices.ContainsFunc(r.e.insts, func(in *instance) bool { return in.matching }) {
		return false
	}
	r.settle(r.e.insts, first)
	p.err = r.flush(first)
	r.inRange += cuts
	r.sum.Cuts += cuts
	for _, s := range r.e.missing {
		s.depth = len(s.ref.Steps)
	}
	clear(r.e.sought)
	if c, ok := r.q.Cond.(*plan.Binary); ok && c.Op == syntax.Eq {
		r.e.pairs[c.Equality].matched = true
	}
	p.at, p.stale = to, true
	return true
}
