package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"hindcast.dev/debug"
	"hindcast.dev/history"
	"hindcast.dev/rql"
)

// hitsMax bounds what a search finds.
const hitsMax = 5_000

// A hit is an event that a search found, in short.
type hit struct {
	Place map[string]any `json:"place"`
	Kind  string         `json:"kind,omitempty"`
	Name  string         `json:"name,omitempty"`
	Peer  string         `json:"peer,omitempty"`
	ID    string         `json:"id,omitempty"`
}

// search answers line by line with the events that have a text in them, or those at
// which a condition begins to hold: {"hit":…}, {"progress":…}, {"end":…}.
func (s *Server) search(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		Text  string `json:"text"`
		Where string `json:"where"`
		Limit uint64 `json:"limit"`
	}
	if err := readBody(w, r, &body); err != nil {
		return err
	}
	if (body.Text == "") == (body.Where == "") {
		return problemf(http.StatusBadRequest, `give one of them, like {"text":"Replicate"} or {"where":"MAX(kv.count) > 5"}`, "want a text or a condition")
	}
	if body.Limit == 0 || body.Limit > hitsMax {
		body.Limit = hitsMax
	}
	t, err := s.tabs.enter(r.Context(), r)
	if err != nil {
		return err
	}
	var q *rql.Query
	src, before := s.source(), 0
	t.within(func() {
		if body.Where != "" {
			var statement string
			statement, before = t.session.Whenever(body.Where)
			q, src, err = t.session.Compile(r.Context(), statement)
		}
	})
	if err != nil {
		writeJSON(w, http.StatusBadRequest, mistakeOf(err, before))
		return nil
	}
	f := &finding{s: s, l: newLines(w), src: src, max: body.Limit}
	begin := time.Now()
	if q != nil {
		_, err = s.run(r.Context(), f.l, q, src, func(row *rql.Row) error { return f.row(r.Context(), row) })
	} else {
		err = f.text(r.Context(), body.Text)
	}
	end := tableEnd{Rows: f.given, Seconds: time.Since(begin).Seconds()}
	switch {
	case errors.Is(err, errEnough):
		end.Partial = fmt.Sprintf("the first %d", f.given)
	case err != nil:
		end.Partial = mistakeOf(err, before).Error
	}
	f.l.say("end", end, true)
	return nil
}

// A finding tells hits until there are enough.
type finding struct {
	s     *Server
	l     *lines
	src   history.Source
	given uint64
	max   uint64
}

func (f *finding) say(h hit) error {
	if f.given == f.max {
		return errEnough
	}
	f.given++
	f.l.say("hit", h, f.given == 1)
	return nil
}

// text finds the events with a text in them.
func (f *finding) text(ctx context.Context, text string) error {
	counted := history.NewCounted(f.src)
	defer f.l.tell(counted)()
	c, err := counted.Walk(ctx, history.Begin, history.End, nil)
	if err != nil {
		return err
	}
	defer c.Close()
	in := debug.Texts(f.src.Meta(), text)
	for {
		e, err := c.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil && !e.Base && in(e) {
			err = f.say(f.hitOf(e))
		}
		if err != nil {
			return err
		}
	}
}

func (f *finding) hitOf(e *history.Event) hit {
	return hit{Place: f.s.sight().placeOf(f.src, e.Position), Kind: e.Kind, Name: e.Name, Peer: e.Peer, ID: e.ID}
}

func (f *finding) row(ctx context.Context, r *rql.Row) error {
	n, ok := f.src.Meta().NodeIndex(r.Event.Node)
	if r.Event.IsTick() || !ok {
		return f.say(hit{Place: f.s.sight().placeAt(r.From), Kind: "tick"})
	}
	e, err := f.src.Event(ctx, n, r.Event.Seq)
	if err != nil {
		return err
	}
	return f.say(f.hitOf(e))
}

// Bounds on a search in the state.
const (
	foundMax   = 500
	visitedMax = 20_000_000
)

// A found is a variable, or what is inside one, that a search in the state found.
type found struct {
	Node int    `json:"node"`
	Path string `json:"path"`
	Text string `json:"text"`
}

// searchState answers with what has a text in its path's last step or, if it holds
// nothing else, in its value: ?at=&text=&node=.
func (s *Server) searchState(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	text := strings.ToLower(q.Get("text"))
	if text == "" {
		return problemf(http.StatusBadRequest, "", "want a text")
	}
	p, now, err := s.atOfTab(r)
	if err != nil {
		return err
	}
	src := now.src
	all, _, err := s.states.at(r.Context(), src, p)
	if err != nil {
		return err
	}
	meta := src.Meta()
	f := &stateSearch{text: text, ctx: r.Context(), found: []found{}}
	for n := range meta.Nodes {
		if name := q.Get("node"); all[n] == nil || name != "" && name != meta.Nodes[n].Name {
			continue
		}
		for _, id := range all[n].Vars() {
			f.in(n, meta.Vars[id].Name, all[n].Get(id))
		}
	}
	if err := r.Context().Err(); err != nil {
		return err
	}
	answer := map[string]any{"place": now.place(p), "found": f.found}
	if f.done() {
		answer["partial"] = true
	}
	writeJSON(w, http.StatusOK, answer)
	return nil
}
