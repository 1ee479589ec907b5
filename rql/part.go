package rql

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/hlc"
	"hindcast.dev/rql/plan"
	"hindcast.dev/rql/syntax"
)

// Parts is a run of a cut query whose walk is searched in parts. One who joins
// goes through the parts in order: Join for one that was searched apart, Walk for
// one that wasn't or that Join refuses; then End. All but Search is for that one
// alone. The rows and the Summary are those of Query.Run, but that a fault, and an =
// between types, may have been evaluated, and so counted, a few times more or less.
type Parts struct {
	ctx     context.Context
	q       *Query
	src     history.Source
	opt     Options
	members []value
	r       *runner
	at      history.Position // up to where it is joined
	stale   bool             // the engine isn't there: a stretch was passed over
	err     error
}

// Whole says why the walk of a statement is one piece; "" if it can be searched
// in parts.
func (q *Query) Whole(meta *history.Meta) string {
	switch {
	case q.cut == nil:
		return "the statement walks through no cuts"
	case q.cut.Explain:
		return "EXPLAIN asks nothing"
	case q.cut.Limit == 0:
		return "LIMIT 0 asks for nothing"
	case q.tree.When != nil && q.tree.When.Modality != syntax.Observed:
		return "the lattice of cuts is searched as a whole"
	case usesNet(q.cut, meta):
		return "log net is made of all events so far"
	}
	return ""
}

// Explains reports whether the statement is EXPLAIN.
func (q *Query) Explains() bool { return q.cut != nil && q.cut.Explain }

// Explained is the cut query that EXPLAIN asks about, nil if there is none, and
// why its walk is one piece, if it is.
func (q *Query) Explained(meta *history.Meta) (asked *Query, whole string) {
	if !q.Explains() {
		return nil, ""
	}
	out, cut := *q, *q.cut
	cut.Explain = false
	out.cut = &cut
	return &out, out.Whole(meta)
}

// Gathers reports whether the members of FOR EACH are looked for by walking the
// History first, in parts that don't depend on each other.
func (q *Query) Gathers() bool {
	return q.cut != nil && q.cut.ForEach != nil && keysOf(q.cut.ForEach.Set) != nil
}

// A Gathered is what a part of a History has of the members of FOR EACH.
type Gathered struct{ seen map[string]value }

// Gather looks for members between two positions. It may be called at once.
func (q *Query) Gather(ctx context.Context, src history.Source, opt Options, from, to history.Position) (*Gathered, error) {
	r := &runner{q: q.cut, src: src, meta: src.Meta(), opt: opt}
	g, err := r.gather(ctx, from, to)
	if err != nil {
		return nil, err
	}
	return &Gathered{g.seen}, nil
}

// Parts begins. members is what Gather found in all parts of the History, nil if
// they are to be looked for.
func (q *Query) Parts(ctx context.Context, src history.Source, opt Options, members []*Gathered, emit func(*Row) error) (*Parts, error) {
	if err := q.fits(src.Meta()); err != nil {
		return nil, err
	}
	r := q.runner(ctx, src, opt, emit)
	p := &Parts{ctx: ctx, q: q, src: src, opt: opt, r: r}
	var err error
	if members == nil {
		p.members, err = r.members(ctx)
	} else {
		g := &gathering{seen: map[string]value{}}
		for _, m := range members {
			for id, v := range m.seen {
				if _, ok := g.seen[id]; !ok {
					g.seen[id] = v
				}
			}
		}
		p.members = g.list()
	}
	if err != nil {
		return nil, err
	}
	return p, r.timeRange(ctx)
}

// Range is from where to where the walk goes: an edge between parts lies after
// the first and not after the second.
func (p *Parts) Range() (from, to hlc.Timestamp) {
	return max(p.r.begin.Time, p.r.from, p.r.meta.First.Time), min(p.r.to, p.r.meta.Last.Time)
}

// Nodes are those whose events make the cuts; nil are all.
func (p *Parts) Nodes() []int { return p.r.q.Nodes }

// Lookback is for how long before a part the walk begins to search it.
func (p *Parts) Lookback() (ticks uint64) {
	for _, o := range p.r.q.Pasts {
		if o.Timed {
			ticks += o.Ticks
		}
	}
	return ticks
}

// Start is about how many events' worth of work it is to begin a part.
func (p *Parts) Start() uint64 { return 4 * uint64(len(p.members)) }

// A Memory is what operators of past time remember at the end of what is joined.
type Memory struct {
	shared  []pastState
	members [][]pastState
}

// Memory returns what a part that is to be searched next may begin with, as a
// guess; nil where nothing is remembered. It isn't changed any more.
func (p *Parts) Memory() *Memory {
	if len(p.r.q.Pasts) == 0 || p.r.e == nil {
		return nil
	}
	m := &Memory{shared: slices.Clone(p.r.e.pasts)}
	for _, in := range p.r.e.insts {
		m.members = append(m.members, slices.Clone(in.pasts))
	}
	return m
}

// A Part is what was found in one part of the walk, searched apart.
type Part struct {
	from, to history.Position
	r        *runner
	began    *Memory  // with which it did
	carried  []*entry // runs that its first cut found open
	single   []*entry // stand for the rows of the cut before its first
	err      error    // the part must be walked
	over     bool     // the walk ends in it
}

// rowsMax bounds the rows of a part that is searched apart.
const rowsMax = 1 << 16

var errRows = errors.New("too many rows for a part")

// Search searches the part of the walk from one edge up to another, apart from
// those before. It may be called at once. Where it can't find an answer of its
// own, Join will refuse the Part; the error is of the Source or the context.
func (p *Parts) Search(from, to history.Position, guess *Memory) (*Part, error) {
	part, cur, ev, err := p.begin(from, to, guess)
	if err != nil || cur == nil {
		return part, err
	}
	defer cur.Close()
	r := part.r
	for ev != nil && err == nil {
		if err = r.feed(ev); err == nil && len(r.queue) > rowsMax {
			err = errRows
		}
		if err == nil {
			ev, err = next(cur)
		}
	}
	if part.over = errors.Is(err, errLimit); !part.over {
		part.err = err
	}
	return part, p.ctx.Err()
}

// begin begins a part, whose first entry it returns. The Cursor is nil where the
// part can't begin apart.
func (p *Parts) begin(from, to history.Position, guess *Memory) (*Part, history.Cursor, *history.Event, error) {
	r := p.q.runner(p.ctx, p.src, p.opt, nil)
	r.begin, r.from, r.to, r.hold, r.inRange = p.r.begin, p.r.from, p.r.to, true, 1
	if r.q.Group != nil {
		r.grouper = &grouper{} // that LIMIT counts groups; rows are held
	}
	part := &Part{from: from, to: to, r: r}
	start, ok, err := p.warmStart(from)
	if err != nil || !ok {
		part.err = errRows
		return part, nil, nil, err
	}
	cur, err := history.WalkThrough(p.ctx, p.src, start, to, r.q.Nodes, r.lens())
	if err != nil {
		return nil, nil, nil, err
	}
	r.e = newEngine(p.ctx, r.q, r.meta, cur.States(), p.members, p.opt)
	r.e.follows()
	r.e.remember(guess)
	ev, err := part.warm(cur)
	if err != nil {
		return nil, nil, nil, errors.Join(err, cur.Close())
	}
	part.ready()
	return part, cur, ev, nil
}

// next is the next entry, nil after the last.
func next(cur history.Cursor) (*history.Event, error) {
	ev, err := cur.Next()
	if err == io.EOF {
		return nil, nil
	}
	return ev, err
}

// warmStart is where a part must begin to be warm at its edge: at the event
// before it, and as far back as operators of past time look. ok is false if there
// is none in the range.
func (p *Parts) warmStart(edge history.Position) (start history.Position, ok bool, err error) {
	last, found, err := history.PlaceBefore(p.ctx, p.src, edge, p.r.q.Nodes)
	if err != nil || !found || last.Time <= p.r.from {
		return start, false, err
	}
	var lengths []uint64
	for _, o := range p.r.q.Pasts {
		if o.Timed {
			lengths = append(lengths, o.Ticks)
		}
	}
	start, err = p.r.before(p.ctx, last, lengths)
	return start, true, err
}

// warm walks up to the part's edge, so that the engine has there what it has if it
// comes from the beginning, and returns the first entry after it.
func (p *Part) warm(cur history.Cursor) (*history.Event, error) {
	e := p.r.e
	limit := e.limit
	e.limit = math.MaxInt // everything is decided at once, which one who came here had not to
	for {
		ev, err := next(cur)
		if err != nil || ev == nil || ev.Position.Compare(p.from) >= 0 {
			e.limit = limit
			return ev, err
		}
		if ev.Base {
			e.base(ev)
			continue
		}
		if err := e.until(ev, func() error { return nil }); err != nil {
			return nil, err
		}
		if err := e.step(ev); err != nil {
			return nil, err
		}
	}
}

// ready makes the runner one that came to the edge with nothing found so far.
func (p *Part) ready() {
	r, e := p.r, p.r.e
	e.faults.list = nil
	clear(e.pairs)
	e.unseek()
	p.began = (&Parts{r: r}).Memory()
	for _, in := range e.insts {
		in.ticks = 0
		if r.singles() {
			p.single = append(p.single, &entry{row: &Row{Open: true}, inst: in})
		}
		if !in.matching {
			continue
		}
		in.open = &entry{row: &Row{Open: true}, inst: in, carried: true}
		p.carried = append(p.carried, in.open)
		r.on = append(r.on, in)
	}
	r.pending = slices.Clone(p.single)
	e.setLean()
}

// Join takes over a part that was searched apart, which begins where what is
// joined ends. It is false if the part must be walked: what was guessed at its
// beginning isn't so, or the search ended in it.
func (p *Parts) Join(part *Part) (bool, error) {
	r, s := p.r, part.r
	rows := int64(r.sum.Rows) + int64(len(r.queue)) + int64(len(s.queue))
	if p.err != nil || part.err != nil || part.from != p.at || r.grouper == nil && r.q.Limit >= 0 && rows >= r.q.Limit || !p.Memory().same(part.began) {
		return false, nil
	}
	if p.faulty(part) {
		return false, nil
	}
	shift := make([]uint64, len(r.e.insts)) // what counts of cuts lack
	for i, in := range r.e.insts {
		shift[i] = r.inRange - 1 + in.ticks
	}
	for i, in := range s.e.insts {
		if in.open != nil && in.open.carried {
			in.open = r.e.insts[i].open
		}
	}
	p.joinCarried(part, shift)
	p.joinRows(part, shift)
	for i, in := range s.e.insts {
		in.ticks += r.e.insts[i].ticks
	}
	s.e.add(r.e)
	r.on, p.at, p.stale = s.on, part.to, false
	p.engine(s.e)
	r.inRange += s.inRange - 1
	r.sum.Cuts += s.sum.Cuts
	p.err = r.flush(r.e.w.now)
	if p.err == nil && part.over {
		p.err = r.flush(hlc.Max)
		if p.err == nil {
			p.err = errLimit
		}
	}
	return true, p.error()
}

// engine goes on with another engine.
func (p *Parts) engine(e *engine) {
	r := p.r
	if r.q.Group != nil && r.grouper == nil {
		r.grouper = &grouper{groups: map[string]*group{}}
	}
	if r.e = e; r.grouper != nil {
		r.grouper.e = e
	}
}

// faulty reports whether something goes wrong in what is evaluated at the end of
// rows that end in the part, for DURATION() and GROUP BY: the summary says at
// which cut that was first, which only the walk knows.
func (p *Parts) faulty(part *Part) bool {
	e := part.r.e
	kept := e.faults
	e.faults = &faults{}
	defer func() { e.faults = kept }()
	try := func(row *Row, vs []*lateValue) {
		for _, v := range vs {
			if v == nil {
				continue
			}
			for _, x := range e.values(v, lasted(row, e.w.now)) {
				if _, ok := x.shown(); !ok {
					e.fault(FaultRange, v.late.X.Position())
				}
			}
		}
	}
	end := func(o *entry, row *Row) {
		if try(row, o.late); o.grouped != nil {
			try(row, o.grouped.keys)
			try(row, o.grouped.folds)
		}
	}
	for _, o := range slices.Concat(p.r.queue, part.r.queue) {
		end(o, o.row)
	}
	for _, c := range part.carried {
		if o := p.r.e.insts[c.inst.index0()].open; o != nil && c.done {
			row := *o.row
			row.To, row.Open = c.row.To, false
			end(o, &row)
		}
	}
	for _, d := range part.single {
		for _, o := range p.r.pending {
			if d.done && o.inst.index0() == d.inst.index0() {
				row := *o.row
				row.To, row.Open = d.row.To, false
				end(o, &row)
			}
		}
	}
	return len(e.faults.list) > 0
}

// joinCarried ends the runs that were open at the part's beginning and ended in
// it.
func (p *Parts) joinCarried(part *Part, shift []uint64) {
	for _, c := range part.carried {
		i := c.inst.index0()
		o := p.r.e.insts[i].open
		if !c.done || o == nil {
			continue
		}
		o.row.To, o.row.Open, o.done = c.row.To, false, true
		o.row.Cuts = c.row.Cuts + shift[i] - o.start
	}
}

// joinRows puts the part's rows behind those so far.
func (p *Parts) joinRows(part *Part, shift []uint64) {
	r, s := p.r, part.r
	dummies := make(map[*entry]bool, len(part.single))
	ends := make(map[*instance]*entry, len(part.single))
	for _, d := range part.single {
		dummies[d] = true
		ends[d.inst] = d
	}
	for _, o := range s.queue {
		o.start += shift[o.inst.index0()]
	}
	pending := r.pending[:0]
	for _, o := range r.pending {
		d := ends[s.e.insts[o.inst.index0()]]
		if d == nil || !d.done {
			pending = append(pending, o)
			continue
		}
		o.row.To, o.row.Open, o.done = d.row.To, false, true
	}
	for _, o := range s.pending {
		if !dummies[o] {
			pending = append(pending, o)
		}
	}
	for _, o := range r.queue {
		o.inst = s.e.insts[o.inst.index0()]
	}
	r.pending = pending
	r.queue = append(r.queue, s.queue...)
}

// index0 is the place of the instance among those of its engine.
func (in *instance) index0() int { return max(in.index, 0) }

// Walk goes on by itself up to an edge.
func (p *Parts) Walk(to history.Position) error {
	if p.err != nil {
		return p.error()
	}
	if p.stale {
		return p.revive(to)
	}
	from, err := p.at, error(nil)
	if p.r.e == nil {
		if from, err = p.r.lookback(p.ctx); err != nil {
			p.err = err
			return err
		}
	}
	cur, err := history.WalkThrough(p.ctx, p.src, from, to, p.r.q.Nodes, p.r.lens())
	if err != nil {
		p.err = err
		return err
	}
	defer cur.Close()
	if p.r.e == nil {
		p.engine(newEngine(p.ctx, p.r.q, p.r.meta, cur.States(), p.members, p.opt))
		p.r.e.setLean()
	}
	p.r.e.follows()
	p.at, p.err = to, p.r.walk(cur)
	return p.error()
}

// revive is Walk after a stretch that was passed over.
func (p *Parts) revive(to history.Position) error {
	part, cur, ev, err := p.begin(p.at, to, nil)
	if err == nil && cur == nil {
		err = fmt.Errorf("rql: no event before %v, after which cuts were passed over", p.at)
	}
	if err != nil {
		p.err = err
		return err
	}
	defer cur.Close()
	part.r.e.add(p.r.e)
	p.at, p.stale = to, false
	p.engine(part.r.e)
	if ev != nil {
		p.err = p.r.feed(ev)
	}
	if ev != nil && p.err == nil {
		p.err = p.r.walk(cur)
	}
	return p.error()
}

// Done reports whether the search is over before the end of the walk.
func (p *Parts) Done() bool { return p.err != nil }

func (p *Parts) error() error {
	if errors.Is(p.err, errLimit) {
		return nil
	}
	return p.err
}

// End gives the rows that last to the end.
func (p *Parts) End() (Summary, error) {
	if p.r.e == nil {
		p.engine(newEngine(p.ctx, p.r.q, p.r.meta, make([]*history.State, len(p.r.meta.Nodes)), nil, p.opt))
	}
	return p.r.result(p.err)
}

// singles reports whether rows are of one cut, which end at the next.
func (r *runner) singles() bool {
	return r.q.Emit != syntax.EmitDefault && r.q.Emit != syntax.EmitIntervals
}

// lens is what of a History the query may look at.
func (r *runner) lens() history.Lens { return lensOf(r.q, r.meta, usedVars(r.q)) }

// lensOf is a lens for these variables; nil are all.
func lensOf(q *plan.Query, meta *history.Meta, used map[history.VarID]bool) history.Lens {
	l := history.Lens{All: used == nil}
	for v := range used {
		l.Vars = append(l.Vars, v)
	}
	if usesNet(q, meta) {
		l.Fields = history.FieldKind | history.FieldMessage | history.FieldData | history.FieldEffects
	}
	return l
}

// remember begins with what operators of past time remembered elsewhere.
func (e *engine) remember(m *Memory) {
	if m == nil || len(m.members) != len(e.insts) {
		return
	}
	take := func(into, from []pastState) {
		for i := range into {
			if s := &into[i]; !s.past.Timed && i < len(from) {
				s.holds, s.known, s.x = from[i].holds, from[i].known, from[i].x
			}
		}
	}
	take(e.pasts, m.shared)
	for i, in := range e.insts {
		take(in.pasts, m.members[i])
	}
}

// same reports whether operators of past time will go on alike from both. Since
// when an operand holds, or doesn't, matters as long as time alone is going to
// change the operator: then it says when that is due.
func (m *Memory) same(o *Memory) bool {
	if m == nil || o == nil {
		return m == o
	}
	alike := func(a, b []pastState) bool {
		return slices.EqualFunc(a, b, func(s, t pastState) bool {
			due := s.at < 0 && t.at < 0 || s.at >= 0 && t.at >= 0 && s.due == t.due
			return s.holds == t.holds && s.known == t.known && s.x == t.x && due
		})
	}
	return alike(m.shared, o.shared) && slices.EqualFunc(m.members, o.members, alike)
}

// unseek forgets how far paths were found that weren't found whole: who comes from
// the beginning has seen what the states hold, but maybe something later, too.
func (e *engine) unseek() {
	e.sought = map[history.VarID][]*sought{}
	for _, s := range e.missing {
		if s.depth < len(s.ref.Steps) {
			s.depth, s.at = 0, event.Absent
			e.seekFor(s)
		}
	}
}

// add takes over what an engine counted that was before e in the walk.
func (e *engine) add(before *engine) {
	later := e.faults.list
	e.faults.list = slices.Clone(before.faults.list)
	for _, f := range later {
		i := slices.IndexFunc(e.faults.list, func(x ErrorCount) bool { return x.Fault == f.Fault })
		if i < 0 {
			e.faults.list = append(e.faults.list, f)
			continue
		}
		e.faults.list[i].Count += f.Count
	}
	e.sought = map[history.VarID][]*sought{}
	for i, s := range e.missing {
		if was := before.missing[i]; was.depth > s.depth || was.depth == s.depth && was.at.Len() > s.at.Len() {
			s.depth, s.at = was.depth, was.at
		}
		if s.depth < len(s.ref.Steps) {
			e.seekFor(s)
		}
	}
	for i := range e.pairs {
		p, was := &e.pairs[i], before.pairs[i]
		p.matched = p.matched || was.matched
		if was.first.Count > 0 {
			was.first.Count += p.first.Count
			p.first = was.first
		}
	}
	e.keysDecided += before.keysDecided
}
