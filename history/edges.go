package history

import (
	"cmp"
	"slices"
	"sort"

	"hindcast.dev/hlc"
)

// A Load says where in time the entries of a History are, as far as it is known
// without reading them. Steps are ascending.
type Load struct {
	Steps  []LoadStep
	Events uint64 // in all steps
}

// A LoadStep is so many entries that end at At.
type LoadStep struct {
	At      hlc.Timestamp
	Entries uint64
}

// LoadOf is the load of a Source between two moments, both included: exact in
// memory, by blocks on disk, else as if events came evenly.
func LoadOf(src Source, from, to hlc.Timestamp) Load {
	l := Load{}
	add := func(at hlc.Timestamp, n uint64) {
		l.Steps = append(l.Steps, LoadStep{at, n})
		l.Events += n
	}
	switch s := Unwrap(src).(type) {
	case *Mem:
		const step = 256
		end := s.find(Position{Time: to + 1})
		for i := s.find(Position{Time: from}); i < end; i += step {
			last := min(i+step, end) - 1
			add(s.walk[last].Time, uint64(last+1-i))
		}
	case Blocked:
		for n := range src.Meta().Nodes {
			for b := range s.Blocks(n) {
				if b.Last.Time >= from && b.First.Time <= to {
					add(min(b.Last.Time, to), uint64(b.Entries))
				}
			}
		}
		slices.SortFunc(l.Steps, func(a, b LoadStep) int { return cmp.Compare(a.At, b.At) })
	default:
		const steps = 256
		m := src.Meta()
		whole := float64(max(m.Last.Time-m.First.Time, 1))
		n := uint64(float64(m.Events) * float64(to-min(from, to)) / whole)
		for i := range hlc.Timestamp(steps) {
			add(from+(to-from)/steps*(i+1), n/steps)
		}
	}
	return l
}

// Edges returns times at which parts of about the same load begin, n parts at
// most: ascending, after the first moment asked.
func (l *Load) Edges(n int) []hlc.Timestamp {
	sums := make([]uint64, len(l.Steps)) // up to the step's end
	total := uint64(0)
	for i, s := range l.Steps {
		total += s.Entries
		sums[i] = total
	}
	var out []hlc.Timestamp
	for k := 1; k < n; k++ {
		want := total / uint64(n) * uint64(k)
		i := sort.Search(len(sums), func(i int) bool { return sums[i] >= want })
		if i >= len(sums)-1 {
			break
		}
		// Entries of one moment stay together.
		if t := l.Steps[i].At + 1; len(out) == 0 || t > out[len(out)-1] {
			out = append(out, t)
		}
	}
	return out
}
