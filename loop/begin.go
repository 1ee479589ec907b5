package loop

import (
	"bytes"
	"errors"
	"fmt"

	"hindcast.dev/event"
	"hindcast.dev/faultpoint"
	"hindcast.dev/journal"
	"hindcast.dev/journal/record"
	"hindcast.dev/machine/state"
)

// A beginning is what a start adds to the journal: notes of the crash before and
// of the boot, start, upgrade and configuration events, and what becomes of
// skipped events. It is decided when all that the boot before left unstamped is
// handled, because the same may be among that, and it waits for room: a node that
// was killed with a full backlog, or starts on a full disk, finds none at first.
type beginning struct {
	leftovers int            // frames of boots before that aren't stamped yet
	skipped   []skipped      // the journal's Skip named them
	frames    []record.Frame // decided, not in the journal yet
	decided   bool
	done      bool
}

// A skipped is an event that is not handled.
type skipped struct {
	seq     uint64
	reason  string
	frame   record.Frame
	told    bool // a ControlSkip says so already
	offered bool // it was offered again already
}

// errBeginning is why nothing is taken in while leftovers are handled.
var errBeginning = fmt.Errorf("%w: the node is starting", journal.ErrBacklog)

func (b *beginning) skip(f *record.Frame, seq uint64, reason string) {
	c := *f
	c.Payload, c.Baggage = bytes.Clone(f.Payload), bytes.Clone(f.Baggage)
	b.skipped = append(b.skipped, skipped{seq: seq, reason: reason, frame: c})
}

// leftover looks at a frame that is about to be taken: it may be what a start
// before this one added.
func (l *Loop) leftover(f *record.Frame) {
	b := &l.beginning
	if b.leftovers == 0 {
		return
	}
	b.leftovers--
	for i := range b.skipped {
		s := &b.skipped[i]
		s.offered = s.offered || same(f, &s.frame)
		var info event.SkipInfo
		if f.Kind == event.Control && f.Name == event.ControlSkip && state.Unmarshal(f.Payload, &info) == nil {
			s.told = s.told || info.Seq == s.seq
		}
	}
}

func same(f, g *record.Frame) bool {
	return f.Kind == g.Kind && f.Machine == g.Machine && f.From == g.From && f.Name == g.Name && f.ID == g.ID &&
		bytes.Equal(f.Payload, g.Payload)
}

// Begun reports whether all that this start adds is in the journal. Until then
// Offer takes nothing.
func (l *Loop) Begun() bool { return l.beginning.done }

// begin does what is left of the beginning, as far as there is room, and reports
// whether that was all.
func (l *Loop) begin() bool {
	b := &l.beginning
	if b.done {
		return true
	}
	if b.leftovers > 0 || l.err != nil {
		return false
	}
	if !b.decided {
		if l.err = l.decide(); l.err != nil {
			return false
		}
		b.decided = true
	}
	for len(b.frames) > 0 {
		f := &b.frames[0]
		if l.err = l.cfg.Faults.Hit(faultpoint.LoopBeginning); l.err != nil {
			return false
		}
		if err := l.j.Append(f); err != nil {
			err = fmt.Errorf("the journal has no room yet for the %s %q of this start: %w", f.Kind, f.Name, err)
			if !errors.Is(err, journal.ErrBacklog) && !errors.Is(err, journal.ErrFull) {
				l.err = err
			}
			l.waitsFor.Store(&err)
			return false
		}
		b.frames = b.frames[1:]
	}
	*b = beginning{done: true}
	l.waitsFor.Store(nil)
	return true
}

// decide fills in what this start adds.
func (l *Loop) decide() error {
	rec := l.j.Recovery()
	if rec.Ending == journal.Panicked || rec.Ending == journal.Killed {
		l.add(event.Note, "", event.NoteCrash, event.NoteInfo{Boot: rec.Boot, Reason: crashReason(rec)})
	}
	l.add(event.Note, "", event.NoteBoot, event.NoteInfo{Boot: l.boot, Build: l.cfg.Build, Version: l.versionsToRun()})
	for _, u := range l.st.Unstarted() {
		info := l.startInfo()
		info.Version = u.To
		l.add(event.Start, u.Machine, "start", info)
	}
	for _, u := range l.st.Upgrades() {
		l.add(event.Control, u.Machine, event.ControlUpgrade, event.UpgradeInfo{From: u.From, To: u.To, Build: l.cfg.Build})
	}
	if old := l.st.Start(); len(l.st.Machines()) > 0 && !sameSurroundings(old, l.startInfo()) {
		info := l.startInfo()
		info.Seed = old.Seed
		l.add(event.Control, "", event.ControlConfig, info)
	}
	l.decideSkips()
	return l.err
}

// decideSkips records which events are not handled, and offers the one again that
// Config.Again names. The timer of one that isn't offered again is over: it would
// fire anew.
func (l *Loop) decideSkips() {
	for _, s := range l.beginning.skipped {
		again := s.seq == l.cfg.Again
		if !s.told {
			info := event.SkipInfo{Seq: s.seq, Reason: s.reason}
			if s.frame.Kind == event.Timer && !again {
				info.Timer = s.frame.ID.String()
			}
			l.add(event.Control, "", event.ControlSkip, info)
		}
		if again && !s.offered {
			l.beginning.frames = append(l.beginning.frames, s.frame)
		}
	}
}

// add makes a frame wait for room in the journal.
func (l *Loop) add(kind event.Kind, machine, name string, info any) {
	payload, err := state.Marshal(info)
	if err != nil && l.err == nil {
		l.err = fmt.Errorf("encoding the %s event of machine %q: %w", name, machine, err)
	}
	l.beginning.frames = append(l.beginning.frames, record.Frame{Kind: kind, Machine: machine, Name: name, Payload: payload})
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

// sameSurroundings reports whether a machine would see the same of both.
func sameSurroundings(a, b event.StartInfo) bool {
	a.Seed, a.Version = b.Seed, b.Version
	x, err1 := state.Marshal(a)
	y, err2 := state.Marshal(b)
	return err1 == nil && err2 == nil && string(x) == string(y)
}

// crashReason says in words how the boot before ended.
func crashReason(rec journal.Recovery) string {
	reason := "the process was killed, or the machine went down"
	if rec.Ending == journal.Panicked && rec.Panic != nil {
		// The whole text is in the journal's panic.json and in the crash box.
		reason = fmt.Sprintf("panic at event %d: %.1000s", rec.Panic.Seq, rec.Panic.Text)
	}
	if rec.Lost != nil {
		reason += fmt.Sprintf("; events after %d may be lost", rec.Lost.After)
	}
	return reason
}
