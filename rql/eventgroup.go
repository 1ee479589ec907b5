package rql

import (
	"slices"
	"strings"

	"hindcast.dev/event"
	"hindcast.dev/rql/plan"
)

// A groupSet holds the groups of an event query: of what was joined only what
// its aggregates need.
type groupSet struct {
	run  *eventRun
	q    *plan.EventQuery
	byID map[string]*joinedGroup
	id   strings.Builder
}

// A joinedGroup is what has the same keys.
type joinedGroup struct {
	keys  []value // ⊥ is null
	folds []fold
}

func newGroupSet(r *eventRun, q *plan.EventQuery) *groupSet {
	g := &groupSet{run: r, q: q, byID: map[string]*joinedGroup{}}
	if len(q.Keys) == 0 { // one group, also of nothing
		g.byID[""] = g.newGroup(nil)
	}
	return g
}

func (g *groupSet) newGroup(keys []value) *joinedGroup {
	return &joinedGroup{keys: slices.Clone(keys), folds: make([]fold, len(g.q.Aggs))}
}

// read evaluates what a joined tuple brings: keys, then the arguments of the
// aggregates.
func (g *groupSet) read(e *env) []value {
	out := make([]value, 0, len(g.q.Keys)+len(g.q.Aggs))
	for i := range g.q.Keys {
		v := e.eval(g.q.Keys[i].X)
		if v.isBot() {
			v = of(event.Null())
		}
		out = append(out, v)
	}
	for i := range g.q.Aggs {
		v := ofBool(true) // COUNT(*)
		if x := g.q.Aggs[i].X; x != nil {
			v = e.eval(x)
		}
		out = append(out, v)
	}
	return out
}

// add puts in what read gave; kept counts what that keeps.
func (g *groupSet) add(values []value, kept *int) error {
	keys, args := values[:len(g.q.Keys)], values[len(g.q.Keys):]
	g.id.Reset()
	for _, k := range keys {
		writeID(&g.id, k)
		g.id.WriteByte('\n') // JSON has none
	}
	at := g.byID[g.id.String()]
	if at == nil {
		at = g.newGroup(keys)
		g.byID[g.id.String()] = at
		*kept++
	}
	for i, k := range keys {
		if at.keys[i].v.Type() != k.v.Type() && identity(k, at.keys[i]) < 0 {
			at.keys[i] = k // 1 and 1.0 are one key: whichever came first, it is shown as 1
		}
	}
	for i, v := range args {
		f := &at.folds[i]
		before := len(f.set)
		f.rows++
		f.add(&g.q.Aggs[i].Fold, v)
		*kept += len(f.set) - before
	}
	return g.run.bounded()
}

// each calls f for every group, by its keys, with the environment telling of it.
func (g *groupSet) each(e *env, f func() error) error {
	all := make([]*joinedGroup, 0, len(g.byID))
	for _, at := range g.byID {
		all = append(all, at)
	}
	slices.SortFunc(all, func(a, b *joinedGroup) int { return slices.CompareFunc(a.keys, b.keys, canonical) })
	for _, at := range all {
		for i := range at.keys {
			e.locals[g.q.Keys[i].Local] = at.keys[i]
		}
		for i := range at.folds {
			e.locals[g.q.Aggs[i].Local] = at.folds[i].result(e, &g.q.Aggs[i].Fold)
		}
		if err := f(); err != nil {
			return err
		}
	}
	return nil
}
