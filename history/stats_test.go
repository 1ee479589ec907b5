package history_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/history/historytest"
)

// statsOf is what a block's statistics must be, by looking at every value.
func statsOf(vars int, before *history.State, entries []*history.Event) []history.VarStat {
	byVar := make([]history.VarStat, vars)
	take := func(s *history.VarStat, v event.Value) {
		if v.IsAbsent() {
			s.Absent = true
			return
		}
		typ := v.Type()
		if typ == event.TypeUint {
			typ = event.TypeInt
		}
		s.Types = append(s.Types, typ)
		if f, ok := v.AsFloat(); !v.IsNumber() || ok && f != f {
			return
		}
		if s.Least.IsAbsent() || event.CompareNumeric(v, s.Least) < 0 {
			s.Least = v
		}
		if s.Most.IsAbsent() || event.CompareNumeric(v, s.Most) > 0 {
			s.Most = v
		}
	}
	state := before.Clone()
	for _, e := range entries {
		for _, c := range e.Changes {
			s := &byVar[c.Var]
			if s.Changes == 0 {
				take(s, before.Get(c.Var))
			}
			s.Changes++
			state.Apply(&c)
			take(s, state.Get(c.Var))
		}
	}
	var out []history.VarStat
	for v, s := range byVar {
		if s.Changes > 0 {
			slices.Sort(s.Types)
			s.Var, s.Types = history.VarID(v), slices.Compact(s.Types)
			out = append(out, s)
		}
	}
	return out
}

func TestStatisticsSayWhatIsInABlock(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := historytest.Generate(historytest.Shape{}).Draw(t, "history")
		src, err := openDisk(tiny)(m.Feed)
		if err != nil {
			t.Fatal(err)
		}
		defer src.Close()
		for n := range src.Meta().Nodes {
			c, err := src.Walk(context.Background(), history.Begin, history.End, []int{n})
			if err != nil {
				t.Fatal(err)
			}
			state := history.NewState()
			for b := range src.(history.Blocked).Blocks(n) {
				var entries []*history.Event
				bases := 0
				for range b.Entries {
					e, err := c.Next()
					if err != nil {
						t.Fatal(err)
					}
					entries = append(entries, e)
					if e.Base {
						bases++
					}
				}
				if entries[0].Position != b.First || entries[len(entries)-1].Position != b.Last || b.Node != n || b.Bytes == 0 || b.More || b.Bases != bases {
					t.Fatalf("block %+v holds entries from %v to %v", b, entries[0].Position, entries[len(entries)-1].Position)
				}
				if got, want := fmt.Sprintf("%+v", b.Stats), fmt.Sprintf("%+v", statsOf(len(src.Meta().Vars), state, entries)); got != want {
					t.Fatalf("statistics of the block at %v:\n got %s\nwant %s", b.First, got, want)
				}
				for _, e := range entries {
					state.ApplyAll(e.Changes)
				}
			}
			if _, err := c.Next(); !errors.Is(err, io.EOF) {
				t.Fatalf("entries in no block: %v", err)
			}
		}
	})
}
