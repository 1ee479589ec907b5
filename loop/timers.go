package loop

import (
	"errors"
	"fmt"
	"time"

	"hindcast.dev/event"
	"hindcast.dev/hlc"
	"hindcast.dev/journal"
)

// A timer is due at a Timestamp. But while the wall clock is behind the node's
// own time, having been set back, Timestamps nearly stand still: so a timer that
// this boot has set is due as well when its time has passed on the monotonic
// clock. Which of the two it was replay needn't know: it sees that the timer
// fired.

type timerName struct{ machine, timer string }

// An armed timer was set by this boot.
type armed struct {
	id  event.MessageID
	due time.Duration // on the monotonic clock
}

// arm remembers the timers that an event has set. There is one entry for each
// that is pending, at most.
func (l *Loop) arm(r hlc.Reading, ev *event.Event, effects []event.Effect) {
	for i := range effects {
		e := &effects[i]
		name := timerName{e.Machine, e.Timer}
		switch e.Kind {
		case event.EffectSetTimer:
			l.armed[name] = armed{id: e.ID, due: r.Mono + e.At.Sub(ev.Time)}
		case event.EffectCancelTimer:
			delete(l.armed, name)
		}
	}
}

// isDue reports whether a pending timer is due. Time above the ceiling hasn't come
// yet, for nothing may be stamped with it: the ceiling is raised first.
func (l *Loop) isDue(r hlc.Reading, at hlc.Timestamp, ev *event.Event) bool {
	pt := l.clock.Physical(r)
	if at <= max(min(pt, l.ceiling), l.clock.Last()) {
		return true
	}
	if at <= pt {
		l.raiseCeiling(r, pt)
		return false
	}
	a, ok := l.armed[timerName{ev.Machine, ev.From}]
	return ok && a.id == ev.ID && r.Mono >= a.due
}

// offerDueTimers appends the timers that are due, a batch at most.
func (l *Loop) offerDueTimers(r hlc.Reading) {
	for range l.cfg.Batch {
		at, ev, ok := l.st.NextTimer()
		if !ok || !l.isDue(r, at, &ev) {
			return
		}
		f := FrameOf(&ev)
		err := l.j.Append(&f)
		if errors.Is(err, journal.ErrTooLarge) {
			l.cannotFire(&ev, err)
		} else if err != nil {
			return // no room: the timer stays due and is offered at a later Poll
		}
		l.st.Offered(ev.ID)
		delete(l.armed, timerName{ev.Machine, ev.From})
	}
}

// cannotFire tells of a timer whose body no journal takes; it stays pending until
// it is cancelled or replaced.
func (l *Loop) cannotFire(ev *event.Event, err error) {
	reason := fmt.Sprintf("timer %.64q of machine %s can't fire: %v", ev.From, ev.Machine, err)
	l.hold(Output{Kind: OutputLog, Seq: l.seq, Effect: logEffect("error", "%s", reason)})
	l.note(event.NoteDrop, event.NoteInfo{Message: ev.ID.String(), Name: ev.Name, Reason: reason})
}

// NextDue returns when, by the wall clock, the first pending timer is due; ok is
// false if none is pending. It may be in the past if the journal had no room for
// the timer.
func (l *Loop) NextDue() (at hlc.Timestamp, ok bool) {
	at, ev, ok := l.st.NextTimer()
	if a, is := l.armed[timerName{ev.Machine, ev.From}]; ok && is && a.id == ev.ID {
		at = min(at, l.reading.Wall.Physical().Add(a.due-l.reading.Mono))
	}
	return at, ok
}
