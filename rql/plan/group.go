package plan

import (
	"slices"

	"hindcast.dev/rql/syntax"
)

// A Group is GROUP BY: rows with equal keys are merged.
type Group struct {
	Keys []Key
	// Folds are the aggregates over rows. In items Hole i stands for key i, and from
	// len(Keys) on for a fold.
	Folds []*Fold
}

// A Key is an expression of which rows of one group have the same value.
type Key struct {
	Name string
	Late *Late
}

// A Late is an expression of a row that asks for its DURATION(), or of the rows of
// a group: First are its parts that are evaluated at the first cut of the row, X is
// the whole over Hole i, for First i, evaluated at its end.
type Late struct {
	Slot  int // runs over the nodes; -1 is one value
	Ref   *Ref
	First []Expr
	X     Expr
}

// A Fold is an aggregate over the rows of a group: of a value of each row, of a
// collection that each row has, or of the rows themselves (COUNT(*)).
type Fold struct {
	syntax.Pos
	Op       AggOp
	Distinct bool
	Arg      *Late // nil for COUNT(*); of a Slot, the values of all its nodes
	Members  bool  // the members of Arg's value count, in place of itself
	Over     *Spread
}

// A Hole stands for a value that was found before.
type Hole struct {
	syntax.Pos
	Index int
}

// A RowDuration is DURATION(), how long a row lasted.
type RowDuration struct{ syntax.Pos }

func (*Hole) expr()        {}
func (*RowDuration) expr() {}

// groupBy checks the keys, which may be AS names of items.
func (c *checker) groupBy(q *syntax.Query) {
	if len(q.GroupBy) == 0 {
		return
	}
	c.place = placeSelect
	c.out.Group = &Group{}
	for i, e := range q.GroupBy {
		name := syntax.Print(e)
		if i < len(q.GroupText) {
			name = q.GroupText[i]
		}
		e = c.aliased(q, e)
		if slices.ContainsFunc(c.out.Group.Keys, func(k Key) bool { return k.Name == name }) {
			fail(e.Position(), "", "GROUP BY names %s twice", name)
		}
		c.out.Group.Keys = append(c.out.Group.Keys, Key{name, c.late(e)})
		c.keyTexts = append(c.keyTexts, c.keyText(e))
	}
	c.grouped = true
}

// aliased is the item that a key names, or the key.
func (c *checker) aliased(q *syntax.Query, e syntax.Expr) syntax.Expr {
	p, ok := e.(*syntax.Path)
	if !ok {
		return e
	}
	name, bare := p.Bare()
	if _, _, own := c.named(p); own || !bare {
		return e
	}
	for _, it := range q.Items {
		if it.As != nil && it.As.Name == name {
			return it.X
		}
	}
	return e
}

// keyText tells keys from each other: a variable is the same with its log and
// without.
func (c *checker) keyText(e syntax.Expr) string {
	if p, ok := e.(*syntax.Path); ok && p.Log == "" && c.single != "" {
		if _, _, own := c.named(p); !own {
			return syntax.Print(&syntax.Path{Log: c.single, Steps: p.Steps})
		}
	}
	return syntax.Print(e)
}

// late checks an expression of a row.
func (c *checker) late(e syntax.Expr) *Late {
	var item Item
	item.Slot = -1
	c.shown(e, &item)
	return c.takeApart(&item)
}

// takeApart splits an item into what is evaluated first and at the end.
func (c *checker) takeApart(item *Item) *Late {
	l := &Late{Slot: item.Slot, Ref: item.Ref}
	l.X = l.split(item.X)
	c.lates = append(c.lates, l)
	return l
}

// split replaces the largest parts without DURATION() by holes.
func (l *Late) split(e Expr) Expr {
	pos, found := durationIn(e)
	if !found {
		l.First = append(l.First, e)
		return &Hole{e.Position(), len(l.First) - 1}
	}
	all := func(es []Expr) (out []Expr) {
		for _, x := range es {
			out = append(out, l.split(x))
		}
		return out
	}
	switch x := e.(type) {
	case *RowDuration:
		return x
	case *Call:
		return &Call{Pos: x.Pos, Func: x.Func, Args: all(x.Args)}
	case *SetLit:
		return &SetLit{Pos: x.Pos, Elems: all(x.Elems)}
	case *Unary:
		return &Unary{Pos: x.Pos, Op: x.Op, X: l.split(x.X)}
	case *Binary:
		return &Binary{Pos: x.Pos, Op: x.Op, Equality: x.Equality, L: l.split(x.L), R: l.split(x.R)}
	case *Case:
		out := &Case{Pos: x.Pos}
		for _, w := range x.Whens {
			out.Whens = append(out.Whens, When{l.split(w.Cond), l.split(w.Then)})
		}
		if x.Else != nil {
			out.Else = l.split(x.Else)
		}
		return out
	}
	fail(pos, "it is known only when the row is over", "DURATION() can't stand inside an aggregate over nodes, a quantifier or LINK EACH_NODE")
	return nil
}

func durationIn(e Expr) (pos syntax.Pos, found bool) {
	walk(e, func(e Expr) bool {
		if d, ok := e.(*RowDuration); ok && !found {
			pos, found = d.Pos, true
		}
		return !found
	})
	return pos, found
}

// duration checks DURATION().
func (c *checker) duration(e *syntax.Call) Expr {
	switch {
	case len(e.Args) > 0:
		fail(e.Pos, "", "DURATION wants no argument, found %d", len(e.Args))
	case c.place != placeSelect || c.scope > 0:
		fail(e.Pos, "FOR 200ms asks for how long a condition holds", "DURATION() is of rows: it stands in SELECT and GROUP BY")
	}
	return &RowDuration{e.Pos}
}

// ofGroup is what an expression of an item stands for in a query with GROUP BY,
// outside of the aggregates over rows: a key, such an aggregate, or nil for what
// consists of those. It fails for what differs from row to row.
func (c *checker) ofGroup(e syntax.Expr) Expr {
	if i := slices.Index(c.keyTexts, c.keyText(e)); i >= 0 {
		return &Hole{e.Position(), i}
	}
	switch e := e.(type) {
	case *syntax.Call:
		f := functions[e.Name]
		switch {
		case e.Star && e.Name == "COUNT" || f.isAgg && len(e.Args) == 1:
			return c.fold(e, f.agg)
		case e.Name == "TIME", e.Name == "NODE", e.Name == "PRESENT", e.Name == "CHANGED", e.Name == "PREV", e.Name == "DURATION":
			c.differs(e)
		}
	case *syntax.Path:
		if l, _, ok := c.named(e); ok {
			if l, ok := l.(*Local); ok && (c.out.ForEach == nil || l.Index != 0) {
				return nil
			}
		}
		c.differs(e)
	case *syntax.Placeholder, *syntax.Past, *syntax.For, *syntax.Link:
		c.differs(e)
	case *syntax.Binary:
		if e.Op == syntax.Since {
			c.differs(e)
		}
	}
	return nil
}

func (c *checker) differs(e syntax.Expr) {
	text := syntax.Print(e)
	fail(e.Position(), "write it after GROUP BY, or an aggregate over the rows around it: MAX("+text+"), COUNT("+text+")",
		"%s is neither a key of GROUP BY nor in an aggregate over rows", text)
}

// fold checks an aggregate over rows. What stands in it speaks of a row.
func (c *checker) fold(e *syntax.Call, op AggOp) Expr {
	locals := c.locals
	c.grouped, c.locals = false, locals[:min(len(locals), b2i(c.out.ForEach != nil))]
	f := &Fold{Pos: e.Pos, Op: op, Distinct: e.Distinct}
	switch {
	case e.Star:
		if e.Distinct {
			fail(e.Pos, "", "COUNT(DISTINCT *) counts nothing: name what is to be distinct")
		}
	case op == AggNodes || op == AggKeys || op == AggFlatten:
		f.Members = true
		f.Arg = c.late(e)
	default:
		c.foldArg(f, e.Args[0])
	}
	c.grouped, c.locals = true, locals
	g := c.out.Group
	g.Folds = append(g.Folds, f)
	return &Hole{e.Pos, len(g.Keys) + len(g.Folds) - 1}
}

// foldArg checks the argument of an aggregate over rows. A path of a variable is
// the collection of its values over nodes, as in every set position.
func (c *checker) foldArg(f *Fold, e syntax.Expr) {
	if p, ok := e.(*syntax.Path); ok {
		if _, _, own := c.named(p); !own || hasAll(p.Steps) >= 0 {
			if s, ok := c.set(e, f.Op.String()).(*Spread); ok {
				f.Over = s
				return
			}
		}
	}
	f.Arg = c.late(e)
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// groupExprs calls f for the expressions of rows and groups.
func (c *checker) groupExprs(f func(Expr)) {
	for _, l := range c.lates {
		for _, x := range l.First {
			f(x)
		}
		f(l.X)
	}
	if c.out.Group == nil {
		return
	}
	for _, fold := range c.out.Group.Folds {
		if fold.Over != nil {
			f(fold.Over)
		}
	}
}
