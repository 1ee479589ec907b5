package debug

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"hindcast.dev/history"
)

var rewrite = flag.Bool("rewrite", false, "write what the scripts and documents give into them")

// TestScripts runs testdata/*.txt. A script is a row of blocks: a word, its
// input, "----", what it gives, an empty line. Lines that begin with # between
// blocks are comments. The words:
//
//	load   a History in its text form; begins a session
//	plain  likewise, and diagrams are drawn in ASCII, 60 columns wide
//	other  a second History, which compare and whatif open
//	do     commands, by Script with keepGoing
//	stop   commands, by Script without it
//
// A moment is written @7 or @7.5, seconds after the beginning of 2026.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".txt"), func(t *testing.T) { runScript(t, f) })
	}
}

func runScript(t *testing.T, file string) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var all, out strings.Builder
	var s *Session
	var other *history.Mem
	lines := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	for i := 0; i < len(lines); {
		if lines[i] == "" || lines[i][0] == '#' {
			all.WriteString(lines[i] + "\n")
			i++
			continue
		}
		at, word := i+1, lines[i]
		input, want, next := block(lines, i+1)
		i = next
		out.Reset()
		switch word {
		case "load", "plain":
			s = NewSession(load(t, input), &out)
			if word == "plain" {
				s.Plain, s.Width = true, 60
			}
			s.Open = func(context.Context, string) (history.Source, error) { return other, nil }
			s.Replay = s.Open
		case "other":
			other = load(t, input)
		case "do", "stop":
			if err := Script(context.Background(), s, strings.NewReader(lengthen(input, "")), word == "do"); err != nil {
				fmt.Fprintf(&out, "failed: %v\n", err)
			}
		default:
			t.Fatalf("%s:%d: no such word: %s", file, at, word)
		}
		got := brief(out.String())
		if got != want && !*rewrite {
			t.Errorf("%s:%d: %s\n%sgot:\n%swant:\n%s", file, at, word, input, got, want)
		}
		fmt.Fprintf(&all, "%s\n%s----\n%s", word, input, got)
	}
	if *rewrite {
		if err := os.WriteFile(file, []byte(all.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// block reads the input and the expected output of the block whose input begins
// at line i. Input may hold empty lines; output has none.
func block(lines []string, i int) (input, want string, next int) {
	var in, out strings.Builder
	for ; i < len(lines) && lines[i] != "----"; i++ {
		in.WriteString(lines[i] + "\n")
	}
	for i++; i < len(lines) && lines[i] != ""; i++ {
		out.WriteString(lines[i] + "\n")
	}
	return in.String(), out.String(), i
}

var (
	moment    = regexp.MustCompile(`@(\d+)(\.\d+)?`)
	printed   = regexp.MustCompile(`2026-01-01T00:00:(\d\d)\.(\d{6})Z/0`)
	noSeconds = regexp.MustCompile(`\.?0+$`)
)

func lengthen(text, quote string) string {
	return moment.ReplaceAllStringFunc(text, func(m string) string {
		p := moment.FindStringSubmatch(m)
		return fmt.Sprintf("%s2026-01-01T00:00:%02s%sZ%s", quote, p[1], p[2], quote)
	})
}

func brief(text string) string {
	return printed.ReplaceAllStringFunc(text, func(m string) string {
		p := printed.FindStringSubmatch(m)
		return "@" + strings.TrimLeft(p[1][:1], "0") + p[1][1:] + noSeconds.ReplaceAllString("."+p[2], "")
	})
}

func load(t *testing.T, text string) *history.Mem {
	t.Helper()
	src, err := history.ReadText(strings.NewReader(lengthen(text, `"`)), "load", history.TextOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return src
}
