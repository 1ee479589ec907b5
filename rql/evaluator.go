package rql

import (
	"context"
	"fmt"

	"hindcast.dev/history"
	"hindcast.dev/rql/plan"
	"hindcast.dev/rql/syntax"
)

// A Condition is a checked condition that stands alone, for those who step
// through a History themselves.
type Condition struct {
	plan *plan.Query
	meta *history.Meta
}

// CompileCondition checks a condition without a query around it. Its variables
// are written with their log; where the History has but one log besides node and
// net, those of that log may stand bare. Its error is a *syntax.Error.
func CompileCondition(meta *history.Meta, text string) (*Condition, error) {
	x, err := syntax.ParseExpr(text)
	if err != nil {
		return nil, err
	}
	q, err := plan.CompileCondition(schemaOf(meta), x)
	if err != nil {
		return nil, err
	}
	return &Condition{plan: q, meta: meta}, nil
}

// Variables are those of the History that the condition names, sorted.
func (c *Condition) Variables() []history.VarID { return named(c.plan, len(c.meta.Vars)) }

// FromBegin reports whether an Evaluator must be fed from the beginning of the
// History: log net depends on every event so far.
func (c *Condition) FromBegin() bool { return usesNet(c.plan, c.meta) }

// Evaluator returns an Evaluator that stands where the states are, which it
// takes over: those of a Cursor that was just opened.
func (c *Condition) Evaluator(ctx context.Context, states []*history.State, opt Options) (*Evaluator, error) {
	if len(states) != len(c.meta.Nodes) {
		return nil, fmt.Errorf("%d states for a History of %d nodes", len(states), len(c.meta.Nodes))
	}
	return &Evaluator{newEngine(ctx, c.plan, c.meta, states, nil, opt)}, nil
}

// An Evaluator follows a condition along the walk, event by event.
type Evaluator struct {
	e *engine
}

// Feed moves to the cut that ev makes and reports whether the condition holds
// there. A base makes no cut: the answer is then that of the cut before.
func (v *Evaluator) Feed(ev *history.Event) (matching bool, err error) {
	if ev.Base {
		v.e.base(ev)
		return v.e.insts[0].matching, v.e.err
	}
	if err := v.e.step(ev); err != nil {
		return false, err
	}
	return v.e.insts[0].matching, nil
}

// Witness is the smallest choice of nodes that makes the condition true, which
// it must be at the current cut.
func (v *Evaluator) Witness() []Witness {
	return v.e.witnesses(v.e.witness(v.e.insts[0]))
}

// Absent are the paths of the condition that no cut so far had.
func (v *Evaluator) Absent() []AbsentPath { return v.e.absent() }

// Unequal are the = and != that never compared values of one type so far.
func (v *Evaluator) Unequal() []Unequal { return v.e.unequal() }

// Errors are the faults met so far.
func (v *Evaluator) Errors() []ErrorCount { return v.e.faults.list }
