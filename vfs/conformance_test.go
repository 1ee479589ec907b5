package vfs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"testing"
	"unsafe"
)

// TestConformance holds every implementation to the contract of FS, File, Map.
func TestConformance(t *testing.T) {
	impls := map[string]func(t *testing.T) (FS, string){
		"os":            func(t *testing.T) (FS, string) { return OS(), t.TempDir() },
		"mem":           func(t *testing.T) (FS, string) { return memIn(t, "/data") },
		"mem relative":  func(t *testing.T) (FS, string) { return NewMem(), "." },
		"mem restarted": func(t *testing.T) (FS, string) { m, dir := memIn(t, "d"); return m.Restart(), dir },
		"mem crashed": func(t *testing.T) (FS, string) {
			m, dir := memIn(t, "d")
			ok(t, m.SyncDir("/"))
			return m.Crash(func(int) int { return 0 }), dir
		},
		"faulty os":  func(t *testing.T) (FS, string) { return NewFaulty(OS(), nil), t.TempDir() },
		"faulty mem": func(t *testing.T) (FS, string) { m, dir := memIn(t, "d"); return NewFaulty(m, nil), dir },
	}
	tests := map[string]func(t *testing.T, fsys FS, dir string){
		"names":                              testNames,
		"missing names are fs.ErrNotExist":   testMissing,
		"files are not directories":          testKinds,
		"rename":                             testRename,
		"read and write":                     testReadWrite,
		"create truncates":                   testCreateTruncates,
		"read-only files refuse":             testReadOnly,
		"closed files are fs.ErrClosed":      testClosed,
		"removed files stay usable":          testRemoved,
		"preallocate":                        testPreallocate,
		"map and file are one":               testMap,
		"map refuses":                        testMapRefuses,
		"map asserts its ranges":             testMapRange,
		"map sync runs beside other writers": testMapConcurrent,
		"lock":                               testLock,
		"free":                               testFree,
		"whole files":                        testWholeFiles,
	}
	for impl, open := range impls {
		for name, test := range tests {
			t.Run(impl+"/"+name, func(t *testing.T) {
				fsys, dir := open(t)
				test(t, fsys, dir)
			})
		}
	}
}

func memIn(t *testing.T, dir string) (*Mem, string) {
	m := NewMem()
	ok(t, m.MkdirAll(dir))
	return m, dir
}

func testNames(t *testing.T, fsys FS, dir string) {
	ok(t, fsys.MkdirAll(dir+"/x/y"))
	ok(t, fsys.MkdirAll(dir+"/x/y"))
	for _, name := range []string{"c", "a", "b"} {
		create(t, fsys, dir+"/x/"+name, name)
	}
	wantNames(t, fsys, dir+"/x", "a", "b", "c", "y")
	wantNames(t, fsys, dir+"/x/y")
	ok(t, fsys.Remove(dir+"/x/b"))
	wantNames(t, fsys, dir+"/x", "a", "c", "y")
	wantErr(t, fsys.Remove(dir+"/x"), fs.ErrExist)
	ok(t, fsys.Remove(dir+"/x/y"))
	ok(t, fsys.SyncDir(dir+"/x"))

	info, err := fsys.Stat(dir + "/x/a")
	ok(t, err)
	if info.Name() != "a" || info.Size() != 1 || info.IsDir() || info.Mode() != 0o600 {
		t.Errorf("stat a: %s %d %v %v", info.Name(), info.Size(), info.IsDir(), info.Mode())
	}
	info, err = fsys.Stat(dir + "/x")
	ok(t, err)
	if info.Name() != "x" || !info.IsDir() || info.Mode() != fs.ModeDir|0o700 {
		t.Errorf("stat x: %s %v %v", info.Name(), info.IsDir(), info.Mode())
	}
}

func testMissing(t *testing.T, fsys FS, dir string) {
	_, err := fsys.Open(dir + "/no")
	wantErr(t, err, fs.ErrNotExist)
	_, err = fsys.OpenWrite(dir + "/no")
	wantErr(t, err, fs.ErrNotExist)
	_, err = fsys.Create(dir + "/no/file")
	wantErr(t, err, fs.ErrNotExist)
	_, err = fsys.Lock(dir + "/no/lock")
	wantErr(t, err, fs.ErrNotExist)
	_, err = fsys.Stat(dir + "/no")
	wantErr(t, err, fs.ErrNotExist)
	_, err = fsys.ReadDir(dir + "/no")
	wantErr(t, err, fs.ErrNotExist)
	_, err = fsys.Free(dir + "/no")
	wantErr(t, err, fs.ErrNotExist)
	wantErr(t, fsys.SyncDir(dir+"/no"), fs.ErrNotExist)
	wantErr(t, fsys.Remove(dir+"/no"), fs.ErrNotExist)
	wantErr(t, fsys.Rename(dir+"/no", dir+"/b"), fs.ErrNotExist)
	create(t, fsys, dir+"/a", "")
	wantErr(t, fsys.Rename(dir+"/a", dir+"/no/a"), fs.ErrNotExist)
	wantNames(t, fsys, dir, "a")
}

func testKinds(t *testing.T, fsys FS, dir string) {
	create(t, fsys, dir+"/file", "")
	ok(t, fsys.MkdirAll(dir+"/sub"))
	wantErr(t, fsys.MkdirAll(dir+"/file"), nil)
	wantErr(t, fsys.MkdirAll(dir+"/file/x"), nil)
	_, err := fsys.Create(dir + "/sub")
	wantErr(t, err, nil)
	_, err = fsys.OpenWrite(dir + "/sub")
	wantErr(t, err, nil)
	_, err = fsys.ReadDir(dir + "/file")
	wantErr(t, err, nil)
	_, err = fsys.Open(dir + "/file/x")
	wantErr(t, err, nil)
	wantErr(t, fsys.Rename(dir+"/sub", dir+"/file"), nil)
	wantErr(t, fsys.Rename(dir+"/file", dir+"/sub"), fs.ErrExist)
	wantErr(t, fsys.Rename(dir+"/sub", dir+"/sub/sub"), nil)
	wantNames(t, fsys, dir, "file", "sub")
}

func testRename(t *testing.T, fsys FS, dir string) {
	create(t, fsys, dir+"/a", "from a")
	create(t, fsys, dir+"/b", "from b")
	ok(t, fsys.Rename(dir+"/a", dir+"/b"))
	wantNames(t, fsys, dir, "b")
	wantContent(t, fsys, dir+"/b", "from a")
	ok(t, fsys.Rename(dir+"/b", dir+"/b"))
	ok(t, fsys.MkdirAll(dir+"/sub"))
	ok(t, fsys.Rename(dir+"/b", dir+"/sub/c"))
	ok(t, fsys.Rename(dir+"/sub", dir+"/moved"))
	wantNames(t, fsys, dir, "moved")
	wantContent(t, fsys, dir+"/moved/c", "from a")
}

func testReadWrite(t *testing.T, fsys FS, dir string) {
	f, err := fsys.Create(dir + "/f")
	ok(t, err)
	if f.Name() != dir+"/f" {
		t.Errorf("name %q", f.Name())
	}
	write(t, f, "world", 6)
	write(t, f, "hello", 0)
	wantBytes(t, f, "hello\x00world")
	for _, tt := range []struct {
		off, n int
		want   string
		err    error
	}{{0, 5, "hello", nil}, {6, 5, "world", nil}, {6, 6, "world", io.EOF}, {11, 1, "", io.EOF}, {99, 1, "", io.EOF}, {99, 0, "", nil}} {
		b := make([]byte, tt.n)
		n, err := f.ReadAt(b, int64(tt.off))
		if string(b[:n]) != tt.want || err != tt.err {
			t.Errorf("read %d bytes at %d: %q, %v", tt.n, tt.off, b[:n], err)
		}
	}
	_, err = f.ReadAt(make([]byte, 1), -1)
	wantErr(t, err, nil)
	_, err = f.WriteAt([]byte("x"), -1)
	wantErr(t, err, nil)
	ok(t, f.Truncate(3))
	ok(t, f.Truncate(5))
	wantBytes(t, f, "hel\x00\x00")
	wantErr(t, f.Truncate(-1), nil)
	ok(t, f.Sync())
	ok(t, f.Close())
	wantContent(t, fsys, dir+"/f", "hel\x00\x00")
}

func testCreateTruncates(t *testing.T, fsys FS, dir string) {
	create(t, fsys, dir+"/f", "long content")
	old, err := fsys.Open(dir + "/f")
	ok(t, err)
	create(t, fsys, dir+"/f", "new")
	wantBytes(t, old, "new")
	ok(t, old.Close())
}

func testReadOnly(t *testing.T, fsys FS, dir string) {
	create(t, fsys, dir+"/f", "content")
	f, err := fsys.Open(dir + "/f")
	ok(t, err)
	_, err = f.WriteAt([]byte("x"), 0)
	wantErr(t, err, nil)
	wantErr(t, f.Truncate(1), nil)
	wantErr(t, f.Preallocate(100), nil)
	_, err = f.Map(7)
	wantErr(t, err, nil)
	wantBytes(t, f, "content")
	ok(t, f.Close())
}

func testClosed(t *testing.T, fsys FS, dir string) {
	f, err := fsys.Create(dir + "/f")
	ok(t, err)
	ok(t, f.Truncate(10))
	m, err := f.Map(10)
	ok(t, err)
	ok(t, f.Close())
	m.Bytes()[9] = 1 // the map outlives the file
	ok(t, m.Sync(0, 10))
	ok(t, m.Close())

	wantErr(t, f.Close(), fs.ErrClosed)
	wantErr(t, f.Sync(), fs.ErrClosed)
	wantErr(t, f.Truncate(1), fs.ErrClosed)
	wantErr(t, f.Preallocate(1), fs.ErrClosed)
	_, err = f.Size()
	wantErr(t, err, fs.ErrClosed)
	_, err = f.ReadAt(make([]byte, 1), 0)
	wantErr(t, err, fs.ErrClosed)
	_, err = f.WriteAt(make([]byte, 1), 0)
	wantErr(t, err, fs.ErrClosed)
	_, err = f.Map(1)
	wantErr(t, err, fs.ErrClosed)
	wantErr(t, m.Sync(0, 1), fs.ErrClosed)
	wantErr(t, m.Close(), fs.ErrClosed)
}

func testRemoved(t *testing.T, fsys FS, dir string) {
	f, err := fsys.Create(dir + "/f")
	ok(t, err)
	write(t, f, "still here", 0)
	ok(t, fsys.Remove(dir+"/f"))
	wantNames(t, fsys, dir)
	write(t, f, "STILL", 0)
	wantBytes(t, f, "STILL here")
	ok(t, f.Sync())
	ok(t, f.Close())
}

func testPreallocate(t *testing.T, fsys FS, dir string) {
	f, err := fsys.Create(dir + "/f")
	ok(t, err)
	write(t, f, "head", 0)
	ok(t, f.Preallocate(10_000))
	wantBytes(t, f, "head"+strings.Repeat("\x00", 9_996))
	ok(t, f.Preallocate(100)) // never shrinks
	wantBytes(t, f, "head"+strings.Repeat("\x00", 9_996))
	ok(t, f.Preallocate(0))
	ok(t, f.Close())
}

func testMap(t *testing.T, fsys FS, dir string) {
	f, err := fsys.Create(dir + "/f")
	ok(t, err)
	ok(t, f.Preallocate(3*4096+17))
	ok(t, f.Sync())
	m, err := f.Map(3*4096 + 17)
	ok(t, err)
	second, err := f.Map(4096)
	ok(t, err)
	b := m.Bytes()
	if len(b) != 3*4096+17 || len(second.Bytes()) != 4096 {
		t.Fatalf("mapped %d and %d bytes", len(b), len(second.Bytes()))
	}
	for _, bytes := range [][]byte{b, second.Bytes()} {
		if start := uintptr(unsafe.Pointer(&bytes[0])); start%4096 != 0 {
			t.Errorf("map starts at %#x", start)
		}
	}
	copy(b[4090:], "from the map")
	got := make([]byte, 12)
	_, err = f.ReadAt(got, 4090)
	ok(t, err)
	write(t, f, "by write", 100)
	if string(got) != "from the map" || string(b[100:108]) != "by write" || string(second.Bytes()[4090:]) != "from t" {
		t.Errorf("%q, %q, %q", got, b[100:108], second.Bytes()[4090:])
	}
	StoreUint64(b, 8, 42)
	if LoadUint64(second.Bytes(), 8) != 42 {
		t.Error("the two maps differ")
	}
	for _, r := range [][2]int{{0, len(b)}, {0, 0}, {4095, 4097}, {5000, 5001}, {len(b), len(b)}, {len(b) - 1, len(b)}} {
		ok(t, m.Sync(r[0], r[1]))
	}
	ok(t, second.Close())
	ok(t, m.Close())
	ok(t, f.Close())
	again, err := fsys.OpenWrite(dir + "/f")
	ok(t, err)
	_, err = again.ReadAt(got, 4090)
	ok(t, err)
	if string(got) != "from the map" {
		t.Errorf("after closing: %q", got)
	}
	ok(t, again.Close())
}

func testMapRefuses(t *testing.T, fsys FS, dir string) {
	f, err := fsys.Create(dir + "/f")
	ok(t, err)
	ok(t, f.Preallocate(100))
	for _, size := range []int{101, 0, -1} {
		if _, err = f.Map(size); err == nil || !strings.Contains(err.Error(), "preallocate it first") {
			t.Errorf("map %d of 100 bytes: %v", size, err)
		}
	}
	m, err := f.Map(100)
	ok(t, err)
	ok(t, m.Close())
	ok(t, f.Close())
}

func testMapRange(t *testing.T, fsys FS, dir string) {
	f, err := fsys.Create(dir + "/f")
	ok(t, err)
	ok(t, f.Preallocate(100))
	m, err := f.Map(100)
	ok(t, err)
	for _, r := range [][2]int{{-1, 1}, {0, 101}, {2, 1}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("sync [%d, %d) of 100 bytes didn't panic", r[0], r[1])
				}
			}()
			m.Sync(r[0], r[1])
		}()
	}
	ok(t, m.Close())
	ok(t, f.Close())
}

// testMapConcurrent is of use with -race: a device may read what others write.
func testMapConcurrent(t *testing.T, fsys FS, dir string) {
	const writers, each = 4, 1000
	f, err := fsys.Create(dir + "/f")
	ok(t, err)
	ok(t, f.Preallocate(writers*each))
	m, err := f.Map(writers * each)
	ok(t, err)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				m.Bytes()[w*each+i] = byte(w + 1)
			}
		})
	}
	buf := make([]byte, writers*each)
	for range 5 {
		ok(t, m.Sync(0, writers*each))
		_, err := f.ReadAt(buf, 0)
		ok(t, err)
	}
	wg.Wait()
	_, err = f.ReadAt(buf, 0)
	ok(t, err)
	for w := range writers {
		if want := bytes.Repeat([]byte{byte(w + 1)}, each); !bytes.Equal(buf[w*each:(w+1)*each], want) {
			t.Errorf("writer %d's bytes differ", w)
		}
	}
	ok(t, m.Close())
	ok(t, f.Close())
}

func testLock(t *testing.T, fsys FS, dir string) {
	lock, err := fsys.Lock(dir + "/lock")
	ok(t, err)
	_, err = fsys.Lock(dir + "/lock")
	wantErr(t, err, ErrLocked)
	other, err := fsys.Lock(dir + "/other")
	ok(t, err)
	ok(t, other.Close())
	_, err = fsys.Lock(dir + "/lock")
	wantErr(t, err, ErrLocked)
	ok(t, lock.Close())
	wantErr(t, lock.Close(), fs.ErrClosed)
	wantNames(t, fsys, dir, "lock", "other")
	again, err := fsys.Lock(dir + "/lock")
	ok(t, err)
	ok(t, again.Close())
}

func testFree(t *testing.T, fsys FS, dir string) {
	free, err := fsys.Free(dir)
	ok(t, err)
	if free <= 0 {
		t.Errorf("%d bytes free", free)
	}
}

func testWholeFiles(t *testing.T, fsys FS, dir string) {
	ok(t, WriteFile(fsys, dir+"/f", []byte("first, and longer")))
	create(t, fsys, dir+"/f.tmp", "what a crash left, longer than anything else here")
	ok(t, WriteFile(fsys, dir+"/f", []byte("second")))
	wantNames(t, fsys, dir, "f")
	got, err := ReadFile(fsys, dir+"/f", 6)
	ok(t, err)
	if string(got) != "second" {
		t.Errorf("read %q", got)
	}
	if _, err := ReadFile(fsys, dir+"/f", 5); err == nil || !strings.Contains(err.Error(), "it has 6 bytes, at most 5") {
		t.Errorf("too long: %v", err)
	}
	_, err = ReadFile(fsys, dir+"/no", 5)
	wantErr(t, err, fs.ErrNotExist)
}

// Helpers of all tests of the package.

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wantErr wants an error that is target; any if that is nil.
func wantErr(t testing.TB, err, target error) {
	t.Helper()
	if err == nil || target != nil && !errors.Is(err, target) {
		t.Errorf("error %v, want %v", err, cmpErr(target, errors.New("any")))
	}
}

func create(t testing.TB, fsys FS, name, data string) {
	t.Helper()
	f, err := fsys.Create(name)
	ok(t, err)
	write(t, f, data, 0)
	ok(t, f.Close())
}

func write(t testing.TB, f File, data string, off int64) {
	t.Helper()
	if n, err := f.WriteAt([]byte(data), off); n != len(data) || err != nil {
		t.Fatalf("write %q at %d: %d, %v", data, off, n, err)
	}
}

func wantNames(t testing.TB, fsys FS, dir string, want ...string) {
	t.Helper()
	got, err := fsys.ReadDir(dir)
	ok(t, err)
	if !slices.Equal(got, want) {
		t.Errorf("%s holds %q, want %q", dir, got, want)
	}
}

func wantContent(t testing.TB, fsys FS, name, want string) {
	t.Helper()
	if got := contentOf(t, fsys, name); got != want {
		t.Errorf("%s holds %s, want %s", name, brief(got), brief(want))
	}
}

func contentOf(t testing.TB, fsys FS, name string) string {
	t.Helper()
	b, err := ReadFile(fsys, name, 1<<30)
	ok(t, err)
	return string(b)
}

func wantBytes(t testing.TB, f File, want string) {
	t.Helper()
	size, err := f.Size()
	ok(t, err)
	b := make([]byte, size)
	_, err = f.ReadAt(b, 0)
	ok(t, err)
	if string(b) != want {
		t.Errorf("%s holds %s, want %s", f.Name(), brief(string(b)), brief(want))
	}
}

func brief(s string) string {
	if len(s) > 60 {
		return fmt.Sprintf("%q… (%d bytes)", s[:60], len(s))
	}
	return fmt.Sprintf("%q", s)
}
