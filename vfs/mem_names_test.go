package vfs

import (
	"fmt"
	"path"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestCrashedNamesAreThoseOfSomeSubset compares with a model that keeps every
// change of a name there ever was, and decides by reading all of them.
func TestCrashedNamesAreThoseOfSomeSubset(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := newNamesRun(t)
		for range rapid.IntRange(0, 30).Draw(t, "steps") {
			r.step()
		}
		for range 5 {
			r.check(r.m.Crash(picks(rapid.Uint64().Draw(t, "seed"))))
		}
		r.check(r.m.Restart().Crash(keepNothing))
		r.check(r.m.Crash(keepAll))
	})
}

var (
	runDirs  = []string{"/d", "/e"}
	runNames = []string{"/d/a", "/d/b", "/d/c", "/e/a", "/e/b"}
)

// A namesChange is one thing that happened to the place of one file.
type namesChange struct {
	file     string // its content, which is unique
	from, to string // "" is nowhere
	unsynced []string
}

type namesRun struct {
	t       *rapid.T
	m       *Mem
	files   int
	now     map[string]string // name to file
	changes []*namesChange
	synced  map[string]map[string]string // directory to names as of its last SyncDir
	touched map[string]bool              // directories that changed since
}

func newNamesRun(t *rapid.T) *namesRun {
	r := &namesRun{t: t, m: NewMem(), now: map[string]string{}, synced: map[string]map[string]string{}, touched: map[string]bool{}}
	for _, dir := range runDirs {
		r.ok(r.m.MkdirAll(dir))
		r.synced[dir] = map[string]string{}
	}
	r.ok(r.m.SyncDir("/"))
	return r
}

func (r *namesRun) ok(err error) {
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *namesRun) step() {
	name := rapid.SampledFrom(runNames).Draw(r.t, "name")
	to := rapid.SampledFrom(runNames).Draw(r.t, "to")
	file, exists := r.now[name]
	switch op := rapid.SampledFrom([]string{"create", "remove", "rename", "rename", "sync"}).Draw(r.t, "op"); {
	case op == "create" && !exists:
		r.files++
		file = fmt.Sprint(r.files)
		f, err := r.m.Create(name)
		r.ok(err)
		_, err = f.WriteAt([]byte(file), 0)
		r.ok(err)
		r.ok(f.Sync())
		r.ok(f.Close())
		r.changed(file, "", name)
	case op == "remove" && exists:
		r.ok(r.m.Remove(name))
		r.changed(file, name, "")
	case op == "rename" && exists && to != name:
		r.ok(r.m.Rename(name, to))
		if replaced, there := r.now[to]; there {
			r.changed(replaced, to, "")
		}
		r.changed(file, name, to)
	case op == "sync":
		r.syncDir(path.Dir(name))
	}
}

func (r *namesRun) changed(file, from, to string) {
	c := &namesChange{file: file, from: from, to: to}
	for _, name := range []string{from, to} {
		if name != "" && !slices.Contains(c.unsynced, path.Dir(name)) {
			c.unsynced = append(c.unsynced, path.Dir(name))
			r.touched[path.Dir(name)] = true
		}
	}
	r.changes = append(r.changes, c)
	delete(r.now, from)
	if to != "" {
		r.now[to] = file
	}
}

func (r *namesRun) syncDir(dir string) {
	r.ok(r.m.SyncDir(dir))
	for _, c := range r.changes {
		c.unsynced = slices.DeleteFunc(c.unsynced, func(d string) bool { return d == dir })
	}
	r.touched[dir] = false
	r.synced[dir] = map[string]string{}
	for name, file := range r.now {
		if path.Dir(name) == dir {
			r.synced[dir][name] = file
		}
	}
}

// possible returns where a file may be after a crash: where its last durable
// change put it, and wherever a later one did.
func (r *namesRun) possible(file string) []string {
	places := []string{""}
	for _, c := range r.changes {
		if c.file != file {
			continue
		}
		if len(c.unsynced) == 0 {
			places = nil
		}
		places = append(places, c.to)
	}
	return places
}

func (r *namesRun) check(crashed *Mem) {
	found := map[string]string{} // file to name
	for _, dir := range runDirs {
		names, err := crashed.ReadDir(dir)
		r.ok(err)
		for _, base := range names {
			name := path.Join(dir, base)
			b, err := ReadFile(crashed, name, 10)
			r.ok(err)
			if other := found[string(b)]; other != "" {
				r.t.Fatalf("file %s is at %s and %s", b, other, name)
			}
			found[string(b)] = name
			if !r.touched[dir] && r.synced[dir][name] != string(b) {
				r.t.Fatalf("%s is synced and has %s at %s, not %s", dir, r.synced[dir][name], name, b)
			}
		}
		if !r.touched[dir] && len(names) != len(r.synced[dir]) {
			r.t.Fatalf("%s is synced with %v and has %q", dir, r.synced[dir], names)
		}
	}
	for id := range r.files {
		file := fmt.Sprint(id + 1)
		if places := r.possible(file); !slices.Contains(places, found[file]) {
			r.t.Fatalf("file %s is at %q, want one of %q", file, found[file], places)
		}
	}
}

func TestEachUnsyncedNameIsKeptOrLostOnItsOwn(t *testing.T) {
	m := NewMem()
	create(t, m, "a", "a")
	create(t, m, "b", "b")
	ok(t, m.SyncDir("."))
	ok(t, m.Remove("a"))
	ok(t, m.Rename("b", "c"))
	create(t, m, "d", "d")
	seen := map[string]bool{}
	for seed := range uint64(200) {
		names, err := m.Crash(picks(seed)).ReadDir("/")
		ok(t, err)
		seen[fmt.Sprint(names)] = true
	}
	for _, want := range []string{"[a b]", "[b]", "[a c]", "[c]", "[a b d]", "[b d]", "[a c d]", "[c d]"} {
		if !seen[want] {
			t.Errorf("never %s", want)
		}
		delete(seen, want)
	}
	if len(seen) > 0 {
		t.Errorf("also %v", seen)
	}
}

func TestAFileThatWasOnlyRenamedIsNeverLost(t *testing.T) {
	m := NewMem()
	create(t, m, "a", "")
	f, err := m.OpenWrite("a")
	ok(t, err)
	write(t, f, "keep me", 0)
	ok(t, f.Sync())
	ok(t, m.SyncDir("."))
	ok(t, m.Rename("a", "b"))
	create(t, m, "a", "") // in its old place
	ok(t, m.Rename("a", "c"))
	create(t, m, "a", "")
	for seed := range uint64(100) {
		c := m.Crash(picks(seed))
		found := 0
		names, err := c.ReadDir("/")
		ok(t, err)
		for _, name := range names {
			if contentOf(t, c, name) == "keep me" {
				found++
			}
		}
		if found != 1 {
			t.Fatalf("seed %d: found %d times in %q", seed, found, names)
		}
	}
}

func TestPendingChangesDoNotPileUp(t *testing.T) {
	m := NewMem()
	ok(t, m.MkdirAll("d")) // never synced
	for i := range 50 {
		create(t, m, fmt.Sprintf("d/%d", i%3), "x")
		ok(t, m.Rename(fmt.Sprintf("d/%d", i%3), "d/x"))
		ok(t, m.SyncDir("d"))
	}
	if len(m.pending) != 1 {
		t.Errorf("%d changes pending, want the one of d", len(m.pending))
	}
}
