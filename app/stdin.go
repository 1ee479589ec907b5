package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
)

// standardInput is the WHAT that is read from there.
const standardInput = "-"

// inputBytesMax bounds what is copied from standard input.
const inputBytesMax = 4 << 30

// openInput opens what is on standard input. It is copied to a file first, for it
// can be read but once.
func (f *openFlags) openInput(ctx context.Context, c *cobra.Command, services []Service, _ string) (*opened, error) {
	if _, ok := terminal(c.InOrStdin()); ok {
		return nil, Usage(errors.New("standard input is a terminal: - wants a History in text form or a log there, as from a pipe"))
	}
	dir, err := os.MkdirTemp("", "hindcast-input-")
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "input")
	err = spool(ctx, file, c.InOrStdin(), inputBytesMax)
	var o *opened
	if err == nil {
		o, err = f.open(ctx, c, services, file)
	}
	if err != nil {
		return nil, errors.Join(ofInput(err, file), os.RemoveAll(dir))
	}
	o.temp = dir
	return o, nil
}

// spool copies at most so many bytes to a new file.
func spool(ctx context.Context, file string, r io.Reader, most int64) error {
	out, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	n, err := io.Copy(out, io.LimitReader(contextReader{ctx, r}, most+1))
	err = errors.Join(err, out.Close())
	switch {
	case err != nil && ctx.Err() != nil:
		return openError(ctx.Err())
	case err != nil:
		return err
	case n > most:
		return Usage(fmt.Errorf("there are more than %s on it: write them to a file, and open that", bytesText(most)))
	case n == 0:
		return Usage(errors.New("there is nothing on it"))
	}
	return nil
}

// A contextReader reads until its context ends, as far as a read that waits returns.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (r contextReader) Read(b []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(b)
}

// ofInput says of an error that it is about standard input, and keeps its exit code.
func ofInput(err error, file string) error {
	var exit *ExitError
	if errors.As(err, &exit) && exit.Err != nil {
		return &ExitError{exit.Code, &inputError{exit.Err, file}}
	}
	return &inputError{err, file}
}

// An inputError says standard input where the copy of it is meant, which is gone
// when it is read.
type inputError struct {
	err  error
	file string
}

func (e *inputError) Error() string {
	text := strings.ReplaceAll(e.err.Error(), e.file, "standard input")
	if !strings.Contains(text, "standard input") {
		text = "standard input: " + text
	}
	return text
}

// Unwrap returns what it says so of.
func (e *inputError) Unwrap() error { return e.err }
