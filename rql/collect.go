package rql

import (
	"slices"

	"hindcast.dev/event"
	"hindcast.dev/rql/plan"
	"hindcast.dev/rql/syntax"
)

// collection returns the members of what stands in set position; ok is false if
// it is no collection.
func (e *env) collection(x plan.Expr) (ms []value, ok bool) {
	if s, isSpread := x.(*plan.Spread); isSpread {
		e.members(s, func(v event.Value) { ms = append(ms, of(v)) })
		return ms, true
	}
	v := e.eval(x)
	if ms, ok = v.members(); !ok && !v.isBot() {
		e.fault(FaultCollection, x.Position())
	}
	return ms, ok
}

// members calls f with every value of a spread path.
func (e *env) members(s *plan.Spread, f func(event.Value)) {
	if s.Ref != nil {
		for _, n := range e.w.nodes {
			e.spread(s.Ref, n, f)
		}
		return
	}
	if v := e.eval(s.Base); v.ext == nil && !v.isBot() {
		e.entries(v.v, s.Steps, f)
	}
}

// collect is a spread path as a value of its own.
func (e *env) collect(s *plan.Spread) value {
	ms, _ := e.collection(s)
	return setOf(ms)
}

// member decides a IN b and a NOT IN b.
func (e *env) member(x *plan.Binary) bool {
	a := e.eval(x.L)
	ms, ok := e.collection(x.R)
	switch {
	case a.isBot() || !ok:
		e.fault(FaultAbsent, x.Pos)
		return false
	case a.isNaN():
		return false
	}
	for i := 0; i < len(ms) && !e.pairs[x.Equality].matched; i++ {
		e.paired(x, a, ms[i])
	}
	found := slices.ContainsFunc(ms, func(m value) bool { return canonical(a, m) == 0 })
	return found == (x.Op == syntax.In)
}

func (e *env) subset(x *plan.Binary) bool {
	a, okA := e.collection(x.L)
	b, okB := e.collection(x.R)
	if !okA || !okB {
		e.fault(FaultAbsent, x.Pos)
		return false
	}
	b = setOf(slices.Clone(b)).ext.set
	for _, m := range a {
		if _, ok := slices.BinarySearchFunc(b, m, canonical); !ok {
			return false
		}
	}
	return true
}

// combine is UNION, INTERSECT or EXCEPT.
func (e *env) combine(x *plan.Binary) value {
	a, okA := e.collection(x.L)
	b, okB := e.collection(x.R)
	if !okA || !okB {
		return bot
	}
	if x.Op == syntax.Union {
		return setOf(slices.Concat(a, b))
	}
	b = setOf(slices.Clone(b)).ext.set
	var out []value
	for _, m := range a {
		if _, ok := slices.BinarySearchFunc(b, m, canonical); ok == (x.Op == syntax.Intersect) {
			out = append(out, m)
		}
	}
	return setOf(out)
}

// aggregate is a function of one collection, kept for this cut and member where
// nothing else enters it.
func (e *env) aggregate(x *plan.Agg) value {
	if x.Tally >= 0 && e.tallies != nil {
		return e.checked(x, e.tallies[x.Tally].result(e))
	}
	if v, ok := e.counted(x); ok {
		return v
	}
	if x.Cell < 0 {
		return e.fold(x)
	}
	k := &e.kept[x.Cell]
	if k.stamp != e.round {
		k.v = e.fold(x)
		k.stamp = e.round
	}
	return k.v
}

// checked counts a fault for an aggregate that has members and yet no value.
func (e *env) checked(x *plan.Agg, b *bag) value {
	v := b.result(x.Op)
	if v.isBot() && b.count > 0 {
		e.fault(FaultAggregate, x.Pos)
	}
	return v
}

func (e *env) fold(x *plan.Agg) value {
	switch x.Op {
	case plan.AggNodes:
		return e.nodesOf(x.Arg.(*plan.Spread))
	case plan.AggKeys:
		return e.keysOf(x)
	case plan.AggFlatten:
		return e.flatten(x)
	}
	s, bare := x.Arg.(*plan.Spread)
	if bare && !x.Distinct && x.Op != plan.AggValues {
		var b bag
		e.members(s, func(v event.Value) { b.add(of(v)) })
		return e.checked(x, &b)
	}
	ms, ok := e.collection(x.Arg)
	if !ok {
		return bot
	}
	set := setOf(ms)
	if x.Op == plan.AggValues {
		return set
	}
	var b bag
	for _, m := range set.ext.set {
		b.add(m)
	}
	return e.checked(x, &b)
}

func (e *env) nodesOf(s *plan.Spread) value {
	var names []value
	for _, n := range e.w.nodes {
		some := false
		e.spread(s.Ref, n, func(event.Value) { some = true })
		if some {
			names = append(names, ofString(e.w.names[n]))
		}
	}
	return setOf(names)
}

// keysOf is the union of the keys of the maps in a collection, or of one map.
func (e *env) keysOf(x *plan.Agg) value {
	var keys []value
	add := func(v event.Value) {
		for k := range v.AsMap().All() {
			keys = append(keys, of(k))
		}
	}
	if s, ok := x.Arg.(*plan.Spread); ok {
		if e.keys != nil && s.Ref != nil && e.keys.refs[s.Ref].v != nil {
			return e.keys.keysOf(e.keys.refs[s.Ref].v)
		}
		e.members(s, add)
		return setOf(keys)
	}
	v := e.eval(x.Arg)
	if v.v.Type() == event.TypeMap {
		add(v.v)
		return setOf(keys)
	}
	ms, ok := v.members()
	if !ok {
		if !v.isBot() {
			e.fault(FaultCollection, x.Pos)
		}
		return bot
	}
	for _, m := range ms {
		add(m.v)
	}
	return setOf(keys)
}

// flatten is the members of the members; those that have none are kept.
func (e *env) flatten(x *plan.Agg) value {
	ms, ok := e.collection(x.Arg)
	if !ok {
		return bot
	}
	var out []value
	for _, m := range ms {
		if inner, ok := m.members(); ok {
			out = append(out, inner...)
		} else {
			out = append(out, m)
		}
	}
	return setOf(out)
}
