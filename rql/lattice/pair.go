package lattice

import (
	"slices"
	"sort"

	"hindcast.dev/causal"
)

// A Run is a Span of a process that has a rank: one that it offers, or one that
// it asks for.
type Run struct {
	Span
	Rank int
}

// A Fit says which rank on offer does for one that is asked for.
type Fit int

// The kinds of Fit.
const (
	FitAtLeast Fit = iota // the same or a higher one
	FitSame
	FitOther // any but the same
)

// A Pair asks for a run of one process and a run of another at once, of which the
// second fits the first, beside a condition for each process.
type Pair struct {
	Truth [][]Span // as for Least
	Asks  [][]Run  // by process, ascending Runs that don't overlap
	Has   [][]Run  // likewise
	Fit   Fit
}

// FirstPair returns the first cut, in the order of Compare, that gives what is
// asked for. ok is false if there is none.
//
// The cuts in which every process's condition holds are closed under join, as the
// consistent ones are. So with J(x) the least of them in which run x has begun, the
// least one with both x and y is the join of J(x) and J(y), if neither run is over
// there. Of one process's runs that fit x, those are passed over that J(x) ends;
// the join grows with y, so the first of the others is the best, and if it doesn't
// begin before x ends, none does. It costs what the J cost, which is one look at
// every link for each process, and for each x and process a search for the first
// run that fits.
func (c *Computation) FirstPair(p *Pair) (cut causal.Cut, ok bool, err error) {
	s := &pairing{c: c, p: p, asks: make([]*reach, len(p.Asks)), has: make([]*reach, len(p.Has)), match: make([]matcher, len(p.Has))}
	for i := range p.Has {
		s.asks[i], s.has[i] = newReach(c, p.Truth, i, p.Asks[i]), newReach(c, p.Truth, i, p.Has[i])
		s.match[i] = newMatcher(p.Has[i], p.Fit)
	}
	for i := range p.Asks {
		for x := range p.Asks[i] {
			if c.watch.over() {
				return nil, false, c.watch.err
			}
			if !s.try(i, x) {
				break
			}
		}
	}
	return s.best, s.best != nil, c.watch.err
}

// pairing is the state of FirstPair.
type pairing struct {
	c     *Computation
	p     *Pair
	asks  []*reach // by process
	has   []*reach
	match []matcher
	best  causal.Cut // nil: none yet
	size  uint64     // of best
}

// try looks at a run that asks; false if none after it can do better.
func (s *pairing) try(i, x int) bool {
	var at []uint32 // J(x), once some run at all fits
	run := s.p.Asks[i][x]
	for j := range s.match {
		if j == i || s.match[j].next(0, run.Rank) < 0 {
			continue
		}
		if at == nil {
			if at = s.asks[i].cut(x); at == nil || s.best != nil && s.c.narrowSize(at) > s.size {
				return false
			}
			if uint64(at[i]) >= run.To {
				return true
			}
		}
		lo := sort.Search(len(s.p.Has[j]), func(y int) bool { return s.p.Has[j][y].To > uint64(at[j]) })
		s.answer(i, j, x, s.match[j].next(lo, run.Rank))
	}
	return true
}

// answer goes through the runs of a process that fit, from y on, to one that isn't
// over where all conditions hold.
func (s *pairing) answer(i, j, x, y int) {
	run, has := s.p.Asks[i][x], s.p.Has[j]
	for ; y >= 0 && !s.c.watch.over(); y = s.match[j].next(y+1, run.Rank) {
		if s.best != nil && has[y].From > s.size && !s.c.silent[j] {
			return
		}
		other := s.has[j].cut(y)
		if other == nil || uint64(other[i]) >= run.To {
			return
		}
		if uint64(other[j]) < has[y].To {
			s.offer(s.asks[i].cut(x), other)
			return
		}
	}
}

// offer takes the join of two cuts if it comes before the best one.
func (s *pairing) offer(a, b []uint32) {
	cut := make(causal.Cut, len(a))
	for p := range a {
		cut[p] = uint64(max(a[p], b[p]))
	}
	if s.best == nil || s.c.Compare(cut, s.best) < 0 {
		s.best, s.size = cut, s.c.Size(cut)
	}
}

func (c *Computation) narrowSize(cut []uint32) (n uint64) {
	for i, k := range cut {
		if !c.silent[i] {
			n += uint64(k)
		}
	}
	return n
}

// A reach finds, for the runs of a process one after the other, the least cut in
// which the run has begun and the condition of every process holds.
type reach struct {
	process int
	runs    []Run
	truth   [][]Span
	bound   []int // processes with a condition
	next    []int // truth[i][:next[i]] end before the cut
	d       *ideal
	cuts    [][]uint32 // of the first so many runs; nil: there is none
	dead    bool       // nor is there for those that follow
}

func newReach(c *Computation, truth [][]Span, process int, runs []Run) *reach {
	r := &reach{process: process, runs: runs, truth: truth, next: make([]int, len(truth))}
	for i, spans := range truth {
		if !slices.Equal(spans, Always) {
			r.bound = append(r.bound, i)
		}
	}
	r.d = &ideal{c: c}
	return r
}

// cut is that of a run; nil if there is none.
func (r *reach) cut(run int) []uint32 {
	for len(r.cuts) <= run {
		if r.d.at == nil {
			r.d = r.d.c.ideal()
		}
		from := r.runs[len(r.cuts)].From
		if r.dead = r.dead || !r.settle(from); r.dead {
			return nil
		}
		r.cuts = append(r.cuts, slices.Clone(r.d.at))
	}
	return r.cuts[run]
}

// settle goes on to where the run begins, and from there to where all holds.
func (r *reach) settle(from uint64) bool {
	d := r.d
	if d.c.watch.over() || from > uint64(d.c.events[r.process]) {
		return false
	}
	d.grow(r.process, uint32(from))
	for settled := false; !settled; {
		settled = true
		for _, i := range r.bound {
			spans := r.truth[i]
			for r.next[i] < len(spans) && spans[r.next[i]].To <= uint64(d.at[i]) {
				r.next[i]++
			}
			if d.c.watch.over() || r.next[i] == len(spans) || spans[r.next[i]].From > uint64(d.c.events[i]) {
				return false
			}
			if at := spans[r.next[i]].From; at > uint64(d.at[i]) {
				d.grow(i, uint32(at))
				settled = false
			}
		}
	}
	return true
}

// A matcher finds the first of some runs, from one of them on, that fits a rank.
type matcher struct {
	fit   Fit
	runs  []Run
	most  []int         // FitAtLeast: the highest rank below each place of a tree; its leaves are most[size:]
	where map[int][]int // FitSame: by rank, which runs
	other []int         // FitOther: by run, the first one after it of another rank
}

func newMatcher(runs []Run, fit Fit) matcher {
	m := matcher{fit: fit, runs: runs}
	switch fit {
	case FitAtLeast:
		size := 1
		for size < len(runs) {
			size *= 2
		}
		m.most = slices.Repeat([]int{minRank}, 2*size)
		for i, r := range runs {
			m.most[size+i] = r.Rank
		}
		for i := size - 1; i > 0; i-- {
			m.most[i] = max(m.most[2*i], m.most[2*i+1])
		}
	case FitSame:
		m.where = map[int][]int{}
		for i, r := range runs {
			m.where[r.Rank] = append(m.where[r.Rank], i)
		}
	case FitOther:
		m.other = make([]int, len(runs))
		for i := len(runs) - 1; i >= 0; i-- {
			m.other[i] = i + 1
			if i+1 < len(runs) && runs[i+1].Rank == runs[i].Rank {
				m.other[i] = m.other[i+1]
			}
		}
	}
	return m
}

// minRank is below every rank.
const minRank = -1 << 62

// next returns the first run from lo on that fits a rank, -1 if there is none.
func (m *matcher) next(lo, rank int) int {
	if lo >= len(m.runs) {
		return -1
	}
	switch m.fit {
	case FitSame:
		where := m.where[rank]
		if i := sort.SearchInts(where, lo); i < len(where) {
			return where[i]
		}
		return -1
	case FitOther:
		if m.runs[lo].Rank == rank {
			lo = m.other[lo]
		}
		if lo == len(m.runs) {
			return -1
		}
		return lo
	}
	size := len(m.most) / 2
	at := size + lo
	for m.most[at] < rank { // the tree to the right of at
		for at&1 == 1 {
			if at /= 2; at == 0 {
				return -1
			}
		}
		at++
	}
	for at < size {
		if at *= 2; m.most[at] < rank {
			at++
		}
	}
	return at - size
}
