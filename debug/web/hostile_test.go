package web

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"hindcast.dev/debug"
	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/hlc"
)

// show serves a History whose index is built.
func show(t *testing.T, b *history.Builder) (*httptest.Server, history.Source) {
	t.Helper()
	src, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	s := New(Options{Source: src, Session: func() *debug.Session { return debug.NewSession(src, io.Discard) }})
	if err := s.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	hs := httptest.NewServer(s)
	t.Cleanup(hs.Close)
	return hs, src
}

// fetch asks, and returns the status and the answer, of which there must not be more
// than a page can bear.
func fetch(t *testing.T, hs *httptest.Server, method, path, body string) (int, []byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, hs.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatalf("%s %.80s: %v", method, path, err)
	}
	defer a.Body.Close()
	text, err := io.ReadAll(a.Body)
	if err != nil || len(text) > 32<<20 || a.StatusCode >= 500 {
		t.Errorf("%s %.80s %.80s: %s, %d bytes, %v: %.200s", method, path, body, a.Status, len(text), err, text)
	}
	return a.StatusCode, text
}

func TestPlacesOfNodesWithOddNamesLeadBack(t *testing.T) {
	names := []string{"n:1", "n:1:2", "a/b?c#d&e=f%41", `"q"`, "'", "<img src=x onerror=alert(1)>", "new\nline", "nul\x00", "rtl\u202e", "🚀", " lead ", "+1s", "..", "\\"}
	b := history.NewBuilder()
	for i, name := range names {
		b.Append(name, history.EventSpec{Event: history.Event{Position: history.Position{Time: hlc.Timestamp(i+1) << 40}}, Set: []history.Assign{{Path: "kv.n", Value: event.Int(int64(i))}}})
	}
	hs, src := show(t, b)
	for i, name := range names {
		n, _ := src.Meta().NodeIndex(name)
		at := url.QueryEscape(name + ":1")
		for _, path := range []string{"state?at=" + at, "cone?at=" + at, "lanes?at=" + at, "state/search?at=" + at + "&text=kv"} {
			if status, text := fetch(t, hs, http.MethodGet, "/api/v1/"+path, ""); status != http.StatusOK {
				t.Errorf("%q: %s: %d %s", name, path, status, text)
			}
		}
		line, err := json.Marshal(map[string]string{"line": "goto " + name + ":1"})
		if err != nil {
			t.Fatal(err)
		}
		status, text := fetch(t, hs, http.MethodPost, "/api/v1/command", string(line))
		var told struct{ At struct{ Node, Seq int } }
		if err := json.Unmarshal(text, &told); err != nil || status != http.StatusOK || told.At.Node != n || told.At.Seq != 1 {
			t.Errorf("goto %q:1 (%d): %d %v %s", name, i, status, err, text)
		}
	}
}

// asked are requests of every kind.
func asked() [][3]string {
	all := [][3]string{}
	for _, path := range []string{"about", "commands", "state", "state?at=START", "state?at=END", "state?at=x:1", "state/search?at=END&text=v", "cone", "cone?at=END", "lanes?at=END",
		"events?axis=time&from=0&to=18446744073709551615", "events?axis=depth&from=0&to=9", "frame?axis=time&from=0&to=18446744073709551615&columns=100", "frame?axis=order&from=0&to=0&columns=1",
		"frame?axis=depth&from=5&to=4&columns=1", "frame", "cut?axis=time&at=99&node=0", "cut?axis=time&at=99&node=77777", "cut?axis=order&at=0", "export?format=jsonl", "export?format=x"} {
		all = append(all, [3]string{http.MethodGet, path, ""})
	}
	for _, line := range []string{"goto END", "state", "event", "diff", "nodes", "diagram", "cause", "effects", "step 5", "where kv.n > 1", "query SELECT kv.n FROM kv LIMIT 3", "\x00", "motif x"} {
		body, _ := json.Marshal(map[string]string{"line": line})
		all = append(all, [3]string{http.MethodPost, "command", string(body)})
	}
	return append(all, [3]string{http.MethodPost, "query", `{"statement":"SELECT kv.n FROM kv LIMIT 3"}`}, [3]string{http.MethodPost, "query", `{"statement":""}`},
		[3]string{http.MethodPost, "search", `{"text":"Put"}`}, [3]string{http.MethodPost, "search", `{"where":"kv.n > 1"}`}, [3]string{http.MethodPost, "places", `{"places":["END","x:1",""]}`},
		[3]string{http.MethodPost, "complete", `{"line":"go","pos":2000}`}, [3]string{http.MethodPost, "command", `{"line":`})
}

// Whatever is opened, every request is answered, or told why not.
func TestEveryRequestIsAnsweredWhateverIsOpened(t *testing.T) {
	builder := func(nodes, events int, v func(i int) event.Value) *history.Builder {
		b := history.NewBuilder()
		for i := range nodes * events {
			b.Append(fmt.Sprint("node", i%nodes), history.EventSpec{Event: history.Event{Position: history.Position{Time: hlc.Timestamp(i+1) << 40}, Kind: "request", Name: "Put"},
				Set: []history.Assign{{Path: "kv.n", Value: v(i)}}})
		}
		return b
	}
	number := func(i int) event.Value { return event.Int(int64(i)) }
	nodes, size := 10_000, 5<<20
	if testing.Short() {
		nodes, size = 2_000, 1<<20
	}
	text := strings.Repeat("0123456789", size)
	empty := history.NewBuilder()
	empty.AddNode("n1", "")
	for what, b := range map[string]*history.Builder{"nothing": history.NewBuilder(), "a node without events": empty, "one event": builder(1, 1, number), "one node": builder(1, 20, number),
		"thousands of nodes": builder(nodes, 1, number), "a large text": builder(1, 2, func(i int) event.Value { return event.String(text[i:]) })} {
		hs, _ := show(t, b)
		for _, q := range asked() {
			if what == "a large text" && slices.Contains([]string{"export?format=jsonl"}, q[1]) {
				continue // which streams all of it
			}
			if status, text := fetch(t, hs, q[0], "/api/v1/"+q[1], q[2]); status != http.StatusOK && (!strings.Contains(string(text), `"error"`) || len(text) > 4000) {
				t.Errorf("%s: %s %s: %d %.300s", what, q[1], q[2], status, text)
			}
		}
	}
}
