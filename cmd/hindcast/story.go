package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"hindcast.dev/debug"
	"hindcast.dev/debug/timeline"
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
	Stale    string    `json:"stale"`  // the node with the old value
	Lasted   float64   `json:"lasted"` // seconds that it had it
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

// A spell is a stretch of a window in which one node had an older value of the
// key than another had.
type spell struct {
	node    int
	from    history.Position // of the set that made it old
	end     *set             // that brought it up to date; nil if none did
	newer   []*set           // on other nodes, that it had not yet, in walk order
	last    *set             // its own before the spell; nil if it had none
	version event.Value      // the newest there is so far, while it lasts
}

// length is how long a spell lasted; one without an end lasts to the end of the
// History.
func (p *spell) length(end history.Position) time.Duration {
	if p.end != nil {
		end = p.end.pos
	}
	return end.Time.Sub(p.from.Time)
}

// spells returns the spells of a key that began in a window, or lasted into it,
// the longest first. A window is a run of cuts at which some node was behind: it
// may be made of many spells, of different nodes.
func (t *teller) spells(row *rql.Row) []*spell {
	open, have, out := map[int]*spell{}, map[int]*set{}, []*spell{}
	var newest *set
	sets := t.sets[row.Each.Value.AsString()]
	for i := range sets {
		x := &sets[i]
		if !row.Open && x.pos.Time > row.To {
			break
		}
		have[x.pos.Node] = x
		if p := open[x.pos.Node]; p != nil && event.Compare(x.version, p.version) >= 0 {
			p.end = x
			delete(open, x.pos.Node)
		}
		if newest != nil && event.Compare(x.version, newest.version) <= 0 {
			continue
		}
		newest = x
		for n, last := range have {
			if n == x.pos.Node || event.Compare(last.version, x.version) >= 0 {
				continue
			}
			if open[n] == nil {
				open[n] = &spell{node: n, from: x.pos, last: last}
				out = append(out, open[n])
			}
			open[n].newer = append(open[n].newer, x)
			open[n].version = x.version
		}
	}
	out = slices.DeleteFunc(out, func(p *spell) bool { return p.end != nil && p.end.pos.Time <= row.From })
	slices.SortStableFunc(out, func(a, b *spell) int {
		return cmp.Or(cmp.Compare(b.length(t.meta.Last), a.length(t.meta.Last)), a.from.Compare(b.from), cmp.Compare(a.node, b.node))
	})
	return out
}

// on is the name of the node that was behind longest in a window, "" if the
// recording doesn't tell.
func (t *teller) on(row *rql.Row) string {
	if ps := t.spells(row); len(ps) > 0 {
		return t.meta.Nodes[ps[0].node].Name
	}
	return ""
}

// tell reconstructs what a row of the query means: of its spells the longest in
// which a message with a newer value was lost. It returns nil if no spell has
// one: replicas are behind for a moment also when all is well.
func (t *teller) tell(ctx context.Context, row *rql.Row, width int) (*story, error) {
	for _, p := range t.spells(row) {
		s := &story{Key: row.Each.Value.AsString(), Stale: t.meta.Nodes[p.node].Name,
			Lasted: p.length(t.meta.Last).Seconds(), messages: map[string]bool{}, lost: map[string]string{}}
		missed, err := t.lostIn(ctx, s, p)
		if err != nil {
			return nil, err
		}
		if missed == nil {
			continue
		}
		if err := t.moments(ctx, s, p, missed); err != nil {
			return nil, err
		}
		if err := t.ended(ctx, s); err != nil {
			return nil, err
		}
		t.draw(ctx, s, p.node, width)
		return s, nil
	}
	return nil, nil
}

// lostIn finds the first write of a spell of which the message to the node that
// was behind never arrived.
func (t *teller) lostIn(ctx context.Context, s *story, p *spell) (missed *set, err error) {
	for _, x := range p.newer {
		if err := t.dropped(ctx, s, x, p.node); err != nil {
			return nil, err
		}
		if s.Dropped != nil {
			return x, nil
		}
	}
	return nil, nil
}

// moments fills in what the key was before, at the missed write, and at the end.
func (t *teller) moments(ctx context.Context, s *story, p *spell, missed *set) (err error) {
	for _, m := range []struct {
		set *set
		to  **moment
	}{{p.last, &s.Before}, {missed, &s.Missed}, {p.end, &s.Ended}} {
		if m.set == nil {
			continue
		}
		if *m.to, err = t.moment(ctx, m.set); err != nil {
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

// dropped finds what an event that set the key sent to the node that was behind
// and that never arrived.
func (t *teller) dropped(ctx context.Context, s *story, x *set, stale int) error {
	e, err := t.src.Event(ctx, x.pos.Node, x.pos.Seq)
	if err != nil {
		return err
	}
	for _, f := range e.Effects {
		if f.Kind != event.EffectSend.String() || f.Peer != t.meta.Nodes[stale].Name {
			continue
		}
		m, err := t.src.Message(ctx, f.ID)
		if err != nil {
			return err
		}
		if len(m.Receives) > 0 {
			continue
		}
		s.messages[f.ID] = true
		s.lost[f.ID] = ""
		s.Dropped = &lostSend{ID: f.ID, Name: f.Name, From: t.meta.Nodes[e.Node].Name, To: f.Peer}
		t.noted(s)
	}
	return nil
}

// noted adds what the nodes noted of the lost message.
func (t *teller) noted(s *story) {
	var drops []debug.Drop
	for i := range t.notes {
		n := &t.notes[i]
		id, d := timeline.LossOf(n)
		if id != s.Dropped.ID {
			continue
		}
		name := t.meta.Nodes[n.Node].Name
		s.Dropped.Notes = append(s.Dropped.Notes, dropNote{name, fmt.Sprintf("%s:%d", name, n.Seq), d.Reason})
		s.rows = append(s.rows, *n)
		drops = append(drops, d)
	}
	s.lost[s.Dropped.ID] = debug.Why(drops)
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
func (t *teller) draw(ctx context.Context, s *story, stale, width int) {
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
