package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestReadmeCommandsPrintWhatItShows runs the README's blocks of sh as they stand,
// one after the other in one directory, and compares the block that follows: its
// lines must come in this order, … is anything.
func TestReadmeCommandsPrintWhatItShows(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: the commands make a failure small, which takes seconds; go test without -short runs them")
	}
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skipf("the commands need a shell: %v", err)
	}
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	bin, dir := t.TempDir(), t.TempDir()
	self, err := filepath.Abs(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, filepath.Join(bin, "hindcast")); err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split("\n"+string(readme), "\n```")
	ran := 0
	for i := 1; i < len(blocks); i += 2 {
		script, isShell := strings.CutPrefix(blocks[i], "sh\n")
		if !isShell {
			continue
		}
		ran++
		cmd := exec.Command(sh, "-c", script)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"))
		out, err := cmd.CombinedOutput()
		if strings.Contains(string(out), "error: ") {
			t.Fatalf("%s: %v\n%s", script, err, out)
		}
		if i+2 >= len(blocks) || !strings.HasPrefix(blocks[i+2], "\n") {
			continue
		}
		rest := string(out)
		for want := range strings.Lines(blocks[i+2][1:]) {
			want = strings.TrimRight(want, "\n")
			at := regexp.MustCompile(`(?m)^` + strings.ReplaceAll(regexp.QuoteMeta(want), "…", `.*`)).FindStringIndex(rest)
			if at == nil {
				t.Fatalf("%s: no line %q, after those before it, in\n%s", script, want, out)
			}
			rest = rest[at[1]:]
		}
	}
	if ran < 4 {
		t.Errorf("%d blocks of sh ran", ran)
	}
}
