package debug

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"

	"hindcast.dev/prompt"
)

// Prompt reads commands from the terminal until the command quit, the end of
// input, or ctx's end. Ctrl-C ends the command that runs, not the session. An
// empty line repeats the last command. historyFile keeps the lines typed from
// session to session; "" keeps none.
func Prompt(ctx context.Context, s *Session, historyFile string) error {
	in := prompt.New(historyFile, s.Complete)
	defer in.Close()
	last := ""
	for ctx.Err() == nil {
		line, err := in.Line(s.name(s.at) + "> ")
		switch {
		case errors.Is(err, prompt.ErrAborted):
			continue
		case errors.Is(err, io.EOF):
			fmt.Fprintln(s.out)
			return nil
		case err != nil:
			return fmt.Errorf("prompt: %w", err)
		}
		if line = strings.TrimSpace(line); line == "" {
			line = last
		} else {
			in.Remember(line)
		}
		last = line
		err = s.doInterruptible(ctx, line)
		if errors.Is(err, ErrQuit) {
			return nil
		}
		if err != nil {
			fmt.Fprintf(s.out, "%v\n", err)
		}
	}
	return ctx.Err()
}

// doInterruptible carries out a line that Ctrl-C ends.
func (s *Session) doInterruptible(ctx context.Context, line string) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt)
	defer stop()
	err := s.Do(ctx, line)
	if errors.Is(err, context.Canceled) {
		if s.following {
			return errors.New("interrupted: the place follows the end")
		}
		return errors.New("interrupted: the place is unchanged")
	}
	return err
}
