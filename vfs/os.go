package vfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// OS returns the real file system. Relative names are relative to the working
// directory.
//
// Linux is where recording is done and tested. The file system below is a
// journaling one that overwrites in place (ext4, xfs) or tmpfs. On one that
// copies on write (btrfs, ZFS) no call can reserve the blocks of a second
// overwrite: keep free space there, or a full disk ends the process by SIGBUS
// instead of an error. Darwin has all of it too, untested. On other systems
// Preallocate, Map, Lock and Free return an error that wraps
// errors.ErrUnsupported, and SyncDir does nothing: enough to read recordings and
// to write reports.
func OS() FS { return osFS{} }

type osFS struct{}

func (osFS) Create(name string) (File, error) {
	return openOS(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
}

// Open refuses what isn't a file before it is opened: a pipe would wait for a
// writer, and a device has no end. Both may stand in a directory that somebody
// else made.
func (osFS) Open(name string) (File, error) {
	info, err := os.Stat(filepath.FromSlash(name))
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: errors.Unwrap(err)}
	}
	if m := info.Mode(); !m.IsRegular() && !m.IsDir() {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fmt.Errorf("it is no regular file (%v): copy what it holds into one", m.Type())}
	}
	return openOS(name, os.O_RDONLY)
}

func (osFS) OpenWrite(name string) (File, error) { return openOS(name, os.O_RDWR) }

func (osFS) Remove(name string) error { return os.Remove(filepath.FromSlash(name)) }

func (osFS) Rename(oldName, newName string) error {
	return spaceError(os.Rename(filepath.FromSlash(oldName), filepath.FromSlash(newName)))
}

func (osFS) MkdirAll(dir string) error {
	return spaceError(os.MkdirAll(filepath.FromSlash(dir), 0o700))
}

func (osFS) ReadDir(dir string) ([]string, error) {
	entries, err := os.ReadDir(filepath.FromSlash(dir)) // sorted
	if err != nil {
		return nil, err
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, nil
}

func (osFS) Stat(name string) (fs.FileInfo, error) { return os.Stat(filepath.FromSlash(name)) }

func (osFS) SyncDir(dir string) error { return syncDir(filepath.FromSlash(dir)) }

func (osFS) Lock(name string) (io.Closer, error) {
	f, err := os.OpenFile(filepath.FromSlash(name), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, spaceError(err)
	}
	if err := lockFile(f); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", name, err), f.Close())
	}
	return osLock{f}, nil
}

func (osFS) Free(dir string) (int64, error) {
	n, err := freeBytes(filepath.FromSlash(dir))
	if err != nil {
		return 0, &fs.PathError{Op: "free", Path: dir, Err: err}
	}
	return n, nil
}

// An osLock is a held lock. Closing unlocks first: a child that was being forked
// may still share the descriptor, and would else hold the lock until its exec.
type osLock struct{ f *os.File }

func (l osLock) Close() error { return errors.Join(unlockFile(l.f), l.f.Close()) }

type osFile struct {
	f    *os.File
	name string // as the caller gave it
}

func openOS(name string, flag int) (File, error) {
	f, err := os.OpenFile(filepath.FromSlash(name), flag, 0o600)
	if err != nil {
		return nil, spaceError(err)
	}
	return &osFile{f: f, name: name}, nil
}

func (f *osFile) Name() string              { return f.name }
func (f *osFile) Close() error              { return f.f.Close() }
func (f *osFile) Truncate(size int64) error { return spaceError(f.f.Truncate(size)) }
func (f *osFile) Sync() error               { return spaceError(f.f.Sync()) }

func (f *osFile) ReadAt(b []byte, off int64) (int, error) {
	n, err := f.f.ReadAt(b, off)
	return n, mediumErr(err)
}

func (f *osFile) WriteAt(b []byte, off int64) (int, error) {
	n, err := f.f.WriteAt(b, off)
	return n, spaceError(err)
}

func (f *osFile) Size() (int64, error) {
	info, err := f.f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

func (f *osFile) Preallocate(size int64) error {
	if err := preallocate(f.f, size); err != nil {
		return spaceError(&fs.PathError{Op: "preallocate", Path: f.name, Err: err})
	}
	return nil
}

func (f *osFile) Map(size int) (Map, error) {
	have, err := f.Size()
	if err != nil {
		return nil, err
	}
	if err := checkMapSize(size, have); err != nil {
		return nil, &fs.PathError{Op: "map", Path: f.name, Err: err}
	}
	m, err := mapFile(f.f, size)
	if err != nil {
		return nil, spaceError(&fs.PathError{Op: "map", Path: f.name, Err: err})
	}
	return m, nil
}

// checkMapSize refuses what would be a SIGBUS at the first access past the end.
func checkMapSize(size int, fileSize int64) error {
	if size <= 0 || int64(size) > fileSize {
		return fmt.Errorf("can't map %d bytes of a file of %d: preallocate it first", size, fileSize)
	}
	return nil
}

// checkRange asserts that [from, to) lies inside n bytes.
func checkRange(from, to, n int) {
	if from < 0 || from > to || to > n {
		panic(fmt.Sprintf("vfs: range [%d, %d) outside of %d bytes", from, to, n))
	}
}

// preallocateByWriting reserves blocks the slow way, where the system has no call
// for it: every block is rewritten as it reads, so that holes get filled too.
func preallocateByWriting(f *os.File, size int64) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	buf := make([]byte, min(size, 1<<20))
	for off := int64(0); off < size; off += int64(len(buf)) {
		b := buf[:min(int64(len(buf)), size-off)]
		n, err := f.ReadAt(b, off)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		clear(b[n:])
		if _, err := f.WriteAt(b, off); err != nil {
			if size > info.Size() {
				err = errors.Join(err, f.Truncate(info.Size()))
			}
			return err
		}
	}
	return nil
}

// A noSpaceError makes the system's error one that wraps ErrNoSpace, and adds
// the remedy.
type noSpaceError struct{ err error }

func (e noSpaceError) Error() string   { return e.err.Error() + " (free some, then try again)" }
func (e noSpaceError) Unwrap() []error { return []error{ErrNoSpace, e.err} }

// mediumErr makes the system's error one that wraps ErrMedium.
func mediumErr(err error) error {
	if err != nil && errors.Is(err, syscall.EIO) {
		return fmt.Errorf("%w: %w", ErrMedium, err)
	}
	return err
}

func spaceError(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return noSpaceError{err}
	}
	return err
}
