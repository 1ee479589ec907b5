package rql

import (
	"context"
	"errors"
	"slices"

	"hindcast.dev/history"
	"hindcast.dev/rql/plan"
	"hindcast.dev/rql/syntax"
)

// An eachKey is FOR EACH over the keys of a map whose condition asks of a key
// nothing but its entries. All keys under which no node has what it asks for are
// alike then, and need neither be known nor be looked at.
type eachKey struct {
	leaf *plan.Leaf
	v    *keyedVar
	bare bool // whether the condition holds for such a key
	// found says that members aren't known before the walk: an instance is made of a
	// key for which the condition holds for the first time.
	found bool
	rows  []keyRow // found: those to be decided at this cut
	all   bool     // all are
	holds []bool   // by keyRow
}

// errMembers says that the members must be known before the walk: some keys are
// alike and yet not the same, 1 and 1.0, or index a list on another node.
var errMembers = errors.New("members are to be gathered")

// makeEach finds whether a query is such.
func (e *engine) makeEach() {
	f := e.q.ForEach
	if f == nil || e.keys == nil || len(e.q.Leaves) != 1 || len(e.q.Pasts) > 0 || e.q.Root == nil || e.q.Root.Op != plan.CondLeaf {
		return
	}
	r, l := keysOf(f.Set), e.q.Leaves[0]
	if r == nil || l.Class != plan.ClassGlobal || l.Shared || l.Volatile || l.Enters || e.namesMember(l.Parts[0].X) || e.namesInstant(l.Parts[0].X) {
		return
	}
	k, ok := e.keys.refs[r]
	if !ok || k.part >= 0 || !k.v.direct {
		return
	}
	for _, d := range l.Deps {
		if at, ok := e.keys.refs[d.Ref]; !ok || at.v != k.v || at.part < 0 || at.local != 0 {
			return
		}
	}
	e.each = &eachKey{leaf: l, v: k.v}
	told := e.faults
	e.faults = &faults{}
	e.each.bare = e.rowHolds(l, noKey)
	e.faults = told
	clear(e.pairs)
}

// namesMember reports whether an expression asks for the member itself, and not
// only for what is under it.
func (e *engine) namesMember(x plan.Expr) (names bool) {
	plan.Walk(x, func(x plan.Expr) bool {
		switch x := x.(type) {
		case *plan.Local:
			names = names || x.Index == 0
		case *plan.Computed:
			names = names || e.namesMember(e.q.Compute[x.Index].X)
		case *plan.Spread:
			return x.Ref == nil || !e.isKept(x.Ref)
		case *plan.Var:
			return !e.isKept(x.Ref)
		}
		return true
	})
	return names
}

// namesInstant reports whether an expression asks for START, END or NOW: of a stream
// they aren't known yet when it begins.
func (e *engine) namesInstant(x plan.Expr) (names bool) {
	plan.Walk(x, func(x plan.Expr) bool {
		switch x := x.(type) {
		case *plan.Instant:
			names = names || x.Time.Base != syntax.BaseAt
		case *plan.Computed:
			names = names || e.namesInstant(e.q.Compute[x.Index].X)
		}
		return true
	})
	return names
}

func (e *engine) isKept(r *plan.Ref) bool {
	_, ok := e.keys.refs[r]
	return ok
}

// rowHolds decides the condition for a key.
func (e *engine) rowHolds(l *plan.Leaf, r keyRow) bool {
	e.round++
	e.choice++
	e.inst = nil
	e.locals[0], e.rows[0] = of(e.keys.keys[r]), r
	return e.code[l.ID].parts[0](&e.env)
}

// findMembers has the members found on the way; false where they must be known.
func (e *engine) findMembers() bool {
	if e.each != nil && !e.each.bare {
		e.each.found = true
		return true
	}
	return false
}

// finds reports whether members are found on the way.
func (e *engine) finds() bool { return e.each != nil && e.each.found }

// touch has a key decided at this cut.
func (k *eachKey) touch(r keyRow) {
	if !k.all {
		k.rows = append(k.rows, r)
	}
}

// decideRows decides the keys that were touched, and makes instances of those for
// which the condition holds.
func (k *eachKey) decideRows(e *engine) {
	t := e.keys
	if t.odd {
		e.err = errMembers
		return
	}
	rows := k.rows
	if k.all { // those first that were touched first
		rows = slices.Concat(rows, t.all())
	}
	if n := len(t.keys) - len(k.holds); n > 0 {
		k.holds = append(k.holds, make([]bool, n)...)
	}
	for _, r := range rows {
		if now := !k.v.bare(r) && e.rowHolds(k.leaf, r); now != k.holds[r] {
			k.holds[r] = now
			in := e.found(r)
			in.matching, in.leaves[k.leaf.ID].ok = now, now
			e.flips = append(e.flips, in)
		}
	}
	k.rows, k.all = k.rows[:0], false
}

// found is the instance of a key.
func (e *engine) found(r keyRow) *instance {
	if e.keys.insts[r] == nil {
		in := e.addInstance(of(e.keys.keys[r]), -1)
		in.row = r
		e.keys.insts[r] = in
	}
	return e.keys.insts[r]
}

// alone reports whether the key of an instance is one under which nothing is.
func (k *eachKey) alone(e *engine, in *instance) bool {
	if k == nil || in == nil || e.keys.odd {
		return false
	}
	r := e.rowFor(in)
	return k.v.bare(r)
}

// onTheWay reports whether a run may find the members of FOR EACH on the way.
func (r *runner) onTheWay(ctx context.Context) bool {
	if r.q.ForEach == nil {
		return false
	}
	meta := r.src.Meta()
	e := newEngine(ctx, r.q, meta, make([]*history.State, len(meta.Nodes)), nil, r.opt)
	return e.findMembers()
}
