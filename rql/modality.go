package rql

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"hindcast.dev/causal"
	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/hlc"
	"hindcast.dev/rql/lattice"
	"hindcast.dev/rql/plan"
	"hindcast.dev/rql/syntax"
)

// A modal answers a query with POSSIBLY or DEFINITELY: one walk gathers what
// happened before what and where the parts of the condition hold, package lattice
// decides, and a second walk, of the events in the cut that was found, makes the
// row.
type modal struct {
	q     *plan.Query
	src   history.Source
	meta  *history.Meta
	opt   Options
	begin history.Position // as a runner's
	to    hlc.Timestamp
	empty bool   // there is no event below the bottom: it is no cut
	twice string // the id of a message for which net.inflight can't be put as a sum; "" if there is none
	sum   Summary
}

// A LatticeError says that the lattice has more cuts than may be reached, so that
// nothing is decided.
type LatticeError struct {
	Pos   syntax.Pos // of the modality
	Limit int
}

func (e *LatticeError) Error() string {
	return fmt.Sprintf("%s: more than %d cuts of the lattice reached, and nothing decided: ask of a shorter time with ON TIME, order more events with WITHIN, or raise --max-combinations",
		e.Pos, e.Limit)
}

// errUnfit says that a sum isn't one of ints, or has a message that m.twice names:
// the lattice is to be searched.
var errUnfit = errors.New("not a sum of ints")

func (q *Query) runModal(ctx context.Context, src history.Source, opt Options, emit func(*Row) error) (Summary, error) {
	m := &modal{q: q.cut, src: src, meta: src.Meta(), opt: opt}
	if m.q.Limit == 0 {
		return m.sum, nil
	}
	r := &runner{q: m.q, src: m.src, meta: m.meta, opt: m.opt, gaps: recordedGaps(ctx, m.q, m.src)}
	if err := r.timeRange(ctx); err != nil {
		return m.sum, err
	}
	m.begin, m.to = r.begin, r.to
	members, err := r.members(ctx)
	if err != nil {
		return m.sum, err
	}
	if m.sum.Incomplete, err = r.unknownNodes(); err != nil {
		return m.sum, err
	}
	if m.q.ForEach == nil {
		err = m.answer(ctx, nil, emit)
		return m.sum, err
	}
	for batch := range slices.Chunk(members, membersAtOnce) {
		if err := m.answer(ctx, batch, emit); err != nil || m.done() {
			return m.sum, err
		}
	}
	return m.sum, nil
}

// membersAtOnce is how many members of FOR EACH one walk gathers for: what is kept
// of each takes some kilobytes.
const membersAtOnce = 1000

// done reports whether LIMIT is reached.
func (m *modal) done() bool { return m.q.Limit >= 0 && m.sum.Rows >= uint64(m.q.Limit) }

// answer gives the row, or with members of FOR EACH those of them for which it
// holds.
func (m *modal) answer(ctx context.Context, members []value, emit func(*Row) error) error {
	all, err := m.decide(ctx, true, members)
	if err != nil {
		return err
	}
	for i, found := range all {
		var member []value
		if members != nil {
			member = members[i : i+1]
		}
		if found == nil { // the shape isn't fit for its values
			one, err := m.decide(ctx, false, member)
			if err != nil {
				return err
			}
			found = one[0]
		}
		if member != nil && !found.holds {
			continue
		}
		row, err := m.row(ctx, found, member)
		if err == nil {
			err = emit(row)
			m.sum.Rows++
		}
		if err != nil || m.done() {
			return err
		}
	}
	return nil
}

func (m *modal) row(ctx context.Context, found *finding, member []value) (*Row, error) {
	row := &Row{Lattice: &Lattice{Holds: found.holds, Later: found.later, Walk: found.walk, Path: found.path}, Incomplete: len(m.sum.Incomplete) > 0}
	if member != nil {
		v, _ := member[0].shown()
		row.Each = &Field{m.q.ForEach.Name, v}
	}
	if !found.holds {
		return row, nil
	}
	return row, m.show(ctx, found, row, member)
}

// A finding is what was decided, in numbers of events.
type finding struct {
	holds bool
	cut   causal.Cut // if it holds: the cut, or one above it with until set
	until bool       // the first cut that holds on the walk's way to cut
	later bool
	walk  bool
	path  []EventRef
	g     *gatherer
}

// decide walks and decides, for each member of FOR EACH. With shaped set it makes
// use of the shape of the condition; nil is a member for which that isn't fit.
func (m *modal) decide(ctx context.Context, shaped bool, members []value) ([]*finding, error) {
	cur, e, err := m.open(ctx, members)
	if err != nil {
		return nil, err
	}
	defer cur.Close()
	var shapes []*shape
	for _, in := range e.insts {
		e.enter(in)
		s := shapeOf(e, m.meta)
		if !shaped {
			s.loose = m.q.Cond
		}
		if err := m.searchable(e, s); err != nil {
			return nil, err
		}
		shapes = append(shapes, s)
	}
	cuts := m.sum.Cuts
	m.sum.Cuts = 0
	g := m.newGatherer(e, shapes)
	err = g.walk(ctx, cur)
	m.sum.Cuts = max(m.sum.Cuts, cuts)
	if err != nil {
		return nil, err
	}
	g.comp.Watch(ctx.Err)
	var out []*finding
	for _, a := range g.asks {
		f := &finding{g: g}
		e.enter(a.inst)
		d := &decider{m: m, g: g, ask: a, f: f, limit: m.opt.maxCombinations(), ctx: ctx}
		switch err := d.decide(); {
		case errors.Is(err, errUnfit):
			f = nil
		case err != nil:
			return nil, err
		}
		out = append(out, f)
	}
	if len(out) > 1 || out[0] != nil {
		m.addFaults(e.faults.list)
	}
	return out, nil
}

// addFaults adds what was met, by kind.
func (m *modal) addFaults(list []ErrorCount) {
	for _, f := range list {
		f.Lattice = true
		i := slices.IndexFunc(m.sum.Errors, func(x ErrorCount) bool { return x.Fault == f.Fault })
		if i < 0 {
			m.sum.Errors = append(m.sum.Errors, f)
		} else {
			m.sum.Errors[i].Count += f.Count
		}
	}
}

// searchable fails where cuts must be evaluated one by one and the condition reads
// the messages under way, which no node's state tells.
func (m *modal) searchable(e *engine, s *shape) error {
	if s.known() || e.net == nil {
		return nil
	}
	for _, r := range m.q.ReadsOfCondition() {
		if s.elsewhere([]*plan.Ref{r}) {
			if m.twice != "" {
				return &syntax.Error{Pos: r.Pos, Msg: fmt.Sprintf("message %s came to its end on several nodes, or too many did that were noted to be lost, so that how many are under way is no sum of what the nodes know; net.inflight goes with %s only where there is no such message", m.twice, m.q.Modal),
					Hint: "ask the walk, without " + m.q.Modal.String() + ", or put SUM(net.sent[*]) - SUM(net.received[*]) in place of a count"}
			}
			return &syntax.Error{Pos: r.Pos, Msg: "net.inflight goes with " + m.q.Modal.String() + " only in a sum of ints that is compared with one",
				Hint: "compare SUM(net.inflight[*][*].data.…) + … with a number"}
		}
	}
	return nil
}

// open begins a walk, over all nodes: happened-before is that of the whole
// History.
func (m *modal) open(ctx context.Context, members []value) (history.Cursor, *engine, error) {
	start := m.begin
	if usesNet(m.q, m.meta) {
		start = history.Begin
	}
	cur, err := m.src.Walk(ctx, start, history.End, nil)
	if err != nil {
		return nil, nil, err
	}
	states := cur.States()
	if m.q.Nodes != nil {
		for n := range states {
			if !slices.Contains(m.q.Nodes, n) {
				states[n] = nil
			}
		}
	}
	return cur, newEngine(ctx, m.q, m.meta, states, members, m.opt), nil
}

// enough fails when more states are kept than the search may reach cuts.
func (m *modal) enough(kept int) error {
	if limit := m.opt.maxCombinations(); kept > limit {
		return &LatticeError{Pos: m.q.Modal.Pos, Limit: limit}
	}
	return nil
}

// show walks through the events of the cut that was found, and fills in what the
// row shows of it. The engine must agree that the condition holds there.
func (m *modal) show(ctx context.Context, f *finding, row *Row, member []value) error {
	cur, e, err := m.open(ctx, member)
	if err != nil {
		return err
	}
	defer cur.Close()
	at := make([]uint64, len(m.meta.Nodes))
	for {
		ev, err := cur.Next()
		if err == io.EOF {
			break
		}
		if err = cmp.Or(err, ctx.Err()); err != nil {
			return err
		}
		n := ev.Node
		above := m.begin == history.Begin || ev.Position.Compare(m.begin) > 0
		if above && (slices.Equal(at, f.cut) || f.until && e.insts[0].matching) {
			break
		}
		if above {
			if at[n] == f.cut[n] {
				continue
			}
			at[n]++
		}
		if slices.Contains(e.w.nodes, n) {
			if err := stepOrBase(e, ev, above); err != nil {
				return err
			}
		}
	}
	m.sum.Absent, m.sum.Unequal = e.absent(true), e.unequal()
	if !e.insts[0].matching {
		return fmt.Errorf("internal error: the cut %v was found, and doesn't satisfy the condition", f.cut)
	}
	shown := e.rowOf(e.insts[0], true).row
	row.Values, row.Witness = shown.Values, shown.Witness
	if e.err != nil {
		return e.err
	}
	for _, n := range e.w.nodes {
		row.Lattice.Cut = append(row.Lattice.Cut, Field{e.w.names[n], event.Uint(f.g.numbers[n].of(at[n]))})
	}
	return nil
}

// A decider decides what was gathered.
type decider struct {
	m     *modal
	g     *gatherer
	ask   *asking
	f     *finding
	limit int // on the cuts reached
	ctx   context.Context
	spent int // cuts looked at
}

func (d *decider) decide() error {
	if !d.ask.shape.known() {
		return d.search(d.newJudge())
	}
	c := &choices{decider: d}
	if err := c.gather(); err != nil {
		return err
	}
	if d.m.q.Modal.Definitely {
		return c.definitely()
	}
	return c.possibly()
}

// alive fails, now and then, when the context is over.
func (d *decider) alive() error {
	if d.spent++; d.spent%1024 == 0 {
		return d.ctx.Err()
	}
	return nil
}

// undecided is the error of a search that hit its bound.
func (d *decider) undecided() error {
	return &LatticeError{Pos: d.m.q.Modal.Pos, Limit: d.limit}
}

// search decides by looking at cuts.
func (d *decider) search(j lookAt) error {
	s := &lattice.Search{Relevant: j.relevant(), Bound: d.limit, Holds: func(cut causal.Cut) (bool, error) {
		if err := d.alive(); err != nil {
			return false, err
		}
		if d.m.empty && d.g.comp.Size(cut) == 0 {
			return false, nil
		}
		return j.holds(cut)
	}}
	if d.m.q.Modal.Definitely {
		return d.avoid(s)
	}
	cut, v, err := d.g.comp.First(s)
	switch {
	case err != nil:
		return err
	case v == lattice.Undecided:
		return d.undecided()
	}
	d.f.holds, d.f.cut = v == lattice.Yes, cut
	return nil
}

// avoid decides DEFINITELY: the walk is a path, too.
func (d *decider) avoid(s *lattice.Search) error {
	if d.ask.first == nil {
		d.f.walk = true
		return nil
	}
	path, v, err := d.g.comp.Avoid(s, nil)
	switch {
	case err != nil:
		return err
	case v == lattice.Undecided:
		return d.undecided()
	case v == lattice.Yes:
		d.evidence(path)
		return nil
	}
	d.inevitable()
	return nil
}

// inevitable answers yes, with the walk's own first cut.
func (d *decider) inevitable() { d.f.holds, d.f.cut = true, d.ask.first }

// evidence is a path by sequence numbers.
func (d *decider) evidence(path []lattice.Move) {
	if len(path) > pathMax {
		return
	}
	for _, mv := range path {
		d.f.path = append(d.f.path, EventRef{d.m.meta.Nodes[mv.Process].Name, d.g.numbers[mv.Process].of(mv.To)})
	}
}

// lookAt evaluates the condition at any cut.
type lookAt interface {
	relevant() [][]uint64
	holds(causal.Cut) (bool, error)
}

// A judge evaluates the condition from the states that were kept: the engine is
// moved from cut to cut as if every state were a base.
type judge struct {
	d  *decider
	e  *engine
	at []int // by node: which of its states the engine has; -1: none
}

func (d *decider) newJudge() *judge {
	m := d.m
	j := &judge{d: d, e: newEngine(d.ctx, m.q, m.meta, make([]*history.State, len(m.meta.Nodes)), d.member(), m.opt)}
	j.e.faults = d.g.e.faults
	for range m.meta.Nodes {
		j.at = append(j.at, -1)
	}
	return j
}

// member is the member of FOR EACH that is asked about.
func (d *decider) member() []value {
	if d.m.q.ForEach == nil {
		return nil
	}
	return []value{d.ask.inst.member}
}

func (j *judge) relevant() [][]uint64 { return j.d.g.relevant }

func (j *judge) holds(cut causal.Cut) (bool, error) {
	last := history.Position{Node: -1}
	for _, n := range j.e.w.nodes {
		i := 0
		for lo, hi := 0, len(j.d.g.relevant[n]); lo < hi; i = lo {
			if mid := (lo + hi) / 2; j.d.g.relevant[n][mid] <= cut[n] {
				lo = mid + 1
			} else {
				hi = mid
			}
		}
		if i != j.at[n] {
			j.move(n, i)
		}
		if s := &j.d.g.states[n][i]; s.vars != nil && (last.Node < 0 || last.Compare(s.at) < 0) {
			last = s.at
		}
	}
	if last.Node < 0 {
		return false, nil
	}
	err := j.e.step(&history.Event{Position: last})
	return j.e.insts[0].matching, err
}

// move gives the engine another state of a node.
func (j *judge) move(n, i int) {
	j.at[n] = i
	to := j.d.g.states[n][i].vars
	ev := &history.Event{Position: history.Position{Node: n}, Base: true}
	for id := range j.d.g.reads {
		v := event.Absent
		if to != nil {
			v = to.Get(id)
		}
		ev.Changes = append(ev.Changes, history.Change{Var: id, Value: v})
	}
	j.e.base(ev)
	if to == nil {
		j.e.w.states[n] = nil
	}
}
