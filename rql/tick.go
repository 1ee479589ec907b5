package rql

import (
	"context"
	"slices"

	"hindcast.dev/history"
	"hindcast.dev/hlc"
	"hindcast.dev/rql/plan"
)

// timers is a heap of the operators of past time that time alone will change, the
// first one first. Each is in it once at most.
type timers []*pastState

// set puts an operator where its time says; 0 takes it out.
func (t *timers) set(s *pastState, due uint64) {
	switch {
	case due == 0 && s.at < 0:
	case due == 0:
		t.remove(s)
	case s.at < 0:
		s.due, s.at = due, len(*t)
		*t = append(*t, s)
		t.up(s.at)
	case s.due != due:
		s.due = due
		t.down(s.at)
		t.up(s.at)
	}
}

func (t *timers) remove(s *pastState) {
	h, at := *t, s.at
	last := len(h) - 1
	h[at] = h[last]
	h[at].at = at
	h[last], *t = nil, h[:last]
	s.at = -1
	if at < last {
		t.down(at)
		t.up(at)
	}
}

func (t timers) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if t[parent].due <= t[i].due {
			return
		}
		t.swap(i, parent)
		i = parent
	}
}

func (t timers) down(i int) {
	for {
		least := i
		for kid := 2*i + 1; kid <= 2*i+2 && kid < len(t); kid++ {
			if t[kid].due < t[least].due {
				least = kid
			}
		}
		if least == i {
			return
		}
		t.swap(i, least)
		i = least
	}
}

func (t timers) swap(i, j int) {
	t[i], t[j] = t[j], t[i]
	t[i].at, t[j].at = i, j
}

// until makes the tick cuts that come before an event, and calls f after each.
// It must be called before step. Bases that came since the last event take their
// places among the ticks.
func (e *engine) until(ev *history.Event, f func() error) error {
	if len(e.timers) == 0 && len(e.bases) == 0 {
		return nil
	}
	bases := e.bases
	e.bases = nil
	for _, next := range append(bases, ev) {
		for len(e.timers) > 0 && e.timers[0].due <= next.Time.Ticks() {
			if err := e.tick(e.timers[0].due); err != nil {
				return err
			}
			if err := f(); err != nil {
				return err
			}
		}
		if next != ev {
			e.enterBase(next)
		}
	}
	return nil
}

// tick moves to the cut that time makes. It is one of the instances in ticking
// alone; flips are those of them for which something became true or false.
func (e *engine) tick(at uint64) error {
	e.begin(nil, hlc.Timestamp(at<<hlc.LogicalBits))
	e.ticking = e.ticking[:0]
	for len(e.timers) > 0 && e.timers[0].due <= at {
		s := e.timers[0]
		e.timers.remove(s)
		e.wake[s.past.ID] = append(e.wake[s.past.ID], s)
		if e.q.Apart && s.inst.ticked != e.cut {
			s.inst.ticked = e.cut
			e.ticking = append(e.ticking, s.inst)
		}
	}
	ticks := func(in *instance) bool { return in.ticked == e.cut }
	if !e.q.Apart {
		e.ticking = append(e.ticking, e.insts...)
		ticks = func(*instance) bool { return true }
	}
	slices.SortFunc(e.ticking, (*instance).compare)
	e.resume(ticks)
	for _, l := range e.q.Leaves {
		switch {
		case !l.Volatile && !e.anew:
		case e.q.Apart && !l.Shared:
			for _, in := range e.ticking {
				e.mark(mark{l, in, allNodes})
			}
		default:
			e.markAll(l, allNodes)
		}
	}
	if !e.q.Apart {
		e.anew = false
		e.decideMarked()
		return e.err
	}
	fresh := e.fresh
	e.fresh = e.ticking
	e.decideMarked()
	if e.fresh = fresh; e.anew { // for the others that is still to come
		e.fresh = slices.Clone(e.insts)
	}
	return e.err
}

// resume marks what the cut before asks for at this one, of the instances for
// which it is a cut; nil are all.
func (e *engine) resume(has func(*instance) bool) {
	before, echo := e.before, e.echo
	e.before, e.echo = nil, nil
	for _, s := range before {
		if has == nil || has(s.inst) {
			e.wake[s.past.ID] = append(e.wake[s.past.ID], s)
		} else {
			e.before = append(e.before, s)
		}
	}
	for _, m := range echo {
		if has != nil && !has(m.inst) {
			e.echo = append(e.echo, m)
			continue
		}
		if m.leaf.Class == plan.ClassEachKey {
			e.shared[m.leaf.ID].keys.all = true
		}
		e.mark(m)
	}
}

// tick takes one tick cut into the rows.
func (r *runner) tick() error {
	now, ins := r.e.w.now, r.e.ticking
	r.sum.Cuts++
	switch {
	case now > r.to:
		r.close(ins, now)
		return nil
	case r.inRange == 0:
		return nil
	case !r.q.Apart:
		r.inRange++
	default:
		for _, in := range ins {
			in.ticks++
		}
	}
	if now <= r.from { // the cut at the beginning of ON TIME is this one
		r.drop(ins)
		return r.rows(ins, true)
	}
	return r.rows(ins, false)
}

// drop takes back the rows of the range's first event, for the instances for
// which the range begins later.
func (r *runner) drop(ins []*instance) {
	drops := map[*instance]bool{}
	for _, in := range ins {
		drops[in] = true
		in.open = nil
	}
	gone := func(o *entry) bool { return drops[o.inst] }
	r.queue = slices.DeleteFunc(r.queue, gone)
	r.pending = slices.DeleteFunc(r.pending, gone)
	r.on = slices.DeleteFunc(r.on, func(in *instance) bool { return drops[in] })
}

// among reports whether an instance has this cut: all do, or it is a tick of the
// instances ins alone.
func (r *runner) among(ins []*instance, in *instance) bool {
	return len(ins) == len(r.e.insts) || in.ticked == r.e.cut
}

// count is how many cuts of the range an instance has had.
func (r *runner) count(in *instance) uint64 { return r.inRange + in.ticks }

// lookback returns where the walk must begin for the range to begin at begin.
func (r *runner) lookback(ctx context.Context) (history.Position, error) {
	if len(r.q.Pasts) == 0 || r.begin == history.Begin {
		return r.begin, nil
	}
	lengths, ok := r.q.Lookback()
	if !ok {
		return history.Begin, nil
	}
	return r.before(ctx, r.begin, lengths)
}

// before goes back from an event by lengths of time, one after the other, each
// time to the event in force.
func (r *runner) before(ctx context.Context, start history.Position, lengths []uint64) (history.Position, error) {
	for _, d := range lengths {
		if d > start.Time.Ticks() {
			return history.Begin, nil
		}
		t := hlc.Timestamp((start.Time.Ticks()-d)<<hlc.LogicalBits | 1<<hlc.LogicalBits - 1)
		last, ok, err := history.PlaceBefore(ctx, r.src, history.Position{Time: t, Node: history.End.Node, Seq: history.End.Seq}, r.q.Nodes)
		if err != nil || !ok {
			return history.Begin, err
		}
		start = last
	}
	return start, nil
}

// adoptPasts goes on with the operators of past time of another engine for the
// same query: node n of that is to[n] of this.
func (e *engine) adoptPasts(old *engine, to []int) {
	now := map[*pastState]*pastState{}
	move := func(from, into []pastState) {
		for i := range from {
			was, is := &from[i], &into[i]
			is.holds, is.known, is.x, is.ended, is.mark = was.holds, was.known, was.x, was.ended, was.mark
			if was.at >= 0 {
				e.timers.set(is, was.due)
			}
			now[was] = is
		}
	}
	move(old.pasts, e.pasts)
	for _, in := range old.insts {
		heir := e.heir(in)
		heir.ticks = in.ticks
		move(in.pasts, heir.pasts)
	}
	for _, s := range old.before {
		e.before = append(e.before, now[s])
	}
	for _, b := range old.bases {
		moved := *b
		moved.Node = to[b.Node]
		e.bases = append(e.bases, &moved)
	}
}
