package node

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"hindcast.dev/journal"
	"hindcast.dev/journal/checkpoint"
	"hindcast.dev/journal/record"
	"hindcast.dev/loop"
	"hindcast.dev/stepper"
)

// shadowBatch is how many events a shadow steps before it looks around.
const shadowBatch = 256

// ShadowOptions say what a shadow replica is for.
type ShadowOptions struct {
	// See is called for every event that the shadow follows, after it was stepped,
	// with its stamp. What it is given is borrowed until it returns.
	See func(*stepper.Followed, record.Stamp)
	// OnChange is told every change of every variable, before See is called for the
	// event.
	OnChange stepper.Changes
	// Every is the number of events between checkpoints; 0 takes none. They count
	// only once the digest chain in the journal agrees with the shadow's.
	Every uint64
	// Ready is called once, when the shadow begins, with the header of the checkpoint
	// that it goes on from; zero for none. It may look at the machines as they are
	// then.
	Ready func(*stepper.Stepper, checkpoint.Header)
	// Turn is called after some events, and always before the shadow waits for
	// more. Its error ends the shadow.
	Turn func() error
	// Bounded begins the shadow at the latest checkpoint that is not after the event
	// Until, or at the first event, in place of the latest checkpoint of all.
	Bounded bool
	Until   uint64
}

// Shadow runs a second copy of the machines that follows the journal, until ctx
// ends or the node stops; then it returns nil. It neither polls nor slows the
// node. A *stepper.DivergenceError means that the machines aren't deterministic:
// what led there is set aside as a crash box, and the node goes on.
func (n *Node) Shadow(ctx context.Context, o ShadowOptions) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-n.loopDone:
			cancel()
		case <-ctx.Done():
		}
	}()
	err := n.shadow(ctx, o)
	if ctx.Err() != nil && (errors.Is(err, ctx.Err()) || errors.Is(err, journal.ErrClosed)) {
		return nil
	}
	if errors.Is(err, ErrStopping) {
		return nil
	}
	return n.shadowFailed(err)
}

// shadowFailed sets a divergence aside as a crash box; other errors it returns as
// they are.
func (n *Node) shadowFailed(err error) error {
	var diverged *stepper.DivergenceError
	if errors.As(err, &diverged) {
		err = n.setAside(diverged.Seq, err)
		n.logs.in(AreaShadow).Error("shadow replica diverged; the node goes on without it", "err", err)
	}
	return err
}

func (n *Node) shadow(ctx context.Context, o ShadowOptions) error {
	s, h, err := n.openShadow(&o)
	if err != nil {
		return fmt.Errorf("shadow replica: %w", err)
	}
	defer s.Close()
	if o.Ready != nil {
		o.Ready(s.Stepper(), h)
	}
	read := h.Seq
	next := read + o.Every
	for {
		count, err := s.Advance(shadowBatch, o.See)
		if err != nil {
			return err
		}
		read = max(read, s.Seq())
		if c, ok := s.Confirmed(); ok {
			n.disk.wantOutput(&c)
		}
		if o.Every > 0 && read >= next {
			next = read + o.Every
			if err := s.TakeCheckpoint(); err != nil {
				return err
			}
			if s.Waits() {
				if err := n.control(ctx, func() { n.loop.WantReopen(); signal(n.wake) }); err != nil {
					return err
				}
			}
		}
		if o.Turn != nil {
			if err := o.Turn(); err != nil {
				return err
			}
		}
		if count > 0 && (ctx.Err() == nil || n.loopOver()) {
			continue // also the last events of a node that stops
		}
		if err := n.j.Wait(ctx, read); err != nil {
			return err
		}
	}
}

// loopOver reports whether the loop has ended: nothing more will be stamped.
func (n *Node) loopOver() bool {
	select {
	case <-n.loopDone:
		return true
	default:
		return false
	}
}

// openShadow begins at a checkpoint, of which h is the header, or at the start.
func (n *Node) openShadow(so *ShadowOptions) (s *loop.Shadow, h checkpoint.Header, err error) {
	n.disk.pin() // until its reader is open nothing that it needs may go
	defer n.disk.unpin()
	o := stepper.Options{Node: n.o.Name, Registry: n.o.Registry, Versions: n.o.Versions, OnChange: so.OnChange, Stack: debug.Stack}
	until := n.j.Stamped()
	if so.Bounded {
		until = min(until, so.Until)
	}
	h, body, _, err := checkpoint.Latest(n.o.FS, n.dirs.checkpoints, until)
	var st *stepper.Stepper
	switch {
	case err == nil:
		st, err = stepper.Restore(o, body)
	case errors.Is(err, checkpoint.ErrNone):
		st, err = stepper.New(o)
	}
	if err != nil {
		return nil, h, err
	}
	rd, err := n.j.NewReader(h.Seq + 1)
	if err != nil {
		return nil, h, err
	}
	s = loop.NewShadow(st, rd, n.j.Skip)
	s.StartsAfter(record.Stamp{Seq: h.Seq, Time: h.Time, Physical: h.Physical, Chain: h.Chain, Boot: h.Boot})
	return s, h, nil
}

// startShadowCheckpoints runs the shadow that takes the checkpoints. If it fails,
// the loop takes them itself from then on.
func (n *Node) startShadowCheckpoints() {
	every := n.o.CheckpointEvery
	if every == 0 {
		every = loop.DefaultCheckpointEvery
	}
	n.background.Go(func() {
		err := n.Shadow(context.Background(), ShadowOptions{Every: every})
		if err != nil {
			n.logs.in(AreaShadow).Error("the loop takes the checkpoints from now on", "err", err)
			n.ownCheckpoints.Store(every)
		}
	})
}
