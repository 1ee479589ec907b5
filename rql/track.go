package rql

import (
	"slices"

	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/rql/plan"
)

// A watch tells what a change of a variable touches.
type watch struct {
	leaf  *plan.Leaf
	dep   plan.Dep
	steps []plan.Step // into the variable
	fixed int         // how many of them depend on nothing
	scope scope       // where the leaf is decided then
	keyed bool        // steps[fixed], or the key after all of them, is a member's
	plain bool        // the leaf is marked at this cut, and that is all
}

// A scope is where a leaf is to be decided.
type scope uint8

const (
	scopeAll  scope = iota // on every node
	scopeNode              // on the node that changed
	scopeNone              // on none: what is kept for the nodes is still right
)

// A mark is a leaf to be decided anew; of a Shared one inst is nil.
type mark struct {
	leaf *plan.Leaf
	inst *instance
	node int
}

// A marked leaf is in the work of a cut; its state says where it is to be decided.
type marked struct {
	leaf *plan.Leaf
	inst *instance
}

func (e *engine) makeWatches() {
	for _, l := range e.q.Leaves {
		for _, d := range l.Deps {
			for i, c := range d.Ref.Vars {
				w := watch{leaf: l, dep: d, scope: scopeOf(l, &d), steps: d.Ref.Steps[c.Rest:], fixed: d.Ref.Fixed - c.Rest}
				w.plain = l.Shared && l.Class != plan.ClassEachKey && !d.Prev
				switch {
				case len(d.Ref.Vars) > 1:
				case l.Class == plan.ClassEachKey:
					w.keyed = d.Key == l.Quant.Locals[0] || d.Ref == l.KeysOf()
				case !l.Shared:
					w.keyed = d.Key == 0
				}
				if at := d.Ref.Column; at == 0 || w.keyed {
					e.infos[c.Var].watches = append(e.infos[c.Var].watches, w)
				} else if i == 0 {
					e.columns[at-1].watches = append(e.columns[at-1].watches, w)
				}
			}
		}
	}
	for i := range e.infos {
		in := &e.infos[i]
		in.past = in.past || len(in.watches) > 0 || len(in.tallies) > 0
		in.plain = !in.past
	}
}

// change applies one change to a node's state and what is kept beside it. marks
// is set for the changes of this cut's event: they mark what they touch.
func (e *engine) change(node int, c *history.Change, marks bool) {
	in := e.info(c.Var)
	if in == nil || !e.w.in(node) {
		return
	}
	sought := len(e.sought) > 0 && e.sought[c.Var] != nil
	if in.keyed != nil && marks && !sought && e.write(in.keyed, node, c) {
		return
	}
	s := e.w.states[node]
	if in.plain && in.keyed == nil && len(e.sought) == 0 {
		s.Apply(c)
		e.followColumns(in, node, c.Var, marks)
		return
	}
	var old event.Value
	if in.past {
		old = s.Get(c.Var)
	}
	if in.keyed != nil {
		e.keys.apply(in.keyed, s, node, c, e.keys.lean && !sought)
	} else {
		s.Apply(c)
	}
	if sought {
		e.look(node, c.Var, c.Path)
		if in.keyed != nil {
			e.thin(in.keyed)
		}
	}
	for _, t := range in.tallies {
		t.change(&e.env, node, c.Path, old, s.Get(c.Var))
	}
	if marks && e.q.UsesPrev {
		e.w.remember(node, c.Var, old)
	}
	e.followColumns(in, node, c.Var, marks)
	if marks {
		for i := range in.watches {
			e.touch(&in.watches[i], node, c.Path, old, s.Get(c.Var))
		}
	}
}

// followColumns brings the columns that read a variable up to date on a node, and
// marks what asks for those that changed.
func (e *engine) followColumns(in *varInfo, node int, id history.VarID, marks bool) {
	for _, col := range in.columns {
		if !e.followColumn(col, node, id) || !marks {
			continue
		}
		for i := range col.watches {
			w := &col.watches[i]
			if w.plain {
				e.mark(mark{w.leaf, nil, e.nodeOf(w, node)})
			} else {
				e.markDep(w, nil, e.nodeOf(w, node))
			}
		}
	}
}

// touch marks what one change touches of one leaf.
func (e *engine) touch(w *watch, node int, path []event.Value, old, now event.Value) {
	at := e.nodeOf(w, node)
	if len(w.dep.Ref.Vars) > 1 {
		e.markDep(w, nil, at)
		return
	}
	if !onPath(w.steps[:w.fixed], path) {
		return
	}
	was, is := e.walk(old, w.steps[:w.fixed]), e.walk(now, w.steps[:w.fixed])
	switch {
	case !w.keyed:
		if was.Type() < event.TypeList && event.Equal(was, is) {
			return
		}
		e.markDep(w, nil, at)
	case w.dep.Slot >= 0 && was.IsAbsent() != is.IsAbsent():
		e.markDep(w, nil, at)
	case len(path) > w.fixed && (was.IsAbsent() || was.Type() == event.TypeMap):
		if onPath(leadingKeys(w.steps[min(w.fixed+1, len(w.steps)):]), path[w.fixed+1:]) {
			e.markDep(w, &path[w.fixed], at)
		}
	case e.isKeyed(w):
		e.markDep(w, nil, at)
	default:
		diffKeys(was, is, func(key event.Value) { e.markDep(w, &key, at) })
	}
}

// isKeyed reports whether a watch is of a variable that is kept by key: a state may
// not have what was in its map.
func (e *engine) isKeyed(w *watch) bool {
	return e.infos[w.dep.Ref.Vars[0].Var].keyed != nil
}

// nodeOf says where a change on a node must be looked at: there alone if the
// leaf reads the variable on the node of a slot, nowhere if it reads it for a
// constant.
func (e *engine) nodeOf(w *watch, node int) int {
	switch w.scope {
	case scopeNode:
		return node
	case scopeNone:
		return noNode
	}
	return allNodes
}

// scopeOf is where a change of what a leaf depends on must be looked at.
func scopeOf(l *plan.Leaf, d *plan.Dep) scope {
	switch l.Class {
	case plan.ClassOneNode:
		if d.Slot == l.Slots[0] {
			return scopeNode
		}
	case plan.ClassEachNode:
		if d.Slot == l.Each.Slot {
			return scopeNode
		}
	case plan.ClassJoin:
		switch {
		case l.Join.Kind == plan.JoinEnumerate || l.Join.Kind == plan.JoinTree:
		case d.Slot >= 0:
			return scopeNode
		case !slices.Contains(l.Join.Lone, d.Ref):
			return scopeNone
		}
	}
	return scopeAll
}

// leadingKeys is the steps up to the first that isn't a key.
func leadingKeys(steps []plan.Step) []plan.Step {
	for i := range steps {
		if steps[i].Kind != plan.StepKey {
			return steps[:i]
		}
	}
	return steps
}

// diffKeys calls f with the keys under which two maps or lists differ.
func diffKeys(a, b event.Value, f func(event.Value)) {
	if a.Type() != event.TypeMap || b.Type() != event.TypeMap {
		for i := range max(len(a.Members()), len(b.Members())) {
			f(event.Int(int64(i)))
		}
	}
	if a.AsMap() == b.AsMap() {
		return
	}
	for k, v := range a.AsMap().All() {
		if !event.Equal(v, b.AsMap().Get(k)) {
			f(k)
		}
	}
	for k := range b.AsMap().All() {
		if a.AsMap().Get(k).IsAbsent() {
			f(k)
		}
	}
}

// markDep marks the leaf of a watch: for the member or key alone if it is given.
func (e *engine) markDep(w *watch, key *event.Value, node int) {
	switch {
	case e.finds() && w.leaf == e.each.leaf:
		if key == nil {
			e.each.all = true
		} else if r := e.keys.find(*key); r != noKey {
			e.each.touch(r)
		}
	case w.leaf.Class == plan.ClassEachKey:
		k := e.shared[w.leaf.ID].keys
		if key == nil {
			k.all = true
		} else if !k.all {
			e.touchKey(w.leaf, k, *key)
		}
		e.markAgain(w, mark{w.leaf, nil, node})
	case key == nil && w.leaf.Shared:
		e.markAgain(w, mark{w.leaf, nil, node})
	case key == nil:
		for _, in := range e.insts {
			e.markAgain(w, mark{w.leaf, in, node})
		}
	default:
		if in := e.instanceOf(*key); in != nil {
			e.markAgain(w, mark{w.leaf, in, node})
		}
	}
}

// markAgain marks, and at the next cut once more if PREV or CHANGED is asked.
func (e *engine) markAgain(w *watch, m mark) {
	e.mark(m)
	if w.dep.Prev {
		e.echo = append(e.echo, m)
	}
}

func (e *engine) markAll(l *plan.Leaf, node int) {
	if l.Class == plan.ClassEachKey {
		e.shared[l.ID].keys.all = true
	}
	if l.Shared {
		e.mark(mark{l, nil, node})
		return
	}
	if e.finds() {
		e.each.all = true
	}
	for _, in := range e.insts {
		e.mark(mark{l, in, node})
	}
}

func (e *engine) state(l *plan.Leaf, in *instance) *leafState {
	if in != nil {
		return &in.leaves[l.ID]
	}
	return &e.shared[l.ID]
}

func (e *engine) mark(m mark) {
	s := e.state(m.leaf, m.inst)
	s.loose = s.loose || m.node == noNode
	switch {
	case s.stamp != e.cut:
		s.stamp, s.node = e.cut, m.node
		e.work = append(e.work, marked{m.leaf, m.inst})
	case s.node == m.node || m.node == noNode:
	case s.node == noNode:
		s.node = m.node
	default:
		s.node = allNodes
	}
}
