package recording

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"hindcast.dev/event"
	"hindcast.dev/hlc"
	"hindcast.dev/journal"
	"hindcast.dev/journal/checkpoint"
	"hindcast.dev/journal/record"
	"hindcast.dev/vfs"
)

// A writer is a node's data directory that is being written to.
type writer struct {
	t    testing.TB
	fs   vfs.FS
	name string
	j    *journal.Journal
}

func newWriter(t testing.TB, fsys vfs.FS, name string, change func(*journal.Options)) *writer {
	t.Helper()
	o := journal.Options{FS: fsys, Dir: name + "/journal", Node: name, SegmentBytes: 16 << 10, HostBoot: "host"}
	if change != nil {
		change(&o)
	}
	j, err := journal.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return &writer{t: t, fs: fsys, name: name, j: j}
}

// add stamps n events; maintenance runs as it is needed.
func (w *writer) add(n int) {
	w.t.Helper()
	for range n {
		last := w.j.LastStamp()
		f := &record.Frame{Kind: event.Message, Machine: "m", Name: "Put", Payload: fmt.Appendf(nil, "payload %d", last.Seq+1)}
		err := w.j.Append(f)
		if errors.Is(err, journal.ErrFull) {
			w.maintain()
			err = w.j.Append(f)
		}
		if err != nil {
			w.t.Fatal(err)
		}
		if _, ok, err := w.j.Next(); err != nil || !ok {
			w.t.Fatalf("Next: %v, %v", ok, err)
		}
		if err := w.j.Stamp(record.Stamp{Time: hlc.Timestamp(last.Seq+1) << 32, Seq: last.Seq + 1, Boot: w.j.Boot()}); err != nil {
			w.t.Fatal(err)
		}
	}
}

func (w *writer) maintain() {
	w.t.Helper()
	if _, err := w.j.Sync(); err != nil {
		w.t.Fatal(err)
	}
	if err := w.j.Maintain(); err != nil {
		w.t.Fatal(err)
	}
}

func (w *writer) checkpoint() {
	w.t.Helper()
	s := w.j.LastStamp()
	h := checkpoint.Header{Node: w.name, Boot: s.Boot, Seq: s.Seq, Time: s.Time}
	if err := checkpoint.Write(w.fs, w.name+"/checkpoints", h, []byte("state")); err != nil {
		w.t.Fatal(err)
	}
}

func (w *writer) close() {
	w.t.Helper()
	if err := w.j.Close(); err != nil {
		w.t.Fatal(err)
	}
}

// events reads a journal and returns its first and last sequence number.
func events(t testing.TB, fsys vfs.FS, dir string) (first, last uint64) {
	t.Helper()
	r, err := journal.OpenReader(fsys, dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for {
		e, err := r.Next()
		if err == io.EOF {
			return first, last
		}
		if err != nil {
			t.Fatalf("after event %d: %v", last, err)
		}
		if want := fmt.Sprintf("payload %d", e.Stamp.Seq); string(e.Payload) != want {
			t.Fatalf("event %d holds %q", e.Stamp.Seq, e.Payload)
		}
		if first == 0 {
			first = e.Stamp.Seq
		}
		last = e.Stamp.Seq
	}
}

func mustCreate(t testing.TB, fsys vfs.FS) *Recording {
	t.Helper()
	rec, err := Create(fsys, "rec", Manifest{Service: "kv"})
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

func TestCopyOfANodeHoldsWhatWasStamped(t *testing.T) {
	fsys := vfs.NewMem()
	w := newWriter(t, fsys, "n1", nil)
	defer w.close()
	w.add(10)
	w.checkpoint()
	w.add(600)
	rec := mustCreate(t, fsys)
	if err := rec.CopyNode(t.Context(), Node{Name: "n1"}, fsys, "n1", CopyOptions{}); err != nil {
		t.Fatal(err)
	}
	if first, last := events(t, fsys, rec.JournalDir("n1")); first != 1 || last != 610 {
		t.Errorf("the copy holds events %d to %d, want 1 to 610", first, last)
	}
	if seqs, err := checkpoint.List(fsys, rec.CheckpointsDir("n1")); err != nil || fmt.Sprint(seqs) != "[10]" {
		t.Errorf("checkpoints %v, %v", seqs, err)
	}
	// Again, into the same directory, when there is more.
	w.add(700)
	if err := rec.CopyNode(t.Context(), Node{Name: "n1"}, fsys, "n1", CopyOptions{}); err != nil {
		t.Fatal(err)
	}
	if first, last := events(t, fsys, rec.JournalDir("n1")); first != 1 || last != 1310 {
		t.Errorf("the second copy holds events %d to %d, want 1 to 1310", first, last)
	}
}

// A busyFS lets a writer go on at every read of the directory being copied.
type busyFS struct {
	vfs.FS
	between func()
}

func (b *busyFS) Open(name string) (vfs.File, error) {
	b.between()
	return b.FS.Open(name)
}

func TestCopyOfANodeThatWritesMeanwhileIsAPrefix(t *testing.T) {
	fsys := vfs.NewMem()
	w := newWriter(t, fsys, "n1", nil)
	defer w.close()
	w.add(300)
	rec := mustCreate(t, fsys)
	steps := 0
	busy := &busyFS{fsys, func() { w.add(7); w.maintain(); steps++ }}
	if err := rec.CopyNode(t.Context(), Node{Name: "n1"}, busy, "n1", CopyOptions{}); err != nil {
		t.Fatal(err)
	}
	if steps < 5 {
		t.Fatalf("the writer went on only %d times", steps)
	}
	if first, last := events(t, fsys, rec.JournalDir("n1")); first != 1 || last < 300 || last > w.j.LastStamp().Seq {
		t.Errorf("the copy holds events %d to %d of %d", first, last, w.j.LastStamp().Seq)
	}
}

func TestCopyBesideRetentionHasNoSegmentThatWasUsedAgain(t *testing.T) {
	fsys := vfs.NewMem()
	w := newWriter(t, fsys, "n1", func(o *journal.Options) { o.RetainBytes = 64 << 10 })
	defer w.close()
	w.add(1000)
	w.maintain()
	rec := mustCreate(t, fsys)
	busy := &busyFS{fsys, func() { w.j.SetRetainFrom(w.j.LastStamp().Seq); w.add(5); w.maintain() }}
	if err := rec.CopyNode(t.Context(), Node{Name: "n1"}, busy, "n1", CopyOptions{}); err != nil {
		t.Fatal(err)
	}
	if first, last := events(t, fsys, rec.JournalDir("n1")); first <= 1 || last < 1000 {
		t.Errorf("the copy holds events %d to %d", first, last)
	}
}

func TestCopySinceATimeBeginsWithTheCheckpointBeforeIt(t *testing.T) {
	fsys := vfs.NewMem()
	w := newWriter(t, fsys, "n1", nil)
	defer w.close()
	for range 4 {
		w.add(300)
		w.checkpoint()
	}
	o, err := Since(fsys, "n1", hlc.Timestamp(700)<<32)
	if err != nil {
		t.Fatal(err)
	}
	rec := mustCreate(t, fsys)
	if err := rec.CopyNode(t.Context(), Node{Name: "n1"}, fsys, "n1", o); err != nil {
		t.Fatal(err)
	}
	first, last := events(t, fsys, rec.JournalDir("n1"))
	if first <= 1 || first > 601 || last != 1200 {
		t.Errorf("the copy holds events %d to %d, want few before 601, and all to 1200", first, last)
	}
	if seqs, err := checkpoint.List(fsys, rec.CheckpointsDir("n1")); err != nil || fmt.Sprint(seqs) != "[600 900 1200]" {
		t.Errorf("checkpoints %v, %v", seqs, err)
	}
	all, err := Since(fsys, "n1", 5)
	if err != nil || all.From != 0 {
		t.Errorf("before all checkpoints: %+v, %v", all, err)
	}
	less, err1 := CopySize(t.Context(), fsys, "n1", o)
	more, err2 := CopySize(t.Context(), fsys, "n1", all)
	if err1 != nil || err2 != nil || less <= 0 || less >= more {
		t.Errorf("the copy since has %d bytes, %v, of %d, %v", less, err1, more, err2)
	}
}

// serve is the admin API of a node, as far as a pull needs it.
func serve(t testing.TB, w *writer, wrap func(http.Handler) http.Handler) string {
	t.Helper()
	mux := http.NewServeMux()
	answer := func(rw http.ResponseWriter, v any) {
		if err := json.NewEncoder(rw).Encode(v); err != nil {
			t.Error(err)
		}
	}
	mux.HandleFunc("GET /v1/recording", func(rw http.ResponseWriter, _ *http.Request) {
		answer(rw, Info{Service: "kv", Node: w.name, Boot: w.j.Boot(), Build: "b1", Versions: map[string]uint32{"m": 1}})
	})
	for _, sub := range []string{JournalName, CheckpointsName} {
		list := ListJournal
		if sub == CheckpointsName {
			list = ListCheckpoints
		}
		dir := path.Join(w.name, sub)
		mux.HandleFunc("GET /v1/"+sub, func(rw http.ResponseWriter, _ *http.Request) {
			files, err := list(w.fs, dir)
			if err != nil {
				t.Error(err)
			}
			answer(rw, FileList{files})
		})
		mux.HandleFunc("GET /v1/"+sub+"/{file}", func(rw http.ResponseWriter, r *http.Request) {
			f, err := w.fs.Open(path.Join(dir, r.PathValue("file")))
			if err != nil {
				rw.WriteHeader(http.StatusNotFound)
				answer(rw, map[string]string{"error": "no such file"})
				return
			}
			defer f.Close()
			size, _ := f.Size()
			http.ServeContent(rw, r, "", time.Time{}, io.NewSectionReader(f, 0, size))
		})
	}
	var h http.Handler = mux
	if wrap != nil {
		h = wrap(mux)
	}
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return strings.TrimPrefix(srv.URL, "http://")
}

func TestPullGetsAllNodesAndSaysWhichAreMissing(t *testing.T) {
	fsys := vfs.NewMem()
	w := newWriter(t, fsys, "n1", nil)
	defer w.close()
	w.add(500)
	w.checkpoint()
	good := serve(t, w, nil)
	refusing := serve(t, w, func(http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
			rw.WriteHeader(http.StatusUnauthorized)
			fmt.Fprint(rw, `{"error":"no token","remedy":"give one with --token"}`)
		})
	})
	down := httptest.NewServer(nil)
	gone := strings.TrimPrefix(down.URL, "http://")
	down.Close()
	var reports atomic.Int64
	rec, err := Pull(t.Context(), fsys, "rec", []string{good, "n2=" + refusing, gone}, PullOptions{Progress: func(p Progress) {
		if p.Node == "n1" && p.Done > 0 && p.Done <= p.Total {
			reports.Add(1)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if reports.Load() == 0 {
		t.Error("no progress was reported")
	}
	m := rec.Manifest()
	if m.Service != "kv" || len(m.Nodes) != 3 {
		t.Fatalf("manifest %+v", m)
	}
	if n, _ := m.Node("n1"); n.Missing != "" || n.Build != "b1" || n.Versions["m"] != 1 {
		t.Errorf("n1: %+v", n)
	}
	if n, _ := m.Node("n2"); !strings.Contains(n.Missing, "no token; give one with --token") {
		t.Errorf("n2: %+v", n)
	}
	if n, _ := m.Node(gone); !strings.Contains(n.Missing, "refused") {
		t.Errorf("%s: %+v", gone, n)
	}
	if first, last := events(t, fsys, rec.JournalDir("n1")); first != 1 || last != 500 {
		t.Errorf("n1 has events %d to %d", first, last)
	}
}

func TestPullOfNothingIsAnError(t *testing.T) {
	down := httptest.NewServer(nil)
	addr := strings.TrimPrefix(down.URL, "http://")
	down.Close()
	if _, err := Pull(t.Context(), vfs.NewMem(), "rec", []string{addr}, PullOptions{}); err == nil || !strings.Contains(err.Error(), "none of") {
		t.Errorf("got %v", err)
	}
	if _, err := Pull(t.Context(), vfs.NewMem(), "rec", nil, PullOptions{}); err == nil || !strings.Contains(err.Error(), "no address") {
		t.Errorf("got %v", err)
	}
	if _, err := Pull(t.Context(), vfs.NewMem(), "rec", []string{"nonsense"}, PullOptions{}); err == nil || !strings.Contains(err.Error(), "want HOST:PORT") {
		t.Errorf("got %v", err)
	}
}

func TestPullGoesOnWhereItWasBroken(t *testing.T) {
	fsys := vfs.NewMem()
	w := newWriter(t, fsys, "n1", nil)
	defer w.close()
	w.add(500)
	breaking, whole := true, map[string]int{}
	addr := serve(t, w, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if name := path.Base(r.URL.Path); strings.HasSuffix(name, ".seg") {
				if r.Header.Get("Range") == "" {
					whole[name]++
				}
				if breaking && name == "00000002.seg" {
					rw = &cutWriter{ResponseWriter: rw, left: 5000}
				}
			}
			h.ServeHTTP(rw, r)
		})
	})
	if _, err := Pull(t.Context(), fsys, "rec", []string{addr}, PullOptions{}); err == nil {
		t.Fatal("the broken pull succeeded")
	}
	rec, err := Open(fsys, "rec")
	if err != nil {
		t.Fatal(err)
	}
	n, _ := rec.Manifest().Node("n1")
	if n.Missing != "" || len(n.Gaps) != 1 || !strings.Contains(n.Gaps[0].Reason, "00000002.seg") {
		t.Fatalf("after the broken pull: %+v", n)
	}
	if part, err := fsys.ReadDir(rec.JournalDir("n1")); err != nil || !strings.Contains(fmt.Sprint(part), "00000002.seg.part-") {
		t.Fatalf("nothing is left to go on with: %v, %v", part, err)
	}
	breaking = false
	if rec, err = Pull(t.Context(), fsys, "rec", []string{addr}, PullOptions{}); err != nil {
		t.Fatal(err)
	}
	if n, _ := rec.Manifest().Node("n1"); len(n.Gaps) != 0 {
		t.Errorf("the gap stays: %+v", n)
	}
	if first, last := events(t, fsys, rec.JournalDir("n1")); first != 1 || last != 500 {
		t.Errorf("n1 has events %d to %d", first, last)
	}
	if whole["00000002.seg"] != 1 {
		t.Errorf("segment 2 was asked for from its start %d times, want once", whole["00000002.seg"])
	}
}

// A cutWriter breaks the connection after some bytes.
type cutWriter struct {
	http.ResponseWriter
	left int
}

func (c *cutWriter) Write(b []byte) (int, error) {
	if len(b) > c.left {
		if _, err := c.ResponseWriter.Write(b[:c.left]); err != nil {
			return 0, err
		}
		panic(http.ErrAbortHandler)
	}
	c.left -= len(b)
	return c.ResponseWriter.Write(b)
}

func TestPullRefusesWhatDoesNotBelongTogether(t *testing.T) {
	fsys := vfs.NewMem()
	w := newWriter(t, fsys, "n1", nil)
	w.add(500)
	addr := serve(t, w, nil)
	other, err := Create(fsys, "other", Manifest{Service: "bank"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Pull(t.Context(), fsys, other.Dir(), []string{addr}, PullOptions{}); err == nil || !strings.Contains(err.Error(), `runs service "kv"`) {
		t.Errorf("another service: %v", err)
	}
	if _, err := Pull(t.Context(), fsys, "rec", []string{"n9=" + addr}, PullOptions{}); err == nil || !strings.Contains(err.Error(), "it is node n1, not n9") {
		t.Errorf("another node: %v", err)
	}
	if _, err := Pull(t.Context(), fsys, "rec", []string{addr}, PullOptions{}); err != nil {
		t.Fatal(err)
	}
	w.close()
	names, err := fsys.ReadDir("n1/journal")
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		if err := fsys.Remove("n1/journal/" + n); err != nil {
			t.Fatal(err)
		}
	}
	w2 := newWriter(t, fsys, "n1", nil)
	defer w2.close()
	w2.add(600)
	w.j = w2.j
	_, err = Pull(t.Context(), fsys, "rec", []string{addr}, PullOptions{})
	if err == nil || !strings.Contains(err.Error(), "copy into a new directory") {
		t.Errorf("a journal begun anew: %v", err)
	}
	if first, last := events(t, fsys, "rec/nodes/n1/journal"); first != 1 || last != 500 {
		t.Errorf("what was there is %d to %d now", first, last)
	}
}

func TestPullTakesNoNameThatLeavesItsDirectory(t *testing.T) {
	fsys := vfs.NewMem()
	srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/v1/recording":
			fmt.Fprint(rw, `{"service":"kv","node":"../../n1"}`)
		default:
			fmt.Fprint(rw, `{"files":[{"name":"../../../evil","size":4,"state":"sealed"},{"name":"evil.ckpt.tmp","size":4,"state":"sealed"},{"name":"/evil.seg","size":4}]}`)
		}
	}))
	defer srv.Close()
	if _, err := Pull(t.Context(), fsys, "rec", []string{srv.URL}, PullOptions{}); err != nil {
		t.Fatal(err)
	}
	for dir, want := range map[string]string{".": "[rec]", "rec/nodes": "[%2E.%2F..%2Fn1 ~lock]", "rec/nodes/%2E.%2F..%2Fn1/journal": "[]", "rec/nodes/%2E.%2F..%2Fn1/checkpoints": "[]"} {
		if names, err := fsys.ReadDir(dir); err != nil || fmt.Sprint(names) != want {
			t.Errorf("%s holds %v (%v), want %s", dir, names, err, want)
		}
	}
}

func TestPullThatIsCalledOffKeepsTheManifest(t *testing.T) {
	fsys := vfs.NewMem()
	w := newWriter(t, fsys, "n1", nil)
	defer w.close()
	w.add(10)
	ctx, cancel := context.WithCancel(t.Context())
	addr := serve(t, w, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, ".seg") {
				cancel()
			}
			h.ServeHTTP(rw, r)
		})
	})
	if _, err := Pull(ctx, fsys, "rec", []string{addr}, PullOptions{}); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	if _, err := Open(fsys, "rec"); err != nil {
		t.Error(err)
	}
}
