package sim

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"hindcast.dev/rql/syntax"
)

// A Tally is what a search has come to. As JSON it is where a search goes on.
type Tally struct {
	Next       uint64            `json:"next"` // the first seed that isn't done
	Runs       int               `json:"runs"`
	Counted    int               `json:"counted"`    // seeds above the floors that were decided
	NotCounted map[string]int    `json:"notCounted"` // why not → seeds
	Failing    int               `json:"failing"`
	Undecided  int               `json:"undecided"` // seeds with a check that came to no verdict
	Events     uint64            `json:"events"`
	Steps      uint64            `json:"steps"`
	Operations uint64            `json:"operations"`
	Simulated  time.Duration     `json:"simulated"` // in nanoseconds
	Happened   map[FaultKind]int `json:"happened"`  // faults that took effect
	Coverage   map[string]int    `json:"coverage"`  // state × fault × message → how often
	Sometimes  map[string]int    `json:"sometimes"` // property → seeds in which it held
	// Vacuous are the properties that had nothing to say of some run, for what they
	// speak of wasn't there.
	Vacuous map[string]*Vacuity `json:"vacuous,omitempty"`
	Options map[string]*Range   `json:"options"` // what was drawn
	// First is the failure of the lowest failing seed, which decides the exit code.
	First     *Failure `json:"first,omitempty"`
	FirstSeed uint64   `json:"firstSeed,omitempty"`
	// Kinds counts failing seeds by kind and property.
	Kinds map[string]int `json:"kinds"`
}

// A Vacuity is in how many runs a property had nothing to say.
type Vacuity struct {
	Runs int    `json:"runs"`
	Why  string `json:"why"` // in the first of them
}

// A Range is what was drawn of an option.
type Range struct {
	From   string         `json:"from"`             // what it was drawn from
	Runs   int            `json:"runs"`             // that drew it
	Min    string         `json:"min,omitempty"`    // of numbers and durations
	Max    string         `json:"max,omitempty"`    //
	Values map[string]int `json:"values,omitempty"` // of choices: how often each
	Set    bool           `json:"set,omitempty"`    // it was set and not drawn
}

// unusedRuns is how many runs may pass before a name that none of them drew is
// taken for a mistake.
const unusedRuns = 64

func (t *Tally) begin(s *Search) {
	if s.Floors == (Floors{}) {
		s.Floors = DefaultFloors
	}
	if t.Runs == 0 {
		t.Next = s.First
	}
	for _, m := range []*map[string]int{&t.NotCounted, &t.Coverage, &t.Sometimes, &t.Kinds} {
		if *m == nil {
			*m = map[string]int{}
		}
	}
	if t.Happened == nil {
		t.Happened = map[FaultKind]int{}
	}
	if t.Vacuous == nil {
		t.Vacuous = map[string]*Vacuity{}
	}
	if t.Options == nil {
		t.Options = map[string]*Range{}
	}
}

// add adds the outcome of seed t.Next.
func (t *Tally) add(o *Outcome) {
	t.Next = o.Seed + 1
	t.Runs++
	t.Events += o.Events
	t.Steps += o.Steps
	t.Operations += uint64(o.Operations)
	t.Simulated += time.Duration(o.Simulated)
	for k, n := range o.Happened {
		t.Happened[k] += n
	}
	for k, n := range o.coverage {
		t.Coverage[k] += n
	}
	for name, held := range o.Sometimes {
		n := 0
		if held {
			n = 1
		}
		t.Sometimes[name] += n
	}
	for name, why := range o.vacuous {
		if t.Vacuous[name] == nil {
			t.Vacuous[name] = &Vacuity{Why: why}
		}
		t.Vacuous[name].Runs++
	}
	for _, d := range o.drawn {
		t.draw(d)
	}
	if len(o.Undecided) > 0 {
		t.Undecided++
	}
	switch {
	case o.Failure != nil:
		t.Failing++
		t.Kinds[string(o.Failure.Kind)+": "+o.Failure.Property]++
		if t.First == nil {
			t.First, t.FirstSeed = o.Failure, o.Seed
		}
	case len(o.Undecided) > 0:
		t.NotCounted["a check without a verdict"]++
	case o.NotCounted != "":
		t.NotCounted[o.NotCounted]++
	default:
		t.Counted++
	}
}

// draw adds what one run drew.
func (t *Tally) draw(d Drawn) {
	r := t.Options[d.Name]
	if r == nil {
		r = &Range{From: d.Range}
		t.Options[d.Name] = r
	}
	r.Runs++
	r.Set = r.Set || d.Set
	n, ok := measure(d.Value)
	if !ok {
		if r.Values == nil {
			r.Values = map[string]int{}
		}
		r.Values[d.Value]++
		return
	}
	if low, _ := measure(r.Min); r.Min == "" || n < low {
		r.Min = d.Value
	}
	if high, _ := measure(r.Max); r.Max == "" || n > high {
		r.Max = d.Value
	}
}

// measure is the size of a number or a duration; ok is false for other values.
func measure(text string) (n float64, ok bool) {
	if n, err := strconv.ParseFloat(text, 64); err == nil {
		return n, true
	}
	d, err := time.ParseDuration(text)
	return float64(d), err == nil
}

// unused finds names that were set and that no run has drawn.
func (t *Tally) unused(set map[string]string, last bool) error {
	if len(set) == 0 || t.Runs != unusedRuns && !last {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(set)) {
		if t.Options[name] == nil && !ofSchedule(name) {
			return unusedError(name, slices.Sorted(maps.Keys(t.Options)))
		}
	}
	return nil
}

// ofSchedule reports whether an option is for drawing the schedule of faults, and
// so for nothing where one is given.
func ofSchedule(name string) bool { return name == "faults" || strings.HasPrefix(name, "fault.") }

func unusedError(name string, drawn []string) error {
	if near, ok := syntax.Nearest(name, drawn); ok {
		return fmt.Errorf("option %q is set, and no run draws it; did you mean %s?", name, near)
	}
	return fmt.Errorf("option %q is set, and no run draws it; options are %s", name, strings.Join(drawn, ", "))
}

// CheckSet returns an error if what was set for a run is for nothing.
func (r *Result) CheckSet() error {
	for _, name := range r.Unused {
		if !ofSchedule(name) {
			names := make([]string, len(r.Drawn))
			for i, d := range r.Drawn {
				names[i] = d.Name
			}
			return unusedError(name, names)
		}
	}
	return nil
}

// Unreached are the `sometimes` properties that held in no run, and those that had
// nothing to say of any run that held; each with why, sorted.
func (t *Tally) Unreached() []string {
	var out []string
	for name, n := range t.Sometimes {
		if n == 0 {
			out = append(out, fmt.Sprintf("%s: it held in none of %d runs", name, t.Runs))
		}
	}
	for name, v := range t.Vacuous {
		if v.Runs >= t.Runs-t.Failing {
			out = append(out, fmt.Sprintf("%s: it had nothing to say of any run: %s", name, v.Why))
		}
	}
	slices.Sort(out)
	return out
}

// Verdict is the failure of the whole: that of the lowest failing seed, or that
// too little was exercised; nil if there is none.
func (t *Tally) Verdict() *Failure {
	switch names := t.Unreached(); {
	case t.First != nil:
		return t.First
	case t.Runs == 0:
		return nil
	case len(names) > 0:
		return &Failure{Kind: Coverage, Property: "every property has something to say", Text: strings.Join(names, "\n")}
	case t.Counted == 0 && t.Undecided == 0:
		return &Failure{Kind: Coverage, Property: "a seed counts", Text: fmt.Sprintf("none of %d seeds counts: %s", t.Runs, t.Reasons())}
	}
	return nil
}

// Reasons are why seeds didn't count, the most frequent first; "" if all do.
func (t *Tally) Reasons() string {
	names := slices.SortedFunc(maps.Keys(t.NotCounted), func(a, b string) int {
		return cmp.Or(cmp.Compare(t.NotCounted[b], t.NotCounted[a]), cmp.Compare(a, b))
	})
	for i, name := range names {
		names[i] = fmt.Sprintf("%d had %s", t.NotCounted[name], name)
	}
	return strings.Join(names, ", ")
}
