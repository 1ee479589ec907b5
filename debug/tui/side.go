package tui

import (
	"fmt"
	"strings"

	"hindcast.dev/debug"
	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/termtext"
)

// A pane is one of those that the side shows.
type pane int

const (
	paneEvent pane = iota
	paneState
	paneQuery
	paneNotes
	paneDiff
	paneList
	panes // how many there are
)

var paneNames = [panes]string{"Event", "State", "Query", "Notes", "Diff", "List"}

// valueLines bounds the lines that one value takes.
const valueLines = 60

// staleSides says that the contents of panes have changed.
func (m *model) staleSides(ps ...pane) {
	for _, p := range ps {
		m.sides[p].stale = true
	}
}

// settleSides makes the lines of the panes in view, if they aren't those any more.
func (m *model) settleSides() {
	p := m.places()
	m.settlePane(m.side, p.side)
	m.settlePane(paneEvent, p.upper)
}

func (m *model) settlePane(p pane, a area) {
	if a.w == 0 || m.nearby.meta == nil {
		return
	}
	l, width := &m.sides[p], a.w-1
	if l.stale || l.width != width || l.lines == nil || p == paneQuery || p == paneNotes || m.tree.stale {
		l.lines = m.sideLines(p, width)
		l.width, l.stale = width, false
		if at := m.sideAt(p); at != l.at { // it is about another event
			l.at, l.cur, l.top = at, 0, 0
		}
	}
	if p == paneState && !l.moved && m.tree.filter == "" { // the event's node comes into view
		for i, n := range l.lines {
			if n.here {
				l.cur, l.top = i, i
			}
		}
	}
	if p == paneQuery && l.toLast {
		l.toLast = false
		l.top, l.cur = m.console.last, m.console.last
		if m.console.leads() {
			l.cur++
		}
	}
	l.fit(a.h)
}

// sideAt is the place that the pane's lines tell of; the beginning where that doesn't
// matter.
func (m *model) sideAt(p pane) history.Position {
	switch p {
	case paneEvent:
		return m.nearby.at
	case paneDiff:
		return m.global.at
	}
	return history.Begin
}

func (m *model) sideLines(p pane, width int) []line {
	switch p {
	case paneEvent:
		return m.eventLines(width)
	case paneState:
		return m.stateLines(width)
	case paneQuery:
		return m.console.shown()
	case paneNotes:
		return m.noteLines(width)
	case paneDiff:
		return m.diffLines(width)
	}
	return m.listLines()
}

// drawSide draws the pane that is chosen.
func (m *model) drawSide(a area) {
	if a.h > 0 {
		m.sides[m.side].draw(a, m.focus == 1)
	}
}

// A liner makes lines of a width.
type liner struct {
	lines []line
	width int
}

func (l *liner) add(n line) { l.lines = append(l.lines, n) }

// wrapped adds a text, after a name on its first line.
func (l *liner) wrapped(name string, st style, text, do string) {
	indent := termtext.Columns(name)
	for i, t := range wrap(termtext.Printable(text), l.width-indent) {
		if i == valueLines {
			l.add(styled(dim, strings.Repeat(" ", indent)+"… and more: the commands event and state PATH show all"))
			return
		}
		if i > 0 {
			name, do = strings.Repeat(" ", indent), ""
		}
		l.add(leading(do, part{name, dim}, part{t, st}))
	}
}

// value is a value in full, if that is no more than its lines have room for.
func (l *liner) value(v event.Value) string { return debug.Preview(v, (valueLines+1)*l.width) }

// eventLines tell all of the event at the cut.
func (m *model) eventLines(width int) []line {
	e := m.nearby.event
	l := &liner{width: width}
	switch {
	case m.nearby.err != nil:
		l.wrapped("", red, m.nearby.err.Error(), "")
		return l.lines
	case e == nil:
		return []line{styled(dim, "before the first event: ] or ↓ steps on")}
	}
	title := e.Kind
	if e.Name != "" {
		title += " " + e.Name
	}
	l.wrapped("", bold, termtext.Printable(title)+"  "+e.Place.String(), "")
	if m.nearby.cause != nil {
		c := m.nearby.cause
		l.add(leading("goto "+c.Place.String(), part{"cause    ", dim}, part{strings.TrimSpace(c.Place.String() + "  " + c.Kind + " " + c.Name), cyan}))
	} else if e.Peer != "" {
		l.wrapped("peer     ", 0, e.Peer, "")
	}
	l.wrapped("time     ", 0, e.Time.String(), "")
	if e.Physical != 0 {
		l.wrapped("clock    ", 0, e.Physical.String(), "")
	}
	if e.Machine != "" {
		l.wrapped("machine  ", 0, e.Machine, "")
	}
	if e.Code != nil {
		l.wrapped("code     ", 0, fmt.Sprintf("%s  %s:%d", e.Code.Function, e.Code.File, e.Code.Line), "")
	}
	if e.ID != "" {
		l.wrapped("id       ", 0, e.ID, "")
	}
	if !e.Data.IsAbsent() {
		l.wrapped("data     ", 0, l.value(e.Data), "")
	}
	for _, f := range e.Effects {
		l.effect(f)
	}
	for _, c := range e.Changes {
		l.wrapped(termtext.Clip(termtext.Printable(c.Path), max(width/2, 10))+" = ", 0, l.value(c.Value), "")
	}
	for _, v := range e.LeftOut {
		l.wrapped("", dim, v+": too large to be compared after every event; :diff "+v+" does", "")
	}
	return l.lines
}

// effect adds what an event asked for, and what became of it.
func (l *liner) effect(f *debug.Effect) {
	if f.Kind == "log" {
		l.wrapped("log      ", yellow, f.Name+": "+f.Data.AsString(), "")
		return
	}
	text, do, st := f.Name, "", style(0)
	if f.Peer != "" {
		text += " to " + f.Peer
	}
	if t := f.Fate; t != nil {
		switch {
		case len(t.Received) > 0:
			text += "  → " + t.Received[0].String()
			do = "goto " + t.Received[0].String()
		case t.Dropped != "":
			text, st = text+"  ╳ "+t.Dropped, red
			do = fmt.Sprintf("goto %s:%d", termtext.Name(t.Notes[0].Node), t.Notes[0].Seq)
		default:
			text, st = text+"  ╳ never received", red
		}
	}
	l.wrapped(termtext.Pad(f.Kind, 8)+" ", st, text, do)
	if f.Fate != nil && len(f.Fate.Received) > 1 {
		for _, p := range f.Fate.Received[1:] {
			l.wrapped("          again → ", 0, p.String(), "goto "+p.String())
		}
	}
	if !f.Data.IsAbsent() {
		l.wrapped("           ", dim, l.value(f.Data), "")
	}
}

// diffLines tell what the event changed: before and after.
func (m *model) diffLines(width int) []line {
	l := &liner{width: width}
	if m.global.err != nil {
		l.wrapped("", red, m.global.err.Error(), "")
	}
	for _, p := range m.global.diff {
		d, ok := p.(*debug.Difference)
		if !ok {
			l.wrapped("", dim, strings.TrimRight(debug.PartText(p, width, m.o.Plain), "\n"), "")
			continue
		}
		l.wrapped("", bold, termtext.Name(d.Node)+"  "+d.Path, "")
		if !d.Before.IsAbsent() {
			l.wrapped("  − ", red, l.value(d.Before), "")
		}
		if !d.After.IsAbsent() {
			l.wrapped("  + ", green, l.value(d.After), "")
		}
	}
	if len(l.lines) == 0 {
		return []line{styled(dim, "the event here changed nothing")}
	}
	return l.lines
}

// noteLines are the marks.
func (m *model) noteLines(width int) []line {
	l := &liner{width: width}
	for _, k := range m.marks {
		text := k.Place.String()
		if k.Place != (debug.Place{}) {
			text += "  " + k.Place.Time.String()
		}
		l.add(leading("goto "+termtext.Printable(k.Name), part{termtext.Pad(termtext.Printable(k.Name), 12) + " ", magenta}, part{text, 0}))
		if k.Note != "" {
			l.wrapped("             ", 0, k.Note, "")
		}
	}
	if len(l.lines) == 0 {
		return []line{styled(dim, "no marks: m gives this place a name")}
	}
	return l.lines
}

// listLines are the events around the cut, one in a line; the cut's is chosen.
func (m *model) listLines() []line {
	if len(m.nearby.rows) == 0 {
		return []line{styled(dim, "there is no event here")}
	}
	lines, meta := make([]line, len(m.nearby.rows)), m.nearby.meta
	m.sides[paneList].cur = 0
	for i := range m.nearby.rows {
		e := &m.nearby.rows[i]
		st := style(0)
		switch {
		case e.Position.Compare(m.nearby.at) > 0:
			st = dim
		case e.Position == m.nearby.at:
			m.sides[paneList].cur, st = i, bold
		}
		name := fmt.Sprintf("%s:%d", termtext.Name(meta.Nodes[e.Node].Name), e.Seq)
		lines[i] = styled(st, clock(e.Time)+"  "+termtext.Pad(name, 10)+"  "+summary(e))
	}
	l := &m.sides[paneList]
	l.top = l.cur - m.places().side.h/2
	return lines
}

// summary is what happened, in a few words.
func summary(e *history.Event) string {
	text := e.Kind
	if e.Name != "" {
		text += " " + e.Name
	}
	if e.Peer != "" {
		text += " from " + e.Peer
	}
	if !e.Data.IsAbsent() {
		text += "  " + termtext.Clip(debug.Preview(e.Data, 200), 200)
	}
	return termtext.Printable(text)
}
