// Package prompt reads lines from the terminal that the program runs on: with
// editing, completion, and a history that is kept from session to session.
package prompt

import (
	"errors"
	"os"

	"github.com/peterh/liner"
)

// ErrAborted is returned by Line where Ctrl-C was typed.
var ErrAborted = errors.New("aborted")

// A Completer returns what the word that ends at byte pos of line may become: the
// line before it, the candidates in order, and the line behind.
type Completer func(line string, pos int) (head string, candidates []string, tail string)

// A Prompt is the terminal while lines are read from it. Between calls of Line
// Ctrl-C is a signal as ever.
type Prompt struct {
	in   *liner.State
	file string
	size func() // gives the terminal its size back
}

// New takes the terminal over until Close. historyFile keeps the lines typed, ""
// keeps none; complete may be nil.
func New(historyFile string, complete Completer) *Prompt {
	p := &Prompt{file: historyFile, size: giveSize()}
	p.in = liner.NewLiner()
	p.in.SetCtrlCAborts(true)
	p.in.SetMultiLineMode(true)
	p.in.SetTabCompletionStyle(liner.TabPrints)
	if complete != nil {
		p.in.SetWordCompleter(liner.WordCompleter(complete))
	}
	p.read()
	return p
}

// Line reads a line, after showing before. At the end of input, which Ctrl-D on an
// empty line is, it returns io.EOF, and ErrAborted after Ctrl-C.
func (p *Prompt) Line(before string) (string, error) {
	line, err := p.in.Prompt(before)
	if errors.Is(err, liner.ErrPromptAborted) {
		err = ErrAborted
	}
	return line, err
}

// Remember puts a line into the history, where arrow-up finds it.
func (p *Prompt) Remember(line string) { p.in.AppendHistory(line) }

// Close gives the terminal back and keeps the history.
func (p *Prompt) Close() error {
	defer p.size()
	return errors.Join(p.keep(), p.in.Close())
}

// read fills the history. That there is none yet, or that it can't be read, is no
// reason not to begin.
func (p *Prompt) read() {
	if p.file == "" {
		return
	}
	f, err := os.Open(p.file)
	if err != nil {
		return
	}
	defer f.Close()
	_, _ = p.in.ReadHistory(f) // what can be read of it is in
}

// keep saves the history for the next session, readable by nobody else:
// conditions may name what is in the data.
func (p *Prompt) keep() (err error) {
	if p.file == "" {
		return nil
	}
	f, err := os.OpenFile(p.file, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	_, err = p.in.WriteHistory(f)
	return err
}
