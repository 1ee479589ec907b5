package vfs

import (
	"errors"
	"math"
	"testing"

	"golang.org/x/sys/unix"
)

// TestAFullDiskIsAnErrorAndNeverASignal runs on a tmpfs of its own, which only
// root may mount; TestCapacity says the same of Mem.
func TestAFullDiskIsAnErrorAndNeverASignal(t *testing.T) {
	const size = 1 << 20
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "size=1m"); err != nil {
		t.Skipf("can't mount a tmpfs on %s: %v", dir, err)
	}
	t.Cleanup(func() { ok(t, unix.Unmount(dir, 0)) })
	fsys := OS()
	segment, err := fsys.Create(dir + "/segment")
	ok(t, err)
	wantErr(t, segment.Preallocate(size+1), ErrNoSpace)
	wantErr(t, segment.Preallocate(math.MaxInt64), nil)
	wantBytes(t, segment, "")
	ok(t, segment.Truncate(0))
	ok(t, segment.Preallocate(size/2))
	ok(t, segment.Sync())

	filler, err := fsys.Create(dir + "/filler")
	ok(t, err)
	written := int64(0)
	for block := make([]byte, 10_000); ; {
		n, err := filler.WriteAt(block, written)
		written += int64(n)
		if err != nil {
			wantErr(t, err, ErrNoSpace)
			break
		}
	}
	if free, err := fsys.Free(dir); free != 0 || err != nil || written > size/2 {
		t.Errorf("%d bytes free after %d: %v", free, written, err)
	}
	ok(t, filler.Close())

	m, err := segment.Map(size / 2)
	ok(t, err)
	for i := range m.Bytes() {
		m.Bytes()[i] = 1 // all of it is reserved
	}
	ok(t, m.Sync(0, size/2))
	ok(t, m.Close())
	wantErr(t, WriteFile(fsys, dir+"/f", make([]byte, 5000)), ErrNoSpace)
	wantNames(t, fsys, dir, "filler", "segment")
	ok(t, fsys.Remove(dir+"/filler"))
	ok(t, segment.Preallocate(size*3/4))
	ok(t, segment.Close())
	ok(t, WriteFile(fsys, dir+"/f", make([]byte, 5000)))
}

// Map checks the size itself; this is what it would get from the system for a
// page that can't be had, instead of a SIGBUS.
func TestPrefaultPastTheEndIsAnError(t *testing.T) {
	f, err := OS().Create(t.TempDir() + "/f")
	ok(t, err)
	defer f.Close()
	ok(t, f.Truncate(1))
	_, err = mapFile(f.(*osFile).f, 100_000)
	if !errors.Is(err, unix.EFAULT) {
		t.Errorf("error %v, want EFAULT (or, before Linux 5.14, this test to have died)", err)
	}
}
