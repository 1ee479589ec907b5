package rql

import (
	"cmp"
	"slices"

	"hindcast.dev/causal"
	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/rql/lattice"
	"hindcast.dev/rql/plan"
)

// What net.inflight adds to a sum is taken from the walk: a message comes with its
// send and goes with its first end there. That is so at every cut as long as the
// ends are of one node. A sender may note a loss, though, and the message arrive
// all the same; or the receiver notes it, and it is sent again. Then there are cuts
// that have the second of two events and not the first, and at these the sum is
// off by the message: an amend says so. Cuts with the first event and cuts without
// it are told apart as alternatives, and each has a sum that is right everywhere.

// splitsMax bounds into how many an alternative is split for that.
const splitsMax = 1 << 8

// A place is an event of a process.
type place struct {
	node int
	k    uint64
}

// An amend says that at the cuts with one event and without another a message
// counts so many times more than the walk's steps say.
type amend struct {
	with, without place
	times         int64
	id            string
	from          int
	lists         event.Value // net.inflight, if there were nothing but it
}

// A course is what became of a message, in the order of the walk.
type course struct {
	lists    event.Value
	out      bool   // it was sent, and its sender has noted no loss since
	lost     place  // where the sender noted it
	received *place // where it was first
	noted    *place // where another node said that it is lost, since it was sent last
}

// tell adds an amend, unless what is below the bottom decides.
func (g *gatherer) tell(f *causal.Flight[*sending], with, without place, times int64) {
	if without.k > 0 {
		g.amends = append(g.amends, amend{with, without, times, f.ID, f.From, f.Value.course.lists})
	}
}

// departs takes in that a message is sent, or sent again, at an event.
func (g *gatherer) departs(ev *history.Event, l history.Link, k uint64, f *causal.Flight[*sending]) {
	if g.e.net == nil || !g.asked[ev.Node] || f.Kind != event.Message.String() {
		return
	}
	c, here := &f.Value.course, place{ev.Node, k}
	if f.Received && c.received == nil { // by clocks that disagree: it is never under way
		return
	}
	s := &ev.Effects[l.Effect-1]
	if s.Peer == "" {
		return
	}
	lists := event.MapOf((*event.Map)(nil).With(event.String(s.Peer), event.List(underWay(s))))
	switch {
	case c.received != nil && (!c.out || c.noted != nil):
		g.tell(f, here, *c.received, 1)
		if c.out {
			g.tell(f, here, *c.noted, -1)
		}
		c.noted = nil
	case c.received == nil && c.noted != nil:
		if c.out {
			g.tell(f, here, *c.noted, -1)
		}
		c.noted, c.lists = nil, lists
	case !c.out:
		c.lists = lists
	}
	c.out = true
}

// arrives takes in that a message is received.
func (g *gatherer) arrives(ev *history.Event, k uint64, f *causal.Flight[*sending]) {
	c, here := &f.Value.course, place{ev.Node, k}
	if !g.follows(ev, f) {
		return
	}
	switch {
	case c.received != nil:
		g.endsAt(ev.Node, f, c.received)
	case c.noted != nil:
		g.endsAt(ev.Node, f, c.noted)
	case !c.out:
		g.tell(f, here, c.lost, -1)
	}
	if c.received == nil {
		c.received = &here
	}
}

// fails takes in that a node notes a message to be lost.
func (g *gatherer) fails(ev *history.Event, k uint64, f *causal.Flight[*sending]) {
	c, here := &f.Value.course, place{ev.Node, k}
	if !g.follows(ev, f) {
		return
	}
	switch ended := cmp.Or(c.noted, c.received); {
	case ev.Node == f.From:
		if c.out && ended != nil {
			g.tell(f, here, *ended, -1)
		}
		if c.out {
			c.out, c.lost = false, here
		}
	case ended != nil:
		g.endsAt(ev.Node, f, ended)
	default:
		if !c.out {
			g.tell(f, here, c.lost, -1)
		}
		c.noted = &here
	}
}

// endsAt sees to it that all ends of a message but its sender's are of one node.
func (g *gatherer) endsAt(node int, f *causal.Flight[*sending], other *place) {
	if other.node != node {
		g.m.twice = f.ID
	}
}

// follows reports whether log net has the message, and looks at the event's node.
func (g *gatherer) follows(ev *history.Event, f *causal.Flight[*sending]) bool {
	return g.e.net != nil && g.asked[ev.Node] && !f.Value.course.lists.IsAbsent()
}

// A part is an alternative at some of the cuts: those that it spans, and there the
// amends hold wherever their event is.
type part struct {
	truth  [][]lattice.Span
	amends []amend
}

// parts splits an alternative by the events without which some amend holds; ok is
// false if it would be too many.
func (c *choices) parts(truth [][]lattice.Span, sums []bounded) (out []part, ok bool) {
	out = []part{{truth: truth}}
	if len(sums) == 0 || c.g.e.net == nil || !c.g.reads[c.g.e.net.inflight] {
		return out, true
	}
	if c.g.m.twice != "" {
		return nil, false
	}
	amends := slices.Clone(c.g.amends)
	amends = slices.DeleteFunc(amends, func(a amend) bool { // the one event is never without the other
		return c.g.comp.Including(a.with.node, a.with.k)[a.without.node] >= a.without.k
	})
	for n := range truth {
		var edges []uint64
		for _, a := range amends {
			if a.without.node == n {
				edges = append(edges, a.without.k)
			}
		}
		slices.Sort(edges)
		edges = slices.Compact(edges)
		if len(out)*(len(edges)+1) > splitsMax {
			c.g.m.twice = amends[0].id
			return nil, false
		}
		out = splitAt(out, amends, n, edges)
	}
	return out, true
}

// splitAt splits every part at some events of a node.
func splitAt(parts []part, amends []amend, node int, edges []uint64) []part {
	if len(edges) == 0 {
		return parts
	}
	var out []part
	for _, p := range parts {
		from := uint64(0)
		for _, to := range append(edges, lattice.Forever) {
			q := part{truth: slices.Clone(p.truth), amends: slices.Clip(p.amends)}
			q.truth[node] = intersect(p.truth[node], []lattice.Span{{From: from, To: to}})
			for _, a := range amends {
				if a.without.node == node && a.without.k >= to {
					q.amends = append(q.amends, a)
				}
			}
			if from = to; len(q.truth[node]) > 0 {
				out = append(out, q)
			}
		}
	}
	return out
}

// weigh is what a message adds to the series if it is under way; ok is false if
// that isn't told of each message alone.
func (t *series) weigh(e *engine, a *amend) (n int64, ok bool) {
	if t.node != allNodes && t.node != a.from {
		return 0, true
	}
	agg, isAgg := t.x.(*plan.Agg)
	if !isAgg {
		return 0, true // no path to one message goes with a sum
	}
	ref := agg.Arg.(*plan.Spread).Ref
	if !slices.ContainsFunc(ref.Vars, func(c plan.Candidate) bool { return history.VarID(c.Var) == e.net.inflight }) {
		return 0, true
	}
	steps := ref.Steps[ref.Vars[0].Rest:]
	if len(ref.Vars) > 1 || len(steps) < 2 || steps[1].Kind != plan.StepAll {
		return 0, false
	}
	ok = true
	e.entries(a.lists, steps, func(v event.Value) {
		x, isInt := v.AsInt()
		if agg.Op == plan.AggCount {
			x, isInt = 1, true
		}
		n, ok = n+x, ok && isInt && small(x)
	})
	return n, ok
}
