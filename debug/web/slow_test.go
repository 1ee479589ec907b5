package web

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"hindcast.dev/hlc"
)

// A reader is who asks, as the server's end of the connection sees it.
type reader struct {
	*httptest.ResponseRecorder
	deadline time.Time
	late     int // writes that may take as long as they like
}

func (r *reader) SetWriteDeadline(t time.Time) error {
	r.deadline = t
	return nil
}

func (r *reader) Write(b []byte) (int, error) {
	if r.deadline.IsZero() {
		r.late++
	}
	return r.ResponseRecorder.Write(b)
}

// Who asks and doesn't read would hold a connection, and the turn of an answer, for
// good.
func TestWhoDoesNotReadIsNotWaitedForForEver(t *testing.T) {
	hs := serve(t, "")
	for _, one := range [][3]string{
		{"POST", "/api/v1/query", `{"statement":"SELECT kv.count FROM kv EMIT CUTS"}`}, {"POST", "/api/v1/search", `{"text":"Copy"}`}, {"GET", "/api/v1/live", ""},
		{"POST", "/api/v1/command", `{"line":"step"}`}, {"GET", "/api/v1/export?format=jsonl", ""}, {"GET", "/api/v1/frame?axis=order&from=0&to=9", ""}, {"GET", "/", ""},
	} {
		r := httptest.NewRequest(one[0], "http://127.0.0.1"+one[1], strings.NewReader(one[2]))
		w := &reader{ResponseRecorder: httptest.NewRecorder()}
		hs.Config.Handler.ServeHTTP(w, r)
		if w.Code != http.StatusOK || w.Body.Len() == 0 || w.late > 0 {
			t.Errorf("%s: %d, %d bytes, %d writes without an end", one[1], w.Code, w.Body.Len(), w.late)
		}
	}
}

// Times of today have more digits than a float64.
func TestTimesAreTheSameToTheUnitHoweverTheyAreTold(t *testing.T) {
	src := source(t)
	s := New(Options{Source: src})
	first := src.Meta().First.Time
	for _, d := range []int64{0, 1, 3, 511, 1 << 40, -1, -5} {
		if at := s.offset(first + hlc.Timestamp(d)); at != float64(d) {
			t.Errorf("%d units after the first event: %v", d, at)
		}
	}
}
