package vfs

import (
	"errors"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// preallocateStep is how much one fallocate is asked for, in bytes: tmpfs undoes
// an interrupted call, and a long one might never get through between signals.
const preallocateStep = 4 << 20

// preallocate reserves first and sets the size last, so that an error leaves the
// size alone.
func preallocate(f *os.File, size int64) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	for off := int64(0); off < size; off += preallocateStep {
		n := min(preallocateStep, size-off)
		err := retry(func() error {
			return unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_KEEP_SIZE, off, n)
		})
		if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) {
			return preallocateByWriting(f, size)
		}
		if err != nil {
			return err
		}
	}
	if size > info.Size() {
		err = f.Truncate(size)
	}
	runtime.KeepAlive(f)
	return err
}

// prefault maps every page for reading. Mapping for writing would dirty pages
// that nobody wrote, and write a whole segment to disk at each restart.
func prefault(b []byte) error {
	err := retry(func() error { return unix.Madvise(b, unix.MADV_POPULATE_READ) })
	if errors.Is(err, unix.EINVAL) { // before Linux 5.14
		touch(b)
		return nil
	}
	return err
}

// syncFile is nil: msync reaches the file through the mapping.
func syncFile(*os.File) (*os.File, error) { return nil, nil }

// flush relies on msync(MS_SYNC) being fdatasync of the range: it waits for the
// device and commits the metadata that reading the bytes back needs, such as that
// a preallocated block is now written.
func (m *osMap) flush(from, to int) error {
	return retry(func() error { return unix.Msync(m.b[from:to], unix.MS_SYNC) })
}

func freeBytes(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := retry(func() error { return unix.Statfs(dir, &st) }); err != nil {
		return 0, err
	}
	return int64(st.Bavail) * int64(st.Frsize), nil
}
