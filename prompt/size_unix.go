//go:build unix

package prompt

import (
	"os"

	"golang.org/x/sys/unix"
)

// The size that a terminal is given which has none: a CI's often hasn't, and what
// edits lines needs one.
const (
	rowsUnknown    = 24
	columnsUnknown = 80
)

// giveSize gives the terminal a size if it has none, until undo is called.
func giveSize() (undo func()) {
	fd := int(os.Stdout.Fd())
	had, err := unix.IoctlGetWinsize(fd, unix.TIOCGWINSZ)
	if err != nil || had.Col != 0 {
		return func() {}
	}
	// Where that fails lines are read as the terminal gives them.
	_ = unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: rowsUnknown, Col: columnsUnknown})
	return func() { _ = unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, had) }
}
