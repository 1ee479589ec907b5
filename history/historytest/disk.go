package historytest

import (
	"context"

	"hindcast.dev/history"
	"hindcast.dev/vfs"
)

// A Fataler is a *testing.T, *testing.B or *rapid.T.
type Fataler interface{ Fatal(args ...any) }

// OnDisk copies a History into dir of a file system and opens it there. It is for
// the caller to close.
func OnDisk(t Fataler, fsys vfs.FS, dir string, src history.Source, opts history.DiskOptions) *history.Disk {
	w, err := history.CreateDisk(fsys, dir, opts)
	if err == nil {
		err = history.Copy(context.Background(), w, src)
	}
	if err == nil {
		err = w.Finish()
	}
	if err != nil {
		t.Fatal(err)
	}
	d, err := history.OpenDisk(fsys, dir)
	if err != nil {
		t.Fatal(err)
	}
	return d
}
