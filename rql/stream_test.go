package rql_test

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/hlc"
	"hindcast.dev/rql"
)

// entries is the whole walk.
func entries(t rapid.TB, src history.Source) []*history.Event {
	cur, err := src.Walk(context.Background(), history.Begin, history.End, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer cur.Close()
	var out []*history.Event
	for {
		ev, err := cur.Next()
		if err == io.EOF {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, ev)
	}
}

// runRows are the rows of Run, line by line.
func runRows(t rapid.TB, src history.Source, text string) (out []string) {
	q, err := rql.Compile(src.Meta(), text)
	if err != nil {
		t.Fatalf("%s\n%v", text, err)
	}
	_, err = q.Run(context.Background(), src, rql.Options{}, func(r *rql.Row) error {
		out = append(out, string(r.AppendJSON(nil)))
		return nil
	})
	if err != nil {
		t.Fatalf("%s\n%v", text, err)
	}
	return out
}

// streamRows are the rows of a Stream. Nodes join when their first entry comes if
// grow is set.
func streamRows(t rapid.TB, src history.Source, text string, grow bool) (out []*rql.Row, sum rql.Summary) {
	full, gaps := apart(src.Meta())
	meta, at := *full, map[int]int{}
	join := func(n int) {
		at[n] = 0
		meta = *full
		meta.Nodes = nil
		for i := range full.Nodes {
			if _, in := at[i]; in {
				at[i] = len(meta.Nodes)
				meta.Nodes = append(meta.Nodes, full.Nodes[i])
			}
		}
	}
	all := entries(t, src)
	if grow {
		join(all[0].Node)
	}
	q, err := rql.Compile(&meta, text)
	if err != nil {
		t.Skip("it names a node that comes later")
	}
	m := meta
	s, err := q.Stream(context.Background(), &m, rql.Options{}, func(r *rql.Row) error {
		out = append(out, r)
		return nil
	})
	if err != nil {
		t.Fatalf("%s\n%v", text, err)
	}
	for _, ev := range all {
		e := *ev
		if grow {
			if _, in := at[ev.Node]; !in {
				join(ev.Node)
				m := meta
				if err := s.Grow(&m); err != nil {
					t.Fatalf("%s\ngrow: %v", text, err)
				}
			}
			e.Node = at[ev.Node]
		}
		gaps = tell(s, gaps, at, ev.Time)
		if err := s.Feed(&e); err == io.EOF {
			break
		} else if err != nil {
			t.Fatalf("%s\n%v", text, err)
		}
	}
	tell(s, gaps, at, hlc.Max)
	if sum, err = s.Close(); err != nil {
		t.Fatalf("%s\n%v", text, err)
	}
	return out, sum
}

// A told gap is one of which a Stream is told as time goes on.
type toldGap struct {
	node int
	span history.Span
	open bool
}

// apart is a History that says nothing of its gaps, and those.
func apart(full *history.Meta) (*history.Meta, []*toldGap) {
	meta := *full
	meta.Nodes = slices.Clone(full.Nodes)
	var gaps []*toldGap
	for i := range meta.Nodes {
		for _, s := range meta.Nodes[i].Unknown {
			gaps = append(gaps, &toldGap{node: i, span: s})
		}
		meta.Nodes[i].Unknown = nil
	}
	return &meta, gaps
}

// tell tells of the gaps that have begun or ended by now, and returns the others.
func tell(s *rql.Stream, gaps []*toldGap, at map[int]int, now hlc.Timestamp) (left []*toldGap) {
	for _, g := range gaps {
		node := g.node
		if to, moved := at[node]; moved {
			node = to
		}
		switch {
		case g.span.To <= now:
			s.Gap(node, g.span)
			continue
		case g.span.From <= now && !g.open:
			g.open = true
			s.Gap(node, history.Span{From: g.span.From, To: hlc.Max})
		}
		left = append(left, g)
	}
	return left
}

// births are the first cuts at which a map has each key on some node.
func births(t rapid.TB, src history.Source, variable string) map[string]history.Position {
	meta := src.Meta()
	id, _ := meta.VarID(variable)
	states := make([]*history.State, len(meta.Nodes))
	out := map[string]history.Position{}
	for _, ev := range entries(t, src) {
		if states[ev.Node] == nil {
			states[ev.Node] = history.NewState()
		}
		states[ev.Node].ApplyAll(ev.Changes)
		if ev.Base {
			continue
		}
		for _, s := range states {
			for k := range s.Clone().Get(id).AsMap().All() {
				if _, seen := out[k.AsString()]; !seen {
					out[k.AsString()] = ev.Position
				}
			}
		}
	}
	return out
}

func TestAStreamGivesTheRowsOfARun(t *testing.T) {
	var asked, rows int
	rapid.Check(t, func(t *rapid.T) {
		grow := rapid.Bool().Draw(t, "grow")
		g := &generator{t: t, past: rapid.Bool().Draw(t, "past"), gaps: !grow && rapid.Bool().Draw(t, "gaps")}
		src := g.history()
		text := g.query()
		if _, err := rql.Compile(src.Meta(), text); err != nil || strings.Contains(text, "ON TIME") {
			t.Skip("refused")
		}
		text, _, _ = strings.Cut(text, " LIMIT")
		text, emit, _ := strings.Cut(text, " EMIT")
		check := func(got, want []string) {
			asked, rows = asked+1, rows+len(want)
			if a, b := strings.Join(got, "\n"), strings.Join(want, "\n"); a != b {
				var h strings.Builder
				_ = history.WriteText(&h, src)
				t.Fatalf("%s, grow %v\n%s\ngot:\n%s\nwant:\n%s", text, grow, h.String(), a, b)
			}
		}
		if g.past && strings.Contains(text, "FOR EACH") {
			t.Skip("what was before a member was born is no part of its walk")
		}
		if strings.Contains(text, "FOR EACH") {
			variable := "inv.r"
			if strings.Contains(text, "EACH k IN KEYS(inv.m)") {
				variable = "inv.m"
			}
			text += " EMIT CUTS"
			check(afterBirth(t, src, text, grow, births(t, src, variable)))
			return
		}
		if emit != "" {
			text += " EMIT" + emit
			got, _ := streamRows(t, src, text, grow)
			check(lines(got), runRows(t, src, text))
			return
		}
		got, _ := streamRows(t, src, text, grow)
		for edge, emit := range map[string]string{rql.EdgeEnter: " EMIT ENTER", rql.EdgeLeave: " EMIT LEAVE"} {
			var of []*rql.Row
			for _, r := range got {
				if r.Edge == edge {
					plain := *r
					plain.Edge = ""
					of = append(of, &plain)
				}
			}
			check(lines(of), runRows(t, src, text+emit))
		}
	})
	t.Logf("%d asked, %d rows", asked, rows)
}

func lines(rows []*rql.Row) (out []string) {
	for _, r := range rows {
		out = append(out, string(r.AppendJSON(nil)))
	}
	return out
}

// afterBirth are the rows of a Stream with FOR EACH, and those of Run from the
// first cut on that has the row's member.
func afterBirth(t rapid.TB, src history.Source, text string, grow bool, born map[string]history.Position) (got, want []string) {
	rows, _ := streamRows(t, src, text, grow)
	q, err := rql.Compile(src.Meta(), text)
	if err != nil {
		t.Fatal(err)
	}
	_, err = q.Run(context.Background(), src, rql.Options{}, func(r *rql.Row) error {
		n, _ := src.Meta().NodeIndex(r.Event.Node)
		at := history.Position{Time: r.From, Node: n, Seq: r.Event.Seq}
		if at.Compare(born[r.Each.Value.AsString()]) >= 0 {
			want = append(want, string(r.AppendJSON(nil)))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return lines(rows), want
}

// grown is a History of one node, with the variables in this order.
func grown(nodes []string, vars ...string) *history.Meta {
	m := &history.Meta{}
	for _, n := range nodes {
		m.Nodes = append(m.Nodes, history.Node{Name: n})
	}
	for _, v := range vars {
		m.Vars = append(m.Vars, history.Var{Name: v})
	}
	return m
}

func TestAStreamTakesVariablesAndNodesThatComeLater(t *testing.T) {
	set := func(node int, at, id int, v event.Value) *history.Event {
		return &history.Event{Position: history.Position{Time: hlc.Timestamp(at), Node: node, Seq: uint64(at)},
			Changes: []history.Change{{Var: history.VarID(id), Value: v}}}
	}
	m := grown([]string{"b"}, "kv.z")
	var got []string
	ask := func(text string) *rql.Stream {
		got = nil
		q, err := rql.Compile(m, text)
		if err != nil {
			t.Fatal(err)
		}
		s, err := q.Stream(context.Background(), m, rql.Options{}, func(r *rql.Row) error {
			_, shown, _ := strings.Cut(string(r.AppendJSON(nil)), `"values":`)
			got = append(got, shown)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	feed := func(s *rql.Stream, evs ...*history.Event) {
		for _, ev := range evs {
			if err := s.Feed(ev); err != nil {
				t.Fatal(err)
			}
		}
	}
	grow := func(s *rql.Stream, m *history.Meta) {
		if err := s.Grow(m); err != nil {
			t.Fatal(err)
		}
	}
	// A variable that the language knows and no node has had yet.
	s := ask(`SELECT node.disk, net.sent FROM node, net WHEN node.disk = "full"`)
	feed(s, set(0, 1, 0, event.Int(1)))
	grow(s, grown([]string{"b"}, "kv.z", "node.disk"))
	feed(s, set(0, 2, 1, event.String("full")))
	grow(s, grown([]string{"a", "b"}, "kv.z", "node.disk"))
	feed(s, set(0, 3, 1, event.String("full")), set(1, 4, 1, event.String("ok")), set(0, 5, 1, event.String("ok")))
	if _, err := s.Close(); err != nil {
		t.Fatal(err)
	}
	want := []string{`{"node.disk":{"b":"full"},"net.sent":{}},"witness":{"$1":"b"},"event":{"node":"b","seq":2}}`,
		`{"node.disk":{"a":"ok","b":"ok"},"net.sent":{}},"event":{"node":"a","seq":5}}`}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	// * shows what comes later too.
	s = ask(`SELECT * FROM kv WHEN kv.z = 2`)
	grow(s, grown([]string{"b"}, "kv.z", "kv.new"))
	feed(s, set(0, 1, 1, event.Int(7)), set(0, 2, 0, event.Int(2)))
	if _, err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if want := `{"kv.new":{"b":7},"kv.z":{"b":2}},"witness":{"$1":"b"},"event":{"node":"b","seq":2}}`; len(got) != 1 || got[0] != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if err := s.Grow(grown([]string{"c"})); err == nil {
		t.Error("a closed stream grew")
	}
}

func TestAStreamRefusesWhatNeedsAnEnd(t *testing.T) {
	m := grown([]string{"n1"}, "kv.z")
	for _, text := range []string{"SHOW NODES", "EXPLAIN SELECT kv.z FROM kv", "SELECT kv.z FROM kv ON TIME START TO END"} {
		q, err := rql.Compile(m, text)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := q.Stream(context.Background(), m, rql.Options{}, nil); err == nil {
			t.Errorf("%s: a stream takes it", text)
		}
	}
}

func TestRowsInAGapAreIncomplete(t *testing.T) {
	m := grown([]string{"n1", "n2"}, "kv.z")
	q, err := rql.Compile(m, "SELECT TIME() AS t FROM kv WHEN kv.z > 0 EMIT CUTS LIMIT 5")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	s, err := q.Stream(context.Background(), m, rql.Options{}, func(r *rql.Row) error {
		got = append(got, fmt.Sprint(uint64(r.From), r.Incomplete))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 8 {
		at := hlc.Timestamp(10 * (i + 1))
		ev := &history.Event{Position: history.Position{Time: at, Seq: uint64(i + 1)},
			Changes: []history.Change{{Value: event.Int(1)}}}
		switch i {
		case 2:
			s.Gap(1, history.Span{From: 21, To: hlc.Max})
		case 5:
			s.Gap(1, history.Span{From: 21, To: 45})
		}
		if err := s.Feed(ev); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	sum, err := s.Close()
	if want := "[10 false 20 true 30 true 40 true 50 false]"; fmt.Sprint(got) != want || err != nil {
		t.Errorf("rows %v, %v, want %s", got, err, want)
	}
	if sum.Rows != 5 || !slices.Equal(sum.Incomplete, []string{"n2"}) {
		t.Errorf("summary %+v", sum)
	}
}

func TestAStreamThatGrewAndEndsKnowsWhen(t *testing.T) {
	b := history.NewBuilder()
	b.Append("n1", history.EventSpec{Event: history.Event{Position: history.Position{Time: 5 << 16}},
		Set: []history.Assign{{Path: "x.a", Value: event.Int(1)}}})
	src, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	q, err := rql.Compile(src.Meta(), "SELECT DURATION() AS d FROM x EMIT CUTS")
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	s, err := q.Stream(context.Background(), src.Meta(), rql.Options{}, func(r *rql.Row) error {
		rows = append(rows, string(r.AppendJSON(nil)))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Feed(entries(t, src)[0]); err != nil {
		t.Fatal(err)
	}
	grown := *src.Meta()
	grown.Nodes = append(slices.Clone(grown.Nodes), history.Node{Name: "n2"})
	if err := s.Grow(&grown); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if len(rows) != 1 || !strings.Contains(rows[0], `"d":0.0`) {
		t.Errorf("rows %v, want one that lasted no time", rows)
	}
}
