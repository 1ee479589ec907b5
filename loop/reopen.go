package loop

import (
	"hindcast.dev/event"
	"hindcast.dev/journal/record"
)

// A node with a machine.Reopening has checkpoints right behind reopen events
// only. Where one is due, the loop appends such an event, and takes the
// checkpoint when it has handled it, before anything else.

// WantReopen makes the next Poll append a reopen event, if a machine here is a
// machine.Reopening: a Shadow takes its checkpoint there.
func (l *Loop) WantReopen() { l.wantReopen = true }

// offerReopen appends a reopen event if one is due; without room for it, a later
// Poll will.
func (l *Loop) offerReopen() {
	if !l.wantReopen && !l.checkpointDue() {
		return
	}
	if !l.st.Reopens() {
		l.wantReopen = false
		return
	}
	if l.reopening || l.st.Reopened() && !l.wantReopen {
		return
	}
	f := record.Frame{Kind: event.Control, Name: event.ControlReopen}
	if l.j.Append(&f) == nil {
		l.wantReopen, l.reopening = false, true
	}
}

// afterReopen is right behind a reopen event.
func (l *Loop) afterReopen() {
	l.reopening = false
	l.maybeCheckpoint()
}
