// Package history is what several nodes did: every event, stamped and linked to
// its cause, with what it sent and every change of every variable. Source is the
// only door for those who ask: queries, debugger, checkers, exports.
package history

import (
	"cmp"
	"context"

	"hindcast.dev/event"
	"hindcast.dev/hlc"
)

// A VarID is a variable's index in Meta.Vars.
type VarID uint32

// A Position is a place in the walk: the events of all nodes are ordered by
// (Time, Node, Seq). The zero Position is before every event.
type Position struct {
	Time hlc.Timestamp
	Node int // index into Meta.Nodes, which is sorted by name
	Seq  uint64
}

// Compare orders positions as the walk does.
func (p Position) Compare(q Position) int {
	return cmp.Or(cmp.Compare(p.Time, q.Time), cmp.Compare(p.Node, q.Node), cmp.Compare(p.Seq, q.Seq))
}

// After is the place just behind the event at p, where a walk of what follows it
// begins. That of Begin is Begin.
func (p Position) After() Position {
	if p != Begin {
		p.Seq++
	}
	return p
}

// An Event is one event of one node with everything that came of it, or, if
// Base is set, the point from which what is known of a node begins or begins
// again after a gap. Who takes an Event from a Source doesn't change it.
type Event struct {
	Position
	// Base marks an entry of the walk that is no event: it makes no cut and isn't
	// counted. Its Changes turn the node's variables into those that held after the
	// event with sequence number Seq, which isn't recorded itself; Time is that
	// event's. Kind is "base".
	Base     bool
	Changes  []Change      // in the order in which they are applied, as one commit
	Physical hlc.Timestamp // the node's own clock at it; 0 if not recorded
	Kind     string        // "recv", "request", "timer", "set", "note", a tracepoint's name…
	Name     string        // payload's name; of a note or control, its name
	Machine  string        // the machine that handled it, "" if none or unknown
	ID       string        // the message received, the timer fired, the request taken; "" if none
	Peer     string        // for a receive: the node it came from, if known
	Data     event.Value   // the payload; Absent if there is none
	Effects  []Effect
}

// Boundary positions.
var (
	// Begin is before every event.
	Begin = Position{}
	// End is after every event.
	End = Position{Time: hlc.Max, Node: 1<<31 - 1, Seq: 1<<64 - 1}
)

// An Effect is what an event asked for. Of a send, ID links it to the receive
// that carries the same ID. Where an event came of more than one message, as in
// logs with vector clocks it may, those beyond Event.ID are effects of kind "recv".
type Effect struct {
	Kind string // "send", "reply", "call", "settimer", "canceltimer", "log"; "recv"
	ID   string
	Peer string // send: the node it goes to; recv: the one it came from
	Name string // payload's name; log: the level
	Data event.Value
}

// A Change sets a variable on the event's node, one entry inside it, or deletes
// either.
type Change struct {
	Var VarID
	// Route, where it isn't 0, numbers Var and Path: the Changes that one Cursor
	// gives have both in common where they have the same Route. Who writes a History
	// leaves it alone.
	Route uint32
	// Path leads from the variable's value to the entry: keys of maps, one for
	// each level; empty for the whole variable. Missing maps on the way are made,
	// and what isn't a map is replaced by one. Of a list an int key within [0, Len]
	// sets an element, the last of these by appending it.
	Path []event.Value
	// Value is set there; Absent deletes. A list's elements aren't deleted.
	Value event.Value
}

// A Span is a half-open range of time: [From, To).
type Span struct {
	From, To hlc.Timestamp
}

// Contains reports whether t is in the span.
func (s Span) Contains(t hlc.Timestamp) bool { return s.From <= t && t < s.To }

// A Node is what a History knows of a node as a whole.
type Node struct {
	Name    string
	Events  uint64
	First   Position // of its first event, or of its base if that is earlier
	Last    Position // of its last event
	Unknown []Span   // where its recording is missing, sorted; see Unknown
	Reason  string   // why it is missing, for people; "" if nothing is
	Build   string   // the build that recorded it, if known
}

// A Var is a variable known by name somewhere in the History.
type Var struct {
	Name    string       // log.name
	Nodes   []int        // where it was ever set, sorted
	Types   []event.Type // seen for it, sorted; an int of any size is TypeInt
	Changes uint64       // made by events; those of bases aren't counted
	// Bulky is where the changes don't tell all of what is in the variable, because
	// that is too much to be compared after every event: sorted by node. There it
	// is unknown, not absent, until its History is made anew with it walked.
	Bulky []Bulky
}

// A Bulky says that on a node, from a moment on, changes leave out what is in a
// variable, or in a part of it.
type Bulky struct {
	Node int
	From hlc.Timestamp // of the first event whose changes leave it out
}

// BulkyAt reports whether a variable may hold more than its History says, on a
// node after its events up to and including those at t.
func (v *Var) BulkyAt(node int, t hlc.Timestamp) bool {
	for _, b := range v.Bulky {
		if b.Node == node {
			return b.From <= t
		}
	}
	return false
}

// bulky notes that the variable is bulky on a node, which comes after those that
// were noted before, or is the last of them again.
func (v *Var) bulky(node int, from hlc.Timestamp) {
	if n := len(v.Bulky); n > 0 && v.Bulky[n-1].Node == node {
		v.Bulky[n-1].From = min(v.Bulky[n-1].From, from)
		return
	}
	v.Bulky = append(v.Bulky, Bulky{node, from})
}

// Meta is what a Source knows without being walked. It belongs to the Source
// and isn't changed while a Cursor is open.
type Meta struct {
	Nodes    []Node // sorted by name, as bytes
	Vars     []Var  // VarID → variable
	Events   uint64 // bases aren't counted
	First    Position
	Last     Position
	Warnings []string // causality violations, gaps and the like, one sentence each, bounded in number
	// Violations counts receives whose Timestamp is not after their send's.
	Violations uint64
	// Skipped counts malformed lines of the input that were left out on request.
	Skipped uint64
}

// NodeIndex returns the index of the node with this name.
func (m *Meta) NodeIndex(name string) (int, bool) {
	for i := range m.Nodes {
		if m.Nodes[i].Name == name {
			return i, true
		}
	}
	return 0, false
}

// VarID returns the id of the variable with this name.
func (m *Meta) VarID(name string) (VarID, bool) {
	for i := range m.Vars {
		if m.Vars[i].Name == name {
			return VarID(i), true
		}
	}
	return 0, false
}

// A Message tells where a message was sent and received, as far as recorded. A
// timer or a call counts as a message: its id is sent by the effect that set it
// and received by the "timer" or "result" event that came of it.
type Message struct {
	ID       string
	Send     Position // valid if Sent
	Sent     bool
	Receives []Position // in walk order; several if it was duplicated
}

// A Source is a History, wherever it lies. Its methods are safe for concurrent
// use; a Cursor is not. Errors name the file and place where there is one.
type Source interface {
	// Meta describes the whole History.
	Meta() *Meta

	// Walk returns a Cursor over the events and bases at positions in [from, to) of
	// the given nodes (nil: all). Cursor.States is the state just before from.
	Walk(ctx context.Context, from, to Position, nodes []int) (Cursor, error)

	// Before returns up to n events (no bases) of the given nodes (nil: all) that
	// come last before p, in walk order.
	Before(ctx context.Context, p Position, n int, nodes []int) ([]Event, error)

	// Event returns the event with the sequence number seq of a node;
	// ErrNoEvent if there is none.
	Event(ctx context.Context, node int, seq uint64) (*Event, error)

	// Message returns what is known of the message with this id; neither sent nor
	// received if nothing is.
	Message(ctx context.Context, id string) (Message, error)

	Close() error
}

// A Cursor walks through events in order.
type Cursor interface {
	// States returns every node's variables just before the Cursor's start, indexed
	// like Meta.Nodes; nil for a node that has no event and no base before it, or
	// wasn't asked for. It is the caller's to change, and is to be called before
	// the first Next.
	States() []*State
	// Next returns the next event, valid and unchanging also after further calls;
	// io.EOF after the last one.
	Next() (*Event, error)
	Close() error
}
