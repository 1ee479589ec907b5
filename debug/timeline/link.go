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
	y.lanes, y.losses = slices.Clone(x.lanes), &losses{}
	for n := range y.lanes {
		y.lanes[n].depth = make([]uint32, 0, len(y.lanes[n].times))
	}
	y.links = make([]link, 0, y.received())
	l := newLinker(len(x.lanes))
	l.x = &y
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

// received is how many events received a message or came of a timer.
func (x *Index) received() (n int) {
	for i := range x.lanes {
		for _, c := range x.lanes[i].class {
			if c&(Receive|Timer) != 0 {
				n++
			}
		}
	}
	return n
}

// A ref is an event by its place in its lane.
type ref struct {
	node int32
	at   uint32
}

type linker struct {
	x       *Index
	links   *causal.Links[ref]
	ways    map[[2]int32]int32 // by nodes from and to: in x.ways
	reasons map[string]uint32  // their numbers in x.losses
	walked  uint32
}

func newLinker(nodes int) *linker {
	return &linker{links: causal.NewLinks[ref](nodes, 0), ways: map[[2]int32]int32{}, reasons: map[string]uint32{}}
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
		l.x.links = append(l.x.links, link{to: int32(e.Node), from: s.node, receive: uint32(i), send: s.at})
		if int(s.node) != e.Node { // what a node says to itself orders nothing
			l.way(s.node, int32(e.Node)).add(hop{s.at, uint32(i)})
		}
	}
	lane.depth = append(lane.depth, depth)
	l.x.depth = max(l.x.depth, depth)
	for end := range e.Departures() {
		l.links.Send(l.x.meta.Sending(e.Node, end)).Value = ref{int32(e.Node), uint32(i)}
	}
	if lost, ok := e.Lost(); ok {
		l.links.Lose(l.x.meta.Losing(e.Node, lost))
	}
	l.x.losses.add(e, uint32(i), l.reasons)
	l.walked++
	return true
}

// way is that from one node to another.
func (l *linker) way(from, to int32) *way {
	key := [2]int32{from, to}
	i, ok := l.ways[key]
	if !ok {
		i = int32(len(l.x.ways))
		l.ways[key] = i
		l.x.ways = append(l.x.ways, way{from: from, to: to})
		l.x.lanes[from].out = append(l.x.lanes[from].out, i)
		l.x.lanes[to].in = append(l.x.lanes[to].in, i)
	}
	return &l.x.ways[i]
}
