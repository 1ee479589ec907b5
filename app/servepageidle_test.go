package app

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"hindcast.dev/event"
	"hindcast.dev/machine"
	"hindcast.dev/node"
)

type idler struct{ N int }

func (i *idler) Step(*machine.Context, event.Event) { i.N++ }

func TestNodesAreFollowedOnlyWhileSomebodyLooks(t *testing.T) {
	var p *nodePage
	o := node.Options{Name: "n1", Service: "idle", Dir: t.TempDir(), Admin: "127.0.0.1:0", SegmentBytes: 64 << 10,
		Registry: machine.Registry{"m": {1: func() machine.Machine { return &idler{} }}}}
	made := pageOf(Service{Name: "idle"}, o, nil)
	o.Page = func(ctx context.Context, n *node.Node) http.Handler {
		p = made(ctx, n).(*nodePage)
		p.idle = time.Millisecond
		return p
	}
	n, err := node.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // it is followed anew
		f, err := p.enter()
		if err != nil {
			t.Fatal(err)
		}
		p.rest() // somebody looks
		p.mu.Lock()
		if p.open != f {
			t.Error("what somebody looks at was ended")
		}
		p.mu.Unlock()
		p.leave()
		<-f.done // when its time is over
		p.mu.Lock()
		if p.open != nil {
			t.Error("it is there still")
		}
		p.mu.Unlock()
	}
	if err := n.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-p.gone
	if _, err := p.enter(); err == nil {
		t.Error("it is followed after the node's end")
	}
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, "http://127.0.0.1/debug/api/v1/about", nil)
	if p.ServeHTTP(w, r); w.Code != http.StatusServiceUnavailable {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
