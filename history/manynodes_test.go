package history_test

import (
	"fmt"
	"testing"

	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/hlc"
	"hindcast.dev/vfs"
)

// The states of many nodes are read by several goroutines: each is what the node
// has alone, whether or not entries follow.
func TestTheStatesOfManyNodesAreThoseOfEach(t *testing.T) {
	const nodes, events = 40, 300
	fsys := vfs.NewMem()
	w, err := history.CreateDisk(fsys, "h", history.DiskOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for n := range nodes {
		nw, err := w.Node(fmt.Sprintf("n%02d", n), "")
		if err != nil {
			t.Fatal(err)
		}
		a, b := nw.Var("log.a"), nw.Var("log.b")
		for k := range events {
			e := &history.Event{Position: history.Position{Time: hlc.Timestamp(100*k+n) << 16, Seq: uint64(k + 1)}, Kind: "set"}
			e.Changes = []history.Change{{Var: []history.VarID{a, b}[k%2], Value: event.Int(int64(1000*n + k))}}
			if err := nw.Append(e); err != nil {
				t.Fatal(err)
			}
		}
		if err := nw.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Finish(); err != nil {
		t.Fatal(err)
	}
	src, err := history.OpenDisk(fsys, "h")
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	lens := history.Lens{All: true}
	for _, k := range []int{0, 1, 2, 150, events - 1, events} {
		at := history.Position{Time: hlc.Timestamp(100*k) << 16}
		for _, to := range []history.Position{at, history.End} {
			c, err := src.WalkThrough(t.Context(), at, to, nil, lens)
			if err != nil {
				t.Fatal(err)
			}
			for n, s := range c.States() {
				one, err := src.WalkThrough(t.Context(), at, at, []int{n}, lens)
				if err != nil {
					t.Fatal(err)
				}
				alone := one.States()[n]
				if (s == nil) != (k == 0) || (s == nil) != (alone == nil) {
					t.Fatalf("node %d at %d: %v, alone %v", n, k, s, alone)
				}
				for id := range src.Meta().Vars {
					v := history.VarID(id)
					if s != nil && !event.Equal(s.Get(v), alone.Get(v)) {
						t.Errorf("node %d at %d: %v, alone %v", n, k, s.Get(v), alone.Get(v))
					}
				}
				if s != nil && k > 1 && !event.Equal(s.Get(history.VarID((k-1)%2)), event.Int(int64(1000*n+k-1))) {
					t.Errorf("node %d at %d: %v", n, k, s.Get(history.VarID((k-1)%2)))
				}
			}
			left := 0
			for {
				if _, err := c.Next(); err != nil {
					break
				}
				left++
			}
			if want := (events - k) * nodes; to == history.End && left != want || to == at && left != 0 {
				t.Errorf("from %d on: %d entries, want %d", k, left, want)
			}
		}
	}
}
