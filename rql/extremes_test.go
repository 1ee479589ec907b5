package rql

import (
	"math"
	"math/big"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"hindcast.dev/event"
)

// drawKey draws a key of a node: an int, small or not, a float, or none.
func drawKey(t *rapid.T) value {
	switch rapid.IntRange(0, 9).Draw(t, "kind") {
	case 0:
		return bot
	case 1:
		return ofFloat(rapid.SampledFrom([]float64{-1, 0, 2, 2.5, math.Inf(1), 1 << 60}).Draw(t, "float"))
	case 2:
		return ofBig(new(big.Int).Lsh(big.NewInt(rapid.Int64Range(-3, 3).Draw(t, "big")), 70))
	case 3:
		return of(event.Uint(rapid.Uint64Range(1<<63, 1<<63+2).Draw(t, "uint")))
	}
	return ofInt(rapid.Int64Range(-5, 5).Draw(t, "int"))
}

// TestExtremesAreThoseOfAllKeys compares with asking all nodes anew after every
// change, of few nodes and of many.
func TestExtremesAreThoseOfAllKeys(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		nodes := rapid.SampledFrom([]int{1, 2, 5, fewNodes, fewNodes + 1, 3 * fewNodes}).Draw(t, "nodes")
		x, keys := newExtremes(nodes), make([]value, nodes)
		for range rapid.IntRange(1, 60).Draw(t, "changes") {
			n := rapid.IntRange(0, min(nodes, 6)-1).Draw(t, "from")
			if rapid.Bool().Draw(t, "from the end") {
				n = nodes - 1 - n
			}
			least, most := x.least(), x.most()
			was := [2]value{}
			for i, w := range []int32{least, most} {
				if w >= 0 {
					was[i] = keys[w]
				}
			}
			keys[n] = drawKey(t)
			low, high := x.set(n, keys[n])
			up, down := sorted(keys, 1), sorted(keys, -1)
			checkEnd(t, x, x.least(), up, keys, low, least, was[0])
			checkEnd(t, x, x.most(), down, keys, high, most, was[1])
			many := rapid.IntRange(1, 4).Draw(t, "best")
			for sign, all := range map[int][]int32{-1: up, 1: down} {
				best := x.best(nil, many, sign)
				if want := all[:min(many, len(all))]; !slices.EqualFunc(best, want, func(a, b int32) bool { return outward(keys[a], keys[b]) == 0 }) {
					t.Fatalf("best %d of %v are nodes %v, want such as %v", many, keys, best, want)
				}
			}
		}
	})
}

// checkEnd checks an end after a change that said whether its key may have become
// another.
func checkEnd(t *rapid.T, x *extremes, got int32, all []int32, keys []value, told bool, before int32, was value) {
	if len(all) == 0 {
		if got >= 0 || before >= 0 && !told {
			t.Fatalf("of no keys node %d is at the end, told %v", got, told)
		}
		return
	}
	if got < 0 || outward(keys[got], keys[all[0]]) != 0 || outward(x.key(got), keys[got]) != 0 {
		t.Fatalf("node %d is at the end of %v, want %d", got, keys, all[0])
	}
	if !told && (before < 0 || outward(was, keys[got]) != 0) {
		t.Fatalf("the end of %v became another, from %v, and nobody was told", keys, was)
	}
}

// sorted are the nodes that have a key, by it.
func sorted(keys []value, sign int) (out []int32) {
	for i, k := range keys {
		if !k.isBot() {
			out = append(out, int32(i))
		}
	}
	slices.SortStableFunc(out, func(a, b int32) int { return sign * outward(keys[a], keys[b]) })
	return out
}

// TestASumOfColumnsIsExactOrUnsure computes sums whose columns are near to what an
// int64 holds.
func TestASumOfColumnsIsExactOrUnsure(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rowSum{plus: rapid.Int64Range(-rowNumberMax, rowNumberMax).Draw(t, "plus")}
		row := make([]cell, rapid.IntRange(1, 5).Draw(t, "columns"))
		want := big.NewInt(s.plus)
		for i := range row {
			times := rapid.Int64Range(-3, 3).Draw(t, "times")
			s.terms = append(s.terms, rowTerm{i, times})
		}
		s.bind()
		within := true
		for i, term := range s.terms {
			edge := rapid.SampledFrom([]int64{0, s.bound, -s.bound, math.MaxInt64, math.MinInt64}).Draw(t, "near")
			n := edge + rapid.Int64Range(-1, 1).Draw(t, "by") // may wrap around, which is another edge
			row[i] = intCell(n)
			within = within && n >= -s.bound && n <= s.bound
			want.Add(want, new(big.Int).Mul(big.NewInt(term.times), big.NewInt(n)))
		}
		got, sure := s.on(row)
		if sure != within || sure && want.Cmp(big.NewInt(got)) != 0 {
			t.Fatalf("%v of %v is %d, sure %v; want %v, sure %v", s, row, got, sure, want, within)
		}
		row[0] = rapid.SampledFrom([]cell{{}, giveUp, floatCell(1), boolCell(true)}).Draw(t, "no int")
		if _, sure := s.on(row); sure {
			t.Fatalf("sure of a sum of %v", row[0])
		}
	})
}
