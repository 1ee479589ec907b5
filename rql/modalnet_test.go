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
	"hindcast.dev/rql/syntax"
)

// Messages are sent, received, noted by their sender to be lost, and sent again: a
// sum over those under way is possible, or inevitable, if one cut after the other
// says so.
func TestMessagesUnderWayOnTheLatticeAreWhatEachCutSays(t *testing.T) {
	held := 0
	rapid.Check(t, func(t *rapid.T) {
		draw := func(n int, what string) int { return rapid.IntRange(0, n-1).Draw(t, what) }
		nodes := []string{"n1", "n2", "n3"}[:2+draw(2, "nodes")]
		b := history.NewBuilder()
		for _, n := range nodes {
			b.AddNode(n, "")
		}
		type fl struct {
			id, to, from string
			n            int64
		}
		var flying, sent []fl
		now := hlc.Timestamp(100 << 16)
		for i := range 2 + draw(7, "events") {
			now += hlc.Timestamp(draw(3, "gap")<<16 + 1)
			e := history.EventSpec{Event: history.Event{Position: history.Position{Time: now}}}
			node := nodes[draw(len(nodes), "node")]
			if draw(2, "set") == 0 || i == 0 {
				e.Set = append(e.Set, history.Assign{Path: "inv.a", Value: event.Int(int64(draw(5, "a") - 1))})
			}
			switch at := draw(max(len(flying), 1), "which"); {
			case len(flying) > 0 && draw(2, "land") == 0:
				f := flying[at]
				flying = append(flying[:at:at], flying[at+1:]...)
				if draw(3, "lost") == 0 {
					node, flying = []string{f.from, f.from, f.to}[draw(3, "who")], append(flying, f)
					e.Kind, e.Name, e.ID, e.Peer = "note", "drop", f.id, f.to
					if node == f.to {
						e.Peer = f.from
					}
				} else {
					node = f.to
					e.Kind, e.ID, e.Peer = "recv", f.id, f.from
				}
			case draw(2, "send") == 0:
				f := fl{fmt.Sprint("m", i), nodes[draw(len(nodes), "to")], node, int64(draw(4, "n"))}
				if len(sent) > 0 && draw(2, "again") == 0 {
					f = sent[draw(len(sent), "which")]
					node = f.from
				}
				sent = append(sent, f)
				e.Effects = append(e.Effects, history.Effect{Kind: "send", ID: f.id, Peer: f.to, Data: event.MapOf((*event.Map)(nil).With(event.String("n"), event.Int(f.n)))})
				flying = append(flying, f)
			}
			b.Append(node, e)
		}
		src, err := b.Build()
		if err != nil {
			t.Fatal(err)
		}
		op := []string{"=", "!=", "<", "<=", ">", ">="}[draw(6, "op")]
		c := int64(draw(9, "c") - 2)
		modality := []string{"POSSIBLY", "DEFINITELY"}[draw(2, "modality")]
		form := draw(3, "form")
		text := fmt.Sprintf("SELECT inv.a FROM inv, net WHEN %s %s %s %d", modality,
			[]string{"SUM(net.inflight[*][*].data.n) + SUM(inv.a)", "COUNT(net.inflight[*][*]) - SUM(inv.a)", "SUM(net.inflight[*][*].data.n)"}[form], op, c)
		if draw(4, "within") == 0 {
			text += " WITHIN 31us"
		}
		q, err := rql.Compile(src.Meta(), text)
		if err != nil {
			t.Skip(err)
		}
		var h strings.Builder
		_ = history.WriteText(&h, src)
		var got *rql.Row
		_, err = q.Run(context.Background(), src, rql.Options{MaxCombinations: 1e6}, func(r *rql.Row) error { got = r; return nil })
		if err != nil {
			t.Fatalf("%s\n%s\n%v", text, h.String(), err)
		}
		st, _ := syntax.Parse(text)
		m := newModalModel(t, src, st.(*syntax.Query), 0, hlc.Max)
		id, _ := src.Meta().VarID("inv.a")
		value := func(cut []uint64) int64 {
			total := int64(0)
			if form != 2 {
				for n, k := range cut {
					if s := m.states[n][k]; s != nil {
						x, _ := s.Get(id).AsInt()
						if form == 1 {
							x = -x
						}
						total += x
					}
				}
			}
			sent, received := map[string]int64{}, map[string]bool{}
			var all []*history.Event // in the order of the walk
			for n, k := range cut {
				all = append(all, m.events[n][:k]...)
			}
			slices.SortFunc(all, func(a, b *history.Event) int { return a.Compare(b.Position) })
			for _, ev := range all {
				switch ev.Kind {
				case "recv":
					received[ev.ID] = true
				case "note": // until it is sent again
					delete(sent, ev.ID)
				}
				for _, f := range ev.Effects {
					x, _ := f.Data.Field("n").AsInt()
					if form == 1 {
						x = 1
					}
					sent[f.ID] = x
				}
			}
			for id, x := range sent {
				if !received[id] {
					total += x
				}
			}
			return total
		}
		is := func(v int64) bool {
			switch op {
			case "=":
				return v == c
			case "!=":
				return v != c
			case "<":
				return v < c
			case "<=":
				return v <= c
			case ">":
				return v > c
			}
			return v >= c
		}
		holds := map[string]bool{}
		var want []uint64
		for _, cut := range m.cuts() {
			if is(value(cut)) {
				holds[cut.String()] = true
				if want == nil {
					want = cut
				}
			}
		}
		yes := want != nil
		if modality == "DEFINITELY" {
			yes = !m.avoids(holds)
			want = nil
			for _, cut := range m.walk {
				if yes && want == nil && holds[cut.String()] {
					want = cut
				}
			}
		}
		if got.Lattice.Holds != yes {
			t.Fatalf("%s\n%s\ngot %s want %v %v", text, h.String(), got.AppendJSON(nil), yes, want)
		}
		if yes {
			held++
			for n, f := range got.Lattice.Cut {
				u, _ := f.Value.AsUint()
				if i, ok := f.Value.AsInt(); ok {
					u = uint64(i)
				}
				if u != want[n] {
					t.Fatalf("%s\n%s\ngot %s want %v", text, h.String(), got.AppendJSON(nil), want)
				}
			}
		}
	})
	if held == 0 {
		t.Error("none held: nothing was tested")
	}
}

// So many messages of one sender are noted to be lost and arrive all the same.
func lostAndFound(t *testing.T, n int) *history.Mem {
	b := history.NewBuilder()
	now := hlc.Timestamp(100 << 16)
	add := func(node string, e history.EventSpec) {
		now++
		e.Time = now
		b.Append(node, e)
	}
	for i := range n {
		id := fmt.Sprint("m", i)
		add("n1", history.EventSpec{Event: history.Event{Effects: []history.Effect{{Kind: "send", ID: id, Peer: "n2", Data: event.MapOf((*event.Map)(nil).With(event.String("n"), event.Int(1)))}}}})
		add("n1", history.EventSpec{Event: history.Event{Kind: "note", Name: "drop", ID: id, Peer: "n2"}})
		add("n2", history.EventSpec{Event: history.Event{Kind: "recv", ID: id, Peer: "n1"}})
	}
	src, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return src
}

func TestMessagesThatArriveThoughTheyWereNotedToBeLostAreDecided(t *testing.T) {
	ask := func(n int, cond string) (*rql.Row, error) {
		src := lostAndFound(t, n)
		q, err := rql.Compile(src.Meta(), "SELECT net.sent FROM net WHEN POSSIBLY "+cond)
		if err != nil {
			t.Fatal(err)
		}
		var row *rql.Row
		_, err = q.Run(t.Context(), src, rql.Options{}, func(r *rql.Row) error { row = r; return nil })
		return row, err
	}
	for cond, want := range map[string]bool{"SUM(net.inflight[*][*].data.n) = 1": true, "SUM(net.inflight[*][*].data.n) = 2": false, "COUNT(net.inflight[*][*]) < 0": false} {
		for _, n := range []int{1, 100} {
			if row, err := ask(n, cond); err != nil || row.Lattice.Holds != want {
				t.Errorf("%d messages: %s: %v, %v; want %v", n, cond, row, err, want)
			}
		}
	}
	if _, err := ask(300, "SUM(net.inflight[*][*].data.n) = 1"); err == nil || !strings.Contains(err.Error(), "message m0 came to its end on several nodes, or too many did") {
		t.Errorf("too many of them: %v", err)
	}
}
