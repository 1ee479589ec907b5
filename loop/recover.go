package loop

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"

	"hindcast.dev/event"
	"hindcast.dev/hlc"
	"hindcast.dev/journal"
	"hindcast.dev/journal/checkpoint"
	"hindcast.dev/journal/record"
	"hindcast.dev/machine/state"
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
// appended to the journal.
//
// Errors: *stepper.DivergenceError; *ClockError; *stepper.PanicError with the event that
// killed the node before; *stepper.RollbackError, *stepper.VersionError; the
// journal's.
func Open(cfg Config, r hlc.Reading) (*Loop, error) {
	c := cfg.withDefaults()
	l := &Loop{cfg: c, j: c.Journal, boot: c.Journal.Boot(), ceiling: c.Journal.Ceiling(),
		reading: r, armed: map[timerName]armed{}}
	last := l.j.LastStamp()
	remembered := max(last.Time, l.ceiling)
	wall := r.Wall.Physical()
	if remembered > wall && remembered.Sub(wall) > c.MaxDrift {
		return nil, &ClockError{Remembered: remembered, Wall: wall, MaxDrift: c.MaxDrift}
	}
	l.clock = hlc.NewClock(c.MaxDrift, remembered)
	if err := l.restore(last.Seq); err != nil {
		return nil, err
	}
	if err := l.replay(last.Seq); err != nil {
		return nil, err
	}
	l.seq, l.durable, l.asked, l.last = last.Seq, last.Seq, last.Seq, last
	if err := l.announce(); err != nil {
		return nil, err
	}
	return l, nil
}

// restore loads the latest sound checkpoint that the journal reaches, or begins
// with nothing.
func (l *Loop) restore(last uint64) error {
	h, body, damaged, err := checkpoint.Latest(l.cfg.FS, l.cfg.Checkpoints, last)
	for _, d := range damaged {
		l.hold(Output{Kind: OutputLog, Effect: logEffect("error", "checkpoint passed over: %v", d)})
	}
	if errors.Is(err, checkpoint.ErrNone) {
		l.st, err = stepper.New(l.cfg.Stepper)
		return err
	}
	if err != nil {
		return fmt.Errorf("checkpoints in %s: %w", l.cfg.Checkpoints, err)
	}
	if l.st, err = stepper.Restore(l.cfg.Stepper, body); err != nil {
		return fmt.Errorf("checkpoint at event %d: %w", h.Seq, err)
	}
	l.checkpoint = h.Seq
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
		if _, skip := l.j.Skip(e.Stamp.Seq); skip {
			e.Stamp.Disposition = record.Skipped
			if e.Stamp.Seq == l.cfg.Again {
				l.again = clone(&e.Frame)
			}
		}
		if _, err := f.Follow(&e.Frame, e.Stamp); err != nil {
			return fmt.Errorf("recovery: %w", err)
		}
		l.recoveredAt++
	}
}

// announce appends what this start adds to the journal.
func (l *Loop) announce() error {
	if err := l.announceBoot(); err != nil {
		return err
	}
	for _, u := range l.st.Unstarted() {
		info := l.startInfo()
		info.Version = u.To
		if err := l.control(event.Start, u.Machine, "start", info); err != nil {
			return err
		}
	}
	for _, u := range l.st.Upgrades() {
		info := event.UpgradeInfo{From: u.From, To: u.To, Build: l.cfg.Build}
		if err := l.control(event.Control, u.Machine, event.ControlUpgrade, info); err != nil {
			return err
		}
	}
	if old := l.st.Start(); len(l.st.Machines()) > 0 && !sameSurroundings(old, l.startInfo()) {
		info := l.startInfo()
		info.Seed = old.Seed
		if err := l.control(event.Control, "", event.ControlConfig, info); err != nil {
			return err
		}
	}
	return l.announceSkip()
}

// announceSkip records that the last event of the boot before is not to be
// handled, and offers it again if Config says so.
func (l *Loop) announceSkip() error {
	last := l.j.LastStamp().Seq
	reason, skip := l.j.Skip(last)
	if !skip || last == 0 {
		return nil
	}
	if err := l.control(event.Control, "", event.ControlSkip, event.SkipInfo{Seq: last, Reason: reason}); err != nil {
		return err
	}
	if l.again == nil {
		return nil
	}
	if err := l.j.Append(l.again); err != nil {
		return fmt.Errorf("offering event %d again: %w", last, err)
	}
	return nil
}

// clone copies a frame out of the journal's memory.
func clone(f *record.Frame) *record.Frame {
	c := *f
	c.Payload, c.Baggage = bytes.Clone(f.Payload), bytes.Clone(f.Baggage)
	return &c
}

func (l *Loop) announceBoot() error {
	rec := l.j.Recovery()
	if rec.Ending == journal.Panicked || rec.Ending == journal.Killed {
		if err := l.Note(event.NoteCrash, event.NoteInfo{Boot: rec.Boot, Reason: crashReason(rec)}); err != nil {
			return err
		}
	}
	info := event.NoteInfo{Boot: l.boot, Build: l.cfg.Build, Version: l.versionsToRun()}
	if err := l.Note(event.NoteBoot, info); err != nil {
		return err
	}
	l.appendNotes()
	if len(l.notes) > 0 {
		return fmt.Errorf("no room in the journal for the boot note: %w", l.noteErr)
	}
	return nil
}

// versionsToRun is what each machine runs once this start's upgrades are done.
func (l *Loop) versionsToRun() map[string]uint32 {
	versions := map[string]uint32{}
	for name, v := range l.cfg.Registry {
		versions[name] = v.Latest()
		if n := l.cfg.Versions[name]; n != 0 {
			versions[name] = n
		}
	}
	return versions
}

func (l *Loop) startInfo() event.StartInfo {
	return event.StartInfo{Node: l.cfg.Node, Peers: l.cfg.Peers, Config: l.cfg.Settings,
		Build: l.cfg.Build, Arch: l.cfg.Arch, Seed: l.cfg.Seed}
}

func (l *Loop) control(kind event.Kind, machine, name string, info any) error {
	payload, err := state.Marshal(info)
	if err != nil {
		return err
	}
	f := record.Frame{Kind: kind, Machine: machine, Name: name, Payload: payload}
	if err := l.j.Append(&f); err != nil {
		return fmt.Errorf("appending the %s event of machine %q: %w", name, machine, err)
	}
	return nil
}

// sameSurroundings reports whether a machine would see the same of both.
func sameSurroundings(a, b event.StartInfo) bool {
	a.Seed, a.Version = b.Seed, b.Version
	x, err1 := state.Marshal(a)
	y, err2 := state.Marshal(b)
	return err1 == nil && err2 == nil && string(x) == string(y)
}

// Note has a fact journaled that reaches no machine. Any goroutine may call it,
// as links do when they come and go. The fact waits for room in the journal,
// among a bounded number of others; what finds no place there is counted in
// Stats.LostNotes, and a note of its own says so once there is room again.
func (l *Loop) Note(name string, info event.NoteInfo) error { return l.NoteAfter(0, name, info) }

// NoteAfter is Note for a fact about something that happened at sent, on this
// node or another: the note's Timestamp is greater, unless sent is too far ahead
// of the clock to be believed.
func (l *Loop) NoteAfter(sent hlc.Timestamp, name string, info event.NoteInfo) error {
	payload, err := state.Marshal(info)
	if err != nil {
		return err
	}
	l.notesMu.Lock()
	defer l.notesMu.Unlock()
	if len(l.notes) >= maxNotes {
		l.lostNotes++
		return fmt.Errorf("note %q: %d notes wait for room in the journal already", name, maxNotes)
	}
	l.notes = append(l.notes, record.Frame{Kind: event.Note, Name: name, Sent: sent, Payload: payload})
	return nil
}

// appendNotes moves waiting notes to the journal as far as there is room.
func (l *Loop) appendNotes() {
	l.notesMu.Lock()
	defer l.notesMu.Unlock()
	n := 0
	for n < len(l.notes) {
		if l.noteErr = l.j.Append(&l.notes[n]); l.noteErr != nil {
			break
		}
		n++
	}
	l.notes = append(l.notes[:0], l.notes[n:]...)
	if len(l.notes) == 0 && l.lostNotes > l.saidLost {
		l.tellOfLost()
	}
}

// tellOfLost has the journal say how many notes are missing in it, because what
// they would have told is unknown from there on. notesMu is held.
func (l *Loop) tellOfLost() {
	info := event.NoteInfo{Count: l.lostNotes - l.saidLost,
		Reason: fmt.Sprintf("more than %d notes waited for room in the journal", maxNotes)}
	payload, err := state.Marshal(info)
	if err != nil {
		return // it has no type that can't be written
	}
	if l.j.Append(&record.Frame{Kind: event.Note, Name: event.NoteLost, Payload: payload}) == nil {
		l.saidLost = l.lostNotes
	}
}

func (l *Loop) note(name string, info event.NoteInfo) {
	// A note that can't be kept is counted by Note itself.
	_ = l.Note(name, info)
}

// crashReason says in words how the boot before ended.
func crashReason(rec journal.Recovery) string {
	reason := "the process was killed, or the machine went down"
	if rec.Ending == journal.Panicked && rec.Panic != nil {
		reason = fmt.Sprintf("panic at event %d: %s", rec.Panic.Seq, rec.Panic.Text)
	}
	if rec.Lost != nil {
		reason += fmt.Sprintf("; events after %d may be lost", rec.Lost.After)
	}
	return reason
}
