package plan

import (
	"fmt"
	"strings"

	"hindcast.dev/rql/syntax"
)

// Explanation is the plan as text, line by line.
func (q *Query) Explanation() []string {
	var out []string
	say := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	say("walk: %s, every cut in order", nodesText(q.Nodes))
	if q.OnTime != nil {
		say("range: %s, found by search", syntax.Print(q.OnTime))
	}
	if f := q.ForEach; f != nil {
		say("for each %s: one walk before gathers the members; an event costs the members that it touches", f.Name)
	}
	for i, h := range q.Holders {
		say("$%d: %s, %s", i+1, h.Text, q.slotText(h.Slot))
	}
	if q.Root == nil {
		say("condition: none, every cut matches")
	} else {
		out = q.explainCond(out, q.Root, "")
	}
	for _, a := range q.Tallies {
		say("kept incrementally: %s over all entries of %s", a.Op, a.Arg.(*Spread).Ref.Text)
	}
	say("emit: %s", [...]string{"intervals", "intervals", "cuts", "enter", "leave"}[q.Emit])
	return out
}

func nodesText(nodes []int) string {
	if nodes == nil {
		return "all nodes"
	}
	return fmt.Sprintf("%d nodes", len(nodes))
}

func (q *Query) slotText(slot int) string {
	s := &q.Slots[slot]
	switch {
	case s.Kind == SlotEach:
		return "on every node (LINK EACH_NODE)"
	case len(s.Holders) == 1:
		return "on a node of its own"
	}
	var all []string
	for _, h := range s.Holders {
		all = append(all, "$"+itoa(h))
	}
	return "on one node together: " + strings.Join(all, " ")
}

func (q *Query) explainCond(out []string, c *Cond, indent string) []string {
	switch c.Op {
	case CondAnd:
		out = append(out, indent+"all of, apart from each other:")
	case CondOr:
		out = append(out, indent+"any of:")
	default:
		return append(out, indent+q.leafText(c.Leaf))
	}
	for _, k := range c.Kids {
		out = q.explainCond(out, k, indent+"  ")
	}
	return out
}

func (q *Query) leafText(l *Leaf) string {
	at := " (at " + l.Parts[0].X.Position().String() + ")"
	switch {
	case l.Wanes:
		at += ", at every cut because of TIME() while it holds"
	case l.Volatile:
		at += ", at every cut because of TIME()"
	}
	switch l.Class {
	case ClassOneNode:
		return "one node: its truth is kept for each node; an event decides its own node, or all where it changes an aggregate" + at
	case ClassEachNode:
		return "every node: the truth is kept for each node; an event decides its own node" + at
	case ClassEachKey:
		return "keys of " + l.KeysOf().Text + ": the truth is kept for each key; an event decides the keys that it touches" + at
	case ClassJoin:
		return fmt.Sprintf("join of %d nodes: choices are enumerated with pruning when one of its variables changes, bounded by --max-combinations%s", len(l.Slots), at)
	}
	return "no node to choose: decided when one of its variables changes" + at
}
