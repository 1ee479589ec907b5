package rql

import (
	"context"
	"slices"

	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/hlc"
	"hindcast.dev/rql/plan"
	"hindcast.dev/rql/syntax"
)

// An eventLevel is an event query or one of its sub-queries.
type eventLevel struct {
	run    *eventRun
	q      *plan.EventQuery
	env    env
	inputs []*eventInput
	outer  *eventInput // that reads the rows of this sub-query; nil: the query itself

	from, to hlc.Timestamp     // of what may come last in a row
	only     *history.Position // or the one event that may

	bound    []*packed   // by input
	scratch  [][]*packed // by input
	lets     [][]int     // by input: names of LET that are known when it is bound
	filters  [][]plan.Expr
	groups   *groupSet // nil where rows aren't grouped
	last     []*packed // what FROM x IN MOSTRECENT(…) has kept so far
	given    int64     // rows so far
	unsure   bool      // what isn't recorded may change rows, not only add to them
	late     bool      // also what isn't recorded of a time after the row
	unsorted bool      // the order of what is joined doesn't show
}

// level makes the levels of a query, its sub-queries first.
func (r *eventRun) level(ctx context.Context, q *plan.EventQuery, outer *eventInput) error {
	l := &eventLevel{run: r, q: q, outer: outer, bound: make([]*packed, len(q.Inputs)), scratch: make([][]*packed, len(q.Inputs)),
		lets: make([][]int, len(q.Inputs)), filters: make([][]plan.Expr, len(q.Inputs)), unsorted: q.Grouped}
	l.env = env{q: &plan.Query{Equalities: q.Equalities}, w: r.w, ctx: ctx, limit: r.opt.maxCombinations(), faults: &r.faults,
		locals: make([]value, q.Locals), pairs: make([]pairing, q.Equalities), clock: r.opt.Now}
	l.env.start, l.env.end = extent(r.src.Meta(), r.w.nodes)
	if err := l.timeRange(ctx); err != nil {
		return err
	}
	for i := range q.Inputs {
		if err := l.input(ctx, i); err != nil {
			return err
		}
	}
	for i, in := range l.inputs {
		for _, k := range q.Inputs[i].Kids {
			in.kids = append(in.kids, l.inputs[k])
		}
		if q.Inputs[i].Query != nil {
			sub := r.subOf(in)
			l.unsure, l.late = l.unsure || sub.unsure, l.late || sub.late || i == 0 && sub.groups != nil
		}
	}
	l.split()
	if q.Grouped {
		l.groups = newGroupSet(r, q)
	}
	r.levels = append(r.levels, l)
	return nil
}

// subOf is the level of a sub-query.
func (r *eventRun) subOf(in *eventInput) *eventLevel {
	i := slices.IndexFunc(r.levels, func(l *eventLevel) bool { return l.outer == in })
	return r.levels[i]
}

func (l *eventLevel) input(ctx context.Context, i int) error {
	p := &l.q.Inputs[i]
	in := &eventInput{level: l, plan: p, index: i}
	for _, f := range p.Fields {
		in.fields = append(in.fields, fieldSeen{EventField: &l.q.Fields[f]})
	}
	l.inputs = append(l.inputs, in)
	if i > 0 {
		l.run.plan.place(in)
	}
	if p.Limited() || p.Query != nil && p.Query.Grouped {
		l.unsure, l.late = true, l.late || i == 0 && !p.First() && p.Limited()
	}
	if p.Query != nil {
		return l.run.level(ctx, p.Query, in)
	}
	l.run.names.inputs[p.Event] = append(l.run.names.inputs[p.Event], in)
	return nil
}

// split gives every name of LET and part of WHERE the place where it is known.
func (l *eventLevel) split() {
	for i := range l.q.Let {
		after := l.q.Let[i].After
		l.lets[after] = append(l.lets[after], i)
	}
	for i := range l.q.Where {
		f := &l.q.Where[i]
		in := l.inputs[f.After]
		if l.q.Early(f) {
			in.early = append(in.early, f.X)
			continue
		}
		l.filters[f.After] = append(l.filters[f.After], f.X)
	}
}

// timeRange finds which events ON TIME means: those between two times, or the
// one that made the cut at a time.
func (l *eventLevel) timeRange(ctx context.Context) error {
	l.from, l.to = 0, hlc.Max
	t := l.q.OnTime
	if t == nil {
		return nil
	}
	l.from = l.env.instant(t.From)
	if t.To != nil {
		if l.to = l.env.instant(t.To); l.to < l.from {
			return &syntax.Error{Pos: t.To.Pos, Msg: "ON TIME ends before it begins", Hint: "write the earlier time first"}
		}
		return nil
	}
	l.to = l.from
	last, err := l.run.src.Before(ctx, history.Position{Time: l.from, Node: history.End.Node, Seq: history.End.Seq}, 1, nil)
	l.only = &history.Position{}
	if err == nil && len(last) > 0 {
		l.only, l.from = &last[0].Position, 0
	}
	return err
}

// covers reports whether a row may be about what came last in it.
func (l *eventLevel) covers(at history.Position) bool {
	if l.only != nil {
		return at == *l.only
	}
	return l.from <= at.Time && at.Time <= l.to
}

// take reads one occurrence, or row of a sub-query, as an input does.
func (l *eventLevel) take(in *eventInput, p *packed) error {
	in.seen = true
	if in.index == 0 {
		return l.root(in, p)
	}
	if len(in.early) > 0 {
		l.set(in, p)
		for _, x := range in.early {
			if !l.env.holds(x) {
				return l.env.err
			}
		}
	}
	for rel, b := range p.before {
		if len(in.kids) == 0 || b == nil {
			p.before[rel] = nil
		} else {
			p.before[rel] = b.only(relation(rel), in.kids)
		}
	}
	l.run.captures = append(l.run.captures, capture{in, p})
	return nil
}

// root takes what came last in a row: where FROM chooses, only if it is chosen.
func (l *eventLevel) root(in *eventInput, p *packed) error {
	if p.ord > 0 && !l.covers(p.at) { // a group has no time
		return nil
	}
	switch {
	case !in.plan.Limited():
		return l.sink(p)
	case in.plan.First():
		if l.last = append(l.last, p); int64(len(l.last)) > in.plan.N {
			l.last = l.last[:in.plan.N]
			return nil
		}
		return l.sink(p)
	}
	for _, b := range p.before {
		b.shared = true
	}
	if l.last = append(l.last, p); int64(len(l.last)) > in.plan.N {
		l.last = l.last[1:]
	}
	return nil
}

// sink gives the rows of which p came last.
func (l *eventLevel) sink(p *packed) error {
	if l.groups == nil && l.full() {
		return nil
	}
	l.env.spent = 0
	if l.run.sinks++; l.run.sinks%256 == 0 && l.env.ctx.Err() != nil {
		return l.env.ctx.Err()
	}
	return l.bind(0, p)
}

// full reports whether LIMIT is reached.
func (l *eventLevel) full() bool { return l.q.Limit >= 0 && l.given >= l.q.Limit }

// bind binds an input and goes on with the next ones.
func (l *eventLevel) bind(i int, p *packed) error {
	l.bound[i] = p
	l.set(l.inputs[i], p)
	for _, k := range l.lets[i] {
		let := &l.q.Let[k]
		l.env.locals[let.Local] = l.env.eval(let.X)
	}
	for _, x := range l.filters[i] {
		if !l.env.holds(x) {
			return l.env.err
		}
	}
	if i++; i == len(l.inputs) {
		if l.env.err != nil {
			return l.env.err
		}
		return l.tuple()
	}
	in := l.inputs[i]
	list, err := l.matches(in, l.bound[in.plan.Parent])
	if err != nil {
		return err
	}
	for _, m := range list {
		if !l.env.spend(in.plan.Pos) {
			if many, ok := l.env.err.(*CombinationsError); ok {
				many.Events = true
			}
			return l.env.err
		}
		if err := l.bind(i, m); err != nil {
			return err
		}
	}
	return nil
}

// set gives expressions what an input read.
func (l *eventLevel) set(in *eventInput, p *packed) {
	for j := range in.fields {
		l.env.locals[in.fields[j].Local] = p.values[j]
	}
}

// matches are the events of an input that happened before one of its parent, in
// the order of the walk.
func (l *eventLevel) matches(in *eventInput, p *packed) ([]*packed, error) {
	rel, s := in.relation(), in.slot
	b := p.before[rel]
	list := l.scratch[in.index][:0]
	switch s.kind {
	case slotPack:
		return b.packs[s.index], nil
	case slotChain:
		for c := b.chains[s.index]; c != nil; c = c.prev {
			list = append(list, c.p)
		}
		slices.Reverse(list)
	default:
		list = l.stored(list, l.run.store[s.index], b, p)
	}
	l.scratch[in.index] = list
	if q := in.plan.Query; q != nil && q.Grouped {
		return l.run.subOf(in).fold(in, list)
	}
	return list, nil
}

// stored appends what was kept of each node up to where the past of p knows it.
func (l *eventLevel) stored(list []*packed, lists [][]*packed, b *past, p *packed) []*packed {
	nodes := 0
	for n, all := range lists {
		upto := b.clock[n] + 1
		if n == p.at.Node {
			upto = p.ord
		}
		k, _ := slices.BinarySearchFunc(all, upto, func(a *packed, ord uint64) int {
			if a.ord < ord {
				return -1
			}
			return 1
		})
		if k > 0 {
			nodes++
			list = append(list, all[:k]...)
		}
	}
	if nodes > 1 && !l.unsorted {
		slices.SortStableFunc(list, (*packed).compare)
	}
	return list
}

// tuple takes joined events that satisfy the whole query.
func (l *eventLevel) tuple() error {
	p := l.bound[0]
	switch {
	case l.groups != nil && (l.outer == nil || l.outer.index == 0):
		return l.groups.add(l.groups.read(&l.env), &l.run.groups)
	case l.groups != nil: // its groups depend on what it is joined to
		return l.up(&packed{at: p.at, effect: p.effect, ord: p.ord, before: p.before, values: l.groups.read(&l.env)})
	}
	if l.full() {
		return nil
	}
	l.given++
	if l.outer != nil {
		return l.up(&packed{at: p.at, effect: p.effect, ord: p.ord, before: p.before, values: l.columns()})
	}
	if err := l.run.emit(l.row()); err != nil {
		return err
	}
	if l.run.sum.Rows++; l.given == l.q.Limit {
		return errLimit
	}
	return nil
}

// up gives a row to the query around.
func (l *eventLevel) up(p *packed) error { return l.outer.level.take(l.outer, p) }

// columns are the values that the query around reads of a row.
func (l *eventLevel) columns() []value {
	out := make([]value, len(l.outer.fields))
	for i := range l.outer.fields {
		f := &l.outer.fields[i]
		f.some = true
		switch {
		case f.Column >= 0 && l.q.Items[f.Column].Star == nil:
			out[i] = l.env.eval(l.q.Items[f.Column].X)
		case f.Column >= 0:
			out[i] = of(l.starOf(&l.q.Items[f.Column]))
		default:
			out[i] = of(l.everything())
		}
	}
	return out
}

// everything is all columns of a row, as a map.
func (l *eventLevel) everything() event.Value {
	var m *event.Map
	for i := range l.q.Items {
		it := &l.q.Items[i]
		if it.Star != nil {
			m = m.With(event.String(it.Name), l.starOf(it))
		} else {
			m = m.With(event.String(it.Name), orNull(l.shown(it.X)))
		}
	}
	return event.MapOf(m)
}

// starOf is * within a sub-query: the payloads by name.
func (l *eventLevel) starOf(it *plan.EventItem) event.Value {
	var m *event.Map
	for _, s := range it.Star {
		m = m.With(event.String(s.Name), orNull(l.shown(s.X)))
	}
	return event.MapOf(m)
}

// shown is an expression's value as a row shows it.
func (l *eventLevel) shown(x plan.Expr) event.Value {
	v, ok := l.env.eval(x).shown()
	if !ok {
		l.env.fault(FaultRange, x.Position())
	}
	return v
}

// fold makes groups of rows of a sub-query, those that happened before something.
func (l *eventLevel) fold(in *eventInput, rows []*packed) ([]*packed, error) {
	g, n := newGroupSet(l.run, l.q), 0
	for _, p := range rows {
		if err := g.add(p.values, &n); err != nil {
			return nil, err
		}
	}
	var out []*packed
	err := g.each(&l.env, func() error {
		if l.q.Limit >= 0 && int64(len(out)) >= l.q.Limit {
			return nil
		}
		out = append(out, &packed{values: l.columns()})
		return nil
	})
	return out, err
}

// finish gives what FROM chose at the end, and groups.
func (l *eventLevel) finish() error {
	if in := l.inputs[0]; in.plan.Limited() && !in.plan.First() {
		for _, p := range l.last {
			if err := l.sink(p); err != nil {
				return err
			}
		}
	}
	if l.groups == nil || l.outer != nil && l.outer.index > 0 {
		return nil
	}
	return l.groups.each(&l.env, func() error {
		if l.full() {
			return nil
		}
		l.given++
		if l.outer != nil {
			return l.up(&packed{values: l.columns()})
		}
		l.run.sum.Rows++
		return l.run.emit(l.groupRow())
	})
}
