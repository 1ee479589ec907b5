package sim

import (
	"errors"
	"time"

	"hindcast.dev/faultpoint"
	"hindcast.dev/hlc"
	"hindcast.dev/journal"
	"hindcast.dev/loop"
	"hindcast.dev/machine"
	"hindcast.dev/vfs"
)

// checkpointsKept is how many checkpoints a node keeps. Journals are kept whole:
// they are what is judged.
const checkpointsKept = 2

// maintainRetry is how long a Maintain that failed waits for the next attempt.
const maintainRetry = 50 * time.Millisecond

// A disk is a node's: it does one thing at a time, and that takes time. What the
// loop wants meanwhile waits, as with package node's disk goroutine.
type disk struct {
	n    *Node
	mem  *vfs.Mem
	rand *machine.Rand // of nonces

	weather weather
	chance  machine.Rand // of how long something takes

	busy  bool
	job   loop.DiskJob // while busy
	wants loop.Wants
	does  loop.Disk
	slow  time.Duration // by a fault
	left  *vfs.Mem      // what the process left when it died at a point; nil if it didn't
}

func newDisk(n *Node) disk {
	mem := vfs.NewMem()
	n.fs = mem
	return disk{n: n, mem: mem, rand: n.w.Rand("disk " + n.name)}
}

// nonce is a nonce for the journal's next segment.
func (d *disk) nonce() uint32 { return uint32(d.rand.Uint64()) | 1 }

func (d *disk) wantMaintain() { d.wants.Maintain(); d.work() }

func (d *disk) wantOutput(o *loop.Output) { d.wants.Add(o); d.work() }

// opened is told that the node has a journal.
func (d *disk) opened() {
	d.does = loop.Disk{Journal: d.n.j, FS: d.n.fs, Checkpoints: checkpointsDir, Node: d.n.name, Keep: checkpointsKept, Told: d, Faults: d.n.points}
}

// work begins what is wanted, if the disk is idle.
func (d *disk) work() {
	if d.busy {
		return
	}
	if d.job = d.wants.Take(); d.job.Empty() {
		return
	}
	d.busy = true
	w := d.n.w
	d.weather.set(&d.chance, w, placeDisk|uint64(d.n.index))
	took := w.phases.diskBase + time.Duration(d.chance.Uint64N(uint64(w.phases.diskJitter)+1)) + d.slow
	w.queue.put(w.now+int64(took), happening{kind: happensDisk, node: d.n, tag: d.n.life})
}

// done is the end of what was begun: now it takes effect.
func (d *disk) done(life uint64) {
	n := d.n
	if life != n.life || !n.up {
		return
	}
	err := d.does.Do(d.job)
	if n.gone() {
		return
	}
	if err != nil {
		n.l.Fail(err)
		n.stopped(err)
		return
	}
	d.busy = false
	d.work()
	n.turnNow()
}

// Syncing implements loop.DiskEvents.
func (d *disk) Syncing() {}

// Synced implements loop.DiskEvents.
func (d *disk) Synced(seq uint64) { d.n.l.Synced(seq) }

// CeilingSynced implements loop.DiskEvents.
func (d *disk) CeilingSynced(ts hlc.Timestamp) { d.n.l.CeilingSynced(ts) }

// Checkpointed implements loop.DiskEvents.
func (d *disk) Checkpointed(_ *loop.Output, _ error, wantMaintain bool) {
	if wantMaintain {
		d.wants.Maintain()
	}
}

// Maintained implements loop.DiskEvents.
func (d *disk) Maintained(err error) {
	if err != nil {
		d.n.w.After(maintainRetry, d.wantMaintainIf(d.n.life))
	}
}

func (d *disk) wantMaintainIf(life uint64) func() {
	return func() {
		if d.n.life == life && d.n.up {
			d.wantMaintain()
		}
	}
}

// died is the end of the process: what it had asked of the disk and the disk
// hasn't done is never done.
func (d *disk) died() {
	d.busy, d.job, d.does = false, loop.DiskJob{}, loop.Disk{}
	d.wants.Forget()
	if d.left != nil {
		d.mem, d.left = d.left, nil
	} else {
		d.mem = d.mem.Restart()
	}
	d.n.fs = d.mem
}

// isInjected reports whether a fault made the error.
func (d *disk) isInjected(err error) bool {
	return errors.Is(err, faultpoint.ErrInjected) || errors.Is(err, faultpoint.ErrDied) || errors.Is(err, vfs.ErrNoSpace)
}

// explains reports whether a damage of this disk explains that the node doesn't
// start.
func (d *disk) explains(err error) bool {
	var file *journal.FileError
	return (errors.As(err, &file) || errors.Is(err, vfs.ErrMedium)) && d.n.w.nemesis.atlas.harmed[d.n.index]
}
