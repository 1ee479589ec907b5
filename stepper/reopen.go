package stepper

import (
	"fmt"
	"slices"

	"hindcast.dev/event"
	"hindcast.dev/machine"
)

// Reopens reports whether a machine that has started is a machine.Reopening:
// then Checkpoint works only right behind a reopen event.
func (s *Stepper) Reopens() bool { return s.reopening() != "" }

// Reopened reports whether nothing was handled since a reopen event, or since
// the checkpoint that this stepper was restored from.
func (s *Stepper) Reopened() bool { return s.reopened }

// reopening returns the first machine that is a machine.Reopening, "" if none is.
func (s *Stepper) reopening() string {
	i := slices.IndexFunc(s.order, func(name string) bool {
		_, reopens := s.machines[name].m.(machine.Reopening)
		return reopens
	})
	if i < 0 {
		return ""
	}
	return s.order[i]
}

// A ReopenError says that a checkpoint was asked for where a machine holds an
// object that the checkpoint would lose.
type ReopenError struct {
	Machine string
	Seq     uint64
}

func (e *ReopenError) Error() string {
	return fmt.Sprintf("machine %s holds what no checkpoint does at event %d: take checkpoints right behind a Control event %q only",
		e.Machine, e.Seq, event.ControlReopen)
}

// reopenAll has every machine.Reopening say what it will be, and then be it. The
// others don't see the event.
func (s *Stepper) reopenAll(ev event.Event) error {
	for _, name := range s.order {
		in := s.machines[name]
		r, reopens := in.m.(machine.Reopening)
		if in.m != nil && !reopens {
			continue
		}
		if err := s.run.step(in, s.reopenFor(ev, in)); err != nil {
			return err
		}
		r.Reopen()
	}
	s.reopened = true
	return nil
}

// reopenFor is a reopen event as one machine gets it; also at an upgrade event.
func (s *Stepper) reopenFor(ev event.Event, in *instance) *event.Event {
	ev.Machine, ev.Name, ev.Body, ev.Payload = in.name, event.ControlReopen, nil, nil
	return &ev
}
