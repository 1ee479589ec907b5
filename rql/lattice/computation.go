package lattice

import (
	"fmt"
	"slices"
	"sort"

	"hindcast.dev/causal"
	"hindcast.dev/hlc"
)

// EventsMax is how many events a process of a Computation may have.
const EventsMax = 1<<32 - 1

// A Computation is what some processes did. Events of a process are numbered from
// 1. It takes 12 bytes for a link, and 8 for an event where time orders, too.
type Computation struct {
	bottom causal.Cut
	events []uint32
	recv   [][]edge   // by process, ascending by at
	ticks  [][]uint64 // by process and event; nil unless time orders
	within uint64     // two events that are more ticks apart are ordered
	silent []bool     // processes whose events aren't counted
	watch  *watch
}

// A watch asks now and then whether to go on.
type watch struct {
	alive func() error
	looks uint
	err   error // once it is set nothing that was found counts
}

// over reports whether to stop. It is called for every step of a long loop.
func (w *watch) over() bool {
	if w.looks++; w.looks%watchSteps == 0 && w.alive != nil && w.err == nil {
		w.err = w.alive()
	}
	return w.err != nil
}

// watchSteps is after how many steps the watch asks.
const watchSteps = 4096

// An edge says that event at of a process comes after event send of another.
type edge struct{ at, send, from uint32 }

// New returns a Computation of so many processes, without events.
func New(processes int) *Computation {
	return &Computation{bottom: make(causal.Cut, processes), events: make([]uint32, processes), recv: make([][]edge, processes), silent: make([]bool, processes), watch: &watch{}}
}

// Within adds to the order, before the first event is added: two events of which
// the physical parts of the Timestamps are more than eps ticks apart are ordered.
//
// It is the Timestamps' physical part, and not the clocks' own readings, because
// it never contradicts happened-before; and no order is wrong: where all clocks
// are within eps of each other, an event whose physical part is more than eps
// greater came later, because some event before it, or itself, had that reading.
func (c *Computation) Within(eps uint64) {
	c.within, c.ticks = eps, make([][]uint64, len(c.events))
}

// Watch has everything that takes long ask alive now and then, and end with its
// error.
func (c *Computation) Watch(alive func() error) { *c.watch = watch{alive: alive} }

// Silence says that a process takes part in the order, but its events aren't
// counted and its place in a cut doesn't tell cuts apart.
func (c *Computation) Silence(process int) { c.silent[process] = true }

// Add adds the next event of a process and returns its number. Events are added
// in an order that respects the one between them; of those of one process, and
// where time orders of all, the Timestamps don't descend.
func (c *Computation) Add(process int, at hlc.Timestamp) uint64 {
	if c.events[process] == EventsMax {
		panic(fmt.Sprintf("process %d has more than %d events", process, uint32(EventsMax)))
	}
	c.events[process]++
	if c.ticks != nil {
		c.ticks[process] = append(c.ticks[process], at.Ticks())
	}
	return uint64(c.events[process])
}

// After says that the event of a process that was added last comes after event
// send of another process, which was added before it.
func (c *Computation) After(process, from int, send uint64) {
	if process == from || send == 0 {
		return
	}
	if send > uint64(c.events[from]) {
		panic(fmt.Sprintf("event %d of process %d comes after event %d of process %d, of which there are %d", c.events[process], process, send, from, c.events[from]))
	}
	c.recv[process] = append(c.recv[process], edge{c.events[process], uint32(send), uint32(from)})
}

// Processes returns how many processes there are.
func (c *Computation) Processes() int { return len(c.events) }

// Bottom returns the first cut of every path. It is the caller's.
func (c *Computation) Bottom() causal.Cut { return slices.Clone(c.bottom) }

// Top returns the last cut of every path.
func (c *Computation) Top() causal.Cut {
	out := make(causal.Cut, len(c.events))
	for i, n := range c.events {
		out[i] = uint64(n)
	}
	return out
}

// From returns the part of the lattice at and above a consistent cut. It shares
// everything with c.
func (c *Computation) From(bottom causal.Cut) *Computation {
	out := *c
	out.bottom = slices.Clone(bottom)
	return &out
}

// Including returns the least consistent cut with everything up to event k of a
// process.
func (c *Computation) Including(process int, k uint64) causal.Cut {
	d := c.ideal()
	d.grow(process, uint32(k))
	return d.cut()
}

// Atoms returns the cuts just above the bottom, as far as counted events tell them
// apart: those that every path passes first.
func (c *Computation) Atoms() []causal.Cut {
	var out []causal.Cut
	for i, n := range c.events {
		if k := c.bottom[i] + 1; !c.silent[i] && k <= uint64(n) {
			if cut := c.Including(i, k); c.Size(cut) == c.Size(c.bottom)+1 {
				out = append(out, cut)
			}
		}
	}
	return out
}

// Size returns how many counted events are in a cut.
func (c *Computation) Size(cut causal.Cut) uint64 {
	var n uint64
	for i, k := range cut {
		if !c.silent[i] {
			n += k
		}
	}
	return n
}

// Compare orders cuts by their number of events, then by the number of those of
// the first process, the second, and so on.
func (c *Computation) Compare(a, b causal.Cut) int {
	if s, t := c.Size(a), c.Size(b); s != t {
		if s < t {
			return -1
		}
		return 1
	}
	for i := range a {
		if a[i] != b[i] && !c.silent[i] {
			if a[i] < b[i] {
				return -1
			}
			return 1
		}
	}
	return 0
}

// An ideal is a consistent cut that grows. All growing together costs no more
// than one look at every link, however many steps it takes.
type ideal struct {
	c    *Computation
	at   []uint32 // the cut
	pos  []int    // recv[i][:pos[i]] are of events in it
	work []int    // processes with links not looked at yet
}

func (c *Computation) ideal() *ideal {
	d := &ideal{c: c, at: make([]uint32, len(c.events)), pos: make([]int, len(c.events))}
	for i, k := range c.bottom {
		d.at[i] = uint32(k)
		d.pos[i] = sort.Search(len(c.recv[i]), func(p int) bool { return uint64(c.recv[i][p].at) > k })
	}
	return d
}

func (d *ideal) cut() causal.Cut {
	out := make(causal.Cut, len(d.at))
	for i, k := range d.at {
		out[i] = uint64(k)
	}
	return out
}

// grow adds everything up to event k of a process, and what comes before that. Of
// what time orders it is enough to look at event k: what is more than ε before
// another event below it is so before event k, too.
func (d *ideal) grow(process int, k uint32) {
	if k <= d.at[process] {
		return
	}
	d.raise(process, k)
	if d.c.ticks != nil {
		if now := d.c.ticks[process][k-1]; now > d.c.within {
			for j := range d.at {
				d.raise(j, d.c.before(j, d.at[j], now-d.c.within))
			}
		}
	}
	for len(d.work) > 0 {
		i := d.work[len(d.work)-1]
		d.work = d.work[:len(d.work)-1]
		for links := d.c.recv[i]; d.pos[i] < len(links) && links[d.pos[i]].at <= d.at[i] && !d.c.watch.over(); d.pos[i]++ {
			e := links[d.pos[i]]
			d.raise(int(e.from), e.send)
		}
	}
}

func (d *ideal) raise(process int, k uint32) {
	if k > d.at[process] {
		d.at[process] = k
		d.work = append(d.work, process)
	}
}

// before returns how many events of a process have ticks below t; at least the
// first so many have.
func (c *Computation) before(process int, least uint32, t uint64) uint32 {
	ticks := c.ticks[process]
	lo, step := int(least), 1
	for lo+step <= len(ticks) && ticks[lo+step-1] < t {
		lo += step
		step *= 2
	}
	hi := min(lo+step, len(ticks))
	return uint32(lo + sort.Search(hi-lo, func(i int) bool { return ticks[lo+i] >= t }))
}
