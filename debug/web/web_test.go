package web

import (
	"encoding/binary"
	"encoding/json"
	"flag"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"hindcast.dev/debug"
	"hindcast.dev/doctest"
	"hindcast.dev/history"
)

// store is a write on n1 that reaches n2 and not n3, whose message is dropped.
const store = `{"node":"n1","ts":"2026-01-01T00:00:01Z","kind":"request","id":"c/1","name":"Put","data":{"key":"x"},"effects":[{"kind":"send","id":"m1","to":"n2","name":"Copy"},{"kind":"send","id":"m2","to":"n3","name":"Copy"},{"kind":"settimer","id":"t1","name":"again"}],"set":{"kv.items":{"x":{"v":1}},"kv.count":1}}
{"node":"n2","ts":"2026-01-01T00:00:02Z","kind":"recv","from":"n1","id":"m1","name":"Copy","set":{"kv.items":{"x":{"v":1}}}}
{"node":"n1","ts":"2026-01-01T00:00:03Z","kind":"note","name":"drop","id":"m2","data":{"message":"m2","peer":"n3","reason":"link cut"}}
{"node":"n1","ts":"2026-01-01T00:00:04Z","kind":"timer","id":"t1","name":"again","set":{"kv.items[\"<b>y\"]":{"v":2}}}
{"node":"n3","ts":"2026-01-01T00:00:05Z","kind":"note","name":"stop","set":{"node.up":false}}
`

const second = 1 << 32

var rewrite = flag.Bool("rewrite", false, "write the table of requests into the documentation")

func TestTheDocumentedRequestsAreThoseServed(t *testing.T) {
	want := "| request | what it answers |\n|---|---|\n"
	for _, r := range new(Server).routes() {
		want += "| `" + strings.TrimSuffix(r.pattern, "{$}") + "` | " + r.what + " |\n"
	}
	doctest.Section(t, "../../docs/debug-http.md", "<!-- made from debug/web/server.go", want, *rewrite)
}

// source is store as a History.
func source(t *testing.T) history.Source {
	t.Helper()
	src, err := history.ReadText(strings.NewReader(store), "store", history.TextOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return src
}

// serve returns a server over store whose index is built.
func serve(t *testing.T, token string) *httptest.Server {
	t.Helper()
	src := source(t)
	s := New(Options{Title: "a store", Token: token, Source: src, Session: func() *debug.Session { return debug.NewSession(src, io.Discard) }})
	if err := s.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	hs := httptest.NewServer(s)
	t.Cleanup(hs.Close)
	return hs
}

// ask sends a request, with headers "Name: value", and returns status and body.
func ask(t *testing.T, hs *httptest.Server, method, path, body string, headers ...string) (*http.Response, []byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, hs.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		if r.Header.Set(name, value); name == "Host" {
			r.Host = value
		}
	}
	c := *hs.Client()
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	res, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, b
}

// read is ask whose answer is JSON, into v.
func read(t *testing.T, hs *httptest.Server, method, path, body string, v any, headers ...string) int {
	t.Helper()
	res, b := ask(t, hs, method, path, body, headers...)
	if err := json.Unmarshal(b, v); err != nil {
		t.Fatalf("%s %s: %d %s: %v", method, path, res.StatusCode, b, err)
	}
	return res.StatusCode
}

func TestCommandsAreThoseOfSessionsOneForEachTab(t *testing.T) {
	hs := serve(t, "")
	type answer struct {
		Error  string
		Answer struct {
			Place debug.Place
			Moved bool
			Parts []map[string]map[string]any
		}
	}
	var a answer
	if code := read(t, hs, "POST", "/api/v1/command", `{"line":"goto n2:1"}`, &a, "Hindcast-Tab: one"); code != 200 || a.Answer.Place.Node != "n2" || !a.Answer.Moved {
		t.Fatalf("goto: %d %+v", code, a)
	}
	if len(a.Answer.Parts) != 1 || a.Answer.Parts[0]["event"]["id"] != "m1" {
		t.Errorf("goto says %v", a.Answer.Parts)
	}
	a = answer{}
	if read(t, hs, "POST", "/api/v1/command", `{"line":"step"}`, &a, "Hindcast-Tab: two"); a.Answer.Place.Node != "n1" || a.Answer.Place.Seq != 1 {
		t.Errorf("another tab's first step: %+v", a.Answer.Place)
	}
	a = answer{}
	if read(t, hs, "POST", "/api/v1/command", `{"line":"step"}`, &a, "Hindcast-Tab: one"); a.Answer.Place.Seq != 2 {
		t.Errorf("the first tab's step: %+v", a.Answer.Place)
	}
	a = answer{}
	if code := read(t, hs, "POST", "/api/v1/command", `{"line":"setp"}`, &a); code != 400 || !strings.Contains(a.Error, `did you mean "step"?`) {
		t.Errorf("a misprint: %d %+v", code, a)
	}
	for _, line := range []string{`{"line":"export jsonl /tmp/x"}`, `{"line":"compare /etc/passwd"}`, `{"line":"whatif --exec /bin/true"}`, `{"line":"quit"}`, `{"line":1}`, `{"lime":"step"}`, `nonsense`} {
		a = answer{}
		if code := read(t, hs, "POST", "/api/v1/command", line, &a); code != 400 || a.Error == "" {
			t.Errorf("%s: %d %+v", line, code, a)
		}
	}
	if res, _ := ask(t, hs, "GET", "/api/v1/command", ""); res.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("GET of a command: %d", res.StatusCode)
	}
	var done struct{ Candidates []string }
	if read(t, hs, "POST", "/api/v1/complete", `{"line":"state kv.","pos":9}`, &done); strings.Join(done.Candidates, " ") != "kv.count kv.items" {
		t.Errorf("completion: %v", done.Candidates)
	}
}

func TestFramesHoldTheEventsOfEachColumn(t *testing.T) {
	hs := serve(t, "")
	res, b := ask(t, hs, "GET", "/api/v1/frame?axis=time&from=0&to=17179869184&columns=5", "")
	if res.StatusCode != 200 || string(b[:4]) != "HCF1" {
		t.Fatalf("%d %q", res.StatusCode, b)
	}
	le := binary.LittleEndian
	if columns, lanes, events := le.Uint32(b[4:]), le.Uint32(b[8:]), le.Uint32(b[12:]); columns != 5 || lanes != 3 || events != 5 {
		t.Fatalf("%d columns, %d lanes, %d events", columns, lanes, events)
	}
	b = b[16:]
	var got []string
	for range 3 {
		lane := ""
		for n := le.Uint32(b); ; n-- {
			if n == 0 {
				b = b[4:]
				break
			}
			lane += strings.Repeat(string(rune('0'+le.Uint16(b[4:]))), int(le.Uint32(b[8:])))
			copy(b[4:], b[12:])
			b = b[:len(b)-8]
		}
		downs := le.Uint32(b)
		if b = b[4:]; downs > 0 {
			lane += "v"
			b = b[4*downs:]
		}
		got = append(got, lane)
	}
	if strings.Join(got, " ") != "023 1 4v" || len(b) != 0 {
		t.Errorf("columns of the events: %q, and %d bytes left", got, len(b))
	}
	for _, q := range []string{"axis=colour&from=0&to=1", "axis=time&from=&to=1", "axis=time&from=2&to=1", "axis=time&from=0&to=1&columns=99999", "axis=time&from=0&to=1&lanes=7", "axis=time&from=-1&to=1"} {
		var p struct{ Error string }
		if code := read(t, hs, "GET", "/api/v1/frame?"+q, "", &p); code != 400 || p.Error == "" {
			t.Errorf("%s: %d %q", q, code, p.Error)
		}
	}
}

func TestEventsHaveTheirMessages(t *testing.T) {
	hs := serve(t, "")
	type end struct {
		Node int
		Seq  uint64
		At   uint64
	}
	var a struct {
		Count, Shown int
		Events       []struct {
			Node int
			At   uint64
			Kind string
		}
		Messages []struct {
			Kind, Name, Lost string
			From, To         *end
			Toward           int
		}
	}
	read(t, hs, "GET", "/api/v1/events?axis=time&from=0&to=99999999999", "", &a)
	if a.Count != 5 || a.Shown != 5 || len(a.Events) != 5 || a.Events[4].At != 4*second {
		t.Fatalf("%+v", a)
	}
	if len(a.Messages) != 3 {
		t.Fatalf("messages %+v", a.Messages)
	}
	if m := a.Messages[0]; m.To == nil || *m.To != (end{1, 1, second}) || m.From.Node != 0 || m.Name != "Copy" {
		t.Errorf("the message that arrived: %+v", m)
	}
	if m := a.Messages[1]; m.To != nil || m.Toward != 2 || m.Lost != "link cut" {
		t.Errorf("the message that was dropped: %+v", m)
	}
	if m := a.Messages[2]; m.Kind != "settimer" || m.To == nil || m.To.At != 3*second {
		t.Errorf("the timer: %+v", m)
	}
	// Of a stretch that has but the receive, the message comes from outside of it.
	a.Messages = nil
	read(t, hs, "GET", "/api/v1/events?axis=order&from=1&to=1", "", &a)
	if len(a.Messages) != 1 || a.Messages[0].From == nil || a.Messages[0].From.At != 0 {
		t.Errorf("from outside: %+v", a.Messages)
	}
}

func TestTheStateIsOfTheCutWithWhatChangedMarked(t *testing.T) {
	hs := serve(t, "")
	type children []struct {
		Key, Path, Type, Text string
		Size                  int
		Changed               bool
	}
	var a struct {
		Nodes []struct {
			Known    bool
			Children children
		}
	}
	read(t, hs, "GET", "/api/v1/state?at=n1:3", "", &a)
	if len(a.Nodes) != 3 || !a.Nodes[0].Known || a.Nodes[2].Known {
		t.Fatalf("%+v", a)
	}
	c := a.Nodes[0].Children
	if len(c) != 2 || c[0].Key != "kv.count" || c[0].Changed || c[1].Key != "kv.items" || !c[1].Changed || c[1].Size != 2 {
		t.Errorf("n1: %+v", c)
	}
	if c := a.Nodes[1].Children; len(c) != 1 || c[0].Changed {
		t.Errorf("n2: %+v", c)
	}
	a.Nodes = nil
	read(t, hs, "GET", "/api/v1/state?at=n1:3&node=n1&path=kv.items", "", &a)
	if c := a.Nodes[0].Children; len(a.Nodes) != 1 || len(c) != 2 || c[0].Key != "<b>y" || !c[0].Changed || c[1].Changed || c[1].Path != `kv.items["x"]` {
		t.Errorf("kv.items: %+v", a.Nodes)
	}
	for _, q := range []string{"at=nowhere", "at=n1:3&path=kv.items["} {
		if res, _ := ask(t, hs, "GET", "/api/v1/state?"+q, ""); res.StatusCode != 400 {
			t.Errorf("%s: %d", q, res.StatusCode)
		}
	}
}

func TestAConeEndsOnEachNode(t *testing.T) {
	hs := serve(t, "")
	var a struct {
		Nodes []struct{ Past, Future *uint64 }
	}
	read(t, hs, "GET", "/api/v1/cone?at=n2:1", "", &a)
	if len(a.Nodes) != 3 || a.Nodes[0].Past == nil || *a.Nodes[0].Past != 1 || a.Nodes[0].Future != nil || *a.Nodes[1].Future != 1 || a.Nodes[2].Past != nil {
		t.Errorf("%+v", a)
	}
	if res, _ := ask(t, hs, "GET", "/api/v1/cone?at=START", ""); res.StatusCode != 400 {
		t.Errorf("of the beginning: %d", res.StatusCode)
	}
	var p struct {
		Name string
		Seq  uint64
	}
	if read(t, hs, "GET", "/api/v1/cut?axis=time&at=8589934600", "", &p); p.Name != "n1" || p.Seq != 2 {
		t.Errorf("cut: %+v", p)
	}
	if read(t, hs, "GET", "/api/v1/cut?axis=depth&at=9&node=1", "", &p); p.Name != "n2" || p.Seq != 1 {
		t.Errorf("nearest: %+v", p)
	}
}

func TestThePageIsServed(t *testing.T) {
	hs := serve(t, "")
	for path, kind := range map[string]string{"/": "text/html; charset=utf-8", "/app.js": "text/javascript; charset=utf-8", "/style.css": "text/css; charset=utf-8"} {
		res, b := ask(t, hs, "GET", path, "")
		tag := res.Header.Get("ETag")
		if res.StatusCode != 200 || res.Header.Get("Content-Type") != kind || len(b) == 0 || tag == "" || res.Header.Get("Cache-Control") != "no-cache" {
			t.Errorf("%s: %d %v, %d bytes", path, res.StatusCode, res.Header, len(b))
		}
		if res, b := ask(t, hs, "GET", path, "", "If-None-Match: "+tag); res.StatusCode != 304 || len(b) != 0 {
			t.Errorf("%s again: %d, %d bytes", path, res.StatusCode, len(b))
		}
		if res, b := ask(t, hs, "HEAD", path, ""); res.StatusCode != 200 || len(b) != 0 || res.Header.Get("ETag") != tag {
			t.Errorf("HEAD %s: %d, %d bytes", path, res.StatusCode, len(b))
		}
	}
	for _, path := range []string{"/nothing.js", "/index.html", "/page/app.js", "/tsconfig.json", "/api/v1/nothing", "/api/v2/about"} {
		var p struct{ Error, Remedy string }
		if code := read(t, hs, "GET", path, "", &p); code != 404 || p.Error == "" || p.Remedy == "" {
			t.Errorf("%s: %d %+v", path, code, p)
		}
	}
}
