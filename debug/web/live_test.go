package web

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"hindcast.dev/debug"
	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/hlc"
	"hindcast.dev/live"
	"hindcast.dev/rql"
)

// A growing History is a debug.Live that a test feeds.
type growing struct {
	tail *history.Tail
	mu   sync.Mutex
	next chan struct{}
	st   live.Status
	seqs map[int]uint64
}

const growingBegin = hlc.Timestamp(1 << 48)

func newGrowing(t *testing.T, bytes int, names ...string) *growing {
	g := &growing{tail: history.NewTail(bytes), next: make(chan struct{}), seqs: map[int]uint64{}}
	g.grow(t, names...)
	return g
}

// grow gives it nodes by name.
func (g *growing) grow(t *testing.T, names ...string) {
	t.Helper()
	meta := &history.Meta{Vars: []history.Var{{Name: "kv.v"}}}
	for _, n := range names {
		meta.Nodes = append(meta.Nodes, history.Node{Name: n})
	}
	if err := g.tail.Grow(meta); err != nil {
		t.Fatal(err)
	}
	g.change(func() {
		g.st.Nodes = nil
		for _, n := range names {
			g.st.Nodes = append(g.st.Nodes, live.NodeStatus{Name: n})
		}
	})
}

func (g *growing) change(f func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f()
	close(g.next)
	g.next = make(chan struct{})
}

// add adds events of a node, a second apart, each of which sets kv.v to its number.
func (g *growing) add(t *testing.T, node, n int) {
	t.Helper()
	for range n {
		g.seqs[node]++
		g.mu.Lock()
		at := max(g.st.Reach, growingBegin-second) + second
		g.mu.Unlock()
		e := &history.Event{Position: history.Position{Node: node, Time: at, Seq: g.seqs[node]}, Kind: "set",
			Changes: []history.Change{{Var: 0, Value: event.Uint(g.seqs[node])}}}
		if err := g.tail.Feed(e); err != nil {
			t.Fatal(err)
		}
		g.change(func() { g.st.Reach = at })
	}
}

func (g *growing) Now() history.Source { return g.tail.Now() }

func (g *growing) Changed() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.next
}

func (g *growing) Status() live.Status {
	g.mu.Lock()
	defer g.mu.Unlock()
	st := g.st
	st.Events = g.tail.Now().Meta().Events
	return st
}

// serveGrowing serves what grows, and returns what ends it.
func serveGrowing(t *testing.T, g *growing) (*httptest.Server, context.CancelFunc) {
	t.Helper()
	s := New(Options{Title: "a cluster", Source: g.Now(), Live: g, Session: func() *debug.Session { return debug.NewSession(g.Now(), io.Discard) }})
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := s.Run(ctx); err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	hs := httptest.NewServer(s)
	t.Cleanup(func() {
		cancel()
		running.Wait()
		hs.Close()
		hs.Client().CloseIdleConnections()
		goleak.VerifyNone(t)
	})
	return hs, cancel
}

// A radio listens to /api/v1/live.
type radio struct {
	t    *testing.T
	body io.ReadCloser
	in   *bufio.Scanner
	last liveState
}

func listen(t *testing.T, hs *httptest.Server) *radio {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, "GET", hs.URL+"/api/v1/live", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := hs.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { res.Body.Close() })
	if ct := res.Header.Get("Content-Type"); res.StatusCode != 200 || ct != "text/event-stream" {
		t.Fatalf("%d %s", res.StatusCode, ct)
	}
	return &radio{t: t, body: res.Body, in: bufio.NewScanner(res.Body)}
}

// next is the next message; false at the end.
func (r *radio) next() bool {
	r.t.Helper()
	for r.in.Scan() {
		text, ok := strings.CutPrefix(r.in.Text(), "data: ")
		if !ok {
			continue
		}
		r.last = liveState{}
		if err := json.Unmarshal([]byte(text), &r.last); err != nil {
			r.t.Fatalf("%s: %v", text, err)
		}
		return true
	}
	return false
}

// until listens until enough is heard.
func (r *radio) until(enough func(*liveState) bool) {
	r.t.Helper()
	for r.next() {
		if enough(&r.last) {
			return
		}
	}
	r.t.Fatalf("the stream ended at %+v: %v", r.last, r.in.Err())
}

func TestWhatGrowsIsToldAndShown(t *testing.T) {
	g := newGrowing(t, 0, "n1", "n2")
	g.add(t, 0, 1)
	hs, end := serveGrowing(t, g)
	r := listen(t, hs)
	r.until(func(s *liveState) bool { return s.Events == 1 && len(s.Nodes) == 2 && !s.Ended })
	g.add(t, 1, 3)
	r.until(func(s *liveState) bool { return s.Events == 4 && s.Reach == growingBegin+3*second })
	var about struct {
		Events uint64
		Live   bool
		Spans  map[string]aboutSpan
		Index  struct{ State string }
	}
	if read(t, hs, "GET", "/api/v1/about", "", &about); about.Events != 4 || !about.Live || about.Spans["time"].To != 3*second || about.Index.State != "ready" {
		t.Errorf("about: %+v", about)
	}
	var drawn struct{ Count int }
	if read(t, hs, "GET", "/api/v1/events?axis=time&from=0&to=99999999999", "", &drawn); drawn.Count != 4 {
		t.Errorf("%d events are drawn", drawn.Count)
	}
	var a struct {
		Answer struct{ Place debug.Place }
	}
	if read(t, hs, "POST", "/api/v1/command", `{"line":"goto END"}`, &a); a.Answer.Place.Node != "n2" || a.Answer.Place.Seq != 3 {
		t.Errorf("the end is %+v", a.Answer.Place)
	}
	g.change(func() { g.st.Nodes[0].Silent = "connection refused" })
	r.until(func(s *liveState) bool { return s.Nodes[0].Silent == "connection refused" && s.Nodes[1].Silent == "" })
	g.change(func() { g.st.Ended = true })
	r.until(func(s *liveState) bool { return s.Ended })
	if r.next() {
		t.Errorf("after the end comes %+v", r.last)
	}
	end()
}

// What the listeners hear ends with the server.
func TestListenersAreLetGoWhenTheServerEnds(t *testing.T) {
	g := newGrowing(t, 0, "n1")
	g.add(t, 0, 1)
	hs, end := serveGrowing(t, g)
	r, gone := listen(t, hs), listen(t, hs)
	r.until(func(s *liveState) bool { return s.Events == 1 })
	gone.body.Close()
	end()
	for r.next() {
		if r.last.Ended {
			t.Errorf("the server's end is told as that of the cluster")
		}
	}
}

// A recording says at once that nothing comes.
func TestARecordingIsOver(t *testing.T) {
	r := listen(t, serve(t, ""))
	if !r.next() || !r.last.Ended || r.last.Events != 5 || r.next() {
		t.Errorf("%+v", r.last)
	}
}

// Coordinates stay when the beginning is forgotten, and when nodes get other numbers.
func TestCoordinatesStayWhileWhatGrowsForgets(t *testing.T) {
	g := newGrowing(t, 60_000, "127.0.0.1:9", "n2")
	g.add(t, 1, 2)
	hs, _ := serveGrowing(t, g)
	r := listen(t, hs)
	r.until(func(s *liveState) bool { return s.Events == 2 })
	type place struct {
		Node   int
		TimeAt uint64
	}
	var p struct{ Places []*place }
	ask := func() place {
		t.Helper()
		p.Places = nil
		read(t, hs, "POST", "/api/v1/places", `{"places":["n2:2"]}`, &p)
		if len(p.Places) != 1 || p.Places[0] == nil {
			t.Fatalf("n2:2 is nowhere")
		}
		return *p.Places[0]
	}
	if got := ask(); got != (place{1, second}) {
		t.Errorf("n2:2 is at %+v", got)
	}
	var st struct {
		Nodes []struct {
			Known    bool
			Children []struct{ Text string }
		}
	}
	read(t, hs, "GET", "/api/v1/state?at=n2:2", "", &st)
	g.grow(t, "n1", "n2", "n3") // n1 stood at the address; n3 is new
	g.add(t, 2, 1)
	r.until(func(s *liveState) bool { return s.Events == 3 && len(s.Nodes) == 3 })
	if got := ask(); got != (place{1, second}) {
		t.Errorf("n2:2 is at %+v", got)
	}
	st.Nodes = nil
	if read(t, hs, "GET", "/api/v1/state?at=n2:2", "", &st); len(st.Nodes) != 3 || st.Nodes[1].Children[0].Text != "2" || st.Nodes[2].Known {
		t.Errorf("the state there: %+v", st)
	}
	g.add(t, 2, 500)
	r.until(func(s *liveState) bool { return s.Reach == g.Status().Reach })
	var about struct {
		First hlc.Timestamp
		Spans map[string]aboutSpan
	}
	read(t, hs, "GET", "/api/v1/about", "", &about)
	if about.First != growingBegin || about.Spans["time"].From < 100*second || about.Spans["time"].To != 502*second {
		t.Errorf("about: %+v", about)
	}
}

// Where sessions begin is told by the numbers that nodes have now.
func TestSessionsBeginAtTheSameEventWhenNodesGetOtherNumbers(t *testing.T) {
	g := newGrowing(t, 0, "127.0.0.1:9", "n2")
	g.add(t, 1, 2)
	src := g.Now()
	s := New(Options{Source: src, Live: g, Begin: src.Meta().Last, Session: func() *debug.Session { return debug.NewSession(g.Now(), io.Discard) }})
	g.grow(t, "n0", "n1", "n2")
	seeFirst(t, s, "n0")
	hs := httptest.NewServer(s)
	defer hs.Close()
	var about struct{ Begin struct{ Name string } }
	if read(t, hs, "GET", "/api/v1/about", "", &about); about.Begin.Name != "n2" {
		t.Errorf("sessions begin at %+v", about.Begin)
	}
	var a struct{ At struct{ Name string } }
	if read(t, hs, "POST", "/api/v1/command", `{"line":"event"}`, &a); a.At.Name != "n2" {
		t.Errorf("a session begins at %+v", a.At)
	}
}

// seeFirst runs the survey of a server until the first node has a name.
func seeFirst(t *testing.T, s *Server, name string) {
	t.Helper()
	ended := errors.New("all is seen")
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		defer cancel(ended)
		for {
			changed := s.survey.Changed()
			if s.source().Meta().Nodes[0].Name == "n0" {
				return
			}
			<-changed
		}
	}()
	if err := s.Run(ctx); context.Cause(ctx) != ended {
		t.Fatal(err)
	}
}

// What a search that began before nodes got other numbers finds is where it was.
func TestHitsAreOfTheNodesThatTheSearchBeganWith(t *testing.T) {
	g := newGrowing(t, 0, "127.0.0.1:9", "n2")
	g.add(t, 1, 2)
	src := g.Now()
	s := New(Options{Source: src, Live: g, Session: func() *debug.Session { return debug.NewSession(g.Now(), io.Discard) }})
	g.grow(t, "n0", "n1", "n2")
	seeFirst(t, s, "n0")
	e, err := src.Event(t.Context(), 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	if h := (&finding{s: s, src: src}).hitOf(e); h.Place["name"] != "n2" || h.Place["node"] != 2 || h.Place["order"] == nil {
		t.Errorf("a hit is at %+v", h.Place)
	}
	w := httptest.NewRecorder()
	row := &rql.Row{From: e.Time, To: e.Time, Event: rql.EventRef{Node: "n2", Seq: 2}}
	if err := s.row(t.Context(), newLines(w), src, row); err != nil || !strings.Contains(w.Body.String(), `"name":"n2"`) {
		t.Errorf("%v: a row is at %s", err, w.Body)
	}
}
