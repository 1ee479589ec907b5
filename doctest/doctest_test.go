package doctest

import (
	"os"
	"path/filepath"
	"testing"
)

// failures is a test that counts what it is told.
type failures struct {
	testing.TB
	errors int
}

func (f *failures) Helper()               {}
func (f *failures) Errorf(string, ...any) { f.errors++ }

func TestASectionIsComparedAndWrittenAnew(t *testing.T) {
	file := filepath.Join(t.TempDir(), "page.md")
	const page = "# A page\n<!-- table: made from code -->\nold\n<!-- end -->\ntail\n"
	if err := os.WriteFile(file, []byte(page), 0o600); err != nil {
		t.Fatal(err)
	}
	f := &failures{TB: t}
	Section(f, file, "<!-- table", "old\n", false)
	if f.errors != 0 {
		t.Error("what is as it should be fails")
	}
	Section(f, file, "<!-- table", "new\n", false)
	if f.errors != 1 {
		t.Error("what is not as it should be passes")
	}
	Section(f, file, "<!-- table", "new\n", true)
	b, err := os.ReadFile(file)
	if want := "# A page\n<!-- table: made from code -->\nnew\n<!-- end -->\ntail\n"; err != nil || string(b) != want {
		t.Errorf("the page is now %q (%v), want %q", b, err, want)
	}
}
