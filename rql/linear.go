package rql

import (
	"math"
	"slices"

	"hindcast.dev/rql/plan"
	"hindcast.dev/rql/syntax"
)

// bounds are the least and greatest value of a sum over all choices. Rounding is
// monotone, so they are those of the sum in its written order with the extreme
// term of each class: of floats too, as long as every class stands in one place,
// its terms are of one type, and nothing is infinite.
type bounds struct{ lo, hi value }

// A bounding computes bounds.
type bounding struct {
	e     *engine
	j     *joinState
	fixed []int // the node of each class, or none; nil: none is fixed
	never bool  // a constant is ⊥: no comparison holds
	odd   bool  // the choices must be enumerated
}

// linear decides a comparison of sums. All classes have a term to compare.
func (e *engine) linear(j *joinState, fixed []int) (holds, known bool) {
	p := j.plan
	if len(p.Apart) > 0 {
		return e.apart(j, fixed)
	}
	if p.Cmp == nil {
		return true, true
	}
	b := &bounding{e: e, j: j, fixed: fixed}
	var l, r bounds
	if p.IntsOnly {
		l, r = b.summed(), bounds{ofInt(0), ofInt(0)}
	} else {
		l, r = b.of(p.L, true), b.of(p.R, true)
	}
	switch {
	case b.odd:
		return false, false
	case b.never:
		return p.Not, true
	}
	if e.pairs != nil && (p.Cmp.Op == syntax.Eq || p.Cmp.Op == syntax.Ne) {
		e.pairs[p.Cmp.Equality].matched = true
	}
	return satisfiable(p.Cmp.Op, p.Not, l, r), true
}

// satisfiable reports whether some value of l and some value of r, which are
// chosen apart from each other, compare as asked.
func satisfiable(op syntax.Op, not bool, l, r bounds) bool {
	is := func(op syntax.Op, a, b value) bool {
		ok, _ := compare(op, a, b)
		return ok
	}
	if not {
		op, _ = inverse(op)
	}
	switch op {
	case syntax.Lt, syntax.Le:
		return is(op, l.lo, r.hi)
	case syntax.Gt, syntax.Ge:
		return is(op, l.hi, r.lo)
	}
	return is(syntax.Ne, l.lo, l.hi) || is(syntax.Ne, r.lo, r.hi) || is(syntax.Ne, l.lo, r.lo)
}

// of bounds a term. side says that it is a side of the comparison, whose values
// needn't be of one type.
func (b *bounding) of(t *plan.Term, side bool) bounds {
	if b.odd || b.never {
		return bounds{}
	}
	switch t.Op {
	case plan.TermConst:
		return b.constant(t.X)
	case plan.TermClass:
		return b.class(t.Class, side)
	case plan.TermNeg:
		x := b.of(t.A, false)
		return b.ordered(func(v value) value { n, _ := negative(v); return n }, x.hi, x.lo)
	case plan.TermScale:
		return b.scaled(t)
	case plan.TermMul:
		return b.product(t)
	}
	x, y := b.of(t.A, false), b.of(t.B, false)
	if b.odd || b.never {
		return bounds{}
	}
	op := syntax.Add
	if t.Op == plan.TermSub {
		op, y = syntax.Sub, bounds{y.hi, y.lo}
	}
	lo, _ := arith(op, x.lo, y.lo)
	hi, _ := arith(op, x.hi, y.hi)
	return b.finite(bounds{lo, hi})
}

// ordered are the bounds that f makes of what becomes the least and the greatest.
func (b *bounding) ordered(f func(value) value, lo, hi value) bounds {
	if b.odd || b.never {
		return bounds{}
	}
	return b.finite(bounds{f(lo), f(hi)})
}

// finite refuses what isn't.
func (b *bounding) finite(x bounds) bounds {
	for _, v := range [2]value{x.lo, x.hi} {
		if f, ok := v.float(); !v.isNumber() || ok && (math.IsInf(f, 0) || math.IsNaN(f)) {
			b.odd = true
		}
	}
	return x
}

func (b *bounding) constant(x plan.Expr) bounds {
	v, k := b.e.constant(x)
	b.never = b.never || k == termNever
	b.odd = b.odd || k == termOdd
	return bounds{v, v}
}

func (b *bounding) class(i int, side bool) bounds {
	c := &b.j.classes[i]
	if b.fixed != nil && b.fixed[i] != none {
		v := c.ends.key(int32(b.fixed[i]))
		return bounds{v, v}
	}
	if !side && c.count[termInt] > 0 && c.count[termFloat] > 0 {
		b.odd = true
	}
	return bounds{c.ends.key(c.ends.least()), c.ends.key(c.ends.most())}
}

func (b *bounding) scaled(t *plan.Term) bounds {
	x, k := b.of(t.A, false), b.constant(t.X)
	if b.odd || b.never {
		return bounds{}
	}
	if below, _ := compare(syntax.Lt, k.lo, ofInt(0)); below {
		x = bounds{x.hi, x.lo}
	}
	return b.ordered(func(v value) value {
		if t.First {
			v, _ = arith(syntax.Mul, k.lo, v)
		} else {
			v, _ = arith(syntax.Mul, v, k.lo)
		}
		return v
	}, x.lo, x.hi)
}

// product bounds a product of terms of different classes: whatever the one factor
// is, the product is monotone in the other, so the extremes are among those of the
// factors' extremes.
func (b *bounding) product(t *plan.Term) bounds {
	x, y := b.of(t.A, false), b.of(t.B, false)
	if b.odd || b.never {
		return bounds{}
	}
	var out bounds
	for i, l := range [2]value{x.lo, x.hi} {
		for k, r := range [2]value{y.lo, y.hi} {
			v, _ := arith(syntax.Mul, l, r)
			if b.finite(bounds{v, v}); b.odd {
				return bounds{}
			}
			if below, _ := compare(syntax.Lt, v, out.lo); below || i+k == 0 {
				out.lo = v
			}
			if above, _ := compare(syntax.Gt, v, out.hi); above || i+k == 0 {
				out.hi = v
			}
		}
	}
	return out
}

// summed bounds L-R of ints, class by class, with the constants.
func (b *bounding) summed() bounds {
	var out bounds
	out.lo, out.hi = ofInt(0), ofInt(0)
	add := func(x bounds) {
		if !b.odd && !b.never {
			out.lo, _ = arith(syntax.Add, out.lo, x.lo)
			out.hi, _ = arith(syntax.Add, out.hi, x.hi)
		}
	}
	for i := range b.j.classes {
		if len(b.j.plan.Classes[i].Terms) > 0 {
			add(b.class(i, true))
		}
	}
	b.constants(b.j.plan.L, false, add)
	b.constants(b.j.plan.R, true, add)
	return out
}

// constants adds what of a sum speaks of no class.
func (b *bounding) constants(t *plan.Term, minus bool, add func(bounds)) {
	switch t.Op {
	case plan.TermConst:
		x := b.constant(t.X)
		if !b.never && !x.lo.isInt() {
			b.odd = true
		}
		if minus && !b.odd && !b.never {
			v, _ := negative(x.lo)
			x = bounds{v, v}
		}
		add(x)
	case plan.TermNeg:
		b.constants(t.A, !minus, add)
	case plan.TermAdd:
		b.constants(t.A, minus, add)
		b.constants(t.B, minus, add)
	case plan.TermSub:
		b.constants(t.A, minus, add)
		b.constants(t.B, !minus, add)
	}
}

// apart decides where classes must be different nodes. Of a class that must
// differ from n others one of its n+1 best nodes will do: if a choice has another
// one, one of these is free and not worse.
func (e *engine) apart(j *joinState, fixed []int) (holds, known bool) {
	p := j.plan
	nodes := make([][]int32, len(j.classes))
	for i := range j.classes {
		c := &j.classes[i]
		if fixed != nil && fixed[i] != none {
			nodes[i] = []int32{int32(fixed[i])}
			continue
		}
		n := 1
		for _, a := range p.Apart {
			if a[0] == i || a[1] == i {
				n++
			}
		}
		if !p.IntsOnly && !p.Classes[i].Bare && c.count[termInt] > 0 && c.count[termFloat] > 0 {
			return false, false
		}
		nodes[i] = c.ends.best(nil, n, p.Wants(i))
	}
	now := slices.Repeat([]int{none}, len(nodes))
	return e.tryApart(j, nodes, now, 0)
}

// tryApart gives the classes from the i-th on one of their nodes.
func (e *engine) tryApart(j *joinState, nodes [][]int32, now []int, i int) (holds, known bool) {
	if i == len(nodes) {
		free := *j
		free.plan = j.plan.Unbound()
		return e.linear(&free, now)
	}
	for _, n := range nodes[i] {
		now[i] = int(n)
		if !j.differ(now[:i+1]) {
			continue
		}
		if holds, known = e.tryApart(j, nodes, now, i+1); holds || !known {
			return holds, known
		}
	}
	now[i] = none
	return false, true
}

// differ reports whether the last class may be where it is.
func (j *joinState) differ(now []int) bool {
	last := len(now) - 1
	for _, a := range j.plan.Apart {
		if max(a[0], a[1]) == last && a[0] < len(now) && a[1] < len(now) && now[a[0]] == now[a[1]] {
			return false
		}
	}
	return true
}
