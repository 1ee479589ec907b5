package debug

import (
	"cmp"
	"context"
	"errors"
	"io"

	"hindcast.dev/debug/timeline"
	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/termtext"
)

func runCause(ctx context.Context, s *Session, args string) error {
	if args != "" {
		return s.runOrigin(ctx, args)
	}
	e, err := s.event(ctx)
	if err != nil {
		return commandErrorf("cause", "%v", err)
	}
	at, found, err := s.causeOf(ctx, e)
	if err != nil {
		return err
	}
	if found {
		s.at = at
		return s.showPlace(ctx)
	}
	cause := cmp.Or(e.ID, dropped(e))
	if cause == "" {
		return commandErrorf("cause", "%s (%s) was caused by no message or timer of the recording", s.name(s.at), termtext.Printable(e.Kind))
	}
	id, err := event.ParseMessageID(cause)
	if _, ok := s.meta.NodeIndex(id.Node); err == nil && ok {
		return commandErrorf("cause", "%s was caused by event %d of %s, which isn't in the recording", s.name(s.at), id.Seq, termtext.Name(id.Node))
	}
	return commandErrorf("cause", "%s came from outside: %s was sent by nobody recorded", s.name(s.at), termtext.Printable(cause))
}

// causeOf is the event that sent what another is the receive of, or set its timer.
func (s *Session) causeOf(ctx context.Context, e *history.Event) (p history.Position, found bool, err error) {
	cause := cmp.Or(e.ID, dropped(e))
	if cause == "" {
		return p, false, nil
	}
	m, err := s.src.Message(ctx, cause)
	if err != nil {
		return p, false, err
	}
	if m.Sent && m.Send != e.Position {
		return m.Send, true, nil
	}
	id, err := event.ParseMessageID(cause)
	if n, ok := s.meta.NodeIndex(id.Node); err == nil && ok {
		if c, err := s.src.Event(ctx, n, id.Seq); err == nil && c.Position.Compare(e.Position) < 0 {
			return c.Position, true, nil
		}
	}
	return p, false, nil
}

func runEffects(ctx context.Context, s *Session, _ string) error {
	e, err := s.event(ctx)
	if err != nil {
		return commandErrorf("effects", "%v", err)
	}
	if len(e.Effects) == 0 {
		s.remark("%s had no effect", s.name(s.at))
	}
	lost, err := s.losses(ctx, []history.Event{*e})
	if err != nil {
		return err
	}
	for i := range e.Effects {
		f := &e.Effects[i]
		effect := EffectOf(f)
		if f.Kind == "send" {
			if effect.Fate, err = s.fate(ctx, f, lost); err != nil {
				return err
			}
		}
		s.say(effect)
	}
	return nil
}

// fate says what became of a message.
func (s *Session) fate(ctx context.Context, f *history.Effect, lost func(message string) []Drop) (*Fate, error) {
	m, err := s.src.Message(ctx, f.ID)
	if err != nil {
		return nil, err
	}
	fate := &Fate{}
	for _, p := range m.Receives {
		fate.Received = append(fate.Received, s.place(p))
	}
	if drops := lost(f.ID); len(fate.Received) == 0 && len(drops) > 0 {
		fate.Dropped = Why(drops)
		for _, d := range drops {
			fate.Notes = append(fate.Notes, DropNote{s.meta.Nodes[d.Node].Name, d.Seq, d.Reason})
		}
	}
	return fate, nil
}

// losses returns what tells the notes on dropped messages, of those that these events
// sent. Where all arrived nobody has to look for any, which without an index costs a
// walk through the whole History.
func (s *Session) losses(ctx context.Context, events []history.Event) (func(message string) []Drop, error) {
	if x := s.index(); x != nil && x.Linked() || s.lost != nil {
		return s.drops(ctx)
	}
	for i := range events {
		for l := range events[i].Departures() {
			if l.Kind != "recv" {
				continue // no note tells of timers and calls
			}
			m, err := s.src.Message(ctx, l.ID)
			if err != nil {
				return nil, err
			}
			if len(m.Receives) == 0 {
				return s.drops(ctx)
			}
		}
	}
	return func(string) []Drop { return nil }, nil
}

// drops returns what tells the notes on a dropped message: of the index, or of a
// walk through the whole History.
func (s *Session) drops(ctx context.Context) (func(message string) []Drop, error) {
	if x := s.index(); x != nil && x.Linked() {
		return x.Losses, nil
	}
	if s.lost == nil {
		lost, err := dropsIn(ctx, s.src)
		if err != nil {
			return nil, err
		}
		s.lost = lost
	}
	return func(message string) []Drop { return s.lost[message] }, nil
}

// Lost says of messages that events sent why they were lost: of those that notes say
// were dropped and that nobody received, by id.
func Lost(ctx context.Context, src history.Source, events []history.Event, drops func(message string) []Drop) (map[string]string, error) {
	lost := map[string]string{}
	for i := range events {
		for l := range events[i].Departures() {
			notes := drops(l.ID)
			if len(notes) == 0 {
				continue
			}
			m, err := src.Message(ctx, l.ID)
			if err != nil {
				return nil, err
			}
			if len(m.Receives) == 0 {
				lost[l.ID] = Why(notes)
			}
		}
	}
	return lost, nil
}

// inDoubt is the reason for which a sender gives a message up that may have
// arrived: it loses its link before it has heard.
const inDoubt = "in doubt"

// A Drop is what a node noted of a message that was dropped.
type Drop = timeline.Loss

// Why is the reason for which a message was lost, of the notes on it in walk
// order: the first that is sure.
func Why(drops []Drop) string {
	for _, d := range drops {
		if d.Reason != inDoubt {
			return d.Reason
		}
	}
	if len(drops) == 0 {
		return ""
	}
	return inDoubt
}

// dropsIn returns the notes of a whole History on dropped messages, by id.
func dropsIn(ctx context.Context, src history.Source) (map[string][]Drop, error) {
	c, err := history.WalkThrough(ctx, src, history.Begin, history.End, nil, history.Lens{Fields: history.FieldKind | history.FieldMessage | history.FieldData})
	if err != nil {
		return nil, err
	}
	defer c.Close()
	lost := map[string][]Drop{}
	for {
		e, err := c.Next()
		if errors.Is(err, io.EOF) {
			return lost, nil
		}
		if err != nil {
			return nil, err
		}
		if id, d := timeline.LossOf(e); id != "" {
			lost[id] = append(lost[id], d)
		}
	}
}

// dropped returns the id of the message that a note says was dropped, "" if e is
// no such note.
func dropped(e *history.Event) string {
	l, _ := e.Lost()
	return l.ID
}
