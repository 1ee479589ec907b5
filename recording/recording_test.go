package recording

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"hindcast.dev/vfs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestManifestComesBackAsItWasSaved(t *testing.T) {
	fsys := vfs.NewMem()
	want := Manifest{Format: 1, Service: "kv", Created: time.Date(2026, 11, 21, 19, 46, 53, 0, time.UTC), Tool: "hindcast", Origin: "demo",
		Nodes: []Node{
			{Name: "n1", Build: "b1", Versions: map[string]uint32{"kv": 2}, Boot: 3, Durability: "group"},
			{Name: "n2", Address: "127.0.0.1:1", Missing: "connection refused"},
			{Name: "n3", Gaps: []Gap{{From: 1 << 32, To: 2 << 32, Reason: "disk lost"}, {From: 3 << 32, Reason: "still gone"}}},
		},
		Crash: &Crash{Node: "n1", Boot: 2, Seq: 117, Reason: "panic", Stack: "main.go"}}
	if _, err := Create(fsys, "rec", want); err != nil {
		t.Fatal(err)
	}
	rec, err := Open(fsys, "rec")
	if err != nil {
		t.Fatal(err)
	}
	if got := rec.Manifest(); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if _, err := Create(fsys, "rec", want); err == nil || !strings.Contains(err.Error(), "there is a recording already") {
		t.Errorf("creating it again: %v", err)
	}
}

func TestManifestThatCannotBeUsedSaysWhereAndWhatToDo(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"empty":        {"", "byte 0: not a manifest: unexpected end of JSON input; mend the file"},
		"not JSON":     {`{"format":1,,}`, "byte 13: not a manifest"},
		"cut short":    {`{"format":1,"nodes":[`, "unexpected end of JSON input"},
		"another file": {`{"name":"x"}`, `no "format" in it`},
		"newer":        {`{"format":7,"nodes":{"what":"ever"}}`, "format version 7, this build knows 1; open the recording with a newer hindcast"},
		"older":        {`{"format":0}`, "format version 0, want 1"},
		"wrong type":   {`{"format":1,"nodes":[{"name":5}]}`, "byte 30"},
		"no name":      {`{"format":1,"nodes":[{"boot":5}]}`, `node number 1 has the name ""`},
		"twice":        {`{"format":1,"nodes":[{"name":"a"},{"name":"a"}]}`, `node "a" stands there twice`},
		"gap":          {`{"format":1,"nodes":[{"name":"a","gaps":[{"from":"9","to":"5","reason":"r"}]}]}`, "ends before it begins"},
		"time":         {`{"format":1,"nodes":[{"name":"a","gaps":[{"from":"noon","reason":"r"}]}]}`, `timestamp "noon"`},
	} {
		t.Run(name, func(t *testing.T) {
			fsys := vfs.NewMem()
			if err := vfs.MkdirSync(fsys, "rec"); err != nil {
				t.Fatal(err)
			}
			if err := vfs.WriteFile(fsys, "rec/recording.json", []byte(c.text)); err != nil {
				t.Fatal(err)
			}
			_, err := Open(fsys, "rec")
			var bad *ManifestError
			if !errors.As(err, &bad) || bad.File != "rec/recording.json" || bad.Remedy == "" {
				t.Fatalf("got %v, want a ManifestError of the file with a remedy", err)
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

func TestDirectoryWithoutManifestIsNoRecording(t *testing.T) {
	_, err := Open(vfs.NewMem(), "rec")
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "rec is no recording") {
		t.Errorf("got %v", err)
	}
}

func TestEscapedNameIsOneSafePathElement(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.OneOf(rapid.String(), rapid.StringMatching(`[.%/\\A-Fa-f0-9 ]*`)).Draw(t, "name")
		s := Escape(name)
		if strings.ContainsAny(s, "/\\ \x00") || strings.HasPrefix(s, ".") {
			t.Fatalf("%q is escaped as %q", name, s)
		}
		if back, ok := Unescape(s); !ok || back != name {
			t.Fatalf("%q → %q → %q, %v", name, s, back, ok)
		}
	})
	for _, s := range []string{"%", "%4", "%zz", "%2f", "a/b", ".", "%41"} {
		if back, ok := Unescape(s); ok {
			t.Errorf("Unescape(%q) = %q, though Escape never writes that", s, back)
		}
	}
}

func TestNodesAreKeptSortedAndEachOnce(t *testing.T) {
	rec, err := Create(vfs.NewMem(), "rec", Manifest{Service: "kv"})
	if err != nil {
		t.Fatal(err)
	}
	rec.AddNode(Node{Name: "127.0.0.1:9", Address: "127.0.0.1:9", Missing: "refused"})
	rec.AddNode(Node{Name: "n2"})
	rec.AddGap("n2", Gap{From: 5, To: 7, Reason: "x"})
	rec.AddGap("n2", Gap{From: 5, To: 7, Reason: "x"})
	rec.AddNode(Node{Name: "n1", Address: "127.0.0.1:9"})
	rec.AddNode(Node{Name: "n2", Boot: 4})
	want := []Node{{Name: "n1", Address: "127.0.0.1:9"}, {Name: "n2", Boot: 4, Gaps: []Gap{{From: 5, To: 7, Reason: "x"}}}}
	if got := rec.Manifest().Nodes; !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestSaveThatFailsLeavesTheOldManifest(t *testing.T) {
	mem := vfs.NewMem()
	fail := false
	faulty := vfs.NewFaulty(mem, func(op vfs.Op) error {
		if fail && op.Kind == vfs.OpWrite {
			return vfs.ErrNoSpace
		}
		return nil
	})
	rec, err := Create(faulty, "rec", Manifest{Service: "kv"})
	if err != nil {
		t.Fatal(err)
	}
	rec.AddNode(Node{Name: "n1"})
	fail = true
	if err := rec.Save(); !errors.Is(err, vfs.ErrNoSpace) {
		t.Fatalf("got %v", err)
	}
	again, err := Open(mem, "rec")
	if err != nil || len(again.Manifest().Nodes) != 0 {
		t.Errorf("after a failed save: %v, %v", again, err)
	}
}

func TestOperationFilesAreTheTextFilesThere(t *testing.T) {
	fsys := vfs.NewMem()
	rec, err := Create(fsys, "rec", Manifest{})
	if err != nil {
		t.Fatal(err)
	}
	if files, err := rec.OperationFiles(); err != nil || len(files) != 0 {
		t.Fatalf("without the directory: %v, %v", files, err)
	}
	if err := vfs.MkdirSync(fsys, rec.OperationsDir()); err != nil {
		t.Fatal(err)
	}
	for _, n := range []string{"b.jsonl", "a.jsonl", "a.jsonl.tmp"} {
		if err := vfs.WriteFile(fsys, path.Join(rec.OperationsDir(), n), nil); err != nil {
			t.Fatal(err)
		}
	}
	files, err := rec.OperationFiles()
	if err != nil || fmt.Sprint(files) != "[rec/operations/a.jsonl rec/operations/b.jsonl]" {
		t.Errorf("got %v, %v", files, err)
	}
}

func FuzzManifest(f *testing.F) {
	f.Add([]byte(`{"format":1,"service":"kv","nodes":[{"name":"n1","gaps":[{"from":"5","reason":"r"}]}]}`))
	f.Add([]byte(`{"format":2}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := decodeManifest("f", b)
		if err != nil {
			var bad *ManifestError
			if !errors.As(err, &bad) {
				t.Fatalf("error of another type: %v", err)
			}
			return
		}
		out, err := m.encode("f")
		if err != nil {
			t.Fatalf("what was read can't be written: %v", err)
		}
		again, err := decodeManifest("f", out)
		if err != nil {
			t.Fatal(err)
		}
		text, err := again.encode("f")
		if err != nil || string(text) != string(out) {
			t.Fatalf("%s\nis written again as\n%s (%v)", out, text, err)
		}
	})
}
