package plan

import (
	"slices"

	"hindcast.dev/rql/syntax"
)

// A Modal says that the condition is asked of the lattice of consistent cuts, in
// place of the walk.
type Modal struct {
	Pos        syntax.Pos
	Definitely bool             // every path passes a cut that satisfies it; else some cut does
	Within     *syntax.Duration // events further apart are ordered; nil: time doesn't order
}

// String is the modality's keyword.
func (m *Modal) String() string {
	if m.Definitely {
		return "DEFINITELY"
	}
	return "POSSIBLY"
}

// modality checks what a WHEN with POSSIBLY or DEFINITELY goes with.
func (c *checker) modality(q *syntax.Query) {
	w := q.When
	if w.Modality == syntax.Observed {
		if w.Within != nil {
			fail(w.Within.Pos, "write WHEN POSSIBLY c WITHIN d", "WITHIN after WHEN wants POSSIBLY or DEFINITELY")
		}
		return
	}
	m := &Modal{Pos: w.Pos, Definitely: w.Modality == syntax.Definitely, Within: w.Within}
	c.out.Modal = m
	const hint = "without a modality the walk is asked, cut by cut"
	switch {
	case q.Emit != syntax.EmitDefault:
		fail(w.Pos, hint, "EMIT doesn't go with %s, which has one answer", m)
	case len(q.GroupBy) > 0:
		fail(q.GroupBy[0].Position(), hint, "GROUP BY doesn't go with %s, which has one answer", m)
	}
	for _, b := range q.Compute {
		m.refuse(b.X, true)
	}
	m.refuse(w.Cond, true)
	for _, it := range q.Items {
		if !it.Star {
			m.refuse(it.X, false)
		}
	}
}

// refuse fails where an expression asks for what a cut off the walk doesn't have:
// a cut before it, and, within the condition, a time.
func (m *Modal) refuse(x syntax.Expr, condition bool) {
	const hint = "the lattice has many ways to a cut: ask it of the walk, without a modality"
	syntax.Inspect(x, func(n syntax.Node) bool {
		switch e := n.(type) {
		case *syntax.Past:
			fail(e.Pos, hint, "%s doesn't go with %s: there is no one cut before", e.Op, m)
		case *syntax.For:
			fail(e.Pos, hint, "FOR doesn't go with %s: there is no one cut before", m)
		case *syntax.Binary:
			if e.Op == syntax.Since {
				fail(e.Pos, hint, "SINCE doesn't go with %s: there is no one cut before", m)
			}
		case *syntax.Call:
			switch {
			case e.Name == "PREV" || e.Name == "CHANGED":
				fail(e.Pos, hint, "%s doesn't go with %s: there is no one cut before", e.Name, m)
			case e.Name == "DURATION":
				fail(e.Pos, hint, "DURATION() doesn't go with %s: a cut off the walk doesn't last", m)
			case e.Name == "TIME" && condition:
				fail(e.Pos, "ON TIME gives the search a beginning and an end", "TIME() doesn't go with %s: a cut off the walk has no time", m)
			}
		}
		return true
	})
}

// Reads tells what an expression reads, through names of COMPUTE too: the slots on
// whose nodes it reads variables, ascending; whether it reads collections, which
// are of all nodes; and the paths.
func (q *Query) Reads(x Expr) (slots []int, everywhere bool, refs []*Ref) {
	var look func(e Expr)
	look = func(e Expr) {
		walk(e, func(e Expr) bool {
			switch e := e.(type) {
			case *Var:
				slots, refs = append(slots, e.Slot), append(refs, e.Ref)
			case *HolderValue:
				look(e.Var)
			case *Computed:
				look(q.Compute[e.Index].X)
			case *Spread:
				if e.Ref != nil {
					everywhere, refs = true, append(refs, e.Ref)
				}
			}
			return true
		})
	}
	look(x)
	slices.Sort(slots)
	return slices.Compact(slots), everywhere, refs
}

// ChosenIn are the slots of which an expression speaks and that are chosen, ascending.
func (q *Query) ChosenIn(x Expr) []int { return q.chosen(q.factsOf(x)) }

// ReadsOfCondition are the paths that decide the condition.
func (q *Query) ReadsOfCondition() []*Ref {
	if q.Cond == nil {
		return nil
	}
	_, _, refs := q.Reads(q.Cond)
	for _, s := range q.Slots {
		if s.Kind != SlotShown {
			refs = append(refs, s.Needs...)
		}
	}
	return refs
}

// HolderLines say of every placeholder what it stands for.
func (q *Query) HolderLines() []string {
	var out []string
	for i, h := range q.Holders {
		out = append(out, "$"+itoa(i+1)+": "+h.Text+", "+q.slotText(h.Slot))
	}
	return out
}
