package rql

import (
	"context"
	"fmt"

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
	var member []value // each has the same shape
	if p.ForEach != nil {
		member = []value{ofString("")}
	}
	e := newEngine(ctx, p, meta, make([]*history.State, len(meta.Nodes)), member, opt)
	e.enter(e.insts[0])
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
	if f := p.ForEach; f != nil {
		return append(out, fmt.Sprintf("for each %s: as above for each member apart; walks: one for the members, one to gather for every %d of them, in which an event costs those that it touches, and one up to the cut found for each that holds", f.Name, membersAtOnce))
	}
	return append(out, "walks: one to gather, one up to the cut found for what the row shows")
}

// explain tells the class of the condition, the algorithm and what it costs. It is
// that of the hardest alternative.
func (s *shape) explain(definitely bool, bound int) []string {
	search := fmt.Sprintf("search of the lattice, at most %d cuts (--max-combinations)", bound)
	general := func(why string) []string {
		return []string{"class: general, because " + why, "algorithm: " + search,
			"cost: a look at every cut up to the first that holds, of which there may be as many as (events of a node)^nodes"}
	}
	if s.many {
		return general(fmt.Sprintf("there are more than %d choices of nodes", alternativesMax))
	}
	if s.loose != nil {
		return general("of what no node decides alone, and no two nodes, and isn't a sum of ints compared with a number (at " + s.loose.Position().String() + ")")
	}
	hardest := byNode
	for _, a := range s.alts {
		hardest = max(hardest, a.class())
	}
	c := classes[hardest]
	how, cost := c.how, c.cost
	switch {
	case hardest == byNode && definitely && len(s.alts) == 1:
		how, cost = "intervals that must overlap", "one look at every event and link for each node"
	case hardest == byNode && definitely:
		how, cost = "intervals that must overlap, for each choice; if none does alone, "+search, "one look at every event and link for each node and choice, without the search"
	case definitely:
		how, cost = search+"; not, if the walk is a path around", "a look at every cut before the first that holds on each path"
	case hardest == bySum:
		how += search
	case hardest == bySums:
		how = search
	}
	return []string{fmt.Sprintf("class: %s, %s", c.name, plural(len(s.alts), "choice")), "algorithm: " + how, "cost: " + cost}
}

// The classes of an alternative, the harder the later.
const (
	byNode = iota
	byPair
	bySum
	bySums
)

var classes = [...]struct{ name, how, cost string }{
	byNode: {"conjunction of conditions that one node decides", "the least cut of each choice", "one look at every event and link for each choice"},
	byPair: {"two nodes' values that are compared", "for each state of the one the first state of the other that fits, and the least cut with both; values that aren't of one type are searched",
		"one look at every event and link for each node, and O(states * nodes * log states), for each choice"},
	bySum: {"one sum compared with a number", "greatest closure by a minimum cut says whether there is a cut, if all values are ints; the first one by a ",
		"a flow in a network of the states and links of the sum's nodes, for each choice, without the search"},
	bySums: {"several comparisons of several nodes", "", "a look at every cut up to the first that holds"},
}

// class is that of the algorithm which decides an alternative.
func (a *alternative) class() int {
	switch {
	case len(a.sums)+len(a.pairs) > 1:
		return bySums
	case len(a.pairs) == 1:
		return byPair
	case len(a.sums) == 0:
		return byNode
	}
	nodes := map[int]bool{}
	for _, t := range a.sums[0].terms {
		if nodes[t.of.node] = true; t.of.node == allNodes {
			return bySum
		}
	}
	return []int{byNode, byNode, byPair, bySum}[min(len(nodes), 3)]
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
