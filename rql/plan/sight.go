package plan

import (
	"slices"

	"hindcast.dev/hlc"
)

// OutOfSight returns the moment at which a row must begin, or later, so that
// nothing it tells depends on what was before end: operators of past time look
// back, PREV and CHANGED see one cut before, and of an edge the row says that it
// was otherwise one cut before. hlc.Max is never. first gives the time of the
// first event at a moment or after, hlc.Max if there is none.
//
// It counts in events as Lookback does: an operator with a time looks back to the
// event in force so long before, the others one event, or to the first.
func (q *Query) OutOfSight(end hlc.Timestamp, edge bool, first func(hlc.Timestamp) hlc.Timestamp) hlc.Timestamp {
	until := q.outOfSight(end, first, q.told)
	if edge && q.Cond != nil {
		until = max(until, after(first(q.outOfSight(end, first, []Expr{q.Cond}))))
	}
	return until
}

func (q *Query) outOfSight(end hlc.Timestamp, first func(hlc.Timestamp) hlc.Timestamp, es []Expr) hlc.Timestamp {
	f := q.factsOf(es...)
	until := end
	if slices.ContainsFunc(f.deps, func(d Dep) bool { return d.Prev }) {
		until = after(first(end))
	}
	for _, p := range f.pasts {
		operand := q.outOfSight(end, first, p.operandExprs())
		until = max(until, operand, p.outOfSight(operand, first))
	}
	return until
}

// outOfSight is when the operator is out of sight of something, of which its
// operand is at some moment.
func (p *Past) outOfSight(operand hlc.Timestamp, first func(hlc.Timestamp) hlc.Timestamp) hlc.Timestamp {
	switch at := first(operand); {
	case p.Timed:
		return later(at, p.Ticks)
	case p.Op == PastPreviously:
		return after(at)
	}
	return hlc.Max
}

// after is the moment after t.
func after(t hlc.Timestamp) hlc.Timestamp {
	if t == hlc.Max {
		return t
	}
	return t + 1
}

// later is so many ticks after the tick of t.
func later(t hlc.Timestamp, ticks uint64) hlc.Timestamp {
	if t == hlc.Max || ticks > hlc.Max.Ticks()-t.Ticks() {
		return hlc.Max
	}
	return hlc.Timestamp((t.Ticks() + ticks) << hlc.LogicalBits)
}
