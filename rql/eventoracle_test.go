package rql_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"hindcast.dev/event"
	"hindcast.dev/history"
)

// The oracle of event queries: all occurrences in a list, both happened-befores
// as matrices by Warshall's algorithm, joins as nested loops.

// An occ is an occurrence.
type occ struct {
	ev                  *history.Event
	effect              int
	kind, name, machine string
	id, peer            string
	data                event.Value
}

// called reports whether a query finds the occurrence by a name.
func (o *occ) called(name string) bool {
	for _, prefix := range []string{"", o.machine + "."} {
		rest, ok := strings.CutPrefix(name, prefix)
		if !ok || prefix == "." {
			continue
		}
		effect := slices.Contains([]string{"send", "reply", "call", "settimer", "canceltimer", "log"}, o.kind)
		if rest == o.kind || o.name != "" && (rest == o.kind+"."+o.name || rest == o.name && !effect) {
			return true
		}
	}
	return false
}

// An oracleWorld is a History as the oracle sees it. Events are in walk order.
type oracleWorld struct {
	nodes  []string
	post   post
	occs   []*occ
	before [2][][]bool // by relation: -> and =>
}

func newOracleWorld(nodes []string, events []*history.Event) *oracleWorld {
	w := &oracleWorld{nodes: nodes, post: post{nodes: nodes}}
	first, last := map[*history.Event]int{}, map[*history.Event]int{}
	for _, ev := range events {
		own := ev.Kind == "send" && len(ev.Effects) == 1 && ev.Effects[0].Kind == "send"
		o := &occ{ev, 0, ev.Kind, ev.Name, ev.Machine, ev.ID, ev.Peer, ev.Data}
		first[ev] = len(w.occs)
		w.occs = append(w.occs, o)
		if own {
			o.id, o.peer = ev.Effects[0].ID, ev.Effects[0].Peer
		}
		for i, f := range ev.Effects {
			if f.Kind != "recv" && !own {
				w.occs = append(w.occs, &occ{ev, i + 1, f.Kind, f.Name, ev.Machine, f.ID, f.Peer, f.Data})
			}
		}
		last[ev] = len(w.occs) - 1
	}
	for rel := range w.before {
		w.before[rel] = make([][]bool, len(w.occs))
		for i := range w.occs {
			w.before[rel][i] = make([]bool, len(w.occs))
		}
	}
	for k, ev := range events {
		w.edges(events[:k], ev, first[ev], last)
		for i := first[ev]; i <= last[ev]; i++ {
			if o := w.occs[i]; o.kind == "send" && o.id != "" && o.sends() {
				w.post.send("recv", o.id, nodes[ev.Node], o.peer).tag = i
			}
		}
		for i := first[ev]; i < last[ev]; i++ {
			w.before[0][i][i+1], w.before[1][i][i+1] = true, true
		}
	}
	for rel := range w.before {
		m := w.before[rel]
		for k := range m {
			for i := range m {
				for j := range m {
					m[i][j] = m[i][j] || m[i][k] && m[k][j]
				}
			}
		}
	}
	return w
}

// edges adds what is directly before an event.
func (w *oracleWorld) edges(earlier []*history.Event, ev *history.Event, at int, last map[*history.Event]int) {
	linked := false
	link := func(kind, id, peer string) {
		if from := w.sender(kind, id, peer, ev, at); from >= 0 {
			w.before[0][from][at], w.before[1][from][at], linked = true, true, true
		}
	}
	if slices.Contains([]string{"recv", "timer", "result"}, ev.Kind) {
		link(ev.Kind, ev.ID, ev.Peer)
	}
	for _, f := range ev.Effects {
		if f.Kind == "recv" {
			link("recv", f.ID, f.Peer)
		}
	}
	handles := slices.Contains([]string{"recv", "timer", "result", "request", "start", "control", "invoke", "note"}, ev.Kind)
	beside := false
	for _, e := range slices.Backward(earlier) {
		if e.Node != ev.Node {
			continue
		}
		w.before[0][last[e]][at] = true
		if beside = e.Kind == "note"; !beside && !handles && !linked {
			w.before[1][last[e]][at] = true
		}
		if !beside {
			break
		}
	}
}

// sender is the occurrence that a receive is linked to, -1 if there is none.
func (w *oracleWorld) sender(kind, id, peer string, ev *history.Event, at int) int {
	if kind == "recv" {
		if id != "" {
			if l := w.post.receive(kind, id, w.nodes[ev.Node], peer); l != nil {
				return l.tag
			}
		}
		return -1
	}
	effect := map[string]string{"timer": "settimer", "result": "call"}[kind]
	found := -1
	for i, o := range w.occs[:at] {
		if id != "" && o.id == id && o.kind == effect && o.sends() && o.ev.Node == ev.Node {
			found = i
		}
	}
	if effect != "settimer" || found < 0 {
		return found
	}
	set := w.occs[found]
	for _, o := range w.occs[found+1 : at] {
		again := o.effect > 0 && (o.kind == "settimer" || o.kind == "canceltimer")
		if again && o.ev.Node == ev.Node && o.name == set.name && o.machine == set.machine {
			return -1
		}
	}
	return found
}

// sends reports whether the occurrence is or has an effect that sends.
func (o *occ) sends() bool { return o.effect > 0 || o.kind == "send" && len(o.ev.Effects) == 1 }

// An oField is name.field.
type oField struct {
	input int
	name  string // x, seq, node, kind; of a sub-query a column
}

type oInput struct {
	event  string
	sub    *oQuery
	keep   string // "", FIRST, MOSTRECENT
	n      int
	parent int
	rel    int
}

type oCond struct {
	l   oField
	op  string
	r   oField
	lit string // in place of r, if not empty
}

type oAgg struct {
	op  string // COUNT(*) or a function
	arg oField
}

// An oQuery is a random event query: what the text says, in the order of the
// tree.
type oQuery struct {
	inputs  []oInput // names are prefix+index
	prefix  string
	where   []oCond
	items   []oField // of ungrouped
	grouped bool
	keys    []oField
	aggs    []oAgg
	limit   int // -1: none
	ranged  bool
	from    int64 // in events' times
	to      int64
}

// An oRow is a row: at is the occurrence that happened last, nil of a group.
type oRow struct {
	at     int
	refs   []int
	values []event.Value
	pre    []event.Value // keys and arguments, before they are grouped
}

func (w *oracleWorld) fieldOf(o *occ, name string) event.Value {
	if v := o.data.Field(name); !v.IsAbsent() {
		return v
	}
	switch name {
	case "seq":
		return event.Uint(o.ev.Seq)
	case "node":
		return event.String(w.nodes[o.ev.Node])
	case "kind":
		return event.String(o.kind)
	}
	return event.Absent
}

// rows are those of a query; of a grouped one they are its combinations.
func (w *oracleWorld) rows(q *oQuery) []oRow {
	type cand struct {
		at     int // -1 for a group
		values []event.Value
	}
	var out []oRow
	subs := make([][]oRow, len(q.inputs))
	for i, in := range q.inputs {
		if in.sub != nil {
			subs[i] = w.rows(in.sub)
		}
	}
	candidates := func(i int, parent int) []cand {
		in := q.inputs[i]
		ok := func(at int) bool {
			if parent >= 0 {
				return w.before[in.rel][at][parent]
			}
			t := int64(w.occs[at].ev.Time)
			return !q.ranged || q.from <= t && t <= q.to
		}
		var list []cand
		switch {
		case in.sub != nil && in.sub.grouped:
			var before []oRow
			for _, r := range subs[i] {
				if parent < 0 || w.before[in.rel][r.at][parent] {
					before = append(before, r)
				}
			}
			for _, g := range group(in.sub, before) {
				list = append(list, cand{-1, g.values})
			}
		case in.sub != nil:
			for _, r := range subs[i] {
				if ok(r.at) {
					list = append(list, cand{r.at, r.values})
				}
			}
		default:
			for at, o := range w.occs {
				if o.called(in.event) && ok(at) {
					list = append(list, cand{at: at})
				}
			}
		}
		switch n := min(in.n, len(list)); in.keep {
		case "FIRST":
			list = list[:n]
		case "MOSTRECENT":
			list = list[len(list)-n:]
		}
		return list
	}
	bound := make([]cand, len(q.inputs))
	get := func(f oField) event.Value {
		c := bound[f.input]
		if sub := q.inputs[f.input].sub; sub != nil {
			var n int
			fmt.Sscanf(f.name, "c%d", &n)
			return c.values[n]
		}
		return w.fieldOf(w.occs[c.at], f.name)
	}
	var bind func(i int)
	bind = func(i int) {
		if i < len(q.inputs) {
			parent := -1
			if i > 0 {
				parent = bound[q.inputs[i].parent].at
			}
			for _, bound[i] = range candidates(i, parent) {
				bind(i + 1)
			}
			return
		}
		for _, c := range q.where {
			if c.lit != "" && !holds(get(c.l), c.op, literal(c.lit)) || c.lit == "" && !holds(get(c.l), c.op, get(c.r)) {
				return
			}
		}
		row := oRow{at: bound[0].at}
		for _, c := range bound {
			row.refs = append(row.refs, c.at)
		}
		for _, f := range q.items {
			row.values = append(row.values, get(f))
		}
		for _, f := range q.keys {
			v := get(f)
			if v.IsAbsent() {
				v = event.Null()
			}
			row.pre = append(row.pre, v)
		}
		for _, a := range q.aggs {
			if a.op == "COUNT(*)" {
				row.pre = append(row.pre, event.Absent)
			} else {
				row.pre = append(row.pre, get(a.arg))
			}
		}
		out = append(out, row)
	}
	bind(0)
	if !q.grouped && q.limit >= 0 {
		out = out[:min(q.limit, len(out))]
	}
	return out
}

func literal(s string) event.Value {
	if s[0] == '\'' {
		return event.String(strings.Trim(s, "'"))
	}
	return event.Int(int64(s[0] - '0'))
}

// holds compares two values; of those that there are, ints and strings have an order.
func holds(a event.Value, op string, b event.Value) bool {
	if a.IsAbsent() || b.IsAbsent() {
		return false
	}
	same := a.IsInt() && b.IsInt() || a.Type() == b.Type()
	switch op {
	case "=":
		return same && event.Compare(a, b) == 0
	case "!=":
		return !same || event.Compare(a, b) != 0
	}
	return same && (a.IsInt() || a.Type() == event.TypeString) && event.Compare(a, b) < 0
}

// group makes the groups of rows, by their keys.
func group(q *oQuery, rows []oRow) []oRow {
	type bucket struct {
		keys []event.Value
		rows []oRow
	}
	var all []*bucket
	if len(q.keys) == 0 {
		all = append(all, &bucket{})
	}
	for _, r := range rows {
		keys := r.pre[:len(q.keys)]
		i := slices.IndexFunc(all, func(b *bucket) bool { return slices.EqualFunc(b.keys, keys, event.Equal) })
		if i < 0 {
			i, all = len(all), append(all, &bucket{keys: keys})
		}
		all[i].rows = append(all[i].rows, r)
	}
	slices.SortFunc(all, func(a, b *bucket) int {
		return slices.CompareFunc(a.keys, b.keys, func(a, b event.Value) int {
			return cmp.Or(cmp.Compare(a.Type(), b.Type()), event.Compare(a, b))
		})
	})
	var out []oRow
	for _, b := range all {
		row := oRow{at: -1, values: slices.Clone(b.keys), pre: b.keys}
		for i, a := range q.aggs {
			var vs []event.Value
			for _, r := range b.rows {
				if v := r.pre[len(q.keys)+i]; !v.IsAbsent() {
					vs = append(vs, v)
				}
			}
			row.values = append(row.values, aggregate(a.op, vs, len(b.rows)))
		}
		out = append(out, row)
	}
	if q.limit >= 0 {
		out = out[:min(q.limit, len(out))]
	}
	return out
}

// aggregate is a function of ints and strings.
func aggregate(op string, vs []event.Value, rows int) event.Value {
	ints := 0
	var total int64
	for _, v := range vs {
		if n, ok := v.AsInt(); ok {
			ints++
			total += n
		}
	}
	mixed := ints != 0 && ints != len(vs) || slices.ContainsFunc(vs, func(v event.Value) bool { return !v.IsInt() && v.Type() != event.TypeString })
	sorted := slices.SortedFunc(slices.Values(vs), event.Compare)
	different := slices.CompactFunc(slices.Clone(sorted), event.Equal)
	switch op {
	case "COUNT(*)":
		return event.Int(int64(rows))
	case "COUNT":
		return event.Int(int64(len(vs)))
	case "COUNT DISTINCT":
		return event.Int(int64(len(different)))
	case "VALUES":
		return event.Set(different...)
	case "SUM":
		if ints != len(vs) {
			return event.Absent
		}
		return event.Int(total)
	case "MIN", "MAX":
		switch {
		case len(vs) == 0 || mixed:
			return event.Absent
		case op == "MIN":
			return sorted[0]
		}
		return sorted[len(sorted)-1]
	}
	panic(op)
}
