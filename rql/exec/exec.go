// Package exec searches the parts of a History at once. The rows of a query and
// its Summary are those of the walk from beginning to end (a fault is counted where
// it is evaluated, which may be a few times more or less).
package exec

import (
	"context"
	"runtime"
	"slices"
	"sync"

	"hindcast.dev/history"
	"hindcast.dev/hlc"
	"hindcast.dev/rql"
)

// Options of a run. The zero value is ready for use.
type Options struct {
	rql.Options
	// Parallel is how many parts are searched at once; 0 is runtime.GOMAXPROCS, 1
	// walks from beginning to end.
	Parallel int
	// Parts is into how many parts the walk is divided; 0 is as many as pay.
	Parts int
}

func (o *Options) parallel() int {
	if o.Parallel == 0 {
		return runtime.GOMAXPROCS(0)
	}
	return max(o.Parallel, 1)
}

// Run asks a History, which must be the one that the query was compiled for, and
// gives every row to emit, in order and one by one; an error of emit ends it. An
// ended ctx ends it with the rows so far given. It returns when all that it
// started has ended.
func Run(ctx context.Context, q *rql.Query, src history.Source, opt Options, emit func(*rql.Row) error) (rql.Summary, error) {
	if q.Explains() {
		return explain(ctx, q, src, opt, emit)
	}
	if q.Whole(src.Meta()) != "" || opt.parallel() == 1 && !prunable(q, src) {
		return q.Run(ctx, src, opt.Options, emit)
	}
	ctx, cancel := context.WithCancel(ctx)
	s := &search{ctx: ctx, q: q, src: src, opt: opt, tokens: make(chan struct{}, opt.parallel())}
	defer s.running.Wait()
	defer cancel()
	members, err := s.gather()
	if err != nil {
		return rql.Summary{}, err
	}
	inTime := func(r *rql.Row) error {
		if err := ctx.Err(); err != nil {
			return err // also where what follows is known already
		}
		return emit(r)
	}
	if s.parts, err = q.Parts(ctx, src, opt.Options, members, inTime); err != nil {
		return rql.Summary{}, err
	}
	s.divide()
	s.all()
	return s.parts.End()
}

// A search goes through the parts of one run: some goroutines search parts ahead,
// one joins them in order.
type search struct {
	ctx     context.Context
	q       *rql.Query
	src     history.Source
	opt     Options
	parts   *rql.Parts
	tokens  chan struct{} // held by who searches; its capacity is Options.Parallel
	running sync.WaitGroup

	jobs     []*job
	launched int
	misses   int // parts in a row that had to be walked once more
}

// A job is a part to be searched.
type job struct {
	from, to history.Position
	done     chan struct{}
	part     *rql.Part // valid once done is closed; nil: the search failed
	events   uint64    // about
	dull     bool      // the condition can't hold in it
}

const (
	partEvents    = 1 << 17 // of a part at least: beginning one costs
	partEventsMax = 1 << 21 // and at most, where there are many: their rows wait
	partsPerCore  = 8       // at least, if there are events enough: the last ones end together
	aheadPerCore  = 2       // parts that are searched or wait to be joined
	missesMax     = 3       // after so many in a row nothing is searched ahead any more
)

// gather looks for the members of FOR EACH in parts; nil if there is nothing to
// be looked for in parts.
func (s *search) gather() ([]*rql.Gathered, error) {
	if !s.q.Gathers() {
		return nil, nil
	}
	meta := s.src.Meta()
	load := history.LoadOf(s.src, meta.First.Time, meta.Last.Time)
	edges := load.Edges(s.count(load.Events, 0))
	out, errs := make([]*rql.Gathered, len(edges)+1), make([]error, len(edges)+1)
	var wg sync.WaitGroup
	for i, j := range ranges(&load, edges) {
		wg.Go(func() {
			s.tokens <- struct{}{}
			defer func() { <-s.tokens }()
			out[i], errs[i] = s.q.Gather(s.ctx, s.src, s.opt.Options, j.from, j.to)
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// ranges are the jobs between edges.
func ranges(load *history.Load, edges []hlc.Timestamp) []*job {
	var out []*job
	from, step := history.Begin, 0
	add := func(to history.Position) {
		j := &job{from: from, to: to, done: make(chan struct{})}
		for ; step < len(load.Steps) && load.Steps[step].At < to.Time; step++ {
			j.events += load.Steps[step].Entries
		}
		out = append(out, j)
		from = to
	}
	for _, t := range edges {
		add(history.Position{Time: t})
	}
	add(history.End)
	return out
}

// count is into how many parts of at least so many events it pays to divide them.
func (s *search) count(events, atLeast uint64) int {
	if s.opt.Parts > 0 {
		return s.opt.Parts
	}
	n := events / max(partEvents, atLeast, straddling(s.src))
	return int(min(n, max(uint64(partsPerCore*s.opt.parallel()), events/partEventsMax)))
}

// straddling is how many entries are read twice at an edge, times what makes that
// little: on disk those of a block of each node.
func straddling(src history.Source) uint64 {
	b, ok := history.Unwrap(src).(history.Blocked)
	if !ok {
		return 0
	}
	n := uint64(0)
	for node := range src.Meta().Nodes {
		for block := range b.Blocks(node) {
			n += uint64(block.Entries)
			break
		}
	}
	return 2 * n
}

// divide decides where the edges between parts are.
func (s *search) divide() {
	from, to := s.parts.Range()
	load := history.LoadOf(s.src, from, to)
	within := func(edges []hlc.Timestamp) []*job {
		return ranges(&load, slices.DeleteFunc(edges, func(t hlc.Timestamp) bool { return t <= from || t > to }))
	}
	s.launched = 1 // the first is walked
	if p := newPruner(s.q, s.src, s.parts.Nodes()); p != nil {
		n := slicesMax
		if s.opt.Parts > 0 {
			n = 4 * s.opt.Parts
		}
		s.jobs = within(load.Edges(n))
		s.prune(p)
		return
	}
	n := s.count(load.Events, s.parts.Start())
	if back := s.parts.Lookback(); back > 0 && s.opt.Parts == 0 {
		n = min(n, int(min((to.Ticks()-min(from, to).Ticks())/(4*back), 1<<20)))
	}
	s.jobs = within(load.Edges(n))
}

// prune makes jobs of slices: those in which the condition can't hold, if there
// are enough of them beside each other, and parts of the others.
func (s *search) prune(p *pruner) {
	all := s.jobs
	for i := 1; i < len(all)-1; i++ { // the first begins the walk, the last ends it
		all[i].dull = p.dull(all[i].from.Time, all[i].to.Time)
	}
	all = merge(all, func(a, b *job) bool { return a.dull && b.dull })
	left := uint64(0)
	for _, j := range all {
		// A part after one that is passed over has its beginning to pay for.
		j.dull = j.dull && (s.opt.Parts > 0 || j.events >= straddling(s.src))
		if !j.dull {
			left += j.events
		}
	}
	n := uint64(1)
	if s.opt.parallel() > 1 {
		n = uint64(max(s.count(left, 0), 1))
	}
	s.jobs = merge(all, func(a, b *job) bool { return !a.dull && !b.dull && a.events+b.events <= max(left/n, 1) })
}

// merge joins jobs beside each other that belong together.
func merge(jobs []*job, together func(a, b *job) bool) []*job {
	out := jobs[:1:1]
	for _, j := range jobs[1:] {
		if last := out[len(out)-1]; together(last, j) {
			last.to, last.events = j.to, last.events+j.events
			continue
		}
		out = append(out, j)
	}
	return out
}

// all goes through the parts.
func (s *search) all() {
	for i, j := range s.jobs {
		s.launch(i)
		switch {
		case j.dull && s.skip(j):
		case i == 0 || j.dull || i >= s.launched:
			s.walk(j)
		case !s.join(j):
			s.misses++
			s.walk(j)
		default:
			s.misses = 0
		}
		if s.parts.Done() {
			return
		}
	}
}

// skip passes over a part in which the condition can't hold; false if it must be
// walked.
func (s *search) skip(j *job) bool {
	n, first, err := history.Unwrap(s.src).(history.Blocked).Events(s.ctx, j.from, j.to, s.parts.Nodes())
	return err == nil && s.parts.Skip(j.to, n, first)
}

// launch begins to search the parts that come soon after number i.
func (s *search) launch(i int) {
	if s.opt.parallel() == 1 {
		return
	}
	for s.misses < missesMax && s.launched < len(s.jobs) && s.launched <= i+aheadPerCore*s.opt.parallel() {
		j, guess := s.jobs[s.launched], s.parts.Memory()
		s.launched++
		if j.dull {
			continue
		}
		s.running.Go(func() {
			defer close(j.done)
			select {
			case s.tokens <- struct{}{}:
			case <-s.ctx.Done():
				return
			}
			defer func() { <-s.tokens }()
			if part, err := s.parts.Search(j.from, j.to, guess); err == nil {
				j.part = part
			}
		})
	}
}

// walk goes through a part that nobody has searched: what an error of a Source
// is, is found here, in order.
func (s *search) walk(j *job) {
	s.tokens <- struct{}{}
	defer func() { <-s.tokens }()
	_ = s.parts.Walk(j.to) // Parts keeps it, and End returns it
}

// join waits for a part and joins it; false if it must be walked.
func (s *search) join(j *job) bool {
	<-j.done
	if j.part == nil {
		return false
	}
	ok, _ := s.parts.Join(j.part) // Parts keeps the error, and End returns it
	j.part = nil
	return ok
}
