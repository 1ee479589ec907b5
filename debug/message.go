package debug

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"hindcast.dev/event"
	"hindcast.dev/history"
)

func runCause(ctx context.Context, s *Session, _ string) error {
	e, err := s.event(ctx)
	if err != nil {
		return commandErrorf("cause", "%v", err)
	}
	cause := e.ID
	if cause == "" {
		cause = dropped(e)
	}
	if cause == "" {
		return commandErrorf("cause", "%s is a %s: no message or timer of the recording caused it", s.name(s.at), Printable(e.Kind))
	}
	m, err := s.src.Message(ctx, cause)
	if err != nil {
		return err
	}
	if m.Sent && m.Send != e.Position {
		s.at = m.Send
		return s.showPlace(ctx)
	}
	id, err := event.ParseMessageID(cause)
	if n, ok := s.meta.NodeIndex(id.Node); err == nil && ok {
		if c, err := s.src.Event(ctx, n, id.Seq); err == nil && c.Position.Compare(e.Position) < 0 {
			s.at = c.Position
			return s.showPlace(ctx)
		}
		return commandErrorf("cause", "%s was caused by event %d of %s, which isn't in the recording", s.name(s.at), id.Seq, Printable(id.Node))
	}
	return commandErrorf("cause", "%s came from outside: %s was sent by nobody recorded", s.name(s.at), Printable(cause))
}

func runEffects(ctx context.Context, s *Session, _ string) error {
	e, err := s.event(ctx)
	if err != nil {
		return commandErrorf("effects", "%v", err)
	}
	if len(e.Effects) == 0 {
		fmt.Fprintf(s.out, "%s had no effect\n", s.name(s.at))
	}
	lost, err := s.drops(ctx)
	if err != nil {
		return err
	}
	for i := range e.Effects {
		f := &e.Effects[i]
		line := s.effectLine(f)
		if f.Kind == "send" {
			end, err := s.fate(ctx, f, lost)
			if err != nil {
				return err
			}
			line += "  " + end
		}
		fmt.Fprintln(s.out, "  "+line)
	}
	return nil
}

// fate says what became of a message.
func (s *Session) fate(ctx context.Context, f *history.Effect, lost map[string]string) (string, error) {
	m, err := s.src.Message(ctx, f.ID)
	if err != nil {
		return "", err
	}
	if len(m.Receives) > 0 {
		var at []string
		for _, p := range m.Receives {
			at = append(at, s.name(p))
		}
		return "→ received at " + strings.Join(at, ", "), nil
	}
	if why, ok := lost[f.ID]; ok {
		return "╳ dropped: " + Printable(why), nil
	}
	return "never received", nil
}

// drops returns why messages were dropped, from the notes of the whole History.
func (s *Session) drops(ctx context.Context) (map[string]string, error) {
	if s.lost == nil {
		lost, err := Drops(ctx, s.src)
		if err != nil {
			return nil, err
		}
		s.lost = lost
	}
	return s.lost, nil
}

// Drops returns the messages of a History that notes say were dropped: id to
// reason. It walks the whole History.
func Drops(ctx context.Context, src history.Source) (map[string]string, error) {
	c, err := src.Walk(ctx, history.Begin, history.End, nil)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	lost := map[string]string{}
	for {
		e, err := c.Next()
		if errors.Is(err, io.EOF) {
			return lost, nil
		}
		if err != nil {
			return nil, err
		}
		if id := dropped(e); id != "" {
			lost[id] = e.Data.Field("reason").AsString()
		}
	}
}

// dropped returns the id of the message that a note says was dropped, "" if e is
// no such note.
func dropped(e *history.Event) string {
	switch {
	case e.Base || e.Kind != event.Note.String() || e.Name != event.NoteDrop:
		return ""
	case e.ID != "":
		return e.ID
	}
	return e.Data.Field("message").AsString()
}
