package history

import (
	"cmp"
	"context"
	"iter"
	"slices"

	"hindcast.dev/event"
	"hindcast.dev/hlc"
)

// statsMax bounds the variables of a block that have statistics.
const statsMax = 1024

// A blockStat is what a directory tells of a variable in a block in which it
// changes: of the values that it had before the block's first entry and after
// each change.
type blockStat struct {
	id         VarID // the run's
	changes    int
	types      uint64 // bit n: the type with number n; bit 0: absent
	least, max event.Value
}

// numberTypes are the types that least and max speak of.
const numberTypes = 1<<event.TypeInt | 1<<event.TypeFloat

// note adds a value.
func (s *blockStat) note(v event.Value) {
	if v.IsAbsent() {
		s.types |= 1
		return
	}
	s.types |= typeBit(v.Type())
	if !v.IsNumber() {
		return
	}
	if f, ok := v.AsFloat(); ok && f != f {
		return
	}
	if s.least.IsAbsent() || event.CompareNumeric(v, s.least) < 0 {
		s.least = v
	}
	if s.max.IsAbsent() || event.CompareNumeric(v, s.max) > 0 {
		s.max = v
	}
}

// blockStats gathers the statistics of a block.
type blockStats struct {
	index map[VarID]int
	list  []blockStat
	more  bool
	bases int
}

// note adds that a variable had one value and then the other.
func (b *blockStats) note(id VarID, old, now event.Value) {
	i, ok := b.index[id]
	if !ok {
		if len(b.list) == statsMax {
			b.more = true
			return
		}
		if b.index == nil {
			b.index = map[VarID]int{}
		}
		i = len(b.list)
		b.index[id] = i
		b.list = append(b.list, blockStat{id: id})
		b.list[i].note(old)
	}
	b.list[i].note(now)
	b.list[i].changes++
}

// finish puts the statistics into a block's place, by variable, and begins the
// next block's.
func (b *blockStats) finish(r *blockRef) {
	r.stats, r.more, r.bases = slices.Clone(b.list), b.more, b.bases
	slices.SortFunc(r.stats, func(x, y blockStat) int { return cmp.Compare(x.id, y.id) })
	clear(b.index)
	b.list, b.more, b.bases = b.list[:0], false, 0
}

func (r *blockRef) appendStats(b []byte) []byte {
	n := uint64(len(r.stats)) * 2
	if r.more {
		n++
	}
	b = appendUint(appendCount(b, r.bases), n)
	next := VarID(0)
	for i := range r.stats {
		s := &r.stats[i]
		b = appendUint(b, uint64(s.id-next))
		next = s.id + 1
		b = appendUint(appendCount(b, s.changes), s.types)
		if s.types&numberTypes != 0 {
			b = appendValue(appendValue(b, orNone(s.least)), orNone(s.max))
		}
	}
	return b
}

// orNone is null for a bound that there isn't.
func orNone(v event.Value) event.Value {
	if v.IsAbsent() {
		return event.Null()
	}
	return v
}

func (r *blockRef) decodeStats(d *decoder, vars int) {
	bases, n := d.uint(), d.uint()
	if bases > uint64(r.entries) {
		d.fail(errNumber)
		return
	}
	r.bases, r.more = int(bases), n&1 != 0
	if n /= 2; n > uint64(d.left()/3) || n > statsMax {
		d.fail(errShort)
		return
	}
	next := uint64(0)
	for range n {
		s := blockStat{}
		id := d.uint()
		if d.err != nil || id >= uint64(vars)-next {
			d.fail(errNumber)
			return
		}
		s.id, next = VarID(next+id), next+id+1
		s.changes, s.types = int(min(d.uint(), 1<<62)), d.uint()
		if s.types&numberTypes != 0 {
			s.least, s.max = d.bound(), d.bound()
		}
		r.stats = append(r.stats, s)
	}
}

// bound reads a number; null stands for none.
func (d *decoder) bound() event.Value {
	v := d.value(0)
	switch {
	case v.Type() == event.TypeNull:
		return event.Absent
	case !v.IsNumber():
		d.fail(errValue)
	}
	return v
}

// A Block is a stretch of a node's entries that lie together on disk.
type Block struct {
	Node        int
	First, Last Position  // of its entries
	Bases       int       // among the entries
	Entries     int       // bases too
	Bytes       int       // on disk
	Stats       []VarStat // by Var
	More        bool      // variables without a VarStat may change in it too
}

// A VarStat tells of a variable in a Block that changes it: of the values that
// it had before the block's first entry and after each change in the block. One
// without a VarStat keeps the value that it had.
type VarStat struct {
	Var     VarID
	Changes int
	Absent  bool         // it was absent at some time
	Types   []event.Type // the types that it had, sorted; an int of any size is TypeInt
	// Least and Most bound the numbers among its values but for NaN, compared by
	// their exact value; Absent if there is none.
	Least, Most event.Value
}

// A Blocked is a Source that lies in blocks and knows what is in them without
// reading them.
type Blocked interface {
	// Blocks gives the blocks of a node, in order.
	Blocks(node int) iter.Seq[Block]
	// Events counts the events (no bases) at positions in [from, to) of some nodes
	// (nil: all), and tells when the first one is, hlc.Max if there is none.
	Events(ctx context.Context, from, to Position, nodes []int) (n uint64, first hlc.Timestamp, err error)
}

// Blocks implements Blocked.
func (d *Disk) Blocks(node int) iter.Seq[Block] {
	return func(yield func(Block) bool) {
		for _, p := range d.nodes[node] {
			ref := p.ref()
			b := Block{Node: node, First: ref.first, Last: ref.last, Entries: ref.entries, Bases: ref.bases, Bytes: ref.size, More: ref.more}
			b.First.Node, b.Last.Node = node, node
			for i := range ref.stats {
				b.Stats = append(b.Stats, ref.stats[i].public(p.run.vars))
			}
			slices.SortFunc(b.Stats, func(x, y VarStat) int { return cmp.Compare(x.Var, y.Var) })
			if !yield(b) {
				return
			}
		}
	}
}

func (s *blockStat) public(vars []VarID) VarStat {
	out := VarStat{Var: vars[s.id], Changes: s.changes, Absent: s.types&1 != 0, Least: s.least, Most: s.max}
	for t := event.TypeNull; t <= event.TypeMap; t++ {
		if s.types&(1<<t) != 0 {
			out.Types = append(out.Types, t)
		}
	}
	return out
}
