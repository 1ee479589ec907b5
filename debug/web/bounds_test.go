package web

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"hindcast.dev/debug"
)

func TestAQuestionThatFailsIsAnsweredAndTheNextOneToo(t *testing.T) {
	src := source(t)
	fails, told := true, make(chan string, 10)
	s := New(Options{Source: src, Failed: func(text string) { told <- text }, Session: func() *debug.Session {
		if fails {
			panic("a mistake")
		}
		return debug.NewSession(src, io.Discard)
	}})
	hs := httptest.NewServer(s)
	t.Cleanup(hs.Close)
	var p struct{ Error, Remedy string }
	if code := read(t, hs, "POST", "/api/v1/command", `{"line":"step"}`, &p); code != 500 || !strings.Contains(p.Error, "a mistake") || p.Remedy == "" {
		t.Errorf("%d %+v", code, p)
	}
	if said := <-told; !strings.Contains(said, "a mistake\n") || !strings.Contains(said, "bounds_test.go") {
		t.Errorf("said %q", said)
	}
	fails = false
	if res, b := ask(t, hs, "POST", "/api/v1/command", `{"line":"step"}`); res.StatusCode != 200 {
		t.Errorf("the next: %d %s", res.StatusCode, b)
	}
	// What has begun is broken off, not ended.
	s.mux.HandleFunc("GET /begun", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "half of it")
		panic("too late")
	})
	res, err := hs.Client().Get(hs.URL + "/begun")
	if err == nil {
		_, err = io.ReadAll(res.Body)
		res.Body.Close()
	}
	if err == nil {
		t.Error("half an answer is taken for whole")
	}
}

func TestAnAnswerMayBeBoundInAProcessThatHasOtherWork(t *testing.T) {
	src := source(t)
	s := New(Options{Source: src, Patience: 20 * time.Millisecond, AtOnce: 1, Session: func() *debug.Session { return debug.NewSession(src, io.Discard) }})
	hs := httptest.NewServer(s)
	t.Cleanup(hs.Close)
	step := func(tab string) (int, string) {
		t.Helper()
		var p struct{ Error, Remedy string }
		code := read(t, hs, "POST", "/api/v1/command", `{"line":"step"}`, &p, "Hindcast-Tab: "+tab)
		return code, p.Remedy
	}
	busy := s.tabs.get("a")
	busy.turn <- struct{}{}
	if code, remedy := step("a"); code != 503 || remedy == "" {
		t.Errorf("in a tab that is busy: %d, %q", code, remedy)
	}
	<-busy.turn
	s.turns <- struct{}{}
	if code, remedy := step("b"); code != 503 || remedy == "" {
		t.Errorf("while another answer is worked out: %d, %q", code, remedy)
	}
	if res, _ := ask(t, hs, "GET", "/api/v1/export?format=jsonl", ""); res.StatusCode != 200 {
		t.Errorf("a stream meanwhile: %d", res.StatusCode)
	}
	<-s.turns
	if code, _ := step("b"); code != 200 {
		t.Errorf("after that: %d", code)
	}
}

func TestTheDocumentedBoundsAreThoseKept(t *testing.T) {
	const doc = "../../docs/debug-http.md"
	b, err := os.ReadFile(doc)
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(b), "**Bounds.**")
	text, _, _ = strings.Cut(text, "\n\n")
	text = strings.Join(strings.Fields(text), " ")
	for what, n := range map[string]int{"events": eventsMax, "rows": rowsMax, "hits": hitsMax, "members": childrenMax, "finds": foundMax, "places": placesMax,
		"columns": columnsMax, "bytes": bodyMax, "sessions": tabsMax, "listeners": liveMax, "downloads": exportsMax} {
		if want := fmt.Sprintf(" %d %s", n, what); !strings.Contains(text, want) {
			t.Errorf("%s doesn't say%s", doc, want)
		}
	}
	if writeTime != time.Minute {
		t.Errorf("%s says a minute, and it is %v", doc, writeTime)
	}
}
