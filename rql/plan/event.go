package plan

import (
	"slices"

	"hindcast.dev/rql/syntax"
)

// An EventQuery is a checked event query. Its inputs form a tree: the events of
// each but the first are joined to those of their parent, which they happened
// before.
type EventQuery struct {
	Pos     syntax.Pos
	Explain bool
	Inputs  []EventInput // a parent comes before its children
	Written []int        // indices of Inputs as the text has them
	Fields  []EventField
	Let     []EventLet
	Where   []EventFilter // all must hold
	// Grouped queries give a row for each group, by key; they have Keys or Aggs.
	Grouped  bool
	Keys     []EventKey
	Explicit bool // GROUP BY is written
	Aggs     []EventAgg
	Items    []EventItem
	OnTime   *syntax.Range
	Limit    int64 // -1 without LIMIT
	Locals   int   // values that expressions read by plan.Local
	// Equalities is as in Query.
	Equalities int
}

// An EventInput is what FROM or a JOIN reads.
type EventInput struct {
	Name     string
	Pos      syntax.Pos // of what it reads
	Event    string     // which events; empty with Query
	EventPos syntax.Pos // where that is written
	Query    *EventQuery
	Keep     syntax.Keep
	N        int64 // how many are kept; 1 for FIRST and MOSTRECENT
	Parent   int   // -1 for the first
	Kids     []int
	// Along says that only what led to the parent's event along links counts.
	Along  bool
	Fields []int // indices into EventQuery.Fields
}

// Limited reports whether only N of the events that happened before are joined.
func (in *EventInput) Limited() bool { return in.Keep != syntax.KeepAll }

// First reports whether these are the first ones, not the last.
func (in *EventInput) First() bool {
	return in.Keep == syntax.KeepFirst || in.Keep == syntax.KeepFirstN
}

// An EventField is a part of an event that the query reads.
type EventField struct {
	Input   int
	Pos     syntax.Pos
	Key     string  // of the payload; empty if only Builtin counts
	Builtin Builtin // where the payload lacks Key; NoBuiltin: ⊥
	Column  int     // of a sub-query: which item; else -1
	Local   int     // where its value goes
}

// A Builtin is what every event has.
type Builtin int

// What every event has.
const (
	NoBuiltin Builtin = iota
	BuiltinNode
	BuiltinTime
	BuiltinTimestamp // the clock's physical part, in seconds since 1970
	BuiltinSeq
	BuiltinKind
	BuiltinName
	BuiltinID
	BuiltinPeer
	BuiltinMachine
	BuiltinPhysical
	BuiltinData // the whole payload
)

// builtins are the fields of an event by name. host, procName and timestamp are
// what Pivot Tracing calls them.
var builtins = map[string]Builtin{"node": BuiltinNode, "host": BuiltinNode, "procName": BuiltinNode, "time": BuiltinTime,
	"timestamp": BuiltinTimestamp, "seq": BuiltinSeq, "kind": BuiltinKind, "name": BuiltinName, "id": BuiltinID,
	"peer": BuiltinPeer, "machine": BuiltinMachine, "physical": BuiltinPhysical}

// BuiltinNames are the fields that every event has, sorted.
func BuiltinNames() []string { return keys(builtins) }

// An EventLet is a name of LET.
type EventLet struct {
	Name  string
	X     Expr
	After int // its value is known when this input and those before it are bound
	Local int
}

// An EventFilter is one of the conditions that WHERE joins by AND.
type EventFilter struct {
	X     Expr
	After int // as of EventLet
	// Only says that it speaks of the event of input After alone.
	Only bool
}

// An EventKey is a key of GROUP BY, or an item of SELECT that takes its place.
type EventKey struct {
	Name    string
	X       Expr
	Local   int
	written syntax.Expr
	text    string
}

// An EventAgg is an aggregate over joined events.
type EventAgg struct {
	Fold       // its Arg only tells COUNT(*) from others
	X     Expr // nil for COUNT(*)
	Local int
}

// An EventItem is what SELECT shows: an expression, or with Star the payloads of
// the inputs.
type EventItem struct {
	Name string
	X    Expr
	Star []StarField
	path string // the last name of a path, "" if it is none
}

// A StarField is an input whose payload * shows.
type StarField struct {
	Name string
	X    Expr
}

// CompileEvent checks an event query. Its error is a *syntax.Error.
func CompileEvent(s *Schema, q *syntax.EventQuery) (out *EventQuery, err error) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case *syntax.Error:
			out, err = nil, r
		default:
			panic(r)
		}
	}()
	return compileEvent(s, q), nil
}

// An events is what the checker knows of an event query.
type events struct {
	*checker
	q      *EventQuery
	inputs map[string]int // by name
	order  []int          // as written → index into Inputs
	lets   map[string]int
	mode   eventMode
	// seen and deep are of the expression that is being checked: the inputs that it
	// reads, the last input on which it waits.
	seen map[int]bool
	deep int
}

// eventMode is what an expression of an event query may speak of.
type eventMode int

const (
	modeTuple eventMode = iota // joined events
	modeGroup                  // keys of groups, and aggregates
	modeAgg                    // joined events, within an aggregate
)

func compileEvent(s *Schema, q *syntax.EventQuery) *EventQuery {
	c := newChecker(s)
	ev := &events{checker: c, q: &EventQuery{Pos: q.Pos, Explain: q.Explain, Limit: -1, OnTime: q.OnTime}, inputs: map[string]int{}, lets: map[string]int{}}
	c.events = ev
	ev.joins(q)
	for _, b := range q.Let {
		ev.let(b)
	}
	if q.Where != nil {
		ev.where(q.Where)
	}
	ev.grouping(q)
	for _, it := range q.Items {
		ev.item(it)
	}
	checkRange(q.OnTime)
	if first := &ev.q.Inputs[0]; q.OnTime != nil && first.Query != nil && first.Query.Grouped {
		fail(q.OnTime.Pos, "write it within the brackets", "ON TIME chooses events, and %s has groups of them", first.Name)
	}
	if q.Limit != nil {
		ev.q.Limit = q.Limit.N
	}
	ev.q.Locals, ev.q.Equalities = c.out.Locals, c.out.Equalities
	return ev.q
}

// let checks a name of LET.
func (ev *events) let(b *syntax.Binding) {
	name := b.Name.Name
	if _, twice := ev.lets[name]; twice {
		fail(b.Pos, "", "LET names %s twice", name)
	}
	if _, taken := ev.inputs[name]; taken {
		fail(b.Pos, "", "%s is the name of events already", name)
	}
	x := ev.expr(b.X)
	ev.lets[name] = len(ev.q.Let)
	ev.q.Let = append(ev.q.Let, EventLet{Name: name, X: x, After: ev.deep, Local: ev.newLocal()})
}

// expr checks an expression over joined events; seen and deep tell of it then.
func (ev *events) expr(e syntax.Expr) Expr {
	ev.seen, ev.deep = map[int]bool{}, 0
	return ev.scalar(e)
}

// where takes the conditions that AND joins one by one.
func (ev *events) where(e syntax.Expr) {
	if b, ok := e.(*syntax.Binary); ok && b.Op == syntax.And {
		ev.where(b.L)
		ev.where(b.R)
		return
	}
	ev.seen, ev.deep = map[int]bool{}, 0
	x := ev.condition(e, "WHERE")
	ev.q.Where = append(ev.q.Where, EventFilter{X: x, After: ev.deep, Only: len(ev.seen) == 1 && ev.seen[ev.deep]})
}

// grouping finds the keys: those of GROUP BY, or where SELECT has an aggregate
// without it, the items that have none.
func (ev *events) grouping(q *syntax.EventQuery) {
	keys := map[string]bool{}
	add := func(e syntax.Expr, name string) {
		text := syntax.Print(e)
		if keys[text] {
			return
		}
		keys[text] = true
		x := ev.expr(e)
		ev.q.Keys = append(ev.q.Keys, EventKey{Name: name, X: x, Local: ev.newLocal(), written: e, text: text})
	}
	for i, e := range q.GroupBy {
		name := syntax.Print(e)
		if i < len(q.GroupText) {
			name = q.GroupText[i]
		}
		add(ev.ofItem(q, e), name)
	}
	ev.q.Explicit = len(q.GroupBy) > 0
	ev.q.Grouped = ev.q.Explicit || slices.ContainsFunc(q.Items, func(it *syntax.Item) bool { return !it.Star && hasAggregate(it.X) })
	if ev.q.Explicit || !ev.q.Grouped {
		return
	}
	for _, it := range q.Items {
		if !it.Star && !hasAggregate(it.X) && !constant(it.X) {
			add(it.X, it.Name())
		}
	}
}

// ofItem is the item that a key names, or the key.
func (ev *events) ofItem(q *syntax.EventQuery, e syntax.Expr) syntax.Expr {
	p, ok := e.(*syntax.Path)
	if !ok {
		return e
	}
	name, bare := p.Bare()
	_, input := ev.inputs[name]
	if _, let := ev.lets[name]; !bare || input || let {
		return e
	}
	for _, it := range q.Items {
		if it.As != nil && it.As.Name == name {
			return it.X
		}
	}
	return e
}

// overTuples are the functions that, of one argument, go over joined events.
var overTuples = map[string]bool{"MIN": true, "MAX": true, "SUM": true, "AVG": true, "COUNT": true, "VALUES": true}

func isAggregate(n syntax.Node) bool {
	c, ok := n.(*syntax.Call)
	return ok && overTuples[c.Name] && (c.Star || len(c.Args) == 1)
}

func hasAggregate(e syntax.Expr) bool {
	found := false
	syntax.Inspect(e, func(n syntax.Node) bool {
		found = found || isAggregate(n)
		return !found
	})
	return found
}

// constant reports whether an expression speaks of no event.
func constant(e syntax.Expr) bool {
	found := false
	syntax.Inspect(e, func(n syntax.Node) bool {
		_, path := n.(*syntax.Path)
		found = found || path
		return !found
	})
	return !found
}

// item checks an item of SELECT.
func (ev *events) item(it *syntax.Item) {
	out := EventItem{Name: it.Name()}
	if slices.ContainsFunc(ev.q.Items, func(o EventItem) bool { return o.Name == out.Name }) {
		fail(it.Pos, "give one of them a name with AS", "SELECT names %s twice", out.Name)
	}
	switch {
	case it.Star:
		ev.star(it, &out)
	case ev.q.Grouped:
		ev.mode = modeGroup
		out.X = ev.expr(it.X)
		ev.mode = modeTuple
	default:
		out.X = ev.expr(it.X)
	}
	if p, ok := it.X.(*syntax.Path); ok && it.As == nil {
		if last := p.Steps[len(p.Steps)-1]; last.Kind == syntax.StepField {
			out.path = last.Name
		}
	}
	ev.q.Items = append(ev.q.Items, out)
}

// star is * or name.*: the payloads of all inputs, or of one.
func (ev *events) star(it *syntax.Item, out *EventItem) {
	if ev.q.Grouped {
		fail(it.Pos, "name the keys and aggregates", "SELECT %s can't show a group, which has many events", out.Name)
	}
	for i := range ev.q.Inputs {
		in := &ev.q.Inputs[ev.order[i]]
		if it.Log == nil || it.Log.Name == in.Name {
			out.Star = append(out.Star, StarField{in.Name, ev.whole(ev.order[i], it.Pos)})
		}
	}
	if out.Star == nil {
		ev.unknownName(it.Log.Name, it.Log.Pos)
	}
}

// special checks what means something else in an event query than in a cut
// query; nil is left to the checker.
func (ev *events) special(e syntax.Expr) Expr {
	if ev.mode == modeGroup {
		if x := ev.key(e); x != nil {
			return x
		}
	}
	switch e := e.(type) {
	case *syntax.Link:
		fail(e.Pos, "an event is on one node: name.node is its name", "LINK is of cut queries")
	case *syntax.Past:
		fail(e.Pos, "what was before is joined by JOIN … ON a -> b", "%s is of cut queries", e.Op)
	case *syntax.For:
		fail(e.Pos, "", "FOR a duration is of cut queries")
	case *syntax.Placeholder:
		fail(e.Pos, "name the event's field", "$%d is of cut queries", e.N)
	case *syntax.Binary:
		if e.Op == syntax.Since {
			fail(e.Pos, "what was before is joined by JOIN … ON a -> b", "SINCE is of cut queries")
		}
		if e.Op == syntax.Sub {
			l := ev.scalar(e.L)
			return &Call{Pos: e.Pos, Func: FuncMinus, Args: []Expr{l, ev.scalar(e.R)}}
		}
	case *syntax.Call:
		return ev.function(e)
	}
	return nil
}

// FuncMinus is the Func of a Call that subtracts numbers, or times: that gives
// seconds.
const FuncMinus = "-"

// ofCuts are the functions that speak of nodes and cuts, with what to write in
// their place.
var ofCuts = map[string]string{"TIME": "an event's time is name.time", "NODE": "an event's node is name.node", "NODES": "write VALUES(name.node)",
	"PRESENT": "write COALESCE(name.field, …)", "PREV": "", "CHANGED": "", "DURATION": "the difference of two times is in seconds"}

// function checks aggregates; other functions are left to the checker.
func (ev *events) function(e *syntax.Call) Expr {
	if hint, bad := ofCuts[e.Name]; bad {
		fail(e.Pos, hint, "%s is of cut queries", e.Name)
	}
	if !isAggregate(e) {
		if e.Star {
			fail(e.Pos, "", "%s can't be asked of *", e.Name)
		}
		return nil
	}
	switch {
	case ev.mode == modeTuple:
		fail(e.Pos, "an aggregate goes over the joined events: write it in SELECT", "%s can't stand in LET, WHERE or GROUP BY", e.Name)
	case ev.mode == modeAgg:
		fail(e.Pos, "", "an aggregate inside an aggregate")
	case e.Star && e.Name != "COUNT":
		fail(e.Pos, "", "%s can't be asked of *", e.Name)
	case e.Distinct && e.Name != "SUM" && e.Name != "COUNT":
		fail(e.Pos, "", "DISTINCT goes with SUM and COUNT, not with %s", e.Name)
	}
	a := EventAgg{Fold: Fold{Pos: e.Pos, Op: functions[e.Name].agg, Distinct: e.Distinct}}
	if !e.Star && !(e.Name == "COUNT" && !e.Distinct && ev.isEvent(e.Args[0])) {
		ev.mode = modeAgg
		a.X, a.Arg = ev.scalar(e.Args[0]), &Late{}
		ev.mode = modeGroup
	}
	a.Local = ev.newLocal()
	ev.q.Aggs = append(ev.q.Aggs, a)
	return &Local{Pos: e.Pos, Name: e.Name, Index: a.Local}
}

// isEvent reports whether an expression is the name of joined events: COUNT(a)
// counts them.
func (ev *events) isEvent(e syntax.Expr) bool {
	p, ok := e.(*syntax.Path)
	if !ok {
		return false
	}
	name, bare := p.Bare()
	i, known := ev.inputs[name]
	return bare && known && ev.q.Inputs[i].Query == nil
}

// key returns the key that an expression is.
func (ev *events) key(e syntax.Expr) Expr {
	text := ""
	for i := range ev.q.Keys {
		k := &ev.q.Keys[i]
		if !alike(k.written, e) {
			continue
		}
		if text == "" {
			text = syntax.Print(e)
		}
		if k.text == text {
			return &Local{Pos: e.Position(), Name: k.Name, Index: k.Local}
		}
	}
	return nil
}

// alike is a quick look at whether two expressions may have one text.
func alike(a, b syntax.Expr) bool {
	switch a := a.(type) {
	case *syntax.Path:
		b, ok := b.(*syntax.Path)
		return ok && a.Log == b.Log && len(a.Steps) == len(b.Steps)
	case *syntax.Binary:
		b, ok := b.(*syntax.Binary)
		return ok && a.Op == b.Op
	case *syntax.Call:
		b, ok := b.(*syntax.Call)
		return ok && a.Name == b.Name && len(a.Args) == len(b.Args)
	}
	return true
}
