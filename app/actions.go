package app

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"hindcast.dev/rql"
)

const (
	// actionsMax is how many commands of --on-row run at once.
	actionsMax = 4
	// actionsQueue is how many rows wait for theirs; more rows go without, and are
	// counted.
	actionsQueue = 1024
	// actionsGrace is how long those that wait and run have when watch ends.
	actionsGrace = 10 * time.Second
	// actionSays bounds what is repeated of a command that failed, in bytes.
	actionSays = 512
)

// A lockedWriter is written to by several goroutines.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}

// actions run a command for every row. A nil one runs none.
type actions struct {
	command string
	stderr  io.Writer
	rows    chan []byte
	running sync.WaitGroup
	ctx     context.Context
	cancel  context.CancelFunc
	grace   time.Duration
	failed  atomic.Uint64
	without atomic.Uint64 // rows whose command watch's end cut short, or came before
	full    bool          // said that rows go without
}

func newActions(command string, stderr io.Writer) *actions {
	a := &actions{command: command, stderr: stderr, rows: make(chan []byte, actionsQueue), grace: actionsGrace}
	a.ctx, a.cancel = context.WithCancel(context.Background())
	for range actionsMax {
		a.running.Go(func() {
			for row := range a.rows {
				a.run(row)
			}
		})
	}
	return a
}

// row has the command run for a row, soon.
func (a *actions) row(r *rql.Row) {
	if a == nil {
		return
	}
	select {
	case a.rows <- append(escapeJSON(r.AppendJSON(nil)), '\n'):
	default:
		a.failed.Add(1)
		if !a.full {
			a.full = true
			fmt.Fprintf(a.stderr, "--on-row: the command is too slow, %d rows wait: more rows go without it\n", actionsQueue)
		}
	}
}

// run runs the command for one row. What it prints goes nowhere unless it fails.
func (a *actions) run(row []byte) {
	shell, flag := "sh", "-c"
	if runtime.GOOS == "windows" {
		shell, flag = "cmd", "/c"
	}
	cmd := exec.CommandContext(a.ctx, shell, flag, a.command)
	cmd.Stdin = bytes.NewReader(row)
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	switch {
	case err == nil:
	case a.ctx.Err() != nil:
		a.without.Add(1)
	default:
		a.failed.Add(1)
		said := strings.TrimSpace(string(out[max(0, len(out)-actionSays):]))
		fmt.Fprintf(a.stderr, "--on-row %q: %v: %s\n", a.command, err, said)
	}
}

// end waits for the commands, for a while.
func (a *actions) end() {
	if a == nil {
		return
	}
	close(a.rows)
	late := time.AfterFunc(a.grace, a.cancel)
	defer late.Stop()
	if n := len(a.rows); n > 0 {
		fmt.Fprintf(a.stderr, "--on-row: %s more to be told of, for %v at most\n", plural(n, "row"), a.grace)
	}
	a.running.Wait()
	a.cancel()
	if n := a.without.Load(); n > 0 {
		fmt.Fprintf(a.stderr, "--on-row: %s went without the command: there was no time left for it\n", plural(n, "row"))
	}
}

// failures is how many rows had no command that succeeded.
func (a *actions) failures() uint64 {
	if a == nil {
		return 0
	}
	return a.failed.Load() + a.without.Load()
}
