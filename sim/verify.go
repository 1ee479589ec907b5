package sim

import (
	"fmt"
	"strings"
	"time"

	"hindcast.dev/check"
)

// A Mismatch is that the same seed of the same build gave two different runs: the
// first event of the world that differs, and both sides in words.
type Mismatch struct {
	Event uint64        `json:"event"` // from 1; the events before it were equal
	At    time.Duration `json:"at"`    // virtual time, of the first run
	Node  string        `json:"node,omitempty"`
	// First and Second are the event in the two runs.
	First  string `json:"first"`
	Second string `json:"second"`
	// Difference says what came of the event that differs, "" if the event itself
	// does.
	Difference string `json:"difference,omitempty"`
	// Before are the last events that were equal, in order.
	Before []string `json:"before,omitempty"`
}

func (m *Mismatch) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "the same seed gave two runs: they differ at event %d (%s)\n", m.Event, round(m.At))
	for _, l := range m.Before {
		fmt.Fprintf(&b, "  both    %s\n", l)
	}
	fmt.Fprintf(&b, "  first   %s\n  second  %s", m.First, m.Second)
	if m.Difference != "" {
		fmt.Fprintf(&b, "\n  %s", m.Difference)
	}
	return b.String()
}

// beforeMax is how many events are shown before the one that differs.
const beforeMax = 4

// A side is one of the two runs that are compared.
type side struct {
	w    *World
	line Line // of the last event
}

// Verify runs a seed twice and returns the first event at which the two runs
// differ, nil if they are equal to the end. The two go side by side, event by
// event, so that it remembers next to nothing; what one does to something that
// both share, such as a global variable, the other sees at once. It doesn't judge
// the runs; the error is that of Run.
func Verify(s *Subject, o Options) (*Mismatch, error) {
	o.Quick, o.Fingerprints = true, false
	o.pulse = o.Watch.begin(s, &o)
	defer o.Watch.end(o.pulse)
	var sides [2]side
	for i := range sides {
		o.Trace = func(l Line) { sides[i].line = l }
		w, err := prepare(s, o)
		if err != nil {
			return nil, err
		}
		sides[i].w = w
		w.begin()
	}
	a, b := &sides[0], &sides[1]
	var before []string
	for {
		switch first, second := a.w.goesOn(), b.w.goesOn(); {
		case !first && !second:
			return ended(a, b), misusedBy(a, b)
		case first != second:
			return &Mismatch{Event: a.w.events + 1, At: a.w.Now(), First: a.after(first), Second: b.after(second), Before: before}, misusedBy(a, b)
		}
		a.w.step()
		b.w.step()
		if a.w.hash != b.w.hash || a.line != b.line {
			return differ(a, b, before), misusedBy(a, b)
		}
		if a.w.events%4096 == 0 && o.Stop != nil && o.Stop() {
			return nil, misusedBy(a, b)
		}
		if len(before) == beforeMax {
			copy(before, before[1:])
			before = before[:beforeMax-1]
		}
		before = append(before, a.line.String())
	}
}

func misusedBy(sides ...*side) error {
	for _, s := range sides {
		if s.w.misused != nil {
			return s.w.misused
		}
	}
	return nil
}

// String is the line in words.
func (l Line) String() string {
	who := ""
	if l.Node != "" {
		who = l.Node + " "
	}
	return fmt.Sprintf("%d %s %s%s", l.N, l.At, who, l.Text)
}

// after is what a run does that ends, or goes on, where the other doesn't.
func (s *side) after(goesOn bool) string {
	switch {
	case goesOn:
		return "goes on"
	case s.w.failure != nil:
		return "ends: " + s.w.failure.Error()
	}
	return "ends"
}

// differ says how the event that both just had differs.
func differ(a, b *side, before []string) *Mismatch {
	m := &Mismatch{Event: a.line.N, At: a.line.At, Node: a.line.Node, First: a.line.String(), Second: b.line.String(), Before: before}
	if m.First != m.Second {
		return m
	}
	n, o := a.w.byName[m.Node], b.w.byName[m.Node]
	switch {
	case n == nil:
		m.Difference = "it is the same event; what came of it differs: " + plans(a.w, b.w)
	case n.up != o.up:
		m.Difference = fmt.Sprintf("%s is up in the first: %t, in the second: %t", n.name, n.up, o.up)
	case !n.up:
		m.Difference = "the node is down; what came of it differs: " + plans(a.w, b.w)
	case n.l.Seq() != o.l.Seq() || n.l.Now() != o.l.Now():
		m.Difference = fmt.Sprintf("%s is at its event %d at %s in the first, at %d at %s in the second", n.name, n.l.Seq(), n.l.Now(), o.l.Seq(), o.l.Now())
	default:
		m.Difference = fmt.Sprintf("what %s did by its event %d differs: %s", n.name, n.l.Seq(),
			differing(n.l.Stepper(), o.l.Stepper(), "the first run", "the second"))
	}
	return m
}

// plans compares what is going to happen.
func plans(a, b *World) string {
	if x, y := a.queue.len(), b.queue.len(); x != y {
		return fmt.Sprintf("%d events are to come in the first run, %d in the second", x, y)
	}
	if a.queue.len() > 0 {
		if x, y := a.queue.keys[0].at, b.queue.keys[0].at; x != y {
			return fmt.Sprintf("the next event comes at %s in the first run, at %s in the second", time.Duration(x), time.Duration(y))
		}
	}
	return fmt.Sprintf("the runs' hashes are %016x and %016x", a.hash, b.hash)
}

// ended compares two runs that are over: what they found, and what clients saw,
// of which the hash has no more than the outcomes.
func ended(a, b *side) *Mismatch {
	m := &Mismatch{Event: a.w.events, At: a.w.Now(), First: a.after(false), Second: b.after(false)}
	if m.First != m.Second {
		return m
	}
	x, y := a.w.operations(), b.w.operations()
	for i := range min(len(x), len(y)) {
		if p, q := inWords(&x[i]), inWords(&y[i]); p != q {
			m.First, m.Second, m.Difference = p, q, "clients saw different things"
			return m
		}
	}
	if len(x) != len(y) {
		m.Difference = fmt.Sprintf("clients did %d operations in the first, %d in the second", len(x), len(y))
		return m
	}
	return nil
}

func inWords(o *check.Operation) string {
	s := o.Ref + " " + o.F
	if o.Key != "" {
		s += " " + o.Key
	}
	return fmt.Sprintf("%s %s: %s %s at %s", s, brief(o.Input), o.Outcome, brief(o.Output), time.Duration(o.Call))
}
