package sim

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// faults leaves out faults.
func (s *Shrink) faults() error {
	all := s.best.Options.Faults
	return s.remove(len(all), func(keep []int) Options {
		o := s.best.Options
		o.Faults = choose(all, keep)
		return o
	})
}

// operations leaves out operations.
func (s *Shrink) operations() error {
	if s.best.Options.Plan == nil {
		return s.fewerOperations()
	}
	all := s.best.Options.Plan.Operations
	return s.remove(len(all), func(keep []int) Options { return s.withOperations(choose(all, keep)) })
}

// choose returns the elements at the indices, never nil.
func choose[T any](all []T, indices []int) []T {
	out := make([]T, 0, len(indices))
	for _, i := range indices {
		out = append(out, all[i])
	}
	return out
}

// after leaves out what begins after the failure was seen, and lets the faults end
// there. It comes last: what a long run does after a failure, such as a wait for
// progress, decides now and then whether a smaller one is judged alike.
func (s *Shrink) after() error {
	o, at := s.best.Options, s.best.Result.Failure.At
	if o.Plan == nil || at <= 0 || at >= o.Plan.Heal {
		return nil
	}
	o.Faults = slices.DeleteFunc(slices.Clone(o.Faults), func(f Fault) bool { return f.At > at })
	plan := Plan{Heal: o.Plan.Heal, Operations: slices.DeleteFunc(slices.Clone(o.Plan.Operations), func(p Planned) bool { return p.At > at })}
	o.Plan = &plan
	ended := o
	ended.Plan = &Plan{Heal: at.Truncate(time.Millisecond) + time.Millisecond, Operations: plan.Operations}
	var candidates []Options
	if ended.Plan.Heal < plan.Heal {
		candidates = append(candidates, ended)
	}
	if len(o.Faults) < len(s.best.Options.Faults) || len(plan.Operations) < len(s.best.Options.Plan.Operations) {
		candidates = append(candidates, o)
	}
	_, err := s.first(candidates)
	return err
}

func (s *Shrink) withOperations(ops []Planned) Options {
	o := s.best.Options
	plan := *o.Plan
	plan.Operations = ops
	o.Plan = &plan
	return o
}

// fewerOperations is for a run that fails only when its clients work until so many
// operations were done: it halves that number.
func (s *Shrink) fewerOperations() error {
	for n := len(s.best.Result.Operations) / 2; n > 0; n /= 2 {
		i, err := s.first([]Options{s.withSet("operations", strconv.Itoa(n))})
		if err != nil {
			return err
		}
		if i < 0 {
			return nil
		}
	}
	return nil
}

func (s *Shrink) withSet(name, value string) Options {
	o := s.best.Options
	o.Set = maps.Clone(o.Set)
	if o.Set == nil {
		o.Set = map[string]string{}
	}
	o.Set[name] = value
	return o
}

// groups leaves out all operations of a client, or on a key, at once; and all but
// those on one key.
func (s *Shrink) groups() error {
	if s.best.Options.Plan == nil {
		return nil
	}
	keys := s.keysOf()
	all := s.best.Options.Plan.Operations
	var only []Options
	for _, key := range slices.Sorted(maps.Values(keys)) {
		ops := slices.DeleteFunc(slices.Clone(all), func(p Planned) bool { return keys[identity(p)] != key })
		if len(ops) > 0 && len(ops) < len(all) && (len(only) == 0 || len(only[len(only)-1].Plan.Operations) != len(ops)) {
			only = append(only, s.withOperations(ops))
		}
	}
	if len(only) > onlyMax {
		only = only[:onlyMax]
	}
	if _, err := s.first(only); err != nil {
		return err
	}
	if err := s.dropGroups(func(p Planned) string { return fmt.Sprint(p.Client) }); err != nil {
		return err
	}
	return s.dropGroups(func(p Planned) string { return keys[identity(p)] })
}

// onlyMax bounds the candidates that have operations on one key only.
const onlyMax = 40

// dropGroups leaves out groups of operations.
func (s *Shrink) dropGroups(group func(p Planned) string) error {
	all := s.best.Options.Plan.Operations
	var names []string
	for _, p := range all {
		if g := group(p); !slices.Contains(names, g) {
			names = append(names, g)
		}
	}
	if len(names) < 2 {
		return nil
	}
	slices.Sort(names)
	return s.remove(len(names), func(keep []int) Options {
		kept := choose(names, keep)
		return s.withOperations(slices.DeleteFunc(slices.Clone(all), func(p Planned) bool { return !slices.Contains(kept, group(p)) }))
	})
}

// identity tells operations of a plan apart.
func identity(p Planned) [2]int { return [2]int{p.Client, p.Number} }

// keysOf are the keys of the operations that the best run did: a client does what
// is planned in its order.
func (s *Shrink) keysOf() map[[2]int]string {
	done := map[int]int{}
	byClient := map[int][]Planned{}
	for _, p := range s.best.Options.Plan.Operations {
		byClient[p.Client] = append(byClient[p.Client], p)
	}
	keys := map[[2]int]string{}
	for i := range s.best.Result.Operations {
		o := &s.best.Result.Operations[i]
		if n := done[o.Process]; n < len(byClient[o.Process]) {
			keys[identity(byClient[o.Process][n])] = o.Key
		}
		done[o.Process]++
	}
	return keys
}

// calmer are values of options that are calm, where the first or the lowest isn't.
var calmer = map[string]string{"network": string(Synchronous), "network.fifo": "true", "durability": "each"}

// options calms options, one by one, those of the subject included: chances that
// don't come true, numbers and durations at the low end, choices that come first.
func (s *Shrink) options() error {
	for _, d := range slices.Clone(s.best.Result.Drawn) {
		if ofSchedule(d.Name) || d.Name == "operations" {
			continue
		}
		var candidates []Options
		for _, v := range calmValues(d) {
			candidates = append(candidates, s.withSet(d.Name, v))
		}
		if _, err := s.first(candidates); err != nil {
			return err
		}
	}
	return nil
}

// calmValues are values to try for an option, the calmest first.
func calmValues(d Drawn) []string {
	var values []string
	lo, hi, isRange := strings.Cut(d.Range, "..")
	switch {
	case calmer[d.Name] != "":
		values = []string{calmer[d.Name]}
	case d.Name == "checkpointEvery":
		values = []string{hi}
	case strings.HasPrefix(d.Range, "true with"):
		values = []string{"false"}
	case strings.HasPrefix(d.Range, "["):
		values = strings.Fields(strings.Trim(d.Range, "[]"))
	case isRange:
		values = append([]string{lo}, between(lo, d.Value)...)
	}
	// What is as calm already isn't tried.
	if i := slices.Index(values, d.Value); i >= 0 {
		values = values[:i]
	}
	return values
}

// between are values on the way from a value to the low end of its range.
func between(lo, value string) []string {
	if a, err := strconv.Atoi(lo); err == nil {
		if b, err := strconv.Atoi(value); err == nil {
			return distinct(strconv.Itoa(a+(b-a)/4), strconv.Itoa(a+(b-a)/2), strconv.Itoa(b-1))
		}
	}
	return nil
}

func distinct(values ...string) (out []string) {
	for _, v := range values {
		if !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	return out
}

// durations ends the run earlier, shortens faults, and rounds times.
func (s *Shrink) durations() error {
	if s.best.Options.Plan != nil {
		if err := s.earlier(); err != nil {
			return err
		}
	}
	for i := range s.best.Options.Faults {
		for _, change := range changes {
			for {
				f := s.best.Options.Faults[i]
				if !change(&f) {
					break
				}
				n, err := s.first([]Options{s.withFault(i, f)})
				if err != nil {
					return err
				}
				if n < 0 {
					break
				}
			}
		}
	}
	return nil
}

func (s *Shrink) withFault(i int, f Fault) Options {
	o := s.best.Options
	o.Faults = slices.Clone(o.Faults)
	o.Faults[i] = f
	return o
}

// earlier lets the faults end when the last thing was done.
func (s *Shrink) earlier() error {
	last := time.Duration(0)
	for _, p := range s.best.Options.Plan.Operations {
		last = max(last, p.At)
	}
	for _, f := range s.best.Options.Faults {
		last = max(last, f.At+f.For)
	}
	var candidates []Options
	for _, more := range []time.Duration{0, 100 * time.Millisecond, time.Second} {
		heal := (last + more).Truncate(time.Millisecond) + time.Millisecond
		if heal >= s.best.Options.Plan.Heal {
			break
		}
		o := s.best.Options
		plan := *o.Plan
		plan.Heal = heal
		o.Plan = &plan
		candidates = append(candidates, o)
	}
	_, err := s.first(candidates)
	return err
}

// changes make a fault shorter or rounder; each reports whether it did.
var changes = []func(f *Fault) bool{
	func(f *Fault) bool { return halve(&f.For, time.Millisecond) },
	func(f *Fault) bool { return roundTo(&f.At, 100*time.Millisecond) },
	func(f *Fault) bool { return roundTo(&f.At, 10*time.Millisecond) },
	func(f *Fault) bool { return roundTo(&f.At, time.Millisecond) },
	func(f *Fault) bool { return roundTo(&f.For, 10*time.Millisecond) },
	func(f *Fault) bool { return roundTo(&f.For, time.Millisecond) },
	func(f *Fault) bool { return halve(&f.Delay, time.Millisecond) },
	func(f *Fault) bool {
		old := f.Amount
		if f.Kind == FaultLoss || f.Kind == FaultDouble {
			f.Amount = 1 // all of them: simpler to think about than a few
		}
		return f.Amount != old
	},
}

func halve(d *time.Duration, least time.Duration) bool {
	if *d/2 < least {
		return false
	}
	*d /= 2
	return true
}

func roundTo(d *time.Duration, unit time.Duration) bool {
	old := *d
	if rounded := d.Round(unit); rounded > 0 {
		*d = rounded
	}
	return *d != old
}
