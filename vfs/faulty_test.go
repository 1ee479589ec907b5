package vfs

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// everyOp does each operation once.
func everyOp(fsys FS) error {
	var errs []error
	try := func(err error) { errs = append(errs, err) }
	try(fsys.MkdirAll("d"))
	f, err := fsys.Create("d/f")
	try(err)
	if f != nil {
		try(f.Preallocate(100))
		_, err = f.WriteAt([]byte("text"), 10)
		try(err)
		_, err = f.ReadAt(make([]byte, 4), 10)
		try(err)
		try(f.Truncate(50))
		try(f.Sync())
		_, err = f.Size()
		try(err)
		m, err := f.Map(20)
		try(err)
		if m != nil {
			try(m.Sync(10, 14))
			try(m.Close())
		}
		try(f.Close())
	}
	for _, open := range []func(string) (File, error){fsys.Open, fsys.OpenWrite} {
		f, err := open("d/f")
		try(err)
		if f != nil {
			try(f.Close())
		}
	}
	_, err = fsys.Stat("d")
	try(err)
	_, err = fsys.ReadDir("d")
	try(err)
	_, err = fsys.Free("d")
	try(err)
	_, err = fsys.Lock("d/lock")
	try(err)
	try(fsys.Rename("d/f", "d/g"))
	try(fsys.SyncDir("d"))
	try(fsys.Remove("d/g"))
	return errors.Join(errs...)
}

const everyOpText = `1 mkdir d
2 create d/f
3 preallocate d/f size 100
4 write d/f [10, 14)
5 read d/f [10, 14)
6 truncate d/f size 50
7 sync d/f
8 size d/f
9 map d/f size 20
10 mapsync d/f [10, 14)
11 open d/f
12 openwrite d/f
13 stat d
14 readdir d
15 free d
16 lock d/lock
17 rename d/f to d/g
18 syncdir d
19 remove d/g`

func TestFaultySeesEveryOperationBeforeItHappens(t *testing.T) {
	var ops []string
	kinds := map[OpKind]bool{}
	m := NewMem()
	f := NewFaulty(m, func(op Op) error {
		ops = append(ops, op.String())
		kinds[op.Kind] = true
		if op.Kind == OpRename {
			wantNames(t, m, "d", "f", "lock")
		}
		return nil
	})
	ok(t, everyOp(f))
	if got := strings.Join(ops, "\n"); got != everyOpText {
		t.Errorf("operations:\n%s", got)
	}
	if f.Ops() != int64(len(ops)) || len(kinds) != int(kindCount) {
		t.Errorf("%d counted, %d of %d kinds", f.Ops(), len(kinds), kindCount)
	}
}

func TestAnInjectedErrorKeepsTheOperationFromHappening(t *testing.T) {
	injected := errors.New("injected")
	for i, text := range strings.Split(everyOpText, "\n") {
		m := NewMem()
		var before string
		f := NewFaulty(m, func(op Op) error {
			if op.N == int64(i+1) {
				before = dump(t, m, "/")
				return injected
			}
			if op.N > int64(i+1) {
				return errors.New("stopped")
			}
			return nil
		})
		err := everyOp(f)
		wantErr(t, err, injected)
		kind := OpKind(slices.Index(kindNames[:], strings.Fields(text)[1]))
		if after := dump(t, m, "/"); after != before {
			t.Errorf("%s happened:\n%s\n%s", text, before, after)
		}
		if want := fmt.Sprintf("%s %s: injected", kind, strings.Fields(text)[2]); !strings.Contains(err.Error(), want) {
			t.Errorf("error %q, want %q in it", err, want)
		}
	}
}

func TestShortLetsAPrefixHappen(t *testing.T) {
	m := NewMem()
	n := 0
	f := NewFaulty(m, func(op Op) error {
		if op.Kind == OpWrite || op.Kind == OpMapSync {
			return fmt.Errorf("wrapped: %w", &Short{N: n, Err: ErrNoSpace})
		}
		return nil
	})
	file, err := f.Create("f")
	ok(t, err)
	for _, tt := range []struct {
		n, want int
		content string
	}{{0, 0, ""}, {-1, 0, ""}, {2, 2, "01"}, {3, 3, "012"}, {99, 5, "01234"}} {
		n = tt.n
		wrote, err := file.WriteAt([]byte("01234"), 0)
		wantErr(t, err, ErrNoSpace)
		if wrote != tt.want {
			t.Errorf("short %d: wrote %d", tt.n, wrote)
		}
		wantBytes(t, file, tt.content)
	}
	ok(t, file.Preallocate(2*SectorSize))
	ok(t, file.Sync())
	ok(t, f.SyncDir("."))
	p, err := file.Map(2 * SectorSize)
	ok(t, err)
	p.Bytes()[0], p.Bytes()[2*SectorSize-1] = 'x', 'y'
	n = SectorSize
	wantErr(t, p.Sync(0, 2*SectorSize), ErrNoSpace)
	got := contentOf(t, m.Crash(keepNothing), "f")
	if got[0] != 'x' || got[2*SectorSize-1] != 0 {
		t.Errorf("synced %q and %q", got[0], got[2*SectorSize-1])
	}
}

func TestDecideMayCrashTheInnerMem(t *testing.T) {
	m := NewMem()
	var crashed *Mem
	f := NewFaulty(m, func(op Op) error {
		if op.Kind == OpRename {
			crashed = m.Crash(keepAll)
		}
		return nil
	})
	ok(t, WriteFile(f, "f", []byte("text")))
	wantNames(t, crashed, "/", "f.tmp")
	wantNames(t, m, "/", "f")
}

func TestKindsThatChange(t *testing.T) {
	var reads []string
	for k := range kindCount {
		if !k.Changes() {
			reads = append(reads, k.String())
		}
	}
	if got := strings.Join(reads, " "); got != "open openwrite readdir stat free read size map" {
		t.Errorf("kinds that don't change: %s", got)
	}
	if got := OpKind(200).String(); got != "kind(200)" {
		t.Error(got)
	}
}
