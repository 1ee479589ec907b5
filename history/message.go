package history

import (
	"fmt"
	"iter"
	"slices"

	"hindcast.dev/causal"
	"hindcast.dev/event"
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

// received tells what an effect is received as, "" of one that isn't: it only
// names what is asked for, or is an id of something else.
func (f *Effect) received() string {
	switch f.Kind {
	case kindSend:
		return kindRecv
	case "settimer":
		return kindTimer
	case "call":
		return kindResult
	}
	return ""
}

// A Link is one end of a message, timer or call in an event.
type Link struct {
	Kind   string // what it is received as: "recv", "timer" or "result"
	ID     string // never ""
	Peer   string // the node at the other end, "" if that isn't known; of timers and calls ""
	Effect int    // counted from 1, that it is of; 0 is the event itself
}

// Received are the ids of Arrivals.
func (e *Event) Received() iter.Seq[string] { return ids(e.Arrivals(), "") }

// Sent are the ids of Departures.
func (e *Event) Sent() iter.Seq[string] { return ids(e.Departures(), "") }

// ids are those of links of a kind, "" for all.
func ids(links iter.Seq[Link], kind string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for l := range links {
			if (kind == "" || l.Kind == kind) && !yield(l.ID) {
				return
			}
		}
	}
}

// Arrivals are the messages, timers and calls that the event came of: its own, and
// those of its effects of kind "recv". One may come twice.
func (e *Event) Arrivals() iter.Seq[Link] {
	return func(yield func(Link) bool) {
		if e.ID != "" && !e.Base {
			switch e.Kind {
			case kindRecv:
				if !yield(Link{Kind: kindRecv, ID: e.ID, Peer: e.Peer}) {
					return
				}
			case kindTimer, kindResult:
				if !yield(Link{Kind: e.Kind, ID: e.ID}) {
					return
				}
			}
		}
		for i := range e.Effects {
			if f := &e.Effects[i]; f.ID != "" && f.Kind == kindRecv && !yield(Link{kindRecv, f.ID, f.Peer, i + 1}) {
				return
			}
		}
	}
}

// messages are the ids of Received without what a node says to itself: timers and
// calls.
func (e *Event) messages() iter.Seq[string] { return ids(e.Arrivals(), kindRecv) }

// Departures are the messages, timers and calls that the event's effects began. One may
// come twice.
func (e *Event) Departures() iter.Seq[Link] {
	return func(yield func(Link) bool) {
		for i := range e.Effects {
			if l, ok := e.Sends(i); ok && !yield(l) {
				return
			}
		}
	}
}

// Sends is the message, timer or call that effect i began; ok is false if it began
// none that has an id.
func (e *Event) Sends(i int) (l Link, ok bool) {
	f := &e.Effects[i]
	l = Link{f.received(), f.ID, "", i + 1}
	if l.Kind == kindRecv {
		l.Peer = f.Peer
	}
	return l, l.Kind != "" && l.ID != ""
}

// Lost is the message that a note of the event says is lost; ok is false for
// other events.
func (e *Event) Lost() (l Link, ok bool) {
	if e.Base || e.Kind != event.Note.String() || e.Name != event.NoteDrop {
		return l, false
	}
	l = Link{Kind: kindRecv, ID: e.ID, Peer: e.Peer}
	if l.ID == "" {
		l.ID = e.Data.Field("message").AsString()
	}
	if l.Peer == "" {
		l.Peer = e.Data.Field("peer").AsString()
	}
	return l, l.ID != ""
}

// Receiving is a link of Arrivals, on a node, for causal.Links.
func (m *Meta) Receiving(node int, l Link) causal.Message {
	from := node
	if l.Kind == kindRecv {
		from = m.nodeOr(l.Peer)
	}
	return causal.Message{Kind: l.Kind, ID: l.ID, From: from, To: node}
}

// Sending is a link of Departures, on a node, for causal.Links.
func (m *Meta) Sending(node int, l Link) causal.Message {
	to, name := node, ""
	if l.Kind == kindRecv {
		if to = m.nodeOr(l.Peer); to == causal.Nowhere {
			name = l.Peer
		}
	}
	return causal.Message{Kind: l.Kind, ID: l.ID, From: node, To: to, Name: name}
}

// Losing is a link of Lost, on a node, for causal.Links.
func (m *Meta) Losing(node int, l Link) causal.Loss {
	lost := causal.Loss{Kind: l.Kind, ID: l.ID, Node: node, Peer: m.nodeOr(l.Peer)}
	if lost.Peer == causal.Nowhere {
		lost.Name = l.Peer
	}
	return lost
}

func (m *Meta) nodeOr(name string) int {
	if i, ok := m.NodeIndex(name); ok {
		return i
	}
	return causal.Nowhere
}

// take adds what e, which may have nothing to do with it, says of the message.
func (m *Message) take(e *Event) {
	for l := range e.Arrivals() {
		if l.ID == m.ID {
			m.Receives = append(m.Receives, e.Position)
			break
		}
	}
	for l := range e.Departures() {
		if l.ID == m.ID && (!m.Sent || e.Position.Compare(m.Send) < 0) {
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
