package rql

import (
	"slices"

	"hindcast.dev/rql/plan"
	"hindcast.dev/rql/syntax"
)

// joinCode is what of a Join is compiled.
type joinCode struct {
	filters [][]condCode // by class
	terms   [][]numCode  // by class; nil where the tree must be asked
	sums    []*rowSum    // by class: its term where that is a sum of columns; else nil
	ints    *intCompare  // nil: the comparison isn't of that kind
}

// An intCompare compares a sum of the terms of classes, each times a number, with
// 0. Its verdict counts where all terms are ints that can't overflow it.
type intCompare struct {
	op    syntax.Op // < <= > >=
	times []int64   // by class
	plus  int64
	bound int64 // what a term may be, up or down
}

func (c *compiler) join(j *plan.Join) *joinCode {
	if j == nil || j.Kind == plan.JoinEnumerate || j.Kind == plan.JoinTree {
		return nil
	}
	k := &joinCode{}
	for i := range j.Classes {
		var filters []condCode
		var terms []numCode
		for _, x := range j.Classes[i].Filter {
			filters = append(filters, c.cond(x))
		}
		for _, x := range j.Classes[i].Terms {
			terms = append(terms, c.num(x))
		}
		k.filters, k.terms = append(k.filters, filters), append(k.terms, terms)
		k.sums = append(k.sums, c.classSum(j, i))
	}
	k.ints = intCompareOf(j)
	return k
}

// classSum is a class's term as a sum of columns; nil if it is none.
func (c *compiler) classSum(j *plan.Join, i int) *rowSum {
	one := &j.Classes[i]
	if j.Kind != plan.JoinLinear || len(one.Filter) > 0 || len(one.Terms) == 0 {
		return nil
	}
	sum := &rowSum{}
	for n, x := range one.Terms {
		times := int64(1)
		if j.IntsOnly && one.Minus[n] {
			times = -1
		}
		if !sum.sum(x, func(s int) bool { return slices.Contains(one.Slots, s) }, times) {
			return nil
		}
	}
	for _, s := range one.Slots {
		if !covered(c.q.Slots[s].Needs, func(column int) bool { return sum.at(column) >= 0 }) {
			return nil
		}
	}
	sum.bind()
	return sum
}

// intCompareOf is nil where a comparison isn't of ints alone, whatever the values.
func intCompareOf(j *plan.Join) *intCompare {
	if j.Kind != plan.JoinLinear || j.Cmp == nil || len(j.Apart) > 0 {
		return nil
	}
	x := &intCompare{op: j.Cmp.Op, times: make([]int64, len(j.Classes))}
	if j.Not {
		x.op, _ = inverse(x.op)
	}
	switch x.op {
	case syntax.Lt, syntax.Le, syntax.Gt, syntax.Ge:
	default:
		return nil
	}
	var plus rowSum
	if !x.add(j.L, 1, &plus) || !x.add(j.R, -1, &plus) {
		return nil
	}
	for i := range x.times {
		if j.IntsOnly && len(j.Classes[i].Terms) > 0 {
			x.times[i] = 1 // its terms have their signs
		}
		plus.terms = append(plus.terms, rowTerm{i, x.times[i]})
	}
	plus.bind()
	x.plus, x.bound = plus.plus, plus.bound
	return x
}

// add adds a term, times 1 or -1, and what is constant to plus.
func (x *intCompare) add(t *plan.Term, times int64, plus *rowSum) bool {
	switch t.Op {
	case plan.TermConst:
		return plus.sum(t.X, func(int) bool { return false }, times)
	case plan.TermClass:
		x.times[t.Class] += times
		return true
	case plan.TermNeg:
		return x.add(t.A, -times, plus)
	case plan.TermAdd:
		return x.add(t.A, times, plus) && x.add(t.B, times, plus)
	case plan.TermSub:
		return x.add(t.A, times, plus) && x.add(t.B, -times, plus)
	}
	return false
}

// intVerdict decides a comparison all of whose terms are ints; known is false where
// it can't.
func (j *joinState) intVerdict() (holds, known bool) {
	x := j.code.ints
	if x == nil {
		return false, false
	}
	least := x.op == syntax.Lt || x.op == syntax.Le // that of the sum counts
	sum := x.plus
	for i := range j.classes {
		c := &j.classes[i]
		if c.count[termInt] == 0 || c.count[termFloat]+c.count[termNever]+c.count[termOdd] > 0 {
			return false, false
		}
		end := c.ends.least()
		if (x.times[i] > 0) != least {
			end = c.ends.most()
		}
		v := c.ends.keys[end]
		if v.kind != cellInt || v.bits+uint64(x.bound) > 2*uint64(x.bound) {
			return false, false
		}
		sum += x.times[i] * v.int()
	}
	return compareZero(x.op, sum), true
}
