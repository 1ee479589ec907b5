package debug

import (
	"bytes"
	"context"
	"os"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// Whatever is typed, and whatever a recording holds, a session doesn't panic and
// prints nothing that a terminal would obey.
func FuzzCommands(f *testing.F) {
	for _, file := range []string{"testdata/store.txt", "testdata/diagram.txt"} {
		b, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for i, line := range strings.Split(string(b), "\n") {
			if cut, ok := strings.CutPrefix(line, "> "); ok {
				f.Add(uint8(i), cut)
			}
		}
	}
	text, err := os.ReadFile("testdata/diagram.txt")
	if err != nil {
		f.Fatal(err)
	}
	var hostile string
	for _, block := range strings.Split(string(text), "load\n") {
		if strings.Contains(block, "evil") {
			hostile, _, _ = strings.Cut(block, "----")
		}
	}
	f.Fuzz(func(t *testing.T, steps uint8, line string) {
		if len(line) > 1000 {
			return
		}
		var out bytes.Buffer
		s := NewSession(load(t, hostile), &out)
		ctx := context.Background()
		for range steps % 5 {
			if err := s.Do(ctx, "step"); err != nil {
				t.Fatal(err)
			}
		}
		err := s.Do(ctx, line)
		if err != nil && err.Error() == "" {
			t.Error("an error that says nothing")
		}
		s.Complete(line, len(line)/2)
		for _, r := range out.String() {
			if r == utf8.RuneError || r != '\n' && r != '\t' && !unicode.IsPrint(r) {
				t.Fatalf("%q printed %q", line, out.String())
			}
		}
	})
}
