package vfs

import (
	"os"

	"golang.org/x/sys/unix"
)

// preallocate writes: F_PREALLOCATE promises less on APFS.
func preallocate(f *os.File, size int64) error { return preallocateByWriting(f, size) }

func prefault(b []byte) error {
	touch(b)
	return nil
}

// syncFile returns a descriptor for flush that outlives f.
func syncFile(f *os.File) (*os.File, error) {
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), f.Name()), nil
}

// flush adds F_FULLFSYNC, which File.Sync is on darwin: msync alone stops at the
// drive's cache.
func (m *osMap) flush(from, to int) error {
	if err := retry(func() error { return unix.Msync(m.b[from:to], unix.MS_SYNC) }); err != nil {
		return err
	}
	return m.file.Sync()
}

func freeBytes(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := retry(func() error { return unix.Statfs(dir, &st) }); err != nil {
		return 0, err
	}
	return int64(st.Bavail) * int64(st.Bsize), nil
}
