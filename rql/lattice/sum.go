package lattice

import (
	"cmp"
	"math"
	"slices"
	"sort"

	"hindcast.dev/causal"
)

// A Sum is a number that is the sum of one for each process, each of which some
// of the process's events change.
type Sum struct {
	Base  int64    // at the bottom
	Steps [][]Step // by process, ascending, all of counted processes
}

// A Step is what an event adds. It isn't 0.
type Step struct {
	At    uint64
	Delta int64
}

// SpanMax bounds a Sum: the sizes of Base and of all Deltas together are at most
// this, so that no sum of some of them overflows.
const SpanMax = math.MaxInt64 / 4

// Fits reports whether a Sum is within SpanMax.
func (s *Sum) Fits() bool {
	left := uint64(SpanMax)
	take := func(n int64) bool {
		size := uint64(n)
		if n < 0 {
			size = -size
		}
		if size > left {
			return false
		}
		left -= size
		return true
	}
	if !take(s.Base) {
		return false
	}
	for _, steps := range s.Steps {
		for _, st := range steps {
			if !take(st.Delta) {
				return false
			}
		}
	}
	return true
}

// Negative returns the Sum with every sign turned.
func (s *Sum) Negative() *Sum {
	out := &Sum{Base: -s.Base, Steps: make([][]Step, len(s.Steps))}
	for i, steps := range s.Steps {
		for _, st := range steps {
			out.Steps[i] = append(out.Steps[i], Step{st.At, -st.Delta})
		}
	}
	return out
}

// Unit reports whether no event changes the Sum by more than one: then a path
// from one cut to another passes every value between theirs.
func (s *Sum) Unit() bool {
	for _, steps := range s.Steps {
		if slices.ContainsFunc(steps, func(st Step) bool { return st.Delta < -1 || st.Delta > 1 }) {
			return false
		}
	}
	return true
}

// Relevant returns the events that change the Sum.
func (s *Sum) Relevant() [][]uint64 {
	out := make([][]uint64, len(s.Steps))
	for i, steps := range s.Steps {
		for _, st := range steps {
			out[i] = append(out[i], st.At)
		}
	}
	return out
}

// A Totals tells the value of a Sum at any cut.
type Totals struct {
	base  int64
	steps [][]Step
	after [][]int64 // by process: what its first so many steps add up to
	skip  []int64   // and those below the bottom
}

// Totals prepares a Sum. Steps at or below the bottom are in its Base already.
func (c *Computation) Totals(s *Sum) *Totals {
	t := &Totals{base: s.Base, steps: s.Steps, after: make([][]int64, len(s.Steps)), skip: make([]int64, len(s.Steps))}
	for i, steps := range s.Steps {
		t.after[i] = make([]int64, len(steps)+1)
		for k, st := range steps {
			t.after[i][k+1] = t.after[i][k] + st.Delta
		}
		t.skip[i] = t.after[i][t.count(i, c.bottom[i])]
	}
	return t
}

// count returns how many steps of a process are in a cut.
func (t *Totals) count(process int, k uint64) int {
	steps := t.steps[process]
	return sort.Search(len(steps), func(i int) bool { return steps[i].At > k })
}

// At returns the Sum at a cut at or above the bottom.
func (t *Totals) At(cut causal.Cut) int64 {
	total := t.base
	for i := range t.steps {
		total += t.after[i][t.count(i, cut[i])] - t.skip[i]
	}
	return total
}

// Max returns the greatest value of a Sum at any consistent cut, and such a cut.
//
// Chase and Garg (1998): a consistent cut is a set of events closed under what
// comes before, so the cut of greatest weight is a closure of greatest weight,
// which a minimum cut of a flow network gives (Picard 1976). Runs of events of a
// process between which no other process takes part become two vertices at most:
// the beginning of the run that gains most, and the rest.
func (c *Computation) Max(s *Sum) (int64, causal.Cut, error) {
	g := c.closure(s)
	if c.watch.err != nil {
		return 0, nil, c.watch.err
	}
	f := newFlow(len(g.vertices), g.edges, c.watch)
	for v := range g.vertices {
		f.weigh(v, g.vertices[v].weight)
	}
	taken := f.closure()
	total := s.Base
	d := c.ideal()
	for v, in := range taken {
		if in {
			total += g.vertices[v].weight
			d.grow(g.vertices[v].process, uint32(g.vertices[v].last))
		}
	}
	return total, d.cut(), c.watch.err
}

// closureGraph is the network of Max. Taking a vertex demands taking those that
// its edges lead to.
type closureGraph struct {
	vertices []vertex
	edges    [][2]int32 // from who demands to who is demanded
}

// A vertex is a run of steps of a process, taken as a whole.
type vertex struct {
	process int
	last    uint64 // the event of its last step
	weight  int64
}

// A demand says that step at of a process needs the first so many steps of
// another.
type demand struct{ at, other, count int }

func (c *Computation) closure(s *Sum) *closureGraph {
	steps := c.above(s)
	demands, ends := c.demands(steps)
	g := &closureGraph{}
	if c.watch.err != nil {
		return g
	}
	home := make([][]int32, len(steps)) // by process and step: the vertex that has it
	for i := range steps {
		home[i] = g.runs(i, steps[i], demands[i], ends[i])
	}
	for i := range steps {
		for _, d := range demands[i] {
			g.edges = append(g.edges, [2]int32{home[i][d.at], home[d.other][d.count-1]})
		}
	}
	return g
}

// above returns the steps that aren't below the bottom.
func (c *Computation) above(s *Sum) [][]Step {
	out := make([][]Step, len(s.Steps))
	for i, steps := range s.Steps {
		from := sort.Search(len(steps), func(k int) bool { return steps[k].At > c.bottom[i] })
		out[i] = steps[from:]
	}
	return out
}

// demands finds what steps need of other processes' steps, as far as earlier
// steps of their own process don't need it as well, and at which steps a run must
// end because another process needs it up to there.
func (c *Computation) demands(steps [][]Step) (demands [][]demand, ends []map[int]bool) {
	demands, ends = make([][]demand, len(steps)), make([]map[int]bool, len(steps))
	for i := range steps {
		ends[i] = map[int]bool{}
	}
	for i := range steps {
		d := c.ideal()
		have := make([]int, len(steps)) // of every process: how many of its steps are in d
		for k, st := range steps[i] {
			d.grow(i, uint32(st.At))
			if c.watch.over() {
				return demands, ends
			}
			for j := range steps {
				was := have[j]
				for have[j] < len(steps[j]) && steps[j][have[j]].At <= uint64(d.at[j]) {
					have[j]++
				}
				if j != i && have[j] > was {
					demands[i] = append(demands[i], demand{k, j, have[j]})
					ends[j][have[j]-1] = true
				}
			}
		}
	}
	return demands, ends
}

// runs makes the vertices of a process and returns which one each step is in. A
// run begins with a step that needs something, and ends with one that is needed.
func (g *closureGraph) runs(process int, steps []Step, demands []demand, ends map[int]bool) []int32 {
	home := make([]int32, len(steps))
	begins := map[int]bool{}
	for _, d := range demands {
		begins[d.at] = true
	}
	last := int32(-1)
	for from := 0; from < len(steps); {
		to := from + 1
		for to < len(steps) && !begins[to] && !ends[to-1] {
			to++
		}
		split, best, sum := from, int64(0), int64(0)
		for k := from; k < to; k++ {
			if sum += steps[k].Delta; sum > best {
				split, best = k+1, sum
			}
		}
		last = g.run(home, process, steps, from, split, last)
		last = g.run(home, process, steps, split, to, last)
		from = to
	}
	return home
}

// run makes a vertex of steps [from, to), which needs the last one of its process.
func (g *closureGraph) run(home []int32, process int, steps []Step, from, to int, last int32) int32 {
	if from == to {
		return last
	}
	v := vertex{process: process, last: steps[to-1].At}
	id := int32(len(g.vertices))
	for k := from; k < to; k++ {
		v.weight += steps[k].Delta
		home[k] = id
	}
	g.vertices = append(g.vertices, v)
	if last >= 0 {
		g.edges = append(g.edges, [2]int32{id, last})
	}
	return id
}

// AtLeast is the Search for the first cut at which a Sum is k or more. Below such
// a cut the Sum must still gain what is missing. No process gains faster than on
// the way to the best of its coming states, nor more than at its highest one; so
// the steepest are to go first, each up to there (Dantzig's bound of the knapsack
// problem, 1957).
func (c *Computation) AtLeast(s *Sum, k int64, bound int) *Search {
	t := c.Totals(s)
	steep := make([][]slope, len(s.Steps))
	gains := make([][]uint64, len(s.Steps))
	for i := range s.Steps {
		steep[i] = t.slopes(i)
		for _, st := range s.Steps[i] {
			if st.Delta > 0 {
				gains[i] = append(gains[i], st.At)
			}
		}
	}
	ahead := make([]slope, 0, len(steep))
	must := func(cut causal.Cut) int {
		spare := t.At(cut) - k // how much of what can be gained need not be
		for i := range steep {
			spare += steep[i][t.count(i, cut[i])].most
		}
		for i := range steep {
			if steep[i][t.count(i, cut[i])].most > spare {
				return i
			}
		}
		return -1
	}
	return &Search{Relevant: gains, Bound: bound, Must: must,
		Holds: func(cut causal.Cut) (bool, error) { return t.At(cut) >= k, nil },
		AtLeast: func(cut causal.Cut) (uint64, bool) {
			missing := k - t.At(cut)
			if missing <= 0 {
				return 0, true
			}
			ahead = ahead[:0]
			for i := range steep {
				if sl := steep[i][t.count(i, cut[i])]; sl.gain > 0 {
					ahead = append(ahead, sl)
				}
			}
			slices.SortFunc(ahead, func(a, b slope) int { return cmp.Compare(b.ratio(), a.ratio()) })
			events := 0.0
			for _, sl := range ahead {
				gain := min(sl.most, missing)
				events += float64(gain) / sl.ratio()
				if missing -= gain; missing == 0 {
					return uint64(events * (1 - 1e-9)), true
				}
			}
			return 0, false
		}}
}

// A slope is the greatest gain for the number of events that a process can still
// make, and the most that it can gain at all. The zero slope is flat.
type slope struct {
	gain   int64
	events uint64
	most   int64
}

func (a slope) ratio() float64 { return float64(a.gain) / float64(a.events) }

// slopes returns, by the number of steps that a process has made, the steepest way
// to any later state, from the last event before its next step on. The best is on
// the upper hull of the states ahead.
func (t *Totals) slopes(process int) []slope {
	steps, after := t.steps[process], t.after[process]
	out := make([]slope, len(steps)+1)
	var hull []int                   // states ahead, by their number of steps, the nearest last
	turn := func(a, b, c int) bool { // b isn't above the line from a to c, a < b < c
		left := float64(after[b]-after[a]) * float64(steps[c-1].At-steps[b-1].At)
		return left <= float64(after[c]-after[b])*float64(steps[b-1].At-steps[a-1].At)
	}
	highest := after[len(steps)]
	for made := len(steps) - 1; made >= 0; made-- {
		next := made + 1
		highest = max(highest, after[next])
		for len(hull) > 1 && turn(next, hull[len(hull)-1], hull[len(hull)-2]) {
			hull = hull[:len(hull)-1]
		}
		hull = append(hull, next)
		way := func(h int) slope {
			return slope{after[hull[h]] - after[made], steps[hull[h]-1].At - steps[made].At + 1, max(highest-after[made], 0)}
		}
		// The slope to the hull's states rises, then falls; hull[len-1] is the nearest.
		h := sort.Search(len(hull)-1, func(i int) bool { return way(i+1).ratio() <= way(i).ratio() })
		out[made] = way(h)
	}
	return out
}
