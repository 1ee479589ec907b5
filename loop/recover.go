package loop

import (
	"errors"
	"fmt"
	"io"
	"time"

	"hindcast.dev/faultpoint"
	"hindcast.dev/hlc"
	"hindcast.dev/journal/checkpoint"
	"hindcast.dev/journal/record"
	"hindcast.dev/stepper"
)

// A ClockError says that the node's remembered time is too far ahead of its
// clock to start.
type ClockError struct {
	Remembered, Wall hlc.Timestamp
	MaxDrift         time.Duration
}

func (e *ClockError) Error() string {
	return fmt.Sprintf("the journal's last timestamp %s is %s ahead of this machine's clock %s (MaxDrift %s): set the clock right, "+
		"or wait until it has passed that time, then start again",
		e.Remembered, e.Remembered.Sub(e.Wall), e.Wall, e.MaxDrift)
}

// Open recovers the node: the latest checkpoint, then every stamped event since
// through the stepper, its effects not repeated, the digest chain compared at
// each. Frames that were published but not stamped come out of the first Polls.
// What this start adds (a boot note, start, upgrade and configuration events) is
// appended to the journal behind them, as soon as there is room: see Begun.
//
// Errors: *stepper.DivergenceError; *ClockError; *stepper.PanicError with the event that
// killed the node before; *stepper.RollbackError, *stepper.VersionError; the
// journal's.
func Open(cfg Config, r hlc.Reading) (*Loop, error) {
	c := cfg.withDefaults()
	l := &Loop{cfg: c, j: c.Journal, boot: c.Journal.Boot(), ceiling: c.Journal.Ceiling(),
		reading: r, stagger: staggerOf(c.Node, c.CheckpointEvery), armed: map[timerName]armed{}}
	last := l.j.LastStamp()
	remembered := max(last.Time, l.ceiling)
	wall := r.Wall.Physical()
	if remembered > wall && remembered.Sub(wall) > startDrift(c.MaxDrift) {
		return nil, &ClockError{Remembered: remembered, Wall: wall, MaxDrift: c.MaxDrift}
	}
	l.clock = hlc.NewClock(c.MaxDrift, remembered)
	l.clock.SetLimit(l.ceiling)
	if err := l.restore(last.Seq); err != nil {
		return nil, err
	}
	if err := l.replay(last.Seq); err != nil {
		return nil, err
	}
	if err := c.Faults.Hit(faultpoint.LoopRecovered); err != nil {
		return nil, err
	}
	l.seq, l.durable, l.asked, l.last = last.Seq, last.Seq, last.Seq, last
	l.beginning.leftovers = l.j.Recovery().Unstamped
	l.waitsFor.Store(&errBeginning)
	l.begin()
	if l.err != nil {
		return nil, l.err
	}
	return l, nil
}

// startDrift is how far the remembered time may be ahead of the clock: a message
// may have taken the last stamp MaxDrift ahead, and the ceiling is ahead of that.
func startDrift(maxDrift time.Duration) time.Duration {
	return maxDrift + maxDrift/ceilingShare/aheadShare + hlc.TicksDuration(2)
}

// restore loads the latest sound checkpoint that the journal reaches, or begins
// with nothing. Checkpoints that it doesn't reach are of events that were lost (by
// a repair): others will have their sequence numbers.
func (l *Loop) restore(last uint64) error {
	aside, err := checkpoint.SetAside(l.cfg.FS, l.cfg.Checkpoints, last)
	if err != nil {
		return err
	}
	for _, name := range aside {
		l.hold(Output{Kind: OutputLog, Effect: logEffect("error",
			"the journal ends at event %d: the later checkpoint %s is set aside, its events are lost", last, name)})
	}
	h, body, damaged, err := checkpoint.Latest(l.cfg.FS, l.cfg.Checkpoints, last)
	for _, d := range damaged {
		l.hold(Output{Kind: OutputLog, Effect: logEffect("error", "checkpoint passed over: %v", d)})
	}
	if errors.Is(err, checkpoint.ErrNone) {
		if l.st, err = stepper.New(l.cfg.Stepper); err == nil && l.cfg.Ready != nil {
			l.cfg.Ready(l.st, record.Stamp{})
		}
		return err
	}
	if err != nil {
		return fmt.Errorf("checkpoints in %s: %w", l.cfg.Checkpoints, err)
	}
	if l.st, err = stepper.Restore(l.cfg.Stepper, body); err != nil {
		return fmt.Errorf("checkpoint at event %d: %w", h.Seq, err)
	}
	l.checkpoint = h.Seq
	if l.cfg.Ready != nil {
		l.cfg.Ready(l.st, record.Stamp{Seq: h.Seq, Time: h.Time, Physical: h.Physical, Chain: h.Chain, Boot: h.Boot})
	}
	return nil
}

// replay steps what was stamped since the checkpoint.
func (l *Loop) replay(last uint64) error {
	// The checkpoint may have been taken behind notes, which no stepper sees.
	done := max(l.st.Seq(), l.checkpoint)
	if done >= last {
		return nil
	}
	rd, err := l.j.NewReader(done + 1)
	if err != nil {
		return fmt.Errorf("recovery from event %d: %w", done+1, err)
	}
	defer rd.Close()
	f := stepper.NewFollower(l.st)
	for {
		e, err := rd.Next()
		if errors.Is(err, io.EOF) || err == nil && e.Stamp.Seq > last {
			return nil
		}
		if err != nil {
			return fmt.Errorf("recovery: %w", err)
		}
		if reason, skip := l.j.Skip(e.Stamp.Seq); skip {
			e.Stamp.Disposition = record.Skipped
			if e.Stamp.Seq == last {
				l.beginning.skip(&e.Frame, last, reason)
			}
		}
		if l.seen, err = f.Follow(&e.Frame, e.Stamp); err != nil {
			return fmt.Errorf("recovery: %w", err)
		}
		if l.cfg.See != nil {
			l.cfg.See(&l.seen, e.Stamp)
		}
		l.recoveredAt++
	}
}
