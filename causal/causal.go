// Package causal is happened-before: vector clocks, and the cuts that they tell
// consistent from inconsistent.
//
// Sources: Fidge, "Timestamps in message-passing systems that preserve the
// partial ordering" (1988); Mattern, "Virtual time and global states of
// distributed systems" (1989), sections 3 and 5.
package causal

import (
	"fmt"
	"slices"
	"strings"
)

// An Order is how two events, or two clocks, stand to each other.
type Order int

// The four outcomes of a comparison.
const (
	Equal      Order = iota
	Before           // the first happened before the second
	After            // the second happened before the first
	Concurrent       // neither
)

var orderNames = [...]string{"equal", "before", "after", "concurrent"}

// String is the order's name.
func (o Order) String() string { return orderNames[o] }

// A Vector counts events per process: component i is how many events of process
// i are in the causal past. A missing component is 0.
type Vector []uint64

// Tick counts one event of process i, growing the vector where needed, and
// returns the vector.
func (v Vector) Tick(i int) Vector {
	v = v.grow(i + 1)
	v[i]++
	return v
}

// Merge takes the larger of each component into v and returns it; o is left as
// it is.
func (v Vector) Merge(o Vector) Vector {
	v = v.grow(len(o))
	for i, n := range o {
		v[i] = max(v[i], n)
	}
	return v
}

// At returns component i.
func (v Vector) At(i int) uint64 {
	if i < len(v) {
		return v[i]
	}
	return 0
}

// Compare says how v stands to o.
func (v Vector) Compare(o Vector) Order {
	less, more := false, false
	for i := range max(len(v), len(o)) {
		a, b := v.At(i), o.At(i)
		less, more = less || a < b, more || a > b
	}
	switch {
	case less && more:
		return Concurrent
	case less:
		return Before
	case more:
		return After
	}
	return Equal
}

func (v Vector) grow(n int) Vector {
	if n > len(v) {
		v = append(v, make(Vector, n-len(v))...)
	}
	return v
}

// A Cut is a prefix of each process's events: component i is how many events of
// process i, numbered from 1, are in it.
type Cut []uint64

// A Link is a message: sent as event Send of process From, received as event
// Receive of process To.
type Link struct {
	From    int
	Send    uint64
	To      int
	Receive uint64
}

// Has reports whether the cut holds event seq of process i.
func (c Cut) Has(i int, seq uint64) bool { return i < len(c) && seq <= c[i] }

// Violation returns a link of which the receive is in the cut and the send is
// not; ok is false if there is none, that is if the cut is consistent.
func (c Cut) Violation(links []Link) (l Link, ok bool) {
	for _, l := range links {
		if c.Has(l.To, l.Receive) && !c.Has(l.From, l.Send) {
			return l, true
		}
	}
	return Link{}, false
}

// Closure returns the largest consistent cut inside c: it gives up receives
// whose send is missing, and what follows them, until none is left.
func (c Cut) Closure(links []Link) Cut {
	out := slices.Clone(c)
	for {
		l, bad := out.Violation(links)
		if !bad {
			return out
		}
		out[l.To] = l.Receive - 1
	}
}

// InFlight returns the links that the cut crosses: sent in it, received outside.
func (c Cut) InFlight(links []Link) []Link {
	var out []Link
	for _, l := range links {
		if c.Has(l.From, l.Send) && !c.Has(l.To, l.Receive) {
			out = append(out, l)
		}
	}
	return out
}

// String is the cut as {n0, n1, …}.
func (c Cut) String() string {
	parts := make([]string, len(c))
	for i, n := range c {
		parts[i] = fmt.Sprint(n)
	}
	return "{" + strings.Join(parts, ", ") + "}"
}
