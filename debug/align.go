package debug

import (
	"fmt"
	"strings"

	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/termtext"
)

// Bounds on the events that a divergence shows side by side: so many that are the
// same before it, so many behind it of each side, and so many rows.
const (
	alignedBefore = 3
	alignedBehind = 24
	alignedRows   = 12
	// alignedAfterEnd is how many events of one side are shown when the other has
	// ended, or has no like of them.
	alignedAfterEnd = 2
)

// An Aligned is a row of two Histories side by side: the events of a node that
// belong together, or one that the other side has no like of.
type Aligned struct {
	Here    *Event `json:"here,omitempty"`
	There   *Event `json:"there,omitempty"`
	Differs string `json:"differs,omitempty"` // in what, if both are there and not the same
}

// writeText writes the rows in two columns.
func writeAligned(t *textForm, rows []Aligned) {
	width := 0
	for _, r := range rows {
		width = max(width, termtext.Columns(r.Here.brief()))
	}
	for _, r := range rows {
		sign, what := " ", ""
		switch {
		case r.Here == nil:
			sign = "+"
		case r.There == nil:
			sign = "-"
		case r.Differs != "":
			sign, what = "≠", "  "+r.Differs
		}
		t.line("%s", strings.TrimRight(fmt.Sprintf("    %s %s  │ %s%s", sign, termtext.Pad(r.Here.brief(), width), r.There.brief(), what), " "))
	}
}

// brief is an event without its time, "" of none.
func (e *Event) brief() string {
	if e == nil {
		return ""
	}
	s := strings.TrimSpace(e.Kind + " " + e.Name)
	if e.Peer != "" && e.Kind != event.Note.String() {
		s += " from " + e.Peer
	}
	return fmt.Sprintf("%s  %s", e.Place, termtext.Printable(termtext.Clip(s, valueColumns/2)))
}

// A pairing is two events that stand side by side; one may be nil.
type pairing struct{ here, there *history.Event }

// align puts the next events of two sides side by side: as many as can be of those
// that are alike, in the order of both (a longest common subsequence).
func align(here, there []*history.Event) []pairing {
	// common[i][j] is how many of here[i:] and there[j:] can stand side by side.
	common := make([][]int, len(here)+1)
	for i := range common {
		common[i] = make([]int, len(there)+1)
	}
	for i := len(here) - 1; i >= 0; i-- {
		for j := len(there) - 1; j >= 0; j-- {
			if alike(here[i], there[j]) {
				common[i][j] = 1 + common[i+1][j+1]
			} else {
				common[i][j] = max(common[i+1][j], common[i][j+1])
			}
		}
	}
	var out []pairing
	for i, j := 0, 0; i < len(here) || j < len(there); {
		switch {
		case i < len(here) && j < len(there) && alike(here[i], there[j]):
			out = append(out, pairing{here[i], there[j]})
			i++
			j++
		case j == len(there) || i < len(here) && common[i+1][j] >= common[i][j+1]:
			out = append(out, pairing{here[i], nil})
			i++
		default:
			out = append(out, pairing{nil, there[j]})
			j++
		}
	}
	return out
}

// alike reports whether two events are the same kind of thing, whatever came of
// them.
func alike(a, b *history.Event) bool {
	return a.Kind == b.Kind && a.Name == b.Name && a.Machine == b.Machine && a.Peer == b.Peer
}

// sideBySide are the rows around where a node parts: the last that are the same, and
// then both sides from a and b on.
func (m *matcher) sideBySide(same []pairing, a, b *history.Event, cursors [2]*nodeCursor) ([]Aligned, error) {
	var sides [2][]*history.Event
	for side, e := range []*history.Event{a, b} {
		for e != nil && len(sides[side]) < alignedBehind {
			sides[side] = append(sides[side], e)
			var err error
			if e, err = cursors[side].next(); err != nil {
				return nil, err
			}
		}
	}
	rows := append(same, shortened(align(sides[0], sides[1]))...)
	var out []Aligned
	for _, p := range rows[:min(len(rows), alignedRows)] {
		row := Aligned{Here: m.headline(0, p.here), There: m.headline(1, p.there)}
		if p.here != nil && p.there != nil {
			row.Differs, _ = m.differ(p.here, p.there)
		}
		out = append(out, row)
	}
	return out, nil
}

// shortened leaves out most of what one side has after the other has ended: a replay
// with another build goes no further than to where it differs.
func shortened(rows []pairing) []pairing {
	end := len(rows)
	for end > 0 && (rows[end-1].here == nil) == (rows[len(rows)-1].here == nil) && (rows[end-1].here == nil || rows[end-1].there == nil) {
		end--
	}
	return rows[:min(len(rows), end+alignedAfterEnd)]
}

// headline is one line's worth of an event as one of the two has it.
func (m *matcher) headline(side int, e *history.Event) *Event {
	if e == nil {
		return nil
	}
	s := &Session{meta: m.metas[side]}
	return s.headline(e)
}

// valueDetails are the places at which two payloads differ.
func valueDetails(a, b event.Value) (lines []string) {
	s := &Session{say: func(p Part) {
		if d, ok := p.(*Difference); ok && len(lines) < detailsMax {
			lines = append(lines, fmt.Sprintf("%s: %s → %s", d.Path, inShort(d.Before, valueColumns), inShort(d.After, valueColumns)))
		}
	}}
	d := differ{s: s}
	d.value("data", nil, a, b)
	return lines
}
