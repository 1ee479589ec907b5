package rql

import (
	"math"
	"slices"

	"hindcast.dev/rql/plan"
	"hindcast.dev/rql/syntax"
)

// A rowCode decides a condition on one node, whose variables are columns: it is a
// row of comparisons of sums of ints, all of which must hold. It is sure only where
// all columns are ints for which no sum can overflow; there nothing can go wrong.
type rowCode []rowCompare

// A rowCompare compares a sum with 0.
type rowCompare struct {
	rowSum
	op   syntax.Op
	pair int // plan.Binary.Equality of = and !=, else -1
}

// A rowSum is a sum of columns and a number.
type rowSum struct {
	terms []rowTerm
	plus  int64
	bound int64 // what a column may be, up or down, without an overflow
}

// A rowTerm is a column times a number.
type rowTerm struct {
	column int
	times  int64
}

// on computes the sum; ok is false where it isn't sure.
func (x *rowSum) on(row []cell) (sum int64, ok bool) {
	sum = x.plus
	for _, t := range x.terms {
		v := &row[t.column]
		if v.kind != cellInt || v.bits+uint64(x.bound) > 2*uint64(x.bound) {
			return 0, false
		}
		sum += t.times * v.int()
	}
	return sum, true
}

// on decides the condition on a node.
func (c rowCode) on(e *env, node int) (holds, sure bool) {
	row := e.cols.row(node)
	holds = true
	for i := range c {
		x := &c[i]
		sum, ok := x.rowSum.on(row)
		if !ok {
			return false, false
		}
		if !holds {
			continue // but the others must be ints, or the node may not count
		}
		holds = compareZero(x.op, sum)
		if x.pair >= 0 {
			e.pairs[x.pair].matched = true
		}
	}
	return holds, true
}

// compareZero compares a sum with 0.
func compareZero(op syntax.Op, sum int64) bool {
	switch op {
	case syntax.Lt:
		return sum < 0
	case syntax.Le:
		return sum <= 0
	case syntax.Gt:
		return sum > 0
	case syntax.Ge:
		return sum >= 0
	case syntax.Eq:
		return sum == 0
	}
	return sum != 0
}

// row compiles a leaf that speaks of one node; nil if it isn't of that kind.
func (c *compiler) row(l *plan.Leaf) rowCode {
	var out rowCode
	var slot int
	var ok bool
	switch l.Class {
	case plan.ClassOneNode:
		slot, ok = l.Slots[0], true
		for _, p := range l.Parts {
			ok = ok && out.add(p.X, slot, false)
		}
	case plan.ClassEachNode:
		slot = l.Each.Slot
		ok = out.add(l.Each.X, slot, false)
	}
	if !ok || !covered(c.q.Slots[slot].Needs, func(column int) bool {
		return slices.ContainsFunc(out, func(x rowCompare) bool { return x.at(column) >= 0 })
	}) {
		return nil
	}
	return out
}

// covered reports whether all columns that must be there for a node to count are in
// some sum, and so are known to be there.
func covered(needs []*plan.Ref, in func(column int) bool) bool {
	return !slices.ContainsFunc(needs, func(r *plan.Ref) bool { return r.Column == 0 || !in(r.Column-1) })
}

// add adds a condition, or what it isn't; false if it can't be compiled.
func (c *rowCode) add(x plan.Expr, slot int, not bool) bool {
	switch x := x.(type) {
	case *plan.Unary:
		return x.Op == syntax.Not && c.add(x.X, slot, !not)
	case *plan.Binary:
		if x.Op == syntax.And && !not || x.Op == syntax.Or && not {
			return c.add(x.L, slot, not) && c.add(x.R, slot, not)
		}
		return c.compare(x, slot, not)
	}
	return false
}

// inverse is the comparison that holds where another one of values that have an
// order doesn't; ok is false for other operators.
func inverse(op syntax.Op) (_ syntax.Op, ok bool) {
	switch op {
	case syntax.Lt:
		return syntax.Ge, true
	case syntax.Le:
		return syntax.Gt, true
	case syntax.Gt:
		return syntax.Le, true
	case syntax.Ge:
		return syntax.Lt, true
	case syntax.Eq:
		return syntax.Ne, true
	case syntax.Ne:
		return syntax.Eq, true
	}
	return op, false
}

func (c *rowCode) compare(x *plan.Binary, slot int, not bool) bool {
	op, ok := inverse(x.Op)
	if !ok {
		return false
	}
	if !not {
		op = x.Op
	}
	out := rowCompare{op: op, pair: -1}
	if x.Op == syntax.Eq || x.Op == syntax.Ne {
		out.pair = x.Equality
	}
	own := func(s int) bool { return s == slot }
	if !out.sum(x.L, own, 1) || !out.sum(x.R, own, -1) || len(out.terms) == 0 {
		return false
	}
	out.bind()
	*c = append(*c, out)
	return true
}

// rowNumberMax bounds the numbers of a query that are reckoned with here.
const rowNumberMax = 1 << 40

// bind finds the bound.
func (x *rowSum) bind() {
	times := int64(1)
	for _, t := range x.terms {
		times += max(t.times, -t.times)
	}
	x.bound = (math.MaxInt64 - max(x.plus, -x.plus)) / times
}

// sum adds an expression of variables on own slots, times 1 or -1; false if it is
// no sum.
func (x *rowSum) sum(t plan.Expr, own func(slot int) bool, times int64) bool {
	switch t := t.(type) {
	case *plan.Const:
		n, ok := t.Value.AsInt()
		return ok && t.Big == nil && x.add(n, times)
	case *plan.Var:
		return own(t.Slot) && t.Mode == plan.ModeValue && t.Ref.Column > 0 && x.addColumn(t.Ref.Column-1, times)
	case *plan.HolderValue:
		return x.sum(t.Var, own, times)
	case *plan.Unary:
		return t.Op == syntax.Neg && x.sum(t.X, own, -times)
	case *plan.Binary:
		switch t.Op {
		case syntax.Add:
			return x.sum(t.L, own, times) && x.sum(t.R, own, times)
		case syntax.Sub:
			return x.sum(t.L, own, times) && x.sum(t.R, own, -times)
		}
	}
	return false
}

func (x *rowSum) add(n, times int64) bool {
	small := func(n int64) bool { return n > -rowNumberMax && n < rowNumberMax }
	if !small(n) || !small(x.plus) {
		return false
	}
	x.plus += times * n
	return true
}

func (x *rowSum) addColumn(column int, times int64) bool {
	i := x.at(column)
	if i < 0 {
		i = len(x.terms)
		x.terms = append(x.terms, rowTerm{column: column})
	}
	x.terms[i].times += times
	return true
}

// at is where a column stands, -1 if it is none of the terms.
func (x *rowSum) at(column int) int {
	return slices.IndexFunc(x.terms, func(t rowTerm) bool { return t.column == column })
}
