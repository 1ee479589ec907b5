package node

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/hlc"
	"hindcast.dev/live"
	"hindcast.dev/replay"
)

// A listener follows a node's history and keeps what it is told.
type listener struct {
	t     *testing.T
	r     *live.Reader
	body  io.Closer
	hello *live.Hello

	base    history.Position
	state   map[string]event.Value
	bulky   []string
	events  []string // as text
	at      history.Position
	promise hlc.Timestamp
	end     *live.End
}

// followHistory begins to follow; a status other than 200 is returned as an error.
func followHistory(t *testing.T, n *Node, query string) (*listener, error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, "GET", "http://"+n.AdminAddr()+"/v1/history"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	tr := &http.Transport{}
	t.Cleanup(tr.CloseIdleConnections)
	resp, err := (&http.Client{Transport: tr}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != 200 {
		b, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		return nil, fmt.Errorf("%d %s", resp.StatusCode, b)
	}
	t.Cleanup(func() { resp.Body.Close() })
	l := &listener{t: t, r: live.NewReader(bufio.NewReader(resp.Body)), body: resp.Body, state: map[string]event.Value{}}
	f, err := l.r.Next()
	if err != nil {
		t.Fatal(err)
	}
	l.hello = f.(*live.Hello)
	return l, nil
}

func mustFollow(t *testing.T, n *Node, query string) *listener {
	t.Helper()
	l, err := followHistory(t, n, query)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// text is an event without the numbers of its variables.
func text(e *history.Event, names func(history.VarID) string) string {
	out := fmt.Sprintf("%d %v %v %s %s %s %s %s %s", e.Seq, e.Time, e.Physical, e.Kind, e.Name, e.Machine, e.ID, e.Peer, e.Data)
	for _, f := range e.Effects {
		out += fmt.Sprintf(" %+v", f)
	}
	for _, c := range e.Changes {
		out += fmt.Sprintf(" %s=%s", event.PathString(names(c.Var), c.Path), c.Value)
	}
	return out
}

// until reads on until ok, or the end.
func (l *listener) until(ok func() bool) {
	l.t.Helper()
	for !ok() {
		f, err := l.r.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			l.t.Fatalf("after event %d: %v", l.at.Seq, err)
		}
		name := func(id history.VarID) string { return l.r.Names()[id] }
		switch f := f.(type) {
		case *live.Base:
			l.base, l.at = history.Position{Time: f.Time, Seq: f.Seq}, history.Position{Time: f.Time, Seq: f.Seq}
			for _, c := range f.Changes {
				l.state[event.PathString(name(c.Var), c.Path)] = c.Value
			}
			for _, b := range f.Bulky {
				l.bulky = append(l.bulky, name(b.Var))
			}
		case *live.Block:
			for i := range f.Events {
				e := &f.Events[i]
				if e.Seq <= l.at.Seq {
					continue
				}
				if e.Seq != l.at.Seq+1 || e.Time <= l.promise {
					l.t.Fatalf("event %d at %v comes after event %d and the promise of %v", e.Seq, e.Time, l.at.Seq, l.promise)
				}
				l.at = e.Position
				l.events = append(l.events, text(e, name))
			}
			l.promise = max(l.promise, f.Promise)
		case *live.End:
			l.end = f
		}
	}
}

// replayedEvents are those that a replay of a node that has stopped gives.
func replayedEvents(t *testing.T, n *Node, lean bool) []string {
	t.Helper()
	b := history.NewBuilder()
	w, err := b.Node("n1", "")
	if err != nil {
		t.Fatal(err)
	}
	j := replay.Journal{Node: "n1", FS: n.o.FS, Dir: n.dirs.journal, Checkpoints: n.dirs.checkpoints}
	if _, err := replay.Node(t.Context(), j, w, replay.Options{Registry: registry(), Lean: lean}); err != nil {
		t.Fatal(err)
	}
	src, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	cur, err := src.Walk(t.Context(), history.Begin, history.End, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer cur.Close()
	var out []string
	for {
		e, err := cur.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, text(e, func(id history.VarID) string { return src.Meta().Vars[id].Name }))
	}
}

func followed(t *testing.T) *Node {
	o := options(t, "n1")
	o.Admin = "127.0.0.1:0"
	return start(t, o)
}

func TestTheHistoryOfARunningNodeIsThatOfItsReplay(t *testing.T) {
	n := followed(t)
	total(t, n, Add{"a", 1})
	mid := do(t, n, Add{"a", 1}).Time
	begin := mustFollow(t, n, "?from="+hlc.Timestamp(1).String())
	now := mustFollow(t, n, "")
	now.until(func() bool { return now.base.Seq > 0 })
	if v, _ := now.state[`tally.sums`].AsMap().Get(event.String("a")).AsInt(); v != 2 || !now.state["node.up"].AsBool() {
		t.Errorf("the base has %v", now.state)
	}
	for i := range 300 {
		total(t, n, Add{fmt.Sprint("k", i%7), int64(i)})
	}
	past := mustFollow(t, n, "?from="+mid.String())
	past.until(func() bool { return past.at.Seq > past.base.Seq })
	if past.base.Time > mid || past.base.Time == 0 {
		t.Errorf("the base is of %v, want the last event up to %v", past.base.Time, mid)
	}
	after := past.at
	past.body.Close()
	resumed := mustFollow(t, n, fmt.Sprintf("?after=%d&at=%v", after.Seq, after.Time))
	resumed.at = after
	if !resumed.hello.Resumed || resumed.hello.Node != "n1" || resumed.hello.Service != "test" {
		t.Errorf("hello %+v", resumed.hello)
	}
	total(t, n, Add{"last", 1})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for _, l := range []*listener{begin, now, resumed} {
			l.until(func() bool { return l.end != nil })
		}
	}()
	stop(t, n)
	<-ended
	want := replayedEvents(t, n, false)
	for name, l := range map[string]*listener{"begin": begin, "now": now, "resumed": resumed} {
		first := len(want) - len(l.events)
		if l.end == nil || l.end.Code != live.EndStopping || first < 0 || len(l.events) < 50 {
			t.Fatalf("%s: %d of %d events, end %+v", name, len(l.events), len(want), l.end)
		}
		if !slices.Equal(l.events, want[first:]) {
			for i := range l.events {
				if l.events[i] != want[first+i] {
					t.Fatalf("%s: event %d\n got %s\nwant %s", name, first+i, l.events[i], want[first+i])
				}
			}
		}
	}
	if len(begin.events) != len(want) || begin.base.Seq != 0 {
		t.Errorf("from the beginning there are %d of %d events", len(begin.events), len(want))
	}
}

// Who wants the variables alone gets what a replay without all else gives; those who
// want all are told all beside it.
func TestALeanHistoryHasAllChanges(t *testing.T) {
	n := followed(t)
	total(t, n, Add{"a", 1})
	lean, full := mustFollow(t, n, "?lean=true&from="+hlc.Timestamp(1).String()), mustFollow(t, n, "?lean=false&from="+hlc.Timestamp(1).String())
	now := mustFollow(t, n, "?lean=1")
	now.until(func() bool { return now.base.Seq > 0 })
	for i := range 100 {
		total(t, n, Add{fmt.Sprint("k", i%7), int64(i)})
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for _, l := range []*listener{lean, full, now} {
			l.until(func() bool { return l.end != nil })
		}
	}()
	stop(t, n)
	<-ended
	want, all := replayedEvents(t, n, true), replayedEvents(t, n, false)
	if !slices.Equal(lean.events, want) || !slices.Equal(full.events, all) {
		t.Errorf("lean %d of %d events, full %d of %d", len(lean.events), len(want), len(full.events), len(all))
	}
	if k := len(want) - len(now.events); k < 0 || len(now.events) < 100 || !slices.Equal(now.events, want[k:]) {
		t.Errorf("from now on %d of %d events", len(now.events), len(want))
	}
	if slices.Equal(want, all) {
		t.Error("nothing is left out")
	}
}

func TestAnIdleNodePromisesWhileItIsFollowed(t *testing.T) {
	n := followed(t)
	l := mustFollow(t, n, "")
	l.until(func() bool { return l.at.Seq > l.base.Seq+3 })
	if !slices.ContainsFunc(l.events, func(s string) bool { return strings.Contains(s, "promise") }) {
		t.Errorf("no promise in %v", l.events)
	}
	l.body.Close()
	soon(t, "the shadow to end", func() bool {
		n.feed.mu.Lock()
		defer n.feed.mu.Unlock()
		return n.feed.run == nil && len(n.feed.askers) == 0
	})
}

func TestAnIdleNodePromisesAsOftenAsTheLeastPatientAsks(t *testing.T) {
	n := followed(t)
	patient := mustFollow(t, n, "?promise=200ms")
	if got := n.feed.patience(); got != 200*time.Millisecond {
		t.Errorf("promises are %v apart", got)
	}
	patient.until(func() bool { return patient.at.Seq > patient.base.Seq })
	other := mustFollow(t, n, "")
	if got := n.feed.patience(); got != promiseEvery {
		t.Errorf("with one who didn't say: %v apart", got)
	}
	other.body.Close()
	soon(t, "the patient one to be alone", func() bool { return n.feed.patience() == 200*time.Millisecond })
}

func TestAHistoryThatCantBeGoneOnWithIsRefused(t *testing.T) {
	n := followed(t)
	at := do(t, n, Add{"a", 1}).Time
	for query, status := range map[string]int{
		"?after=1&at=2020-01-01T00:00:00Z": 409, "?after=999999&at=" + at.String(): 409,
		"?after=1": 400, "?at=1": 400, "?from=yesterday": 400, "?what=1": 400, "?after=x&at=1": 400, "?after=1&at=x": 400,
		"?from=1&after=1&at=1": 400, "?promise=1ms": 400, "?promise=2s": 400, "?promise=often": 400,
	} {
		if _, err := followHistory(t, n, query); err == nil || err.Error()[:3] != fmt.Sprint(status) {
			t.Errorf("%s: %v, want %d", query, err, status)
		}
	}
	n.o.Limits.Followers = 1
	mustFollow(t, n, "")
	if _, err := followHistory(t, n, ""); err == nil || err.Error()[:3] != "503" {
		t.Errorf("a second follower: %v, want 503", err)
	}
}

func TestASlowAskerGoesOnFromTheJournal(t *testing.T) {
	r := &feedRun{ready: true}
	t2 := func(seq uint64, size int) { r.add(chunk{frame: make([]byte, size), first: seq, last: seq}) }
	for seq := uint64(1); seq <= 5; seq++ {
		t2(seq, ringBytes/4)
	}
	if _, err := r.next(t.Context(), 0); err == nil || err.(*endError).end.Code != live.EndSlow {
		t.Errorf("a chunk that left the ring: %v", err)
	}
	if _, _, _, ok := r.covers(0); ok {
		t.Error("the ring covers what left it")
	}
	if next, _, _, ok := r.covers(3); !ok || next != 3 {
		t.Errorf("after event 3 the ring goes on with chunk %d, %v", next, ok)
	}
	if next, _, _, ok := r.covers(5); !ok || next != 5 {
		t.Errorf("after event 5 the ring goes on with chunk %d, %v", next, ok)
	}
}

func TestAKilledNodesLastEventSaysThatItIsDown(t *testing.T) {
	o, mem := inMemory(options(t, "n1"))
	o.Admin = "127.0.0.1:0"
	n := start(t, o)
	l := mustFollow(t, n, "")
	l.until(func() bool { return l.at.Seq > l.base.Seq })
	total(t, n, Add{"a", 1})
	had := l.at
	abandon(t, n)
	o.FS = mem.Restart()
	again := mustFollow(t, start(t, o), fmt.Sprintf("?after=%d&at=%v", had.Seq, had.Time))
	again.at = had
	again.until(func() bool {
		return len(again.events) > 0 && strings.Contains(again.events[len(again.events)-1], "node.boot=2")
	})
	if before := again.events[len(again.events)-2]; !strings.Contains(before, "node.up=false") {
		t.Errorf("the last event of the boot that was killed is %s", before)
	}
}
