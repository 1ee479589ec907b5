package rql

import (
	"context"

	"hindcast.dev/event"
	"hindcast.dev/hlc"
	"hindcast.dev/rql/plan"
	"hindcast.dev/rql/syntax"
)

// none is the node of a slot that has no candidate.
const none = -1

// An env evaluates expressions at a cut, for one member of FOR EACH and one
// choice of nodes.
type env struct {
	q        *plan.Query
	w        *world
	slots    []int   // the node of each slot, or none
	locals   []value // quantified names
	kept     []kept  // aggregates of this cut and member
	computed []kept  // COMPUTE names of this choice
	round    uint64  // grows with every cut and member
	choice   uint64  // grows with every choice
	tallies  []*tally
	keys     *keyTable
	rows     []keyRow  // by local, where the key's row is at hand
	cols     *columns  // beside the states; nil: there are states alone
	pairs    []pairing // by plan.Binary.Equality
	faults   *faults
	start    hlc.Timestamp // what START, END and NOW stand for
	end      hlc.Timestamp
	clock    hlc.Timestamp
	inst     *instance   // the member that was entered, nil for none in particular
	pasts    []pastState // by Past.ID; used where the operator is Shared
	holes    []value     // what was found before, of a row or a group
	lasted   value       // DURATION() of the row
	opaque   bool        // no choice is known: COMPUTE names and $n have no value

	ctx   context.Context
	limit int   // choices and quantified combinations allowed at one cut
	spent int   // of limit
	err   error // why the run must end
}

// A kept is a value that stays while its stamp is the current one.
type kept struct {
	stamp uint64
	v     value
}

// spend counts one more combination; false means that the run must end.
func (e *env) spend(pos syntax.Pos) bool { return e.spendMany(pos, 1) }

// spendMany is spend for what costs as much as so many.
func (e *env) spendMany(pos syntax.Pos, n int) bool {
	if e.err != nil {
		return false
	}
	was := e.spent
	if e.spent += n; e.spent > e.limit {
		e.err = &CombinationsError{Pos: pos, Limit: e.limit, Time: e.w.now}
		return false
	}
	if e.spent/1024 != was/1024 {
		e.err = e.ctx.Err()
	}
	return e.err == nil
}

// termsSpent is how many parts of an expression cost as much as a choice.
const termsSpent = 16

func (e *env) fault(f Fault, pos syntax.Pos) {
	if f != "" {
		e.faults.add(f, pos, e.w)
	}
}

// faultOf is fault for what two values were compared.
func (e *env) faultOf(f Fault, pos syntax.Pos, a, b value) {
	if f == "" {
		return
	}
	if first := e.faults.add(f, pos, e.w); first != nil && f == FaultTypes {
		first.Left, first.Right = a.typeName(), b.typeName()
	}
}

// holds evaluates a condition: ⊥ and what is no bool are false.
func (e *env) holds(x plan.Expr) bool {
	v := e.eval(x)
	if v.ext == nil && v.v.Type() == event.TypeBool {
		return v.v.AsBool()
	}
	if !v.isBot() {
		e.fault(FaultCondition, x.Position())
	}
	return false
}

func (e *env) eval(x plan.Expr) value {
	switch x := x.(type) {
	case *plan.Const:
		if x.Big != nil {
			return value{ext: &ext{big: x.Big}}
		}
		return of(x.Value)
	case *plan.Instant:
		return of(event.Time(e.instant(x.Time)))
	case *plan.Now:
		return of(event.Time(e.w.now))
	case *plan.Local:
		return e.follow(e.locals[x.Index], x.Steps)
	case *plan.Computed:
		return e.follow(e.compute(x.Index), x.Steps)
	case *plan.Var:
		return e.placeholder(x, x.Mode)
	case *plan.HolderValue:
		if e.opaque {
			return bot
		}
		return e.placeholder(x.Var, plan.ModeValue)
	case *plan.NodeName:
		if n := e.slots[x.Slot]; n != none && !e.opaque {
			return ofString(e.w.names[n])
		}
		return bot
	case *plan.Spread:
		return e.collect(x)
	case *plan.Agg:
		return e.aggregate(x)
	case *plan.Call:
		return e.call(x)
	case *plan.SetLit:
		return e.set(x)
	case *plan.Quant:
		return ofBool(e.quantify(x, 0, nil))
	case *plan.Case:
		return e.caseOf(x)
	case *plan.Unary:
		return e.unary(x)
	case *plan.Binary:
		return e.binary(x)
	case *plan.Past:
		return ofBool(e.pastHolds(x))
	case *plan.Hole:
		return e.holes[x.Index]
	case *plan.RowDuration:
		return e.lasted
	case *plan.EachNode:
		return ofBool(e.eachNode(x))
	}
	return bot
}

// instant is the Timestamp of a time of the query.
func (e *env) instant(t *syntax.Time) hlc.Timestamp {
	base := t.At
	switch t.Base {
	case syntax.BaseStart:
		base = e.start
	case syntax.BaseEnd:
		base = e.end
	case syntax.BaseNow:
		base = e.clock
	}
	return base.Add(t.Offset)
}

// follow goes from a value along the steps of a path.
func (e *env) follow(v value, steps []plan.Step) value {
	if len(steps) == 0 {
		return v
	}
	if v.ext != nil {
		return bot
	}
	return of(e.walk(v.v, steps))
}

// compute is the value of a COMPUTE name, evaluated once for a choice.
func (e *env) compute(i int) value {
	c := &e.q.Compute[i]
	k, stamp := &e.computed[i], e.choice
	if c.PerCut {
		stamp = e.round
	} else if e.opaque {
		return bot
	}
	if k.stamp != stamp {
		k.v = e.eval(c.X)
		k.stamp = stamp
	}
	return k.v
}

// placeholder is what a variable has on the node of its slot.
func (e *env) placeholder(x *plan.Var, mode plan.Mode) value {
	node := e.slots[x.Slot]
	if node == none {
		return bot
	}
	switch mode {
	case plan.ModePrev:
		return of(e.variable(x.Ref, node, true))
	case plan.ModeChanged:
		return ofBool(!event.Equal(e.variable(x.Ref, node, true), e.variable(x.Ref, node, false)))
	case plan.ModePresent:
		return ofBool(!e.variable(x.Ref, node, false).IsAbsent())
	}
	return of(e.variable(x.Ref, node, false))
}

func (e *env) set(x *plan.SetLit) value {
	ms := make([]value, 0, len(x.Elems))
	for _, el := range x.Elems {
		m := e.eval(el)
		if m.isBot() {
			return bot
		}
		ms = append(ms, m)
	}
	return setOf(ms)
}

func (e *env) caseOf(x *plan.Case) value {
	for _, w := range x.Whens {
		if e.holds(w.Cond) {
			return e.eval(w.Then)
		}
	}
	if x.Else == nil {
		return of(event.Null())
	}
	return e.eval(x.Else)
}

func (e *env) unary(x *plan.Unary) value {
	if x.Op == syntax.Not {
		return ofBool(!e.holds(x.X))
	}
	v, f := negative(e.eval(x.X))
	e.fault(f, x.Pos)
	return v
}

func (e *env) binary(x *plan.Binary) value {
	switch x.Op {
	case syntax.And:
		return ofBool(e.holds(x.L) && e.holds(x.R))
	case syntax.Or:
		return ofBool(e.holds(x.L) || e.holds(x.R))
	case syntax.In, syntax.NotIn:
		return ofBool(e.member(x))
	case syntax.Subset:
		return ofBool(e.subset(x))
	case syntax.Union, syntax.Intersect, syntax.Except:
		return e.combine(x)
	}
	a, b := e.eval(x.L), e.eval(x.R)
	var v value
	var f Fault
	switch x.Op {
	case syntax.Like:
		v, f = likeValue(a, b)
	case syntax.Eq, syntax.Ne:
		e.paired(x, a, b)
		var ok bool
		ok, f = compare(x.Op, a, b)
		v = ofBool(ok)
	case syntax.Lt, syntax.Le, syntax.Gt, syntax.Ge:
		var ok bool
		ok, f = compare(x.Op, a, b)
		v = ofBool(ok)
	default:
		v, f = arith(x.Op, a, b)
	}
	e.faultOf(f, x.Pos, a, b)
	return v
}

// eachNode is LINK EACH_NODE.
func (e *env) eachNode(x *plan.EachNode) bool {
	saved := e.slots[x.Slot]
	defer func() { e.slots[x.Slot] = saved }()
	some := false
	for _, n := range e.w.nodes {
		if !e.relevant(x.Slot, n) {
			continue
		}
		some = true
		e.slots[x.Slot] = n
		if !e.holds(x.X) {
			return false
		}
	}
	return some
}

// quantify ranges the names from the i-th on over the members.
func (e *env) quantify(x *plan.Quant, i int, members []value) bool {
	if i == 0 {
		var ok bool
		if members, ok = e.collection(x.Set); !ok {
			return false // ⊥
		}
	}
	if i == len(x.Locals) {
		return e.holds(x.Body)
	}
	for _, m := range members {
		if !e.spend(x.Pos) {
			return false
		}
		e.locals[x.Locals[i]] = m
		if e.rows != nil {
			e.rows[x.Locals[i]] = askedFor
		}
		if e.quantify(x, i+1, members) != x.All {
			return !x.All
		}
	}
	return x.All
}
