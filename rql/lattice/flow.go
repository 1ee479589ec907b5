package lattice

// A flow is a network for the closure of greatest weight: an edge of any capacity
// from a vertex to each that it demands, one from the source to each vertex of
// positive weight, and one from each of negative weight to the sink.
//
// Goldberg and Tarjan, "A new approach to the maximum-flow problem" (1988): only
// the first phase, which finds the minimum cut. Vertices are taken in the order
// in which they got something (FIFO); heights are exact distances to the sink at
// the start and whenever as many relabelings have been done as there are
// vertices.
type flow struct {
	first  []int32 // by vertex: its arcs are arcs[first[v]:first[v+1]]
	arcs   []arc
	excess []int64
	drain  []int64 // what the edge to the sink can still take
	height []int32
	at     []int32 // the arc to go on with
	queue  []int32
	queued []bool
	lifts  int
	watch  *watch
}

// An arc is one direction of an edge; back is the other.
type arc struct {
	to, back int32
	room     int64 // unbounded: -1
}

const unbounded = -1

func newFlow(n int, edges [][2]int32, w *watch) *flow {
	f := &flow{first: make([]int32, n+1), arcs: make([]arc, 2*len(edges)), excess: make([]int64, n), drain: make([]int64, n),
		height: make([]int32, n), at: make([]int32, n), queued: make([]bool, n), watch: w}
	for _, e := range edges {
		f.first[e[0]]++
		f.first[e[1]]++
	}
	sum := int32(0)
	for v := range f.first {
		sum, f.first[v] = sum+f.first[v], sum
	}
	copy(f.at, f.first)
	for _, e := range edges {
		a, b := f.at[e[0]], f.at[e[1]]
		f.at[e[0]]++
		f.at[e[1]]++
		f.arcs[a] = arc{e[1], b, unbounded}
		f.arcs[b] = arc{e[0], a, 0}
	}
	return f
}

// weigh gives a vertex its weight.
func (f *flow) weigh(v int, w int64) {
	if w > 0 {
		f.excess[v] = w
	} else {
		f.drain[v] = -w
	}
}

// closure returns which vertices are in a closure of greatest weight; nonsense if
// the watch ended it.
func (f *flow) closure() []bool {
	n := int32(len(f.excess))
	f.relabelAll()
	for v := range n {
		f.wake(v)
	}
	for len(f.queue) > 0 && !f.watch.over() {
		v := f.queue[0]
		f.queue = f.queue[1:]
		f.queued[v] = false
		f.discharge(v)
		if f.lifts > len(f.excess) {
			f.relabelAll()
		}
	}
	f.relabelAll()
	taken := make([]bool, n)
	for v := range taken {
		taken[v] = f.height[v] > n // the sink can't be reached any more
	}
	return taken
}

// wake puts a vertex into the queue if it has something to pass on and the sink
// may be within reach.
func (f *flow) wake(v int32) {
	if !f.queued[v] && f.excess[v] > 0 && int(f.height[v]) <= len(f.excess) {
		f.queued[v] = true
		f.queue = append(f.queue, v)
	}
}

// discharge passes on what a vertex has, lifting it where it can't, until all is
// gone or the sink is out of reach.
func (f *flow) discharge(v int32) {
	for f.excess[v] > 0 && int(f.height[v]) <= len(f.excess) && !f.watch.over() {
		if f.drain[v] > 0 && f.height[v] == 1 {
			d := min(f.drain[v], f.excess[v])
			f.drain[v] -= d
			f.excess[v] -= d
			continue
		}
		if f.at[v] == f.first[v+1] {
			f.lift(v)
			continue
		}
		a := &f.arcs[f.at[v]]
		if a.room == 0 || f.height[v] != f.height[a.to]+1 {
			f.at[v]++
			continue
		}
		f.push(v, a)
	}
}

func (f *flow) push(v int32, a *arc) {
	d := f.excess[v]
	if a.room != unbounded {
		d = min(d, a.room)
		a.room -= d
	}
	if back := &f.arcs[a.back]; back.room != unbounded {
		back.room += d
	}
	f.excess[v] -= d
	f.excess[a.to] += d
	f.wake(a.to)
}

// lift raises a vertex to just above its lowest neighbour with room.
func (f *flow) lift(v int32) {
	f.lifts++
	low := int32(len(f.excess)) + 1
	if f.drain[v] > 0 {
		low = 0
	}
	for i := f.first[v]; i < f.first[v+1]; i++ {
		if a := &f.arcs[i]; a.room != 0 {
			low = min(low, f.height[a.to])
		}
	}
	f.height[v] = low + 1
	f.at[v] = f.first[v]
}

// relabelAll makes every height the distance to the sink; more than the number of
// vertices where there is no way.
func (f *flow) relabelAll() {
	f.lifts = 0
	far := int32(len(f.excess)) + 1
	var reached []int32
	for v := range f.height {
		f.height[v], f.at[v] = far, f.first[v]
		if f.drain[v] > 0 {
			f.height[v] = 1
			reached = append(reached, int32(v))
		}
	}
	for len(reached) > 0 && !f.watch.over() {
		v := reached[0]
		reached = reached[1:]
		for i := f.first[v]; i < f.first[v+1]; i++ {
			a := &f.arcs[i]
			if f.arcs[a.back].room != 0 && f.height[a.to] == far {
				f.height[a.to] = f.height[v] + 1
				reached = append(reached, a.to)
			}
		}
	}
}
