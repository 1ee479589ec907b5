package tui

import (
	"fmt"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"hindcast.dev/debug"
	"hindcast.dev/debug/timeline"
	"hindcast.dev/history"
	"hindcast.dev/termtext"
)

// The least that can be drawn on, from which width on panes stand side by side, and
// from which height on the event has a place of its own there.
const (
	columnsMin  = 40
	rowsMin     = 10
	columnsWide = 110
	rowsBoth    = 24
)

// A layout is where things are on a screen:
//
//	title                    position, time
//	strip: the whole run
//	main: diagram or overview
//	tabs ─ Event ─ State ─ …             on a wide one main and side stand beside
//	side: the pane that is chosen        each other, with the event above the pane
//	the last line: what was said, or what is typed
type layout struct {
	title, strip, main, tabs, side, last area
	upper                                area // the event, if there is room for it beside the pane
	divider                              int  // the column between main and side; 0 is none
}

func (m *model) layout(s *screen) layout {
	all := s.all()
	l := layout{title: all.rows(0, 1), strip: all.rows(1, 1), last: all.rows(all.h-1, 1)}
	body := all.rows(2, all.h-3)
	switch {
	case m.alone && m.focus == 0:
		l.main = body
	case m.alone:
		l.tabs, l.side = body.rows(0, 1), body.rows(1, body.h)
	case s.w >= columnsWide:
		left := s.w * 11 / 20
		l.divider = left
		l.main = body.columns(0, left)
		right := body.columns(left+1, s.w)
		if right.h >= rowsBoth && m.side != paneEvent {
			l.upper = right.rows(0, right.h*2/5)
			right = right.rows(l.upper.h, right.h)
		}
		l.tabs, l.side = right.rows(0, 1), right.rows(1, right.h)
	default:
		h := (body.h*3 + 4) / 5
		l.main, l.tabs, l.side = body.rows(0, h), body.rows(h, 1), body.rows(h+1, body.h)
	}
	return l
}

// places is the layout of the present screen, for sizes alone.
func (m *model) places() layout { return m.layout(&screen{w: m.w, h: m.h}) }

func (m *model) sideColumns() int {
	if p := m.places(); p.side.w > 0 {
		return p.side.w - 1 // the first is the cursor's
	}
	return m.w - 1
}

// View implements tea.Model. A panic ends the program in order.
func (m *model) View() (v tea.View) {
	defer func() {
		if r := recover(); r != nil {
			m.failed = failure(r)
			m.quitNow()
		}
		v.AltScreen = true
	}()
	s, cursor := m.draw()
	v.SetContent(s.render(m.look, true))
	v.Cursor = cursor
	return v
}

// draw draws the screen.
func (m *model) draw() (*screen, *tea.Cursor) {
	s := newScreen(m.w, m.h)
	if m.w < columnsMin || m.h < rowsMin {
		all := s.all()
		for i, t := range []string{fmt.Sprintf("%d×%d is too small:", m.w, m.h), fmt.Sprintf("%d×%d is needed", columnsMin, rowsMin), "(q quits)"} {
			all.line(0, i, 0, t)
		}
		return s, nil
	}
	if m.help != nil {
		m.drawHelp(s.all())
		return s, nil
	}
	l := m.layout(s)
	m.drawTitle(l.title)
	m.drawStrip(l.strip)
	if m.scope.on {
		m.drawScope(l.main)
	} else {
		m.drawDiagram(l.main)
	}
	m.drawTabs(l.tabs)
	m.drawSide(l.side)
	if l.upper.h > 0 {
		m.sides[paneEvent].draw(l.upper, false)
	}
	if l.divider > 0 {
		for y := range l.main.h {
			s.all().set(l.divider, y+2, '│', dim)
		}
	}
	return s, m.drawLast(l.last, s)
}

// drawTitle says what is open and where the cut is.
func (m *model) drawTitle(a area) {
	place := "START"
	if m.at != history.Begin {
		place = m.placeText(m.at) + "  " + m.at.Time.String()
	}
	if x := m.survey.Index(); x != nil {
		order := uint64(0)
		if at, ok := x.Coordinate(timeline.Order, m.at); ok && m.at != history.Begin {
			order = at + 1
		}
		place += fmt.Sprintf("  %d of %d", order, x.Len())
	}
	name := "hindcast  " + m.o.Title
	a.line(0, 0, bold, name)
	if room := a.w - termtext.Columns(place) - 2; room < 12 {
		place = m.placeText(m.at)
	}
	x := a.right(0, bold, "  "+place)
	if termtext.Columns(name) > x {
		a.columns(0, x).line(0, 0, bold, name)
	}
	a.paint(0, reverse)
}

// drawStrip draws the whole run in one row, and where the cut is in it.
func (m *model) drawStrip(a area) {
	f := m.scope.strip
	if f == nil {
		a.line(0, 0, dim, m.noFrame())
		return
	}
	most := uint32(1)
	for _, c := range f.Cells[0] {
		most = max(most, c.Count)
	}
	for x, c := range f.Cells[0] {
		if c.Count > 0 {
			a.set(x, 0, bar(c.Count, most), dim)
		}
	}
	for _, h := range m.hits.rows {
		if at := uint64(h.Time); at >= f.From && at <= f.To {
			a.set(f.Column(at), 0, '»', yellow|bold)
		}
	}
	for _, k := range m.marks {
		if at := uint64(k.Place.Time); at >= f.From && at <= f.To {
			a.set(f.Column(at), 0, 'm', magenta|bold)
		}
	}
	at := max(min(uint64(m.at.Time), f.To), f.From)
	if p := a.at(f.Column(at), 0); p != nil {
		p.style |= reverse | bold
		if p.char == ' ' {
			p.char = '│'
		}
	}
}

// bars are columns of eight heights.
var bars = []rune("▁▂▃▄▅▆▇█")

// bar is the column for n of at most most, as a ratio of their lengths in bits.
func bar(n, most uint32) rune {
	bits := func(n uint32) (b int) {
		for ; n > 1; n >>= 1 {
			b++
		}
		return b
	}
	if most <= 1 {
		return bars[3]
	}
	return bars[min(7*bits(n)/max(bits(most), 1), 7)]
}

// noFrame says why there is no overview.
func (m *model) noFrame() string {
	if m.survey.Index() != nil {
		return "there are no events"
	}
	return "reading where the events are: " + m.progress()
}

// progress says how far the survey is.
func (m *model) progress() string {
	p := m.survey.Progress()
	switch {
	case p.Err != nil:
		return "failed"
	case p.Step == debug.SurveyReady:
		return ""
	}
	return fmt.Sprintf("%s %d %%", p.Step, int(p.Done*100))
}

// drawTabs draws the rule above the side with the panes' names.
func (m *model) drawTabs(a area) {
	for x := range a.w {
		a.set(x, 0, '─', dim)
	}
	x := 1
	for p := pane(0); p < panes; p++ {
		st, name := dim, fmt.Sprintf(" %d %s ", int(p)+1, paneNames[p])
		if a.w < 53 {
			name = fmt.Sprintf(" %d%s", int(p)+1, paneNames[p])
		}
		if p == m.side {
			if st = bold; m.focus == 1 {
				st = bold | reverse
			}
		}
		x = a.text(x, 0, st, name)
	}
}

// drawLast draws what is typed, what runs, what was said, or what keys there are.
func (m *model) drawLast(a area, s *screen) *tea.Cursor {
	if m.line != nil {
		return m.line.draw(a, s)
	}
	right := m.progress()
	if m.live != nil {
		right = m.reach()
	}
	if m.running != nil && !m.running.looks {
		right = fmt.Sprintf("%s: %d s, Esc ends it", firstLine(m.running.line), int(time.Since(m.running.begun)/time.Second))
		if time.Since(m.running.begun) < tickEvery {
			right = m.reach()
		}
	}
	x := a.w
	if right != "" {
		x = a.right(0, dim, "  "+right)
	}
	left := a.columns(0, x)
	switch {
	case m.message.bad:
		left.line(0, 0, bold|red, m.message.text)
	case m.message.text != "":
		left.line(0, 0, 0, m.message.text)
	case a.w < 70:
		left.line(0, 0, dim, "? keys  : command  / search  q quit")
	default:
		left.line(0, 0, dim, "? keys  : command  / search  ] [ step  + - zoom  Tab pane  q quit")
	}
	return nil
}

// drawHelp draws the keys and commands over everything.
func (m *model) drawHelp(a area) {
	a.line(0, 0, bold|reverse, " Keys and commands")
	a.paint(0, reverse)
	m.help.draw(a.rows(1, a.h-2), true)
	a.line(0, a.h-1, dim, "↑ ↓ scroll  ? or Esc closes")
}

// toggleHelp shows the keys, or closes them.
func (m *model) toggleHelp() tea.Cmd {
	if m.help != nil {
		m.help = nil
		return nil
	}
	m.help = &list{lines: helpLines(max(m.w-1, columnsMin))}
	return nil
}

// helpLines are the keys by group, and then the commands.
func helpLines(width int) (lines []line) {
	const column = 19
	group := ""
	for _, k := range keyTable() {
		if k.group != group {
			group = k.group
			lines = append(lines, line{}, styled(bold, group))
		}
		for i, t := range wrap(k.what, width-column) {
			name := ""
			if i == 0 {
				name = shownKeys(k.keys)
			}
			lines = append(lines, line{parts: []part{{termtext.Pad(name, column), cyan}, {t, 0}}})
		}
	}
	lines = append(lines, line{}, styled(bold, "Commands, after :"))
	for _, c := range debug.Commands() {
		for i, t := range wrap(c.Short, width-column) {
			name := ""
			if i == 0 {
				name = c.Name
			}
			lines = append(lines, line{parts: []part{{termtext.Pad(name, column), cyan}, {t, 0}}})
		}
		if c.Args != "" {
			for _, t := range wrap(c.Name+" "+c.Args, width-column-2) {
				lines = append(lines, line{parts: []part{{strings.Repeat(" ", column+2) + t, dim}}})
			}
		}
	}
	return lines[1:]
}
