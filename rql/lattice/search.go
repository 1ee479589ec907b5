package lattice

import (
	"container/heap"
	"encoding/binary"
	"slices"
	"sort"

	"hindcast.dev/causal"
)

// A Verdict is what a bounded search came to.
type Verdict int

// The outcomes of a search.
const (
	Undecided Verdict = iota // the bound was hit
	No                       // there is none
	Yes                      // there is one
)

// A Search looks at the lattice cut by cut. Only relevant events are told apart:
// those that can change whether a cut holds.
type Search struct {
	// Relevant are the numbers of the relevant events by process, ascending, all of
	// counted processes.
	Relevant [][]uint64
	// Holds reports whether a cut is one that is looked for. The cut is valid until
	// it returns; its error ends the search.
	Holds func(causal.Cut) (bool, error)
	// AtLeast returns how many more events every cut above this one that is looked
	// for has at least; ok is false if there is none. nil: nothing is known.
	AtLeast func(causal.Cut) (n uint64, ok bool)
	// Must returns a process whose next relevant event is in every cut above this one
	// that is looked for, or -1. nil: nothing is known.
	Must func(causal.Cut) int
	// Bound is how many cuts may be reached.
	Bound int
	// Reached counts them.
	Reached int
}

// searching is a Search of one Computation.
type searching struct {
	*Search
	c    *Computation
	grow []*ideal     // by process: what comes before its relevant events
	past [][][]uint32 // by process and relevant event: the least cut with it
	seen map[string]bool
	key  []byte
}

func (c *Computation) searching(s *Search) *searching {
	n := len(c.events)
	return &searching{Search: s, c: c, grow: make([]*ideal, n), past: make([][][]uint32, n), seen: map[string]bool{}}
}

// next returns which relevant event of a process is the first beyond a cut.
func (s *searching) next(cut []uint32, i int) int {
	k := uint64(cut[i])
	return sort.Search(len(s.Relevant[i]), func(r int) bool { return s.Relevant[i][r] > k })
}

// join returns the least cut with all of cut and a relevant event.
func (s *searching) join(cut []uint32, i, r int) []uint32 {
	if s.grow[i] == nil {
		s.grow[i] = s.c.ideal()
	}
	for len(s.past[i]) <= r {
		s.grow[i].grow(i, uint32(s.Relevant[i][len(s.past[i])]))
		s.past[i] = append(s.past[i], slices.Clone(s.grow[i].at))
	}
	out := slices.Clone(cut)
	for j, k := range s.past[i][r] {
		out[j] = max(out[j], k)
	}
	return out
}

// isNew reports whether a cut is reached for the first time.
func (s *searching) isNew(cut []uint32) bool {
	s.key = s.key[:0]
	for i, k := range cut {
		if !s.c.silent[i] {
			s.key = binary.LittleEndian.AppendUint32(s.key, k)
		}
	}
	if s.seen[string(s.key)] {
		return false
	}
	s.seen[string(s.key)] = true
	s.Reached++
	return true
}

func wide(cut []uint32) causal.Cut {
	out := make(causal.Cut, len(cut))
	for i, k := range cut {
		out[i] = uint64(k)
	}
	return out
}

func (c *Computation) narrowBottom() []uint32 {
	out := make([]uint32, len(c.bottom))
	for i, k := range c.bottom {
		out[i] = uint32(k)
	}
	return out
}

// First returns the first cut that holds, in the order of Compare.
//
// Cooper and Marzullo (1991) go level by level; here a level is skipped where no
// relevant event lies. A cut from which a last irrelevant event is taken away
// holds as well, so the first one is the least with certain relevant events, and
// only such are reached: from the bottom, each by the next relevant event of some
// process. With AtLeast cuts come by the least number of events that a cut above
// them can have (Hart, Nilsson and Raphael's A*, 1968); those of that number
// smaller ones first, so that the first to hold is the first of all. With Must
// there is but one way on where all others lead to nothing.
func (c *Computation) First(search *Search) (causal.Cut, Verdict, error) {
	s := c.searching(search)
	q := &frontier{c: c}
	s.push(q, c.narrowBottom())
	for len(q.items) > 0 {
		if s.Reached > s.Bound {
			return nil, Undecided, nil
		}
		cut := heap.Pop(q).(reached).cut
		wideCut := wide(cut)
		if ok, err := s.Holds(wideCut); ok || err != nil {
			return wideCut, Yes, err
		}
		must := -1
		if s.Must != nil {
			must = s.Must(wideCut)
		}
		for i := range s.Relevant {
			if r := s.next(cut, i); r < len(s.Relevant[i]) && (must < 0 || must == i) {
				s.push(q, s.join(cut, i, r))
			}
		}
	}
	return nil, No, nil
}

func (s *searching) push(q *frontier, cut []uint32) {
	if !s.isNew(cut) {
		return
	}
	w := wide(cut)
	size := s.c.Size(w)
	at := reached{cut: cut, size: size, least: size}
	if s.AtLeast != nil {
		n, ok := s.AtLeast(w)
		if !ok {
			return
		}
		at.least += n
	}
	heap.Push(q, at)
}

// A reached is a cut whose turn will come.
type reached struct {
	cut         []uint32
	size, least uint64
}

// A frontier is a heap of them.
type frontier struct {
	c     *Computation
	items []reached
}

// Len implements heap.Interface.
func (f *frontier) Len() int { return len(f.items) }

// Less implements heap.Interface.
func (f *frontier) Less(i, j int) bool {
	a, b := &f.items[i], &f.items[j]
	if a.least != b.least {
		return a.least < b.least
	}
	if a.size != b.size {
		return a.size < b.size
	}
	for p := range a.cut {
		if a.cut[p] != b.cut[p] && !f.c.silent[p] {
			return a.cut[p] < b.cut[p]
		}
	}
	return false
}

// Swap implements heap.Interface.
func (f *frontier) Swap(i, j int) { f.items[i], f.items[j] = f.items[j], f.items[i] }

// Push implements heap.Interface.
func (f *frontier) Push(x any) { f.items = append(f.items, x.(reached)) }

// Pop implements heap.Interface.
func (f *frontier) Pop() any {
	last := f.items[len(f.items)-1]
	f.items = f.items[:len(f.items)-1]
	return last
}

// A Move is a process that goes on up to an event.
type Move struct {
	Process int
	To      uint64
}

// Avoid looks for a path from the bottom to the top on which no cut holds: Yes
// with the path if there is one, No if every path passes a cut that holds. The
// path lists the relevant events in its order; what comes before them, and isn't
// relevant, comes whenever it can.
//
// Where several processes can go on, prefer, if it isn't nil, orders them.
func (c *Computation) Avoid(search *Search, prefer func(process int, event uint64) uint64) ([]Move, Verdict, error) {
	a := &avoiding{searching: c.searching(search), prefer: prefer}
	return a.run()
}

// avoiding is a search in depth.
type avoiding struct {
	*searching
	prefer func(process int, event uint64) uint64
	stack  []crossing
}

// A crossing is a cut on the path and the ways on from it.
type crossing struct {
	cut  []uint32
	ways []Move // not tried yet; the last one first
	via  Move   // how it was reached
}

func (a *avoiding) run() ([]Move, Verdict, error) {
	if err := a.enter(a.c.narrowBottom(), Move{}); err != nil {
		return nil, Undecided, err
	}
	for len(a.stack) > 0 {
		if a.Reached > a.Bound {
			return nil, Undecided, nil
		}
		top := &a.stack[len(a.stack)-1]
		if top.ways == nil {
			return a.path(), Yes, nil
		}
		if len(top.ways) == 0 {
			a.stack = a.stack[:len(a.stack)-1]
			continue
		}
		way := top.ways[len(top.ways)-1]
		top.ways = top.ways[:len(top.ways)-1]
		if err := a.enter(a.join(top.cut, way.Process, a.next(top.cut, way.Process)), way); err != nil {
			return nil, Undecided, err
		}
	}
	return nil, No, nil
}

// enter goes to a cut, unless it was reached before or holds.
func (a *avoiding) enter(cut []uint32, via Move) error {
	if !a.isNew(cut) {
		return nil
	}
	if ok, err := a.Holds(wide(cut)); ok || err != nil {
		return err
	}
	a.stack = append(a.stack, crossing{cut, a.ways(cut), via})
	return nil
}

// ways returns the relevant events that can be next, the preferred one last; nil
// at the top.
func (a *avoiding) ways(cut []uint32) []Move {
	var out []Move
	for i := range a.Relevant {
		r := a.next(cut, i)
		if r == len(a.Relevant[i]) {
			continue
		}
		if a.enabled(cut, i, r) {
			out = append(out, Move{i, a.Relevant[i][r]})
		}
	}
	if a.prefer != nil {
		slices.SortFunc(out, func(x, y Move) int {
			if a.prefer(x.Process, x.To) > a.prefer(y.Process, y.To) {
				return -1
			}
			return 1
		})
	}
	return out
}

// enabled reports whether a relevant event needs no other that isn't in the cut.
func (a *avoiding) enabled(cut []uint32, i, r int) bool {
	joined := a.join(cut, i, r)
	for j := range a.Relevant {
		if k := a.next(cut, j); j != i && k < len(a.Relevant[j]) && a.Relevant[j][k] <= uint64(joined[j]) {
			return false
		}
	}
	return true
}

func (a *avoiding) path() []Move {
	var out []Move
	for _, c := range a.stack[1:] {
		if n := len(out); n > 0 && out[n-1].Process == c.via.Process {
			out[n-1] = c.via
		} else {
			out = append(out, c.via)
		}
	}
	return out
}
