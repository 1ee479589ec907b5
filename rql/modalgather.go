package rql

import (
	"cmp"
	"context"
	"io"
	"slices"

	"hindcast.dev/causal"
	"hindcast.dev/history"
	"hindcast.dev/hlc"
	"hindcast.dev/rql/lattice"
	"hindcast.dev/rql/plan"
)

// A gatherer walks a History once and keeps of it what the search needs: who comes
// before whom, and for the condition's alternatives where each probe holds and
// how each series changes, or else every node's state wherever one that matters
// changes.
type gatherer struct {
	m        *modal
	e        *engine
	asks     []*asking // by member of FOR EACH; one without
	comp     *lattice.Computation
	links    *causal.Links[*sending]
	at       []uint64 // by node: its events so far
	asked    []bool   // by node
	numbers  []numbering
	reads    map[history.VarID]bool // what the condition looks at
	keyed    map[history.VarID]bool // of which an entry concerns the member that is its key
	has      map[[2]int]bool        // by node and keyed variable: whether it was there
	step     bool                   // the engine decides every cut, too
	relevant [][]uint64             // by node: events after which states are kept
	states   [][]stateAt            // by node: at the bottom, and after those
	kept     int
	amends   []amend
}

// An asking is the condition, for a member of FOR EACH.
type asking struct {
	inst   *instance
	shape  *shape
	probes [][]*probe // by node
	tracks [][]*track // likewise
	first  []uint64   // the walk's first cut that holds; nil: none did
}

func (g *gatherer) newAsking(in *instance, s *shape) *asking {
	n := len(g.at)
	a := &asking{inst: in, shape: s, probes: make([][]*probe, n), tracks: make([][]*track, n)}
	for _, p := range s.probes {
		a.probes[p.node] = append(a.probes[p.node], p)
	}
	for _, t := range s.tracks {
		a.tracks[t.node] = append(a.tracks[t.node], t)
	}
	return a
}

// A sending is where a message was sent last, and what becomes of it.
type sending struct {
	event  uint64 // 0: below the bottom
	course course
}

func (m *modal) newGatherer(e *engine, shapes []*shape) *gatherer {
	n := len(m.meta.Nodes)
	g := &gatherer{m: m, e: e, comp: lattice.New(n), at: make([]uint64, n),
		numbers: make([]numbering, n), reads: map[history.VarID]bool{}, keyed: map[history.VarID]bool{}, has: map[[2]int]bool{}, relevant: make([][]uint64, n),
		states: make([][]stateAt, n), step: m.q.Modal.Definitely || e.net != nil}
	late := 0
	if e.net != nil {
		late = -1 // wherever else it goes makes a difference
	}
	g.links = causal.NewLinks[*sending](n, late)
	if w := m.q.Modal.Within; w != nil {
		g.comp.Within(hlc.DurationTicks(w.D))
	}
	for i := range n {
		if g.asked = append(g.asked, slices.Contains(e.w.nodes, i)); !g.asked[i] {
			g.comp.Silence(i)
		}
	}
	for _, r := range m.q.ReadsOfCondition() {
		for _, c := range r.Vars {
			id := history.VarID(c.Var)
			byKey := m.q.ForEach != nil && c.Rest < len(r.Steps) && isMember(&r.Steps[c.Rest])
			g.keyed[id] = byKey && (g.keyed[id] || !g.reads[id])
			g.reads[id] = true
		}
	}
	for i, s := range shapes {
		g.asks = append(g.asks, g.newAsking(e.insts[i], s))
	}
	return g
}

// walk takes everything up to the end of the range.
func (g *gatherer) walk(ctx context.Context, cur history.Cursor) error {
	bottom := g.m.begin == history.Begin
	if bottom {
		g.open()
	} else if err := g.count(ctx); err != nil {
		return err
	}
	for {
		ev, err := cur.Next()
		if err == io.EOF {
			break
		}
		if err = cmp.Or(err, ctx.Err()); err != nil {
			return err
		}
		if ev.Time > g.m.to {
			break
		}
		if !bottom && ev.Position.Compare(g.m.begin) > 0 {
			bottom = true
			g.open()
		}
		if err := g.feed(ev, bottom); err != nil {
			return err
		}
	}
	if !bottom {
		g.open()
	}
	return nil
}

// count finds the sequence numbers at the bottom.
func (g *gatherer) count(ctx context.Context) error {
	for _, n := range g.e.w.nodes {
		last, err := g.m.src.Before(ctx, g.m.begin, 1, []int{n})
		switch {
		case err != nil:
			return err
		case len(last) > 0:
			g.numbers[n].base = last[0].Seq
		case g.e.w.states[n] != nil: // by a base
			cur, err := g.m.src.Walk(ctx, history.Begin, g.m.begin, []int{n})
			if err != nil {
				return err
			}
			if ev, err := cur.Next(); err == nil {
				g.numbers[n].base = ev.Seq
			}
			if err := cur.Close(); err != nil {
				return err
			}
		}
	}
	return nil
}

// open looks at the bottom.
func (g *gatherer) open() {
	g.m.empty = g.m.begin == history.Begin
	for _, n := range g.e.w.nodes {
		g.look(g.asks, n, n, 0, history.Position{Node: n})
	}
	if !g.m.empty && g.e.cut > 0 {
		g.noteFirst(g.e.insts)
	}
}

// feed takes one entry; above says that it lies above the bottom.
func (g *gatherer) feed(ev *history.Event, above bool) error {
	n := ev.Node
	asked := g.asked[n]
	k := uint64(0)
	if above {
		k = g.comp.Add(n, ev.Time)
		g.at[n] = k
	}
	lost := g.order(ev, k)
	if asked {
		if err := g.follow(ev, above); err != nil {
			return err
		}
	}
	g.numbers[n].set(k, ev.Seq)
	if !asked || !above {
		return nil
	}
	g.m.sum.Cuts += min(k, 1)
	if k == 1 || ev.Base || g.matters(ev) {
		asks := g.concerned(ev, k)
		g.look(asks, n, n, k, ev.Position)
		for _, from := range lost {
			g.look(asks, from, n, k, ev.Position)
		}
	}
	if g.noteFirst(g.e.flips); len(g.e.insts) == 1 { // a base above the bottom may have made it
		g.noteFirst(g.e.insts)
	}
	return g.m.enough(g.kept)
}

// noteFirst notes that the walk comes to its first cut for those that hold.
func (g *gatherer) noteFirst(ins []*instance) {
	for _, in := range ins {
		if a := g.asks[max(in.index, 0)]; g.step && in.matching && a.first == nil {
			a.first = slices.Clone(g.at)
		}
	}
}

// isMember reports whether a step is to the entry of which the member of FOR EACH is
// the key.
func isMember(s *plan.Step) bool {
	l, ok := s.Index.(*plan.Local)
	return s.Kind == plan.StepIndex && ok && l.Index == 0 && len(l.Steps) == 0
}

// concerned are those for which an event may change something.
func (g *gatherer) concerned(ev *history.Event, k uint64) []*asking {
	if len(g.asks) == 1 || k <= 1 || ev.Base || g.e.net != nil {
		clear(g.has)
		return g.asks
	}
	var out []*asking
	all := false
	for i := range ev.Changes {
		c := &ev.Changes[i]
		switch {
		case !g.reads[c.Var]:
		case g.keyed[c.Var] && g.appears(ev.Node, c.Var), !g.keyed[c.Var], len(c.Path) == 0:
			all = true // where a map is, its absent entries count
		default:
			if in := g.e.instanceOf(c.Path[0]); in != nil && !slices.Contains(out, g.asks[in.index]) {
				out = append(out, g.asks[in.index])
			}
		}
	}
	if all {
		return g.asks
	}
	return out
}

// appears reports whether a node may have got a variable, or lost it, since it was
// asked last.
func (g *gatherer) appears(node int, id history.VarID) bool {
	at := [2]int{node, int(id)}
	was, known := g.has[at]
	now := !g.e.w.get(node, int(id), false).IsAbsent()
	g.has[at] = now
	return !known || now != was
}

// follow gives the engine the entry.
func (g *gatherer) follow(ev *history.Event, above bool) error {
	if !g.step {
		g.e.base(ev)
		g.e.w.event, g.e.w.now = ev, ev.Time // of a fault
		return g.e.err
	}
	return stepOrBase(g.e, ev, above)
}

// stepOrBase moves an engine on. A base above the bottom makes a cut in the
// lattice.
func stepOrBase(e *engine, ev *history.Event, above bool) error {
	if ev.Base {
		e.base(ev)
		if !above {
			return e.err
		}
		ev = &history.Event{Position: ev.Position, Kind: history.KindBase}
	}
	return e.step(ev)
}

// order takes in which messages the event sent and received, and returns the other
// nodes on whose side one isn't under way any more, if anybody asks for those.
func (g *gatherer) order(ev *history.Event, k uint64) (lost []int) {
	if ev.Base && k > 0 { // what it came of isn't known: all that was before it, at most
		for j, at := range g.at {
			g.comp.After(ev.Node, j, at)
		}
	}
	meta := g.m.meta
	for l := range ev.Arrivals() {
		if f := g.links.Receive(meta.Receiving(ev.Node, l)); f != nil {
			lost = g.land(ev, k, f, lost)
			g.arrives(ev, k, f)
		}
	}
	if l, ok := ev.Lost(); ok {
		for _, f := range g.links.Lose(meta.Losing(ev.Node, l)) {
			lost = g.land(ev, k, f, lost)
			g.fails(ev, k, f)
		}
	}
	for l := range ev.Departures() {
		f := g.links.Send(meta.Sending(ev.Node, l))
		if f.Value == nil {
			f.Value = &sending{}
		}
		g.departs(ev, l, k, f)
		f.Value.event = k
	}
	return lost
}

// land takes in that a message ends at an event, and returns lost with its sender
// if that is another node and net.inflight is asked.
func (g *gatherer) land(ev *history.Event, k uint64, f *causal.Flight[*sending], lost []int) []int {
	if s := f.Value; k > 0 && s.event > 0 {
		g.comp.After(ev.Node, f.From, s.event)
	}
	if g.e.net != nil && f.From != ev.Node {
		lost = append(lost, f.From)
	}
	return lost
}

// matters reports whether an event changes something that the condition reads.
func (g *gatherer) matters(ev *history.Event) bool {
	for i := range ev.Changes {
		if g.reads[ev.Changes[i].Var] {
			return true
		}
	}
	if g.e.net == nil {
		return false
	}
	for _, id := range [...]history.VarID{g.e.net.sent, g.e.net.received, g.e.net.inflight} {
		if g.reads[id] {
			return true // any event may send or receive
		}
	}
	return false
}

// look takes what a node's state, as it is now, means after event k of a process.
func (g *gatherer) look(asks []*asking, node, process int, k uint64, at history.Position) {
	keep := false
	for _, a := range asks {
		if !a.shape.known() {
			keep = true
			continue
		}
		g.e.enter(a.inst)
		if node == process {
			for _, p := range a.probes[node] {
				p.set(k, p.holds())
			}
			for _, t := range a.tracks[node] {
				t.set(k)
			}
		}
		for _, t := range a.shape.series {
			t.look(g.e, node, process, k)
		}
	}
	if keep {
		g.keep(node, process, k, at)
	}
}

// keep keeps a node's state for a search cut by cut.
func (g *gatherer) keep(node, process int, k uint64, at history.Position) {
	if node != process {
		return
	}
	s := g.e.w.states[node]
	if s != nil {
		s = history.NewState()
		for id := range g.reads {
			s.Set(id, g.e.w.get(node, int(id), false))
		}
	}
	if k == 0 {
		g.states[node] = []stateAt{{s, at}}
		return
	}
	g.kept++
	g.relevant[node] = append(g.relevant[node], k)
	g.states[node] = append(g.states[node], stateAt{s, at})
}

// A stateAt is what the condition reads on a node after an event at that place;
// nil where the node isn't in the cut.
type stateAt struct {
	vars *history.State
	at   history.Position
}

// A numbering tells the sequence numbers of a node's events, most of which follow
// each other.
type numbering struct {
	runs []run
	base uint64 // of what is below the bottom
}

// A run says that event at, and those after it, have the sequence numbers from seq on.
type run struct{ at, seq uint64 }

func (n *numbering) set(k, seq uint64) {
	if k == 0 {
		n.base = seq
		return
	}
	if r := len(n.runs); r == 0 || n.runs[r-1].seq+(k-n.runs[r-1].at) != seq {
		n.runs = append(n.runs, run{k, seq})
	}
}

// of returns the sequence number of event k; 0 is what is below the bottom.
func (n *numbering) of(k uint64) uint64 {
	if k == 0 {
		return n.base
	}
	i, _ := slices.BinarySearchFunc(n.runs, k+1, func(r run, k uint64) int {
		if r.at < k {
			return -1
		}
		return 1
	})
	r := n.runs[i-1]
	return r.seq + (k - r.at)
}
