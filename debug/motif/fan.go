package motif

import (
	"slices"

	"hindcast.dev/history"
)

// A stir is a message that leaves a node or comes to it.
type stir struct {
	flight uint32
	place  uint32
	out    bool
}

// fans finds the broadcasts, or the gathers: stretches of what a node does in which
// it sends to ever other nodes while it handles one thing, or receives from ever
// other nodes and sends nothing, if there are enough of these nodes. A node that
// comes twice begins a new one. Of messages that don't meet the constraint those that
// would end a stretch do so all the same.
func (x *material) fans(m *Motif, limit int, r *Result) {
	want := m.fan.count
	if want == 0 {
		want = max(x.nodes-1, 1)
	}
	for node, list := range x.stirs() {
		var run []uint32
		flush := func() {
			if match, ok := x.fan(m, node, run, want); ok {
				r.Found++
				r.Matches = append(r.Matches, match)
			}
			run = run[:0]
		}
		for _, s := range list {
			f := &x.flights[s.flight]
			if s.out == m.fan.in {
				flush()
				continue
			}
			if f.fits&1 == 0 || x.other(f, m.fan.in) < 0 {
				continue
			}
			if len(run) > 0 && (x.hasPeer(run, f, m.fan.in) || x.tooLate(m, run[0], s.flight) || s.out && x.flights[run[0]].turn != f.turn) {
				flush()
			}
			run = append(run, s.flight)
		}
		flush()
	}
	slices.SortStableFunc(r.Matches, func(a, b Match) int { return a.Parts[0].Position.Compare(b.Parts[0].Position) })
	r.Matches = r.Matches[:min(len(r.Matches), limit)]
}

// stirs are, by node, all messages that leave, each once, and that come, in order. Those that an
// event receives are before those that it sends.
func (x *material) stirs() [][]stir {
	by := make([][]stir, len(x.meta.Nodes))
	for i := range x.flights {
		f := &x.flights[i]
		if f.send != none && (i == 0 || x.flights[i-1].first != f.first) {
			by[f.from] = append(by[f.from], stir{uint32(i), f.send, true})
		}
		if f.recv != none {
			by[f.to] = append(by[f.to], stir{uint32(i), f.recv, false})
		}
	}
	for _, list := range by {
		slices.SortStableFunc(list, func(a, b stir) int {
			switch {
			case a.place != b.place:
				return int(int64(a.place) - int64(b.place))
			case a.out == b.out:
				return 0
			case b.out:
				return -1
			}
			return 1
		})
	}
	return by
}

// other is the node at the other end.
func (x *material) other(f *flight, in bool) int32 {
	own, other := f.from, f.to
	if in {
		own, other = other, own
	}
	if own == other {
		return -1
	}
	return other
}

func (x *material) hasPeer(run []uint32, f *flight, in bool) bool {
	return slices.ContainsFunc(run, func(r uint32) bool { return x.other(&x.flights[r], in) == x.other(f, in) })
}

// tooLate reports whether a message comes after the time in which all must be.
func (x *material) tooLate(m *Motif, first, next uint32) bool {
	return m.within > 0 && x.own(m, next).Time.Sub(x.own(m, first).Time) > m.within
}

// own is where the node of a fan sends a message, or receives it.
func (x *material) own(m *Motif, f uint32) history.Position {
	if m.fan.in {
		return x.places[x.flights[f].recv]
	}
	return x.places[x.flights[f].send]
}

// fan is the match that a stretch is, if it is one.
func (x *material) fan(m *Motif, node int, run []uint32, want int) (Match, bool) {
	if len(run) < want {
		return Match{}, false
	}
	match := Match{Nodes: []int{node}}
	for i, r := range run {
		f := &x.flights[r]
		if f.send != none {
			match.Parts = append(match.Parts, x.part(f.send, f.from, node, sends, i))
		}
		if f.recv != none {
			match.Parts = append(match.Parts, x.part(f.recv, f.to, node, receives, i))
		}
	}
	slices.SortStableFunc(match.Parts, func(a, b Part) int { return a.Position.Compare(b.Position) })
	return match, true
}

// part is one in a fan, whose only lane is its node's.
func (x *material) part(place uint32, of int32, node int, a act, message int) Part {
	p := Part{x.places[place], -1, acts[a], message}
	if int(of) == node {
		p.Lane = 0
	}
	return p
}
