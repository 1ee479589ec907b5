package vfs_test

import (
	"slices"
	"testing"

	"hindcast.dev/vfs"
)

func TestRemoveAllTakesWhatIsBelowAndNothingBeside(t *testing.T) {
	m := vfs.NewMem()
	for _, dir := range []string{"a/b/c", "ab"} {
		if err := m.MkdirAll(dir); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"a/x", "a/b/c/y", "ab/z"} {
		if err := vfs.WriteFile(m, name, []byte(name)); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // the second time there is nothing of this name
		if err := vfs.RemoveAll(m, "a"); err != nil {
			t.Fatal(err)
		}
	}
	if names, err := m.ReadDir(""); err != nil || !slices.Equal(names, []string{"ab"}) {
		t.Errorf("left: %v, %v", names, err)
	}
	if err := vfs.RemoveAll(m, "ab/z"); err != nil {
		t.Fatal(err)
	}
	if names, err := m.ReadDir("ab"); err != nil || len(names) != 0 {
		t.Errorf("left in ab: %v, %v", names, err)
	}
}
