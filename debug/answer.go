package debug

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/hlc"
	"hindcast.dev/rql"
	"hindcast.dev/termtext"
)

// An Answer is what a command said. As JSON its parts are objects of one key
// each, which is their kind.
type Answer struct {
	Line  string
	Place Place // where the session is after it
	Moved bool  // it was elsewhere before
	Parts []Part
	Short bool // values are cut short
}

// MarshalJSON implements json.Marshaler.
func (a *Answer) MarshalJSON() ([]byte, error) {
	parts := make([]map[string]Part, len(a.Parts))
	for i, p := range a.Parts {
		parts[i] = map[string]Part{p.kind(): p}
	}
	return json.Marshal(struct {
		Line  string            `json:"line"`
		Place Place             `json:"place"`
		Moved bool              `json:"moved"`
		Parts []map[string]Part `json:"parts"`
		Short bool              `json:"short,omitempty"`
	}{a.Line, a.Place, a.Moved, parts, a.Short})
}

// A Part is a piece of what a command says, with what was recorded in it as it
// was recorded: every face makes it safe, and shortens it, in its own way.
type Part interface {
	kind() string
	writeText(*textForm)
}

// PartText is what a script would be told: the lines of a part, safe for a terminal
// of so many columns. plain draws in ASCII.
func PartText(p Part, width int, plain bool) string {
	var b strings.Builder
	p.writeText(&textForm{termtext.SafeWriter(&b), width, plain})
	return b.String()
}

// A textForm writes parts as text.
type textForm struct {
	w     io.Writer
	width int
	plain bool
}

func (t *textForm) line(format string, args ...any) { fmt.Fprintf(t.w, format+"\n", args...) }

// inLine is a value for the end of a line.
func inLine(v event.Value) string {
	return termtext.Printable(inShort(v, valueColumns))
}

// A Place is a cut: just after an event. The zero Place is before the first.
type Place struct {
	Node string        `json:"node,omitempty"`
	Seq  uint64        `json:"seq,omitempty"`
	Time hlc.Timestamp `json:"time,omitempty"`
}

// String is NODE:SEQ, or START.
func (p Place) String() string {
	if p == (Place{}) {
		return "START"
	}
	return fmt.Sprintf("%s:%d", termtext.Name(p.Node), p.Seq)
}

func (s *Session) place(p history.Position) Place {
	if p == history.Begin {
		return Place{}
	}
	return Place{s.meta.Nodes[p.Node].Name, p.Seq, p.Time}
}

// A Remark is a sentence, or a few lines.
type Remark struct {
	Text string `json:"text"`
}

func (*Remark) kind() string { return "remark" }

func (r *Remark) writeText(t *textForm) { t.line("%s", r.Text) }

func (s *Session) remark(format string, args ...any) { s.say(&Remark{fmt.Sprintf(format, args...)}) }

// A Help is a command of the table, in one line or with all that is said of it.
type Help struct {
	Command
	Whole bool `json:"-"`
}

func (*Help) kind() string { return "help" }

func (h *Help) writeText(t *textForm) {
	if h.Whole {
		writeHelp(t.w, h.Command)
		return
	}
	t.line("  %-34s %s", strings.TrimSpace(h.Name+" "+shorten(h.Args, 26)), h.Short)
}

func shorten(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return s[:n-1] + "…"
}

func writeHelp(w io.Writer, c Command) {
	fmt.Fprintf(w, "%s\n  %s.\n", strings.TrimSpace(c.Name+" "+c.Args), c.Short)
	if len(c.Aliases) > 0 {
		fmt.Fprintf(w, "  Short: %s\n", strings.Join(c.Aliases, ", "))
	}
	if c.Long != "" {
		fmt.Fprintf(w, "  %s\n", c.Long)
	}
	for _, e := range c.Examples {
		fmt.Fprintf(w, "    %s\n", e)
	}
}

// A NodeState says whether a node runs at a cut.
type NodeState string

// The states of a node; "" is unknown.
const (
	NodeNotBegun NodeState = "not begun"
	NodeUp       NodeState = "up"
	NodeDown     NodeState = "down"
)

// A NodeInfo is what is recorded of a node.
type NodeInfo struct {
	Name    string             `json:"name"`
	State   NodeState          `json:"state,omitempty"`
	Events  uint64             `json:"events"`
	First   hlc.Timestamp      `json:"first"`
	Last    hlc.Timestamp      `json:"last"`
	Unknown [][2]hlc.Timestamp `json:"unknown,omitempty"` // from, to
	Reason  string             `json:"reason,omitempty"`  // why
}

func (*NodeInfo) kind() string { return "node" }

func (n *NodeInfo) writeText(t *textForm) {
	state := n.State
	if n.Events == 0 {
		state = "unknown"
	}
	line := fmt.Sprintf("%s %-9s %6d events", termtext.Pad(termtext.Name(n.Name), 12), state, n.Events)
	if n.Events > 0 {
		line += fmt.Sprintf("  %s … %s", n.First, n.Last)
	}
	for _, u := range n.Unknown {
		line += fmt.Sprintf("  unknown %s … %s", since(u[0]), until(u[1]))
	}
	if n.Reason != "" {
		line += " (" + termtext.Printable(n.Reason) + ")"
	}
	t.line("%s", strings.TrimRight(line, " "))
}

// A Variable is one, or a part of one, at a cut.
type Variable struct {
	Node  string      `json:"node"`
	Path  string      `json:"path"`
	Value event.Value `json:"value"`
	Whole bool        `json:"-"` // as text too
}

func (*Variable) kind() string { return "variable" }

func (v *Variable) writeText(t *textForm) {
	text := inLine(v.Value)
	if v.Whole {
		text = whole(v.Value, wholeColumns)
	}
	t.line("%s  %s = %s", termtext.Name(v.Node), termtext.Printable(v.Path), text)
}

// A LeftOut is a variable of which the History hasn't everything, because it is
// too large to be compared after every event.
type LeftOut struct {
	Node     string `json:"node"`
	Variable string `json:"variable"`
	Shows    string `json:"shows"` // the command that shows it all the same
	Compared bool   `json:"-"`     // it would have been
}

func (*LeftOut) kind() string { return "leftOut" }

func (l *LeftOut) writeText(t *textForm) {
	node, name := termtext.Name(l.Node), termtext.Printable(l.Variable)
	if l.Compared {
		t.line("%s  %s: not compared, too large; %s %s does", node, name, l.Shows, name)
		return
	}
	t.line("%s  %s: too large to be compared after every event; %s %s shows it", node, name, l.Shows, name)
}

// A More says how many of the same kind aren't told.
type More struct {
	Node  string `json:"node,omitempty"`
	Count int    `json:"count"`
}

func (*More) kind() string { return "more" }

func (m *More) writeText(t *textForm) {
	node := ""
	if m.Node != "" {
		node = termtext.Name(m.Node) + "  "
	}
	t.line("%s… and %d more", node, m.Count)
}

// A Span is what lies between two cuts.
type Span struct {
	From Place `json:"from"`
	To   Place `json:"to"`
}

func (*Span) kind() string { return "span" }

func (s *Span) writeText(t *textForm) { t.line("from %s to %s:", s.From, s.To) }

// A Difference is what a variable, or a part of one, was and is. Absent is null
// in JSON, and as the key "before" or "after" left out.
type Difference struct {
	Node   string      `json:"node"`
	Path   string      `json:"path"`
	Before event.Value `json:"before,omitzero"`
	After  event.Value `json:"after,omitzero"`
}

func (*Difference) kind() string { return "difference" }

func (d *Difference) writeText(t *textForm) {
	t.line("%s  %s: %s → %s", termtext.Name(d.Node), termtext.Printable(d.Path), inLine(d.Before), inLine(d.After))
}

// A Witness is the choice of nodes that makes a condition true.
type Witness struct {
	Chosen []Chosen `json:"chosen"`
}

// A Chosen is the node that stands for a placeholder.
type Chosen struct {
	Placeholder int    `json:"placeholder"` // n of $n
	Node        string `json:"node"`
}

// witnessOf is nil where nothing was to be chosen.
func witnessOf(chosen []rql.Witness) *Witness {
	if len(chosen) == 0 {
		return nil
	}
	w := &Witness{}
	for _, c := range chosen {
		w.Chosen = append(w.Chosen, Chosen{c.Holder, c.Node})
	}
	return w
}

func (*Witness) kind() string { return "witness" }

func (w *Witness) writeText(t *textForm) {
	var parts []string
	for _, c := range w.Chosen {
		parts = append(parts, fmt.Sprintf("$%d=%s", c.Placeholder, termtext.Name(c.Node)))
	}
	t.line("witness: %s", strings.Join(parts, " "))
}

// A Drawing is a space-time diagram of some events.
type Drawing struct{ Diagram Diagram }

func (*Drawing) kind() string { return "diagram" }

func (d *Drawing) writeText(t *textForm) {
	drawn := d.Diagram
	drawn.Width, drawn.Plain = t.width, t.plain
	drawn.WriteTo(t.w)
}

// MarshalJSON gives the events that are drawn, by name, for whoever draws them
// anew.
func (d *Drawing) MarshalJSON() ([]byte, error) {
	places := make([]Place, len(d.Diagram.Events))
	for i := range d.Diagram.Events {
		p := d.Diagram.Events[i].Position
		places[i] = Place{d.Diagram.Meta.Nodes[p.Node].Name, p.Seq, p.Time}
	}
	return json.Marshal(map[string][]Place{"events": places})
}
