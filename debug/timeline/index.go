// Package timeline is where the events of a History are, so that any stretch of it
// can be drawn in as many columns as there are, without being read again: a few
// bytes an event, per node, in order.
package timeline

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
)

// blockEvents is how many events of a lane share one summary of their classes.
const blockEvents = 64

// progressEvents is how often Build and Link tell how far they are.
const progressEvents = 1 << 16

// Class is a set of kinds of events, for what is drawn of many at once.
type Class uint8

// The kinds of events.
const (
	Receive Class = 1 << iota // a message
	Request                   // from outside
	Timer
	Other // set, result, a tracepoint
	Note  // that isn't one of the following
	Boot  // the node starts or stops
	Link  // a link goes up or down
	Drop  // a message was dropped
)

// classOf is the class of one event.
func classOf(e *history.Event) Class {
	switch e.Kind {
	case event.Message.String():
		return Receive
	case event.Request.String():
		return Request
	case event.Timer.String():
		return Timer
	case event.Note.String():
	default:
		return Other
	}
	switch e.Name {
	case event.NoteBoot, event.NoteStop, event.NoteCrash:
		return Boot
	case event.NoteLink:
		return Link
	case event.NoteDrop:
		return Drop
	}
	return Note
}

// An Axis is what the events are laid out along.
type Axis uint8

// The axes, with what their coordinates are.
const (
	Time  Axis = iota // a Timestamp
	Order             // how many events come before in the walk
	Depth             // how many events the longest causal chain up to it has
)

// ParseAxis reads "time", "order" or "depth".
func ParseAxis(s string) (Axis, error) {
	i := slices.Index(axisNames[:], s)
	if i < 0 {
		return 0, fmt.Errorf("axis %q: want time, order or depth", s)
	}
	return Axis(i), nil
}

var axisNames = [...]string{"time", "order", "depth"}

// String is the axis' name.
func (a Axis) String() string { return axisNames[a] }

// ErrNotLinked says that an answer needs the messages, and Link wasn't called.
var ErrNotLinked = errors.New("the messages aren't indexed yet")

// An Index is where the events of a History are. It takes 13 bytes an event, and
// with the messages 4 more, 16 for each message received, up to 8 for each from another node, and 20 for
// each note on a dropped one. After Build, and after
// Link, it doesn't change and is safe for concurrent use.
type Index struct {
	src    history.Source
	meta   *history.Meta
	lanes  []lane // by node
	events uint32
	linked bool
	links  []link  // in the order of the walk of their receives
	ways   []way   // between nodes that sent each other something
	losses *losses // nil: not linked
	depth  uint32  // the largest
	growth *growth // nil: it can't be extended
}

// A lane is the events of one node, in order.
type lane struct {
	times   []hlc.Timestamp
	order   []uint32
	depth   []uint32 // nil: not linked
	class   []Class
	classes []Class // of each blockEvents events together
	seqs    []run   // their sequence numbers
	ups     []up
	in, out []int32 // in Index.ways: those to the node and from it
}

// A link is a message, from an event of one lane to one of another or the same.
type link struct {
	to, from      int32 // nodes
	receive, send uint32
}

// A run is events whose sequence numbers follow each other.
type run struct {
	first int // its first event's place in the lane
	seq   uint64
}

// An up says from an event on whether the node runs.
type up struct {
	at uint32
	up bool
}

// Build reads where the events are. tell is called now and then with how much of
// it is done, of 1; it may be nil. A History may have up to 2³² events.
func Build(ctx context.Context, src history.Source, tell func(float64)) (*Index, error) {
	meta := src.Meta()
	if meta.Events >= math.MaxUint32 {
		return nil, fmt.Errorf("%d events are more than can be laid out: open a stretch, with hindcast export --from --to", meta.Events)
	}
	x := &Index{src: src, meta: meta, lanes: make([]lane, len(meta.Nodes))}
	for n := range x.lanes {
		x.lanes[n].room(int(meta.Nodes[n].Events))
	}
	lens := history.Lens{Fields: history.FieldKind}
	isUp, ok := meta.VarID("node.up")
	if ok {
		lens.Vars = []history.VarID{isUp}
	}
	c, err := history.WalkThrough(ctx, src, history.Begin, history.End, nil, lens)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	for {
		e, err := c.Next()
		if errors.Is(err, io.EOF) {
			return x, nil
		}
		if err != nil {
			return nil, err
		}
		l := &x.lanes[e.Node]
		if ok {
			l.setUp(e, isUp)
		}
		if e.Base {
			continue
		}
		l.add(e, x.events)
		x.events++
		if tell != nil && x.events%progressEvents == 0 {
			tell(float64(x.events) / float64(max(meta.Events, 1)))
		}
	}
}

// room makes room for n events.
func (l *lane) room(n int) {
	l.times = make([]hlc.Timestamp, 0, n)
	l.order = make([]uint32, 0, n)
	l.class = make([]Class, 0, n)
	l.classes = make([]Class, 0, n/blockEvents+1)
}

func (l *lane) add(e *history.Event, order uint32) {
	i := len(l.times)
	if k := len(l.seqs); k == 0 || l.seqs[k-1].seq+uint64(i-l.seqs[k-1].first) != e.Seq {
		l.seqs = append(l.seqs, run{i, e.Seq})
	}
	c := classOf(e)
	l.times = append(l.times, e.Time)
	l.order = append(l.order, order)
	l.class = append(l.class, c)
	if i%blockEvents == 0 {
		l.classes = append(l.classes, 0)
	}
	l.classes[i/blockEvents] |= c
}

// setUp keeps whether the node runs from an event, or a base, on.
func (l *lane) setUp(e *history.Event, isUp history.VarID) {
	for i := range e.Changes {
		c := &e.Changes[i]
		if c.Var != isUp || len(c.Path) > 0 {
			continue
		}
		now := c.Value.AsBool()
		if k := len(l.ups); k == 0 || l.ups[k-1].up != now {
			l.ups = append(l.ups, up{uint32(len(l.times)), now})
		}
	}
}

// seq is the sequence number of the i-th event of a lane.
func (l *lane) seq(i int) uint64 {
	k, ok := slices.BinarySearchFunc(l.seqs, i, func(r run, i int) int { return r.first - i })
	if !ok {
		k--
	}
	return l.seqs[k].seq + uint64(i-l.seqs[k].first)
}

// find is the place in the lane of the event with a sequence number.
func (l *lane) find(seq uint64) (int, bool) {
	k, ok := slices.BinarySearchFunc(l.seqs, seq, func(r run, seq uint64) int {
		switch {
		case r.seq < seq:
			return -1
		case r.seq > seq:
			return 1
		}
		return 0
	})
	if !ok {
		k--
	}
	if k < 0 {
		return 0, false
	}
	i := l.seqs[k].first + int(seq-l.seqs[k].seq)
	end := len(l.times)
	if k+1 < len(l.seqs) {
		end = l.seqs[k+1].first
	}
	return i, i < end
}

// Meta is that of the History.
func (x *Index) Meta() *history.Meta { return x.meta }

// Source is the History that the events are of.
func (x *Index) Source() history.Source { return x.src }

// Len is how many events there are.
func (x *Index) Len() int { return int(x.events) }

// Linked reports whether the messages are known.
func (x *Index) Linked() bool { return x.linked }

// position is that of the i-th event of a lane.
func (x *Index) position(node, i int) history.Position {
	l := &x.lanes[node]
	return history.Position{Time: l.times[i], Node: node, Seq: l.seq(i)}
}

// Coordinate is where an event is along an axis; ok is false if there is no such
// event, or the axis is Depth and the Index isn't linked.
func (x *Index) Coordinate(a Axis, p history.Position) (at uint64, ok bool) {
	if p.Node < 0 || p.Node >= len(x.lanes) {
		return 0, false
	}
	l := &x.lanes[p.Node]
	i, ok := l.find(p.Seq)
	if !ok || a == Depth && !x.linked {
		return 0, false
	}
	return l.at(a, i), true
}

// at is where the i-th event of a lane is along an axis.
func (l *lane) at(a Axis, i int) uint64 {
	switch a {
	case Time:
		return uint64(l.times[i])
	case Order:
		return uint64(l.order[i])
	}
	return uint64(l.depth[i])
}

// search is the place in the lane of the first event at or behind a coordinate:
// along every axis a lane's events ascend.
func (l *lane) search(a Axis, at uint64) int {
	lo, hi := 0, len(l.times)
	for lo < hi {
		mid := int(uint(lo+hi) / 2)
		if l.at(a, mid) < at {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

// Span is from the first to the last event along an axis, both included; ok is
// false where there is none.
func (x *Index) Span(a Axis) (from, to uint64, ok bool) {
	from = math.MaxUint64
	for n := range x.lanes {
		l := &x.lanes[n]
		if k := len(l.times); k > 0 && (a != Depth || x.linked) {
			from, to, ok = min(from, l.at(a, 0)), max(to, l.at(a, k-1)), true
		}
	}
	if !ok {
		return 0, 0, false
	}
	return from, to, true
}

// Cut is the last event of the walk at or before a coordinate of the axes Time and
// Order; history.Begin if there is none.
func (x *Index) Cut(a Axis, at uint64) history.Position {
	found := history.Begin
	for n := range x.lanes {
		i := x.lanes[n].search(a, at)
		if i < len(x.lanes[n].times) && x.lanes[n].at(a, i) == at {
			for i+1 < len(x.lanes[n].times) && x.lanes[n].at(a, i+1) == at {
				i++
			}
			i++
		}
		if i == 0 {
			continue
		}
		if p := x.position(n, i-1); p.Compare(found) > 0 {
			found = p
		}
	}
	return found
}

// At is the event that so many events come before in the walk; ok is false if there
// aren't that many.
func (x *Index) At(order uint64) (p history.Position, ok bool) {
	if order >= uint64(x.events) {
		return p, false
	}
	return x.Cut(Order, order), true
}

// Beside is the event of a node that comes last before a position in the walk and
// then n−1 events further back, or if n is negative the one that comes first after
// it and then −n−1 further on; where the node ends before that it is its first or
// last. moved is over how many of its events that leads.
func (x *Index) Beside(p history.Position, node, n int) (at history.Position, moved int) {
	l := &x.lanes[node]
	i := l.search(Time, uint64(p.Time))
	for i < len(l.times) && x.position(node, i).Compare(p) < 0 {
		i++
	}
	if n > 0 {
		if moved = min(n, i); moved == 0 {
			return p, 0
		}
		return x.position(node, i-moved), moved
	}
	if i < len(l.times) && x.position(node, i) == p {
		i++
	}
	if moved = min(-n, len(l.times)-i); moved == 0 {
		return p, 0
	}
	return x.position(node, i+moved-1), moved
}

// Nearest is the event of a node that is nearest to a coordinate; ok is false if
// the node has none.
func (x *Index) Nearest(a Axis, node int, at uint64) (p history.Position, ok bool) {
	if node < 0 || node >= len(x.lanes) || len(x.lanes[node].times) == 0 || a == Depth && !x.linked {
		return p, false
	}
	l := &x.lanes[node]
	i := l.search(a, at)
	switch {
	case i == len(l.times):
		i--
	case i > 0 && at-l.at(a, i-1) < l.at(a, i)-at:
		i--
	}
	return x.position(node, i), true
}
