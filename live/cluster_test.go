package live

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/hlc"
)

// An actor is a node that sets kv.v to 1, 2, 3 … every 25 ms, or is something else.
type actor struct {
	mu     sync.Mutex
	name   string
	wrong  error // it can't be reached
	status int   // it refuses so, unless it is 0
	speaks string
	begins hlc.Timestamp // its journal reaches back to here
	events []history.Event
}

// change changes what an actor is.
func (a *actor) change(f func(*actor)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f(a)
}

// A troupe are actors by host; it is how they are asked.
type troupe map[string]*actor

func (all troupe) RoundTrip(r *http.Request) (*http.Response, error) {
	a := all[r.URL.Host]
	if a == nil {
		return nil, errors.New("no such host")
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	answer := func(status int, kind string, body io.ReadCloser) (*http.Response, error) {
		return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {kind}}, Body: body}, nil
	}
	q := r.URL.Query()
	from, _ := hlc.Parse(q.Get("from"))
	switch {
	case a.wrong != nil:
		return nil, a.wrong
	case a.status != 0:
		return answer(a.status, "application/json", io.NopCloser(strings.NewReader(`{"error":"not you","remedy":"be another"}`)))
	case a.speaks != "":
		return answer(http.StatusOK, ContentType, io.NopCloser(strings.NewReader(a.speaks)))
	case from != 0 && from < a.begins:
		return answer(http.StatusGone, "application/json", io.NopCloser(strings.NewReader(`{"error":"too early"}`)))
	}
	after, _ := strconv.ParseUint(q.Get("after"), 10, 64)
	in, out := io.Pipe()
	go a.answer(r.Context(), out, after, q.Has("after"))
	return answer(http.StatusOK, ContentType, in)
}

// act goes on by an event, and returns what was after another one.
func (a *actor) act(after uint64) (name string, es []history.Event, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	seq := uint64(len(a.events)) + 1
	a.events = append(a.events, history.Event{Position: history.Position{Time: hlc.FromTime(time.Now()), Seq: seq}, Kind: "set",
		Changes: []history.Change{{Var: 0, Value: event.Uint(seq)}}})
	return a.name, slices.Clone(a.events[after:]), a.wrong
}

func (a *actor) answer(ctx context.Context, w *io.PipeWriter, told uint64, resumed bool) {
	defer w.CloseWithError(context.Canceled) // whoever reads has to hear of it, also if stop comes first
	stop := context.AfterFunc(ctx, func() { w.CloseWithError(ctx.Err()) })
	defer stop()
	tick := time.NewTicker(25 * time.Millisecond)
	defer tick.Stop()
	for first := true; ; first = false {
		name, es, err := a.act(told)
		if err != nil {
			w.CloseWithError(io.ErrUnexpectedEOF)
			return
		}
		var frames [][]byte
		block := Block{Promise: es[len(es)-1].Time, Events: es}
		if first {
			frames = append(frames, (&Hello{Version: Version, Node: name, Service: "kv", Build: "b1", Resumed: resumed}).Append(nil))
			if block.Names = (Names{Names: []string{"kv.v"}}); !resumed {
				frames = append(frames, (&Base{Last: true}).Append(nil))
			}
		}
		for _, f := range append(frames, block.Append(nil)) {
			if _, err := w.Write(f); err != nil {
				return
			}
		}
		told += uint64(len(es))
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// open follows actors, with a hold of a second.
func open(t *testing.T, all troupe, from hlc.Timestamp, addrs ...string) *Cluster {
	t.Helper()
	c, err := Open(t.Context(), addrs, ClusterOptions{Hold: time.Second, From: from, Client: &http.Client{Transport: all}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// wait waits until enough, for a minute of the test's time.
func wait(t *testing.T, c *Cluster, what string, enough func(s Status) bool) Status {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var last Status
	if err := c.Wait(ctx, func(s Status) bool { last = s; return enough(s) }); err != nil || last.Ended {
		t.Fatalf("%s: %v; it is %+v", what, err, last)
	}
	return last
}

// lane is what is known of a node.
func lane(t *testing.T, c *Cluster, name string) (history.Node, string) {
	t.Helper()
	meta := c.Now().Meta()
	n, ok := meta.NodeIndex(name)
	if !ok {
		t.Fatalf("there is no node %s: %+v", name, meta.Nodes)
	}
	return meta.Nodes[n], c.Status().Nodes[n].Silent
}

// unknownNow reports whether nothing is known of a node any more.
func unknownNow(n *history.Node) bool {
	k := len(n.Unknown)
	return k > 0 && n.Unknown[k-1].To == hlc.Max
}

func TestAClusterGoesOnWithoutNodesThatCantBeFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := troupe{"a:1": {name: "n1"}, "refuses:1": {status: 401}, "absent:1": {wrong: errors.New("connection refused")},
			"else:1": {speaks: "SSH-2.0-OpenSSH_9.2\r\n"}, "page:1": {status: 404}}
		begin := time.Now()
		c := open(t, all, 0, "a:1", "refuses:1", "absent:1", "else:1", "page:1", "nowhere:1")
		if took := time.Since(begin); took > 500*time.Millisecond {
			t.Errorf("it begins after %v", took)
		}
		wait(t, c, "a hundred events", func(s Status) bool { return s.Events > 100 && s.Reach > hlc.FromTime(begin.Add(2*time.Second)) })
		for name, want := range map[string]string{"refuses:1": "401 Unauthorized: not you; be another; following a node needs a token", "absent:1": "connection refused",
			"else:1": "frame", "page:1": "it has no GET /v1/history", "nowhere:1": "no such host"} {
			n, why := lane(t, c, name)
			if !unknownNow(&n) || !strings.Contains(why, want) || strings.HasPrefix(why, name) || !strings.Contains(n.Reason, want) {
				t.Errorf("%s: %q, want %q; %+v", name, why, want, n)
			}
		}
		if n, why := lane(t, c, "n1"); why != "" || len(n.Unknown) != 0 || n.Build != "b1" || n.Events < 100 {
			t.Errorf("n1: %q %+v", why, n)
		}
	})
}

// value is kv.v of a node at the end.
func value(t *testing.T, c *Cluster, node string) int64 {
	t.Helper()
	src := c.Now()
	n, ok := src.Meta().NodeIndex(node)
	v, ok2 := src.Meta().VarID("kv.v")
	cur, err := src.Walk(t.Context(), history.End, history.End, nil)
	if err != nil || !ok || !ok2 {
		t.Fatal(err, ok, ok2)
	}
	defer cur.Close()
	got, _ := cur.States()[n].Get(v).AsInt()
	return got
}

func TestANodeThatDiesIsUnknownUntilItIsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n2 := &actor{name: "n2"}
		c := open(t, troupe{"a:1": {name: "n1"}, "b:1": n2}, 0, "a:1", "b:1")
		wait(t, c, "events", func(s Status) bool { return s.Events > 50 })
		before := c.Now()
		n2.change(func(a *actor) { a.wrong = errors.New("connection refused") })
		killed := hlc.FromTime(time.Now())
		wait(t, c, "n1 to go on alone", func(s Status) bool { return s.Nodes[1].Silent != "" && s.Reach > killed.Add(3*time.Second) })
		n, why := lane(t, c, "n2")
		if !unknownNow(&n) || !strings.Contains(why, "refused") && !strings.Contains(why, "broke") || n.Last.Time > killed {
			t.Errorf("n2, killed: %q %+v", why, n)
		}
		if !c.Now().(*history.Moment).Continues(before) {
			t.Error("what there is doesn't continue what there was")
		}
		n2.change(func(a *actor) { a.wrong = nil })
		wait(t, c, "n2 to be back", func(s Status) bool { return s.Nodes[1].Silent == "" })
		had := value(t, c, "n2")
		wait(t, c, "n2 to go on", func(Status) bool { return value(t, c, "n2") > had+10 })
		n, why = lane(t, c, "n2")
		if unknownNow(&n) || why != "" || len(n.Unknown) != 1 || n.Unknown[0].From > killed+1 || n.Unknown[0].To.Sub(n.Unknown[0].From) < 3*time.Second || n.Reason == "" {
			t.Errorf("n2, back: %q %+v, killed at %v", why, n, killed)
		}
	})
}

// A node that is back before the others have ceased to wait for it isn't unknown.
func TestANodeThatIsLostForAMomentIsKnownThroughout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n2 := &actor{name: "n2"}
		c := open(t, troupe{"a:1": {name: "n1"}, "b:1": n2}, 0, "a:1", "b:1")
		wait(t, c, "events", func(s Status) bool { return s.Events > 50 })
		n2.change(func(a *actor) { a.wrong = errors.New("connection refused") })
		wait(t, c, "n2 to be lost", func(s Status) bool { return s.Nodes[1].Silent != "" })
		n2.change(func(a *actor) { a.wrong = nil })
		wait(t, c, "n2 to be back", func(s Status) bool { return s.Nodes[1].Silent == "" && s.Events > 200 })
		if n, why := lane(t, c, "n2"); why != "" || len(n.Unknown) != 0 || n.Events != n.Last.Seq {
			t.Errorf("n2: %q %+v", why, n)
		}
	})
}

// A lane takes the node's name when that is known, and nothing is lost of the others.
func TestANodeThatComesLaterTakesThePlaceOfItsAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		late := &actor{name: "n1", wrong: errors.New("connection refused")}
		c := open(t, troupe{"z:1": {name: "n2"}, "a:1": late}, 0, "z:1", "a:1")
		wait(t, c, "events", func(s Status) bool { return s.Events > 50 && s.Nodes[0].Name == "a:1" })
		events := c.Now().Meta().Events
		late.change(func(a *actor) { a.wrong = nil })
		wait(t, c, "n1 to be there", func(s Status) bool {
			return s.Nodes[0].Name == "n1" && s.Nodes[0].Silent == "" && value(t, c, "n1") > 5
		})
		meta := c.Now().Meta()
		if len(meta.Nodes) != 2 || meta.Nodes[1].Name != "n2" || meta.Events <= events || meta.Nodes[1].Events != meta.Nodes[1].Last.Seq {
			t.Errorf("%+v", meta.Nodes)
		}
		if n := meta.Nodes[0]; len(n.Unknown) != 1 && n.First.Seq > 1 {
			t.Errorf("n1 begins with %d and is unknown %v", n.First.Seq, n.Unknown)
		}
	})
}

func TestAnotherNodeAtTheAddressIsntTakenForTheOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n2 := &actor{name: "n2"}
		c := open(t, troupe{"a:1": {name: "n1"}, "b:1": n2}, 0, "a:1", "b:1")
		wait(t, c, "events", func(s Status) bool { return s.Events > 50 })
		n2.change(func(a *actor) { a.wrong = errors.New("connection refused") })
		wait(t, c, "n2 to be lost", func(s Status) bool { return s.Nodes[1].Silent != "" })
		n2.change(func(a *actor) { a.wrong, a.name = nil, "n3" })
		s := wait(t, c, "n3 to be noticed", func(s Status) bool { return strings.Contains(s.Nodes[1].Silent, "is node n3 now") })
		wait(t, c, "n1 to go on", func(now Status) bool { return now.Events > s.Events+100 })
		if n, _ := lane(t, c, "n2"); !unknownNow(&n) {
			t.Errorf("n2: %+v", n)
		}
	})
}

// Asked from before its journal begins, a node is followed from later on.
func TestAJournalThatBeginsLaterIsFollowedFromThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := hlc.FromTime(time.Now())
		young := &actor{name: "n2", begins: now.Add(-time.Minute)}
		c := open(t, troupe{"a:1": {name: "n1"}, "b:1": young}, now.Add(-time.Hour), "a:1", "b:1")
		wait(t, c, "n2 to be there", func(s Status) bool { return s.Nodes[1].Name == "n2" && s.Nodes[1].Silent == "" && s.Events > 50 })
	})
	for _, c := range []struct{ from, now, want hlc.Timestamp }{
		{0, 100 << 32, 0}, {100 << 32, 100 << 32, 0}, {200 << 32, 100 << 32, 0}, {60 << 32, 100 << 32, 80 << 32}, {99<<32 + 1<<31, 100 << 32, 0},
	} {
		if got := later(c.from, c.now); got != c.want {
			t.Errorf("later than %v, at %v: %v, want %v", c.from, c.now, got, c.want)
		}
	}
}

func TestAClusterOfWhichNobodyCanBeFollowedIsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		_, err := Open(t.Context(), []string{"a:1", "b:1"}, ClusterOptions{Client: &http.Client{Transport: troupe{"a:1": {status: 403}}}})
		if err == nil || !strings.Contains(err.Error(), "none of the nodes could be followed") || time.Since(begin) > time.Second {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
		if _, err := Open(t.Context(), []string{"nonsense"}, ClusterOptions{}); err == nil {
			t.Error("an address that makes no sense: no error")
		}
		// One that accepts and says nothing is waited for as long as others are.
		silent := &http.Client{Transport: mute{}}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := Open(ctx, []string{"a:1"}, ClusterOptions{Client: silent}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("given up: %v", err)
		}
		if _, err := Open(t.Context(), []string{"a:1"}, ClusterOptions{Client: silent, Hold: time.Second}); err == nil || !strings.Contains(err.Error(), fmt.Sprint(time.Second)) {
			t.Errorf("silent: %v", err)
		}
	})
}

// A mute answers nothing.
type mute struct{}

func (mute) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}
