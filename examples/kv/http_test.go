package kv

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"hindcast.dev/event"
	"hindcast.dev/machine"
	"hindcast.dev/node"
)

// A desk is a Client of a node in a virtual world: it waits by letting the world
// go on.
type desk struct {
	w    *world
	at   *vnode
	err  error // Do fails with it
	next any   // Do answers with it
}

func (d *desk) Do(_ context.Context, _ string, body any) (node.Reply, error) {
	if d.err != nil {
		return node.Reply{}, d.err
	}
	if d.next != nil {
		return node.Reply{Body: d.next}, nil
	}
	return node.Reply{Body: d.w.ask(d.at, body).reply}, nil
}

func (d *desk) Peek(_ context.Context, _ string, body any) (any, error) {
	ctx := &machine.Context{Host: noEffects{}, Machine: Name, Time: d.at.st.Time(), Start: d.at.st.Start()}
	return d.at.kv().Query(ctx, body), nil
}

type noEffects struct{}

func (noEffects) Encode(any) (string, uint32, []byte) { panic("a Query has no effects") }
func (noEffects) Effect(event.Effect) event.MessageID { panic("a Query has no effects") }

// call returns the status and the decoded body.
func (d *desk) call(t *testing.T, method, target, body string) (int, map[string]any, http.Header) {
	t.Helper()
	rec := httptest.NewRecorder()
	Handler(d).ServeHTTP(rec, httptest.NewRequest(method, target, strings.NewReader(body)))
	var out map[string]any
	if err := json.Unmarshal(rec.Body.Bytes(), &out); err != nil || rec.Header().Get("Content-Type") != "application/json" {
		t.Fatalf("%s %s: not JSON: %q (%v)", method, target, rec.Body, err)
	}
	return rec.Code, out, rec.Header()
}

func TestHTTPWritesReadsAndLists(t *testing.T) {
	w := newWorld(t)
	d := &desk{w: w, at: w.nodes[0]}
	for _, key := range []string{"a/1", "a//2", "a/ü", "b", "a/empty"} {
		value := strings.TrimPrefix(key, "a/empty")
		target := "/kv/" + strings.ReplaceAll(key, "ü", "%C3%BC")
		status, out, _ := d.call(t, "PUT", target, value)
		if status != 200 || out["key"] != key || out["value"] != value || out["consistency"] != "fresh" || out["found"] != true {
			t.Errorf("PUT %s: %d %v", key, status, out)
		}
		written := out["version"]
		status, out, _ = d.call(t, "GET", target, "")
		if status != 200 || out["value"] != value || out["version"] != written || out["writer"] != w.primary(key).name || out["age"] != nil {
			t.Errorf("GET %s: %d %v", key, status, out)
		}
	}
	w.run(tickEvery)
	var keys []string
	for target := "/kv?prefix=a/&limit=2"; target != ""; {
		status, out, _ := d.call(t, "GET", target, "")
		if status != 200 || out["consistency"] != "fresh" {
			t.Fatalf("GET %s: %d %v", target, status, out)
		}
		for _, r := range out["records"].([]any) {
			keys = append(keys, r.(map[string]any)["key"].(string))
		}
		target = ""
		if next, ok := out["next"].(string); ok {
			target = "/kv?prefix=a/&limit=2&from=" + strings.ReplaceAll(next, "ü", "%C3%BC")
		}
	}
	if got := strings.Join(keys, " "); got != "a//2 a/1 a/empty a/ü" {
		t.Errorf("listed %s", got)
	}
	if status, out, _ := d.call(t, "DELETE", "/kv/b", ""); status != 200 || out["found"] != false || out["version"] == nil {
		t.Errorf("DELETE: %d %v", status, out)
	}
	for _, gone := range []string{"b", "never"} {
		if status, out, _ := d.call(t, "GET", "/kv/"+gone, ""); status != 404 || out["found"] != false || out["error"] != nil {
			t.Errorf("GET %s: %d %v", gone, status, out)
		}
	}
	if status, out, _ := d.call(t, "GET", "/kv?prefix=zz", ""); status != 200 || len(out["records"].([]any)) != 0 {
		t.Errorf("an empty listing: %d %v", status, out)
	}
}

func TestHTTPSaysWhatWasWrong(t *testing.T) {
	w := newWorld(t)
	d := &desk{w: w, at: w.nodes[0]}
	long := strings.Repeat("x", MaxValue+1)
	for _, c := range []struct {
		method, target, body string
		status               int
	}{
		{"PUT", "/kv/k", long, 413},
		{"PUT", "/kv/k", long[1:], 200},
		{"PUT", "/kv/", "v", 400},
		{"PUT", "/kv/" + strings.Repeat("k", MaxKey+1), "v", 400},
		{"PUT", "/kv/" + strings.Repeat("k", MaxKey), "v", 200},
		{"PUT", "/kv/k", "\xff", 400},
		{"GET", "/kv/%ff", "", 400},
		{"GET", "/kv/k?consistency=best", "", 400},
		{"GET", "/kv?limit=x", "", 400},
		{"GET", "/kv?limit=-1", "", 400},
		{"GET", "/kv?limit=99999999999999999999", "", 400},
		{"POST", "/kv/k", "", 405},
		{"PUT", "/kv", "", 405},
		{"GET", "/", "", 404},
		{"GET", "/kvx", "", 404},
	} {
		status, out, header := d.call(t, c.method, c.target, c.body)
		if status != c.status {
			t.Errorf("%s %.40s: %d %v, want %d", c.method, c.target, status, out, c.status)
		}
		if text, _ := out["error"].(string); status != 200 && (text == "" || out["remedy"] == "") {
			t.Errorf("%s %.40s: %v lacks words", c.method, c.target, out)
		}
		if status == 405 && header.Get("Allow") == "" {
			t.Errorf("%s %s: no Allow", c.method, c.target)
		}
	}
}

func TestHTTPWithoutThePrimary(t *testing.T) {
	w := newWorld(t)
	d := &desk{w: w, at: w.nodes[0]}
	p := w.nodes[1]
	target := "/kv/" + w.keyAt(p)
	d.call(t, "PUT", target, "old")
	w.crash(p)
	if status, out, _ := d.call(t, "PUT", target+"?consistency=strict", "x"); status != 503 || out["code"] != "uncertain" || out["remedy"] == "" {
		t.Errorf("the first strict write: %d %v", status, out)
	}
	for _, method := range []string{"PUT", "DELETE", "GET"} {
		if status, out, _ := d.call(t, method, target+"?consistency=strict", "x"); status != 503 || out["code"] != "unreachable" || out["remedy"] == "" {
			t.Errorf("strict %s: %d %v", method, status, out)
		}
		if status, out, _ := d.call(t, method, target, "x"); out["consistency"] != "degraded" || out["age"].(float64) <= 0 {
			t.Errorf("%s: %d %v", method, status, out)
		}
	}
	if status, out, _ := d.call(t, "PUT", target+"?consistency=eventual", "x"); status != 200 || out["consistency"] != "eventual" {
		t.Errorf("eventual: %d %v", status, out)
	}
	if status, out, _ := d.call(t, "GET", "/kv", ""); status != 200 || out["consistency"] != "degraded" {
		t.Errorf("list: %d %v", status, out)
	}
}

func TestHTTPAtTheBoundSaysWhenToTryAgain(t *testing.T) {
	w := newWorld(t)
	for _, d := range []*desk{{w: w, at: w.nodes[0], next: Failure{Busy, "too many"}}, {w: w, at: w.nodes[0], err: fmt.Errorf("x: %w", node.ErrBusy)}} {
		if status, out, header := d.call(t, "GET", "/kv/k", ""); status != 429 || header.Get("Retry-After") == "" || out["error"] == "" {
			t.Errorf("%d %v %v", status, out, header)
		}
	}
}

func TestHTTPReadsGoOnWhenTheDiskIsFull(t *testing.T) {
	w := newWorld(t)
	d := &desk{w: w, at: w.nodes[0]}
	target := "/kv/" + w.keyAt(w.nodes[1])
	own := "/kv/" + w.keyAt(w.nodes[0])
	d.call(t, "PUT", target, "v")
	d.call(t, "PUT", own, "v")
	w.run(3 * tickEvery)
	d.err = fmt.Errorf("journal: %w", node.ErrDiskFull)
	for _, c := range []struct {
		method, target, consistency string
		status                      int
	}{
		{"GET", target, "degraded", 200},
		{"GET", target + "?consistency=eventual", "degraded", 200},
		{"GET", own, "degraded", 200}, // maybe it isn't durable
		{"GET", "/kv", "degraded", 200},
		{"GET", "/kv/none" + target[3:], "degraded", 404},
		{"GET", target + "?consistency=strict", "", 507},
		{"PUT", target, "", 507},
		{"DELETE", target, "", 507},
	} {
		status, out, _ := d.call(t, c.method, c.target, "x")
		if got, _ := out["consistency"].(string); status != c.status || got != c.consistency || status == 507 && out["remedy"] == "" {
			t.Errorf("%s %s: %d %v", c.method, c.target, status, out)
		}
	}
}

func TestHTTPPassesOnWhatANodeSays(t *testing.T) {
	w := newWorld(t)
	for want, err := range map[int]error{503: node.ErrStopping, 500: errors.New("odd"), 504: context.DeadlineExceeded} {
		d := &desk{w: w, at: w.nodes[0], err: err}
		if status, out, _ := d.call(t, "PUT", "/kv/k", "x"); status != want || out["error"] != err.Error() {
			t.Errorf("%v: %d %v", err, status, out)
		}
	}
	d := &desk{w: w, at: w.nodes[0], next: 7}
	if status, out, _ := d.call(t, "GET", "/kv/k", ""); status != 500 || out["error"] == "" {
		t.Errorf("%d %v", status, out)
	}
}
