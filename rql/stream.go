package rql

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"hindcast.dev/history"
	"hindcast.dev/hlc"
	"hindcast.dev/rql/plan"
	"hindcast.dev/rql/syntax"
)

// A Stream is a cut query over a History that isn't over: it is fed the entries
// of the walk one by one and gives its rows as soon as they are whole. Over the
// same entries they are those of Run, but for three things: without EMIT it gives
// both edges, a row ENTER and a row LEAVE; with FOR EACH a member is followed
// from the cut at which the collection first has it; and a row of a run that
// isn't over holds back no other. Not safe for concurrent use.
type Stream struct {
	r    *runner
	tree *syntax.Query
	ctx  context.Context
	err  error // that ended it
	fed  bool
}

// Stream begins before the first entry of a walk over the nodes of meta, whose
// variables are those that the query was compiled for, or more. What is asked
// must make sense of a History without an end: SHOW, EXPLAIN, ON TIME and END are
// refused with a *syntax.Error.
func (q *Query) Stream(ctx context.Context, meta *history.Meta, opt Options, emit func(*Row) error) (*Stream, error) {
	if err := q.streams(); err != nil {
		return nil, err
	}
	p, err := plan.Compile(schemaOf(meta), q.tree)
	if err != nil {
		return nil, err
	}
	r := &runner{q: p, meta: meta, opt: opt, emit: emit, begin: history.Begin, to: hlc.Max,
		gaps:   newGaps(p, meta, &coming{begin: hlc.Max, known: map[hlc.Timestamp]hlc.Timestamp{}}),
		asDone: true, edges: p.Emit == syntax.EmitDefault}
	s := &Stream{r: r, tree: q.tree, ctx: ctx}
	s.start(make([]*history.State, len(meta.Nodes)), nil)
	if p.Limit == 0 {
		s.err = errLimit
	}
	return s, nil
}

// streams says why a statement can't be asked of what isn't over.
func (q *Query) streams() error {
	no := func(p syntax.Pos, what, hint string) error {
		return &syntax.Error{Pos: p, Msg: what + " has no meaning while nodes run", Hint: hint}
	}
	switch {
	case q.show != nil:
		return no(q.show.Pos, "SHOW", "ask it of a recording, or of the nodes with hindcast query")
	case q.cut == nil:
		return errors.New("only a cut query, SELECT … FROM …, can be asked of nodes that run")
	case q.cut.Explain:
		return no(q.tree.Pos, "EXPLAIN", "ask it of the nodes with hindcast query")
	case len(q.tree.GroupBy) > 0:
		return no(q.tree.GroupBy[0].Position(), "GROUP BY", "rows are grouped when all of them are known: ask a recording")
	case q.tree.When != nil && q.tree.When.Modality != syntax.Observed:
		return no(q.tree.When.Pos, "WHEN POSSIBLY or DEFINITELY", "the lattice of cuts is searched as a whole: ask a recording")
	case q.cut.OnTime != nil:
		return no(q.cut.OnTime.From.Pos, "ON TIME", "a stream has a beginning, --from of hindcast watch, and goes on")
	}
	return nil
}

// start makes the engine, with the members of FOR EACH that there are so far.
func (s *Stream) start(states []*history.State, members []value) {
	r := s.r
	r.e = newEngine(s.ctx, r.q, r.meta, states, nil, r.opt)
	r.e.end = hlc.Max
	f := r.q.ForEach
	if f == nil {
		return
	}
	g := &gathering{e: r.e, f: f, seen: map[string]value{}, keys: keysOf(f.Set), anew: true}
	g.born = r.e.bear
	r.e.gather = g
	for _, m := range members {
		g.seen[memberID(m)] = m
		r.e.addInstance(m, -1)
	}
	if len(f.Deps) == 0 && members == nil { // the same set always
		g.evaluate(f.Set)
	}
}

// bear begins a member of FOR EACH at a cut.
func (e *engine) bear(m value) {
	in := e.addInstance(m, -1)
	e.fresh = append(e.fresh, in)
	for _, l := range e.q.Leaves {
		if l.Shared {
			continue
		}
		e.mark(mark{l, in, allNodes})
		if slices.ContainsFunc(l.Deps, func(d plan.Dep) bool { return d.Prev }) {
			e.echo = append(e.echo, mark{l, in, allNodes})
		}
	}
}

// Feed takes the next entry of the walk: an event, or a base. The Stream keeps
// what is in it. io.EOF says that LIMIT is reached.
func (s *Stream) Feed(ev *history.Event) error {
	switch {
	case s.err != nil:
		return s.end(s.err)
	case s.r.q.Nodes != nil && !slices.Contains(s.r.q.Nodes, ev.Node):
		return nil
	case !s.fed:
		s.fed, s.r.e.start = true, ev.Time
	}
	if err := s.ctx.Err(); err != nil {
		return err
	}
	s.err = s.r.feed(ev)
	return s.end(s.err)
}

func (s *Stream) end(err error) error {
	if errors.Is(err, errLimit) {
		return io.EOF
	}
	return err
}

// Gap says that a node is unknown during a time, of which the To is hlc.Max while
// nobody knows when it ends; another Gap with the same From gives it its end.
// Rows given from then on say so.
func (s *Stream) Gap(node int, span history.Span) { s.r.gaps.gap(node, span) }

// Grow goes on with a History that has more nodes or more variables: those that
// it had keep their names, and variables their ids. Entries fed from then on
// count by the new one.
func (s *Stream) Grow(meta *history.Meta) error {
	if s.err != nil {
		return s.end(s.err)
	}
	p, err := plan.Compile(schemaOf(meta), s.tree)
	if err != nil {
		return err
	}
	r, old := s.r, s.r.e
	to, err := renumber(r.meta, meta)
	if err != nil {
		return err
	}
	if old.net != nil {
		old.net.settleAll(old.w)
	}
	states := make([]*history.State, len(meta.Nodes))
	gaps, ever := gapsOf(meta), make([]bool, len(meta.Nodes))
	for n, at := range to {
		states[at] = moveNet(old.w.states[n], r.meta, meta)
		gaps[at], ever[at] = r.gaps.spans[n], r.gaps.ever[n]
	}
	members := make([]value, 0, len(old.insts))
	for _, in := range old.insts {
		members = append(members, in.member)
	}
	r.q, r.meta = p, meta
	r.gaps.adopt(p, meta, gaps)
	for n, had := range ever {
		r.gaps.ever[n] = r.gaps.ever[n] || had
	}
	s.start(states, members)
	r.e.adopt(old, to)
	for i, in := range r.on {
		r.on[i] = r.e.heir(in)
	}
	for _, o := range r.queue {
		o.inst = r.e.heir(o.inst)
	}
	return nil
}

// renumber returns the places that the nodes of a History have in one that grew
// from it.
func renumber(old, meta *history.Meta) ([]int, error) {
	to := make([]int, len(old.Nodes))
	for i := range old.Nodes {
		at, ok := meta.NodeIndex(old.Nodes[i].Name)
		if !ok {
			return nil, fmt.Errorf("node %s is not in the History that grew: nodes stay", old.Nodes[i].Name)
		}
		to[i] = at
	}
	for i := range old.Vars {
		if i >= len(meta.Vars) || meta.Vars[i].Name != old.Vars[i].Name {
			return nil, fmt.Errorf("variable %s is not at its place in the History that grew: variables keep their ids", old.Vars[i].Name)
		}
	}
	return to, nil
}

// moveNet moves the variables of log net, whose ids follow those of the History.
func moveNet(s *history.State, old, meta *history.Meta) *history.State {
	from, to := history.VarID(len(old.Vars)), history.VarID(len(meta.Vars))
	if s == nil || from == to {
		return s
	}
	moved := history.NewState()
	for _, id := range s.Vars() {
		at := id
		if id >= from {
			at += to - from
		}
		moved.Set(at, s.Get(id))
	}
	return moved
}

// adopt goes on where another engine for the same query is, over fewer nodes or
// variables: node n of that is to[n] of this. Its states are this engine's already.
func (e *engine) adopt(old *engine, to []int) {
	e.cut, e.round, e.choice, e.w.now = old.cut, old.round, old.choice, old.w.now
	e.start, e.faults, e.pairs, e.anew = old.start, old.faults, old.pairs, true
	for i := range e.missing {
		if was := old.missing[i]; was.depth > e.missing[i].depth {
			e.missing[i].depth, e.missing[i].at = was.depth, was.at
		}
	}
	if e.net != nil && old.net != nil {
		e.net.adopt(old.net, to)
	}
	if e.gather != nil {
		e.gather.seen = old.gather.seen
	}
	for _, was := range old.insts {
		in := e.heir(was)
		in.matching, in.open = was.matching, was.open
	}
	e.adoptPasts(old, to)
	e.fresh = slices.Clone(e.insts)
}

// heir is the instance for the same member of FOR EACH.
func (e *engine) heir(in *instance) *instance {
	if e.byKey == nil {
		return e.insts[0]
	}
	return e.byKey[memberID(in.member)]
}

// Close ends the stream: rows of runs that aren't over are given as those that
// last to the end.
func (s *Stream) Close() (Summary, error) {
	err := s.err
	s.err = errLimit
	return s.r.result(err)
}
