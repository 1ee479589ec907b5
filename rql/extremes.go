package rql

import (
	"cmp"
	"slices"
)

// extremes keep the least and the greatest of one key for each node, in two
// tournaments: a change costs at most the height of the tree.
//
//	        1               winners of winners
//	   2         3
//	4     5   6     7       nodes 0 1 2 3, as many as there are
//
// Of few nodes the winners alone are kept; the others are asked when one of those
// changes.
type extremes struct {
	keys []cell  // by node; cellAbsent is none, cellOther is in wide
	wide []value // by node; nil while no key needs it
	size int     // of a round of all nodes, a power of two; 1 where the winner alone is kept
	low  []int32 // the winner's node by place, -1 if there is none
	high []int32
}

// fewNodes are so few that it costs no more to ask them all.
const fewNodes = 32

func newExtremes(nodes int) *extremes {
	x := &extremes{keys: make([]cell, nodes), size: 1}
	for nodes > fewNodes && x.size < nodes {
		x.size *= 2
	}
	x.low = slices.Repeat([]int32{-1}, 2*x.size)
	x.high = slices.Clone(x.low)
	return x
}

// key is a node's key.
func (x *extremes) key(node int32) value {
	if c := x.keys[node]; c.kind != cellOther {
		return c.value()
	}
	return x.wide[node]
}

// set gives a node a key, a number that isn't NaN; ⊥ takes it out. It reports
// whether the least or the greatest key may have become another.
func (x *extremes) set(node int, v value) (low, high bool) {
	c := cellOfValue(v)
	if c.kind == cellOther {
		if x.wide == nil {
			x.wide = make([]value, len(x.keys))
		}
		x.wide[node] = v
	}
	return x.setCell(node, c)
}

// setCell is set where the key fits a cell, or is in wide.
func (x *extremes) setCell(node int, c cell) (low, high bool) {
	if c == x.keys[node] && c.kind != cellOther {
		return false, false
	}
	x.keys[node] = c
	if x.size == 1 {
		return x.challenge(&x.low[1], -1, int32(node)), x.challenge(&x.high[1], 1, int32(node))
	}
	return x.play(x.low, -1, int32(node)), x.play(x.high, 1, int32(node))
}

// challenge lets a node whose key changed play against the winner of few nodes, or
// all of them if it is the winner itself. It reports whether the winning key may
// have become another.
func (x *extremes) challenge(won *int32, sign int, node int32) bool {
	if *won != node {
		// Of equal keys the one of the lower node wins, as in a tournament: who wins must
		// depend on the keys alone, not on how they came about.
		first, second := node, *won
		if second >= 0 && second < first {
			first, second = second, first
		}
		if x.keys[node].kind == cellAbsent || x.better(first, second, sign) != node {
			return false
		}
		*won = node
		return true
	}
	*won = -1
	for n := range x.keys {
		if x.keys[n].kind != cellAbsent {
			*won = x.better(*won, int32(n), sign)
		}
	}
	return true
}

// play has a node's matches played again. They end where another node wins that
// won before: above it nothing changes. It reports whether they went on to the end.
func (x *extremes) play(won []int32, sign int, node int32) bool {
	at := x.size + int(node)
	won[at] = node
	if x.keys[node].kind == cellAbsent {
		won[at] = -1
	}
	for at >>= 1; at > 0; at >>= 1 {
		w := x.better(won[2*at], won[2*at+1], sign)
		if w == won[at] && w != node {
			return false
		}
		won[at] = w
	}
	return true
}

// better is the node with the better key, of equal ones the first named; -1 is
// worse than all.
func (x *extremes) better(a, b int32, sign int) int32 {
	if a < 0 {
		return b
	}
	if b < 0 {
		return a
	}
	i, j := &x.keys[a], &x.keys[b]
	if i.kind == cellInt && j.kind == cellInt {
		if m, n := i.int(), j.int(); m == n || (m > n) == (sign > 0) {
			return a
		}
		return b
	}
	if x.compare(a, b)*sign < 0 {
		return b
	}
	return a
}

func (x *extremes) compare(a, b int32) int {
	i, j := x.keys[a], x.keys[b]
	if i.kind == cellFloat && j.kind == cellFloat {
		if f, g := i.float(), j.float(); f != g {
			return cmp.Compare(f, g)
		}
	}
	return outward(x.key(a), x.key(b))
}

// least and most return the node with the extreme key, -1 if there is none.
func (x *extremes) least() int32 { return x.low[1] }
func (x *extremes) most() int32  { return x.high[1] }

// best appends the nodes of the n least keys to out, or of the greatest, best
// first: the winner, and then who lost to winners alone.
func (x *extremes) best(out []int32, n int, sign int) []int32 {
	if x.size == 1 {
		return x.bestOfFew(out, n, sign)
	}
	won := x.low
	if sign > 0 {
		won = x.high
	}
	var open []int // places whose winner is a candidate for the next
	for at := 1; at > 0 && won[at] >= 0; {
		w := won[at]
		if out = append(out, w); len(out) == n {
			break
		}
		for at < x.size {
			loser := 2 * at
			if won[loser] == w {
				loser++
			}
			open = append(open, loser)
			at = 4*at + 1 - loser
		}
		at = 0
		pick := -1
		for i, o := range open {
			if won[o] >= 0 && (pick < 0 || x.better(won[open[pick]], won[o], sign) == won[o]) {
				pick = i
			}
		}
		if pick >= 0 {
			at = open[pick]
			open = slices.Delete(open, pick, pick+1)
		}
	}
	return out
}

// bestOfFew is best where the winner alone is kept.
func (x *extremes) bestOfFew(out []int32, n int, sign int) []int32 {
	for range n {
		pick := int32(-1)
		for i := range x.keys {
			if x.keys[i].kind != cellAbsent && !slices.Contains(out, int32(i)) {
				pick = x.better(pick, int32(i), sign)
			}
		}
		if pick < 0 {
			break
		}
		out = append(out, pick)
	}
	return out
}
