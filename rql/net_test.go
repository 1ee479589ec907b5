package rql_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/hlc"
	"hindcast.dev/rql"
)

// netHistory draws nodes that send each other messages under few ids, receive
// them or not, and note that they are lost.
func (d draw) netHistory() *history.Mem {
	nodes := []string{"a", "b", "c"}
	b := history.NewBuilder()
	for _, n := range nodes {
		b.AddNode(n, "")
	}
	for i := range 3 + d.n(20) {
		id := d.one("m0", "m1", "m2", "m0", "")
		var ev history.EventSpec
		ev.Time = hlc.Timestamp(100+i) << 16
		switch d.n(6) {
		case 0, 1:
			ev.Kind, ev.ID, ev.Peer = "recv", id, d.one("a", "b", "c", "", "far")
		case 2:
			ev.Kind, ev.Name, ev.ID, ev.Peer = "note", "drop", id, d.one("a", "b", "c", "", "far")
			if d.seldom(2) {
				m := map[string]string{"message": ev.ID, "peer": ev.Peer}
				ev.Data, ev.ID, ev.Peer = event.MapOf((*event.Map)(nil).With(event.String("message"), event.String(m["message"])).
					With(event.String("peer"), event.String(m["peer"]))), "", ""
			}
		}
		for range d.n(3) {
			f := history.Effect{Kind: "send", ID: d.one("m0", "m1", "m2", ""), Name: d.one("P", ""), Peer: d.one("a", "b", "c", "a", "b", "c", "", "far")}
			switch {
			case d.seldom(5):
				f.Kind = "recv"
			case d.seldom(5):
				f.Kind = "settimer"
			case !d.seldom(5):
				f.Data = event.MapOf((*event.Map)(nil).With(event.String("n"), event.Int(int64(i))))
			}
			ev.Effects = append(ev.Effects, f)
		}
		b.Append(d.node(nodes), ev)
	}
	src, err := b.Build()
	if err != nil {
		d.Fatal(err)
	}
	return src
}

// A netModel is log net by its definition.
type netModel struct {
	post           post
	sent, received map[string]map[string]int64 // by node and peer
	under          []*letter                   // in the order in which they were put under way
}

func newNetModel(nodes ...string) *netModel {
	return &netModel{post: post{nodes: nodes}, sent: map[string]map[string]int64{}, received: map[string]map[string]int64{}}
}

func bump(of map[string]map[string]int64, node, peer string) {
	if of[node] == nil {
		of[node] = map[string]int64{}
	}
	of[node][peer]++
}

func (m *netModel) step(node string, ev *history.Event) {
	if ev.Kind == "recv" && ev.Peer != "" {
		bump(m.received, node, ev.Peer)
	}
	if ev.Kind == "recv" && ev.ID != "" {
		m.post.receive("recv", ev.ID, node, ev.Peer)
	}
	for _, f := range ev.Effects {
		if f.Kind == "recv" && f.Peer != "" && (ev.Kind != "recv" || f.ID != ev.ID) {
			bump(m.received, node, f.Peer)
		}
		if f.Kind == "recv" && f.ID != "" {
			m.post.receive("recv", f.ID, node, f.Peer)
		}
	}
	if ev.Kind == "note" {
		id, peer := ev.ID, ev.Peer
		if id == "" {
			id = ev.Data.Field("message").AsString()
		}
		if peer == "" {
			peer = ev.Data.Field("peer").AsString()
		}
		if id != "" {
			m.post.lose(id, node, peer)
		}
	}
	m.prune()
	for i := range ev.Effects {
		f := &ev.Effects[i]
		if f.Kind != "send" {
			continue
		}
		if f.Peer != "" {
			bump(m.sent, node, f.Peer)
		}
		if f.ID == "" {
			continue
		}
		l := m.post.send("recv", f.ID, node, f.Peer)
		if f.Peer != "" && l.awaited && !l.received && !slices.Contains(m.under, l) {
			l.data = f
			m.under = append(m.under, l)
		}
	}
}

func (m *netModel) prune() {
	m.under = slices.DeleteFunc(m.under, func(l *letter) bool { return !l.awaited || l.received })
}

// lists is what net.inflight is, but for peers with nothing under way; and the
// number of messages, the sum and the greatest of their n.
func (m *netModel) lists() (lists string, count, sum int64, most string) {
	by := map[string][]string{}
	most = "null"
	greatest := int64(-1)
	for _, l := range m.under {
		data := "null"
		if n, ok := l.data.Data.Field("n").AsInt(); ok {
			data = fmt.Sprintf(`{"n":%d}`, n)
			sum += n
			greatest = max(greatest, n)
			most = fmt.Sprint(greatest)
		}
		at := l.from + ">" + l.to
		by[at] = append(by[at], fmt.Sprintf(`{"data":%s,"id":%q,"name":%q}`, data, l.id, l.data.Name))
	}
	var out []string
	for _, at := range slices.Sorted(maps.Keys(by)) {
		out = append(out, at+" ["+strings.Join(by[at], ",")+"]")
	}
	return strings.Join(out, " "), int64(len(m.under)), sum, most
}

// shownLists is the same of a cell.
func shownLists(c *rql.Cell) string {
	var out []string
	for _, f := range c.Nodes {
		for peer, list := range f.Value.AsMap().All() {
			if len(list.Members()) > 0 {
				out = append(out, f.Name+">"+peer.AsString()+" "+string(list.AppendJSON(nil)))
			}
		}
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

func shownCounts(c *rql.Cell) map[string]map[string]int64 {
	out := map[string]map[string]int64{}
	for _, f := range c.Nodes {
		for peer, v := range f.Value.AsMap().All() {
			if out[f.Name] == nil {
				out[f.Name] = map[string]int64{}
			}
			out[f.Name][peer.AsString()], _ = v.AsInt()
		}
	}
	return out
}

// netQuery asks for all of log net, in such ways as are kept differently.
const netQuery = `SELECT net.sent AS s, net.received AS r, net.inflight AS f, COUNT(net.inflight[*][*]) AS n,
SUM(net.inflight[*][*].data.n) AS sum, MAX(net.inflight[*][*].data.n) AS most, SUM(net.inflight["b"][*].data.n) AS tob, LEN(net.inflight["b"]) AS len
FROM net %s EMIT CUTS`

func TestLogNetIsWhatItsDefinitionSays(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		d := draw{rt}
		src := d.netHistory()
		// The last asks for lists at every change; none has a cut less.
		when := d.one("", "WHEN COUNT(net.inflight[*][*]) >= 0", "WHEN SUM(net.inflight[*][*].data.n) >= 0 AND COUNT(net.sent) >= 0",
			"WHEN NOT CHANGED(net.inflight) OR TRUE")
		q, err := rql.Compile(src.Meta(), fmt.Sprintf(netQuery, when))
		if err != nil {
			rt.Fatal(err)
		}
		var rows []*rql.Row
		if _, err := q.Run(context.Background(), src, rql.Options{}, func(r *rql.Row) error { rows = append(rows, r); return nil }); err != nil {
			rt.Fatal(err)
		}
		cur, err := src.Walk(context.Background(), history.Begin, history.End, nil)
		if err != nil {
			rt.Fatal(err)
		}
		m := newNetModel("a", "b", "c")
		cut := 0
		for ev, err := cur.Next(); err == nil; ev, err = cur.Next() {
			m.step(m.post.nodes[ev.Node], ev)
			checkNet(rt, m, rows[cut])
			cut++
		}
		if cut != len(rows) {
			rt.Fatalf("%d rows of %d cuts", len(rows), cut)
		}
	})
}

func checkNet(t *rapid.T, m *netModel, r *rql.Row) {
	lists, count, sum, most := m.lists()
	cells := map[string]*rql.Cell{}
	for i := range r.Values {
		cells[r.Values[i].Name] = &r.Values[i]
	}
	one := func(name string) string { return string(cells[name].Value.AppendJSON(nil)) }
	if got := shownLists(cells["f"]); got != lists {
		t.Fatalf("at %s: under way are\n%s, want\n%s", r.From, got, lists)
	}
	if one("n") != fmt.Sprint(count) || one("sum") != fmt.Sprint(sum) || one("most") != most {
		t.Fatalf("at %s: %s messages, sum %s, greatest %s; want %d, %d, %s", r.From, one("n"), one("sum"), one("most"), count, sum, most)
	}
	toB := int64(0)
	lens := map[string]int{}
	for _, l := range m.under {
		if n, ok := l.data.Data.Field("n").AsInt(); ok && l.to == "b" {
			toB += n
		}
		if l.to == "b" {
			lens[l.from]++
		}
	}
	if one("tob") != fmt.Sprint(toB) {
		t.Fatalf("at %s: %s to b, want %d", r.From, one("tob"), toB)
	}
	for _, f := range cells["len"].Nodes {
		if n, _ := f.Value.AsInt(); int(n) != lens[f.Name] {
			t.Fatalf("at %s: %d of %s to b, want %d", r.From, n, f.Name, lens[f.Name])
		}
	}
	for name, want := range map[string]map[string]map[string]int64{"s": m.sent, "r": m.received} {
		if got := shownCounts(cells[name]); !maps.EqualFunc(got, want, maps.Equal) {
			t.Fatalf("at %s: %s is %v, want %v", r.From, name, got, want)
		}
	}
}
