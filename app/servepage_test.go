package app_test

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

// A visitor asks the page at a node's admin address.
type visitor struct {
	t      *testing.T
	client *http.Client
	at     string // URL of the page
	token  string
}

func visit(t *testing.T, sv *server, token string) *visitor {
	tr := &http.Transport{}
	t.Cleanup(tr.CloseIdleConnections)
	return &visitor{t, &http.Client{Transport: tr, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
		"http://" + sv.admin + "/debug/", token}
}

// ask sends a request; the answer's body has to be closed.
func (v *visitor) ask(method, path, body string) *http.Response {
	v.t.Helper()
	r, err := http.NewRequestWithContext(v.t.Context(), method, v.at+path, strings.NewReader(body))
	if err != nil {
		v.t.Fatal(err)
	}
	if v.token != "" {
		r.Header.Set("Authorization", "Bearer "+v.token)
	}
	res, err := v.client.Do(r)
	if err != nil {
		v.t.Fatal(err)
	}
	v.t.Cleanup(func() { res.Body.Close() })
	return res
}

// read is the status and the body of an answer.
func (v *visitor) read(method, path, body string) (int, string) {
	v.t.Helper()
	res := v.ask(method, path, body)
	b, err := io.ReadAll(res.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	res.Body.Close()
	return res.StatusCode, string(b)
}

// hears reads what a stream of events tells until enough says so.
func hears(t *testing.T, stream *bufio.Scanner, enough func(data string) bool) {
	t.Helper()
	for stream.Scan() {
		if data, ok := strings.CutPrefix(stream.Text(), "data: "); ok && enough(data) {
			return
		}
	}
	t.Fatalf("the stream ended before: %v", stream.Err())
}

func TestANodeHasThePageAtItsAdminAddress(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	sv := serve(t, service(), "--dir", filepath.Join(t.TempDir(), "n1"), "--http", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--segment-bytes", "65536")
	v := visit(t, sv, "")
	if code, body := v.read("GET", "", ""); code != 200 || !strings.Contains(body, "app.js") {
		t.Fatalf("the page: %d %s", code, body)
	}
	if code, _ := v.read("GET", "app.js", ""); code != 200 {
		t.Errorf("a file of it: %d", code)
	}
	if res, err := v.client.Get("http://" + sv.admin + "/debug"); err != nil || res.Header.Get("Location") != "/debug/" {
		t.Errorf("without a slash: %v %v", res, err)
	} else {
		res.Body.Close()
	}
	if code, body := v.read("GET", "api/v1/nothing", ""); code != 404 || !strings.Contains(body, "error") {
		t.Errorf("what isn't there: %d %s", code, body)
	}
	if code, body := v.read("GET", "api/v1/about", ""); code != 200 || !strings.Contains(body, `"n1"`) || !strings.Contains(body, `"control":false`) {
		t.Errorf("about: %d %s", code, body)
	}
	// What the node does from now on is told to who listens.
	stream := v.ask("GET", "api/v1/live", "")
	said := bufio.NewScanner(stream.Body)
	events := 0
	count := func(data string) int {
		var now struct{ Events int }
		if err := json.Unmarshal([]byte(data), &now); err != nil {
			t.Fatalf("%s: %v", data, err)
		}
		return now.Events
	}
	hears(t, said, func(data string) bool { events = count(data); return true })
	sv.get("/apples")
	hears(t, said, func(data string) bool { return count(data) > events })
	// An event has the code that handled it.
	for _, line := range []string{"find apples", "event"} {
		code, body := v.read("POST", "api/v1/command", `{"line":"`+line+`"}`)
		if code != 200 || !strings.Contains(body, "apples") {
			t.Errorf("%s: %d %s", line, code, body)
		}
		if line == "event" && !strings.Contains(body, `(*Counter).Step"`) {
			t.Errorf("no code: %s", body)
		}
	}
	if code := sv.end(); code != 0 { // with somebody who listens
		t.Errorf("exit code %d\n%s", code, sv.log.all.String())
	}
	for said.Scan() {
	}
	if err := said.Err(); err != nil {
		t.Errorf("the stream was torn: %v", err)
	}
	stream.Body.Close()
	v.client.CloseIdleConnections()
	http.DefaultClient.CloseIdleConnections()
}

func TestANodesPageWantsATokenThatMayReadJournals(t *testing.T) {
	sv := serve(t, service(), "--dir", filepath.Join(t.TempDir(), "n1"), "--admin", "127.0.0.1:0", "--segment-bytes", "65536",
		"--token", "a-token-for-status-only=status", "--token", "a-token-for-journals-too=status,journal:read")
	defer sv.end()
	for token, want := range map[string]int{"": 401, "another-token-altogether": 401, "a-token-for-status-only": 401, "a-token-for-journals-too": 200} {
		if code, body := visit(t, sv, token).read("GET", "api/v1/about", ""); code != want {
			t.Errorf("with %q: %d %s, want %d", token, code, body, want)
		}
	}
	res := visit(t, sv, "").ask("GET", "?token=a-token-for-journals-too", "")
	if res.StatusCode != http.StatusSeeOther || res.Header.Get("Location") != "/debug/" {
		t.Fatalf("entering: %d to %q", res.StatusCode, res.Header.Get("Location"))
	}
	cookies := res.Cookies()
	if len(cookies) != 1 || cookies[0].Path != "/debug/" {
		t.Fatalf("cookies %v", cookies)
	}
	r, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+sv.admin+"/debug/api/v1/about", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.AddCookie(cookies[0])
	again, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	again.Body.Close()
	if again.StatusCode != 200 {
		t.Errorf("with the cookie: %d", again.StatusCode)
	}
}

func TestANodesPageFollowsTheOthersToo(t *testing.T) {
	dir := t.TempDir()
	one := serve(t, service(), "--node", "n1", "--dir", filepath.Join(dir, "n1"), "--admin", "127.0.0.1:0", "--segment-bytes", "65536")
	defer one.end()
	two := serve(t, service(), "--node", "n2", "--dir", filepath.Join(dir, "n2"), "--admin", "127.0.0.1:0", "--segment-bytes", "65536",
		"--debug-nodes", one.admin+",n2=127.0.0.1:1,gone=127.0.0.1:1")
	defer two.end()
	v := visit(t, two, "")
	if code, body := v.read("GET", "api/v1/about", ""); code != 200 {
		t.Fatalf("about: %d %s", code, body)
	}
	said := bufio.NewScanner(v.ask("GET", "api/v1/live", "").Body)
	hears(t, said, func(data string) bool {
		_, body := v.read("GET", "api/v1/about", "")
		return strings.Contains(body, `"n1"`) && strings.Contains(body, `"n2"`) && strings.Contains(body, `"gone"`)
	})
	if code, _, stderr := run(t, service(), "", "serve", "--dir", filepath.Join(dir, "n3"), "--debug-nodes", "nonsense"); code != 2 || !strings.Contains(stderr, "--debug-nodes nonsense") {
		t.Errorf("nonsense: %d %s", code, stderr)
	}
}
