package plan

import (
	"math/big"

	"hindcast.dev/event"
	"hindcast.dev/rql/syntax"
)

// An Expr is a checked expression.
type Expr interface {
	syntax.Node
	expr()
}

// A Const is a literal.
type Const struct {
	syntax.Pos
	Value event.Value
	Big   *big.Int // an int that Value can't hold; Value is Absent then
}

// An Instant is a time of the query.
type Instant struct {
	syntax.Pos
	Time *syntax.Time
}

// Now is TIME(), the cut's Timestamp.
type Now struct{ syntax.Pos }

// A Local is a quantified name, or that of FOR EACH, and what Steps lead to.
type Local struct {
	syntax.Pos
	Name  string
	Index int
	Steps []Step
}

// A Computed is a name of COMPUTE and what Steps lead to.
type Computed struct {
	syntax.Pos
	Index int
	Steps []Step
}

// Mode says what is asked of a variable.
type Mode int

// The modes of a Var.
const (
	ModeValue Mode = iota
	ModePrev
	ModeChanged
	ModePresent
)

// A Var is a variable in scalar position: a placeholder, but in SELECT.
type Var struct {
	syntax.Pos
	Ref    *Ref
	Mode   Mode
	Anyway bool // its nodes needn't have it: PRESENT, CHANGED, COALESCE
	Slot   int
	Holder int // its number; 0 in SELECT
}

// A HolderValue is $n.
type HolderValue struct {
	syntax.Pos
	N   int
	Var *Var // the placeholder itself
}

// A NodeName is NODE(…): the node of a slot.
type NodeName struct {
	syntax.Pos
	Holder int
	Slot   int
}

// A Spread is the collection of the values that a path has: over all nodes, or
// within Base.
type Spread struct {
	syntax.Pos
	Ref   *Ref
	Base  Expr   // in place of Ref
	Steps []Step // with Base
}

// An Agg is an aggregate or another function of one collection.
type Agg struct {
	syntax.Pos
	Op       AggOp
	Distinct bool
	Arg      Expr
	Cell     int // where it may be kept for a cut and a member of FOR EACH; -1: nowhere
	Tally    int // its index in Query.Tallies; -1: none
}

// AggOp is the function of an Agg.
type AggOp int

// The functions of one collection.
const (
	AggMin AggOp = iota
	AggMax
	AggSum
	AggAvg
	AggCount
	AggValues
	AggNodes
	AggKeys
	AggFlatten
)

var aggNames = [...]string{"MIN", "MAX", "SUM", "AVG", "COUNT", "VALUES", "NODES", "KEYS", "FLATTEN"}

// String is the function's name.
func (o AggOp) String() string { return aggNames[o] }

// A Call is a scalar function of its arguments.
type Call struct {
	syntax.Pos
	Func string
	Args []Expr
}

// A SetLit is { … }.
type SetLit struct {
	syntax.Pos
	Elems []Expr
}

// A Quant is EXISTS or FORALL.
type Quant struct {
	syntax.Pos
	All    bool
	Locals []int
	Set    Expr
	Body   Expr
}

// A Case is CASE; Else is nil without ELSE.
type Case struct {
	syntax.Pos
	Whens []When
	Else  Expr
}

// A When is one branch of a Case.
type When struct{ Cond, Then Expr }

// A Unary is -X or NOT X.
type Unary struct {
	syntax.Pos
	Op syntax.Op
	X  Expr
}

// A Binary is L Op R.
type Binary struct {
	syntax.Pos
	Op   syntax.Op
	L, R Expr
	// Equality numbers the =, !=, IN and NOT IN of a query, in the order of the text.
	Equality int
}

// An EachNode is X LINK EACH_NODE.
type EachNode struct {
	syntax.Pos
	Slot int
	X    Expr
}

func (*Const) expr()       {}
func (*Instant) expr()     {}
func (*Now) expr()         {}
func (*Local) expr()       {}
func (*Computed) expr()    {}
func (*Var) expr()         {}
func (*HolderValue) expr() {}
func (*NodeName) expr()    {}
func (*Spread) expr()      {}
func (*Agg) expr()         {}
func (*Call) expr()        {}
func (*SetLit) expr()      {}
func (*Quant) expr()       {}
func (*Case) expr()        {}
func (*Unary) expr()       {}
func (*Binary) expr()      {}
func (*EachNode) expr()    {}

// Expressions are those of the whole query: the condition, names of COMPUTE, items
// and the collection of FOR EACH.
func (q *Query) Expressions() []Expr {
	var out []Expr
	if q.Cond != nil {
		out = append(out, q.Cond)
	}
	for _, c := range q.Compute {
		out = append(out, c.X)
	}
	for _, it := range q.Items {
		if it.X != nil {
			out = append(out, it.X)
		}
	}
	if q.ForEach != nil {
		out = append(out, q.ForEach.Set)
	}
	return out
}

// Walk calls f for e and what it consists of, parents first, until f returns false
// for a parent. The value of a $n and of a COMPUTE name is not part of it.
func Walk(e Expr, f func(Expr) bool) { walk(e, f) }

// walk calls f for e and what it consists of, parents first, until f returns
// false for a parent. The value of a $n and of a COMPUTE name is not part of it.
func walk(e Expr, f func(Expr) bool) {
	if e == nil || !f(e) {
		return
	}
	each := func(es ...Expr) {
		for _, x := range es {
			walk(x, f)
		}
	}
	steps := func(ss []Step) {
		for _, s := range ss {
			walk(s.Index, f)
		}
	}
	switch e := e.(type) {
	case *Local:
		steps(e.Steps)
	case *Computed:
		steps(e.Steps)
	case *Var:
		steps(e.Ref.Steps)
	case *Spread:
		if e.Ref != nil {
			steps(e.Ref.Steps)
		}
		each(e.Base)
		steps(e.Steps)
	case *Agg:
		each(e.Arg)
	case *Call:
		each(e.Args...)
	case *SetLit:
		each(e.Elems...)
	case *Quant:
		each(e.Set, e.Body)
	case *Case:
		for _, w := range e.Whens {
			each(w.Cond, w.Then)
		}
		each(e.Else)
	case *Unary:
		each(e.X)
	case *Binary:
		each(e.L, e.R)
	case *EachNode:
		each(e.X)
	case *Past:
		each(e.While.X, e.X.X)
	}
}
