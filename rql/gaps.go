package rql

import (
	"context"
	"errors"
	"io"
	"slices"

	"hindcast.dev/history"
	"hindcast.dev/hlc"
	"hindcast.dev/rql/plan"
)

// gaps are where the recordings of the nodes asked are missing, and what of the
// answer that could change.
type gaps struct {
	q       *plan.Query
	names   []string         // of all nodes
	asked   []bool           // by node: that something of it is missing can matter
	spans   [][]history.Span // by node, of those asked
	ever    []bool           // by node: it had one, which may be forgotten
	lasting bool             // log net: what is missing once is missed ever after
	walk    times

	// The gap that ended last and is forgotten; 0 if none is. Of a Stream alone.
	forgotten hlc.Timestamp
	next      hlc.Timestamp // no gap that isn't forgotten ends before this

	// Rows that begin before these may depend on what was before over.
	over, plain, edge hlc.Timestamp
}

// times finds events of a walk by their times.
type times interface {
	// first returns the time of the first event at a moment or after, hlc.Max if
	// there is none so far.
	first(t hlc.Timestamp) (hlc.Timestamp, error)
}

func newGaps(q *plan.Query, meta *history.Meta, walk times) *gaps {
	g := &gaps{walk: walk}
	g.adopt(q, meta, gapsOf(meta))
	return g
}

// recordedGaps are the gaps of a History.
func recordedGaps(ctx context.Context, q *plan.Query, src history.Source) *gaps {
	// Where ctx ends the run, the rows so far still are to say what they look at.
	return newGaps(q, src.Meta(), &recorded{ctx: context.WithoutCancel(ctx), src: src, nodes: q.Nodes})
}

// adopt goes on with another plan of the query, and with these gaps by node.
func (g *gaps) adopt(q *plan.Query, meta *history.Meta, spans [][]history.Span) {
	g.q, g.names, g.spans, g.lasting, g.over = q, schemaOf(meta).Nodes, spans, usesNet(q, meta), 0
	blind := len(q.Refs) == 0 && usedVars(q) != nil // it looks at no variable
	g.asked, g.ever = make([]bool, len(spans)), make([]bool, len(spans))
	for n := range spans {
		if g.asked[n] = !blind && (q.Nodes == nil || slices.Contains(q.Nodes, n)); !g.asked[n] {
			spans[n] = nil
		}
		g.ever[n] = len(spans[n]) > 0
	}
}

// gapsOf is where the nodes of a History are unknown.
func gapsOf(meta *history.Meta) [][]history.Span {
	spans := make([][]history.Span, len(meta.Nodes))
	for i := range meta.Nodes {
		spans[i] = meta.Nodes[i].Unknown
	}
	return spans
}

// touch reports whether what a row tells could be otherwise for what is missing:
// in its time, or in what it looks back at.
func (g *gaps) touch(o *entry) (bool, error) {
	to := o.row.To
	if o.row.Open {
		to = hlc.Max
	}
	for _, spans := range g.spans {
		for _, s := range spans {
			if s.From < to && o.row.From < s.To {
				return true, nil
			}
		}
	}
	if o.looked {
		return o.unsure, nil
	}
	return g.behind(o)
}

// behind reports whether a row looks back at what is missing before it.
func (g *gaps) behind(o *entry) (bool, error) {
	over := g.forgotten
	for _, spans := range g.spans {
		for _, s := range spans {
			if s.To <= o.row.From {
				over = max(over, s.To)
			}
		}
	}
	return g.backTo(o.row.From, over, o.edge)
}

// backTo reports whether rows from a moment on look back at what was before over.
func (g *gaps) backTo(from, over hlc.Timestamp, edge bool) (bool, error) {
	if over == 0 {
		return false, nil
	}
	begin, err := g.walk.first(0)
	if err != nil || over <= begin { // nothing looks at what is before the walk
		return false, err
	}
	if over != g.over {
		if err := g.see(over); err != nil {
			return false, err
		}
	}
	if edge {
		return from < g.edge, nil
	}
	return from < g.plain, nil
}

// see finds up to when rows may depend on what was before over.
func (g *gaps) see(over hlc.Timestamp) (err error) {
	if g.plain, g.edge = hlc.Max, hlc.Max; !g.lasting {
		first := func(t hlc.Timestamp) hlc.Timestamp {
			at, failed := g.walk.first(t)
			err = errors.Join(err, failed)
			return at
		}
		g.plain, g.edge = g.q.OutOfSight(over, false, first), g.q.OutOfSight(over, true, first)
	}
	if g.over = over; err != nil {
		g.over = 0
	}
	return err
}

// between returns the nodes of which something is missing that cuts between two
// moments depend on.
func (g *gaps) between(from, to hlc.Timestamp) (names []string, err error) {
	for n, spans := range g.spans {
		missing, over := false, hlc.Timestamp(0)
		for _, s := range spans {
			switch {
			case s.To <= from:
				over = max(over, s.To)
			case s.From <= to:
				missing = true
			}
		}
		if !missing {
			if missing, err = g.backTo(from, over, false); err != nil {
				return nil, err
			}
		}
		if missing {
			names = append(names, g.names[n])
		}
	}
	return names, nil
}

// recorded finds events of a History.
type recorded struct {
	ctx   context.Context
	src   history.Source
	nodes []int
	began *hlc.Timestamp // first(0), once it is known
}

func (w *recorded) first(t hlc.Timestamp) (hlc.Timestamp, error) {
	if t == 0 && w.began != nil {
		return *w.began, nil
	}
	at, err := w.search(t)
	if t == 0 && err == nil {
		w.began = &at
	}
	return at, err
}

func (w *recorded) search(t hlc.Timestamp) (hlc.Timestamp, error) {
	cur, err := history.WalkThrough(w.ctx, w.src, history.Position{Time: t}, history.End, w.nodes, history.Lens{})
	if err != nil {
		return 0, err
	}
	defer cur.Close()
	for {
		ev, err := cur.Next()
		switch {
		case errors.Is(err, io.EOF):
			return hlc.Max, nil
		case err != nil:
			return 0, err
		case !ev.Base:
			return ev.Time, nil
		}
	}
}

// coming finds events of a walk that goes on: those asked for before they come.
// Of one asked for later it finds one that came after it.
type coming struct {
	begin  hlc.Timestamp // of the first event; hlc.Max before
	last   hlc.Timestamp // of the last
	known  map[hlc.Timestamp]hlc.Timestamp
	wanted []hlc.Timestamp
}

func (w *coming) first(t hlc.Timestamp) (hlc.Timestamp, error) {
	if t == 0 {
		return w.begin, nil
	}
	if at, ok := w.known[t]; ok {
		return at, nil
	}
	if t <= w.last {
		w.known[t] = w.last
		return w.last, nil
	}
	if t != hlc.Max && !slices.Contains(w.wanted, t) {
		w.wanted = append(w.wanted, t)
	}
	return hlc.Max, nil
}

// event takes the next event. It reports whether that was waited for.
func (w *coming) event(t hlc.Timestamp) bool {
	w.begin, w.last = min(w.begin, t), t
	left := w.wanted[:0]
	for _, x := range w.wanted {
		if x <= t {
			w.known[x] = t
		} else {
			left = append(left, x)
		}
	}
	found := len(left) < len(w.wanted)
	w.wanted = left
	return found
}

// everMissing returns the nodes that had a gap.
func (g *gaps) everMissing() (names []string) {
	for n, had := range g.ever {
		if had {
			names = append(names, g.names[n])
		}
	}
	return names
}

// gap takes a gap of a Stream, or gives one its end.
func (g *gaps) gap(node int, span history.Span) {
	if !g.asked[node] {
		return
	}
	spans := slices.Clone(g.spans[node])
	at := slices.IndexFunc(spans, func(s history.Span) bool { return s.From == span.From })
	if at < 0 {
		at, spans = len(spans), append(spans, span)
	}
	spans[at] = span
	if len(spans) > gapsMax {
		spans = merged(spans)
	}
	g.spans[node], g.ever[node] = spans, true
	g.next = min(g.next, span.To)
}

// gapsMax bounds the gaps of a node that a Stream keeps apart.
const gapsMax = 64

// merged makes one of the gaps that have an end: they wait for an event, which
// doesn't come.
func merged(spans []history.Span) []history.Span {
	var open []history.Span
	all := history.Span{From: hlc.Max}
	for _, s := range spans {
		if s.To == hlc.Max {
			open = append(open, s)
			continue
		}
		all.From, all.To = min(all.From, s.From), max(all.To, s.To)
	}
	return append(open, all)
}

// pass forgets the gaps that are over at an event of a Stream, which rows that
// wait are told of.
func (g *gaps) pass(t hlc.Timestamp, waiting []*entry) error {
	if t >= g.next {
		g.forget(t, waiting)
	}
	w := g.walk.(*coming)
	if g.forgotten != 0 && g.forgotten != g.over {
		clear(w.known)
		w.wanted = w.wanted[:0]
		if err := g.see(g.forgotten); err != nil {
			return err
		}
	}
	if w.event(t) && g.over != 0 {
		return g.see(g.over)
	}
	return nil
}

func (g *gaps) forget(t hlc.Timestamp, waiting []*entry) {
	g.next = hlc.Max
	for n, spans := range g.spans {
		var left []history.Span
		for _, s := range spans {
			if s.To > t {
				left = append(left, s)
				g.next = min(g.next, s.To)
				continue
			}
			g.forgotten = max(g.forgotten, s.To)
			for _, o := range waiting {
				o.unsure = o.unsure || o.row.From < s.To && (o.row.Open || s.From < o.row.To)
			}
		}
		g.spans[n] = left
	}
}
