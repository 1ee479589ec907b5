// Package vfs is the one door to files: real ones, files in memory that lose
// power the way disks do, and either with faults on demand.
//
// The contract is the POSIX one that a log needs, no more. Durability is
// explicit: what was written is durable after File.Sync or Map.Sync returned
// nil; a name that was created, renamed or removed is durable after SyncDir of
// its directory returned nil. After an error from a Sync nothing is known of
// what it should have made durable, and a later nil does not make it so.
package vfs

import (
	"errors"
	"io"
	"io/fs"
)

// SectorSize is the unit that a device writes whole or not at all, in bytes.
const SectorSize = 512

// ErrLocked is returned by FS.Lock when another process, or another holder in
// this one, has the lock.
var ErrLocked = errors.New("locked by another process")

// ErrNoSpace is wrapped by every error that means that the disk is full
// (ENOSPC, EDQUOT), whatever the implementation.
var ErrNoSpace = errors.New("no space left on device")

// An FS is a tree of files. Names are slash-separated paths. It is safe for
// concurrent use.
type FS interface {
	// Create makes or truncates a file, mode 0600, open for reading and writing.
	Create(name string) (File, error)
	// Open opens an existing file for reading only.
	Open(name string) (File, error)
	// OpenWrite opens an existing file for reading and writing.
	OpenWrite(name string) (File, error)
	Remove(name string) error
	Rename(oldName, newName string) error
	// MkdirAll makes a directory and its parents, mode 0700.
	MkdirAll(dir string) error
	// ReadDir returns the entries' base names, sorted.
	ReadDir(dir string) ([]string, error)
	Stat(name string) (fs.FileInfo, error)
	// SyncDir makes the names in dir durable.
	SyncDir(dir string) error
	// Lock takes the exclusive lock of the file name, which it creates; closing
	// releases it, and so does the death of the process. ErrLocked if taken.
	Lock(name string) (io.Closer, error)
	// Free returns the bytes that can still be written below dir.
	Free(dir string) (int64, error)
}

// A File is an open file. ReadAt and WriteAt may be called concurrently.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Name() string
	Size() (int64, error)
	Truncate(size int64) error
	// Preallocate makes the file size bytes long and reserves every block of it,
	// so that a write inside it can't fail for lack of space: an error that wraps
	// ErrNoSpace now instead of a SIGBUS later. The bytes read as zero unless
	// written before.
	Preallocate(size int64) error
	Sync() error
	// Map maps the first size bytes, shared and writable, and touches every page.
	// The file was opened for writing and is at least that long. The Map outlives
	// the File's Close.
	Map(size int) (Map, error)
}

// A Map is a file's bytes in memory. Bytes may be read and written by many
// goroutines under the caller's own rules; words that are shared without a lock
// are accessed by LoadUint64 and its kin of this package.
type Map interface {
	// Bytes is the mapping itself, valid until Close; its start is page-aligned.
	Bytes() []byte
	// Sync makes bytes [from, to) durable, and perhaps more.
	Sync(from, to int) error
	// Close unmaps. The caller makes sure that nobody uses Bytes any more.
	Close() error
}
