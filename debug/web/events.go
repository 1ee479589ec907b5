package web

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"

	"hindcast.dev/causal"
	"hindcast.dev/debug"
	"hindcast.dev/debug/timeline"
	"hindcast.dev/history"
)

// A drawnEvent is an event of a stretch, in short; the command event tells all.
type drawnEvent struct {
	Node int    `json:"node"`
	Seq  uint64 `json:"seq"`
	At   uint64 `json:"at"`
	Kind string `json:"kind"`
	Name string `json:"name,omitempty"`
}

// A drawnEnd is an end of a message, in the stretch or outside of it.
type drawnEnd struct {
	Node int    `json:"node"`
	Seq  uint64 `json:"seq"`
	At   uint64 `json:"at"`
}

// A drawnMessage is an arrow. Without To the message wasn't received: then Toward is
// the node that it was for, if that is known (-1 if not), and Lost why not, if that
// was noted.
type drawnMessage struct {
	Kind   string    `json:"kind"` // send, settimer, call
	Name   string    `json:"name,omitempty"`
	From   *drawnEnd `json:"from,omitempty"` // nil: nobody recorded sent it
	To     *drawnEnd `json:"to,omitempty"`
	Again  bool      `json:"again,omitempty"` // it was received before
	Toward int       `json:"toward"`
	Lost   string    `json:"lost,omitempty"`
}

// events answers with the events of a stretch, or if there are too many with how
// many there are.
func (s *Server) events(w http.ResponseWriter, r *http.Request) error {
	x, v, err := s.view(r.URL.Query())
	if err != nil {
		return err
	}
	at, n, err := x.Events(v, eventsMax)
	if errors.Is(err, timeline.ErrNotLinked) {
		return err
	}
	if err != nil {
		return problemf(http.StatusBadRequest, "", "%v", err)
	}
	d := drawing{s: s, x: x, v: v, messages: []drawnMessage{}, events: []drawnEvent{}}
	if err := d.draw(r.Context(), at); err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, map[string]any{"count": n, "shown": len(at), "events": d.events, "messages": d.messages})
	return nil
}

// A drawing collects what there is to draw. Which send a receive is of, both in the
// stretch, it finds out as everything does, by links; of a message with one end in
// the stretch the index knows the other, so that nothing is looked up one by one.
type drawing struct {
	s        *Server
	x        *timeline.Index
	v        timeline.View
	links    *causal.Links[*flight]
	crossing *timeline.Crossing // nil while the index doesn't know the messages
	flights  []*flight
	events   []drawnEvent
	messages []drawnMessage
}

// A flight is a message that an event of the stretch sent, and where it arrived.
type flight struct {
	from    history.Position
	message drawnMessage
	id      string
	to      []history.Position
}

// shownFields are what a drawing needs of an event.
const shownFields = history.FieldKind | history.FieldMessage | history.FieldEffects | history.FieldData

// draw draws events at positions in walk order.
func (d *drawing) draw(ctx context.Context, at []history.Position) (err error) {
	if len(at) == 0 {
		return nil
	}
	if d.crossing, err = d.x.Crossing(d.v); err != nil && !errors.Is(err, timeline.ErrNotLinked) {
		return err
	}
	d.links = causal.NewLinks[*flight](len(d.x.Source().Meta().Nodes), -1)
	if err := d.walk(ctx, at, func(e *history.Event) { d.event(e) }); err != nil {
		return err
	}
	if d.crossing == nil {
		d.flights = slices.DeleteFunc(d.flights, func(f *flight) bool { return len(f.to) == 0 })
	} else if err := d.arriveOutside(ctx); err != nil {
		return err
	}
	for _, f := range d.flights {
		d.sent(f)
	}
	return nil
}

// walk calls each with the events at positions, in walk order.
func (d *drawing) walk(ctx context.Context, at []history.Position, each func(*history.Event)) error {
	nodes := map[int][]history.Position{}
	for _, p := range at {
		nodes[p.Node] = append(nodes[p.Node], p)
	}
	if d.v.Axis != timeline.Depth {
		want := make(map[history.Position]bool, len(at))
		for _, p := range at {
			want[p] = true
		}
		return d.walkThrough(ctx, at[0], at[len(at)-1], slices.Sorted(maps.Keys(nodes)), want, each)
	}
	// Which events are as deep needn't be near each other in the walk, but in a lane.
	var all []*history.Event
	for node, in := range nodes {
		err := d.walkThrough(ctx, in[0], in[len(in)-1], []int{node}, nil, func(e *history.Event) {
			kept := *e
			kept.Effects = slices.Clone(e.Effects)
			all = append(all, &kept)
		})
		if err != nil {
			return err
		}
	}
	slices.SortFunc(all, func(a, b *history.Event) int { return a.Position.Compare(b.Position) })
	for _, e := range all {
		each(e)
	}
	return nil
}

// walkThrough calls each with the events from first to last, both included, of some
// lanes, if they are wanted; nil wants all.
func (d *drawing) walkThrough(ctx context.Context, first, last history.Position, lanes []int, want map[history.Position]bool, each func(*history.Event)) error {
	c, err := history.WalkThrough(ctx, d.x.Source(), first, last.After(), lanes, history.Lens{Fields: shownFields})
	if err != nil {
		return err
	}
	defer c.Close()
	for {
		e, err := c.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if !e.Base && (want == nil || want[e.Position]) {
			each(e)
		}
	}
}

// event takes in the next event of the walk.
func (d *drawing) event(e *history.Event) {
	d.events = append(d.events, drawnEvent{Node: e.Node, Seq: e.Seq, At: d.at(e.Position), Kind: e.Kind, Name: e.Name})
	meta := d.x.Source().Meta()
	var outside []history.Position
	if d.crossing != nil {
		outside = d.crossing.In[e.Position]
	}
	for end := range e.Arrivals() {
		if f := d.links.Receive(meta.Receiving(e.Node, end)); f != nil && f.Value != nil {
			f.Value.to = append(f.Value.to, e.Position)
			continue
		}
		outside = d.arrived(e, end, outside)
	}
	for i := range e.Effects {
		end, ok := e.Sends(i)
		if !ok {
			continue
		}
		f := &e.Effects[i]
		toward, ok := meta.NodeIndex(f.Peer)
		if !ok {
			toward = -1
		}
		out := &flight{from: e.Position, id: f.ID, message: drawnMessage{Kind: f.Kind, Name: f.Name, From: d.end(e.Position), Toward: toward}}
		d.links.Send(meta.Sending(e.Node, end)).Value = out
		d.flights = append(d.flights, out)
	}
	if lost, ok := e.Lost(); ok {
		d.links.Lose(meta.Losing(e.Node, lost))
	}
}

// arrived draws what an event received from outside of the stretch, by the first of
// the sends there, if any, and returns the others.
func (d *drawing) arrived(e *history.Event, end history.Link, sends []history.Position) []history.Position {
	out := drawnMessage{Kind: sentAs[end.Kind], Name: e.Name, To: d.end(e.Position), Toward: e.Node}
	if end.Effect > 0 {
		out.Name = e.Effects[end.Effect-1].Name
	}
	switch {
	case len(sends) > 0:
		out.From, sends = d.end(sends[0]), sends[1:]
	case d.crossing == nil || out.Kind != "send": // a request or timer of outside: as all do
		return sends
	}
	d.messages = append(d.messages, out)
	return sends
}

// sentAs are the kinds of effects by what they are received as.
var sentAs = map[string]string{"recv": "send", "timer": "settimer", "result": "call"}

// arriveOutside finds which of its messages an event's receives outside of the
// stretch are of: those to that node. Where there are more of them the History is
// asked.
func (d *drawing) arriveOutside(ctx context.Context) error {
	byEvent := map[history.Position][]*flight{}
	for _, f := range d.flights {
		if len(d.crossing.Out[f.from]) > 0 {
			byEvent[f.from] = append(byEvent[f.from], f)
		}
	}
	for from, flights := range byEvent {
		byNode := map[int][]history.Position{}
		for _, p := range d.crossing.Out[from] {
			byNode[p.Node] = append(byNode[p.Node], p)
		}
		for node, receives := range byNode {
			if err := d.share(ctx, receives, toward(flights, node, from.Node)); err != nil {
				return err
			}
		}
	}
	return nil
}

// toward are the messages that may have gone to a node: those to it, or to nobody
// known; timers and calls stay where they are.
func toward(flights []*flight, node, home int) (to []*flight) {
	for _, f := range flights {
		if f.message.Toward == node || f.message.Toward < 0 && (f.message.Kind == "send" || node == home) {
			to = append(to, f)
		}
	}
	return to
}

// share shares receives out among the messages that they may be of.
func (d *drawing) share(ctx context.Context, receives []history.Position, flights []*flight) error {
	if len(flights) == 1 {
		flights[0].to = append(flights[0].to, receives...)
		return nil
	}
	for _, f := range flights {
		m, err := d.x.Source().Message(ctx, f.id)
		if err != nil {
			return err
		}
		for _, p := range receives {
			if slices.Contains(m.Receives, p) {
				f.to = append(f.to, p)
			}
		}
	}
	return nil
}

// sent draws the arrows of a message from its sender.
func (d *drawing) sent(f *flight) {
	out := f.message
	for i, p := range f.to {
		out.To, out.Again = d.end(p), i > 0
		d.messages = append(d.messages, out)
	}
	if len(f.to) > 0 || out.Kind != "send" {
		return
	}
	out.Lost = debug.Why(d.x.Losses(f.id))
	d.messages = append(d.messages, out)
}

// at is where an event is along the axis, as it is told.
func (d *drawing) at(p history.Position) uint64 {
	at, _ := d.x.Coordinate(d.v.Axis, p)
	return d.s.outward(d.v.Axis, at)
}

func (d *drawing) end(p history.Position) *drawnEnd { return &drawnEnd{p.Node, p.Seq, d.at(p)} }
