package plan

import (
	"slices"

	"hindcast.dev/rql/syntax"
)

// JoinKind is how a leaf of ClassJoin is decided.
type JoinKind int

// The kinds of Join.
const (
	JoinEnumerate JoinKind = iota // choices are tried one by one
	JoinLinear                    // from the extremes of each class
	JoinEqual                     // by a hash of the values of two classes
	JoinTree                      // condition by condition of two classes each, from the leaves of their tree up
)

// A Join tells how to find nodes for several slots at once. Slots that must be
// the same node are one class; a class has filters, conditions that speak of it
// alone; one comparison speaks of several classes.
type Join struct {
	Kind    JoinKind
	Why     string // of JoinEnumerate: what stands against the others
	Classes []JoinClass
	Edges   []JoinEdge // of JoinTree, from the root on
	Apart   [][2]int   // classes that must be different nodes
	Cmp     *Binary    // nil if there are but filters and Apart
	Not     bool       // Cmp must not hold
	L, R    *Term      // the sides of Cmp
	// IntsOnly says that a class occurs more than once in Cmp: its terms are summed up
	// on their own, which only ints allow.
	IntsOnly bool
	// Lone are what Deps of no slot enter terms and filters: when they change, every
	// node is looked at anew. Others change constants alone.
	Lone []*Ref
}

// A JoinClass is a node to be found.
type JoinClass struct {
	Slots  []int // ascending
	Filter []Expr
	Terms  []Expr // what it adds to Cmp; one but for IntsOnly
	Minus  []bool // by Terms, of L-R
	Bare   bool   // its one term is a side of Cmp, so that it needn't be a number
}

// A JoinEdge is what two classes must satisfy together. A class is the child of one
// edge at most, and that comes before those of which it is the parent.
type JoinEdge struct {
	Parent, Child int
	Parts         []Expr
	// Cmp is the only part if it is an order of a term of the one class and a term of
	// the other; Left says that the parent's is its left side.
	Cmp  *Binary
	Left bool
}

// TermOp is the kind of a Term.
type TermOp int

// The kinds of Term.
const (
	TermConst TermOp = iota // X, which speaks of no node
	TermClass               // the term of Class
	TermNeg                 // -A
	TermAdd
	TermSub
	TermScale // A times X, a constant, in the order in which they are written
	TermMul   // A times B
)

// A Term is a part of a comparison that is monotone in the term of each class.
type Term struct {
	Op    TermOp
	Class int
	X     Expr
	A, B  *Term
	First bool // of TermScale: X stands first
}

// apartMax bounds how many other nodes one must differ from.
const apartMax = 3

// joinOf finds how to decide a leaf of ClassJoin.
func (q *Query) joinOf(l *Leaf) *Join {
	b := &joinBuilder{q: q, j: &Join{Kind: JoinLinear}, class: map[int]int{}, known: map[Expr][]int{}}
	b.merge(l)
	why := b.sort(l)
	if why == "" && b.j.Cmp != nil {
		why = b.compare()
	}
	if why == "" {
		why = b.keepApart()
	}
	if why != "" {
		if t := q.treeOf(l); t != nil {
			return t
		}
		return &Join{Why: why}
	}
	b.findLone()
	return b.j
}

type joinBuilder struct {
	q     *Query
	j     *Join
	class map[int]int // by slot
	terms int         // looked at
	known map[Expr][]int
}

// termsMax bounds how far a comparison is taken apart: names of COMPUTE may stand
// for more than is written.
const termsMax = 4096

// nodeNames returns the slots of NODE($i) = NODE($j).
func nodeNames(e Expr, op syntax.Op) (i, j int, ok bool) {
	b, isBinary := e.(*Binary)
	if !isBinary || b.Op != op {
		return 0, 0, false
	}
	l, okL := b.L.(*NodeName)
	r, okR := b.R.(*NodeName)
	if !okL || !okR {
		return 0, 0, false
	}
	return l.Slot, r.Slot, true
}

// merge makes classes of the slots that are one node.
func (b *joinBuilder) merge(l *Leaf) {
	same := map[int]int{}
	for _, s := range l.Slots {
		same[s] = s
	}
	for _, p := range l.Parts {
		if i, j, ok := nodeNames(p.X, syntax.Eq); ok {
			from, to := max(same[i], same[j]), min(same[i], same[j])
			for s := range same {
				if same[s] == from {
					same[s] = to
				}
			}
		}
	}
	for _, s := range l.Slots {
		if same[s] == s {
			b.class[s] = len(b.j.Classes)
			b.j.Classes = append(b.j.Classes, JoinClass{})
		}
		c := b.class[same[s]]
		b.class[s] = c
		b.j.Classes[c].Slots = append(b.j.Classes[c].Slots, s)
	}
}

// classes returns the classes of which an expression speaks.
func (b *joinBuilder) classes(e Expr) []int {
	if out, ok := b.known[e]; ok {
		return out
	}
	var out []int
	switch x := e.(type) {
	case *Binary: // of a long sum every part is asked: each is looked at once
		out = slices.Concat(b.classes(x.L), b.classes(x.R))
	case *Unary:
		out = slices.Clone(b.classes(x.X))
	default:
		for _, s := range b.q.chosen(b.q.factsOf(e)) {
			out = append(out, b.class[s])
		}
	}
	slices.Sort(out)
	out = slices.Compact(out)
	b.known[e] = out
	return out
}

// sort gives every part its place.
func (b *joinBuilder) sort(l *Leaf) (why string) {
	for _, p := range l.Parts {
		if _, _, ok := nodeNames(p.X, syntax.Eq); ok {
			continue
		}
		cs := b.classes(p.X)
		if len(cs) == 1 {
			c := &b.j.Classes[cs[0]]
			c.Filter = append(c.Filter, p.X)
			continue
		}
		if i, j, ok := nodeNames(p.X, syntax.Ne); ok {
			b.j.Apart = append(b.j.Apart, [2]int{b.class[i], b.class[j]})
			continue
		}
		cmp, not := p.X, false
		if n, ok := cmp.(*Unary); ok && n.Op == syntax.Not {
			cmp, not = n.X, true
		}
		c, ok := cmp.(*Binary)
		switch {
		case !ok || !isOrder(c.Op) && c.Op != syntax.Eq && c.Op != syntax.Ne:
			return "it isn't a comparison of sums"
		case b.j.Cmp != nil:
			return "several comparisons share nodes"
		}
		b.j.Cmp, b.j.Not = c, not
	}
	return ""
}

func isOrder(op syntax.Op) bool {
	return op == syntax.Lt || op == syntax.Le || op == syntax.Gt || op == syntax.Ge
}

// compare takes the comparison apart.
func (b *joinBuilder) compare() (why string) {
	j := b.j
	if j.L, why = b.term(j.Cmp.L, false); why != "" {
		return why
	}
	if j.R, why = b.term(j.Cmp.R, true); why != "" {
		return why
	}
	for _, side := range []*Term{j.L, j.R} {
		if side.Op == TermClass {
			c := &j.Classes[side.Class]
			c.Bare = len(c.Terms) == 1
		}
	}
	for i := range j.Classes {
		j.IntsOnly = j.IntsOnly || len(j.Classes[i].Terms) > 1
	}
	if j.IntsOnly && (hasScale(j.L) || hasScale(j.R)) {
		return "a node's terms stand apart from each other, one of them in a product"
	}
	if isOrder(j.Cmp.Op) {
		return ""
	}
	if !j.IntsOnly && j.L.Op == TermClass && j.R.Op == TermClass {
		j.Kind = JoinEqual
		return ""
	}
	if (j.Cmp.Op == syntax.Eq) != j.Not || j.IntsOnly {
		return "it is an equation of sums"
	}
	return ""
}

func hasScale(t *Term) bool {
	return t != nil && (t.Op == TermScale || t.Op == TermMul || hasScale(t.A) || hasScale(t.B))
}

// term takes a sum apart into what speaks of one class.
func (b *joinBuilder) term(e Expr, minus bool) (t *Term, why string) {
	if b.terms++; b.terms > termsMax {
		return nil, "it is a sum of too many terms"
	}
	cs := b.classes(e)
	switch len(cs) {
	case 0:
		return &Term{Op: TermConst, X: e}, ""
	case 1:
		c := &b.j.Classes[cs[0]]
		c.Terms, c.Minus = append(c.Terms, e), append(c.Minus, minus)
		return &Term{Op: TermClass, Class: cs[0], X: e}, ""
	}
	switch x := e.(type) {
	case *Computed:
		if len(x.Steps) == 0 {
			return b.term(b.q.Compute[x.Index].X, minus)
		}
	case *Unary:
		if x.Op == syntax.Neg {
			t, why = b.term(x.X, !minus)
			return &Term{Op: TermNeg, A: t}, why
		}
	case *Binary:
		return b.binaryTerm(x, minus)
	}
	return nil, "it isn't a comparison of sums"
}

func (b *joinBuilder) binaryTerm(x *Binary, minus bool) (*Term, string) {
	switch x.Op {
	case syntax.Add, syntax.Sub:
		l, why := b.term(x.L, minus)
		if why != "" {
			return nil, why
		}
		op := TermAdd
		if x.Op == syntax.Sub {
			op, minus = TermSub, !minus
		}
		r, why := b.term(x.R, minus)
		return &Term{Op: op, A: l, B: r}, why
	case syntax.Mul:
		factor, sum := x.L, x.R
		if len(b.classes(factor)) > 0 {
			factor, sum = sum, factor
		}
		if len(b.classes(factor)) == 0 {
			t, why := b.term(sum, minus)
			return &Term{Op: TermScale, X: factor, A: t, First: factor == x.L}, why
		}
		l, why := b.term(x.L, minus)
		if why != "" {
			return nil, why
		}
		r, why := b.term(x.R, minus)
		return &Term{Op: TermMul, A: l, B: r}, why
	}
	return nil, "it isn't a comparison of sums"
}

// keepApart refuses what can't be decided by looking at the few best nodes.
func (b *joinBuilder) keepApart() (why string) {
	j := b.j
	degree := make([]int, len(j.Classes))
	for _, p := range j.Apart {
		degree[p[0]]++
		degree[p[1]]++
	}
	switch {
	case len(j.Apart) == 0:
		return ""
	case slices.Max(degree) > apartMax || len(j.Apart) > 2*apartMax:
		return "many nodes must differ from each other"
	case j.Cmp == nil:
		return ""
	case j.Kind == JoinEqual && ((j.Cmp.Op == syntax.Eq) == j.Not || len(j.Classes) > 2):
		return "nodes must differ, and their values too"
	case j.Kind == JoinLinear && (!isOrder(j.Cmp.Op) || hasScale(j.L) || hasScale(j.R)):
		return "nodes must differ, and which is best isn't known beforehand"
	}
	return ""
}

func (b *joinBuilder) findLone() {
	var all []Expr
	for i := range b.j.Classes {
		all = append(append(all, b.j.Classes[i].Filter...), b.j.Classes[i].Terms...)
	}
	for _, d := range b.q.factsOf(all...).deps {
		if d.Slot < 0 {
			b.j.Lone = append(b.j.Lone, d.Ref)
		}
	}
}

// Wants is the sign of the terms that a class should have for Cmp to hold: -1 the
// least.
func (j *Join) Wants(class int) int {
	if j.Cmp == nil {
		return 1
	}
	sign := -1
	if j.Cmp.Op == syntax.Gt || j.Cmp.Op == syntax.Ge {
		sign = 1
	}
	c := &j.Classes[class]
	if j.Not {
		sign = -sign
	}
	if !j.IntsOnly && len(c.Minus) == 1 && c.Minus[0] {
		sign = -sign
	}
	return sign
}

// Counts is Wants where only the best term of a class counts for whether a choice
// exists, 0 where both extremes do.
func (j *Join) Counts(class int) int {
	if j.Cmp == nil || len(j.Apart) > 0 || !isOrder(j.Cmp.Op) || hasScale(j.L) || hasScale(j.R) {
		return 0
	}
	return j.Wants(class)
}

// Unbound is the join without the nodes that must differ.
func (j *Join) Unbound() *Join {
	free := *j
	free.Apart = nil
	return &free
}
