package vfs

import (
	"errors"
)

// A faultyFile is an open file of a Faulty; Name and Close pass.
type faultyFile struct {
	File
	f *Faulty
}

func (f *faultyFile) before(kind OpKind, off, length int64) error {
	return f.f.before(Op{Kind: kind, Name: f.Name(), Off: off, Len: length})
}

func (f *faultyFile) ReadAt(b []byte, off int64) (int, error) {
	if err := f.before(OpRead, off, int64(len(b))); err != nil {
		return 0, err
	}
	return f.File.ReadAt(b, off)
}

func (f *faultyFile) WriteAt(b []byte, off int64) (int, error) {
	err := f.before(OpWrite, off, int64(len(b)))
	if err == nil {
		return f.File.WriteAt(b, off)
	}
	n := shortLen(err, len(b))
	if n == 0 {
		return 0, err
	}
	n, err2 := f.File.WriteAt(b[:n], off)
	return n, errors.Join(err, err2)
}

func (f *faultyFile) Size() (int64, error) {
	if err := f.before(OpSize, 0, 0); err != nil {
		return 0, err
	}
	return f.File.Size()
}

func (f *faultyFile) Truncate(size int64) error {
	if err := f.before(OpTruncate, 0, size); err != nil {
		return err
	}
	return f.File.Truncate(size)
}

func (f *faultyFile) Preallocate(size int64) error {
	if err := f.before(OpPreallocate, 0, size); err != nil {
		return err
	}
	return f.File.Preallocate(size)
}

func (f *faultyFile) Sync() error {
	if err := f.before(OpSync, 0, 0); err != nil {
		return err
	}
	return f.File.Sync()
}

func (f *faultyFile) Map(size int) (Map, error) {
	if err := f.before(OpMap, 0, int64(size)); err != nil {
		return nil, err
	}
	m, err := f.File.Map(size)
	if err != nil {
		return nil, err
	}
	return &faultyMap{Map: m, f: f.f, name: f.Name()}, nil
}

// A faultyMap is a Map of a Faulty; Bytes and Close pass.
type faultyMap struct {
	Map
	f    *Faulty
	name string
}

func (m *faultyMap) Sync(from, to int) error {
	err := m.f.before(Op{Kind: OpMapSync, Name: m.name, Off: int64(from), Len: int64(to - from)})
	if err == nil {
		return m.Map.Sync(from, to)
	}
	if n := shortLen(err, to-from); n > 0 {
		err = errors.Join(err, m.Map.Sync(from, from+n))
	}
	return err
}

// shortLen is how many bytes of n an injected error lets through.
func shortLen(err error, n int) int {
	short, ok := errors.AsType[*Short](err)
	if !ok {
		return 0
	}
	return max(0, min(short.N, n))
}
