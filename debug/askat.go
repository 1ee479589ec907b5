package debug

import (
	"context"
	"slices"
	"strings"

	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/rql"
	"hindcast.dev/rql/complete"
)

// AskAt is Ask as if the session were at another place, which it isn't afterwards:
// where the command went is the Answer's Place, and what it would have changed
// (marks, breakpoints, what is watched, the last motif and query) is as it was.
//
// The place is one of the session's History as it is: what it grows by is taken in
// after that.
func (s *Session) AskAt(ctx context.Context, at history.Position, line string) (*Answer, error) {
	before, travelled, keep, following, hits, asked, meta := s.view, s.past, s.KeepMarks, s.following, s.hits, s.asked, s.meta
	defer func() {
		s.view, s.past, s.KeepMarks, s.following, s.hits, s.asked = before, travelled, keep, following, hits, asked
		s.renumber(meta)
	}()
	s.at, s.past, s.KeepMarks, s.following, s.hits = at, past{}, nil, false, slices.Clone(hits) // which renumber changes
	return s.Ask(ctx, line)
}

// Compile compiles a statement of RQL and returns the History to ask, in which
// there is what the statement names. A mistake in it is a *syntax.Error.
func (s *Session) Compile(ctx context.Context, statement string) (*rql.Query, history.Source, error) {
	if err := s.Refresh(ctx); err != nil {
		return nil, nil, err
	}
	q, err := rql.Compile(s.meta, statement)
	if err != nil {
		return nil, nil, err
	}
	meta := s.meta
	if err := s.fill(ctx, "query", q.Variables()); err != nil {
		return nil, nil, err
	}
	if s.meta != meta {
		q, err = rql.Compile(s.meta, statement)
	}
	return q, s.src, err
}

// CompleteStatement is what the word that ends at byte pos of a statement of RQL
// may become: text[start:pos] is to be replaced by one of the candidates.
func (s *Session) CompleteStatement(text string, pos int) (start int, candidates []string) {
	return complete.Statement(s.known(), text, pos)
}

// Whenever is the statement that asks for the beginnings of what a condition says,
// and how many bytes of it stand before the condition.
func (s *Session) Whenever(condition string) (statement string, before int) {
	head := "SELECT TIME() FROM " + s.fromLogs() + " WHEN "
	return head + condition + "\nEMIT ENTER", len(head)
}

// fromLogs are the logs of the History, as they stand after FROM.
func (s *Session) fromLogs() string {
	var logs []string
	for _, l := range s.logs() {
		logs = append(logs, event.PathString(l, nil))
	}
	return strings.Join(logs, ", ")
}
