package loop

import (
	"errors"
	"fmt"

	"hindcast.dev/event"
	"hindcast.dev/hlc"
	"hindcast.dev/journal"
	"hindcast.dev/journal/record"
	"hindcast.dev/machine/state"
)

// Note has a fact journaled that reaches no machine. Any goroutine may call it,
// as links do when they come and go. The fact waits for room in the journal,
// among a bounded number of others; what finds no place there is counted in
// Stats.LostNotes, and a note says so once there is room.
func (l *Loop) Note(name string, info event.NoteInfo) error { return l.NoteAfter(0, name, info) }

// NoteAfter is Note for a fact about something that happened at sent, on this
// node or another: the note's Timestamp is greater, unless sent is too far ahead
// of the clock to be believed.
func (l *Loop) NoteAfter(sent hlc.Timestamp, name string, info event.NoteInfo) error {
	f, err := noteFrame(name, info)
	if err != nil {
		return err
	}
	f.Sent = sent
	l.notesMu.Lock()
	defer l.notesMu.Unlock()
	if len(l.notes) >= maxNotes {
		l.lostNotes++
		return fmt.Errorf("note %q: %d notes wait for room in the journal already", name, maxNotes)
	}
	l.notes = append(l.notes, f)
	return nil
}

func noteFrame(name string, info event.NoteInfo) (record.Frame, error) {
	payload, err := state.Marshal(info)
	return record.Frame{Kind: event.Note, Name: name, Payload: payload}, err
}

// appendNotes moves waiting notes to the journal as far as there is room, and says
// how many found none.
func (l *Loop) appendNotes() {
	l.notesMu.Lock()
	defer l.notesMu.Unlock()
	n := 0
	for ; n < len(l.notes); n++ {
		err := l.j.Append(&l.notes[n])
		if errors.Is(err, journal.ErrTooLarge) {
			l.lostNotes++ // no room will ever be enough
		} else if err != nil {
			break
		}
	}
	l.notes = append(l.notes[:0], l.notes[n:]...)
	if len(l.notes) > 0 || l.lostNotes == l.saidLost {
		return
	}
	f, err := noteFrame(event.NoteLost, event.NoteInfo{Count: l.lostNotes - l.saidLost, Reason: fmt.Sprintf("more than %d notes waited for room in the journal, or one was too large for it", maxNotes)})
	if err == nil && l.j.Append(&f) == nil {
		l.saidLost = l.lostNotes
	}
}

func (l *Loop) note(name string, info event.NoteInfo) {
	// A note that can't be kept is counted by Note itself.
	_ = l.Note(name, info)
}
