package replay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/hlc"
	"hindcast.dev/loop"
	"hindcast.dev/recording"
	"hindcast.dev/vfs"
)

// cluster is three nodes, one clock behind and one ahead, that wrote and lost some
// messages; n2 was killed and came back.
func cluster(t testing.TB) []*rig {
	t.Helper()
	rigs := []*rig{newRig(t, "n1", "n2", "n3"), newRig(t, "n2", "n1", "n3"), newRig(t, "n3", "n1", "n2")}
	rigs[1].tick(-200 * time.Millisecond)
	rigs[2].tick(200 * time.Millisecond)
	for _, r := range rigs {
		r.open()
	}
	cut := false
	for i := range 60 {
		for _, r := range rigs {
			r.tick(10 * time.Millisecond)
		}
		cut = i >= 20 && i < 30
		if i == 40 {
			rigs[1].kill().open()
		}
		rigs[i%3].ask(Put{fmt.Sprintf("k%d", i%5), fmt.Sprintf("v%d", i)})
		deliver(t, rigs, func(o *loop.Output) bool { return cut && o.Node == "n3" })
	}
	for _, r := range rigs {
		r.stop()
	}
	return rigs
}

func TestEveryMessageOfAClusterIsReceivedAfterItWasSent(t *testing.T) {
	rigs := cluster(t)
	out, err := Recording(t.Context(), recordRigs(t, vfs.NewMem(), rigs...), Options{Registry: registry(1), Memory: true})
	if err != nil || len(out.Warnings) > 0 || out.Divergence() != nil {
		t.Fatalf("%v, %+v", err, out)
	}
	c, err := CheckCausality(t.Context(), out.Source)
	if err != nil {
		t.Fatal(err)
	}
	drops := find(allEvents(t, out.Source), "note", event.NoteDrop)
	if c.Messages < 100 || len(c.Violations) != 0 || c.Unsent != 0 || len(drops) == 0 || c.Lost != uint64(len(drops)) {
		t.Errorf("%+v with %d drops", c, len(drops))
	}
	for _, d := range drops {
		msg, err := out.Source.Message(t.Context(), d.ID)
		if err != nil || !msg.Sent || len(msg.Receives) != 0 {
			t.Errorf("dropped message %s: %+v, %v", d.ID, msg, err)
		}
	}
	if out.Source.Meta().Violations != 0 {
		t.Errorf("%d violations in Meta", out.Source.Meta().Violations)
	}
}

func TestCausalityViolationIsFound(t *testing.T) {
	b := history.NewBuilder()
	ts := func(n int) hlc.Timestamp { return hlc.Timestamp(n) << 32 }
	send := func(n int, id string) history.EventSpec {
		return history.EventSpec{Event: history.Event{Position: history.Position{Time: ts(n)}, Kind: "send",
			Effects: []history.Effect{{Kind: "send", ID: id, Peer: "b"}}}}
	}
	recv := func(n int, id string) history.EventSpec {
		return history.EventSpec{Event: history.Event{Position: history.Position{Time: ts(n)}, Kind: "recv", ID: id}}
	}
	b.Append("a", send(2, "good"), send(5, "late"), send(6, "same"), send(7, "lost"))
	b.Append("b", recv(3, "good"), recv(4, "late"), recv(6, "same"), recv(8, "nobody's"), recv(9, "good"))
	m, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	c, err := CheckCausality(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	if c.Messages != 4 || c.Lost != 1 || c.Unsent != 1 || len(c.Violations) != 2 || c.Violations[0].ID != "late" || c.Violations[1].ID != "same" {
		t.Errorf("%+v", c)
	}
}

func TestMissingNodeIsUnknownAndGapsToo(t *testing.T) {
	rigs := cluster(t)
	rec := recordRigs(t, vfs.NewMem(), rigs[0], rigs[1])
	rec.AddNode(recording.Node{Name: "n3", Missing: "connection refused"})
	from := epoch.Add(time.Second)
	rec.AddGap("n2", recording.Gap{From: from, To: from.Add(time.Second), Reason: "disk lost"})
	rec.AddGap("n1", recording.Gap{Reason: "pull failed"})
	rec.AddNode(recording.Node{Name: "n4", Build: "b7"})
	out, err := Recording(t.Context(), rec, Options{Registry: registry(1), Memory: true})
	if err != nil {
		t.Fatal(err)
	}
	m := out.Source.Meta()
	all := history.Span{From: 0, To: hlc.Max}
	for name, want := range map[string]struct {
		span   history.Span
		reason string
	}{
		"n1": {history.Span{From: m.Nodes[0].Last.Time + 1, To: hlc.Max}, "pull failed"},
		"n2": {history.Span{From: from, To: from.Add(time.Second)}, "disk lost"},
		"n3": {all, "connection refused"},
		"n4": {all, "its journal isn't in the recording"},
	} {
		i, ok := m.NodeIndex(name)
		if !ok {
			t.Fatalf("%s isn't there", name)
		}
		if n := m.Nodes[i]; len(n.Unknown) != 1 || n.Unknown[0] != want.span || n.Reason != want.reason {
			t.Errorf("%s: %+v", name, n)
		}
	}
}

func TestClientsLanesStandBesideTheNodes(t *testing.T) {
	rec := recordRigs(t, vfs.NewMem(), newRig(t, "n1").open().put(3).stop())
	if err := vfs.MkdirSync(rec.FS(), rec.OperationsDir()); err != nil {
		t.Fatal(err)
	}
	write := func(name, text string) {
		if err := vfs.WriteFile(rec.FS(), path.Join(rec.OperationsDir(), name), []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	write("1.jsonl", `{"node":"client/1","ts":"2026-11-21T12:00:00.001Z","kind":"invoke","id":"client/1/1","data":{"f":"write","key":"x","value":1},"set":{"op.n":1}}
{"node":"client/1","ts":"2026-11-21T12:00:00.002Z","kind":"ok","id":"client/1/1"}
{"node":"client/1","ts":"2026-11-`)
	out, err := Recording(t.Context(), rec, Options{Registry: registry(1), Memory: true})
	if err != nil {
		t.Fatal(err)
	}
	i, ok := out.Source.Meta().NodeIndex("client/1")
	if !ok || out.Source.Meta().Nodes[i].Events != 2 {
		t.Fatalf("nodes %+v", out.Source.Meta().Nodes)
	}
	if v, _ := at(t, out.Source, "client/1", 1, "op.n").AsInt(); v != 1 {
		t.Error("the lane's variables are lost")
	}
	if len(out.Warnings) != 1 || !strings.Contains(out.Warnings[0], "1 malformed lines") {
		t.Errorf("warnings %q", out.Warnings)
	}
	write("2.jsonl", `{"node":"client/1","ts":"2026-11-21T12:00:00.002Z","kind":"ok"}`)
	if _, err = Recording(t.Context(), rec, Options{Registry: registry(1), Memory: true}); err == nil || !strings.Contains(err.Error(), "lane client/1 is in the recording already") {
		t.Errorf("a lane in two files: %v", err)
	}
}

func TestOpenTakesWhatItIsGiven(t *testing.T) {
	fsys := vfs.NewMem()
	r := newRig(t, "n1").open().put(5).stop()
	rec := recordRigs(t, fsys, r)
	o := Options{FS: fsys, Service: "store", Registry: r.reg, Build: "b1"}
	first, err := Open(t.Context(), "rec", o)
	if err != nil {
		t.Fatal(err)
	}
	want := hash(t, first.Source)
	if first.Recording == nil || first.Dir != "rec/history/b1" {
		t.Errorf("%+v", first)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := fsys.Create("events.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	mem, _ := r.replayed(Options{})
	if err := history.WriteText(&fileWriter{f: text}, mem); err != nil {
		t.Fatal(err)
	}
	for _, what := range []string{"rec", "rec/recording.json", "./rec/", "rec/history/b1", "rec/nodes/n1", "rec/nodes/n1/journal", "rec/nodes", "events.jsonl"} {
		got, err := Open(t.Context(), what, o)
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		if what != "events.jsonl" && hash(t, got.Source) != want {
			t.Errorf("%s is another History", what)
		}
		if got.Source.Meta().Events != mem.Meta().Events {
			t.Errorf("%s has %d events", what, got.Source.Meta().Events)
		}
		if err := got.Close(); err != nil {
			t.Error(err)
		}
	}
	if rec.Manifest().Service != "store" {
		t.Fatal("the recording has no service")
	}
}

type fileWriter struct {
	f   vfs.File
	off int64
}

func (w *fileWriter) Write(b []byte) (int, error) {
	n, err := w.f.WriteAt(b, w.off)
	w.off += int64(n)
	return n, err
}

func TestOpenSaysWhatToDoWhereItCannot(t *testing.T) {
	fsys := vfs.NewMem()
	r := newRig(t, "n1").open().put(5).stop()
	recordRigs(t, fsys, r)
	if err := vfs.MkdirSync(fsys, "empty"); err != nil {
		t.Fatal(err)
	}
	if err := vfs.WriteFile(fsys, "notes.txt", []byte("hello\n")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what string
		o    Options
		want string
	}{
		{"rec", Options{}, `this program has no machines of service "store"; replay it with the program that ran, here called ./store: hindcast debug --exec ./store rec`},
		{"rec", Options{Service: "bank", Registry: r.reg, Command: "hindcast query"}, `this program has the machines of "bank"; replay it with the program that ran, here called ./store: hindcast query --exec ./store rec`},
		{"rec/nodes/n1", Options{}, "this program has no machines"},
		{"rec/nodes/n1", Options{Exec: "/bin/true"}, "the program itself has the command: /bin/true debug rec/nodes/n1"},
		{"nowhere", Options{}, "want a recording"},
		{"empty", Options{}, "there is neither recording.json"},
		{"notes.txt", Options{}, "notes.txt:1:"},
		{"127.0.0.1:7101,n2=127.0.0.1:7102", Options{}, "hindcast pull 127.0.0.1:7101,n2=127.0.0.1:7102 DIR"},
		{"rec", Options{Exec: "./no-such-program"}, "want the path of the service's program"},
	} {
		c.o.FS = fsys
		_, err := Open(t.Context(), c.what, c.o)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v\nwant %s", c.what, err, c.want)
		}
	}
}

func TestHistoryMadeByTheRecordedBuildNeedsNoCode(t *testing.T) {
	fsys := vfs.NewMem()
	r := newRig(t, "n1").open().put(5).stop()
	rec := recordRigs(t, fsys, r)
	replay := func(build string) {
		out, err := Recording(t.Context(), rec, Options{Registry: r.reg, Build: build})
		if err != nil {
			t.Fatal(err)
		}
		if err := out.Source.Close(); err != nil {
			t.Fatal(err)
		}
	}
	replay("b2")
	var code *CodeError
	if _, err := Open(t.Context(), "rec", Options{FS: fsys}); !errors.As(err, &code) || !strings.Contains(err.Error(), "a History made by b2") {
		t.Errorf("another build's History: %v", err)
	}
	replay("b1")
	out, err := Open(t.Context(), "rec", Options{FS: fsys})
	if err != nil || !out.Reused || out.Dir != "rec/history/b1" {
		t.Fatalf("%+v, %v", out, err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), "rec", Options{FS: fsys, Walk: []string{"store.items"}}); !errors.As(err, &code) {
		t.Errorf("it was not made with that variable walked: %v", err)
	}
}

func TestRecordingThatCannotBeWrittenIsReplayedInMemory(t *testing.T) {
	mem := vfs.NewMem()
	r := newRig(t, "n1").open().put(5).stop()
	recordRigs(t, mem, r)
	readOnly := vfs.NewFaulty(mem, func(op vfs.Op) error {
		if op.Kind == vfs.OpMkdirAll || op.Kind == vfs.OpCreate || op.Kind == vfs.OpLock {
			return os.ErrPermission
		}
		return nil
	})
	out, err := Open(t.Context(), "rec", Options{FS: readOnly, Service: "store", Registry: r.reg, Build: "b1"})
	if err != nil || out.Dir != "" {
		t.Errorf("%+v, %v", out, err)
	}
}

func TestReplayBesideAnotherIsRefused(t *testing.T) {
	fsys := vfs.NewMem()
	r := newRig(t, "n1").open().put(5).stop()
	rec := recordRigs(t, fsys, r)
	lock, err := lockHistories(fsys, rec)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	_, err = Recording(t.Context(), rec, Options{Registry: r.reg, Build: "b1"})
	if !errors.Is(err, vfs.ErrLocked) || !strings.Contains(err.Error(), "being replayed by another process") {
		t.Errorf("got %v", err)
	}
}

func TestReplayThatWasBrokenOffLeavesNothingHalf(t *testing.T) {
	fsys := vfs.NewMem()
	r := newRig(t, "n1").open().put(600).stop()
	rec := recordRigs(t, fsys, r)
	ctx, cancel := context.WithCancel(t.Context())
	_, err := Recording(ctx, rec, Options{Registry: r.reg, Build: "b1", onEvent: cancel})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	if out, err := Recording(t.Context(), rec, Options{Registry: r.reg, Build: "b1"}); err != nil || out.Reused {
		t.Errorf("%+v, %v", out, err)
	} else if err := out.Source.Close(); err != nil {
		t.Error(err)
	}
	names, err := fsys.ReadDir(rec.HistoriesDir())
	if err != nil || fmt.Sprint(names) != "[b1 ~lock]" {
		t.Errorf("%v, %v", names, err)
	}
}

func TestLiveNodesArePulledFirst(t *testing.T) {
	fsys := vfs.NewMem()
	down := httptest.NewServer(nil)
	addr := strings.TrimPrefix(down.URL, "http://")
	down.Close()
	_, err := Open(t.Context(), addr, Options{FS: fsys, PullTo: "pulled"})
	if err == nil || !strings.Contains(err.Error(), "none of "+addr) {
		t.Errorf("got %v", err)
	}
}

// programEnv makes the test binary be a service's program.
const programEnv = "HINDCAST_REPLAY_TEST_PROGRAM"

// program is what a service's program does for "replay [--walk VARIABLE]… DIR".
func program() int {
	args, walk := os.Args[1:], []string(nil)
	for len(args) > 3 && args[1] == "--walk" {
		walk = append(walk, args[2])
		args = append(args[:1], args[3:]...)
	}
	if len(args) != 2 || args[0] != ExecCommand || os.Getenv(programEnv) == "broken" {
		fmt.Fprintln(os.Stderr, "no such command")
		return 2
	}
	rec, err := recording.Open(vfs.OS(), args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	out, err := Recording(context.Background(), rec, Options{Service: "store", Registry: registry(1), Build: "b1", Walk: walk})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	out.Source.Close()
	fmt.Println("replayed")
	fmt.Println(out.Dir)
	return 0
}

func TestExecLetsTheServicesProgramReplay(t *testing.T) {
	r := newRig(t, "n1").open().put(5).stop()
	mem, _ := r.replayed(Options{})
	dir := filepath.ToSlash(t.TempDir())
	rec, err := recording.Create(vfs.OS(), path.Join(dir, "rec"), recording.Manifest{Service: "store"})
	if err != nil {
		t.Fatal(err)
	}
	if err := rec.CopyNode(t.Context(), recording.Node{Name: "n1", Build: "b1"}, r.fs, "n1", recording.CopyOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := rec.Save(); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(programEnv, "broken")
	if _, err := Open(t.Context(), rec.Dir(), Options{Exec: self}); err == nil || !strings.Contains(err.Error(), "it said:\nno such command") {
		t.Errorf("a broken program: %v", err)
	}
	t.Setenv(programEnv, "1")
	out, err := Open(t.Context(), rec.Dir(), Options{Exec: self})
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	if hash(t, out.Source) != hash(t, mem) || out.Dir != rec.HistoryDir("b1") {
		t.Errorf("%+v", out)
	}
	walked, err := out.Walk(t.Context(), []string{"store.items", "index.keys"})
	if err != nil {
		t.Fatal(err)
	}
	defer walked.Close()
	have, err := readOrigin(vfs.OS(), walked.Dir)
	if walked.Dir != rec.HistoryDir("b1")+walkedSuffix || err != nil || fmt.Sprint(have.Walk) != "[index.keys store.items]" {
		t.Errorf("%+v, %+v, %v", walked.Replayed, have, err)
	}
}

// BenchmarkReplay tells events per second, and how much is allocated for one.
func BenchmarkReplay(b *testing.B) {
	r := newRig(b, "n1", "n2", "n3")
	r.open().put(20_000).stop()
	onDisk := func(b *testing.B) (Result, error) {
		w, err := history.CreateDisk(vfs.OS(), b.TempDir(), history.DiskOptions{})
		if err != nil {
			return Result{}, err
		}
		nw, err := w.Node("n1", "")
		if err != nil {
			return Result{}, err
		}
		res, err := Node(b.Context(), r.source(), nw, Options{Registry: r.reg})
		return res, errors.Join(err, w.Finish())
	}
	for name, to := range map[string]func(b *testing.B) (Result, error){
		"memory": func(*testing.B) (Result, error) { _, res := r.replayed(Options{}); return res, nil },
		"disk":   onDisk,
		"no history": func(b *testing.B) (Result, error) {
			return Node(b.Context(), r.source(), nowhere{vars: map[string]history.VarID{}}, Options{Registry: r.reg})
		},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			var events uint64
			for b.Loop() {
				res, err := to(b)
				if err != nil {
					b.Fatal(err)
				}
				events += res.Events
			}
			b.ReportMetric(float64(events)/b.Elapsed().Seconds(), "events/s")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(events), "ns/event")
		})
	}
}

// nowhere is a NodeWriter that keeps nothing.
type nowhere struct{ vars map[string]history.VarID }

func (n nowhere) Var(name string) history.VarID {
	id, ok := n.vars[name]
	if !ok {
		id = history.VarID(len(n.vars))
		n.vars[name] = id
	}
	return id
}
func (nowhere) Base(uint64, hlc.Timestamp, []history.Change) error { return nil }
func (nowhere) Append(*history.Event) error                        { return nil }
func (nowhere) Bulky(history.VarID, hlc.Timestamp) error           { return nil }
func (nowhere) Unknown(history.Span, string) error                 { return nil }
func (nowhere) Close() error                                       { return nil }

var _ io.Writer = (*fileWriter)(nil)
