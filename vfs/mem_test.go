package vfs

import (
	"fmt"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// picks returns a pick for Crash that a seed decides.
func picks(seed uint64) func(int) int {
	return rand.New(rand.NewPCG(seed, 0)).IntN
}

func keepNothing(int) int { return 0 }
func keepAll(n int) int   { return n - 1 }

// dump renders a whole tree.
func dump(t testing.TB, fsys FS, dir string) string {
	var s strings.Builder
	names, err := fsys.ReadDir(dir)
	ok(t, err)
	for _, name := range names {
		full := path.Join(dir, name)
		info, err := fsys.Stat(full)
		ok(t, err)
		if info.IsDir() {
			fmt.Fprintf(&s, "%s/\n%s", full, dump(t, fsys, full))
		} else {
			fmt.Fprintf(&s, "%s %q\n", full, contentOf(t, fsys, full))
		}
	}
	return s.String()
}

func TestNothingUnsyncedHasToSurviveACrash(t *testing.T) {
	m := NewMem()
	ok(t, m.MkdirAll("d"))
	create(t, m, "d/f", "text")
	if got := dump(t, m.Crash(keepNothing), "/"); got != "" {
		t.Errorf("left:\n%s", got)
	}
	if got := dump(t, m.Crash(keepAll), "/"); got != "/d/\n/d/f \"text\"\n" {
		t.Errorf("with all kept:\n%s", got)
	}
}

func TestASyncedFileNeedsItsNameSyncedUpToTheRoot(t *testing.T) {
	m := NewMem()
	ok(t, m.MkdirAll("d"))
	f, err := m.Create("d/f")
	ok(t, err)
	write(t, f, "text", 0)
	ok(t, f.Sync())
	ok(t, m.SyncDir("d"))
	wantNames(t, m.Crash(keepNothing), "/")
	ok(t, m.SyncDir("/"))
	wantContent(t, m.Crash(keepNothing), "d/f", "text")
}

func TestACrashTearsWritesBetweenSectors(t *testing.T) {
	const sectors = 8
	m := NewMem()
	f, err := m.Create("f")
	ok(t, err)
	write(t, f, strings.Repeat("o", sectors*SectorSize), 0)
	ok(t, f.Sync())
	ok(t, m.SyncDir("."))
	write(t, f, strings.Repeat("n", sectors*SectorSize), 0)
	seen := map[string]bool{}
	for seed := range uint64(200) {
		got := contentOf(t, m.Crash(picks(seed)), "f")
		pattern := ""
		for s := range sectors {
			sector := got[s*SectorSize : (s+1)*SectorSize]
			if sector != strings.Repeat(sector[:1], SectorSize) {
				t.Fatalf("seed %d: sector %d is mixed", seed, s)
			}
			pattern += sector[:1]
		}
		seen[pattern] = true
	}
	if len(seen) < 100 {
		t.Errorf("only %d of 256 outcomes in 200 crashes", len(seen))
	}
	ok(t, f.Sync())
	wantContent(t, m.Crash(keepNothing), "f", strings.Repeat("n", sectors*SectorSize))
}

func TestMapSyncCoversItsSectorsAndNotTheSize(t *testing.T) {
	m := NewMem()
	f, err := m.Create("f")
	ok(t, err)
	ok(t, m.SyncDir("."))
	ok(t, f.Preallocate(3*SectorSize))
	p, err := f.Map(3 * SectorSize)
	ok(t, err)
	copy(p.Bytes(), strings.Repeat("x", 3*SectorSize))
	ok(t, p.Sync(SectorSize+1, SectorSize+2))
	wantContent(t, m.Crash(keepNothing), "f", "")

	ok(t, f.Sync())
	copy(p.Bytes(), strings.Repeat("y", 3*SectorSize))
	ok(t, p.Sync(SectorSize+1, SectorSize+2))
	x, y := strings.Repeat("x", SectorSize), strings.Repeat("y", SectorSize)
	wantContent(t, m.Crash(keepNothing), "f", x+y+x)
	ok(t, p.Sync(SectorSize, SectorSize)) // empty
	wantContent(t, m.Crash(keepNothing), "f", x+y+x)
	ok(t, p.Sync(SectorSize-1, 2*SectorSize+1))
	wantContent(t, m.Crash(keepNothing), "f", y+y+y)
}

func TestATruncatedFileMayComeBackEmptyOrOld(t *testing.T) {
	m := NewMem()
	create(t, m, "f", "old content")
	f, err := m.OpenWrite("f")
	ok(t, err)
	ok(t, f.Sync())
	ok(t, m.SyncDir("."))
	create(t, m, "f", "new")
	seen := map[string]bool{}
	for seed := range uint64(100) {
		seen[contentOf(t, m.Crash(picks(seed)), "f")] = true
	}
	for _, want := range []string{"", "new", "old content", "old", "new\x00\x00\x00\x00\x00\x00\x00\x00"} {
		if !seen[want] {
			t.Errorf("never %q in %v", want, seen)
		}
		delete(seen, want)
	}
	if len(seen) > 0 {
		t.Errorf("also %v", seen)
	}
}

func TestWhatWasCutOffAndSyncedStaysZero(t *testing.T) {
	m := NewMem()
	create(t, m, "f", "secret")
	f, err := m.OpenWrite("f")
	ok(t, err)
	ok(t, f.Sync())
	ok(t, f.Truncate(0))
	ok(t, f.Sync())
	ok(t, m.SyncDir("."))
	ok(t, f.Truncate(6))
	wantContent(t, m, "f", "\x00\x00\x00\x00\x00\x00")
	for seed := range uint64(20) {
		if got := contentOf(t, m.Crash(picks(seed)), "f"); strings.Trim(got, "\x00") != "" {
			t.Fatalf("seed %d: %q", seed, got)
		}
	}
}

func TestASyncedSectorIsZeroPastTheEnd(t *testing.T) {
	m := NewMem()
	create(t, m, "f", "secret")
	f, err := m.OpenWrite("f")
	ok(t, err)
	ok(t, f.Sync())
	ok(t, m.SyncDir("."))
	ok(t, f.Truncate(1))
	p, err := f.Map(1)
	ok(t, err)
	ok(t, p.Sync(0, 1))
	wantContent(t, m.Crash(keepNothing), "f", "s\x00\x00\x00\x00\x00")
	wantContent(t, m.Crash(keepAll), "f", "s")
}

func TestARemovalThatWasNotSyncedMayBeUndone(t *testing.T) {
	m := NewMem()
	ok(t, WriteFile(m, "f", []byte("text")))
	ok(t, m.Remove("f"))
	wantContent(t, m.Crash(keepNothing), "f", "text")
	wantNames(t, m.Crash(keepAll), "/")
	ok(t, m.SyncDir("."))
	wantNames(t, m.Crash(keepNothing), "/")
}

func TestWriteFileIsAtomicAtEveryStep(t *testing.T) {
	for step := int64(1); ; step++ {
		m := NewMem()
		ok(t, WriteFile(m, "f", []byte("old")))
		failed := false
		faulty := NewFaulty(m, func(op Op) error {
			failed = failed || op.N == step
			if failed {
				return ErrNoSpace
			}
			return nil
		})
		err := WriteFile(faulty, "f", []byte("new"))
		if (err == nil) == failed {
			t.Fatalf("step %d: error %v", step, err)
		}
		for seed := range uint64(20) {
			got := contentOf(t, m.Crash(picks(seed)), "f")
			if got != "new" && (got != "old" || !failed) {
				t.Fatalf("step %d, seed %d: %q", step, seed, got)
			}
		}
		if !failed {
			break
		}
		if names, _ := m.ReadDir("."); step > 20 || len(names) == 0 {
			t.Fatalf("step %d: %q", step, names)
		}
	}
}

func TestACrashedDiskIsCutOffFromOldHandles(t *testing.T) {
	restart := func(m *Mem) *Mem { return m.Restart() }
	crash := func(m *Mem) *Mem { return m.Crash(keepAll) }
	for name, next := range map[string]func(*Mem) *Mem{"restart": restart, "crash": crash} {
		t.Run(name, func(t *testing.T) {
			m := NewMem()
			ok(t, WriteFile(m, "f", []byte("text")))
			f, err := m.OpenWrite("f")
			ok(t, err)
			p, err := f.Map(4)
			ok(t, err)
			_, err = m.Lock("lock")
			ok(t, err)
			ok(t, m.SyncDir("."))

			n := next(m)
			write(t, f, "F", 0)
			p.Bytes()[1] = 'M'
			ok(t, p.Sync(0, 4))
			ok(t, f.Sync())
			ok(t, m.Remove("lock"))
			ok(t, m.SyncDir("."))
			wantContent(t, n, "f", "text")
			wantContent(t, n.Crash(keepNothing), "f", "text")
			lock, err := n.Lock("lock")
			ok(t, err)
			ok(t, lock.Close())
			create(t, n, "f", "") // no longer mapped
			wantContent(t, m, "f", "FMxt")
		})
	}
}

func TestARestartKeepsAllAndForgetsNothingOfWhatIsNotDurable(t *testing.T) {
	m := NewMem()
	ok(t, WriteFile(m, "f", []byte("old")))
	create(t, m, "f", "new")
	create(t, m, "g", "g")
	ok(t, m.Rename("g", "h"))
	n := m.Restart()
	if got, want := dump(t, n, "/"), dump(t, m, "/"); got != want {
		t.Errorf("after the restart\n%swant\n%s", got, want)
	}
	for seed := range uint64(50) {
		if got, want := dump(t, n.Crash(picks(seed)), "/"), dump(t, m.Crash(picks(seed)), "/"); got != want {
			t.Fatalf("seed %d: after the restart\n%swant\n%s", seed, got, want)
		}
	}
}

func TestAMappedFileKeepsItsSize(t *testing.T) {
	m := NewMem()
	f, err := m.Create("f")
	ok(t, err)
	ok(t, f.Preallocate(100))
	p, err := f.Map(50)
	ok(t, err)
	wantErr(t, f.Truncate(99), errMapped)
	wantErr(t, f.Preallocate(101), errMapped)
	_, err = f.WriteAt([]byte("xx"), 99)
	wantErr(t, err, errMapped)
	_, err = m.Create("f")
	wantErr(t, err, errMapped)
	ok(t, f.Preallocate(100))
	write(t, f, "x", 99)
	ok(t, p.Close())
	ok(t, f.Truncate(99))
}

func TestCapacity(t *testing.T) {
	m := NewMem()
	m.SetCapacity(1000)
	f, err := m.Create("f")
	ok(t, err)
	ok(t, f.Preallocate(1000))
	wantFree(t, m, 0)
	write(t, f, "inside there is room", 500)
	g, err := m.Create("g")
	ok(t, err)
	_, err = g.WriteAt([]byte("x"), 0)
	wantErr(t, err, ErrNoSpace)
	wantErr(t, g.Preallocate(1), ErrNoSpace)
	ok(t, g.Sync())

	ok(t, f.Truncate(990))
	n, err := g.WriteAt([]byte("0123456789ab"), 0)
	wantErr(t, err, ErrNoSpace)
	if n != 10 {
		t.Errorf("wrote %d of 12 bytes into 10", n)
	}
	wantErr(t, g.Preallocate(11), ErrNoSpace)
	wantBytes(t, g, "0123456789")
	wantFree(t, m.Restart(), 0)

	ok(t, m.Remove("f"))
	wantFree(t, m, 0) // still open
	ok(t, f.Close())
	wantFree(t, m, 990)
	ok(t, g.Close())
	create(t, m, "new", "12345")
	ok(t, m.Rename("new", "g"))
	wantFree(t, m, 995)
	wantFree(t, m.Crash(keepAll), 995)
	wantFree(t, m.Crash(keepNothing), 1000)
	m.SetCapacity(1)
	wantFree(t, m, 0)
	wantContent(t, m, "g", "12345")
}

func wantFree(t testing.TB, m *Mem, want int64) {
	t.Helper()
	if free, err := m.Free("/"); free != want || err != nil {
		t.Errorf("%d free, %v; want %d", free, err, want)
	}
}

// TestCrashedContentIsSyncedOrCurrent compares with a model of one byte slice for
// each image and a list of sizes.
func TestCrashedContentIsSyncedOrCurrent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := contentRun{t: t, m: NewMem(), sizes: []int{0}}
		f, err := r.m.Create("f")
		r.ok(err)
		r.ok(r.m.SyncDir("/"))
		r.f = f
		for range rapid.IntRange(0, 25).Draw(t, "steps") {
			r.step()
		}
		for range 5 {
			r.check(r.m.Crash(picks(rapid.Uint64().Draw(t, "seed"))))
		}
	})
}

const contentMax = 4 * SectorSize

type contentRun struct {
	t *rapid.T
	m *Mem
	f File
	p Map // nil if none

	now, synced [contentMax]byte // zero beyond the size
	size        int
	sizes       []int // the synced size, then each one since
}

func (r *contentRun) ok(err error) {
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *contentRun) step() {
	t := r.t
	off := rapid.IntRange(0, contentMax-1).Draw(t, "off")
	end := rapid.IntRange(off+1, contentMax).Draw(t, "end")
	fill := rapid.Byte().Draw(t, "fill")
	switch op := rapid.SampledFrom([]string{"write", "write", "truncate", "preallocate", "sync", "map", "unmap", "mapwrite", "mapsync"}).Draw(t, "op"); {
	case op == "write" && (r.p == nil || end <= r.size):
		_, err := r.f.WriteAt(slices.Repeat([]byte{fill}, end-off), int64(off))
		r.ok(err)
		r.fill(off, end, fill)
		r.resize(max(r.size, end))
	case op == "truncate" && r.p == nil:
		r.ok(r.f.Truncate(int64(off)))
		r.resize(off)
	case op == "preallocate" && r.p == nil:
		r.ok(r.f.Preallocate(int64(end)))
		r.resize(max(r.size, end))
	case op == "sync":
		r.ok(r.f.Sync())
		r.synced, r.sizes = r.now, []int{r.size}
	case op == "map" && r.p == nil && r.size > 0:
		p, err := r.f.Map(r.size)
		r.ok(err)
		r.p = p
	case op == "unmap" && r.p != nil:
		r.ok(r.p.Close())
		r.p = nil
	case op == "mapwrite" && r.p != nil && end <= r.size:
		copy(r.p.Bytes()[off:], slices.Repeat([]byte{fill}, end-off))
		r.fill(off, end, fill)
	case op == "mapsync" && r.p != nil && end <= r.size:
		r.ok(r.p.Sync(off, end))
		for i := range contentMax {
			if i/SectorSize >= off/SectorSize && i/SectorSize <= (end-1)/SectorSize {
				r.synced[i] = r.now[i]
			}
		}
	}
}

func (r *contentRun) fill(off, end int, fill byte) {
	for i := off; i < end; i++ {
		r.now[i] = fill
	}
}

func (r *contentRun) resize(size int) {
	for i := size; i < contentMax; i++ {
		r.now[i] = 0
	}
	r.size = size
	r.sizes = append(r.sizes, size)
}

func (r *contentRun) check(crashed *Mem) {
	got, err := ReadFile(crashed, "f", contentMax)
	r.ok(err)
	if !slices.Contains(r.sizes, len(got)) {
		r.t.Fatalf("size %d, want one of %v", len(got), r.sizes)
	}
	for at := 0; at < len(got); at += SectorSize {
		end := min(at+SectorSize, len(got))
		sector := string(got[at:end])
		if sector != string(r.now[at:end]) && sector != string(r.synced[at:end]) {
			r.t.Fatalf("sector at %d is neither the synced nor the current one", at)
		}
	}
}
