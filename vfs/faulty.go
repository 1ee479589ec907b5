package vfs

import (
	"fmt"
	"io"
	"io/fs"
	"sync"
)

// An OpKind says what an Op does.
type OpKind uint8

// The kinds of Op, named for the methods of FS and File; OpMapSync is Map.Sync.
const (
	OpCreate OpKind = iota
	OpOpen
	OpOpenWrite
	OpRemove
	OpRename
	OpMkdirAll
	OpReadDir
	OpStat
	OpSyncDir
	OpLock
	OpFree
	OpRead
	OpWrite
	OpSize
	OpTruncate
	OpPreallocate
	OpSync
	OpMap
	OpMapSync
	kindCount // how many there are
)

var kindNames = [kindCount]string{
	"create", "open", "openwrite", "remove", "rename", "mkdir", "readdir", "stat", "syncdir", "lock", "free",
	"read", "write", "size", "truncate", "preallocate", "sync", "map", "mapsync",
}

func (k OpKind) String() string {
	if k < kindCount {
		return kindNames[k]
	}
	return fmt.Sprintf("kind(%d)", k)
}

// Changes reports whether an Op of this kind can change the disk or what of it is
// durable: whether a crash before it and one after it can differ.
func (k OpKind) Changes() bool {
	switch k {
	case OpCreate, OpRemove, OpRename, OpMkdirAll, OpSyncDir, OpLock, OpWrite, OpTruncate, OpPreallocate, OpSync, OpMapSync:
		return true
	}
	return false
}

// An Op is a call that is about to be made.
type Op struct {
	N    int64  // its running number, from 1; reads count too
	Kind OpKind // what it is
	Name string // of the file or directory; of a Rename, the old name
	To   string // of a Rename, the new name
	Off  int64  // of Read, Write, MapSync: the first byte
	Len  int64  // of Read, Write, MapSync: how many bytes; of Truncate, Preallocate, Map: the size
}

func (op Op) String() string {
	s := fmt.Sprintf("%d %s %s", op.N, op.Kind, op.Name)
	switch op.Kind {
	case OpRename:
		s += " to " + op.To
	case OpRead, OpWrite, OpMapSync:
		s += fmt.Sprintf(" [%d, %d)", op.Off, op.Off+op.Len)
	case OpTruncate, OpPreallocate, OpMap:
		s += fmt.Sprintf(" size %d", op.Len)
	}
	return s
}

// A Short, returned by a Faulty's decide for a Write or a MapSync, lets the first
// N bytes of it happen before it fails with Err.
type Short struct {
	N   int // more than the Op has means all of it
	Err error
}

func (s *Short) Error() string { return fmt.Sprintf("after %d bytes: %v", s.N, s.Err) }

// Unwrap returns Err.
func (s *Short) Unwrap() error { return s.Err }

// Faulty is an FS whose operations fail when told to. What is written through
// the Bytes of a Map is no operation and can't fail, as on a real disk. Closing
// never fails.
type Faulty struct {
	inner FS

	mu     sync.Mutex // held while decide runs
	n      int64      // operations so far
	decide func(op Op) error
}

// NewFaulty returns inner with faults. Before each operation decide is told of
// it; if it returns an error, the operation isn't done (see Short) and its error
// wraps that one. decide is called by one goroutine at a time and must not use the
// Faulty; inner it may use: to crash a Mem, for one. A nil decide lets all pass.
func NewFaulty(inner FS, decide func(op Op) error) *Faulty {
	return &Faulty{inner: inner, decide: decide}
}

// Ops returns the number of operations so far.
func (f *Faulty) Ops() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.n
}

// before numbers the operation and returns the error to inject.
func (f *Faulty) before(op Op) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n++
	op.N = f.n
	if f.decide == nil {
		return nil
	}
	if err := f.decide(op); err != nil {
		return &fs.PathError{Op: op.Kind.String(), Path: op.Name, Err: err}
	}
	return nil
}

// Create implements FS.
func (f *Faulty) Create(name string) (File, error) {
	return f.opened(Op{Kind: OpCreate, Name: name}, f.inner.Create)
}

// Open implements FS.
func (f *Faulty) Open(name string) (File, error) {
	return f.opened(Op{Kind: OpOpen, Name: name}, f.inner.Open)
}

// OpenWrite implements FS.
func (f *Faulty) OpenWrite(name string) (File, error) {
	return f.opened(Op{Kind: OpOpenWrite, Name: name}, f.inner.OpenWrite)
}

func (f *Faulty) opened(op Op, open func(string) (File, error)) (File, error) {
	if err := f.before(op); err != nil {
		return nil, err
	}
	file, err := open(op.Name)
	if err != nil {
		return nil, err
	}
	return &faultyFile{File: file, f: f}, nil
}

// Remove implements FS.
func (f *Faulty) Remove(name string) error {
	if err := f.before(Op{Kind: OpRemove, Name: name}); err != nil {
		return err
	}
	return f.inner.Remove(name)
}

// Rename implements FS.
func (f *Faulty) Rename(oldName, newName string) error {
	if err := f.before(Op{Kind: OpRename, Name: oldName, To: newName}); err != nil {
		return err
	}
	return f.inner.Rename(oldName, newName)
}

// MkdirAll implements FS.
func (f *Faulty) MkdirAll(dir string) error {
	if err := f.before(Op{Kind: OpMkdirAll, Name: dir}); err != nil {
		return err
	}
	return f.inner.MkdirAll(dir)
}

// ReadDir implements FS.
func (f *Faulty) ReadDir(dir string) ([]string, error) {
	if err := f.before(Op{Kind: OpReadDir, Name: dir}); err != nil {
		return nil, err
	}
	return f.inner.ReadDir(dir)
}

// Stat implements FS.
func (f *Faulty) Stat(name string) (fs.FileInfo, error) {
	if err := f.before(Op{Kind: OpStat, Name: name}); err != nil {
		return nil, err
	}
	return f.inner.Stat(name)
}

// SyncDir implements FS.
func (f *Faulty) SyncDir(dir string) error {
	if err := f.before(Op{Kind: OpSyncDir, Name: dir}); err != nil {
		return err
	}
	return f.inner.SyncDir(dir)
}

// Lock implements FS.
func (f *Faulty) Lock(name string) (io.Closer, error) {
	if err := f.before(Op{Kind: OpLock, Name: name}); err != nil {
		return nil, err
	}
	return f.inner.Lock(name)
}

// Free implements FS.
func (f *Faulty) Free(dir string) (int64, error) {
	if err := f.before(Op{Kind: OpFree, Name: dir}); err != nil {
		return 0, err
	}
	return f.inner.Free(dir)
}
