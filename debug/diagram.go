package debug

import (
	"fmt"
	"io"
	"strings"

	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/hlc"
	"hindcast.dev/termtext"
)

// A Diagram is a space-time diagram for a terminal: a lane per node, time going
// down, a row per event, an arrow per message.
//
//	time             n1                    n2                    n3
//	21:46:53.123456  ● request Put         │                     │
//	                 ├─Replicate a────────▶│                     │
//	                 ├─Replicate b─────────┼───────────────────╳ │  link cut
//	                 │ x: v1 → v2          │                     │
//	21:46:53.123702  │                     ● recv Replicate a    │
//	21:46:54.100000  │                     │                     ● note link n1 down
type Diagram struct {
	Meta   *history.Meta
	Events []history.Event // the rows, in walk order
	// Values returns what to say about variables at an event, a line each; nil says
	// nothing.
	Values func(e *history.Event) []string
	// Messages are the messages drawn, by id; nil draws those of which both ends are
	// among the rows, and those in Lost.
	Messages map[string]bool
	// Lost says of messages that were never received why, "" if unknown.
	Lost map[string]string
	// Lanes are the nodes that have a lane. An event of another node is told in a row
	// across them, without arrows. nil: those that have an event among the rows.
	Lanes []int
	// Labels are the letters that messages go by already. Those given to others are
	// added, if it isn't nil.
	Labels map[string]string
	// Mark is the position of the row that is pointed at; zero is none.
	Mark  history.Position
	Width int  // columns; 0 is 100
	Plain bool // ASCII alone

	lanes  []int // node → lane, -1 if it has none
	nodes  []int // lane → node
	lane   int   // columns per lane
	width  int
	labels map[string]string
	glyphs glyphs
	lines  []DiagramLine
	at     int // index of the event that is being drawn
}

// A DiagramLine is one line of a Diagram.
type DiagramLine struct {
	Text  string
	Event int // index of the event that it is about; -1 in the header
}

const (
	timeColumns = 17 // of the time of day with microseconds, and a gap
	laneMin     = 10
)

// glyphs are the characters that a diagram is drawn with.
type glyphs struct {
	life, dot, fork, forkLeft, line, cross, right, left, lost, mark rune
}

var (
	boxGlyphs   = glyphs{'│', '●', '├', '┤', '─', '┼', '▶', '◀', '╳', '◆'}
	plainGlyphs = glyphs{'|', 'o', '+', '+', '-', '+', '>', '<', 'X', '*'}
)

// WriteTo draws the diagram.
func (d *Diagram) WriteTo(w io.Writer) (int64, error) {
	var b strings.Builder
	for _, l := range d.Lines() {
		b.WriteString(l.Text + "\n")
	}
	n, err := io.WriteString(w, b.String())
	return int64(n), err
}

// Lines draws the diagram line by line: a header, and then the events, each in one
// line or more.
func (d *Diagram) Lines() []DiagramLine {
	d.prepare()
	d.lines, d.at = nil, -1
	d.header()
	for i := range d.Events {
		d.at = i
		d.event(&d.Events[i])
	}
	return d.lines
}

// prepare gives lanes to the nodes that occur and letters to the messages.
func (d *Diagram) prepare() {
	d.glyphs = boxGlyphs
	if d.Plain {
		d.glyphs = plainGlyphs
	}
	d.lanes = make([]int, len(d.Meta.Nodes))
	for n := range d.lanes {
		d.lanes[n] = -1
	}
	use := make([]bool, len(d.Meta.Nodes))
	received, sent := map[string]bool{}, map[string]bool{}
	for i := range d.Events {
		e := &d.Events[i]
		use[e.Node] = true
		if e.Kind != "send" {
			received[e.ID] = true
		}
		for _, f := range e.Effects {
			sent[f.ID] = sent[f.ID] || f.Kind == "send"
		}
	}
	d.nodes = d.Lanes
	if d.Lanes == nil {
		for n, u := range use {
			if u {
				d.nodes = append(d.nodes, n)
			}
		}
	}
	for l, n := range d.nodes {
		d.lanes[n] = l
	}
	d.label(received, sent)
	if d.width = d.Width; d.width <= 0 {
		d.width = 100
	}
	d.lane = max((d.width-timeColumns)/max(len(d.nodes), 1), laneMin)
}

func (d *Diagram) draws(id string, received map[string]bool) bool {
	if id == "" {
		return false
	}
	if d.Messages != nil {
		return d.Messages[id]
	}
	_, lost := d.Lost[id]
	return lost || received[id]
}

// label numbers the messages drawn: a, b, …, z, a1, b1, …
func (d *Diagram) label(received, sent map[string]bool) {
	d.labels = map[string]string{}
	taken := map[string]bool{}
	for _, l := range d.Labels {
		taken[l] = true
	}
	n := 0
	for i := range d.Events {
		for _, f := range d.Events[i].Effects {
			if f.Kind != "send" || d.labels[f.ID] != "" || !sent[f.ID] || !d.draws(f.ID, received) {
				continue
			}
			l := d.Labels[f.ID]
			for ; l == ""; n++ {
				if l = letter(n); taken[l] {
					l = ""
				}
			}
			if d.labels[f.ID] = l; d.Labels != nil {
				d.Labels[f.ID] = l
			}
		}
	}
}

// letter is the n-th label.
func letter(n int) string {
	l := string(rune('a' + n%26))
	if n >= 26 {
		l += fmt.Sprint(n / 26)
	}
	return l
}

func (d *Diagram) header() {
	row := d.row("time (UTC)", ' ')
	for l, n := range d.nodes {
		row.text(d.column(l), termtext.Clip(termtext.Name(d.Meta.Nodes[n].Name), d.lane-1))
	}
	d.line(row)
}

// event draws the row of an event, those of its messages, and what Values says.
func (d *Diagram) event(e *history.Event) {
	l := d.lanes[e.Node]
	if l < 0 {
		d.elsewhere(e)
		return
	}
	row := d.row(timeOfDay(e.Time), d.glyphs.life)
	dot := d.glyphs.dot
	if d.Mark != (history.Position{}) && d.Mark == e.Position {
		dot = d.glyphs.mark
	}
	row.set(d.column(l), dot)
	row.text(d.column(l)+2, d.describe(e).clip(d.room(l)))
	d.line(row)
	for i := range e.Effects {
		if f := &e.Effects[i]; f.Kind == "send" && d.labels[f.ID] != "" {
			d.message(l, f)
		}
	}
	if d.Values == nil {
		return
	}
	for _, v := range d.Values(e) {
		row := d.row("", d.glyphs.life)
		row.text(d.column(l)+2, termtext.Clip(termtext.Printable(v), d.room(l)))
		d.line(row)
	}
}

// elsewhere tells of an event of a node that has no lane.
func (d *Diagram) elsewhere(e *history.Event) {
	row := d.row(timeOfDay(e.Time), d.glyphs.life)
	mark := ""
	if d.Mark != (history.Position{}) && d.Mark == e.Position {
		mark = string(d.glyphs.mark) + " "
	}
	name := caption{head: mark + termtext.Name(d.Meta.Nodes[e.Node].Name) + ": "}
	rest := d.describe(e)
	name.head, name.letter, name.tail = name.head+rest.head, rest.letter, rest.tail
	row.text(d.column(0)+2, name.clip(max(d.width-d.column(0)-2, 1)))
	d.line(row)
}

// A caption is text that may be cut down, but not its letter.
type caption struct {
	head, letter, tail string
}

// clip shortens a caption to n columns: the tail first, then the head.
func (c caption) clip(n int) string {
	letter := c.letter
	if letter != "" && c.head != "" {
		letter = " " + letter
	}
	switch left := n - termtext.Columns(c.head+letter); {
	case left >= termtext.Columns(c.tail):
		return c.head + letter + c.tail
	case left > 2: // of less nobody learns anything
		return c.head + letter + termtext.Clip(c.tail, left)
	case left >= 0:
		return c.head + letter
	}
	return termtext.Clip(c.head, max(n-termtext.Columns(letter), 1)) + letter
}

// describe says in a few words what an event is.
func (d *Diagram) describe(e *history.Event) caption {
	id := e.ID
	if id == "" {
		id = dropped(e)
	}
	c := caption{head: termtext.Printable(strings.TrimSpace(e.Kind + " " + e.Name))}
	if e.Kind != "send" {
		c.letter = d.labels[id]
	}
	if e.Kind == "note" {
		c.tail = noteText(e)
	}
	return c
}

// noteText is what a note says beside its name.
func noteText(e *history.Event) string {
	s := ""
	for _, w := range []string{e.Data.Field("peer").AsString(), e.Data.Field("state").AsString()} {
		if w != "" {
			s += " " + w
		}
	}
	if r := e.Data.Field("reason").AsString(); r != "" {
		s += ": " + r
	}
	return termtext.Printable(s)
}

// message draws an arrow from lane l to the lane of the receiver, or to a cross
// before it.
func (d *Diagram) message(l int, f *history.Effect) {
	row := d.row("", d.glyphs.life)
	why, lost := d.Lost[f.ID]
	name := caption{head: termtext.Printable(f.Name), letter: d.labels[f.ID]}
	to := -1
	if n, ok := d.Meta.NodeIndex(f.Peer); ok {
		to = d.lanes[n]
	}
	from := d.column(l)
	switch {
	case to < 0 || to == l:
		name.head = "→ " + termtext.Printable(f.Peer) + ": " + name.head
		if lost {
			name.tail = " " + string(d.glyphs.lost) + " lost"
		}
		if lost && why != "" {
			name.tail += ": " + termtext.Printable(why)
		}
		row.text(from+2, name.clip(d.room(l)))
		d.line(row)
		return
	case to > l:
		end := d.column(to) - 1
		row.fill(from+1, end, d.glyphs)
		row.set(from, d.glyphs.fork)
		row.text(from+2, name.clip(d.lane-5))
		row.set(end, d.glyphs.right)
		if lost {
			row.set(end-1, d.glyphs.lost)
			row.set(end, ' ')
		}
	default:
		end := d.column(to) + 1
		row.fill(end, from-1, d.glyphs)
		row.set(from, d.glyphs.forkLeft)
		text := name.clip(d.lane - 5)
		row.text(from-1-termtext.Columns(text), text)
		row.set(end, d.glyphs.left)
		if lost {
			row.set(end+1, d.glyphs.lost)
			row.set(end, ' ')
		}
	}
	if lost && why != "" {
		row.text(d.column(len(d.nodes)-1)+2, "lost: "+termtext.Printable(why))
	}
	d.line(row)
}

// line adds a row, cut down to the width.
func (d *Diagram) line(r canvasRow) {
	text := termtext.Clip(r.String(), d.width)
	if d.Plain {
		text = strings.Map(ascii, text)
	}
	d.lines = append(d.lines, DiagramLine{text, d.at})
}

// timeOfDay is the time as in a Timestamp's text, without date and logical part.
func timeOfDay(t hlc.Timestamp) string {
	text := t.String()
	return text[len("2006-01-02T"):len("2006-01-02T15:04:05.000000")]
}

func (d *Diagram) column(lane int) int { return timeColumns + lane*d.lane }

// room is how many columns the text of a lane has: the last may fill the line.
func (d *Diagram) room(lane int) int {
	if lane == len(d.nodes)-1 {
		return max(d.width-d.column(lane)-2, d.lane-3)
	}
	return d.lane - 3
}

// A canvasRow is one line of a diagram, by columns.
type canvasRow []rune

// row begins a line: text on the left, the lanes' lifelines.
func (d *Diagram) row(left string, life rune) canvasRow {
	r := make(canvasRow, timeColumns+d.lane*len(d.nodes))
	for i := range r {
		r[i] = ' '
	}
	for l := range d.nodes {
		r[d.column(l)] = life
	}
	(&r).text(0, left)
	return r
}

func (r *canvasRow) set(col int, c rune) {
	for col >= len(*r) {
		*r = append(*r, ' ')
	}
	(*r)[col] = c
}

// filled marks the columns behind a wide character.
const filled = -1

// text writes s from a column on. Marks that combine with the character before
// them are left out: a column holds one character.
func (r *canvasRow) text(col int, s string) {
	col = max(col, 0)
	for _, c := range s {
		n := termtext.RuneColumns(c)
		if n > 0 {
			r.set(col, c)
		}
		if n > 1 {
			r.set(col+1, filled)
		}
		col += n
	}
}

// String is the line without the spaces at its end.
func (r canvasRow) String() string {
	var b strings.Builder
	for _, c := range r {
		if c != filled {
			b.WriteRune(c)
		}
	}
	return strings.TrimRight(b.String(), " ")
}

// fill draws a line over [from, to], crossing lifelines.
func (r *canvasRow) fill(from, to int, g glyphs) {
	for c := from; c <= to; c++ {
		if c < len(*r) && (*r)[c] == g.life {
			r.set(c, g.cross)
		} else {
			r.set(c, g.line)
		}
	}
}

// ascii stands in for what isn't.
func ascii(r rune) rune {
	switch {
	case r < 0x7f:
		return r
	case r == '…':
		return '~'
	case r == '→':
		return '>'
	case r == '·' || r == '—':
		return '-'
	}
	return '?'
}

// FormatValue is a value in short, for one line.
func FormatValue(v event.Value) string {
	if v.IsAbsent() {
		return "—"
	}
	return string(v.AppendJSON(nil))
}
