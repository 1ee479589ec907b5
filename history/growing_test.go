package history_test

import (
	"fmt"
	"sync"
	"testing"

	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/history/historytest"
	"hindcast.dev/hlc"
)

func TestGrowingConforms(t *testing.T) {
	historytest.Conformance(t, func(feed func(history.Writer) error) (history.Source, error) {
		g := history.NewGrowing(0)
		return g, feed(g)
	})
}

func TestAGrowingShowsMoreAndMoreWhileItsSnapshotsStay(t *testing.T) {
	g := history.NewGrowing(0)
	w, err := g.Node("n1", "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.Node("n1", ""); err == nil {
		t.Error("a node is written twice")
	}
	add := func(seq uint64) {
		e := &history.Event{Position: history.Position{Time: hlc.Timestamp(seq * 10), Seq: seq},
			Changes: []history.Change{{Var: w.Var(fmt.Sprint("kv.v", seq%3)), Value: event.Uint(seq)}}}
		if err := w.Append(e); err != nil {
			t.Fatal(err)
		}
	}
	add(1)
	one, err := g.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	add(2)
	other, err := g.Node("a", "")
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Append(&history.Event{Position: history.Position{Time: 15, Seq: 1}}); err != nil {
		t.Fatal(err)
	}
	if n := one.Meta().Events; n != 1 || one.Meta().Nodes[0].Name != "n1" {
		t.Errorf("the snapshot has grown to %d events", n)
	}
	if m := g.Meta(); m.Events != 3 || m.Nodes[1].Name != "n1" || len(m.Vars) != 2 {
		t.Errorf("the History has %+v", m)
	}
}

// Full, it forgets what is oldest, and says so; what is left is right.
func TestAFullGrowingForgetsWhatIsOldest(t *testing.T) {
	g := history.NewGrowing(100)
	var writing sync.WaitGroup
	for _, name := range []string{"n1", "n2"} {
		w, err := g.Node(name, "")
		if err != nil {
			t.Fatal(err)
		}
		writing.Go(func() {
			for seq := uint64(1); seq <= 500; seq++ {
				e := &history.Event{Position: history.Position{Time: hlc.Timestamp(seq), Seq: seq},
					Changes: []history.Change{{Var: w.Var("kv.m"), Path: []event.Value{event.Uint(seq % 7)}, Value: event.Uint(seq)}}}
				if err := w.Append(e); err != nil {
					t.Error(err)
					return
				}
				if seq%50 == 0 {
					g.Meta()
				}
			}
		})
	}
	writing.Wait()
	m := g.Meta()
	if m.Events >= 100 || m.Events < 20 || len(m.Nodes[0].Unknown) == 0 || m.Nodes[0].Unknown[0].From != 0 {
		t.Errorf("%d events are left of %+v", m.Events, m.Nodes)
	}
	cur, err := g.Walk(t.Context(), history.End, history.End, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer cur.Close()
	for n, s := range cur.States() {
		for k := range uint64(7) {
			if got, _ := s.Get(0).Index(event.Uint(k)).AsInt(); uint64(got)%7 != k || got <= 493 {
				t.Errorf("node %d has %d under %d", n, got, k)
			}
		}
	}
}
