package history

import (
	"io"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"hindcast.dev/hlc"
)

// TestAMergerGivesAllEntriesInOrder merges streams, some of them empty, some of
// whose entries are of the same time, forwards and backwards.
func TestAMergerGivesAllEntriesInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		backwards := rapid.Bool().Draw(t, "backwards")
		var streams []stream
		var want []Position
		for node := range rapid.IntRange(0, 9).Draw(t, "nodes") {
			var entries []Event
			at := hlc.Timestamp(0)
			for i := range rapid.IntRange(0, 6).Draw(t, "entries") {
				at = max(at, rapid.SampledFrom([]hlc.Timestamp{0, 1, 2, 3, 1 << 63, hlc.Max - 1, hlc.Max}).Draw(t, "at"))
				p := Position{Time: at, Node: node, Seq: uint64(i + 1)}
				entries, want = append(entries, Event{Position: p}), append(want, p)
			}
			if backwards {
				slices.Reverse(entries)
			}
			streams = append(streams, &sliceStream{rest: entries})
		}
		slices.SortFunc(want, Position.Compare)
		if backwards {
			slices.Reverse(want)
		}
		m, err := newMerger(streams, backwards)
		if err != nil {
			t.Fatal(err)
		}
		for i, p := range want {
			if e, err := m.next(); err != nil || e.Position != p {
				t.Fatalf("entry %d is %v (%v), want %v", i, e, err, p)
			}
		}
		if e, err := m.next(); err != io.EOF {
			t.Fatalf("after the last there is %v (%v)", e, err)
		}
	})
}
