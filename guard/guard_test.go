package guard

import (
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestAPageOfAnotherOriginIsForeign(t *testing.T) {
	for _, c := range []struct {
		headers string // "Name: value; Name: value"
		want    bool
	}{
		{"", false},
		{"Sec-Fetch-Site: none", false},
		{"Sec-Fetch-Site: same-origin", false},
		{"Sec-Fetch-Site: same-site", true}, // another port of this machine
		{"Sec-Fetch-Site: cross-site", true},
		{"Sec-Fetch-Site: whatever comes", true},
		{"Origin: http://127.0.0.1:7", false},
		{"Origin: https://127.0.0.1:7", false}, // behind something that speaks TLS
		{"Origin: http://127.0.0.1:8", true},
		{"Origin: http://127.0.0.1", true},
		{"Origin: null", true},
		{"Origin: http://evil.example", true},
		{"Origin: http://127.0.0.1:7.evil.example", true},
		{"Origin: http://evil.example@127.0.0.1:8", true},
		{"Origin: ://", true},
		{"Sec-Fetch-Site: same-origin; Origin: http://evil.example", true},
		{"Origin: http://127.0.0.1:7; Origin: http://evil.example", true},
	} {
		r := httptest.NewRequest(http.MethodGet, "http://127.0.0.1:7/", nil)
		for h := range strings.SplitSeq(c.headers, "; ") {
			if name, value, ok := strings.Cut(h, ": "); ok {
				r.Header.Add(name, value)
			}
		}
		if got := Foreign(r); got != c.want {
			t.Errorf("%q: foreign is %v", c.headers, got)
		}
	}
}

func TestHostsAreLoopbackByNameOrInNumbers(t *testing.T) {
	type kind struct{ loopback, numeric bool }
	for host, want := range map[string]kind{
		"127.0.0.1": {true, true}, "127.0.0.1:80": {true, true}, "127.8.9.1": {true, true}, "localhost": {true, false}, "LOCALHOST:9": {true, false},
		"[::1]": {true, true}, "[::1]:80": {true, true}, "[::ffff:127.0.0.1]:80": {true, true},
		"192.0.2.1:80": {false, true}, "[2001:db8::1]:80": {false, true}, "0.0.0.0": {false, true},
		"": {}, "evil.example": {}, "localhost.evil.example": {}, "127.0.0.1.evil.example:80": {}, "localhost.": {}, "2130706433": {}, "0x7f.1": {}, "127.1": {},
	} {
		if got := (kind{Loopback(host), Numeric(host)}); got != want {
			t.Errorf("%q: %+v, want %+v", host, got, want)
		}
	}
	for host, want := range map[string]string{"a:7": "7", "[::1]:8": "8", "a": "", "::1": ""} {
		if got := Port(host); got != want {
			t.Errorf("port of %q: %q", host, got)
		}
	}
}

func TestSecretsAreTheSameOrNot(t *testing.T) {
	if !Same("secret", "secret") || Same("secret", "Secret") || Same("", "secret") || Same("secret", "secre") {
		t.Error("secrets are compared wrongly")
	}
	for header, want := range map[string]string{"Bearer x": "x", "bearer x": "", "Basic x": "", "": "", "Bearer ": ""} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Authorization", header)
		if got, _ := Bearer(r); got != want {
			t.Errorf("%q bears %q", header, got)
		}
	}
}

func TestProblemsAreJSON(t *testing.T) {
	w := httptest.NewRecorder()
	WriteProblem(w, http.StatusTeapot, "a <b>pot</b>\x1b[31m", "use a cup")
	if got, want := w.Body.String(), `{"error":"a \u003cb\u003epot\u003c/b\u003e\u001b[31m","remedy":"use a cup"}`+"\n"; got != want || w.Code != http.StatusTeapot {
		t.Errorf("%d %s", w.Code, got)
	}
	if h := w.Header(); h.Get("Content-Type") != "application/json" || h.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("%v", h)
	}
	w = httptest.NewRecorder()
	if WriteJSON(w, http.StatusOK, math.NaN()); w.Code != http.StatusInternalServerError || !strings.Contains(w.Body.String(), "no JSON form") {
		t.Errorf("of what has none: %d %s", w.Code, w.Body)
	}
}
