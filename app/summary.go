package app

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"hindcast.dev/hlc"
	"hindcast.dev/rql"
	"hindcast.dev/rql/syntax"
	"hindcast.dev/termtext"
)

// A summary is what is said after the rows.
type summary struct {
	Cuts       uint64       `json:"cuts"`
	Rows       uint64       `json:"rows"`
	Seconds    float64      `json:"seconds"`
	Errors     []queryFault `json:"errors,omitempty"`
	Incomplete []string     `json:"incomplete,omitempty"` // nodes whose recording is missing somewhere
	Partial    string       `json:"partial,omitempty"`    // why there may be more rows, "" if there are none
	Absent     []queryNote  `json:"absent,omitempty"`     // paths that no cut had
	Unequal    []queryNote  `json:"unequal,omitempty"`    // = and != between types that never met

	query string
}

// A queryNote says what is most likely a mistake in a query, though it runs.
type queryNote struct {
	Note     string `json:"note"`
	Position string `json:"position"` // in the query
	Hint     string `json:"hint,omitempty"`
	at       *syntax.Error
}

func newQueryNote(e *syntax.Error) queryNote {
	return queryNote{e.Msg, e.Pos.String(), e.Hint, e}
}

type queryFault struct {
	Fault    string        `json:"error"`
	Count    uint64        `json:"count"`
	Position string        `json:"position"` // in the query
	Node     string        `json:"node"`     // whose event was the first
	Seq      uint64        `json:"seq"`
	Time     hlc.Timestamp `json:"time"`
	lattice  bool          // the cut may lie off the walk, at no time
}

func newSummary(sum rql.Summary, took time.Duration, err error) *summary {
	s := &summary{Cuts: sum.Cuts, Rows: sum.Rows, Seconds: took.Seconds(), Incomplete: sum.Incomplete}
	for _, e := range sum.Errors {
		s.Errors = append(s.Errors, queryFault{e.What(), e.Count, e.Pos.String(), e.Node, e.Seq, e.Time, e.Lattice})
	}
	for _, a := range sum.Absent {
		s.Absent = append(s.Absent, newQueryNote(a.Note()))
	}
	for _, u := range sum.Unequal {
		s.Unequal = append(s.Unequal, newQueryNote(u.Note()))
	}
	if err != nil {
		s.Partial = err.Error()
	}
	return s
}

func (s *summary) write(w io.Writer) {
	w = termtext.SafeWriter(w)
	from := ""
	if s.Cuts > 0 || s.Partial != "" { // SHOW and EXPLAIN walk through nothing
		from = " from " + plural(s.Cuts, "cut")
	}
	fmt.Fprintf(w, "%s%s in %.3f s\n", plural(s.Rows, "row"), from, s.Seconds)
	s.notes(w)
	if len(s.Incomplete) > 0 {
		fmt.Fprintf(w, "note: the recording of %s is missing in part: rows that this could change are marked incomplete\n", strings.Join(s.Incomplete, ", "))
	}
}

// notes writes what is most likely a mistake in the query, or in the data.
func (s *summary) notes(w io.Writer) {
	for _, n := range slices.Concat(s.Absent, s.Unequal) {
		fmt.Fprintf(w, "note: %s", n.at.Render(s.query))
	}
	for _, e := range s.Errors {
		fmt.Fprintf(w, "note: %s, %s, first %s (place %s in the query)\n", e.Fault, plural(e.Count, "time"), e.first(), e.Position)
	}
}

// first says at which cut it was met first.
func (e *queryFault) first() string {
	event := fmt.Sprintf("%s:%d", e.Node, e.Seq)
	switch {
	case e.lattice && e.Node == "":
		return "in the first cut of the lattice"
	case e.lattice:
		return "in a cut of the lattice up to " + event
	case e.Seq == 0:
		return "at a tick" // which is no event's
	}
	return "by " + event
}
