package html

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"io"

	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/termtext"
)

//go:embed page.tmpl
var pageText string

//go:embed style.css
var styleText string

// A page is what the template is filled with.
type page struct {
	Policy  string
	Style   template.CSS
	Title   string
	Place   string
	Time    string
	Summary string
	First   string
	Last    string
	Diagram *diagram
	Left    string // what the diagram leaves out
	Event   *eventBox
	Nodes   []nodeTree
	Marks   []markLine
	Tables  []Table
	Events  []eventBox
}

// An eventBox is an event with everything.
type eventBox struct {
	ID       int
	Here     bool
	Head     string
	Time     string
	Machine  string
	Clock    string
	Payload  string
	Cause    *reference
	Effects  []effectLine
	Changes  []branch
	HasBoxes bool
}

// A reference is an event by name, with a link if it is drawn.
type reference struct {
	Text  string
	ID    int
	Drawn bool
}

// An effectLine has of a message one of two: Fate, why it was never received, or Got,
// where it was.
type effectLine struct{ Text, Data, Fate, Got string }

type markLine struct {
	Name, Note, Time string
	At               reference
	Here             bool
}

// Write writes the page.
func (v *View) Write(w io.Writer) error {
	t, err := template.New("page").Parse(pageText)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := t.Execute(&b, v.page()); err != nil {
		return err
	}
	_, err = w.Write(b.Bytes())
	return err
}

// page gathers what is shown.
func (v *View) page() *page {
	sum := sha256.Sum256([]byte(styleText))
	p := &page{
		// No script, nothing from elsewhere, no form, and the one style that is in it.
		Policy:  "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'",
		Style:   template.CSS(styleText),
		Title:   termtext.Printable(v.Title),
		Place:   "the beginning",
		Diagram: v.draft(),
		Nodes:   v.trees(),
		Tables:  v.tables(),
	}
	m := v.Meta
	p.Summary = fmt.Sprintf("%s, %s", counted(uint64(len(m.Nodes)), "node"), counted(m.Events, "event"))
	if m.Events > 0 {
		p.First, p.Last = m.First.Time.String(), m.Last.Time.String()
	}
	if v.At != history.Begin {
		p.Place, p.Time = v.name(v.At), v.At.Time.String()
	}
	p.Left = v.left(p.Diagram)
	for i := range v.Events {
		box := v.box(i)
		p.Events = append(p.Events, box)
		if box.Here {
			p.Event = v.whole(&box)
		}
	}
	for _, k := range v.Marks {
		line := markLine{Name: termtext.Printable(k.Name), Note: termtext.Printable(k.Note), At: v.reference(k.At), Here: k.At == v.At}
		if k.At != history.Begin {
			line.Time = k.At.Time.String()
		}
		p.Marks = append(p.Marks, line)
	}
	return p
}

// left says what of the History isn't drawn.
func (v *View) left(d *diagram) string {
	text := fmt.Sprintf("%s drawn", counted(uint64(len(v.Events)), "event"))
	if v.Before+v.After > 0 {
		text += fmt.Sprintf("; left out are %s before and %d after", counted(v.Before, "event"), v.After)
	}
	if d.Hidden > 0 {
		text += fmt.Sprintf("; %s without an event here", counted(uint64(d.Hidden), "node"))
	}
	return text
}

func counted(n uint64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// tables are the queries' rows, made printable and bounded.
func (v *View) tables() []Table {
	var out []Table
	for _, t := range v.Queries {
		safe := Table{Title: termtext.PrintableText(t.Title), More: t.More || len(t.Rows) > tableRows}
		for _, c := range t.Columns {
			safe.Columns = append(safe.Columns, termtext.Printable(c))
		}
		for _, r := range t.Rows[:min(len(t.Rows), tableRows)] {
			var row []string
			for _, c := range r {
				row = append(row, termtext.Clip(termtext.Printable(c), valueMax))
			}
			safe.Rows = append(safe.Rows, row)
		}
		out = append(out, safe)
	}
	return out
}

// name is NODE:SEQ.
func (v *View) name(p history.Position) string {
	if p == history.Begin || p.Node >= len(v.Meta.Nodes) {
		return "START"
	}
	return fmt.Sprintf("%s:%d", termtext.Printable(v.Meta.Nodes[p.Node].Name), p.Seq)
}

// reference names an event.
func (v *View) reference(p history.Position) reference {
	r := reference{Text: v.name(p)}
	for i := range v.Events {
		if v.Events[i].Position == p {
			r.ID, r.Drawn = i, true
		}
	}
	return r
}

// box is the i-th event that is drawn.
func (v *View) box(i int) eventBox {
	e := &v.Events[i]
	b := eventBox{ID: i, Here: e.Position == v.At, Head: headline(v.Meta, e), Time: e.Time.String(), Machine: termtext.Printable(e.Machine), Payload: payload(e.Data)}
	if e.Physical != 0 {
		b.Clock = e.Physical.String()
	}
	for k := range e.Effects {
		b.Effects = append(b.Effects, v.effect(e, k))
	}
	for k := range e.Changes {
		c := &e.Changes[k]
		if c.Value.IsAbsent() && v.Meta.Vars[c.Var].BulkyAt(e.Node, e.Time) {
			continue
		}
		b.Changes = append(b.Changes, branch{Key: termtext.Printable(event.PathString(v.Meta.Vars[c.Var].Name, c.Path)), Text: clipped(c.Value), Gone: c.Value.IsAbsent()})
	}
	b.HasBoxes = b.Payload != "" || len(b.Effects) > 0 || len(b.Changes) > 0
	return b
}

// whole adds what is known of the event at the cut alone: where it came from, what
// became of its messages, what was there before.
func (v *View) whole(b *eventBox) *eventBox {
	box := *b
	if v.Caused {
		r := v.reference(v.Cause)
		box.Cause = &r
	}
	for i := range box.Effects {
		if i < len(v.Fates) {
			if line := &box.Effects[i]; v.Fates[i].Lost {
				line.Fate = termtext.Printable(v.Fates[i].Text)
			} else {
				line.Got = termtext.Printable(v.Fates[i].Text)
			}
		}
	}
	n := v.At.Node
	if n >= len(v.Was) || v.Was[n] == nil {
		return &box
	}
	e, g := v.event(), &grower{v: v}
	for i, k := 0, 0; i < len(e.Changes) && k < len(box.Changes); i++ {
		c := &e.Changes[i]
		if c.Value.IsAbsent() && v.Meta.Vars[c.Var].BulkyAt(e.Node, e.Time) {
			continue
		}
		was := v.Was[n].Get(c.Var)
		for _, key := range c.Path {
			was = was.Index(key)
		}
		box.Changes[k] = g.branch(box.Changes[k].Key, was, c.Value)
		k++
	}
	return &box
}

func (v *View) effect(e *history.Event, k int) effectLine {
	f := &e.Effects[k]
	text := f.Kind
	if f.Name != "" {
		text += " " + f.Name
	}
	if f.Peer != "" {
		text += map[bool]string{true: " from ", false: " to "}[f.Kind == event.Message.String()] + f.Peer
	}
	line := effectLine{Text: termtext.Printable(text)}
	if !f.Data.IsAbsent() {
		line.Data = clipped(f.Data)
	}
	if why, lost := v.Lost[f.ID]; lost && f.ID != "" {
		line.Fate = "never received"
		if why != "" {
			line.Fate += ": " + termtext.Printable(why)
		}
	}
	return line
}

// payload is a value over several lines.
func payload(v event.Value) string {
	if v.IsAbsent() {
		return ""
	}
	text := v.AppendJSON(nil)
	var b bytes.Buffer
	if len(text) <= payloadMax && json.Indent(&b, text, "", "  ") == nil {
		text = b.Bytes()
	}
	s := termtext.PrintableText(string(text[:min(len(text), payloadMax)]))
	if len(text) > payloadMax {
		s += fmt.Sprintf("… of %d bytes", len(text))
	}
	return s
}
