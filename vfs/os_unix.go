//go:build linux || darwin

package vfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"
)

// lockFile uses flock, not fcntl: its locks belong to the open file, so that a
// second holder in this process is refused and closing another descriptor of the
// same file releases nothing.
func lockFile(f *os.File) error {
	err := retry(func() error { return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) })
	if errors.Is(err, unix.EWOULDBLOCK) {
		return fmt.Errorf("%w: stop the process that uses this directory first", ErrLocked)
	}
	return err
}

func unlockFile(f *os.File) error {
	return retry(func() error { return unix.Flock(int(f.Fd()), unix.LOCK_UN) })
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(spaceError(f.Sync()), f.Close())
}

// An osMap is a shared mapping.
type osMap struct {
	name string
	file *os.File // what flush syncs beside the mapping; nil where it needs none

	mu sync.RWMutex // held for reading by Sync, so that Close can't unmap under it
	b  []byte       // nil after Close
}

func mapFile(f *os.File, size int) (Map, error) {
	b, err := unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, err
	}
	if err := prefault(b); err != nil {
		return nil, errors.Join(fmt.Errorf("prefault: %w", err), unix.Munmap(b))
	}
	file, err := syncFile(f)
	if err != nil {
		return nil, errors.Join(err, unix.Munmap(b))
	}
	return &osMap{name: f.Name(), file: file, b: b}, nil
}

func (m *osMap) Bytes() []byte { return m.b }

func (m *osMap) Sync(from, to int) error {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.b == nil {
		return &fs.PathError{Op: "msync", Path: m.name, Err: fs.ErrClosed}
	}
	checkRange(from, to, len(m.b))
	if from == to {
		return nil
	}
	if err := m.flush(from&^(os.Getpagesize()-1), to); err != nil {
		return spaceError(&fs.PathError{Op: "msync", Path: m.name, Err: err})
	}
	return nil
}

func (m *osMap) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.b == nil {
		return &fs.PathError{Op: "munmap", Path: m.name, Err: fs.ErrClosed}
	}
	err := unix.Munmap(m.b)
	m.b = nil
	if m.file != nil {
		err = errors.Join(err, m.file.Close())
	}
	return err
}

// touch reads one byte of each page, so that the first access of the fast path
// finds it in memory.
func touch(b []byte) {
	var sum byte
	for i := 0; i < len(b); i += os.Getpagesize() {
		sum ^= b[i]
	}
	runtime.KeepAlive(sum)
}

// retry calls until it isn't interrupted: the Go runtime preempts by signals.
func retry(call func() error) error {
	for {
		if err := call(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
