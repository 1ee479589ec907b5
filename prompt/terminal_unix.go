//go:build unix

package prompt

import (
	"os"

	"golang.org/x/sys/unix"
)

// Terminal makes the terminal that the program was started on its standard input,
// where something else is that was read already. It fails if there is none.
func Terminal() error {
	t, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer t.Close()
	return unix.Dup2(int(t.Fd()), int(os.Stdin.Fd()))
}
