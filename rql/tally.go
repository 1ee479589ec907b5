package rql

import (
	"hindcast.dev/event"
	"hindcast.dev/rql/plan"
)

// A tally keeps an aggregate over all entries of a variable, node by node, so
// that a change of one entry costs that entry.
type tally struct {
	agg   *plan.Agg
	ref   *plan.Ref
	id    int         // the variable
	steps []plan.Step // into it
	fixed int         // steps[fixed] is the first [*]
	nodes []bag
	all   bag
	fresh bool // all is up to date
}

func newTally(a *plan.Agg, nodes int) *tally {
	r := a.Arg.(*plan.Spread).Ref
	c := r.Vars[0]
	return &tally{agg: a, ref: r, id: c.Var, steps: r.Steps[c.Rest:], fixed: r.Fixed - c.Rest, nodes: make([]bag, nodes)}
}

// reset counts a node anew.
func (t *tally) reset(e *env, node int, v event.Value) {
	t.nodes[node], t.fresh = bag{}, false
	e.entries(v, t.steps, func(m event.Value) { t.nodes[node].add(of(m)) })
}

// change follows a change of the variable on a node at path.
func (t *tally) change(e *env, node int, path []event.Value, old, now event.Value) {
	if !onPath(t.steps[:t.fixed], path) {
		return
	}
	if len(path) <= t.fixed {
		t.reset(e, node, now)
		return
	}
	was, is := e.walk(old, t.steps[:t.fixed]), e.walk(now, t.steps[:t.fixed])
	if was.Type() != event.TypeMap || is.Type() != event.TypeMap {
		t.reset(e, node, now)
		return
	}
	key, inner := path[t.fixed], t.steps[t.fixed+1:]
	e.entries(was.Index(key), inner, func(m event.Value) { t.tell(node, m, false) })
	e.entries(is.Index(key), inner, func(m event.Value) { t.tell(node, m, true) })
}

// message follows a message of net.inflight, in the list of a node under a peer's
// name, that came or left; the second step is to every entry.
func (t *tally) message(e *env, node int, peer string, msg event.Value, came bool) {
	if t.steps[0].Kind != plan.StepAll && !event.Equal(t.steps[0].Key, event.String(peer)) {
		return
	}
	e.entries(msg, t.steps[2:], func(m event.Value) { t.tell(node, m, came) })
}

// tell takes one entry of a node in or out.
func (t *tally) tell(node int, m event.Value, came bool) {
	whole := t.fresh && t.agg.Op != plan.AggMin && t.agg.Op != plan.AggMax
	t.fresh = whole
	b := &t.nodes[node]
	if came {
		b.add(of(m))
	} else {
		b.remove(of(m))
	}
	switch {
	case whole && came:
		t.all.add(of(m))
	case whole:
		t.all.remove(of(m))
	}
}

// result is the bag of all nodes, of which only what the aggregate asks for is
// meaningful.
func (t *tally) result(e *env) *bag {
	if t.fresh {
		return &t.all
	}
	t.all, t.fresh = bag{}, true
	for _, n := range e.w.nodes {
		b := &t.nodes[n]
		if t.agg.Op == plan.AggMin && b.least.stale || t.agg.Op == plan.AggMax && b.most.stale {
			t.reset(e, n, e.w.get(n, t.id, false))
		}
		t.all.merge(b)
	}
	t.fresh = true
	return &t.all
}

// int is a COUNT or a SUM of ints on one node; ok is false if it is no int, or not
// a small one.
func (t *tally) int(node int) (n int64, ok bool) {
	b := &t.nodes[node]
	if t.agg.Op == plan.AggCount {
		return int64(b.count), true
	}
	sum := b.sum.total()
	if b.numbers != b.count || b.sum.floats != 0 || sum.ext != nil {
		return 0, false
	}
	n, ok = sum.v.AsInt() // NaN and infinities are floats
	return n, ok && small(n)
}

// onPath reports whether a change at path may concern what steps, all of them
// keys, lead to: one begins the other.
func onPath(steps []plan.Step, path []event.Value) bool {
	for i := range min(len(steps), len(path)) {
		if !event.Equal(steps[i].Key, path[i]) {
			return false
		}
	}
	return true
}
