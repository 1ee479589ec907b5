package sim

import (
	"cmp"
	"slices"
)

// optionSeeds is how many seeds are asked for the options that they draw: some are
// drawn only where another has a certain value.
const optionSeeds = 64

// OptionsOf lists the options that runs of a subject draw before they begin, by
// name, with what they are drawn from and some values that seeds have drawn. The
// error is a mistake in the subject or what is set.
func OptionsOf(s *Subject, o Options) ([]Drawn, error) {
	var all []Drawn
	for seed := uint64(1); seed <= optionSeeds; seed++ {
		o.Seed = seed
		w, err := prepare(s, o)
		if err != nil {
			return nil, err
		}
		w.begin()
		if w.misused != nil {
			return nil, w.misused
		}
		for _, d := range w.drawn {
			i, known := slices.BinarySearchFunc(all, d, func(a, b Drawn) int { return cmp.Compare(a.Name, b.Name) })
			if !known {
				all = slices.Insert(all, i, d)
			}
		}
	}
	return all, nil
}
