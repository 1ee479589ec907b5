package rql

import (
	"context"
	"fmt"
	"slices"

	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/rql/plan"
)

// keyLines tells of every map that is asked by key whether its entries are kept by
// key, or else why each must be looked up in the nodes' maps.
func keyLines(ctx context.Context, q *plan.Query, meta *history.Meta, opt Options) []string {
	var members []value
	if q.ForEach != nil {
		members = []value{of(event.String(""))}
	}
	e := newEngine(ctx, q, meta, make([]*history.State, len(meta.Nodes)), members, opt)
	var out []string
	var told []int
	for _, r := range q.Refs {
		if len(r.Vars) == 0 || r.Vars[0].Rest >= len(r.Steps) || slices.Contains(told, r.Vars[0].Var) {
			continue
		}
		v := r.Vars[0]
		l, ok := r.Steps[v.Rest].Index.(*plan.Local)
		if !ok || v.Var >= len(meta.Vars) {
			continue
		}
		told = append(told, v.Var)
		name := meta.Vars[v.Var].Name
		if e.keys != nil && e.keys.refs[r].v != nil {
			out = append(out, fmt.Sprintf("entries of %s by %s: kept by key; an event costs the entries that it writes, O(1) for each", name, l.Name))
			continue
		}
		out = append(out, fmt.Sprintf("entries of %s by %s: looked up in each node's map, for %s; a key that is touched costs a look at every node", name, l.Name, e.unkept(v.Var)))
	}
	return out
}

// unkept says why a variable's entries aren't kept by key.
func (e *engine) unkept(id int) string {
	switch {
	case e.seesAll:
		return "SELECT * shows the whole map"
	case e.q.UsesPrev:
		return "PREV and CHANGED ask for what was before"
	case len(e.q.Leaves) == 0:
		return "there is no condition"
	}
	for _, r := range e.q.Refs {
		i := slices.IndexFunc(r.Vars, func(c plan.Candidate) bool { return c.Var == id })
		if i < 0 {
			continue
		}
		steps := r.Steps[r.Vars[i].Rest:]
		switch {
		case len(r.Vars) > 1:
			return r.Text + " may mean several variables"
		case len(steps) == 0 && !e.inKeys(r):
			return r.Text + " is read whole"
		case len(steps) == 0:
		case steps[0].Kind == plan.StepAll:
			return r.Text + " goes over all entries"
		case steps[0].Kind == plan.StepKey:
			return r.Text + " names an entry"
		case len(steps) > 2 || len(steps) == 2 && (steps[1].Kind != plan.StepKey || steps[1].Key.AsString() == ""):
			return r.Text + " leads below a field of the entry"
		}
		if len(steps) > 0 {
			if l, ok := steps[0].Index.(*plan.Local); !ok || len(l.Steps) > 0 {
				return r.Text + " computes the key"
			}
		}
	}
	return "there are too many nodes"
}

// inKeys reports whether a path is asked for its keys alone.
func (e *engine) inKeys(r *plan.Ref) bool {
	in := false
	for _, x := range e.q.Expressions() {
		plan.Walk(x, func(x plan.Expr) bool {
			if a, ok := x.(*plan.Agg); ok && a.Op == plan.AggKeys {
				s, ok := a.Arg.(*plan.Spread)
				in = in || ok && s.Ref == r
			}
			return true
		})
	}
	return in
}
