// Package doctest holds what a document says against what the code has, for tests.
package doctest

import (
	"os"
	"strings"
	"testing"
)

// end ends a section of a document that is made from code.
const end = "<!-- end -->\n"

// Section compares what stands in a file between the line that begins with mark, a
// comment, and the line <!-- end --> with what is wanted there. With rewrite it writes
// that; else the test fails where they differ. A file without such a section ends the
// test.
func Section(t testing.TB, file, mark, want string, rewrite bool) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, begins := strings.Cut(string(b), mark)
	line, rest, whole := strings.Cut(rest, "\n")
	got, tail, ends := strings.Cut(rest, end)
	switch {
	case !begins || !whole || !ends:
		t.Fatalf("%s has no section from %s to %s", file, mark, strings.TrimSpace(end))
	case got == want:
	case !rewrite:
		t.Errorf("%s: the section %s isn't as the code is (-rewrite writes it anew):\n%swant\n%s", file, mark, got, want)
	default:
		if err := os.WriteFile(file, []byte(head+mark+line+"\n"+want+end+tail), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
