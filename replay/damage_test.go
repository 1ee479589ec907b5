package replay

import (
	"errors"
	"strings"
	"testing"

	"hindcast.dev/history"
	"hindcast.dev/journal"
	"hindcast.dev/vfs"
)

// changeFile replaces a file's content.
func changeFile(t *testing.T, fsys vfs.FS, name string, change func(b []byte) []byte) {
	t.Helper()
	b, err := vfs.ReadFile(fsys, name, 1<<30)
	if err == nil {
		err = vfs.WriteFile(fsys, name, change(b))
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestShortOrEmptySegmentTakesNoEventBeforeIt(t *testing.T) {
	for _, c := range []struct {
		name, file string
		size       int
		all        bool
	}{
		{"short", "00000001.seg", 8000, false},
		{"empty, and never entered", "00000002.seg", 0, true},
	} {
		r := newRig(t, "n1", "n2").open().put(40).stop()
		last := r.l.Seq()
		changeFile(t, r.fs, "n1/journal/"+c.file, func(b []byte) []byte { return b[:c.size] })
		m, res := r.replayed(Options{})
		if res.First != 1 || res.Events != res.Last || res.Events < 8 || (res.Last == last) != c.all {
			t.Errorf("%s: events %d to %d of %d", c.name, res.First, res.Last, last)
		}
		if len(res.Problems) != 1 || !errors.Is(res.Problems[0].Err, journal.ErrUnexpectedEnd) || res.Problems[0].Seq != res.Last+1 {
			t.Errorf("%s: problems %v", c.name, res.Problems)
		}
		n := m.Meta().Nodes[0]
		if len(n.Unknown) != 1 || n.Unknown[0].From <= n.Last.Time || !strings.Contains(n.Reason, c.file) {
			t.Errorf("%s: unknown %+v, %s", c.name, n.Unknown, n.Reason)
		}
	}
}

func TestDamageAtTheBeginningIsUnknownUntilTheNextCheckpoint(t *testing.T) {
	for name, change := range map[string]func(b []byte) []byte{
		"header":      func(b []byte) []byte { b[3] ^= 1; return b },
		"empty":       func([]byte) []byte { return nil },
		"first frame": func(b []byte) []byte { b[4100] ^= 1; return b },
	} {
		r := newRig(t, "n1", "n2")
		r.every = 50 // several within the damaged segment
		r.jopts = func(o *journal.Options) { o.SegmentBytes = 32 << 10 }
		r.open().put(600).stop()
		changeFile(t, r.fs, "n1/journal/00000001.seg", change)
		m, res := r.replayed(Options{})
		if len(res.Problems) != 1 || res.Base == 0 || res.First <= res.Base || res.Last != r.l.Seq() {
			t.Fatalf("%s: %d events from %d to %d, base %d, problems %v", name, res.Events, res.First, res.Last, res.Base, res.Problems)
		}
		n := m.Meta().Nodes[0]
		spans := len(n.Unknown) // the checkpoints within a segment that is read, but for its first frame, stand as bases
		if spans == 0 || spans > 1 && name != "first frame" || n.Unknown[spans-1].To >= n.Last.Time || !strings.Contains(n.Reason, "00000001.seg") {
			t.Errorf("%s: unknown %+v, %s", name, n.Unknown, n.Reason)
		}
		if v, _ := at(t, m, "n1", n.Last.Seq, "store.n").AsInt(); v != 600 {
			t.Errorf("%s: store.n is %d at the end", name, v)
		}
	}
}

func TestNodeWithoutASoundSegmentHidesNoOther(t *testing.T) {
	for name, damage := range map[string]func(t *testing.T, fsys vfs.FS){
		"header": func(t *testing.T, fsys vfs.FS) {
			changeFile(t, fsys, "n1/journal/00000001.seg", func(b []byte) []byte { b[3] ^= 1; return b })
		},
		"missing": func(t *testing.T, fsys vfs.FS) {
			if err := fsys.Remove("n1/journal/00000001.seg"); err != nil {
				t.Fatal(err)
			}
		},
	} {
		fsys := vfs.NewMem()
		for _, node := range []string{"n1", "n2"} {
			r := newRig(t, node)
			r.fs = fsys
			r.open().put(10).stop()
		}
		damage(t, fsys)
		in, err := dataDirs(fsys, ".")
		if err != nil || len(in.journals) != 2 {
			t.Fatalf("%s: %v", name, err)
		}
		b := history.NewBuilder()
		results, err := in.replayAll(t.Context(), b, Options{Registry: registry(1)})
		if err != nil || len(results) != 2 {
			t.Fatalf("%s: %v", name, err)
		}
		if r := results[0]; r.Node != "n1" || r.Events != 0 || len(r.Problems) != 1 {
			t.Errorf("%s: n1: %+v", name, r)
		}
		if r := results[1]; r.Node != "n2" || r.Events == 0 || len(r.Problems) != 0 {
			t.Errorf("%s: n2: %+v", name, r)
		}
		m, err := b.Build()
		if err != nil {
			t.Fatal(err)
		}
		if n := m.Meta().Nodes[0]; len(n.Unknown) != 1 || n.Reason == "" {
			t.Errorf("%s: unknown %+v %q", name, n.Unknown, n.Reason)
		}
	}
}
