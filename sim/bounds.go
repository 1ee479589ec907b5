package sim

import (
	"fmt"
	"math"
	"slices"
	"time"

	"hindcast.dev/faultpoint"
)

// Bounds of what a person or a file may say. Without them a slip of the pen hangs a
// run, exhausts memory, or has a fault silently do nothing.
const (
	// timesDrawn is how far an option may be set beyond what is drawn, as a factor.
	timesDrawn = 1000
	// longest bounds every length of time.
	longest = 24 * time.Hour
	// stillMax is how many events of the world may happen at one moment.
	stillMax = 1 << 22
	// DefaultEventsMax is how many events a world may have: some hundred times what a
	// seed that counts has.
	DefaultEventsMax = 20_000_000
	// A clock's rate stays in [1-slowest, 1+fastest], however many faults make it drift.
	slowest, fastest = 0.9, 1
)

// within says what is wrong with a number that was set for an option that is drawn
// from [lo, hi].
func within(v, lo, hi float64) error {
	most := timesDrawn * max(math.Abs(lo), math.Abs(hi), 1)
	least := -most
	if lo >= 0 {
		least = 0
	}
	if !(v >= least && v <= most) { // NaN is neither
		return fmt.Errorf("want a number from %g to %g", least, most)
	}
	return nil
}

// withinLongest says what is wrong with a length of time.
func withinLongest(d, least time.Duration) error {
	if d < least || d > longest {
		return fmt.Errorf("want %s to %s", least, longest)
	}
	return nil
}

// check says what is wrong with a fault that was given.
func (f *Fault) check(w *World) error {
	if !slices.Contains(allFaults, f.Kind) {
		return fmt.Errorf("there is no kind of fault %q", f.Kind)
	}
	for _, names := range [][]string{f.Nodes, f.Peers} {
		for _, name := range names {
			if w.byName[name] == nil {
				return fmt.Errorf("there is no node %q in this run", name)
			}
		}
	}
	least := time.Duration(0)
	switch f.Kind {
	case FaultSkew, FaultJump:
		least = -longest
	case FaultPoint:
		if !slices.ContainsFunc(faultpoint.Points(), func(p faultpoint.Point) bool { return p.Name == f.Point }) {
			return fmt.Errorf("there is no point %q", f.Point)
		}
	}
	for _, d := range []struct {
		what        string
		value, from time.Duration
	}{{"at", f.At, 0}, {"for", f.For, 0}, {"delay", f.Delay, least}} {
		if err := withinLongest(d.value, d.from); err != nil {
			return fmt.Errorf("its %q is %s, %w", d.what, d.value, err)
		}
	}
	low := 0.0
	if f.Kind == FaultDrift {
		low = -slowest
	}
	if !(f.Amount >= low && f.Amount <= 1) {
		return fmt.Errorf("its amount is %g, want %g to 1", f.Amount, low)
	}
	return nil
}

// check says what is wrong with a plan that was given.
func (p *Plan) check() error {
	if err := withinLongest(p.Heal, 0); err != nil {
		return fmt.Errorf("the plan heals at %s, %w", p.Heal, err)
	}
	for _, o := range p.Operations {
		if err := withinLongest(o.At, 0); err != nil {
			return fmt.Errorf("the plan has an operation at %s, %w", o.At, err)
		}
	}
	return nil
}

// checkGiven refuses faults and a plan, if they were given, that no run has.
func (w *World) checkGiven() {
	for i := range w.options.Faults {
		if err := w.options.Faults[i].check(w); err != nil {
			w.misuse("fault %d, %s: %w", i, w.options.Faults[i], err)
		}
	}
	if w.options.Plan != nil {
		if err := w.options.Plan.check(); err != nil {
			w.misuse("%w", err)
		}
	}
}

// stands ends a run in which time stands still: it would never come to an end.
func (w *World) stands() {
	w.fail(&Failure{Kind: Liveness, Property: "time passes",
		Text: fmt.Sprintf("%d events happened at the same moment, %s: something asks for more without end", stillMax, w.Now())})
}

func (o *Options) eventsMax() uint64 {
	if o.EventsMax == 0 {
		return DefaultEventsMax
	}
	return o.EventsMax
}

// endless ends a run that has too many events.
func (w *World) endless() {
	w.fail(&Failure{Kind: Liveness, Property: "the run comes to its end",
		Text: fmt.Sprintf("more than %d events happened, by %s of the world: something asks for more without end, or --max-events is too low", w.options.eventsMax(), w.Now())})
}
