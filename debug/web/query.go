package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"hindcast.dev/debug"
	"hindcast.dev/history"
	"hindcast.dev/rql"
	"hindcast.dev/rql/exec"
	"hindcast.dev/rql/syntax"
)

// rowsMax bounds the rows of one answer; the table and the timeline hold them all.
const rowsMax = 20_000

// errEnough ends a search of which enough is told.
var errEnough = errors.New("enough")

// A mistake is an error in a query's text, with its place there.
type mistake struct {
	Error  string `json:"error"`
	Remedy string `json:"remedy,omitempty"`
	Offset int    `json:"offset"` // in bytes, -1 if there is none
	Line   int    `json:"line,omitempty"`
	Col    int    `json:"col,omitempty"` // in characters, from 1
}

// mistakeOf is an error as it is told. before is how many bytes, all in the first
// line, stood in front of what was written.
func mistakeOf(err error, before int) mistake {
	var e *syntax.Error
	if !errors.As(err, &e) || !e.Pos.IsValid() {
		return mistake{Error: err.Error(), Offset: -1}
	}
	m := mistake{Error: e.Msg, Remedy: e.Hint, Offset: max(e.Pos.Offset-before, 0), Line: e.Pos.Line, Col: e.Pos.Col}
	if m.Line == 1 {
		m.Col = max(m.Col-before, 1)
	}
	return m
}

// A tableRow is a row with the places that it speaks of: the first is where a click
// on it leads.
type tableRow struct {
	Row    *debug.Row       `json:"row"`
	Places []map[string]any `json:"places,omitempty"`
	// Span is how long what the row says lasts, along the axis of time.
	Span *[2]float64 `json:"span,omitempty"`
}

// A tableEnd is what is said after the rows.
type tableEnd struct {
	Columns    []string `json:"columns,omitempty"`
	Rows       uint64   `json:"rows"`
	Cuts       uint64   `json:"cuts"`
	Seconds    float64  `json:"seconds"`
	Partial    string   `json:"partial,omitempty"` // why there may be more rows
	Notes      []string `json:"notes,omitempty"`
	Incomplete []string `json:"incomplete,omitempty"` // nodes whose recording is missing somewhere
}

// query answers a statement of RQL line by line: {"row":{"row":…,"places":[…]}},
// {"progress":…}, and at the end {"end":…} or {"error":…}. It holds no session up.
func (s *Server) query(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		Statement string `json:"statement"`
		Limit     uint64 `json:"limit"`
	}
	if err := readBody(w, r, &body); err != nil {
		return err
	}
	t, err := s.tabs.enter(r.Context(), r)
	if err != nil {
		return err
	}
	var q *rql.Query
	var src history.Source
	t.within(func() { q, src, err = t.session.Compile(r.Context(), body.Statement) })
	if err != nil {
		writeJSON(w, http.StatusBadRequest, mistakeOf(err, 0))
		return nil
	}
	if body.Limit == 0 || body.Limit > rowsMax {
		body.Limit = rowsMax
	}
	l := newLines(w)
	begin := time.Now()
	given := uint64(0)
	sum, err := s.run(r.Context(), l, q, src, func(row *rql.Row) error {
		if given == body.Limit {
			return errEnough
		}
		given++
		return s.row(r.Context(), l, src, debug.ShortenRow(row))
	})
	end := endOf(sum, body.Statement)
	end.Columns, end.Rows, end.Seconds = q.Columns(), given, time.Since(begin).Seconds()
	switch {
	case errors.Is(err, errEnough):
		end.Partial = fmt.Sprintf("the first %d rows: a LIMIT, or ON TIME, asks for less", given)
	case err != nil && given == 0:
		l.say("error", mistakeOf(err, 0), true)
		return nil
	case err != nil:
		end.Partial = err.Error()
	}
	l.say("end", end, true)
	return nil
}

// run asks, saying how far it is.
func (s *Server) run(ctx context.Context, l *lines, q *rql.Query, src history.Source, emit func(*rql.Row) error) (rql.Summary, error) {
	counted := history.NewCounted(src)
	defer l.tell(counted)()
	opt := exec.Options{Options: rql.Options{Now: src.Meta().Last.Time, Partial: emit}}
	return exec.Run(ctx, q, counted, opt, emit)
}

// endOf tells what a run found beside its rows.
func endOf(sum rql.Summary, text string) tableEnd {
	end := tableEnd{Cuts: sum.Cuts, Incomplete: sum.Incomplete}
	for i := range sum.Absent {
		end.Notes = append(end.Notes, noteOf(sum.Absent[i].Note()))
	}
	for i := range sum.Unequal {
		end.Notes = append(end.Notes, noteOf(sum.Unequal[i].Note()))
	}
	for _, e := range sum.Errors {
		at := "at a tick"
		if e.Node != "" {
			at = fmt.Sprintf("by %s:%d", e.Node, e.Seq)
		}
		end.Notes = append(end.Notes, fmt.Sprintf("%s: %d times, first %s (place %s in the query)", e.What(), e.Count, at, e.Pos))
	}
	return end
}

func noteOf(e *syntax.Error) string { return e.Error() }

// row tells a row and its places.
func (s *Server) row(ctx context.Context, l *lines, src history.Source, r *rql.Row) error {
	out := tableRow{Row: &debug.Row{Row: r}}
	at, err := positionsOf(ctx, src, r)
	if err != nil {
		return err
	}
	now := s.sight()
	for _, p := range at {
		out.Places = append(out.Places, now.placeOf(src, p))
	}
	if len(at) == 0 && r.From != 0 { // a tick
		out.Places = append(out.Places, now.placeAt(r.From))
	}
	if r.Joined == nil && r.From != 0 {
		to := src.Meta().Last.Time
		if !r.Open {
			to = r.To
		}
		out.Span = &[2]float64{s.offset(r.From), s.offset(to)}
	}
	l.say("row", out, false)
	return nil
}

// positionsOf are the events that a row speaks of, the last of the walk first: the
// one that made the cut, those that were joined, or the last ones of the nodes in a
// cut of the lattice.
func positionsOf(ctx context.Context, src history.Source, r *rql.Row) (at []history.Position, err error) {
	var refs []rql.EventRef
	switch {
	case r.Joined != nil:
		for _, e := range r.Joined.Events {
			refs = append(refs, e.EventRef)
		}
	case r.Lattice != nil:
		for _, f := range r.Lattice.Cut {
			if seq, ok := f.Value.AsUint(); ok && seq > 0 {
				refs = append(refs, rql.EventRef{Node: f.Name, Seq: seq})
			}
		}
	case r.Columns == nil && r.Group == nil && !r.Event.IsTick():
		refs = append(refs, r.Event)
	}
	for _, ref := range refs {
		n, ok := src.Meta().NodeIndex(ref.Node)
		if !ok {
			continue
		}
		e, err := src.Event(ctx, n, ref.Seq)
		if err != nil {
			return nil, err
		}
		at = append(at, e.Position)
	}
	slices.SortFunc(at, func(a, b history.Position) int { return b.Compare(a) })
	return slices.Compact(at), nil
}

// completeQuery answers what the word that ends at a byte of a statement may become.
func (s *Server) completeQuery(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		Statement string `json:"statement"`
		Pos       int    `json:"pos"`
	}
	if err := readBody(w, r, &body); err != nil {
		return err
	}
	t, err := s.tabs.enter(r.Context(), r)
	if err != nil {
		return err
	}
	defer t.leave()
	start, candidates := t.session.CompleteStatement(body.Statement, body.Pos)
	if candidates == nil {
		candidates = []string{}
	}
	writeJSON(w, http.StatusOK, map[string]any{"start": start, "candidates": candidates})
	return nil
}
