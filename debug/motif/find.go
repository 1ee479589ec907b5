package motif

import (
	"context"
	"slices"
	"sort"

	"hindcast.dev/history"
)

// Bounds on a search.
const (
	anchorLooks = 100_000    // at candidates, for one first event
	totalLooks  = 10_000_000 // in all
	contextRate = 1 << 16    // looks between two at the context
)

// Options say where and how much is searched. The zero value is the whole History.
type Options struct {
	From, To history.Position // [From, To); a zero To is the end
	Limit    int              // matches that are kept; 0 is 10,000
}

// limitDefault is how many matches are kept.
const limitDefault = 10_000

// A Result is what was found.
type Result struct {
	Matches []Match // in the order of their first steps
	Found   int     // also those that aren't kept
	// GivenUp counts the events at which a match may begin and the search for the
	// rest of it took too long.
	GivenUp int
	// Until is where the search ended before the end, because there was too much;
	// zero if it didn't.
	Until history.Position
}

// A Match is events that are as a motif says.
type Match struct {
	Nodes []int // by lane of Lanes
	Parts []Part
}

// A Part is an event's part in a match: what a step of the motif is there.
type Part struct {
	Position history.Position
	Lane     int
	Does     string // "sends", "receives", "does"
	Message  int    // of sends and receives, counted from 0; -1 of others
}

// Lanes are the names of the motif's lanes.
func (m *Motif) Lanes() []string {
	if m.fan != nil {
		return []string{"a"}
	}
	var names []string
	for _, l := range m.lanes {
		names = append(names, l.name)
	}
	return names
}

var acts = map[act]string{sends: "sends", receives: "receives", does: "does"}

// Find returns the matches of a motif: of all that begin with one event or message
// the one whose next steps come first. So there are at most as many as there are
// events and messages.
func Find(ctx context.Context, src history.Source, m *Motif, opts Options) (*Result, error) {
	if opts.Limit <= 0 {
		opts.Limit = limitDefault
	}
	if opts.To == (history.Position{}) {
		opts.To = history.End
	}
	mat, err := collect(ctx, src, m, opts.From, opts.To, placesMax)
	if err != nil {
		return nil, err
	}
	r := &Result{}
	if mat.more && len(mat.places) > 0 {
		r.Until = mat.places[len(mat.places)-1]
	}
	if m.fan != nil {
		mat.fans(m, opts.Limit, r)
		return r, nil
	}
	s := newSearch(ctx, m, mat)
	return r, s.run(opts.Limit, r)
}

// A search looks for a motif's matches, one after the other.
type search struct {
	*material
	ctx    context.Context
	m      *Motif
	plans  []stepPlan
	nodes  []int32 // by lane, -1 as long as it isn't chosen
	pinned []bool  // by lane: it is a node's name
	last   []mark  // by lane
	taken  []int   // by flight of the motif: that of the material
	at     []uint32
	low    uint32 // the first place that is near enough to where the match begins
	high   uint32 // the last one
	looks  int
	left   int // looks for this anchor
}

// A mark is where a lane has come to: behind the receives, or among the sends, of an
// event.
type mark struct {
	place uint32
	set   bool
	act   act
}

// A pair is a message's ends; -1 is any.
type pair struct{ from, to int32 }

// A stepPlan has the candidates of a sending or event, by nodes, ascending.
type stepPlan struct {
	byEnds map[pair][]uint32  // flights, by send
	byRecv map[int32][]uint32 // flights, by recv
	byNode map[int32][]uint32
}

func newSearch(ctx context.Context, m *Motif, mat *material) *search {
	s := &search{material: mat, ctx: ctx, m: m, nodes: make([]int32, len(m.lanes)), pinned: make([]bool, len(m.lanes)),
		last: make([]mark, len(m.lanes)), taken: make([]int, m.flights), at: make([]uint32, len(m.steps)), plans: make([]stepPlan, len(m.steps))}
	for l := range m.lanes {
		s.nodes[l] = -1
		if n, ok := mat.meta.NodeIndex(m.lanes[l].name); ok {
			s.nodes[l], s.pinned[l] = int32(n), true
		}
	}
	for f := range s.taken {
		s.taken[f] = -1
	}
	for i := range m.steps {
		s.plan(i)
	}
	return s
}

// impossible reports whether a node that the motif names isn't in the History, or
// nothing there is like one of its steps.
func (s *search) impossible() bool {
	for i := range s.m.no {
		p := &s.plans[i]
		if a := s.m.steps[i].act; a == sends && len(p.byEnds[pair{-1, -1}]) == 0 || a == does && len(p.byNode[-1]) == 0 {
			return true
		}
	}
	for l := range s.m.lanes {
		if s.m.lanes[l].exact && !s.pinned[l] {
			return true
		}
	}
	return false
}

func (s *search) plan(i int) {
	st, p := &s.m.steps[i], &s.plans[i]
	switch st.act {
	case does:
		p.byNode = map[int32][]uint32{}
		for _, at := range s.events[i] {
			n := int32(s.places[at].Node)
			p.byNode[n] = append(p.byNode[n], at)
			p.byNode[-1] = append(p.byNode[-1], at)
		}
	case sends:
		p.byEnds, p.byRecv = map[pair][]uint32{}, map[int32][]uint32{}
		for f := range s.flights {
			fl := &s.flights[f]
			arrives := fl.recv != none
			if fl.fits&(1<<i) == 0 || fl.send == none || st.lost && arrives || !st.lost && st.to >= 0 && !arrives {
				continue
			}
			ends := []pair{{fl.from, -1}, {-1, -1}, {fl.from, fl.to}, {-1, fl.to}}
			if fl.to < 0 {
				ends = ends[:2]
			}
			for _, e := range ends {
				p.byEnds[e] = append(p.byEnds[e], uint32(f))
			}
			if fl.recv != none {
				p.byRecv[fl.to] = append(p.byRecv[fl.to], uint32(f))
			}
		}
		for _, fs := range p.byRecv {
			slices.SortStableFunc(fs, func(a, b uint32) int { return int(int64(s.flights[a].recv) - int64(s.flights[b].recv)) })
		}
	}
}

// run finds the matches: every candidate of the first step begins at most one.
func (s *search) run(limit int, r *Result) error {
	if s.impossible() {
		return nil
	}
	var before []uint32
	var err error
	s.candidates(0, func(c uint32) bool {
		if s.looks%contextRate == 0 && s.ctx.Err() != nil || s.looks >= totalLooks {
			err = s.ctx.Err()
			if err == nil {
				r.Until = s.begin(c)
			}
			return false
		}
		s.left = anchorLooks
		found := s.try(0, c, func() bool { return s.rest(1) })
		switch {
		case !found && s.left <= 0:
			r.GivenUp++
		case found && !slices.Equal(before, s.at[:s.m.no]):
			before = append(before[:0], s.at[:s.m.no]...)
			r.Found++
			if len(r.Matches) < limit {
				r.Matches = append(r.Matches, s.match())
			}
		}
		s.reset()
		return true
	})
	return err
}

// begin is where a candidate of the first step is.
func (s *search) begin(c uint32) history.Position {
	if s.m.steps[0].act == sends {
		c = s.flights[c].send
	}
	return s.places[c]
}

// rest finds the steps from i on and leaves them in s.at; ok is false, and all as it
// was, if there are none.
func (s *search) rest(i int) (ok bool) {
	if i == s.m.no && i < len(s.m.steps) {
		return !s.matches(i, len(s.m.steps))
	}
	if i == len(s.m.steps) {
		return true
	}
	s.candidates(i, func(c uint32) bool {
		ok = s.try(i, c, func() bool { return s.rest(i + 1) })
		return !ok && s.left > 0
	})
	return ok
}

// matches reports whether steps [i, end) can be found, and leaves all as it was.
func (s *search) matches(i, end int) (ok bool) {
	if i == end {
		return true
	}
	s.candidates(i, func(c uint32) bool {
		inner := false
		s.try(i, c, func() bool { inner = s.matches(i+1, end); return false })
		ok = inner
		return !ok && s.left > 0
	})
	return ok || s.left <= 0 // in doubt nothing is claimed
}

// try takes a candidate for step i, and if then holds leaves it so.
func (s *search) try(i int, c uint32, then func() bool) bool {
	s.looks++
	s.left--
	st := &s.m.steps[i]
	at, node := s.where(st, c)
	if i == 0 {
		s.near(at)
	}
	if !s.allowed(i, c, at, node) {
		return false
	}
	wasLast, wasNode := s.last[st.lane], s.nodes[st.lane]
	wasTaken, wasTo := 0, int32(-1)
	if st.act != does {
		wasTaken = s.taken[st.flight]
		s.taken[st.flight] = int(c)
	}
	if st.act == sends && st.to >= 0 {
		wasTo, s.nodes[st.to] = s.nodes[st.to], s.flights[c].to
	}
	s.last[st.lane], s.nodes[st.lane], s.at[i] = mark{at, true, st.act}, node, at
	if then() {
		return true
	}
	if st.act == sends && st.to >= 0 {
		s.nodes[st.to] = wasTo
	}
	s.last[st.lane], s.nodes[st.lane] = wasLast, wasNode
	if st.act != does {
		s.taken[st.flight] = wasTaken
	}
	return false
}

// where is the place and node of a candidate.
func (s *search) where(st *step, c uint32) (at uint32, node int32) {
	switch st.act {
	case sends:
		return s.flights[c].send, s.flights[c].from
	case receives:
		return s.flights[c].recv, s.flights[c].to
	}
	return c, int32(s.places[c].Node)
}

// near finds which places are near enough to one.
func (s *search) near(at uint32) {
	s.low, s.high = 0, none-1
	if s.m.within == 0 {
		return
	}
	begin, n := s.places[at].Time, len(s.places)
	s.low = uint32(sort.Search(n, func(i int) bool { return begin.Sub(s.places[i].Time) <= s.m.within }))
	s.high = uint32(sort.Search(n, func(i int) bool { return s.places[i].Time.Sub(begin) > s.m.within })) - 1
}

// ceiling is the last place that step i on a lane may be at: where the lane receives,
// in a later step, what is on its way already.
func (s *search) ceiling(lane, i int) uint32 {
	high := s.high
	for j := i + 1; j < len(s.m.steps); j++ {
		if r := &s.m.steps[j]; r.act == receives && r.lane == lane && !r.again && (j < s.m.no) == (i < s.m.no) && s.taken[r.flight] >= 0 {
			high = min(high, s.flights[s.taken[r.flight]].recv)
		}
	}
	return high
}

// allowed reports whether a candidate agrees with what was chosen so far.
func (s *search) allowed(i int, c, at uint32, node int32) bool {
	st := &s.m.steps[i]
	if at == none || node < 0 || s.nodes[st.lane] != node && (s.nodes[st.lane] >= 0 || slices.Contains(s.nodes, node)) {
		return false
	}
	if l := s.last[st.lane]; l.set && !s.follows(l, mark{at, true, st.act}) {
		return false
	}
	if at < s.low || at > s.high {
		return false
	}
	if st.act != sends {
		return true
	}
	fl := &s.flights[c]
	for f, t := range s.taken {
		if t >= 0 && f != st.flight && s.flights[t].first == fl.first {
			return false // it is another message already
		}
	}
	if st.caused && fl.cause != s.last[st.lane].place {
		return false
	}
	if st.to < 0 || s.nodes[st.to] >= 0 && s.nodes[st.to] == fl.to {
		return true
	}
	return fl.to >= 0 && s.nodes[st.to] < 0 && (st.to == st.lane) == (fl.to == node) && !slices.Contains(s.nodes, fl.to)
}

// follows reports whether what a lane does next may be at b: an event receives,
// then it is what it is, then it sends.
func (s *search) follows(a, b mark) bool {
	if a.place != b.place {
		return a.place < b.place
	}
	return a.act != sends && (a.act != does || b.act == sends) || b.act == sends
}

// candidates gives those of step i, in order, as long as yield wants more.
func (s *search) candidates(i int, yield func(uint32) bool) {
	st, p := &s.m.steps[i], &s.plans[i]
	node := s.nodes[st.lane]
	low, high := uint32(0), uint32(none-1)
	if i > 0 {
		low, high = s.low, s.ceiling(st.lane, i)
	}
	if l := s.last[st.lane]; l.set {
		low = max(low, l.place)
	}
	switch st.act {
	case does:
		s.each(p.byNode[node], func(c uint32) uint32 { return c }, low, high, yield)
	case sends:
		to := int32(-1)
		if st.to >= 0 {
			to = s.nodes[st.to]
		}
		next := s.arrivesNext(i)
		if next && i > 0 {
			high = min(high, s.ceiling(st.to, i+1))
		}
		if node < 0 && to >= 0 && next {
			if l := s.last[st.to]; l.set {
				low = max(low, l.place)
			}
			s.each(p.byRecv[to], func(c uint32) uint32 { return s.flights[c].recv }, low, high, yield)
			return
		}
		s.each(p.byEnds[pair{node, to}], func(c uint32) uint32 { return s.flights[c].send }, low, high, func(c uint32) bool {
			if st.caused && s.flights[c].cause != low { // what comes later came of something else
				return false
			}
			return yield(c)
		})
	case receives:
		s.arrivals(st, yield)
	}
}

// arrivesNext reports whether the step after i receives what i sends.
func (s *search) arrivesNext(i int) bool {
	return i+1 < len(s.m.steps) && s.m.steps[i+1].act == receives && s.m.steps[i+1].flight == s.m.steps[i].flight
}

// arrivals are the receives of a message that was sent: the one that was chosen
// with the sending, or if it is to arrive again those after that.
func (s *search) arrivals(st *step, yield func(uint32) bool) {
	c := s.taken[st.flight]
	if c < 0 {
		return
	}
	if !st.again {
		yield(uint32(c))
		return
	}
	for f := c + 1; f < len(s.flights) && s.flights[f].first == s.flights[c].first && yield(uint32(f)); f++ {
	}
}

// each gives what is from one place up to another; list ascends by key.
func (s *search) each(list []uint32, key func(uint32) uint32, low, high uint32, yield func(uint32) bool) {
	for _, c := range list[sort.Search(len(list), func(i int) bool { return key(list[i]) >= low }):] {
		if key(c) > high || !yield(c) {
			return
		}
	}
}

// match is what was found.
func (s *search) match() Match {
	m := Match{Nodes: make([]int, len(s.nodes))}
	for l, n := range s.nodes {
		m.Nodes[l] = int(n)
	}
	for i := range s.m.no {
		st := &s.m.steps[i]
		p := Part{s.places[s.at[i]], st.lane, acts[st.act], -1}
		if st.act != does {
			p.Message = st.flight
		}
		m.Parts = append(m.Parts, p)
	}
	return m
}

// reset forgets what was chosen.
func (s *search) reset() {
	for l := range s.nodes {
		s.last[l] = mark{}
		if !s.pinned[l] {
			s.nodes[l] = -1
		}
	}
	for f := range s.taken {
		s.taken[f] = -1
	}
}
