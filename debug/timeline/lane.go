package timeline

import (
	"sort"

	"hindcast.dev/history"
)

// Running is what a node does at a cut.
type Running string

// What a node does; "" is unknown: nothing says that it runs.
const (
	NotBegun Running = "not begun"
	Up       Running = "up"
	Down     Running = "down"
)

// Position is that of the event of a node with a sequence number; ok is false if
// there is none.
func (x *Index) Position(node int, seq uint64) (p history.Position, ok bool) {
	if node < 0 || node >= len(x.lanes) {
		return p, false
	}
	i, ok := x.lanes[node].find(seq)
	if !ok {
		return p, false
	}
	return x.position(node, i), true
}

// LaneAt is the last event of a node at or before a cut, history.Begin if there is
// none, and what the node does there.
func (x *Index) LaneAt(cut history.Position, node int) (last history.Position, running Running) {
	l := &x.lanes[node]
	n := 0 // events in the cut
	if cut != history.Begin {
		n = sort.Search(len(l.times), func(i int) bool { return x.position(node, i).Compare(cut) > 0 })
	}
	if n == 0 {
		return history.Begin, NotBegun
	}
	for _, u := range l.ups {
		if int(u.at) >= n {
			break
		}
		if running = Down; u.up {
			running = Up
		}
	}
	return x.position(node, n-1), running
}
