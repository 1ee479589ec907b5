package node

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"hindcast.dev/journal"
	"hindcast.dev/journal/checkpoint"
	"hindcast.dev/loop"
	"hindcast.dev/stepper"
)

// shadowBatch is how many events a shadow steps before it looks around.
const shadowBatch = 256

// ShadowOptions say what a shadow replica is for.
type ShadowOptions struct {
	// See is called for every event that the shadow follows, after it was stepped.
	// What it is given is borrowed until it returns.
	See func(stepper.Followed)
	// OnChange is told every change of every variable, before See is called for the
	// event.
	OnChange stepper.Changes
	// Every is the number of events between checkpoints; 0 takes none. They count
	// only once the digest chain in the journal agrees with the shadow's.
	Every uint64
	// Ready is called once, when the shadow begins, with the event that it goes on
	// from. It may look at the machines as they are then.
	Ready func(*stepper.Stepper)
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
	var diverged *stepper.DivergenceError
	if errors.As(err, &diverged) {
		err = n.setAside(diverged.Seq, err)
		n.logs.in(AreaShadow).Error("shadow replica diverged; the node goes on without it", "err", err)
	}
	return err
}

func (n *Node) shadow(ctx context.Context, o ShadowOptions) error {
	s, read, err := n.openShadow(o.OnChange)
	if err != nil {
		return fmt.Errorf("shadow replica: %w", err)
	}
	defer s.Close()
	if o.Ready != nil {
		o.Ready(s.Stepper())
	}
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
		if count > 0 && ctx.Err() == nil {
			continue
		}
		if err := n.j.Wait(ctx, read); err != nil {
			return err
		}
	}
}

// openShadow begins at the latest checkpoint, or at the start. read is the event
// that it begins after.
func (n *Node) openShadow(changes stepper.Changes) (s *loop.Shadow, read uint64, err error) {
	n.disk.pin() // until its reader is open nothing that it needs may go
	defer n.disk.unpin()
	o := stepper.Options{Node: n.o.Name, Registry: n.o.Registry, Versions: n.o.Versions, OnChange: changes, Stack: debug.Stack}
	h, body, _, err := checkpoint.Latest(n.o.FS, n.dirs.checkpoints, n.j.Stamped())
	var st *stepper.Stepper
	switch {
	case err == nil:
		st, err = stepper.Restore(o, body)
	case errors.Is(err, checkpoint.ErrNone):
		st, err = stepper.New(o)
	}
	if err != nil {
		return nil, 0, err
	}
	rd, err := n.j.NewReader(h.Seq + 1)
	if err != nil {
		return nil, 0, err
	}
	return loop.NewShadow(st, rd, n.j.Skip), h.Seq, nil
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
