package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// A progress shows on standard error what a long command does. On a terminal it
// is one line that changes; elsewhere a line for each step, and no bars.
type progress struct {
	w     io.Writer
	tty   bool
	quiet bool
	last  string
}

func newProgress(w io.Writer, quiet bool) *progress {
	f, ok := w.(*os.File)
	return &progress{w: w, quiet: quiet, tty: ok && term.IsTerminal(int(f.Fd()))}
}

// step begins something new.
func (p *progress) step(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if p.tty {
		p.show("· " + text)
	} else if !p.quiet {
		fmt.Fprintln(p.w, "·", text)
	}
}

// bar shows how far something is, from 0 to 1. Off a terminal only a change of
// what comes after the first comma makes a line.
func (p *progress) bar(done float64, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if p.tty {
		const width = 24
		n := int(min(max(done, 0), 1) * width)
		p.show(fmt.Sprintf("[%s%s] %3.0f%%  %s", strings.Repeat("█", n), strings.Repeat("·", width-n), 100*min(max(done, 0), 1), text))
		return
	}
	_, what, _ := strings.Cut(text, ", ")
	if what != p.last && !p.quiet {
		p.last = what
		fmt.Fprintln(p.w, "·", what)
	}
}

func (p *progress) show(line string) {
	if !p.quiet {
		fmt.Fprintf(p.w, "\r\x1b[K%s", line)
	}
}

// done clears the line.
func (p *progress) done() {
	if p.tty && !p.quiet {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}
