package rql

import (
	"fmt"
	"slices"

	"hindcast.dev/hlc"
	"hindcast.dev/rql/plan"
	"hindcast.dev/rql/syntax"
)

// A CombinationsError says that a cut has more choices of nodes, or of members
// of quantified collections, than may be tried.
type CombinationsError struct {
	Pos   syntax.Pos // of the condition
	Limit int
	Time  hlc.Timestamp // of the cut
	// Events says that so many events are joined to one.
	Events bool
}

func (e *CombinationsError) Error() string {
	if e.Events {
		return fmt.Sprintf("%s: more than %d combinations of events to be joined to the one at %s: join FIRST or MOSTRECENT, follow links alone with =>, or raise --max-combinations",
			e.Pos, e.Limit, e.Time)
	}
	return fmt.Sprintf("%s: more than %d combinations at the cut of %s: link variables with LINK, constrain them with NODE, or raise --max-combinations",
		e.Pos, e.Limit, e.Time)
}

// unset marks slots that a choice doesn't speak of.
const unset = -2

// A choice is the node of each chosen slot: none where a slot has no candidate,
// unset where any will do.
type choice []int

func (e *engine) newChoice() choice {
	return slices.Repeat(choice{unset}, e.q.Chosen+e.q.Closed)
}

// candidates returns the nodes that a slot may stand for; [none] if there are
// none.
func (e *engine) candidates(slot int) []int {
	var out []int
	for _, n := range e.w.nodes {
		if e.candidate(slot, n) {
			out = append(out, n)
		}
	}
	if len(out) == 0 {
		return []int{none}
	}
	return out
}

// join searches for the smallest choice that satisfies all parts of a leaf; nil
// if there is none. A part is evaluated as soon as its slots are chosen.
func (e *engine) join(l *plan.Leaf) choice {
	j := &joining{e: e, leaf: l, due: make([][]plan.Part, len(l.Slots)), cost: make([]int, len(l.Slots))}
	for _, s := range l.Slots {
		j.nodes = append(j.nodes, e.candidates(s))
	}
	for _, p := range l.Parts {
		last := slices.Index(l.Slots, p.Slots[len(p.Slots)-1])
		j.due[last] = append(j.due[last], p)
		j.cost[last] += partsOf(p.X)
	}
	if !j.search(0) {
		return nil
	}
	c := e.newChoice()
	for _, s := range l.Slots {
		c[s] = e.slots[s]
	}
	return c
}

type joining struct {
	e     *engine
	leaf  *plan.Leaf
	nodes [][]int       // by position in leaf.Slots
	due   [][]plan.Part // what can be evaluated once that slot is chosen
	cost  []int         // of that, in parts of expressions
}

// partsOf is how many parts an expression has.
func partsOf(x plan.Expr) int {
	n := 0
	plan.Walk(x, func(plan.Expr) bool {
		n++
		return true
	})
	return n
}

func (j *joining) search(depth int) bool {
	if depth == len(j.leaf.Slots) {
		return true
	}
	for _, n := range j.nodes[depth] {
		if !j.e.spendMany(j.leaf.Parts[0].X.Position(), 1+j.cost[depth]/termsSpent) {
			return false
		}
		j.e.slots[j.leaf.Slots[depth]] = n
		j.e.choice++
		if j.dueHold(depth) && j.search(depth+1) {
			return true
		}
	}
	return false
}

func (j *joining) dueHold(depth int) bool {
	for _, p := range j.due[depth] {
		if !j.e.holds(p.X) {
			return false
		}
	}
	return true
}

// witness returns the smallest choice that satisfies the condition, which must
// hold for the instance.
func (e *engine) witness(in *instance) choice {
	e.enter(in)
	out := e.newChoice()
	if e.q.Root != nil {
		out = e.smallest(e.q.Root, in)
	}
	e.complete(out, allSlots(e.q.Chosen))
	return out
}

func allSlots(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

// complete gives unset slots their first candidate.
func (e *engine) complete(c choice, slots []int) {
	for _, s := range slots {
		if c[s] == unset {
			c[s] = e.candidates(s)[0]
		}
	}
}

// smallest returns the smallest choice for the slots below c that satisfies it;
// nil if none does.
func (e *engine) smallest(c *plan.Cond, in *instance) choice {
	if !e.truth(c, in) {
		return nil
	}
	switch c.Op {
	case plan.CondAnd:
		out := e.newChoice()
		for _, k := range c.Kids {
			e.lay(out, e.smallest(k, in))
		}
		return out
	case plan.CondOr:
		var best choice
		for _, k := range c.Kids {
			if one := e.smallest(k, in); one != nil {
				e.complete(one, c.Slots)
				if best == nil || slices.Compare(one, best) < 0 {
					best = one
				}
			}
		}
		return best
	}
	return e.leafChoice(c.Leaf, in)
}

// lay puts what is set in from over c.
func (e *engine) lay(c, from choice) {
	for s, n := range from {
		if n != unset {
			c[s] = n
		}
	}
}

func (e *engine) leafChoice(l *plan.Leaf, in *instance) choice {
	out := e.newChoice()
	switch l.Class {
	case plan.ClassOneNode:
		s := e.leafState(l, in)
		out[l.Slots[0]] = none
		if s.in > 0 {
			out[l.Slots[0]] = slices.IndexFunc(s.nodes, func(t nodeTruth) bool { return t.in && t.holds })
		}
	case plan.ClassJoin:
		if c, known := e.joinWitness(l, e.leafState(l, in)); known {
			return c
		}
		if c := e.join(l); c != nil {
			return c
		}
	}
	return out
}

// choose makes a choice the current one.
func (e *engine) choose(c choice) {
	copy(e.slots, c)
	e.choice++
}
