package vfs

import (
	"io"
	"io/fs"
	"math"
)

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
	if at := f.n.content.unreadable(int(off), int(off)+n); at >= 0 {
		return 0, pathError("read", f.name, &mediumError{at})
	}
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
	f.n.content.write(b[:n], int(off))
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
	f.m.sync(f.n)
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
	if at := c.unreadable(0, size); at >= 0 {
		return nil, pathError("map", f.name, &mediumError{at})
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
		p.m.syncRange(p.n, from, to)
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
	if p.n.content.maps--; p.n.content.maps == 0 {
		p.n.content.unmapped()
	}
	p.n.opens--
	p.m.released(p.n)
	return nil
}
