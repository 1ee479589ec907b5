package debug

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"

	"github.com/peterh/liner"
)

// Prompt reads commands from the terminal until the command quit, the end of
// input, or ctx's end. Ctrl-C ends the command that runs, not the session. An
// empty line repeats the last command. historyFile keeps the lines typed from
// session to session; "" keeps none.
func Prompt(ctx context.Context, s *Session, historyFile string) error {
	in := liner.NewLiner()
	defer in.Close()
	in.SetCtrlCAborts(true)
	in.SetTabCompletionStyle(liner.TabPrints)
	in.SetWordCompleter(s.Complete)
	readLines(in, historyFile)
	defer saveLines(in, historyFile)
	last := ""
	for ctx.Err() == nil {
		line, err := in.Prompt(s.name(s.at) + "> ")
		switch {
		case errors.Is(err, liner.ErrPromptAborted):
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
			in.AppendHistory(line)
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
		return errors.New("interrupted: the place is unchanged")
	}
	return err
}

// readLines fills the prompt's history. That there is none yet, or that it can't
// be read, is no reason not to debug.
func readLines(in *liner.State, file string) {
	if file == "" {
		return
	}
	f, err := os.Open(file)
	if err != nil {
		return
	}
	defer f.Close()
	in.ReadHistory(f)
}

// saveLines keeps the prompt's history for the next session, readable by nobody
// else: conditions may name what is in the data.
func saveLines(in *liner.State, file string) {
	if file == "" {
		return
	}
	f, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return
	}
	defer f.Close()
	in.WriteHistory(f)
}
