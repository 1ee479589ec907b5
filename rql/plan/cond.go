package plan

import (
	"maps"
	"slices"

	"hindcast.dev/rql/syntax"
)

// A Cond is a condition in parts: the parts of an And share no slot with each
// other, so it is satisfiable if each part is; those of an Or may share, because
// "some choice" goes over OR. NOT has been moved down to the leaves, but never
// into a comparison.
type Cond struct {
	Op    CondOp
	Kids  []*Cond
	Slots []int // chosen slots below it, ascending
	Leaf  *Leaf // of CondLeaf
}

// CondOp is the kind of a Cond.
type CondOp int

// The kinds of Cond.
const (
	CondLeaf CondOp = iota
	CondAnd
	CondOr
)

// A Class says how a leaf is decided.
type Class int

// The classes of Leaf.
const (
	ClassGlobal   Class = iota // no slot: evaluated when something in it changed
	ClassOneNode               // one slot: a truth value per node is kept
	ClassEachNode              // LINK EACH_NODE: likewise
	ClassEachKey               // a quantifier over KEYS: a truth value per key is kept
	ClassJoin                  // several slots: see Join
)

// A Leaf is a part of the condition that is decided as a whole.
type Leaf struct {
	ID    int // its index in Query.Leaves
	Class Class
	Parts []Part // all must hold for the same choice; one but for ClassOneNode and ClassJoin
	Slots []int  // chosen slots, ascending
	Each  *EachNode
	Quant *Quant
	Join  *Join // of ClassJoin
	Not   bool  // of Each and Quant: it must not hold
	Deps  []Dep
	// Volatile leaves may change at every cut, whatever the event did.
	Volatile bool
	// Wanes says of a Volatile leaf that by time alone it can only become false: while
	// it is false it is decided where its variables change.
	Wanes bool
	// Enters says that a node which enters the walk may count though it has none of
	// the variables: that of a placeholder of PRESENT, COALESCE or CHANGED alone.
	Enters bool
	// Shared leaves are the same for all members of FOR EACH.
	Shared bool
	// Stage is the ID of the operator of past time whose operand it is part of;
	// len(Query.Pasts) of the condition's. Leaves are decided by stage.
	Stage int
}

// A Part is a condition with the chosen slots that it needs.
type Part struct {
	X     Expr
	Slots []int
}

// build takes a condition, negated if not is set, into parts.
func (q *Query) build(e Expr, not bool) *Cond {
	switch x := e.(type) {
	case *Unary:
		if x.Op == syntax.Not {
			return q.build(x.X, !not)
		}
	case *Binary:
		if x.Op == syntax.Or && !not || x.Op == syntax.And && not {
			return q.disjunction(x, not)
		}
		if x.Op == syntax.And || x.Op == syntax.Or {
			return q.conjunction(x, not)
		}
	}
	return q.leaf([]Expr{negate(e, not)})
}

func negate(e Expr, not bool) Expr {
	if !not {
		return e
	}
	return &Unary{Pos: e.Position(), Op: syntax.Not, X: e}
}

// operands returns the members of a row of one operator, NOT moved into them;
// whether they are joined by AND follows from op and not.
func operands(e Expr, op syntax.Op, not bool) []Expr {
	switch x := e.(type) {
	case *Binary:
		if x.Op == op {
			return append(operands(x.L, op, not), operands(x.R, op, not)...)
		}
	case *Unary:
		if in, ok := x.X.(*Binary); ok && x.Op == syntax.Not && (in.Op == syntax.And || in.Op == syntax.Or) && in.Op != op {
			return operands(in, in.Op, !not)
		}
	}
	return []Expr{negate(e, not)}
}

func (q *Query) disjunction(e *Binary, not bool) *Cond {
	c := &Cond{Op: CondOr}
	for _, x := range operands(e, e.Op, not) {
		c.add(q.build(x, false))
	}
	return c
}

func (c *Cond) add(kid *Cond) {
	c.Kids = append(c.Kids, kid)
	c.Slots = append(c.Slots, kid.Slots...)
	slices.Sort(c.Slots)
	c.Slots = slices.Compact(c.Slots)
}

// conjunction parts a row of ANDs into groups that share no slot.
func (q *Query) conjunction(e *Binary, not bool) *Cond {
	type group struct {
		parts []Expr
		slots map[int]bool
	}
	var groups []*group
	for _, x := range operands(e, e.Op, not) {
		g := &group{parts: []Expr{x}, slots: map[int]bool{}}
		for _, s := range q.chosen(q.factsOf(x)) {
			g.slots[s] = true
		}
		rest := groups[:0:0]
		for _, old := range groups {
			if overlap(old.slots, g.slots) {
				g.parts = append(old.parts, g.parts...)
				maps.Copy(g.slots, old.slots)
			} else {
				rest = append(rest, old)
			}
		}
		groups = append(rest, g)
	}
	c := &Cond{Op: CondAnd}
	for _, g := range groups {
		if len(g.parts) == 1 {
			c.add(q.build(g.parts[0], false))
		} else {
			c.add(q.leaf(g.parts))
		}
	}
	if len(c.Kids) == 1 {
		return c.Kids[0]
	}
	return c
}

func overlap(a, b map[int]bool) bool {
	for k := range a {
		if b[k] {
			return true
		}
	}
	return false
}

// leaf makes a leaf of conditions that must hold together.
func (q *Query) leaf(parts []Expr) *Cond {
	f := q.factsOf(parts...)
	l := &Leaf{ID: len(q.Leaves), Slots: q.chosen(f), Deps: f.deps, Volatile: f.volatile, Stage: q.stage}
	l.Shared = q.shares(f)
	l.Enters = slices.ContainsFunc(l.Slots, func(s int) bool { return len(q.Slots[s].Needs) == 0 })
	for _, p := range f.pasts {
		if !slices.Contains(p.Leaves, l) {
			p.Leaves = append(p.Leaves, l)
		}
	}
	for _, x := range parts {
		l.Parts = append(l.Parts, Part{x, q.chosen(q.factsOf(x))})
	}
	switch len(l.Slots) {
	case 0:
		q.classify(l)
	case 1:
		l.Class = ClassOneNode
	default:
		l.Class, l.Join = ClassJoin, q.joinOf(l)
	}
	l.Wanes = l.Volatile && l.Shared && l.Class != ClassEachNode && !l.Not &&
		!slices.ContainsFunc(parts, func(x Expr) bool { return !q.wanes(x) })
	q.Leaves = append(q.Leaves, l)
	return &Cond{Op: CondLeaf, Slots: l.Slots, Leaf: l}
}

// classify finds what a leaf without chosen slots is.
func (q *Query) classify(l *Leaf) {
	x := l.Parts[0].X
	if n, ok := x.(*Unary); ok && n.Op == syntax.Not {
		l.Not, x = true, n.X
	}
	switch x := x.(type) {
	case *EachNode:
		l.Class, l.Each = ClassEachNode, x
	case *Quant:
		steady := !l.Volatile || !l.Not && !x.All && q.wanes(x)
		if l.Shared && steady && keyed(x) != nil {
			l.Class, l.Quant = ClassEachKey, x
		}
	}
}

// wanes reports whether a condition can, by time alone, only become false: TIME()
// is no more in it than what something is greater than.
func (q *Query) wanes(e Expr) bool {
	steady := func(e Expr) bool { return !q.factsOf(e).volatile }
	if steady(e) {
		return true
	}
	switch x := e.(type) {
	case *Quant:
		return steady(x.Set) && q.wanes(x.Body)
	case *Binary:
		_, left := x.L.(*Now)
		_, right := x.R.(*Now)
		switch x.Op {
		case syntax.And, syntax.Or:
			return q.wanes(x.L) && q.wanes(x.R)
		case syntax.Gt, syntax.Ge:
			return right && steady(x.L)
		case syntax.Lt, syntax.Le:
			return left && steady(x.R)
		}
	}
	return false
}

// keyed returns the variable over whose keys a quantifier goes, if it is one
// name over the KEYS of one variable.
func keyed(x *Quant) *Ref {
	a, ok := x.Set.(*Agg)
	if !ok || a.Op != AggKeys || len(x.Locals) != 1 {
		return nil
	}
	s, ok := a.Arg.(*Spread)
	if !ok || s.Ref == nil || len(s.Ref.Vars) != 1 || s.Ref.Fixed < len(s.Ref.Steps) {
		return nil
	}
	return s.Ref
}

// KeysOf returns the variable over whose keys the quantifier of a leaf of
// ClassEachKey goes.
func (l *Leaf) KeysOf() *Ref { return keyed(l.Quant) }
