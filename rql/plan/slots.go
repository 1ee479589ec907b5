package plan

import (
	"maps"
	"slices"
)

// numberSlots puts the raw slots into their final order: chosen ones by their
// first placeholder, then the others. Raw slots that nothing uses go.
func (c *checker) numberSlots() {
	final := map[int]int{}
	place := func(raw int, kind SlotKind) {
		root := c.find(raw)
		if _, seen := final[root]; !seen && c.slots[root].Kind == kind {
			final[root] = len(c.out.Slots)
			c.out.Slots = append(c.out.Slots, Slot{Kind: kind})
		}
	}
	for i := range c.out.Holders {
		place(c.out.Holders[i].Slot, SlotChosen)
	}
	c.out.Chosen = len(c.out.Slots)
	for _, kind := range []SlotKind{SlotPast, SlotEach, SlotShown} {
		for _, v := range c.placed {
			place(v.Slot, kind)
		}
		if kind == SlotPast {
			c.out.Closed = len(c.out.Slots) - c.out.Chosen
		}
	}
	at := func(raw int) int { return final[c.find(raw)] }
	for i := range c.out.Holders {
		h := &c.out.Holders[i]
		h.Slot = at(h.Slot)
		s := &c.out.Slots[h.Slot]
		s.Holders = append(s.Holders, i+1)
	}
	for _, v := range c.placed {
		v.Slot = at(v.Slot)
		s := &c.out.Slots[v.Slot]
		if s.Kind == SlotEach || !v.Anyway {
			s.Needs = append(s.Needs, v.Ref)
		}
	}
	for _, e := range c.eaches {
		e.Slot = at(e.Slot)
	}
	for i := range c.out.Items {
		if it := &c.out.Items[i]; it.Slot >= 0 {
			it.Slot = at(it.Slot)
		}
	}
	for _, l := range c.lates {
		if l.Slot >= 0 {
			l.Slot = at(l.Slot)
		}
	}
	c.numberNodeNames()
}

// numberNodeNames gives every NODE(…) the final slot of its placeholder.
func (c *checker) numberNodeNames() {
	c.everyExpr(func(e Expr) bool {
		if n, ok := e.(*NodeName); ok {
			n.Slot = c.out.Holders[n.Holder-1].Slot
		}
		return true
	})
}

// everyExpr walks all expressions of the query.
func (c *checker) everyExpr(f func(Expr) bool) {
	walk(c.out.Cond, f)
	for _, b := range c.out.Compute {
		walk(b.X, f)
	}
	for _, it := range c.out.Items {
		walk(it.X, f)
	}
	if c.out.ForEach != nil {
		walk(c.out.ForEach.Set, f)
	}
	c.groupExprs(func(x Expr) { walk(x, f) })
}

// facts is what an expression depends on.
type facts struct {
	slots    map[int]bool // chosen and shown slots, and such of LINK EACH_NODE as aren't bound in it
	locals   map[int]bool // that aren't bound in it
	deps     []Dep
	volatile bool    // it may change at every cut
	eaches   []int   // slots of LINK EACH_NODE that are bound in it
	pasts    []*Past // operators of past time, not those inside them
}

// factsOf gathers what e depends on, through names of COMPUTE too.
func (q *Query) factsOf(es ...Expr) *facts {
	f := &facts{slots: map[int]bool{}, locals: map[int]bool{}}
	bound := map[int]bool{}
	computed := map[int]bool{}
	for _, e := range es {
		q.gather(e, f, bound, computed)
	}
	for l := range bound {
		delete(f.locals, l)
	}
	for s := range f.slots {
		for _, r := range q.Slots[s].Needs {
			f.deps = append(f.deps, q.dep(r, s, false))
		}
	}
	f.deps = compactDeps(f.deps)
	for _, s := range f.eaches {
		delete(f.slots, s)
	}
	return f
}

// merge adds what a name of COMPUTE depends on.
func (f *facts) merge(o *facts) {
	maps.Copy(f.slots, o.slots)
	maps.Copy(f.locals, o.locals)
	f.deps = append(f.deps, o.deps...)
	f.volatile = f.volatile || o.volatile
	f.pasts = append(f.pasts, o.pasts...)
}

func (q *Query) gather(e Expr, f *facts, bound, computed map[int]bool) {
	walk(e, func(e Expr) bool {
		switch e := e.(type) {
		case *EachNode:
			f.eaches = append(f.eaches, e.Slot)
		case *Now:
			f.volatile = true
		case *Past:
			f.pasts = append(f.pasts, e)
			return false
		case *Local:
			f.locals[e.Index] = true
		case *Computed:
			if !computed[e.Index] {
				computed[e.Index] = true
				if e.Index < len(q.names) {
					f.merge(q.names[e.Index])
				} else {
					q.gather(q.Compute[e.Index].X, f, bound, computed)
				}
			}
		case *Var:
			f.slots[e.Slot] = true
			f.deps = append(f.deps, q.dep(e.Ref, e.Slot, e.Mode == ModePrev || e.Mode == ModeChanged))
		case *HolderValue:
			q.gather(e.Var, f, bound, computed)
		case *NodeName:
			f.slots[e.Slot] = true
		case *Spread:
			if e.Ref != nil {
				f.deps = append(f.deps, q.dep(e.Ref, -1, false))
			}
		case *Quant:
			for _, l := range e.Locals {
				bound[l] = true
			}
		}
		return true
	})
}

func (q *Query) dep(r *Ref, slot int, prev bool) Dep {
	d := Dep{Ref: r, Slot: slot, Key: -1, Prev: prev}
	if len(r.Vars) == 1 && r.Fixed < len(r.Steps) {
		if l, ok := r.Steps[r.Fixed].Index.(*Local); ok && len(l.Steps) == 0 {
			d.Key = l.Index
		}
	}
	return d
}

func compactDeps(deps []Dep) []Dep {
	seen := map[Dep]bool{}
	var out []Dep
	for _, d := range deps {
		if !seen[d] {
			seen[d] = true
			out = append(out, d)
		}
	}
	return out
}

func compactPasts(ps []*Past) []*Past {
	slices.SortFunc(ps, func(a, b *Past) int { return a.ID - b.ID })
	return slices.Compact(ps)
}

// chosen returns the chosen slots of f in order.
func (q *Query) chosen(f *facts) []int {
	var out []int
	for s := range f.slots {
		if k := q.Slots[s].Kind; k == SlotChosen || k == SlotPast {
			out = append(out, s)
		}
	}
	slices.Sort(out)
	return out
}

// analyse fills in what the engine wants to know of the finished plan.
func (c *checker) analyse() {
	c.out.numberColumns(c.schema)
	q := c.out
	for i := range q.Compute {
		f := q.factsOf(q.Compute[i].X)
		f.pasts = compactPasts(f.pasts)
		q.names = append(q.names, f)
		q.Compute[i].Slots = q.chosen(f)
		q.Compute[i].PerCut = len(f.slots) == 0
	}
	for _, a := range c.aggs {
		f := q.factsOf(a)
		if q.ForEach != nil {
			delete(f.locals, 0)
		}
		if len(f.slots) == 0 && len(f.locals) == 0 {
			a.Cell = q.Cells
			q.Cells++
		}
		if tallies(a) {
			a.Tally = len(q.Tallies)
			q.Tallies = append(q.Tallies, a)
		}
	}
	if q.ForEach != nil {
		q.ForEach.Deps = q.factsOf(q.ForEach.Set).deps
	}
	q.analysePasts()
	if q.Cond != nil {
		q.Root = q.build(q.Cond, false)
	}
	c.everyExpr(func(e Expr) bool {
		if v, ok := e.(*Var); ok && (v.Mode == ModePrev || v.Mode == ModeChanged) {
			q.UsesPrev = true
		}
		return true
	})
	q.told = append(q.told, q.Cond)
	for _, it := range q.Items {
		q.told = append(q.told, it.X)
	}
	c.groupExprs(func(x Expr) { q.told = append(q.told, x) })
}

// tallies reports whether an aggregate is over all entries of one variable, so
// that it is worth keeping sums while they change one by one.
func tallies(a *Agg) bool {
	s, ok := a.Arg.(*Spread)
	if !ok || s.Ref == nil || len(s.Ref.Vars) != 1 || a.Distinct || a.Op > AggCount {
		return false
	}
	r := s.Ref
	if r.Fixed == len(r.Steps) || r.Steps[r.Fixed].Kind != StepAll {
		return false
	}
	for _, s := range r.Steps {
		if s.Kind == StepIndex {
			return false
		}
	}
	return true
}

// underWay is the variable whose lists are made only when somebody looks at them.
const underWay = "net.inflight"

// numberColumns finds the paths that depend on nothing, and whose values are kept
// beside the states.
func (q *Query) numberColumns(s *Schema) {
	at := map[string]int{}
	for _, r := range q.Refs {
		if r.Fixed < len(r.Steps) || len(r.Steps) == 0 || len(r.Vars) == 1 && s.Vars[r.Vars[0].Var] == underWay {
			continue
		}
		if at[r.Text] == 0 {
			q.Columns = append(q.Columns, r)
			at[r.Text] = len(q.Columns)
		}
		r.Column = at[r.Text]
	}
}
