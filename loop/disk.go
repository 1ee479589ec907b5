package loop

import (
	"errors"
	"fmt"
	"slices"

	"hindcast.dev/faultpoint"
	"hindcast.dev/hlc"
	"hindcast.dev/journal"
	"hindcast.dev/journal/checkpoint"
	"hindcast.dev/vfs"
)

// Wants are what a loop asked of its disk and the disk hasn't begun. Asking again
// for what is asked for already changes nothing. The driver guards it.
type Wants struct {
	// CheckpointsMax bounds the checkpoints that wait: the oldest gives way. 0 is 1.
	CheckpointsMax int
	// Skipped counts those that gave way.
	Skipped uint64

	sync        bool
	maintain    bool
	ceiling     hlc.Timestamp
	checkpoints []Output
}

// Add takes an output of kind sync, ceiling or checkpoint.
func (w *Wants) Add(o *Output) {
	switch o.Kind {
	case OutputSync:
		w.sync = true
	case OutputCeiling:
		w.ceiling = max(w.ceiling, o.Time)
	case OutputCheckpoint:
		if len(w.checkpoints) >= max(1, w.CheckpointsMax) {
			w.checkpoints = append(w.checkpoints[:0], w.checkpoints[1:]...)
			w.Skipped++
		}
		w.checkpoints = append(w.checkpoints, *o)
	default:
		panic(fmt.Sprintf("an output of kind %s is not for the disk", o.Kind))
	}
}

// Maintain asks for Journal.Maintain.
func (w *Wants) Maintain() { w.maintain = true }

// Forget drops everything.
func (w *Wants) Forget() { w.sync, w.maintain, w.ceiling, w.checkpoints = false, false, 0, nil }

// A DiskJob is what a disk does in one turn. The zero one is nothing.
type DiskJob struct {
	Sync, Maintain bool
	Ceiling        hlc.Timestamp
	Checkpoint     *Output
}

// Empty reports whether there is nothing to do.
func (j *DiskJob) Empty() bool { return *j == DiskJob{} }

// Take takes what is wanted, of checkpoints the oldest: others wait for a turn of
// their own, so that a sync doesn't wait for all of them.
func (w *Wants) Take() DiskJob {
	j := DiskJob{Sync: w.sync, Maintain: w.maintain, Ceiling: w.ceiling}
	w.sync, w.maintain, w.ceiling = false, false, 0
	if !j.Sync && j.Ceiling == 0 && len(w.checkpoints) > 0 {
		c := w.checkpoints[0]
		j.Checkpoint = &c
		w.checkpoints = w.checkpoints[1:]
	}
	return j
}

// A Disk does what a loop asks of its disk. Its driver gives it a goroutine, for
// it blocks, or a simulator a time at which it is done. All fields but Pinned, Since
// and Faults are required.
type Disk struct {
	Journal     *journal.Journal
	FS          vfs.FS
	Checkpoints string // their directory
	Node        string
	Keep        int // checkpoints to keep
	// Pinned reports whether retention has to wait; nil is never.
	Pinned func() bool
	// Since is from when on checkpoints are to reach back, however many there are; nil
	// is not at all.
	Since func() hlc.Timestamp
	Told  DiskEvents
	// Faults are the points of a simulated run; nil in production.
	Faults *faultpoint.Set

	late lateCheckpoints
}

// DiskEvents tell a driver what a Disk has done, each as soon as it is.
type DiskEvents interface {
	Syncing()                    // a sync of the journal begins
	Synced(seq uint64)           // for Loop.Synced
	CeilingSynced(hlc.Timestamp) // for Loop.CeilingSynced
	// Checkpointed: the checkpoint was written, or, which is no failure of the node, it
	// couldn't be; then the ones before it are there. wantMaintain: retention may go on.
	Checkpointed(o *Output, err error, wantMaintain bool)
	// Maintained: err is nil, or why it is to be tried again.
	Maintained(err error)
}

// A DiskError says that the disk didn't do what the node can't go on without. It
// is final: nothing is known of what it should have made durable.
type DiskError struct {
	Doing string
	Err   error
}

func (e *DiskError) Error() string { return e.Doing + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *DiskError) Unwrap() error { return e.Err }

// Do does a job. Its error is a *DiskError, and ends the node.
func (d *Disk) Do(j DiskJob) error {
	if j.Ceiling > 0 {
		if err := d.Journal.RaiseCeiling(j.Ceiling); err != nil {
			return &DiskError{"raising the clock ceiling", err}
		}
		d.Told.CeilingSynced(j.Ceiling)
	}
	if j.Sync {
		if err := d.sync(); err != nil {
			return err
		}
	}
	if j.Checkpoint != nil {
		if err := d.writeCheckpoint(j.Checkpoint); err != nil {
			return err
		}
	}
	if j.Maintain {
		err := d.Journal.Maintain()
		d.Told.Maintained(err)
		if errors.Is(err, journal.ErrSyncFailed) {
			return &DiskError{"maintaining the journal", err}
		}
	}
	return nil
}

func (d *Disk) sync() error {
	d.Told.Syncing()
	seq, err := d.Journal.Sync()
	if err != nil {
		return &DiskError{"sync of the journal", err}
	}
	d.Told.Synced(seq)
	return nil
}

// writeCheckpoint writes a checkpoint and lets retention go on.
func (d *Disk) writeCheckpoint(o *Output) error {
	if d.Journal.Durable() < o.Seq {
		// The shadow's: a checkpoint ahead of the journal would be a state that never was.
		if err := d.sync(); err != nil {
			return err
		}
	}
	if err := d.lookBack(o.Time); err != nil {
		return err
	}
	h := checkpoint.Header{Node: d.Node, Boot: d.Journal.Boot(), Seq: o.Seq, Time: o.Time, Physical: o.Physical, Chain: o.Chain, Versions: o.Versions}
	err := checkpoint.WriteWith(d.FS, d.Checkpoints, h, o.Body, d.Faults)
	more := false
	if err == nil {
		d.late.add(o.Seq, o.Time)
		more, err = d.retain()
	}
	d.Told.Checkpointed(o, err, more)
	return nil
}

// lookBack takes in the checkpoints of before, as if they were of the time of the first
// new one: whenever they were written, it wasn't later.
func (d *Disk) lookBack(t hlc.Timestamp) error {
	if d.Since == nil || d.late != nil {
		return nil
	}
	seqs, err := checkpoint.List(d.FS, d.Checkpoints)
	if err != nil {
		return &DiskError{"looking for checkpoints", err}
	}
	d.late = lateCheckpoints{}
	for _, seq := range seqs {
		d.late.add(seq, t)
	}
	return nil
}

// retain removes old checkpoints and lets the journal's retention go up to the
// oldest one kept.
func (d *Disk) retain() (more bool, err error) {
	if d.Pinned != nil && d.Pinned() {
		return false, nil
	}
	since := hlc.Max
	if d.Since != nil {
		since = d.Since()
	}
	oldest, err := checkpoint.Prune(d.FS, d.Checkpoints, d.Keep, d.late.since(since)...)
	if err == nil && oldest > 0 {
		d.Journal.SetRetainFrom(oldest + 1)
		return true, nil
	}
	return false, err
}

// lateMax is how many checkpoints stay, at most, only to reach back.
const lateMax = 4

// lateCheckpoints are those written of late, in order, as far as one may be needed to
// reach back: where checkpoints are frequent the newest few are all of the last
// moment, and a snapshot of the moment before would find nothing to begin with.
type lateCheckpoints []lateCheckpoint

type lateCheckpoint struct {
	seq  uint64
	time hlc.Timestamp
}

func (l *lateCheckpoints) add(seq uint64, t hlc.Timestamp) { *l = append(*l, lateCheckpoint{seq, t}) }

// since are the checkpoints to reach back to t with: the last one at or before it, and
// of those after it some, so that later there is such a one as well.
func (l *lateCheckpoints) since(t hlc.Timestamp) (seqs []uint64) {
	first := 0
	for first+1 < len(*l) && (*l)[first+1].time <= t {
		first++
	}
	*l = (*l)[min(first, len(*l)):]
	l.thin(t)
	for _, c := range *l {
		seqs = append(seqs, c.seq)
	}
	return seqs
}

// thin leaves out those that are so near to the one before that others do as well,
// beginning behind t: what stays is half as far apart as t is past, so that the first
// one is passed in time, and what was kept for it is let go.
func (l *lateCheckpoints) thin(t hlc.Timestamp) {
	last := len(*l) - 1
	if last < 2 {
		return
	}
	gap := ((*l)[last].time - t + 1) / (lateMax - 2) // the second is behind t, and so is the last
	thinned := slices.Clone((*l)[:1])
	for i, c := range (*l)[1:] {
		if 1+i == last || c.time-thinned[len(thinned)-1].time >= gap {
			thinned = append(thinned, c)
		}
	}
	*l = thinned
}
