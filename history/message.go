package history

import (
	"fmt"
	"iter"
	"slices"
)

// Kinds that link events: a message's id is sent by an effect and received by
// the event that came of it.
const (
	kindSend   = "send"
	kindRecv   = "recv"
	kindSet    = "set"
	kindTimer  = "timer"
	kindResult = "result"
)

// sends reports whether the effect begins what some event's ID names.
func (f *Effect) sends() bool {
	return f.ID != "" && (f.Kind == kindSend || f.Kind == "settimer" || f.Kind == "call")
}

// receives reports whether ID is that of a message, timer or call.
func (e *Event) receives() bool {
	return e.ID != "" && !e.Base && (e.Kind == kindRecv || e.Kind == kindTimer || e.Kind == kindResult)
}

// receives reports whether the event took in this message too.
func (f *Effect) receives() bool { return f.ID != "" && f.Kind == kindRecv }

// Received are the ids of the messages, timers and calls that the event came of:
// its own, and those of its effects of kind "recv". One may come twice.
func (e *Event) Received() iter.Seq[string] { return e.received(true) }

// received are those of Received, without what a node says to itself unless own is
// set: timers and calls.
func (e *Event) received(own bool) iter.Seq[string] {
	return func(yield func(string) bool) {
		if e.receives() && (own || e.Kind == kindRecv) && !yield(e.ID) {
			return
		}
		for i := range e.Effects {
			if e.Effects[i].receives() && !yield(e.Effects[i].ID) {
				return
			}
		}
	}
}

// Sent are the ids of the messages, timers and calls that the event's effects
// began. One may come twice.
func (e *Event) Sent() iter.Seq[string] {
	return func(yield func(string) bool) {
		for i := range e.Effects {
			if e.Effects[i].sends() && !yield(e.Effects[i].ID) {
				return
			}
		}
	}
}

// take adds what e, which may have nothing to do with it, says of the message.
func (m *Message) take(e *Event) {
	for id := range e.Received() {
		if id == m.ID {
			m.Receives = append(m.Receives, e.Position)
			break
		}
	}
	for i := range e.Effects {
		f := &e.Effects[i]
		if f.sends() && f.ID == m.ID && (!m.Sent || e.Position.Compare(m.Send) < 0) {
			m.Sent, m.Send = true, e.Position
		}
	}
}

// sort puts the receives into walk order.
func (m *Message) sort() { slices.SortFunc(m.Receives, Position.Compare) }

// hashID is the 64-bit FNV-1a hash of a message id, by which the index on disk
// is sorted.
func hashID(id string) uint64 {
	h := uint64(14695981039346656037)
	for i := 0; i < len(id); i++ {
		h = (h ^ uint64(id[i])) * 1099511628211
	}
	return h
}

// warningsMax bounds how many warnings of one kind Meta keeps.
const warningsMax = 20

// A warnings list collects the sentences of Meta.Warnings.
type warnings struct {
	lines      []string
	violations int
}

func (w *warnings) nodes(nodes []Node) {
	for i, n := range nodes {
		if n.Reason == "" {
			continue
		}
		if i >= warningsMax {
			w.lines = append(w.lines, "more nodes are known only in part")
			return
		}
		w.lines = append(w.lines, fmt.Sprintf("node %s is known only in part: %s", n.Name, n.Reason))
	}
}

func (w *warnings) violation(nodes []Node, recv Position, m Message) {
	if w.violations++; w.violations <= warningsMax {
		w.lines = append(w.lines, fmt.Sprintf("message %s is received at %s:%d (%v), which is not after its send at %s:%d (%v)",
			m.ID, nodes[recv.Node].Name, recv.Seq, recv.Time, nodes[m.Send.Node].Name, m.Send.Seq, m.Send.Time))
	}
}

// list returns the sentences, and how many were left out.
func (w *warnings) list() []string {
	if n := w.violations - warningsMax; n > 0 {
		w.lines = append(w.lines, fmt.Sprintf("%d more messages are received not after their send", n))
	}
	return w.lines
}

// sum fills in what Meta says of all nodes together.
func (m *Meta) sum() {
	first := true
	for i := range m.Nodes {
		n := &m.Nodes[i]
		m.Events += n.Events
		if n.First == (Position{Node: n.First.Node}) && n.Events == 0 {
			continue // no entry at all
		}
		if first || n.First.Compare(m.First) < 0 {
			m.First = n.First
		}
		if n.Events > 0 && (m.Last == Position{} || n.Last.Compare(m.Last) > 0) {
			m.Last = n.Last
		}
		first = false
	}
}
