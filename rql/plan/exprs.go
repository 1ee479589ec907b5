package plan

import (
	"math/big"
	"strconv"

	"hindcast.dev/event"
	"hindcast.dev/hlc"
	"hindcast.dev/rql/syntax"
)

func itoa(n int) string { return strconv.Itoa(n) }

// kind is what the text alone tells of an expression's type.
type kind int

const (
	kindAny kind = iota
	kindBool
	kindScalar // neither a condition nor a collection
	kindSet
)

func kindOf(e syntax.Expr) kind {
	switch e := e.(type) {
	case *syntax.Bool, *syntax.Quantifier, *syntax.Past, *syntax.For:
		return kindBool
	case *syntax.Int, *syntax.Float, *syntax.String, *syntax.Null, *syntax.Time, *syntax.Duration:
		return kindScalar
	case *syntax.SetLit:
		return kindSet
	case *syntax.Link:
		return kindOf(e.X)
	case *syntax.Unary:
		if e.Op == syntax.Not {
			return kindBool
		}
		return kindScalar
	case *syntax.Binary:
		switch {
		case e.Op == syntax.And || e.Op == syntax.Or || e.Op == syntax.Since || e.Op.IsComparison():
			return kindBool
		case e.Op == syntax.Union || e.Op == syntax.Intersect || e.Op == syntax.Except:
			return kindSet
		}
		return kindScalar
	case *syntax.Call:
		return functions[e.Name].kind
	}
	return kindAny
}

// scalar checks an expression that stands where one value is wanted.
func (c *checker) scalar(e syntax.Expr) Expr {
	if c.grouped {
		if x := c.ofGroup(e); x != nil {
			return x
		}
	}
	if c.events != nil {
		if x := c.events.special(e); x != nil {
			return x
		}
	}
	switch e := e.(type) {
	case *syntax.Int, *syntax.Float, *syntax.String, *syntax.Bool, *syntax.Null, *syntax.Time, *syntax.Duration:
		return literal(e)
	case *syntax.Path:
		return c.path(e)
	case *syntax.Placeholder:
		return c.placeholder(e)
	case *syntax.Call:
		return c.call(e)
	case *syntax.SetLit:
		return &SetLit{Pos: e.Pos, Elems: c.scalars(e.Elems)}
	case *syntax.Quantifier:
		return c.quantifier(e)
	case *syntax.Case:
		return c.caseExpr(e)
	case *syntax.Unary:
		return c.unary(e)
	case *syntax.Binary:
		return c.binary(e)
	case *syntax.Link:
		return c.linkExpr(e)
	case *syntax.Past:
		return c.past(e)
	case *syntax.For:
		return c.lasting(e)
	}
	fail(e.Position(), "", "unknown expression %T", e)
	return nil
}

func (c *checker) scalars(es []syntax.Expr) []Expr {
	var out []Expr
	for _, e := range es {
		out = append(out, c.scalar(e))
	}
	return out
}

func literal(e syntax.Expr) Expr {
	switch e := e.(type) {
	case *syntax.Int:
		n, _ := new(big.Int).SetString(e.Text, 10)
		return number(e.Pos, n)
	case *syntax.Float:
		return &Const{Pos: e.Pos, Value: event.Float(e.Value)}
	case *syntax.String:
		return &Const{Pos: e.Pos, Value: event.String(e.Value)}
	case *syntax.Bool:
		return &Const{Pos: e.Pos, Value: event.Bool(e.Value)}
	case *syntax.Time:
		return &Instant{Pos: e.Pos, Time: e}
	case *syntax.Duration:
		return &Const{Pos: e.Pos, Value: event.Float(float64(hlc.DurationTicks(e.D)) / hlc.TicksPerSecond)}
	}
	return &Const{Pos: e.Position(), Value: event.Null()}
}

func number(pos syntax.Pos, n *big.Int) *Const {
	switch {
	case n.IsInt64():
		return &Const{Pos: pos, Value: event.Int(n.Int64())}
	case n.IsUint64():
		return &Const{Pos: pos, Value: event.Uint(n.Uint64())}
	}
	return &Const{Pos: pos, Big: n}
}

func (c *checker) unary(e *syntax.Unary) Expr {
	if lit, ok := e.X.(*syntax.Int); ok && e.Op == syntax.Neg {
		n, _ := new(big.Int).SetString(lit.Text, 10)
		return number(e.Pos, n.Neg(n))
	}
	return &Unary{Pos: e.Pos, Op: e.Op, X: c.scalar(e.X)}
}

func (c *checker) binary(e *syntax.Binary) Expr {
	b := &Binary{Pos: e.Pos, Op: e.Op}
	c.noteLoose(e)
	switch e.Op {
	case syntax.Since:
		return c.since(e)
	case syntax.In, syntax.NotIn:
		b.Equality = c.out.Equalities
		c.out.Equalities++
		b.L = c.scalar(e.L)
		b.R = c.set(e.R, "the right side of "+e.Op.String())
	case syntax.Subset, syntax.Union, syntax.Intersect, syntax.Except:
		b.L = c.set(e.L, e.Op.String())
		b.R = c.set(e.R, e.Op.String())
	default:
		if e.Op == syntax.Eq || e.Op == syntax.Ne {
			b.Equality = c.out.Equalities
			c.out.Equalities++
		}
		if e.Op == syntax.Like && neverText(e.R) {
			fail(e.R.Position(), "write x LIKE 'a%', where % is any characters and _ is one", "LIKE wants a pattern, a string, which %s is not", syntax.Print(e.R))
		}
		b.L = c.scalar(e.L)
		b.R = c.scalar(e.R)
		if e.Op.IsComparison() {
			noDuration(b.L, e.L, e.R)
			noDuration(b.R, e.R, e.L)
		}
	}
	return b
}

// noDuration refuses to compare a duration with what is most likely a number of
// another unit, or a time.
func noDuration(x Expr, written, other syntax.Expr) {
	d, ok := other.(*syntax.Duration)
	if _, also := written.(*syntax.Duration); !ok || also {
		return
	}
	switch x := x.(type) {
	case *Var, *Instant, *Now, *Const:
	case *Agg:
		if s, ok := x.Arg.(*Spread); !ok || s.Ref == nil {
			return
		}
	default:
		return
	}
	fail(d.Pos, "the difference of two times is one, TIME() - t > 5s; a number is compared with a number of its own unit",
		"a duration is compared with a duration, which %s is not", syntax.Print(written))
}

// neverText reports whether an expression can't be a string.
func neverText(e syntax.Expr) bool {
	switch e.(type) {
	case *syntax.Int, *syntax.Float, *syntax.Null, *syntax.Time, *syntax.Duration:
		return true
	}
	k := kindOf(e)
	return k == kindBool || k == kindSet
}

func (c *checker) quantifier(e *syntax.Quantifier) Expr {
	name := "EXISTS"
	if e.All {
		name = "FORALL"
	}
	q := &Quant{Pos: e.Pos, All: e.All}
	c.quants++
	defer func() { c.quants-- }()
	q.Set = c.set(e.Set, name+" … IN")
	depth := len(c.locals)
	for i, id := range e.Names {
		for _, before := range e.Names[:i] {
			if before.Name == id.Name {
				fail(id.Pos, "", "%s names %s twice", name, id.Name)
			}
		}
		l := local{id.Name, c.newLocal()}
		c.locals = append(c.locals, l)
		q.Locals = append(q.Locals, l.index)
	}
	q.Body = c.condition(e.Body, name)
	c.locals = c.locals[:depth]
	return q
}

func (c *checker) caseExpr(e *syntax.Case) Expr {
	out := &Case{Pos: e.Pos}
	for _, w := range e.Whens {
		cond := c.scalar(w.Cond)
		out.Whens = append(out.Whens, When{cond, c.scalar(w.Then)})
	}
	if e.Else != nil {
		out.Else = c.scalar(e.Else)
	}
	return out
}

func (c *checker) linkExpr(e *syntax.Link) Expr {
	if c.link != linkNone {
		fail(e.Pos, "link the variables once", "LINK inside LINK")
	}
	if c.place == placeForEach {
		fail(e.Pos, "", "FOR EACH wants a collection over all nodes; LINK speaks of single ones")
	}
	slot, linked := c.slot, c.linked
	c.linked = 0
	var out Expr
	if e.Each {
		if k := kindOf(e.X); k != kindBool && k != kindAny {
			fail(e.X.Position(), c.looseHint(e, "compare it with something"), "LINK EACH_NODE wants a condition")
		}
		c.link, c.slot = linkEach, c.newSlot(SlotEach)
		each := &EachNode{Pos: e.Pos, Slot: c.slot}
		c.eaches = append(c.eaches, each)
		each.X = c.scalar(e.X)
		out = each
	} else {
		c.link = linkSame
		if c.place == placeCondition || c.scope > 0 {
			c.slot = c.newSlot(c.chosenKind())
		}
		out = c.scalar(e.X)
	}
	if c.linked == 0 {
		fail(e.Pos, c.looseHint(e, "what is about all nodes needs no LINK"), "LINK has no variable to link: %s speaks of no single node", syntax.Print(e.X))
	}
	c.link, c.slot, c.linked = linkNone, slot, linked+c.linked
	return out
}

// noteLoose remembers the operator whose right side ends in a LINK: LINK binds
// tighter, and it is most likely meant to stand around all of it.
func (c *checker) noteLoose(e *syntax.Binary) {
	switch e.Op {
	case syntax.And, syntax.Or, syntax.Since:
		return
	}
	if l, _ := unlinked(e.R); l != nil && c.loose[l] == nil {
		c.loose[l] = e
	}
}

// unlinked returns the LINK in which an expression ends, nil if it doesn't, and
// the expression without it.
func unlinked(e syntax.Expr) (*syntax.Link, syntax.Expr) {
	switch e := e.(type) {
	case *syntax.Link:
		return e, e.X
	case *syntax.Binary:
		if l, r := unlinked(e.R); l != nil {
			without := *e
			without.R = r
			return l, &without
		}
	}
	return nil, e
}

// looseHint is how to write a LINK that took too little, or else.
func (c *checker) looseHint(l *syntax.Link, or string) string {
	around := c.loose[l]
	if around == nil {
		return or
	}
	_, whole := unlinked(around)
	if l.Each && kindOf(whole) != kindBool {
		return or
	}
	return "write " + syntax.Print(&syntax.Link{X: whole, Each: l.Each})
}
