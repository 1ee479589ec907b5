package rql

import (
	"hindcast.dev/event"
	"hindcast.dev/rql/plan"
)

// rowOf is the row of the key that a local is.
func (e *env) rowOf(local int) keyRow {
	if r := e.rows[local]; r != askedFor {
		return r
	}
	key, _ := e.locals[local].shown()
	return e.keys.find(key)
}

// keyedValue is what a path has on a node; ok is false where the state must be
// asked.
func (e *env) keyedValue(r *plan.Ref, node int) (v event.Value, ok bool) {
	if e.keys == nil {
		return v, false
	}
	k, ok := e.keys.refs[r]
	if !ok || k.part < 0 || k.v.lists > 0 && e.w.get(node, int(k.v.id), false).Type() == event.TypeList {
		return v, false
	}
	b := k.v.cells.open(e.rowOf(k.local))
	if i, has := b.find(node); has {
		return k.v.cells.value(&b, i, k.part), true
	}
	return event.Absent, true
}

// keyedCell compiles a path into a variable that is kept by key; nil if it isn't
// such.
func (c *compiler) keyedCell(x *plan.Var) numCode {
	k, ok := c.keyed(x.Ref)
	if !ok || x.Mode != plan.ModeValue {
		return nil
	}
	slot := x.Slot
	return func(e *env) cell {
		n := e.slots[slot]
		if n == none || k.v.lists > 0 {
			return giveUp
		}
		b := k.v.cells.open(e.rowOf(k.local))
		i, has := b.find(n)
		if !has {
			return cell{}
		}
		return b.cell(k.part*b.room + i)
	}
}

func (c *compiler) keyed(r *plan.Ref) (keyedRef, bool) {
	if c.keys == nil {
		return keyedRef{}, false
	}
	k, ok := c.keys.refs[r]
	return k, ok && k.part >= 0
}

// keyedAggregate compiles an aggregate over the copies of an entry.
func (c *compiler) keyedAggregate(x *plan.Agg) numCode {
	s, ok := x.Arg.(*plan.Spread)
	if !ok || s.Ref == nil || x.Distinct {
		return nil
	}
	k, ok := c.keyed(s.Ref)
	if !ok {
		return nil
	}
	op := x.Op
	switch op {
	case plan.AggMin, plan.AggMax, plan.AggSum, plan.AggCount:
	default:
		return nil
	}
	return func(e *env) cell {
		row := e.rowOf(k.local)
		if row == noKey || k.v.lists > 0 {
			return giveUp
		}
		b := k.v.cells.open(row)
		switch op {
		case plan.AggSum:
			return b.sum(k.part)
		case plan.AggCount:
			return b.present(k.part)
		}
		return b.extreme(k.v.cells.parts, k.part, op == plan.AggMax)
	}
}
