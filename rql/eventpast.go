package rql

import (
	"cmp"
	"slices"

	"hindcast.dev/causal"
	"hindcast.dev/history"
)

// Event queries are answered along the walk. Every node carries with it what has
// happened before the present moment, as far as the query may ask for it, and a
// message carries that to its receiver: what a running process would have to
// carry as baggage (Mace, Roelke, Fonseca: "Pivot Tracing", 2015, sections 3 and
// 5). So the answer is what processes would find that know nothing but their own
// baggage.

// A relation is one of the two happened-befores of the language.
type relation int

const (
	// lamport is ->: the order of each node's own events, and links.
	lamport relation = iota
	// along is =>: links alone, from what an event was handled for to what came of it.
	along
	relations
)

// packed is an occurrence, or the row of a sub-query, that may be joined to
// later ones.
type packed struct {
	at     history.Position
	effect int
	ord    uint64  // among the occurrences of its node, from 1
	values []value // of the fields that the query reads, in the order of Input.Fields
	// before is what happened before it; set where something is joined to it.
	before [relations]*past
	mark   uint64 // of the last count that found it
}

func (a *packed) compare(b *packed) int {
	return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.effect, b.effect))
}

// A chain is what happened along links, the last first.
type chain struct {
	p    *packed
	prev *chain
	mark uint64
}

// A past is what has happened before a moment, as far as a query asks for it.
type past struct {
	// clock is, by node, up to which occurrence; that of the node itself isn't kept.
	// Only of lamport.
	clock  []uint64
	packs  [][]*packed // by slot: the first or the last ones, in the order of the walk
	chains []*chain    // by slot: all of them; only of along
	shared bool        // others have it too: it isn't changed any more
	mark   uint64
}

// A slot is where a past keeps what one input reads.
type slot struct {
	in    *eventInput
	index int      // into packs, chains or store
	kind  slotKind // how much is kept
}

// slotKind says how much of what happened before is kept.
type slotKind int

const (
	slotPack  slotKind = iota // so many, the first or the last
	slotChain                 // all, along links
	slotStore                 // all: one list for the whole query, a clock says how far
)

// A pastPlan is how much there is to carry.
type pastPlan struct {
	uses   [relations]bool
	packs  [relations]int
	chains int
	stores int
	nodes  int
	inputs []*eventInput // that are joined to others
}

// place gives an input its slot.
func (p *pastPlan) place(in *eventInput) {
	rel := in.relation()
	p.uses[rel] = true
	p.inputs = append(p.inputs, in)
	switch {
	case in.plan.Limited():
		in.slot = slot{in, p.packs[rel], slotPack}
		p.packs[rel]++
	case rel == along:
		in.slot = slot{in, p.chains, slotChain}
		p.chains++
	default:
		in.slot = slot{in, p.stores, slotStore}
		p.stores++
	}
}

// newPast is a past in which nothing has happened.
func (p *pastPlan) newPast(rel relation) *past {
	b := &past{packs: make([][]*packed, p.packs[rel])}
	if rel == along {
		b.chains = make([]*chain, p.chains)
	} else {
		b.clock = make([]uint64, p.nodes)
	}
	return b
}

// own makes a past one that may be changed.
func (b *past) own() *past {
	if !b.shared {
		return b
	}
	return &past{clock: b.clock, packs: slices.Clone(b.packs), chains: slices.Clone(b.chains)}
}

// only is the part of a past that is kept for some inputs.
func (b *past) only(rel relation, inputs []*eventInput) *past {
	out := &past{clock: b.clock, packs: make([][]*packed, len(b.packs)), chains: make([]*chain, len(b.chains))}
	for _, in := range inputs {
		switch s := in.slot; {
		case in.relation() != rel:
		case s.kind == slotPack:
			out.packs[s.index] = b.packs[s.index]
		case s.kind == slotChain:
			out.chains[s.index] = b.chains[s.index]
		}
	}
	return out
}

// add puts in what happened last.
func (b *past) add(s slot, p *packed) {
	if s.kind == slotChain {
		b.chains[s.index] = &chain{p: p, prev: b.chains[s.index]}
		return
	}
	list := b.packs[s.index]
	n := int(s.in.plan.N)
	switch {
	case len(list) < n:
		b.packs[s.index] = append(slices.Clip(list), p)
	case !s.in.plan.First():
		b.packs[s.index] = append(append(make([]*packed, 0, n), list[1:]...), p)
	}
}

// learn adds all that a message of node from, sent as occurrence ord, tells; b
// isn't shared.
func (b *past) learn(m *past, from int, ord uint64, inputs []*eventInput) {
	clock := slices.Clone(b.clock)
	for i, n := range m.clock {
		clock[i] = max(clock[i], n)
	}
	clock[from] = max(clock[from], ord)
	b.clock = clock
	for _, in := range inputs {
		if s := in.slot; s.kind == slotPack && in.relation() == lamport {
			b.packs[s.index] = mergePacks(b.packs[s.index], m.packs[s.index], int(in.plan.N), in.plan.First())
		}
	}
}

// join is what two pasts along links hold together.
func (b *past) join(m *past, inputs []*eventInput) *past {
	out := &past{packs: slices.Clone(b.packs), chains: slices.Clone(b.chains)}
	for _, in := range inputs {
		switch s := in.slot; {
		case in.relation() != along:
		case s.kind == slotPack:
			out.packs[s.index] = mergePacks(b.packs[s.index], m.packs[s.index], int(in.plan.N), in.plan.First())
		default:
			out.chains[s.index] = mergeChains(b.chains[s.index], m.chains[s.index])
		}
	}
	return out
}

// mergeChains merges two chains, which may be one from some link on.
func mergeChains(a, b *chain) *chain {
	var out []*packed // the last first
	for a != b && (a != nil || b != nil) {
		c := 1
		switch {
		case a == nil:
			c = -1
		case b != nil:
			c = a.p.compare(b.p)
		}
		next := &a
		if c < 0 {
			next = &b
		}
		p := (*next).p
		*next = (*next).prev
		known := false
		for i := len(out) - 1; i >= 0 && !known && out[i].compare(p) == 0; i-- { // rows of a sub-query may be of one moment
			known = out[i] == p
		}
		if !known {
			out = append(out, p)
		}
	}
	for _, p := range slices.Backward(out) {
		a = &chain{p: p, prev: a}
	}
	return a
}

// mergePacks returns the first or last n of two lists in the order of the walk.
func mergePacks(a, b []*packed, n int, first bool) []*packed {
	if len(b) == 0 || len(a) == len(b) && slices.Equal(a, b) {
		return a
	}
	if len(a) == 0 {
		return b
	}
	all := make([]*packed, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		switch c := a[0].compare(b[0]); {
		case c < 0:
			all, a = append(all, a[0]), a[1:]
		case c > 0:
			all, b = append(all, b[0]), b[1:]
		default:
			all, a, b = append(all, a[0]), a[1:], b[1:]
		}
	}
	all = append(append(all, a...), b...)
	if first {
		return slices.Clip(all[:min(n, len(all))])
	}
	return all[max(0, len(all)-n):]
}

// A message is what a send, timer or call carries with it.
type message struct {
	ord  uint64
	past [relations]*past
}

// A timerName is a timer of one machine.
type timerName struct {
	node          int
	machine, name string
}

// messages are those under way, and those lately received: they might come again.
type messages struct {
	*causal.Links[*message]
	timers map[timerName]timerSet // that were set last
}

// A timerSet is a timer that was set: what it carries tells whether its id names
// another one since.
type timerSet struct {
	flight *causal.Flight[*message]
	m      *message
}

func newMessages(nodes int) *messages {
	return &messages{causal.NewLinks[*message](nodes, 0), map[timerName]timerSet{}}
}

// drop forgets a timer that won't fire.
func (t *messages) drop(name timerName) {
	set, ok := t.timers[name]
	if !ok {
		return
	}
	delete(t.timers, name)
	if set.flight.Value == set.m {
		t.Forget(set.flight)
	}
}

// A census counts what is kept, by marking it.
type census struct {
	mark  uint64
	count int
	todo  []*past
}

// past counts what is in a past and has no mark yet.
func (c *census) past(b *past) {
	c.todo = append(c.todo, b)
	for len(c.todo) > 0 {
		b := c.todo[len(c.todo)-1]
		c.todo = c.todo[:len(c.todo)-1]
		if b == nil || b.mark == c.mark {
			continue
		}
		b.mark = c.mark
		for _, list := range b.packs {
			for _, p := range list {
				c.packed(p)
			}
		}
		for _, l := range b.chains {
			for ; l != nil && l.mark != c.mark; l = l.prev {
				l.mark = c.mark
				c.packed(l.p)
			}
		}
	}
}

func (c *census) packed(p *packed) {
	if p.mark == c.mark {
		return
	}
	p.mark = c.mark
	c.count++
	for _, b := range p.before {
		c.todo = append(c.todo, b)
	}
}
