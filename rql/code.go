package rql

import (
	"math"
	"math/bits"

	"hindcast.dev/event"
	"hindcast.dev/rql/plan"
	"hindcast.dev/rql/syntax"
)

// A condCode is a condition, compiled.
type condCode func(e *env) bool

// A numCode is an expression, compiled: it gives a cell, or giveUp where the
// value is none, and never counts a fault.
type numCode func(e *env) cell

// leafCode is what of a leaf is compiled.
type leafCode struct {
	parts []condCode
	row   rowCode  // the same on a node whose columns are ints; nil if there is no such code
	inner condCode // of LINK EACH_NODE and of a quantifier over KEYS, its body
	join  *joinCode
	lent  *joinState // of a leaf that isn't the same for all members: used by one after the other
}

// compileLeaves compiles the condition, part by part.
func (e *engine) compileLeaves() {
	c := &compiler{q: e.q, cols: e.cols, keys: e.keys, done: make([]bool, len(e.q.Compute)), memo: make([]numCode, len(e.q.Compute))}
	e.code = make([]leafCode, len(e.q.Leaves))
	for _, l := range e.q.Leaves {
		k := &e.code[l.ID]
		for _, p := range l.Parts {
			k.parts = append(k.parts, c.cond(p.X))
		}
		k.row = c.row(l)
		switch l.Class {
		case plan.ClassJoin:
			k.join = c.join(l.Join)
		case plan.ClassEachNode:
			k.inner = c.cond(l.Each.X)
		case plan.ClassEachKey:
			k.inner = c.cond(l.Quant.Body)
		}
	}
}

// A compiler makes closures of expressions. What it doesn't know is left to the
// tree.
type compiler struct {
	q    *plan.Query
	cols *columns
	keys *keyTable
	done []bool    // by COMPUTE name: it is in memo, as nil if it isn't of numbers
	memo []numCode // each name is compiled once, and computed once for a choice
}

func tree(x plan.Expr) condCode { return func(e *env) bool { return e.holds(x) } }

func (c *compiler) cond(x plan.Expr) condCode {
	switch x := x.(type) {
	case *plan.Unary:
		if x.Op == syntax.Not {
			in := c.cond(x.X)
			return func(e *env) bool { return !in(e) }
		}
	case *plan.Var:
		return c.boolean(x)
	case *plan.Binary:
		return c.binaryCond(x)
	}
	return tree(x)
}

// boolean is a variable that stands as a condition, or PRESENT.
func (c *compiler) boolean(x *plan.Var) condCode {
	if x.Ref.Column == 0 || x.Mode != plan.ModeValue && x.Mode != plan.ModePresent {
		return tree(x)
	}
	get := c.column(x)
	if x.Mode == plan.ModePresent {
		slot := x.Slot
		return func(e *env) bool { return e.slots[slot] != none && get(e).kind != cellAbsent }
	}
	return func(e *env) bool {
		if v := get(e); v.kind == cellBool {
			return v.bits == 1
		}
		return e.holds(x)
	}
}

func (c *compiler) binaryCond(x *plan.Binary) condCode {
	switch x.Op {
	case syntax.And:
		l, r := c.cond(x.L), c.cond(x.R)
		return func(e *env) bool { return l(e) && r(e) }
	case syntax.Or:
		l, r := c.cond(x.L), c.cond(x.R)
		return func(e *env) bool { return l(e) || r(e) }
	case syntax.Eq, syntax.Ne, syntax.Lt, syntax.Le, syntax.Gt, syntax.Ge:
		if code := c.text(x); code != nil {
			return code
		}
		l, r := c.num(x.L), c.num(x.R)
		if l != nil && r != nil {
			return comparison(x, l, r)
		}
	}
	return tree(x)
}

// text is = or != of a variable with a literal text.
func (c *compiler) text(x *plan.Binary) condCode {
	v, isVar := x.L.(*plan.Var)
	k, isConst := x.R.(*plan.Const)
	if !isVar || !isConst || v.Mode != plan.ModeValue || v.Ref.Column == 0 ||
		k.Value.Type() != event.TypeString || x.Op != syntax.Eq && x.Op != syntax.Ne {
		return nil
	}
	slot, column, width := v.Slot, v.Ref.Column-1, c.cols.width
	want, unequal, pair := k.Value.AsString(), x.Op == syntax.Ne, x.Equality
	return func(e *env) bool {
		n := e.slots[slot]
		if n == none {
			return e.holds(x)
		}
		v := &e.cols.vals[n*width+column]
		if v.Type() != event.TypeString {
			return e.holds(x)
		}
		e.pairs[pair].matched = true
		return (v.AsString() == want) != unequal
	}
}

// comparison compares numbers, and gives everything else to the tree.
func comparison(x *plan.Binary, l, r numCode) condCode {
	op, pair := x.Op, -1
	if op == syntax.Eq || op == syntax.Ne {
		pair = x.Equality
	}
	return func(e *env) bool {
		a, b := l(e), r(e)
		var less, equal bool
		switch {
		case a.kind == cellInt && b.kind == cellInt:
			less, equal = a.int() < b.int(), a.bits == b.bits
		case isFinite(a) && isFinite(b):
			f, g := a.number(), b.number()
			less, equal = f < g, f == g
		default:
			return e.holds(x)
		}
		if pair >= 0 {
			e.pairs[pair].matched = true
		}
		switch op {
		case syntax.Eq:
			return equal
		case syntax.Ne:
			return !equal
		case syntax.Lt:
			return less
		case syntax.Le:
			return less || equal
		case syntax.Gt:
			return !less && !equal
		}
		return !less
	}
}

// exactMax bounds the ints that a float64 holds exactly.
const exactMax = 1 << 53

// isFinite reports whether a cell is a float that isn't NaN, or an int that is
// the same as a float.
func isFinite(c cell) bool {
	if c.kind == cellInt {
		return c.int() <= exactMax && c.int() >= -exactMax
	}
	return c.kind == cellFloat && !math.IsNaN(c.float())
}

// number is an int or a float as a float.
func (c cell) number() float64 {
	if c.kind == cellInt {
		return float64(c.int())
	}
	return c.float()
}

// num compiles an expression; nil if it isn't of a kind that gives numbers.
func (c *compiler) num(x plan.Expr) numCode {
	switch x := x.(type) {
	case *plan.Const:
		if k := cellOf(x.Value); x.Big == nil && (k.kind == cellInt || k.kind == cellFloat) {
			return func(*env) cell { return k }
		}
	case *plan.Var:
		if x.Ref.Column > 0 && x.Mode == plan.ModeValue {
			return c.column(x)
		}
		return c.keyedCell(x)
	case *plan.HolderValue:
		return c.num(x.Var)
	case *plan.Local:
		if len(x.Steps) == 0 {
			i := x.Index
			return func(e *env) cell { return cellOfValue(e.locals[i]) }
		}
	case *plan.Computed:
		if len(x.Steps) == 0 {
			return c.compute(x.Index)
		}
	case *plan.Agg:
		return c.aggregate(x)
	case *plan.Unary:
		if in := c.num(x.X); in != nil && x.Op == syntax.Neg {
			return func(e *env) cell { return negated(in(e)) }
		}
	case *plan.Binary:
		return c.arithmetic(x)
	}
	return nil
}

// column reads a column on the node of a slot.
func (c *compiler) column(x *plan.Var) numCode {
	slot, column, width := x.Slot, x.Ref.Column-1, c.cols.width
	return func(e *env) cell {
		n := e.slots[slot]
		if n == none {
			return cell{}
		}
		return e.cols.cells[n*width+column]
	}
}

// compute is a COMPUTE name. A row of names, each made of the one before twice,
// costs what it is long.
func (c *compiler) compute(i int) numCode {
	if c.done[i] {
		return c.memo[i]
	}
	c.done[i] = true
	code := c.num(c.q.Compute[i].X)
	if code == nil {
		return nil
	}
	perCut := c.q.Compute[i].PerCut
	stamp, last := uint64(0), giveUp
	c.memo[i] = func(e *env) cell {
		now := e.choice
		if perCut {
			now = e.round
		}
		if stamp != now {
			stamp, last = now, code(e)
		}
		return last
	}
	return c.memo[i]
}

func (c *compiler) aggregate(x *plan.Agg) numCode {
	if code := c.keyedAggregate(x); code != nil {
		return code
	}
	i, op := columnOf(x)
	if i < 0 || c.cols.stats[i] == nil {
		return nil
	}
	s := c.cols.stats[i]
	return func(*env) cell { return s.cell(op) }
}

func negated(c cell) cell {
	switch {
	case c.kind == cellInt && c.int() != math.MinInt64:
		return intCell(-c.int())
	case c.kind == cellFloat:
		return floatCell(-c.float())
	}
	return giveUp
}

func (c *compiler) arithmetic(x *plan.Binary) numCode {
	switch x.Op {
	case syntax.Add, syntax.Sub, syntax.Mul, syntax.Div, syntax.Mod:
	default:
		return nil
	}
	l, r := c.num(x.L), c.num(x.R)
	if l == nil || r == nil {
		return nil
	}
	op := x.Op
	if op == syntax.Add {
		return func(e *env) cell { return added(l(e), r(e)) }
	}
	return func(e *env) cell { return computed(op, l(e), r(e)) }
}

func added(a, b cell) cell {
	if a.kind == cellInt && b.kind == cellInt {
		x, y := a.int(), b.int()
		if z := x + y; (z > x) == (y > 0) {
			return intCell(z)
		}
		return giveUp
	}
	return computed(syntax.Add, a, b)
}

// computed is a op b, giveUp where that is no machine word or a fault.
func computed(op syntax.Op, a, b cell) cell {
	switch {
	case a.kind == cellInt && b.kind == cellInt:
		return intComputed(op, a.int(), b.int())
	case (a.kind == cellInt || a.kind == cellFloat) && (b.kind == cellInt || b.kind == cellFloat):
		return floatComputed(op, a.number(), b.number())
	}
	return giveUp
}

func intComputed(op syntax.Op, x, y int64) cell {
	switch op {
	case syntax.Add:
		if z := x + y; (z > x) == (y > 0) {
			return intCell(z)
		}
	case syntax.Sub:
		if z := x - y; (z < x) == (y > 0) {
			return intCell(z)
		}
	case syntax.Mul:
		if hi, lo := bits.Mul64(magnitude(x), magnitude(y)); hi == 0 && lo < 1<<63 {
			return intCell(x * y)
		}
	default:
		if y == 0 || y == -1 {
			return giveUp
		}
		if op == syntax.Div {
			return intCell(x / y)
		}
		return intCell(x % y)
	}
	return giveUp
}

func floatComputed(op syntax.Op, x, y float64) cell {
	switch op {
	case syntax.Add:
		return floatCell(x + y)
	case syntax.Sub:
		return floatCell(x - y)
	case syntax.Mul:
		return floatCell(x * y)
	case syntax.Div:
		if y != 0 {
			return floatCell(x / y)
		}
	}
	return giveUp
}
