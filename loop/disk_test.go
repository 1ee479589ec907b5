package loop_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"hindcast.dev/hlc"
	"hindcast.dev/journal/checkpoint"
	"hindcast.dev/loop"
	"hindcast.dev/vfs"
)

// told writes down what a Disk says.
type told struct{ lines []string }

func (t *told) Syncing()                       { t.say("syncing") }
func (t *told) Synced(seq uint64)              { t.say("synced %d", seq) }
func (t *told) CeilingSynced(ts hlc.Timestamp) { t.say("ceiling") }
func (t *told) Checkpointed(o *loop.Output, err error, more bool) {
	t.say("checkpoint %d %v %v", o.Seq, err != nil, more)
}
func (t *told) Maintained(err error)      { t.say("maintained %v", err != nil) }
func (t *told) say(f string, args ...any) { t.lines = append(t.lines, fmt.Sprintf(f, args...)) }

func TestWantsGoToTheDiskInTheirOrder(t *testing.T) {
	w := loop.Wants{CheckpointsMax: 2}
	if j := w.Take(); !j.Empty() {
		t.Errorf("nothing was asked, and there is %+v", j)
	}
	for _, o := range []loop.Output{{Kind: loop.OutputSync}, {Kind: loop.OutputCheckpoint, Seq: 1}, {Kind: loop.OutputCheckpoint, Seq: 2},
		{Kind: loop.OutputCheckpoint, Seq: 3}, {Kind: loop.OutputCeiling, Time: 7}, {Kind: loop.OutputCeiling, Time: 5}} {
		w.Add(&o)
	}
	w.Maintain()
	if j := w.Take(); !j.Sync || !j.Maintain || j.Ceiling != 7 || j.Checkpoint != nil {
		t.Errorf("first %+v, want sync, maintain, the higher ceiling, and the checkpoints later", j)
	}
	for _, seq := range []uint64{2, 3} {
		if j := w.Take(); j.Sync || j.Checkpoint == nil || j.Checkpoint.Seq != seq {
			t.Errorf("%+v, want the checkpoint at %d", j, seq)
		}
	}
	if j := w.Take(); !j.Empty() || w.Skipped != 1 {
		t.Errorf("left %+v, %d skipped, want nothing and the oldest checkpoint", j, w.Skipped)
	}
	w.Maintain()
	w.Forget()
	if j := w.Take(); !j.Empty() {
		t.Errorf("forgotten, and there is %+v", j)
	}
}

// A checkpoint that runs ahead of the journal would be a state that never was.
func TestADiskSyncsBeforeACheckpointAheadOfIt(t *testing.T) {
	r := newRig(t, vfs.NewMem(), nil)
	r.mustOpen()
	r.noSync = true
	r.offer(Add{1})
	r.run()
	seen := &told{}
	d := loop.Disk{Journal: r.j, FS: r.fs, Checkpoints: "n1/checkpoints", Node: "n1", Keep: 1, Told: seen}
	o := loop.Output{Kind: loop.OutputCheckpoint, Seq: r.l.Seq(), Body: []byte("body")}
	if err := d.Do(loop.DiskJob{Checkpoint: &o, Maintain: true}); err != nil {
		t.Fatal(err)
	}
	want := []string{"syncing", fmt.Sprintf("synced %d", o.Seq), fmt.Sprintf("checkpoint %d false true", o.Seq), "maintained false"}
	if !slices.Equal(seen.lines, want) {
		t.Errorf("got  %s\nwant %s", strings.Join(seen.lines, ", "), strings.Join(want, ", "))
	}
	if seqs, err := checkpoint.List(r.fs, "n1/checkpoints"); err != nil || !slices.Equal(seqs, []uint64{o.Seq}) {
		t.Errorf("checkpoints %v, %v", seqs, err)
	}
}

func TestADiskThatFailsToSyncEndsTheNode(t *testing.T) {
	fail := false
	fs := vfs.NewFaulty(vfs.NewMem(), func(op vfs.Op) error {
		if fail && (op.Kind == vfs.OpSync || op.Kind == vfs.OpMapSync) {
			return errPower
		}
		return nil
	})
	r := newRig(t, fs, nil)
	r.mustOpen()
	r.noSync = true
	r.offer(Add{1})
	r.run()
	fail = true
	seen := &told{}
	d := loop.Disk{Journal: r.j, FS: r.fs, Checkpoints: "n1/checkpoints", Node: "n1", Keep: 1, Told: seen}
	err := d.Do(loop.DiskJob{Sync: true, Maintain: true})
	if err == nil || !strings.Contains(err.Error(), "sync of the journal") || len(seen.lines) != 1 {
		t.Errorf("%v, told %v", err, seen.lines)
	}
}

// However fast checkpoints follow one another, one of them is before the time since
// when cuts may be asked for, if there ever was one; and they don't become many.
func TestCheckpointsReachBack(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := newRig(t, vfs.NewMem(), nil)
		r.mustOpen()
		since := hlc.Timestamp(0)
		open := func() *loop.Disk {
			return &loop.Disk{Journal: r.j, FS: r.fs, Checkpoints: "n1/checkpoints", Node: "n1", Keep: 2, Told: &told{}, Since: func() hlc.Timestamp { return since }}
		}
		d, now, times := open(), hlc.Timestamp(1), map[uint64]hlc.Timestamp{}
		for range rapid.IntRange(1, 40).Draw(rt, "checkpoints") {
			r.offer(Add{1})
			r.run()
			now += hlc.Timestamp(rapid.IntRange(1, 30).Draw(rt, "later"))
			since = max(since, now-min(now, 100))
			if rapid.IntRange(0, 9).Draw(rt, "restart") == 0 {
				d = open()
			}
			seq := r.l.Seq()
			times[seq] = now
			if err := d.Do(loop.DiskJob{Checkpoint: &loop.Output{Kind: loop.OutputCheckpoint, Seq: seq, Time: now, Body: []byte("body")}}); err != nil {
				rt.Fatal(err)
			}
			seqs, err := checkpoint.List(r.fs, "n1/checkpoints")
			if err != nil || len(seqs) > 2+4 {
				rt.Fatalf("checkpoints %v, %v", seqs, err)
			}
			before := false // there was one at or before since, and so there has to be
			for _, at := range times {
				before = before || at <= since
			}
			if before && times[seqs[0]] > since {
				rt.Fatalf("since %d is asked for, and the first of %v is of %d", since, seqs, times[seqs[0]])
			}
		}
	})
}

// Nor do they reach back for ever: with frequent ones, too, the first is let go in time,
// and the journal with it.
func TestCheckpointsReachBackNoFurther(t *testing.T) {
	for _, every := range []hlc.Timestamp{1, 7, 20, 40, 70} {
		r := newRig(t, vfs.NewMem(), nil)
		r.mustOpen()
		const back = 100
		now, times := hlc.Timestamp(1000), map[uint64]hlc.Timestamp{}
		d := &loop.Disk{Journal: r.j, FS: r.fs, Checkpoints: "n1/checkpoints", Node: "n1", Keep: 2, Told: &told{},
			Since: func() hlc.Timestamp { return now - back }}
		for now < 2000 {
			r.offer(Add{1})
			r.run()
			now += every
			seq := r.l.Seq()
			times[seq] = now
			if err := d.Do(loop.DiskJob{Checkpoint: &loop.Output{Kind: loop.OutputCheckpoint, Seq: seq, Time: now, Body: []byte("body")}}); err != nil {
				t.Fatal(err)
			}
		}
		seqs, err := checkpoint.List(r.fs, "n1/checkpoints")
		if err != nil || times[seqs[0]] > now-back || times[seqs[0]] < now-back-back/2-every {
			t.Errorf("every %d: at %d the first is of %d, %v", every, now, times[seqs[0]], err)
		}
	}
}
