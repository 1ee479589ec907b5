package lattice_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"hindcast.dev/causal"
	"hindcast.dev/rql/lattice"
)

// drawRuns makes runs of some processes.
func drawRuns(t *rapid.T, m *model) [][]lattice.Run {
	out := make([][]lattice.Run, len(m.events))
	for i, n := range m.events {
		at := uint64(rapid.IntRange(0, 2).Draw(t, "begin"))
		for at <= n && rapid.IntRange(0, 4).Draw(t, "more") > 0 {
			r := lattice.Run{Span: lattice.Span{From: at, To: at + uint64(rapid.IntRange(1, 3).Draw(t, "length"))}, Rank: rapid.IntRange(-1, 3).Draw(t, "rank")}
			if rapid.IntRange(0, 5).Draw(t, "forever") == 0 {
				r.To = lattice.Forever
			}
			out[i] = append(out[i], r)
			if at = r.To + uint64(rapid.IntRange(0, 1).Draw(t, "gap")); r.To == lattice.Forever {
				break
			}
		}
	}
	return out
}

// fits is the definition.
func fits(p *lattice.Pair, cut causal.Cut) bool {
	if !within(p.Truth, cut) {
		return false
	}
	at := func(runs []lattice.Run, k uint64) *lattice.Run {
		for i := range runs {
			if runs[i].From <= k && k < runs[i].To {
				return &runs[i]
			}
		}
		return nil
	}
	for i := range cut {
		for j := range cut {
			x, y := at(p.Asks[i], cut[i]), at(p.Has[j], cut[j])
			if i == j || x == nil || y == nil {
				continue
			}
			switch p.Fit {
			case lattice.FitAtLeast:
				if y.Rank >= x.Rank {
					return true
				}
			case lattice.FitSame:
				if y.Rank == x.Rank {
					return true
				}
			case lattice.FitOther:
				if y.Rank != x.Rank {
					return true
				}
			}
		}
	}
	return false
}

func TestTheFirstPairIsTheFirstOfTheWholeLattice(t *testing.T) {
	found, none := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		m, whole := drawModel(t, 11)
		c, bottom := drawBottom(t, m, whole)
		p := &lattice.Pair{Truth: drawTruth(t, m), Asks: drawRuns(t, m), Has: drawRuns(t, m), Fit: lattice.Fit(rapid.IntRange(0, 2).Draw(t, "fit"))}
		if rapid.Bool().Draw(t, "free") {
			for i := range p.Truth {
				p.Truth[i] = lattice.Always
			}
		}
		var want causal.Cut
		for _, cut := range m.cuts(c, bottom) {
			if fits(p, cut) {
				want = cut
				break
			}
		}
		got, ok, err := c.FirstPair(p)
		if err != nil || ok != (want != nil) || ok && (c.Compare(got, want) != 0 || !fits(p, got)) {
			t.Fatalf("%+v: got %v %v %v, want %v", p, got, ok, err, want)
		}
		if ok {
			found++
		} else {
			none++
		}
	})
	if found == 0 || none == 0 {
		t.Errorf("%d found, %d not: one of them isn't tested", found, none)
	}
}

// Two processes that exchange messages all the time have few cuts each, and the
// last states alone fit: it takes one look at each.
func TestAPairIsFoundInALongComputation(t *testing.T) {
	const events = 50_000
	c := lattice.New(2)
	asks, has := make([][]lattice.Run, 2), make([][]lattice.Run, 2)
	for k := uint64(1); k <= events; k++ {
		for p := range 2 {
			c.Add(p, 0)
			if k > 1 {
				c.After(p, 1-p, k-1)
			}
			r := lattice.Run{Span: lattice.Span{From: k, To: k + 1}, Rank: int(k)}
			asks[p] = append(asks[p], lattice.Run{Span: r.Span, Rank: r.Rank + 1})
			has[p] = append(has[p], r)
		}
	}
	p := &lattice.Pair{Truth: slices.Repeat([][]lattice.Span{lattice.Always}, 2), Asks: asks, Has: has}
	cut, ok, err := c.FirstPair(p)
	if err != nil || !ok || !slices.Equal(cut, causal.Cut{1, 2}) {
		t.Errorf("one step apart: %v %v %v", cut, ok, err)
	}
	for i := range asks {
		for k := range asks[i] {
			asks[i][k].Rank++
		}
	}
	if cut, ok, err := c.FirstPair(p); err != nil || ok {
		t.Errorf("they are never two steps apart: %v %v %v", cut, ok, err)
	}
}
