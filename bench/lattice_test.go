package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"

	"hindcast.dev/causal"
	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/hlc"
	"hindcast.dev/rql"
	"hindcast.dev/rql/lattice"
)

const latticeNodes = 10

// chatter is ten processes of so many events each, every fourth of which receives
// a message that another process sent a while ago.
func chatter(each int) *lattice.Computation {
	r := rand.New(rand.NewPCG(1, 1))
	c := lattice.New(latticeNodes)
	at := make([]uint64, latticeNodes)
	for range each * latticeNodes {
		p := r.IntN(latticeNodes)
		at[p] = c.Add(p, 0)
		if r.IntN(4) > 0 {
			continue
		}
		if q := r.IntN(latticeNodes); at[q] > 20 {
			c.After(p, q, at[q]-r.Uint64N(20))
		}
	}
	return c
}

// flashes are conditions that hold for one state in a thousand; that of the last
// process holds at the top alone, so that all of the computation is looked at.
func flashes(c *lattice.Computation) [][]lattice.Span {
	r := rand.New(rand.NewPCG(2, 2))
	top := c.Top()
	out := make([][]lattice.Span, latticeNodes)
	for p := range out {
		for k := uint64(0); k <= top[p]; k += 2 + r.Uint64N(2000) {
			out[p] = append(out[p], lattice.Span{From: k, To: k + 1})
		}
	}
	out[latticeNodes-1] = []lattice.Span{{From: top[latticeNodes-1], To: lattice.Forever}}
	return out
}

// BenchmarkLattice is the algorithms alone, on ten processes of a million events.
func BenchmarkLattice(b *testing.B) {
	const each = 1_000_000
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	c := chatter(each)
	runtime.GC()
	runtime.ReadMemStats(&after)
	truth := flashes(c)
	perEvent := func(b *testing.B) {
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/(each*latticeNodes), "ns/event")
	}
	b.Run("possibly/conjunctive", func(b *testing.B) {
		for b.Loop() {
			c.Least(truth)
		}
		perEvent(b)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/(each*latticeNodes), "B/event")
	})
	b.Run("definitely/conjunctive", func(b *testing.B) {
		for b.Loop() {
			c.Inevitable(truth)
		}
		perEvent(b)
	})
	b.Run("possibly/sum", func(b *testing.B) {
		sum := &lattice.Sum{Steps: make([][]lattice.Step, latticeNodes)}
		r := rand.New(rand.NewPCG(3, 3))
		for p, n := range c.Top() {
			for k := 1 + r.Uint64N(50); k <= n; k += 1 + r.Uint64N(200) {
				sum.Steps[p] = append(sum.Steps[p], lattice.Step{At: k, Delta: 2*r.Int64N(50) - 49})
			}
		}
		for b.Loop() {
			c.Max(sum)
		}
		perEvent(b)
	})
	b.Run("search", func(b *testing.B) {
		relevant := make([][]uint64, latticeNodes)
		for p, n := range c.Top() {
			for k := uint64(1); k <= n; k += 10 {
				relevant[p] = append(relevant[p], k)
			}
		}
		reached := 0
		for b.Loop() {
			s := &lattice.Search{Relevant: relevant, Bound: 200_000, Holds: func(causal.Cut) (bool, error) { return false, nil }}
			if _, _, err := c.First(s); err != nil {
				b.Fatal(err)
			}
			reached += s.Reached
		}
		b.ReportMetric(float64(reached)/b.Elapsed().Seconds(), "cuts/s")
	})
}

// BenchmarkPossibly is whole queries over a History in memory, of ten nodes and a
// million events.
func BenchmarkPossibly(b *testing.B) {
	src := conversation(b, 100_000)
	for _, row := range [][2]string{
		{"conjunctive", `SELECT inv.a FROM inv WHEN POSSIBLY inv.a = 1 AND inv.a = 2 AND NODE($1) != NODE($2)`},
		{"never", `SELECT inv.a FROM inv WHEN POSSIBLY inv.a = 1 AND inv.a = 999 AND NODE($1) != NODE($2)`},
		{"definitely", `SELECT inv.a FROM inv WHEN DEFINITELY (inv.a < 900) LINK EACH_NODE`},
		{"sum", `SELECT inv.a FROM inv WHEN POSSIBLY SUM(inv.b) > 100000`},
	} {
		b.Run(row[0], func(b *testing.B) {
			q, err := rql.Compile(src.Meta(), row[1])
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if _, err := q.Run(context.Background(), src, rql.Options{}, func(*rql.Row) error { return nil }); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(src.Meta().Events), "ns/event")
		})
	}
}

// conversation is ten nodes, of which every fourth event sends or receives.
func conversation(tb *testing.B, each int) *history.Mem {
	r := rand.New(rand.NewPCG(1, 1))
	b := history.NewBuilder()
	now := hlc.Timestamp(1 << 32)
	sent := make([][]string, latticeNodes)
	for i := range each * latticeNodes {
		now += hlc.Timestamp(1 + r.IntN(1<<20))
		p := r.IntN(latticeNodes)
		e := history.EventSpec{Event: history.Event{Position: history.Position{Time: now}},
			Set: []history.Assign{{Path: []string{"inv.a", "inv.b"}[r.IntN(2)], Value: event.Int(r.Int64N(900))}}}
		if n := len(sent[p]); n > 0 && i%8 < 4 {
			e.Kind, e.ID = "recv", sent[p][n-1]
			sent[p] = sent[p][:n-1]
		} else if i%8 == 7 {
			q, id := r.IntN(latticeNodes), fmt.Sprint("m", i)
			e.Effects = []history.Effect{{Kind: "send", ID: id, Peer: fmt.Sprintf("n%d", q)}}
			sent[q] = append(sent[q], id)
		}
		b.Append(fmt.Sprintf("n%d", p), e)
	}
	return built(tb, b)
}
