package loop

import (
	"errors"
	"fmt"
	"time"

	"hindcast.dev/event"
	"hindcast.dev/faultpoint"
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
	id    event.MessageID
	due   time.Duration // on the monotonic clock
	other bool          // of armedNext: another boot has set it, due means nothing
}

// arm remembers the timers that an event has set. There is one entry for each
// that is pending, at most.
func (l *Loop) arm(r hlc.Reading, ev *event.Event, effects []event.Effect) {
	for i := range effects {
		e := &effects[i]
		switch e.Kind {
		case event.EffectSetTimer:
			l.armed[timerName{e.Machine, e.Timer}] = armed{id: e.ID, due: r.Mono + e.At.Sub(ev.Time)}
			l.armedNext = armed{}
		case event.EffectCancelTimer:
			delete(l.armed, timerName{e.Machine, e.Timer})
			l.armedNext = armed{}
		}
	}
}

// isDue reports whether a pending timer is due. Time above the ceiling hasn't come
// yet, for nothing may be stamped with it: the ceiling is raised first.
func (l *Loop) isDue(r hlc.Reading, at hlc.Timestamp, id event.MessageID) bool {
	pt := l.clock.Physical(r)
	if at <= max(min(pt, l.ceiling), l.clock.Last()) {
		return true
	}
	if at <= pt {
		l.raiseCeiling(r, pt)
		return false
	}
	due, ok := l.dueHere(id)
	return ok && r.Mono >= due
}

// dueHere returns when the next timer, of this id, is due on the monotonic clock;
// ok is false if another boot has set it. It is asked at every Poll.
func (l *Loop) dueHere(id event.MessageID) (due time.Duration, ok bool) {
	if l.armedNext.id != id {
		_, ev, _ := l.st.NextTimer()
		a := l.armed[timerName{ev.Machine, ev.From}]
		l.armedNext = armed{id: id, due: a.due, other: a.id != id}
	}
	return l.armedNext.due, !l.armedNext.other
}

// offerDueTimers appends the timers that are due, a batch at most.
func (l *Loop) offerDueTimers(r hlc.Reading) {
	if l.cfg.Faults.Buggify(faultpoint.LoopLateTimers) {
		return
	}
	for range l.cfg.Batch {
		at, id, ok := l.st.NextDue()
		if !ok || !l.isDue(r, at, id) {
			return
		}
		_, ev, _ := l.st.NextTimer()
		f := FrameOf(&ev)
		err := l.j.Append(&f)
		if errors.Is(err, journal.ErrTooLarge) {
			l.cannotFire(&ev, err)
		} else if err != nil {
			return // no room: the timer stays due and is offered at a later Poll
		}
		l.st.Offered(ev.ID)
		delete(l.armed, timerName{ev.Machine, ev.From})
		l.armedNext = armed{}
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
	at, id, ok := l.st.NextDue()
	if !ok {
		return 0, false
	}
	if due, here := l.dueHere(id); here {
		at = min(at, l.reading.Wall.Physical().Add(due-l.reading.Mono))
	}
	return at, true
}
