//go:build unix

package app_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/replay"
)

// A process is the frail service as an operating system process.
type process struct {
	t           *testing.T
	cmd         *exec.Cmd
	http, admin string
	lines       chan string   // of its log, closed at its end
	over        chan struct{} // closed once it has ended and log is whole

	mu  sync.Mutex
	log bytes.Buffer
}

// launch runs the service on dir. It may end by itself.
func launch(t *testing.T, dir string, args ...string) *process {
	t.Helper()
	p := &process{t: t, lines: make(chan string, 1000), over: make(chan struct{})}
	p.cmd = exec.Command("frail", append([]string{"serve", "--dir", dir, "--http", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--segment-bytes", "65536"}, args...)...)
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.over)
		defer close(p.lines)
		for s := bufio.NewScanner(stderr); s.Scan(); {
			p.mu.Lock()
			p.log.WriteString(s.Text() + "\n")
			p.mu.Unlock()
			p.lines <- s.Text()
		}
		_ = p.cmd.Wait() // how it ended shows in ProcessState
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // it may have ended
		<-p.over
	})
	return p
}

// serving runs the service and waits until it serves.
func serving(t *testing.T, dir string, args ...string) *process {
	t.Helper()
	p := launch(t, dir, args...)
	m := p.logged(`msg=serving .*http=(\S+) admin=(\S+)`)
	p.http, p.admin = "http://"+m[1], "http://"+m[2]
	return p
}

// logged waits for a line of the log.
func (p *process) logged(pattern string) []string {
	p.t.Helper()
	re := regexp.MustCompile(pattern)
	late := time.After(30 * time.Second)
	for {
		select {
		case line, ok := <-p.lines:
			if m := re.FindStringSubmatch(line); m != nil {
				return m
			}
			if !ok {
				p.t.Fatalf("the service ended without a line like %q; its log:\n%s", pattern, p.text())
			}
		case <-late:
			p.t.Fatalf("no line like %q; the log:\n%s", pattern, p.text())
		}
	}
}

func (p *process) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

// ended waits for the end and returns the exit code.
func (p *process) ended() int {
	p.t.Helper()
	select {
	case <-p.over:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(30 * time.Second):
		p.t.Fatalf("the service doesn't end; its log:\n%s", p.text())
		return 0
	}
}

func (p *process) signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// get asks the service.
func (p *process) get(path string) (int, string) {
	p.t.Helper()
	resp, err := http.Get(p.http + path)
	if err != nil {
		p.t.Errorf("GET %s: %v", path, err)
		return 0, ""
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Errorf("GET %s: %v", path, err)
	}
	return resp.StatusCode, string(b)
}

func (p *process) add(n int) {
	p.t.Helper()
	for range n {
		if status, body := p.get("/add"); status != 200 {
			p.t.Fatalf("add: %d %s", status, body)
		}
	}
}

// inFlight is how many requests the node hasn't answered.
func (p *process) inFlight() int {
	p.t.Helper()
	resp, err := http.Get(p.admin + "/v1/status")
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	var s struct{ Requests struct{ InFlight int } }
	if err := json.NewDecoder(resp.Body).Decode(&s); err != nil {
		p.t.Fatal(err)
	}
	return s.Requests.InFlight
}

// reopened replays a recording and returns it with its last event that isn't a
// note, and the count after it.
func reopened(t *testing.T, dir string) (o *replay.Opened, last *history.Event, count string) {
	t.Helper()
	o, err := replay.Open(t.Context(), dir, replay.Options{Service: "frail", Registry: frail(), Memory: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { o.Close() })
	if o.Divergence() != nil {
		t.Fatal(o.Divergence())
	}
	n, _ := o.Source.Meta().NodeIndex("n1")
	id, ok := o.Source.Meta().VarID("frail.count")
	if !ok {
		t.Fatal("no variable frail.count")
	}
	cur, err := o.Source.Walk(t.Context(), history.Begin, history.End, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer cur.Close()
	state := cur.States()[n].Clone()
	for {
		e, err := cur.Next()
		if err == io.EOF {
			return o, last, state.Get(id).String()
		}
		if err != nil {
			t.Fatal(err)
		}
		state.ApplyAll(e.Changes)
		if e.Kind != event.Note.String() && !e.Base {
			last = e
		}
	}
}

func TestSIGTERMAnswersWhatIsInFlightAndExits0(t *testing.T) {
	p := serving(t, t.TempDir())
	p.add(1)
	answers := make(chan string, 3)
	for range 3 {
		go func() {
			_, body := p.get("/slow")
			answers <- body
		}()
	}
	for p.inFlight() != 3 {
	}
	p.signal(syscall.SIGTERM)
	for range 3 {
		if got := <-answers; got != "1" {
			t.Errorf("a request in flight was answered %q", got)
		}
	}
	if code := p.ended(); code != 0 {
		t.Errorf("exit code %d; the log:\n%s", code, p.text())
	}
}

func TestSIGUSR1WritesABundleThatReplays(t *testing.T) {
	p := serving(t, t.TempDir())
	p.add(5)
	p.signal(syscall.SIGUSR1)
	dir := p.logged(`msg="bundle written" .*dir=(\S+)`)[1]
	o, _, count := reopened(t, dir)
	if m := o.Recording.Manifest(); m.Origin != "bundle" || count != "5" {
		t.Errorf("a %s with count %s, want a bundle with 5", m.Origin, count)
	}
	p.add(1) // it goes on
	p.signal(syscall.SIGTERM)
	if code := p.ended(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

func TestSIGKILLIsNoticedAtTheNextStart(t *testing.T) {
	dir := t.TempDir()
	p := serving(t, dir)
	p.add(5)
	p.signal(os.Kill)
	p.ended()
	p = launch(t, dir)
	box := p.logged(`the boot before was killed.*box=(\S+)`)[1]
	o, last, count := reopened(t, box)
	if c := o.Recording.Manifest().Crash; c == nil || c.Node != "n1" || !strings.Contains(c.Reason, "SIGKILL") || last.Seq != c.Seq || count != "5" {
		t.Errorf("crash %+v, last event %+v, count %s", c, last, count)
	}
	m := p.logged(`msg=serving .*http=(\S+)`)
	p.http = "http://" + m[1]
	if _, body := p.get("/add"); body != "6" {
		t.Errorf("the count after the kill is %s, want 6", body)
	}
}

// A panic ends the process with a code of its own and a box that opens at the
// fatal event; the second start says how to go on, and the way it names works.
func TestAPanicLeavesACrashBoxAndAWayOn(t *testing.T) {
	dir := t.TempDir()
	p := serving(t, dir)
	p.add(5)
	if status, body := p.get("/die"); status != 503 || !strings.Contains(body, "may or may not") {
		t.Errorf("the request that kills: %d %s", status, body)
	}
	if code := p.ended(); code != 11 {
		t.Fatalf("exit code %d; the log:\n%s", code, p.text())
	}
	box := regexp.MustCompile(`set aside in (\S+):`).FindStringSubmatch(p.text())
	if box == nil {
		t.Fatalf("the log names no crash box:\n%s", p.text())
	}
	o, last, count := reopened(t, box[1])
	c := o.Recording.Manifest().Crash
	if c == nil || last.Seq != c.Seq || last.Name != "Die" || count != "5" || !strings.Contains(c.Stack, "Frail") {
		t.Fatalf("crash %+v, last event %+v, count %s", c, last, count)
	}
	debug := exec.Command("frail", "debug", "--script", "-", box[1])
	debug.Stdin = strings.NewReader("event\n")
	if out, err := debug.CombinedOutput(); err != nil || !bytes.Contains(out, []byte("Die")) {
		t.Errorf("debug opens elsewhere: %v\n%s", err, out)
	}

	p = launch(t, dir)
	if code := p.ended(); code != 12 {
		t.Fatalf("the second start: exit code %d; the log:\n%s", code, p.text())
	}
	way := regexp.MustCompile(`hindcast (journal skip --reason) TEXT (\S+) (\d+)`).FindStringSubmatch(p.text())
	if way == nil {
		t.Fatalf("the log names no way on:\n%s", p.text())
	}
	skip := exec.Command("frail", append(strings.Fields(way[1]), "it kills", filepath.Clean(way[2]), way[3])...)
	if out, err := skip.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", skip.Args, err, out)
	}
	p = serving(t, dir)
	if _, body := p.get("/add"); body != "6" {
		t.Errorf("the count after the skip is %s, want 6", body)
	}
	p.signal(syscall.SIGTERM)
	if code := p.ended(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}
