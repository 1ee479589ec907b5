package sim

import (
	"context"
	"fmt"
	"math"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"hindcast.dev/check"
)

// A Search runs a subject under many seeds, each as a world of its own.
type Search struct {
	Subject *Subject
	// Options of every run; the seed is the search's, and Stop is the context's end.
	Options Options
	// First and Last are the seeds, both included; Last below First is no end.
	First, Last uint64
	// Workers are the goroutines that run worlds; 0 is 1. What the search finds
	// doesn't depend on it.
	Workers int
	// FailuresMax ends the search after so many failing seeds; 0 is no bound.
	FailuresMax int
	// Floors say which seeds count; the zero value is DefaultFloors.
	Floors Floors
	// Verify runs every seed twice, and fails what isn't the same.
	Verify bool
	// Done is told of every seed, in order, on the goroutine of Run. result is nil
	// but for a failing seed, and is not kept by the search. An error ends the search.
	Done func(o *Outcome, result *Result) error
}

// windowPerWorker bounds how many seeds are ahead of the first one that isn't done.
const windowPerWorker = 64

// An Outcome is what is kept of a run.
type Outcome struct {
	Seed       uint64   `json:"seed"`
	Hash       string   `json:"hash"`
	Failure    *Failure `json:"failure,omitempty"`
	Undecided  []string `json:"undecided,omitempty"`  // judges that came to no verdict, and why
	NotCounted string   `json:"notCounted,omitempty"` // why the seed doesn't count, "" if it does
	Events     uint64   `json:"events"`               // of the world
	Steps      uint64   `json:"steps"`                // events that nodes took in
	Operations int      `json:"operations"`
	// Simulated is virtual time, in nanoseconds.
	Simulated int64             `json:"simulated"`
	Happened  map[FaultKind]int `json:"happened"`
	Sometimes map[string]bool   `json:"sometimes,omitempty"`

	vacuous  map[string]string
	drawn    []Drawn
	unused   []string
	coverage map[string]int
	result   *Result
	err      error
}

// Floors say what a seed must exercise to count.
type Floors struct {
	Operations int    `json:"operations"` // of clients, at least; and a quarter of so many that were done
	FaultKinds int    `json:"faultKinds"` // that took effect, at least
	Events     uint64 `json:"events"`     // that loops stamped, at most; 0 is no bound
}

// DefaultFloors are those that a promise of so many seeds is made with.
var DefaultFloors = Floors{Operations: OperationsMin, FaultKinds: FaultKindsMin, Events: EventsMax}

// Short says why a run doesn't count, "" if it does.
func (f Floors) Short(r *Result) string {
	switch {
	case len(r.Operations) < f.Operations:
		return fmt.Sprintf("fewer than %d operations", f.Operations)
	case 4*done(r.Operations) < f.Operations:
		return fmt.Sprintf("fewer than %d operations that were done", (f.Operations+3)/4)
	case len(r.Happened) < f.FaultKinds:
		return fmt.Sprintf("fewer than %d kinds of fault", f.FaultKinds)
	case f.Events > 0 && r.Steps > f.Events:
		return fmt.Sprintf("more than %d events", f.Events)
	}
	return ""
}

// done counts the operations that succeeded: a system that refuses all shows nothing.
func done(ops []check.Operation) (n int) {
	for i := range ops {
		if ops[i].Outcome == check.Ok {
			n++
		}
	}
	return n
}

// Run runs the seeds from t.Next on, and adds what comes of them to t, in their
// order. It returns nil at the end of the seeds, or of FailuresMax; the context's
// error if that ended it, and then t stands behind the last seed that is done and
// can be gone on with; else a mistake in the subject or the options.
func (s *Search) Run(ctx context.Context, t *Tally) error {
	t.begin(s)
	if s.over(t, t.Next) {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	var workers sync.WaitGroup
	defer workers.Wait()
	defer cancel()

	window := max(1, s.Workers) * windowPerWorker
	tickets, outcomes := make(chan struct{}, window), make(chan *Outcome, window)
	for range window {
		tickets <- struct{}{}
	}
	var next atomic.Uint64
	next.Store(t.Next)
	for range max(1, s.Workers) {
		workers.Go(func() { s.work(ctx, &next, tickets, outcomes) })
	}
	early := map[uint64]*Outcome{} // done before their turn
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case o := <-outcomes:
			early[o.Seed] = o
		}
		for o := early[t.Next]; o != nil; o = early[t.Next] {
			delete(early, o.Seed)
			if err := s.take(t, o); err != nil || s.over(t, t.Next) {
				return err
			}
			tickets <- struct{}{}
		}
	}
}

// over reports whether there is no seed to run from next on.
func (s *Search) over(t *Tally, next uint64) bool {
	if s.FailuresMax > 0 && t.Failing >= s.FailuresMax {
		return true
	}
	return s.Last >= s.First && next > s.Last || next == math.MaxUint64
}

// work runs seeds until there are no more, or the context ends.
func (s *Search) work(ctx context.Context, next *atomic.Uint64, tickets <-chan struct{}, outcomes chan<- *Outcome) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-tickets:
		}
		seed := next.Add(1) - 1
		if s.Last >= s.First && seed > s.Last {
			return
		}
		o := s.one(ctx, seed)
		if o == nil {
			return
		}
		outcomes <- o // there is room: one for each ticket
	}
}

// one runs a seed; nil is that it was stopped.
func (s *Search) one(ctx context.Context, seed uint64) *Outcome {
	options := s.Options
	options.Seed = seed
	options.Stop = func() bool { return ctx.Err() != nil }
	r, err := Attempt(s.Subject, options)
	if err != nil {
		return &Outcome{Seed: seed, err: err}
	}
	if s.Verify && !r.Stopped && r.Failure == nil {
		if r.Failure, err = Repeats(s.Subject, options, r); err != nil {
			return &Outcome{Seed: seed, err: err}
		}
	}
	if r.Stopped || ctx.Err() != nil {
		return nil
	}
	return OutcomeOf(r, s.Floors)
}

// Repeats runs a seed once more, and returns the failure if that isn't the same
// run as r.
func Repeats(s *Subject, o Options, r *Result) (*Failure, error) {
	o.Quick, o.Trace = true, nil
	again, err := Attempt(s, o)
	if err != nil || again.Stopped || again.Hash == r.Hash {
		return nil, err
	}
	f := &Failure{Kind: Nondeterminism, Property: "the same seed gives the same run",
		Text: fmt.Sprintf("two runs of seed %d have the hashes %016x and %016x", r.Seed, r.Hash, again.Hash)}
	if m, err := Verify(s, o); err == nil && m != nil {
		f.Event, f.At, f.Node = m.Event, m.At, m.Node
		f.Text += "\n" + m.Error()
	}
	return f, nil
}

// Attempt is Run, but that a panic of the subject or the simulator is the run's
// failure and not the search's end.
func Attempt(s *Subject, o Options) (r *Result, err error) {
	defer func() {
		if p := recover(); p != nil {
			r, err = &Result{Subject: s.Name, Seed: o.Seed, Failure: &Failure{Kind: Crash, Property: "the simulation doesn't panic",
				Text: fmt.Sprintf("panic: %v\n%s", p, debug.Stack())}}, nil
		}
	}()
	return Run(s, o)
}

// OutcomeOf is what is kept of a run.
func OutcomeOf(r *Result, floors Floors) *Outcome {
	o := &Outcome{Seed: r.Seed, Hash: fmt.Sprintf("%016x", r.Hash), Failure: r.Failure, NotCounted: floors.Short(r), Events: r.Events,
		Steps: r.Steps, Operations: len(r.Operations), Simulated: int64(r.Simulated), Happened: r.Happened, Sometimes: r.Sometimes,
		vacuous: r.Vacuous, drawn: r.Drawn, unused: r.Unused, coverage: r.Coverage.Kinds}
	if r.Undecided != "" {
		o.Undecided = []string{r.Undecided}
	}
	if r.Failure != nil {
		o.result = r
	}
	return o
}

// take adds the outcome of the next seed.
func (s *Search) take(t *Tally, o *Outcome) error {
	if o.err != nil {
		return fmt.Errorf("seed %d: %w", o.Seed, o.err)
	}
	t.add(o)
	if err := t.unused(s.Options.Set, s.Last >= s.First && o.Seed == s.Last); err != nil {
		return err
	}
	if s.Done == nil {
		return nil
	}
	return s.Done(o, o.result)
}
