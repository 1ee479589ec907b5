package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"hindcast.dev/app"
	"hindcast.dev/event"
	"hindcast.dev/machine"
	"hindcast.dev/node"
)

// Fragile is a Counter that dies of the key /die, and one that was mended.
type Fragile struct{ Counts machine.Map[string, int64] }
type Mended struct{ Counts machine.Map[string, int64] }

func (*Fragile) Payloads() []any { return []any{Add{}, Count{}} }
func (*Mended) Payloads() []any  { return []any{Add{}, Count{}} }

func (f *Fragile) Step(ctx *machine.Context, ev event.Event) {
	if add, ok := ev.Body.(Add); ok && add.Key == "/die" {
		panic("asked to die")
	}
	(*Counter)(f).Step(ctx, ev)
}

func (m *Mended) Step(ctx *machine.Context, ev event.Event) { (*Counter)(m).Step(ctx, ev) }

func (m *Mended) UpgradeFrom(old machine.Machine) error {
	m.Counts = old.(*Fragile).Counts
	return nil
}

// Other does something else than Counter, under its name.
type Other struct{ Counts machine.Map[string, int64] }

func (*Other) Payloads() []any { return []any{Add{}, Count{}} }

func (o *Other) Step(ctx *machine.Context, ev event.Event) {
	if add, ok := ev.Body.(Add); ok {
		o.Counts.Put(add.Key, 2)
		ctx.Reply(ev.ID, Count{2})
	}
}

func serviceWith(vs machine.Versions) app.Service {
	s := service()
	s.Machines = machine.Registry{"counter": vs}
	return s
}

// lines is a writer that hands out what was written line by line.
type lines struct {
	mu   sync.Mutex
	part []byte
	all  strings.Builder
	ch   chan string
}

func newLines() *lines { return &lines{ch: make(chan string, 1000)} }

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all.Write(b)
	l.part = append(l.part, b...)
	for {
		i := bytes.IndexByte(l.part, '\n')
		if i < 0 {
			return len(b), nil
		}
		l.ch <- string(l.part[:i])
		l.part = l.part[i+1:]
	}
}

// A server is a node that runs in this process.
type server struct {
	t           *testing.T
	log         *lines
	stop        context.CancelFunc
	done        chan error
	http, admin string
}

func serve(t *testing.T, s app.Service, args ...string) *server {
	t.Helper()
	sv := start(t, s, args...)
	line := sv.wait("msg=serving")
	sv.http, sv.admin = field(line, "http"), field(line, "admin")
	return sv
}

// start runs serve without waiting for the node to serve.
func start(t *testing.T, s app.Service, args ...string) *server {
	ctx, stop := context.WithCancel(context.Background())
	sv := &server{t: t, log: newLines(), stop: stop, done: make(chan error, 1)}
	root := app.Command(s)
	root.SetArgs(append([]string{"serve"}, args...))
	root.SetErr(sv.log)
	root.SilenceErrors, root.SilenceUsage = true, true
	go func() { sv.done <- root.ExecuteContext(ctx) }()
	return sv
}

// wait returns the first line of the log that holds text.
func (s *server) wait(text string) string {
	s.t.Helper()
	for {
		select {
		case l := <-s.log.ch:
			if strings.Contains(l, text) {
				return l
			}
		case err := <-s.done:
			s.t.Fatalf("no %q: serve ended: %v\n%s", text, err, s.log.all.String())
		}
	}
}

func field(line, name string) string {
	m := regexp.MustCompile(name + `=(\S+)`).FindStringSubmatch(line)
	if m == nil {
		return ""
	}
	return strings.Trim(m[1], `"`)
}

func (s *server) get(path string) string {
	s.t.Helper()
	resp, err := http.Get("http://" + s.http + path)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}

// end stops the node and returns its exit code.
func (s *server) end() int {
	s.stop()
	return exitCode(<-s.done)
}

func exitCode(err error) int {
	var exit *app.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.Code
	}
	return app.ExitInternal
}

// run runs a command line of a service's program in this process.
func run(t *testing.T, s app.Service, stdin string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	root := app.Command(s)
	var out, errs bytes.Buffer
	root.SetIn(strings.NewReader(stdin))
	root.SetOut(&out)
	root.SetErr(&errs)
	code = app.Run(root, args, &errs)
	return code, out.String(), errs.String()
}

// mustRun is run of what has to end well.
func mustRun(t *testing.T, s app.Service, stdin string, args ...string) (stdout, stderr string) {
	t.Helper()
	code, stdout, stderr := run(t, s, stdin, args...)
	if code != 0 {
		t.Fatalf("%s: exit code %d\n%s%s", strings.Join(args, " "), code, stdout, stderr)
	}
	return stdout, stderr
}

func wantText(t *testing.T, what, got string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(got, w) {
			t.Errorf("%s: %q isn't in\n%s", what, w, got)
		}
	}
}

func verifyNoLeak(t *testing.T) {
	// Kept-alive connections of the test's own client aren't the program's.
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		goleak.VerifyNone(t)
	})
}

func TestWhatANodeServedIsPulledReplayedAskedAndDebugged(t *testing.T) {
	verifyNoLeak(t)
	dir, rec := filepath.Join(t.TempDir(), "n1"), filepath.Join(t.TempDir(), "rec")
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("0123456789abcdef\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	sv := serve(t, service(), "--node", "n1", "--dir", dir, "--http", ":0", "--admin", ":0", "--token", "@"+token, "--set", "color=red")
	for i := range 3 {
		if got, want := sv.get("/x"), fmt.Sprintf("{%d} <nil>", i+1); got != want {
			t.Fatalf("request %d: %s, want %s", i+1, got, want)
		}
	}
	code, _, stderr := run(t, service(), "", "pull", sv.admin, rec)
	if code != app.ExitUsage {
		t.Errorf("pull without the token: exit code %d", code)
	}
	wantText(t, "pull without the token", stderr, "401")
	out, _ := mustRun(t, service(), "", "pull", "--token-file", token, "n1="+sv.admin, rec)
	wantText(t, "pull", out, "n1  ", "recording in "+rec)
	out, _ = mustRun(t, service(), "", "pull", "--token-file", token, "-o", "json", sv.admin, rec)
	wantText(t, "pull -o json", out, `"service": "counter"`)
	live, _ := mustRun(t, service(), "", "query", "--token-file", token, "-o", "jsonl", sv.admin, "SHOW NODES")
	wantText(t, "a query of a live node", live, `"node":"n1"`)
	if code := sv.end(); code != 0 {
		t.Errorf("serve ended with exit code %d\n%s", code, sv.log.all.String())
	}

	code, out, stderr = run(t, serviceWith(machine.Versions{1: func() machine.Machine { return &Other{} }}), "", "replay", rec)
	if code != app.ExitFound {
		t.Errorf("replay with other code: exit code %d\n%s%s", code, out, stderr)
	}
	wantText(t, "replay with other code", stderr, "the replay diverged: node n1, event ")
	if err := os.RemoveAll(filepath.Join(rec, "history")); err != nil {
		t.Fatal(err)
	}
	out, _ = mustRun(t, service(), "", "replay", rec)
	hash := regexp.MustCompile(`hash [0-9a-f]{64}`).FindString(out)
	last := strings.TrimSpace(out)[strings.LastIndexByte(strings.TrimSpace(out), '\n')+1:]
	if hash == "" || last != rec+"/history/"+app.BuildID() {
		t.Errorf("replay printed\n%s", out)
	}
	out, _ = mustRun(t, service(), "", "replay", "-o", "json", rec)
	var report struct {
		Hash   string
		Reused bool
		Nodes  []struct{ Node string }
	}
	if err := json.Unmarshal([]byte(out), &report); err != nil || "hash "+report.Hash != hash || !report.Reused || len(report.Nodes) != 1 {
		t.Errorf("replay -o json: %v\n%s", err, out)
	}
	out, _ = mustRun(t, service(), "", "query", "-o", "jsonl", rec, `SELECT counter.counts["/x"] FROM counter WHEN counter.counts["/x"] >= 2`)
	wantText(t, "query", out, `"cuts":`, `{"n1":2}`)
	out, _ = mustRun(t, service(), "where counter.counts[\"/x\"] = 3\ndiff\neffects\n", "debug", rec)
	wantText(t, "debug", out, `n1  counter.counts["/x"]: 2 → 3`, "reply Count")
	out, _ = mustRun(t, service(), "", "query", "-o", "csv", dir, "SHOW NODES")
	wantText(t, "a query of a node's directory", out, "n1,")
	out, _ = mustRun(t, service(), "", "journal", "info", rec)
	wantText(t, "journal info", out, "node        n1")
}

func TestAnEventThatKillsANodeIsFoundAndPassed(t *testing.T) {
	verifyNoLeak(t)
	fragile := serviceWith(machine.Versions{1: func() machine.Machine { return &Fragile{} }})
	mended := serviceWith(machine.Versions{1: func() machine.Machine { return &Fragile{} }, 2: func() machine.Machine { return &Mended{} }})
	for _, way := range []string{"skip", "upgrade"} {
		t.Run(way, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "n1")
			args := []string{"--dir", dir, "--http", ":0"}
			sv := serve(t, fragile, args...)
			sv.get("/x")
			sv.get("/die")
			err := <-sv.done
			if code := exitCode(err); code != node.ExitPanic {
				t.Fatalf("exit code %d (%v), want %d", code, err, node.ExitPanic)
			}
			box := crashBox(t, err)
			out, _ := mustRun(t, fragile, "event\n", "debug", box)
			wantText(t, "debug of the crash box", out, "request Add", `"/die"`)

			sv = start(t, fragile, args...)
			err = <-sv.done
			if code := exitCode(err); code != node.ExitPoison {
				t.Fatalf("the second start: exit code %d (%v), want %d", code, err, node.ExitPoison)
			}
			seq := regexp.MustCompile(`--upgrade-before (\d+)`).FindStringSubmatch(err.Error())
			if seq == nil {
				t.Fatalf("no way on is named: %v", err)
			}
			want := "{2} <nil>"
			if way == "skip" {
				mustRun(t, fragile, "", "journal", "skip", "--reason", "asked to die", dir, seq[1])
				sv = serve(t, fragile, args...)
			} else {
				sv = serve(t, mended, append(args, "--upgrade-before", seq[1])...)
			}
			if got := sv.get("/x"); got != want {
				t.Errorf("after the way on: %s, want %s", got, want)
			}
			if way == "upgrade" {
				if got := sv.get("/die"); got != want {
					t.Errorf("the event was not handled anew: %s, want %s", got, want)
				}
			}
			if code := sv.end(); code != 0 {
				t.Errorf("serve ended with exit code %d\n%s", code, sv.log.all.String())
			}
		})
	}
}

// crashBox is the directory that an error names.
func crashBox(t *testing.T, err error) string {
	t.Helper()
	var crash *node.CrashError
	if !errors.As(err, &crash) || crash.Box == "" {
		t.Fatalf("%v names no crash box", err)
	}
	return crash.Box
}
