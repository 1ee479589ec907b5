package lattice_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"hindcast.dev/causal"
	"hindcast.dev/hlc"
	"hindcast.dev/rql/lattice"
)

// A model is a computation as the tests see it: every pair of ordered events.
type model struct {
	events []uint64
	times  [][]hlc.Timestamp
	links  []causal.Link
	within int64 // ticks; negative: time doesn't order
	silent []bool
}

// drawModel makes a small computation and the same as a Computation. Some messages
// are received by several, or never.
func drawModel(t *rapid.T, most int) (*model, *lattice.Computation) {
	n := rapid.IntRange(1, 4).Draw(t, "processes")
	m := &model{events: make([]uint64, n), times: make([][]hlc.Timestamp, n), within: -1, silent: make([]bool, n)}
	c := lattice.New(n)
	if rapid.IntRange(0, 2).Draw(t, "time orders") == 0 {
		m.within = int64(rapid.IntRange(0, 6).Draw(t, "within"))
		c.Within(uint64(m.within))
	}
	for i := 1; i < n; i++ {
		if rapid.IntRange(0, 7).Draw(t, "silent") == 0 {
			m.silent[i] = true
			c.Silence(i)
		}
	}
	type sent struct {
		process int
		event   uint64
	}
	var sends []sent
	tick := uint64(1)
	for range rapid.IntRange(0, most).Draw(t, "events") {
		i := rapid.IntRange(0, n-1).Draw(t, "process")
		tick += uint64(rapid.IntRange(0, 2).Draw(t, "later"))
		at := hlc.Timestamp(tick << hlc.LogicalBits)
		m.events[i]++
		m.times[i] = append(m.times[i], at)
		if k := c.Add(i, at); k != m.events[i] {
			t.Fatalf("event %d of process %d is numbered %d", m.events[i], i, k)
		}
		for range rapid.IntRange(0, 2).Draw(t, "receives") / 2 * min(len(sends), 2) {
			s := rapid.SampledFrom(sends).Draw(t, "message")
			c.After(i, s.process, s.event)
			if s.process != i {
				m.links = append(m.links, causal.Link{From: s.process, Send: s.event, To: i, Receive: m.events[i]})
			}
		}
		sends = append(sends, sent{i, m.events[i]})
	}
	return m, c
}

// consistent is the definition.
func (m *model) consistent(cut causal.Cut) bool {
	if _, bad := cut.Violation(m.links); bad {
		return false
	}
	if m.within < 0 {
		return true
	}
	for i, k := range cut {
		for j, l := range cut {
			if k > 0 && l < m.events[j] && int64(m.times[i][k-1].Ticks())-int64(m.times[j][l].Ticks()) > m.within {
				return false
			}
		}
	}
	return true
}

// cuts are all consistent cuts above a bottom, in order: the first that a
// condition holds at is the first by events, then by process.
func (m *model) cuts(c *lattice.Computation, bottom causal.Cut) []causal.Cut {
	var out []causal.Cut
	var try func(cut causal.Cut)
	try = func(cut causal.Cut) {
		if len(cut) == len(m.events) {
			if m.consistent(cut) {
				out = append(out, slices.Clone(cut))
			}
			return
		}
		i := len(cut)
		for k := bottom[i]; k <= m.events[i]; k++ {
			try(append(cut, k))
		}
	}
	try(nil)
	slices.SortStableFunc(out, c.Compare)
	return out
}

// avoids reports whether some path through the cuts meets none that hold, and
// checks nothing else. It goes event by event.
func (m *model) avoids(bottom, top causal.Cut, holds func(causal.Cut) bool) bool {
	seen := map[string]bool{}
	var walk func(cut causal.Cut) bool
	walk = func(cut causal.Cut) bool {
		if key := cut.String(); seen[key] || holds(cut) {
			return false
		} else {
			seen[key] = true
		}
		if slices.Equal(cut, top) {
			return true
		}
		for i := range cut {
			next := slices.Clone(cut)
			if next[i]++; next[i] <= top[i] && m.consistent(next) && walk(next) {
				return true
			}
		}
		return false
	}
	return walk(bottom)
}

// visible are the components of a cut that count.
func (m *model) visible(cut causal.Cut) string {
	if cut == nil {
		return "none"
	}
	out := slices.Clone(cut)
	for i := range out {
		if m.silent[i] {
			out[i] = 0
		}
	}
	return fmt.Sprint([]uint64(out))
}

// drawBottom takes a consistent cut, most often the empty one.
func drawBottom(t *rapid.T, m *model, c *lattice.Computation) (*lattice.Computation, causal.Cut) {
	bottom := make(causal.Cut, len(m.events))
	if rapid.IntRange(0, 2).Draw(t, "from above") == 0 {
		bottom = rapid.SampledFrom(m.cuts(c, bottom)).Draw(t, "bottom")
		c = c.From(bottom)
	}
	return c, bottom
}

// drawTruth says in which states the condition of each process holds. That of a
// silent one always does.
func drawTruth(t *rapid.T, m *model) [][]lattice.Span {
	out := make([][]lattice.Span, len(m.events))
	for i, n := range m.events {
		if m.silent[i] || rapid.IntRange(0, 4).Draw(t, "always") == 0 {
			out[i] = lattice.Always
			continue
		}
		was := false
		for k := uint64(0); k <= n; k++ {
			now := rapid.IntRange(0, 2).Draw(t, "holds") > 0
			switch {
			case now && !was:
				out[i] = append(out[i], lattice.Span{From: k, To: lattice.Forever})
			case !now && was:
				out[i][len(out[i])-1].To = k
			}
			was = now
		}
	}
	return out
}

func within(truth [][]lattice.Span, cut causal.Cut) bool {
	for i, spans := range truth {
		if !slices.ContainsFunc(spans, func(s lattice.Span) bool { return s.From <= cut[i] && cut[i] < s.To }) {
			return false
		}
	}
	return true
}

func TestTheLeastCutIsTheFirstOfTheWholeLattice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, c := drawModel(t, 10)
		c, bottom := drawBottom(t, m, c)
		truth := drawTruth(t, m)
		var want causal.Cut
		for _, cut := range m.cuts(c, bottom) {
			if within(truth, cut) {
				want = cut
				break
			}
		}
		got, ok, err := c.Least(truth)
		if err != nil {
			t.Fatal(err)
		}
		if ok != (want != nil) || m.visible(got) != m.visible(want) {
			t.Fatalf("Least gives %v, %v; the first cut is %v", got, ok, want)
		}
		if ok && !m.consistent(got) {
			t.Fatalf("Least gives %v, which isn't consistent", got)
		}
	})
}

func TestWhatIsInevitableIsOnEveryPath(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, c := drawModel(t, 12)
		c, bottom := drawBottom(t, m, c)
		truth := drawTruth(t, m)
		want := !m.avoids(bottom, c.Top(), func(cut causal.Cut) bool { return within(truth, cut) })
		if got, err := c.Inevitable(truth); got != want || err != nil {
			t.Fatalf("Inevitable gives %v, the paths %v", got, want)
		}
	})
}

// drawSum gives processes that count numbers.
func drawSum(t *rapid.T, m *model, c *lattice.Computation, most int64) *lattice.Sum {
	s := &lattice.Sum{Base: rapid.Int64Range(-3, 3).Draw(t, "base"), Steps: make([][]lattice.Step, len(m.events))}
	for i := range m.events {
		for k := c.Bottom()[i] + 1; k <= m.events[i] && !m.silent[i]; k++ {
			if d := rapid.Int64Range(-most, most).Draw(t, "delta"); d != 0 {
				s.Steps[i] = append(s.Steps[i], lattice.Step{At: k, Delta: d})
			}
		}
	}
	return s
}

func (m *model) total(s *lattice.Sum, cut causal.Cut) int64 {
	total := s.Base
	for i, steps := range s.Steps {
		for _, st := range steps {
			if st.At <= cut[i] {
				total += st.Delta
			}
		}
	}
	return total
}

func TestTheExtremesOfASumAreThoseOfTheWholeLattice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, c := drawModel(t, 12)
		c, bottom := drawBottom(t, m, c)
		s := drawSum(t, m, c, 4)
		all := m.cuts(c, bottom)
		most, least := m.total(s, all[0]), m.total(s, all[0])
		for _, cut := range all {
			v := m.total(s, cut)
			if got := c.Totals(s).At(cut); got != v {
				t.Fatalf("Totals gives %d at %v, want %d", got, cut, v)
			}
			most, least = max(most, v), min(least, v)
		}
		got, cut, err := c.Max(s)
		if err != nil {
			t.Fatal(err)
		}
		if got != most || m.total(s, cut) != most || !m.consistent(cut) {
			t.Fatalf("Max gives %d at %v (%d there), want %d", got, cut, m.total(s, cut), most)
		}
		if low, _, _ := c.Max(s.Negative()); -low != least {
			t.Fatalf("the least is %d by Max, want %d", -low, least)
		}
	})
}

func TestASumOfSingleStepsPassesEveryValueBetween(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, c := drawModel(t, 12)
		s := drawSum(t, m, c, 1)
		if !s.Unit() {
			t.Fatal("a Sum of steps of one isn't Unit")
		}
		most, _, _ := c.Max(s)
		low, _, _ := c.Max(s.Negative())
		seen := map[int64]bool{}
		for _, cut := range m.cuts(c, c.Bottom()) {
			seen[m.total(s, cut)] = true
		}
		if int64(len(seen)) != most+low+1 {
			t.Fatalf("%d values from %d to %d", len(seen), -low, most)
		}
	})
}

func TestTheFirstCutOfASumIsTheFirstOfTheWholeLattice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, c := drawModel(t, 12)
		c, bottom := drawBottom(t, m, c)
		s := drawSum(t, m, c, 5)
		k := rapid.Int64Range(-8, 12).Draw(t, "k")
		var want causal.Cut
		for _, cut := range m.cuts(c, bottom) {
			if m.total(s, cut) >= k {
				want = cut
				break
			}
		}
		got, verdict, err := c.First(c.AtLeast(s, k, 1<<20))
		if err != nil || (verdict == lattice.Yes) != (want != nil) || m.visible(got) != m.visible(want) {
			t.Fatalf("First gives %v, %v, %v; want %v", got, verdict, err, want)
		}
	})
}

// drawHolds is an arbitrary condition that only some events can change.
func drawHolds(t *rapid.T, m *model) (relevant [][]uint64, holds func(causal.Cut) bool) {
	relevant = make([][]uint64, len(m.events))
	for i, n := range m.events {
		for k := uint64(1); k <= n; k++ {
			if !m.silent[i] && rapid.Bool().Draw(t, "relevant") {
				relevant[i] = append(relevant[i], k)
			}
		}
	}
	rare := rapid.IntRange(1, 12).Draw(t, "rare")
	salt := rapid.Uint32().Draw(t, "salt")
	return relevant, func(cut causal.Cut) bool {
		h := uint64(salt) + 1
		for i, ks := range relevant {
			n := 0
			for _, k := range ks {
				if k <= cut[i] {
					n++
				}
			}
			h = (h ^ uint64(n)) * 0x9e3779b97f4a7c15
			h ^= h >> 29
		}
		return h%uint64(rare+1) == 0
	}
}

func search(relevant [][]uint64, holds func(causal.Cut) bool, bound int) *lattice.Search {
	return &lattice.Search{Relevant: relevant, Bound: bound, Holds: func(c causal.Cut) (bool, error) { return holds(c), nil }}
}

func TestASearchFindsTheFirstCutOfTheWholeLattice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, c := drawModel(t, 12)
		c, bottom := drawBottom(t, m, c)
		relevant, holds := drawHolds(t, m)
		var want causal.Cut
		all := m.cuts(c, bottom)
		for _, cut := range all {
			if holds(cut) {
				want = cut
				break
			}
		}
		s := search(relevant, holds, 1<<20)
		got, verdict, err := c.First(s)
		if err != nil || (verdict == lattice.Yes) != (want != nil) || m.visible(got) != m.visible(want) {
			t.Fatalf("First gives %v, %v, %v; want %v", got, verdict, err, want)
		}
		if s.Reached > len(all) {
			t.Fatalf("%d cuts reached of %d", s.Reached, len(all))
		}
	})
}

func TestASearchAvoidsWhereAPathDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, c := drawModel(t, 12)
		c, bottom := drawBottom(t, m, c)
		relevant, holds := drawHolds(t, m)
		want := m.avoids(bottom, c.Top(), holds)
		path, verdict, err := c.Avoid(search(relevant, holds, 1<<20), nil)
		if err != nil || (verdict == lattice.Yes) != want || verdict == lattice.Undecided {
			t.Fatalf("Avoid gives %v, %v, %v; want %v", path, verdict, err, want)
		}
		if want {
			m.follow(t, c, relevant, path, holds)
		}
	})
}

// follow goes along a path event by event.
func (m *model) follow(t *rapid.T, c *lattice.Computation, relevant [][]uint64, path []lattice.Move, holds func(causal.Cut) bool) {
	cut := c.Bottom()
	step := func(i int, k uint64) {
		up := c.From(cut).Including(i, k)
		for j := range up {
			for _, r := range relevant[j] {
				if j != i && cut[j] < r && r <= up[j] {
					t.Fatalf("path %v: event %d of process %d needs event %d of process %d", path, k, i, r, j)
				}
			}
		}
		cut = up
		if holds(cut) {
			t.Fatalf("path %v meets %v", path, cut)
		}
	}
	for _, mv := range path {
		for _, r := range relevant[mv.Process] {
			if r > cut[mv.Process] && r <= mv.To {
				step(mv.Process, r)
			}
		}
	}
	for i, ks := range relevant {
		if len(ks) > 0 && cut[i] < ks[len(ks)-1] {
			t.Fatalf("path %v ends before event %d of process %d", path, ks[len(ks)-1], i)
		}
	}
}

func TestAtomsAreTheCutsOfOneMoreEvent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, c := drawModel(t, 8)
		c, bottom := drawBottom(t, m, c)
		want := map[string]bool{}
		for _, cut := range m.cuts(c, bottom) {
			if c.Size(cut) == c.Size(bottom)+1 {
				want[m.visible(cut)] = true
			}
		}
		got := map[string]bool{}
		for _, cut := range c.Atoms() {
			got[m.visible(cut)] = true
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("Atoms %v, want %v", got, want)
		}
	})
}

func TestASearchEndsUndecidedAtItsBound(t *testing.T) {
	c := lattice.New(3)
	var relevant [][]uint64
	for i := range 3 {
		var all []uint64
		for range 5 {
			all = append(all, c.Add(i, 0))
		}
		relevant = append(relevant, all)
	}
	top := func(cut causal.Cut) bool { return c.Size(cut) == 15 }
	never := func(causal.Cut) bool { return false }
	for _, bound := range []int{1, 100, 215} {
		s := search(relevant, top, bound)
		if cut, v, _ := c.First(s); v != lattice.Undecided || cut != nil || s.Reached > bound+3 {
			t.Errorf("bound %d: %v %v after %d cuts", bound, cut, v, s.Reached)
		}
	}
	if _, v, _ := c.First(search(relevant, never, 216)); v != lattice.No {
		t.Errorf("the bound is the number of cuts, and First gives %v", v)
	}
	if cut, v, _ := c.First(search(relevant, top, 216)); v != lattice.Yes || c.Size(cut) != 15 {
		t.Errorf("the bound is the number of cuts, and First gives %v %v", cut, v)
	}
	cross := func(cut causal.Cut) bool { return c.Size(cut) == 9 }
	if _, v, _ := c.Avoid(search(relevant, cross, 20), nil); v != lattice.Undecided {
		t.Errorf("Avoid gives %v at its bound", v)
	}
	if _, v, _ := c.Avoid(search(relevant, cross, 216), nil); v != lattice.No {
		t.Errorf("Avoid gives %v where every path crosses a level", v)
	}
}

func TestASumTooLargeIsToldFromOneThatFits(t *testing.T) {
	fits := &lattice.Sum{Base: -lattice.SpanMax + 2, Steps: [][]lattice.Step{{{At: 1, Delta: -1}}, {{At: 1, Delta: 1}}}}
	if !fits.Fits() {
		t.Error("a Sum at the bound doesn't fit")
	}
	fits.Base--
	if fits.Fits() {
		t.Error("a Sum one past the bound fits")
	}
	if (&lattice.Sum{Base: -1 << 63}).Fits() {
		t.Error("the least int fits")
	}
}

// What takes long ends when nobody waits for it any more, in the middle.
func TestASearchEndsWithItsWatch(t *testing.T) {
	const events = 20_000
	gone := errors.New("gone")
	c := lattice.New(2)
	sum := &lattice.Sum{Steps: make([][]lattice.Step, 2)}
	truth := make([][]lattice.Span, 2)
	for k := uint64(1); k <= events; k++ {
		for p := range 2 {
			c.Add(p, hlc.Timestamp(k)<<hlc.LogicalBits)
			if k > 1 {
				c.After(p, 1-p, k-1)
			}
			sum.Steps[p] = append(sum.Steps[p], lattice.Step{At: k, Delta: int64(k%5) - 2})
			truth[p] = append(truth[p], lattice.Span{From: 4*k - uint64(p), To: 4*k + 1 - uint64(p)})
		}
	}
	for what, run := range map[string]func() error{
		"the least cut": func() error {
			_, _, err := c.Least([][]lattice.Span{{{From: events, To: lattice.Forever}}, lattice.Always})
			return err
		},
		"what is inevitable": func() error { _, err := c.Inevitable(truth); return err },
		"the greatest sum":   func() error { _, _, err := c.Max(sum); return err },
	} {
		looks := 0
		c.Watch(func() error { looks++; return nil })
		if err := run(); err != nil || looks < 2 {
			t.Errorf("%s looks %d times whether to go on: %v", what, looks, err)
		}
		whole := looks
		c.Watch(func() error {
			if looks++; looks > whole+whole/2 {
				return gone
			}
			return nil
		})
		if err := run(); err != gone || looks != whole+whole/2+1 {
			t.Errorf("%s, ended after half of its %d looks, looked %d times: %v", what, whole, looks-whole, err)
		}
		c.Watch(nil)
	}
}
