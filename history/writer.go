package history

import (
	"cmp"
	"fmt"
	"slices"
	"unicode/utf8"

	"hindcast.dev/event"
	"hindcast.dev/hlc"
)

// KindBase is the Kind of an Event with Base set.
const KindBase = "base"

// A Writer takes in a History, each node through a NodeWriter of its own. It is
// safe for concurrent use.
type Writer interface {
	// Node begins a node, whose name must be new. build is the build that recorded
	// it, "" if unknown. A node without entries is one of which nothing is recorded.
	Node(name, build string) (NodeWriter, error)
}

// A NodeWriter takes in the entries of one node, in order. It is used by one
// goroutine; those of different nodes may work at once. After an error it
// returns that error again.
type NodeWriter interface {
	// Var returns the id by which the Changes given to this NodeWriter name a
	// variable. Those of different NodeWriters have nothing to do with each other.
	Var(name string) VarID
	// Base says that vars, whole variables, is all that is set on the node after the
	// event with the sequence number seq, at that event's Timestamp; events after it
	// follow. What is missing before it becomes Unknown.
	Base(seq uint64, at hlc.Timestamp, vars []Change) error
	// Append adds an event; its Position.Node and Base aren't looked at. Timestamps
	// never descend, sequence numbers ascend; where some are missing the node is
	// Unknown. The event is copied, but for what its slices hold, which the writer
	// takes over.
	Append(e *Event) error
	// Unknown marks a time for which the node's recording is missing, and says why.
	Unknown(s Span, reason string) error
	// Bulky says that from the event at a Timestamp on, changes leave out what is in
	// a variable or in a part of it, because it is too much to be compared after
	// every event. Of several times for one variable the first counts.
	Bulky(v VarID, from hlc.Timestamp) error
	// Close ends the node.
	Close() error
}

// A ledger checks one node's entries as they come, and keeps what Meta says of
// the node. Every NodeWriter has one.
type ledger struct {
	node  Node
	last  Position // of the last entry, base or event
	any   bool     // whether there was an entry, also one in an earlier run
	began bool     // whether node.First is set
	names map[string]VarID
	vars  []string
	large map[VarID]hlc.Timestamp // bulky variables, and from when on; nil if there are none
}

func newLedger(name, build string) (*ledger, error) {
	if name == "" || !utf8.ValidString(name) {
		return nil, fmt.Errorf("node %q: want a name that is not empty and valid UTF-8", name)
	}
	return &ledger{node: Node{Name: name, Build: build}, names: map[string]VarID{}}, nil
}

// varID returns the id of a name, a new one if need be.
func (l *ledger) varID(name string) VarID {
	id, ok := l.names[name]
	if !ok {
		id = VarID(len(l.vars))
		l.names[name] = id
		l.vars = append(l.vars, name)
	}
	return id
}

// base notes a base entry.
func (l *ledger) base(p Position, vars []Change) error {
	for i := range vars {
		if len(vars[i].Path) > 0 || vars[i].Value.IsAbsent() {
			return fmt.Errorf("node %s: base at %d: a base holds whole variables that are present", l.node.Name, p.Seq)
		}
	}
	if err := l.changes(p, vars); err != nil {
		return err
	}
	return l.beginAt(p)
}

// beginAt notes where what is known begins, or begins again.
func (l *ledger) beginAt(p Position) error {
	switch {
	case !l.any:
		l.missing(Span{0, p.Time}, "what came before event %d is not recorded", p.Seq+1)
	case p.Time < l.last.Time || p.Seq < l.last.Seq || p == l.last:
		return fmt.Errorf("node %s: base at event %d (%v) comes after event %d (%v): entries are given in order", l.node.Name, p.Seq, p.Time, l.last.Seq, l.last.Time)
	case p.Seq > l.last.Seq:
		l.missing(Span{l.last.Time + 1, p.Time}, "events %d to %d are not recorded", l.last.Seq+1, p.Seq)
	}
	l.entry(p)
	return nil
}

// event notes an event.
func (l *ledger) event(e *Event) error {
	p := e.Position
	switch {
	case p.Seq == 0 || p.Time == hlc.Max:
		return fmt.Errorf("node %s: event %d at %v: sequence numbers begin with 1, and the last Timestamp is reserved", l.node.Name, p.Seq, p.Time)
	case l.any && p.Time < l.last.Time:
		return fmt.Errorf("node %s: event %d at %v comes after event %d at %v: the node's time never descends", l.node.Name, p.Seq, p.Time, l.last.Seq, l.last.Time)
	case l.any && p.Seq <= l.last.Seq:
		return fmt.Errorf("node %s: event %d comes after event %d: sequence numbers ascend", l.node.Name, p.Seq, l.last.Seq)
	}
	if err := l.changes(p, e.Changes); err != nil {
		return err
	}
	l.count(p)
	return nil
}

// count notes an event in order.
func (l *ledger) count(p Position) {
	switch {
	case !l.any && p.Seq > 1:
		l.missing(Span{0, p.Time}, "events %d to %d are not recorded", 1, p.Seq-1)
	case p.Seq > l.last.Seq+1:
		l.missing(Span{l.last.Time + 1, p.Time}, "events %d to %d are not recorded", l.last.Seq+1, p.Seq-1)
	}
	l.entry(p)
	l.node.Events++
	l.node.Last = p
}

func (l *ledger) entry(p Position) {
	if !l.began {
		l.node.First = p
	}
	l.any, l.began, l.last = true, true, p
}

// changes makes sure that each names a variable that Var gave out.
func (l *ledger) changes(p Position, cs []Change) error {
	for i := range cs {
		if int(cs[i].Var) >= len(l.vars) {
			return fmt.Errorf("node %s: event %d changes variable number %d, of which this writer knows %d: ids come from its Var", l.node.Name, p.Seq, cs[i].Var, len(l.vars))
		}
		if name := l.vars[cs[i].Var]; name == "" || !utf8.ValidString(name) {
			return fmt.Errorf("node %s: event %d changes the variable %q: want a name that is not empty and valid UTF-8", l.node.Name, p.Seq, name)
		}
	}
	return nil
}

// bulky notes that changes leave out what is in a variable.
func (l *ledger) bulky(v VarID, from hlc.Timestamp) error {
	if err := l.changes(Position{Time: from}, []Change{{Var: v}}); err != nil {
		return err
	}
	if l.large == nil {
		l.large = map[VarID]hlc.Timestamp{}
	}
	if old, ok := l.large[v]; !ok || from < old {
		l.large[v] = from
	}
	return nil
}

func (l *ledger) missing(s Span, format string, args ...any) {
	l.unknown(s, fmt.Sprintf(format, args...))
}

// unknown notes a span; one that is empty, because what is missing lies at one
// moment, leaves only its reason.
func (l *ledger) unknown(s Span, reason string) {
	if l.node.Reason == "" {
		l.node.Reason = reason
	}
	if s.From < s.To {
		l.node.Unknown = append(l.node.Unknown, s)
	}
}

// finish returns what is known of the node.
func (l *ledger) finish() Node {
	l.node.Unknown = mergeSpans(l.node.Unknown)
	return l.node
}

// mergeSpans sorts spans and joins those that touch.
func mergeSpans(spans []Span) []Span {
	slices.SortFunc(spans, func(a, b Span) int { return cmp.Compare(a.From, b.From) })
	out := spans[:0]
	for _, s := range spans {
		if n := len(out); n > 0 && s.From <= out[n-1].To {
			out[n-1].To = max(out[n-1].To, s.To)
			continue
		}
		out = append(out, s)
	}
	return out
}

// checkSpan refuses a span that holds nothing.
func checkSpan(node string, s Span) error {
	if s.From >= s.To {
		return fmt.Errorf("node %s: unknown from %v to %v: want a span that ends after it begins", node, s.From, s.To)
	}
	return nil
}

// baseChanges returns what turns old into exactly vars: deletions of what is not
// in it, then all of vars in order of their ids.
func baseChanges(old *State, vars []Change) []Change {
	now := NewState()
	now.ApplyAll(vars)
	var out []Change
	for _, id := range old.Vars() {
		if now.Get(id).IsAbsent() {
			out = append(out, Change{Var: id, Value: event.Absent})
		}
	}
	for _, id := range now.Vars() {
		out = append(out, Change{Var: id, Value: now.Get(id)})
	}
	return out
}
