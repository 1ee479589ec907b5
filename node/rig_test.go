package node

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"hindcast.dev/event"
	"hindcast.dev/journal"
	"hindcast.dev/machine"
	"hindcast.dev/machine/state"
	"hindcast.dev/transport"
	"hindcast.dev/vfs"
)

func TestMain(m *testing.M) {
	mountSmallDisk()
	goleak.VerifyTestMain(m)
}

// What the tally takes and gives.
type (
	Add struct {
		Key string
		By  int64
	}
	Total struct{ N int64 }
	Pass  struct {
		To, Key string
		By      int64
	} // sends an Add to a node, then replies
	Parts   struct{ N int } // replies in N parts and an end
	Hold    struct{}        // doesn't reply until Release
	Release struct{}
	Die     struct{}
	Guess   struct{} // what no machine may do: state from a global
	Later   struct{ After time.Duration }
	Outside struct{ Text string }
	Word    struct{ Text string }
	Read    struct{ Key string } // for Query
	Large   struct{ Bytes []byte }
)

// tally counts by key.
type tally struct {
	Sums    machine.Map[string, int64]
	Held    machine.List[event.MessageID]
	Waiting machine.Map[string, event.MessageID] // timers and calls → request
	Guessed int64
}

func (*tally) Payloads() []any {
	return []any{Add{}, Total{}, Pass{}, Parts{}, Hold{}, Release{}, Die{}, Guess{}, Later{}, Outside{}, Word{}, Read{}, Large{}}
}

var guesses atomic.Int64

func (c *tally) Step(ctx *machine.Context, ev event.Event) {
	switch ev.Kind {
	case event.Timer, event.Result, event.Refused:
		c.answered(ctx, ev)
		return
	}
	switch m := ev.Body.(type) {
	case Add:
		n, _ := c.Sums.Get(m.Key)
		n += m.By
		c.Sums.Put(m.Key, n)
		if ev.Kind == event.Request {
			ctx.Reply(ev.ID, Total{n})
		}
	case Pass:
		ctx.Send(m.To, "tally", Add{m.Key, m.By})
		ctx.Reply(ev.ID, Total{})
	case Parts:
		for i := range m.N {
			ctx.ReplyMore(ev.ID, Total{int64(i)})
		}
		ctx.Reply(ev.ID, Total{int64(m.N)})
	case Hold:
		c.Held.Append(ev.ID)
	case Release:
		for _, id := range c.Held.All() {
			ctx.Reply(id, Total{int64(c.Held.Len())})
		}
		c.Held.DropBefore(c.Held.End())
		ctx.Reply(ev.ID, Total{})
	case Die:
		panic("asked to die")
	case Guess:
		c.Guessed = guesses.Add(1)
		ctx.Reply(ev.ID, Total{c.Guessed})
	case Later:
		c.Waiting.Put("later", ev.ID)
		ctx.SetTimer("later", m.After, m)
	case Outside:
		c.Waiting.Put(ctx.Call("echo", m).String(), ev.ID)
	case Large:
		ctx.Reply(ev.ID, Total{int64(len(m.Bytes))})
	}
}

// answered passes on what a timer or a call came to.
func (c *tally) answered(ctx *machine.Context, ev event.Event) {
	key := ev.ID.String()
	if ev.Kind == event.Timer {
		key = ev.From
	}
	id, _ := c.Waiting.Get(key)
	c.Waiting.Delete(key)
	switch m := ev.Body.(type) {
	case Word:
		ctx.Reply(id, m)
	case Later:
		ctx.Reply(id, Total{1})
	default:
		ctx.Reply(id, Word{"refused: " + string(ev.Payload)})
	}
}

func (c *tally) Query(ctx *machine.Context, body any) any {
	switch m := body.(type) {
	case Read:
		n, _ := c.Sums.Get(m.Key)
		return Total{n}
	case Add:
		ctx.Log("info", "a query has no effects")
	}
	return nil
}

func registry() machine.Registry {
	return machine.Registry{"tally": {1: func() machine.Machine { return &tally{} }}}
}

// options are those of a node on loopback with everything small.
func options(t testing.TB, name string) Options {
	t.Helper()
	return Options{Name: name, Service: "test", Dir: t.TempDir(), Registry: registry(), SegmentBytes: 64 << 10,
		Durability: journal.Group, Build: "test", HostBoot: "boot", Log: quiet(t), AllowFaults: true,
		Limits: Limits{BacklogBytes: 32 << 10, Drain: 5 * time.Second},
		Timing: transport.Timing{Heartbeat: 50 * time.Millisecond, BackOffMin: 5 * time.Millisecond, BackOffMax: 50 * time.Millisecond}}
}

// inMemory puts a node's files into memory.
func inMemory(o Options) (Options, *vfs.Mem) {
	m := vfs.NewMem()
	o.FS, o.Dir = m, "data"
	return o, m
}

// quiet writes what is worse than info to the test's log.
func quiet(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(&testWriter{t: t}, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

type testWriter struct {
	t    testing.TB
	mu   sync.Mutex
	over bool
}

func (w *testWriter) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if testing.Verbose() && !w.over {
		fmt.Print(string(b))
	}
	return len(b), nil
}

// start starts a node that is stopped at the end of the test.
func start(t testing.TB, o Options) *Node {
	t.Helper()
	n, err := Start(context.Background(), o)
	if err != nil {
		t.Fatalf("start: %v", err)
	}
	t.Cleanup(func() { n.Stop(within(t, 5*time.Second)) })
	return n
}

func stop(t testing.TB, n *Node) {
	t.Helper()
	if err := n.Stop(within(t, 10*time.Second)); err != nil {
		t.Fatalf("stop: %v", err)
	}
}

// abandon ends a node's goroutines the way kill -9 does: nothing is drained,
// synced or closed. What its files in memory hold then is what a killed process
// leaves. It is ended properly at the end of the test.
func abandon(t testing.TB, n *Node) {
	t.Helper()
	close(n.halt)
	<-n.loopDone
	n.net.Close(ended())
	n.disk.stop()
	<-n.diskDone
	t.Cleanup(func() {
		n.halt = make(chan struct{}) // close closes it once more
		n.Stop(ended())
	})
}

func ended() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// within is a context that fails a test that hangs, rather than a measure.
func within(t testing.TB, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

const patience = 20 * time.Second

func do(t testing.TB, n *Node, body any) Reply {
	t.Helper()
	r, err := n.Client().Do(within(t, patience), "tally", body)
	if err != nil {
		t.Fatalf("Do(%#v): %v", body, err)
	}
	return r
}

func total(t testing.TB, n *Node, body any) int64 {
	t.Helper()
	r := do(t, n, body)
	v, ok := r.Body.(Total)
	if !ok {
		t.Fatalf("Do(%#v) = %#v, want a Total", body, r.Body)
	}
	return v.N
}

func peek(t testing.TB, n *Node, key string) int64 {
	t.Helper()
	v, err := n.Client().Peek(within(t, patience), "tally", Read{key})
	if err != nil {
		t.Fatalf("Peek(%s): %v", key, err)
	}
	return v.(Total).N
}

// eventually waits, from event to event of the node, until ok.
func eventually(t testing.TB, n *Node, what string, ok func() bool) {
	t.Helper()
	ctx := within(t, patience)
	for {
		seq := n.j.Stamped()
		if ok() {
			return
		}
		if err := n.j.Wait(ctx, seq); err != nil {
			t.Fatalf("waiting for %s: %v", what, err)
		}
	}
}

// soon waits for something that no event of a node tells of.
func soon(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for ctx := within(t, patience); !ok(); runtime.Gosched() {
		if ctx.Err() != nil {
			t.Fatalf("waiting for %s", what)
		}
	}
}

// noteLog are the notes of a journal, in order, in short.
func noteLog(t testing.TB, fsys vfs.FS, dir string) []string {
	t.Helper()
	r, err := journal.OpenReader(fsys, dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var out []string
	for {
		e, err := r.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		if e.Kind != event.Note {
			continue
		}
		var info event.NoteInfo
		if err := state.Unmarshal(e.Payload, &info); err != nil {
			t.Fatal(err)
		}
		s := strings.TrimSpace(fmt.Sprintf("%s %s %s %s %s", e.Name, info.Peer, info.State, info.Name, info.Reason))
		out = append(out, strings.Join(strings.Fields(s), " "))
	}
}

func hasNote(notes []string, prefix string) bool {
	for _, s := range notes {
		if strings.HasPrefix(s, prefix) {
			return true
		}
	}
	return false
}

// cluster starts nodes that know each other, on loopback.
func cluster(t testing.TB, names []string, change func(*Options)) map[string]*Node {
	t.Helper()
	addrs := map[string]string{}
	for _, name := range names {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		addrs[name] = ln.Addr().String()
		ln.Close()
	}
	nodes := map[string]*Node{}
	for _, name := range names {
		o := options(t, name)
		o.Listen, o.Peers = addrs[name], addrs
		if change != nil {
			change(&o)
		}
		nodes[name] = start(t, o)
	}
	for _, n := range nodes {
		linked(t, n)
	}
	return nodes
}

// linked waits until a node's links are all up.
func linked(t testing.TB, n *Node) {
	t.Helper()
	eventually(t, n, "links", func() bool {
		for _, p := range n.net.Stats().Peers {
			if !p.Up {
				return false
			}
		}
		return true
	})
}

// ask makes a request to the admin API, or to the service.
func ask(t testing.TB, method, url, body string, header ...string) (int, map[string]any, http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(within(t, patience), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			req.Host = header[i+1]
		}
		req.Header.Set(header[i], header[i+1])
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]any{}
	if err := json.NewDecoder(bytes.NewReader(b)).Decode(&out); err != nil {
		out["raw"] = string(b)
	}
	return resp.StatusCode, out, resp.Header
}

func textLog(w io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(w, nil)) }
