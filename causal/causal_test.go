package causal

import (
	"testing"

	"pgregory.net/rapid"
)

// run is a random computation with its happened-before worked out the slow way:
// reach[a][b] says that event a happened before event b.
type run struct {
	clocks []Vector
	proc   []int
	seq    []uint64
	links  []Link
	reach  [][]bool
	count  []uint64 // events per process
}

func drawRun(t *rapid.T) *run {
	const procs = 4
	r := &run{count: make([]uint64, procs)}
	last := make([]Vector, procs)
	lastEvent := []int{-1, -1, -1, -1}
	n := rapid.IntRange(0, 40).Draw(t, "events")
	for e := range n {
		p := rapid.IntRange(0, procs-1).Draw(t, "proc")
		preds := []int{}
		clock := append(Vector(nil), last[p]...)
		if lastEvent[p] >= 0 {
			preds = append(preds, lastEvent[p])
		}
		if e > 0 && rapid.Bool().Draw(t, "receives") {
			from := rapid.IntRange(0, e-1).Draw(t, "from")
			if r.proc[from] != p {
				clock = clock.Merge(r.clocks[from])
				preds = append(preds, from)
				r.links = append(r.links, Link{r.proc[from], r.seq[from], p, r.count[p] + 1})
			}
		}
		clock = clock.Tick(p)
		r.count[p]++
		r.clocks, r.proc, r.seq = append(r.clocks, clock), append(r.proc, p), append(r.seq, r.count[p])
		last[p], lastEvent[p] = clock, e
		reach := make([]bool, n)
		for _, q := range preds {
			reach[q] = true
			for i := range q {
				reach[i] = reach[i] || r.reach[q][i]
			}
		}
		r.reach = append(r.reach, reach)
	}
	return r
}

func TestVectorsOrderEventsAsHappenedBeforeDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawRun(t)
		for a := range r.clocks {
			for b := range r.clocks {
				want := Concurrent
				switch {
				case a == b:
					want = Equal
				case r.reach[b][a]:
					want = Before
				case r.reach[a][b]:
					want = After
				}
				if got := r.clocks[a].Compare(r.clocks[b]); got != want {
					t.Fatalf("event %d %v against %d %v: %s, want %s", a, r.clocks[a], b, r.clocks[b], got, want)
				}
			}
		}
	})
}

func TestClosureIsTheLargestConsistentCut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawRun(t)
		c := make(Cut, len(r.count))
		for i := range c {
			c[i] = rapid.Uint64Range(0, r.count[i]).Draw(t, "cut")
		}
		got := c.Closure(r.links)
		// The slow way: an event stays if all of its causal past is in c.
		want := make(Cut, len(c))
		for e := range r.clocks {
			inside := c.Has(r.proc[e], r.seq[e])
			for i := range c {
				inside = inside && r.clocks[e].At(i) <= c[i]
			}
			if inside {
				want[r.proc[e]] = max(want[r.proc[e]], r.seq[e])
			}
		}
		if got.String() != want.String() {
			t.Fatalf("closure of %v is %v, want %v", c, got, want)
		}
		if l, bad := got.Violation(r.links); bad {
			t.Fatalf("closure %v violates %+v", got, l)
		}
		for _, l := range got.InFlight(r.links) {
			if l.Receive <= got[l.To] || l.Send > got[l.From] {
				t.Fatalf("%+v is not in flight at %v", l, got)
			}
		}
	})
}
