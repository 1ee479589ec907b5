package rql

import (
	"math"
	"slices"

	"hindcast.dev/rql/plan"
	"hindcast.dev/rql/syntax"
)

// A joinState is what is kept of a leaf over several classes of nodes: for each
// class what its term is on each node.
type joinState struct {
	plan    *plan.Join
	code    *joinCode
	classes []classState
	equal   *equality // of JoinEqual
	stale   bool      // what verdict looks at may have changed since
	strange [][2]int  // classes and nodes whose term became one that can't be compared
}

// A classState is what is known of one class. Of JoinEqual the kinds alone are
// kept here.
type classState struct {
	kinds []termKind // by node
	count [termKinds]int
	ends  *extremes // of the terms that are numbers
	wants int       // -1: of ends only the least counts, 1: the greatest; 0: both
}

// A termKind says what a class's term is on a node.
type termKind uint8

// The kinds of term.
const (
	termNone  termKind = iota // no candidate
	termOut                   // a candidate that a filter refuses
	termNever                 // ⊥, NaN, and what is in no order: no comparison holds
	termOdd                   // what must be enumerated: infinite, a text, a set…
	termInt
	termFloat
	termKinds = int(termFloat) + 1
)

// usable is how many nodes have a term to compare.
func (c *classState) usable() int { return c.count[termInt] + c.count[termFloat] }

func (c *classState) eligible() int { return c.usable() + c.count[termNever] }

func (c *classState) candidates() int {
	return c.eligible() + c.count[termOut] + c.count[termOdd]
}

// put reports whether something that a verdict depends on may have changed.
func (c *classState) put(node int, k termKind, v value) (changed bool) {
	changed = k != c.kinds[node]
	c.count[c.kinds[node]]--
	c.count[k]++
	c.kinds[node] = k
	if c.ends == nil {
		return true
	}
	if k != termInt && k != termFloat {
		v = bot
	}
	low, high := c.ends.set(node, v)
	return changed || c.counts(low, high)
}

func (c *classState) counts(low, high bool) bool {
	return low && c.wants <= 0 || high && c.wants >= 0
}

// putInt is put of an int where there was an int.
func (c *classState) putInt(node int, v cell) (changed bool) {
	return c.counts(c.ends.setCell(node, v))
}

func newJoinState(j *plan.Join, code *joinCode, nodes int) *joinState {
	s := &joinState{plan: j, code: code, classes: make([]classState, len(j.Classes))}
	if j.Kind == plan.JoinEqual {
		s.equal = newEquality(j, nodes)
	}
	for i := range s.classes {
		c := &s.classes[i]
		c.kinds = make([]termKind, nodes)
		c.count[termNone] = nodes
		if s.equal == nil {
			c.ends = newExtremes(nodes)
			c.wants = j.Counts(i)
		}
	}
	return s
}

// decideJoin decides a leaf over several slots.
func (e *engine) decideJoin(l *plan.Leaf, s *leafState) {
	switch l.Join.Kind {
	case plan.JoinEnumerate:
		s.ok = e.join(l) != nil
		return
	case plan.JoinTree:
		s.ok = e.newJoinTree(l).up()
		return
	}
	j, node := s.join, s.node
	if j == nil {
		j = e.joinStateOf(l, s)
		node = allNodes
	}
	if l.Volatile {
		node = allNodes
	}
	j.stale = j.stale || s.loose || node < 0 || len(j.plan.Apart) > 0
	s.loose = false
	switch node {
	case noNode:
	case allNodes:
		for _, n := range e.w.nodes {
			e.follow(j, n)
		}
	default:
		e.follow(j, node)
	}
	for _, at := range j.strange {
		e.sample(j, at[0], at[1])
	}
	j.strange = j.strange[:0]
	if !j.stale {
		return
	}
	holds, known := j.intVerdict()
	if !known {
		holds, known = e.verdict(j, nil)
	}
	if j.stale = !known; !known {
		holds = e.join(l) != nil
	}
	s.ok = holds
}

// joinStateOf makes the state of a leaf that is the same for all members of FOR
// EACH; the others use one after the other.
func (e *engine) joinStateOf(l *plan.Leaf, s *leafState) *joinState {
	code := &e.code[l.ID]
	if l.Shared {
		s.join = newJoinState(l.Join, code.join, len(e.w.names))
		return s.join
	}
	if code.lent == nil {
		code.lent = newJoinState(l.Join, code.join, len(e.w.names))
	}
	return code.lent
}

// follow brings all classes up to date on a node.
func (e *engine) follow(j *joinState, node int) {
	for i := range j.classes {
		c := &j.classes[i]
		if e.followInt(j, i, node) {
			continue
		}
		v, ok := e.term(j, i, node)
		k := j.kindOf(i, v)
		if !ok {
			k = termOut
			if !e.isCandidate(&j.plan.Classes[i], node) {
				k = termNone
			}
		}
		if j.equal != nil {
			k = j.equal.put(i, node, k, v)
		}
		if k == termNever && len(j.strange) < strangeMax {
			j.strange = append(j.strange, [2]int{i, node})
		}
		if c.put(node, k, v) {
			j.stale = true
		}
	}
}

// followInt does all for a class whose term on a node is an int and was one.
func (e *engine) followInt(j *joinState, class, node int) bool {
	c, one := &j.classes[class], &j.plan.Classes[class]
	if c.kinds[node] != termInt {
		return false
	}
	if sum := j.code.sums[class]; sum != nil {
		if n, ok := sum.on(e.cols.row(node)); ok {
			j.stale = c.putInt(node, intCell(n)) || j.stale
			return true
		}
	}
	if j.equal != nil || len(one.Terms) != 1 || j.plan.IntsOnly || !e.stands(j, class, node) {
		return false
	}
	code := j.code.terms[class][0]
	if code == nil {
		return false
	}
	v := code(&e.env)
	if v.kind != cellInt {
		return false
	}
	if c.putInt(node, v) {
		j.stale = true
	}
	return true
}

// strangeMax bounds how many faults of one cut are looked for.
const strangeMax = 16

// nothing reports whether a class that no node can be has no value.
func (e *engine) nothing(j *joinState, class int) bool {
	for _, s := range j.plan.Classes[class].Slots {
		e.slots[s] = none
	}
	e.choice++
	return !slices.ContainsFunc(j.plan.Classes[class].Terms, func(x plan.Expr) bool { return !e.eval(x).isBot() })
}

// sample evaluates the comparison for one choice with a class where its term has
// no value or no order, so that the fault is counted where it is.
func (e *engine) sample(j *joinState, class, node int) {
	p := j.plan
	if p.Cmp == nil || len(p.Classes[class].Terms) == 0 {
		return
	}
	for i := range p.Classes {
		at := node
		if i != class {
			at = slices.IndexFunc(j.classes[i].kinds, func(k termKind) bool { return k >= termNever })
			if at < 0 && j.classes[i].candidates() > 0 {
				return // what is missing there is told when it is decided
			}
		}
		for _, s := range p.Classes[i].Slots {
			e.slots[s] = at
		}
	}
	e.choice++
	e.holds(p.Cmp)
}

func (e *engine) isCandidate(c *plan.JoinClass, node int) bool {
	for _, s := range c.Slots {
		if !e.candidate(s, node) {
			return false
		}
	}
	return true
}

// term is what a class adds to the comparison on a node; ok is false if it isn't
// to stand there.
func (e *engine) term(j *joinState, class, node int) (v value, ok bool) {
	c := &j.plan.Classes[class]
	if !e.stands(j, class, node) {
		return bot, false
	}
	if len(c.Terms) == 0 {
		return ofInt(0), true
	}
	v = e.number(j.code.terms[class][0], c.Terms[0])
	if !j.plan.IntsOnly {
		return v, true
	}
	odd := ofFloat(math.Inf(1)) // where it isn't ints alone
	if v.isTime() {
		return odd, true
	}
	if c.Minus[0] {
		v, _ = negative(v)
	}
	for i, x := range c.Terms[1:] {
		t, op := e.number(j.code.terms[class][i+1], x), syntax.Add
		if c.Minus[i+1] {
			op = syntax.Sub
		}
		if t.isTime() || v.isNumber() && t.isNumber() && !(v.isInt() && t.isInt()) {
			return odd, true
		}
		v, _ = arith(op, v, t)
	}
	return v, true
}

// stands puts a class on a node, false if it can't be there.
func (e *engine) stands(j *joinState, class, node int) bool {
	c := &j.plan.Classes[class]
	if !e.isCandidate(c, node) {
		return false
	}
	for _, s := range c.Slots {
		e.slots[s] = node
	}
	e.choice++
	for _, f := range j.code.filters[class] {
		if !f(&e.env) {
			return false
		}
	}
	return true
}

// number is an expression's value, by its code where that says it.
func (e *env) number(code numCode, x plan.Expr) value {
	if code != nil {
		if c := code(e); c.kind == cellInt || c.kind == cellFloat {
			return c.value()
		}
	}
	return e.eval(x)
}

// joinBits bounds the ints of terms: sums of them stay within what an expression
// may compute.
const joinBits = maxIntBits / 4

// kindOf says what a term is that stands.
func (j *joinState) kindOf(class int, v value) termKind {
	bare := j.plan.Classes[class].Bare && !j.plan.IntsOnly
	switch {
	case v.isInt():
		if v.ext != nil && v.ext.big.BitLen() > joinBits {
			return termOdd
		}
		return termInt
	case v.isNumber():
		f, _ := v.float()
		switch {
		case math.IsNaN(f):
			return termNever
		case math.IsInf(f, 0) || j.plan.IntsOnly:
			return termOdd
		}
		return termFloat
	case v.isTime() && !bare:
		return termOdd // of times there are sums
	case v.isBot() || !bare:
		return termNever
	}
	if op := j.plan.Cmp.Op; op != syntax.Eq && op != syntax.Ne && !ordered(v.rank()) {
		return termNever
	}
	return termOdd
}

// none that a node is marked with: only constants changed.
const noNode = -2

// verdict decides the leaf; known is false where choices must be enumerated.
// fixed, if not nil, has the node of each class, or none where any will do.
func (e *engine) verdict(j *joinState, fixed []int) (holds, known bool) {
	p := j.plan
	never := false
	for i := range j.classes {
		c := &j.classes[i]
		one := &p.Classes[i]
		compared := p.Cmp != nil && len(one.Terms) > 0
		switch {
		case c.count[termOdd] > 0:
			return false, false
		case c.candidates() == 0 && len(one.Slots) == 1 && !(compared && !p.Not && e.nothing(j, i)):
			return false, false // its slot is ⊥, and that may be enough
		case c.eligible() == 0:
			if fixed == nil && compared && c.candidates() == 0 {
				e.sample(j, i, none)
			}
			return false, true
		}
		if !compared {
			continue
		}
		has := c.count[termNever]
		if fixed != nil && fixed[i] != none {
			has = 0
			if c.kinds[fixed[i]] == termNever {
				has = 1
			}
		}
		switch {
		case has > 0 && p.Not:
			never = true
		case has > 0 && has >= c.eligible() || fixed != nil && fixed[i] != none && has > 0:
			return false, true
		}
	}
	switch {
	case never && len(p.Apart) > 0:
		return false, false
	case never:
		return true, true
	case j.equal != nil:
		return e.equalVerdict(j, fixed)
	}
	return e.linear(j, fixed)
}

// joinWitness is the smallest choice of a leaf that holds, known is false where it
// must be enumerated, or would take too long to find.
func (e *engine) joinWitness(l *plan.Leaf, s *leafState) (c choice, known bool) {
	j := s.join
	switch l.Join.Kind {
	case plan.JoinEnumerate:
		return nil, false
	case plan.JoinTree:
		c := e.newJoinTree(l).witness()
		return c, c != nil
	}
	if j == nil {
		j = e.joinStateOf(l, s)
		for _, n := range e.w.nodes {
			e.follow(j, n)
		}
	}
	fixed := make([]int, len(j.classes))
	for i := range fixed {
		fixed[i] = none
	}
	for i := range fixed {
		found := false
		for _, n := range e.w.nodes {
			if j.classes[i].kinds[n] < termNever {
				continue
			}
			fixed[i] = n
			if !e.spendMany(l.Parts[0].X.Position(), len(j.classes)/termsSpent) {
				return nil, false
			}
			holds, known := e.verdict(j, fixed)
			if !known {
				return nil, false
			}
			if holds {
				found = true
				break
			}
		}
		if !found {
			return nil, false
		}
	}
	out := e.newChoice()
	for i, n := range fixed {
		for _, s := range l.Join.Classes[i].Slots {
			out[s] = n
		}
	}
	return out, true
}

// constant is a term that speaks of no node.
func (e *env) constant(x plan.Expr) (v value, k termKind) {
	v = e.eval(x)
	f, isFloat := v.float()
	switch {
	case v.isInt():
		return v, termInt
	case isFloat && math.IsNaN(f) || v.isBot():
		return v, termNever
	case isFloat && !math.IsInf(f, 0):
		return v, termFloat
	}
	return v, termOdd
}
