package vfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"unsafe"
)

// content is a file's bytes as they are and as they are on the device.
type content struct {
	cur        []byte // current; its length is the size. Maps share it
	device     []byte // durable bytes; what it is too short for is zero
	deviceSize int    // the durable size, in bytes
	sizeMin    int    // the smallest size since the last Sync, in bytes; a crash may show it
	maps       int    // open Maps; while there are any, cur stays where it is
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
	if n > cap(c.cur) {
		grown := make([]byte, n, max(n, 2*old))
		copy(grown, c.cur)
		c.cur = grown
	}
	c.cur = c.cur[:n]
	if n > old {
		clear(c.cur[old:])
	}
	c.sizeMin = min(c.sizeMin, n)
	return nil
}

func (c *content) sync() {
	c.device = c.device[:min(len(c.device), len(c.cur))] // what was cut off is zero if it comes back
	c.syncRange(0, len(c.cur))
	c.deviceSize, c.sizeMin = len(c.cur), len(c.cur)
}

// syncRange copies the sectors that hold [from, to) to the device; what they have
// past the end of the file is zero.
func (c *content) syncRange(from, to int) {
	from -= from % SectorSize
	end := (to + SectorSize - 1) / SectorSize * SectorSize
	to = min(end, len(c.cur))
	if to > len(c.device) {
		c.device = append(c.device, make([]byte, to-len(c.device))...)
	}
	if from < to {
		copyShared(c.device[from:to], c.cur[from:to])
		clear(c.device[to:max(to, min(end, len(c.device)))])
	}
}

// crash makes the file what a power loss may leave of it.
func (c *content) crash(pick func(n int) int) {
	size := c.deviceSize
	if sizes := distinct(c.deviceSize, len(c.cur), c.sizeMin); len(sizes) > 1 {
		size = sizes[pick(len(sizes))]
	}
	old, now := sized(c.device, size), sized(c.cur, size)
	for at := 0; at < size; at += SectorSize {
		end := min(at+SectorSize, size)
		if string(old[at:end]) != string(now[at:end]) && pick(2) == 1 {
			copy(old[at:end], now[at:end])
		}
	}
	*c = content{cur: old, deviceSize: size, sizeMin: size}
	c.sync()
}

func (c *content) clone() content {
	to := content{deviceSize: c.deviceSize, sizeMin: c.sizeMin}
	to.cur, to.device = sized(c.cur, len(c.cur)), sized(c.device, len(c.device))
	return to
}

// mapped returns the current bytes, page-aligned as a mapping is.
func (c *content) mapped() []byte {
	if c.maps == 0 {
		b := pageAligned(len(c.cur))
		copy(b, c.cur)
		c.cur = b
	}
	return c.cur
}

// sized returns a copy of b, cut or filled with zeros to size.
func sized(b []byte, size int) []byte {
	to := make([]byte, size)
	n := min(size, len(b))
	copyShared(to[:n], b[:n])
	return to
}

func pageAligned(size int) []byte {
	page := os.Getpagesize()
	b := make([]byte, size+page)
	skip := -int(uintptr(unsafe.Pointer(unsafe.SliceData(b)))) & (page - 1)
	return b[skip : skip+size : skip+size]
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

// A memFile is an open file of a Mem, whose lock guards it.
type memFile struct {
	m      *Mem
	n      *memNode
	name   string
	write  bool
	closed bool
}

func (f *memFile) Name() string { return f.name }

func (f *memFile) Close() error {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if err := f.usable("close", false); err != nil {
		return err
	}
	f.closed = true
	f.n.opens--
	f.m.released(f.n)
	return nil
}

func (f *memFile) ReadAt(b []byte, off int64) (int, error) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if err := f.usable("read", false); err != nil {
		return 0, err
	}
	cur := f.n.content.cur
	switch {
	case off < 0:
		return 0, pathError("read", f.name, fs.ErrInvalid)
	case len(b) == 0:
		return 0, nil
	case off >= int64(len(cur)):
		return 0, io.EOF
	}
	n := min(len(b), len(cur)-int(off))
	copyShared(b[:n], cur[off:int(off)+n])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

// WriteAt writes what fits if the disk gets full.
func (f *memFile) WriteAt(b []byte, off int64) (int, error) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if err := f.usable("write", true); err != nil {
		return 0, err
	}
	if off < 0 || off > math.MaxInt-int64(len(b)) {
		return 0, pathError("write", f.name, fs.ErrInvalid)
	}
	if len(b) == 0 {
		return 0, nil
	}
	var full error
	size, end := int64(len(f.n.content.cur)), off+int64(len(b))
	if end > size {
		if free := f.m.capacity - f.m.used; end-size > free {
			end = max(size, size+free)
			full = noSpaceError{ErrNoSpace}
		}
		if end <= off {
			return 0, pathError("write", f.name, full)
		}
		if err := f.m.resize(f.n, max(end, size)); err != nil {
			return 0, pathError("write", f.name, err)
		}
	}
	n := int(end - off)
	copyShared(f.n.content.cur[off:end], b[:n])
	if full != nil {
		return n, pathError("write", f.name, full)
	}
	return n, nil
}

func (f *memFile) Size() (int64, error) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if err := f.usable("stat", false); err != nil {
		return 0, err
	}
	return int64(len(f.n.content.cur)), nil
}

func (f *memFile) Truncate(size int64) error { return f.resize("truncate", size, false) }

func (f *memFile) Preallocate(size int64) error { return f.resize("preallocate", size, true) }

func (f *memFile) resize(op string, size int64, onlyGrow bool) error {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if err := f.usable(op, true); err != nil {
		return err
	}
	if onlyGrow {
		size = max(size, int64(len(f.n.content.cur)))
	}
	if err := f.m.resize(f.n, size); err != nil {
		return pathError(op, f.name, err)
	}
	return nil
}

func (f *memFile) Sync() error {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if err := f.usable("sync", false); err != nil {
		return err
	}
	f.n.content.sync()
	return nil
}

func (f *memFile) Map(size int) (Map, error) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if err := f.usable("map", true); err != nil {
		return nil, err
	}
	c := &f.n.content
	if err := checkMapSize(size, int64(len(c.cur))); err != nil {
		return nil, pathError("map", f.name, err)
	}
	b := c.mapped()[:size:size]
	c.maps++
	f.n.opens++
	return &memMap{m: f.m, n: f.n, name: f.name, b: b}, nil
}

// usable is the error of an operation on a closed or read-only file, or nil.
func (f *memFile) usable(op string, write bool) error {
	if f.closed {
		return pathError(op, f.name, fs.ErrClosed)
	}
	if write && !f.write {
		return pathError(op, f.name, fs.ErrPermission)
	}
	return nil
}

// A memMap shares a file's current bytes. The Mem's lock guards it.
type memMap struct {
	m    *Mem
	n    *memNode
	name string
	b    []byte // nil after Close
}

func (p *memMap) Bytes() []byte { return p.b }

func (p *memMap) Sync(from, to int) error {
	p.m.mu.Lock()
	defer p.m.mu.Unlock()
	if p.b == nil {
		return pathError("msync", p.name, fs.ErrClosed)
	}
	checkRange(from, to, len(p.b))
	if from < to {
		p.n.content.syncRange(from, to)
	}
	return nil
}

func (p *memMap) Close() error {
	p.m.mu.Lock()
	defer p.m.mu.Unlock()
	if p.b == nil {
		return pathError("munmap", p.name, fs.ErrClosed)
	}
	p.b = nil
	p.n.content.maps--
	p.n.opens--
	p.m.released(p.n)
	return nil
}
