package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hindcast.dev/app"
)

// The pages about the teaching examples show commands and what they print. The
// lines shown must come, in their order; others may come between them.
func TestSimulatedStoriesAreAsTold(t *testing.T) {
	if testing.Short() {
		t.Skip("two hundred runs, to make failures small")
	}
	for _, page := range []string{"sim-twophase.md", "sim-lease.md"} {
		t.Run(page, func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join("..", "..", "docs", page))
			if err != nil {
				t.Fatal(err)
			}
			t.Chdir(t.TempDir())
			blocks := strings.Split(string(text), "```console\n$ ")[1:]
			for _, b := range blocks {
				b, _, _ = strings.Cut(b, "\n```")
				line, want, _ := strings.Cut(b, "\n")
				told(t, line, want)
			}
			if len(blocks) != 3 {
				t.Errorf("%d commands, want to find one, make it small and explain it", len(blocks))
			}
		})
	}
}

// told runs a command of a page and looks for the lines that it should print.
func told(t *testing.T, line, want string) {
	t.Helper()
	if script, rest, piped := strings.Cut(line, "' | "); piped {
		script = strings.ReplaceAll(strings.TrimPrefix(script, "printf '"), `\n`, "\n")
		if err := os.WriteFile("script", []byte(script), 0o600); err != nil {
			t.Fatal(err)
		}
		line = strings.Replace(rest, "--script -", "--script script", 1)
	}
	var out, errs bytes.Buffer
	root := command()
	root.SetOut(&out)
	root.SetErr(&errs)
	code := app.Run(root, strings.Fields(line)[1:], &errs)
	if code != app.ExitHolds && code != app.ExitFound {
		t.Fatalf("%s: exit code %d\n%s", line, code, errs.String())
	}
	rest := out.String()
	for w := range strings.Lines(want) {
		w = strings.TrimSpace(w)
		_, after, found := strings.Cut(rest, w)
		if !found {
			t.Fatalf("%s: the page has\n%s\nwhich isn't there, or comes earlier:\n%s", line, w, out.String())
		}
		rest = after
	}
}
