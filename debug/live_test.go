package debug

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/hlc"
	"hindcast.dev/live"
)

// A growingHistory is a Live that a test feeds.
type growingHistory struct {
	tail *history.Tail
	mu   sync.Mutex
	next chan struct{}
	over bool
	seqs map[int]uint64
	at   hlc.Timestamp
}

func grows(t testing.TB, bytes int, nodes ...string) *growingHistory {
	g := &growingHistory{tail: history.NewTail(bytes), next: make(chan struct{}), seqs: map[int]uint64{}, at: 1_000_000}
	g.nodes(t, nodes...)
	return g
}

func (g *growingHistory) nodes(t testing.TB, names ...string) {
	meta := &history.Meta{Vars: []history.Var{{Name: "kv.v"}}}
	for _, n := range names {
		meta.Nodes = append(meta.Nodes, history.Node{Name: n})
	}
	if err := g.tail.Grow(meta); err != nil {
		t.Fatal(err)
	}
}

// add adds an event that sets kv.v on a node.
func (g *growingHistory) add(t testing.TB, node int, v uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.seqs[node]++
	g.at += 1 << 20
	e := &history.Event{Position: history.Position{Node: node, Time: g.at, Seq: g.seqs[node]}, Kind: "set",
		Changes: []history.Change{{Var: 0, Value: event.Uint(v)}}}
	if err := g.tail.Feed(e); err != nil {
		t.Error(err)
	}
	close(g.next)
	g.next = make(chan struct{})
}

func (g *growingHistory) end() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.over = true
	close(g.next)
	g.next = make(chan struct{})
}

func (g *growingHistory) Now() history.Source { return g.tail.Now() }

func (g *growingHistory) Changed() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.next
}

func (g *growingHistory) Status() live.Status {
	g.mu.Lock()
	defer g.mu.Unlock()
	return live.Status{Reach: g.at, Ended: g.over, Nodes: []live.NodeStatus{{Name: "n1"}, {Name: "n2", Silent: "connection refused"}}}
}

func liveSession(l Live) (*Session, *strings.Builder) {
	var out strings.Builder
	s := NewSession(l.Now(), &out)
	s.Live = l
	return s, &out
}

// say carries out a line and returns what it says.
func say(t *testing.T, s *Session, out *strings.Builder, line string) string {
	t.Helper()
	out.Reset()
	if err := s.Do(t.Context(), line); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	return out.String()
}

func TestTheSessionStaysWhereItIsUnlessItFollowsTheEnd(t *testing.T) {
	g := grows(t, 0, "n1", "n2")
	g.add(t, 0, 1)
	s, out := liveSession(g)
	say(t, s, out, "goto END")
	g.add(t, 1, 2)
	if got := say(t, s, out, "nodes"); s.Position().Node != 0 || !strings.Contains(got, "1 event") {
		t.Errorf("the place moved to %v; nodes says %s", s.Position(), got)
	}
	if got := say(t, s, out, "step"); !strings.Contains(got, "n2:1") {
		t.Errorf("a step onto what came says %s", got)
	}
	say(t, s, out, "follow on")
	g.add(t, 0, 3)
	if got := say(t, s, out, "state kv.v"); s.Position().Seq != 2 || !strings.Contains(got, "n1  kv.v = 3") {
		t.Errorf("following, the place is %v; state says %s", s.Position(), got)
	}
	if got := say(t, s, out, "back"); !strings.Contains(got, "no longer follows") {
		t.Errorf("back says %s", got)
	}
	at := s.Position()
	g.add(t, 1, 4)
	if say(t, s, out, "event"); s.Position() != at {
		t.Errorf("it still follows: %v", s.Position())
	}
	got := say(t, s, out, "live")
	for _, want := range []string{"4 events", "n1  is heard", "n2  isn't heard: connection refused"} {
		if !strings.Contains(got, want) {
			t.Errorf("live says %s; want %q in it", got, want)
		}
	}
	if err := s.Do(t.Context(), "follow me"); err == nil {
		t.Error("follow me: no error")
	}
	rec, _ := liveSession(g)
	rec.Live = nil
	for _, line := range []string{"live", "follow"} {
		if err := rec.Do(t.Context(), line); err == nil || !strings.Contains(err.Error(), "HOST:PORT") {
			t.Errorf("%s on a recording: %v", line, err)
		}
	}
}

func TestContinueAndWhereWaitAtTheEndForWhatComes(t *testing.T) {
	for _, line := range []string{"continue", "where MAX(kv.v) = 7"} {
		synctest.Test(t, func(t *testing.T) {
			g := grows(t, 0, "n1", "n2")
			g.add(t, 0, 1)
			s, out := liveSession(g)
			s.Waits = true
			say(t, s, out, "break where MAX(kv.v) = 7")
			say(t, s, out, "follow")
			done := make(chan string)
			go func() {
				if err := s.Do(t.Context(), line); err != nil {
					t.Error(err)
				}
				done <- out.String()
			}()
			for v := range uint64(8) {
				synctest.Wait()
				g.add(t, int(v%2), v)
			}
			synctest.Wait()
			g.add(t, 0, 8)
			if got := <-done; !strings.Contains(got, "n2:4") || s.Position().Node != 1 || s.Position().Seq != 4 {
				t.Errorf("%s says %s and is at %v", line, got, s.Position())
			}
			// What was found is where the session stays, though it was the end.
			if say(t, s, out, "event"); s.Position().Seq != 4 {
				t.Errorf("after %s it went on to %v", line, s.Position())
			}
		})
	}
}

func TestAWaitAtTheEndIsEndedByCtrlCAndByTheEndOfAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := grows(t, 0, "n1", "n2")
		g.add(t, 0, 1)
		s, out := liveSession(g)
		say(t, s, out, "break where MAX(kv.v) = 7")
		say(t, s, out, "follow")
		if got := say(t, s, out, "continue"); !strings.Contains(got, "no breakpoint stops") {
			t.Errorf("where nothing waits: %s", got)
		}
		s.Waits = true
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- s.Do(ctx, "continue") }()
		synctest.Wait()
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("interrupted: %v", err)
		}
		go func() { ended <- s.Do(t.Context(), "continue") }()
		synctest.Wait()
		g.end()
		if err := <-ended; err != nil || s.Position().Seq != 1 {
			t.Errorf("at the end of all: %v, at %v", err, s.Position())
		}
	})
}

// A node whose name becomes known may stand before others: places move with their
// nodes, also those that undo leads to.
func TestPlacesKeepTheirNodesWhenThereAreMore(t *testing.T) {
	g := grows(t, 0, "127.0.0.1:9", "n2")
	g.add(t, 1, 1)
	g.add(t, 1, 2)
	s, out := liveSession(g)
	say(t, s, out, "step")
	say(t, s, out, "step")
	g.nodes(t, "n0", "n1", "n2")
	if got := say(t, s, out, "event"); !strings.Contains(got, "n2:2") {
		t.Errorf("the event here: %s", got)
	}
	if got := say(t, s, out, "undo"); !strings.Contains(got, "n2:1") {
		t.Errorf("undo: %s", got)
	}
}

func TestAForgottenPlaceIsSaid(t *testing.T) {
	g := grows(t, 50_000, "n1", "n2")
	g.add(t, 0, 1)
	s, out := liveSession(g)
	say(t, s, out, "step")
	for v := range uint64(1000) {
		g.add(t, 1, v)
	}
	if got := say(t, s, out, "nodes"); !strings.Contains(got, "n1:1 is forgotten") || s.Position() != history.Begin {
		t.Errorf("%s", got)
	}
	if got := say(t, s, out, "step"); !strings.Contains(got, "n2:") {
		t.Errorf("the first step: %s", got)
	}
}

// The survey of what grows is that of what there is, also of lost messages.
func TestASurveyIsKeptUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := grows(t, 60_000, "n1", "n2")
		v := NewLiveSurvey(g)
		if err := v.extend(t.Context(), g.Now(), g.Status()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- v.Run(ctx) }()
		for i := range uint64(300) {
			g.add(t, int(i%2), i)
			if i%50 == 7 {
				synctest.Wait()
			}
		}
		g.drop(t, 0, "lost", "m1")
		changed := v.Changed()
		for v.Now() != g.Now() {
			<-changed
			changed = v.Changed()
		}
		src, x := v.Seen()
		if uint64(x.Len()) != src.Meta().Events || x.Len() == 0 || g.tail.Forgotten() == 0 || !x.Linked() {
			t.Errorf("%d events are indexed of %d", x.Len(), src.Meta().Events)
		}
		if Why(v.Index().Losses("m1")) != "lost" || v.Progress().Step != SurveyReady || v.Status().Events != src.Meta().Events {
			t.Errorf("lost: %v, %+v", v.Index().Losses("m1"), v.Progress())
		}
		g.arrive(t, 1, "m1")
		g.end()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		sent := []history.Event{{Effects: []history.Effect{{Kind: "send", ID: "m1", Peer: "n2"}}}}
		src, x = v.Seen()
		if lost, err := Lost(t.Context(), src, sent, x.Losses); err != nil || len(x.Losses("m1")) != 1 || len(lost) != 0 {
			t.Errorf("%v, %v: what arrived all the same isn't lost: %v", err, x.Losses("m1"), lost)
		}
		cancel()
	})
}

func (g *growingHistory) drop(t testing.TB, node int, reason, id string) {
	g.feed(t, &history.Event{Position: history.Position{Node: node}, Kind: "note", Name: "drop", ID: id,
		Data: event.MapOf(event.NewMap(event.Entry{Key: event.String("reason"), Value: event.String(reason)}))})
}

func (g *growingHistory) arrive(t testing.TB, node int, id string) {
	g.feed(t, &history.Event{Position: history.Position{Node: node}, Kind: "recv", ID: id})
}

func (g *growingHistory) feed(t testing.TB, e *history.Event) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.seqs[e.Node]++
	g.at += 1 << 20
	e.Time, e.Seq = g.at, g.seqs[e.Node]
	if err := g.tail.Feed(e); err != nil {
		t.Error(fmt.Errorf("feed: %w", err))
	}
	close(g.next)
	g.next = make(chan struct{})
}

// A node that lost its end counts anew: the event that has a place's number by then
// is another one.
func TestAPlaceWhoseNumberIsAnotherEventsIsForgotten(t *testing.T) {
	g := grows(t, 0, "n1", "n2")
	for v := range uint64(5) {
		g.add(t, 0, v+1)
	}
	s, out := liveSession(g)
	say(t, s, out, "goto n1:3")
	g.seqs[0] = 1
	g.add(t, 0, 12)
	g.add(t, 0, 13)
	if got := say(t, s, out, "live"); s.Position() != history.Begin || !strings.Contains(got, "forgotten") {
		t.Errorf("the place is %v; live says %s", s.Position(), got)
	}
}

// Nodes may become known that come last by name: what there is is surveyed anew.
func TestASurveyTakesInANodeThatComesLast(t *testing.T) {
	g := grows(t, 0, "n1")
	g.add(t, 0, 1)
	v := NewLiveSurvey(g)
	if err := v.extend(t.Context(), g.Now(), g.Status()); err != nil {
		t.Fatal(err)
	}
	g.nodes(t, "n1", "n2")
	g.add(t, 1, 2)
	if err := v.extend(t.Context(), g.Now(), g.Status()); err != nil {
		t.Fatal(err)
	}
	if n := v.Index().Len(); n != 2 {
		t.Errorf("%d events are known", n)
	}
}

// What undo and a motif lead back to may be forgotten by then.
func TestAPlaceThatIsReturnedToMayBeForgotten(t *testing.T) {
	g := grows(t, 40_000, "n1", "n2")
	g.add(t, 0, 1)
	g.add(t, 0, 2)
	s, out := liveSession(g)
	say(t, s, out, "goto n1:2")
	say(t, s, out, "motif n1: set")
	g.add(t, 1, 1)
	say(t, s, out, "goto END")
	for v := range uint64(400) {
		g.add(t, 1, v)
	}
	say(t, s, out, "live")
	for _, c := range [][2]string{{"undo", "n1:2"}, {"next", "n1:1"}} {
		if got := say(t, s, out, c[0]); s.Position() != history.Begin || !strings.Contains(got, c[1]+" is forgotten") {
			t.Errorf("%s leads to %v and says %s", c[0], s.Position(), got)
		}
	}
}

// An index of a moment at which nodes have other numbers than in the session isn't
// used, though it is of as many events.
func TestAnIndexWithOtherNumbersIsNoneOfTheSessions(t *testing.T) {
	g := grows(t, 0, "a", "b:1", "c")
	g.add(t, 0, 1)
	g.add(t, 2, 2)
	g.add(t, 0, 3)
	s := NewSession(g.Now(), io.Discard)
	s.Live = g
	g.nodes(t, "a", "c", "z")
	v := NewLiveSurvey(g)
	if err := v.extend(t.Context(), g.Now(), g.Status()); err != nil {
		t.Fatal(err)
	}
	s.Index = v.Index
	if _, err := s.forward(t.Context(), 2, -1); err != nil {
		t.Fatal(err)
	}
	if at := s.Position(); at.Node != 2 {
		t.Errorf("the second event is of node %d, which is %s here", at.Node, s.Source().Meta().Nodes[at.Node].Name)
	}
}
