package history

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"hindcast.dev/event"
)

// TailBytes is about how much a Tail keeps unless told otherwise.
const TailBytes = 256 << 20

// forgottenReason is why a node is unknown before where a Tail begins.
const forgottenReason = "what came before is forgotten: only the newest events of a running system are kept"

// A Tail is a History in memory of nodes that run: it grows at its end, and where
// it is full its older half gives way to a base for each node, and is unknown from
// then on. It takes in a walk, entry by entry and in order (it is a live.Sink), at
// a cost that doesn't depend on what it has already; what it has at a moment is a
// Moment. Feeding it is for one goroutine; the rest is safe for concurrent use.
type Tail struct {
	mu       sync.Mutex
	bytesMax int

	names   []Node // Name and Build, of the last Grow
	vars    []Var
	reasons []string // why a node isn't heard, by node; "" if nothing was said
	gaps    [][]Span // by node
	waiting []Event  // bases whose place isn't known yet
	*volume
	forgotten uint64 // events

	moment *Moment // of what there is; nil if there is more
}

// A volume is what a Tail keeps, until it forgets or numbers its nodes anew: then it
// begins another one. It is only ever added to.
type volume struct {
	walk  []*Event
	lanes []memNode  // by node
	nodes []tailNode // by node
	room  []Event    // what of the present chunk is free
	bytes int        // about how much memory it takes
	refs  references

	violations uint64
	warned     []string
}

// A tailNode is one node of a volume.
type tailNode struct {
	ledger *ledger
	now    *State // after the last entry
	since  int    // entries and changes since the last kept state
}

// chunkEvents is how many events of a Tail lie in one piece of memory.
const chunkEvents = 256

// NewTail returns an empty Tail that keeps about so many bytes; 0 is TailBytes.
func NewTail(bytesMax int) *Tail {
	if bytesMax <= 0 {
		bytesMax = TailBytes
	}
	return &Tail{bytesMax: bytesMax, volume: &volume{refs: newReferences()}}
}

// Grow says which nodes and variables there are from now on: more than before, or
// the same, but for nodes of which there is no entry, which may go. Of the Meta names, builds and what is bulky are looked at.
func (t *Tail) Grow(meta *Meta) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.moment = nil
	for i := range meta.Vars {
		if i == len(t.vars) {
			t.vars = append(t.vars, Var{Name: meta.Vars[i].Name})
		}
		if t.vars[i].Name != meta.Vars[i].Name {
			return fmt.Errorf("variable %d is %s now and was %s", i, meta.Vars[i].Name, t.vars[i].Name)
		}
		t.vars[i].Bulky = meta.Vars[i].Bulky
	}
	moved := make([]int, len(t.names)) // where nodes are now, -1 if nowhere
	same := true
	for i := range t.names {
		n, ok := meta.NodeIndex(t.names[i].Name)
		if !ok {
			if len(t.lanes[i].entries) > 0 {
				return fmt.Errorf("node %s is no longer there", t.names[i].Name)
			}
			n = -1
		}
		moved[i], same = n, same && n == i
	}
	t.names = slices.Clone(meta.Nodes)
	if same {
		return t.addNodes()
	}
	return t.renumber(moved)
}

// addNodes begins the nodes that there are more.
func (t *Tail) addNodes() error {
	for i := len(t.nodes); i < len(t.names); i++ {
		l, err := newLedger(t.names[i].Name, t.names[i].Build)
		if err != nil {
			return err
		}
		t.lanes = append(t.lanes, memNode{})
		t.nodes = append(t.nodes, tailNode{ledger: l, now: NewState()})
	}
	for len(t.gaps) < len(t.names) {
		t.gaps, t.reasons = append(t.gaps, nil), append(t.reasons, "")
	}
	return nil
}

// renumber gives all nodes new numbers, which keep them in order: so the walk is in
// order too.
func (t *Tail) renumber(moved []int) error {
	old, gaps, reasons := t.volume, t.gaps, t.reasons
	t.volume, t.gaps, t.reasons = &volume{refs: newReferences()}, nil, nil
	for i := range t.vars {
		t.vars[i].Nodes, t.vars[i].Types, t.vars[i].Changes = nil, nil, 0
	}
	if err := t.addNodes(); err != nil {
		return err
	}
	for i, n := range moved {
		if n < 0 {
			continue
		}
		t.gaps[n], t.reasons[n] = gaps[i], reasons[i]
		// What it told of a hole in its recording lies before what is kept.
		t.nodes[n].ledger.node.Unknown = slices.Clone(old.nodes[i].ledger.node.Unknown)
		t.nodes[n].ledger.node.Reason = old.nodes[i].ledger.node.Reason
	}
	t.waiting = slices.DeleteFunc(t.waiting, func(b Event) bool { return moved[b.Node] < 0 })
	for i := range t.waiting {
		t.waiting[i].Node = moved[t.waiting[i].Node]
	}
	for _, e := range old.walk {
		e := *e
		e.Node = moved[e.Node]
		t.put(&e)
	}
	return nil
}

// Feed takes the next entry of the walk, and what is in it. A base may stand before
// what was fed: then its place is just before its node's next event.
func (t *Tail) Feed(e *Event) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e.Node < 0 || e.Node >= len(t.nodes) {
		return fmt.Errorf("an entry of node %d: there are %d", e.Node, len(t.nodes))
	}
	if e.Base {
		t.waiting = append(t.waiting, *e)
		return nil
	}
	if last := t.end(); e.Position.Compare(last) <= 0 {
		return fmt.Errorf("node %s: event %d at %v comes after the walk has been at %v", t.names[e.Node].Name, e.Seq, e.Time, last.Time)
	}
	t.place(e)
	t.put(e)
	t.moment = nil
	if t.bytes > t.bytesMax {
		return t.forget()
	}
	return nil
}

// end is the position of the last entry.
func (t *Tail) end() Position {
	if n := len(t.walk); n > 0 {
		return t.walk[n-1].Position
	}
	return Begin
}

// fold has those of the waiting bases that stand before the end say what they change
// in their node's next one.
func (t *Tail) fold(end Position) {
	out := t.waiting[:0:0]
	for i := range t.waiting {
		b := &t.waiting[i]
		if b.Compare(end) <= 0 {
			next := slices.IndexFunc(t.waiting[i+1:], func(o Event) bool { return o.Node == b.Node })
			if next >= 0 {
				o := &t.waiting[i+1+next]
				o.Changes = append(slices.Clip(b.Changes), o.Changes...)
				continue
			}
		}
		out = append(out, *b)
	}
	t.waiting = out
}

// place puts the bases that stand before e into the walk: those of other nodes that
// are in order, and that of its own node in any case.
func (t *Tail) place(e *Event) {
	if len(t.waiting) == 0 {
		return
	}
	slices.SortFunc(t.waiting, func(a, b Event) int { return a.Position.Compare(b.Position) })
	last := t.end()
	t.fold(last)
	var later []Event
	var own *Event
	for i := range t.waiting {
		b := &t.waiting[i]
		switch inOrder := b.Compare(last) > 0 && b.Compare(e.Position) < 0; {
		case inOrder:
			t.put(b)
		case b.Node != e.Node:
			later = append(later, *b)
		case own == nil:
			own = b
		default:
			own.Changes = append(slices.Clip(own.Changes), b.Changes...)
		}
	}
	if own != nil {
		own.Time, own.Seq = e.Time, e.Seq-1
		t.put(own)
	}
	t.waiting = later
}

// Gap says that a node is unknown during a time; said again from the same moment on,
// it holds for that one.
func (t *Tail) Gap(node int, s Span) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.moment = nil
	i := slices.IndexFunc(t.gaps[node], func(o Span) bool { return o.From == s.From })
	if i < 0 {
		t.gaps[node] = append(t.gaps[node], s)
		return
	}
	t.gaps[node][i] = s
}

// Blame says why a node isn't heard, by name, "" if it is.
func (t *Tail) Blame(node, reason string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range t.names {
		if t.names[i].Name == node && t.reasons[i] != reason {
			t.reasons[i], t.moment = reason, nil
		}
	}
}

// End says that nothing comes any more: bases that wait for their node's next event
// stand at the end.
func (t *Tail) End() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.moment = nil
	slices.SortFunc(t.waiting, func(a, b Event) int { return a.Position.Compare(b.Position) })
	t.fold(t.end())
	for i := range t.waiting {
		if end := t.end(); t.waiting[i].Compare(end) <= 0 {
			t.waiting[i].Time = end.Time + 1
		}
		t.put(&t.waiting[i])
	}
	t.waiting = nil
}

// put adds an entry at the end.
func (t *Tail) put(entry *Event) {
	if t.nodes[entry.Node].ledger.anew(entry) {
		t.restart(entry.Node, entry.Time)
	}
	v := t.volume
	if len(v.room) == 0 {
		v.room = make([]Event, chunkEvents)
	}
	e := &v.room[0]
	v.room = v.room[1:]
	*e = *entry
	n, lane := &v.nodes[e.Node], &v.lanes[e.Node]
	n.ledger.node.Build = t.names[e.Node].Build
	if e.Base {
		e.Kind = KindBase
		if err := n.ledger.beginAt(e.Position); err != nil {
			n.ledger.entry(e.Position) // it told the same event again: what it says now holds
		}
	} else {
		n.ledger.count(e.Position)
	}
	v.walk = append(v.walk, e)
	lane.entries = append(lane.entries, e)
	n.now.ApplyAll(e.Changes)
	if n.since += 1 + len(e.Changes); n.since >= stateMin && n.since >= n.now.weight()/2 {
		lane.states = append(lane.states, stateAt{len(lane.entries), n.now.Clone()})
		n.since = 0
	}
	t.countVars(e.Node, e.Changes, !e.Base)
	v.bytes += weigh(e)
	v.link(t.names, e, len(lane.entries)-1)
}

// countVars keeps the statistics of variables; what a Moment has of them stays.
func (t *Tail) countVars(node int, cs []Change, counted bool) {
	for i := range cs {
		v := &t.vars[cs[i].Var]
		if counted {
			v.Changes++
		}
		typ := t.nodes[node].now.At(cs[i].Var).Type()
		if typ == event.TypeUint {
			typ = event.TypeInt
		}
		if typ == event.TypeAbsent {
			continue
		}
		if k, ok := slices.BinarySearch(v.Nodes, node); !ok {
			v.Nodes = slices.Insert(slices.Clone(v.Nodes), k, node)
		}
		if k, ok := slices.BinarySearch(v.Types, typ); !ok {
			v.Types = slices.Insert(slices.Clone(v.Types), k, typ)
		}
	}
}

// weigh is about how much memory an entry takes, in bytes. A base shares what it has
// with its node's state.
func weigh(e *Event) int {
	if e.Base {
		return 320 + 96*len(e.Changes)
	}
	n := 320 + len(e.ID) + len(e.Name) + len(e.Peer) + bulk(e.Data)
	for i := range e.Changes {
		n += 96 + bulk(e.Changes[i].Value)
		for _, k := range e.Changes[i].Path {
			n += bulk(k)
		}
	}
	for i := range e.Effects {
		f := &e.Effects[i]
		n += 160 + len(f.ID) + len(f.Name) + len(f.Peer) + bulk(f.Data)
	}
	return n
}

// bulk is about how much memory a value takes, in bytes.
func bulk(v event.Value) int {
	n := 32
	if v.Type() == event.TypeString {
		return n + v.Len()
	}
	for _, m := range v.Members() {
		n += bulk(m)
	}
	for k, m := range v.AsMap().All() {
		n += 64 + bulk(k) + bulk(m)
	}
	return n
}

// Forgotten is how many events the Tail had and no longer has.
func (t *Tail) Forgotten() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.forgotten
}

// Now is what there is now.
func (t *Tail) Now() *Moment {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.moment != nil {
		return t.moment
	}
	m := &Moment{of: t.volume, walk: t.walk, nodes: slices.Clone(t.lanes)}
	m.meta = Meta{Nodes: make([]Node, len(t.nodes)), Vars: slices.Clone(t.vars), Violations: t.violations}
	for i := range t.nodes {
		m.meta.Nodes[i] = t.told(i)
	}
	m.meta.sum()
	var w warnings
	w.nodes(m.meta.Nodes)
	m.meta.Warnings = append(w.list(), t.warned...)
	t.moment = m
	return m
}

// told is what Meta says of a node.
func (t *Tail) told(i int) Node {
	l := t.nodes[i].ledger
	out := l.node
	out.Build = t.names[i].Build
	out.First.Node, out.Last.Node = i, i
	out.Unknown = mergeSpans(append(slices.Clone(l.node.Unknown), t.gaps[i]...))
	reasons := []string{}
	for _, r := range []string{t.reasons[i], l.node.Reason} {
		if r != "" {
			reasons = append(reasons, r)
		}
	}
	if len(reasons) == 0 && len(out.Unknown) > 0 {
		reasons = append(reasons, "it wasn't heard for a while")
	}
	out.Reason = strings.Join(reasons, "; ")
	return out
}
