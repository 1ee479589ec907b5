package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// A docCommand is a command of a document with what it says of it.
type docCommand struct {
	words []string
	exit  int
	want  []string // lines that are printed, in this order; … is anything
}

// docCommands are the commands in blocks of console.
func docCommands(t *testing.T, text string) []docCommand {
	t.Helper()
	var all []docCommand
	inside := false
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		command, isCommand := strings.CutPrefix(line, "$ ")
		switch {
		case strings.HasPrefix(line, "```"):
			inside = line == "```console"
		case inside && isCommand:
			all = append(all, parseCommand(t, command))
		case inside:
			last := &all[len(all)-1]
			last.want = append(last.want, line)
		}
	}
	return all
}

// parseCommand reads a line with words, words in quotes, and # exit N.
func parseCommand(t *testing.T, line string) docCommand {
	t.Helper()
	var c docCommand
	line, comment, _ := strings.Cut(line, " # ")
	if comment != "" {
		if _, err := fmt.Sscanf(comment, "exit %d", &c.exit); err != nil {
			t.Fatalf("# %s: %v", comment, err)
		}
	}
	for _, m := range regexp.MustCompile(`'([^']*)'|(\S+)`).FindAllStringSubmatch(line, -1) {
		c.words = append(c.words, m[1]+m[2])
	}
	return c
}

// TestSimulatorsDocumentSaysWhatHappens runs what docs/sim.md shows, in one
// directory.
func TestSimulatorsDocumentSaysWhatHappens(t *testing.T) {
	text, err := os.ReadFile("../../docs/sim.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	commands := docCommands(t, string(text))
	if len(commands) < 8 {
		t.Fatalf("the document has %d commands", len(commands))
	}
	for _, c := range commands {
		cmd := exec.Command(os.Args[0], c.words[1:]...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		var exit *exec.ExitError
		code := 0
		if errors.As(err, &exit) {
			code = exit.ExitCode()
		} else if err != nil {
			t.Fatal(err)
		}
		if code != c.exit {
			t.Fatalf("%q: exit code %d, want %d\n%s", c.words, code, c.exit, out)
		}
		rest := string(out)
		for _, want := range c.want {
			pattern := `(?m)^` + strings.ReplaceAll(regexp.QuoteMeta(want), "…", `.*`)
			pattern = regexp.MustCompile(` +`).ReplaceAllString(pattern, ` +`)
			at := regexp.MustCompile(pattern).FindStringIndex(rest)
			if at == nil {
				t.Errorf("%q: no line %q, after those before it, in\n%s", c.words, want, out)
				break
			}
			rest = rest[at[1]:]
		}
	}
}
