package app

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"hindcast.dev/termtext"
)

// The rules of the terminal, for every command:
//
//   - Standard output carries the answer and nothing else; what is said about it
//     (summaries, warnings, progress) goes to standard error.
//   - Progress, and anything that overwrites a line, is shown only where standard
//     error is a terminal, and not a dumb one. Nothing is coloured.
//   - What a recording holds reaches a terminal only after it was made printable.
//   - An error says what is wrong, where, and what to do; one about usage ends with
//     where to read more.
//   - An answer that is cut short is never silent: a line says why, and the exit
//     code is ExitUndecided.

// interruptible returns a context that ends with Ctrl-C or SIGTERM. A second one
// kills the program, as it would have without us: whatever doesn't look at the
// context can be stopped too.
func interruptible(c *cobra.Command) (context.Context, context.CancelFunc) {
	ctx := c.Context()
	if ctx == nil {
		ctx = context.Background()
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}

// terminal returns the descriptor of a terminal.
func terminal(stream any) (fd int, ok bool) {
	f, ok := stream.(*os.File)
	if !ok {
		return 0, false
	}
	fd = int(f.Fd())
	return fd, term.IsTerminal(fd)
}

// columnsUnknown is the width of a terminal that doesn't tell: that of many jobs of
// a CI, whose terminals have no size.
const columnsUnknown = 80

// terminalColumns is the width of a terminal, 0 if it isn't one.
func terminalColumns(stream any) int {
	fd, ok := terminal(stream)
	if !ok {
		return 0
	}
	columns, _, err := term.GetSize(fd)
	if err != nil || columns <= 0 {
		return columnsUnknown
	}
	return columns
}

// safeFor returns stdout, made safe if it is a terminal: for text that holds what
// was recorded. A file or pipe gets it as it is.
func safeFor(stdout io.Writer) io.Writer {
	if _, ok := terminal(stdout); ok {
		return termtext.SafeWriter(stdout)
	}
	return stdout
}

// progressInterval is how often a line of progress is written again.
const progressInterval = 100 * time.Millisecond

// progressDelay is how long something may take before progress is shown.
const progressDelay = 400 * time.Millisecond

// A progress is one line on a terminal that is written again and again, or
// nothing. Its methods may be called by any goroutine.
type progress struct {
	w io.Writer // nil: show nothing

	mu    sync.Mutex
	next  time.Time // the earliest that it is written again
	shown bool
}

// newProgress shows progress on stderr, if that is a terminal.
func newProgress(stderr io.Writer) *progress {
	p := &progress{next: time.Now().Add(progressDelay)}
	if _, ok := terminal(stderr); ok && os.Getenv("TERM") != "dumb" { // which can't write over a line
		p.w = stderr
	}
	return p
}

// show writes the line that text makes, unless that was done just now.
func (p *progress) show(text func() string) {
	if p.w == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if now.Before(p.next) {
		return
	}
	p.next, p.shown = now.Add(progressInterval), true
	fmt.Fprintf(p.w, "\r\x1b[K%s", text())
}

// clear takes the line away.
func (p *progress) clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shown {
		fmt.Fprint(p.w, "\r\x1b[K")
		p.shown = false
	}
}

// outputFlag adds -o with its values, the first being the default.
func outputFlag(c *cobra.Command, into *string, values ...string) {
	c.Flags().StringVarP(into, "output", "o", values[0], "form of the answer: "+strings.Join(values, ", "))
	complete(c, "output", values...)
}

// checkOutput makes another value of -o an error.
func checkOutput(c *cobra.Command, value string, values ...string) error {
	if slices.Contains(values, value) {
		return nil
	}
	return Usage(fmt.Errorf("-o %s: want %s\nsee '%s --help'", value, strings.Join(values, ", "), c.CommandPath()))
}

// complete makes a shell complete the values of a flag.
func complete(c *cobra.Command, flag string, values ...string) {
	completeFlag(c, flag, func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return values, cobra.ShellCompDirectiveNoFileComp
	})
}

// completeFlag makes a shell complete the values of a flag by a function.
func completeFlag(c *cobra.Command, flag string, f cobra.CompletionFunc) {
	err := c.RegisterFlagCompletionFunc(flag, f)
	if err != nil {
		panic(err) // the flag doesn't exist, or has a completion: a programmer's error
	}
}

// filesFor makes a shell complete file names for the first n arguments.
func filesFor(n int) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) < n {
			return nil, cobra.ShellCompDirectiveDefault
		}
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
}

// writeJSON writes v as one indented object.
func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// plural is "1 row", "2 rows".
func plural[T int | int64 | uint64](n T, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return grouped(uint64(n)) + " " + what + "s"
}

// grouped writes a number with its digits in groups of three.
func grouped(n uint64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// bytesText is a number of bytes for a person.
func bytesText(n int64) string {
	units := []string{"KiB", "MiB", "GiB", "TiB"}
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	f, i := float64(n)/1024, 0
	for f >= 1024 && i < len(units)-1 {
		f, i = f/1024, i+1
	}
	return fmt.Sprintf("%.1f %s", f, units[i])
}
