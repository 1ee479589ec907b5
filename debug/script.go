package debug

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
)

// lineMax bounds a line of a script, in bytes.
const lineMax = 1 << 20

// A ScriptError says which line of a script failed, and how many did.
type ScriptError struct {
	Line   int // of the first, from 1
	Failed int
	Err    error // of the first
}

func (e *ScriptError) Error() string {
	if e.Failed > 1 {
		return fmt.Sprintf("%d commands failed, the first at line %d: %v", e.Failed, e.Line, e.Err)
	}
	return fmt.Sprintf("line %d: %v", e.Line, e.Err)
}

// Unwrap returns the cause.
func (e *ScriptError) Unwrap() error { return e.Err }

// Script carries out the lines of r, each shown before what it says. It stops
// at the first that fails or, if keepGoing, shows what was wrong and goes on;
// either way its error is then a *ScriptError. The command quit ends it.
func Script(ctx context.Context, s *Session, r io.Reader, keepGoing bool) error {
	in := bufio.NewScanner(r)
	in.Buffer(nil, lineMax)
	var failed *ScriptError
	n := 0
	for in.Scan() {
		n++
		line := strings.TrimSpace(in.Text())
		if line == "" {
			continue
		}
		fmt.Fprintf(s.out, "> %s\n", line)
		err := s.Do(ctx, line)
		switch {
		case errors.Is(err, ErrQuit):
			return failed.orNil()
		case err == nil:
			continue
		case failed == nil:
			failed = &ScriptError{Line: n, Err: err}
		}
		failed.Failed++
		if !keepGoing || ctx.Err() != nil {
			return failed
		}
		fmt.Fprintf(s.out, "error: %v\n", err)
	}
	if err := in.Err(); err != nil {
		return &ScriptError{Line: n + 1, Failed: 1, Err: err}
	}
	return failed.orNil()
}

// orNil keeps a nil *ScriptError from becoming an error that isn't nil.
func (e *ScriptError) orNil() error {
	if e == nil {
		return nil
	}
	return e
}
