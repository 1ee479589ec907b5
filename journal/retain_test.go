package journal

import (
	"errors"
	"path"
	"strings"
	"testing"
	"time"

	"hindcast.dev/hlc"
	"hindcast.dev/vfs"
)

func segments(t testing.TB, fsys vfs.FS, dir string) []uint64 {
	t.Helper()
	l, err := list(fsys, dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []uint64
	for _, f := range l.segments {
		out = append(out, f.number)
	}
	return out
}

func TestRetentionByBytesNeverPassesWhatIsToBeKept(t *testing.T) {
	fsys := vfs.NewMem()
	o := options(fsys)
	o.SegmentBytes, o.RetainBytes = 8<<10, 32<<10
	j := mustOpen(t, o)
	fill(t, j, 1, 300)
	mustSync(t, j)
	mustMaintain(t, j)
	if got := segments(t, fsys, testDir); got[0] != 1 {
		t.Fatalf("before SetRetainFrom something was removed: %v", got)
	}
	j.SetRetainFrom(100)
	mustMaintain(t, j)
	first := mustReader(t, fsys, 0)
	e, err := first.Next()
	if err != nil || e.Stamp.Seq > 100 || e.Stamp.Seq == 1 {
		t.Fatalf("SetRetainFrom(100) keeps from %d, %v", e.Stamp.Seq, err)
	}
	j.SetRetainFrom(301)
	mustMaintain(t, j)
	if got := segments(t, fsys, testDir); len(got) != 4 {
		t.Errorf("%d bytes kept in %v, the bound is %d", len(got)*o.SegmentBytes, got, o.RetainBytes)
	}
	var gone *RetainedError
	if _, err := OpenReader(fsys, testDir, 100); !errors.As(err, &gone) || gone.Want != 100 || gone.First <= 100 {
		t.Errorf("reading from 100: %v", err)
	}
	if got := readAll(t, mustReader(t, fsys, gone.First)); got[len(got)-1] != "payload 300" {
		t.Errorf("the last is %q", got[len(got)-1])
	}
	mustClose(t, j)
	j = mustOpen(t, o) // the beginning is gone, and it opens all the same
	fill(t, j, 301, 50)
	mustClose(t, j)
}

func TestRetentionByAge(t *testing.T) {
	fsys := vfs.NewMem()
	o := options(fsys)
	o.SegmentBytes, o.RetainAge = 8<<10, 100*time.Second
	j := mustOpen(t, o)
	last := hlc.Timestamp(0)
	for i := range 400 {
		for j.Append(message(i+1)) == ErrFull {
			mustMaintain(t, j)
		}
		if _, ok, err := j.Next(); !ok {
			t.Fatal(err)
		}
		s := stampAfter(j.LastStamp())
		s.Time = hlc.FromTime(time.Unix(int64(i+1), 0))
		last = s.Time
		if err := j.Stamp(s); err != nil {
			t.Fatal(err)
		}
	}
	j.SetRetainFrom(401)
	mustSync(t, j)
	mustMaintain(t, j)
	e, err := mustReader(t, fsys, 0).Next()
	if err != nil {
		t.Fatal(err)
	}
	if age := last.Sub(e.Stamp.Time); age < 100*time.Second || age > 150*time.Second {
		t.Errorf("the oldest event is %v old", age)
	}
	mustClose(t, j)
}

func TestARemovedSegmentsFileIsUsedAgainButNotUnderAReader(t *testing.T) {
	inner := vfs.NewMem()
	created := 0
	fsys := vfs.NewFaulty(inner, func(op vfs.Op) error {
		if op.Kind == vfs.OpPreallocate {
			created++
		}
		return nil
	})
	o := options(fsys)
	o.SegmentBytes, o.RetainBytes = 8<<10, 24<<10
	j := mustOpen(t, o)
	reader, err := j.NewReader(1)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	for i := range 40 {
		j.SetRetainFrom(j.Stamped())
		fill(t, j, 1+i*30, 30)
		mustSync(t, j)
	}
	numbers := segments(t, fsys, testDir)
	if last := int(numbers[len(numbers)-1]); created > 10 || last < 30 {
		t.Errorf("%d files were made for %d segments", created, last)
	}
	// The reader's segment was removed, but its bytes are still those it opened.
	e, err := reader.Next()
	if err != nil || e.Stamp.Seq != 1 || string(e.Payload) != "payload 1" {
		t.Errorf("event %d %q, %v", e.Stamp.Seq, e.Payload, err)
	}
	var gone *RetainedError
	for err == nil {
		_, err = reader.Next()
	}
	if !errors.As(err, &gone) {
		t.Errorf("the reader ends with %v", err)
	}
	mustClose(t, j)
}

// Another process' reader holds no pin: it finds its file used again.
func TestAReaderOfAnotherProcessIsToldThatItWasOvertaken(t *testing.T) {
	fsys := vfs.NewMem()
	o := options(fsys)
	o.SegmentBytes, o.RetainBytes = 8<<10, 24<<10
	j := mustOpen(t, o)
	fill(t, j, 1, 30)
	r := mustReader(t, fsys, 1)
	if _, err := r.Next(); err != nil {
		t.Fatal(err)
	}
	r.sc.forget()
	for i := 1; i < 20; i++ {
		j.SetRetainFrom(j.Stamped())
		fill(t, j, 1+i*30, 30)
		mustSync(t, j)
	}
	var gone *RetainedError
	if _, err := r.Next(); !errors.As(err, &gone) || gone.Want != 2 || gone.First < 100 {
		t.Errorf("%v", err)
	}
	if err := r.SeekSeq(gone.First); err != nil {
		t.Fatal(err)
	}
	if e, err := r.Next(); err != nil || e.Stamp.Seq != gone.First {
		t.Errorf("after the seek: event %d, %v", e.Stamp.Seq, err)
	}
	mustClose(t, j)
}

func TestAnArchiveHoldsWhatRetentionRemoved(t *testing.T) {
	fsys := vfs.NewMem()
	o := options(fsys)
	o.SegmentBytes, o.RetainBytes, o.Archive = 8<<10, 24<<10, "n1/archive"
	j := mustOpen(t, o)
	for i := range 10 {
		j.SetRetainFrom(j.Stamped())
		fill(t, j, 1+i*30, 30)
		mustSync(t, j)
		mustMaintain(t, j)
	}
	mustClose(t, j)
	archived, kept := segments(t, fsys, o.Archive), segments(t, fsys, testDir)
	if archived[0] != 1 || archived[len(archived)-1]+1 != kept[0] {
		t.Fatalf("archived %v, kept %v", archived, kept)
	}
	r, err := OpenReader(fsys, o.Archive, 20)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	got := readAll(t, r)
	rest := readAll(t, mustReader(t, fsys, 0))
	if len(got)+len(rest) != 300-19 || got[0] != "payload 20" {
		t.Errorf("%d archived events from %q and %d others", len(got), got[0], len(rest))
	}
	rep, err := Verify(fsys, o.Archive, nil)
	if err != nil || len(rep.Problems) != 0 || rep.Events != uint64(19+len(got)) {
		t.Errorf("verify: %+v, %v", rep, err)
	}
	info, err := Info(fsys, o.Archive)
	if err != nil || info.Node != "n1" || info.LastSeq != uint64(19+len(got)) {
		t.Errorf("info: %+v, %v", info, err)
	}
	name := path.Join(o.Archive, archiveName(1))
	f, err := fsys.OpenWrite(name)
	if err != nil {
		t.Fatal(err)
	}
	f.WriteAt([]byte("garbage"), 30)
	f.Close()
	if _, err := OpenReader(fsys, o.Archive, 1); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), name) {
		t.Errorf("a damaged archive: %v", err)
	}
}
