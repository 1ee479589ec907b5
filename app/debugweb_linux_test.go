package app_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"hindcast.dev/debug"
)

// A served is hindcast debug --web as a process of its own.
type served struct {
	t      *testing.T
	cmd    *exec.Cmd
	stderr *bytes.Buffer
	at     *url.URL // without the token
	token  string
}

// servePage starts it, with its standard input from stdin.
func servePage(t *testing.T, stdin io.Reader, args ...string) *served {
	t.Helper()
	home := t.TempDir()
	p := &served{t: t, cmd: exec.Command("hindcast", append([]string{"debug", "--web", "-o", "json"}, args...)...), stderr: &bytes.Buffer{}}
	p.cmd.Env = append(os.Environ(), "HOME="+home, "XDG_CACHE_HOME="+home)
	p.cmd.Stdin, p.cmd.Stderr = stdin, p.stderr
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // it may have ended
		_ = p.cmd.Wait()
	})
	var said struct{ URL string }
	if err := json.NewDecoder(bufio.NewReader(out)).Decode(&said); err != nil {
		_ = p.cmd.Wait()
		t.Fatalf("no URL was printed: %v\n%s", err, p.stderr)
	}
	if p.at, err = url.Parse(said.URL); err != nil {
		t.Fatal(err)
	}
	p.token = p.at.Query().Get("token")
	p.at.RawQuery = ""
	return p
}

// ask sends a request with the token, of a tab; the answer has to be JSON.
func (p *served) ask(method, path, tab, body string, into any) (status int) {
	p.t.Helper()
	r, err := http.NewRequestWithContext(p.t.Context(), method, p.at.JoinPath(path).String(), strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+p.token)
	r.Header.Set("Hindcast-Tab", tab)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(into); err != nil {
		p.t.Fatalf("%s %s: %d: %v", method, path, res.StatusCode, err)
	}
	return res.StatusCode
}

// An answer is what a command said.
type answer struct {
	Error  string
	Answer struct {
		Place debug.Place
		Parts []map[string]json.RawMessage
	}
}

func (p *served) command(tab, line string) (a answer) {
	p.t.Helper()
	body, err := json.Marshal(map[string]string{"line": line})
	if err != nil {
		p.t.Fatal(err)
	}
	p.ask("POST", "api/v1/command", tab, string(body), &a)
	return a
}

// stop interrupts it and returns its exit code.
func (p *served) stop() int {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGINT); err != nil {
		p.t.Fatal(err)
	}
	_ = p.cmd.Wait() // the exit code says it
	return p.cmd.ProcessState.ExitCode()
}

func TestThePageIsServedUntilItIsInterrupted(t *testing.T) {
	p := servePage(t, nil, historyFile(t, 9))
	if len(p.token) < 22 || p.at.Hostname() != "127.0.0.1" {
		t.Errorf("token %q at %s", p.token, p.at)
	}
	var about struct {
		Events  int
		Control bool
		Begin   struct{ Begin bool }
	}
	if code := p.ask("GET", "api/v1/about", "", "", &about); code != 200 || about.Events != 9 || about.Control || !about.Begin.Begin {
		t.Errorf("about: %d %+v", code, about)
	}
	res, err := http.Get(p.at.String())
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusUnauthorized {
		t.Errorf("without the token: %s", res.Status)
	}
	if code := p.stop(); code != 0 || p.stderr.Len() != 0 {
		t.Errorf("exit code %d\n%s", code, p.stderr)
	}
}

func TestWithoutControlThePageWritesNothingButMarks(t *testing.T) {
	file := historyFile(t, 9)
	out := filepath.Join(t.TempDir(), "out.jsonl")
	p := servePage(t, nil, file)
	for _, line := range []string{"export jsonl " + out, "compare 127.0.0.1:1"} {
		if a := p.command("a", line); !strings.Contains(a.Error, "--allow-control") {
			t.Errorf("%s: %+v", line, a)
		}
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("a file was written")
	}
	if a := p.command("a", "compare "+file); a.Error != "" {
		t.Errorf("comparing with a file: %s", a.Error)
	}
	p.command("a", "goto n1:1")
	p.command("b", "goto n2:1")
	p.command("b", "mark second")
	p.command("a", "mark first")
	p.command("b", "unmark second")
	p.command("b", "mark third")
	var marks []string
	for _, part := range p.command("a new tab", "marks").Answer.Parts {
		marks = append(marks, string(part["mark"]))
	}
	if all := strings.Join(marks, " "); len(marks) != 2 || !strings.Contains(all, `"first"`) || !strings.Contains(all, `"third"`) {
		t.Errorf("marks of tabs side by side: %s", all)
	}
	p.stop()

	p = servePage(t, nil, "--allow-control", file)
	if a := p.command("a", "export jsonl "+out); a.Error != "" {
		t.Errorf("with control: %s", a.Error)
	}
	if b, err := os.ReadFile(out); err != nil || bytes.Count(b, []byte("\n")) < 9 {
		t.Errorf("%v, wrote %s", err, b)
	}
}

func TestStandardInputCanBeOpened(t *testing.T) {
	b, err := os.ReadFile(historyFile(t, 9))
	if err != nil {
		t.Fatal(err)
	}
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	p := servePage(t, bytes.NewReader(b), "-")
	if a := p.command("", "goto END"); a.Answer.Place.Node != "n3" {
		t.Errorf("%+v", a)
	}
	if code := p.stop(); code != 0 {
		t.Errorf("exit code %d\n%s", code, p.stderr)
	}
	if left, err := os.ReadDir(temp); err != nil || slices.ContainsFunc(left, func(d os.DirEntry) bool { return strings.HasPrefix(d.Name(), "hindcast-") }) {
		t.Errorf("left behind: %v %v", left, err)
	}
}

func TestAnAddressBeyondThisMachineIsWarnedOf(t *testing.T) {
	file := historyFile(t, 3)
	p := servePage(t, nil, "--listen", "0.0.0.0:0", file)
	if a := p.command("", "compare "+file); !strings.Contains(a.Error, "--allow-control") {
		t.Errorf("files of this machine are opened for others: %+v", a)
	}
	if p.at.Hostname() != "127.0.0.1" {
		t.Errorf("a URL that can't be opened: %s", p.at)
	}
	if p.stop(); !strings.Contains(p.stderr.String(), "warning: [::]:") && !strings.Contains(p.stderr.String(), "warning: 0.0.0.0:") {
		t.Errorf("no warning: %q", p.stderr)
	}
}

func TestTheBrowserGetsAURLThatIsGoodOnce(t *testing.T) {
	bin := t.TempDir()
	pipe := filepath.Join(bin, "opened")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(bin, "xdg-open"), []byte("#!/bin/sh\necho \"$1\" >'"+pipe+"'\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	p := servePage(t, nil, "--open", historyFile(t, 3))
	b, err := os.ReadFile(pipe) // when the browser was started
	if err != nil {
		t.Fatal(err)
	}
	given := strings.TrimSpace(string(b))
	if strings.Contains(given, p.token) || !strings.HasPrefix(given, p.at.String()+"?token=") {
		t.Fatalf("the browser was started with %s", given)
	}
	c := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for _, want := range []int{http.StatusSeeOther, http.StatusUnauthorized} {
		res, err := c.Get(given)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("%s, want %d", res.Status, want)
		}
	}
	if code := p.stop(); code != 0 || strings.Contains(p.stderr.String(), "token") {
		t.Errorf("exit code %d\n%s", code, p.stderr)
	}
}

func TestWithoutABrowserThePageIsServedAllTheSame(t *testing.T) {
	hindcast, err := exec.LookPath("hindcast")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", filepath.Dir(hindcast))
	p := servePage(t, nil, "--open", historyFile(t, 3))
	if a := p.command("", "goto END"); a.Error != "" {
		t.Error(a.Error)
	}
	if code := p.stop(); code != 0 || !strings.Contains(p.stderr.String(), "warning: no browser was opened: ") {
		t.Errorf("exit code %d\n%s", code, p.stderr)
	}
}

func TestCommandsComeFromTheTerminalWhereStandardInputIsOpened(t *testing.T) {
	home := t.TempDir()
	p := onTTY(t, []string{"HOME=" + home, "XDG_CACHE_HOME=" + home}, "sh", "-c", "hindcast debug - <'"+historyFile(t, 9)+"'")
	p.expect(`^-: 9 events of 3 nodes`)
	p.expect(`^START> `)
	p.types("goto n3:3\r")
	p.expect(`^n3:3  `)
	p.types(ctrlD)
	if code := p.ended(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	p = onTTY(t, nil, "hindcast", "debug", "-")
	p.expect(`^error: standard input is a terminal`)
	if code := p.ended(); code != 2 {
		t.Errorf("exit code %d", code)
	}
}

func TestWhoListensIsLetGoAtTheEnd(t *testing.T) {
	sv := serve(t, service(), "--dir", filepath.Join(t.TempDir(), "n1"), "--admin", "127.0.0.1:0", "--segment-bytes", "65536")
	defer sv.end()
	p := servePage(t, nil, sv.admin)
	r, err := http.NewRequestWithContext(t.Context(), "GET", p.at.JoinPath("api/v1/live").String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+p.token)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	stream := bufio.NewScanner(res.Body)
	hears(t, stream, func(data string) bool { return strings.Contains(data, `"events"`) })
	if code := p.stop(); code != 0 {
		t.Errorf("exit code %d\n%s", code, p.stderr)
	}
	for stream.Scan() {
	}
	if err := stream.Err(); err != nil {
		t.Errorf("the stream was torn: %v", err)
	}
}
