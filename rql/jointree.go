package rql

import (
	"slices"

	"hindcast.dev/rql/plan"
	"hindcast.dev/rql/syntax"
)

// A joinTree decides a leaf whose conditions are of two classes of nodes each and
// lead around in no circle: a node of a class will do if its conditions hold, and
// for each child in the tree some node of that will do which fits it. So it is the
// semijoins of Yannakakis ("Algorithms for acyclic database schemes", 1981), and
// never all choices.
type joinTree struct {
	e     *engine
	leaf  *plan.Leaf
	nodes [][]int // by class: those that will do, as far as is known; [none] where its slot has no candidate
}

func (e *engine) newJoinTree(l *plan.Leaf) *joinTree {
	t := &joinTree{e: e, leaf: l, nodes: make([][]int, len(l.Join.Classes))}
	for i := range t.nodes {
		c := &l.Join.Classes[i]
		all := e.w.nodes
		if len(c.Slots) == 1 {
			all = e.candidates(c.Slots[0])
		}
		for _, n := range all {
			if n != none && !e.isCandidate(c, n) {
				continue
			}
			t.put(i, n)
			if !slices.ContainsFunc(c.Filter, func(x plan.Expr) bool { return !e.holds(x) }) {
				t.nodes[i] = append(t.nodes[i], n)
			}
		}
	}
	return t
}

// put makes a node that of a class.
func (t *joinTree) put(class, node int) {
	for _, s := range t.leaf.Join.Classes[class].Slots {
		t.e.slots[s] = node
	}
	t.e.choice++
}

// up leaves of every class the nodes for which there are such of the classes below;
// it reports whether some choice is left.
func (t *joinTree) up() bool {
	for i := len(t.leaf.Join.Edges) - 1; i >= 0; i-- {
		ed := &t.leaf.Join.Edges[i]
		t.nodes[ed.Parent] = t.fitting(ed, ed.Parent, ed.Child)
	}
	return t.e.err == nil && !slices.ContainsFunc(t.nodes, func(ns []int) bool { return len(ns) == 0 })
}

// down leaves of every class the nodes for which there is one of the class above,
// too: then each of them is part of a choice that holds.
func (t *joinTree) down() {
	for i := range t.leaf.Join.Edges {
		ed := &t.leaf.Join.Edges[i]
		t.nodes[ed.Child] = t.fitting(ed, ed.Child, ed.Parent)
	}
}

// fitting are the nodes of a class that fit one of the other class of an edge.
func (t *joinTree) fitting(ed *plan.JoinEdge, class, other int) []int {
	if ed.Cmp != nil {
		if out, ok := t.ordered(ed, class, other); ok {
			return out
		}
	}
	cost := 1
	for _, x := range ed.Parts {
		cost += partsOf(x) / termsSpent
	}
	var out []int
	for _, n := range t.nodes[class] {
		if slices.ContainsFunc(t.nodes[other], func(m int) bool {
			if !t.e.spendMany(ed.Parts[0].Position(), cost) {
				return false
			}
			t.put(class, n)
			t.put(other, m)
			return !slices.ContainsFunc(ed.Parts, func(x plan.Expr) bool { return !t.e.holds(x) })
		}) {
			out = append(out, n)
		}
	}
	return out
}

// ordered is fitting by the extreme of the other class's terms; ok is false if they
// aren't of one order.
func (t *joinTree) ordered(ed *plan.JoinEdge, class, other int) (out []int, ok bool) {
	mine, theirs, op := ed.Cmp.L, ed.Cmp.R, ed.Cmp.Op
	if ed.Left != (class == ed.Parent) {
		mine, theirs, op = theirs, mine, mirrored[op]
	}
	sign := -1 // the least of them is the best
	if op == syntax.Lt || op == syntax.Le {
		sign = 1
	}
	best := bot
	for _, m := range t.nodes[other] {
		t.put(other, m)
		v := t.e.eval(theirs)
		switch {
		case v.isBot():
			t.e.fault(FaultAbsent, ed.Cmp.Pos)
		case !ordered(v.rank()) || v.isNaN() || !best.isBot() && v.rank() != best.rank():
			return nil, false
		case best.isBot() || canonical(v, best)*sign > 0:
			best = v
		}
	}
	for _, n := range t.nodes[class] {
		t.put(class, n)
		v := t.e.eval(mine)
		holds, fault := compare(op, v, best)
		t.e.faultOf(fault, ed.Cmp.Pos, v, best)
		if holds {
			out = append(out, n)
		}
	}
	return out, true
}

// witness is the smallest choice that holds, nil if there is none.
func (t *joinTree) witness() choice {
	out := t.e.newChoice()
	for i := range t.nodes {
		if !t.up() {
			return nil
		}
		if t.down(); t.e.err != nil {
			return nil // a bound: what is left may be nothing
		}
		t.nodes[i] = t.nodes[i][:1]
	}
	if !t.up() {
		return nil
	}
	for i, c := range t.leaf.Join.Classes {
		for _, s := range c.Slots {
			out[s] = t.nodes[i][0]
		}
	}
	return out
}
