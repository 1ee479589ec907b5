package app_test

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// ctrlL has the screen drawn anew, whole.
const ctrlL = "\x0c"

func TestTheTerminalProgramMovesSearchesAndAsksAndLeavesTheTerminalAsItWas(t *testing.T) {
	file := historyFile(t, 9)
	p := onTTYOf(t, 24, 80, []string{"XDG_STATE_HOME=" + t.TempDir(), "NO_COLOR=1"}, "hindcast", "debug", "--tui", file)
	before := modes(t, p)
	p.expect("before the first event")
	p.nudge = ctrlL // of what changes a bit alone not all is written again
	p.types("]" + ctrlL)
	p.expect(`n1:1 .*1 of 9`)
	p.types("]]" + ctrlL)
	p.expect(`n3:1 .*3 of 9`)
	p.types("/n1\r" + ctrlL)
	p.expect(`n1:2 .*4 of 9`)
	p.types("u" + ctrlL)
	p.expect(`n3:1 .*3 of 9`)
	p.types(":query SHOW VARIABLES\r" + ctrlL)
	p.expect(`: query SHOW VARIABLES`)
	p.types("G0" + ctrlL)
	p.expect(`n3:3 .*9 of 9`)
	p.expect(`9 events in `)
	p.types("?" + ctrlL)
	p.expect(`Keys and commands`)
	p.types("?q")
	if code := p.ended(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	for range p.more { // until all that it wrote is read
		continue
	}
	shown := p.shown.String()
	if on, off := strings.LastIndex(shown, "\x1b[?1049h"), strings.LastIndex(shown, "\x1b[?1049l"); on < 0 || off < on {
		t.Error("the screen of its own isn't left")
	}
	if after := modes(t, p); after != before {
		t.Errorf("the terminal's modes are %+v, they were %+v", after, before)
	}
}

func modes(t *testing.T, p *tty) unix.Termios {
	t.Helper()
	m, err := unix.IoctlGetTermios(int(p.pty.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return *m
}

func TestWithoutATerminalTheTerminalProgramSaysWhatToDo(t *testing.T) {
	var stderr bytes.Buffer
	c := exec.Command("hindcast", "debug", "--tui", historyFile(t, 3))
	c.Stderr = &stderr
	err := c.Run()
	if err == nil || c.ProcessState.ExitCode() != 2 || !strings.Contains(stderr.String(), "--script") {
		t.Errorf("%v, exit code %d: %s", err, c.ProcessState.ExitCode(), stderr.String())
	}
	p := onTTY(t, []string{"TERM=dumb"}, "hindcast", "debug", "--tui", historyFile(t, 3))
	p.expect(`TERM="dumb"`)
	if code := p.ended(); code != 2 {
		t.Errorf("on a dumb terminal the exit code is %d", code)
	}
	p = onTTY(t, nil, "hindcast", "debug", "--tui", "--web", historyFile(t, 3))
	p.expect(`want one of them`)
	if code := p.ended(); code != 2 {
		t.Errorf("with --web too the exit code is %d", code)
	}
}
