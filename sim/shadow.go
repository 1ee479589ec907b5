package sim

import (
	"errors"
	"time"

	"hindcast.dev/journal"
	"hindcast.dev/journal/checkpoint"
	"hindcast.dev/loop"
	"hindcast.dev/stepper"
)

// shadowBatch is how many events a shadow replica steps in one go.
const shadowBatch = 256

// A replica is a node's shadow: in some runs it takes the checkpoints, as a node
// with that option has it, and is in any case a second opinion on every event.
type replica struct {
	s    *loop.Shadow
	next uint64 // the event at which a checkpoint is due
	soon bool   // it is to look at the journal
}

// openShadow gives the node a shadow, in runs that have them.
func (n *Node) openShadow() error {
	n.shadow = nil
	w := n.w
	if !w.phases.shadows {
		return nil
	}
	o := stepper.Options{Node: n.name, Registry: w.subject.Machines, Versions: n.versions, Stack: w.phases.stack}
	h, body, _, err := checkpoint.Latest(n.fs, checkpointsDir, n.j.Stamped())
	var st *stepper.Stepper
	switch {
	case err == nil:
		st, err = stepper.Restore(o, body)
	case errors.Is(err, checkpoint.ErrNone):
		st, err = stepper.New(o)
	}
	if err != nil {
		return err
	}
	rd, err := n.j.NewReader(h.Seq + 1)
	if err != nil {
		return err
	}
	n.shadow = &replica{s: loop.NewShadow(st, rd, n.j.Skip), next: h.Seq + w.phases.checkpointEvery}
	n.shadowSoon()
	return nil
}

// shadowSoon has the shadow look at the journal after a while, if there is one: it
// may be far behind.
func (n *Node) shadowSoon() {
	if n.shadow == nil || n.shadow.soon {
		return
	}
	n.shadow.soon = true
	life := n.life
	wait := time.Duration(1+n.disk.rand.IntN(100)) * time.Millisecond
	n.w.After(wait, func() {
		if n.life == life && n.up && n.shadow != nil {
			n.advanceShadow()
		}
	})
}

func (n *Node) advanceShadow() {
	r := n.shadow
	r.soon = false
	count, err := r.s.Advance(shadowBatch, nil)
	if c, ok := r.s.Confirmed(); ok && err == nil {
		n.disk.wantOutput(&c)
	}
	if seq := r.s.Seq(); err == nil && seq >= r.next {
		r.next = seq + n.w.phases.checkpointEvery
		err = r.s.TakeCheckpoint()
	}
	if r.s.Waits() {
		n.l.WantReopen()
		n.turnSoon()
	}
	n.w.mix(r.s.Seq(), r.s.Stepper().Chain())
	switch {
	case err == nil:
	case n.disk.isInjected(err) || n.disk.explains(err) || errors.Is(err, journal.ErrClosed):
		n.shadow = nil // the node goes on without, until its next start
		return
	default:
		n.judge(err, r.s.Seq(), "has a shadow replica that goes wrong")
		return
	}
	if count == shadowBatch {
		n.shadowSoon()
	}
}
