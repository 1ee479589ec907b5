package recording

import (
	"net/http"
	"path"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"hindcast.dev/vfs"
)

// A node that was away at the first pull stands there under its address. What the
// next pull gets of it before it breaks must not be left out of the manifest.
func TestPullThatBreaksAfterOneThatFailedKeepsWhatItGot(t *testing.T) {
	fsys := vfs.NewMem()
	w := newWriter(t, fsys, "n1", nil)
	defer w.close()
	w.add(500)
	away := true
	addr := serve(t, w, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if away || path.Base(r.URL.Path) == "00000002.seg" {
				http.Error(rw, `{"error":"not now"}`, http.StatusServiceUnavailable)
				return
			}
			h.ServeHTTP(rw, r)
		})
	})
	for _, named := range []string{addr, "n1=" + addr} {
		away = true
		dir := "rec-" + strings.ReplaceAll(named, ":", "-")
		if _, err := Pull(t.Context(), fsys, dir, []string{named}, PullOptions{}); err == nil {
			t.Fatal("the first pull succeeded")
		}
		away = false
		rec, err := Pull(t.Context(), fsys, dir, []string{named}, PullOptions{})
		if err == nil {
			t.Fatal("the second pull succeeded")
		}
		m := rec.Manifest()
		if n, _ := m.Node("n1"); len(m.Nodes) != 1 || n.Missing != "" || len(n.Gaps) != 1 {
			t.Errorf("pulled as %s, the manifest says %+v", named, m.Nodes)
		}
	}
}

func TestPullBlamesTheNodeThatFailedAndNotTheOneThatHadItsAddress(t *testing.T) {
	fsys := vfs.NewMem()
	w := newWriter(t, fsys, "n2", nil)
	defer w.close()
	w.add(10)
	addr := serve(t, w, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, ".seg") {
				http.Error(rw, `{"error":"not now"}`, http.StatusServiceUnavailable)
				return
			}
			h.ServeHTTP(rw, r)
		})
	})
	rec := mustCreate(t, fsys)
	rec.AddNode(Node{Name: "n1", Address: addr})
	if err := rec.Save(); err != nil {
		t.Fatal(err)
	}
	rec, err := Pull(t.Context(), fsys, rec.Dir(), []string{addr}, PullOptions{})
	if err == nil {
		t.Fatal("the pull succeeded")
	}
	m := rec.Manifest()
	n1, _ := m.Node("n1")
	n2, known := m.Node("n2")
	if n1.Missing != "" || len(n1.Gaps) > 0 || !known || n2.Missing == "" {
		t.Errorf("%+v", m.Nodes)
	}
}

func TestPullOfANodeUnderTwoAddressesCopiesOneAfterTheOther(t *testing.T) {
	fsys := vfs.NewMem()
	w := newWriter(t, fsys, "n1", nil)
	defer w.close()
	w.add(500)
	var greeted sync.WaitGroup
	greeted.Add(2)
	var copying, most atomic.Int32
	wrap := func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, ".seg") {
				most.Store(max(most.Load(), copying.Add(1)))
				defer copying.Add(-1)
				greeted.Wait()
				for range 1000 {
					runtime.Gosched() // the other may come, if it can
				}
			}
			h.ServeHTTP(rw, r)
			if path.Base(r.URL.Path) == "recording" {
				greeted.Done()
			}
		})
	}
	rec, err := Pull(t.Context(), fsys, "rec", []string{serve(t, w, wrap), serve(t, w, wrap)}, PullOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if m := rec.Manifest(); len(m.Nodes) != 1 || m.Nodes[0].Missing != "" || len(m.Nodes[0].Gaps) > 0 || most.Load() != 1 {
		t.Errorf("%d copied it at once: %+v", most.Load(), m.Nodes)
	}
	if first, last := events(t, fsys, rec.JournalDir("n1")); first != 1 || last != 500 {
		t.Errorf("n1 has events %d to %d", first, last)
	}
}

func TestPullBesideAnotherIsRefused(t *testing.T) {
	fsys := vfs.NewMem()
	w := newWriter(t, fsys, "n1", nil)
	defer w.close()
	w.add(10)
	var inner error
	addr := serve(t, w, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if path.Base(r.URL.Path) == "recording" && inner == nil {
				_, inner = Pull(t.Context(), fsys, "rec", []string{"127.0.0.1:1"}, PullOptions{})
			}
			h.ServeHTTP(rw, r)
		})
	})
	if _, err := Pull(t.Context(), fsys, "rec", []string{addr}, PullOptions{}); err != nil {
		t.Fatal(err)
	}
	if inner == nil || !strings.Contains(inner.Error(), "another process") {
		t.Errorf("a second pull into the same directory: %v", inner)
	}
}
