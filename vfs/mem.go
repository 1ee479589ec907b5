package vfs

import (
	"errors"
	"io"
	"io/fs"
	"maps"
	"math"
	"path"
	"slices"
	"strings"
	"sync"
	"time"
)

// Mem is a file system in memory that knows what would survive a power loss. It
// has no clock: modification times are zero. "/a", "a" and "./a" are one name.
//
//	       writes, names            SyncDir, Sync, Map.Sync
//	you ─────────────────▶ current ─────────────────────────▶ durable
//	                          │                                  │
//	                          ├── Restart: all of this           │
//	                          └── Crash: between this and that ──┘
//
// Its medium is sound until Damage makes it otherwise.
type Mem struct {
	mu       sync.Mutex // guards everything below, the nodes' fields too
	root     *memNode
	pending  []*nameChange // changes of names that are not durable, oldest first
	capacity int64         // bytes
	used     int64         // bytes of all files that have a name or are open; <= capacity unless that was lowered
	arms     []arm         // damages that wait for a write
	struck   []Damage      // those that happened, oldest first
}

// A memNode is a file or a directory.
type memNode struct {
	dir     bool
	entries map[string]*memNode // of a directory, current
	synced  map[string]*memNode // of a directory, durable
	at      place               // where the node is in the durable tree
	content content             // of a file
	linked  bool                // it is in the current tree
	opens   int                 // open Files and Maps
	locked  bool
}

// A place is a name in a directory; the zero place is nowhere.
type place struct {
	dir  *memNode
	name string
}

// NewMem returns an empty file system of unlimited capacity.
func NewMem() *Mem {
	root := newMemDir()
	root.linked = true
	return &Mem{root: root, capacity: math.MaxInt64}
}

func newMemDir() *memNode {
	return &memNode{dir: true, entries: map[string]*memNode{}, synced: map[string]*memNode{}}
}

// SetCapacity makes the disk one of that many bytes (only file contents count).
// Below what is used already, nothing is lost and nothing can grow.
func (m *Mem) SetCapacity(bytes int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.capacity = bytes
}

// Create implements FS.
func (m *Mem) Create(name string) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.create("create", name)
	if err != nil {
		return nil, err
	}
	if err := m.resize(n, 0); err != nil {
		return nil, pathError("create", name, err)
	}
	return m.open(n, name, true), nil
}

// Open implements FS.
func (m *Mem) Open(name string) (File, error) { return m.openExisting(name, false) }

// OpenWrite implements FS.
func (m *Mem) OpenWrite(name string) (File, error) { return m.openExisting(name, true) }

// Remove implements FS.
func (m *Mem) Remove(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	at, n, err := m.find(name)
	switch {
	case err != nil:
		return pathError("remove", name, err)
	case n == nil:
		return pathError("remove", name, fs.ErrNotExist)
	case n == m.root:
		return pathError("remove", name, fs.ErrInvalid)
	case len(n.entries) > 0:
		return pathError("remove", name, errNotEmpty)
	}
	m.move(n, at, place{})
	return nil
}

// Rename implements FS.
func (m *Mem) Rename(oldName, newName string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	fail := func(err error) error { return pathError("rename", oldName+" to "+newName, err) }
	from, n, err := m.find(oldName)
	if err != nil || n == nil {
		return fail(cmpErr(err, fs.ErrNotExist))
	}
	to, there, err := m.find(newName)
	switch {
	case err != nil:
		return fail(err)
	case n == m.root || n.dir && inside(newName, oldName):
		return fail(fs.ErrInvalid)
	case n == there:
		return nil
	case there != nil && there.dir:
		return fail(fs.ErrExist)
	case there != nil && n.dir:
		return fail(errNotDir)
	}
	m.move(n, from, to)
	return nil
}

// MkdirAll implements FS.
func (m *Mem) MkdirAll(dir string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.root
	for _, name := range split(dir) {
		next := n.entries[name]
		if next == nil {
			next = newMemDir()
			m.move(next, place{}, place{n, name})
		}
		if !next.dir {
			return pathError("mkdir", dir, errNotDir)
		}
		n = next
	}
	return nil
}

// ReadDir implements FS.
func (m *Mem) ReadDir(dir string) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.findDir("readdir", dir)
	if err != nil {
		return nil, err
	}
	return slices.Sorted(maps.Keys(n.entries)), nil
}

// Stat implements FS.
func (m *Mem) Stat(name string) (fs.FileInfo, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, n, err := m.find(name)
	if err != nil || n == nil {
		return nil, pathError("stat", name, cmpErr(err, fs.ErrNotExist))
	}
	return memInfo{name: path.Base(path.Clean("/" + name)), size: int64(len(n.content.cur)), dir: n.dir}, nil
}

// SyncDir implements FS.
func (m *Mem) SyncDir(dir string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.findDir("syncdir", dir)
	if err != nil {
		return err
	}
	m.syncNames(n)
	return nil
}

// Lock implements FS. What holds it is not a process but this Mem: Crash and
// Restart release it.
func (m *Mem) Lock(name string) (io.Closer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.create("lock", name)
	if err != nil {
		return nil, err
	}
	if n.locked {
		return nil, pathError("lock", name, ErrLocked)
	}
	n.locked = true
	return &memLock{m: m, n: n}, nil
}

// Free implements FS.
func (m *Mem) Free(dir string) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, err := m.findDir("free", dir); err != nil {
		return 0, err
	}
	return max(0, m.capacity-m.used), nil
}

func (m *Mem) openExisting(name string, write bool) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, n, err := m.find(name)
	switch {
	case err != nil:
		return nil, pathError("open", name, err)
	case n == nil:
		return nil, pathError("open", name, fs.ErrNotExist)
	case n.dir:
		return nil, pathError("open", name, errIsDir)
	}
	return m.open(n, name, write), nil
}

// create finds the file or makes it.
func (m *Mem) create(op, name string) (*memNode, error) {
	at, n, err := m.find(name)
	switch {
	case err != nil:
		return nil, pathError(op, name, err)
	case n == nil:
		n = &memNode{}
		m.move(n, place{}, at)
	case n.dir:
		return nil, pathError(op, name, errIsDir)
	}
	return n, nil
}

func (m *Mem) open(n *memNode, name string, write bool) *memFile {
	n.opens++
	return &memFile{m: m, n: n, name: name, write: write}
}

// find returns where name is or would be, and the node there or nil. It is an
// error if its directory isn't there.
func (m *Mem) find(name string) (place, *memNode, error) {
	parts := split(name)
	if len(parts) == 0 {
		return place{}, m.root, nil
	}
	dir := m.root
	for _, part := range parts[:len(parts)-1] {
		dir = dir.entries[part]
		if dir == nil {
			return place{}, nil, fs.ErrNotExist
		}
		if !dir.dir {
			return place{}, nil, errNotDir
		}
	}
	at := place{dir, parts[len(parts)-1]}
	return at, dir.entries[at.name], nil
}

func (m *Mem) findDir(op, name string) (*memNode, error) {
	_, n, err := m.find(name)
	if err == nil && n == nil {
		err = fs.ErrNotExist
	}
	if err == nil && !n.dir {
		err = errNotDir
	}
	if err != nil {
		return nil, pathError(op, name, err)
	}
	return n, nil
}

// resize sets the size of a file, and accounts for it.
func (m *Mem) resize(n *memNode, size int64) error {
	grow := size - int64(len(n.content.cur))
	if grow > 0 && grow > m.capacity-m.used {
		return noSpaceError{ErrNoSpace}
	}
	if err := n.content.resize(size); err != nil {
		return err
	}
	m.used += grow
	return nil
}

// released gives back the space of a file that nobody can reach any more. Its
// bytes stay: a crash may undo the removal.
func (m *Mem) released(n *memNode) {
	if !n.linked && n.opens == 0 {
		m.used -= int64(len(n.content.cur))
	}
}

// A memLock is a held lock.
type memLock struct {
	m *Mem
	n *memNode // nil after Close; guarded by m.mu
}

func (l *memLock) Close() error {
	l.m.mu.Lock()
	defer l.m.mu.Unlock()
	if l.n == nil {
		return fs.ErrClosed
	}
	l.n.locked = false
	l.n = nil
	return nil
}

// A memInfo is what Stat tells.
type memInfo struct {
	name string
	size int64
	dir  bool
}

func (i memInfo) Name() string       { return i.name }
func (i memInfo) Size() int64        { return i.size }
func (i memInfo) ModTime() time.Time { return time.Time{} }
func (i memInfo) IsDir() bool        { return i.dir }
func (i memInfo) Sys() any           { return nil }
func (i memInfo) Mode() fs.FileMode {
	if i.dir {
		return fs.ModeDir | 0o700
	}
	return 0o600
}

var (
	errNotDir   = errors.New("not a directory")
	errIsDir    = errors.New("is a directory")
	errNotEmpty = dirNotEmpty{}
)

// dirNotEmpty is fs.ErrExist too, as the system's error is.
type dirNotEmpty struct{}

func (dirNotEmpty) Error() string { return "directory not empty" }
func (dirNotEmpty) Unwrap() error { return fs.ErrExist }

func pathError(op, name string, err error) error {
	return &fs.PathError{Op: op, Path: name, Err: err}
}

// cmpErr returns the first that is not nil.
func cmpErr(err, otherwise error) error {
	if err != nil {
		return err
	}
	return otherwise
}

// split returns the parts of a name below the root.
func split(name string) []string {
	clean := path.Clean("/" + name)[1:]
	if clean == "" {
		return nil
	}
	return strings.Split(clean, "/")
}

// inside reports whether name is below dir.
func inside(name, dir string) bool {
	return strings.HasPrefix(path.Clean("/"+name), path.Clean("/"+dir)+"/")
}
