package app_test

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A tty is a program on a pseudo-terminal of its own, and one who types.
type tty struct {
	t   *testing.T
	pty *os.File // the side of the one who types
	cmd *exec.Cmd

	mu    sync.Mutex
	shown strings.Builder // all of it
	more  chan struct{}   // something was added; closed at the end
	at    int             // how much of it expect has passed
	nudge string          // typed now and then while expect waits
}

// onTTY starts a program on a pseudo-terminal of 40 rows and 160 columns.
func onTTY(t *testing.T, env []string, name string, args ...string) *tty {
	t.Helper()
	return onTTYOf(t, 40, 160, env, name, args...)
}

func onTTYOf(t *testing.T, rows, columns uint16, env []string, name string, args ...string) *tty {
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
	if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: columns}); err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	p := &tty{t: t, pty: master, cmd: exec.Command(name, args...), more: make(chan struct{}, 1)}
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = slave, slave, slave
	p.cmd.Env = append(append(os.Environ(), "TERM=xterm"), env...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	slave.Close()
	go p.read()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // it may have ended
		_ = p.cmd.Wait()
		p.pty.Close()
	})
	return p
}

func (p *tty) read() {
	defer close(p.more)
	buf := make([]byte, 4096)
	for {
		n, err := p.pty.Read(buf)
		if err != nil {
			return // the program has ended
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

// escapes are what a line editor writes besides text.
var escapes = regexp.MustCompile("\x1b\\[[0-9;?]*[A-Za-z]|\r")

// expect waits until a pattern is shown behind what was expected before.
func (p *tty) expect(pattern string) []string {
	p.t.Helper()
	re := regexp.MustCompile("(?m)" + pattern)
	late := time.After(30 * time.Second)
	nudges := time.NewTicker(300 * time.Millisecond)
	defer nudges.Stop()
	for over := false; ; {
		p.mu.Lock()
		text := escapes.ReplaceAllString(p.shown.String(), "")
		p.mu.Unlock()
		if m := re.FindStringSubmatchIndex(text[p.at:]); m != nil {
			found := re.FindStringSubmatch(text[p.at:])
			p.at += m[1]
			return found
		}
		if over {
			p.t.Fatalf("the program ended without showing %q, but\n%s", pattern, text[p.at:])
		}
		select {
		case _, ok := <-p.more:
			over = !ok
		case <-nudges.C:
			if p.nudge != "" {
				p.types(p.nudge)
			}
		case <-late:
			p.t.Fatalf("%q isn't shown, but\n%s", pattern, text[p.at:])
		}
	}
}

// types types keys, \r being Enter.
func (p *tty) types(keys string) {
	p.t.Helper()
	if _, err := p.pty.WriteString(keys); err != nil {
		p.t.Fatal(err)
	}
}

// ended waits for the program's end and returns its exit code.
func (p *tty) ended() int {
	p.t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = p.cmd.Wait() // how it ended shows in ProcessState
	}()
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		p.t.Fatalf("the program doesn't end; it shows\n%s", p.shown.String())
	}
	return p.cmd.ProcessState.ExitCode()
}
