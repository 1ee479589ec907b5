package journal

import (
	"context"
	"errors"
	"io"
	"path"
	"strings"
	"testing"

	"hindcast.dev/vfs"
)

func TestAFullDiskRefusesFramesUntilThereIsSpaceAgain(t *testing.T) {
	fsys := vfs.NewMem()
	o := options(fsys)
	o.SegmentBytes = 8 << 10
	j := mustOpen(t, o)
	fsys.SetCapacity(0)
	n := 0
	for ; ; n++ {
		if err := j.Append(message(n + 1)); err == ErrFull {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		mustStamp(t, j)
	}
	if err := j.Maintain(); !errors.Is(err, vfs.ErrNoSpace) || errors.Is(err, ErrSyncFailed) {
		t.Fatalf("Maintain on a full disk: %v", err)
	}
	if err := j.Append(message(n + 1)); err != ErrFull {
		t.Fatalf("Append on a full disk: %v", err)
	}
	if got := readAll(t, mustReader(t, fsys, 0)); len(got) != n {
		t.Errorf("reads on a full disk: %d of %d", len(got), n)
	}
	if j.Counts().Full != 2 {
		t.Errorf("%d refusals are counted", j.Counts().Full)
	}
	mustSync(t, j)
	fsys.SetCapacity(1 << 30)
	fill(t, j, n+1, 100)
	mustClose(t, j)
	if got := readAll(t, mustReader(t, fsys, 0)); len(got) != n+100 {
		t.Errorf("%d events of %d", len(got), n+100)
	}
}

func TestADiskFullAtTheStartIsAnErrorAndNotADamagedJournal(t *testing.T) {
	fsys := vfs.NewMem()
	fsys.SetCapacity(10 << 10)
	if _, err := Open(options(fsys)); !errors.Is(err, vfs.ErrNoSpace) {
		t.Fatalf("Open on a full disk: %v", err)
	}
	fsys.SetCapacity(1 << 20)
	j := mustOpen(t, options(fsys))
	fill(t, j, 1, 10)
	mustClose(t, j)
}

// Whichever preallocation fails, nothing is lost and the next Maintain goes on.
func TestEveryPreallocationMayFail(t *testing.T) {
	for k := 1; ; k++ {
		preallocations := 0
		inner := vfs.NewMem()
		fsys := vfs.NewFaulty(inner, func(op vfs.Op) error {
			if op.Kind == vfs.OpPreallocate {
				if preallocations++; preallocations == k {
					return vfs.ErrNoSpace
				}
			}
			return nil
		})
		o := options(fsys)
		o.SegmentBytes = 8 << 10
		j, err := Open(o)
		if errors.Is(err, vfs.ErrNoSpace) {
			j, err = Open(o)
		}
		if err != nil {
			t.Fatal(err)
		}
		for i := range 150 {
			for tries := 0; ; tries++ {
				if err = j.Append(message(i + 1)); err != ErrFull || tries > 3 {
					break
				}
				if err := j.Maintain(); err != nil && !errors.Is(err, vfs.ErrNoSpace) {
					t.Fatal(err)
				}
			}
			if err != nil {
				t.Fatal(err)
			}
			mustStamp(t, j)
		}
		mustClose(t, j)
		if got := readAll(t, mustReader(t, inner, 0)); len(got) != 150 {
			t.Fatalf("preallocation %d failed: %d events are left", k, len(got))
		}
		if preallocations < k {
			if k < 4 {
				t.Fatalf("only %d preallocations", preallocations)
			}
			return
		}
	}
}

func TestAFailedSyncIsFinal(t *testing.T) {
	broken := errors.New("device is gone")
	for _, kind := range []vfs.OpKind{vfs.OpMapSync, vfs.OpSync, vfs.OpSyncDir} {
		inner := vfs.NewMem()
		on, fails := false, 0
		fsys := vfs.NewFaulty(inner, func(op vfs.Op) error {
			if on && op.Kind == kind {
				fails++
				if fails == 1 {
					return broken
				}
			}
			return nil
		})
		o := options(fsys)
		o.SegmentBytes = 8 << 10
		j := mustOpen(t, o)
		fill(t, j, 1, 5)
		if got := mustSync(t, j); got != 5 {
			t.Fatalf("durable up to %d", got)
		}
		on = true
		mustAppend(t, j, message(6))
		mustStamp(t, j)
		err := provoke(t, j)
		if !errors.Is(err, ErrSyncFailed) || !errors.Is(err, broken) {
			t.Fatalf("%v: %v", kind, err)
		}
		// The device works again, but nothing is retried.
		for what, err := range map[string]error{
			"Append": j.Append(message(7)), "Sync": second(j.Sync()), "Maintain": j.Maintain(),
			"RaiseCeiling": j.RaiseCeiling(1 << 40), "Wait": j.Wait(context.Background(), 100), "Close": j.Close(),
		} {
			if !errors.Is(err, ErrSyncFailed) {
				t.Errorf("%v: %s after it: %v", kind, what, err)
			}
		}
		if _, _, err := j.Next(); !errors.Is(err, ErrSyncFailed) {
			t.Errorf("%v: Next after it: %v", kind, err)
		}
		o.FS = inner
		j = mustOpen(t, o)
		if r := j.Recovery(); r.Ending != Killed || r.Last.Seq < 5 {
			t.Errorf("%v: %+v", kind, r)
		}
		mustClose(t, j)
	}
}

func second(_ uint64, err error) error { return err }

// provoke does everything that syncs until something fails.
func provoke(t *testing.T, j *Journal) error {
	for range 10 {
		if err := j.RaiseCeiling(j.Ceiling() + 1); err != nil {
			return err
		}
		if _, err := j.Sync(); err != nil {
			return err
		}
		for j.Append(message(1)) == nil {
			mustStamp(t, j)
		}
		if err := j.Maintain(); err != nil {
			return err
		}
	}
	return nil
}

// build makes a closed journal of n events in small segments.
func build(t testing.TB, n int) *vfs.Mem {
	t.Helper()
	fsys := vfs.NewMem()
	o := options(fsys)
	o.SegmentBytes = 8 << 10
	j := mustOpen(t, o)
	fill(t, j, 1, n)
	mustClose(t, j)
	return fsys
}

func reopen(fsys vfs.FS) error {
	o := options(fsys)
	o.SegmentBytes = 8 << 10
	j, err := Open(o)
	if err != nil {
		return err
	}
	return j.Close()
}

func overwrite(t testing.TB, fsys vfs.FS, name string, b []byte) {
	t.Helper()
	f, err := fsys.Create(path.Join(testDir, name))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(b, 0); err != nil {
		t.Fatal(err)
	}
	f.Close()
}

func content(t testing.TB, fsys vfs.FS, name string) []byte {
	t.Helper()
	b, err := vfs.ReadFile(fsys, path.Join(testDir, name), 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestBadFilesAreNamedForWhatTheyAre(t *testing.T) {
	const last = "00000003.seg" // of 80 events
	for _, c := range []struct {
		name    string
		file    string
		change  func(b []byte) []byte
		problem error
	}{
		{"truncated segment", last, func(b []byte) []byte { return b[:5000] }, ErrUnexpectedEnd},
		{"segment truncated in its header", last, func(b []byte) []byte { return b[:100] }, ErrUnexpectedEnd},
		{"empty segment", last, func(b []byte) []byte { return nil }, ErrUnexpectedEnd},
		{"truncated first segment", "00000001.seg", func(b []byte) []byte { return b[:5000] }, ErrUnexpectedEnd},
		{"segment that grew", last, func(b []byte) []byte { return append(b, 1) }, ErrCorrupt},
		{"segment of another version", last, func(b []byte) []byte { b[8] = 9; return b }, ErrVersion},
		{"foreign segment", last, func(b []byte) []byte { return append([]byte("%PDF-1.7"), b[8:]...) }, ErrForeign},
		{"another segment's bytes", last, nil, ErrForeign},
		{"flipped header", last, func(b []byte) []byte { b[30] ^= 1; return b }, ErrCorrupt},
		{"flipped payload", last, func(b []byte) []byte { b[4096+70] ^= 1; return b }, ErrCorrupt},
		{"flipped stamp", last, func(b []byte) []byte { b[4096+112-20] ^= 1; return b }, ErrCorrupt},
		{"truncated meta", "meta", func(b []byte) []byte { return b[:600] }, ErrUnexpectedEnd},
		{"empty meta", "meta", func(b []byte) []byte { return nil }, ErrUnexpectedEnd},
		{"foreign meta", "meta", func(b []byte) []byte { return []byte(strings.Repeat("foreign ", 1024)) }, ErrForeign},
		{"meta of another version", "meta", func(b []byte) []byte { b[8], b[4096+8] = 9, 9; return b }, ErrVersion},
		{"meta with both slots flipped", "meta", func(b []byte) []byte { b[20] ^= 1; b[4096+20] ^= 1; return b }, ErrCorrupt},
		{"panic mark that is no JSON", "panic.json", func(b []byte) []byte { return []byte("x") }, ErrCorrupt},
		{"amendments that are no JSON", "skip.json", func(b []byte) []byte { return []byte("{") }, ErrCorrupt},
		{"segment without a number", "copy of 1.seg", func(b []byte) []byte { return []byte("x") }, ErrForeign},
	} {
		t.Run(c.name, func(t *testing.T) {
			fsys := build(t, 80)
			var b []byte
			if _, err := fsys.Stat(path.Join(testDir, c.file)); err == nil {
				b = content(t, fsys, c.file)
			}
			if c.change == nil {
				b = content(t, fsys, "00000001.seg")
			} else {
				b = c.change(b)
			}
			overwrite(t, fsys, c.file, b)
			err := reopen(fsys)
			var e *FileError
			if !errors.Is(err, c.problem) || !errors.As(err, &e) {
				t.Fatalf("Open: %v, want %v", err, c.problem)
			}
			if path.Base(e.File) != c.file || e.Remedy == "" || e.Detail == "" {
				t.Errorf("the error doesn't help: %v", err)
			}
			if again := reopen(fsys); again == nil || again.Error() != err.Error() {
				t.Errorf("the second Open says %v", again)
			}
			if c.problem != ErrVersion {
				if err := drain(fsys); err != nil && !errors.As(err, &e) {
					t.Errorf("Reader: %v", err)
				}
			}
		})
	}
}

func drain(fsys vfs.FS) error { return each(fsys, testDir, 0, func(Entry) bool { return true }) }

func TestMissingFilesAreNamed(t *testing.T) {
	for _, c := range []struct{ remove, names string }{
		{"meta", "meta"}, {"00000002.seg", "00000002.seg"}, {"00000004.seg", "meta"},
	} {
		fsys := build(t, 160)
		if c.remove == "00000004.seg" { // all from there on
			for _, name := range []string{"00000005.seg", "00000006.seg", "00000007.seg"} {
				removeIfThere(fsys, path.Join(testDir, name))
			}
		}
		if err := fsys.Remove(path.Join(testDir, c.remove)); err != nil {
			t.Fatal(err)
		}
		err := reopen(fsys)
		var e *FileError
		if !errors.Is(err, ErrUnexpectedEnd) || !errors.As(err, &e) || path.Base(e.File) != c.names {
			t.Errorf("without %s: %v", c.remove, err)
		}
	}
}

func TestAMissingOrBadIndexIsMadeAnew(t *testing.T) {
	fsys := build(t, 160)
	want := content(t, fsys, "00000001.idx")
	fsys.Remove(path.Join(testDir, "00000001.idx"))
	overwrite(t, fsys, "00000002.idx", []byte("garbage"))
	if got := readAll(t, mustReader(t, fsys, 20)); len(got) != 141 || got[0] != "payload 20" {
		t.Errorf("without an index: %d events from %q", len(got), got[0])
	}
	if got := readAll(t, mustReader(t, fsys, 60)); len(got) != 101 {
		t.Errorf("with a bad index: %d events", len(got))
	}
	o := options(fsys)
	o.SegmentBytes = 8 << 10
	j := mustOpen(t, o)
	mustMaintain(t, j)
	mustClose(t, j)
	if got := content(t, fsys, "00000001.idx"); string(got) != string(want) {
		t.Error("the index that was made anew is another")
	}
	rep, err := Verify(fsys, testDir, nil)
	if err != nil || len(rep.Problems) != 1 || path.Base(rep.Problems[0].File) != "00000002.idx" {
		t.Fatalf("verify: %v, %v", rep.Problems, err)
	}
	if rep, err := Repair(fsys, testDir); err != nil || len(rep.Indexes) != 1 || rep.Damage != nil {
		t.Errorf("repair: %+v, %v", rep, err)
	}
	if rep, err := Verify(fsys, testDir, nil); err != nil || len(rep.Problems) != 0 {
		t.Errorf("verify after repair: %v, %v", rep.Problems, err)
	}
}

// Each byte of a segment is damaged in turn. Whatever matters is noticed by
// Verify, nothing panics, and what a Reader returns is true up to where it stops.
func TestEveryFlippedByteOfASegment(t *testing.T) {
	fsys := build(t, 60)
	const name = "00000001.seg"
	whole := content(t, fsys, name)
	harmless, step := 0, 1
	if testing.Short() {
		step = 13
	}
	for i := 0; i < len(whole); i += step {
		b := append([]byte(nil), whole...)
		b[i] ^= 0x40
		overwrite(t, fsys, name, b)
		rep, err := Verify(fsys, testDir, nil)
		if err != nil {
			t.Fatalf("byte %d: %v", i, err)
		}
		if len(rep.Problems) == 0 {
			harmless++
			if i >= 576 && i < 4096 { // between opening and frames
				continue
			}
			if i < 4096 || rep.Events != 60 {
				t.Fatalf("byte %d flipped: nobody notices", i)
			}
		}
		r, err := OpenReader(fsys, testDir, 0)
		if err != nil {
			continue
		}
		for n := uint64(1); ; n++ {
			e, err := r.Next()
			if err != nil {
				var fe *FileError
				if err != io.EOF && !errors.As(err, &fe) {
					t.Fatalf("byte %d: %v", i, err)
				}
				if err == io.EOF && n != 61 {
					t.Fatalf("byte %d: the reader ends quietly before event %d", i, n)
				}
				break
			}
			if e.Stamp.Seq != n || string(e.Payload) != string(message(int(n)).Payload) {
				t.Fatalf("byte %d: event %d is %d %q", i, n, e.Stamp.Seq, e.Payload)
			}
		}
		r.Close()
	}
	if harmless > 3700 { // the gap in the head, and the padding at the end
		t.Errorf("%d bytes could be flipped without notice", harmless)
	}
}

func TestEveryTruncationOfASegmentIsSeen(t *testing.T) {
	fsys := build(t, 60)
	whole := content(t, fsys, "00000002.seg")
	for n := 0; n < len(whole); n += 61 {
		overwrite(t, fsys, "00000002.seg", whole[:n])
		if err := reopen(fsys); !errors.Is(err, ErrUnexpectedEnd) {
			t.Fatalf("cut to %d bytes: %v", n, err)
		}
	}
}
