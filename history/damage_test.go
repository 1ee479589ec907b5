package history_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/history/historytest"
	"hindcast.dev/hlc"
	"hindcast.dev/vfs"
)

// feedSample writes two nodes that exchange messages, with changes enough for
// several blocks and bases of the tiny kind.
func feedSample(w history.Writer) error {
	for n, name := range []string{"n1", "n2"} {
		nw, err := w.Node(name, "build")
		if err != nil {
			return err
		}
		if n == 1 {
			if err := nw.Base(3, 10, []history.Change{{Var: nw.Var("kv.old"), Value: event.Bool(true)}}); err != nil {
				return err
			}
		}
		for i := range 12 {
			e := history.Event{Kind: "recv", ID: fmt.Sprintf("%d/%d", 1-n, i)}
			e.Seq, e.Time = uint64(i+1+3*n), hlc.Timestamp(10*i+20+n)
			e.Effects = []history.Effect{{Kind: "send", ID: fmt.Sprintf("%d/%d", n, i+1), Name: "Ping", Data: event.Int(int64(i))}}
			e.Changes = []history.Change{{Var: nw.Var("kv.items"), Path: []event.Value{event.Int(int64(i % 5))}, Value: event.String("value")}}
			if err := nw.Append(&e); err != nil {
				return err
			}
		}
		if err := nw.Close(); err != nil {
			return err
		}
	}
	return nil
}

// readAll reads everything in every way, and returns it as text.
func readAll(fsys vfs.FS, dir string) (string, error) {
	src, err := history.OpenDisk(fsys, dir)
	if err != nil {
		return "", err
	}
	defer src.Close()
	var b strings.Builder
	ctx, meta := context.Background(), src.Meta()
	fmt.Fprintf(&b, "%+v\n", *meta)
	for t := hlc.Timestamp(0); t < 160; t += 3 {
		c, err := src.Walk(ctx, history.Position{Time: t}, history.End, nil)
		if err != nil {
			return "", err
		}
		for _, s := range c.States() {
			fmt.Fprintln(&b, historytest.DescribeState(meta, s))
		}
		for t == 0 {
			e, err := c.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return "", err
			}
			fmt.Fprintln(&b, historytest.Describe(meta, e))
		}
	}
	for i := range 26 {
		m, err := src.Message(ctx, fmt.Sprintf("%d/%d", i%2, i/2))
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "%+v\n", m)
	}
	before, err := src.Before(ctx, history.End, 5, nil)
	fmt.Fprintln(&b, len(before))
	return b.String(), err
}

// kinds of damage that a FileError may speak of.
var damage = []error{history.ErrForeign, history.ErrVersion, history.ErrTruncated, history.ErrCorrupt}

// clearError checks that an error is of the typed kind and names the file.
func clearError(t *testing.T, what, file string, err error, kinds ...error) {
	t.Helper()
	var bad *history.FileError
	if !errors.As(err, &bad) || bad.File != file || bad.Offset < 0 {
		t.Fatalf("%s: got %v, want a FileError about %s", what, err, file)
	}
	if !slices.ContainsFunc(kinds, func(k error) bool { return errors.Is(err, k) }) {
		t.Fatalf("%s: got %v, want one of %v", what, err, kinds)
	}
}

// damaged returns a directory like that of fsys with one file replaced.
func damaged(t *testing.T, fsys vfs.FS, file string, data []byte) vfs.FS {
	t.Helper()
	out := vfs.NewMem()
	if err := out.MkdirAll("h"); err != nil {
		t.Fatal(err)
	}
	for name, b := range files(t, fsys) {
		if name == file {
			b = data
		}
		if err := vfs.WriteFile(out, path.Join("h", name), b); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func files(t *testing.T, fsys vfs.FS) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	names, err := fsys.ReadDir("h")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if name == "lock" {
			continue
		}
		b, err := vfs.ReadFile(fsys, path.Join("h", name), 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		out[name] = b
	}
	return out
}

func sample(t *testing.T) vfs.FS {
	t.Helper()
	fsys := vfs.NewMem()
	if err := writeDisk(fsys, "h", tiny, feedSample); err != nil {
		t.Fatal(err)
	}
	return fsys
}

func TestEveryFlippedBitOfAFileIsNoticed(t *testing.T) {
	fsys := sample(t)
	for name, b := range files(t, fsys) {
		for i := range b {
			flipped := slices.Clone(b)
			flipped[i] ^= 1 << (i % 8)
			_, err := readAll(damaged(t, fsys, name, flipped), "h")
			clearError(t, fmt.Sprintf("%s, bit flipped in byte %d", name, i), "h/"+name, err, damage...)
		}
	}
}

func TestEveryTruncationOfAFileIsNoticed(t *testing.T) {
	fsys := sample(t)
	for name, b := range files(t, fsys) {
		for n := range b {
			_, err := readAll(damaged(t, fsys, name, b[:n]), "h")
			clearError(t, fmt.Sprintf("%s cut to %d bytes", name, n), "h/"+name, err, history.ErrTruncated)
		}
		_, err := readAll(damaged(t, fsys, name, append(slices.Clone(b), 0)), "h")
		clearError(t, name+" with a byte more", "h/"+name, err, history.ErrCorrupt)
	}
}

func TestForeignFilesAndOtherVersionsAreNamed(t *testing.T) {
	fsys := sample(t)
	all := files(t, fsys)
	run := all["run-000001"]
	newer := slices.Clone(run)
	newer[8] = 3
	older := slices.Clone(run)
	older[8] = 1
	for _, c := range []struct {
		what, file string
		data       []byte
		kind       error
		text       string
	}{
		{"another version", "run-000001", newer, history.ErrVersion, "version 3, known is 2"},
		{"an older version", "run-000001", older, history.ErrVersion, "version 1, known is 2"},
		{"a text", "run-000001", []byte("hello, this is no run at all, whatever its length"), history.ErrForeign, `want the magic "hindhist", found "hello, t"`},
		{"another run", "run-000001", all["run-000002"], history.ErrCorrupt, `bytes`},
		{"another version", manifestFile, []byte(strings.Replace(string(all[manifestFile]), `"version":2`, `"version":12`, 1)), history.ErrVersion, "version 12, known is 2"},
		{"another JSON", manifestFile, []byte("{\"name\":\"x\"}"), history.ErrForeign, "want a manifest"},
	} {
		_, err := readAll(damaged(t, fsys, c.file, c.data), "h")
		clearError(t, c.what, "h/"+c.file, err, c.kind)
		if !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: got %v, want %s", c.what, err, c.text)
		}
	}
	if err := fsys.Remove("h/run-000002"); err != nil {
		t.Fatal(err)
	}
	if _, err := readAll(fsys, "h"); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "run-000002") {
		t.Errorf("a run is missing: got %v", err)
	}
	if _, err := history.OpenDisk(fsys, "elsewhere"); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "no History in elsewhere") {
		t.Errorf("no directory: got %v", err)
	}
}

const manifestFile = "manifest.json"

// A crash or an error at any step of writing leaves no History or all of it.
func TestAHistoryAppearsAtOnceOrNotAtAll(t *testing.T) {
	whole, err := readAll(sample(t), "h")
	if err != nil {
		t.Fatal(err)
	}
	there, absent := 0, 0
	for stop := int64(1); ; stop++ {
		mem := vfs.NewMem()
		rnd := rand.New(rand.NewPCG(uint64(stop), 1))
		var crashed *vfs.Mem
		faulty := vfs.NewFaulty(mem, func(op vfs.Op) error {
			if op.N < stop {
				return nil
			}
			if crashed == nil {
				crashed = mem.Crash(rnd.IntN)
			}
			return errors.New("the power is gone")
		})
		err := writeDisk(faulty, "a/h", tiny, feedSample)
		if crashed == nil {
			crashed = mem.Crash(rnd.IntN)
		} else if err == nil {
			t.Fatalf("step %d failed and the writer says nothing", stop)
		}
		got, openErr := readAll(crashed, "a/h")
		switch {
		case openErr == nil && strings.ReplaceAll(got, "a/h", "h") == whole:
			there++
		case errors.Is(openErr, fs.ErrNotExist):
			absent++
			if err := writeDisk(crashed, "a/h", tiny, feedSample); err != nil {
				t.Fatalf("step %d: writing again: %v", stop, err)
			}
			if again, err := readAll(crashed, "a/h"); err != nil || again != whole {
				t.Fatalf("step %d: written again: %v", stop, err)
			}
		default:
			t.Fatalf("step %d: %v: half a History: %v", stop, err, openErr)
		}
		if err == nil {
			for range 20 {
				if _, err := readAll(mem.Crash(rnd.IntN), "a/h"); err != nil {
					t.Fatalf("finished, but gone after a crash: %v", err)
				}
			}
			break
		}
	}
	if there == 0 || absent < 20 {
		t.Fatalf("%d crashes left all, %d nothing: the test doesn't see what it should", there, absent)
	}
}

func TestWhatIsAddedLaterIsAsIfWrittenAtOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := historytest.Generate(historytest.Shape{}).Draw(t, "history")
		parts := []*historytest.Model{{}, {}, {}}
		for _, n := range m.Nodes {
			rest, marked, bulky := n.Entries, n.Marked, n.Bulky
			begin := rapid.IntRange(0, 2).Draw(t, "first part")
			for i := begin; i < len(parts); i++ {
				end := len(rest)
				if i+1 < len(parts) {
					end = rapid.IntRange(0, len(rest)).Draw(t, "end of part")
				}
				parts[i].Nodes = append(parts[i].Nodes, historytest.Node{Name: n.Name, Build: n.Build, Entries: rest[:end], Marked: marked, Bulky: bulky})
				rest, marked, bulky = rest[end:], nil, nil
			}
		}
		fsys := vfs.NewMem()
		if err := writeDisk(fsys, "h", tiny, parts[0].Feed); err != nil {
			t.Fatal(err)
		}
		first, err := vfs.ReadFile(fsys, "h/run-000001", 1<<20)
		if err != nil && len(parts[0].Nodes) > 0 {
			t.Fatal(err)
		}
		for _, p := range parts[1:] {
			w, err := history.ExtendDisk(fsys, "h", tiny)
			if err != nil {
				t.Fatal(err)
			}
			if err := p.Feed(w); err != nil {
				t.Fatal(err)
			}
			if err := w.Finish(); err != nil {
				t.Fatal(err)
			}
		}
		src, err := history.OpenDisk(fsys, "h")
		if err != nil {
			t.Fatal(err)
		}
		defer src.Close()
		historytest.Check(t, m, src)
		if again, err := vfs.ReadFile(fsys, "h/run-000001", 1<<20); len(parts[0].Nodes) > 0 && (err != nil || !slices.Equal(first, again)) {
			t.Fatalf("the first run was written again (%v)", err)
		}
	})
}

func TestAWriterRefusesWhatIsOutOfOrder(t *testing.T) {
	at := func(seq uint64, ts hlc.Timestamp) *history.Event {
		e := &history.Event{Kind: "x"}
		e.Seq, e.Time = seq, ts
		return e
	}
	for name, c := range map[string]struct {
		do   func(w history.NodeWriter) error
		want string
	}{
		"time descends":     {func(w history.NodeWriter) error { return w.Append(at(6, 9)) }, "node n: event 6 at 1970-01-01T00:00:00.000000Z/9 comes after event 5"},
		"sequence twice":    {func(w history.NodeWriter) error { return w.Append(at(5, 10)) }, "event 5 comes after event 5: sequence numbers ascend"},
		"last Timestamp":    {func(w history.NodeWriter) error { return w.Append(at(6, hlc.Max)) }, "the last Timestamp is reserved"},
		"base before":       {func(w history.NodeWriter) error { return w.Base(4, 11, nil) }, "base at event 4"},
		"base at the event": {func(w history.NodeWriter) error { return w.Base(5, 10, nil) }, "base at event 5"},
		"base of a part": {func(w history.NodeWriter) error {
			return w.Base(6, 11, []history.Change{{Var: w.Var("a"), Path: []event.Value{event.Int(1)}, Value: event.Int(1)}})
		}, "a base holds whole variables"},
		"variable of another": {func(w history.NodeWriter) error {
			e := at(6, 11)
			e.Changes = []history.Change{{Var: 77, Value: event.Int(1)}}
			return w.Append(e)
		}, "changes variable number 77"},
		"empty span": {func(w history.NodeWriter) error { return w.Unknown(history.Span{From: 5, To: 5}, "x") }, "want a span that ends after it begins"},
	} {
		disk, err := history.CreateDisk(vfs.NewMem(), "h", history.DiskOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range []history.Writer{history.NewBuilder(), disk} {
			nw, err := w.Node("n", "")
			if err != nil {
				t.Fatal(err)
			}
			if err := nw.Append(at(5, 10)); err != nil {
				t.Fatal(err)
			}
			if err := c.do(nw); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s, %T: got %v, want %s", name, w, err, c.want)
			}
			if err := nw.Append(at(7, 20)); err == nil {
				t.Errorf("%s, %T: the writer goes on after an error", name, w)
			}
			if _, err := w.Node("n", ""); err == nil {
				t.Errorf("%T: a node is begun twice", w)
			}
		}
		if err := disk.Finish(); err == nil {
			t.Errorf("%s: a History is finished after an error", name)
		}
	}
	if _, err := history.NewBuilder().Node("", ""); err == nil {
		t.Error("a node without a name")
	}
}

func TestCreateDiskKeepsAHistoryThatIsThere(t *testing.T) {
	fsys := sample(t)
	if _, err := history.CreateDisk(fsys, "h", tiny); !errors.Is(err, fs.ErrExist) {
		t.Fatalf("got %v, want fs.ErrExist", err)
	}
	w, err := history.ExtendDisk(fsys, "h", tiny)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := history.ExtendDisk(fsys, "h", tiny); !errors.Is(err, vfs.ErrLocked) {
		t.Fatalf("a second writer: got %v, want vfs.ErrLocked", err)
	}
	if _, err := w.Node("late", ""); err != nil {
		t.Fatal(err)
	}
	if err := w.Discard(); err != nil {
		t.Fatal(err)
	}
	names, err := fsys.ReadDir("h")
	if got := fmt.Sprint(names); err != nil || got != "[lock manifest.json run-000001 run-000002]" {
		t.Fatalf("after Discard the directory holds %s (%v)", got, err)
	}
}
