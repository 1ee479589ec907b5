package rql_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/hlc"
	"hindcast.dev/rql"
)

// draw picks random things.
type draw struct{ *rapid.T }

func (d draw) n(max int) int              { return rapid.IntRange(0, max).Draw(d.T, "n") }
func (d draw) one(of ...string) string    { return of[d.n(len(of)-1)] }
func (d draw) seldom(in int) bool         { return d.n(in-1) == 0 }
func (d draw) node(nodes []string) string { return nodes[d.n(len(nodes)-1)] }
func (d draw) id() string                 { return "m" + fmt.Sprint(d.n(3)) }
func (d draw) at(events int) int64        { return int64(100 + d.n(events+1)) }
func (d draw) field(prefix string) oField {
	return oField{0, d.one("x", "x", "y", "seq", "node", "kind")}
}
func (d draw) machine() string { return d.one("", "m", "k") }
func (d draw) payload() event.Value {
	if d.seldom(4) {
		return event.Absent
	}
	m := (*event.Map)(nil).With(event.String("x"), event.Int(int64(d.n(2))))
	switch d.n(5) {
	case 0:
		m = m.With(event.String("y"), event.String(d.one("a", "b")))
	case 1:
		m = m.With(event.String("y"), event.Int(int64(d.n(1))))
	case 2:
		m = m.With(event.String("seq"), event.Int(9))
	case 3:
		m = m.With(event.String("x"), event.Null())
	}
	return event.MapOf(m)
}

func (d draw) effect(nodes []string) history.Effect {
	f := history.Effect{Kind: d.one("send", "send", "settimer", "canceltimer", "call", "log", "recv"), ID: d.id(), Name: d.one("P", "t", ""), Data: d.payload()}
	if f.Kind == "send" || f.Kind == "recv" {
		f.Peer = d.one(append(nodes, "elsewhere", "")...)
	}
	return f
}

func (d draw) event(nodes []string) history.EventSpec {
	ev := history.EventSpec{}
	ev.Kind = d.one("A", "A", "A", "B", "recv", "recv", "recv", "send", "send", "timer", "result", "request", "note")
	ev.Name, ev.Machine, ev.Data = d.one("P", "Q", ""), d.machine(), d.payload()
	switch ev.Kind {
	case "recv", "timer", "result":
		if ev.ID = d.id(); ev.Kind == "recv" {
			ev.Peer = d.one(append(nodes, "elsewhere", "", "")...)
		}
	case "send":
		ev.Effects = []history.Effect{{Kind: "send", ID: d.id(), Peer: d.one(append(nodes, "")...), Name: ev.Name, Data: ev.Data}}
		return ev
	}
	for range d.n(4) - 2 {
		ev.Effects = append(ev.Effects, d.effect(nodes))
	}
	return ev
}

// history is a random one, and its events in walk order.
func (d draw) history() (*history.Mem, *oracleWorld) {
	nodes := []string{"a", "b", "c"}[:1+d.n(2)]
	b := history.NewBuilder()
	for _, n := range nodes {
		b.AddNode(n, "")
	}
	now := int64(100)
	for range 5 + d.n(11) {
		now += int64(d.n(1)) // events of different nodes may have one timestamp
		ev := d.event(nodes)
		ev.Time = hlc.Timestamp(now)
		b.Append(d.node(nodes), ev)
	}
	src, err := b.Build()
	if err != nil {
		d.Fatal(err)
	}
	cur, err := src.Walk(context.Background(), history.Begin, history.End, nil)
	if err != nil {
		d.Fatal(err)
	}
	var events []*history.Event
	for ev, err := cur.Next(); err == nil; ev, err = cur.Next() {
		events = append(events, ev)
	}
	return src, newOracleWorld(nodes, events)
}

// query is a random one; prefix makes the names of its inputs its own.
func (d draw) query(prefix string, depth int, joined bool) *oQuery {
	q := &oQuery{prefix: prefix, limit: -1, grouped: d.seldom(3)}
	for i := range 1 + d.n(2) {
		in := oInput{parent: -1, rel: d.n(1)}
		if i > 0 {
			in.parent = d.n(i - 1)
			for in.parent != i-1 && q.inputs[in.parent+1].parent != in.parent {
				in.parent = i - 1
			}
		}
		if depth > 0 && d.seldom(4) {
			in.sub = d.query(fmt.Sprintf("%s%ds", prefix, i), depth-1, i > 0)
		} else {
			in.event = d.one("A", "A", "A", "B", "B", "recv", "recv", "send", "send", "P", "m.P", "recv.P", "send.P", "timer", "settimer", "k.A", "log", "m.send")
			if d.seldom(2) && (i > 0 || !joined) {
				in.keep, in.n = d.one("FIRST", "MOSTRECENT"), 1+d.n(1)
			}
		}
		q.inputs = append(q.inputs, in)
		if i == 0 && in.sub != nil && in.sub.grouped {
			break // nothing is before a group
		}
		if in.sub != nil && in.sub.grouped && i > 0 {
			break
		}
	}
	d.rest(q)
	return q
}

// pick is a field of some input.
func (d draw) pick(q *oQuery) oField {
	i := d.n(len(q.inputs) - 1)
	f := d.field(q.prefix)
	if sub := q.inputs[i].sub; sub != nil {
		f.name = fmt.Sprintf("c%d", d.n(len(sub.items)+len(sub.keys)+len(sub.aggs)-1))
	}
	f.input = i
	return f
}

func (d draw) rest(q *oQuery) {
	for range d.n(4) - 2 {
		c := oCond{l: d.pick(q), op: d.one("=", "!=", "<"), lit: d.one("0", "1", "'a'")}
		if d.seldom(2) {
			c.r, c.lit = d.pick(q), ""
		}
		q.where = append(q.where, c)
	}
	if q.grouped {
		for range d.n(2) {
			if f := d.pick(q); !slices.Contains(q.keys, f) {
				q.keys = append(q.keys, f)
			}
		}
		for range 1 + d.n(1) {
			q.aggs = append(q.aggs, oAgg{d.one("COUNT(*)", "COUNT", "COUNT DISTINCT", "SUM", "MIN", "MAX", "VALUES"), d.pick(q)})
		}
	} else {
		for range 1 + d.n(1) {
			q.items = append(q.items, d.pick(q))
		}
	}
	if d.seldom(4) {
		q.limit = d.n(3)
	}
	if first := q.inputs[0]; d.seldom(4) && (first.sub == nil || !first.sub.grouped) {
		q.ranged, q.from = true, d.at(12)
		q.to = q.from + int64(d.n(8))
	}
}

// text is the query as one would write it.
func (q *oQuery) text(d draw) string {
	name := func(i int) string { return q.prefix + fmt.Sprint(i) }
	field := func(f oField) string { return name(f.input) + "." + f.name }
	source := func(in oInput) string {
		switch {
		case in.sub != nil:
			return "(" + in.sub.text(d) + ")"
		case in.keep != "" && in.n > 1:
			return fmt.Sprintf("%sN(%d, %s)", in.keep, in.n, in.event)
		case in.keep != "":
			return fmt.Sprintf("%s(%s)", in.keep, in.event)
		}
		return in.event
	}
	var b strings.Builder
	fmt.Fprintf(&b, "FROM %s IN %s", name(0), source(q.inputs[0]))
	for i, in := range q.inputs[1:] {
		fmt.Fprintf(&b, " JOIN %s IN %s ON %s %s %s", name(i+1), source(in), name(i+1), []string{"->", "=>"}[in.rel], name(in.parent))
	}
	for i, c := range q.where {
		right := c.lit
		if right == "" {
			right = field(c.r)
		}
		fmt.Fprintf(&b, " %s %s %s %s", []string{"AND", "WHERE"}[b2i(i == 0)], field(c.l), c.op, right)
	}
	var items []string
	for i, k := range q.keys {
		fmt.Fprintf(&b, "%s%s", []string{", ", " GROUP BY "}[b2i(i == 0)], field(k))
		items = append(items, field(k))
	}
	for _, a := range q.aggs {
		fn, distinct := strings.CutSuffix(a.op, " DISTINCT")
		switch {
		case fn == "COUNT(*)":
			items = append(items, fn)
		case distinct:
			items = append(items, fmt.Sprintf("%s(DISTINCT %s)", fn, field(a.arg)))
		default:
			items = append(items, fmt.Sprintf("%s(%s)", fn, field(a.arg)))
		}
	}
	for _, f := range q.items {
		items = append(items, field(f))
	}
	for i, it := range items {
		fmt.Fprintf(&b, "%s%s AS c%d", []string{", ", " SELECT "}[b2i(i == 0)], it, i)
	}
	if q.ranged {
		fmt.Fprintf(&b, " ON TIME %s TO %s", hlc.Timestamp(q.from), hlc.Timestamp(q.to))
	}
	if q.limit >= 0 {
		fmt.Fprintf(&b, " LIMIT %d", q.limit)
	}
	return b.String()
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// answer is what the oracle expects, as JSON lines.
func (w *oracleWorld) answer(q *oQuery) string {
	rows := w.rows(q)
	if q.grouped {
		rows = group(q, rows)
	}
	var b strings.Builder
	for _, r := range rows {
		if q.grouped {
			b.WriteString(`{"group":{`)
			for i, k := range q.keys {
				fmt.Fprintf(&b, `%s"%s%d.%s":%s`, []string{",", ""}[b2i(i == 0)], q.prefix, k.input, k.name, r.pre[i])
			}
			b.WriteString("},")
		} else if at := r.at; at >= 0 {
			fmt.Fprintf(&b, `{"at":"%s",`, w.occs[at].ev.Time)
		} else {
			b.WriteString(`{"at":null,`) // of a group
		}
		b.WriteString(`"values":{`)
		for i, v := range r.values {
			if v.IsAbsent() {
				v = event.Null()
			}
			fmt.Fprintf(&b, `%s"c%d":%s`, []string{",", ""}[b2i(i == 0)], i, v)
		}
		b.WriteString("}")
		if !q.grouped {
			b.WriteString(`,"events":{`)
			sep := ""
			for i, at := range r.refs {
				if at < 0 {
					continue
				}
				o := w.occs[at]
				effect := ""
				if o.effect > 0 {
					effect = fmt.Sprintf(`,"effect":%d`, o.effect)
				}
				fmt.Fprintf(&b, `%s"%s%d":{"node":"%s","seq":%d%s}`, sep, q.prefix, i, w.nodes[o.ev.Node], o.ev.Seq, effect)
				sep = ","
			}
			b.WriteString("}")
		}
		b.WriteString("}\n")
	}
	return b.String()
}

// TestEventQueriesAnswerAsTheNestedLoopsDo compares the engine with the oracle on
// small random Histories.
func TestEventQueriesAnswerAsTheNestedLoopsDo(t *testing.T) {
	rows, pairs := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		d := draw{rt}
		src, w := d.history()
		for range 40 {
			q := d.query("e", 1, false)
			text := q.text(d)
			want := w.answer(q)
			got, err := eventRows(src, text)
			if err != nil && strings.Contains(err.Error(), "the History has no event") {
				continue
			}
			if err != nil {
				rt.Fatalf("%s\n%v\n%s", text, err, dumpEvents(src))
			}
			if got != want {
				rt.Fatalf("%s\ngot:\n%swant:\n%s\n%s", text, got, want, dumpEvents(src))
			}
			pairs++
			rows += strings.Count(got, "\n")
		}
	})
	t.Logf("%d pairs, %d rows", pairs, rows)
	if rows < pairs/4 {
		t.Errorf("%d pairs gave only %d rows: the test has lost its teeth", pairs, rows)
	}
}

func eventRows(src history.Source, text string) (string, error) {
	q, err := rql.Compile(src.Meta(), text)
	if err != nil {
		return "", err
	}
	var b []byte
	_, err = q.Run(context.Background(), src, rql.Options{}, func(r *rql.Row) error {
		b = append(r.AppendJSON(b), '\n')
		return nil
	})
	return string(b), err
}

func dumpEvents(src history.Source) string {
	var b strings.Builder
	if err := history.WriteText(&b, src); err != nil {
		return err.Error()
	}
	return b.String()
}
