package rql

import (
	"slices"

	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/rql/plan"
)

// A keyedMark is a leaf that is to be decided anew, for the key alone, where one
// of these parts of its entries changes.
type keyedMark struct {
	leaf  *plan.Leaf
	scope scope
	parts uint64 // bit by part
	rows  bool   // the leaf goes over the keys of a map that is kept by key
}

// A routed is where a path leads that a Source has numbered.
type routed struct {
	row  keyRow // noKey: not known yet
	part int32
}

// makeMarks finds what is marked by changes below a map that is kept by key.
// Where all that looks at the variable goes by one key, they need no more than
// that; others take the long way through engine.touch.
func (e *engine) makeMarks(v *keyedVar) {
	in := &e.infos[v.id]
	v.direct = len(in.tallies) == 0 && len(v.parts) <= 64 &&
		!slices.ContainsFunc(in.columns, func(c *column) bool { return c.stats != nil || len(c.watches) > 0 })
	v.marks = v.marks[:0]
	for i := range in.watches {
		w := &in.watches[i]
		k, ok := e.keys.refs[w.dep.Ref]
		if v.direct = v.direct && ok && w.keyed && !w.dep.Prev; !v.direct {
			return
		}
		at := slices.IndexFunc(v.marks, func(m keyedMark) bool { return m.leaf == w.leaf && m.scope == w.scope })
		if at < 0 {
			at = len(v.marks)
			v.marks = append(v.marks, keyedMark{leaf: w.leaf, scope: w.scope, rows: e.keysIn(w.leaf) != nil})
		}
		if k.part >= 0 {
			v.marks[at].parts |= 1 << k.part
		}
	}
}

// write makes a change below a node's map, and marks what it touches; false where
// it must be made the long way.
func (e *engine) write(v *keyedVar, node int, c *history.Change) bool {
	t := e.keys
	if !t.lean || !v.direct || len(c.Path) == 0 || e.w.states[node].Get(v.id).Type() != event.TypeMap {
		return false
	}
	to := t.locate(v, c)
	if to.row == noKey {
		if c.Value.IsAbsent() {
			return true // of what isn't there
		}
		to.row = t.make(c.Path[0])
	}
	if to.part >= 0 && (len(c.Path) == 2 || !c.Value.IsAbsent()) {
		b := v.cells.open(to.row)
		if i, ok := b.find(node); ok {
			if v.cells.change(&b, i, int(to.part), &c.Value) {
				e.markRow(v, to.row, node, 1<<to.part, false)
			}
			return true
		}
	}
	t.entry(v, node, c.Path, c.Value)
	e.markRow(v, to.row, node, v.partsOf(c.Path), true)
	return true
}

// partsOf are the parts of an entry that a change may be of.
func (v *keyedVar) partsOf(path []event.Value) (parts uint64) {
	for p, name := range v.parts {
		if len(path) == 1 || name == "" || path[1].Type() == event.TypeString && path[1].AsString() == name {
			parts |= 1 << p
		}
	}
	return parts
}

// locate finds the row that a change is of, and the part if it is all that the
// change is of; else that is -1.
func (t *keyTable) locate(v *keyedVar, c *history.Change) routed {
	if t.routes != nil && c.Route != 0 {
		if int(c.Route) < len(t.routes) && t.routes[c.Route].row != noKey {
			return t.routes[c.Route]
		}
	}
	to := routed{row: t.find(c.Path[0]), part: -1}
	switch {
	case len(c.Path) == 1 && len(v.parts) == 1 && v.parts[0] == "":
		to.part = 0
	case len(c.Path) == 2 && c.Path[1].Type() == event.TypeString && !slices.Contains(v.parts, ""):
		to.part = int32(slices.Index(v.parts, c.Path[1].AsString()))
	}
	if t.routes != nil && c.Route != 0 && to.row != noKey {
		if n := int(c.Route) + 1 - len(t.routes); n > 0 {
			t.routes = append(t.routes, make([]routed, n)...)
		}
		t.routes[c.Route] = to
	}
	return to
}

// follows has the Routes of changes looked at, which all come from one Cursor
// until the next call.
func (e *engine) follows() {
	if e.keys != nil {
		e.keys.routes = make([]routed, 1, 64)
	}
}

// change is set, and reports whether the value is another.
func (c *keyedCells) change(b *block, i, part int, v *event.Value) bool {
	at := part*b.room + i
	if n, ok := v.AsInt(); ok && b.kind(at) == cellInt {
		was := b.w[b.cells+at]
		b.w[b.cells+at] = uint64(n)
		return was != uint64(n)
	}
	c.set(b, i, part, *v)
	return true
}

// markRow marks what the parts of a key's entries are looked at for. came says
// that the key may have come, or gone.
func (e *engine) markRow(v *keyedVar, r keyRow, node int, parts uint64, came bool) {
	for i := range v.marks {
		m := &v.marks[i]
		if m.parts&parts == 0 && (!came || m.leaf.Class != plan.ClassEachKey) {
			continue
		}
		at := allNodes
		switch m.scope {
		case scopeNode:
			at = node
		case scopeNone:
			at = noNode
		}
		if e.finds() && m.leaf == e.each.leaf {
			e.each.touch(r)
			continue
		}
		if m.leaf.Class != plan.ClassEachKey {
			if in := e.instanceAt(r); in != nil {
				e.mark(mark{m.leaf, in, at})
			}
			continue
		}
		switch k := e.shared[m.leaf.ID].keys; {
		case k.all:
		case m.rows:
			k.rows = append(k.rows, r)
		default:
			k.touch = append(k.touch, e.keys.keys[r])
		}
		e.mark(mark{m.leaf, nil, at})
	}
}
