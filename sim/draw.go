package sim

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"hindcast.dev/machine"
)

// Every option of a run is drawn by its name: from the seed and the name alone,
// so that the options don't depend on the order in which they are asked for, and
// fixing one (Options.Set) changes no other. This is swarm testing: Groce et al.,
// "Swarm Testing" (ISSTA 2012): runs that leave features out altogether find
// what runs with a bit of everything don't.

// Int draws an integer from [lo, hi], all equally likely. Like every draw it may
// be asked for again and is then the same. What is drawn from 1 or more can't be
// set to 0: a subject may divide by it.
func (w *World) Int(name string, lo, hi int) int {
	least := -beyond(lo, hi)
	if lo >= 0 {
		least = min(lo, 1)
	}
	return w.intFrom(name, least, lo, hi)
}

// beyond is how far an integer that is drawn from [lo, hi] may be set.
func beyond(lo, hi int) int {
	most := max(-lo, hi, 1)
	if most > math.MaxInt/timesDrawn {
		return math.MaxInt
	}
	return timesDrawn * most
}

// intFrom is Int of what may be set down to least.
func (w *World) intFrom(name string, least, lo, hi int) int {
	most := beyond(lo, hi)
	return drawn(w, name, fmt.Sprintf("%d..%d", lo, hi), strconv.Itoa,
		func(s string) (int, error) {
			n, err := strconv.Atoi(s)
			if err != nil || n < least || n > most {
				return 0, fmt.Errorf("want a whole number from %d to %d", least, most)
			}
			return n, nil
		},
		func(r *machine.Rand) int { return lo + r.IntN(hi-lo+1) })
}

// Chance draws a fact that holds with probability p.
func (w *World) Chance(name string, p float64) bool {
	return w.chanceFrom(name, p, fmt.Sprintf("true with %g", p))
}

// chanceFrom is Chance where p was drawn itself: from says how, for people.
func (w *World) chanceFrom(name string, p float64, from string) bool {
	return drawn(w, name, from, strconv.FormatBool,
		func(s string) (bool, error) {
			b, err := strconv.ParseBool(s)
			if err != nil {
				err = fmt.Errorf("want true or false")
			}
			return b, err
		},
		func(r *machine.Rand) bool { return r.Float64() < p })
}

// Float draws a number from [lo, hi).
func (w *World) Float(name string, lo, hi float64) float64 {
	return drawn(w, name, fmt.Sprintf("%g..%g", lo, hi), formatFloat,
		func(s string) (float64, error) {
			f, err := strconv.ParseFloat(s, 64)
			if err != nil {
				f = math.NaN()
			}
			return f, within(f, lo, hi)
		},
		func(r *machine.Rand) float64 { return math.Round((lo+r.Float64()*(hi-lo))*1e4) / 1e4 })
}

func formatFloat(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }

// Duration draws from [lo, hi), every order of magnitude equally likely; lo > 0.
func (w *World) Duration(name string, lo, hi time.Duration) time.Duration {
	return drawn(w, name, fmt.Sprintf("%s..%s", lo, hi), time.Duration.String,
		func(s string) (time.Duration, error) {
			d, err := time.ParseDuration(s)
			if err != nil {
				return 0, fmt.Errorf("want a length of time, such as 5ms, up to %s", longest)
			}
			return d, withinLongest(d, 0)
		},
		func(r *machine.Rand) time.Duration {
			d := time.Duration(float64(lo) * math.Exp(r.Float64()*math.Log(float64(hi)/float64(lo))))
			return d.Round(time.Microsecond)
		})
}

// Pick draws one of the choices.
func (w *World) Pick(name string, choices ...string) string {
	return drawn(w, name, fmt.Sprint(choices), func(s string) string { return s },
		func(s string) (string, error) {
			if !slices.Contains(choices, s) {
				return "", fmt.Errorf("want one of %v", choices)
			}
			return s, nil
		}, func(r *machine.Rand) string { return choices[r.IntN(len(choices))] })
}

// drawn draws, or takes what was set.
func drawn[T any](w *World, name, from string, format func(T) string, parse func(string) (T, error), draw func(*machine.Rand) T) T {
	v := draw(newStream(w.options.Seed, "draw "+name))
	text, set := w.options.Set[name]
	if set {
		given, err := parse(text)
		if err != nil {
			w.misuse("option %s = %q: %v (drawn from %s)", name, text, err, from)
		} else {
			v = given
		}
	}
	i, known := slices.BinarySearchFunc(w.drawn, name, func(d Drawn, name string) int { return compareNames(d.Name, name) })
	if !known {
		w.drawn = slices.Insert(w.drawn, i, Drawn{Name: name, Value: format(v), Range: from, Set: set})
	}
	return v
}

func compareNames(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// newStream returns the generator of one purpose: purposes don't disturb each
// other, so that a schedule with one fault less is otherwise the same.
func newStream(seed uint64, purpose string) *machine.Rand {
	return machine.NewRand(seed*0x9e3779b97f4a7c15 ^ hashName(purpose))
}

// hashName is FNV-1a.
func hashName(purpose string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(purpose) {
		h = (h ^ uint64(purpose[i])) * 1099511628211
	}
	return h
}

// unused are the names in Options.Set that this run didn't draw: misspelt, or
// drawn only where another option has another value.
func (w *World) unused() []string {
	var names []string
	for name := range w.options.Set {
		if !slices.ContainsFunc(w.drawn, func(d Drawn) bool { return d.Name == name }) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
