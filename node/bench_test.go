package node

import (
	"testing"

	"hindcast.dev/journal"
)

// BenchmarkDo is the way of a request through journal, stepper and disk, and of
// its reply back.
func BenchmarkDo(b *testing.B) {
	for _, d := range []journal.Durability{journal.Process, journal.Group} {
		for name, parallel := range map[string]int{"one": 1, "many": 64} {
			b.Run(d.String()+"/"+name, func(b *testing.B) {
				o := options(b, "n1")
				o.Durability, o.SegmentBytes, o.Limits.BacklogBytes = d, 16<<20, 4<<20
				n := start(b, o)
				b.ResetTimer()
				if parallel == 1 {
					for range b.N {
						total(b, n, Add{"a", 1})
					}
					return
				}
				b.SetParallelism(parallel)
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						if _, err := n.Client().Do(b.Context(), "tally", Add{"a", 1}); err != nil {
							b.Error(err)
							return
						}
					}
				})
			})
		}
	}
}
