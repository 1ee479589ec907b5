package debug

import (
	"context"
	"errors"
	"io"
	"strings"

	"hindcast.dev/event"
	"hindcast.dev/history"
)

func runFind(ctx context.Context, s *Session, args string) error {
	if args == "" {
		return commandErrorf("find", "want a text, like: find Replicate")
	}
	m := newTextMatcher(s.meta, args)
	c, err := s.src.Walk(ctx, s.at.After(), history.End, nil)
	if err != nil {
		return err
	}
	defer c.Close()
	for {
		e, err := c.Next()
		if errors.Is(err, io.EOF) {
			s.remark("no later event has %q in it", args)
			return s.showPlace(ctx)
		}
		if err != nil {
			return err
		}
		if !e.Base && m.in(e) {
			s.at = e.Position
			return s.showPlace(ctx)
		}
	}
}

func runRFind(ctx context.Context, s *Session, args string) error {
	if args == "" {
		return commandErrorf("rfind", "want a text, like: rfind Replicate")
	}
	m := newTextMatcher(s.meta, args)
	for end, n := s.at, chunkFirst; end != history.Begin; n = min(2*n, chunkMax) {
		es, err := s.src.Before(ctx, end, n, nil)
		if err != nil {
			return err
		}
		for i := len(es) - 1; i >= 0; i-- {
			if m.in(&es[i]) {
				s.at = es[i].Position
				return s.showPlace(ctx)
			}
		}
		if end = history.Begin; len(es) == n {
			end = es[0].Position
		}
	}
	s.remark("no earlier event has %q in it", args)
	return s.showPlace(ctx)
}

// Texts reports of an event whether a text is in it, as find looks for it. It is
// not safe for concurrent use.
func Texts(meta *history.Meta, text string) func(*history.Event) bool {
	return newTextMatcher(meta, text).in
}

// A textMatcher looks for a text in all that is known of an event, without regard
// to case.
type textMatcher struct {
	text string
	meta *history.Meta
	buf  []byte
}

func newTextMatcher(meta *history.Meta, text string) *textMatcher {
	return &textMatcher{text: strings.ToLower(text), meta: meta}
}

func (m *textMatcher) in(e *history.Event) bool {
	m.buf = m.buf[:0]
	m.add(m.meta.Nodes[e.Node].Name, e.Kind, e.Name, e.Machine, e.ID, e.Peer)
	m.addValue(e.Data)
	for i := range e.Effects {
		f := &e.Effects[i]
		m.add(f.Kind, f.Name, f.ID, f.Peer)
		m.addValue(f.Data)
	}
	for i := range e.Changes {
		c := &e.Changes[i]
		m.buf = append(event.AppendPath(m.buf, m.meta.Vars[c.Var].Name, c.Path), '\n')
		m.addValue(c.Value)
	}
	return strings.Contains(strings.ToLower(string(m.buf)), m.text)
}

func (m *textMatcher) add(texts ...string) {
	for _, t := range texts {
		m.buf = append(append(m.buf, t...), '\n')
	}
}

// addValue adds a value as it is shown, and a text without its quotes too, so that
// what is in it is found as it is.
func (m *textMatcher) addValue(v event.Value) {
	if v.IsAbsent() {
		return
	}
	if v.Type() == event.TypeString {
		m.add(v.AsString())
	}
	m.buf = append(v.AppendJSON(m.buf), '\n')
}
