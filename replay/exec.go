package replay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path"
	"path/filepath"
	"strings"

	"hindcast.dev/recording"
)

// ExecCommand is the command of a service's program that replays a recording:
//
//	PROGRAM replay [--again] [--walk VARIABLE]… DIR
//
// writes DIR/history/BUILD, or one beside it with those variables walked, and
// prints its path as the last line of its standard output. Where that History is
// there already it may leave it at that, unless told --again, and then prints
// ReusedMark too. Its exit code is 1 if the replay diverged; the History is there then
// too.
const ExecCommand = "replay"

// ReusedMark is in what a program prints that reused a History.
const ReusedMark = "reused, nothing replayed"

// outputMax bounds what is kept of a program's output, in bytes.
const outputMax = 64 << 10

// execute lets Options.Exec replay a recording.
func execute(ctx context.Context, rec *recording.Recording, o Options) (*Replayed, error) {
	program, err := exec.LookPath(o.Exec)
	if err != nil {
		return nil, fmt.Errorf("--exec %s: %w: want the path of the service's program", o.Exec, err)
	}
	args := []string{ExecCommand}
	if o.Again {
		args = append(args, "--again")
	}
	for _, v := range o.Walk {
		args = append(args, "--walk", v)
	}
	cmd := exec.CommandContext(ctx, program, append(args, rec.Dir())...)
	var out, errOut tail
	cmd.Stdout, cmd.Stderr = &out, &errOut
	o.begin()
	err = cmd.Run()
	var exit *exec.ExitError
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil && !(errors.As(err, &exit) && exit.ExitCode() == 1) {
		return nil, fmt.Errorf("%s: %w%s", strings.Join(cmd.Args, " "), err, quoted(errOut.String()))
	}
	// Only the last element is taken: the History is in the recording.
	name := path.Base(filepath.ToSlash(lastLine(out.String())))
	if _, ok := recording.Unescape(strings.TrimSuffix(name, walkedSuffix)); !ok || name == "" {
		return nil, fmt.Errorf("%s printed %q as its last line: want the History's directory%s", strings.Join(cmd.Args, " "), name, quoted(errOut.String()))
	}
	r, ok := reuse(rec.FS(), path.Join(rec.HistoriesDir(), name), func(have origin) bool { return have.walked(o.Walk) })
	if !ok {
		return nil, fmt.Errorf("%s left no History in %s%s", strings.Join(cmd.Args, " "), path.Join(rec.HistoriesDir(), name), quoted(errOut.String()))
	}
	r.Reused = strings.Contains(out.String(), ReusedMark)
	return r, nil
}

func quoted(stderr string) string {
	if stderr = strings.TrimSpace(stderr); stderr == "" {
		return ""
	}
	return "; it said:\n" + stderr
}

func lastLine(s string) string {
	s = strings.TrimRight(s, "\r\n")
	return s[strings.LastIndexByte(s, '\n')+1:]
}

// A tail keeps the end of what is written to it.
type tail struct{ bytes.Buffer }

// Write never fails.
func (t *tail) Write(b []byte) (int, error) {
	t.Buffer.Write(b)
	if over := t.Len() - outputMax; over > outputMax {
		t.Next(over)
	}
	return len(b), nil
}
