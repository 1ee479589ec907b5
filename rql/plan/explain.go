package plan

import (
	"fmt"
	"math"
	"slices"
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
		say("for each %s: members are gathered by one walk before, or found on the way where only their entries count; an event costs the members that it touches", f.Name)
	}
	for i, h := range q.Holders {
		say("$%d: %s, %s", i+1, h.Text, q.slotText(h.Slot))
	}
	out = q.explainPasts(out)
	if q.Root == nil {
		say("condition: none, every cut matches")
	} else {
		out = q.explainCond(out, q.Root, "")
	}
	for _, line := range q.keptTexts() {
		say("%s", line)
	}
	for _, a := range q.Tallies {
		say("kept incrementally: %s over all entries of %s", a.Op, a.Arg.(*Spread).Ref.Text)
	}
	if g := q.Group; g != nil {
		say("group: rows by %d keys, with %d aggregates over the rows of each; a group costs what they keep", len(g.Keys), len(g.Folds))
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
	case s.Kind == SlotPast && len(s.Holders) == 1:
		return "on a node of its own, chosen at each cut of its operand"
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
		return "one node: its truth is kept for each node; an event decides its own node, O(1), or all where it changes an aggregate, O(nodes)" + at
	case ClassEachNode:
		return "every node: the truth is kept for each node; an event decides its own node, O(1)" + at
	case ClassEachKey:
		return "keys of " + l.KeysOf().Text + ": the truth is kept for each key; an event decides the keys that it touches" + at
	case ClassJoin:
		return q.joinText(l) + at
	}
	return "no node to choose: decided when one of its variables changes" + at
}

func (q *Query) joinText(l *Leaf) string {
	j := l.Join
	switch {
	case j.Kind == JoinEnumerate:
		return fmt.Sprintf("join of %d nodes, enumerated, for %s: choices are tried with pruning when one of its variables changes, O(nodes^%d)%s, bounded by --max-combinations",
			len(l.Slots), j.Why, len(l.Slots), q.choicesText(len(l.Slots)))
	case j.Kind == JoinTree && j.byOrder():
		return fmt.Sprintf("tree of %d comparisons over %d classes of nodes: each by the extreme of the nodes that remain, when one of its variables changes, O(nodes) for each; values of several types are compared pair by pair, O(nodes²)",
			len(j.Edges), len(j.Classes))
	case j.Kind == JoinTree:
		return fmt.Sprintf("tree of conditions of %d pairs of %d classes of nodes: semijoins, when one of its variables changes, O(nodes²) for each, O(nodes) for a comparison by order, bounded by --max-combinations",
			len(j.Edges), len(j.Classes))
	}
	text := "extremes"
	if j.Kind == JoinEqual {
		text = "hash of values"
	}
	if len(j.Classes) == 1 {
		text += " over 1 class of nodes:"
	} else {
		text += fmt.Sprintf(" over %d classes of nodes:", len(j.Classes))
	}
	for i := range j.Classes {
		if i > 0 {
			text += ","
		}
		text += " " + q.classText(&j.Classes[i])
	}
	for _, a := range j.Apart {
		text += fmt.Sprintf("; %s and %s differ", q.classText(&j.Classes[a[0]]), q.classText(&j.Classes[a[1]]))
	}
	if j.Kind == JoinEqual {
		return text + "; an event counts its node's value, O(1); lists, sets, maps and numbers beyond 64 bits are enumerated"
	}
	for i := range j.Classes {
		if len(j.Classes[i].Filter) > 0 {
			text += "; filters are decided on each node"
			break
		}
	}
	limits := "infinite floats and classes of ints and floats"
	if j.IntsOnly {
		limits = "floats, since a node's terms stand apart,"
	}
	return text + fmt.Sprintf("; an event plays its node's terms, O(%d log nodes); %s are enumerated", len(j.Classes), limits)
}

// choicesText says how many choices of so many nodes there are, if that is known.
func (q *Query) choicesText(slots int) string {
	n := len(q.Nodes)
	if q.Nodes == nil {
		n = q.NodeCount
	}
	if n < 2 {
		return ""
	}
	if digits := float64(slots) * math.Log10(float64(n)); digits > 15 {
		return fmt.Sprintf(", here up to 10^%d", int(digits))
	}
	return fmt.Sprintf(", here up to %d", int64(math.Round(math.Pow(float64(n), float64(slots)))))
}

// classText is the placeholders that are one node.
func (q *Query) classText(c *JoinClass) string {
	var names []string
	for _, s := range c.Slots {
		for _, h := range q.Slots[s].Holders {
			names = append(names, "$"+itoa(h))
		}
	}
	return strings.Join(names, "=")
}

// keptTexts tells which aggregates over the nodes are kept.
func (q *Query) keptTexts() []string {
	var out []string
	note := func(e Expr) bool {
		a, ok := e.(*Agg)
		if !ok || a.Distinct || a.Op > AggCount {
			return true
		}
		s, ok := a.Arg.(*Spread)
		if !ok || s.Ref == nil || s.Ref.Column == 0 {
			return true
		}
		cost := "O(1)"
		if a.Op == AggMin || a.Op == AggMax {
			cost = "O(log nodes)"
		}
		line := fmt.Sprintf("kept incrementally: %s of %s over the nodes; an event costs %s", a.Op, s.Ref.Text, cost)
		if !slices.Contains(out, line) {
			out = append(out, line)
		}
		return true
	}
	for _, l := range q.Leaves {
		for _, p := range l.Parts {
			walk(p.X, note)
		}
	}
	for i := range q.Compute {
		walk(q.Compute[i].X, note)
	}
	return out
}
