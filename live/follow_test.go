package live

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"hindcast.dev/history"
	"hindcast.dev/hlc"
)

// fakeNodes answer requests by host; one that is stopped says nothing, and its
// connections stand.
type fakeNodes map[string]*fakeNode

type fakeNode struct {
	name    string
	stopped atomic.Bool
}

func (f fakeNodes) RoundTrip(r *http.Request) (*http.Response, error) {
	in, out := io.Pipe()
	go f[r.URL.Host].answer(r.Context(), out, r.URL.Query().Has("after"))
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {ContentType}}, Body: in}, nil
}

// answer promises every 25 ms, as far as the node isn't stopped.
func (n *fakeNode) answer(ctx context.Context, w *io.PipeWriter, resumed bool) {
	context.AfterFunc(ctx, func() { w.CloseWithError(ctx.Err()) })
	now := func() hlc.Timestamp { return hlc.FromTime(time.Now()) }
	frames := [][]byte{(&Hello{Version: Version, Node: n.name, Service: "kv", Resumed: resumed}).Append(nil)}
	if !resumed {
		frames = append(frames, (&Base{Seq: 1, Time: now(), Last: true}).Append(nil))
	}
	for tick := time.NewTicker(25 * time.Millisecond); ; {
		select {
		case <-ctx.Done():
			tick.Stop()
			return
		case <-tick.C:
		}
		if n.stopped.Load() {
			continue
		}
		for _, f := range append(frames, (&Block{Promise: now()}).Append(nil)) {
			if _, err := w.Write(f); err != nil {
				tick.Stop()
				return
			}
		}
		frames = nil
	}
}

type noSink struct{}

func (noSink) Grow(*history.Meta) error  { return nil }
func (noSink) Feed(*history.Event) error { return nil }
func (noSink) Gap(int, history.Span)     {}

// What becomes of a node whose process is stopped for ten seconds, and goes on.
func TestANodeThatSaysNothingIsToldOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n1, n2 := &fakeNode{name: "n1"}, &fakeNode{name: "n2"}
		nodes := fakeNodes{"a:1": n1, "b:1": n2}
		begin := time.Now()
		time.AfterFunc(2*time.Second, func() { n2.stopped.Store(true) })
		time.AfterFunc(12*time.Second, func() { n2.stopped.Store(false) })
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		var said []string
		told := func(n Notice) {
			at, heard := time.Since(begin).Round(time.Second), n.Heard.Sub(begin).Round(time.Second)
			text := fmt.Sprintf("%v: %s %d, heard %v", at, n.Node, n.Change, heard)
			if n.From != 0 {
				text += fmt.Sprintf(", from %v", n.From.Time().Sub(begin).Round(time.Second))
			}
			if silent := (*SilentError)(nil); (n.Err != nil) != errors.As(n.Err, &silent) {
				t.Errorf("%s: %v", text, n.Err)
			}
			said = append(said, text)
		}
		stats, err := Follow(ctx, []string{"a:1", "b:1"}, Options{Told: told, Client: &http.Client{Transport: nodes}}, noSink{})
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		want := []string{
			fmt.Sprintf("5s: n2 %d, heard 2s", NodeLost),
			fmt.Sprintf("7s: n2 %d, heard 2s, from 2s", NodeUnknown),
			fmt.Sprintf("12s: n2 %d, heard 2s", NodeBack),
			fmt.Sprintf("12s: n2 %d, heard 12s, from 2s", NodeKnown),
		}
		if !slices.Equal(said, want) {
			t.Errorf("%q, want %q", said, want)
		}
		if stats.Nodes[1].Silent {
			t.Error("n2 is still unknown at the end")
		}
	})
}
