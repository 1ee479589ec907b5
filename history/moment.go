package history

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sort"
	"sync"
)

// A Moment is what a Tail had at a moment: a History that doesn't change, however
// much the Tail grows or forgets. It shares what it has with later ones.
type Moment struct {
	of    *volume // for its references, and to know what goes on
	meta  Meta
	walk  []*Event
	nodes []memNode
}

// Continues reports whether the Moment has all entries of a Source and others only
// behind them, of the same nodes: true if that is an earlier Moment of the same Tail,
// which since then hasn't forgotten anything nor got other nodes.
func (m *Moment) Continues(earlier Source) bool {
	e, ok := Unwrap(earlier).(*Moment)
	return ok && e.of == m.of && len(e.walk) <= len(m.walk) && len(e.nodes) == len(m.nodes)
}

// Meta implements Source.
func (m *Moment) Meta() *Meta { return &m.meta }

// Close implements Source; there is nothing to release.
func (m *Moment) Close() error { return nil }

// Walk implements Source.
func (m *Moment) Walk(ctx context.Context, from, to Position, nodes []int) (Cursor, error) {
	chosen, err := m.meta.chosen(nodes)
	if err != nil {
		return nil, err
	}
	starts := startsOf(m.nodes, chosen, from)
	if len(chosen) == len(m.nodes) {
		start := m.find(from)
		return &momentCursor{memStarts: starts, ctx: ctx, rest: m.walk[start:max(start, m.find(to))]}, nil
	}
	return starts.walk(ctx, chosen, to)
}

// WalkThrough implements Narrow: memory has all there is.
func (m *Moment) WalkThrough(ctx context.Context, from, to Position, nodes []int, _ Lens) (Cursor, error) {
	return m.Walk(ctx, from, to, nodes)
}

// find returns how many entries of the walk lie before p.
func (m *Moment) find(p Position) int {
	return sort.Search(len(m.walk), func(i int) bool { return m.walk[i].Position.Compare(p) >= 0 })
}

// A momentCursor walks through all nodes.
type momentCursor struct {
	*memStarts
	ctx   context.Context
	rest  []*Event
	count int
}

// Next implements Cursor.
func (c *momentCursor) Next() (*Event, error) {
	if c.count++; c.count%contextEvery == 0 {
		if err := c.ctx.Err(); err != nil {
			return nil, err
		}
	}
	if len(c.rest) == 0 {
		return nil, io.EOF
	}
	e := c.rest[0]
	c.rest = c.rest[1:]
	return e, nil
}

// Close implements Cursor.
func (c *momentCursor) Close() error { return nil }

// Before implements Source.
func (m *Moment) Before(ctx context.Context, p Position, n int, nodes []int) ([]Event, error) {
	chosen, err := m.meta.chosen(nodes)
	if err != nil {
		return nil, err
	}
	return nodesBefore(ctx, m.nodes, chosen, p, n)
}

// Event implements Source.
func (m *Moment) Event(_ context.Context, node int, seq uint64) (*Event, error) {
	if node < 0 || node >= len(m.nodes) {
		return nil, fmt.Errorf("node %d: %w", node, ErrNoEvent)
	}
	if e := m.nodes[node].event(seq); e != nil {
		return e, nil
	}
	return nil, fmt.Errorf("%s:%d: %w", m.meta.Nodes[node].Name, seq, ErrNoEvent)
}

// Message implements Source.
func (m *Moment) Message(_ context.Context, id string) (Message, error) {
	return m.of.refs.message(id, m.nodes), nil
}

// references tell which entries of a volume send or receive a message, by its id's
// hash.
type references struct {
	mu   *sync.RWMutex
	refs map[uint64][]msgRef
}

func newReferences() references {
	return references{new(sync.RWMutex), map[uint64][]msgRef{}}
}

// message is what is known of a message in the first entries of nodes.
func (r references) message(id string, nodes []memNode) Message {
	out := Message{ID: id}
	if id == "" {
		return out
	}
	r.mu.RLock()
	refs := r.refs[hashID(id)] // only ever appended to
	r.mu.RUnlock()
	for _, ref := range refs {
		if int(ref.node) < len(nodes) && int(ref.entry) < len(nodes[ref.node].entries) {
			out.take(nodes[ref.node].entries[ref.entry])
		}
	}
	out.sort()
	return out
}

// link notes the messages of an entry, the last of its node, and whether one was
// received before it was sent.
func (v *volume) link(names []Node, e *Event, entry int) {
	if e.Base || e.ID == "" && len(e.Effects) == 0 {
		return
	}
	var met []string // that were known already
	v.refs.mu.Lock()
	add := func(l Link) {
		h := hashID(l.ID)
		ref := msgRef{h, uint32(e.Node), uint32(entry)}
		refs := v.refs.refs[h]
		if len(refs) > 0 && !slices.Contains(met, l.ID) {
			met = append(met, l.ID)
		}
		if n := len(refs); n > 0 && refs[n-1] == ref {
			return
		}
		v.refs.refs[h] = append(refs, ref)
		v.bytes += 96
	}
	for l := range e.Arrivals() {
		add(l)
	}
	for l := range e.Departures() {
		add(l)
	}
	v.refs.mu.Unlock()
	for _, id := range met {
		v.check(names, e, id)
	}
}

// check counts the receives that an entry, the last of the walk, makes known to be
// not after their send.
func (v *volume) check(names []Node, e *Event, id string) {
	m := v.refs.message(id, v.lanes)
	if !m.Sent {
		return
	}
	for _, r := range m.Receives {
		if r.Time > m.Send.Time || m.Send != e.Position && r != e.Position {
			continue
		}
		for got := range v.lanes[r.Node].event(r.Seq).messages() {
			if got != id {
				continue
			}
			v.violations++
			var w warnings
			if w.violation(names, r, m); v.violations <= warningsMax {
				v.warned = append(v.warned, w.lines...)
			}
			break
		}
	}
}
