package html

import (
	"fmt"
	"math"
	"slices"

	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/termtext"
)

// Sizes of the diagram, in the SVG's units.
const (
	timeWidth  = 118
	headHeight = 34
	rowHeight  = 28
	laneLeast  = 96
	laneMost   = 260
	pageWidth  = 1000
	charWidth  = 6.3 // of a caption's letters, about
	dotRadius  = 5
)

// A diagram is what the SVG is made of.
type diagram struct {
	Width, Height int
	Lanes         []laneLine
	Hidden        int // nodes that have no event in it
	Rows          []eventRow
	Arrows        []arrow
	Cut           *cutLine
}

// A laneLine is a node's line from top to bottom, in stretches in which it runs or
// doesn't.
type laneLine struct {
	X         int
	Name      string
	Whole     string // the name, if it was cut down
	Stretches []stretch
}

type stretch struct {
	Y1, Y2 int
	Class  string // "up", "down" or "before"
}

// An eventRow is an event: a dot, a caption, and a line of the table below.
type eventRow struct {
	ID, X, Y int
	Drop     int // of the caption below the dot's middle, so that arrows pass by it
	Time     string
	Class    string // what kind of event
	Here     bool
	Later    bool // than the cut
	Caption  string
	Title    string
}

// An arrow is a message, or the end of one whose other end isn't drawn.
type arrow struct {
	X1, Y1, X2, Y2 int
	Class          string // "message", "flight", "lost", "stub"
	Head           bool
	Title          string
	row            struct{ from, to int } // rows of its ends, counted from 1; 0 isn't drawn
}

type cutLine struct{ Y, Width int }

// A drafter lays the diagram out.
type drafter struct {
	v     *View
	d     *diagram
	lanes map[int]int // node → place among the lanes
	width int         // of a lane
	sent  map[string]sending
}

// A sending is where a message was sent.
type sending struct {
	row    int
	name   string
	to     string
	caught bool
}

// draft lays out the diagram of a view.
func (v *View) draft() *diagram {
	f := &drafter{v: v, d: &diagram{}, lanes: map[int]int{}, sent: map[string]sending{}}
	f.choose()
	f.rows()
	f.arrows()
	f.dodge()
	return f.d
}

// dodge moves captions, which stand to the right of their dots, out of the way of
// arrows: time goes down, so what leaves to the right passes below, and what comes
// from there above.
func (f *drafter) dodge() {
	leaves, comes := map[int]bool{}, map[int]bool{} // by the row's height
	for _, a := range f.d.Arrows {
		leaves[a.row.from] = leaves[a.row.from] || a.X2 > a.X1
		comes[a.row.to] = comes[a.row.to] || a.X1 > a.X2
	}
	for i := range f.d.Rows {
		r := &f.d.Rows[i]
		switch out, in := leaves[r.ID+1], comes[r.ID+1]; {
		case out && !in:
			r.Drop = -2
		case in && !out:
			r.Drop = 12
		default:
			r.Drop = 4
		}
	}
}

// choose gives lanes to the nodes that have events in it, as many as there is room
// for.
func (f *drafter) choose() {
	var nodes []int
	for i := range f.v.Events {
		if n := f.v.Events[i].Node; !slices.Contains(nodes, n) && len(nodes) < lanesMax {
			nodes = append(nodes, n)
		}
	}
	slices.Sort(nodes)
	f.width = min(max((pageWidth-timeWidth)/max(len(nodes), 1), laneLeast), laneMost)
	f.d.Width = timeWidth + f.width*len(nodes)
	f.d.Height = headHeight + rowHeight*len(f.v.Events) + rowHeight/2
	f.d.Hidden = len(f.v.Meta.Nodes) - len(nodes)
	for i, n := range nodes {
		f.lanes[n] = i
		l := laneLine{X: f.x(i), Name: termtext.Printable(f.v.Meta.Nodes[n].Name)}
		if short := termtext.Clip(l.Name, int(float64(f.width)/charWidth)-2); short != l.Name {
			l.Whole, l.Name = l.Name, short
		}
		l.Stretches = f.stretches(n)
		f.d.Lanes = append(f.d.Lanes, l)
	}
}

func (f *drafter) x(lane int) int { return timeWidth + lane*f.width + 14 }

func y(row int) int { return headHeight + rowHeight*row + rowHeight/2 }

// stretches are where a node runs, as node.up says; one that never says runs.
func (f *drafter) stretches(n int) []stretch {
	id, known := f.v.Meta.VarID("node.up")
	is := "before"
	if n < len(f.v.First) && f.v.First[n] != nil {
		is = upClass(f.v.First[n].Get(id), known)
	}
	from := headHeight - 6
	var out []stretch
	for i := range f.v.Events {
		e := &f.v.Events[i]
		if e.Node != n {
			continue
		}
		now := is
		if now == "before" {
			now = "up"
		}
		for _, c := range e.Changes {
			if known && c.Var == id && len(c.Path) == 0 {
				now = upClass(c.Value, true)
			}
		}
		if now != is {
			out = append(out, stretch{from, y(i), is})
			from, is = y(i), now
		}
	}
	return append(out, stretch{from, f.d.Height, is})
}

func upClass(up event.Value, known bool) string {
	if known && up.Type() == event.TypeBool && !up.AsBool() {
		return "down"
	}
	return "up"
}

// rows places the events.
func (f *drafter) rows() {
	for i := range f.v.Events {
		e := &f.v.Events[i]
		for _, s := range e.Effects {
			if s.Kind == event.EffectSend.String() && s.ID != "" {
				f.sent[s.ID] = sending{row: i, name: s.Name, to: s.Peer}
			}
		}
		lane, ok := f.lanes[e.Node]
		if !ok {
			continue
		}
		r := eventRow{ID: i, X: f.x(lane), Y: y(i), Time: timeOfDay(e), Class: classOf(e), Here: e.Position == f.v.At, Later: e.Position.Compare(f.v.At) > 0}
		text := caption(e)
		room := int(float64(f.width)/charWidth) - 3
		if lane == len(f.lanes)-1 {
			room = max(room, 14)
		}
		r.Caption, r.Title = termtext.Clip(text, room), headline(f.v.Meta, e)
		f.d.Rows = append(f.d.Rows, r)
		if r.Here {
			f.d.Cut = &cutLine{Y: r.Y + rowHeight/2, Width: f.d.Width}
		}
	}
}

// arrows draws the messages.
func (f *drafter) arrows() {
	for i := range f.v.Events {
		e := &f.v.Events[i]
		to, ok := f.lanes[e.Node]
		if !ok {
			continue
		}
		for l := range e.Arrivals() {
			if l.Kind == event.Message.String() {
				f.arrive(e, i, to, l)
			}
		}
	}
	for i := range f.v.Events {
		for _, s := range f.v.Events[i].Effects {
			from, ok := f.lanes[f.v.Events[i].Node]
			if m := f.sent[s.ID]; ok && s.Kind == event.EffectSend.String() && s.ID != "" && m.row == i && !m.caught {
				f.leave(i, from, &s)
			}
		}
	}
}

// arrive draws a message to where it is received.
func (f *drafter) arrive(e *history.Event, row, lane int, l history.Link) {
	m, ok := f.sent[l.ID]
	if !ok || m.row > row {
		if n, known := f.v.Meta.NodeIndex(l.Peer); known && n != e.Node {
			x := f.x(lane)
			a := arrow{X1: x + f.side(n, lane)*f.width/4, Y1: y(row) - rowHeight*2/3, X2: x, Y2: y(row), Class: "stub", Head: true,
				Title: "sent before what is drawn, by " + termtext.Printable(l.Peer)}
			a.row.to = row + 1
			f.d.Arrows = append(f.d.Arrows, a.trimmed())
		}
		return
	}
	m.caught = true
	f.sent[l.ID] = m
	from, ok := f.lanes[f.v.Events[m.row].Node]
	if !ok {
		return
	}
	a := arrow{X1: f.x(from), Y1: y(m.row), X2: f.x(lane), Y2: y(row), Class: "message", Head: true,
		Title: termtext.Printable(m.name + " from " + f.v.Meta.Nodes[f.v.Events[m.row].Node].Name + " to " + f.v.Meta.Nodes[e.Node].Name)}
	a.row.from, a.row.to = m.row+1, row+1
	if f.v.Events[m.row].Position.Compare(f.v.At) <= 0 && e.Position.Compare(f.v.At) > 0 {
		a.Class = "flight"
		a.Title += ", under way at the cut"
	}
	f.d.Arrows = append(f.d.Arrows, a.trimmed())
}

// leave draws a message that isn't received among what is drawn.
func (f *drafter) leave(row, lane int, s *history.Effect) {
	n, known := f.v.Meta.NodeIndex(s.Peer)
	x, down := f.x(lane), rowHeight*2/3
	a := arrow{X1: x, Y1: y(row), Y2: y(row) + down, Class: "stub", Title: termtext.Printable(s.Name + " to " + s.Peer)}
	a.row.from = row + 1
	side := 1
	if known {
		side = f.side(n, lane)
	}
	a.X2 = x + side*f.width/4
	why, lost := f.v.Lost[s.ID]
	if to, drawn := f.lanes[n]; lost && known && drawn && to != lane {
		a.X2 = x + (f.x(to)-x)*4/5
	}
	if lost {
		a.Class = "lost"
		a.Title += ": never received"
		if why != "" {
			a.Title += ", " + termtext.Printable(why)
		}
	} else {
		a.Title += ": not received in what is drawn"
	}
	f.d.Arrows = append(f.d.Arrows, a)
}

// side is where a node lies from a lane: -1 is left.
func (f *drafter) side(n, lane int) int {
	to, drawn := f.lanes[n]
	if drawn && to < lane || !drawn && lane == len(f.lanes)-1 && lane > 0 {
		return -1
	}
	return 1
}

// trimmed is an arrow that ends before the dot.
func (a arrow) trimmed() arrow {
	dx, dy := float64(a.X2-a.X1), float64(a.Y2-a.Y1)
	if n := math.Hypot(dx, dy); n > 4*dotRadius {
		a.X2 -= int(math.Round(dx / n * (dotRadius + 2)))
		a.Y2 -= int(math.Round(dy / n * (dotRadius + 2)))
	}
	return a
}

// classOf is what kind an event is, for its dot.
func classOf(e *history.Event) string {
	switch e.Kind {
	case event.Message.String():
		return "receive"
	case event.Request.String():
		return "request"
	case event.Timer.String():
		return "timer"
	case event.Note.String():
		return "note"
	}
	return "other"
}

// caption is an event in a few words.
func caption(e *history.Event) string {
	text := e.Kind
	if e.Name != "" {
		text += " " + e.Name
	}
	if e.Kind == event.Note.String() {
		for _, field := range []string{"peer", "state", "reason"} {
			if s := e.Data.Field(field).AsString(); s != "" {
				text += " " + s
			}
		}
	}
	return termtext.Printable(text)
}

// headline is an event in a line.
func headline(meta *history.Meta, e *history.Event) string {
	s := fmt.Sprintf("%s:%d %s", meta.Nodes[e.Node].Name, e.Seq, caption(e))
	if e.Peer != "" && e.Kind != event.Note.String() {
		s += " from " + e.Peer
	}
	return termtext.Printable(s)
}

// timeOfDay is an event's time without its day.
func timeOfDay(e *history.Event) string {
	const day, all = len("2006-01-02T"), len("2006-01-02T15:04:05.000000")
	text := e.Time.String()
	if len(text) < all {
		return text
	}
	return text[day:all]
}
