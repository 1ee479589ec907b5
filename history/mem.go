package history

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"sort"

	"hindcast.dev/event"
)

// Mem is a History in memory, made by a Builder. All of its events are kept as
// they are handed out, in the order of the walk; a state at any moment is found
// from one of the states kept beside them, of which there is one whenever the
// events and changes since the last have reached half its size: so what the
// states don't share of their maps stays in proportion to the events.
type Mem struct {
	meta  Meta
	walk  []Event   // of all nodes: a walk goes through memory front to back
	nodes []memNode // like meta.Nodes
	refs  []msgRef  // sorted by hash, then walk position on the node
}

type memNode struct {
	entries []*Event  // into Mem.walk
	states  []stateAt // ascending; none before the first entry
}

// A stateAt is the node's state after the first n entries.
type stateAt struct {
	n     int
	state *State
}

// A msgRef says that entry number entry of a node sends or receives a message
// whose id has this hash.
type msgRef struct {
	hash  uint64
	node  uint32
	entry uint32
}

// stateMin is how many events and changes lie between two kept states at least.
const stateMin = 1024

// order makes the walk of the entries of all nodes, whose changes it puts into
// one piece of memory too.
func (m *Mem) order(nodes [][]Event) error {
	streams := make([]stream, len(nodes))
	entries, changes := 0, 0
	for i, es := range nodes {
		streams[i] = &sliceStream{rest: es}
		m.nodes = append(m.nodes, memNode{entries: make([]*Event, 0, len(es))})
		entries += len(es)
		for j := range es {
			changes += len(es[j].Changes)
		}
	}
	merge, err := newMerger(streams, false)
	if err != nil {
		return err
	}
	m.walk = make([]Event, entries)
	all := make([]Change, 0, changes)
	routes := router{known: map[string]route{}}
	for i := range m.walk {
		from, err := merge.next()
		if err != nil {
			return err
		}
		e := &m.walk[i]
		*e = *from
		all = append(all, e.Changes...)
		n := len(e.Changes)
		for j := len(all) - n; j < len(all); j++ {
			routes.number(&all[j])
		}
		e.Changes = all[len(all)-n : len(all) : len(all)]
		m.nodes[e.Node].entries = append(m.nodes[e.Node].entries, e)
	}
	return nil
}

// A sliceStream gives the entries of a slice.
type sliceStream struct{ rest []Event }

func (s *sliceStream) next() (*Event, error) {
	if len(s.rest) == 0 {
		return nil, io.EOF
	}
	e := &s.rest[0]
	s.rest = s.rest[1:]
	return e, nil
}

// addNode adds what is known of the next node, whose entries are there: it turns
// the variables of its bases into changes and keeps states on the way.
func (m *Mem) addNode(node Node, stateEvery int) {
	i := len(m.meta.Nodes)
	node.First.Node, node.Last.Node = i, i
	n := &m.nodes[i]
	state, since := NewState(), 0
	for j, e := range n.entries {
		if e.Base {
			e.Changes = baseChanges(state, e.Changes)
		}
		state.ApplyAll(e.Changes)
		m.countVars(i, e, state)
		since += 1 + len(e.Changes)
		if since >= stateEvery && since >= state.weight()/2 {
			n.states = append(n.states, stateAt{j + 1, state.Clone()})
			since = 0
		}
	}
	m.meta.Nodes = append(m.meta.Nodes, node)
}

// countVars keeps the statistics of the variables that e changed.
func (m *Mem) countVars(node int, e *Event, state *State) {
	for i := range e.Changes {
		id := e.Changes[i].Var
		v := &m.meta.Vars[id]
		if !e.Base {
			v.Changes++
		}
		note(v, node, state.Get(id).Type())
	}
}

// note adds a node and a type to what is known of a variable.
func note(v *Var, node int, t event.Type) {
	if t == event.TypeAbsent {
		return
	}
	if t == event.TypeUint {
		t = event.TypeInt
	}
	if n := len(v.Nodes); n == 0 || v.Nodes[n-1] != node {
		v.Nodes = append(v.Nodes, node)
	}
	if i, ok := slices.BinarySearch(v.Types, t); !ok {
		v.Types = slices.Insert(v.Types, i, t)
	}
}

// Meta implements Source.
func (m *Mem) Meta() *Meta { return &m.meta }

// Close implements Source; there is nothing to release.
func (m *Mem) Close() error { return nil }

// find returns how many entries lie before p.
func (n *memNode) find(p Position) int {
	return sort.Search(len(n.entries), func(i int) bool { return n.entries[i].Position.Compare(p) >= 0 })
}

// find returns how many entries of the walk lie before p.
func (m *Mem) find(p Position) int { return split(m.walk, p) }

// state returns the state after the first count entries, nil if count is 0.
func (n *memNode) state(count int) *State {
	if count == 0 {
		return nil
	}
	from, s := 0, NewState()
	if i := sort.Search(len(n.states), func(i int) bool { return n.states[i].n > count }); i > 0 {
		from, s = n.states[i-1].n, n.states[i-1].state.Clone()
	}
	for i := from; i < count; i++ {
		s.ApplyAll(n.entries[i].Changes)
	}
	return s
}

// chosen returns the nodes asked for, sorted and each once.
func (m *Meta) chosen(nodes []int) ([]int, error) {
	if nodes == nil {
		all := make([]int, len(m.Nodes))
		for i := range all {
			all[i] = i
		}
		return all, nil
	}
	out := slices.Clone(nodes)
	slices.Sort(out)
	out = slices.Compact(out)
	if len(out) > 0 && (out[0] < 0 || out[len(out)-1] >= len(m.Nodes)) {
		return nil, fmt.Errorf("nodes %v: this History has nodes 0 to %d", nodes, len(m.Nodes)-1)
	}
	return out, nil
}

// Walk implements Source.
func (m *Mem) Walk(ctx context.Context, from, to Position, nodes []int) (Cursor, error) {
	chosen, err := m.meta.chosen(nodes)
	if err != nil {
		return nil, err
	}
	starts := startsOf(m.nodes, chosen, from)
	if len(chosen) == len(m.nodes) {
		start := m.find(from)
		return &memCursor{memStarts: starts, ctx: ctx, rest: m.walk[start:max(start, m.find(to))]}, nil
	}
	return starts.walk(ctx, chosen, to)
}

// A memStream gives entries forwards, or backwards.
type memStream struct {
	rest      []*Event
	backwards bool
}

func (s *memStream) next() (*Event, error) {
	if len(s.rest) == 0 {
		return nil, io.EOF
	}
	if s.backwards {
		last := len(s.rest) - 1
		e := s.rest[last]
		s.rest = s.rest[:last]
		return e, nil
	}
	e := s.rest[0]
	s.rest = s.rest[1:]
	return e, nil
}

// memStarts knows the states at the start of a walk.
type memStarts struct {
	nodes []memNode
	at    []int // by node: how many of its entries lie before; 0 for one not asked for
}

func startsOf(nodes []memNode, chosen []int, from Position) *memStarts {
	s := &memStarts{nodes: nodes, at: make([]int, len(nodes))}
	for _, i := range chosen {
		s.at[i] = nodes[i].find(from)
	}
	return s
}

// walk walks through some of the nodes, from there on.
func (s *memStarts) walk(ctx context.Context, chosen []int, to Position) (Cursor, error) {
	var streams []stream
	for _, i := range chosen {
		n := &s.nodes[i]
		if end := n.find(to); s.at[i] < end {
			streams = append(streams, &memStream{rest: n.entries[s.at[i]:end]})
		}
	}
	merge, err := newMerger(streams, false)
	return &memPartCursor{memStarts: s, walker: walker{ctx: ctx, merge: merge}}, err
}

// States implements Cursor.
func (s *memStarts) States() []*State {
	out := make([]*State, len(s.at))
	for i, n := range s.at {
		out[i] = s.nodes[i].state(n)
	}
	return out
}

// A memCursor walks through all nodes.
type memCursor struct {
	*memStarts
	ctx   context.Context
	rest  []Event
	count int
}

// Next implements Cursor.
func (c *memCursor) Next() (*Event, error) {
	if c.count++; c.count%contextEvery == 0 {
		if err := c.ctx.Err(); err != nil {
			return nil, err
		}
	}
	if len(c.rest) == 0 {
		return nil, io.EOF
	}
	e := &c.rest[0]
	c.rest = c.rest[1:]
	return e, nil
}

// Close implements Cursor.
func (c *memCursor) Close() error { return nil }

// A memPartCursor walks through some of the nodes.
type memPartCursor struct {
	*memStarts
	walker
}

// Before implements Source.
func (m *Mem) Before(ctx context.Context, p Position, n int, nodes []int) ([]Event, error) {
	chosen, err := m.meta.chosen(nodes)
	if err != nil {
		return nil, err
	}
	return nodesBefore(ctx, m.nodes, chosen, p, n)
}

// nodesBefore returns the n last events of some of the nodes before p, in walk order.
func nodesBefore(ctx context.Context, nodes []memNode, chosen []int, p Position, n int) ([]Event, error) {
	var streams []stream
	for _, i := range chosen {
		node := &nodes[i]
		streams = append(streams, &memStream{rest: node.entries[:node.find(p)], backwards: true})
	}
	return before(ctx, streams, n)
}

// before takes the first n events of streams that run backwards, and returns
// them in walk order.
func before(ctx context.Context, streams []stream, n int) ([]Event, error) {
	merge, err := newMerger(streams, true)
	if err != nil {
		return nil, err
	}
	var out []Event
	for len(out) < n {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		e, err := merge.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		if !e.Base {
			out = append(out, *e)
		}
	}
	slices.Reverse(out)
	return out, nil
}

// Event implements Source.
func (m *Mem) Event(_ context.Context, node int, seq uint64) (*Event, error) {
	if node < 0 || node >= len(m.nodes) {
		return nil, fmt.Errorf("node %d: %w", node, ErrNoEvent)
	}
	if e := m.nodes[node].event(seq); e != nil {
		return e, nil
	}
	return nil, fmt.Errorf("%s:%d: %w", m.meta.Nodes[node].Name, seq, ErrNoEvent)
}

// event returns the event with a sequence number, nil if there is none.
func (n *memNode) event(seq uint64) *Event {
	i := sort.Search(len(n.entries), func(i int) bool { return n.entries[i].Seq >= seq })
	for ; i < len(n.entries) && n.entries[i].Seq == seq; i++ {
		if !n.entries[i].Base {
			return n.entries[i]
		}
	}
	return nil
}

// Message implements Source.
func (m *Mem) Message(_ context.Context, id string) (Message, error) {
	out := Message{ID: id}
	if id == "" {
		return out, nil
	}
	h := hashID(id)
	i := sort.Search(len(m.refs), func(i int) bool { return m.refs[i].hash >= h })
	for ; i < len(m.refs) && m.refs[i].hash == h; i++ {
		out.take(m.nodes[m.refs[i].node].entries[m.refs[i].entry])
	}
	out.sort()
	return out, nil
}

// index makes refs, and finds the causality violations.
func (m *Mem) index() {
	for i := range m.nodes {
		entries := m.nodes[i].entries
		for j := range entries {
			for l := range entries[j].Arrivals() {
				m.refs = append(m.refs, msgRef{hashID(l.ID), uint32(i), uint32(j)})
			}
			for l := range entries[j].Departures() {
				m.refs = append(m.refs, msgRef{hashID(l.ID), uint32(i), uint32(j)})
			}
		}
	}
	slices.SortFunc(m.refs, func(a, b msgRef) int {
		return cmp.Or(cmp.Compare(a.hash, b.hash), cmp.Compare(a.node, b.node), cmp.Compare(a.entry, b.entry))
	})
	m.refs = slices.Compact(m.refs)
}

// summarize fills in what Meta says of the whole.
func (m *Mem) summarize() {
	m.meta.sum()
	var w warnings
	w.nodes(m.meta.Nodes)
	m.violations(&w)
	m.meta.Warnings = w.list()
}

// violations counts the receives that are not after their send.
func (m *Mem) violations(w *warnings) {
	for i := 0; i < len(m.refs); {
		end := i + 1
		for end < len(m.refs) && m.refs[end].hash == m.refs[i].hash {
			end++
		}
		m.checkReceives(m.refs[i:end], w)
		i = end
	}
}

// checkReceives looks at the entries under one hash, which is that of one id
// unless two collide.
func (m *Mem) checkReceives(refs []msgRef, w *warnings) {
	var msg Message
	for _, r := range refs {
		recv := m.nodes[r.node].entries[r.entry]
		for id := range recv.messages() {
			if hashID(id) != r.hash {
				continue
			}
			if id != msg.ID {
				msg = Message{ID: id}
				for _, r := range refs {
					msg.take(m.nodes[r.node].entries[r.entry])
				}
			}
			if msg.Sent && recv.Time <= msg.Send.Time {
				m.meta.Violations++
				w.violation(m.meta.Nodes, recv.Position, msg)
			}
			break
		}
	}
}
