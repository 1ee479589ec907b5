package debug

import (
	"fmt"
	"strings"

	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/hlc"
	"hindcast.dev/termtext"
)

// An Event is one event as a command tells of it: what one line says, or if Whole
// everything.
type Event struct {
	Place
	Kind string `json:"kind"`
	Name string `json:"name,omitempty"`
	Peer string `json:"peer,omitempty"`
	ID   string `json:"id,omitempty"`

	Whole    bool          `json:"whole"`
	Machine  string        `json:"machine,omitempty"`
	Physical hlc.Timestamp `json:"clock,omitempty"`
	Data     event.Value   `json:"data,omitzero"`
	Effects  []*Effect     `json:"effects,omitempty"`
	Changes  []Assignment  `json:"changes,omitempty"`
	Log      []Logged      `json:"log,omitempty"`     // effects of kind log among them
	Code     *Code         `json:"code,omitempty"`    // that handled it, if it is known
	LeftOut  []string      `json:"leftOut,omitempty"` // variables that may have changed too
}

// An Assignment is what a variable, or a part of one, became.
type Assignment struct {
	Path  string      `json:"path"`
	Value event.Value `json:"value"`
}

func (*Event) kind() string { return "event" }

func (e *Event) writeText(t *textForm) {
	t.line("%s", e.headline())
	if !e.Whole {
		return
	}
	if e.Machine != "" {
		t.line("  machine  %s", termtext.Printable(e.Machine))
	}
	if e.Code != nil {
		t.line("  code     %s", e.Code.text())
	}
	if e.Physical != 0 {
		t.line("  clock    %s", e.Physical)
	}
	if !e.Data.IsAbsent() {
		t.line("  data     %s", whole(e.Data, eventColumns))
	}
	for _, f := range e.Effects {
		f.writeText(t)
	}
	for i, c := range e.Changes {
		if i == changesMax {
			t.line("  … and %d more changes", len(e.Changes)-i)
			break
		}
		t.line("  %s = %s", termtext.Printable(c.Path), whole(c.Value, eventColumns))
	}
	for _, v := range e.LeftOut {
		name := termtext.Printable(v)
		t.line("  %s: too large to be compared after every event; diff %s does", name, name)
	}
}

// changesMax bounds the changes of an event that are said.
const changesMax = 1000

// headline is one line about an event.
func (e *Event) headline() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s  %s", e.Place, e.Time, termtext.Printable(e.Kind))
	if e.Name != "" {
		fmt.Fprintf(&b, " %s", termtext.Printable(e.Name))
	}
	switch {
	case e.Peer == "":
	case e.Kind == event.Note.String(): // of what went to it, or came from it, or of the link
		fmt.Fprintf(&b, " peer %s", termtext.Printable(e.Peer))
	default:
		fmt.Fprintf(&b, " from %s", termtext.Printable(e.Peer))
	}
	if e.ID != "" {
		fmt.Fprintf(&b, "  [%s]", termtext.Printable(e.ID))
	}
	return b.String()
}

// An Effect is what an event asked for, and what became of it if that is told.
type Effect struct {
	Kind string      `json:"kind"`
	Name string      `json:"name,omitempty"`
	Peer string      `json:"peer,omitempty"`
	ID   string      `json:"id,omitempty"`
	Data event.Value `json:"data,omitzero"`
	Fate *Fate       `json:"fate,omitempty"`
}

// A Fate is what became of a message: it was received, or dropped, or neither is
// recorded.
type Fate struct {
	Received []Place    `json:"received,omitempty"`
	Dropped  string     `json:"dropped,omitempty"` // why
	Notes    []DropNote `json:"notes,omitempty"`
}

// A DropNote is what a node noted of a message that was dropped.
type DropNote struct {
	Node   string `json:"node"`
	Seq    uint64 `json:"seq"`
	Reason string `json:"reason"`
}

// EffectOf is an effect without its fate.
func EffectOf(f *history.Effect) *Effect {
	return &Effect{Kind: f.Kind, Name: f.Name, Peer: f.Peer, ID: f.ID, Data: f.Data}
}

func (*Effect) kind() string { return "effect" }

func (f *Effect) writeText(t *textForm) {
	line := f.Kind
	if f.Name != "" {
		line += " " + f.Name
	}
	if f.Peer != "" {
		line += " to " + f.Peer
	}
	if f.ID != "" {
		line += "  [" + f.ID + "]"
	}
	if f.Fate != nil {
		line += "  " + f.Fate.text()
	}
	if !f.Data.IsAbsent() {
		line += "  " + inShort(f.Data, valueColumns)
	}
	t.line("  %s", termtext.Printable(line))
}

func (f *Fate) text() string {
	switch {
	case len(f.Received) > 0:
		var at []string
		for _, p := range f.Received {
			at = append(at, p.String())
		}
		return "→ received at " + strings.Join(at, ", ")
	case len(f.Notes) == 0:
		return "never received"
	}
	text := "╳ dropped: " + f.Dropped
	if len(f.Notes) > 1 {
		var notes []string
		for _, d := range f.Notes {
			notes = append(notes, fmt.Sprintf("%s:%d: %s", d.Node, d.Seq, d.Reason))
		}
		text += " (" + strings.Join(notes, "; ") + ")"
	}
	return text
}

// A LogLine is a note, or a line that an event logged.
type LogLine struct {
	Event *Event      `json:"event"`
	Level string      `json:"level,omitempty"` // "" of a note
	Data  event.Value `json:"data,omitzero"`
}

func (*LogLine) kind() string { return "log" }

func (l *LogLine) writeText(t *textForm) {
	if l.Level == "" {
		t.line("%s  %s", l.Event.headline(), whole(l.Data, eventColumns))
		return
	}
	t.line("%s  %s  %s %s", l.Event.Place, l.Event.Time, termtext.Printable(l.Level), termtext.Printable(l.Data.AsString()))
}
