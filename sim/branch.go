package sim

import (
	"context"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// A Branch explores what else could have become of a run from given moments on:
// up to there all is as it was, then other seeds decide.
type Branch struct {
	Subject *Subject
	Options Options // of the run
	Futures int     // runs for each moment
	Workers int     // 0 is 1
	// KeepFaults leaves the schedule of faults as it is; else those that are still to
	// come are drawn anew.
	KeepFaults bool
	// Want is the failure that is counted; nil counts all.
	Want *Failure
	// Progress is told of every future, by any goroutine. May be nil.
	Progress func()
}

// A Chance is how likely a failure is from a moment on.
type Chance struct {
	Event  uint64        `json:"event"` // of the world: all up to it is as it was
	At     time.Duration `json:"at"`    // its virtual time
	Runs   int           `json:"runs"`
	Failed int           `json:"failed"` // as Branch.Want says
	Others int           `json:"others"` // failed at something else
	// Undecided are futures in which a check came to no verdict: they may have failed.
	Undecided int `json:"undecided,omitempty"`
	// Low and High are Wilson's interval for the probability, at 95 %: Wilson,
	// "Probable inference" (1927).
	Low  float64 `json:"low"`
	High float64 `json:"high"`
}

// P is the share of futures that failed.
func (c Chance) P() float64 { return float64(c.Failed) / float64(max(1, c.Runs)) }

// At explores the futures from one moment on.
func (b *Branch) At(ctx context.Context, m Moment) (Chance, error) {
	c := Chance{Event: m.Event, At: m.At, Runs: b.Futures}
	var failed, others, undecided atomic.Int64
	var next atomic.Uint64
	var first sync.Once
	var mistake error
	var workers sync.WaitGroup
	for range max(1, b.Workers) {
		workers.Go(func() {
			for i := next.Add(1); i <= uint64(b.Futures) && ctx.Err() == nil; i = next.Add(1) {
				r, err := b.future(ctx, m, i)
				switch {
				case err != nil:
					first.Do(func() { mistake = err })
					return
				case r.Failure == nil && r.Undecided != "":
					undecided.Add(1)
				case r.Failure == nil:
				case b.Want == nil || r.Failure.Kind == b.Want.Kind && r.Failure.Property == b.Want.Property:
					failed.Add(1)
				default:
					others.Add(1)
				}
				if b.Progress != nil {
					b.Progress()
				}
			}
		})
	}
	workers.Wait()
	if mistake == nil {
		mistake = ctx.Err()
	}
	c.Failed, c.Others, c.Undecided = int(failed.Load()), int(others.Load()), int(undecided.Load())
	c.Low, c.High = wilson(c.Failed, c.Runs)
	return c, mistake
}

// future runs one future.
func (b *Branch) future(ctx context.Context, m Moment, i uint64) (*Result, error) {
	o := b.Options
	o.Reseed = &Reseed{At: m.Event, Seed: scramble(o.Seed + i*0x9e3779b97f4a7c15), KeepFaults: b.KeepFaults}
	o.Stop = func() bool { return ctx.Err() != nil }
	return Attempt(b.Subject, o)
}

// wilson is Wilson's interval at 95 %.
func wilson(k, n int) (low, high float64) {
	if n == 0 {
		return 0, 1
	}
	const z = 1.959964
	p, m := float64(k)/float64(n), float64(n)
	mid := (p + z*z/(2*m)) / (1 + z*z/m)
	off := z / (1 + z*z/m) * math.Sqrt(p*(1-p)/m+z*z/(4*m*m))
	return max(0, mid-off), min(1, mid+off)
}

// A Moment is a place in a run.
type Moment struct {
	Event uint64        // of the world; 0 is before the first
	At    time.Duration // virtual time
}

// Find returns the moment after which the run's world has had so many events, or,
// with a node's name, after which that node has handled its event seq.
func Find(s *Subject, o Options, node string, n uint64) (Moment, error) {
	o.Quick = true
	w, err := prepare(s, o)
	if err != nil {
		return Moment{}, err
	}
	w.begin()
	if node != "" && w.byName[node] == nil {
		return Moment{}, fmt.Errorf("there is no node %q in this run", node)
	}
	for {
		switch {
		case node == "" && w.events >= n, node != "" && w.byName[node].Seq() >= n:
			return Moment{w.events, w.Now()}, nil
		case w.misused != nil:
			return Moment{}, w.misused
		case !w.goesOn() && node == "":
			return Moment{}, fmt.Errorf("there is no event %d: the run has %d", n, w.events)
		case !w.goesOn():
			return Moment{}, fmt.Errorf("there is no event %s:%d: the run ends before it", node, n)
		}
		w.step()
	}
}

// inevitable is the share of futures from which on a failure is called so.
const inevitable = 0.9

// Scan explores a grid of moments up to the end of the run's failure, and then
// halves the interval in which it becomes inevitable: in which the probability
// passes 90 %. each is told of every moment as it is explored. It returns the first
// moment from which on the failure is inevitable; ok is false if there is none.
func (b *Branch) Scan(ctx context.Context, grid, halvings int, each func(Chance)) (from Chance, ok bool, err error) {
	r, err := Attempt(b.Subject, b.Options)
	if err != nil {
		return from, false, err
	}
	end := r.Events
	if r.Failure != nil && r.Failure.Event > 0 {
		end = min(end, r.Failure.Event)
	}
	end = max(end, 1) - 1 // behind the last event everything is decided
	var last Chance       // the last before it
	for i := range grid + 1 {
		c, err := b.look(ctx, end*uint64(i)/uint64(grid), each)
		if err != nil {
			return from, ok, err
		}
		switch {
		case c.P() < inevitable:
			last, ok = c, false
		case !ok:
			from, ok = c, true
		}
	}
	for ; ok && halvings > 0 && from.Event > last.Event+1; halvings-- {
		c, err := b.look(ctx, last.Event+(from.Event-last.Event)/2, each)
		if err != nil {
			return from, ok, err
		}
		if c.P() < inevitable {
			last = c
		} else {
			from = c
		}
	}
	return from, ok, nil
}

func (b *Branch) look(ctx context.Context, event uint64, each func(Chance)) (Chance, error) {
	m, err := Find(b.Subject, b.Options, "", event)
	if err != nil {
		return Chance{}, err
	}
	c, err := b.At(ctx, m)
	if err == nil {
		each(c)
	}
	return c, err
}
