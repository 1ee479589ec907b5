package tui

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hindcast.dev/debug"
	"hindcast.dev/history"
)

// What a terminal is told when the screen of its own begins and ends, and when the
// cursor is hidden and shown.
const (
	screenOn, screenOff = "\x1b[?1049h", "\x1b[?1049l"
	cursorOn            = "\x1b[?25h"
)

// A terminal is a pseudo-terminal, and one who sits before it.
type terminal struct {
	t      *testing.T
	master *os.File
	slave  *os.File
	mu     sync.Mutex
	shown  bytes.Buffer
	more   chan struct{}
}

func newTerminal(t *testing.T) *terminal {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals here: %v", err)
	}
	fd := int(master.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 80}); err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	p := &terminal{t: t, master: master, slave: slave, more: make(chan struct{}, 1)}
	read := make(chan struct{})
	go func() {
		defer close(read)
		p.read()
	}()
	t.Cleanup(func() {
		slave.Close()
		<-read // the end of the slave is that of the master's input
		master.Close()
	})
	return p
}

func (p *terminal) read() {
	buf := make([]byte, 4096)
	for {
		n, err := p.master.Read(buf)
		if err != nil {
			return
		}
		p.mu.Lock()
		p.shown.Write(buf[:n])
		p.mu.Unlock()
		select {
		case p.more <- struct{}{}:
		default:
		}
	}
}

func (p *terminal) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.shown.String()
}

// expect waits until something is shown.
func (p *terminal) expect(what string) {
	p.t.Helper()
	late := time.After(30 * time.Second)
	for !strings.Contains(p.text(), what) {
		select {
		case <-p.more:
		case <-late:
			p.t.Fatalf("%q isn't shown, but %q", what, p.text())
		}
	}
}

// modes are what the terminal does with what is typed and shown.
func (p *terminal) modes() unix.Termios {
	p.t.Helper()
	m, err := unix.IoctlGetTermios(int(p.slave.Fd()), unix.TCGETS)
	if err != nil {
		p.t.Fatal(err)
	}
	return *m
}

// restored checks that the terminal is what it was.
func (p *terminal) restored(before unix.Termios) {
	p.t.Helper()
	p.expect(screenOff)
	if after := p.modes(); after != before {
		p.t.Errorf("the terminal's modes are %+v, they were %+v", after, before)
	}
	text := p.text()
	if strings.LastIndex(text, screenOff) < strings.LastIndex(text, screenOn) || !strings.Contains(text[strings.LastIndex(text, screenOn):], cursorOn) {
		p.t.Errorf("the screen isn't left with its cursor shown: %q", text)
	}
}

var xterm = []string{"TERM=xterm-256color"}

func (p *terminal) run(ctx context.Context, src history.Source) chan error {
	ended := make(chan error, 1)
	go func() {
		ended <- Run(ctx, Options{Title: "store", Session: debug.NewSession(src, io.Discard), In: p.slave, Out: p.slave, Environ: xterm})
	}()
	return ended
}

// end waits for Run.
func (p *terminal) end(ended chan error) error {
	p.t.Helper()
	select {
	case err := <-ended:
		return err
	case <-time.After(30 * time.Second):
		p.t.Fatalf("it doesn't end; it shows %q", p.text())
		return nil
	}
}

func TestTheTerminalIsRestoredHoweverItEnds(t *testing.T) {
	t.Run("quit", func(t *testing.T) {
		p := newTerminal(t)
		before := p.modes()
		ended := p.run(t.Context(), store(t))
		p.expect("Replicate")
		p.master.WriteString("q")
		if err := p.end(ended); err != nil {
			t.Error(err)
		}
		p.restored(before)
	})
	t.Run("cancelled", func(t *testing.T) {
		p := newTerminal(t)
		before := p.modes()
		ctx, cancel := context.WithCancel(t.Context())
		ended := p.run(ctx, store(t))
		p.expect("Replicate")
		cancel()
		if err := p.end(ended); !errors.Is(err, context.Canceled) {
			t.Errorf("it ended with %v", err)
		}
		p.restored(before)
	})
	t.Run("panic", func(t *testing.T) {
		p := newTerminal(t)
		before := p.modes()
		src := &breaking{Mem: store(t)}
		ended := p.run(t.Context(), src)
		p.expect("Replicate")
		src.now.Store(true)
		p.master.WriteString("2]")
		if err := p.end(ended); err == nil || !strings.Contains(err.Error(), "it breaks") || !strings.Contains(err.Error(), "pty_linux_test.go") {
			t.Errorf("it ended with %v", err)
		}
		p.restored(before)
	})
	t.Run("panic while drawing", func(t *testing.T) {
		p := newTerminal(t)
		before := p.modes()
		ended := p.run(t.Context(), &breaking{Mem: store(t), badly: true})
		if err := p.end(ended); err == nil || !strings.Contains(err.Error(), "failed") {
			t.Errorf("it ended with %v", err)
		}
		p.restored(before)
	})
}

// A breaking source panics once it is told to.
type breaking struct {
	*history.Mem
	now   atomic.Bool
	badly bool // its Meta has nodes that its events aren't of
}

func (s *breaking) Meta() *history.Meta {
	if s.badly {
		m := *s.Mem.Meta()
		m.Nodes = m.Nodes[:1]
		return &m
	}
	return s.Mem.Meta()
}

func (s *breaking) Event(ctx context.Context, node int, seq uint64) (*history.Event, error) {
	if s.now.Load() {
		panic("it breaks")
	}
	return s.Mem.Event(ctx, node, seq)
}

func TestWhereNoScreenCanBeDrawnTheErrorSaysWhatToDo(t *testing.T) {
	p := newTerminal(t)
	file, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, c := range []struct {
		in, out *os.File
		environ []string
		want    string
	}{
		{p.slave, file, xterm, "standard output"},
		{p.slave, nil, xterm, "standard output"},
		{file, p.slave, xterm, "standard input"},
		{p.slave, p.slave, []string{"TERM=dumb"}, "TERM"},
		{p.slave, p.slave, []string{}, "TERM"},
	} {
		err := Run(t.Context(), Options{In: c.in, Out: c.out, Environ: c.environ})
		if !errors.Is(err, ErrNoTerminal) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "--script") {
			t.Errorf("in %v, out %v, %q: %v", c.in == p.slave, c.out == p.slave, c.environ, err)
		}
	}
}

func TestWithoutColourNoneIsWritten(t *testing.T) {
	for _, c := range []struct {
		environ []string
		colour  bool
	}{{xterm, true}, {append([]string{"NO_COLOR=1"}, xterm...), false}} {
		m := newModel(t.Context(), Options{Session: debug.NewSession(store(t), io.Discard), Environ: c.environ})
		d := &driver{t: t, m: m}
		m.every = 0
		d.run(m.Init())
		m.w, m.h = 80, 24
		d.press("G")
		s, _ := m.draw()
		if got := strings.Contains(s.render(m.look, true), ";3"); got != c.colour {
			t.Errorf("%q: colours %v", c.environ, got)
		}
	}
}

func TestMoreOfWhatGrowsIsShownByItself(t *testing.T) {
	p, g := newTerminal(t), grows(t)
	g.add(t, 1)
	s := debug.NewSession(g.Now(), io.Discard)
	s.Live = g
	ended := make(chan error, 1)
	go func() {
		ended <- Run(t.Context(), Options{Title: "live", Session: s, In: p.slave, Out: p.slave, Environ: xterm})
	}()
	p.expect("of 1")
	p.master.WriteString("F")
	p.expect("n1:1")
	g.add(t, 6)
	p.expect("00:29:52.000000")
	p.master.WriteString("q")
	if err := p.end(ended); err != nil {
		t.Error(err)
	}
}
