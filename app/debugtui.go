package app

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"hindcast.dev/debug/tui"
)

// showTUI shows the debugger on the terminal's screen until it is quit.
func (f *debugFlags) showTUI(c *cobra.Command, services []Service, what string) error {
	in, out, err := screen(c, what)
	if err == nil {
		err = tui.Check(in, out, nil)
	}
	if err != nil {
		return Usage(err)
	}
	if what == standardInput {
		defer in.Close()
	}
	ctx, stop := interruptible(c)
	defer stop()
	d, begin, err := f.openDesk(ctx, c, services, what)
	if err != nil {
		return err
	}
	defer d.Close()
	s := d.session(io.Discard)
	s.MoveTo(begin.at)
	// What commands would warn of on the terminal comes when the screen is gone.
	var late bytes.Buffer
	stderr := c.ErrOrStderr()
	c.SetErr(&late)
	defer func() {
		c.SetErr(stderr)
		_, _ = late.WriteTo(stderr) // nobody could be told that it failed
	}()
	return tui.Run(ctx, tui.Options{Title: what, Session: s, Greeting: begin.note, In: in, Out: out, Plain: f.ascii})
}

// screen is the terminal: where standard input is what is opened, the one that
// controls the process.
func screen(c *cobra.Command, what string) (in, out *os.File, err error) {
	out, _ = c.OutOrStdout().(*os.File)
	if what != standardInput {
		in, _ = c.InOrStdin().(*os.File)
		return in, out, nil
	}
	if in, err = os.OpenFile("/dev/tty", os.O_RDWR, 0); err != nil {
		return nil, nil, fmt.Errorf("standard input is what is opened, and there is no terminal for keys (%w): want --script FILE or --web", err)
	}
	return in, out, nil
}

// checkTUI refuses flags that don't go together.
func (f *debugFlags) checkTUI() error {
	if f.tui && (f.web || f.script != "") {
		return Usage(errors.New("--tui, --web and --script: want one of them"))
	}
	return nil
}
