package stepper

import (
	"fmt"

	"hindcast.dev/event"
	"hindcast.dev/journal/record"
)

// A Follower steps what a journal has stamped, and compares the digest chain at
// every event. Recovery, a shadow replica and replay are Followers: they differ
// in where the frames come from and who looks at the outcome.
type Follower struct {
	st        *Stepper
	last      event.Event // the last one stepped, its bytes left out, for a divergence's error
	confirmed uint64      // a stamp's chain agreed with the state after this event
}

// NewFollower returns a Follower that goes on from where st is.
func NewFollower(st *Stepper) *Follower { return &Follower{st: st} }

// Stepper is the stepper that the Follower drives.
func (f *Follower) Stepper() *Stepper { return f.st }

// Confirmed is the last sequence number after which a stamp's digest chain was
// seen to agree with the state, 0 if none was.
func (f *Follower) Confirmed() uint64 { return f.confirmed }

// Followed is what came of one frame.
type Followed struct {
	Event   event.Event // its Payload and Baggage are borrowed from the journal
	Outcome Outcome
	Stepped bool // it reached the stepper; notes, refused and skipped events don't
}

// Follow takes the next stamped frame. A *DivergenceError names the last event
// that was stepped before it, because that one's digest is in this frame's
// stamp. Other errors are Step's.
func (f *Follower) Follow(fr *record.Frame, s record.Stamp) (out Followed, err error) {
	if err := f.Confirm(s); err != nil {
		return out, err
	}
	out.Event = record.EventOf(fr, s)
	if s.Disposition != record.Handled || fr.Kind == event.Note {
		return out, nil
	}
	out.Stepped = true
	f.last = out.Event
	f.last.Payload, f.last.Baggage = nil, nil // borrowed
	out.Outcome, err = f.st.Step(out.Event, s.Boot)
	return out, err
}

// Confirm compares the state with what the next event's stamp says of it, as
// Follow does, and doesn't go on.
func (f *Follower) Confirm(s record.Stamp) error {
	if chain := f.st.Chain(); chain != s.Chain {
		return &DivergenceError{Node: f.st.opts.Node, Seq: f.last.Seq, Kind: f.last.Kind, Machine: f.last.Machine,
			Name: f.last.Name, Recorded: s.Chain, Now: chain}
	}
	f.confirmed = s.Seq - 1
	return nil
}

// A DivergenceError says that stepping recorded events again gave something else
// than it gave when they were recorded.
type DivergenceError struct {
	Node     string
	Seq      uint64 // the event whose effects or touched state differ; 0 if it lies before what was followed
	Kind     event.Kind
	Machine  string
	Name     string
	Recorded uint64 // the digest chain after it, as the journal has it
	Now      uint64 // and as it came out now
}

func (e *DivergenceError) Error() string {
	if e.Seq == 0 {
		return fmt.Sprintf("divergence on node %s before the first event followed: the journal's digest is %016x, "+
			"the state begun with has %016x: the checkpoint isn't of this journal", e.Node, e.Recorded, e.Now)
	}
	return fmt.Sprintf("divergence on node %s at event %d (%s %s of machine %q): the journal's digest is %016x, stepping it again gives %016x: "+
		"the machine isn't deterministic (ranging over a Go map, a clock, a global), or its code changed without a new version",
		e.Node, e.Seq, e.Kind, e.Name, e.Machine, e.Recorded, e.Now)
}
