package node

import (
	"errors"
	"fmt"
	"path"
	"sync"
	"time"

	"hindcast.dev/event"
	"hindcast.dev/hlc"
	"hindcast.dev/journal/checkpoint"
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
	sync        bool
	ceiling     hlc.Timestamp
	maintain    bool
	checkpoints []loop.Output
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

func newDisk(n *Node) *disk { return &disk{n: n, wake: make(chan struct{}, 1), maintain: true} }

func (d *disk) want(change func()) {
	d.mu.Lock()
	change()
	d.mu.Unlock()
	signal(d.wake)
}

func (d *disk) wantSync()                    { d.want(func() { d.sync = true }) }
func (d *disk) wantMaintain()                { d.want(func() { d.maintain = true }) }
func (d *disk) wantCeiling(ts hlc.Timestamp) { d.want(func() { d.ceiling = max(d.ceiling, ts) }) }
func (d *disk) stop()                        { d.want(func() { d.stopping = true }) }

// wantCheckpoint has a checkpoint written. If the disk is slow the oldest of
// those that wait gives way.
func (d *disk) wantCheckpoint(o loop.Output) {
	d.want(func() {
		if len(d.checkpoints) >= d.n.o.Limits.Checkpoints {
			d.checkpoints = append(d.checkpoints[:0], d.checkpoints[1:]...)
			d.counts.checkpointsSkipped++
		}
		d.checkpoints = append(d.checkpoints, o)
	})
}

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
	var retry <-chan time.Time
	wait := maintainRetryMin
	for {
		job := d.take()
		if job.empty() {
			if job.stopping {
				return
			}
			select {
			case <-d.wake:
			case <-retry:
				d.want(func() { d.maintain = true })
			}
			continue
		}
		if err := d.do(job); err != nil {
			d.failed(err)
			return
		}
		if job.maintain {
			if d.maintained(d.n.j.Maintain()) {
				retry, wait = nil, maintainRetryMin
			} else {
				retry, wait = time.After(wait), min(2*wait, maintainRetryMax)
			}
		}
	}
}

// A diskJob is what was wanted.
type diskJob struct {
	sync, maintain, stopping bool
	ceiling                  hlc.Timestamp
	checkpoint               *loop.Output
}

func (j *diskJob) empty() bool {
	return !j.sync && !j.maintain && j.ceiling == 0 && j.checkpoint == nil
}

// take takes what is wanted, of checkpoints the oldest: others wait for a turn
// of their own, so that a sync doesn't wait for all of them.
func (d *disk) take() diskJob {
	d.mu.Lock()
	defer d.mu.Unlock()
	j := diskJob{sync: d.sync, maintain: d.maintain, stopping: d.stopping, ceiling: d.ceiling}
	d.sync, d.maintain, d.ceiling = false, false, 0
	if !j.sync && j.ceiling == 0 && len(d.checkpoints) > 0 {
		c := d.checkpoints[0]
		j.checkpoint = &c
		d.checkpoints = d.checkpoints[1:]
	}
	return j
}

// do does what can't fail without ending the node, and writes a checkpoint.
func (d *disk) do(job diskJob) error {
	if job.ceiling > 0 {
		if err := d.n.j.RaiseCeiling(job.ceiling); err != nil {
			return &SyncError{"raising the clock ceiling", err}
		}
		d.result(func(r *diskResults) { r.ceiling = max(r.ceiling, job.ceiling) })
	}
	if job.sync {
		if err := d.syncJournal(); err != nil {
			return err
		}
	}
	if job.checkpoint != nil {
		return d.writeCheckpoint(job.checkpoint)
	}
	return nil
}

func (d *disk) syncJournal() error {
	begun := time.Now()
	seq, err := d.n.j.Sync()
	if err != nil {
		return &SyncError{"sync of the journal", err}
	}
	d.result(func(r *diskResults) {
		r.synced = max(r.synced, seq)
		d.counts.syncs++
		d.counts.syncTime += time.Since(begun)
	})
	return nil
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

// writeCheckpoint writes a checkpoint and lets retention go on. That it can't be
// written (a full disk) is no failure of the node: the ones before it are there.
func (d *disk) writeCheckpoint(o *loop.Output) error {
	n := d.n
	if n.j.Durable() < o.Seq {
		// The shadow's: a checkpoint ahead of the journal would be a state that never was.
		if err := d.syncJournal(); err != nil {
			return err
		}
	}
	h := checkpoint.Header{Node: n.o.Name, Boot: n.boot, Seq: o.Seq, Time: o.Time, Physical: o.Physical, Chain: o.Chain, Versions: o.Versions}
	err := checkpoint.Write(n.o.FS, n.dirs.checkpoints, h, o.Body)
	if err == nil {
		err = d.retain()
	}
	log := n.logs.in(AreaDisk)
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
	if err != nil {
		log.Warn("checkpoint not written; recovery will take longer", "seq", o.Seq, "err", err)
		return nil
	}
	log.Info("checkpoint written", "seq", o.Seq, "bytes", len(o.Body))
	return nil
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

// retain removes old checkpoints and lets the journal's retention go up to the
// oldest one kept.
func (d *disk) retain() error {
	d.mu.Lock()
	pinned := d.pins > 0
	d.mu.Unlock()
	if pinned {
		return nil
	}
	oldest, err := checkpoint.Prune(d.n.o.FS, d.n.dirs.checkpoints, d.n.o.Checkpoints)
	if err != nil {
		return err
	}
	if oldest > 0 {
		d.n.j.SetRetainFrom(oldest + 1)
		d.wantMaintain()
	}
	return nil
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

// maintained looks at what came of a Maintain and reports whether it is done.
func (d *disk) maintained(err error) bool {
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
	return err == nil
}

func (d *disk) snapshot() (c diskCounts, full, trouble string, written uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.counts, d.full, d.trouble, d.written
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
