package history

import (
	"context"
	"maps"
	"slices"
	"sync"

	"hindcast.dev/hlc"
)

// GrowingEntries is the default bound on the entries that a Growing keeps.
const GrowingEntries = 1 << 18

// Growing is a History in memory that isn't over: a Writer, and a Source of what it
// was given so far. Each call of a Source's method sees what there is then; calls
// that belong together are made on one Snapshot. It is bounded: where it is full
// the older half of every node gives way to a base, and is unknown from then on.
// Safe for concurrent use.
type Growing struct {
	mu         sync.Mutex
	nodes      map[string]*growingWriter
	entries    int
	entriesMax int
	made       *Mem // of what there is; nil if there is more
	stateEvery int
}

// NewGrowing returns a Growing without nodes that keeps so many entries; 0 is
// GrowingEntries.
func NewGrowing(entriesMax int) *Growing {
	if entriesMax <= 0 {
		entriesMax = GrowingEntries
	}
	return &Growing{nodes: map[string]*growingWriter{}, entriesMax: max(entriesMax, 2), stateEvery: stateMin}
}

// A growingWriter writes one node of a Growing.
type growingWriter struct {
	g *Growing
	memWriter
}

// Node implements Writer.
func (g *Growing) Node(name, build string) (NodeWriter, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.nodes[name] != nil {
		return nil, errTwice(name)
	}
	l, err := newLedger(name, build)
	if err != nil {
		return nil, err
	}
	w := &growingWriter{g, memWriter{ledger: l}}
	g.nodes[name], g.made = w, nil
	return w, nil
}

// change runs f, which changes what there is.
func (w *growingWriter) change(f func() error) error {
	w.g.mu.Lock()
	defer w.g.mu.Unlock()
	w.g.made = nil
	before := len(w.entries)
	err := f()
	w.g.entries += len(w.entries) - before
	if w.g.entries > w.g.entriesMax {
		w.g.forget()
	}
	return err
}

// Var implements NodeWriter.
func (w *growingWriter) Var(name string) VarID {
	w.g.mu.Lock()
	defer w.g.mu.Unlock()
	return w.memWriter.Var(name)
}

// Base implements NodeWriter.
func (w *growingWriter) Base(seq uint64, at hlc.Timestamp, vars []Change) error {
	return w.change(func() error { return w.memWriter.Base(seq, at, vars) })
}

// Append implements NodeWriter.
func (w *growingWriter) Append(e *Event) error {
	return w.change(func() error { return w.memWriter.Append(e) })
}

// Unknown implements NodeWriter.
func (w *growingWriter) Unknown(s Span, reason string) error {
	return w.change(func() error { return w.memWriter.Unknown(s, reason) })
}

// Bulky implements NodeWriter.
func (w *growingWriter) Bulky(v VarID, from hlc.Timestamp) error {
	return w.change(func() error { return w.memWriter.Bulky(v, from) })
}

// Close implements NodeWriter.
func (w *growingWriter) Close() error {
	w.g.mu.Lock()
	defer w.g.mu.Unlock()
	return w.memWriter.Close()
}

// forget drops the older half of every node's entries.
func (g *Growing) forget() {
	g.entries = 0
	for _, w := range g.nodes {
		if w.err == nil {
			w.forget(len(w.entries) / 2)
		}
		g.entries += len(w.entries)
	}
}

// forget puts a base in the place of the first n entries.
func (w *memWriter) forget(n int) {
	if n < 2 {
		return
	}
	state := NewState()
	for i := range n {
		e := &w.entries[i]
		if e.Base {
			state = NewState()
		}
		state.ApplyAll(e.Changes)
	}
	old, last := w.ledger, w.entries[n-1].Position
	rest := w.entries[n:]
	l, err := newLedger(old.node.Name, old.node.Build)
	if err != nil {
		w.err = err
		return
	}
	l.names, l.vars, l.large = old.names, old.vars, old.large
	w.ledger, w.entries = l, nil
	var vars []Change
	for _, id := range state.Vars() {
		vars = append(vars, Change{Var: id, Value: state.Get(id)})
	}
	w.err = w.Base(last.Seq, last.Time, vars)
	for i := range rest {
		switch e := &rest[i]; {
		case w.err != nil:
			return
		case e.Base:
			w.err = w.Base(e.Seq, e.Time, e.Changes)
		default:
			w.err = w.Append(e)
		}
	}
	for _, s := range old.node.Unknown {
		if s.To > last.Time {
			l.unknown(s, old.node.Reason)
		}
	}
}

// Snapshot is what there is now, as a History that doesn't change.
func (g *Growing) Snapshot() (*Mem, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.made != nil {
		return g.made, nil
	}
	b := NewBuilder()
	b.stateEvery = g.stateEvery
	for name, w := range g.nodes {
		if w.err != nil {
			return nil, w.err
		}
		b.nodes[name] = w.copy()
	}
	m, err := b.Build()
	if err == nil {
		g.made = m
	}
	return m, err
}

// copy is the same again, for a Builder, which numbers what it is given anew.
func (w *memWriter) copy() *memWriter {
	l := *w.ledger
	l.node.Unknown = slices.Clone(l.node.Unknown)
	l.large = maps.Clone(l.large)
	c := &memWriter{ledger: &l, entries: slices.Clone(w.entries)}
	for i := range c.entries {
		c.entries[i].Changes = slices.Clone(c.entries[i].Changes)
	}
	return c
}

// Meta implements Source. It is that of a Snapshot.
func (g *Growing) Meta() *Meta {
	m, err := g.Snapshot()
	if err != nil {
		return &Meta{Warnings: []string{err.Error()}}
	}
	return m.Meta()
}

// Walk implements Source: over what there is now.
func (g *Growing) Walk(ctx context.Context, from, to Position, nodes []int) (Cursor, error) {
	m, err := g.Snapshot()
	if err != nil {
		return nil, err
	}
	return m.Walk(ctx, from, to, nodes)
}

// Before implements Source.
func (g *Growing) Before(ctx context.Context, p Position, n int, nodes []int) ([]Event, error) {
	m, err := g.Snapshot()
	if err != nil {
		return nil, err
	}
	return m.Before(ctx, p, n, nodes)
}

// Event implements Source.
func (g *Growing) Event(ctx context.Context, node int, seq uint64) (*Event, error) {
	m, err := g.Snapshot()
	if err != nil {
		return nil, err
	}
	return m.Event(ctx, node, seq)
}

// Message implements Source.
func (g *Growing) Message(ctx context.Context, id string) (Message, error) {
	m, err := g.Snapshot()
	if err != nil {
		return Message{}, err
	}
	return m.Message(ctx, id)
}

// Close implements Source; there is nothing to release.
func (g *Growing) Close() error { return nil }
