package rql

import (
	"slices"

	"hindcast.dev/event"
	"hindcast.dev/rql/plan"
)

// allNodes marks a leaf that is to be decided anew on every node.
const allNodes = -1

// A leafState is what is kept of a leaf's truth, for one member of FOR EACH or
// for all.
type leafState struct {
	ok    bool
	stamp uint64 // of the cut at which it was marked
	node  int    // what to decide anew then: a node or allNodes
	nodes []nodeTruth
	in    int // how many of nodes are in
	trues int // how many of those are true
	keys  *keyTruth
	join  *joinState
	loose bool // a constant of join changed
}

// A nodeTruth is a leaf's truth on one node: a candidate, or a node that LINK
// EACH_NODE goes over, is in.
type nodeTruth struct{ in, holds bool }

// A keyTruth is a quantifier's truth for each key.
type keyTruth struct {
	holds map[string]bool
	trues int
	count int           // of rows whose truth is in
	rows  []keyRow      // to be decided anew, where the keys have rows
	touch []event.Value // keys to be decided anew
	all   bool          // all are
}

// decide evaluates a leaf where it was marked.
func (e *engine) decide(l *plan.Leaf, s *leafState) {
	if code := e.code[l.ID].row; code != nil && s.nodes != nil && s.node >= 0 && e.decideRow(l, s, code) {
		return
	}
	switch l.Class {
	case plan.ClassOneNode:
		e.decideNodes(l, s, (*engine).oneNode)
	case plan.ClassEachNode:
		e.decideNodes(l, s, (*engine).eachNodeTruth)
	case plan.ClassEachKey:
		e.decideEachKey(l, s)
	case plan.ClassJoin:
		e.decideJoin(l, s)
	default:
		if e.each.alone(e, e.inst) {
			s.ok = e.each.bare
			return
		}
		s.ok = e.code[l.ID].parts[0](&e.env)
	}
}

// update sets the truth on one node and keeps the counts.
func (s *leafState) update(node int, now nodeTruth) {
	count := func(t nodeTruth, by int) {
		if t.in {
			s.in += by
			if t.holds {
				s.trues += by
			}
		}
	}
	count(s.nodes[node], -1)
	count(now, 1)
	s.nodes[node] = now
}

// decideNodes decides a leaf with one on the nodes where it was marked.
func (e *engine) decideNodes(l *plan.Leaf, s *leafState, one func(e *engine, l *plan.Leaf, node int) nodeTruth) {
	if s.nodes == nil {
		s.nodes = make([]nodeTruth, len(e.w.names))
	}
	if s.node != allNodes {
		s.update(s.node, one(e, l, s.node))
	} else {
		for _, n := range e.w.nodes {
			s.update(n, one(e, l, n))
		}
	}
	e.countNodes(l, s)
}

// decideRow decides a leaf on one node by its columns there, if it can.
func (e *engine) decideRow(l *plan.Leaf, s *leafState, code rowCode) bool {
	holds, sure := code.on(&e.env, s.node)
	if now := (nodeTruth{in: true, holds: holds}); sure && s.nodes[s.node] != now {
		s.update(s.node, now)
		e.countNodes(l, s)
	}
	return sure
}

// countNodes decides a leaf by its truth on the nodes.
func (e *engine) countNodes(l *plan.Leaf, s *leafState) {
	switch {
	case l.Class == plan.ClassEachNode:
		s.ok = (s.in > 0 && s.in == s.trues) != l.Not
	case s.in == 0:
		s.ok = e.partsHold(l, l.Slots[0], none)
	default:
		s.ok = s.trues > 0
	}
}

func (e *engine) oneNode(l *plan.Leaf, node int) nodeTruth {
	if !e.candidate(l.Slots[0], node) {
		return nodeTruth{}
	}
	return nodeTruth{in: true, holds: e.partsHold(l, l.Slots[0], node)}
}

func (e *engine) partsHold(l *plan.Leaf, slot, node int) bool {
	e.slots[slot] = node
	e.choice++
	for _, holds := range e.code[l.ID].parts {
		if !holds(&e.env) {
			return false
		}
	}
	return true
}

func (e *engine) eachNodeTruth(l *plan.Leaf, node int) nodeTruth {
	if !e.relevant(l.Each.Slot, node) {
		return nodeTruth{}
	}
	e.slots[l.Each.Slot] = node
	return nodeTruth{in: true, holds: e.code[l.ID].inner(&e.env)}
}

// decideEachKey decides a quantifier over KEYS for the keys that were touched.
func (e *engine) decideEachKey(l *plan.Leaf, s *leafState) {
	if v := e.keysIn(l); v != nil {
		e.decideRows(l, s, v)
		return
	}
	q := l.Quant
	k := s.keys
	if k.all {
		ms, _ := e.collection(q.Set)
		clear(k.holds)
		k.trues = 0
		for _, m := range ms {
			e.decideKey(l, k, m.v, true)
		}
	} else {
		ref := l.KeysOf()
		slices.SortFunc(k.touch, event.Compare)
		for _, key := range slices.CompactFunc(k.touch, event.Equal) {
			e.decideKey(l, k, key, e.hasKey(ref, key))
		}
	}
	k.touch, k.all = k.touch[:0], false
	some := k.trues > 0
	if q.All {
		some = k.trues == len(k.holds)
	}
	s.ok = some != l.Not
}

func (e *engine) decideKey(l *plan.Leaf, k *keyTruth, key event.Value, in bool) {
	id := keyID(key)
	if k.holds[id] {
		k.trues--
	}
	delete(k.holds, id)
	if !in {
		return
	}
	e.locals[l.Quant.Locals[0]] = of(key)
	if e.rows != nil {
		e.rows[l.Quant.Locals[0]] = askedFor
	}
	e.keysDecided++
	k.holds[id] = e.code[l.ID].inner(&e.env)
	if k.holds[id] {
		k.trues++
	}
}

// hasKey reports whether some node's map has the key.
func (e *engine) hasKey(r *plan.Ref, key event.Value) bool {
	for _, n := range e.w.nodes {
		if e.w.in(n) && !e.variable(r, n, false).AsMap().Get(key).IsAbsent() {
			return true
		}
	}
	return false
}
