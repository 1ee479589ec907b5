package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"hindcast.dev/debug"
	"hindcast.dev/history"
)

func TestAnExportIsAFileToKeep(t *testing.T) {
	hs := serve(t, "")
	for query, want := range map[string]string{"format=jsonl": "a_store.jsonl", "format=perfetto": "a_store.json", "format=shiviz&from=n1:1&to=n2:1": "a_store.log"} {
		res, b := ask(t, hs, "GET", "/api/v1/export?"+query, "")
		if got := res.Header.Get("Content-Disposition"); res.StatusCode != 200 || got != `attachment; filename="`+want+`"` || res.Header.Get("Content-Type") != "application/octet-stream" {
			t.Errorf("%s: %d %v", query, res.StatusCode, res.Header)
		}
		if len(b) == 0 {
			t.Errorf("%s: nothing", query)
		}
	}
	_, b := ask(t, hs, "GET", "/api/v1/export?format=jsonl&from=n1:1&to=n2:1", "")
	again, err := history.ReadText(strings.NewReader(string(b)), "again", history.TextOptions{})
	if err != nil || again.Meta().Events != 2 {
		t.Errorf("the stretch: %v\n%s", err, b)
	}
	for _, query := range []string{"", "format=exe", "format=jsonl&from=n1:1", "format=jsonl&from=n1:1&to=nowhere"} {
		var p struct{ Error string }
		if code := read(t, hs, "GET", "/api/v1/export?"+query, "", &p); code != 400 || p.Error == "" {
			t.Errorf("%q: %d %+v", query, code, p)
		}
	}
	if res, _ := ask(t, hs, "GET", "/api/v1/export?format=jsonl", "", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate"); res.StatusCode != 403 {
		t.Errorf("by a link of another page: %d", res.StatusCode)
	}
}

// failing is a Source that can be walked so far.
type failing struct {
	history.Source
	events int
}

func (f failing) Walk(ctx context.Context, from, to history.Position, nodes []int) (history.Cursor, error) {
	c, err := f.Source.Walk(ctx, from, to, nodes)
	return &failingCursor{c, f.events}, err
}

type failingCursor struct {
	history.Cursor
	left int
}

func (c *failingCursor) Next() (*history.Event, error) {
	if c.left--; c.left < 0 {
		return nil, errors.New("the disk is gone")
	}
	return c.Cursor.Next()
}

func TestADownloadThatFailsIsNotTakenForWhole(t *testing.T) {
	var text strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&text, `{"node":"n1","ts":"%d","set":{"kv.text":"%0100d"}}`+"\n", uint64(i+1)<<16, i)
	}
	src, err := history.ReadText(strings.NewReader(text.String()), "long", history.TextOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for events, begun := range map[int]bool{0: false, 1900: true} {
		f := failing{src, events}
		s := New(Options{Source: f, Session: func() *debug.Session { return debug.NewSession(f, io.Discard) }})
		hs := httptest.NewServer(s)
		t.Cleanup(hs.Close)
		res, err := hs.Client().Get(hs.URL + "/api/v1/export?format=jsonl")
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(res.Body)
		res.Body.Close()
		if begun && (err == nil || res.StatusCode != http.StatusOK) || !begun && res.StatusCode != http.StatusInternalServerError {
			t.Errorf("after %d events: %d, %d bytes, %v", events, res.StatusCode, len(b), err)
		}
	}
}

func TestATitleMakesAFileName(t *testing.T) {
	for title, want := range map[string]string{"": "hindcast", "runs/seed-1": "seed-1", "h.jsonl": "h", `a"b` + "\r\nX: y": "a_b__X__y", "..": "hindcast",
		"10.0.0.1:9001,10.0.0.2:9001": "10.0.0.1_9001_10.0.0.2_9001", strings.Repeat("é", 100): strings.Repeat("_", fileNameMax)} {
		if got := fileName(title); got != want {
			t.Errorf("%q: %q, want %q", title, got, want)
		}
	}
}

func TestThereAreOnlySoManyDownloadsAtOnce(t *testing.T) {
	hs := serve(t, "")
	s := hs.Config.Handler.(*Server)
	s.exports.Store(exportsMax)
	var p struct{ Error, Remedy string }
	if code := read(t, hs, "GET", "/api/v1/export?format=jsonl", "", &p); code != 503 || p.Remedy == "" {
		t.Errorf("one more: %d %+v", code, p)
	}
	s.exports.Store(exportsMax - 1)
	for range 2 { // a download that is over makes room
		if res, b := ask(t, hs, "GET", "/api/v1/export?format=jsonl", ""); res.StatusCode != 200 {
			t.Errorf("the last one: %d %s", res.StatusCode, b)
		}
	}
}
