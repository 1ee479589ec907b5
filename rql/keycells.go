package rql

import (
	"math"

	"hindcast.dev/event"
)

// keyedCells hold what the entries of one map variable have, key by key: a block
// of words for each key that is or was there, so that an event which writes one
// entry touches a line or two of memory.
//
//	word 0           how many nodes have the entry, for how many there is room,
//	                 how many of the cells are ints, and how many are not absent
//	nodes            those that have it, ascending, four in a word
//	kinds            of the cells, eight in a word: part after part, by place in nodes
//	cells            likewise, one in a word; of cellOther a place in wide
//
// Blocks lie in chunks, none across two. Of few nodes every block has room for all,
// and lies where the key's row says. Of more they move where more nodes come to
// have the entry; what a block left is used again by those of its size.
type keyedCells struct {
	parts  int
	room   int      // nodes that there are: no block has more
	size   int      // words of a block that has room for all
	kinds  int      // where they begin in it
	at     []uint32 // by keyRow, of many nodes: chunk<<16 | word; noBlock where there is none
	chunks [][]uint64
	used   int              // words of the last chunk
	free   map[int][]uint32 // by room
	wide   []event.Value
	spare  []uint32 // places of wide that nothing uses
}

func newKeyedCells(parts, nodes int) keyedCells {
	c := keyedCells{parts: parts, room: nodes, kinds: 1 + (nodes+3)/4}
	c.size = c.words(nodes)
	return c
}

const (
	// nodesMax bounds the nodes, and the cells of a key, where maps are kept by key.
	nodesMax   = math.MaxUint16
	noBlock    = math.MaxUint32
	chunkWords = 1 << 16
	roomMin    = 4
	roomFull   = 16  // so many nodes are few
	rowsChunk  = 256 // of few nodes: rows whose blocks are in one chunk
)

// A block is a key's entries, in words.
type block struct {
	w     []uint64
	count int // of nodes
	room  int
	kinds int // where they begin
	cells int // likewise
}

// open is the block of a key; its count is 0 where there is none.
func (c *keyedCells) open(r keyRow) (b block) {
	if c.room <= roomFull {
		return c.fixed(r)
	}
	if int(r) >= len(c.at) || c.at[r] == noBlock {
		return b
	}
	at := c.at[r]
	return c.view(at)
}

// fixed is open where there are few nodes.
func (c *keyedCells) fixed(r keyRow) (b block) {
	i := int(r) / rowsChunk
	if i >= len(c.chunks) || c.chunks[i] == nil {
		return b
	}
	b.w = c.chunks[i][int(r)%rowsChunk*c.size:]
	b.count, b.room = int(b.w[0]&0xffff), c.room
	b.kinds = c.kinds
	b.cells = b.kinds + (b.room*c.parts+7)/8
	return b
}

// makeFixed is fixed, where a chunk is made if need be.
func (c *keyedCells) makeFixed(r keyRow) block {
	for int(r)/rowsChunk >= len(c.chunks) {
		c.chunks = append(c.chunks, nil)
	}
	if chunk := &c.chunks[int(r)/rowsChunk]; *chunk == nil {
		*chunk = make([]uint64, rowsChunk*c.size)
	}
	return c.fixed(r)
}

func (c *keyedCells) view(at uint32) (b block) {
	b.w = c.chunks[at>>16][at&(chunkWords-1):]
	b.count, b.room = int(b.w[0]&0xffff), int(b.w[0]>>16&0xffff)
	b.kinds = 1 + (b.room+3)/4
	b.cells = b.kinds + (b.room*c.parts+7)/8
	return b
}

// plain reports whether every cell is an int.
func (b *block) plain(parts int) bool { return int(b.w[0]>>32&0xffff) == b.count*parts }

// bare reports whether every cell is absent.
func (b *block) bare() bool { return b.count == 0 || b.w[0]>>48 == 0 }

func (b *block) node(i int) int { return int(b.w[1+i/4] >> (i % 4 * 16) & 0xffff) }

func (b *block) setNode(i, node int) {
	shift := i % 4 * 16
	b.w[1+i/4] = b.w[1+i/4]&^(0xffff<<shift) | uint64(node)<<shift
}

// find is the place of a node, or where it would be.
func (b *block) find(node int) (i int, ok bool) {
	if node < b.count && b.node(node) == node { // all nodes before it have the entry too
		return node, true
	}
	low, high := 0, b.count
	for low < high {
		mid := (low + high) / 2
		if b.node(mid) < node {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low, low < b.count && b.node(low) == node
}

// kind is that of a cell.
func (b *block) kind(at int) cellKind { return cellKind(b.w[b.kinds+at/8] >> (at % 8 * 8)) }

// cell is what is in a cell.
func (b *block) cell(at int) cell { return cell{b.w[b.cells+at], b.kind(at)} }

// put puts bits of a kind into a cell.
func (b *block) put(at int, to cell) {
	was := b.kind(at)
	b.w[b.cells+at] = to.bits
	if was == to.kind {
		return
	}
	shift := at % 8 * 8
	b.w[b.kinds+at/8] ^= uint64(was^to.kind) << shift
	if was == cellInt {
		b.w[0] -= 1 << 32
	}
	if to.kind == cellInt {
		b.w[0] += 1 << 32
	}
	if was == cellAbsent {
		b.w[0] += 1 << 48
	}
	if to.kind == cellAbsent {
		b.w[0] -= 1 << 48
	}
}

// value is what a node has in a part.
func (c *keyedCells) value(b *block, i, part int) event.Value {
	x := b.cell(part*b.room + i)
	if x.kind == cellOther {
		return c.wide[x.bits]
	}
	return x.value().v
}

// set gives a node another value in a part. It reports whether it is another.
func (c *keyedCells) set(b *block, i, part int, v event.Value) {
	at := part*b.room + i
	to := cellOf(v)
	if was := b.cell(at); was.kind == cellOther {
		if to.kind == cellOther {
			c.wide[was.bits] = v
			return
		}
		c.release(was.bits)
	}
	if to.kind == cellOther {
		to.bits = c.widen(v)
	}
	b.put(at, to)
}

func (c *keyedCells) widen(v event.Value) uint64 {
	if n := len(c.spare); n > 0 {
		at := c.spare[n-1]
		c.spare = c.spare[:n-1]
		c.wide[at] = v
		return uint64(at)
	}
	c.wide = append(c.wide, v)
	return uint64(len(c.wide) - 1)
}

func (c *keyedCells) release(at uint64) {
	c.wide[at] = event.Absent
	c.spare = append(c.spare, uint32(at))
}

// insert makes room for a node at place i, where all parts are absent.
func (c *keyedCells) insert(r keyRow, i, node int) block {
	b := c.open(r)
	switch {
	case b.w == nil && c.room <= roomFull:
		b = c.makeFixed(r)
	case b.count == b.room:
		b = c.grow(r, b)
	}
	for j := b.count; j > i; j-- {
		b.setNode(j, b.node(j-1))
		for p := range c.parts {
			b.put(p*b.room+j, b.cell(p*b.room+j-1))
		}
	}
	b.setNode(i, node)
	b.count++
	b.w[0]++
	for p := range c.parts {
		b.put(p*b.room+i, cell{})
	}
	return b
}

// remove takes the node at place i out.
func (c *keyedCells) remove(r keyRow, i int) {
	b := c.open(r)
	for p := range c.parts {
		c.set(&b, i, p, event.Absent)
	}
	for j := i; j < b.count-1; j++ {
		b.setNode(j, b.node(j+1))
		for p := range c.parts {
			b.put(p*b.room+j, b.cell(p*b.room+j+1))
		}
	}
	for p := range c.parts {
		b.put(p*b.room+b.count-1, cell{})
	}
	b.w[0]--
	if b.count == 1 && c.room > roomFull {
		c.drop(c.at[r], b.room)
		c.at[r] = noBlock
	}
}

// grow moves a key's entries to a larger block.
func (c *keyedCells) grow(r keyRow, old block) block {
	for int(r) >= len(c.at) {
		c.at = append(c.at, noBlock)
	}
	at := c.make(min(c.room, max(roomMin, 2*old.room)))
	b := c.view(at)
	for i := range old.count {
		b.setNode(i, old.node(i))
		for p := range c.parts {
			b.put(p*b.room+i, old.cell(p*old.room+i))
		}
	}
	if old.room > 0 {
		c.drop(c.at[r], old.room)
	}
	b.count = old.count
	b.w[0] += uint64(old.count)
	c.at[r] = at
	return b
}

// make finds place for a block without entries.
func (c *keyedCells) make(room int) uint32 {
	size := c.words(room)
	if free := c.free[room]; len(free) > 0 {
		at := free[len(free)-1]
		c.free[room] = free[:len(free)-1]
		clear(c.view(at).w[:size])
		c.view(at).w[0] = uint64(room) << 16
		return at
	}
	last := len(c.chunks) - 1
	if last < 0 || c.used+size > len(c.chunks[last]) {
		c.chunks = append(c.chunks, make([]uint64, max(size, chunkWords>>max(0, 10-len(c.chunks)))))
		c.used = 0
		last++
	}
	at := uint32(last)<<16 | uint32(c.used)
	c.chunks[last][c.used] = uint64(room) << 16
	c.used += size
	return at
}

// words is how long a block is.
func (c *keyedCells) words(room int) int {
	return 1 + (room+3)/4 + (room*c.parts+7)/8 + room*c.parts
}

// drop gives a block back.
func (c *keyedCells) drop(at uint32, room int) {
	if c.free == nil {
		c.free = map[int][]uint32{}
	}
	c.free[room] = append(c.free[room], at)
}

// extreme is the least or greatest of a part's ints.
func (b *block) extreme(parts, part int, most bool) cell {
	switch {
	case b.count == 0:
		return giveUp
	case !b.plain(parts):
		return b.oddExtreme(part, most)
	}
	cells := b.w[b.cells+part*b.room:][:b.count]
	best := int64(cells[0])
	if most {
		for _, w := range cells {
			best = max(best, int64(w))
		}
		return intCell(best)
	}
	for _, w := range cells {
		best = min(best, int64(w))
	}
	return intCell(best)
}

// oddExtreme is extreme where not all cells are ints.
func (b *block) oddExtreme(part int, most bool) cell {
	best, some := int64(math.MaxInt64), false
	if most {
		best = math.MinInt64
	}
	for i := range b.count {
		switch c := b.cell(part*b.room + i); c.kind {
		case cellAbsent:
		case cellInt:
			some = true
			if most {
				best = max(best, c.int())
			} else {
				best = min(best, c.int())
			}
		default:
			return giveUp
		}
	}
	if !some {
		return giveUp
	}
	return intCell(best)
}

// sum is that of a part's ints.
func (b *block) sum(part int) cell {
	total := intCell(0)
	for i := 0; i < b.count && total.kind == cellInt; i++ {
		switch c := b.cell(part*b.room + i); c.kind {
		case cellAbsent:
		case cellInt:
			total = added(total, c)
		default:
			return giveUp
		}
	}
	return total
}

// present is how many nodes have a part.
func (b *block) present(part int) cell {
	n := int64(0)
	for i := range b.count {
		if b.kind(part*b.room+i) != cellAbsent {
			n++
		}
	}
	return intCell(n)
}
