package plan

import (
	"fmt"
	"slices"

	"hindcast.dev/hlc"
	"hindcast.dev/rql/syntax"
)

// PastOp is an operator of past time.
type PastOp int

// The operators of past time.
const (
	PastPreviously PastOp = iota
	PastOnce
	PastAlways
	PastSince
	PastFor
)

var pastNames = [...]string{"PREVIOUSLY", "ONCE", "ALWAYS", "SINCE", "FOR"}

// String is the operator as it is written.
func (o PastOp) String() string { return pastNames[o] }

// A Past is an operator of past time: a condition over the cuts so far. Its
// operands are closed: their placeholders are chosen inside, at each cut anew.
type Past struct {
	syntax.Pos
	ID int // its index in Query.Pasts; those inside it have smaller ones
	Op PastOp
	// Timed says that time alone can change it: of FOR, and of ONCE and ALWAYS with
	// WITHIN. Ticks is the length of time then, in ticks of the clock.
	Timed bool
	Ticks uint64
	X     Operand
	While Operand // of SINCE: what must hold ever since
	// Shared says that it is the same for all members of FOR EACH.
	Shared bool
	// Leaves contain it, directly or by way of a COMPUTE name.
	Leaves []*Leaf
}

// An Operand is a condition of its own.
type Operand struct {
	X    Expr
	Root *Cond // X in parts; nil where there is no operand
}

func (*Past) expr() {}

// explainPasts tells of the operators of past time, inner ones first.
func (q *Query) explainPasts(out []string) []string {
	for _, p := range q.Pasts {
		keeps := "a truth value"
		if p.Timed {
			keeps = "a truth value and a moment; ticks where time alone changes it"
		}
		if !p.Shared {
			keeps += ", for each member"
		}
		out = append(out, fmt.Sprintf("%s at %s: keeps %s; decided when its operand changes:", p.Op, p.Pos, keeps))
		for _, o := range p.Operands() {
			out = q.explainCond(out, o.Root, "  ")
		}
	}
	return out
}

// Operands are those that the operator has.
func (p *Past) Operands() []*Operand {
	if p.Op == PastSince {
		return []*Operand{&p.While, &p.X}
	}
	return []*Operand{&p.X}
}

// past checks PREVIOUSLY, ONCE and ALWAYS.
func (c *checker) past(e *syntax.Past) Expr {
	p := &Past{Pos: e.Pos, Op: map[syntax.Op]PastOp{syntax.Previously: PastPreviously, syntax.Once: PastOnce, syntax.Always: PastAlways}[e.Op]}
	c.pastFits(p)
	if e.Within != nil {
		p.Timed, p.Ticks = true, hlc.DurationTicks(e.Within.D)
	}
	p.X.X = c.operand(e.X, p.Op)
	return c.addPast(p)
}

// since checks c1 SINCE c2.
func (c *checker) since(e *syntax.Binary) Expr {
	p := &Past{Pos: e.Pos, Op: PastSince}
	c.pastFits(p)
	p.While.X = c.operand(e.L, p.Op)
	p.X.X = c.operand(e.R, p.Op)
	return c.addPast(p)
}

// lasting checks c FOR a duration.
func (c *checker) lasting(e *syntax.For) Expr {
	p := &Past{Pos: e.Pos, Op: PastFor, Timed: true, Ticks: hlc.DurationTicks(e.D.D)}
	c.pastFits(p)
	p.X.X = c.operand(e.X, p.Op)
	return c.addPast(p)
}

func (c *checker) addPast(p *Past) Expr {
	p.ID = len(c.out.Pasts)
	c.out.Pasts = append(c.out.Pasts, p)
	return p
}

// pastFits fails where no operator of past time may stand.
func (c *checker) pastFits(p *Past) {
	switch {
	case c.place == placeForEach:
		fail(p.Pos, "", "FOR EACH wants a collection over all nodes; %s is a condition", p.Op)
	case c.link != linkNone:
		fail(p.Pos, "write the LINK inside the operand", "%s can't stand inside LINK: its operand chooses nodes for itself", p.Op)
	case c.quants > 0:
		fail(p.Pos, "name the members with FOR EACH", "%s can't stand inside EXISTS or FORALL", p.Op)
	}
}

// operand checks what an operator of past time is asked of, in a scope of its
// own.
func (c *checker) operand(e syntax.Expr, op PastOp) Expr {
	scope, slot, linked := c.scope, c.slot, c.linked
	c.scopes++
	c.scope, c.slot = c.scopes, -1
	x := c.condition(e, op.String())
	c.scope, c.slot, c.linked = scope, slot, linked
	return x
}

// chosenKind is the kind of a slot whose node is chosen in the current scope.
func (c *checker) chosenKind() SlotKind {
	if c.scope > 0 {
		return SlotPast
	}
	return SlotChosen
}

// inScope fails if a placeholder isn't chosen together with what speaks of it.
func (c *checker) inScope(h *Holder, n, scope int, pos syntax.Pos) {
	switch {
	case h.Scope == scope:
	case h.Scope > 0:
		fail(pos, "", "$%d is chosen inside an operand of past time, at each cut anew: it is nothing outside of it", n)
	default:
		fail(pos, "", "$%d is chosen outside of this operand of past time, whose placeholders are its own", n)
	}
}

// analysePasts builds the operands, after it is known which of all operators
// are the same for all members.
func (q *Query) analysePasts() {
	for _, p := range q.Pasts {
		f := q.factsOf(p.operandExprs()...)
		p.Shared = q.ForEach == nil || !f.locals[0] && q.sharedPasts(f)
		q.Apart = q.Apart || p.Timed && !p.Shared
	}
	for _, p := range q.Pasts {
		p.Shared = p.Shared && !q.Apart
	}
	for _, p := range q.Pasts {
		for _, o := range p.Operands() {
			q.stage = p.ID
			o.Root = q.build(o.X, false)
		}
	}
	q.stage = len(q.Pasts)
}

func (p *Past) operandExprs() (out []Expr) {
	for _, o := range p.Operands() {
		out = append(out, o.X)
	}
	return out
}

func (q *Query) sharedPasts(f *facts) bool {
	return !slices.ContainsFunc(f.pasts, func(p *Past) bool { return !p.Shared })
}

// shares reports whether what has these facts is the same for all members of FOR
// EACH. Where members have ticks of their own, what a tick can change is not.
func (q *Query) shares(f *facts) bool {
	if q.ForEach == nil {
		return true
	}
	prev := slices.ContainsFunc(f.deps, func(d Dep) bool { return d.Prev })
	return !f.locals[0] && q.sharedPasts(f) && !(q.Apart && (f.volatile || prev))
}

// Lookback tells how far before a cut the walk must begin so that the operators
// of past time have their values from there on: by the lengths returned, one
// after the other, each from the event that is in force so long before. ok is
// false if only the beginning of the History will do.
//
// FOR d and WITHIN d are decided by their operand at the cuts that lasted into
// the last d: from the event in force d ago on. A tick that is missing before, or
// is one too many, changes no operand but one that tells cuts from each other.
func (q *Query) Lookback() (ticks []uint64, ok bool) {
	for _, p := range q.Pasts {
		f := q.factsOf(p.operandExprs()...)
		if !p.Timed || f.volatile || slices.ContainsFunc(f.deps, func(d Dep) bool { return d.Prev }) {
			return nil, false
		}
		ticks = append(ticks, p.Ticks)
	}
	return ticks, true
}
