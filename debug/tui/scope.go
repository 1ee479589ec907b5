package tui

import (
	"fmt"
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"

	"hindcast.dev/debug/timeline"
	"hindcast.dev/history"
	"hindcast.dev/hlc"
	"hindcast.dev/termtext"
)

// nameColumns is how many columns of the overview are for the names of nodes.
const nameColumns = 12

// A scope is the overview: lanes as rows, time to the right, each cell as many
// events as fall into it. At level 0 it shows the whole run, at each further one a
// quarter of that.
type scope struct {
	on    bool
	axis  timeline.Axis
	level int
	frame *timeline.Frame
	index *timeline.Index // that frame was made from
	first int             // the first node in view

	strip      *timeline.Frame // the whole run, in the row above
	stripIndex *timeline.Index
}

// settleScope has what is to be drawn drawn, if it isn't yet.
func (m *model) settleScope() {
	s, x := &m.scope, m.survey.Index()
	if x == nil || m.w < columnsMin || m.h < rowsMin {
		return
	}
	if s.stripIndex != x || s.strip == nil || s.strip.Columns != m.w {
		if from, to, ok := x.Span(timeline.Time); ok {
			s.strip, _ = x.Frame(timeline.View{Axis: timeline.Time, From: from, To: to, Columns: m.w, Merged: true})
		}
		s.stripIndex = x
	}
	from, to, ok := x.Span(s.axis)
	if !s.on || !ok {
		return
	}
	a := m.places().main
	v := timeline.View{Axis: s.axis, From: from, To: to, Columns: max(a.w-nameColumns, 1), Lanes: m.scopeLanes(a, len(x.Meta().Nodes))}
	if s.level > 0 {
		v.From, v.To = s.window(from, to, m.coordinate(x))
	}
	if f := s.frame; f != nil && s.index == x && f.Axis == v.Axis && f.From == v.From && f.To == v.To && f.Columns == v.Columns && slices.Equal(f.Lanes, v.Lanes) {
		return
	}
	s.frame, _ = x.Frame(v)
	s.index = x
}

// scopeLanes are the nodes in view, the chosen one among them.
func (m *model) scopeLanes(a area, nodes int) (lanes []int) {
	rows := max(a.h-2, 1)
	s := &m.scope
	s.first = max(min(s.first, nodes-rows), 0)
	if m.lane < s.first {
		s.first = m.lane
	}
	if m.lane >= s.first+rows {
		s.first = m.lane - rows + 1
	}
	for n := s.first; n < min(s.first+rows, nodes); n++ {
		lanes = append(lanes, n)
	}
	return lanes
}

// coordinate is where the cut is along the axis.
func (m *model) coordinate(x *timeline.Index) uint64 {
	if at, ok := x.Coordinate(m.scope.axis, m.at); ok && m.at != history.Begin {
		return at
	}
	from, _, _ := x.Span(m.scope.axis)
	return from
}

// window is the part in view of the span of an axis. It stays where it is as long as
// the cut is in it.
func (s *scope) window(from, to, at uint64) (a, b uint64) {
	width := (to - from) >> (2 * s.level)
	if f := s.frame; f != nil && f.Axis == s.axis && f.To-f.From == width && at >= f.From && at <= f.To {
		return f.From, f.To
	}
	a = from
	if at-from > width/2 {
		a = at - width/2
	}
	if to-a < width {
		a = to - width
	}
	return a, a + width
}

// deepest is the level at which about one event falls into a column.
func (m *model) deepest(x *timeline.Index) int {
	columns := max(m.places().main.w-nameColumns, 1)
	level := 0
	for n := x.Len() / 4; n > columns && level < 30; n /= 4 {
		level++
	}
	return level
}

// drawScope draws the overview.
func (m *model) drawScope(a area) {
	f := m.scope.frame
	if f == nil || m.survey.Index() == nil {
		a.line(0, 0, dim, m.noFrame())
		return
	}
	cut := -1
	if at := m.coordinate(m.survey.Index()); m.at != history.Begin && at >= f.From && at <= f.To {
		cut = f.Column(at)
	}
	most := uint32(1)
	for _, cells := range f.Cells {
		for _, c := range cells {
			most = max(most, c.Count)
		}
	}
	nodes := m.scope.index.Meta().Nodes
	m.drawRuler(a.rows(0, 1))
	for i, n := range f.Lanes {
		node := &nodes[n]
		name, st := termtext.Clip(termtext.Name(node.Name), nameColumns-2), dim
		if n == m.lane {
			st = bold
			a.set(0, i+1, '›', bold)
		}
		a.columns(0, nameColumns).text(1, i+1, st, name)
		if m.isSilent(node.Name) {
			a.set(nameColumns-1, i+1, '?', red|bold)
		}
		row := a.columns(nameColumns, a.w).rows(i+1, 1)
		drawUnknown(row, f, node)
		drawCells(row, f, i, most)
		if p := row.at(cut, 0); p != nil {
			p.style |= reverse
			if p.char == ' ' {
				p.char = '┊'
			}
		}
	}
	a.line(0, a.h-1, dim, m.legend(f))
}

// drawUnknown draws where the recording of a node is missing.
func drawUnknown(a area, f *timeline.Frame, n *history.Node) {
	if f.Axis != timeline.Time {
		return
	}
	for _, u := range n.Unknown {
		if uint64(u.To) <= f.From || uint64(u.From) > f.To {
			continue
		}
		for x := f.Column(max(uint64(u.From), f.From)); x <= f.Column(min(uint64(u.To)-1, f.To)); x++ {
			a.set(x, 0, '?', dim)
		}
	}
}

// drawCells draws a lane.
func drawCells(a area, f *timeline.Frame, i int, most uint32) {
	for _, d := range f.Down[i] {
		for x := d.From; x <= d.To; x++ {
			a.set(x, 0, '╌', dim)
		}
	}
	for x, c := range f.Cells[i] {
		if c.Count == 0 {
			continue
		}
		char, st := bar(c.Count, most), style(0)
		switch {
		case c.Class&timeline.Drop != 0:
			char, st = '╳', red|bold
		case c.Class&timeline.Boot != 0:
			char, st = '▲', magenta|bold
		case c.Class&timeline.Link != 0:
			st = magenta
		case c.Class&timeline.Request != 0:
			st = green
		case c.Class&timeline.Timer != 0:
			st = yellow
		}
		a.set(x, 0, char, st)
	}
}

// drawRuler says from where to where the overview goes.
func (m *model) drawRuler(a area) {
	f := m.scope.frame
	from, to := fmt.Sprint(f.From), fmt.Sprint(f.To)
	if f.Axis == timeline.Time {
		from, to = clock(hlc.Timestamp(f.From)), clock(hlc.Timestamp(f.To))
	}
	a.columns(nameColumns, a.w).line(0, 0, bold, from)
	a.right(0, bold, to)
	a.line(0, 0, bold, f.Axis.String())
}

// clock is the time of day, as in a Timestamp's text.
func clock(t hlc.Timestamp) string {
	text := t.String()
	return text[len("2006-01-02T"):len("2006-01-02T15:04:05.000000")]
}

func (m *model) legend(f *timeline.Frame) string {
	span := fmt.Sprintf("%d events", f.Events)
	if f.Axis == timeline.Time {
		span += " in " + hlc.Timestamp(f.To).Sub(hlc.Timestamp(f.From)).Round(time.Microsecond).String()
	}
	hidden := ""
	if n := len(m.meta.Nodes) - len(f.Lanes); n > 0 {
		hidden = fmt.Sprintf("  %d of %d lanes", len(f.Lanes), len(m.meta.Nodes))
	}
	return span + hidden + "  ▁ few █ many  ╳ dropped  ▲ start or stop  ╌ down  ? unknown"
}

// zoom goes nearer, from the whole run to the diagram, or farther.
func (m *model) zoom(by int) tea.Cmd {
	x, s := m.survey.Index(), &m.scope
	if x == nil {
		m.message = message{"the overview comes when it is known where the events are: " + m.progress(), true}
		return nil
	}
	last := m.deepest(x)
	switch {
	case !s.on && by < 0:
		s.on, s.level = true, last
	case !s.on:
		m.message = message{text: "nearer than single events there is nothing"}
	case s.level+by > last:
		return m.nearView()
	default:
		s.level = max(s.level+by, 0)
	}
	return nil
}

// whole shows the whole run, nearView the events around the cut.
func (m *model) whole() tea.Cmd {
	m.scope.on, m.scope.level = true, 0
	return nil
}

func (m *model) nearView() tea.Cmd {
	m.scope.on = false
	m.diagram.stale = true
	return nil
}

// nextAxis has the overview go by time or by the order of the events.
func (m *model) nextAxis() tea.Cmd {
	m.scope.axis = (m.scope.axis + 1) % timeline.Depth
	m.scope.on = true
	return nil
}

// moveScope moves the cut to the next column, or chooses another lane.
func (m *model) moveScope(dx, dy int) tea.Cmd {
	m.lane = max(min(m.lane+dy, len(m.meta.Nodes)-1), 0)
	x, f := m.survey.Index(), m.scope.frame
	if dx == 0 || x == nil || f == nil {
		return nil
	}
	column := 0
	if at := m.coordinate(x); at >= f.From && at <= f.To {
		column = f.Column(at)
	}
	to := x.Cut(f.Axis, lastIn(f, max(column+dx, -1)))
	switch {
	case m.at == history.Begin && dx < 0:
		return nil
	case to == m.at && dx > 0:
		return m.ask("step")
	case to.Compare(m.at) >= 0 && dx < 0:
		return m.ask("back")
	}
	return m.ask("goto " + m.placeText(to))
}

// lastIn is the last coordinate of a column; -1 is before the first.
func lastIn(f *timeline.Frame, column int) uint64 {
	if column < 0 {
		return f.From - min(f.From, 1)
	}
	lo, hi := f.From, f.To
	for lo < hi {
		if mid := hi - (hi-lo)/2; f.Column(mid) <= column {
			lo = mid
		} else {
			hi = mid - 1
		}
	}
	return lo
}

// toLane goes to the event of the chosen lane that is nearest to the cut.
func (m *model) toLane() tea.Cmd {
	x := m.survey.Index()
	if x == nil || len(m.meta.Nodes) == 0 {
		return m.stepLane("next")
	}
	p, ok := x.Nearest(timeline.Time, m.lane, uint64(m.at.Time))
	if !ok {
		m.message = message{m.nodeName(m.lane) + " has no event", true}
		return nil
	}
	return m.ask("goto " + m.placeText(p))
}
