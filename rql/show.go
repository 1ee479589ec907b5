package rql

import (
	"context"
	"io"
	"slices"
	"strings"

	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/hlc"
	"hindcast.dev/rql/plan"
	"hindcast.dev/rql/syntax"
)

// showColumns are what SHOW shows. SHOW EVENTS counts events and effects by kind and name:
// one row for each, with the nodes that have it, how often, and the first and
// last time; LIKE is about "kind.name" or, without a name, the kind.
var showColumns = map[syntax.ShowKind][]string{
	syntax.ShowNodes:     {"node", "events", "first", "last", "unknown", "reason", "build"},
	syntax.ShowLogs:      {"log", "variables", "nodes", "changes"},
	syntax.ShowVariables: {"variable", "types", "nodes", "changes", "bulky"},
	syntax.ShowEvents:    {"event", "kind", "name", "nodes", "count", "first", "last"},
}

// showNodes checks AT NODES of a SHOW.
func showNodes(s *plan.Schema, st *syntax.Show) ([]int, error) {
	if st.At == nil || len(st.At.Nodes) == 0 {
		return nil, nil
	}
	return plan.Nodes(s, st.At)
}

func runShow(ctx context.Context, q *Query, src history.Source, opt Options, emit func(*Row) error) (Summary, error) {
	var sum Summary
	give := func(values ...event.Value) error {
		if l := q.show.Limit; l != nil && int64(sum.Rows) >= l.N {
			return errLimit
		}
		r := &Row{}
		for i, name := range showColumns[q.show.What] {
			r.Columns = append(r.Columns, Field{name, values[i]})
		}
		sum.Rows++
		return emit(r)
	}
	meta := src.Meta()
	var err error
	switch q.show.What {
	case syntax.ShowNodes:
		err = showNodeRows(meta, give)
	case syntax.ShowLogs:
		err = showLogs(meta, give)
	case syntax.ShowVariables:
		err = showVariables(meta, q.show.Like, give)
	case syntax.ShowEvents:
		err = showEvents(ctx, q, src, opt, &sum, give)
	}
	if err == errLimit {
		err = nil
	}
	return sum, err
}

type giveFunc func(values ...event.Value) error

func showNodeRows(meta *history.Meta, give giveFunc) error {
	for i := range meta.Nodes {
		n := &meta.Nodes[i]
		first, last := event.Null(), event.Null()
		if n.Events > 0 {
			first, last = event.Time(n.First.Time), event.Time(n.Last.Time)
		}
		var gaps []event.Value
		for _, s := range n.Unknown {
			gaps = append(gaps, event.List(event.Time(s.From), event.Time(s.To)))
		}
		err := give(event.String(n.Name), event.Uint(n.Events), first, last, event.List(gaps...), textOrNull(n.Reason), textOrNull(n.Build))
		if err != nil {
			return err
		}
	}
	return nil
}

func textOrNull(s string) event.Value {
	if s == "" {
		return event.Null()
	}
	return event.String(s)
}

func nodeList(meta *history.Meta, nodes []int) event.Value {
	var out []event.Value
	for _, n := range nodes {
		out = append(out, event.String(meta.Nodes[n].Name))
	}
	return event.List(out...)
}

// derived are the variables that every History has besides those of its own, whose
// changes nobody has counted.
func derived(meta *history.Meta) []history.Var {
	var out []history.Var
	var all []int
	for i := range meta.Nodes {
		all = append(all, i)
	}
	for _, name := range schemaOf(meta).Vars[len(meta.Vars):] {
		out = append(out, history.Var{Name: name, Types: []event.Type{event.TypeMap}, Nodes: all})
	}
	return out
}

// changes of a variable are null where nobody has counted them.
func changes(meta *history.Meta, name string, n uint64) event.Value {
	_, net := meta.VarID(netVars[0])
	if log, _, _ := strings.Cut(name, "."); log == "net" && !net {
		return event.Null()
	}
	return event.Uint(n)
}

func showLogs(meta *history.Meta, give giveFunc) error {
	type log struct {
		vars    uint64
		changes uint64
		nodes   []int
	}
	logs := map[string]*log{"node": {}}
	names := []string{"node"}
	vars := slices.Concat(meta.Vars, derived(meta))
	for i := range vars {
		v := &vars[i]
		name, _, _ := strings.Cut(v.Name, ".")
		l := logs[name]
		if l == nil {
			l = &log{}
			logs[name] = l
			names = append(names, name)
		}
		l.vars++
		l.changes += v.Changes
		l.nodes = append(l.nodes, v.Nodes...)
	}
	slices.Sort(names)
	for _, name := range names {
		l := logs[name]
		slices.Sort(l.nodes)
		err := give(event.String(name), event.Uint(l.vars), nodeList(meta, slices.Compact(l.nodes)), changes(meta, name, l.changes))
		if err != nil {
			return err
		}
	}
	return nil
}

// bulkyNodes are those on which a variable became too large to be compared after
// every event.
func bulkyNodes(meta *history.Meta, v *history.Var) event.Value {
	var nodes []int
	for _, b := range v.Bulky {
		nodes = append(nodes, b.Node)
	}
	return nodeList(meta, nodes)
}

func showVariables(meta *history.Meta, pattern *syntax.String, give giveFunc) error {
	vars := slices.Concat(meta.Vars, derived(meta))
	slices.SortFunc(vars, func(a, b history.Var) int { return strings.Compare(a.Name, b.Name) })
	for i := range vars {
		v := &vars[i]
		if pattern != nil && !like(v.Name, pattern.Value) {
			continue
		}
		var types []event.Value
		for _, t := range v.Types {
			types = append(types, event.String(t.String()))
		}
		if err := give(event.String(v.Name), event.Set(types...), nodeList(meta, v.Nodes), changes(meta, v.Name, v.Changes), bulkyNodes(meta, v)); err != nil {
			return err
		}
	}
	return nil
}

// An eventGroup is the events of one kind and name. Of timers, which machines like
// to name after what they wait for, those are together whose names differ by
// numbers alone.
type eventGroup struct {
	kind, name  string
	many        bool // name stands for several
	nodes       []int
	count       uint64
	first, last hlc.Timestamp
}

func (g *eventGroup) text() string {
	if g.name == "" {
		return g.kind
	}
	return g.kind + "." + g.name
}

func showEvents(ctx context.Context, q *Query, src history.Source, opt Options, sum *Summary, give giveFunc) error {
	r := &runner{q: &plan.Query{OnTime: q.show.OnTime, Nodes: q.nodes}, src: src, opt: opt}
	if err := r.timeRange(ctx); err != nil {
		return err
	}
	cur, err := history.WalkThrough(ctx, src, r.begin, history.End, q.nodes, history.Lens{Fields: history.FieldKind | history.FieldEffects})
	if err != nil {
		return err
	}
	defer cur.Close()
	groups := eventGroups{}
	for {
		ev, err := cur.Next()
		if err != nil && err != io.EOF {
			return err
		}
		if err == io.EOF || ev.Time > r.to {
			return giveEvents(src.Meta(), groups, q.show.Like, give)
		}
		if ev.Base {
			continue
		}
		sum.Cuts++
		groups.add(ev)
	}
}

// eventGroups are the events seen so far, by kind and name.
type eventGroups map[[2]string]*eventGroup

// add counts an event and the effects that came of it.
func (gs eventGroups) add(ev *history.Event) {
	gs.count(ev.Kind, ev.Name, ev)
	if ownSend(ev) != nil {
		return
	}
	var o occurrence
	for i := range ev.Effects {
		if ev.Effects[i].Kind != "recv" { // one more message that the event came of
			o.ofEffect(ev, i)
			gs.count(o.kind, o.name, ev)
		}
	}
}

func (gs eventGroups) count(kind, name string, ev *history.Event) {
	key := [2]string{kind, name}
	if kind == "timer" || kind == "settimer" || kind == "canceltimer" {
		key[1] = anyNumber(name)
	}
	g := gs[key]
	if g == nil {
		g = &eventGroup{kind: kind, name: name, first: ev.Time}
		gs[key] = g
	}
	if g.name != name {
		g.name, g.many = key[1], true
	}
	g.count++
	g.last = ev.Time
	if i, ok := slices.BinarySearch(g.nodes, ev.Node); !ok {
		g.nodes = slices.Insert(g.nodes, i, ev.Node)
	}
}

// anyNumber is a name with a * for each of its parts that have a digit in them.
func anyNumber(name string) string {
	var b strings.Builder
	for name != "" {
		end := strings.IndexAny(name, " /-_:.#,")
		if end < 0 {
			end = len(name)
		}
		if strings.ContainsAny(name[:end], "0123456789") {
			b.WriteString("*")
		} else {
			b.WriteString(name[:end])
		}
		next := min(end+1, len(name))
		b.WriteString(name[end:next])
		name = name[next:]
	}
	return b.String()
}

func giveEvents(meta *history.Meta, groups eventGroups, pattern *syntax.String, give giveFunc) error {
	var all []*eventGroup
	for _, g := range groups {
		if pattern == nil || like(g.text(), pattern.Value) {
			all = append(all, g)
		}
	}
	slices.SortFunc(all, func(a, b *eventGroup) int {
		return slices.Compare([]string{a.kind, a.name}, []string{b.kind, b.name})
	})
	for _, g := range all {
		ask := g.text()
		if g.many {
			ask = g.kind
		}
		err := give(event.String(ask), event.String(g.kind), textOrNull(g.name), nodeList(meta, g.nodes),
			event.Uint(g.count), event.Time(g.first), event.Time(g.last))
		if err != nil {
			return err
		}
	}
	return nil
}
