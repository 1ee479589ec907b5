package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"hindcast.dev/app"
	"hindcast.dev/recording"
	"hindcast.dev/replay"
	"hindcast.dev/rql"
	"hindcast.dev/vfs"
)

// watchQueries are those of docs/watch.md; the first is the one of the test.
func watchQueries(t *testing.T) (out []string) {
	t.Helper()
	page, err := os.ReadFile("../../docs/watch.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile("(?s)```rql\n(.*?)```").FindAllStringSubmatch(string(page), -1) {
		out = append(out, strings.TrimSpace(m[1]))
	}
	if len(out) != 3 {
		t.Fatalf("docs/watch.md has %d queries", len(out))
	}
	return out
}

// A watching is a process of hindcast watch.
type watching struct {
	t        *testing.T
	cmd      *exec.Cmd
	rows     chan watchRow // closed at the end
	says     chan string   // lines of standard error; closed at the end
	said     []string
	complete []string // the rows that aren't incomplete, as Run gives them, by edge
}

type watchRow struct {
	Edge       string
	Values     struct{ X map[string]string }
	Incomplete bool
	text       string
}

func startWatch(t *testing.T, c *cluster, query string, args ...string) *watching {
	t.Helper()
	cmd := exec.Command(c.self, append([]string{"watch", strings.Join(c.admins(), ","), query, "-o", "jsonl"}, args...)...)
	w := &watching{t: t, cmd: cmd, rows: make(chan watchRow, 64), says: make(chan string, 64)}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	go lines(stdout, func(line string) {
		r := watchRow{text: line}
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			r.text = err.Error() + ": " + line
		}
		w.rows <- r
	}, func() { close(w.rows) })
	go lines(stderr, func(line string) { w.says <- line }, func() { close(w.says) })
	return w
}

func lines(r io.Reader, f func(string), end func()) {
	defer end()
	for s := bufio.NewScanner(r); s.Scan(); {
		f(s.Text())
	}
}

// row waits for a row of an edge.
func (w *watching) row(edge string) watchRow {
	w.t.Helper()
	select {
	case r := <-w.rows:
		if r.Edge != edge {
			w.t.Fatalf("the row is %s, want one %s; it said %q", r.text, edge, w.said)
		}
		if !r.Incomplete {
			w.complete = append(w.complete, r.text)
		}
		return r
	case <-time.After(patience):
		w.t.Fatalf("no row; it said %q", w.said)
	}
	panic("unreachable")
}

// waitFor waits until it says something.
func (w *watching) waitFor(text string) {
	w.t.Helper()
	late := time.After(patience)
	for {
		select {
		case line, ok := <-w.says:
			if w.said = append(w.said, line); strings.Contains(line, text) {
				return
			}
			if !ok {
				w.t.Fatalf("it ended without saying %q: %q", text, w.said)
			}
		case <-late:
			w.t.Fatalf("it doesn't say %q: %q", text, w.said)
		}
	}
}

const patience = 30 * time.Second

// put writes x by a node, until that is acknowledged.
func put(t *testing.T, c *cluster, m *member, value string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodPut, "http://"+m.http+"/kv/x", strings.NewReader(value))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := c.client.Do(req)
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
		}
		select {
		case <-ctx.Done():
			t.Fatalf("x=%s isn't acknowledged: %v", value, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// A watch over three processes gives the edges as they happen; one of the nodes is
// killed, rows go on without it and say so; it comes back and is caught up. What
// was complete is what a query over the pulled recording gives.
func TestWatchFollowsRealProcesses(t *testing.T) {
	dir := t.TempDir()
	c, err := newCluster(dir, 3, 40*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	defer c.client.CloseIdleConnections()
	for _, m := range c.members {
		if err := c.start(m); err != nil {
			t.Fatal(err)
		}
		defer c.kill(m)
	}
	for _, m := range c.members {
		if err := c.ready(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	n1, n2 := c.members[0], c.members[1]
	put(t, c, n1, "zero")
	acted := filepath.Join(dir, "acted")
	queries := watchQueries(t)
	for _, q := range queries { // every one is taken, and ends at once
		w := startWatch(t, c, q+" LIMIT 0", "-q")
		if err := w.cmd.Wait(); err != nil {
			t.Errorf("%s\n%v", q, err)
		}
	}
	early := startWatch(t, c, "SELECT node.boot FROM node EMIT CUTS LIMIT 1", "--from", "2020-01-01T00:00:00Z", "--on-row", "exit 9")
	early.waitFor("--from 2020-01-01T00:00:00Z is before anything was recorded: rows are there from 20")
	early.row("")
	early.waitFor("--on-row failed for 1 row")
	if err := early.cmd.Wait(); early.cmd.ProcessState.ExitCode() != app.ExitInternal {
		t.Errorf("%v, want exit code %d", err, app.ExitInternal)
	}
	w := startWatch(t, c, queries[0], "--hold", "1s", "--on-row", "cat >> "+acted)
	w.waitFor("watching n1, n2, n3")

	put(t, c, n1, "one")
	if r := w.row("enter"); r.Incomplete || r.Values.X["n2"] != "one" {
		t.Errorf("all three hold it: %s", r.text)
	}
	put(t, c, n1, "two")
	w.row("leave")
	put(t, c, n1, "one")
	w.row("enter")

	if err := c.kill(n2); err != nil {
		t.Fatal(err)
	}
	put(t, c, n1, "three") // n2 doesn't know of it
	// A replica that was slow has "one" of the first time yet when the others have it of
	// the second, and then for a moment "two": that is a leave and an enter more.
	for r := w.row("leave"); !r.Incomplete; r = w.row("leave") {
		w.row("enter")
	}
	w.waitFor("node n2 is lost")
	w.waitFor("node n2 is unknown from ")
	if err := c.start(n2); err != nil {
		t.Fatal(err)
	}
	w.waitFor("node n2 is back")
	put(t, c, n2, "one")
	r := w.row("enter")
	for r.Incomplete { // until what it missed is caught up
		put(t, c, n1, "four")
		w.row("leave")
		put(t, c, n1, "one")
		r = w.row("enter")
	}
	if r.Values.X["n1"] != "one" || r.Values.X["n2"] != "one" || r.Values.X["n3"] != "one" {
		t.Errorf("all three hold it again: %s", r.text)
	}
	w.endsLike(t, c, queries[0], acted)
}

// endsLike interrupts the watch and compares its rows with those of a query over the
// recording.
func (w *watching) endsLike(t *testing.T, c *cluster, query, acted string) {
	dir := filepath.Dir(acted)
	t.Helper()
	if err := w.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	w.waitFor("after their event")
	for line := range w.says {
		w.said = append(w.said, line)
	}
	rows := 0
	for r := range w.rows { // of a replica that was slow
		if !r.Incomplete {
			w.complete = append(w.complete, r.text)
		}
	}
	err := w.cmd.Wait()
	if code := w.cmd.ProcessState.ExitCode(); code != 0 && code != 3 {
		t.Errorf("exit code %d, %v: %q", code, err, w.said)
	}
	b, err := os.ReadFile(acted)
	if rows = strings.Count(string(b), "\n"); err != nil || rows < len(w.complete) || !strings.Contains(string(b), w.complete[0]) {
		t.Errorf("--on-row had %d rows, %v, want %d at least", rows, err, len(w.complete))
	}
	if _, err := recording.Pull(t.Context(), vfs.OS(), dir, c.admins(), recording.PullOptions{}); err != nil {
		t.Fatal(err)
	}
	opened, err := replay.Open(t.Context(), dir, replayOptions())
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	batch := map[string]bool{}
	for edge, emit := range map[string]string{rql.EdgeEnter: " EMIT ENTER", rql.EdgeLeave: " EMIT LEAVE"} {
		q, err := rql.Compile(opened.Source.Meta(), query+emit)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := q.Run(t.Context(), opened.Source, rql.Options{}, func(r *rql.Row) error {
			r.Edge = edge
			batch[string(r.AppendJSON(nil))] = true
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	for _, text := range w.complete {
		if !batch[text] {
			t.Errorf("the recording doesn't give this row:\n%s\nbut\n%s", text, fmt.Sprint(batch))
		}
	}
}
