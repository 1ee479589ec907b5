package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"hindcast.dev/debug"
	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/rql"
)

// maxNotes bounds the notes that a story shows beside its own events.
const maxNotes = 6

// A story is why one window of staleness came about, as the recording has it:
// who wrote what, which message didn't arrive and why, and what ended it.
type story struct {
	Key      string    `json:"key"`
	Stale    string    `json:"stale"` // the node with the old value
	Before   *moment   `json:"before,omitempty"`
	Missed   *moment   `json:"missed,omitempty"`
	Dropped  *lostSend `json:"dropped,omitempty"`
	Ended    *moment   `json:"ended,omitempty"`
	Diagram  []string  `json:"diagram"`
	rows     []history.Event
	messages map[string]bool
	lost     map[string]string
}

// A moment is an event that set the key.
type moment struct {
	Node  string      `json:"node"`
	Seq   uint64      `json:"seq"`
	At    string      `json:"at"`
	Event string      `json:"event"`
	Value event.Value `json:"value"` // of the key after it
	pos   history.Position
}

// A lostSend is a message that never arrived.
type lostSend struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	From string `json:"from"`
	To   string `json:"to"`
	// Notes are what the recording says of its end, at both sides.
	Notes []dropNote `json:"notes"`
}

// A dropNote is a node's word on why a message didn't arrive.
type dropNote struct {
	Node   string `json:"node"`
	At     string `json:"at"` // NODE:SEQ of the note
	Reason string `json:"reason"`
}

// A teller finds stories in a History. It has walked it once.
type teller struct {
	src   history.Source
	meta  *history.Meta
	sets  map[string][]set // of each key, in walk order
	notes []history.Event
}

// A set is an event that gave a key a value on its node.
type set struct {
	pos     history.Position
	version event.Value
	value   event.Value // the whole item
}

// newTeller walks the History for the events that set items, and for the notes.
func newTeller(ctx context.Context, src history.Source) (*teller, error) {
	t := &teller{src: src, meta: src.Meta(), sets: map[string][]set{}}
	items, ok := t.meta.VarID("kv.items")
	if !ok {
		return nil, errors.New("the recording has no variable kv.items: no node took a write")
	}
	c, err := src.Walk(ctx, history.Begin, history.End, nil)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	for {
		e, err := c.Next()
		if errors.Is(err, io.EOF) {
			return t, nil
		}
		if err != nil {
			return nil, err
		}
		for i := range e.Changes {
			if c := &e.Changes[i]; c.Var == items && len(c.Path) == 1 {
				key := c.Path[0].AsString()
				t.sets[key] = append(t.sets[key], set{e.Position, c.Value.Field("version"), c.Value})
			}
		}
		if e.Kind == event.Note.String() {
			t.notes = append(t.notes, *e)
		}
	}
}

// stale returns the node that kept its old value longest in a window, and the
// set that ended it there. The witness is only the smallest name of those that
// were stale when the window opened, and may have caught up at once.
func (t *teller) stale(row *rql.Row) (node int, end *set) {
	newest := event.Absent
	for _, f := range row.Values[0].Nodes {
		if newest.IsAbsent() || event.Compare(f.Value, newest) > 0 {
			newest = f.Value
		}
	}
	node = -1
	sets := t.sets[row.Each.Value.AsString()]
	for _, f := range row.Values[0].Nodes {
		n, ok := t.meta.NodeIndex(f.Name)
		if !ok || event.Compare(f.Value, newest) >= 0 {
			continue
		}
		i := slices.IndexFunc(sets, func(s set) bool {
			return s.pos.Node == n && s.pos.Time >= row.From && event.Compare(s.version, newest) >= 0
		})
		switch {
		case i < 0:
			return n, nil
		case node < 0 || sets[i].pos.Compare(end.pos) > 0:
			node, end = n, &sets[i]
		}
	}
	return node, end
}

// tell reconstructs what a row of the query means.
func (t *teller) tell(ctx context.Context, row *rql.Row, width int) (*story, error) {
	stale, end := t.stale(row)
	if stale < 0 {
		return nil, fmt.Errorf("the window of %s at %s has no stale node", row.Each.Value, row.From)
	}
	s := &story{Key: row.Each.Value.AsString(), Stale: t.meta.Nodes[stale].Name,
		messages: map[string]bool{}, lost: map[string]string{}}
	if err := t.find(ctx, s, row, stale, end); err != nil {
		return nil, err
	}
	if err := t.dropped(ctx, s, stale); err != nil {
		return nil, err
	}
	if err := t.ended(ctx, s); err != nil {
		return nil, err
	}
	t.draw(ctx, s, row, stale, width)
	return s, nil
}

// find picks from the events that set the key: the last one before the window on
// the stale node, the write that it missed, and the one that ended it there.
func (t *teller) find(ctx context.Context, s *story, row *rql.Row, stale int, end *set) (err error) {
	var before, missed *set
	sets := t.sets[s.Key]
	for i := range sets {
		e := &sets[i]
		switch {
		case e.pos.Time > row.From:
		case e.pos.Node == stale && e.pos.Time < row.From:
			before = e
		case e.pos.Node != stale && (missed == nil || event.Compare(e.version, missed.version) > 0):
			missed = e
		}
	}
	for _, p := range []struct {
		set *set
		to  **moment
	}{{before, &s.Before}, {missed, &s.Missed}, {end, &s.Ended}} {
		if p.set == nil {
			continue
		}
		if *p.to, err = t.moment(ctx, p.set); err != nil {
			return err
		}
	}
	return nil
}

func (t *teller) moment(ctx context.Context, s *set) (*moment, error) {
	e, err := t.src.Event(ctx, s.pos.Node, s.pos.Seq)
	if err != nil {
		return nil, err
	}
	return &moment{Node: t.meta.Nodes[e.Node].Name, Seq: e.Seq, At: e.Time.String(),
		Event: strings.TrimSpace(e.Kind + " " + e.Name), Value: s.value, pos: e.Position}, nil
}

// dropped finds what the missed write sent to the stale node, and what became of
// it.
func (t *teller) dropped(ctx context.Context, s *story, stale int) error {
	if s.Missed == nil {
		return nil
	}
	e, err := t.src.Event(ctx, s.Missed.pos.Node, s.Missed.pos.Seq)
	if err != nil {
		return err
	}
	for _, f := range e.Effects {
		if f.Kind != event.EffectSend.String() || f.Peer != t.meta.Nodes[stale].Name {
			continue
		}
		s.messages[f.ID] = true
		m, err := t.src.Message(ctx, f.ID)
		if err != nil {
			return err
		}
		if len(m.Receives) > 0 {
			continue
		}
		s.Dropped = &lostSend{ID: f.ID, Name: f.Name, From: s.Missed.Node, To: f.Peer}
		for i := range t.notes {
			if n := &t.notes[i]; n.Name == event.NoteDrop && n.ID == f.ID {
				name, reason := t.meta.Nodes[n.Node].Name, n.Data.Field("reason").AsString()
				s.Dropped.Notes = append(s.Dropped.Notes, dropNote{name, fmt.Sprintf("%s:%d", name, n.Seq), reason})
				s.rows = append(s.rows, *n)
			}
		}
		s.lost[f.ID] = ""
		if ns := s.Dropped.Notes; len(ns) > 0 {
			s.lost[f.ID] = ns[0].Reason
		}
	}
	return nil
}

// ended adds the send of the message that ended the window.
func (t *teller) ended(ctx context.Context, s *story) error {
	if s.Ended == nil {
		return nil
	}
	e, err := t.src.Event(ctx, s.Ended.pos.Node, s.Ended.pos.Seq)
	if err != nil {
		return err
	}
	m, err := t.src.Message(ctx, e.ID)
	if err != nil || !m.Sent {
		return err
	}
	send, err := t.src.Event(ctx, m.Send.Node, m.Send.Seq)
	if err != nil {
		return err
	}
	s.messages[e.ID] = true
	s.rows = append(s.rows, *send)
	return nil
}

// draw puts the rows of the diagram together.
func (t *teller) draw(ctx context.Context, s *story, row *rql.Row, stale, width int) {
	for _, m := range []*moment{s.Before, s.Missed, s.Ended} {
		if m == nil {
			continue
		}
		if e, err := t.src.Event(ctx, m.pos.Node, m.pos.Seq); err == nil {
			s.rows = append(s.rows, *e)
		}
	}
	shown := 0
	for _, n := range t.notes {
		told := n.Name == event.NoteFault || n.Name == event.NoteBoot || n.Name == event.NoteCrash
		inside := n.Node == stale && (s.Before == nil || n.Position.Compare(s.Before.pos) > 0) && (s.Ended == nil || n.Position.Compare(s.Ended.pos) < 0)
		if told && inside && shown < maxNotes {
			s.rows = append(s.rows, n)
			shown++
		}
	}
	slices.SortFunc(s.rows, func(a, b history.Event) int { return a.Position.Compare(b.Position) })
	s.rows = slices.CompactFunc(s.rows, func(a, b history.Event) bool { return a.Position == b.Position })
	d := debug.Diagram{Meta: t.meta, Events: s.rows, Messages: s.messages, Lost: s.lost, Width: width, Mark: s.Missed.position(),
		Values: func(e *history.Event) []string {
			for _, x := range t.sets[s.Key] {
				if x.pos == e.Position {
					return []string{s.Key + " = " + briefly(x.value)}
				}
			}
			return nil
		}}
	var b strings.Builder
	_, _ = d.WriteTo(&b) // a Builder takes everything
	s.Diagram = strings.Split(strings.TrimRight(b.String(), "\n"), "\n")
}

// position is that of the moment, zero if there is none.
func (m *moment) position() history.Position {
	if m == nil {
		return history.Position{}
	}
	return m.pos
}

// briefly is an item's value, or that it is deleted.
func briefly(v event.Value) string {
	if v.Field("deleted").AsBool() {
		return "deleted"
	}
	return debug.FormatValue(v.Field("value"))
}
