package rql

import (
	"slices"

	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/rql/plan"
)

// A keyTable keeps maps of which the query asks entry by entry, under a key that
// is the name of FOR EACH or of a quantifier: by key, what the entries of all
// nodes have. An event costs the copies of the keys that it writes, where walking
// the states would cost every node's map.
type keyTable struct {
	vars    []*keyedVar
	refs    map[*plan.Ref]keyedRef
	keys    []event.Value     // by keyRow
	texts   map[string]keyRow // by key, where that is a text
	others  map[string]keyRow // by type and JSON
	last    keyRow            // of the last text asked for: an event's key is asked for more than once
	order   []keyRow          // all rows, of which the first sorted ones are in order of their keys
	sorted  int
	insts   []*instance   // of FOR EACH, by keyRow, where it was looked up
	truth   [][]nodeTruth // by Leaf.ID and keyRow, of quantifiers over KEYS
	odd     bool          // some key is no text, or some node has a list in place of a map
	lean    bool          // the states need not have the maps
	routes  []routed      // by Route; nil: that isn't looked at
	scratch *history.State
}

// A keyRow is the place of a key in a table. That of noKey has no entries.
type keyRow int32

const (
	noKey    keyRow = 0
	askedFor keyRow = -1 // not looked up yet
)

// A keyedVar is a variable whose entries are kept.
type keyedVar struct {
	id    history.VarID
	parts []string // what is asked of an entry: a field, "" is the entry itself
	lists int      // nodes where it is a list, whose elements aren't kept
	cells keyedCells

	direct bool // all that looks at it goes by one key
	marks  []keyedMark
}

// A keyedRef is a path into a keyedVar.
type keyedRef struct {
	v     *keyedVar
	part  int // among its parts; -1 is the whole map, of KEYS
	local int // that the key is
}

// makeKeys finds the variables that can be kept by key.
func (e *engine) makeKeys(vars int) {
	if e.seesAll || e.q.UsesPrev || len(e.q.Leaves) == 0 || len(e.w.names) > nodesMax {
		return
	}
	whole := map[*plan.Ref]bool{}
	for _, x := range e.q.Expressions() {
		plan.Walk(x, func(x plan.Expr) bool {
			if a, ok := x.(*plan.Agg); ok && a.Op == plan.AggKeys {
				if s, ok := a.Arg.(*plan.Spread); ok && s.Ref != nil {
					whole[s.Ref] = true
				}
			}
			return true
		})
	}
	t := &keyTable{refs: map[*plan.Ref]keyedRef{}, texts: map[string]keyRow{}, others: map[string]keyRow{}, scratch: history.NewState(),
		keys: make([]event.Value, 1), insts: make([]*instance, 1), truth: make([][]nodeTruth, len(e.q.Leaves))}
	for id := range vars {
		t.keep(e.q, history.VarID(id), whole, len(e.w.names))
	}
	if len(t.vars) == 0 {
		return
	}
	e.keys, e.rows = t, slices.Repeat([]keyRow{askedFor}, len(e.locals))
	for _, v := range t.vars {
		e.infos[v.id].keyed = v
		e.makeMarks(v)
		v.cells = newKeyedCells(len(v.parts), len(e.w.names))
		for _, n := range e.w.nodes {
			if e.w.in(n) {
				t.load(v, n, e.w.get(n, int(v.id), false))
			}
		}
	}
}

// keep keeps a variable by key if all that the query asks of it goes by one.
func (t *keyTable) keep(q *plan.Query, id history.VarID, whole map[*plan.Ref]bool, nodes int) {
	v := &keyedVar{id: id}
	refs := map[*plan.Ref]keyedRef{}
	for _, r := range q.Refs {
		i := slices.IndexFunc(r.Vars, func(c plan.Candidate) bool { return c.Var == int(id) })
		if i < 0 || len(r.Steps) == 0 {
			continue
		}
		steps := r.Steps[r.Vars[i].Rest:]
		k := keyedRef{v: v, part: -1}
		switch {
		case len(r.Vars) > 1:
			return
		case len(steps) == 0 && whole[r]:
		case len(steps) == 0 || len(steps) > 2 || steps[0].Kind != plan.StepIndex:
			return
		default:
			l, ok := steps[0].Index.(*plan.Local)
			if !ok || len(l.Steps) > 0 {
				return
			}
			part := ""
			if len(steps) == 2 {
				if part = steps[1].Key.AsString(); steps[1].Kind != plan.StepKey || part == "" {
					return
				}
			}
			k.local, k.part = l.Index, v.part(part)
		}
		refs[r] = k
	}
	if len(v.parts) == 0 || len(v.parts)*nodes > nodesMax {
		return
	}
	t.vars = append(t.vars, v)
	for r, k := range refs {
		t.refs[r] = k
	}
}

func (v *keyedVar) part(name string) int {
	if i := slices.Index(v.parts, name); i >= 0 {
		return i
	}
	v.parts = append(v.parts, name)
	return len(v.parts) - 1
}

// find returns a key's row, noKey if there never was an entry under it.
func (t *keyTable) find(key event.Value) keyRow {
	if key.Type() == event.TypeString {
		text := key.AsString()
		if t.last == noKey || t.keys[t.last].AsString() != text {
			t.last = t.texts[text]
		}
		return t.last
	}
	return t.others[key.Type().String()+string(key.AppendJSON(nil))]
}

func (t *keyTable) make(key event.Value) keyRow {
	if r := t.find(key); r != noKey {
		return r
	}
	r := keyRow(len(t.keys))
	if key.Type() == event.TypeString {
		t.texts[key.AsString()] = r
	} else {
		t.others[key.Type().String()+string(key.AppendJSON(nil))] = r
	}
	if n := len(t.order); t.sorted == n && (n == 0 || event.Compare(t.keys[t.order[n-1]], key) < 0) {
		t.sorted++
	}
	t.keys = append(t.keys, key)
	t.odd = t.odd || key.Type() != event.TypeString
	t.insts = append(t.insts, nil)
	t.order = append(t.order, r)
	return r
}

// all returns the rows in the order of their keys.
func (t *keyTable) all() []keyRow {
	if t.sorted < len(t.order) {
		t.sort(t.order)
		t.sorted = len(t.order)
	}
	return t.order
}

// sort sorts rows by their keys.
func (t *keyTable) sort(rows []keyRow) {
	slices.SortFunc(rows, func(a, b keyRow) int { return event.Compare(t.keys[a], t.keys[b]) })
}

// apply makes a change of a variable that is kept by key, in the node's state too
// unless that needn't have it: there a map is empty then.
func (t *keyTable) apply(v *keyedVar, s *history.State, node int, c *history.Change, lean bool) {
	was := s.Get(c.Var)
	switch {
	case len(c.Path) > 0 && was.Type() == event.TypeMap:
		t.entry(v, node, c.Path, c.Value)
		if !lean {
			s.Apply(c)
		}
		return
	case was.Type() == event.TypeMap:
		t.clear(v, node)
	case was.Type() == event.TypeList:
		v.lists--
	}
	s.Apply(c)
	t.load(v, node, s.Get(c.Var))
	if lean && s.Get(c.Var).Type() == event.TypeMap {
		s.Set(c.Var, event.MapOf(nil))
	}
}

// load takes a node's map. Its keys are most likely those of the node before, in
// the order in which they have rows.
func (t *keyTable) load(v *keyedVar, node int, m event.Value) {
	if m.Type() == event.TypeList {
		v.lists++
		t.odd = true
	}
	next := keyRow(1)
	for k, x := range m.AsMap().All() {
		if int(next) >= len(t.keys) || k.Type() != event.TypeString || t.keys[next].Type() != event.TypeString || t.keys[next].AsString() != k.AsString() {
			next = t.make(k)
		}
		t.put(v, next, node, x)
		next++
	}
}

func (t *keyTable) clear(v *keyedVar, node int) {
	for _, r := range t.order {
		t.put(v, r, node, event.Absent)
	}
}

// entry makes a change below a node's map.
func (t *keyTable) entry(v *keyedVar, node int, path []event.Value, val event.Value) {
	r := t.find(path[0])
	if r == noKey {
		if val.IsAbsent() {
			return
		}
		r = t.make(path[0])
	}
	if len(path) == 1 {
		t.put(v, r, node, val)
		return
	}
	b := v.cells.open(r)
	i, ok := b.find(node)
	if !ok {
		if val.IsAbsent() {
			return
		}
		b = v.cells.insert(r, i, node)
	}
	for p, name := range v.parts {
		switch {
		case name == "":
			v.cells.set(&b, i, p, t.changed(v.cells.value(&b, i, p), path[1:], val))
		case path[1].AsString() != name || path[1].Type() != event.TypeString:
		case len(path) == 2:
			v.cells.set(&b, i, p, val)
		default:
			v.cells.set(&b, i, p, t.changed(v.cells.value(&b, i, p), path[2:], val))
		}
	}
}

// changed is a value after a change below it.
func (t *keyTable) changed(v event.Value, path []event.Value, val event.Value) event.Value {
	t.scratch.Set(0, v)
	t.scratch.Apply(&history.Change{Path: path, Value: val})
	return t.scratch.Get(0)
}

// put sets a node's entry under a key; Absent takes it out.
func (t *keyTable) put(v *keyedVar, r keyRow, node int, x event.Value) {
	b := v.cells.open(r)
	i, ok := b.find(node)
	switch {
	case x.IsAbsent() && ok:
		v.cells.remove(r, i)
		return
	case x.IsAbsent():
		return
	case !ok:
		b = v.cells.insert(r, i, node)
	}
	for p, name := range v.parts {
		if name == "" {
			v.cells.set(&b, i, p, x)
		} else {
			v.cells.set(&b, i, p, x.Field(name))
		}
	}
}

// keysOf is the set of the keys that a variable has on some node.
func (t *keyTable) keysOf(v *keyedVar) value {
	var keys []value
	for _, r := range t.order {
		if v.has(r) {
			keys = append(keys, of(t.keys[r]))
		}
	}
	return setOf(keys)
}

// has reports whether some node has an entry under a key.
func (v *keyedVar) has(r keyRow) bool {
	b := v.cells.open(r)
	return b.count > 0
}

// bare reports whether no node has anything under a key that the query asks for.
func (v *keyedVar) bare(r keyRow) bool {
	b := v.cells.open(r)
	return b.bare()
}

// setLean lets the states do without the maps that are kept by key, as soon as
// nothing looks for a path in them.
func (e *engine) setLean() {
	if e.keys == nil {
		return
	}
	e.keys.lean = true
	for _, v := range e.keys.vars {
		e.thin(v)
	}
}

// thin empties the maps of a variable in the states.
func (e *engine) thin(v *keyedVar) {
	if !e.keys.lean || e.sought[v.id] != nil {
		return
	}
	for _, n := range e.w.nodes {
		if e.w.in(n) && e.w.states[n].Get(v.id).Type() == event.TypeMap {
			e.w.states[n].Set(v.id, event.MapOf(nil))
		}
	}
}
