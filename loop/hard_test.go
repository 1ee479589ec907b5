package loop_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"hindcast.dev/event"
	"hindcast.dev/hlc"
	"hindcast.dev/journal"
	"hindcast.dev/loop"
	"hindcast.dev/machine"
	"hindcast.dev/machine/state"
	"hindcast.dev/stepper"
	"hindcast.dev/vfs"
)

// pollSlowly polls once on a disk that takes d for each raise of the ceiling.
func (r *rig) pollSlowly(d time.Duration) {
	r.t.Helper()
	outs, err := r.l.Poll(r.clock)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, o := range append([]loop.Output(nil), outs...) {
		if o.Kind == loop.OutputCeiling {
			r.tick(d)
		}
		if err := r.do(o); err != nil {
			r.t.Fatal(err)
		}
	}
}

// A ceiling that lasts for less time than it takes to raise it must not stop the
// node: its clock lags, and nothing is stamped above the ceiling all the same.
func TestADiskSlowerThanTheCeilingLastsStopsNobody(t *testing.T) {
	for _, took := range []time.Duration{90 * time.Millisecond, 200 * time.Millisecond, 3 * time.Second} {
		r := newRig(t, vfs.NewMem(), nil)
		if err := r.open(); err != nil {
			t.Fatal(err)
		}
		r.offer(Add{1})
		r.offer(Ask{After: 50 * time.Millisecond})
		for range 12 {
			r.pollSlowly(took)
			if now := r.l.Now(); now > r.j.Ceiling() {
				t.Fatalf("%s: stamped %s above the ceiling %s", took, now, r.j.Ceiling())
			}
			r.tick(10 * time.Millisecond)
		}
		if c := r.counterOf(); c.N != 1 || c.Fired != 1 {
			t.Fatalf("%s: N = %d, %d timers fired", took, c.N, c.Fired)
		}
		entries := r.stamped()
		var due hlc.Timestamp
		for _, e := range entries {
			if e.Kind == event.Request && e.Name == "Ask" {
				due = e.Stamp.Time.Add(50 * time.Millisecond)
			}
			if e.Kind == event.Timer && e.Stamp.Time < due {
				t.Fatalf("%s: a timer due %s fired at %s", took, due, e.Stamp.Time)
			}
		}
	}
}

// A peer's timestamp may bear witness to a jump of the own clock, and takes the
// node there: but not above the ceiling.
func TestAWitnessedJumpWaitsForTheCeiling(t *testing.T) {
	r := newRig(t, vfs.NewMem(), nil)
	r.mustOpen()
	r.clock.Wall = r.clock.Wall.Add(time.Hour)
	r.run()
	f := frame(t, event.Message, event.MessageID{Node: "n2", Boot: 1, Seq: 1}, r.clock.Wall.Add(100*time.Millisecond), Add{1})
	if err := r.l.Offer(&f); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		outs, err := r.l.Poll(r.clock)
		if err != nil {
			t.Fatal(err)
		}
		if now := r.l.Now(); now > r.j.Ceiling() {
			t.Fatalf("stamped %s above the ceiling %s", now, r.j.Ceiling())
		}
		for _, o := range append([]loop.Output(nil), outs...) {
			if err := r.do(o); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n := r.counterOf().Told; n != 1 {
		t.Fatalf("%d messages handled", n)
	}
}

func TestNotesThatFoundNoRoomAreCountedInTheJournal(t *testing.T) {
	r := newRig(t, vfs.NewMem(), nil)
	r.mustOpen()
	lost := 0
	for range 1500 { // no Poll in between
		if r.l.Note(event.NoteLink, event.NoteInfo{Peer: "n2", State: "down"}) != nil {
			lost++
		}
	}
	if err := r.l.Note(event.NoteLink, event.NoteInfo{Reason: "x"}); err == nil || lost == 0 {
		t.Fatalf("%d lost, then %v: the notes that wait aren't bounded", lost, err)
	}
	lost++
	for range 10 { // a batch at a time, and a backlog at a time
		r.run()
		if err := r.j.Maintain(); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.l.Note(event.NoteDrop, event.NoteInfo{Reason: strings.Repeat("x", 100<<10)}); err != nil {
		t.Fatal(err) // larger than a segment
	}
	lost++
	if err := r.l.Note(event.NoteLink, event.NoteInfo{Peer: "n3", State: "up"}); err != nil {
		t.Fatal(err)
	}
	r.run()
	said := uint64(0)
	names := r.noteNames()
	for _, e := range r.stamped() {
		var info event.NoteInfo
		if e.Name == event.NoteLost {
			if err := state.Unmarshal(e.Payload, &info); err != nil {
				t.Fatal(err)
			}
		}
		said += info.Count
	}
	if said != uint64(lost) || said != r.l.Stats().LostNotes {
		t.Fatalf("the journal says %d, Stats %d, %d were lost", said, r.l.Stats().LostNotes, lost)
	}
	if names[len(names)-1] != event.NoteLost || names[len(names)-2] != event.NoteLink {
		t.Fatalf("the last notes are %v", names[len(names)-2:])
	}
}

// grim panics at its timer, once it was told to.
type grim struct{ Ticks int64 }

func (*grim) Payloads() []any { return []any{Die{}, Add{}} }

func (g *grim) Step(ctx *machine.Context, ev event.Event) {
	switch {
	case ev.Kind == event.Timer && ev.From == "die":
		panic("as it was told")
	case ev.Kind == event.Request && ev.Name == "Die":
		ctx.SetTimer("die", time.Millisecond, Die{})
	case ev.Kind == event.Request:
		g.Ticks++
	}
}

// A timer whose event is skipped would be pending still, and kill anew.
func TestASkippedTimerDoesNotFireAgain(t *testing.T) {
	fs := vfs.NewMem()
	r := newRig(t, fs, func(c *loop.Config) {
		c.Registry = machine.Registry{"counter": {1: func() machine.Machine { return &grim{} }}}
	})
	r.mustOpen()
	r.offer(Die{})
	r.run()
	r.tick(10 * time.Millisecond)
	var pe *stepper.PanicError
	if err := r.poll(); !errors.As(err, &pe) {
		t.Fatalf("got %v", err)
	}
	r.fs = fs.Restart()
	if err := journal.Skip(r.fs, "n1/journal", pe.Seq, "it kills"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		r.mustOpen()
		r.tick(time.Second)
		r.offer(Add{1})
		r.run()
		r.fs = r.fs.(*vfs.Mem).Restart()
	}
	if n := r.l.Stepper().Machine("counter").(*grim).Ticks; n != 2 {
		t.Fatalf("%d ticks", n)
	}
	if at, ok := r.l.NextDue(); ok {
		t.Fatalf("a timer is pending for %s", at)
	}
}
