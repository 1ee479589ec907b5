// Package tui is the debugger in a terminal: the space-time diagram, the state of
// all nodes at the cut, what an event changed and sent, and the commands of a
// session, on one screen.
package tui

import (
	"context"
	"errors"
	"fmt"
	"os"
	stack "runtime/debug"
	"strings"
	"sync"

	tea "charm.land/bubbletea/v2"
	"golang.org/x/term"

	"hindcast.dev/debug"
	"hindcast.dev/history"
)

// Options say what is shown, and where.
type Options struct {
	// Title is what is opened, for people.
	Title string
	// Session is the place that is moved, with Live if what it looks at grows. Run uses
	// it alone until it returns, and gives it an Index.
	Session *debug.Session
	// Greeting is shown until something happens, "" if there is nothing to say.
	Greeting string
	// In and Out are the terminal.
	In  *os.File
	Out *os.File
	// Environ are the variables that describe the terminal; nil are the process's.
	Environ []string
	// Plain draws in ASCII alone.
	Plain bool
}

// ErrNoTerminal is returned by Run where In or Out is no terminal that it can draw
// on; the error says what to do instead.
var ErrNoTerminal = errors.New("no terminal to draw on")

// Check reports whether Run can draw on these files, with an error that wraps
// ErrNoTerminal if not.
func Check(in, out *os.File, environ []string) error {
	const remedy = "hindcast debug without --tui asks for commands line by line, and --script FILE carries out those of a file"
	switch {
	case out == nil || !term.IsTerminal(int(out.Fd())):
		return fmt.Errorf("%w: standard output isn't one; %s", ErrNoTerminal, remedy)
	case in == nil || !term.IsTerminal(int(in.Fd())):
		return fmt.Errorf("%w: standard input isn't one; %s", ErrNoTerminal, remedy)
	}
	if kind := variable(environ, "TERM"); kind == "" || kind == "dumb" {
		return fmt.Errorf("%w: TERM=%q can't place the cursor; set TERM to what the terminal is, or: %s", ErrNoTerminal, kind, remedy)
	}
	return nil
}

// variable is the value of an environment variable; nil is the process's
// environment.
func variable(environ []string, name string) string {
	if environ == nil {
		return os.Getenv(name)
	}
	value := ""
	for _, e := range environ {
		if v, ok := strings.CutPrefix(e, name+"="); ok {
			value = v
		}
	}
	return value
}

// Run shows the session until it is quit or ctx ends. The terminal is afterwards
// what it was before, whatever happens.
func Run(ctx context.Context, o Options) error {
	if err := Check(o.In, o.Out, o.Environ); err != nil {
		return err
	}
	inside, cancel := context.WithCancel(ctx)
	m := newModel(inside, o)
	defer m.work.end()
	defer cancel()
	options := []tea.ProgramOption{tea.WithInput(o.In), tea.WithOutput(o.Out)}
	if o.Environ != nil {
		options = append(options, tea.WithEnvironment(o.Environ))
	}
	p := tea.NewProgram(m, options...)
	m.quitNow = func() { go p.Quit() }
	defer context.AfterFunc(ctx, p.Quit)()
	_, err := p.Run()
	switch {
	case m.failed != nil:
		return m.failed
	case errors.Is(err, tea.ErrInterrupted):
		return context.Canceled
	case err != nil:
		return fmt.Errorf("terminal: %w", err)
	}
	return ctx.Err()
}

// failed is a panic of something that ran beside the screen.
type failed struct{ err error }

// failure makes an error of a panic, to be told when the terminal is what it was.
func failure(cause any) error {
	return fmt.Errorf("the terminal program failed, which is a defect of it: %v; hindcast debug without --tui does the same line by line\n%s", cause, stack.Stack())
}

// A workshop runs what takes time beside the screen, and sees to it that all of it
// has ended when the program has.
type workshop struct {
	ctx    context.Context
	mu     sync.Mutex
	closed bool
	src    history.Source // that loads read
	left   sync.WaitGroup

	// walking is held while the session gets another source in the place of src, and
	// read-held by loads.
	walking sync.RWMutex
}

// do is a Cmd for f, which isn't begun any more once end was called.
func (w *workshop) do(f func(ctx context.Context) tea.Msg) tea.Cmd {
	return func() tea.Msg {
		w.mu.Lock()
		if w.closed {
			w.mu.Unlock()
			return nil
		}
		w.left.Add(1)
		w.mu.Unlock()
		defer w.left.Done()
		return guarded(w.ctx, f)
	}
}

func guarded(ctx context.Context, f func(ctx context.Context) tea.Msg) (msg tea.Msg) {
	defer func() {
		if r := recover(); r != nil {
			msg = failed{failure(r)}
		}
	}()
	return f(ctx)
}

// end waits for all that was begun.
func (w *workshop) end() {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.left.Wait()
}

// reading gives f the source that is looked at, which stays open until f is done.
func (w *workshop) reading(f func(src history.Source)) {
	w.walking.RLock()
	defer w.walking.RUnlock()
	w.mu.Lock()
	src := w.src
	w.mu.Unlock()
	f(src)
}

// goOn has loads read src from now on.
func (w *workshop) goOn(src history.Source) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.src = src
}

// replaced has a session tell which source it goes on with.
func (w *workshop) replaced(s *debug.Session) {
	walk := s.Walk
	if walk == nil {
		return
	}
	s.Walk = func(ctx context.Context, variables []string) (history.Source, error) {
		w.walking.Lock()
		defer w.walking.Unlock()
		src, err := walk(ctx, variables)
		if err == nil {
			w.goOn(src)
		}
		return src, err
	}
}
