package check

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	"hindcast.dev/event"
)

// labelMax is how many characters of an operation a picture shows.
const labelMax = 96

// name is how an operation of a cycle is called in text and pictures.
func (c *Cycle) name(i int) string { return fmt.Sprintf("T%d", i+1) }

// label is an operation's line in a picture: who, where, what.
func (c *Cycle) label(i int) string {
	op := &c.Operations[i]
	if c.labels != nil {
		return clip(c.name(i)+"  "+c.labels[i], labelMax)
	}
	s := fmt.Sprintf("%s  client %d", c.name(i), op.Process)
	if op.Ref != "" {
		s += ", " + op.Ref
	}
	return clip(s+": "+operationText(op), labelMax)
}

// Text draws the cycle in plain ASCII: the operations one under the other, the
// edges between them, and the one that leads back on the left.
//
//	+--> T1  client 0: append x 2, r y []
//	|     |
//	|     | rw: T1 read y = [] without 1, which T2 appended
//	|     v
//	|    T2  client 1: append y 1, r x []
//	|     |
//	|     | rw: T2 read x = [] without 2, which T1 appended
//	+-----+
func (c *Cycle) Text() string {
	var b strings.Builder
	for i, e := range c.Edges {
		lead := "|    "
		if i == 0 {
			lead = "+--> "
		}
		fmt.Fprintf(&b, "%s%s\n", lead, c.label(e.From))
		fmt.Fprintf(&b, "|     |\n|     | %s: %s\n", e.Kind, e.Why)
		if i < len(c.Edges)-1 {
			b.WriteString("|     v\n")
		}
	}
	b.WriteString("+-----+")
	return b.String()
}

// The measures of SVG, in pixels.
const (
	svgLeft   = 48  // where boxes begin; the edge that leads back has its room left of it
	svgBox    = 30  // a box's height
	svgGap    = 52  // from one box to the next
	svgLetter = 7.3 // a letter's width: 12 px monospace
	svgEdgeX  = 40  // where edges run, from a box's left
	svgPad    = 10
)

// edgeColours tell the kinds of edge apart; the words stand beside them.
var edgeColours = map[string]string{"ww": "#c2410c", "wr": "#1d4ed8", "rw": "#be123c", "process": "#6d28d9", "time": "#57606a"}

// SVG draws the cycle as a picture that needs nothing else.
func (c *Cycle) SVG() []byte {
	letters := 0
	for i, e := range c.Edges {
		letters = max(letters, utf8.RuneCountInString(c.label(i)), utf8.RuneCountInString(e.Kind+": "+e.Why)+6)
	}
	boxWidth := int(float64(letters)*svgLetter) + 2*svgPad
	width, height := svgLeft+boxWidth+svgPad, 2*svgPad+len(c.Edges)*(svgBox+svgGap)
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" font-family="ui-monospace, monospace" font-size="12">`+"\n", width, height, width, height)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#ffffff"/>`+"\n", width, height)
	for i, e := range c.Edges {
		c.svgOperation(&b, i, boxWidth)
		c.svgEdge(&b, i, e)
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}

// svgTop is where the i-th box begins.
func svgTop(i int) int { return svgPad + i*(svgBox+svgGap) }

func (c *Cycle) svgOperation(b *bytes.Buffer, i, width int) {
	y := svgTop(i)
	fmt.Fprintf(b, `<rect x="%d" y="%d" width="%d" height="%d" rx="5" fill="#f6f8fa" stroke="#57606a"/>`+"\n", svgLeft, y, width, svgBox)
	fmt.Fprintf(b, `<text x="%d" y="%d" fill="#1f2328" xml:space="preserve">%s</text>`+"\n", svgLeft+svgPad, y+svgBox-svgPad, xmlText(c.label(i)))
}

// svgEdge draws the edge that leaves the i-th box: down to the next, or, from
// the last, around the left side to the first.
func (c *Cycle) svgEdge(b *bytes.Buffer, i int, e Edge) {
	colour := edgeColours[e.Kind]
	if colour == "" {
		colour = "#57606a"
	}
	x, y := svgLeft+svgEdgeX, svgTop(i)+svgBox
	line := fmt.Sprintf("M%d %d V%d", x, y, y+svgGap)
	tipX, tipY, tip := x, y+svgGap, "M%d %d l-4 -8 h8 z"
	if i == len(c.Edges)-1 {
		back := svgTop(0) + svgBox/2
		line = fmt.Sprintf("M%d %d V%d H%d V%d H%d", x, y, y+svgGap/2, svgLeft/3, back, svgLeft)
		tipX, tipY, tip = svgLeft, back, "M%d %d l-8 -4 v8 z"
	}
	fmt.Fprintf(b, `<path d="%s" fill="none" stroke="%s" stroke-width="1.5"/>`+"\n", line, colour)
	fmt.Fprintf(b, `<path d="`+tip+`" fill="%s"/>`+"\n", tipX, tipY, colour)
	fmt.Fprintf(b, `<text x="%d" y="%d" fill="%s"><tspan font-weight="bold">%s</tspan>: %s</text>`+"\n",
		x+svgPad, y+svgGap/2-4, colour, xmlText(e.Kind), xmlText(e.Why))
}

// xmlText escapes what has a meaning in XML, and drops what XML cannot hold.
func xmlText(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' || r == utf8.RuneError || r == 0xfffe || r == 0xffff {
			return '?'
		}
		return r
	}, s)
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;").Replace(s)
}

// clip shortens a text to so many characters, and shows that it did.
func clip(s string, runes int) string {
	if utf8.RuneCountInString(s) <= runes {
		return s
	}
	r := []rune(s)
	return string(r[:runes-1]) + "…"
}

// operationText says in short what an operation did. Of a transaction these are
// its micro-operations, otherwise function, key, input and output.
func operationText(op *Operation) string {
	if op.F == "txn" {
		v := op.Output
		if v.IsAbsent() {
			v = op.Input
		}
		return microText(v) + outcomeText(op.Outcome)
	}
	words := []string{op.F}
	if op.Key != "" {
		words = append(words, op.Key)
	}
	if !op.Input.IsAbsent() {
		words = append(words, op.Input.String())
	}
	if !op.Output.IsAbsent() {
		words = append(words, "= "+op.Output.String())
	}
	return strings.Join(words, " ") + outcomeText(op.Outcome)
}

func outcomeText(o Outcome) string {
	if o == Ok {
		return ""
	}
	return " (" + o.String() + ")"
}

// microText is a list of micro-operations as people write them.
func microText(v event.Value) string {
	var parts []string
	for _, m := range v.Members() {
		w := m.Members()
		if len(w) != 3 {
			parts = append(parts, m.String())
			continue
		}
		s := w[0].AsString() + " " + plainText(w[1])
		switch {
		case w[2].Type() == event.TypeList:
			s += " " + listText(w[2].Members())
		case w[2].Type() == event.TypeNull, w[2].IsAbsent():
			s += " ?"
		default:
			s += " " + plainText(w[2])
		}
		parts = append(parts, s)
	}
	return strings.Join(parts, ", ")
}

// plainText is a key or an element: strings without quotes where that is clear.
func plainText(v event.Value) string {
	if v.Type() == event.TypeString {
		if s := v.AsString(); s != "" && !strings.ContainsAny(s, " \t\r\n\",[]{}") {
			return s
		}
	}
	return v.String()
}

// listShown is how many elements at the end of a long list are shown.
const listShown = 6

// listText is a version of a list: of a long one, its end.
func listText(vs []event.Value) string {
	var parts []string
	from := 0
	if len(vs) > listShown+2 {
		from = len(vs) - listShown
		parts = append(parts, fmt.Sprintf("(%d more)", from))
	}
	for _, v := range vs[from:] {
		parts = append(parts, plainText(v))
	}
	return "[" + strings.Join(parts, " ") + "]"
}
