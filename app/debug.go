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
	"hindcast.dev/prompt"
	"hindcast.dev/sim"
	"hindcast.dev/termtext"
)

// diagramColumnsMax bounds how wide diagrams are drawn.
const diagramColumnsMax = 160

// debugFlags are the flags of debug.
type debugFlags struct {
	openFlags
	webFlags
	liveFlags
	script    string
	keepGoing bool
	ascii     bool
	tui       bool
}

// debugCommand moves through a History.
func debugCommand(services []Service) *cobra.Command {
	f := &debugFlags{}
	c := &cobra.Command{
		Use:   "debug [--web | --tui | --script FILE] WHAT",
		Short: "Step through a recording, forwards and backwards",
		Long: `Step through a recording, forwards and backwards: see any event, the state of all
nodes at any moment, what caused what, and where a condition holds.

On a terminal it asks for commands; 'help' lists them. With --script, or where
standard input is no terminal, it carries out commands from there and stops at
the first that fails. A crash box is opened at the event that was fatal, and what
sim has kept where the failure was seen.

--tui draws on all of the terminal: the diagram of what happened, the state of all
nodes at the cut, what each event changed and sent, and the same commands; ? there
lists the keys. It needs 40 columns and 10 rows, shows more on 80 by 24 and best on
more than that; it does without colour (NO_COLOR) and, with --ascii, with ASCII.

--web serves a page instead, to this machine alone unless --listen says otherwise,
and prints its URL, which holds a token: whoever has it sees what was recorded.
The page looks; only with --allow-control does it write files (export), run
programs (whatif) and pull from live nodes (compare), all as the user who started
it; where other machines are let in, opening files (compare) takes it, too. Marks
are kept either way. Ctrl-C ends it.

Live nodes, HOST:PORT,…, are followed from --from on, and none of them is stopped or
waits: they tell themselves what every event changed, so that this takes no code of
theirs. The place stays where it is; the command follow keeps it at the end, and
live tells how far they are. A node that refuses, can't be reached or goes away is
unknown from there on, and is tried again. With --exec the nodes' journals are
pulled, and replayed once.

` + whatHelp + `
As WHAT, - is a History in text form or a log on standard input, which is copied to
a file as long as it is open; commands then come from the terminal, --script or
--web.`,
		Example: `  hindcast debug demo
  hindcast debug --tui demo
  hindcast debug --web --open demo
  hindcast debug 127.0.0.1:9001,127.0.0.1:9002,127.0.0.1:9003
  printf 'where node.up = false\ndiagram 10\n' | hindcast debug incident
  hindcast debug --script steps.txt --exec ./myservice incident
  zcat trace.log.gz | hindcast debug --web -`,
		Args:              usageArgs(cobra.ExactArgs(1)),
		ValidArgsFunction: filesFor(1),
		RunE: func(c *cobra.Command, args []string) error {
			return runDebug(c, services, f, args[0])
		},
	}
	f.openFlags.add(c)
	c.Flags().StringVar(&f.script, "script", "", "carry out the commands of this file, - for standard input")
	c.Flags().BoolVar(&f.keepGoing, "keep-going", false, "go on after a command of the script that failed")
	c.Flags().BoolVar(&f.ascii, "ascii", false, "draw in ASCII alone")
	c.Flags().BoolVar(&f.tui, "tui", false, "draw on all of the terminal, with keys to move")
	f.webFlags.add(c)
	f.liveFlags.add(c)
	return c
}

func runDebug(c *cobra.Command, services []Service, f *debugFlags, what string) error {
	if err := errors.Join(f.checkTUI(), f.checkWeb(c), f.checkLive(c, what)); err != nil {
		return err
	}
	if f.tui {
		return f.showTUI(c, services, what)
	}
	if f.web {
		return f.serveWeb(c, services, what)
	}
	script, err := f.input(c, what)
	if err != nil {
		return Usage(err)
	}
	if script != nil {
		defer script.Close()
	}
	ctx, stop := interruptible(c)
	defer stop()
	d, begin, err := f.openDesk(ctx, c, services, what)
	if err != nil {
		return err
	}
	defer d.Close()
	s := d.session(c.OutOrStdout())
	s.Plain = f.ascii
	s.Width = min(terminalColumns(c.OutOrStdout()), diagramColumnsMax)
	s.MoveTo(begin.at)
	if script != nil {
		return scriptError(debug.Script(ctx, s, script, f.keepGoing))
	}
	// Ctrl-C is the prompt's from here on: it ends a command, not the session.
	stop()
	if what == standardInput {
		if err := prompt.Terminal(); err != nil {
			return Usage(fmt.Errorf("standard input is what is opened, and there is no terminal for commands (%w): want --script FILE or --web", err))
		}
	}
	greet(c.OutOrStdout(), d.o.Source.Meta(), what, begin.note)
	return debug.Prompt(context.Background(), s, promptHistory("debug-history"))
}

// A beginning is where sessions begin, and why if that isn't the beginning of all.
type beginning struct {
	at   history.Position
	note string
}

// openDesk opens WHAT, and finds where sessions begin.
func (f *debugFlags) openDesk(ctx context.Context, c *cobra.Command, services []Service, what string) (*desk, beginning, error) {
	open := f.openFlags.open
	switch {
	case what == standardInput:
		open = f.openFlags.openInput
	case f.follows(what):
		open = f.openLive
	}
	o, err := open(ctx, c, services, what)
	if err != nil {
		return nil, beginning{}, err
	}
	d := newDesk(c, services, f.openFlags, o, what)
	if o.cluster != nil {
		return d, beginLive(o), nil
	}
	s := d.session(io.Discard)
	note, err := goToFailure(ctx, s, o)
	if err != nil {
		return nil, beginning{}, errors.Join(err, d.Close())
	}
	return d, beginning{s.Position(), note}, nil
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
func (f *debugFlags) input(c *cobra.Command, what string) (io.ReadCloser, error) {
	switch {
	case f.script == "-" && what == standardInput:
		return nil, errors.New("standard input can't be both what is opened and --script: give one of them a file")
	case f.script == "-":
		return io.NopCloser(c.InOrStdin()), nil
	case f.script != "":
		return os.Open(f.script)
	}
	if _, ok := terminal(c.InOrStdin()); ok || what == standardInput {
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
