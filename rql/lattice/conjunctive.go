package lattice

import (
	"slices"

	"hindcast.dev/causal"
)

// A Span is a run of local states of a process, [From, To): state k is the one
// after its first k events.
type Span struct{ From, To uint64 }

// Forever is the To of a Span that doesn't end.
const Forever = 1<<64 - 1

// Always is the truth of a condition that holds in every state.
var Always = []Span{{0, Forever}}

// Least returns the least consistent cut at which the condition of every process
// holds: every other such cut has all of its events. truth is, by process, where
// its condition holds: ascending Spans that don't touch. ok is false if there is
// no such cut.
//
// Garg and Waldecker (1994): a process whose condition doesn't hold must go on,
// and takes with it what happened before. Each event and each link is looked at
// once.
func (c *Computation) Least(truth [][]Span) (cut causal.Cut, ok bool, err error) {
	d := c.ideal()
	next := make([]int, len(truth)) // truth[i][:next[i]] end before the cut
	for settled := false; !settled; {
		settled = true
		for i, spans := range truth {
			for next[i] < len(spans) && spans[next[i]].To <= uint64(d.at[i]) {
				next[i]++
			}
			if c.watch.over() {
				return nil, false, c.watch.err
			}
			if next[i] == len(spans) || spans[next[i]].From > uint64(c.events[i]) {
				return nil, false, nil
			}
			if from := spans[next[i]].From; from > uint64(d.at[i]) {
				d.grow(i, uint32(from))
				settled = false
			}
		}
	}
	return d.cut(), true, c.watch.err
}

// Inevitable reports whether every path passes a cut at which the condition of
// every process holds; truth is as for Least.
//
// Garg and Waldecker (1996): it is so if and only if there is a Span of each
// process such that the event that begins any of them comes before the event that
// ends any other. What ends too early for the first remaining Span of another
// process is too early for all its later ones, and is passed over.
func (c *Computation) Inevitable(truth [][]Span) (bool, error) {
	s := &strong{c: c, head: make([]Span, len(truth)), rest: make([][]Span, len(truth)), end: make([]*ideal, len(truth))}
	var work []int
	for i := range truth {
		s.rest[i], s.end[i] = truth[i], c.ideal()
		if !s.advance(i) {
			return false, c.watch.err
		}
		work = append(work, i)
	}
	for len(work) > 0 {
		i := work[len(work)-1]
		work = work[:len(work)-1]
		for j := range s.head {
			for _, p := range [2]int{i, j} {
				q := i + j - p // the other one
				for s.endsBefore(p, q) {
					if c.watch.over() || !s.advance(p) {
						return false, c.watch.err
					}
					if !slices.Contains(work, p) {
						work = append(work, p)
					}
				}
			}
		}
	}
	return true, c.watch.err
}

// strong is the state of Inevitable: a Span for each process, those after it, and
// what comes before the Span's end.
type strong struct {
	c    *Computation
	head []Span
	rest [][]Span
	end  []*ideal
}

// advance takes the next Span of a process.
func (s *strong) advance(i int) bool {
	for {
		if len(s.rest[i]) == 0 || s.rest[i][0].From > uint64(s.c.events[i]) {
			return false
		}
		s.head[i], s.rest[i] = s.rest[i][0], s.rest[i][1:]
		s.head[i].From = max(s.head[i].From, s.c.bottom[i])
		if s.head[i].To <= s.c.bottom[i] {
			continue
		}
		if to := s.head[i].To; to <= uint64(s.c.events[i]) {
			s.end[i].grow(i, uint32(to))
		}
		return true
	}
}

// endsBefore reports whether the Span of p can be over before that of q began.
func (s *strong) endsBefore(p, q int) bool {
	return p != q && s.head[p].To <= uint64(s.c.events[p]) && s.head[q].From > uint64(s.end[p].at[q])
}
