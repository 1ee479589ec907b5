package tui

import (
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"

	"hindcast.dev/debug"
	"hindcast.dev/history"
	"hindcast.dev/hlc"
	"hindcast.dev/termtext"
)

// consoleMax bounds the lines that are kept of what commands said.
const consoleMax = 5000

// A console is what commands said, the last at the end.
type console struct {
	lines []line
	last  int // where the last answer begins
}

// shown are its lines, or how to get some.
func (c *console) shown() []line {
	if len(c.lines) == 0 {
		return []line{styled(dim, ": asks a command, like  :query SHOW VARIABLES"), styled(dim, "Tab completes it; help lists them; Enter goes to a row")}
	}
	return c.lines
}

// add adds an answer, or what was said before it failed and why it did.
func (c *console) add(a answered, width int, plain bool) {
	if n := len(c.lines) - consoleMax; n > 0 {
		c.lines = c.lines[n:]
	}
	c.last = len(c.lines)
	c.lines = append(c.lines, styled(bold, ": "+a.job.line))
	for _, p := range a.answer.Parts {
		c.part(p, width, plain)
	}
	if a.err == nil {
		return
	}
	for _, t := range wrap(termtext.PrintableText(a.err.Error()), width) {
		c.lines = append(c.lines, styled(red, t))
	}
}

// part adds a part of an answer, with where each of its lines leads.
func (c *console) part(p debug.Part, width int, plain bool) {
	text := debug.PartText(p, width, plain)
	if r, ok := p.(*debug.Row); ok {
		text = rowText(r, text)
	}
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	do := leadsTo(p)
	for i, t := range lines {
		to := ""
		if i < len(do) {
			to = do[i]
		}
		for k, w := range wrap(t, width) {
			if k > 0 {
				w = "    " + w
			}
			c.lines = append(c.lines, leading(to, part{w, 0}))
		}
	}
}

// leads reports whether the last answer has rows that Enter goes to.
func (c *console) leads() bool {
	return len(c.lines) > c.last+1 && c.lines[c.last+1].do != ""
}

// rowText is a row about cuts in short: where it begins, how many cuts it is, and
// what it holds. Other rows stay as they are.
func rowText(r *debug.Row, text string) string {
	if _, ok := hitOf(r); !ok {
		return text
	}
	at := clock(r.From)
	if !r.Event.IsTick() && r.Event.Node != "" {
		at += fmt.Sprintf("  %s:%d", termtext.Name(r.Event.Node), r.Event.Seq)
	}
	for _, f := range r.Fields() {
		switch f.Name {
		case "from", "to", "event":
		case "cuts":
			at += "  cuts " + debug.FormatValue(f.Value)
		default:
			if text := debug.Preview(f.Value, 500); text != "" && text != `""` && text != "null" {
				at += "  " + f.Name + "=" + text
			}
		}
	}
	return termtext.Printable(at)
}

// leadsTo are the commands that go to what the lines of a part are about.
func leadsTo(p debug.Part) []string {
	one := func(at debug.Place) []string { return []string{"goto " + at.String()} }
	switch p := p.(type) {
	case *debug.Event:
		return one(p.Place)
	case *debug.Mark:
		return one(p.Place)
	case *debug.LogLine:
		return one(p.Event.Place)
	case *debug.Effect:
		if p.Fate != nil && len(p.Fate.Received) > 0 {
			return one(p.Fate.Received[0])
		}
	case *debug.Row:
		if h, ok := hitOf(p); ok {
			return []string{h.do}
		}
	case *debug.Motif:
		out := []string{""}
		for i := range p.Matches {
			out = append(out, "goto "+p.Matches[i].Parts[0].Place.String())
		}
		return out
	case *debug.Track:
		var out []string
		for _, point := range p.Points {
			if point.Event == "" { // a moment
				out = append(out, fmt.Sprintf("goto %v", point.At))
				continue
			}
			i := max(strings.LastIndexByte(point.Event, ':'), 0)
			out = append(out, "goto "+termtext.Name(point.Event[:i])+point.Event[i:])
		}
		return out
	}
	return nil
}

// A hit is a place that something was found at.
type hit struct {
	do   string // goes there
	Node string // of the event, "" if it is a moment without one
	Seq  uint64
	Time hlc.Timestamp
}

// hitOf is where the first cut of a row is; ok is false for rows that are no cuts.
func hitOf(r *debug.Row) (h hit, ok bool) {
	if r.Row == nil || r.From == 0 {
		return h, false
	}
	h = hit{do: fmt.Sprintf("goto %v", r.From), Time: r.From}
	if !r.Event.IsTick() && r.Event.Node != "" {
		h.Node, h.Seq = r.Event.Node, r.Event.Seq
		h.do = fmt.Sprintf("goto %s:%d", termtext.Name(h.Node), h.Seq)
	}
	return h, true
}

// hits are what n and p go through: the rows of the last query, in their order, the
// matches of the last motif, or where a text is found; with neither they go through the marks.
type hits struct {
	text string
	rows []hit
	seen map[string]bool // NODE:SEQ of the rows
}

// after takes note of what a command found.
func (h *hits) after(a answered) {
	name, args, _ := strings.Cut(strings.TrimSpace(a.job.line), " ")
	if !a.job.typed || a.err != nil {
		return
	}
	switch name {
	case "find", "/", "rfind":
		*h = hits{text: strings.TrimSpace(args)}
		return
	}
	var rows []hit
	seen := map[string]bool{}
	add := func(one hit) {
		rows = append(rows, one)
		seen[fmt.Sprintf("%s:%d", one.Node, one.Seq)] = true
	}
	for _, p := range a.answer.Parts {
		switch p := p.(type) {
		case *debug.Row:
			if one, ok := hitOf(p); ok {
				add(one)
			}
		case *debug.Motif:
			for i := range p.Matches {
				at := p.Matches[i].Parts[0].Place
				add(hit{"goto " + at.String(), at.Node, at.Seq, at.Time})
			}
		}
	}
	if rows != nil {
		*h = hits{rows: rows, seen: seen}
	}
}

// has reports whether a row of the query, or a match, begins with an event.
func (h *hits) has(p history.Position, meta *history.Meta) bool {
	return h.seen != nil && p.Node < len(meta.Nodes) && h.seen[fmt.Sprintf("%s:%d", meta.Nodes[p.Node].Name, p.Seq)]
}

// nextHit goes to the next thing that was found, or mark, or to the one before.
func (m *model) nextHit(by int) tea.Cmd {
	switch {
	case m.hits.text != "" && by > 0:
		return m.ask("find " + m.hits.text)
	case m.hits.text != "":
		return m.ask("rfind " + m.hits.text)
	}
	found := m.hits.rows
	what := "row"
	if found == nil {
		what = "mark"
		for _, k := range m.marks {
			found = append(found, hit{"goto " + k.Name, k.Place.Node, k.Place.Seq, k.Place.Time})
		}
	}
	at := -1
	for i, h := range found {
		c := m.compare(h)
		if by > 0 && c > 0 {
			at = i
			break
		}
		if by < 0 && c < 0 {
			at = i
		}
	}
	switch {
	case len(found) == 0:
		m.message = message{"nothing was searched for, and there are no marks: / searches, m marks", true}
	case at < 0 && by > 0:
		m.message = message{"no " + what + " behind here", true}
	case at < 0:
		m.message = message{"no " + what + " before here", true}
	default:
		return m.ask(found[at].do)
	}
	return nil
}

// compare says whether a hit is before the cut, at it, or behind.
func (m *model) compare(h hit) int {
	p := history.Position{Time: h.Time, Node: m.at.Node, Seq: m.at.Seq}
	if h.Node != "" {
		p.Node, _ = m.meta.NodeIndex(h.Node)
		p.Seq = h.Seq
	}
	return p.Compare(m.at)
}
