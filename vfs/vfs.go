// Package vfs is the one door to files: real ones (OS), files in memory that
// lose power the way disks do and whose medium may be damaged (Mem), and either with
// operations that fail on demand (Faulty).
//
// What a simulated disk can suffer: it is full (Mem.SetCapacity), tears writes
// (Mem.Crash), rots, loses and misdirects writes, has unreadable sectors
// (Mem.Damage), fails an operation (Faulty). That it is slow is its driver's to do:
// nothing here takes time.
//
// The contract is the POSIX one that a log needs, no more. Durability is
// explicit, and of three kinds:
//
//   - bytes and size of a file: durable after File.Sync returned nil
//   - bytes of a mapped range: durable after Map.Sync returned nil, provided that
//     the file's size was durable before (Preallocate, then File.Sync)
//   - names: what was created, renamed or removed in a directory is durable after
//     SyncDir of that directory returned nil. A directory is itself a name in its
//     parent
//
// Until then a power loss may keep or lose each change, and of changed bytes each
// sector on its own. After an error from a Sync nothing is known of what it
// should have made durable, and a later nil does not make it so.
package vfs

import (
	"errors"
	"io"
	"io/fs"
)

// SectorSize is the unit that a device writes whole or not at all, in bytes.
const SectorSize = 512

// ErrLocked is wrapped by the error of FS.Lock when another process, or another holder in
// this one, has the lock.
var ErrLocked = errors.New("locked by another process")

// ErrNoSpace is wrapped by every error that means that the disk is full
// (ENOSPC, EDQUOT), whatever the implementation.
var ErrNoSpace = errors.New("no space left on device")

// ErrMedium is wrapped by the error of a read that finds a sector unreadable (EIO),
// whatever the implementation.
var ErrMedium = errors.New("the medium can't be read")

// An FS is a tree of files. Names are slash-separated paths. It is safe for
// concurrent use. Its errors wrap fs.ErrNotExist, fs.ErrExist and fs.ErrClosed
// where these apply.
type FS interface {
	// Create makes a file, or truncates the one that is there, mode 0600, open for
	// reading and writing. Its directory exists.
	Create(name string) (File, error)
	// Open opens an existing file for reading only.
	Open(name string) (File, error)
	// OpenWrite opens an existing file for reading and writing.
	OpenWrite(name string) (File, error)
	// Remove removes a file or an empty directory. Files and Maps that are open stay
	// usable.
	Remove(name string) error
	// Rename moves a file or directory, replacing a file that has the new name. It is
	// atomic: a power loss before SyncDir (of both directories, if they differ) leaves
	// it under one of the two names, and never newName without a file if it had one.
	Rename(oldName, newName string) error
	// MkdirAll makes a directory and its parents, mode 0700.
	MkdirAll(dir string) error
	// ReadDir returns the entries' base names, sorted.
	ReadDir(dir string) ([]string, error)
	Stat(name string) (fs.FileInfo, error)
	// SyncDir makes the names in dir durable.
	SyncDir(dir string) error
	// Lock takes the exclusive lock of the file name, which it creates; closing
	// releases it, and so does the death of the process. ErrLocked if taken, by this
	// process or another. The file is left there: nobody removes a lock file.
	Lock(name string) (io.Closer, error)
	// Free returns the bytes that can still be written below dir.
	Free(dir string) (int64, error)
}

// A File is an open file. ReadAt and WriteAt may be called concurrently. While
// the file is mapped its size stays as it is: Mem refuses to change it, a real
// file would answer a later access with SIGBUS.
type File interface {
	io.ReaderAt
	// WriteAt writes past the end too; a gap reads as zero. An error that wraps
	// ErrNoSpace may come after a part was written.
	io.WriterAt
	io.Closer
	// Name is the name that the file was opened by.
	Name() string
	Size() (int64, error)
	Truncate(size int64) error
	// Preallocate makes the file at least size bytes long and reserves every block
	// of [0, size), so that a write there can't fail for lack of space: an error that
	// wraps ErrNoSpace now instead of a SIGBUS later. Bytes read as zero unless
	// written before. On error the size is what it was. It is not called concurrently
	// with writes.
	Preallocate(size int64) error
	// Sync makes durable the size and all bytes, whether written by WriteAt or
	// through a Map.
	Sync() error
	// Map maps the first size bytes, shared and writable, and touches every page.
	// The file was opened for writing and is at least that long, else it is an error.
	// The Map outlives the File's Close.
	Map(size int) (Map, error)
}

// A Map is a file's bytes in memory: what is written to it File.ReadAt reads, and
// the other way round. Bytes may be read and written by many goroutines under the
// caller's own rules; words that are shared without a lock are accessed by
// LoadUint64 and its kin of this package.
type Map interface {
	// Bytes is the mapping itself, valid until Close; its start is page-aligned.
	Bytes() []byte
	// Sync makes bytes [from, to) durable, and perhaps more. It covers the bytes and
	// not the file's size. 0 <= from <= to <= len(Bytes()), else it panics. It may
	// run while other goroutines write, also inside the range.
	Sync(from, to int) error
	// Close unmaps. The caller makes sure that nobody uses Bytes any more.
	Close() error
}
