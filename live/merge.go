package live

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"hindcast.dev/history"
	"hindcast.dev/hlc"
)

// A Sink takes the walk over all nodes as far as it is final: no entry comes any
// more that would stand before one that was fed. rql.Stream is one.
type Sink interface {
	// Grow is called before the first entry, and whenever there are more nodes or
	// variables; entries count by the Meta of the last call, of which only names and
	// what is bulky are set.
	Grow(meta *history.Meta) error
	// Feed takes the next entry, an event or a base, and may keep what is in it.
	Feed(ev *history.Event) error
	// Gap says that a node is unknown during a time, whose To is hlc.Max until it is
	// known; it is then said again.
	Gap(node int, span history.Span)
}

// A Merger makes one walk of what several nodes tell. An entry is final when every
// node has promised its Timestamp. A node that says nothing for Hold holds back no
// longer: from its last promise on it is unknown, and events that it tells of
// later, but which the walk has passed, are counted as late. When it has told all up to
// where the walk is, it joins again with a base. Time is an argument; not safe for
// concurrent use.
type Merger struct {
	hold time.Duration
	from hlc.Timestamp
	sink Sink

	sources []*source
	meta    *history.Meta
	vars    map[string]history.VarID
	grown   bool // meta has more than the sink knows
	renames bool // a node whose name becomes known takes its address' place
	began   bool
	at      history.Position // of the last entry fed
	gaps    []gap            // to be said
	stats   Stats
}

// A gap is what the sink is to be told of a node.
type gap struct {
	node string
	span history.Span
}

// queuedMax bounds the entries that wait for a node that holds back; then nobody
// waits for it any more.
const queuedMax = 1 << 20

// nearby is how close to the walk a node that was silent must have come for the walk
// to wait until it is there.
const nearby = time.Second

// Stats count what a Merger did.
type Stats struct {
	Events uint64 // fed
	Late   uint64 // came after the walk had passed them
	Nodes  []NodeStats
}

// NodeStats are those of one node.
type NodeStats struct {
	Name    string // its address as long as it wasn't reached
	Events  uint64 // received
	Late    uint64
	Promise hlc.Timestamp
	Silent  bool // it holds back no longer
}

// A source is one node, in the order of the addresses.
type source struct {
	name   string // its address until it is known
	node   int    // index in meta.Nodes
	known  bool
	based  bool // a base came
	heard  time.Duration
	absent bool // it can't be reached, and never could: nobody waits for it
	build  string
	ids    []history.VarID // of the meta, by the stream's numbers
	bulky  map[history.VarID]hlc.Timestamp

	queue   []history.Event // received and not fed
	promise hlc.Timestamp
	last    history.Position // of the last entry received
	parts   *history.State   // of a base that isn't whole

	state *history.State // after what was consumed of the queue; nil before the first base
	shown *history.State // what the sink has, where that differs from state
	// joined: the sink follows it. Else its entries that the walk has passed are
	// consumed as late, until it has promised where the walk is.
	joined bool
	silent bool          // and nobody waits for it
	owed   hlc.Timestamp // entries up to this one were promised before it fell silent
	until  hlc.Timestamp // it doesn't join before the walk is here
	gap    hlc.Timestamp // where it began to be unknown; 0 if it isn't
	gapOf  string        // the name that it had then
	counts NodeStats
}

// NewMerger returns a Merger of so many nodes, named by their addresses until they
// say their names, for a walk that begins after from; 0 is as early as all can.
func NewMerger(addrs []string, from hlc.Timestamp, hold time.Duration, sink Sink) *Merger {
	m := &Merger{hold: hold, from: from, sink: sink, meta: &history.Meta{}, vars: map[string]history.VarID{}}
	for _, a := range addrs {
		m.sources = append(m.sources, &source{name: a, node: -1})
	}
	return m
}

// Hello takes a node's hello, at a moment.
func (m *Merger) Hello(i int, h *Hello, now time.Duration) error {
	s := m.sources[i]
	for j, o := range m.sources {
		if j != i && o.known && o.name == h.Node {
			return fmt.Errorf("two of the addresses are of node %s: name each node once", h.Node)
		}
	}
	if s.known && s.name != h.Node {
		return fmt.Errorf("where node %s was is node %s now", s.name, h.Node)
	}
	s.heard, s.absent, s.build = now, false, h.Build
	if !s.known {
		// The place of its address stays, unknown up to here.
		s.name, s.known, s.node = h.Node, true, -1
		if m.began {
			m.place()
		}
	}
	s.ids, s.parts = nil, nil
	return nil
}

// place numbers the nodes anew.
func (m *Merger) place() {
	meta := &history.Meta{Vars: m.meta.Vars}
	if !m.renames {
		meta.Nodes = slices.Clone(m.meta.Nodes)
	}
	for _, s := range m.sources {
		if _, ok := meta.NodeIndex(s.name); !ok {
			meta.Nodes = append(meta.Nodes, history.Node{Name: s.name})
			slices.SortFunc(meta.Nodes, func(a, b history.Node) int { return strings.Compare(a.Name, b.Name) })
		}
	}
	for _, s := range m.sources {
		s.node, _ = meta.NodeIndex(s.name)
		meta.Nodes[s.node].Build = s.build
	}
	if at := m.at.Node; at < len(m.meta.Nodes) {
		m.at.Node, _ = meta.NodeIndex(m.meta.Nodes[at].Name)
	}
	m.meta, m.grown = meta, true
}

// learn takes the names that a frame brought.
func (m *Merger) learn(s *source, n Names, bulky []Bulky) {
	if n.From == 0 && len(n.Names) > 0 {
		s.ids = nil
	}
	for _, name := range n.Names {
		id, ok := m.vars[name]
		if !ok {
			id = history.VarID(len(m.vars))
			m.vars[name] = id
			meta := *m.meta
			meta.Vars = append(m.meta.Vars[:id:id], history.Var{Name: name})
			m.meta, m.grown = &meta, true
		}
		s.ids = append(s.ids, id)
	}
	for _, b := range bulky {
		if _, ok := s.bulky[s.ids[b.Var]]; !ok {
			if s.bulky == nil {
				s.bulky = map[history.VarID]hlc.Timestamp{}
			}
			s.bulky[s.ids[b.Var]], m.grown = b.From, true
		}
	}
}

// translate gives changes the numbers of the meta.
func (s *source) translate(cs []history.Change) {
	for i := range cs {
		cs[i].Var = s.ids[cs[i].Var]
	}
}

// Base takes a part of a base.
func (m *Merger) Base(i int, f *Base, now time.Duration) {
	s := m.sources[i]
	s.heard = now
	m.learn(s, f.Names, f.Bulky)
	s.translate(f.Changes)
	if s.parts == nil {
		s.parts = history.NewState()
	}
	s.parts.ApplyAll(f.Changes)
	if !f.Last {
		return
	}
	ev := history.Event{Position: history.Position{Time: f.Time, Seq: f.Seq}, Base: true, Kind: history.KindBase, Changes: whole(s.parts)}
	s.parts = nil
	if s.based { // what is between wasn't told
		m.lose(s, s.last.Time+1)
		s.until = f.Time
	}
	s.based = true
	s.queue = append(s.queue, ev)
	s.last, s.promise = ev.Position, max(s.promise, f.Time)
}

// whole is all variables of a state.
func whole(s *history.State) []history.Change {
	ids := s.Vars()
	cs := make([]history.Change, len(ids))
	for i, id := range ids {
		cs[i] = history.Change{Var: id, Value: s.Get(id)}
	}
	return cs
}

// difference turns one state into another, variable by variable.
func difference(old, now *history.State) []history.Change {
	var cs []history.Change
	if old != nil {
		for _, id := range old.Vars() {
			if now.Get(id).IsAbsent() {
				cs = append(cs, history.Change{Var: id})
			}
		}
	}
	return append(cs, whole(now)...)
}

// Block takes a block.
func (m *Merger) Block(i int, f *Block, now time.Duration) {
	s := m.sources[i]
	s.heard = now
	m.learn(s, f.Names, f.Bulky)
	for j := range f.Events {
		e := f.Events[j]
		if e.Seq <= s.last.Seq || !s.based {
			continue // told before
		}
		if e.Time <= s.promise && s.joined {
			m.lose(s, e.Time)
		}
		s.translate(e.Changes)
		s.counts.Events++
		s.queue = append(s.queue, e)
		s.last = e.Position
	}
	s.promise = max(s.promise, f.Promise)
}

// lose makes a node that the walk follows unknown from a time on.
func (m *Merger) lose(s *source, from hlc.Timestamp) {
	if !s.joined {
		return
	}
	s.joined, s.silent, s.owed, s.shown = false, true, s.promise, nil
	m.open(s, from)
}

// open begins a gap.
func (m *Merger) open(s *source, from hlc.Timestamp) {
	if s.gap == 0 {
		s.gap, s.gapOf = max(from, 1), s.name
		m.gaps = append(m.gaps, gap{s.name, history.Span{From: s.gap, To: hlc.Max}})
	}
}

// say tells the sink of the gaps.
func (m *Merger) say() {
	for _, g := range m.gaps {
		if node, ok := m.meta.NodeIndex(g.node); ok {
			m.sink.Gap(node, g.span)
		}
	}
	m.gaps = m.gaps[:0]
}

// Absent says that a node that hasn't told anything yet can't be reached: nobody waits
// for it until it can.
func (m *Merger) Absent(i int) { m.sources[i].absent = !m.sources[i].based }

// Reach is up to when the walk is complete, of all nodes that are waited for.
func (m *Merger) Reach() hlc.Timestamp {
	low, any := hlc.Max, false
	for _, s := range m.sources {
		switch {
		case s.joined:
			low, any = min(low, s.promise), true
		case !s.silent:
			return m.at.Time
		}
	}
	if !any {
		return m.at.Time
	}
	return max(low, m.at.Time)
}

// Advance feeds what has become final at a moment. Its error is the Sink's.
func (m *Merger) Advance(now time.Duration) error {
	if !m.began && !m.begin(now) {
		return nil
	}
	m.listen(now)
	if m.grown {
		m.grown = false
		m.noteBulky()
		if err := m.sink.Grow(m.meta); err != nil {
			return err
		}
	}
	for {
		if err := m.join(); err != nil {
			return err
		}
		m.say()
		fed, err := m.feed()
		if err != nil || !fed {
			return err
		}
	}
}

// noteBulky puts into the meta what nodes leave out.
func (m *Merger) noteBulky() {
	meta := *m.meta
	meta.Vars = slices.Clone(meta.Vars)
	for i := range meta.Vars {
		meta.Vars[i].Bulky = nil
		for _, s := range m.sources {
			if from, ok := s.bulky[history.VarID(i)]; ok && s.node >= 0 {
				meta.Vars[i].Bulky = append(meta.Vars[i].Bulky, history.Bulky{Node: s.node, From: from})
			}
		}
		slices.SortFunc(meta.Vars[i].Bulky, func(a, b history.Bulky) int { return a.Node - b.Node })
	}
	m.meta = &meta
}

// listen decides for which nodes the walk waits.
func (m *Merger) listen(now time.Duration) {
	queued := 0
	for _, s := range m.sources {
		queued += len(s.queue)
	}
	for _, s := range m.sources {
		near := s.state != nil && m.at.Time >= s.until && s.promise >= m.at.Time.Add(-nearby)
		quiet := now-s.heard > m.hold || s.absent
		switch {
		case !s.silent && (quiet || queued > queuedMax && len(s.queue) == 0):
			m.silence(s)
		case s.silent && near && !quiet && queued <= queuedMax/2:
			s.silent = false
		}
	}
	m.skip()
}

// skip moves the walk to where the first of the nodes begins again, if it follows
// none.
func (m *Merger) skip() {
	var first *source
	for _, s := range m.sources {
		if s.joined || !s.silent {
			return
		}
		if s.until > m.at.Time && s.promise >= s.until && (first == nil || s.until < first.until) {
			first = s
		}
	}
	if first != nil {
		m.at = history.Position{Time: first.until, Node: history.End.Node, Seq: history.End.Seq}
		first.silent = false
	}
}

// silence stops waiting for a node.
func (m *Merger) silence(s *source) {
	if s.joined {
		m.lose(s, s.promise+1)
		return
	}
	s.silent, s.owed = true, s.promise
	m.open(s, m.at.Time+1)
}

// begin decides where the walk begins, when all nodes have said where they do, or
// have had their time to.
func (m *Merger) begin(now time.Duration) bool {
	start, any := m.from, false
	for _, s := range m.sources {
		switch {
		case len(s.queue) > 0:
			any = true
			start = max(start, s.queue[0].Time)
		case now-s.heard <= m.hold && !s.absent:
			return false
		}
	}
	if !any {
		return false
	}
	m.began, m.at = true, history.Position{Time: start, Node: history.End.Node, Seq: history.End.Seq}
	m.place()
	return true
}

// passed reports whether the walk is at or behind a position.
func (m *Merger) passed(s *source, p history.Position) bool {
	p.Node = s.node
	return p.Compare(m.at) <= 0
}

// join consumes what the walk has passed of nodes that it doesn't follow, and takes
// in those that have told everything up to there.
func (m *Merger) join() error {
	for _, s := range m.sources {
		if s.joined || !s.known {
			continue
		}
		n := 0
		for n < len(s.queue) && m.passed(s, s.queue[n].Position) {
			m.consume(s, &s.queue[n])
			n++
		}
		s.queue = s.queue[n:]
		if s.state == nil || s.promise < m.at.Time || s.silent {
			continue
		}
		if err := m.enter(s); err != nil {
			return err
		}
	}
	return nil
}

// consume applies a late entry, or one from before the walk.
func (m *Merger) consume(s *source, e *history.Event) {
	if s.state != nil && s.shown == nil {
		s.shown = s.state.Clone()
	}
	if !e.Base && s.gap != 0 {
		s.counts.Late++
		m.stats.Late++
	}
	s.apply(e)
}

func (s *source) apply(e *history.Event) {
	if e.Base || s.state == nil {
		s.state = history.NewState()
	}
	s.state.ApplyAll(e.Changes)
}

// enter takes a node into the walk where it is.
func (m *Merger) enter(s *source) error {
	s.joined, s.silent = true, false
	if s.gap != 0 {
		m.gaps = append(m.gaps, gap{s.gapOf, history.Span{From: s.gap, To: m.at.Time + 1}})
		s.gap = 0
		m.say()
	}
	old := s.shown
	s.shown = nil
	if m.counting(s) == 0 {
		return nil // its first event, if there is one, comes
	}
	base := history.Event{Position: history.Position{Time: m.at.Time, Node: s.node, Seq: m.counting(s)}, Base: true,
		Kind: history.KindBase, Changes: difference(old, s.state)}
	return m.sink.Feed(&base)
}

// counting is the sequence number of the last entry of a node that was consumed.
func (m *Merger) counting(s *source) uint64 {
	if len(s.queue) > 0 {
		return s.queue[0].Seq - 1
	}
	return s.last.Seq
}

// feed feeds the next entry, if it is final.
func (m *Merger) feed() (bool, error) {
	low := hlc.Max
	var next *source
	for _, s := range m.sources {
		switch {
		case s.joined:
			low = min(low, s.promise)
		case !s.silent:
			low = 0 // it is on its way
		}
		if len(s.queue) == 0 || !s.joined && s.queue[0].Time > s.owed {
			continue
		}
		if next == nil || m.before(s, next) {
			next = s
		}
	}
	if next == nil || next.queue[0].Time > low {
		return false, nil
	}
	ev := &next.queue[0]
	next.queue = next.queue[1:]
	ev.Node = next.node
	if ev.Base {
		now := history.NewState()
		now.ApplyAll(ev.Changes)
		ev.Changes = difference(next.state, now)
	}
	next.apply(ev)
	if !ev.Base {
		m.stats.Events++
	}
	m.at = ev.Position
	return true, m.sink.Feed(ev)
}

func (m *Merger) before(a, b *source) bool {
	p, q := a.queue[0].Position, b.queue[0].Position
	p.Node, q.Node = a.node, b.node
	return p.Compare(q) < 0
}

// Stats returns what was done so far.
func (m *Merger) Stats() Stats {
	out := m.stats
	for _, s := range m.sources {
		c := s.counts
		c.Name, c.Promise, c.Silent = s.name, s.promise, s.silent
		out.Nodes = append(out.Nodes, c)
	}
	return out
}

// Meta is what is known of nodes and variables.
func (m *Merger) Meta() *history.Meta { return m.meta }
