package sim

// A queue holds what is going to happen, by time and, at the same time, in the
// order in which it was put there. It is a heap of small keys with four children
// each; what happens lies beside it in slots, so that sifting moves little.
type queue struct {
	keys  []key
	slots []happening
	free  []uint32
	count uint64 // happenings put so far
}

type key struct {
	at   int64 // ns since the world began
	n    uint64
	slot uint32
}

func (k *key) before(o *key) bool { return k.at < o.at || k.at == o.at && k.n < o.n }

// A happening is one event of the world that is still to come.
type happening struct {
	kind kind
	node *Node  // whom it is about; nil for none
	arg  any    // a pointer, by kind
	tag  uint64 // by kind: tells a stale happening from a current one
}

func (q *queue) len() int { return len(q.keys) }

// put adds a happening at a time.
func (q *queue) put(at int64, h happening) {
	var slot uint32
	if n := len(q.free); n > 0 {
		slot, q.free = q.free[n-1], q.free[:n-1]
		q.slots[slot] = h
	} else {
		slot = uint32(len(q.slots))
		q.slots = append(q.slots, h)
	}
	q.count++
	k := key{at, q.count, slot}
	q.keys = append(q.keys, k)
	i := len(q.keys) - 1
	for i > 0 {
		parent := (i - 1) / 4
		if !k.before(&q.keys[parent]) {
			break
		}
		q.keys[i] = q.keys[parent]
		i = parent
	}
	q.keys[i] = k
}

// take removes the first happening and returns it; the queue isn't empty.
func (q *queue) take() (at int64, h happening) {
	first := q.keys[0]
	h = q.slots[first.slot]
	q.slots[first.slot] = happening{}
	q.free = append(q.free, first.slot)
	last := len(q.keys) - 1
	k := q.keys[last]
	q.keys = q.keys[:last]
	if last > 0 {
		q.sink(k)
	}
	return first.at, h
}

// sink puts k where it belongs below the empty root.
func (q *queue) sink(k key) {
	i, n := 0, len(q.keys)
	for {
		child := 4*i + 1
		if child >= n {
			break
		}
		best := child
		for c := child + 1; c < min(child+4, n); c++ {
			if q.keys[c].before(&q.keys[best]) {
				best = c
			}
		}
		if !q.keys[best].before(&k) {
			break
		}
		q.keys[i] = q.keys[best]
		i = best
	}
	q.keys[i] = k
}
