package loop_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"hindcast.dev/event"
	"hindcast.dev/journal"
	"hindcast.dev/journal/checkpoint"
	"hindcast.dev/loop"
	"hindcast.dev/machine"
	"hindcast.dev/vfs"
)

// What waited to be stamped when the node was killed fills the backlog, and the
// notes and events of the start find no room at first.
func TestANodeKilledWithAFullBacklogStartsAgain(t *testing.T) {
	fs := vfs.NewMem()
	r := newRig(t, fs, nil)
	r.journal = func(o *journal.Options) { o.Backlog = 4 << 10 }
	r.mustOpen()
	offered := r.fillBacklog()
	if offered < 10 {
		t.Fatalf("only %d fit", offered)
	}
	r.fs = fs.Restart()
	if err := r.open(); err != nil {
		t.Fatalf("the start after the kill: %v", err)
	}
	f := frame(t, event.Request, event.MessageID{Node: "n1.client", Boot: 2, Seq: 1}, 0, Add{1})
	if err := r.l.Offer(&f); !errors.Is(err, journal.ErrBacklog) {
		t.Errorf("a request comes in ahead of the boot's own notes: %v", err)
	}
	r.run()
	if n := r.counterOf().N; n != offered {
		t.Fatalf("N = %d, %d were offered", n, offered)
	}
	r.offer(Add{1})
	r.run()
	if got := r.noteNames(); got[len(got)-1] != event.NoteBoot || got[len(got)-2] != event.NoteCrash {
		t.Fatalf("notes %v: want the crash and the boot last", got)
	}
}

// fillBacklog offers requests, with no Poll between, until there is no room.
func (r *rig) fillBacklog() (offered int64) {
	r.t.Helper()
	for {
		r.request++
		f := frame(r.t, event.Request, event.MessageID{Node: "n1.client", Boot: r.l.Boot(), Seq: r.request}, 0, Add{1})
		if err := r.l.Offer(&f); err != nil {
			if !errors.Is(err, journal.ErrBacklog) {
				r.t.Fatal(err)
			}
			return offered
		}
		offered++
	}
}

// noteNames are the notes in the journal.
func (r *rig) noteNames() (names []string) {
	r.t.Helper()
	for _, e := range r.stamped() {
		if e.Kind == event.Note {
			names = append(names, e.Name)
		}
	}
	return names
}

// stamped are the entries of the journal.
func (r *rig) stamped() (all []journal.Entry) {
	r.t.Helper()
	rd, err := r.j.NewReader(1)
	if err != nil {
		r.t.Fatal(err)
	}
	defer rd.Close()
	for {
		e, err := rd.Next()
		if err != nil {
			return all
		}
		e.Payload = bytes.Clone(e.Payload)
		all = append(all, e)
	}
}

func TestAnUpgradeThatAKilledStartOnlyAppendedIsDoneOnce(t *testing.T) {
	fs := vfs.NewMem()
	versions := 1
	r := newRig(t, fs, func(c *loop.Config) { c.Registry = registry(versions) })
	r.mustOpen()
	r.offer(Add{5})
	r.run()
	versions = 2
	for range 2 { // killed before the first Poll, as by an address in use
		r.fs = r.fs.(*vfs.Mem).Restart()
		if err := r.open(); err != nil {
			t.Fatal(err)
		}
	}
	r.run()
	r.offer(Add{5})
	r.run()
	if n, v := r.counterOf().N, r.l.Stepper().Version("counter"); n != 55 || v != 2 {
		t.Fatalf("N = %d at version %d, want 55 at 2", n, v)
	}
	r.fs = r.fs.(*vfs.Mem).Restart()
	r.mustOpen()
}

// Killed between what a start appends and its first Poll, again and again: the
// next start stamps what is there, and adds only what it doesn't say.
func TestAStartThatWasKilledBeforeItsFirstPollStartsTheMachinesOnce(t *testing.T) {
	fs := vfs.NewMem()
	r := newRig(t, fs, nil)
	for range 3 {
		if err := r.open(); err != nil {
			t.Fatal(err)
		}
		r.fs = r.fs.(*vfs.Mem).Restart()
	}
	r.mustOpen()
	starts := 0
	for _, e := range r.stamped() {
		if e.Kind == event.Start {
			starts++
		}
		if e.Stamp.Time < epoch {
			t.Errorf("event %d %s %s is stamped %s", e.Stamp.Seq, e.Kind, e.Name, e.Stamp.Time)
		}
	}
	if starts != 1 {
		t.Errorf("the machine was started %d times", starts)
	}
	for _, o := range r.got {
		if o.Kind == loop.OutputLog {
			t.Errorf("it says %q", o.Effect.Payload)
		}
	}
	r.offer(Add{5})
	r.run()
	if n := r.counterOf().N; n != 5 {
		t.Errorf("N = %d", n)
	}
}

func TestAConfigurationThatAKilledStartOnlyAppendedDoesNotStay(t *testing.T) {
	fs := vfs.NewMem()
	peers := []string{"wrong"}
	r := newRig(t, fs, func(c *loop.Config) { c.Peers = peers })
	if err := r.open(); err != nil { // killed before its first Poll
		t.Fatal(err)
	}
	peers = []string{"n2", "n3"}
	r.fs = fs.Restart()
	r.mustOpen()
	if got := r.l.Stepper().Start().Peers; len(got) != 2 {
		t.Fatalf("the machines see the peers %v", got)
	}
	peers = []string{"wrong"}
	r.fs = r.fs.(*vfs.Mem).Restart()
	if err := r.open(); err != nil {
		t.Fatal(err)
	}
	peers = []string{"n2", "n3"}
	r.fs = r.fs.(*vfs.Mem).Restart()
	r.mustOpen()
	if got := r.l.Stepper().Start().Peers; len(got) != 2 {
		t.Fatalf("after a start in between the machines see the peers %v", got)
	}
}

func TestAnEventOfferedAgainByAKilledStartIsHandledOnce(t *testing.T) {
	fs := vfs.NewMem()
	versions, again := 1, uint64(0)
	r := newRig(t, fs, func(c *loop.Config) { c.Registry = registry(versions); c.Again = again })
	r.mustOpen()
	r.offer(Die{})
	if r.poll() == nil {
		t.Fatal("survived")
	}
	again, versions = r.j.LastStamp().Seq, 2
	r.fs = fs.Restart()
	if err := journal.Skip(r.fs, "n1/journal", again, "it kills"); err != nil {
		t.Fatal(err)
	}
	for range 2 { // killed before the first Poll
		r.fs = r.fs.(*vfs.Mem).Restart()
		if err := r.open(); err != nil {
			t.Fatal(err)
		}
	}
	r.run()
	logged := 0
	for _, o := range r.take() {
		if o.Kind == loop.OutputLog && string(o.Effect.Payload) == "not this time" {
			logged++
		}
	}
	if logged != 1 {
		t.Fatalf("handled %d times", logged)
	}
}

// A node that starts on a full disk answers what needs no journal, and goes on
// when there is space.
func TestAStartOnAFullDiskWaitsForSpace(t *testing.T) {
	fs := vfs.NewMem()
	r := newRig(t, fs, nil)
	r.journal = func(o *journal.Options) { o.SegmentBytes, o.Backlog = 8<<10, 64<<10 }
	r.mustOpen()
	fs.SetCapacity(0)
	n := int64(0)
	for {
		r.request++
		f := frame(t, event.Request, event.MessageID{Node: "n1.client", Boot: 1, Seq: r.request}, 0, Add{1})
		if err := r.l.Offer(&f); err != nil {
			if !errors.Is(err, journal.ErrFull) {
				t.Fatal(err)
			}
			break
		}
		n++
		if outs, err := r.l.Poll(r.clock); err != nil {
			t.Fatal(err)
		} else {
			for _, o := range outs { // not Maintain, which has no space
				switch o.Kind {
				case loop.OutputSync:
					seq, _ := r.j.Sync()
					r.l.Synced(seq)
				case loop.OutputCeiling:
					_ = r.j.RaiseCeiling(o.Time)
					r.l.CeilingSynced(o.Time)
				}
			}
		}
	}
	fs = fs.Restart()
	fs.SetCapacity(0)
	r.fs = fs
	if err := r.open(); err != nil {
		t.Fatalf("start on a full disk: %v", err)
	}
	r.noMaintain = true
	r.run()
	if got := r.counterOf().N; got != n {
		t.Fatalf("N = %d, want %d", got, n)
	}
	fs.SetCapacity(1 << 30)
	r.noMaintain = false
	if err := r.j.Maintain(); err != nil {
		t.Fatal(err)
	}
	r.run()
	r.offer(Add{1})
	r.run()
	if got := r.counterOf().N; got != n+1 {
		t.Fatalf("with space again N = %d, want %d", got, n+1)
	}
}

func TestWhatIsSkippedBeforeItIsStampedIsNotHandledEither(t *testing.T) {
	fs := vfs.NewMem()
	r := newRig(t, fs, nil)
	r.mustOpen()
	r.offer(Add{1})
	r.run()
	r.offer(Die{}) // published, not stamped: as after a power loss that took its stamp
	seq := r.l.Seq() + 1
	r.fs = fs.Restart()
	if err := journal.Skip(r.fs, "n1/journal", seq, "it kills"); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time it comes from the journal
		r.mustOpen()
		r.offer(Add{1})
		r.run()
		r.fs = r.fs.(*vfs.Mem).Restart()
	}
	if n := r.counterOf().N; n != 3 {
		t.Fatalf("N = %d, want 3", n)
	}
}

// A remote timestamp may take the clock MaxDrift ahead, and the ceiling is ahead
// of that: a start at once after a kill must not take it for a broken clock.
func TestAKillRightAfterAMessageFromAFastClockIsNoClockError(t *testing.T) {
	fs := vfs.NewMem()
	r := newRig(t, fs, nil)
	r.mustOpen()
	f := frame(t, event.Message, event.MessageID{Node: "n2", Boot: 1, Seq: 1}, r.clock.Wall.Add(499*time.Millisecond), Add{1})
	if err := r.l.Offer(&f); err != nil {
		t.Fatal(err)
	}
	r.run()
	r.fs = fs.Restart()
	r.mustOpen()
}

// A crash loop must not take the clock away from time.
func TestStartsInQuickSuccessionKeepTheClock(t *testing.T) {
	fs := vfs.NewMem()
	r := newRig(t, fs, nil)
	for range 100 {
		r.mustOpen()
		r.fs = r.fs.(*vfs.Mem).Restart()
		r.tick(30 * time.Millisecond)
		if ahead := r.l.Now().Sub(r.clock.Wall); ahead > 200*time.Millisecond {
			t.Fatalf("boot %d: the clock is %s ahead of time", r.l.Boot(), ahead)
		}
	}
}

// A repaired journal may end before a checkpoint that was taken. Such a
// checkpoint must neither be started from later nor outlive better ones.
func TestACheckpointAheadOfTheJournalIsSetAside(t *testing.T) {
	fs := vfs.NewMem()
	r := newRig(t, fs, nil)
	r.mustOpen()
	r.offer(Add{1})
	r.run()
	st := r.l.Stepper()
	body, err := st.Checkpoint()
	if err != nil {
		t.Fatal(err)
	}
	ahead := r.l.Seq() + 10
	if err := checkpoint.Write(fs, "n1/checkpoints", checkpoint.Header{Node: "n1", Boot: 1, Seq: ahead, Chain: 1}, body); err != nil {
		t.Fatal(err)
	}
	r.fs = fs.Restart()
	r.mustOpen()
	logged := false
	for _, o := range r.take() {
		logged = logged || o.Kind == loop.OutputLog && o.Effect.Name == "error"
	}
	if !logged {
		t.Error("nothing is said of it")
	}
	for range 20 {
		r.offer(Add{1})
	}
	r.run()
	if r.l.Seq() <= ahead {
		t.Fatalf("at event %d", r.l.Seq())
	}
	r.fs = r.fs.(*vfs.Mem).Restart()
	r.mustOpen()
	if n := r.counterOf().N; n != 21 {
		t.Fatalf("N = %d", n)
	}
	if seqs, err := checkpoint.List(r.fs, "n1/checkpoints"); err != nil || len(seqs) != 0 {
		t.Fatalf("still there: %v, %v", seqs, err)
	}
}

// blob sets a timer with as large a body as it is asked for, and one behind it.
type blob struct{ Fired int64 }

type Large struct{ Bytes int }
type Body struct{ B []byte }

func (*blob) Payloads() []any { return []any{Large{}, Body{}} }

func (b *blob) Step(ctx *machine.Context, ev event.Event) {
	switch m := ev.Body.(type) {
	case Large:
		ctx.SetTimer("large", time.Millisecond, Body{make([]byte, m.Bytes)})
		ctx.SetTimer("small", 2*time.Millisecond, Body{})
	case Body:
		b.Fired++
	}
}

func TestATimerTooLargeForTheJournalIsToldAndHoldsUpNoOther(t *testing.T) {
	r := newRig(t, vfs.NewMem(), func(c *loop.Config) {
		c.Registry = machine.Registry{"counter": {1: func() machine.Machine { return &blob{} }}}
	})
	r.mustOpen()
	f := encoded(t, (&blob{}).Payloads(), event.Request, event.MessageID{Node: "n1.client", Boot: 1, Seq: 1}, 0, Large{Bytes: 100 << 10})
	if err := r.l.Offer(&f); err != nil {
		t.Fatal(err)
	}
	r.run()
	r.tick(10 * time.Millisecond)
	r.run()
	if n := r.l.Stepper().Machine("counter").(*blob).Fired; n != 1 {
		t.Fatalf("%d timers fired, want the small one", n)
	}
	notes := r.noteNames()
	if notes[len(notes)-1] != event.NoteDrop {
		t.Fatalf("notes %v: the timer that can't fire is not among them", notes)
	}
}
