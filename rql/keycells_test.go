package rql

import (
	"testing"

	"pgregory.net/rapid"

	"hindcast.dev/event"
)

// TestBlocksHoldWhatWasPutIntoThem compares with a map, for few nodes and for so
// many that blocks move.
func TestBlocksHoldWhatWasPutIntoThem(t *testing.T) {
	values := []event.Value{event.Absent, event.Int(1), event.Int(-7), event.Int(3), event.Float(2.5), event.Bool(true), event.String("x"), event.List(event.Int(1))}
	rapid.Check(t, func(t *rapid.T) {
		nodes := rapid.SampledFrom([]int{1, 3, roomFull, roomFull + 1, 90}).Draw(t, "nodes")
		parts := rapid.IntRange(1, 3).Draw(t, "parts")
		c := newKeyedCells(parts, nodes)
		type place struct {
			r    keyRow
			node int
		}
		want := map[place][]event.Value{}
		for range rapid.IntRange(1, 300).Draw(t, "steps") {
			p := place{keyRow(rapid.SampledFrom([]int{1, 2, rowsChunk + 1}).Draw(t, "row")), rapid.IntRange(0, nodes-1).Draw(t, "node")}
			b := c.open(p.r)
			i, ok := b.find(p.node)
			switch vs := want[p]; {
			case ok != (vs != nil):
				t.Fatalf("node %d has an entry: %v, want %v", p.node, ok, vs != nil)
			case ok && rapid.IntRange(0, 3).Draw(t, "remove") == 0:
				c.remove(p.r, i)
				delete(want, p)
			default:
				if !ok {
					b, want[p] = c.insert(p.r, i, p.node), make([]event.Value, parts)
				}
				part, v := rapid.IntRange(0, parts-1).Draw(t, "part"), rapid.SampledFrom(values).Draw(t, "value")
				c.change(&b, i, part, &v)
				want[p][part] = v
			}
		}
		for _, r := range []keyRow{1, 2, rowsChunk + 1} {
			b := c.open(r)
			count, ints, some := 0, 0, 0
			for node := range nodes {
				vs := want[place{r, node}]
				if vs == nil {
					continue
				}
				i, ok := b.find(node)
				if !ok || i != count {
					t.Fatalf("node %d is at place %d, %v, want %d", node, i, ok, count)
				}
				count++
				for p, v := range vs {
					if got := c.value(&b, i, p); !event.Equal(got, v) {
						t.Fatalf("node %d has %v in part %d, want %v", node, got, p, v)
					}
					if v.Type() == event.TypeInt {
						ints++
					}
					if !v.IsAbsent() {
						some++
					}
				}
			}
			if b.count != count || count > 0 && (b.plain(parts) != (ints == count*parts) || b.bare() != (some == 0)) {
				t.Fatalf("%d entries, all ints %v, want %d of which %d of %d are ints", b.count, b.plain(parts), count, ints, count*parts)
			}
		}
	})
}
