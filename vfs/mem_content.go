package vfs

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"unsafe"
)

// content is a file's bytes as they are, in cur, and as they are on the device as
// far as anybody knows: harm is what the device hides.
//
// Copies are made late: contents of several Mems, and cur and device of one, may be
// the same memory, which nobody writes to before having made it its own. What is
// mapped is never shared, for its writes aren't seen.
type content struct {
	cur          []byte // current; its length is the size. Maps share it
	device       []byte // durable bytes; what it is too short for is zero
	curShared    bool
	deviceShared bool
	deviceSize   int   // the durable size, in bytes
	sizeMin      int   // the smallest size since the last Sync, in bytes; a crash may show it
	low, high    int   // outside of [low, high) cur is as device, unless there are maps
	maps         int   // open Maps; while there are any, cur stays where it is
	harm         *harm // nil if the device is sound
}

var errMapped = errors.New("the file is mapped: its size can't change")

func (c *content) resize(size int64) error {
	switch {
	case size < 0 || size > math.MaxInt:
		return fs.ErrInvalid
	case size == int64(len(c.cur)):
		return nil
	case c.maps > 0:
		return errMapped
	}
	n, old := int(size), len(c.cur)
	switch {
	case n <= old:
	case n <= cap(c.cur) && !c.curShared:
		clear(c.cur[old:n])
	default:
		c.moveCur(n)
	}
	c.cur = c.cur[:n]
	c.sizeMin = min(c.sizeMin, n)
	c.differs(min(n, old), max(n, old))
	return nil
}

// moveCur gives cur memory of its own, for n bytes.
func (c *content) moveCur(n int) {
	var to []byte
	if old := len(c.cur); old == 0 || n == old {
		to = allocate(n) // it may become a mapping
	} else {
		to = make([]byte, n, max(n, 2*old))
	}
	copyShared(to[:len(c.cur)], c.cur)
	c.cur, c.curShared = to, false
}

// differs says that bytes in [from, to) may differ from the device's.
func (c *content) differs(from, to int) {
	if c.low >= c.high {
		c.low, c.high = from, to
		return
	}
	c.low, c.high = min(c.low, from), max(c.high, to)
}

// write puts b at off, where there is room.
func (c *content) write(b []byte, off int) {
	if c.curShared {
		c.moveCur(len(c.cur))
	}
	copyShared(c.cur[off:off+len(b)], b)
	c.differs(off, off+len(b))
}

// synced says that all of the file is durable.
func (c *content) synced() {
	c.deviceSize, c.sizeMin = len(c.cur), len(c.cur)
	c.low, c.high = 0, 0
}

// sectors returns the range of whole sectors that hold [from, to), up to the end of
// the file: end is where the last one ends.
func (c *content) sectors(from, to int) (first, last, end int) {
	end = (to + SectorSize - 1) / SectorSize * SectorSize
	return from - from%SectorSize, min(end, len(c.cur)), end
}

// syncRange copies the sectors that hold [from, to) to the device; what they have
// past the end of the file is zero.
func (c *content) syncRange(from, to int) {
	from, to, end := c.sectors(from, to)
	for to > max(len(c.device), from) { // zeros need no room
		at := max((to-1)/SectorSize*SectorSize, len(c.device), from)
		if !zeroShared(c.cur[at:to]) {
			break
		}
		to = at
	}
	if from >= to {
		return
	}
	c.ownDevice(to)
	copyShared(c.device[from:to], c.cur[from:to])
	clear(c.device[to:max(to, min(end, len(c.device)))])
}

// ownDevice gives the device memory of its own, n bytes at least.
func (c *content) ownDevice(n int) {
	old := len(c.device)
	switch {
	case n <= old && !c.deviceShared:
	case n <= cap(c.device) && !c.deviceShared:
		c.device = c.device[:n]
		clear(c.device[old:])
	default:
		size := max(n, old)
		to := make([]byte, size, max(size, min(2*size, len(c.cur))))
		copy(to, c.device)
		c.device, c.deviceShared = to, false
	}
}

// cutDevice drops what a truncation has cut off: it is zero if it comes back.
func (c *content) cutDevice() {
	c.device = c.device[:min(len(c.device), len(c.cur))]
}

// crash makes the file what a power loss may leave of it.
func (c *content) crash(pick func(n int) int) {
	size := c.deviceSize
	if sizes := distinct(c.deviceSize, len(c.cur), c.sizeMin); len(sizes) > 1 {
		size = sizes[pick(len(sizes))]
	}
	if c.low < c.high {
		to := c.cur
		if c.curShared || size != len(to) {
			to = sized(c.cur, size)
		}
		var buf [SectorSize]byte
		for at := c.low - c.low%SectorSize; at < min(c.high, size); at += SectorSize {
			end := min(at+SectorSize, size)
			old := c.onDevice(buf[:], at, end)
			switch {
			case string(old) == string(to[at:end]):
			case pick(2) == 1:
				c.harm.written(at / SectorSize)
			default:
				copy(to[at:end], old)
			}
		}
		*c = content{cur: to, device: to, curShared: true, deviceShared: true, harm: c.harm}
	}
	c.synced()
	c.settle()
}

// onDevice copies the device's bytes of a sector to b.
func (c *content) onDevice(b []byte, from, to int) []byte {
	n := 0
	if from < len(c.device) {
		n = copy(b[:to-from], c.device[from:])
	}
	clear(b[n : to-from])
	return b[:to-from]
}

// sectorOnDevice is the device's bytes of a sector.
func (c *content) sectorOnDevice(sector int) []byte {
	return c.onDevice(make([]byte, SectorSize), sector*SectorSize, (sector+1)*SectorSize)
}

// clone returns what another Mem has of it, where nothing is mapped.
func (c *content) clone() content {
	to := *c
	to.maps, to.harm = 0, c.harm.clone()
	c.deviceShared, to.deviceShared = true, true
	if c.maps > 0 {
		to.cur, to.curShared = sized(c.cur, len(c.cur)), false
		to.differs(0, len(to.cur))
	} else {
		c.curShared, to.curShared = true, true
	}
	return to
}

// mapped returns the current bytes, page-aligned as a mapping is.
func (c *content) mapped() []byte {
	if c.maps == 0 && (c.curShared || !isPageAligned(c.cur)) {
		b := pageAligned(len(c.cur))
		copyShared(b, c.cur)
		c.cur, c.curShared = b, false
	}
	return c.cur
}

// unmapped is told that the last Map is gone. If all of it is durable, which is
// how a segment ends, one copy does.
func (c *content) unmapped() {
	defer c.settle()
	c.differs(0, len(c.cur))
	n := len(c.device)
	if c.deviceSize != len(c.cur) || c.sizeMin != len(c.cur) || n > len(c.cur) || string(c.cur[:n]) != string(c.device) || !zeroShared(c.cur[n:]) {
		return
	}
	c.low, c.high = 0, 0
	c.device, c.curShared, c.deviceShared = c.cur[:n:n], true, true
}

// sized returns a copy of b, cut or filled with zeros to size.
func sized(b []byte, size int) []byte {
	to := allocate(size)
	n := min(size, len(b))
	copyShared(to[:n], b[:n])
	return to
}

// allocate returns size zero bytes. What is as long as a page is page-aligned: the
// allocator nearly always gives such memory anyway.
func allocate(size int) []byte {
	if size < os.Getpagesize() {
		return make([]byte, size)
	}
	return pageAligned(size)
}

func pageAligned(size int) []byte {
	if b := make([]byte, size); isPageAligned(b) {
		return b
	}
	b := make([]byte, size+os.Getpagesize())
	skip := -int(uintptr(unsafe.Pointer(unsafe.SliceData(b)))) & (os.Getpagesize() - 1)
	return b[skip : skip+size : skip+size]
}

func isPageAligned(b []byte) bool {
	return uintptr(unsafe.Pointer(unsafe.SliceData(b)))&uintptr(os.Getpagesize()-1) == 0
}

// distinct returns the numbers without repetitions, in order.
func distinct(numbers ...int) []int {
	var to []int
	for i, n := range numbers {
		seen := false
		for _, m := range numbers[:i] {
			seen = seen || m == n
		}
		if !seen {
			to = append(to, n)
		}
	}
	return to
}

// copyShared copies src to dst, of equal length, word by word, as a kernel and a
// device do: while others write to it, and unseen by the race detector. (copy
// would be seen, also here.)
//
//go:norace
func copyShared(dst, src []byte) {
	if len(dst) != len(src) {
		panic(fmt.Sprintf("vfs: copy of %d bytes to %d", len(src), len(dst)))
	}
	d, s := unsafe.Pointer(unsafe.SliceData(dst)), unsafe.Pointer(unsafe.SliceData(src))
	i := 0
	for ; i+8 <= len(src); i += 8 {
		*(*uint64)(unsafe.Add(d, i)) = *(*uint64)(unsafe.Add(s, i))
	}
	for ; i < len(src); i++ {
		*(*byte)(unsafe.Add(d, i)) = *(*byte)(unsafe.Add(s, i))
	}
}

// zeroShared reports whether all bytes are zero, with the freedom of copyShared.
//
//go:norace
func zeroShared(b []byte) bool {
	p := unsafe.Pointer(unsafe.SliceData(b))
	i := 0
	for ; i+8 <= len(b); i += 8 {
		if *(*uint64)(unsafe.Add(p, i)) != 0 {
			return false
		}
	}
	for ; i < len(b); i++ {
		if *(*byte)(unsafe.Add(p, i)) != 0 {
			return false
		}
	}
	return true
}
