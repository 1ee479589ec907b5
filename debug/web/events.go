package web

import (
	"context"
	"errors"
	"io"
	"net/http"

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
	d := drawing{s: s, x: x, axis: v.Axis, lost: s.survey.Lost(), messages: []drawnMessage{}, events: []drawnEvent{}}
	if err := d.draw(r.Context(), at); err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, map[string]any{"count": n, "shown": len(at), "events": d.events, "messages": d.messages})
	return nil
}

// A drawing collects what there is to draw.
type drawing struct {
	s        *Server
	x        *timeline.Index
	axis     timeline.Axis
	lost     map[string][]debug.Drop
	events   []drawnEvent
	messages []drawnMessage
}

// shownFields are what a drawing needs of an event.
const shownFields = history.FieldKind | history.FieldMessage | history.FieldEffects

// draw draws events at positions in walk order.
func (d *drawing) draw(ctx context.Context, at []history.Position) error {
	if len(at) == 0 {
		return nil
	}
	want := make(map[history.Position]bool, len(at))
	nodes := map[int]bool{}
	for _, p := range at {
		want[p] = true
		nodes[p.Node] = true
	}
	if d.axis == timeline.Depth { // which events are near each other there needn't be in the walk
		for _, p := range at {
			e, err := d.x.Source().Event(ctx, p.Node, p.Seq)
			if err == nil {
				err = d.event(ctx, e, want)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
	var lanes []int
	for n := range d.x.Source().Meta().Nodes {
		if nodes[n] {
			lanes = append(lanes, n)
		}
	}
	end := at[len(at)-1]
	end.Seq++
	c, err := history.WalkThrough(ctx, d.x.Source(), at[0], end, lanes, history.Lens{Fields: shownFields})
	if err != nil {
		return err
	}
	defer c.Close()
	for {
		e, err := c.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil && !e.Base && want[e.Position] {
			err = d.event(ctx, e, want)
		}
		if err != nil {
			return err
		}
	}
}

// event draws an event, the messages that it sent, and those that it received of
// events that aren't drawn.
func (d *drawing) event(ctx context.Context, e *history.Event, drawn map[history.Position]bool) error {
	at, _ := d.x.Coordinate(d.axis, e.Position)
	d.events = append(d.events, drawnEvent{Node: e.Node, Seq: e.Seq, At: d.s.outward(d.axis, at), Kind: e.Kind, Name: e.Name})
	here := d.end(e.Position)
	for i := range e.Effects {
		if _, ok := e.Sends(i); !ok {
			continue
		}
		if err := d.sent(ctx, here, &e.Effects[i]); err != nil {
			return err
		}
	}
	if e.ID == "" || e.Kind == "note" {
		return nil
	}
	m, err := d.x.Source().Message(ctx, e.ID)
	if err != nil || m.Sent && drawn[m.Send] {
		return err
	}
	out := drawnMessage{Kind: "send", Name: e.Name, To: here, Toward: e.Node}
	if e.Kind == "timer" {
		out.Kind = "settimer"
	}
	if m.Sent {
		out.From = d.end(m.Send)
	} else if e.Kind != "recv" {
		return nil // a request: it came from outside, as all do
	}
	d.messages = append(d.messages, out)
	return nil
}

// sent draws the arrows of a message from its sender.
func (d *drawing) sent(ctx context.Context, from *drawnEnd, f *history.Effect) error {
	m, err := d.x.Source().Message(ctx, f.ID)
	if err != nil {
		return err
	}
	toward, ok := d.x.Source().Meta().NodeIndex(f.Peer)
	if !ok {
		toward = -1
	}
	out := drawnMessage{Kind: f.Kind, Name: f.Name, From: from, Toward: toward}
	for i, p := range m.Receives {
		out.To, out.Again = d.end(p), i > 0
		d.messages = append(d.messages, out)
	}
	if len(m.Receives) > 0 || f.Kind != "send" {
		return nil
	}
	out.Lost = debug.Why(d.lost[f.ID])
	d.messages = append(d.messages, out)
	return nil
}

func (d *drawing) end(p history.Position) *drawnEnd {
	at, _ := d.x.Coordinate(d.axis, p)
	return &drawnEnd{p.Node, p.Seq, d.s.outward(d.axis, at)}
}
