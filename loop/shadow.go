package loop

import (
	"errors"
	"fmt"
	"io"

	"hindcast.dev/hlc"
	"hindcast.dev/journal"
	"hindcast.dev/journal/record"
	"hindcast.dev/stepper"
)

// A Shadow is a second stepper that follows the journal of a running node. It
// takes checkpoints without a pause of the node, and tells whoever asks what
// changes. It is an object like Loop: its driver gives it a goroutine, the
// simulator a turn. Not safe for concurrent use.
type Shadow struct {
	f       *stepper.Follower
	rd      *journal.Reader
	skip    func(seq uint64) (reason string, skip bool)
	at      record.Stamp  // of the last event
	entry   journal.Entry // read last
	ahead   bool          // entry isn't stepped yet
	pending *Output       // a checkpoint whose chain no stamp has confirmed yet
	waits   bool          // a checkpoint is to be taken at the next reopen event
}

// NewShadow returns a Shadow that goes on from where st is, reading rd, which
// begins at the event after it; skip is Journal.Skip. The Shadow takes both over.
func NewShadow(st *stepper.Stepper, rd *journal.Reader, skip func(uint64) (string, bool)) *Shadow {
	return &Shadow{f: stepper.NewFollower(st), rd: rd, skip: skip}
}

// StartsAfter says which stamp is the last before those that rd reads, for a
// Shadow that begins with a checkpoint; without it At is zero before the first.
func (s *Shadow) StartsAfter(at record.Stamp) { s.at = at }

// Seq is the last event that the shadow has stepped.
func (s *Shadow) Seq() uint64 { return s.at.Seq }

// At is the stamp of the last event that the shadow has stepped.
func (s *Shadow) At() record.Stamp { return s.at }

// Stepper gives read access to the shadow's machines between two Advances.
func (s *Shadow) Stepper() *stepper.Stepper { return s.f.Stepper() }

// Advance steps up to n more events and gives each with its stamp to see, which
// may be nil. It returns how many there were: fewer than n where the stamped
// journal ends for now. A *stepper.DivergenceError means that the node's machines aren't deterministic;
// the shadow is then of no more use, and the node's state is as good as before.
func (s *Shadow) Advance(n int, see func(*stepper.Followed, record.Stamp)) (int, error) {
	for i := range n {
		e, err := s.next()
		if e == nil {
			return i, err
		}
		if err := s.step(e, see); err != nil {
			return i, err
		}
	}
	return n, nil
}

// AdvanceTo is Advance up to the cut at t: it stops in front of the first event
// after t, and then reached is true: the machines' state is that of the cut, and
// the digest chain in that event's stamp has confirmed it.
func (s *Shadow) AdvanceTo(t hlc.Timestamp, n int, see func(*stepper.Followed, record.Stamp)) (count int, reached bool, err error) {
	for i := range n {
		e, err := s.next()
		if e == nil {
			return i, false, err
		}
		if e.Stamp.Time > t {
			if err := s.f.Confirm(e.Stamp); err != nil {
				return i, false, fmt.Errorf("shadow replica: %w", err)
			}
			s.ahead = true
			return i, true, nil
		}
		if err := s.step(e, see); err != nil {
			return i, false, err
		}
	}
	return n, false, nil
}

// next returns the next stamped entry, nil where the journal ends for now.
func (s *Shadow) next() (*journal.Entry, error) {
	if s.ahead {
		s.ahead = false
		return &s.entry, nil
	}
	var err error
	s.entry, err = s.rd.Next()
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("shadow replica: %w", err)
	}
	if _, skip := s.skip(s.entry.Stamp.Seq); skip {
		s.entry.Stamp.Disposition = record.Skipped
	}
	return &s.entry, nil
}

func (s *Shadow) step(e *journal.Entry, see func(*stepper.Followed, record.Stamp)) error {
	out, err := s.f.Follow(&e.Frame, e.Stamp)
	if err != nil {
		return fmt.Errorf("shadow replica: %w", err)
	}
	s.at = e.Stamp
	if s.waits && s.f.Stepper().Reopened() {
		if err := s.TakeCheckpoint(); err != nil {
			return err
		}
	}
	if see != nil {
		see(&out, e.Stamp)
	}
	return nil
}

// TakeCheckpoint keeps the state as it is now, to be confirmed by the digest
// chain in the stamp of the next event. With a machine.Reopening among the
// machines that is done in Advance, at the next reopen event: see Waits.
func (s *Shadow) TakeCheckpoint() error {
	st := s.f.Stepper()
	if s.waits = st.Reopens() && !st.Reopened(); s.waits {
		return nil
	}
	body, err := st.Checkpoint()
	if err != nil {
		return fmt.Errorf("shadow replica: checkpoint at event %d: %w", st.Seq(), err)
	}
	o := checkpointOutput(st, s.at, body)
	s.pending = &o
	return nil
}

// Waits reports whether a checkpoint waits for a reopen event, for which the
// driver is to call Loop.WantReopen.
func (s *Shadow) Waits() bool { return s.waits }

// Confirmed returns the checkpoint that was taken, once a later stamp has the
// same chain; ok is false before. It is given out once.
func (s *Shadow) Confirmed() (o Output, ok bool) {
	if s.pending == nil || s.f.Confirmed() < s.pending.Seq {
		return Output{}, false
	}
	o, s.pending = *s.pending, nil
	return o, true
}

// Close closes the reader.
func (s *Shadow) Close() error { return s.rd.Close() }
