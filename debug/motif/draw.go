package motif

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// A Drawing is a motif as it is drawn: lanes, the events on each from top to bottom,
// and arrows between events.
type Drawing struct {
	Lanes    []DrawnLane    `json:"lanes"`
	Events   []DrawnEvent   `json:"events"`
	Messages []DrawnMessage `json:"messages"`
	Within   string         `json:"within,omitempty"` // a duration, like 200ms
}

// A DrawnLane is a node: some node, or if Node is set that one.
type DrawnLane struct {
	Name string `json:"name"`
	Node string `json:"node,omitempty"`
}

// A DrawnEvent is one on a lane, below those of the lane that come before it in the
// list.
type DrawnEvent struct {
	Lane int    `json:"lane"`
	Name string `json:"name,omitempty"`
	Text string `json:"text,omitempty"`
}

// A DrawnMessage goes from an event to another, by their places in the list. One
// that is lost goes to none, but may say to which lane it would have.
type DrawnMessage struct {
	From int    `json:"from"`
	To   int    `json:"to"`
	Name string `json:"name,omitempty"`
	Text string `json:"text,omitempty"`
	Lost bool   `json:"lost,omitempty"`
	Lane *int   `json:"lane,omitempty"` // of a lost one
}

// ParseDrawing reads a Drawing in JSON.
func ParseDrawing(text string) (*Motif, error) {
	d := &Drawing{}
	dec := json.NewDecoder(strings.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(d); err != nil {
		return nil, fmt.Errorf("a drawn motif: %w", err)
	}
	return d.Motif()
}

// Motif is the pattern that is drawn. Its text, which String gives, says the same.
func (d *Drawing) Motif() (*Motif, error) {
	if err := d.check(); err != nil {
		return nil, fmt.Errorf("a drawn motif: %w", err)
	}
	m := &Motif{flights: len(d.Messages)}
	for _, l := range d.Lanes {
		if l.Node != "" {
			l.Name = l.Node
		}
		m.lanes = append(m.lanes, lane{l.Name, l.Node != ""})
	}
	done := make([]bool, len(d.Events))
	for range d.Events {
		e := d.next(done, m.steps)
		if e < 0 {
			return nil, fmt.Errorf("a drawn motif: its messages go in a circle: event %d would have to be before itself", d.stuck(done))
		}
		done[e] = true
		d.event(m, e)
	}
	m.no = len(m.steps)
	if d.Within != "" {
		var err error
		if m.within, err = time.ParseDuration(d.Within); err != nil || m.within <= 0 {
			return nil, fmt.Errorf("a drawn motif: within %q: want a duration, like 200ms", d.Within)
		}
	}
	if len(m.steps) > stepsMax {
		return nil, fmt.Errorf("a drawn motif: more than %d steps", stepsMax)
	}
	m.renumber()
	m.address()
	return m, nil
}

// renumber numbers the messages as they are sent, and the lanes as they come, as in
// the text.
func (m *Motif) renumber() {
	flights, lanes := map[int]int{}, map[int]int{}
	number := func(in map[int]int, n int) int {
		if _, ok := in[n]; !ok {
			in[n] = len(in)
		}
		return in[n]
	}
	for i := range m.steps {
		s := &m.steps[i]
		s.lane = number(lanes, s.lane)
		if s.to >= 0 {
			s.to = number(lanes, s.to)
		}
		if s.act != does {
			s.flight = number(flights, s.flight)
		}
	}
	was := m.lanes
	m.lanes = make([]lane, len(lanes))
	for old, n := range lanes {
		m.lanes[n] = was[old]
	}
}

// check sees to it that what is drawn is there.
func (d *Drawing) check() error {
	names := map[string]bool{}
	for i, l := range d.Lanes {
		if l.Node != "" {
			l.Name = l.Node
		}
		if l.Name == "" || names[l.Name] {
			return fmt.Errorf("lane %d: want a name of its own", i)
		}
		names[l.Name] = true
	}
	if len(d.Events) == 0 {
		return fmt.Errorf("it has no events")
	}
	for i, e := range d.Events {
		if e.Lane < 0 || e.Lane >= len(d.Lanes) {
			return fmt.Errorf("event %d: there is no lane %d", i, e.Lane)
		}
	}
	for i, m := range d.Messages {
		switch {
		case m.From < 0 || m.From >= len(d.Events):
			return fmt.Errorf("message %d: there is no event %d", i, m.From)
		case !m.Lost && (m.To < 0 || m.To >= len(d.Events) || m.To == m.From):
			return fmt.Errorf("message %d: it can't go to event %d", i, m.To)
		case m.Lane != nil && (*m.Lane < 0 || *m.Lane >= len(d.Lanes)):
			return fmt.Errorf("message %d: there is no lane %d", i, *m.Lane)
		}
	}
	return nil
}

// next is an event before which all is done that is to be; -1 if there is none. One
// that receives what was sent last is the best: the text is shorter then.
func (d *Drawing) next(done []bool, steps []step) int {
	found := -1
	for i := range d.Events {
		if done[i] || !d.ready(i, done) {
			continue
		}
		if n := len(steps); n > 0 && steps[n-1].act == sends && !steps[n-1].lost && d.Messages[steps[n-1].flight].To == i {
			return i
		}
		if found < 0 {
			found = i
		}
	}
	return found
}

func (d *Drawing) ready(i int, done []bool) bool {
	for j := range i {
		if d.Events[j].Lane == d.Events[i].Lane && !done[j] {
			return false
		}
	}
	for _, m := range d.Messages {
		if !m.Lost && m.To == i && !done[m.From] {
			return false
		}
	}
	return true
}

func (d *Drawing) stuck(done []bool) int {
	for i := range done {
		if !done[i] {
			return i
		}
	}
	return 0
}

// event adds the steps of an event: what it receives, what it is, what it sends.
func (d *Drawing) event(m *Motif, i int) {
	e, plain := d.Events[i], true
	for f, msg := range d.Messages {
		if !msg.Lost && msg.To == i {
			m.steps = append(m.steps, step{act: receives, lane: e.Lane, flight: f, to: -1})
			plain = false
		}
		plain = plain && msg.From != i
	}
	if want := (constraint{e.Name, e.Text}); plain || want != (constraint{}) {
		m.steps = append(m.steps, step{act: does, lane: e.Lane, want: want, to: -1})
	}
	for f, msg := range d.Messages {
		if msg.From != i {
			continue
		}
		s := step{act: sends, lane: e.Lane, flight: f, want: constraint{msg.Name, msg.Text}, lost: msg.Lost, to: -1}
		if msg.Lost && msg.Lane != nil {
			s.to = *msg.Lane
		}
		m.steps = append(m.steps, s)
	}
}
