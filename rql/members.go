package rql

import (
	"context"
	"io"
	"slices"

	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/rql/plan"
)

// members walks the History for what the collection of FOR EACH ever has; nil
// without FOR EACH.
func (r *runner) members(ctx context.Context) ([]value, error) {
	f := r.q.ForEach
	if f == nil {
		return nil, nil
	}
	if len(f.Deps) == 0 { // the same set always
		e := newEngine(ctx, r.q, r.src.Meta(), make([]*history.State, len(r.src.Meta().Nodes)), nil, r.opt)
		ms, _ := e.collection(f.Set)
		return setOf(ms).ext.set, nil
	}
	g, err := r.gather(ctx, history.Begin, history.End)
	if err != nil {
		return nil, err
	}
	return g.list(), nil
}

// gather walks from one position to another for what the collection has there.
func (r *runner) gather(ctx context.Context, from, to history.Position) (*gathering, error) {
	return r.gatherFrom(ctx, from, to, false)
}

// gatherFrom is gather, in which the states are followed if need be.
func (r *runner) gatherFrom(ctx context.Context, from, to history.Position, stateful bool) (*gathering, error) {
	f := r.q.ForEach
	used := map[history.VarID]bool{}
	for _, d := range f.Deps {
		for _, c := range d.Ref.Vars {
			used[history.VarID(c.Var)] = true
		}
	}
	q := bare(r.q)
	cur, err := history.WalkThrough(ctx, r.src, from, to, r.q.Nodes, lensOf(q, r.src.Meta(), used))
	if err != nil {
		return nil, err
	}
	defer cur.Close()
	e := newEngine(ctx, q, r.src.Meta(), cur.States(), nil, r.opt)
	g := &gathering{e: e, f: f, seen: map[string]value{}, keys: keysOf(f.Set), anew: true}
	g.plain = !stateful && g.keys != nil && len(g.keys.Steps) == g.keys.Vars[0].Rest && g.e.net == nil
	for {
		ev, err := cur.Next()
		if err == io.EOF {
			return g, nil
		}
		if err != nil {
			return nil, err
		}
		if g.plain {
			if !g.read(ev) {
				return r.gatherFrom(ctx, from, to, true)
			}
			continue
		}
		if err := g.step(ev); err != nil {
			return nil, err
		}
	}
}

// read takes the keys from the changes alone, without following the states; false
// if that isn't possible: what a key that is no text leads into may be a list, and
// what is set and taken away again before the next cut is no member.
func (g *gathering) read(ev *history.Event) bool {
	if g.anew {
		g.anew = false
		for _, n := range g.e.w.nodes {
			if g.e.w.in(n) {
				g.held = append(g.held, heldMap{n, g.e.variable(g.keys, n, false)})
			}
		}
	}
	isHeld := slices.ContainsFunc(g.held, func(h heldMap) bool { return h.node == ev.Node })
	changes := 0
	for i := range ev.Changes {
		c := &ev.Changes[i]
		if int(c.Var) != g.keys.Vars[0].Var {
			continue
		}
		changes++
		adds := len(c.Path) > 0 && !c.Value.IsAbsent()
		switch {
		case len(c.Path) > 0 && c.Path[0].Type() != event.TypeString:
			return false
		case !adds && (isHeld || changes > 1), ev.Base && adds:
			return false
		case adds:
			g.text(c.Path[0])
		default:
			g.held = append(g.held, heldMap{ev.Node, c.Value})
			isHeld = true
		}
	}
	if !ev.Base {
		for _, h := range g.held {
			g.whole(h.m)
		}
		g.held = g.held[:0]
	}
	return true
}

// A heldMap is a node's map that shows at the next cut.
type heldMap struct {
	node int
	m    event.Value
}

// whole adds the keys of a map, unless it is the one before once more.
func (g *gathering) whole(m event.Value) {
	if m.AsMap() != g.last {
		g.last = m.AsMap()
		g.all(m)
	}
}

// text adds a key that is a text.
func (g *gathering) text(key event.Value) {
	if g.texts == nil {
		g.texts = map[string]bool{}
	}
	if !g.texts[key.AsString()] {
		g.texts[key.AsString()] = true
		g.add(of(key))
	}
}

// bare is the query without its condition: an engine for it only keeps states.
func bare(q *plan.Query) *plan.Query {
	b := *q
	b.Root, b.Leaves, b.Tallies, b.Pasts = nil, nil, nil, nil
	b.ForEach, b.UsesPrev = nil, false
	return &b
}

// keysOf returns the variable of FOR EACH k IN KEYS(variable), or nil.
func keysOf(set plan.Expr) *plan.Ref {
	a, ok := set.(*plan.Agg)
	if !ok || a.Op != plan.AggKeys {
		return nil
	}
	s, ok := a.Arg.(*plan.Spread)
	if !ok || s.Ref == nil || len(s.Ref.Vars) != 1 || s.Ref.Fixed < len(s.Ref.Steps) {
		return nil
	}
	return s.Ref
}

// A gathering collects members over the walk.
type gathering struct {
	e    *engine
	f    *plan.ForEach
	seen map[string]value
	anew bool // a base came, or nothing yet: all of it is looked at
	// plain says that keys are read off the changes, and states aren't followed.
	plain bool
	texts map[string]bool // those seen so far
	held  []heldMap
	last  *event.Map // that was read last
	// born is told each member when it comes; nil: it is only collected.
	born func(value)
	keys *plan.Ref // over whose keys; nil: the set is evaluated wherever it may change
}

func (g *gathering) add(v value) {
	id := memberID(v)
	if _, ok := g.seen[id]; !ok {
		g.seen[id] = v
		if g.born != nil {
			g.born(v)
		}
	}
}

func (g *gathering) all(m event.Value) {
	for k := range m.AsMap().All() {
		g.add(of(k))
	}
}

func (g *gathering) evaluate(set plan.Expr) {
	g.e.round++
	ms, _ := g.e.collection(set)
	for _, m := range ms {
		g.add(m)
	}
}

// step follows one event.
func (g *gathering) step(ev *history.Event) error {
	if ev.Base {
		g.e.base(ev)
		g.anew = true
		return nil
	}
	if err := g.e.step(ev); err != nil {
		return err
	}
	g.look(ev)
	return g.e.err
}

// look adds what an event that the engine has applied brought.
func (g *gathering) look(ev *history.Event) {
	all := g.anew || g.e.net != nil && g.e.net.moved && g.readsNet()
	g.anew = false
	switch {
	case g.keys == nil && (all || touches(g.f.Deps, ev)):
		g.evaluate(g.f.Set)
	case g.keys != nil && all:
		for _, n := range g.e.w.nodes {
			if g.e.w.in(n) {
				g.all(g.e.variable(g.keys, n, false))
			}
		}
	case g.keys != nil:
		g.changed(ev)
	}
}

// readsNet reports whether the collection depends on log net, whose changes aren't
// those of the event.
func (g *gathering) readsNet() bool {
	return slices.ContainsFunc(g.f.Deps, func(d plan.Dep) bool {
		return slices.ContainsFunc(d.Ref.Vars, func(c plan.Candidate) bool { return c.Var >= int(g.e.net.sent) })
	})
}

// changed adds the keys that an event set.
func (g *gathering) changed(ev *history.Event) {
	c := g.keys.Vars[0]
	steps := g.keys.Steps[c.Rest:]
	for i := range ev.Changes {
		ch := &ev.Changes[i]
		if int(ch.Var) != c.Var || !onPath(steps, ch.Path) {
			continue
		}
		m := g.e.variable(g.keys, ev.Node, false)
		if len(ch.Path) <= len(steps) {
			g.all(m)
		} else if key := ch.Path[len(steps)]; !m.AsMap().Get(key).IsAbsent() {
			g.add(of(key))
		}
	}
}

// touches reports whether an event changes what a collection depends on.
func touches(deps []plan.Dep, ev *history.Event) bool {
	for _, d := range deps {
		for _, c := range d.Ref.Vars {
			for i := range ev.Changes {
				if int(ev.Changes[i].Var) == c.Var {
					return true
				}
			}
		}
	}
	return false
}

// list is the members in order.
func (g *gathering) list() []value {
	out := make([]value, 0, len(g.seen))
	for _, v := range g.seen {
		out = append(out, v)
	}
	return setOf(out).ext.set
}
