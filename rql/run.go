package rql

import (
	"context"
	"errors"
	"io"

	"hindcast.dev/history"
	"hindcast.dev/hlc"
	"hindcast.dev/rql/plan"
	"hindcast.dev/rql/syntax"
)

// A runner walks a History with an engine and turns what flips into rows.
type runner struct {
	q    *plan.Query
	src  history.Source
	opt  Options
	emit func(*Row) error

	e       *engine
	begin   history.Position // ON TIME: of the event that makes the first cut of the range
	to      hlc.Timestamp    // and no cut after this is in it
	queue   []*entry         // rows not given yet, in their order
	pending []*entry         // rows of one cut, which end at the next
	on      []*instance      // that match, by member; kept for EMIT CUTS
	inRange uint64           // cuts of the range so far
	sum     Summary
}

// An entry is a row that waits for its end or for its turn.
type entry struct {
	row   *Row
	index int    // of its member
	start uint64 // the cut of the range that it begins with
	done  bool
}

func (r *runner) run(ctx context.Context) (Summary, error) {
	if r.q.Limit == 0 {
		return r.sum, nil
	}
	members, err := r.members(ctx)
	if err != nil {
		return r.sum, err
	}
	if err := r.timeRange(ctx); err != nil {
		return r.sum, err
	}
	start := r.begin
	if usesNet(r.q, r.src.Meta()) {
		start = history.Begin // what log net says depends on every event so far
	}
	cur, err := r.src.Walk(ctx, start, history.End, r.q.Nodes)
	if err != nil {
		return r.sum, err
	}
	defer cur.Close()
	r.e = newEngine(ctx, r.q, r.src.Meta(), cur.States(), members, r.opt)
	err = r.walk(cur)
	if err == nil {
		err = r.finish()
	}
	r.sum.Errors, r.sum.Absent, r.sum.Unequal = r.e.faults.list, r.e.absent(), r.e.unequal()
	r.sum.Incomplete = r.unknownNodes()
	if errors.Is(err, errLimit) {
		err = nil
	}
	return r.sum, err
}

// errLimit ends a walk whose LIMIT is reached.
var errLimit = errors.New("limit")

// timeRange finds the cut at the beginning of ON TIME, where the walk can begin.
func (r *runner) timeRange(ctx context.Context) error {
	meta := r.src.Meta()
	r.begin, r.to = history.Begin, hlc.Max
	t := r.q.OnTime
	if t == nil {
		return nil
	}
	e := newEngine(ctx, r.q, meta, make([]*history.State, len(meta.Nodes)), nil, r.opt)
	from := e.instant(t.From)
	r.to = from
	if t.To != nil {
		if r.to = e.instant(t.To); r.to < from {
			return &syntax.Error{Pos: t.To.Pos, Msg: "ON TIME ends before it begins", Hint: "write the earlier time first"}
		}
	}
	last, err := r.src.Before(ctx, history.Position{Time: from, Node: history.End.Node, Seq: history.End.Seq}, 1, r.q.Nodes)
	if err == nil && len(last) > 0 {
		r.begin = last[0].Position
	}
	return err
}

// walk steps through the events. It ends early where nothing can follow.
func (r *runner) walk(cur history.Cursor) error {
	for {
		ev, err := cur.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if ev.Base {
			r.e.base(ev)
			continue
		}
		if ev.Time > r.to {
			r.close(ev.Time)
			return r.flush(hlc.Max)
		}
		if err := r.e.step(ev); err != nil {
			return err
		}
		r.sum.Cuts++
		if ev.Position.Compare(r.begin) < 0 {
			continue
		}
		if err := r.cut(ev); err != nil {
			return err
		}
	}
}

// cut takes one cut of the range.
func (r *runner) cut(ev *history.Event) error {
	r.inRange++
	for _, p := range r.pending {
		p.row.To, p.row.Open, p.done = ev.Time, false, true
	}
	r.pending = r.pending[:0]
	if err := r.flush(ev.Time); err != nil {
		return err
	}
	flips := r.e.flips
	if r.inRange == 1 {
		flips = nil
		for _, in := range r.e.insts {
			if in.matching {
				flips = append(flips, in)
			}
		}
	}
	switch r.q.Emit {
	case syntax.EmitCuts:
		r.cuts(flips)
	default:
		r.edges(flips, ev.Time)
	}
	return r.e.err
}

// edges makes rows of what became true or false.
func (r *runner) edges(flips []*instance, now hlc.Timestamp) {
	for _, in := range flips {
		switch r.q.Emit {
		case syntax.EmitEnter:
			if in.matching {
				r.single(in, true)
			}
		case syntax.EmitLeave:
			if !in.matching {
				r.single(in, false)
			}
		default:
			if in.matching {
				in.open = r.add(in, true)
			} else if in.open != nil {
				r.end(in, now)
			}
		}
	}
}

// end closes the run of an instance at the cut after it.
func (r *runner) end(in *instance, now hlc.Timestamp) {
	o := in.open
	in.open = nil
	o.row.To, o.row.Open, o.done = now, false, true
	o.row.Cuts = r.inRange - o.start
}

// cuts makes a row for every instance that matches now.
func (r *runner) cuts(flips []*instance) {
	for _, in := range flips {
		i := 0
		for i < len(r.on) && r.on[i].index < in.index {
			i++
		}
		if in.matching {
			r.on = append(r.on[:i], append([]*instance{in}, r.on[i:]...)...)
		} else {
			r.on = append(r.on[:i], r.on[i+1:]...)
		}
	}
	for _, in := range r.on {
		r.single(in, true)
	}
}

// single adds a row of one cut.
func (r *runner) single(in *instance, witness bool) {
	if o := r.add(in, witness); o != nil {
		r.pending = append(r.pending, o)
	}
}

// add puts a row of the current cut into the queue, rows of the same moment by
// member; nil where LIMIT leaves no room for it.
func (r *runner) add(in *instance, witness bool) *entry {
	now := r.e.w.now
	if room := r.q.Limit - int64(r.sum.Rows); r.q.Limit >= 0 && int64(len(r.queue)) >= room &&
		r.queue[len(r.queue)-1].row.From < now {
		return nil
	}
	o := &entry{row: r.e.rowOf(in, witness), index: in.index, start: r.inRange}
	i := len(r.queue)
	for i > 0 && r.queue[i-1].row.From == now && r.queue[i-1].index > o.index {
		i--
	}
	r.queue = append(r.queue, nil)
	copy(r.queue[i+1:], r.queue[i:])
	r.queue[i] = o
	return o
}

// close ends all rows at the first cut after the range.
func (r *runner) close(now hlc.Timestamp) {
	for _, o := range r.pending {
		o.row.To, o.row.Open, o.done = now, false, true
	}
	r.pending = nil
	for _, in := range r.e.insts {
		if in.open != nil {
			r.inRange++
			r.end(in, now)
			r.inRange--
		}
	}
}

// finish gives the rows that last to the end.
func (r *runner) finish() error {
	for _, in := range r.e.insts {
		if in.open != nil {
			in.open.row.Cuts = r.inRange - in.open.start + 1
			in.open.done = true
		}
	}
	for _, o := range r.pending {
		o.done = true
	}
	return r.flush(hlc.Max)
}

// flush gives the finished rows whose turn it is: those before now.
func (r *runner) flush(now hlc.Timestamp) error {
	n := 0
	for ; n < len(r.queue) && r.queue[n].done && (now == hlc.Max || r.queue[n].row.From < now); n++ {
		row := r.queue[n].row
		row.Incomplete = r.incomplete(row)
		if err := r.emit(row); err != nil {
			return err
		}
		if r.sum.Rows++; int64(r.sum.Rows) == r.q.Limit {
			return errLimit
		}
	}
	r.queue = r.queue[n:]
	return nil
}

// incomplete reports whether a node asked is unknown during the row, and the
// query looks at variables at all.
func (r *runner) incomplete(row *Row) bool {
	to := row.To
	if row.Open {
		to = hlc.Max
	}
	return r.anyUnknown(func(s history.Span) bool { return s.From < to && row.From < s.To }) != nil
}

// anyUnknown returns the names of the nodes asked that have such a gap.
func (r *runner) anyUnknown(f func(history.Span) bool) []string {
	var names []string
	if len(r.q.Refs) == 0 && r.e.used != nil {
		return nil
	}
	meta := r.src.Meta()
	for _, n := range r.e.w.nodes {
		for _, s := range meta.Nodes[n].Unknown {
			if f(s) {
				names = append(names, meta.Nodes[n].Name)
				break
			}
		}
	}
	return names
}

func (r *runner) unknownNodes() []string {
	return r.anyUnknown(func(s history.Span) bool { return s.From <= r.to && r.begin.Time < s.To })
}
