package motif

import (
	"context"
	"errors"
	"io"
	"math"
	"slices"
	"strings"

	"hindcast.dev/causal"
	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/rql"
)

// placesMax bounds the events, and the messages, that a search looks through: about
// 100 bytes each.
const placesMax = 2 << 20

// none is no place.
const none = math.MaxUint32

// A flight is a message from its sending to one of its receives.
type flight struct {
	from, to   int32  // nodes; -1 is unknown
	send, recv uint32 // places, none where that isn't recorded
	cause      uint32 // the place of what the sender was handling, none if it is none that counts
	turn       uint32 // how many things the sender had begun to handle
	first      uint32 // the number of this message's first flight
	fits       uint32 // the steps, as bits, whose constraint it meets
}

// A material is what a motif is searched in: the messages, and the events that may
// be its own, by their places in the walk.
type material struct {
	meta    *history.Meta
	places  []history.Position
	flights []flight   // by send, message, receive
	events  [][]uint32 // by step: places of the events that meet its constraint
	nodes   int        // that send or receive anything
	more    bool       // there is more of the History than was looked at
}

// A collector reads a material from a History.
type collector struct {
	*material
	m      *Motif
	links  *causal.Links[uint32] // the number of a message's first flight, plus 1
	begun  []uint32              // by node: the place of what it handles
	turns  []uint32              // by node: how many things it has begun to handle
	active []bool                // by node
	named  map[naming]bool
	buf    []byte
}

// begins are the kinds of events that a node handles for their own sake, as in event
// queries.
var begins = map[string]bool{"recv": true, "request": true, "timer": true, "result": true, "start": true, "control": true, "invoke": true}

// collect reads what lies at positions in [from, to).
func collect(ctx context.Context, src history.Source, m *Motif, from, to history.Position, max int) (*material, error) {
	meta := src.Meta()
	c := &collector{material: &material{meta: meta, events: make([][]uint32, len(m.steps))}, m: m,
		links: causal.NewLinks[uint32](len(meta.Nodes), 0), begun: make([]uint32, len(meta.Nodes)), turns: make([]uint32, len(meta.Nodes)), active: make([]bool, len(meta.Nodes)), named: map[naming]bool{}}
	for n := range c.begun {
		c.begun[n] = none
	}
	fields := history.FieldKind | history.FieldMessage | history.FieldEffects | history.FieldData // Lost needs data
	cur, err := history.WalkThrough(ctx, src, from, to, nil, history.Lens{Fields: fields})
	if err != nil {
		return nil, err
	}
	defer cur.Close()
	for {
		e, err := cur.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if e.Base {
			continue
		}
		if len(c.places) >= max || len(c.flights) >= max {
			c.more = true
			break
		}
		c.event(e)
	}
	c.sort()
	return c.material, nil
}

// event takes the next event of the walk.
func (c *collector) event(e *history.Event) {
	at := uint32(none)
	place := func() uint32 {
		if at == none {
			at = uint32(len(c.places))
			c.places = append(c.places, e.Position)
		}
		return at
	}
	for i := range c.m.steps {
		if s := &c.m.steps[i]; s.act == does && c.meets(e, e.Kind, e.Name, e.Machine, e.Data, s.want) {
			c.events[i] = append(c.events[i], place())
		}
	}
	for l := range e.Arrivals() {
		if l.Kind == event.Message.String() {
			c.receive(e, l, place())
		}
	}
	if begins[e.Kind] {
		c.begun[e.Node] = at
		c.turns[e.Node]++
	}
	for l := range e.Departures() {
		if l.Kind == event.Message.String() {
			c.send(e, l, place())
		}
	}
	if lost, ok := e.Lost(); ok {
		c.links.Lose(c.meta.Losing(e.Node, lost))
	}
}

func (c *collector) send(e *history.Event, l history.Link, at uint32) {
	f := &e.Effects[l.Effect-1]
	m := c.meta.Sending(e.Node, l)
	sent := c.links.Send(m)
	if sent.Value > 0 {
		return // sent once more
	}
	c.active[e.Node] = true
	sent.Value = uint32(len(c.flights)) + 1
	c.flights = append(c.flights, flight{from: int32(e.Node), to: int32(max(m.To, -1)), send: at, recv: none, cause: c.begun[e.Node], turn: c.turns[e.Node],
		first: uint32(len(c.flights)), fits: c.fits(e, f.Name, "", f.Data)})
}

func (c *collector) receive(e *history.Event, l history.Link, at uint32) {
	c.active[e.Node] = true
	name, data := e.Name, e.Data
	if l.Effect > 0 {
		name, data = e.Effects[l.Effect-1].Name, e.Effects[l.Effect-1].Data
	}
	fits := c.fits(e, name, e.Machine, data)
	m := c.meta.Receiving(e.Node, l)
	sent := c.links.Receive(m)
	if sent == nil || sent.Value == 0 {
		c.flights = append(c.flights, flight{from: int32(max(m.From, -1)), to: int32(e.Node), send: none, recv: at, cause: none, first: uint32(len(c.flights)), fits: fits})
		return
	}
	first := sent.Value - 1
	f := &c.flights[first]
	if f.recv == none {
		f.recv, f.to = at, int32(e.Node)
		f.fits |= fits
		return
	}
	again := *f
	again.recv, again.to = at, int32(e.Node)
	again.fits |= fits
	c.flights = append(c.flights, again)
}

// fits are the sending steps, and the fan as the first, that a message may be of.
func (c *collector) fits(e *history.Event, name, machine string, data event.Value) (bits uint32) {
	if c.m.fan != nil && c.meets(e, event.Message.String(), name, machine, data, c.m.fan.want) {
		bits = 1
	}
	for i := range c.m.steps {
		if s := &c.m.steps[i]; s.act == sends && c.meets(e, event.Message.String(), name, machine, data, s.want) {
			bits |= 1 << i
		}
	}
	return bits
}

// meets reports whether an event, or a message that it sends or receives, meets a
// constraint.
func (c *collector) meets(e *history.Event, kind, name, machine string, data event.Value, want constraint) bool {
	if want.name != "" && !c.isNamed(naming{kind, name, machine, want.name}) {
		return false
	}
	if want.text == "" {
		return true
	}
	c.buf = append(append(append(append(c.buf[:0], name...), '\n'), e.Name...), '\n')
	if data.Type() == event.TypeString {
		c.buf = append(append(c.buf, data.AsString()...), '\n')
	}
	if !data.IsAbsent() {
		c.buf = data.AppendJSON(c.buf)
	}
	return strings.Contains(strings.ToLower(string(c.buf)), strings.ToLower(want.text))
}

// A naming asks whether an event or message goes by a name.
type naming struct{ kind, name, machine, want string }

// namingsMax bounds how many answers are remembered.
const namingsMax = 1 << 16

func (c *collector) isNamed(n naming) bool {
	is, ok := c.named[n]
	if !ok {
		is = slices.Contains(rql.EventNames(n.kind, n.name, n.machine), n.want)
		if len(c.named) < namingsMax {
			c.named[n] = is
		}
	}
	return is
}

// sort puts the flights into their order.
func (c *collector) sort() {
	for _, a := range c.active {
		if a {
			c.nodes++
		}
	}
	slices.SortFunc(c.flights, func(a, b flight) int {
		switch {
		case a.send != b.send:
			return int(int64(a.send) - int64(b.send))
		case a.first != b.first:
			return int(int64(a.first) - int64(b.first))
		}
		return int(int64(a.recv) - int64(b.recv))
	})
}
