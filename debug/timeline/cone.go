package timeline

import (
	"sort"

	"hindcast.dev/history"
)

// A way is the messages from one node to another, as far as they order events: one
// that was sent no later than another and received no earlier orders nothing that
// the other doesn't.
type way struct {
	from, to int32
	hops     []hop // ascending: sends strictly, receives not
}

// A hop is a message: the event that sent it, and the one that received it, by their
// places in their lanes.
type hop struct{ send, receive uint32 }

// add takes in a message; they come in the order of their receives.
func (w *way) add(h hop) {
	if n := len(w.hops); n == 0 || w.hops[n-1].send < h.send {
		w.hops = append(w.hops, h)
	}
}

// A Cone is a causal past or future, by node: Past holds how many of a node's events
// belong to it, its first ones, Future from which of its events on they do.
type Cone struct {
	Past   []int
	Future []int
}

// ConeOf is the causal past and future of an event, itself included.
func (x *Index) ConeOf(p history.Position) (*Cone, error) {
	if !x.linked {
		return nil, ErrNotLinked
	}
	if p.Node < 0 || p.Node >= len(x.lanes) {
		return nil, history.ErrNoEvent
	}
	at, ok := x.lanes[p.Node].find(p.Seq)
	if !ok {
		return nil, history.ErrNoEvent
	}
	c := &Cone{make([]int, len(x.lanes)), make([]int, len(x.lanes))}
	for n := range x.lanes {
		c.Future[n] = len(x.lanes[n].times)
	}
	c.Past[p.Node], c.Future[p.Node] = at+1, at
	x.past(c.Past, p.Node)
	x.future(c.Future, p.Node)
	return c, nil
}

// past widens a past that so far is of one node. Of the nodes whose past may have
// grown it takes the one with the last event in the walk: what else it is to learn
// of happened before, and it has all it will have.
func (x *Index) past(past []int, node int) {
	todo := newFrontier(len(x.lanes), func(a, b int) bool {
		return x.lanes[a].order[past[a]-1] > x.lanes[b].order[past[b]-1]
	})
	for todo.add(node); todo.some(); {
		n := todo.next()
		for _, i := range x.lanes[n].in {
			w := &x.ways[i]
			k := sort.Search(len(w.hops), func(k int) bool { return int(w.hops[k].receive) >= past[n] })
			if k == 0 {
				continue
			}
			if from, sent := int(w.from), int(w.hops[k-1].send)+1; sent > past[from] {
				past[from] = sent
				todo.add(from)
			}
		}
	}
}

// future widens a future likewise, beginning with the node with the first event.
func (x *Index) future(future []int, node int) {
	todo := newFrontier(len(x.lanes), func(a, b int) bool {
		return x.lanes[a].order[future[a]] < x.lanes[b].order[future[b]]
	})
	for todo.add(node); todo.some(); {
		n := todo.next()
		for _, i := range x.lanes[n].out {
			w := &x.ways[i]
			k := sort.Search(len(w.hops), func(k int) bool { return int(w.hops[k].send) >= future[n] })
			if k == len(w.hops) {
				continue
			}
			if to, received := int(w.to), int(w.hops[k].receive); received < future[to] {
				future[to] = received
				todo.add(to)
			}
		}
	}
}

// A frontier is nodes to look at, the one that is before all others first: a heap, in
// which a node may only move forwards.
type frontier struct {
	before func(a, b int) bool
	heap   []int
	place  []int // by node: in heap, from 1; 0 is nowhere
}

func newFrontier(nodes int, before func(a, b int) bool) *frontier {
	return &frontier{before: before, place: make([]int, nodes)}
}

func (f *frontier) some() bool { return len(f.heap) > 0 }

// add puts a node in, or moves it to where it belongs now.
func (f *frontier) add(node int) {
	if f.place[node] == 0 {
		f.heap = append(f.heap, node)
		f.place[node] = len(f.heap)
	}
	for i := f.place[node] - 1; i > 0 && f.before(f.heap[i], f.heap[(i-1)/2]); i = (i - 1) / 2 {
		f.swap(i, (i-1)/2)
	}
}

// next takes the first node out.
func (f *frontier) next() int {
	node, last := f.heap[0], len(f.heap)-1
	f.swap(0, last)
	f.heap, f.place[node] = f.heap[:last], 0
	for i := 0; ; {
		least := i
		for _, k := range [2]int{2*i + 1, 2*i + 2} {
			if k < last && f.before(f.heap[k], f.heap[least]) {
				least = k
			}
		}
		if least == i {
			return node
		}
		f.swap(i, least)
		i = least
	}
}

func (f *frontier) swap(i, k int) {
	f.heap[i], f.heap[k] = f.heap[k], f.heap[i]
	f.place[f.heap[i]], f.place[f.heap[k]] = i+1, k+1
}

// Ends are those of a cone on one node; nil where there is none.
type Ends struct {
	Past   *history.Position // the last event of the past
	Future *history.Position // the first one of the future
}

// Ends gives the ends of a cone on a node as events.
func (x *Index) Ends(c *Cone, node int) (e Ends) {
	if n := c.Past[node]; n > 0 {
		p := x.position(node, n-1)
		e.Past = &p
	}
	if i := c.Future[node]; i < len(x.lanes[node].times) {
		p := x.position(node, i)
		e.Future = &p
	}
	return e
}
