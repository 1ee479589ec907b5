package vfs_test

import (
	"testing"

	"hindcast.dev/vfs"
)

func TestMkdirSyncOutlivesAPowerLoss(t *testing.T) {
	for _, dir := range []string{"a/b/c", "/a/b/c", "a"} {
		m := vfs.NewMem()
		if err := vfs.MkdirSync(m, dir); err != nil {
			t.Fatal(err)
		}
		m = m.Crash(func(int) int { return 0 })
		if _, err := m.ReadDir(dir); err != nil {
			t.Errorf("%s: %v", dir, err)
		}
	}
}
