package rql

import (
	"math"

	"hindcast.dev/rql/plan"
)

// stats are what aggregates over the nodes ask of one column, kept while its
// values come and go.
type stats struct {
	count   int // nodes that have a value
	numbers int // of these
	ints    int // of these, within int64
	nans    int
	sum     *sum      // nil unless SUM or AVG is asked
	ends    *extremes // of the numbers; nil unless MIN or MAX is asked
}

// changeCell follows a node's value from one cell to another, neither of them
// cellOther.
func (s *stats) changeCell(node int, was, is cell) {
	if was.kind != cellInt || is.kind != cellInt {
		s.change(node, was.value(), is.value())
		return
	}
	if s.sum != nil {
		s.sum.add(was.value(), -1)
		s.sum.add(is.value(), 1)
	}
	if s.ends != nil {
		s.ends.setCell(node, is)
	}
}

// change follows a node's value.
func (s *stats) change(node int, was, now value) {
	s.tell(was, -1)
	s.tell(now, 1)
	if s.ends != nil {
		if !now.isNumber() || now.isNaN() {
			now = bot
		}
		s.ends.set(node, now)
	}
}

func (s *stats) tell(v value, by int) {
	if v.isBot() {
		return
	}
	s.count += by
	if !v.isNumber() {
		return
	}
	s.numbers += by
	if v.isSmallInt() {
		s.ints += by
	} else if v.isNaN() {
		s.nans += by
	}
	if s.sum != nil {
		s.sum.add(v, int64(by))
	}
}

// result is an aggregate over the nodes; ok is false if that isn't kept.
func (s *stats) result(op plan.AggOp) (v value, ok bool) {
	plain := s.numbers == s.count
	switch {
	case op == plan.AggCount:
		return ofInt(int64(s.count)), true
	case op == plan.AggSum && plain:
		return s.sum.total(), true
	case op == plan.AggAvg && plain && s.count > 0:
		return s.sum.average(s.count), true
	case op == plan.AggSum || op == plan.AggAvg:
		return bot, true
	case s.count == 0:
		return bot, true
	case !plain:
		return bot, false
	case s.nans > 0:
		return ofFloat(math.NaN()), true
	case op == plan.AggMin:
		return s.ends.key(s.ends.least()), true
	}
	return s.ends.key(s.ends.most()), true
}

// cell is result as far as a machine word holds it.
func (s *stats) cell(op plan.AggOp) cell {
	switch {
	case op == plan.AggCount:
		return intCell(int64(s.count))
	case s.numbers != s.count || s.count == 0 || s.nans > 0:
		return giveUp
	case op == plan.AggMin:
		return s.ends.keys[s.ends.least()]
	case op == plan.AggMax:
		return s.ends.keys[s.ends.most()]
	case op == plan.AggSum && s.ints == s.count && (s.sum.big == nil || s.sum.big.Sign() == 0):
		return intCell(s.sum.small)
	}
	return giveUp
}

// columnOf is the column over which an aggregate goes, -1 if it is none, and what
// is asked of it: counting the names of nodes is counting nodes.
func columnOf(x *plan.Agg) (column int, op plan.AggOp) {
	op = x.Op
	arg := x.Arg
	if in, ok := arg.(*plan.Agg); ok && op == plan.AggCount && in.Op == plan.AggNodes {
		x, arg = in, in.Arg
	}
	s, ok := arg.(*plan.Spread)
	if !ok || s.Ref == nil || s.Ref.Column == 0 || x.Distinct || op > plan.AggCount {
		return -1, op
	}
	return s.Ref.Column - 1, op
}

// makeStats begins to keep what the conditions' aggregates ask for.
func (e *engine) makeStats() {
	e.cols.stats = make([]*stats, e.cols.width)
	want := func(x plan.Expr) bool {
		a, ok := x.(*plan.Agg)
		if !ok {
			return true
		}
		i, op := columnOf(a)
		if i < 0 {
			return true
		}
		c := e.columns[i]
		if c.stats == nil {
			c.stats = &stats{}
			e.cols.stats[i] = c.stats
		}
		switch op {
		case plan.AggSum, plan.AggAvg:
			if c.stats.sum == nil {
				c.stats.sum = &sum{}
			}
		case plan.AggMin, plan.AggMax:
			if c.stats.ends == nil {
				c.stats.ends = newExtremes(len(e.w.names))
			}
		}
		return true
	}
	for _, l := range e.q.Leaves {
		for _, p := range l.Parts {
			plan.Walk(p.X, want)
		}
	}
	for i := range e.q.Compute {
		plan.Walk(e.q.Compute[i].X, want)
	}
}

// counted is an aggregate over the nodes that is kept; ok is false for others.
func (e *env) counted(x *plan.Agg) (v value, ok bool) {
	if e.cols == nil {
		return bot, false
	}
	i, op := columnOf(x)
	if i < 0 || e.cols.stats[i] == nil {
		return bot, false
	}
	s := e.cols.stats[i]
	if asksEnds := op == plan.AggMin || op == plan.AggMax; asksEnds && s.ends == nil || !asksEnds && op != plan.AggCount && s.sum == nil {
		return bot, false
	}
	if v, ok = s.result(op); ok && v.isBot() && s.count > 0 {
		e.fault(FaultAggregate, x.Pos)
	}
	return v, ok
}
