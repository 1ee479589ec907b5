package journal

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"hindcast.dev/hlc"
	"hindcast.dev/journal/segment"
	"hindcast.dev/vfs"
)

// perSegment is how many of build's events are in one of its segments, of
// frameBytes each.
const (
	frameBytes = 128
	perSegment = 4096 / frameBytes
)

// readUntil returns how many events a Reader returns from seq on, each with the
// payload it was given, and the error it ends with.
func readUntil(t *testing.T, fsys vfs.FS, seq uint64) (n int, err error) {
	t.Helper()
	r, err := OpenReader(fsys, testDir, seq)
	if err != nil {
		return 0, err
	}
	defer r.Close()
	for want := max(seq, 1); ; want++ {
		e, err := r.Next()
		if err != nil {
			return n, err
		}
		if e.Stamp.Seq != want || string(e.Payload) != fmt.Sprintf("payload %d", want) {
			t.Fatalf("event %d is %d %q", want, e.Stamp.Seq, e.Payload)
		}
		n++
	}
}

func wantUnexpectedEnd(t *testing.T, what string, err error, file string, offset int64) {
	t.Helper()
	var e *FileError
	if !errors.As(err, &e) || !errors.Is(err, ErrUnexpectedEnd) || path.Base(e.File) != file || e.Offset != offset || e.Remedy == "" {
		t.Fatalf("%s: %v, want an unexpected end of %s at byte %d", what, err, file, offset)
	}
}

func TestAShortSegmentIsReadUpToItsEndAndRepairKeepsThat(t *testing.T) {
	const events = 20
	for n := segment.HeaderSize; n < 8192; n += 61 {
		what := fmt.Sprintf("cut to %d bytes", n)
		fsys := build(t, events)
		whole := content(t, fsys, "00000001.seg")
		overwrite(t, fsys, "00000001.seg", whole[:n])
		left := min(max(n-segment.DataOffset, 0)/frameBytes, events)
		at := min(int64(n), int64(segment.DataOffset+left*frameBytes))
		got, err := readUntil(t, fsys, 0)
		if wantUnexpectedEnd(t, what, err, "00000001.seg", at); got != left {
			t.Fatalf("%s: %d events are read, want %d", what, got, left)
		}
		v, err := Verify(fsys, testDir, nil)
		if err != nil || len(v.Problems) == 0 || int(v.Events) != left {
			t.Fatalf("%s: verify: %+v, %v", what, v, err)
		}
		wantUnexpectedEnd(t, what+": verify", v.Problems[0], "00000001.seg", at)
		rep, err := Repair(fsys, testDir)
		if err != nil || rep.Damage == nil || int(rep.LastSeq) != left {
			t.Fatalf("%s: repair: %+v, %v", what, rep, err)
		}
		if left == events && (rep.LostFrom != 0 || rep.LostTo != 0) || left < events && (int(rep.LostFrom) != left+1 || rep.LostTo != events) {
			t.Fatalf("%s: lost: %+v", what, rep)
		}
		wantRepaired(t, what, fsys, left)
	}
}

// wantRepaired checks that what is left is so many events, and that the node
// starts and goes on.
func wantRepaired(t *testing.T, what string, fsys vfs.FS, left int) Recovery {
	t.Helper()
	if got, err := readUntil(t, fsys, 0); err != io.EOF || got != left {
		t.Fatalf("%s: after the repair %d events are read, want %d: %v", what, got, left, err)
	}
	o := options(fsys)
	o.SegmentBytes = 8 << 10
	j := mustOpen(t, o)
	if j.LastStamp().Seq != uint64(left) {
		t.Fatalf("%s: it goes on after %d, want %d", what, j.LastStamp().Seq, left)
	}
	fill(t, j, left+1, perSegment+5)
	mustClose(t, j)
	if v, err := Verify(fsys, testDir, nil); err != nil || len(v.Problems) > 0 {
		t.Fatalf("%s: verify after the repair: %v, %v", what, v.Problems, err)
	}
	if got, err := readUntil(t, fsys, 0); err != io.EOF || got != left+perSegment+5 {
		t.Fatalf("%s: %d events in the end: %v", what, got, err)
	}
	return j.Recovery()
}

func TestABadSegmentHidesNoneBeforeIt(t *testing.T) {
	empty := func([]byte) []byte { return nil }
	for _, c := range []struct {
		name    string
		change  func(b []byte) []byte
		more    int // events of it that are left
		problem error
	}{
		{"empty", empty, 0, ErrUnexpectedEnd},
		{"half a header", func(b []byte) []byte { return b[:100] }, 0, ErrUnexpectedEnd},
		{"short", func(b []byte) []byte { return b[:4096+3*frameBytes+9] }, 3, ErrUnexpectedEnd},
		{"foreign", func(b []byte) []byte { return append([]byte("%PDF-1.7"), b[8:]...) }, 0, ErrForeign},
	} {
		for number := 2; number <= 5; number++ {
			fsys := build(t, 5*perSegment)
			name := segmentName(uint64(number))
			overwrite(t, fsys, name, c.change(content(t, fsys, name)))
			want := (number-1)*perSegment + c.more
			got, err := readUntil(t, fsys, 0)
			if got != want || !errors.Is(err, c.problem) {
				t.Errorf("%s %s: %d events are read, want %d: %v", c.name, name, got, want, err)
			}
			if got, err := readUntil(t, fsys, 10); got != want-9 || !errors.Is(err, c.problem) {
				t.Errorf("%s %s: from 10 on %d events are read: %v", c.name, name, got, err)
			}
			r := mustReader(t, fsys, 0)
			if err := r.SeekTime(hlc.Timestamp(7 << 16)); err != nil {
				t.Errorf("%s %s: by time: %v", c.name, name, err)
			} else if e, err := r.Next(); err != nil || e.Stamp.Seq != 7 {
				t.Errorf("%s %s: by time: event %d, %v", c.name, name, e.Stamp.Seq, err)
			}
			behind := uint64(number)*perSegment + 4 // nor any behind it
			if got, err := readUntil(t, fsys, behind); number < 5 && (got != 5*perSegment-int(behind)+1 || err != io.EOF) {
				t.Errorf("%s %s: from %d on %d events are read: %v", c.name, name, behind, got, err)
			}
		}
	}
}

func TestASegmentThatWasNeverEnteredTakesNothingWithIt(t *testing.T) {
	fsys := build(t, 20)
	overwrite(t, fsys, "00000002.seg", nil)
	got, err := readUntil(t, fsys, 0)
	if wantUnexpectedEnd(t, "read", err, "00000002.seg", 0); got != 20 {
		t.Errorf("%d events are read", got)
	}
	rep, err := Repair(fsys, testDir)
	if err != nil || rep.LastSeq != 20 || rep.LostFrom != 0 || len(rep.Files) != 1 {
		t.Errorf("repair: %+v, %v", rep, err)
	}
	if r := wantRepaired(t, "empty segment", fsys, 20); r.Ending != Stopped || !r.Repaired || r.Lost != nil {
		t.Errorf("%+v", r)
	}
}

func TestAHoleIsNotTakenForRetention(t *testing.T) {
	fsys := build(t, 5*perSegment)
	if err := fsys.Remove(path.Join(testDir, "00000003.seg")); err != nil {
		t.Fatal(err)
	}
	got, err := readUntil(t, fsys, 0)
	if wantUnexpectedEnd(t, "read", err, "00000003.seg", 0); got != 2*perSegment {
		t.Errorf("%d events are read", got)
	}
	if got, err := readUntil(t, fsys, 3*perSegment+1); err != io.EOF || got != 2*perSegment {
		t.Errorf("behind it %d events are read: %v", got, err)
	}
	for n := uint64(4); n <= 7; n++ { // and all that follow
		if err := removeIfThere(fsys, path.Join(testDir, segmentName(n))); err != nil {
			t.Fatal(err)
		}
	}
	got, err = readUntil(t, fsys, 0)
	if wantUnexpectedEnd(t, "read", err, "00000003.seg", 0); got != 2*perSegment {
		t.Errorf("%d events are read", got)
	}
}

func TestAMissingFirstSegmentIsSeen(t *testing.T) {
	fsys := build(t, 20)
	if err := fsys.Remove(path.Join(testDir, "00000001.seg")); err != nil {
		t.Fatal(err)
	}
	_, err := readUntil(t, fsys, 0)
	wantUnexpectedEnd(t, "read", err, "00000001.seg", 0)
	wantUnexpectedEnd(t, "open", reopen(fsys), "00000001.seg", 0)
	v, err := Verify(fsys, testDir, nil)
	if err != nil || len(v.Problems) != 1 {
		t.Fatalf("verify: %v, %v", v.Problems, err)
	}
	wantUnexpectedEnd(t, "verify", v.Problems[0], "00000001.seg", 0)
}

// flips returns what a header may come to: each byte of it flipped, and more.
func flips(whole []byte, header bool, step int) map[string][]byte {
	out := map[string][]byte{}
	change := func(what string, f func(b []byte)) {
		b := append([]byte(nil), whole...)
		f(b)
		out[what] = b
	}
	from, to := 0, segment.HeaderSize
	if !header {
		from, to = segment.OpeningOffset, segment.OpeningOffset+segment.OpeningSize
	}
	for i := from; i < to; i += step {
		if i < 8 || i >= 12 { // but for the version: that may be a later format
			change(fmt.Sprintf("byte %d flipped", i), func(b []byte) { b[i] ^= 0x41 })
		}
	}
	change("all of it zero", func(b []byte) { clear(b[from:to]) })
	return out
}

func TestAHeaderOrOpeningThatTheRestConfirmsIsMadeAnew(t *testing.T) {
	for _, header := range []bool{true, false} {
		for _, c := range []struct {
			events int
			file   string
			step   int // bytes
		}{{20, "00000001.seg", 1}, {100, "00000001.seg", 13}, {100, "00000002.seg", 5}, {100, "00000004.seg", 13}} {
			whole := content(t, build(t, c.events), c.file)
			for damage, b := range flips(whole, header, c.step) {
				what := fmt.Sprintf("%d events, %s, %s", c.events, c.file, damage)
				fsys := build(t, c.events)
				overwrite(t, fsys, c.file, b)
				rep, err := Repair(fsys, testDir)
				if err != nil || rep.Damage == nil || rep.LastSeq != uint64(c.events) || rep.LostFrom != 0 || len(rep.Mended) != 1 {
					t.Fatalf("%s: %+v, %v", what, rep, err)
				}
				if got := content(t, fsys, c.file); string(got) != string(whole) {
					t.Fatalf("%s: it isn't what it was", what)
				}
				if got := content(t, fsys, path.Join(path.Base(rep.Aside), c.file)); string(got) != string(b) {
					t.Fatalf("%s: what is set aside isn't what it was", what)
				}
				if strings.Contains(damage, "9 flipped") || strings.Contains(damage, "zero") {
					wantRepaired(t, what, fsys, c.events)
				}
			}
		}
	}
}

// Nothing confirms a header of which the frames are gone too, or which are those
// of another place.
func TestAHeaderThatNothingConfirmsIsSetAsideWithTheReason(t *testing.T) {
	for what, change := range map[string]func(b []byte){
		"header and first frame":           func(b []byte) { clear(b[:8]); clear(b[4096:][:frameBytes]) },
		"header, and frames of elsewhere":  func(b []byte) { clear(b[:512]); copy(b[4096:], b[4096+frameBytes:]) },
		"header and the first frame stamp": func(b []byte) { b[1] ^= 1; b[4096+frameBytes-20] ^= 1 },
	} {
		fsys := build(t, 100)
		b := content(t, fsys, "00000002.seg")
		change(b)
		overwrite(t, fsys, "00000002.seg", b)
		rep, err := Repair(fsys, testDir)
		if err != nil || rep.LastSeq != perSegment || rep.LostFrom != perSegment+1 || rep.LostTo != 100 || len(rep.Mended) > 0 {
			t.Fatalf("%s: %+v, %v", what, rep, err)
		}
		if s := strings.Join(rep.Notes, "\n"); !strings.Contains(s, "00000002.seg: its header can't be made anew: ") {
			t.Errorf("%s: it doesn't say why: %q", what, s)
		}
		wantRepaired(t, what, fsys, perSegment)
	}
}

func TestBytesThatMeanNothingCostNothing(t *testing.T) {
	for what, change := range map[string]func(b []byte) []byte{
		"short of padding": func(b []byte) []byte { return b[:len(b)-32] },
		"grown":            func(b []byte) []byte { return append(b, "more"...) },
	} {
		fsys := vfs.NewMem()
		o := options(fsys)
		o.SegmentBytes = 8 << 10
		j := mustOpen(t, o)
		f := message(1)
		f.Payload = append(f.Payload, make([]byte, 32)...) // a longer one, so that padding is left at the end
		mustAppend(t, j, f)
		mustStamp(t, j)
		fill(t, j, 2, 79)
		mustClose(t, j)
		whole := content(t, fsys, "00000001.seg")
		overwrite(t, fsys, "00000001.seg", change(whole))
		if got := readAll(t, mustReader(t, fsys, 0)); len(got) != 80 {
			t.Errorf("%s: %d events are read", what, len(got))
		}
		if v, err := Verify(fsys, testDir, nil); err != nil || len(v.Problems) != 1 || v.Events != 80 {
			t.Errorf("%s: verify: %+v, %v", what, v, err)
		}
		rep, err := Repair(fsys, testDir)
		if err != nil || rep.Damage == nil || rep.LastSeq != 80 || rep.LostFrom != 0 || len(rep.Mended) != 1 {
			t.Errorf("%s: repair: %+v, %v", what, rep, err)
		}
		if err := reopen(fsys); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if v, err := Verify(fsys, testDir, nil); err != nil || len(v.Problems) != 0 || v.Events != 80 {
			t.Errorf("%s: verify after: %+v, %v", what, v, err)
		}
	}
}

func TestAStartAfterARepairSaysHowTheBootBeforeTrulyEnded(t *testing.T) {
	cut := func(fsys vfs.FS) { flip(t, fsys, "00000001.seg", 4096+frameBytes*9+70) }
	meta := func(fsys vfs.FS) {
		if err := fsys.Remove(path.Join(testDir, "meta")); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name   string
		stop   bool
		damage func(fsys vfs.FS)
		left   uint64
		want   Ending
	}{
		{"stopped, cut", true, cut, 9, Stopped},
		{"killed, cut", false, cut, 9, Killed},
		{"stopped, without meta", true, meta, 20, Repaired},
		{"killed, without meta", false, meta, 20, Repaired},
	} {
		fsys := vfs.NewMem()
		o := options(fsys)
		o.SegmentBytes = 8 << 10
		j := mustOpen(t, o)
		fill(t, j, 1, 20)
		mustSync(t, j)
		if c.stop {
			mustClose(t, j)
		} else {
			fsys = fsys.Restart()
		}
		c.damage(fsys)
		if rep, err := Repair(fsys, testDir); err != nil || rep.LastSeq != c.left {
			t.Fatalf("%s: %+v, %v", c.name, rep, err)
		}
		info, err := Info(fsys, testDir)
		if err != nil || !info.Repaired || info.Clean != (c.want == Stopped) || info.EndingUnknown != (c.want == Repaired) || len(info.Problems) > 0 {
			t.Errorf("%s: info: %+v, %v", c.name, info, err)
		}
		o.FS = fsys
		j = mustOpen(t, o)
		if r := j.Recovery(); r.Ending != c.want || !r.Repaired || r.MachineDown || r.Lost != nil || r.Last.Seq != c.left {
			t.Errorf("%s: %v, %+v", c.name, r.Ending, r)
		}
		mustClose(t, j)
		j = mustOpen(t, o)
		if r := j.Recovery(); r.Ending != Stopped || r.Repaired {
			t.Errorf("%s: the start after that: %+v", c.name, r)
		}
		mustClose(t, j)
	}
	if Repaired.String() != "repaired" {
		t.Errorf("%v", Repaired)
	}
}

func TestInfoShowsWhatIsSoundAndWhatIsNot(t *testing.T) {
	remove := func(names ...string) func(fsys vfs.FS) {
		return func(fsys vfs.FS) {
			for _, n := range names {
				if err := removeIfThere(fsys, path.Join(testDir, n)); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	const events = 100 // 32 in each of segments 1 to 3, 4 in the fourth
	for _, c := range []struct {
		name        string
		events      int
		damage      func(fsys vfs.FS)
		first, last uint64
		file        string
	}{
		{"first segment missing, the second never entered", 20, remove("00000001.seg"), 0, 0, "00000001.seg"},
		{"no segment left", 20, remove("00000001.seg", "00000002.seg"), 0, 0, testDir},
		{"no meta", events, remove("meta"), 1, events, "meta"},
		{"bad meta", events, func(fsys vfs.FS) { overwrite(t, fsys, "meta", make([]byte, 9)) }, 1, events, "meta"},
		{"a hole", events, remove("00000002.seg"), 1, events, "00000002.seg"},
		{"the last ones missing", events, remove("00000003.seg", "00000004.seg", "00000005.seg"), 1, 64, "00000003.seg"},
		{"first segment's header", events, func(fsys vfs.FS) { flip(t, fsys, "00000001.seg", 3) }, 33, events, "00000001.seg"},
		{"middle one empty", events, func(fsys vfs.FS) { overwrite(t, fsys, "00000003.seg", nil) }, 1, events, "00000003.seg"},
		{"last one short", events, func(fsys vfs.FS) {
			overwrite(t, fsys, "00000004.seg", content(t, fsys, "00000004.seg")[:4096+300])
		}, 1, 98, "00000004.seg"},
		{"last one damaged", events, func(fsys vfs.FS) { flip(t, fsys, "00000004.seg", 4096+300) }, 1, 98, "00000004.seg"},
		{"panic mark", events, func(fsys vfs.FS) { overwrite(t, fsys, panicName, []byte("x")) }, 1, events, panicName},
		{"amendments", events, func(fsys vfs.FS) { overwrite(t, fsys, skipName, []byte("x")) }, 1, events, skipName},
	} {
		fsys := build(t, c.events)
		c.damage(fsys)
		info, err := Info(fsys, testDir)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if len(info.Problems) != 1 || info.Problems[0].Remedy == "" || path.Base(info.Problems[0].File) != path.Base(c.file) {
			t.Errorf("%s: problems %v, want one of %s", c.name, info.Problems, c.file)
		}
		if info.LastSeq != c.last || c.last > 0 && (info.FirstSeq != c.first || info.FirstTime == 0 || info.LastTime < info.FirstTime) {
			t.Errorf("%s: events %d to %d, %v to %v, want %d to %d", c.name, info.FirstSeq, info.LastSeq, info.FirstTime, info.LastTime, c.first, c.last)
		}
		if c.file != "meta" && (info.DurableSeq != uint64(c.events) || !info.Clean || info.Node != "n1") {
			t.Errorf("%s: %+v", c.name, info)
		}
	}
	if info, err := Info(build(t, events), testDir); err != nil || len(info.Problems) > 0 {
		t.Errorf("sound: %v, %v", info.Problems, err)
	}
}

// buildKilled makes a journal of n events, half of them synced, and three frames
// that aren't stamped, that nobody closed.
func buildKilled(t *testing.T, n int) *vfs.Mem {
	fsys := vfs.NewMem()
	o := options(fsys)
	o.SegmentBytes = 8 << 10
	j := mustOpen(t, o)
	fill(t, j, 1, n/2)
	mustSync(t, j)
	fill(t, j, n/2+1, n-n/2)
	for i := range 3 {
		if err := j.Append(message(n + 1 + i)); err != nil && !errors.Is(err, ErrFull) {
			t.Fatal(err)
		}
	}
	return fsys.Restart()
}

// damageDraws are ways in which a file may suffer.
func damageDraws(t *rapid.T, b []byte) []byte {
	at := rapid.IntRange(0, max(len(b)-1, 0)).Draw(t, "at")
	if rapid.Bool().Draw(t, "near the beginning") {
		at = min(at%700, max(len(b)-1, 0))
	}
	switch rapid.SampledFrom([]string{"flip", "zero", "cut", "grow"}).Draw(t, "damage") {
	case "flip":
		if len(b) > 0 {
			b[at] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		}
	case "zero":
		clear(b[at:min(len(b), at+rapid.IntRange(1, 5000).Draw(t, "bytes"))])
	case "cut":
		b = b[:at]
	case "grow":
		b = append(b, make([]byte, rapid.IntRange(1, 9000).Draw(t, "bytes"))...)
	}
	return b
}

// Whatever is damaged: what is read is true, a repair leaves a true beginning of
// history, says what it lost, and the journal opens.
func TestARepairOfAnyDamageLeavesATrueBeginning(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		events := rapid.IntRange(1, 5*perSegment).Draw(rt, "events")
		killed := rapid.Bool().Draw(rt, "killed")
		fsys := build(t, events)
		if killed {
			fsys = buildKilled(t, events)
		}
		names, err := fsys.ReadDir(testDir)
		if err != nil {
			rt.Fatal(err)
		}
		for range rapid.IntRange(1, 3).Draw(rt, "damages") {
			name := rapid.SampledFrom(names).Draw(rt, "file")
			if _, err := fsys.Stat(path.Join(testDir, name)); err != nil || name == lockName {
				continue
			}
			// Without its first segment a journal looks as after retention.
			if rapid.IntRange(0, 9).Draw(rt, "remove") == 0 && name != "00000001.seg" {
				if err := fsys.Remove(path.Join(testDir, name)); err != nil {
					rt.Fatal(err)
				}
				continue
			}
			overwrite(t, fsys, name, damageDraws(rt, content(t, fsys, name)))
		}
		if _, err := readUntil(t, fsys, 0); err == nil {
			rt.Fatal("a Reader ends without an error")
		}
		var damage *FileError
		if _, err := Info(fsys, testDir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			rt.Fatal(err)
		}
		rep, err := Repair(fsys, testDir)
		switch {
		case errors.Is(err, ErrVersion), errors.Is(err, fs.ErrNotExist):
			return // left alone; nothing was there
		case err != nil:
			rt.Fatal(err)
		case rep.LastSeq > uint64(events), !killed && rep.LostFrom == 0 && !rep.Meta && len(rep.Notes) == 0 && rep.LastSeq != uint64(events):
			rt.Fatalf("%+v of %d events", rep, events)
		}
		if n, err := readUntil(t, fsys, 0); (err != io.EOF || n != int(rep.LastSeq)) && !(rep.LastSeq == 0 && errors.As(err, &damage)) {
			rt.Fatalf("%d events of %d are left: %v", n, rep.LastSeq, err)
		}
		if err := reopen(fsys); err != nil {
			rt.Fatalf("after %+v: %v", rep, err)
		}
		if v, err := Verify(fsys, testDir, nil); err != nil || len(v.Problems) > 0 || v.LastSeq != rep.LastSeq {
			rt.Fatalf("after %+v: %+v, %v", rep, v, err)
		}
	})
}

// Above what is durable, a stamp that is gone may be a power loss or damage. Open,
// which can tell, stops at damage; repair must not call the same sound.
func TestARepairAgreesWithOpenOnStampsBehindOneThatIsGone(t *testing.T) {
	fsys := buildKilled(t, 20)
	flip(t, fsys, "00000001.seg", 4096+frameBytes*15-20) // the stamp of event 15
	if err := reopen(fsys); !errors.Is(err, ErrCorrupt) {
		t.Fatalf("open: %v", err)
	}
	rep, err := Repair(fsys, testDir)
	if err != nil || rep.LastSeq != 14 || rep.LostFrom != 15 || rep.LostTo != 20 || len(rep.Mended) != 1 || !strings.Contains(rep.Mended[0], "events 16 to 20") {
		t.Fatalf("%+v, %v", rep, err)
	}
	o := options(fsys)
	o.SegmentBytes = 8 << 10
	j := mustOpen(t, o)
	if r := j.Recovery(); r.Unstamped != 9 || r.Last.Seq != 14 || !r.Repaired || r.Ending != Killed {
		t.Errorf("%+v", r)
	}
	for i := 15; i <= 23; i++ {
		if f := mustStamp(t, j); string(f.Payload) != fmt.Sprintf("payload %d", i) {
			t.Errorf("frame %d: %q", i, f.Payload)
		}
	}
	mustClose(t, j)
}
