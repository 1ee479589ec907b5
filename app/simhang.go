package app

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"hindcast.dev/sim"
	"hindcast.dev/termtext"
)

// ExitHang is sim's exit code where one event of a world isn't over after
// --hang-after: what loops can't be ended but with the process.
const ExitHang = 25

// watch has the worlds of a target looked after until stop is called.
func (f *simFlags) watch(c *cobra.Command, t *simTarget) (stop func()) {
	if f.hangAfter <= 0 {
		return func() {}
	}
	w := &sim.Watch{}
	t.options.Watch = w
	ctx, cancel := context.WithCancel(context.Background())
	var over sync.WaitGroup
	over.Go(func() {
		w.Run(ctx, f.hangAfter, func(h *sim.Hang) {
			f.tellHang(c.ErrOrStderr(), t.subject, h)
			os.Exit(ExitHang)
		})
	})
	return func() {
		cancel()
		over.Wait()
	}
}

// stackLinesMax bounds the lines of a stack that are printed; all are kept.
const stackLinesMax = 40

// tellHang says which world hangs and where, and keeps it.
func (f *simFlags) tellHang(w io.Writer, s *sim.Subject, h *sim.Hang) {
	where := "in the set-up"
	if h.Event > 0 {
		where = fmt.Sprintf("at event %d of the world", h.Event)
		if h.Node != "" {
			where += ", of " + h.Node
		}
		where += ": " + h.What
	}
	head := fmt.Sprintf("seed %d hangs: one event isn't over after %s: %s", h.Options.Seed, h.After, where)
	again := f.again(s, &h.Options)
	stack := strings.Split(strings.TrimRight(h.Stack, "\n"), "\n")
	var b strings.Builder
	if fd, ok := terminal(w); ok && fd >= 0 {
		b.WriteString("\r\x1b[K") // the line of progress
	}
	fmt.Fprintf(&b, "error: %s\n", termtext.PrintableText(head))
	for i, line := range stack {
		if i == stackLinesMax {
			fmt.Fprintf(&b, "    … %d lines more\n", len(stack)-i)
			break
		}
		fmt.Fprintf(&b, "    %s\n", termtext.PrintableText(line))
	}
	fmt.Fprintf(&b, "  again:  %s\n", termtext.PrintableText(again))
	if f.keep != "" {
		name := filepath.Join(f.keep, fmt.Sprintf("seed-%d-hangs.txt", h.Options.Seed))
		text := head + "\nagain: " + again + "\noptions: " + decided(&h.Options) + "\n\n" + h.Stack + "\n"
		err := os.MkdirAll(f.keep, 0o755)
		if err == nil {
			err = os.WriteFile(name, []byte(text), 0o644)
		}
		if err != nil {
			fmt.Fprintf(&b, "  not kept: %v\n", err)
		} else {
			fmt.Fprintf(&b, "  kept:   %s\n", name)
		}
	}
	fmt.Fprint(w, b.String())
}
