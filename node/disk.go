package node

import (
	"errors"
	"fmt"
	"path"
	"sync"
	"time"

	"hindcast.dev/event"
	"hindcast.dev/hlc"
	"hindcast.dev/loop"
	"hindcast.dev/vfs"
)

// How long a Maintain that failed waits for the next attempt: doubling, between
// these.
const (
	maintainRetryMin = 50 * time.Millisecond
	maintainRetryMax = 2 * time.Second
)

// disk is the disk's goroutine and what is asked of it. Whoever asks doesn't
// wait; asking again for what is asked for already changes nothing.
type disk struct {
	n    *Node
	wake chan struct{} // one signal: something is wanted

	mu          sync.Mutex
	wants       loop.Wants
	stopping    bool
	out         diskResults
	counts      diskCounts
	full        string // why the disk takes nothing, "" if it does
	fullSince   time.Time
	trouble     string // the last error that stops nobody
	waiters     []checkpointWaiter
	written     uint64 // sequence number of the last checkpoint written
	unwritten   uint64 // of the last one that couldn't be
	unwrittenBy error  // and why
	pins        int    // while above 0, retention stays where it is

	// Its goroutine's.
	does       loop.Disk
	syncBegan  time.Time
	maintained error // what came of the last Maintain
}

// diskResults wait for the loop to take them.
type diskResults struct {
	synced  uint64
	ceiling hlc.Timestamp
	err     error // final
}

type diskCounts struct {
	syncs, checkpoints, checkpointsFailed, checkpointsSkipped, maintainFailed, full uint64
	syncTime                                                                        time.Duration
}

type checkpointWaiter struct {
	seq  uint64
	done chan error
}

func newDisk(n *Node) *disk {
	d := &disk{n: n, wake: make(chan struct{}, 1)}
	d.wants.CheckpointsMax = n.o.Limits.Checkpoints
	d.wants.Maintain()
	return d
}

func (d *disk) want(change func()) {
	d.mu.Lock()
	change()
	d.mu.Unlock()
	signal(d.wake)
}

// wantOutput has what an output asks of the disk done: a sync, a ceiling, a
// checkpoint.
func (d *disk) wantOutput(o *loop.Output) { d.want(func() { d.wants.Add(o) }) }
func (d *disk) wantMaintain()             { d.want(d.wants.Maintain) }
func (d *disk) stop()                     { d.want(func() { d.stopping = true }) }

// results are what the loop is to know since it last asked.
func (d *disk) results() (synced uint64, ceiling hlc.Timestamp, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	r := d.out
	d.out.synced, d.out.ceiling = 0, 0
	return r.synced, r.ceiling, r.err
}

// fullReason is why the disk takes nothing, "" if it does.
func (d *disk) fullReason() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.full
}

// run is the disk's goroutine. It ends when stop was called, or after a failure.
func (d *disk) run() {
	d.does = loop.Disk{Journal: d.n.j, FS: d.n.o.FS, Checkpoints: d.n.dirs.checkpoints, Node: d.n.o.Name,
		Keep: d.n.o.Checkpoints, Pinned: d.pinned, Told: d,
		Since: func() hlc.Timestamp { return d.n.reading().Wall.Add(-windowKeep) }}
	var retry <-chan time.Time
	wait := maintainRetryMin
	for {
		job, stopping := d.take()
		if job.Empty() {
			if stopping {
				return
			}
			select {
			case <-d.wake:
			case <-retry:
				d.wantMaintain()
			}
			continue
		}
		if err := d.does.Do(job); err != nil {
			d.failed(diskFailure(err))
			return
		}
		if !job.Maintain {
			continue
		}
		if d.maintained == nil {
			retry, wait = nil, maintainRetryMin
		} else {
			retry, wait = time.After(wait), min(2*wait, maintainRetryMax)
		}
	}
}

func (d *disk) take() (j loop.DiskJob, stopping bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.wants.Take(), d.stopping
}

// diskFailure turns what a Disk returned into the node's error.
func diskFailure(err error) error {
	var failed *loop.DiskError
	if errors.As(err, &failed) {
		return &SyncError{failed.Doing, failed.Err}
	}
	return err
}

// Syncing implements loop.DiskEvents.
func (d *disk) Syncing() { d.syncBegan = time.Now() }

// Synced implements loop.DiskEvents.
func (d *disk) Synced(seq uint64) {
	d.result(func(r *diskResults) {
		r.synced = max(r.synced, seq)
		d.counts.syncs++
		d.counts.syncTime += time.Since(d.syncBegan)
	})
}

// CeilingSynced implements loop.DiskEvents.
func (d *disk) CeilingSynced(ts hlc.Timestamp) {
	d.result(func(r *diskResults) { r.ceiling = max(r.ceiling, ts) })
}

// result tells the loop.
func (d *disk) result(change func(*diskResults)) {
	d.mu.Lock()
	change(&d.out)
	d.mu.Unlock()
	signal(d.n.wake)
}

// failed ends the node.
func (d *disk) failed(err error) {
	d.result(func(r *diskResults) { r.err = err })
	d.mu.Lock()
	waiters := d.waiters
	d.waiters = nil
	d.mu.Unlock()
	for _, w := range waiters {
		w.done <- err
	}
	d.n.fail(err)
}

// Checkpointed implements loop.DiskEvents.
func (d *disk) Checkpointed(o *loop.Output, err error, wantMaintain bool) {
	log := d.n.logs.in(AreaDisk)
	d.mu.Lock()
	if err != nil {
		d.counts.checkpointsFailed++
		d.unwritten, d.unwrittenBy = o.Seq, err
		d.trouble = fmt.Sprintf("checkpoint at event %d: %v", o.Seq, err)
	} else {
		d.counts.checkpoints++
		d.written = max(d.written, o.Seq)
	}
	waiters := d.takeWaiters(o.Seq)
	d.mu.Unlock()
	for _, w := range waiters {
		w.done <- err
	}
	if wantMaintain {
		d.wantMaintain()
	}
	if err != nil {
		log.Warn("checkpoint not written; recovery will take longer", "seq", o.Seq, "err", err)
		return
	}
	log.Info("checkpoint written", "seq", o.Seq, "bytes", len(o.Body))
}

// takeWaiters returns those who wait for a checkpoint at or below seq. The caller
// holds mu.
func (d *disk) takeWaiters(seq uint64) []checkpointWaiter {
	var done, rest []checkpointWaiter
	for _, w := range d.waiters {
		if w.seq <= seq {
			done = append(done, w)
		} else {
			rest = append(rest, w)
		}
	}
	d.waiters = rest
	return done
}

// waitCheckpoint returns a channel that tells when a checkpoint at seq or above
// is written, or couldn't be.
func (d *disk) waitCheckpoint(seq uint64) <-chan error {
	done := make(chan error, 1)
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.out.err != nil:
		done <- d.out.err
	case d.written >= seq:
		done <- nil
	case d.unwritten >= seq:
		done <- d.unwrittenBy
	default:
		d.waiters = append(d.waiters, checkpointWaiter{seq, done})
	}
	return done
}

func (d *disk) pinned() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.pins > 0
}

// pin keeps retention from removing anything until unpin; it catches up at the
// next checkpoint.
func (d *disk) pin() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.pins++
}

func (d *disk) unpin() {
	d.mu.Lock()
	d.pins--
	d.mu.Unlock()
}

// Maintained implements loop.DiskEvents.
func (d *disk) Maintained(err error) {
	d.maintained = err
	n := d.n
	log := n.logs.in(AreaDisk)
	d.mu.Lock()
	was := d.full
	since := d.fullSince
	d.full = ""
	if err != nil {
		d.counts.maintainFailed++
		d.trouble = err.Error()
		if errors.Is(err, vfs.ErrNoSpace) {
			d.full = err.Error()
		}
		if was == "" && d.full != "" {
			d.counts.full++
			d.fullSince = time.Now()
		}
	} else {
		d.trouble = ""
	}
	now := d.full
	d.mu.Unlock()
	switch {
	case was == "" && now != "":
		log.Error("the disk is full: no segment can be prepared; when the present ones are used up writes are refused", "err", err)
		n.note(event.NoteDisk, event.NoteInfo{State: "full", Reason: now})
	case was != "" && now == "":
		log.Info("the disk has space again", "full for", time.Since(since))
		n.note(event.NoteDisk, event.NoteInfo{State: "ok",
			Reason: fmt.Sprintf("space again after %s", time.Since(since).Round(time.Millisecond))})
	case err != nil && now == "":
		log.Warn("journal maintenance failed; it is tried again", "err", err)
	}
	n.room.notify() // who waits for room looks again, also if there is none
	signal(n.wake)
}

func (d *disk) snapshot() (c diskCounts, full, trouble string, written uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	c = d.counts
	c.checkpointsSkipped = d.wants.Skipped
	return c, d.full, d.trouble, d.written
}

// dirs are the directories of a node.
type dirs struct {
	journal, checkpoints, crashboxes, bundles string
}

func dirsOf(dir string) dirs {
	return dirs{journal: path.Join(dir, "journal"), checkpoints: path.Join(dir, "checkpoints"),
		crashboxes: path.Join(dir, "crashbox"), bundles: path.Join(dir, "bundle")}
}

func (d dirs) make(fs vfs.FS) error {
	for _, dir := range []string{d.journal, d.checkpoints} {
		if err := fs.MkdirAll(dir); err != nil {
			return err
		}
	}
	return nil
}
