package plan

import (
	"slices"
	"strings"

	"hindcast.dev/event"
	"hindcast.dev/rql/syntax"
)

// joins checks FROM and the JOINs and puts their inputs into a tree, whose root
// is what happened last.
func (ev *events) joins(q *syntax.EventQuery) {
	written := []*syntax.Input{q.From}
	for _, j := range q.Joins {
		written = append(written, j.Input)
	}
	if len(written) > MaxInputs {
		fail(written[MaxInputs].Pos, "", "an event query joins at most %d inputs", MaxInputs)
	}
	names := map[string]int{}
	for i, in := range written {
		if _, twice := names[in.Name.Name]; twice {
			fail(in.Name.Pos, "give them different names", "there are two %s", in.Name.Name)
		}
		names[in.Name.Name] = i
	}
	after := slices.Repeat([]int{-1}, len(written)) // by input: what it happened before
	along := make([]bool, len(written))
	for i, j := range q.Joins {
		before, then := joined(j, names, i+1)
		if after[before] >= 0 {
			fail(j.Before.Pos, "an event is joined with what happened before it: begin with the last one, FROM "+j.After.Name+" …",
				"%s is to have happened before two others", j.Before.Name)
		}
		after[before], along[before] = then, j.Along
	}
	ev.tree(written, after, along)
}

// MaxInputs bounds how many inputs an event query, without its sub-queries, has.
const MaxInputs = 64

// joined finds the two inputs of a JOIN: that of its own and one before it.
func joined(j *syntax.Join, names map[string]int, own int) (before, after int) {
	find := func(id *syntax.Ident) int {
		i, ok := names[id.Name]
		if !ok || i > own {
			near, _ := syntax.Nearest(id.Name, keys(names))
			hint := ""
			if near != "" {
				hint = "did you mean " + near + "?"
			}
			if ok {
				hint = "JOIN " + id.Name + " comes later"
			}
			fail(id.Pos, hint, "there are no events %s so far in the query", id.Name)
		}
		return i
	}
	before, after = find(j.Before), find(j.After)
	name := j.Input.Name.Name
	switch {
	case before == after:
		fail(j.After.Pos, "no event happens before itself: name two inputs", "%s stands on both sides of the arrow", j.After.Name)
	case before != own && after != own:
		fail(j.Before.Pos, "write ON "+name+" -> "+j.After.Name, "ON doesn't speak of %s, which this JOIN adds", name)
	}
	return before, after
}

// tree makes the inputs, parents first.
func (ev *events) tree(written []*syntax.Input, after []int, along []bool) {
	root := 0
	for after[root] >= 0 {
		root = after[root] // each step leads from an input to another one: the joins have no circle
	}
	ev.order = make([]int, len(written))
	var add func(i, parent int)
	add = func(i, parent int) {
		n := len(ev.q.Inputs)
		ev.order[i] = n
		ev.q.Inputs = append(ev.q.Inputs, ev.input(written[i]))
		in := &ev.q.Inputs[n]
		in.Parent, in.Along = parent, along[i]
		if parent >= 0 {
			ev.q.Inputs[parent].Kids = append(ev.q.Inputs[parent].Kids, n)
		}
		ev.inputs[in.Name] = n
		for k := range written {
			if after[k] == i {
				add(k, n)
			}
		}
	}
	add(root, -1)
	ev.q.Written = ev.order
	first := &ev.q.Inputs[0]
	if first.Query != nil && first.Query.Grouped && len(written) > 1 {
		fail(first.Pos, "join within the brackets", "%s is made of groups of events, before which nothing in particular happened", first.Name)
	}
	for i := range ev.q.Inputs {
		if in := &ev.q.Inputs[i]; i > 0 && in.Query != nil && in.Query.Inputs[0].Limited() {
			fail(in.Query.Inputs[0].Pos, "join the events themselves: JOIN "+in.Name+" IN FIRST(…)",
				"FROM of a joined sub-query can't choose: there is nothing yet that its events happened before")
		}
	}
	if root != 0 && ev.q.Inputs[0].Limited() {
		fail(first.Pos, "FROM "+first.Name+" … JOIN "+written[0].Name.Name+" … chooses among what happened before each "+first.Name,
			"%s happened after %s: there is nothing to choose from before it", first.Name, written[0].Name.Name)
	}
}

func (ev *events) input(in *syntax.Input) EventInput {
	out := EventInput{Name: in.Name.Name, Pos: in.Source.Pos, Event: in.Source.Event, EventPos: in.Source.Name, Keep: in.Source.Keep, N: in.Source.N}
	switch {
	case in.Source.Query != nil:
		out.Query = compileEvent(ev.schema, in.Source.Query)
	case out.Keep == syntax.KeepFirst || out.Keep == syntax.KeepMostRecent:
		out.N = 1
	case out.Limited() && (out.N < 1 || out.N > MaxKept):
		fail(in.Source.Pos, "", "want to keep from 1 to %d events, not %d", MaxKept, out.N)
	}
	return out
}

// MaxKept bounds the N of FIRSTN and MOSTRECENTN.
const MaxKept = 10_000

// resolve finds what a path of an event query leads to, and the steps that are
// left of it.
func (ev *events) resolve(p *syntax.Path) (Expr, []syntax.Step) {
	if ev.mode == modeGroup {
		return ev.groupPath(p)
	}
	steps := p.Steps
	if p.Log == "" {
		steps = steps[1:]
	}
	if i, ok := ev.lets[p.Root()]; ok {
		l := &ev.q.Let[i]
		ev.deep = max(ev.deep, l.After)
		ev.seen[-1] = true // what it reads is known only at l.After
		return &Local{Pos: p.Pos, Name: l.Name, Index: l.Local}, steps
	}
	i, ok := ev.inputs[p.Root()]
	if !ok {
		ev.unknownName(p.Root(), p.Pos)
	}
	in := &ev.q.Inputs[i]
	ev.seen[i], ev.deep = true, max(ev.deep, i)
	if in.Query != nil {
		return ev.column(i, p, steps)
	}
	if len(steps) == 0 {
		fail(p.Pos, "name one of its fields, like "+in.Name+".node", "%s is an event, and no value", in.Name)
	}
	return ev.field(i, p, steps)
}

// field is a part of an event.
func (ev *events) field(i int, p *syntax.Path, steps []syntax.Step) (Expr, []syntax.Step) {
	first := steps[0]
	name, literal := first.Name, first.Kind == syntax.StepField
	if s, ok := first.Index.(*syntax.String); ok && first.Kind == syntax.StepIndex {
		return ev.read(EventField{Input: i, Pos: first.Pos, Key: s.Value, Column: -1}), steps[1:]
	}
	switch {
	case !literal:
		return ev.read(EventField{Input: i, Pos: first.Pos, Builtin: BuiltinData, Column: -1}), steps
	case name == "data":
		return ev.read(EventField{Input: i, Pos: first.Pos, Builtin: BuiltinData, Column: -1}), steps[1:]
	case name == "event":
		if len(steps) == 1 || steps[1].Kind != syntax.StepField {
			fail(first.Pos, "write "+p.Root()+".event.node, for one", ".event wants a field after it: %s", strings.Join(BuiltinNames(), ", "))
		}
		b, ok := builtins[steps[1].Name]
		if !ok {
			fail(steps[1].Pos, ev.didYouMean(steps[1].Name, BuiltinNames()), "an event has no %s of its own, but %s", steps[1].Name, strings.Join(BuiltinNames(), ", "))
		}
		return ev.read(EventField{Input: i, Pos: steps[1].Pos, Builtin: b, Column: -1}), steps[2:]
	}
	return ev.read(EventField{Input: i, Pos: first.Pos, Key: name, Builtin: builtins[name], Column: -1}), steps[1:]
}

// whole is all of an event's payload, or all columns of a sub-query.
func (ev *events) whole(i int, pos syntax.Pos) Expr {
	return ev.read(EventField{Input: i, Pos: pos, Builtin: BuiltinData, Column: -1})
}

// read gives a field a place among the values that expressions read.
func (ev *events) read(f EventField) Expr {
	for j := range ev.q.Fields {
		if o := &ev.q.Fields[j]; o.Input == f.Input && o.Key == f.Key && o.Builtin == f.Builtin && o.Column == f.Column {
			return &Local{Pos: f.Pos, Name: o.Key, Index: o.Local}
		}
	}
	f.Local = ev.newLocal()
	in := &ev.q.Inputs[f.Input]
	in.Fields = append(in.Fields, len(ev.q.Fields))
	ev.q.Fields = append(ev.q.Fields, f)
	return &Local{Pos: f.Pos, Name: f.Key, Index: f.Local}
}

// column is an item of a sub-query: by its name, by the last name of a path, or
// where there is but one by the name of the sub-query itself.
func (ev *events) column(i int, p *syntax.Path, steps []syntax.Step) (Expr, []syntax.Step) {
	in := &ev.q.Inputs[i]
	items := in.Query.Items
	found := func(c, used int) (Expr, []syntax.Step) {
		return ev.read(EventField{Input: i, Pos: p.Pos, Column: c}), steps[used:]
	}
	if len(steps) == 0 {
		if len(items) == 1 {
			return found(0, 0)
		}
		fail(p.Pos, "name one of its columns: "+strings.Join(columnNames(in), ", "), "%s has %d columns", in.Name, len(items))
	}
	for used := len(steps); used > 0; used-- {
		if c := slices.IndexFunc(items, func(it EventItem) bool { return it.Name == stepsText(steps[:used]) }); c >= 0 {
			return found(c, used)
		}
	}
	if steps[0].Kind == syntax.StepField {
		same := func(it EventItem) bool { return it.path == steps[0].Name }
		if c := slices.IndexFunc(items, same); c >= 0 && !slices.ContainsFunc(items[c+1:], same) {
			return found(c, 1)
		}
	}
	word := stepsText(steps[:1])
	hint := "it has " + strings.Join(columnNames(in), ", ")
	if near, ok := syntax.Nearest(word, columnNames(in)); ok {
		hint = "did you mean " + in.Name + "." + near + "?"
	}
	fail(steps[0].Pos, hint, "the sub-query %s has no column %s", in.Name, word)
	return nil, nil
}

func columnNames(in *EventInput) []string {
	var names []string
	for _, it := range in.Query.Items {
		name := it.Name
		if it.path != "" {
			name = it.path
		}
		names = append(names, name)
	}
	return names
}

// stepsText is steps as the name of a column is written.
func stepsText(steps []syntax.Step) string {
	if s, ok := steps[0].Index.(*syntax.String); ok && len(steps) == 1 {
		return s.Value
	}
	path := &syntax.Path{Steps: steps}
	if len(steps) > 1 && steps[0].Kind == syntax.StepField {
		path = &syntax.Path{Log: steps[0].Name, Steps: steps[1:]}
	}
	if steps[0].Kind != syntax.StepField {
		return ""
	}
	return syntax.Print(path)
}

// groupPath is a path in SELECT of groups: a key, or what is in one.
func (ev *events) groupPath(p *syntax.Path) (Expr, []syntax.Step) {
	for n := len(p.Steps); n > 0; n-- {
		if x := ev.key(&syntax.Path{Pos: p.Pos, Log: p.Log, Steps: p.Steps[:n]}); x != nil {
			return x, p.Steps[n:]
		}
	}
	name := p.Root()
	_, input := ev.inputs[name]
	if _, let := ev.lets[name]; !input && !let {
		ev.unknownName(name, p.Pos)
	}
	text := syntax.Print(p)
	hint := "add it to GROUP BY, or write an aggregate such as MAX(" + text + ")"
	if !ev.q.Explicit {
		hint = "write it as an item of its own, or an aggregate such as MAX(" + text + ")"
	}
	fail(p.Pos, hint, "%s is neither a key of the group nor in an aggregate", text)
	return nil, nil
}

// unknownName fails: the query has no such name.
func (ev *events) unknownName(name string, pos syntax.Pos) {
	known := append(append(keys(ev.inputs), keys(ev.lets)...), literalWords...)
	for _, l := range ev.locals {
		known = append(known, l.name)
	}
	hint := ev.didYouMean(name, known)
	if f := strings.ToUpper(name); hint == "" && functions[f].kind != kindAny {
		hint = f + " is a function: write " + f + "(…)"
		if f == "COUNT" {
			hint = "write COUNT(*)"
		}
	}
	fail(pos, hint, "there is no name %s in the query", name)
}

// Reads reports what an event gives for a field: its payload's, or its own.
func (f *EventField) Reads(data event.Value) (v event.Value, ok bool) {
	if f.Key == "" {
		return event.Absent, false
	}
	v = data.Field(f.Key)
	return v, !v.IsAbsent()
}
