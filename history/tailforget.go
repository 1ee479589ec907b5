package history

import (
	"slices"

	"hindcast.dev/hlc"
)

// forget has a base of each node in place of the older half of what is kept.
func (t *Tail) forget() error {
	old, drop, bytes := t.volume, 0, 0
	for drop < len(old.walk)-1 && bytes < old.bytes/2 {
		bytes += weigh(old.walk[drop])
		drop++
	}
	t.volume = &volume{refs: newReferences()}
	for i := range t.vars {
		t.vars[i].Nodes, t.vars[i].Types, t.vars[i].Changes = nil, nil, 0
	}
	if err := t.addNodes(); err != nil {
		return err
	}
	first := old.walk[drop].Position
	var bases []Event
	for i := range old.nodes {
		lane, ledger := &old.lanes[i], old.nodes[i].ledger
		k := lane.find(first)
		if k == 0 {
			l := t.nodes[i].ledger
			l.node.Unknown, l.node.Reason = slices.Clone(ledger.node.Unknown), ledger.node.Reason
			continue
		}
		last := lane.entries[k-1].Position
		bases = append(bases, Event{Position: last, Base: true, Kind: KindBase, Changes: wholeOf(lane.state(k))})
		t.carry(i, ledger, last.Time)
	}
	for _, e := range old.walk[:drop] {
		if !e.Base {
			t.forgotten++
		}
	}
	slices.SortFunc(bases, func(a, b Event) int { return a.Position.Compare(b.Position) })
	for i := range bases {
		t.put(&bases[i])
	}
	for _, e := range old.walk[drop:] {
		t.put(e)
	}
	return nil
}

// carry keeps what of a node is unknown behind the moment where it now begins.
func (t *Tail) carry(node int, old *ledger, begin hlc.Timestamp) {
	l := t.nodes[node].ledger
	for _, s := range old.node.Unknown {
		if s.To > begin {
			l.node.Unknown = append(l.node.Unknown, s)
		}
	}
	t.gaps[node] = slices.DeleteFunc(slices.Clone(t.gaps[node]), func(s Span) bool { return s.To <= begin })
	l.node.Reason = forgottenReason
}

// wholeOf is all variables of a state.
func wholeOf(s *State) (out []Change) {
	for _, id := range s.Vars() {
		out = append(out, Change{Var: id, Value: s.Get(id)})
	}
	return out
}

// restart begins a node anew, which lost its end and counts its events again: what it
// told before is forgotten.
func (t *Tail) restart(node int, begin hlc.Timestamp) {
	old := t.volume
	t.volume = &volume{refs: newReferences()}
	for i := range t.vars {
		t.vars[i].Nodes, t.vars[i].Types, t.vars[i].Changes = nil, nil, 0
	}
	for i := range old.nodes {
		l := *old.nodes[i].ledger
		fresh := &ledger{node: Node{Name: l.node.Name, Build: l.node.Build}, names: l.names}
		if fresh.node.Unknown, fresh.node.Reason = l.node.Unknown, l.node.Reason; i == node {
			fresh.node.Unknown, fresh.node.Reason = nil, "the node lost its end and counts its events anew: what it told before is forgotten"
		}
		t.lanes = append(t.lanes, memNode{})
		t.nodes = append(t.nodes, tailNode{ledger: fresh, now: NewState()})
	}
	t.gaps[node] = slices.DeleteFunc(slices.Clone(t.gaps[node]), func(s Span) bool { return s.To <= begin })
	for _, e := range old.walk {
		switch {
		case e.Node != node:
			t.put(e)
		case !e.Base:
			t.forgotten++
		}
	}
}

// anew reports whether an entry goes back behind what its node has told.
func (l *ledger) anew(e *Event) bool {
	return l.any && (e.Seq < l.last.Seq || e.Seq == l.last.Seq && !e.Base)
}
