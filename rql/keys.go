package rql

import (
	"math"
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
	texts   map[string]*keyRow // by key, where that is a text
	others  map[string]*keyRow // by type and JSON
	list    []*keyRow
	last    *keyRow // of the last text asked for: an event's key is asked for more than once
	sorted  int     // how many of list are in order
	lean    bool    // the states need not have the maps
	scratch *history.State
}

// A keyedVar is a variable whose entries are kept.
type keyedVar struct {
	id    history.VarID
	at    int      // among the vars
	parts []string // what is asked of an entry: a field, "" is the entry itself
	lists int      // nodes where it is a list, whose elements aren't kept
}

// A keyedRef is a path into a keyedVar.
type keyedRef struct {
	v     *keyedVar
	part  int // among its parts; -1 is the whole map, of KEYS
	local int // that the key is
}

// A keyRow is a key.
type keyRow struct {
	key   event.Value
	inst  *instance      // of FOR EACH, once it was looked up
	vars  []keyedEntries // by keyedVar
	truth []nodeTruth    // by Leaf.ID, of quantifiers over KEYS
}

// keyedEntries are a key's entries in one variable.
type keyedEntries struct {
	nodes []int32       // those that have one, ascending
	cells []cell        // by place in nodes and part
	vals  []event.Value // likewise; nil while cells say it all
}

// makeKeys finds the variables that can be kept by key.
func (e *engine) makeKeys(vars int) {
	if e.seesAll || e.q.UsesPrev || len(e.q.Leaves) == 0 {
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
	t := &keyTable{refs: map[*plan.Ref]keyedRef{}, texts: map[string]*keyRow{}, others: map[string]*keyRow{}, scratch: history.NewState()}
	for id := range vars {
		t.keep(e.q, history.VarID(id), whole)
	}
	if len(t.vars) == 0 {
		return
	}
	e.keys, e.rows = t, make([]*keyRow, len(e.locals))
	for _, v := range t.vars {
		e.infos[v.id].keyed = v
		for _, n := range e.w.nodes {
			if e.w.in(n) {
				t.load(v, n, e.w.get(n, int(v.id), false))
			}
		}
	}
}

// keep keeps a variable by key if all that the query asks of it goes by one.
func (t *keyTable) keep(q *plan.Query, id history.VarID, whole map[*plan.Ref]bool) {
	v := &keyedVar{id: id, at: len(t.vars)}
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
	if len(v.parts) == 0 {
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

// find returns a key's row, nil if there never was an entry under it.
func (t *keyTable) find(key event.Value) *keyRow {
	if key.Type() == event.TypeString {
		text := key.AsString()
		if t.last == nil || t.last.key.AsString() != text {
			t.last = t.texts[text]
		}
		return t.last
	}
	return t.others[key.Type().String()+string(key.AppendJSON(nil))]
}

func (t *keyTable) make(key event.Value) *keyRow {
	if r := t.find(key); r != nil {
		return r
	}
	r := &keyRow{key: key, vars: make([]keyedEntries, len(t.vars))}
	if key.Type() == event.TypeString {
		t.texts[key.AsString()] = r
	} else {
		t.others[key.Type().String()+string(key.AppendJSON(nil))] = r
	}
	t.list = append(t.list, r)
	return r
}

// all returns the rows in the order of their keys.
func (t *keyTable) all() []*keyRow {
	if t.sorted < len(t.list) {
		slices.SortFunc(t.list, func(a, b *keyRow) int { return event.Compare(a.key, b.key) })
		t.sorted = len(t.list)
	}
	return t.list
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

// load takes a node's map.
func (t *keyTable) load(v *keyedVar, node int, m event.Value) {
	if m.Type() == event.TypeList {
		v.lists++
	}
	for k, x := range m.AsMap().All() {
		t.put(v, t.make(k), node, x)
	}
}

func (t *keyTable) clear(v *keyedVar, node int) {
	for _, r := range t.list {
		t.put(v, r, node, event.Absent)
	}
}

// entry makes a change below a node's map.
func (t *keyTable) entry(v *keyedVar, node int, path []event.Value, val event.Value) {
	r := t.find(path[0])
	if r == nil {
		if val.IsAbsent() {
			return
		}
		r = t.make(path[0])
	}
	if len(path) == 1 {
		t.put(v, r, node, val)
		return
	}
	es := &r.vars[v.at]
	i, ok := slices.BinarySearch(es.nodes, int32(node))
	if !ok {
		if val.IsAbsent() {
			return
		}
		es.insert(i, node, len(v.parts))
	}
	for p, name := range v.parts {
		at := i*len(v.parts) + p
		switch {
		case name == "":
			es.set(at, t.changed(es.value(at), path[1:], val))
		case path[1].AsString() == name && path[1].Type() == event.TypeString:
			es.set(at, t.changed(es.value(at), path[2:], val))
		}
	}
}

// changed is a value after a change below it.
func (t *keyTable) changed(v event.Value, path []event.Value, val event.Value) event.Value {
	if len(path) == 0 {
		return val
	}
	t.scratch.Set(0, v)
	t.scratch.Apply(&history.Change{Path: path, Value: val})
	return t.scratch.Get(0)
}

// put sets a node's entry under a key; Absent takes it out.
func (t *keyTable) put(v *keyedVar, r *keyRow, node int, x event.Value) {
	es := &r.vars[v.at]
	i, ok := slices.BinarySearch(es.nodes, int32(node))
	switch {
	case x.IsAbsent() && ok:
		es.remove(i, len(v.parts))
	case x.IsAbsent():
		return
	case !ok:
		es.insert(i, node, len(v.parts))
	}
	if x.IsAbsent() {
		return
	}
	for p, name := range v.parts {
		if name == "" {
			es.set(i*len(v.parts)+p, x)
		} else {
			es.set(i*len(v.parts)+p, x.Field(name))
		}
	}
}

func (s *keyedEntries) insert(i, node, width int) {
	s.nodes = slices.Insert(s.nodes, i, int32(node))
	s.cells = slices.Insert(s.cells, i*width, make([]cell, width)...)
	if s.vals != nil {
		s.vals = slices.Insert(s.vals, i*width, make([]event.Value, width)...)
	}
}

func (s *keyedEntries) remove(i, width int) {
	s.nodes = slices.Delete(s.nodes, i, i+1)
	s.cells = slices.Delete(s.cells, i*width, (i+1)*width)
	if s.vals != nil {
		s.vals = slices.Delete(s.vals, i*width, (i+1)*width)
	}
}

func (s *keyedEntries) set(at int, v event.Value) {
	s.cells[at] = cellOf(v)
	if s.cells[at].kind == cellOther && s.vals == nil {
		s.vals = make([]event.Value, len(s.cells))
	}
	if s.vals != nil {
		s.vals[at] = v
	}
}

func (s *keyedEntries) value(at int) event.Value {
	if c := s.cells[at]; c.kind != cellOther {
		return c.value().v
	}
	return s.vals[at]
}

// keysOf is the set of the keys that a variable has on some node.
func (t *keyTable) keysOf(v *keyedVar) value {
	var keys []value
	for _, r := range t.list {
		if len(r.vars[v.at].nodes) > 0 {
			keys = append(keys, of(r.key))
		}
	}
	return setOf(keys)
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

// rowOf is the row of the key that a local is.
func (e *env) rowOf(local int) *keyRow {
	if r := e.rows[local]; r != nil {
		return r
	}
	key, _ := e.locals[local].shown()
	return e.keys.find(key)
}

// keyedValue is what a path has on a node; ok is false where the state must be
// asked.
func (e *env) keyedValue(r *plan.Ref, node int) (v event.Value, ok bool) {
	if e.keys == nil {
		return v, false
	}
	k, ok := e.keys.refs[r]
	if !ok || k.part < 0 || k.v.lists > 0 {
		return v, false
	}
	row := e.rowOf(k.local)
	if row == nil {
		return event.Absent, true
	}
	es := &row.vars[k.v.at]
	if i, has := slices.BinarySearch(es.nodes, int32(node)); has {
		return es.value(i*len(k.v.parts) + k.part), true
	}
	return event.Absent, true
}

// keyedCell compiles a path into a variable that is kept by key; nil if it isn't
// such.
func (c *compiler) keyedCell(x *plan.Var) numCode {
	k, ok := c.keyed(x.Ref)
	if !ok || x.Mode != plan.ModeValue {
		return nil
	}
	slot := x.Slot
	return func(e *env) cell {
		n := e.slots[slot]
		if n == none || k.v.lists > 0 {
			return giveUp
		}
		row := e.rowOf(k.local)
		if row == nil {
			return cell{}
		}
		es := &row.vars[k.v.at]
		i, has := slices.BinarySearch(es.nodes, int32(n))
		if !has {
			return cell{}
		}
		return es.cells[i*len(k.v.parts)+k.part]
	}
}

func (c *compiler) keyed(r *plan.Ref) (keyedRef, bool) {
	if c.keys == nil {
		return keyedRef{}, false
	}
	k, ok := c.keys.refs[r]
	return k, ok && k.part >= 0
}

// keyedAggregate compiles an aggregate over the copies of an entry.
func (c *compiler) keyedAggregate(x *plan.Agg) numCode {
	s, ok := x.Arg.(*plan.Spread)
	if !ok || s.Ref == nil || x.Distinct {
		return nil
	}
	k, ok := c.keyed(s.Ref)
	if !ok {
		return nil
	}
	var fold func(cells []cell, at, step int) cell
	switch x.Op {
	case plan.AggMin:
		fold = func(cells []cell, at, step int) cell { return extremeCell(cells, at, step, false) }
	case plan.AggMax:
		fold = func(cells []cell, at, step int) cell { return extremeCell(cells, at, step, true) }
	case plan.AggSum:
		fold = sumCell
	case plan.AggCount:
		fold = countCell
	default:
		return nil
	}
	return func(e *env) cell {
		row := e.rowOf(k.local)
		if row == nil || k.v.lists > 0 {
			return giveUp
		}
		return fold(row.vars[k.v.at].cells, k.part, len(k.v.parts))
	}
}

// extremeCell is the least or greatest of ints.
func extremeCell(cells []cell, at, step int, most bool) cell {
	best, some := int64(math.MaxInt64), false
	if most {
		best = math.MinInt64
	}
	for ; at < len(cells); at += step {
		switch c := cells[at]; c.kind {
		case cellAbsent:
		case cellInt:
			some = true
			if most {
				best = max(best, c.int())
			} else {
				best = min(best, c.int())
			}
		default:
			return giveUp
		}
	}
	if !some {
		return giveUp
	}
	return intCell(best)
}

func sumCell(cells []cell, at, step int) cell {
	total := intCell(0)
	for ; at < len(cells) && total.kind == cellInt; at += step {
		switch cells[at].kind {
		case cellAbsent:
		case cellInt:
			total = added(total, cells[at])
		default:
			return giveUp
		}
	}
	return total
}

func countCell(cells []cell, at, step int) cell {
	n := int64(0)
	for ; at < len(cells); at += step {
		if cells[at].kind != cellAbsent {
			n++
		}
	}
	return intCell(n)
}
