package plan

import (
	"fmt"
	"slices"
	"strings"

	"hindcast.dev/rql/syntax"
)

// Explanation is the plan as text, line by line.
func (q *EventQuery) Explanation() []string {
	payloads := q.some(func(q *EventQuery) bool {
		return slices.ContainsFunc(q.Fields, func(f EventField) bool { return f.Key != "" || f.Builtin == BuiltinData })
	})
	out := []string{"walk: all nodes, every event in order, from the first on; it reads kinds, messages and effects" +
		[]string{"", ", and payloads"}[b2i(payloads)] + ", no variables"}
	out = q.explain(out, "")
	if q.some(func(q *EventQuery) bool { return len(q.Inputs) > 1 }) {
		out = append(out, "cost: an event is found by its names and joined to what is known on its node; a receive takes over what its message brought")
	}
	return out
}

// some reports whether f is true of the query or one within it.
func (q *EventQuery) some(f func(*EventQuery) bool) bool {
	return f(q) || slices.ContainsFunc(q.Inputs, func(in EventInput) bool { return in.Query != nil && in.Query.some(f) })
}

func (q *EventQuery) explain(out []string, indent string) []string {
	say := func(format string, args ...any) { out = append(out, indent+fmt.Sprintf(format, args...)) }
	if q.OnTime != nil {
		say("range: %s, of the last event of a row; what happened before it may lie before", syntax.Print(q.OnTime))
	}
	for i := range q.Inputs {
		in := &q.Inputs[i]
		say("%s: %s, %s", in.Name, in.source(), q.joined(in))
		if in.Query != nil {
			out = in.Query.explain(out, indent+"  ")
		}
	}
	for i := range q.Where {
		f := &q.Where[i]
		in := &q.Inputs[f.After]
		when := "as soon as " + in.Name + " is joined"
		switch {
		case f.After == 0:
			when = "of " + in.Name + ", before anything is joined to it"
		case f.early(in):
			when = "of " + in.Name + " when it happens: it is kept only if this holds"
		}
		say("where: %s (at %s)", when, f.X.Position())
	}
	switch {
	case q.Grouped:
		kept := []string{"", "; what is kept are the groups, not the rows"}[b2i(indent == "")]
		say("group: by %d keys, with %d aggregates%s", len(q.Keys), len(q.Aggs), kept)
	case len(q.Inputs) > 1:
		say("rows: every combination of what is joined, at most --max-combinations for one %s", q.Inputs[0].Name)
	}
	return out
}

// early reports whether the condition is asked before anything is joined.
func (f *EventFilter) early(in *EventInput) bool {
	return f.Only && f.After > 0 && !in.Limited() && (in.Query == nil || !in.Query.Grouped)
}

// Early reports whether a condition is asked of the event of an input alone, when it
// happens: what doesn't satisfy it needn't be kept.
func (q *EventQuery) Early(f *EventFilter) bool { return f.early(&q.Inputs[f.After]) }

// source is what an input reads.
func (in *EventInput) source() string {
	what := "events " + in.Event
	switch {
	case in.Query != nil && in.Query.Grouped:
		what = "groups of a sub-query"
	case in.Query != nil:
		what = "rows of a sub-query"
	}
	if !in.Limited() {
		return what
	}
	which := []string{"last", "first"}[b2i(in.First())]
	if in.N != 1 {
		which += fmt.Sprintf(" %d", in.N)
	}
	return "the " + which + " of the " + what
}

// joined is how an input comes to the others, and what that keeps.
func (q *EventQuery) joined(in *EventInput) string {
	if in.Parent < 0 {
		switch {
		case !in.Limited():
			return "one after the other"
		case in.First():
			return "in the time asked"
		}
		return "in the time asked, known at its end"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "happened before %s %s: ", q.Inputs[in.Parent].Name, []string{"by -> (order of nodes, and links)", "by => (links alone)"}[b2i(in.Along)])
	switch {
	case in.Limited():
		b.WriteString("carried along from event to event and with every message")
	case in.Along:
		b.WriteString("a list of them is carried along from event to event and with every message")
	default:
		b.WriteString("all are kept, by node; a clock of all nodes is carried along and says which were before")
	}
	return b.String()
}
