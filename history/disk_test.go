package history_test

import (
	"context"
	"testing"

	"pgregory.net/rapid"

	"hindcast.dev/history"
	"hindcast.dev/history/historytest"
	"hindcast.dev/vfs"
)

// tiny makes many blocks, bases and reference sequences of few entries.
var tiny = history.DiskOptions{BlockBytes: 60, BaseBytes: 40, Refs: 5}

func writeDisk(fsys vfs.FS, dir string, opts history.DiskOptions, feed func(history.Writer) error) error {
	w, err := history.CreateDisk(fsys, dir, opts)
	if err != nil {
		return err
	}
	if err := feed(w); err != nil {
		return err
	}
	return w.Finish()
}

func openDisk(opts history.DiskOptions) historytest.Open {
	return func(feed func(history.Writer) error) (history.Source, error) {
		fsys := vfs.NewMem()
		if err := writeDisk(fsys, "h", opts, feed); err != nil {
			return nil, err
		}
		return history.OpenDisk(fsys, "h")
	}
}

func TestDiskConforms(t *testing.T) {
	historytest.Conformance(t, openDisk(history.DiskOptions{}))
}

func TestDiskOfManySmallBlocksConforms(t *testing.T) { historytest.Conformance(t, openDisk(tiny)) }

func hash(t *rapid.T, src history.Source) string {
	h, err := history.Hash(context.Background(), src)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestTheSameHistoryHasTheSameHashWhereverItLies(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := historytest.Generate(historytest.Shape{}).Draw(t, "history")
		mem, err := openMem(m.Feed)
		if err != nil {
			t.Fatal(err)
		}
		disk, err := openDisk(tiny)(m.Feed)
		if err != nil {
			t.Fatal(err)
		}
		defer disk.Close()
		copied, err := openMem(func(w history.Writer) error { return history.Copy(context.Background(), w, disk) })
		if err != nil {
			t.Fatal(err)
		}
		want := hash(t, mem)
		if got := hash(t, disk); got != want {
			t.Fatalf("on disk %s, in memory %s", got, want)
		}
		historytest.Check(t, m, copied)
		if got := hash(t, copied); got != want {
			t.Fatalf("copied %s, in memory %s", got, want)
		}
	})
}

func TestAnyDifferenceChangesTheHash(t *testing.T) {
	base := `{"node":"n1","ts":"5","pt":"4","kind":"recv","machine":"m","from":"n2","id":"i","name":"N","data":1,"effects":[{"kind":"log","name":"x"}],"set":{"a":1}}`
	seen := map[string]string{}
	for _, text := range []string{base,
		`{"node":"n1","ts":"5","pt":"4","kind":"recv","machine":"m","from":"n2","id":"i","name":"N","data":1,"effects":[{"kind":"log","name":"x"}],"set":{"a":1.0}}`,
		`{"node":"n1","ts":"5","pt":"4","kind":"recv","machine":"m","from":"n2","id":"i","name":"N","data":2,"effects":[{"kind":"log","name":"x"}],"set":{"a":1}}`,
		`{"node":"n1","ts":"5","pt":"4","kind":"recv","machine":"m","from":"n2","id":"i","name":"N","data":1,"effects":[{"kind":"log","name":"y"}],"set":{"a":1}}`,
		`{"node":"n1","ts":"5","pt":"3","kind":"recv","machine":"m","from":"n2","id":"i","name":"N","data":1,"effects":[{"kind":"log","name":"x"}],"set":{"a":1}}`,
		`{"node":"n2","ts":"5","pt":"4","kind":"recv","machine":"m","from":"n2","id":"i","name":"N","data":1,"effects":[{"kind":"log","name":"x"}],"set":{"a":1}}`,
		base + "\n" + `{"node":"n1","ts":"6"}`,
		base + "\n" + `{"node":"n3","build":""}`,
		base + "\n" + `{"node":"n1","unknown":["8","9"]}`,
	} {
		h, err := history.Hash(context.Background(), readText(t, text))
		if err != nil {
			t.Fatal(err)
		}
		if seen[h] != "" {
			t.Errorf("%s and\n%s have the hash %s", seen[h], text, h)
		}
		seen[h] = text
	}
	h, err := history.Hash(context.Background(), readText(t, base+"\n"+`{"node":"n1","build":"other"}`))
	if err != nil || seen[h] != base {
		t.Errorf("the build changes the hash (%v)", err)
	}
}
