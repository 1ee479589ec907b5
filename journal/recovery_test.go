package journal

import (
	"errors"
	"strings"
	"testing"

	"hindcast.dev/vfs"
)

// lose stamps 20 events without a sync and loses power with nothing kept of them.
func lose(t *testing.T, d Durability) (fsys *vfs.Mem, last uint64) {
	fsys = vfs.NewMem()
	o := options(fsys)
	o.Durability = d
	j := mustOpen(t, o)
	fill(t, j, 1, 5)
	mustSync(t, j)
	fill(t, j, 6, 20)
	if err := j.RaiseCeiling(j.LastStamp().Time + 1<<20); err != nil { // says what is stamped
		t.Fatal(err)
	}
	return fsys.Crash(func(int) int { return 0 }), j.LastStamp().Seq
}

func TestAStartAfterPowerLossStatesWhatWasLost(t *testing.T) {
	for _, d := range []Durability{Process, Group} {
		for _, host := range []string{"host-2", ""} {
			fsys, last := lose(t, d)
			o := options(fsys)
			o.HostBoot = host
			j := mustOpen(t, o)
			r := j.Recovery()
			if r.Last.Seq != 5 || !r.MachineDown || r.Ending != Killed || r.Durability != d {
				t.Errorf("%v: %+v", d, r)
			}
			if r.Lost == nil || r.Lost.After != 5 || r.Lost.AtLeast != last || r.Lost.Until != j.Ceiling() {
				t.Fatalf("%v: lost %+v", d, r.Lost)
			}
			if s := r.Lost.String(); !strings.Contains(s, "events 6 to 25") {
				t.Error(s)
			}
			mustClose(t, j)
		}
	}
}

func TestAShortHistoryIsCorruptionIfTheMachineStayedUp(t *testing.T) {
	fsys, _ := lose(t, Group)
	_, err := Open(options(fsys)) // the same HostBoot
	var e *FileError
	if !errors.Is(err, ErrCorrupt) || !errors.As(err, &e) || !strings.Contains(e.Detail, "the machine stayed up") || e.Lost != "events from 6 on" {
		t.Fatal(err)
	}
	rep, err := Repair(fsys, testDir)
	if err != nil || rep.LastSeq != 5 || rep.LostFrom != 6 || rep.LostTo != 25 {
		t.Fatalf("%+v, %v", rep, err)
	}
	j := mustOpen(t, options(fsys))
	mustClose(t, j)
}

func TestAKillUnderProcessSaysNothingOfALossIfTheMachineStayedUp(t *testing.T) {
	fsys := vfs.NewMem()
	j := mustOpen(t, options(fsys))
	fill(t, j, 1, 5)
	j = mustOpen(t, options(fsys.Restart()))
	if r := j.Recovery(); r.Lost != nil || r.MachineDown || r.Last.Seq != 5 {
		t.Errorf("%+v", r)
	}
	mustClose(t, j)
}

func TestAnOverwrittenFrameIsNotHandedOut(t *testing.T) {
	j := mustOpen(t, options(vfs.NewMem()))
	mustAppend(t, j, message(1))
	j.pending.seg.b[4096+60] ^= 1
	_, _, err := j.Next()
	var e *FileError
	if !errors.Is(err, ErrCorrupt) || !errors.As(err, &e) || e.Offset != 4096 {
		t.Errorf("%v", err)
	}
	mustClose(t, j)
}

func TestOneDamagedMetaSlotIsAWarning(t *testing.T) {
	for slot := range 2 {
		fsys := build(t, 30)
		flip(t, fsys, "meta", slot*4096+30)
		o := options(fsys)
		o.SegmentBytes = 8 << 10
		j := mustOpen(t, o)
		if r := j.Recovery(); len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], "damaged") || j.Boot() != 2 || r.Last.Seq != 30 {
			t.Errorf("slot %d: boot %d, %+v", slot, j.Boot(), r)
		}
		mustClose(t, j)
	}
}

func TestLeftoversOfACrashAreRemoved(t *testing.T) {
	fsys := build(t, 30)
	overwrite(t, fsys, "00000009.seg.tmp", []byte("half"))
	overwrite(t, fsys, "spare.seg", []byte("of another size"))
	if err := reopen(fsys); err != nil {
		t.Fatal(err)
	}
	l, err := list(fsys, testDir)
	if err != nil || len(l.temps) > 0 || l.spare {
		t.Errorf("%+v, %v", l, err)
	}
}
