package tui

import (
	"slices"

	"hindcast.dev/debug"
	"hindcast.dev/event"
	"hindcast.dev/history"
)

// A diagramView is the diagram of the events around the cut, line by line.
type diagramView struct {
	lines  []debug.DiagramLine // without the header
	header string
	rows   []history.Event
	meta   *history.Meta
	at     history.Position
	cut    int // the line of the event at the cut; -1 at the beginning
	row    int // of the screen that it is to be in
	top    int // the first line in view
	w, h   int
	lanes  []int
	labels map[string]string // letters of messages, kept as long as they are in view
	stale  bool
}

// settleDiagram draws the diagram if what is in it has changed.
func (m *model) settleDiagram() {
	d, a := &m.diagram, m.places().main
	if m.scope.on || a.w == 0 || m.nearby.meta == nil {
		return
	}
	height := max(a.h-1, 1)
	if !d.stale && d.w == a.w && d.h == height {
		return
	}
	old := *d
	*d = diagramView{rows: m.nearby.rows, meta: m.nearby.meta, at: m.nearby.at, w: a.w, h: height, row: old.row, labels: map[string]string{}}
	for i := range d.rows {
		for _, f := range d.rows[i].Effects {
			if l := old.labels[f.ID]; l != "" {
				d.labels[f.ID] = l
			}
		}
	}
	d.lanes = lanesFor(d, old.lanes)
	drawn := debug.Diagram{Meta: d.meta, Events: d.rows, Lost: m.nearby.lost, Lanes: d.lanes, Labels: d.labels, Mark: d.at, Width: d.w}
	lines := drawn.Lines()
	d.header, d.lines = lines[0].Text, lines[1:]
	d.cut = d.lineOf(d.at)
	if then := d.lineOf(old.at); old.at != d.at && then >= 0 && d.cut >= 0 && old.h > 0 {
		d.row += d.cut - then
	}
	d.scroll()
}

// lineOf is the first line about the event at a position; -1 if it isn't there.
func (d *diagramView) lineOf(p history.Position) int {
	i, ok := slices.BinarySearchFunc(d.rows, p, func(e history.Event, p history.Position) int { return e.Position.Compare(p) })
	if !ok || p == history.Begin {
		return -1
	}
	return slices.IndexFunc(d.lines, func(l debug.DiagramLine) bool { return l.Event == i })
}

// scroll has the cut in view, with some lines around it, and no more of nothing in
// view than need be.
func (d *diagramView) scroll() {
	margin := min(3, (d.h-1)/2)
	d.row = max(min(d.row, d.h-1-margin), margin)
	d.top = max(min(d.cut-d.row, len(d.lines)-d.h), 0)
	d.row = max(d.cut, 0) - d.top
}

// lanesMin is how few columns a lane may have, and timeColumns what is left of them.
const (
	lanesMin    = 10
	timeColumns = 17
)

// lanesFor chooses the nodes that have a lane: all if there is room, else those of
// the events nearest to the cut, and of those that had one before rather than
// others.
func lanesFor(d *diagramView, before []int) []int {
	room := max((d.w-timeColumns)/lanesMin, 1)
	lanes := []int{}
	if len(d.meta.Nodes) <= room {
		for n := range d.meta.Nodes {
			lanes = append(lanes, n)
		}
		return lanes
	}
	near := nodesNear(d)
	for _, keep := range []bool{true, false} {
		for i, n := range near {
			if len(lanes) < room && !slices.Contains(lanes, n) && (i == 0 || !keep || slices.Contains(before, n)) {
				lanes = append(lanes, n)
			}
		}
	}
	slices.Sort(lanes)
	return lanes
}

// nodesNear are the nodes of the events around the cut: its own, those that exchange
// messages, and then the others; the nearest first.
func nodesNear(d *diagramView) (nodes []int) {
	here, _ := slices.BinarySearchFunc(d.rows, d.at, func(e history.Event, p history.Position) int { return e.Position.Compare(p) })
	var quiet []int
	for far := range d.h + 1 {
		for _, i := range []int{here - far, here + far} {
			if i < 0 || i >= len(d.rows) || slices.Contains(nodes, d.rows[i].Node) {
				continue
			}
			e := &d.rows[i]
			sends := e.Kind == event.Message.String() || slices.ContainsFunc(e.Effects, func(f history.Effect) bool { return f.Kind == "send" })
			if sends || far == 0 {
				nodes = append(nodes, e.Node)
			} else {
				quiet = append(quiet, e.Node)
			}
		}
	}
	for _, n := range quiet {
		if !slices.Contains(nodes, n) {
			nodes = append(nodes, n)
		}
	}
	return nodes
}

// drawDiagram draws the lines in view: what is behind the cut is dimmed.
func (m *model) drawDiagram(a area) {
	d := &m.diagram
	if d.meta == nil {
		a.line(0, 0, dim, "reading …")
		return
	}
	a.text(0, 0, bold, d.header)
	m.underlineLane(a)
	body := a.rows(1, a.h)
	if len(d.lines) == 0 {
		body.line(0, 0, dim, "there is no event here")
	}
	for y := range min(body.h, len(d.lines)-d.top) {
		l := d.lines[d.top+y]
		future := d.cut < 0 || l.Event > d.lines[d.cut].Event
		d.drawLine(body, y, l.Text, future)
		if d.top+y > 0 && d.lines[d.top+y-1].Event == l.Event {
			continue
		}
		if sign := m.signAt(d.rows[l.Event].Position); sign != 0 {
			body.set(timeColumns-2, y, sign, yellow|bold)
		}
	}
	if y := d.cut - d.top; d.cut >= 0 && y >= 0 {
		for x := range body.w {
			if p := body.at(x, y); p != nil {
				p.style |= bold
				if m.focus == 0 {
					p.style |= reverse
				}
			}
		}
	}
}

// drawLine draws one line, with colours for what its characters stand for.
func (d *diagramView) drawLine(a area, y int, text string, future bool) {
	a.text(0, y, 0, text)
	for x := range a.w {
		p := a.at(x, y)
		if p == nil {
			continue
		}
		switch p.char {
		case '│':
			p.style = dim
		case '├', '┤', '─', '┼', '▶', '◀':
			p.style = cyan
		case '╳':
			p.style = red | bold
		case '●':
			p.style = green
		}
		if future || x < timeColumns {
			p.style |= dim
		}
	}
}

// underlineLane marks the name of the lane that is chosen, if that isn't the cut's.
func (m *model) underlineLane(a area) {
	d := &m.diagram
	i := slices.Index(d.lanes, m.lane)
	if i < 0 || len(d.lanes) == 0 {
		return
	}
	width := max((d.w-timeColumns)/len(d.lanes), lanesMin)
	from := timeColumns + i*width
	for x := from; x < min(from+width-1, a.w); x++ {
		if p := a.at(x, 0); p != nil && p.char != ' ' {
			p.style |= underline
		}
	}
}

// signAt is what stands beside an event that has a mark, or is a hit.
func (m *model) signAt(p history.Position) rune {
	for _, k := range m.marks {
		if k.Place.Seq == p.Seq && k.Place.Time == p.Time {
			return 'm'
		}
	}
	if m.hits.has(p, m.meta) {
		return '»'
	}
	return 0
}
