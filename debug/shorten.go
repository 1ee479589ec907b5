package debug

import (
	"slices"

	"hindcast.dev/event"
	"hindcast.dev/rql"
)

// Bounds on an Answer that is shortened, in about bytes of text.
const (
	answerMax  = 8 << 20
	valueMax   = 1 << 20
	smallValue = 64   // is never cut
	cutColumns = 1000 // what is left of a value that is cut short
)

// cutMark ends what is left of a value.
const cutMark = " (cut short: export jsonl has all of it)"

// Shorten puts a text with its beginning in place of each value of an Answer that is
// too large, or that comes after so many others: what recorded variables hold is
// bounded by nothing else, and who asks over HTTP has to hold all of it. Short tells
// if there was one.
func (a *Answer) Shorten() {
	s := shortener{left: answerMax}
	for _, p := range a.Parts {
		s.part(p)
	}
	a.Short = s.cut
}

type shortener struct {
	left int
	cut  bool
}

func (s *shortener) value(v *event.Value) {
	n := weigh(*v, valueMax)
	if n <= smallValue || n < valueMax && n <= s.left {
		s.left -= n
		return
	}
	s.left -= cutColumns
	s.cut = true
	*v = event.String(Preview(*v, cutColumns) + cutMark)
}

func (s *shortener) part(p Part) {
	switch p := p.(type) {
	case *Event:
		s.event(p)
	case *Variable:
		s.value(&p.Value)
	case *Difference:
		s.value(&p.Before)
		s.value(&p.After)
	case *Effect:
		s.value(&p.Data)
	case *LogLine:
		s.value(&p.Data)
	case *Link:
		s.value(&p.Value)
	case *Track:
		for i := range p.Points {
			s.value(&p.Points[i].Value)
		}
	case *Row:
		p.Row = s.row(p.Row)
	}
}

func (s *shortener) event(e *Event) {
	s.value(&e.Data)
	for i := range e.Changes {
		s.value(&e.Changes[i].Value)
	}
	for i := range e.Effects {
		s.value(&e.Effects[i].Data)
	}
	for i := range e.Log {
		s.value(&e.Log[i].Data)
	}
}

// ShortenRow returns a row of which no value is too large.
func ShortenRow(r *rql.Row) *rql.Row {
	s := shortener{left: answerMax}
	return s.row(r)
}

// row copies what it changes: others may hold the row.
func (s *shortener) row(r *rql.Row) *rql.Row {
	short := *r
	cells := func(cells []rql.Cell) []rql.Cell {
		cells = slices.Clone(cells)
		for i := range cells {
			s.value(&cells[i].Value)
			cells[i].Nodes = slices.Clone(cells[i].Nodes)
			for k := range cells[i].Nodes {
				s.value(&cells[i].Nodes[k].Value)
			}
		}
		return cells
	}
	short.Values, short.Group = cells(r.Values), cells(r.Group)
	if !s.cut {
		return r
	}
	return &short
}
