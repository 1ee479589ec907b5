package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"hindcast.dev/debug"
	"hindcast.dev/history"
	"hindcast.dev/sim"
	"hindcast.dev/termtext"
)

// diagramColumnsMax bounds how wide diagrams are drawn.
const diagramColumnsMax = 160

// debugFlags are the flags of debug.
type debugFlags struct {
	openFlags
	script    string
	keepGoing bool
	ascii     bool
}

// debugCommand moves through a History.
func debugCommand(services []Service) *cobra.Command {
	f := &debugFlags{}
	c := &cobra.Command{
		Use:   "debug WHAT",
		Short: "Step through a recording, forwards and backwards",
		Long: `Step through a recording, forwards and backwards: see any event, the state of all
nodes at any moment, what caused what, and where a condition holds.

On a terminal it asks for commands; 'help' lists them. With --script, or where
standard input is no terminal, it carries out commands from there and stops at
the first that fails. A crash box is opened at the event that was fatal, and what
sim has kept where the failure was seen.

` + whatHelp,
		Example: `  hindcast debug demo
  printf 'where node.up = false\ndiagram 10\n' | hindcast debug incident
  hindcast debug --script steps.txt --exec ./myservice incident`,
		Args:              usageArgs(cobra.ExactArgs(1)),
		ValidArgsFunction: filesFor(1),
		RunE: func(c *cobra.Command, args []string) error {
			return runDebug(c, services, f, args[0])
		},
	}
	f.add(c)
	c.Flags().StringVar(&f.script, "script", "", "carry out the commands of this file, - for standard input")
	c.Flags().BoolVar(&f.keepGoing, "keep-going", false, "go on after a command of the script that failed")
	c.Flags().BoolVar(&f.ascii, "ascii", false, "draw diagrams in ASCII")
	return c
}

func runDebug(c *cobra.Command, services []Service, f *debugFlags, what string) error {
	script, err := f.input(c)
	if err != nil {
		return Usage(err)
	}
	if script != nil {
		defer script.Close()
	}
	ctx, stop := interruptible(c)
	defer stop()
	o, err := f.open(ctx, c, services, what)
	if err != nil {
		return err
	}
	defer o.Close()
	s := f.session(c, services, o, what)
	begin, err := goToFailure(ctx, s, o)
	if err != nil {
		return err
	}
	if script != nil {
		return scriptError(debug.Script(ctx, s, script, f.keepGoing))
	}
	// Ctrl-C is the prompt's from here on: it ends a command, not the session.
	stop()
	greet(c.OutOrStdout(), o.Source.Meta(), what, begin)
	return debug.Prompt(context.Background(), s, promptHistory("debug-history"))
}

// session is a session over what was opened, with what it needs of this machine.
func (f *debugFlags) session(c *cobra.Command, services []Service, o *opened, what string) *debug.Session {
	s := debug.NewSession(o.Source, c.OutOrStdout())
	s.Plain = f.ascii
	s.Width = min(terminalColumns(c.OutOrStdout()), diagramColumnsMax)
	s.Walk = func(ctx context.Context, variables []string) (history.Source, error) {
		err := o.walk(ctx, variables)
		return o.Source, err
	}
	s.Open = func(ctx context.Context, other string) (history.Source, error) {
		return openSource(ctx, c, services, f.openFlags, other)
	}
	if o.Recording != nil {
		s.Replay = func(ctx context.Context, binary string) (history.Source, error) {
			with := f.openFlags
			with.exec = binary
			return openSource(ctx, c, services, with, what)
		}
	}
	s.Create = createNew
	book := notebookOf(o, what)
	s.KeepMarks = book.write
	marks, err := book.read()
	if err != nil {
		warn(c, []string{err.Error()})
		s.KeepMarks = nil // what can't be read isn't written over
	}
	s.SetMarks(marks)
	return s
}

// An openedSource is a History with all that was opened for it.
type openedSource struct {
	history.Source
	o *opened
}

// Close closes it all.
func (s openedSource) Close() error { return s.o.Close() }

func openSource(ctx context.Context, c *cobra.Command, services []Service, f openFlags, what string) (history.Source, error) {
	o, err := f.open(ctx, c, services, what)
	if err != nil {
		return nil, err
	}
	return openedSource{o.Source, o}, nil
}

// createNew makes a file that isn't there yet: nobody's work is written over.
func createNew(name string) (io.WriteCloser, error) {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("%s is there already: want another name, or remove it", name)
	}
	return f, err
}

// input is where commands come from if not from the prompt.
func (f *debugFlags) input(c *cobra.Command) (io.ReadCloser, error) {
	switch {
	case f.script == "-":
		return io.NopCloser(c.InOrStdin()), nil
	case f.script != "":
		return os.Open(f.script)
	}
	if _, ok := terminal(c.InOrStdin()); ok {
		return nil, nil
	}
	return io.NopCloser(c.InOrStdin()), nil
}

// scriptError gives a script's end its exit code: a command that can't be carried
// out is input.
func scriptError(err error) error {
	var command *debug.CommandError
	switch {
	case errors.As(err, &command):
		return Usage(err)
	case errors.Is(err, context.Canceled):
		return &ExitError{Code: ExitUndecided, Err: fmt.Errorf("interrupted: %w", err)}
	}
	return err
}

// goToFailure places a session on a simulated run's failure where it was seen, on a
// crash box at the fatal event, and on a snapshot at its cut.
func goToFailure(ctx context.Context, s *debug.Session, o *opened) (begin string, err error) {
	if o.Recording == nil {
		return "", nil
	}
	report, err := sim.ReadReport(o.Recording.FS(), o.Recording.Dir())
	if errors.Is(err, sim.ErrNoReport) {
		return goToCrash(ctx, s, o)
	}
	if err != nil {
		return "", err
	}
	f := &report.Failure
	what := fmt.Sprintf("%s: %s: %s", f.Kind, f.Property, firstLine(f.Text))
	found := false
	if f.Node != "" {
		if found, err = s.GoTo(ctx, f.Node, f.Seq); err != nil {
			return "", err
		}
	}
	if found {
		return termtext.Printable(fmt.Sprintf("failure: at event %d of %s: %s", f.Seq, f.Node, what)), nil
	}
	if err := s.GoToTime(ctx, report.Time()); err != nil {
		return "", err
	}
	return termtext.Printable("failure: at the time it was seen: " + what), nil
}

// goToCrash places a session on a crash box at the fatal event, and on a snapshot at
// its cut: there is nothing else in it.
func goToCrash(ctx context.Context, s *debug.Session, o *opened) (begin string, err error) {
	m := o.Recording.Manifest()
	if m.Snapshot != nil {
		return fmt.Sprintf("snapshot: at its cut, %v", m.Snapshot.Time), s.GoToTime(ctx, o.Source.Meta().Last.Time)
	}
	if m.Crash == nil {
		return "", nil
	}
	crash := m.Crash
	found, err := s.GoTo(ctx, crash.Node, crash.Seq)
	if err != nil || !found {
		return "", err
	}
	return fmt.Sprintf("crash box: at event %d of %s, the last before: %s", crash.Seq, termtext.Printable(crash.Node), termtext.Printable(firstLine(crash.Reason))), nil
}

func greet(w io.Writer, meta *history.Meta, what, begin string) {
	fmt.Fprintf(w, "%s: %s of %s, %s to %s; help lists the commands\n", what, plural(meta.Events, "event"),
		plural(len(meta.Nodes), "node"), meta.First.Time, meta.Last.Time)
	if begin != "" {
		fmt.Fprintln(w, begin)
	}
}

// promptHistory is the file that keeps the lines typed at a prompt, "" if there is
// no place for it.
func promptHistory(name string) string {
	dir, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	dir = filepath.Join(dir, "hindcast")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return ""
	}
	return filepath.Join(dir, name)
}
