package check

import (
	"cmp"
	"slices"
)

// An edgeKind is why one transaction comes before another. They are bits, so
// that sets of kinds are masks.
type edgeKind uint8

const (
	edgeWW      edgeKind = 1 << iota // wrote the version before the other's
	edgeWR                           // wrote what the other read
	edgeRW                           // read the version before the other's
	edgeProcess                      // the same client did it before
	edgeTime                         // it had returned before the other was called
	// edgeUpdate is ww for whatever excludes lost updates. The other's append is one
	// that nobody read, and this one wrote the end of what was read, or read that and
	// appended to it. If it did so later it never saw the other's: that was lost.
	edgeUpdate
	edgeOn // leads on from a vertex that is no transaction, at no cost
)

var edgeNames = map[edgeKind]string{edgeWW: "ww", edgeWR: "wr", edgeRW: "rw", edgeProcess: "process", edgeTime: "time", edgeUpdate: "ww"}

// A txnEdge is one dependency, and what shows it.
type txnEdge struct {
	from, to int32
	key      int32
	pos      int32 // the element in the version: ww and rw the later one's, -1 if nobody read it; wr the one read
	micro    int32 // which micro-operation of the reader it was, -1 if none shows it
	kind     edgeKind
}

// A txnGraph is Adya's serialization graph: an edge for each dependency between
// committed transactions. Besides these it has vertices that stand for many
// edges at once and are left by edgeOn only, so that it stays linear in the size
// of the history:
//
//   - time: all returns between two calls share a vertex, which leads on to the
//     calls that follow and to the next such vertex. A path through them is one
//     time edge.
//   - unread: a read of a list's longest version comes before each transaction
//     whose append nobody read. Where these are many, a chain of vertices leads
//     to all of them up to the i-th, another to all from the i-th, so that a
//     transaction which is both reader and writer leaves itself out.
type txnGraph struct {
	h     *txnHistory
	n     int32     // vertices; those below len(h.txns) are transactions
	edges []txnEdge // by from
	first []int32   // first[v]:first[v+1] are the edges from v
}

// unreadDirect is up to how many unread writers get an edge from each reader.
// The graph means the same whatever it is.
const unreadDirect = 6

// A graphBuilder collects a txnGraph's edges.
type graphBuilder struct {
	*txnGraph
	direct int     // unreadDirect
	prefix []int32 // by key: the first vertex of its chains; 0 where there are none
}

func buildGraph(h *txnHistory, direct int) *txnGraph {
	b := &graphBuilder{&txnGraph{h: h, n: int32(len(h.txns))}, direct, make([]int32, len(h.keys))}
	for i := range h.keys {
		if h.keys[i].twice == "" {
			b.writes(int32(i))
		}
	}
	for t := range h.txns {
		b.readsOf(int32(t))
	}
	b.processes()
	b.times()
	b.sort()
	return b.txnGraph
}

func (b *graphBuilder) vertex() int32 {
	b.n++
	return b.n - 1
}

func (b *graphBuilder) add(e txnEdge) {
	if e.from != e.to {
		b.edges = append(b.edges, e)
	}
}

// writes adds the ww edges of a key: along its order, and from its end to each
// append that nobody read.
func (b *graphBuilder) writes(key int32) {
	k := &b.h.keys[key]
	last := int32(-1)
	for pos, id := range k.order {
		if !b.h.committedAppend(id) {
			continue
		}
		t := b.h.appends[id].txn
		if last >= 0 {
			b.add(txnEdge{from: last, to: t, key: key, pos: int32(pos), kind: edgeWW})
		}
		last = t
	}
	if last >= 0 {
		for _, t := range k.unread {
			b.add(txnEdge{from: last, to: t, key: key, pos: unread, micro: -1, kind: edgeUpdate})
		}
	}
	if len(k.unread) > b.direct {
		b.chains(key)
	}
}

// chains adds the vertices from which all unread writers of a key up to, or
// from, a certain one are reached: m of the first, then m of the second kind.
func (b *graphBuilder) chains(key int32) {
	k := &b.h.keys[key]
	m := int32(len(k.unread))
	base := b.n
	b.n += 2 * m
	b.prefix[key] = base
	for i, t := range k.unread {
		up, down := base+int32(i), base+m+int32(i)
		b.add(txnEdge{from: up, to: t, key: key, kind: edgeOn})
		b.add(txnEdge{from: down, to: t, key: key, kind: edgeOn})
		if i > 0 {
			b.add(txnEdge{from: up, to: up - 1, key: key, kind: edgeOn})
			b.add(txnEdge{from: down - 1, to: down, key: key, kind: edgeOn})
		}
	}
}

// readsOf adds the wr and rw edges of what a transaction read.
func (b *graphBuilder) readsOf(t int32) {
	tx := &b.h.txns[t]
	if !tx.committed {
		return
	}
	for i := range tx.ops {
		m := &tx.ops[i]
		if m.isAppend || !m.known || b.h.keys[m.key].twice != "" {
			continue
		}
		if !m.beside {
			b.readOf(t, int32(i), m)
		} else {
			b.readBeside(t, int32(i), m)
		}
	}
}

// readOf adds the edges of a read whose version is one of the order: from who
// wrote its end, to who wrote the next.
func (b *graphBuilder) readOf(t, micro int32, m *microOp) {
	k := &b.h.keys[m.key]
	n := m.ext
	if p := k.before[n]; p >= 0 {
		b.add(txnEdge{from: b.h.appends[k.order[p]].txn, to: t, key: m.key, pos: p, micro: micro, kind: edgeWR})
	}
	p := k.after[n]
	if int(p) < len(k.order) {
		b.add(txnEdge{from: t, to: b.h.appends[k.order[p]].txn, key: m.key, pos: p, micro: micro, kind: edgeRW})
		return
	}
	e := txnEdge{from: t, key: m.key, pos: unread, micro: micro, kind: edgeRW}
	own, isWriter := slices.BinarySearch(k.unread, t)
	if isWriter {
		e.kind = edgeUpdate
	}
	base, size := b.prefix[m.key], int32(len(k.unread))
	if base == 0 {
		for _, e.to = range k.unread {
			b.add(e)
		}
		return
	}
	below, above := size-1, size // of the chains: the vertex to begin at
	if isWriter {
		below, above = int32(own)-1, int32(own)+1
	}
	if below >= 0 {
		e.to = base + below
		b.add(e)
	}
	if above < size {
		e.to = base + size + above
		b.add(e)
	}
}

// readBeside adds the one edge that is sure of a read beside the order.
func (b *graphBuilder) readBeside(t, micro int32, m *microOp) {
	if n := m.ext; n > 0 {
		if id := b.h.writer(m.key, m.list[n-1]); b.h.committedAppend(id) {
			b.add(txnEdge{from: b.h.appends[id].txn, to: t, key: m.key, pos: int32(n - 1), micro: micro, kind: edgeWR})
		}
	}
}

// processes adds the order of each client. What follows an Info transaction of
// the same client may take effect before it.
func (b *graphBuilder) processes() {
	last := map[int]int32{}
	for t := range b.h.txns {
		tx := &b.h.txns[t]
		if !tx.committed {
			continue
		}
		if p, ok := last[tx.op.Process]; ok && b.h.txns[p].op.Return <= tx.op.Call {
			b.add(txnEdge{from: p, to: int32(t), kind: edgeProcess})
		}
		if tx.op.Outcome == Ok {
			last[tx.op.Process] = int32(t)
		}
	}
}

// times adds the order of real time. A return at 5 and a call at 5 are
// concurrent.
func (b *graphBuilder) times() {
	type moment struct {
		at     int64
		isCall bool
		txn    int32
	}
	var all []moment
	for t := range b.h.txns {
		if tx := &b.h.txns[t]; tx.committed {
			all = append(all, moment{tx.op.Call, true, int32(t)})
			if tx.op.Outcome == Ok {
				all = append(all, moment{tx.op.Return, false, int32(t)})
			}
		}
	}
	slices.SortFunc(all, func(x, y moment) int {
		if c := cmp.Compare(x.at, y.at); c != 0 {
			return c
		}
		if x.isCall != y.isCall {
			if x.isCall {
				return -1
			}
			return 1
		}
		return cmp.Compare(x.txn, y.txn)
	})
	past, open := int32(-1), false // the vertex of what has returned; open: no call has used it
	for _, m := range all {
		switch {
		case m.isCall:
			open = false
			if past >= 0 {
				b.add(txnEdge{from: past, to: m.txn, kind: edgeOn})
			}
			continue
		case !open:
			v := b.vertex()
			if past >= 0 {
				b.add(txnEdge{from: past, to: v, kind: edgeOn})
			}
			past, open = v, true
		}
		b.add(txnEdge{from: m.txn, to: past, kind: edgeTime})
	}
}

// sort puts the edges of each vertex together, in the order in which they came.
func (b *graphBuilder) sort() {
	b.first = make([]int32, b.n+1)
	for i := range b.edges {
		b.first[b.edges[i].from+1]++
	}
	for v := range b.n {
		b.first[v+1] += b.first[v]
	}
	at := slices.Clone(b.first)
	sorted := make([]txnEdge, len(b.edges))
	for _, e := range b.edges {
		sorted[at[e.from]] = e
		at[e.from]++
	}
	b.edges = sorted
}

// from returns the edges that leave v, as half-open range of indices.
func (g *txnGraph) from(v int32) (lo, hi int32) { return g.first[v], g.first[v+1] }
