package rql

import (
	"slices"
	"strconv"
	"strings"

	"hindcast.dev/event"
	"hindcast.dev/rql/plan"
)

// A groupSet holds the groups of an event query: of what was joined only what
// its aggregates need.
type groupSet struct {
	run  *eventRun
	q    *plan.EventQuery
	byID map[string]*group
	id   strings.Builder
}

// A group is what has the same keys.
type group struct {
	keys []value // ⊥ is null
	aggs []accumulator
}

// An accumulator is an aggregate so far.
type accumulator struct {
	bag bag
	set map[string]value // of DISTINCT and VALUES
}

func newGroupSet(r *eventRun, q *plan.EventQuery) *groupSet {
	g := &groupSet{run: r, q: q, byID: map[string]*group{}}
	if len(q.Keys) == 0 { // one group, also of nothing
		g.byID[""] = g.newGroup(nil)
	}
	return g
}

func (g *groupSet) newGroup(keys []value) *group {
	return &group{keys: slices.Clone(keys), aggs: make([]accumulator, len(g.q.Aggs))}
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
		if x := g.q.Aggs[i].Arg; x != nil {
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
		id := memberID(k)
		g.id.WriteString(strconv.Itoa(len(id)))
		g.id.WriteByte(' ')
		g.id.WriteString(id)
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
	for i := range args {
		at.aggs[i].add(&g.q.Aggs[i], args[i], kept)
	}
	return g.run.bounded()
}

func (a *accumulator) add(p *plan.EventAgg, v value, kept *int) {
	if v.isBot() {
		return
	}
	if !p.Distinct && p.Op != plan.AggValues {
		a.bag.add(v)
		return
	}
	if a.set == nil {
		a.set = map[string]value{}
	}
	id := memberID(v)
	old, ok := a.set[id]
	if !ok {
		*kept++
	}
	if !ok || identity(v, old) < 0 {
		a.set[id] = v
	}
}

// result is the aggregate of all that was added.
func (a *accumulator) result(e *env, p *plan.EventAgg) value {
	b := &a.bag
	if p.Distinct || p.Op == plan.AggValues {
		ms := make([]value, 0, len(a.set))
		for _, v := range a.set {
			ms = append(ms, v)
		}
		set := setOf(ms)
		if p.Op == plan.AggValues {
			return set
		}
		b = &bag{}
		for _, m := range set.ext.set {
			b.add(m)
		}
	}
	v := b.result(p.Op)
	if v.isBot() && b.count > 0 {
		e.fault(FaultAggregate, p.Pos)
	}
	return v
}

// each calls f for every group, by its keys, with the environment telling of it.
func (g *groupSet) each(e *env, f func() error) error {
	all := make([]*group, 0, len(g.byID))
	for _, at := range g.byID {
		all = append(all, at)
	}
	slices.SortFunc(all, func(a, b *group) int { return slices.CompareFunc(a.keys, b.keys, canonical) })
	for _, at := range all {
		for i := range at.keys {
			e.locals[g.q.Keys[i].Local] = at.keys[i]
		}
		for i := range at.aggs {
			e.locals[g.q.Aggs[i].Local] = at.aggs[i].result(e, &g.q.Aggs[i])
		}
		if err := f(); err != nil {
			return err
		}
	}
	return nil
}
