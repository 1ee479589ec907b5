package rql

import (
	"context"
	"fmt"
	"slices"

	"hindcast.dev/event"
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

// Values are what the variables of the condition hold in these states, by node, in
// the order in which the condition names them. Of one with an index that isn't a
// literal it is what stands before that. Those of log net aren't among them.
func (c *Condition) Values(states []*history.State) []Cell {
	var out []Cell
	for _, r := range c.plan.Refs {
		steps := r.Path.Steps
		if r.Fixed >= 0 && r.Fixed < len(steps) {
			steps = steps[:max(r.Fixed, 1)]
		}
		cell := Cell{Name: pathText(r.Path.Log, steps), PerNode: true}
		if hasCell(out, cell.Name) || slices.ContainsFunc(r.Vars, func(v plan.Candidate) bool { return v.Var >= len(c.meta.Vars) }) {
			continue
		}
		for n, s := range states {
			if v := valueIn(s, r, len(steps)); s != nil && !v.IsAbsent() {
				cell.Nodes = append(cell.Nodes, Field{c.meta.Nodes[n].Name, v})
			}
		}
		out = append(out, cell)
	}
	return out
}

// valueIn is what the first so many steps of a path lead to in a node's state.
func valueIn(s *history.State, r *plan.Ref, steps int) event.Value {
	for _, c := range r.Vars {
		if s == nil {
			break
		}
		v := s.Get(history.VarID(c.Var))
		if v.IsAbsent() {
			continue
		}
		for i := c.Rest; i < steps; i++ {
			v = v.Index(r.Steps[i].Key)
		}
		return v
	}
	return event.Absent
}

// Placeholder is what placeholder $n stands for: a variable, with its log.
func (c *Condition) Placeholder(n int) string { return c.plan.Holders[n-1].Text }

// FromBegin reports whether an Evaluator must be fed from the beginning of the
// History: log net and operators of past time depend on every event so far.
func (c *Condition) FromBegin() bool {
	return usesNet(c.plan, c.meta) || len(c.plan.Pasts) > 0
}

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
// there. A base makes no cut: the answer is then that of the cut before. Ticks
// before ev are cuts too, but nobody is told of them.
func (v *Evaluator) Feed(ev *history.Event) (matching bool, err error) {
	if ev.Base {
		v.e.base(ev)
		return v.e.insts[0].matching, v.e.err
	}
	err = v.e.until(ev, func() error { return nil })
	if err == nil {
		err = v.e.step(ev)
	}
	if err != nil {
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
func (v *Evaluator) Absent() []AbsentPath { return v.e.absent(true) }

// Unequal are the = and != that never compared values of one type so far.
func (v *Evaluator) Unequal() []Unequal { return v.e.unequal() }

// Errors are the faults met so far.
func (v *Evaluator) Errors() []ErrorCount { return v.e.faults.list }
