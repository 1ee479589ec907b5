package history

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"hindcast.dev/event"
	"hindcast.dev/hlc"
)

// A Builder makes a History in memory. It is a Writer; AddNode, Base and Append
// are short forms for tests and importers, by one goroutine, whose first error
// Build returns.
type Builder struct {
	mu         sync.Mutex
	nodes      map[string]*memWriter
	err        error
	stateEvery int // events and changes between kept states at least
}

// NewBuilder returns a Builder without nodes.
func NewBuilder() *Builder { return &Builder{nodes: map[string]*memWriter{}, stateEvery: stateMin} }

func errTwice(node string) error {
	return fmt.Errorf("node %s is there already: each node is written once", node)
}

// An EventSpec is an event with its changes given by name. Position.Node isn't
// looked at; a Seq of 0 is the next one, a Kind of "" is "set".
type EventSpec struct {
	Event
	Set []Assign // made after Event.Changes
}

// An Assign sets what Path names, in the form of event.ParsePath, or deletes it
// if Value is Absent.
type Assign struct {
	Path  string
	Value event.Value
}

// Node implements Writer.
func (b *Builder) Node(name, build string) (NodeWriter, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.nodes[name] != nil {
		return nil, errTwice(name)
	}
	l, err := newLedger(name, build)
	if err != nil {
		return nil, err
	}
	w := &memWriter{ledger: l}
	b.nodes[name] = w
	return w, nil
}

// AddNode begins a node, of which nothing may be recorded.
func (b *Builder) AddNode(name, build string) {
	_, err := b.Node(name, build)
	b.fail(err)
}

// Base gives a node's variables after the event seq, by name.
func (b *Builder) Base(node string, seq uint64, at hlc.Timestamp, vars map[string]event.Value) {
	w := b.writer(node)
	if w == nil {
		return
	}
	changes := make([]Change, 0, len(vars))
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		changes = append(changes, Change{Var: w.Var(name), Value: vars[name]})
	}
	b.fail(w.Base(seq, at, changes))
}

// Append adds events to a node, which it begins if need be.
func (b *Builder) Append(node string, specs ...EventSpec) {
	w := b.writer(node)
	for _, s := range specs {
		if w == nil {
			return
		}
		e := s.Event
		e.Seq = cmp.Or(e.Seq, w.ledger.last.Seq+1)
		e.Kind = cmp.Or(e.Kind, "set")
		for _, a := range s.Set {
			name, path, err := event.ParsePath(a.Path)
			if err != nil {
				b.fail(fmt.Errorf("node %s: event %d sets %q: %w", node, e.Seq, a.Path, err))
				return
			}
			e.Changes = append(e.Changes, Change{Var: w.Var(name), Path: path, Value: a.Value})
		}
		b.fail(w.Append(&e))
	}
}

// Unknown marks a time for which a node's recording is missing.
func (b *Builder) Unknown(node string, s Span, reason string) {
	if w := b.writer(node); w != nil {
		b.fail(w.Unknown(s, reason))
	}
}

// Bulky says that from an event on a node's changes leave out what is in a
// variable.
func (b *Builder) Bulky(node, variable string, from hlc.Timestamp) {
	if w := b.writer(node); w != nil {
		b.fail(w.Bulky(w.Var(variable), from))
	}
}

// writer returns the node's writer, a new one if need be; nil after an error.
func (b *Builder) writer(node string) *memWriter {
	if w := b.nodes[node]; w != nil {
		return w
	}
	_, err := b.Node(node, "")
	b.fail(err)
	return b.nodes[node]
}

func (b *Builder) fail(err error) {
	if b.err == nil {
		b.err = err
	}
}

// Build returns the History and ends the Builder. It reports the first error of
// any of its methods and NodeWriters.
func (b *Builder) Build() (*Mem, error) {
	if b.err != nil {
		return nil, b.err
	}
	names := slices.Sorted(maps.Keys(b.nodes))
	vars := b.mergeVars(names)
	m := &Mem{}
	m.meta.Vars = make([]Var, len(vars))
	for name, id := range vars {
		m.meta.Vars[id].Name = name
	}
	nodes, entries := make([]Node, len(names)), make([][]Event, len(names))
	for i, name := range names {
		w := b.nodes[name]
		if w.err != nil {
			return nil, w.err
		}
		nodes[i] = w.ledger.finish()
		w.number(i, vars)
		entries[i], w.entries = w.entries, nil
	}
	if err := m.order(entries); err != nil {
		return nil, err
	}
	for i, name := range names {
		w := b.nodes[name]
		m.addNode(nodes[i], b.stateEvery)
		for v, from := range w.ledger.large {
			m.meta.Vars[vars[w.ledger.vars[v]]].bulky(i, from)
		}
	}
	m.index()
	m.summarize()
	return m, nil
}

// mergeVars makes one dictionary of all nodes', sorted by name, and returns it.
func (b *Builder) mergeVars(nodes []string) map[string]VarID {
	ids := map[string]VarID{}
	for _, n := range nodes {
		for _, v := range b.nodes[n].ledger.vars {
			ids[v] = 0
		}
	}
	for i, name := range slices.Sorted(maps.Keys(ids)) {
		ids[name] = VarID(i)
	}
	return ids
}

// A memWriter is the NodeWriter of a Builder.
type memWriter struct {
	ledger  *ledger
	entries []Event
	err     error
}

var errClosed = errors.New("this node's writer is closed")

// Var implements NodeWriter.
func (w *memWriter) Var(name string) VarID { return w.ledger.varID(name) }

// Base implements NodeWriter.
func (w *memWriter) Base(seq uint64, at hlc.Timestamp, vars []Change) error {
	p := Position{Time: at, Seq: seq}
	if w.err == nil {
		w.err = w.ledger.base(p, vars)
	}
	if w.err == nil {
		w.entries = append(w.entries, Event{Position: p, Base: true, Kind: KindBase, Changes: vars})
	}
	return w.err
}

// Append implements NodeWriter.
func (w *memWriter) Append(e *Event) error {
	if w.err == nil {
		w.err = w.ledger.event(e)
	}
	if w.err == nil {
		kept := *e
		kept.Base, kept.Kind = false, cmp.Or(e.Kind, kindSet)
		w.entries = append(w.entries, kept)
	}
	return w.err
}

// Unknown implements NodeWriter.
func (w *memWriter) Unknown(s Span, reason string) error {
	if w.err == nil {
		w.err = checkSpan(w.ledger.node.Name, s)
	}
	if w.err == nil {
		w.ledger.unknown(s, reason)
	}
	return w.err
}

// Bulky implements NodeWriter.
func (w *memWriter) Bulky(v VarID, from hlc.Timestamp) error {
	if w.err == nil {
		w.err = w.ledger.bulky(v, from)
	}
	return w.err
}

// Close implements NodeWriter.
func (w *memWriter) Close() error { return w.err }

// number gives the entries their node's index and the common variable ids.
func (w *memWriter) number(node int, ids map[string]VarID) {
	final := make([]VarID, len(w.ledger.vars))
	for i, name := range w.ledger.vars {
		final[i] = ids[name]
	}
	for i := range w.entries {
		e := &w.entries[i]
		e.Position.Node = node
		for j := range e.Changes {
			e.Changes[j].Var = final[e.Changes[j].Var]
		}
	}
}
