package sim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"sync"
)

// A Shrink makes a failing run small: it leaves out faults, operations, clients
// and nodes, shortens, and calms options, for as long as the same property fails.
//
// Removal is delta debugging: Zeller, Hildebrandt, "Simplifying and isolating
// failure-inducing input" (2002). Which candidates are tried, and which one is
// taken, depends on the outcomes alone and not on how many workers try them.
type Shrink struct {
	Subject *Subject
	// Workers are the goroutines that try candidates; 0 is 1.
	Workers int
	// RunsMax ends shrinking after so many runs; 0 is no bound. Runs that Tried
	// knows don't count.
	RunsMax int
	// Tried holds what came of candidates, by their hash: with what an earlier Shrink
	// left there, shrinking goes on from where that was ended. It may be nil.
	Tried map[uint64]bool
	// Progress is told now and then, on the goroutine of Run. May be nil.
	Progress func(now Shrunk)

	want Failure
	best Shrunk
	ctx  context.Context
}

// A Shrunk run is as small as it could be made.
type Shrunk struct {
	Options Options
	Result  *Result // nil in Progress
	Runs    int     // so far, without those that Tried knew
	Stage   string  // what is tried now; "" at the end
	// Whole: nothing more can be left out. Else a bound ended it.
	Whole bool
}

// ErrNotFailing is returned by Shrink.Run for a run that doesn't fail.
var ErrNotFailing = errors.New("the run doesn't fail")

// errBudget ends shrinking at its bound.
var errBudget = errors.New("the bound of runs is reached")

// Run shrinks. The property to keep is what the run under o fails, or want if that
// isn't nil. When the context ends it returns the best so far, and no error.
func (s *Shrink) Run(ctx context.Context, o Options, want *Failure) (Shrunk, error) {
	s.ctx = ctx
	if s.Tried == nil {
		s.Tried = map[uint64]bool{}
	}
	o.Trace, o.Stop, o.Quick, o.Fingerprints = nil, nil, false, false
	r, err := Attempt(s.Subject, o)
	switch {
	case err != nil:
		return Shrunk{}, err
	case r.Failure == nil:
		return Shrunk{}, ErrNotFailing
	case want == nil:
		want = r.Failure
	case want.Kind != r.Failure.Kind || want.Property != r.Failure.Property:
		return Shrunk{}, fmt.Errorf("%w as it did: it was %s: %s, and is %s: %s", ErrNotFailing, want.Kind, want.Property, r.Failure.Kind, r.Failure.Property)
	}
	s.want = *want
	s.best = Shrunk{Options: o, Result: r}
	err = s.all()
	s.best.Whole, s.best.Stage = err == nil, ""
	if err != nil && !errors.Is(err, errBudget) && ctx.Err() == nil {
		return Shrunk{}, err
	}
	return s.best, nil
}

// all goes through the passes until none finds anything.
func (s *Shrink) all() error {
	if err := s.fix(); err != nil {
		return err
	}
	passes := []struct {
		name string
		pass func() error
	}{
		{"leaving out operations by client and key", s.groups}, {"leaving out faults", s.faults},
		{"leaving out operations", s.operations}, {"calming options", s.options}, {"shortening", s.durations}, {"leaving out what comes after", s.after},
	}
	for {
		before := hashOptions(&s.best.Options)
		for _, p := range passes {
			s.best.Stage = p.name
			if err := p.pass(); err != nil {
				return err
			}
		}
		if hashOptions(&s.best.Options) == before {
			return nil
		}
	}
}

// fix writes down what the seed drew: the schedule, and the operations with their
// times. What then doesn't fail any more is left to the seed.
func (s *Shrink) fix() error {
	s.best.Stage = "fixing what the seed drew"
	r := s.best.Result
	o := s.best.Options
	if o.Faults == nil {
		o.Faults = append([]Fault{}, r.Faults...)
	}
	both := o
	if both.Plan == nil && len(r.Operations) > 0 {
		both.Plan = PlanOf(r)
	}
	_, err := s.first([]Options{both, o})
	return err
}

// first takes the first of the candidates that fails as it should; it reports its
// index, -1 if there is none.
func (s *Shrink) first(candidates []Options) (int, error) {
	width := max(1, s.Workers)
	for at := 0; at < len(candidates); at += width {
		batch := candidates[at:min(at+width, len(candidates))]
		results := make([]*Result, len(batch))
		fails := make([]bool, len(batch))
		var wait sync.WaitGroup
		for i := range batch {
			known, ok := s.Tried[hashOptions(&batch[i])]
			if ok && !known {
				continue
			}
			if !ok {
				s.best.Runs++
			}
			wait.Go(func() { results[i], fails[i] = s.try(batch[i]) })
		}
		wait.Wait()
		if err := s.ctx.Err(); err != nil {
			return -1, err
		}
		for i := range batch {
			s.Tried[hashOptions(&batch[i])] = fails[i]
		}
		for i := range batch {
			if fails[i] {
				s.best.Options, s.best.Result = withoutUnused(batch[i], results[i]), results[i]
				s.best.Result.options = s.best.Options
				s.tell()
				return at + i, nil
			}
		}
		s.tell()
		if s.RunsMax > 0 && s.best.Runs >= s.RunsMax {
			return -1, errBudget
		}
	}
	return -1, nil
}

// withoutUnused leaves out of Set what the run doesn't draw any more, because of
// what another option is now.
func withoutUnused(o Options, r *Result) Options {
	o.Set = maps.Clone(o.Set)
	for _, name := range r.Unused {
		delete(o.Set, name)
	}
	return o
}

func (s *Shrink) tell() {
	if s.Progress != nil {
		now := s.best
		now.Result = nil
		s.Progress(now)
	}
}

// try reports whether a candidate fails as it should.
func (s *Shrink) try(o Options) (*Result, bool) {
	o.Stop = func() bool { return s.ctx.Err() != nil }
	r, err := Attempt(s.Subject, o)
	if err != nil || r.Stopped || r.Failure == nil {
		return nil, false // a mistake in the options is that they don't fit together any more
	}
	return r, r.Failure.Kind == s.want.Kind && r.Failure.Property == s.want.Property
}

func hashOptions(o *Options) uint64 {
	b, err := json.Marshal(o)
	if err != nil {
		panic(err) // plain data: a programmer's error
	}
	h := fnv.New64a()
	h.Write(b)
	return h.Sum64()
}

// remove leaves out as many of n things as can be left out: with makes the
// candidate that has only those that keep says. It is ddmin without the subsets:
// chunks are removed, in halves first, then in smaller ones.
func (s *Shrink) remove(n int, with func(keep []int) Options) error {
	kept := make([]int, n)
	for i := range kept {
		kept[i] = i
	}
	for chunk := n; chunk >= 1; {
		removed, err := s.removeChunks(&kept, chunk, with)
		if err != nil {
			return err
		}
		switch {
		case removed && chunk > 1:
			chunk = min(chunk, max(1, len(kept)/2))
		case chunk == 1 && !removed:
			return nil
		default:
			chunk /= 2
			if chunk == 0 {
				chunk = 1
			}
		}
		if len(kept) == 0 {
			return nil
		}
	}
	return nil
}

// removeChunks tries to leave out every chunk of that length once.
func (s *Shrink) removeChunks(kept *[]int, chunk int, with func(keep []int) Options) (removed bool, err error) {
	for at := 0; at < len(*kept); {
		// From the end: what is late is the least likely to matter to what is before it.
		var candidates []Options
		var left [][]int
		for from := at; from < len(*kept) && len(candidates) < max(1, s.Workers); from += chunk {
			hi := len(*kept) - from
			lo := max(0, hi-chunk)
			rest := append(append([]int{}, (*kept)[:lo]...), (*kept)[hi:]...)
			candidates, left = append(candidates, with(rest)), append(left, rest)
		}
		i, err := s.first(candidates)
		if err != nil {
			return removed, err
		}
		if i < 0 {
			at += chunk * len(candidates)
			continue
		}
		*kept, removed = left[i], true
		at += chunk * i
	}
	return removed, nil
}
