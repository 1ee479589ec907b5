package timeline

import (
	"context"
	"errors"
	"io"
	"slices"

	"hindcast.dev/causal"
	"hindcast.dev/history"
)

func sortPositions(at []history.Position) {
	slices.SortFunc(at, func(a, b history.Position) int { return a.Compare(b) })
}

// linkFields are what of an event tells of its messages.
const linkFields = history.FieldKind | history.FieldMessage | history.FieldEffects | history.FieldData

// Link returns an Index of the same events that knows their messages too, as
// causal.Links tells them. A receive before its sending, as in a recording with
// broken clocks, is none.
func (x *Index) Link(ctx context.Context, tell func(float64)) (*Index, error) {
	c, err := history.WalkThrough(ctx, x.src, history.Begin, history.End, nil, history.Lens{Fields: linkFields})
	if err != nil {
		return nil, err
	}
	defer c.Close()
	y := *x
	y.lanes = slices.Clone(x.lanes)
	for n := range y.lanes {
		y.lanes[n].depth = make([]uint32, 0, len(y.lanes[n].times))
	}
	l := linker{x: &y, links: causal.NewLinks[ref](len(x.lanes), 0)}
	for {
		e, err := c.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if e.Base {
			continue
		}
		if !l.add(e) {
			return nil, errors.New("the History has more events now than before")
		}
		if tell != nil && l.walked%progressEvents == 0 {
			tell(float64(l.walked) / float64(max(x.events, 1)))
		}
	}
	y.linked = true
	return &y, nil
}

// A ref is an event by its place in its lane.
type ref struct {
	node int32
	at   uint32
}

type linker struct {
	x      *Index
	links  *causal.Links[ref]
	walked uint32
}

// add takes the next event of the walk.
func (l *linker) add(e *history.Event) bool {
	lane := &l.x.lanes[e.Node]
	i := len(lane.depth)
	if i >= len(lane.times) {
		return false
	}
	depth := uint32(1)
	if i > 0 {
		depth = lane.depth[i-1] + 1
	}
	for end := range e.Arrivals() {
		f := l.links.Receive(l.x.meta.Receiving(e.Node, end))
		if f == nil || int(f.Value.node) == e.Node && int(f.Value.at) >= i {
			continue
		}
		s := f.Value
		depth = max(depth, l.x.lanes[s.node].depth[s.at]+1)
		l.x.links = append(l.x.links, link{to: int32(e.Node), from: s.node, receive: uint32(i), send: s.at, pos: l.walked})
	}
	lane.depth = append(lane.depth, depth)
	l.x.depth = max(l.x.depth, depth)
	for end := range e.Departures() {
		l.links.Send(l.x.meta.Sending(e.Node, end)).Value = ref{int32(e.Node), uint32(i)}
	}
	if lost, ok := e.Lost(); ok {
		l.links.Lose(l.x.meta.Losing(e.Node, lost))
	}
	l.walked++
	return true
}

// A Cone is a causal past or future, by node: Past holds how many of a node's events
// belong to it, its first ones, Future from which of its events on they do.
type Cone struct {
	Past   []int
	Future []int
}

// ConeOf is the causal past and future of an event, itself included.
func (x *Index) ConeOf(p history.Position) (*Cone, error) {
	if !x.linked {
		return nil, ErrNotLinked
	}
	if p.Node < 0 || p.Node >= len(x.lanes) {
		return nil, history.ErrNoEvent
	}
	at, ok := x.lanes[p.Node].find(p.Seq)
	if !ok {
		return nil, history.ErrNoEvent
	}
	c := &Cone{make([]int, len(x.lanes)), make([]int, len(x.lanes))}
	for n := range x.lanes {
		c.Future[n] = len(x.lanes[n].times)
	}
	c.Past[p.Node], c.Future[p.Node] = at+1, at
	here := x.lanes[p.Node].order[at]
	first, _ := slices.BinarySearchFunc(x.links, here, func(l link, pos uint32) int {
		switch {
		case l.pos < pos:
			return -1
		case l.pos > pos:
			return 1
		}
		return 0
	})
	// The walk is an order in which causes come first, so that one way through the
	// messages is enough.
	for _, l := range x.links[first:] {
		if int(l.send) >= c.Future[l.from] && int(l.receive) < c.Future[l.to] {
			c.Future[l.to] = int(l.receive)
		}
	}
	for first < len(x.links) && x.links[first].pos == here {
		first++
	}
	for _, l := range slices.Backward(x.links[:first]) {
		if int(l.receive) < c.Past[l.to] && int(l.send) >= c.Past[l.from] {
			c.Past[l.from] = int(l.send) + 1
		}
	}
	return c, nil
}

// Bound gives the ends of a cone as events: for each node the last one of the past
// and the first one of the future; ok is false where there is none.
func (x *Index) Bound(c *Cone, node int) (past history.Position, hasPast bool, future history.Position, hasFuture bool) {
	if n := c.Past[node]; n > 0 {
		past, hasPast = x.position(node, n-1), true
	}
	if i := c.Future[node]; i < len(x.lanes[node].times) {
		future, hasFuture = x.position(node, i), true
	}
	return
}
