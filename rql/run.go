package rql

import (
	"cmp"
	"context"
	"errors"
	"io"

	"hindcast.dev/history"
	"hindcast.dev/hlc"
	"hindcast.dev/rql/plan"
	"hindcast.dev/rql/syntax"
)

// A runner turns what an engine finds at the cuts of a walk into rows. It walks a
// History by itself (run), or is fed by a Stream.
type runner struct {
	q    *plan.Query
	src  history.Source // nil of a Stream
	meta *history.Meta
	opt  Options
	emit func(*Row) error
	// asDone gives each row as soon as its end is known, in place of by its from.
	asDone bool
	hold   bool  // gives no rows: they are kept in queue
	edges  bool  // rows of both edges, in place of q.Emit
	gaps   *gaps // where nodes are unknown
	begins bool  // this cut begins the range: that something is so at it tells nothing of the cut before

	e       *engine
	begin   history.Position // ON TIME: of the event that makes the first cut of the range
	from    hlc.Timestamp    // when the range begins; 0 without ON TIME
	to      hlc.Timestamp    // and no cut after this is in it
	queue   []*entry         // rows not given yet, in their order
	pending []*entry         // rows of one cut, which end at the next
	on      []*instance      // that match, by member; kept for EMIT CUTS
	inRange uint64           // cuts of the range so far
	sum     Summary
	grouper *grouper // of GROUP BY
}

// An entry is a row that waits for its end or for its turn.
type entry struct {
	row   *Row
	inst  *instance
	start uint64 // the cut of the range that it begins with
	done  bool
	// carried says that it stands for a row of an earlier part of the walk.
	carried bool
	edge    bool // it says that it was otherwise one cut before
	unsure  bool // a gap that is forgotten lies in it, or before it where it looks
	looked  bool // what lies before it is looked at: unsure says what came of that

	late    []*lateValue // cells that need the end of the row
	grouped *groupedRow  // with GROUP BY
}

func (r *runner) run(ctx context.Context) (Summary, error) {
	if r.q.Limit == 0 {
		return r.sum, nil
	}
	if !r.onTheWay(ctx) {
		return r.runFor(ctx, false)
	}
	again := *r
	sum, err := r.runFor(ctx, true)
	if !errors.Is(err, errMembers) {
		return sum, err
	}
	*r = again
	given := sum.Rows // the rows of both begin alike
	r.emit = skipping(&given, again.emit)
	if r.opt.Partial != nil {
		r.opt.Partial = skipping(&given, r.opt.Partial)
	}
	return r.runFor(ctx, false)
}

// skipping is emit for the rows after those that were given before.
func skipping(given *uint64, emit func(*Row) error) func(*Row) error {
	return func(row *Row) error {
		if *given > 0 {
			*given--
			return nil
		}
		return emit(row)
	}
}

// runFor is run, in which the members of FOR EACH are found on the way or before.
func (r *runner) runFor(ctx context.Context, onTheWay bool) (Summary, error) {
	var members []value
	var err error
	if !onTheWay {
		if members, err = r.members(ctx); err != nil {
			return r.sum, err
		}
	}
	if err := r.timeRange(ctx); err != nil {
		return r.sum, err
	}
	start, err := r.lookback(ctx)
	if err != nil {
		return r.sum, err
	}
	if usesNet(r.q, r.src.Meta()) {
		start = history.Begin // what log net says depends on every event so far
	}
	cur, err := history.WalkThrough(ctx, r.src, start, history.End, r.q.Nodes, r.lens())
	if err != nil {
		return r.sum, err
	}
	defer cur.Close()
	r.e = newEngine(ctx, r.q, r.src.Meta(), cur.States(), members, r.opt)
	r.e.setLean()
	r.e.follows()
	if onTheWay {
		r.e.findMembers()
	}
	if r.q.Group != nil {
		r.grouper = &grouper{e: r.e, groups: map[string]*group{}}
	}
	if err = r.walk(cur); errors.Is(err, errMembers) {
		return r.sum, err
	}
	return r.result(err)
}

// result ends the run, with the error that ended the walk.
func (r *runner) result(err error) (Summary, error) {
	part := err != nil || r.src == nil || r.begin != history.Begin
	if err == nil {
		err = r.finish()
	}
	if err != nil && !errors.Is(err, errLimit) && r.opt.Partial != nil && r.grouper == nil {
		r.rest()
	}
	if r.grouper != nil && (err == nil || errors.Is(err, errLimit)) {
		err = r.giveGroups()
	}
	r.sum.Errors, r.sum.Absent, r.sum.Unequal = r.e.faults.list, r.e.absent(part), r.e.unequal()
	var unseen error
	if r.sum.Incomplete, unseen = r.unknownNodes(); err == nil || errors.Is(err, errLimit) {
		err = cmp.Or(unseen, err)
	}
	if errors.Is(err, errLimit) {
		err = nil
	}
	return r.sum, err
}

// rest gives the rows that wait when something ends the walk early.
func (r *runner) rest() {
	for _, o := range r.queue {
		if r.q.Limit >= 0 && int64(r.sum.Rows) >= r.q.Limit {
			return
		}
		row := o.row
		unsure, err := r.gaps.touch(o)
		row.Incomplete = !o.done || unsure || err != nil
		if !o.done && o.inst != nil && o.inst.open == o {
			row.Cuts = r.count(o.inst) - o.start + 1
		}
		for _, v := range o.late {
			r.e.showLate(row, v, lasted(row, r.e.w.now))
		}
		r.sum.Rows++
		if r.opt.Partial(row) != nil {
			return
		}
	}
	r.queue = nil
}

// errLimit ends a walk whose LIMIT is reached, or of which nothing more is asked.
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
	r.from, r.to = from, from
	if t.To != nil {
		if r.to = e.instant(t.To); r.to < from {
			return &syntax.Error{Pos: t.To.Pos, Msg: "ON TIME ends before it begins", Hint: "write the earlier time first"}
		}
	}
	last, ok, err := history.PlaceBefore(ctx, r.src, history.Position{Time: from, Node: history.End.Node, Seq: history.End.Seq}, r.q.Nodes)
	if ok {
		r.begin = last
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
		if err := r.feed(ev); err != nil {
			return err
		}
	}
}

// feed takes the next entry of the walk. errLimit says that nothing more is
// asked.
func (r *runner) feed(ev *history.Event) error {
	if ev.Base {
		r.e.base(ev)
		return nil
	}
	if len(r.e.timers)+len(r.e.bases) > 0 {
		if err := r.e.until(ev, r.tick); err != nil {
			return err
		}
	}
	if r.src == nil {
		if err := r.gaps.pass(ev.Time, r.queue); err != nil {
			return err
		}
	}
	if ev.Time > r.to {
		r.close(r.e.insts, ev.Time)
		return cmp.Or(r.flush(hlc.Max), errLimit)
	}
	if err := r.e.step(ev); err != nil {
		return err
	}
	r.sum.Cuts++
	if r.inRange == 0 && ev.Position.Compare(r.begin) < 0 {
		return nil
	}
	return r.cut()
}

// cut takes one cut of the range.
func (r *runner) cut() error {
	r.inRange++
	return r.rows(r.e.insts, r.inRange == 1)
}

// rows takes one cut of the range for these instances; their first one forms
// runs anew.
func (r *runner) rows(ins []*instance, first bool) error {
	flips := r.e.flips
	if !first && len(flips)+len(r.pending)+len(r.on) == 0 && !r.due() {
		return r.e.err
	}
	now := r.e.w.now
	r.begins = first
	r.settle(ins, now)
	if err := r.flush(now); err != nil {
		return err
	}
	if first {
		flips = nil
		for _, in := range ins {
			if in.matching {
				flips = append(flips, in)
			}
		}
	}
	switch {
	case r.edges:
		r.bothEdges(flips)
	case r.q.Emit == syntax.EmitCuts:
		r.cuts(ins, flips)
	default:
		r.turns(flips, now)
	}
	return r.e.err
}

// settle ends the rows of one cut at the next, for the instances that have one
// now.
func (r *runner) settle(ins []*instance, now hlc.Timestamp) {
	left := r.pending[:0]
	for _, o := range r.pending {
		if !r.among(ins, o.inst) {
			left = append(left, o)
			continue
		}
		o.row.To, o.row.Open, o.done = now, false, true
	}
	r.pending = left
}

// bothEdges makes a row of everything that became true or false, which says
// which of the two.
func (r *runner) bothEdges(flips []*instance) {
	for _, in := range flips {
		if o := r.single(in, in.matching); o != nil {
			o.row.Edge = EdgeLeave
			if in.matching {
				o.row.Edge = EdgeEnter
			}
		}
	}
}

// turns makes rows of what became true or false.
func (r *runner) turns(flips []*instance, now hlc.Timestamp) {
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
	o.row.Cuts = r.count(in) - o.start
}

// cuts makes a row for every instance that matches now.
func (r *runner) cuts(ins, flips []*instance) {
	for _, in := range flips {
		i := 0
		for i < len(r.on) && r.on[i].compare(in) < 0 {
			i++
		}
		if in.matching {
			r.on = append(r.on[:i], append([]*instance{in}, r.on[i:]...)...)
		} else {
			r.on = append(r.on[:i], r.on[i+1:]...)
		}
	}
	for _, in := range r.on {
		if r.among(ins, in) {
			r.single(in, true)
		}
	}
}

// single adds a row of one cut.
func (r *runner) single(in *instance, witness bool) *entry {
	o := r.add(in, witness)
	if o != nil {
		r.pending = append(r.pending, o)
	}
	return o
}

// add puts a row of the current cut into the queue, rows of the same moment by
// member; nil where LIMIT leaves no room for it.
func (r *runner) add(in *instance, witness bool) *entry {
	now := r.e.w.now
	if room := r.q.Limit - int64(r.sum.Rows); r.q.Limit >= 0 && r.grouper == nil && int64(len(r.queue)) >= room &&
		r.queue[len(r.queue)-1].row.From < now {
		return nil
	}
	o := r.e.rowOf(in, witness)
	o.start = r.count(in)
	o.edge = !r.begins && (r.edges || r.q.Emit != syntax.EmitCuts)
	if r.src == nil { // while gaps before it aren't forgotten
		o.unsure, _ = r.gaps.behind(o)
		o.looked = true
	}
	i := len(r.queue)
	for i > 0 && r.queue[i-1].row.From == now && r.queue[i-1].inst.compare(in) > 0 {
		i--
	}
	r.queue = append(r.queue, nil)
	copy(r.queue[i+1:], r.queue[i:])
	r.queue[i] = o
	return o
}

// close ends the rows of these instances at the first cut after the range.
func (r *runner) close(ins []*instance, now hlc.Timestamp) {
	r.settle(ins, now)
	for _, in := range ins {
		if in.open != nil {
			in.ticks++ // that cut, which isn't in the range
			r.end(in, now)
		}
	}
}

// finish gives the rows that last to the end.
func (r *runner) finish() error {
	for _, in := range r.e.insts {
		if in.open != nil {
			in.open.row.Cuts = r.count(in) - in.open.start + 1
			in.open.done = true
		}
	}
	for _, o := range r.pending {
		o.done = true
	}
	return r.flush(hlc.Max)
}

// due reports whether there may be rows to be given.
func (r *runner) due() bool {
	return len(r.queue) > 0 && !r.hold && (r.asDone || r.queue[0].done)
}

// flush gives the finished rows whose turn it is: those before now.
func (r *runner) flush(now hlc.Timestamp) error {
	switch {
	case r.hold:
		return nil
	case r.asDone:
		return r.flushDone(now)
	}
	n := 0
	for ; n < len(r.queue) && r.queue[n].done && (now == hlc.Max || r.queue[n].row.From < now); n++ {
		if err := r.give(r.queue[n]); err != nil {
			return err
		}
	}
	r.queue = r.queue[n:]
	return nil
}

// flushDone gives all finished rows; one that isn't holds back none.
func (r *runner) flushDone(now hlc.Timestamp) error {
	var err error
	left := r.queue[:0]
	for _, o := range r.queue {
		if err == nil && o.done && (now == hlc.Max || o.row.From < now) {
			err = r.give(o)
		} else {
			left = append(left, o)
		}
	}
	clear(r.queue[len(left):])
	r.queue = left
	return err
}

// give gives a row.
func (r *runner) give(o *entry) error {
	row := o.row
	var err error
	if row.Incomplete, err = r.gaps.touch(o); err != nil {
		return err
	}
	if r.grouper != nil {
		return r.grouper.add(row, o.grouped, r.e.w.now)
	}
	for _, v := range o.late {
		r.e.showLate(row, v, lasted(row, r.e.w.now))
	}
	if err := r.emit(row); err != nil {
		return err
	}
	if r.sum.Rows++; int64(r.sum.Rows) == r.q.Limit {
		return errLimit
	}
	return nil
}

// unknownNodes are those of which something is missing that the rows, or that
// there are none, may depend on.
func (r *runner) unknownNodes() ([]string, error) {
	if r.src == nil {
		return r.gaps.everMissing(), nil
	}
	return r.missingInWalk()
}

// missingInWalk are the nodes of which something is missing at a cut of the walk.
func (r *runner) missingInWalk() ([]string, error) {
	from := r.begin.Time
	if begin, err := r.gaps.walk.first(0); err != nil {
		return nil, err
	} else if from < begin { // what is missing before the walk is no part of it
		from = begin
	}
	return r.gaps.between(from, r.to)
}

// giveGroups gives the rows of GROUP BY: something that is missing anywhere in the
// walk may be a row more or less in any of them.
func (r *runner) giveGroups() error {
	missing, err := r.missingInWalk()
	if err != nil {
		return err
	}
	return r.grouper.give(r.q.Limit, &r.sum, len(missing) > 0, r.emit)
}
