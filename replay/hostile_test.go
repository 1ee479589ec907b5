package replay

import (
	"os"
	"path"
	"path/filepath"
	"testing"

	"hindcast.dev/history"
	"hindcast.dev/journal"
	"hindcast.dev/recording"
	"hindcast.dev/vfs"
)

// A recording may be a stranger's: what its names lead to outside of it is not to
// be touched.
func TestHistoryThatIsALinkIsReplacedAndNothingBehindItRemoved(t *testing.T) {
	dir := t.TempDir()
	mine := filepath.Join(dir, "mine")
	precious := filepath.Join(mine, "precious")
	if err := os.Mkdir(mine, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(precious, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := newRig(t, "n1").open().put(3).stop()
	rec, err := recording.Create(vfs.OS(), filepath.ToSlash(filepath.Join(dir, "rec")), recording.Manifest{Service: "store"})
	if err == nil {
		err = rec.CopyNode(t.Context(), recording.Node{Name: "n1", Build: "b1"}, r.fs, r.name, recording.CopyOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(rec.HistoriesDir(), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{newName, "b1"} {
		if err := os.Symlink(mine, filepath.Join(rec.HistoriesDir(), name)); err != nil {
			t.Skipf("no symbolic links here: %v", err)
		}
	}
	out, err := Recording(t.Context(), rec, Options{Registry: registry(1), Build: "b1"})
	if err != nil {
		t.Fatal(err)
	}
	defer out.Source.Close()
	if b, err := os.ReadFile(precious); err != nil || string(b) != "mine" {
		t.Errorf("a file outside of the recording was touched: %q, %v", b, err)
	}
	if names, err := os.ReadDir(mine); err != nil || len(names) != 1 {
		t.Errorf("outside there are %v now, %v", names, err)
	}
}

func TestHistoryIsMadeAnewWhenASegmentInTheMiddleCameBack(t *testing.T) {
	fsys := vfs.NewMem()
	r := newRig(t, "n1")
	r.jopts = func(o *journal.Options) { o.SegmentBytes = 16 << 10 }
	rec := recordRigs(t, fsys, r.open().put(400).stop())
	middle := path.Join(rec.JournalDir("n1"), "00000002.seg")
	if err := fsys.Rename(middle, "aside"); err != nil {
		t.Fatal(err)
	}
	replayed := func() history.Node {
		t.Helper()
		out, err := Recording(t.Context(), rec, Options{Registry: r.reg, Build: "b1"})
		if err != nil {
			t.Fatal(err)
		}
		defer out.Source.Close()
		return out.Source.Meta().Nodes[0]
	}
	if n := replayed(); len(n.Unknown) == 0 {
		t.Fatalf("a segment is missing, and nothing is unknown: %+v", n)
	}
	if err := fsys.Rename("aside", middle); err != nil {
		t.Fatal(err)
	}
	if n := replayed(); len(n.Unknown) != 0 {
		t.Errorf("the segment is there again, and this is unknown: %+v", n.Unknown)
	}
}
