package sim

import (
	"errors"
	"time"

	"hindcast.dev/faultpoint"
	"hindcast.dev/hlc"
	"hindcast.dev/journal"
	"hindcast.dev/journal/checkpoint"
	"hindcast.dev/loop"
	"hindcast.dev/machine"
	"hindcast.dev/vfs"
)

// checkpointsKept is how many checkpoints a node keeps. Journals are kept whole:
// they are what is judged.
const checkpointsKept = 2

// A disk is a node's: it does one thing at a time, and that takes time. What the
// loop wants meanwhile waits, as with package node's disk goroutine.
type disk struct {
	n    *Node
	mem  *vfs.Mem
	rand *machine.Rand

	busy        bool
	sync        bool
	maintain    bool
	ceiling     hlc.Timestamp
	checkpoints []loop.Output
	slow        time.Duration // by a fault
	left        *vfs.Mem      // what the process left when it died at a point; nil if it didn't
}

func newDisk(n *Node) disk {
	mem := vfs.NewMem()
	n.fs = mem
	return disk{n: n, mem: mem, rand: n.w.Rand("disk " + n.name)}
}

// nonce is a nonce for the journal's next segment.
func (d *disk) nonce() uint32 { return uint32(d.rand.Uint64()) | 1 }

func (d *disk) wantSync()                    { d.sync = true; d.work() }
func (d *disk) wantMaintain()                { d.maintain = true; d.work() }
func (d *disk) wantCeiling(ts hlc.Timestamp) { d.ceiling = max(d.ceiling, ts); d.work() }
func (d *disk) wantCheckpoint(o loop.Output) { d.checkpoints = append(d.checkpoints, o); d.work() }

// work begins what is wanted, if the disk is idle.
func (d *disk) work() {
	if d.busy {
		return
	}
	d.busy = true
	w := d.n.w
	took := w.phases.diskBase + time.Duration(d.rand.Uint64N(uint64(w.phases.diskJitter)+1)) + d.slow
	w.queue.put(w.now+int64(took), happening{kind: happensDisk, node: d.n, tag: d.n.life})
}

// done is the end of what was begun: now it takes effect.
func (d *disk) done(life uint64) {
	n := d.n
	if life != n.life || !n.up {
		return
	}
	d.busy = false
	err := d.do()
	if n.gone() {
		return
	}
	if err != nil {
		n.l.Fail(err)
		n.stopped(err)
		return
	}
	if d.sync || d.ceiling > 0 || d.maintain || len(d.checkpoints) > 0 {
		d.work()
	}
	n.turnSoon()
}

// do does what can't fail without ending the node; then a checkpoint, if nothing
// else was asked for.
func (d *disk) do() error {
	n := d.n
	sync, ceiling, maintain := d.sync, d.ceiling, d.maintain
	d.sync, d.ceiling, d.maintain = false, 0, false
	if ceiling > 0 {
		if err := n.j.RaiseCeiling(ceiling); err != nil {
			return err
		}
		n.l.CeilingSynced(ceiling)
	}
	if sync {
		if err := d.syncJournal(); err != nil {
			return err
		}
	}
	if !sync && ceiling == 0 && len(d.checkpoints) > 0 {
		o := d.checkpoints[0]
		d.checkpoints = d.checkpoints[1:]
		if err := d.writeCheckpoint(&o); err != nil {
			return err
		}
	}
	if maintain {
		return d.maintained(n.j.Maintain())
	}
	return nil
}

func (d *disk) syncJournal() error {
	seq, err := d.n.j.Sync()
	if err == nil {
		d.n.l.Synced(seq)
	}
	return err
}

// writeCheckpoint: that one can't be written is no failure of the node.
func (d *disk) writeCheckpoint(o *loop.Output) error {
	n := d.n
	if n.j.Durable() < o.Seq {
		if err := d.syncJournal(); err != nil {
			return err
		}
	}
	h := checkpoint.Header{Node: n.name, Boot: n.boot, Seq: o.Seq, Time: o.Time, Physical: o.Physical, Chain: o.Chain, Versions: o.Versions}
	if err := checkpoint.Write(n.fs, checkpointsDir, h, o.Body); err != nil {
		return nil
	}
	_, _ = checkpoint.Prune(n.fs, checkpointsDir, checkpointsKept) // the old ones stay then
	return nil
}

// maintained looks at what came of Maintain: only a failed sync is final.
func (d *disk) maintained(err error) error {
	if errors.Is(err, journal.ErrSyncFailed) {
		return err
	}
	if err != nil {
		d.n.w.After(50*time.Millisecond, d.wantMaintainIf(d.n.life))
	}
	return nil
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
	d.busy, d.sync, d.maintain, d.ceiling, d.checkpoints = false, false, false, 0, nil
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
