package rql

import (
	"context"
	"fmt"
	"slices"

	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/rql/syntax"
)

// tellModal gives explainModal as rows of one column.
func (q *Query) tellModal(ctx context.Context, meta *history.Meta, opt Options, emit func(*Row) error) (Summary, error) {
	var sum Summary
	for _, line := range q.explainModal(ctx, meta, opt) {
		sum.Rows++
		if err := emit(&Row{Columns: []Field{{"plan", event.String(line)}}}); err != nil {
			return sum, err
		}
	}
	return sum, nil
}

// explainModal tells how a modality will be decided: the class of the condition
// and the algorithm for it.
func (q *Query) explainModal(ctx context.Context, meta *history.Meta, opt Options) []string {
	p := q.cut
	e := newEngine(ctx, p, meta, make([]*history.State, len(meta.Nodes)), nil, opt)
	s := shapeOf(e, meta)
	nodes := "all nodes"
	if p.Nodes != nil {
		nodes = fmt.Sprintf("%d nodes", len(p.Nodes))
	}
	out := []string{fmt.Sprintf("%s: the lattice of consistent cuts of %s, ordered by happened-before of the whole History", p.Modal, nodes)}
	if w := p.Modal.Within; w != nil {
		out = append(out, "order: events whose Timestamps are more than "+w.D.String()+" apart are ordered, too")
	}
	if p.OnTime != nil {
		out = append(out, "range: "+syntax.Print(p.OnTime)+": the cuts between those two of the walk")
	}
	out = append(out, p.HolderLines()...)
	out = append(out, s.explain(p.Modal.Definitely, opt.maxCombinations())...)
	return append(out, "walks: one to gather, one up to the cut found for what the row shows")
}

func (s *shape) explain(definitely bool, bound int) []string {
	search := fmt.Sprintf("search of the lattice, at most %d cuts (--max-combinations)", bound)
	if s.many {
		return []string{fmt.Sprintf("class: general, because there are more than %d choices of nodes", alternativesMax), "algorithm: " + search}
	}
	if s.loose != nil {
		return []string{"class: general, because of what no node decides alone and isn't a sum of ints compared with a number (at " + s.loose.Position().String() + ")",
			"algorithm: " + search}
	}
	sums := slices.ContainsFunc(s.alts, func(a alternative) bool { return len(a.sums) > 0 })
	class := "conjunction of conditions that one node decides"
	how := "the least cut of each choice, one look at every event and link"
	switch {
	case sums && definitely:
		class, how = "one sum compared with a number", search+"; not, if the walk is a path around"
	case sums:
		class, how = "one sum compared with a number", "greatest closure by a minimum cut says whether there is a cut, if all values are ints; the first one by a "+search
	case definitely && len(s.alts) == 1:
		how = "intervals that must overlap, one look at every event and link for each node"
	case definitely:
		how = "intervals that must overlap, for each choice; if none does alone, " + search
	}
	if slices.ContainsFunc(s.alts, func(a alternative) bool { return len(a.sums) > 1 }) {
		class, how = "several sums compared with numbers", search
	}
	return []string{fmt.Sprintf("class: %s, %s", class, plural(len(s.alts), "choice")), "algorithm: " + how}
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
