package rql_test

import (
	"cmp"
	"context"
	"errors"
	"io"
	"maps"
	"math"
	"math/big"
	"slices"

	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/hlc"
	"hindcast.dev/rql"
	"hindcast.dev/rql/syntax"
)

// The oracle answers cut queries by their definition: it keeps the whole state
// of every cut, tries every choice of nodes for the placeholders in order, and
// evaluates the syntax tree. It shares no code with checker and engine. Queries
// write every variable with its log inv.

// A snapshot is one cut, or what stands after a base.
type snapshot struct {
	event  *history.Event // nil of a tick
	time   hlc.Timestamp
	states []*history.State // by node, nil outside of the cut
	before []*history.State // just before the event
}

type oracle struct {
	meta    *history.Meta
	entries []snapshot    // every event and base
	*owalk                // for the member of FOR EACH that is asked
	timed   []syntax.Expr // every FOR and WITHIN of the query
	q       *syntax.Query
	looks   bool // the query names a variable
	holders []*holder
	byPath  map[*syntax.Path]*holder
	parent  map[int]int // groups that COMPUTE names joined
	compute map[string]syntax.Expr
	scopes  map[syntax.Expr]int // by operand of past time
}

// An owalk is the walk for a member of FOR EACH.
type owalk struct {
	cuts   []snapshot
	locals map[string]any
	truths map[truth]bool // of operands of past time
}

type truth struct {
	operand syntax.Expr
	cut     int
}

// A holder is a placeholder. Those of one group stand for one node.
type holder struct {
	n      int // 0 in SELECT
	path   *syntax.Path
	group  int
	scope  int  // the operand of past time that it is in; 0 is none
	each   bool // inside LINK EACH_NODE
	anyway bool // all nodes of the cut are candidates
}

func newOracle(src history.Source, q *syntax.Query) (*oracle, error) {
	o := &oracle{meta: src.Meta(), q: q, byPath: map[*syntax.Path]*holder{}, parent: map[int]int{},
		compute: map[string]syntax.Expr{}, scopes: map[syntax.Expr]int{}}
	cur, err := src.Walk(context.Background(), history.Begin, history.End, o.asked())
	if err != nil {
		return nil, err
	}
	defer cur.Close()
	states := cur.States()
	for {
		ev, err := cur.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if states[ev.Node] == nil {
			states[ev.Node] = history.NewState()
		}
		before := clone(states)
		states[ev.Node].ApplyAll(ev.Changes)
		o.entries = append(o.entries, snapshot{event: ev, time: ev.Time, states: clone(states), before: before})
	}
	o.number()
	syntax.Inspect(q, func(n syntax.Node) bool {
		p, ok := n.(*syntax.Path)
		o.looks = o.looks || ok && p.Log == "inv"
		return true
	})
	o.walk(nil)
	return o, nil
}

// asked are the nodes of AT NODES; nil are all.
func (o *oracle) asked() []int {
	if o.q.At == nil || len(o.q.At.Nodes) == 0 {
		return nil
	}
	var out []int
	for i := range o.meta.Nodes {
		if slices.ContainsFunc(o.q.At.Nodes, func(id *syntax.Ident) bool { return id.Name == o.meta.Nodes[i].Name }) {
			out = append(out, i)
		}
	}
	return out
}

// nodes are those asked.
func (o *oracle) nodes() []int {
	if asked := o.asked(); asked != nil {
		return asked
	}
	var all []int
	for i := range o.meta.Nodes {
		all = append(all, i)
	}
	return all
}

func clone(states []*history.State) []*history.State {
	out := make([]*history.State, len(states))
	for i := range states {
		if states[i] != nil {
			out[i] = states[i].Clone()
		}
	}
	return out
}

// number finds the placeholders of COMPUTE and WHEN.
func (o *oracle) number() {
	groups := 0
	newGroup := func() int { groups++; return groups }
	bindings := map[string][]*holder{}
	scopes, scope, numbers, selecting := 0, 0, 0, false
	var visit func(e syntax.Expr, set, anyway bool, group int, each bool)
	operand := func(x syntax.Expr) {
		outer := scope
		scopes++
		scope, o.scopes[x] = scopes, scopes
		visit(x, false, false, 0, false)
		scope = outer
	}
	visit = func(e syntax.Expr, set, anyway bool, group int, each bool) {
		scalar := func(x syntax.Expr) { visit(x, false, false, group, each) }
		switch e := e.(type) {
		case *syntax.Path:
			if e.Log == "inv" && !set && (!selecting || scope > 0) {
				h := &holder{path: e, group: group, each: each, anyway: anyway, scope: scope}
				if !selecting {
					numbers++
					h.n = numbers
				}
				if group == 0 {
					h.group = newGroup()
				}
				o.holders = append(o.holders, h)
				o.byPath[e] = h
			}
			for _, b := range bindings[e.Root()] {
				if group != 0 && !b.each {
					o.parent[o.find(b.group)] = o.find(group)
				}
			}
			for _, s := range e.Steps {
				if s.Index != nil {
					scalar(s.Index)
				}
			}
		case *syntax.Call:
			for i, a := range e.Args {
				switch e.Name {
				case "PRESENT", "CHANGED":
					visit(a, false, true, group, each)
				case "COALESCE":
					visit(a, false, i == 0, group, each)
				case "NODE":
				default:
					visit(a, setFunctions[e.Name] && len(e.Args) == 1, false, group, each)
				}
			}
		case *syntax.Past:
			if e.Within != nil {
				o.timed = append(o.timed, e)
			}
			operand(e.X)
		case *syntax.For:
			o.timed = append(o.timed, e)
			operand(e.X)
		case *syntax.Binary:
			if e.Op == syntax.Since {
				operand(e.L)
				operand(e.R)
				return
			}
			left := e.Op == syntax.Subset || e.Op == syntax.Union || e.Op == syntax.Intersect || e.Op == syntax.Except
			visit(e.L, left, false, group, each)
			visit(e.R, left || e.Op == syntax.In || e.Op == syntax.NotIn, false, group, each)
		case *syntax.Quantifier:
			visit(e.Set, true, false, group, each)
			scalar(e.Body)
		case *syntax.Link:
			visit(e.X, false, false, newGroup(), e.Each)
		case *syntax.Unary:
			scalar(e.X)
		case *syntax.SetLit:
			for _, x := range e.Elems {
				scalar(x)
			}
		case *syntax.Case:
			for _, w := range e.Whens {
				scalar(w.Cond)
				scalar(w.Then)
			}
			if e.Else != nil {
				scalar(e.Else)
			}
		}
	}
	for _, b := range o.q.Compute {
		before := len(o.holders)
		visit(b.X, false, false, 0, false)
		own := slices.DeleteFunc(slices.Clone(o.holders[before:]), func(h *holder) bool { return h.scope > 0 })
		syntax.Inspect(b.X, func(n syntax.Node) bool {
			if p, ok := n.(*syntax.Path); ok {
				own = append(own, bindings[p.Root()]...)
			}
			return true
		})
		bindings[b.Name.Name] = own
		o.compute[b.Name.Name] = b.X
	}
	if o.q.When != nil {
		visit(o.q.When.Cond, false, false, 0, false)
	}
	selecting = true
	for _, it := range o.q.Items {
		visit(it.X, false, false, 0, false)
	}
}

var setFunctions = map[string]bool{"MIN": true, "MAX": true, "SUM": true, "AVG": true, "COUNT": true, "VALUES": true,
	"NODES": true, "KEYS": true, "FLATTEN": true}

func (o *oracle) find(g int) int {
	for o.parent[g] != 0 && o.parent[g] != g {
		g = o.parent[g]
	}
	return g
}

// An oenv is a choice at a cut.
type oenv struct {
	o      *oracle
	w      *owalk
	cut    int
	lasted any                  // DURATION() of the row
	group  *ogroup              // whose item is evaluated
	node   map[*syntax.Path]int // -1: no candidate
	shown  int                  // the node that an item of SELECT is shown for, or -1
	locals map[string]any
	leave  bool
}

// variable is what a path leads to on a node now.
func (v *oenv) variable(p *syntax.Path, node, steps int) event.Value {
	return v.from(v.w.cuts[v.cut].states[node], p, steps)
}

func (v *oenv) from(state *history.State, p *syntax.Path, steps int) event.Value {
	name := p.Log
	var val event.Value
	rest := p.Steps[:steps]
	for i, s := range rest {
		if s.Kind != syntax.StepField {
			break
		}
		name += "." + s.Name
		if id, ok := v.o.meta.VarID(name); ok {
			if x := state.Get(id); !x.IsAbsent() {
				val, rest = x, p.Steps[i+1:steps]
			}
		}
	}
	for _, s := range rest {
		val = val.Index(v.key(s))
	}
	return val
}

func (v *oenv) key(s syntax.Step) event.Value {
	if s.Kind == syntax.StepField {
		return event.String(s.Name)
	}
	return back(v.eval(s.Index))
}

// ranges reports whether a placeholder may stand for a node.
func (v *oenv) ranges(p *syntax.Path, node int) bool {
	steps := len(p.Steps)
	for i, s := range p.Steps {
		if s.Kind == syntax.StepIndex {
			_, text := s.Index.(*syntax.String)
			if _, number := s.Index.(*syntax.Int); !text && !number {
				steps = i
				break
			}
		}
	}
	return !v.variable(p, node, steps).IsAbsent()
}

func (v *oenv) in(node int) bool { return v.w.cuts[v.cut].states[node] != nil }

// candidates are the nodes that a group may stand for.
func (v *oenv) candidates(group int) []int {
	var out []int
	for _, n := range v.o.nodes() {
		ok := v.in(n)
		for _, h := range v.o.holders {
			if !h.each && v.o.find(h.group) == group && !h.anyway && ok {
				ok = v.ranges(h.path, n)
			}
		}
		if ok {
			out = append(out, n)
		}
	}
	if out == nil {
		out = []int{-1}
	}
	return out
}

// choose tries every choice for the placeholders of a scope in order and returns
// the first that satisfies the condition; nil is one that always holds.
func (v *oenv) choose(i, scope int, cond syntax.Expr, groups map[int]int) bool {
	if i == len(v.o.holders) {
		return cond == nil || v.eval(cond) == true
	}
	h := v.o.holders[i]
	if h.each || h.scope != scope {
		return v.choose(i+1, scope, cond, groups)
	}
	g := v.o.find(h.group)
	if n, ok := groups[g]; ok {
		v.node[h.path] = n
		return v.choose(i+1, scope, cond, groups)
	}
	for _, n := range v.candidates(g) {
		groups[g] = n
		v.node[h.path] = n
		if v.choose(i+1, scope, cond, groups) {
			return true
		}
	}
	delete(groups, g)
	return false
}

func (w *owalk) env(o *oracle, cut int) *oenv {
	return &oenv{o: o, w: w, cut: cut, node: map[*syntax.Path]int{}, shown: -1, locals: w.locals}
}

func (o *oracle) env(cut int) *oenv { return o.owalk.env(o, cut) }

// at returns the environment of a cut with its witness, nil if it doesn't match.
func (o *oracle) at(cut int) *oenv {
	v := o.env(cut)
	var cond syntax.Expr
	if o.q.When != nil {
		cond = o.q.When.Cond
	}
	if v.choose(0, 0, cond, map[int]int{}) {
		return v
	}
	return nil
}

// An orow is a row with the choice at its first cut.
type orow struct {
	*rql.Row
	v *oenv
}

// rows answers the query.
func (o *oracle) rows() []*rql.Row {
	var all []orow
	for _, m := range o.members() {
		o.walk(m)
		rows := o.runs()
		for i := range rows {
			o.finish(&rows[i], m)
		}
		all = append(all, rows...)
	}
	slices.SortStableFunc(all, func(a, b orow) int {
		if a.From == b.From && a.Each != nil {
			return cmp.Or(order(lift(a.Each.Value), lift(b.Each.Value)), event.Compare(a.Each.Value, b.Each.Value))
		}
		return cmp.Compare(a.From, b.From)
	})
	var out []*rql.Row
	if len(o.q.GroupBy) > 0 {
		out = o.groups(all)
	} else {
		for _, r := range all {
			out = append(out, r.Row)
		}
	}
	if l := o.q.Limit; l != nil && int64(len(out)) > l.N {
		out = out[:l.N]
	}
	return out
}

// runs are the rows of a walk.
func (o *oracle) runs() (out []orow) {
	first, last := o.timeRange()
	var open *rql.Row
	for cut := first; cut <= last; cut++ {
		v := o.at(cut)
		switch {
		case v != nil && open != nil && o.q.Emit <= syntax.EmitIntervals:
			open.Cuts++
		case v != nil && (open == nil || o.q.Emit == syntax.EmitCuts):
			open = o.row(v)
			if o.q.Emit != syntax.EmitLeave {
				out = append(out, orow{open, v})
			}
		case v == nil && open != nil:
			if o.q.Emit == syntax.EmitLeave {
				leave := o.env(cut)
				leave.leave = true
				out = append(out, orow{o.row(leave), leave})
			}
			open = nil
		}
		if open != nil && o.q.Emit <= syntax.EmitIntervals {
			o.ends(open, cut)
		}
	}
	return out
}

// finish shows what a row shows, when its end is known.
func (o *oracle) finish(r *orow, member any) {
	to := r.To
	if r.Open {
		to = o.cuts[len(o.cuts)-1].time
	}
	r.Incomplete = o.missing(o.sight(r), cmp.Or(r.To, hlc.Max))
	r.v.lasted = float64(to.Ticks()-r.From.Ticks()) / hlc.TicksPerSecond
	if o.q.ForEach != nil {
		r.Each = &rql.Field{Name: o.q.ForEach.Name.Name, Value: back(member)}
	}
	if len(o.q.GroupBy) > 0 {
		return
	}
	for _, it := range o.q.Items {
		r.Values = append(r.Values, o.item(r.v, it.Name(), it.X))
	}
}

// ends makes a row last until the cut after the given one.
func (o *oracle) ends(r *rql.Row, cut int) {
	r.Open, r.To = true, 0
	if cut+1 < len(o.cuts) {
		r.Open, r.To = false, o.cuts[cut+1].time
	}
}

func (o *oracle) timeRange() (first, last int) {
	first, last = 0, len(o.cuts)-1
	if o.q.OnTime == nil {
		return first, last
	}
	from := o.instant(o.q.OnTime.From)
	to := from
	if o.q.OnTime.To != nil {
		to = o.instant(o.q.OnTime.To)
	}
	upTo := func(t hlc.Timestamp) int {
		n := -1
		for i := range o.cuts {
			if o.cuts[i].time <= t {
				n = i
			}
		}
		return n
	}
	return max(upTo(from), 0), upTo(to)
}

// instant is a time of the query.
func (o *oracle) instant(t *syntax.Time) hlc.Timestamp {
	base := t.At
	switch t.Base {
	case syntax.BaseStart: // of a node with events, the base if it has one
		for _, e := range slices.Backward(o.entries) {
			if o.meta.Nodes[e.event.Node].Events > 0 {
				base = e.time
			}
		}
	case syntax.BaseEnd:
		for _, e := range o.entries {
			if !e.event.Base {
				base = e.time
			}
		}
	case syntax.BaseNow:
		base = oracleNow
	}
	return base.Add(t.Offset)
}

const oracleNow = hlc.Timestamp(110 << 16)

// members are what the collection of FOR EACH ever has, in order.
func (o *oracle) members() []any {
	if o.q.ForEach == nil {
		return []any{nil}
	}
	var all []any
	o.walk(nil)
	for cut := range o.cuts {
		ms, _ := o.env(cut).set(o.q.ForEach.Set)
		for _, m := range ms { // of equal ones the first
			if !slices.ContainsFunc(all, func(x any) bool { return order(x, m) == 0 }) {
				all = append(all, m)
			}
		}
	}
	slices.SortFunc(all, order)
	return all
}

// row begins a row.
func (o *oracle) row(v *oenv) *rql.Row {
	r := &rql.Row{From: o.cuts[v.cut].time, Cuts: 1}
	if ev := o.cuts[v.cut].event; ev != nil {
		r.Event = rql.EventRef{Node: o.meta.Nodes[ev.Node].Name, Seq: ev.Seq}
	}
	o.ends(r, v.cut)
	for _, h := range o.holders {
		if n, ok := v.node[h.path]; ok && n >= 0 && !h.each && h.scope == 0 && !v.leave {
			r.Witness = append(r.Witness, rql.Witness{Holder: h.n, Node: o.meta.Nodes[n].Name})
		}
	}
	return r
}

// item shows an expression of SELECT.
func (o *oracle) item(v *oenv, name string, e syntax.Expr) rql.Cell {
	c := rql.Cell{Name: name}
	paths := selectPaths(e, false)
	if len(paths) == 0 {
		c.Value = back(v.eval(e))
		return c
	}
	_, bare := e.(*syntax.Path)
	c.PerNode = true
	for _, n := range o.nodes() {
		ok := v.in(n)
		for p, anyway := range paths {
			ok = ok && (anyway || v.ranges(p, n))
		}
		if !ok {
			continue
		}
		v.shown = n
		x := back(v.eval(e))
		v.shown = -1
		if !bare || !x.IsAbsent() {
			c.Nodes = append(c.Nodes, rql.Field{Name: o.meta.Nodes[n].Name, Value: x})
		}
	}
	return c
}

// selectPaths are the variables in scalar position of an item; true: those of
// PRESENT and the like.
func selectPaths(e syntax.Expr, anyway bool) map[*syntax.Path]bool {
	out := map[*syntax.Path]bool{}
	add := func(x syntax.Expr, anyway bool) {
		if x != nil {
			maps.Copy(out, selectPaths(x, anyway))
		}
	}
	set := func(x syntax.Expr) { // a path there is a collection
		if p, ok := x.(*syntax.Path); ok {
			x = &syntax.Path{Steps: p.Steps}
		}
		add(x, false)
	}
	switch e := e.(type) {
	case *syntax.Path:
		if e.Log == "inv" {
			out[e] = anyway
		}
		for _, s := range e.Steps {
			add(s.Index, false)
		}
	case *syntax.Binary:
		l, r := add, add
		switch e.Op {
		case syntax.Since:
			return out
		case syntax.In, syntax.NotIn:
			r = func(x syntax.Expr, _ bool) { set(x) }
		case syntax.Subset, syntax.Union, syntax.Intersect, syntax.Except:
			l = func(x syntax.Expr, _ bool) { set(x) }
			r = l
		}
		l(e.L, false)
		r(e.R, false)
	case *syntax.Unary:
		add(e.X, false)
	case *syntax.SetLit:
		for _, x := range e.Elems {
			add(x, false)
		}
	case *syntax.Case:
		for _, w := range e.Whens {
			add(w.Cond, false)
			add(w.Then, false)
		}
		add(e.Else, false)
	case *syntax.Quantifier:
		set(e.Set)
		add(e.Body, false)
	case *syntax.Link:
		add(e.X, false)
	case *syntax.Call:
		for i, a := range e.Args {
			switch {
			case setFunctions[e.Name] && len(e.Args) == 1:
				set(a)
			case e.Name != "NODE":
				add(a, e.Name == "PRESENT" || e.Name == "CHANGED" || e.Name == "COALESCE" && i == 0)
			}
		}
	}
	return out
}

// back makes an event.Value of what eval gives, Absent of what doesn't fit.
func back(x any) event.Value {
	switch x := x.(type) {
	case *big.Int:
		if x.IsInt64() {
			return event.Int(x.Int64())
		}
		if x.IsUint64() {
			return event.Uint(x.Uint64())
		}
		return event.Absent
	case float64:
		return event.Float(x)
	case bool:
		return event.Bool(x)
	case string:
		return event.String(x)
	case event.Value:
		return x
	case []any:
		var ms []event.Value
		for _, m := range x {
			v := back(m)
			if v.IsAbsent() {
				return v
			}
			ms = append(ms, v)
		}
		return event.Set(ms...)
	}
	return event.Absent
}

// lift is the other way: ⊥ is nil, numbers are *big.Int and float64, sets []any.
func lift(v event.Value) any {
	switch v.Type() {
	case event.TypeAbsent:
		return nil
	case event.TypeInt:
		n, _ := v.AsInt()
		return big.NewInt(n)
	case event.TypeUint:
		n, _ := v.AsUint()
		return new(big.Int).SetUint64(n)
	case event.TypeFloat:
		f, _ := v.AsFloat()
		return f
	case event.TypeBool:
		return v.AsBool()
	case event.TypeString:
		return v.AsString()
	case event.TypeSet:
		out := []any{}
		for _, m := range v.Members() {
			out = append(out, lift(m))
		}
		return out
	}
	return v
}

func isNaN(x any) bool {
	f, ok := x.(float64)
	return ok && math.IsNaN(f)
}
