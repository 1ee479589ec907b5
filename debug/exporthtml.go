package debug

import (
	"context"
	"errors"
	"io"
	"strings"

	"hindcast.dev/debug/timeline"
	"hindcast.dev/event"
	"hindcast.dev/export/html"
	"hindcast.dev/history"
)

// htmlRows is how many events a page of the present view draws, and htmlMax how many
// of a stretch that is named.
const (
	htmlRows = 60
	htmlMax  = 400
)

// An asked is a query and its rows, as they were shown last.
type asked struct {
	statement string
	rows      []*Row
	more      bool
}

// viewFile is what a page of this place is called, if nothing else is said.
func (s *Session) viewFile() string {
	return "hindcast-" + strings.Map(fileRune, s.name(s.at)) + ".html"
}

// fileRune keeps what is good in a file's name.
func fileRune(r rune) rune {
	if r < 0x80 && (r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' || r == '-' || r == '_' || r == '.') {
		return r
	}
	return '-'
}

// page is what the session shows: the events around here, or of a stretch.
func (s *Session) page(ctx context.Context, span string) (*html.View, error) {
	v := &html.View{Title: s.Title, Meta: s.meta, At: s.at}
	if err := s.drawn(ctx, v, span); err != nil {
		return nil, err
	}
	lost, err := s.drops(ctx)
	if err != nil {
		return nil, err
	}
	if v.Lost, err = Lost(ctx, s.src, v.Events, lost); err != nil {
		return nil, err
	}
	if s.at != history.Begin {
		if err := s.whence(ctx, v, lost); err != nil {
			return nil, err
		}
	}
	for _, m := range s.marks {
		v.Marks = append(v.Marks, html.Mark{Name: m.Name, Note: m.Note, At: s.position(m.Place)})
	}
	if s.asked != nil {
		v.Queries = append(v.Queries, s.asked.table())
	}
	return v, v.Fill(ctx, s.src)
}

// drawn finds the events that are drawn, and how many are around them.
func (s *Session) drawn(ctx context.Context, v *html.View, span string) (err error) {
	if span == "" {
		v.Events, err = s.nearby(ctx, htmlRows)
	} else {
		v.Events, err = s.stretch(ctx, span)
	}
	if err != nil || len(v.Events) == 0 {
		return err
	}
	if v.Before, err = s.countBefore(ctx, v.Events[0].Position); err == nil {
		v.After = s.meta.Events - min(s.meta.Events, v.Before+uint64(len(v.Events)))
	}
	return err
}

// stretch is the events of a stretch, if they aren't too many.
func (s *Session) stretch(ctx context.Context, span string) ([]history.Event, error) {
	from, to, err := s.between(ctx, "export", span)
	if err != nil {
		return nil, err
	}
	es, err := s.src.Before(ctx, to, htmlMax+1, nil)
	if err != nil {
		return nil, err
	}
	for len(es) > 0 && es[0].Position.Compare(from) < 0 {
		es = es[1:]
	}
	if len(es) > htmlMax {
		return nil, commandErrorf("export", "a page draws up to %d events, and there are more from %s to %s", htmlMax, s.name(es[0].Position), s.name(es[len(es)-1].Position))
	}
	return es, nil
}

// countBefore is how many events come before a position.
func (s *Session) countBefore(ctx context.Context, p history.Position) (uint64, error) {
	if x := s.index(); x != nil {
		if n, ok := x.Coordinate(timeline.Order, p); ok {
			return n, nil
		}
	}
	if b, ok := s.src.(history.Blocked); ok {
		n, _, err := b.Events(ctx, history.Begin, p, nil)
		return n, err
	}
	c, err := history.WalkThrough(ctx, s.src, history.Begin, p, nil, history.Lens{})
	if err != nil {
		return 0, err
	}
	defer c.Close()
	for n := uint64(0); ; {
		e, err := c.Next()
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return 0, err
		}
		if !e.Base {
			n++
		}
	}
}

// whence adds what the event here came of, and what became of what it sent.
func (s *Session) whence(ctx context.Context, v *html.View, lost func(message string) []Drop) error {
	e, err := s.event(ctx)
	if err != nil {
		return err
	}
	for i := range e.Effects {
		var fate html.Fate
		if f := &e.Effects[i]; f.Kind == event.EffectSend.String() {
			told, err := s.fate(ctx, f, lost)
			if err != nil {
				return err
			}
			fate = html.Fate{Text: strings.TrimPrefix(strings.TrimPrefix(told.text(), "╳ "), "→ "), Lost: len(told.Received) == 0}
		}
		v.Fates = append(v.Fates, fate)
	}
	v.Cause, v.Caused, err = s.causeOf(ctx, e)
	return err
}

// table is a query's rows as texts, by column.
func (a *asked) table() html.Table {
	t := html.Table{Title: a.statement, More: a.more}
	column := map[string]int{}
	for _, r := range a.rows {
		row := make([]string, len(t.Columns))
		for _, f := range r.Fields() {
			if f.Value.IsAbsent() {
				continue
			}
			i, ok := column[f.Name]
			if !ok {
				i = len(t.Columns)
				column[f.Name] = i
				t.Columns, row = append(t.Columns, f.Name), append(row, "")
			}
			switch f.Value.Type() {
			case event.TypeString:
				row[i] = f.Value.AsString()
			case event.TypeTime:
				row[i] = f.Value.AsTime().String()
			default:
				row[i] = FormatValue(f.Value)
			}
		}
		t.Rows = append(t.Rows, row)
	}
	for i, r := range t.Rows { // columns that came later
		t.Rows[i] = append(r, make([]string, len(t.Columns)-len(r))...)
	}
	return t
}
