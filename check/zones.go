package check

import (
	"cmp"
	"slices"
)

// Registers in which every value that was read has one writer are judged without
// a search (Gibbons and Korach, "Testing shared memories", 1997, section 4.1):
//
// A write and all reads of its value form a cluster. Let f be the first return in
// it and s the last call. If f < s, the value must have been in the register from
// f to s at least: a forward zone. Otherwise all of the cluster overlap, and it
// fits in at any moment from s to f.
//
//	w(1) ──┐   r=1 ┌──         f = return of w(1), s = call of r=1
//	       f───────s           the register held 1 here
//
// There is an order if and only if every read returns after its write was called,
// and no two clusters are such that each has an operation that ended before one of
// the other began: f₁ < s₂ and f₂ < s₁. For then neither can come first.
type cluster struct {
	writer   int // entry of the write; -1 for the beginning value
	f, s     int64
	fOp, sOp int // entries that give f and s; -1 for the beginning
	early    int // entry of a read that returned before the write was called, -1
}

// zones judges a register whose reads have one possible writer each. ok is false
// if it isn't one of these.
func zones(s *registerSpec, entries []entry) (conflict []int, verdict Verdict, ok bool) {
	clusters, orphan, ok := s.clusters(entries)
	switch {
	case !ok:
		return nil, Undecided, false
	case orphan >= 0:
		return []int{orphan}, Violated, true
	}
	for i := range clusters {
		if c := &clusters[i]; c.early >= 0 {
			return []int{c.writer, c.early}, Violated, true
		}
	}
	a, b, found := overlap(clusters)
	if !found {
		return nil, Holds, true
	}
	for _, c := range []*cluster{a, b} {
		conflict = append(conflict, c.writer, c.fOp, c.sOp)
	}
	slices.Sort(conflict)
	conflict = slices.Compact(conflict)
	return slices.DeleteFunc(conflict, func(e int) bool { return e < 0 }), Violated, true
}

// clusters groups reads with their writes. orphan is the entry of a read of what
// nobody wrote, -1 if there is none.
func (s *registerSpec) clusters(entries []entry) (all []cluster, orphan int, ok bool) {
	at := make([]int32, len(s.values.values)) // value → cluster + 1
	for e := range entries {
		op := &s.ops[entries[e].op]
		switch {
		case op.kind == doRead:
			continue
		case op.kind != doWrite:
			return nil, -1, false
		case !s.seen[op.in]:
			all = append(all, newCluster(e, entries))
			continue
		case at[op.in] != 0 || op.in == null:
			return nil, -1, false
		}
		all = append(all, newCluster(e, entries))
		at[op.in] = int32(len(all))
	}
	for e := range entries {
		op := &s.ops[entries[e].op]
		if op.kind != doRead {
			continue
		}
		if at[op.out] == 0 {
			if op.out != null {
				return nil, e, true
			}
			all = append(all, cluster{writer: -1, f: beginning, s: beginning, fOp: -1, sOp: -1, early: -1})
			at[null] = int32(len(all))
		}
		all[at[op.out]-1].observe(e, entries)
	}
	return all, -1, true
}

// beginning is when a register got its first value.
const beginning = -1 << 63

func newCluster(e int, entries []entry) cluster {
	return cluster{writer: e, f: entries[e].ret, s: entries[e].call, fOp: e, sOp: e, early: -1}
}

// observe adds a read.
func (c *cluster) observe(e int, entries []entry) {
	if entries[e].ret < c.f {
		c.f, c.fOp = entries[e].ret, e
	}
	if entries[e].call > c.s {
		c.s, c.sOp = entries[e].call, e
	}
	if c.writer >= 0 && entries[e].ret < entries[c.writer].call {
		c.early = e
	}
}

// overlap finds two clusters neither of which can come first.
func overlap(clusters []cluster) (a, b *cluster, found bool) {
	var forward, backward []*cluster
	for i := range clusters {
		if c := &clusters[i]; c.f < c.s {
			forward = append(forward, c)
		} else {
			backward = append(backward, c)
		}
	}
	slices.SortFunc(forward, func(a, b *cluster) int { return cmp.Compare(a.f, b.f) })
	for i := 1; i < len(forward); i++ {
		if forward[i].f < forward[i-1].s {
			return forward[i-1], forward[i], true
		}
	}
	if canaryNoBackwardZones {
		return nil, nil, false
	}
	// The forward zones are disjoint now, so of those that begin before a backward
	// zone the last is the only one that can reach over it.
	for _, c := range backward {
		i, _ := slices.BinarySearchFunc(forward, c.s, func(f *cluster, s int64) int { return cmp.Compare(f.f, s) })
		if i > 0 && c.f < forward[i-1].s {
			return forward[i-1], c, true
		}
	}
	return nil, nil, false
}
