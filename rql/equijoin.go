package rql

import (
	"math"

	"hindcast.dev/event"
	"hindcast.dev/rql/plan"
	"hindcast.dev/rql/syntax"
)

// An equality keeps, by value, which nodes of two classes have it.
type equality struct {
	plan     *plan.Join
	side     []int // by class: 0 or 1, none for a class that isn't compared
	keys     [2][]equalKey
	pairs    map[equalKey]pair
	distinct [2]int // values of a side
	good     int    // values that both sides have, on nodes that may be chosen together
	common   int    // values that both sides have
	ranks    [2][event.TypeMap + 1]int
}

// An equalKey is shared by values that RQL calls equal. The zero equalKey is none.
type equalKey struct {
	kind event.Type
	bits uint64
	text string
}

// A pair is how many nodes of either side have a value, and the sum of their
// numbers: that of the node where it is one.
type pair struct {
	count [2]int
	nodes [2]int
}

func newEquality(j *plan.Join, nodes int) *equality {
	q := &equality{plan: j, pairs: map[equalKey]pair{}}
	for i := range j.Classes {
		at := none
		switch i {
		case j.L.Class:
			at = 0
		case j.R.Class:
			at = 1
		}
		q.side = append(q.side, at)
	}
	q.keys = [2][]equalKey{make([]equalKey, nodes), make([]equalKey, nodes)}
	return q
}

// equalKeyOf is a value's key; ok is false for values that are equal in other ways
// than a key can tell.
func equalKeyOf(v value) (k equalKey, ok bool) {
	if v.ext != nil {
		return k, false
	}
	switch v.v.Type() {
	case event.TypeInt:
		n, _ := v.v.AsInt()
		return equalKey{kind: event.TypeInt, bits: uint64(n)}, true
	case event.TypeUint:
		n, _ := v.v.AsUint()
		return equalKey{kind: event.TypeUint, bits: n}, true
	case event.TypeFloat:
		f, _ := v.v.AsFloat()
		switch {
		case math.Abs(f) >= 1<<63:
			return k, false
		case f == math.Trunc(f):
			return equalKey{kind: event.TypeInt, bits: uint64(int64(f))}, true
		}
		return equalKey{kind: event.TypeFloat, bits: math.Float64bits(f)}, true
	case event.TypeString:
		return equalKey{kind: event.TypeString, text: v.v.AsString()}, true
	case event.TypeBool, event.TypeNull, event.TypeTime:
		k = equalKey{kind: v.v.Type(), bits: uint64(v.v.AsTime())}
		if v.v.AsBool() {
			k.bits = 1
		}
		return k, true
	}
	return k, false
}

// put gives a class a value on a node and returns of which kind it is; k is
// termNone or termOut where the class can't be there.
func (q *equality) put(class, node int, k termKind, v value) termKind {
	side := q.side[class]
	if side == none {
		return k
	}
	var key equalKey
	if k > termOut {
		var ok bool
		switch key, ok = equalKeyOf(v); {
		case v.isBot() || v.isNaN() && q.plan.Cmp.Op == syntax.Eq:
			k, key = termNever, equalKey{}
		case !ok || v.isNaN():
			k, key = termOdd, equalKey{}
		default:
			k = termInt
		}
	}
	if was := q.keys[side][node]; was != key {
		q.count(side, node, was, -1)
		q.count(side, node, key, 1)
		q.keys[side][node] = key
	}
	return k
}

func (q *equality) count(side, node int, key equalKey, by int) {
	if key.kind == event.TypeAbsent {
		return
	}
	p := q.pairs[key]
	q.tell(&p, -1)
	p.count[side] += by
	p.nodes[side] += by * node
	q.tell(&p, 1)
	q.ranks[side][rankOf(key)] += by
	if p.count == [2]int{} {
		delete(q.pairs, key)
		return
	}
	q.pairs[key] = p
}

// rankOf is the type of a key's values as = sees it.
func rankOf(k equalKey) event.Type {
	if k.kind == event.TypeUint || k.kind == event.TypeFloat {
		return event.TypeInt
	}
	return k.kind
}

// tell counts what a pair is, or is no longer.
func (q *equality) tell(p *pair, by int) {
	for side, n := range p.count {
		if n > 0 {
			q.distinct[side] += by
		}
	}
	if p.count[0] > 0 && p.count[1] > 0 {
		q.common += by
	}
	if q.meets(p) {
		q.good += by
	}
}

// meets reports whether both sides have a value, on nodes that may be chosen
// together.
func (q *equality) meets(p *pair) bool {
	if p.count[0] == 0 || p.count[1] == 0 {
		return false
	}
	same := p.count == [2]int{1, 1} && p.nodes[0] == p.nodes[1]
	return len(q.plan.Apart) == 0 || !same
}

// equalVerdict decides a comparison of two classes by = or !=. Both have a value
// somewhere.
func (e *engine) equalVerdict(j *joinState, fixed []int) (holds, known bool) {
	q := j.equal
	e.typesMet(q)
	equal := (j.plan.Cmp.Op == syntax.Eq) != j.plan.Not
	at := [2]int{none, none}
	for class, side := range q.side {
		if fixed != nil && side != none {
			at[side] = fixed[class]
		}
	}
	switch {
	case at[0] == none && at[1] == none && equal:
		return q.good > 0, true
	case at[0] == none && at[1] == none:
		return q.distinct != [2]int{1, 1} || q.common == 0, true
	case at[0] != none && at[1] != none:
		if len(j.plan.Apart) > 0 && at[0] == at[1] {
			return false, true
		}
		return (q.keys[0][at[0]] == q.keys[1][at[1]]) == equal, true
	}
	side := 0
	if at[0] == none {
		side = 1
	}
	other := 1 - side
	p := q.pairs[q.keys[side][at[side]]]
	if !equal {
		return q.distinct[other] > 1 || p.count[other] == 0, true
	}
	p.count[side], p.nodes[side] = 1, at[side]
	return q.meets(&p), true
}

// typesMet notes whether the sides ever had values of one type.
func (e *engine) typesMet(q *equality) {
	p := &e.pairs[q.plan.Cmp.Equality]
	if p.matched {
		return
	}
	first := [2]event.Type{}
	for side := range first {
		for t, n := range q.ranks[side] {
			if n > 0 {
				first[side] = event.Type(t)
				p.matched = p.matched || q.ranks[1-side][t] > 0 || event.Type(t) == event.TypeNull
			}
		}
	}
	switch {
	case p.matched || first[0] == event.TypeAbsent || first[1] == event.TypeAbsent:
	case p.first.Count == 0:
		p.first = Unequal{Op: q.plan.Cmp.Op, Pos: q.plan.Cmp.Pos, Left: first[0].String(), Right: first[1].String(), Count: 1}
	default:
		p.first.Count++
	}
}
