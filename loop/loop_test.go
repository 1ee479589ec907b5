package loop_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"hindcast.dev/event"
	"hindcast.dev/hlc"
	"hindcast.dev/journal"
	"hindcast.dev/loop"
	"hindcast.dev/machine"
	"hindcast.dev/stepper"
	"hindcast.dev/vfs"
)

func TestAnAnswerWaitsForTheDiskUnderGroup(t *testing.T) {
	r := newRig(t, vfs.NewMem(), nil)
	r.mustOpen()
	r.noSync = true
	r.offer(Add{2})
	r.run()
	if got := kinds(r.take()); got != "" {
		t.Fatalf("before the sync: %s", got)
	}
	if n := r.counterOf().N; n != 2 {
		t.Fatalf("stepping waited for the disk: N = %d", n)
	}
	durable, err := r.j.Sync()
	if err != nil {
		t.Fatal(err)
	}
	r.l.Synced(durable)
	r.run()
	if got := kinds(r.take()); got != "reply send send " {
		t.Fatalf("after the sync: %q", got)
	}
}

func TestAnAnswerDoesNotWaitUnderProcess(t *testing.T) {
	r := newRig(t, vfs.NewMem(), func(c *loop.Config) { c.Durability = journal.Process })
	r.mustOpen()
	r.noSync = true
	r.offer(Add{2})
	r.run()
	if got := kinds(r.take()); got != "reply send send " {
		t.Fatalf("got %q", got)
	}
}

func TestEachStepsOneEventPerSync(t *testing.T) {
	r := newRig(t, vfs.NewMem(), func(c *loop.Config) { c.Durability = journal.Each })
	r.mustOpen()
	r.noSync = true
	r.offer(Add{1})
	r.offer(Add{1})
	r.run()
	if n := r.counterOf().N; n != 1 {
		t.Fatalf("before the first sync N = %d, want 1", n)
	}
	durable, _ := r.j.Sync()
	r.l.Synced(durable)
	r.run()
	if n := r.counterOf().N; n != 2 {
		t.Fatalf("after it N = %d, want 2", n)
	}
}

func TestATimerFiresWhenItIsDueAlsoAfterARestart(t *testing.T) {
	fs := vfs.NewMem()
	r := newRig(t, fs, nil)
	r.mustOpen()
	r.offer(Ask{After: time.Second})
	r.run()
	due, ok := r.l.NextDue()
	if want := r.l.Now().Physical().Add(time.Second); !ok || due.Physical() != want {
		t.Fatalf("next due %v %v, want %v", due, ok, want)
	}
	r.tick(500 * time.Millisecond)
	r.run()
	if f := r.counterOf().Fired; f != 0 {
		t.Fatal("fired early")
	}
	r.fs = fs.Restart()
	r.mustOpen()
	r.tick(600 * time.Millisecond)
	r.run()
	if f := r.counterOf().Fired; f != 1 {
		t.Fatalf("fired %d times after the restart", f)
	}
	if _, ok := r.l.NextDue(); ok {
		t.Fatal("still pending")
	}
}

func TestKillLosesNothingStampedUnderAnyPolicy(t *testing.T) {
	for _, d := range []journal.Durability{journal.Process, journal.Group, journal.Each} {
		t.Run(d.String(), func(t *testing.T) {
			fs := vfs.NewMem()
			r := newRig(t, fs, func(c *loop.Config) { c.Durability = d })
			r.journal = func(o *journal.Options) { o.Durability = d }
			r.mustOpen()
			for range 50 {
				r.offer(Add{1})
				r.tick(time.Millisecond)
				r.run()
			}
			chain := r.l.Stepper().Chain()
			r.offer(Add{100}) // published, never stamped
			r.fs = fs.Restart()
			if err := r.open(); err != nil {
				t.Fatal(err)
			}
			if got := r.l.Stepper().Chain(); got != chain {
				t.Fatalf("recovered chain %x, want %x", got, chain)
			}
			if r.l.Boot() != 2 {
				t.Fatalf("boot %d", r.l.Boot())
			}
			r.take()
			r.run()
			if n := r.counterOf().N; n != 150 {
				t.Fatalf("N = %d: what was published before the kill is to be stepped after it", n)
			}
			for _, o := range r.take() {
				if o.Kind == loop.OutputSend && o.Frame.ID.Boot != 2 {
					t.Fatalf("an effect of boot 2 has id %s", o.Frame.ID)
				}
			}
		})
	}
}

func TestRecoveryGoesOnFromACheckpoint(t *testing.T) {
	fs := vfs.NewMem()
	r := newRig(t, fs, func(c *loop.Config) { c.CheckpointEvery = 20 })
	r.mustOpen()
	for range 50 {
		r.offer(Add{1})
		r.tick(time.Millisecond)
		r.run()
	}
	if r.l.Stats().Checkpoints < 2 {
		t.Fatalf("%d checkpoints", r.l.Stats().Checkpoints)
	}
	chain := r.l.Stepper().Chain()
	r.fs = fs.Restart()
	if err := r.open(); err != nil {
		t.Fatal(err)
	}
	if got := r.l.Stepper().Chain(); got != chain || r.counterOf().N != 50 {
		t.Fatalf("chain %x, want %x; N = %d", got, chain, r.counterOf().N)
	}
	if n := r.l.Stats().Replayed; n == 0 || n > 25 {
		t.Fatalf("replayed %d events", n)
	}
}

func TestAMessageFromTheFutureIsRefusedAndRecorded(t *testing.T) {
	r := newRig(t, vfs.NewMem(), nil)
	r.mustOpen()
	for i, ahead := range []time.Duration{400 * time.Millisecond, 2 * time.Second, 365 * 24 * time.Hour} {
		f := frame(t, event.Message, event.MessageID{Node: "n2", Boot: 1, Seq: uint64(i + 1)}, r.clock.Wall.Add(ahead), Add{1})
		if err := r.l.Offer(&f); err != nil {
			t.Fatal(err)
		}
	}
	r.run()
	if n := r.counterOf().Told; n != 1 {
		t.Fatalf("%d messages handled, want the one within MaxDrift", n)
	}
	if s := r.l.Stats(); s.RefusedDrift != 2 {
		t.Fatalf("refused %d", s.RefusedDrift)
	}
	if ahead := r.l.Now().Sub(r.clock.Wall); ahead > 500*time.Millisecond {
		t.Fatalf("the clock was pulled %s ahead", ahead)
	}
}

func TestARequestFromTheFutureIsToldSo(t *testing.T) {
	r := newRig(t, vfs.NewMem(), nil)
	r.mustOpen()
	r.take()
	f := frame(t, event.Request, event.MessageID{Node: "n1.client", Boot: 1, Seq: 1}, r.clock.Wall.Add(time.Hour), Add{1})
	if err := r.l.Offer(&f); err != nil {
		t.Fatal(err)
	}
	r.run()
	var refused []loop.Output
	for _, o := range r.take() {
		if o.Kind == loop.OutputRefusal {
			refused = append(refused, o)
		}
	}
	if len(refused) != 1 || refused[0].Effect.ID != f.ID || refused[0].Reason == "" {
		t.Fatalf("refusals %v, want one of %v", refused, f.ID)
	}
}

func TestAMessageThatCameBeforeIsNotHandledAgain(t *testing.T) {
	fs := vfs.NewMem()
	r := newRig(t, fs, nil)
	r.mustOpen()
	f := frame(t, event.Message, event.MessageID{Node: "n2", Boot: 1, Seq: 7}, r.clock.Wall, Add{1})
	for range 2 {
		if err := r.l.Offer(&f); err != nil {
			t.Fatal(err)
		}
	}
	r.run()
	r.fs = fs.Restart()
	r.mustOpen()
	if err := r.l.Offer(&f); err != nil {
		t.Fatal(err)
	}
	r.run()
	if n := r.counterOf().Told; n != 1 {
		t.Fatalf("handled %d times", n)
	}
}

func TestNothingIsStampedAboveTheCeilingAndANewBootStampsAboveIt(t *testing.T) {
	fs := vfs.NewMem()
	r := newRig(t, fs, nil)
	r.mustOpen()
	for range 30 {
		r.offer(Add{1})
		r.tick(40 * time.Millisecond)
		r.run()
		if now := r.l.Now(); now > r.j.Ceiling() {
			t.Fatalf("stamped %v above the ceiling %v", now, r.j.Ceiling())
		}
	}
	ceiling := r.j.Ceiling()
	if ahead := ceiling.Sub(r.clock.Wall); ahead > hlc.DefaultMaxDrift/2 {
		t.Fatalf("the ceiling is %s ahead: peers would refuse the next boot", ahead)
	}
	r.fs = fs.Restart()
	r.mustOpen()
	if now := r.l.Now(); now <= ceiling {
		t.Fatalf("boot 2 stamped %v, not above the ceiling %v", now, ceiling)
	}
}

func TestAStartFarBehindTheJournalIsRefused(t *testing.T) {
	fs := vfs.NewMem()
	r := newRig(t, fs, nil)
	r.mustOpen()
	r.tick(time.Hour)
	r.offer(Add{1})
	r.run()
	r.fs = fs.Restart()
	r.clock.Wall = epoch
	err := r.open()
	var ce *loop.ClockError
	if !errors.As(err, &ce) || !strings.Contains(err.Error(), "set the clock right") {
		t.Fatalf("got %v", err)
	}
	r.clock.Wall = epoch.Add(time.Hour)
	r.mustOpen()
}

func TestAJumpOfTheClockIsNotedAndNotFollowed(t *testing.T) {
	r := newRig(t, vfs.NewMem(), nil)
	r.mustOpen()
	notes := r.l.Stats().Notes
	r.clock.Wall = r.clock.Wall.Add(time.Hour)
	r.clock.Mono += time.Millisecond
	r.offer(Add{1})
	r.run()
	if ahead := r.l.Now().Sub(epoch); ahead > time.Second {
		t.Fatalf("followed the jump: %s ahead", ahead)
	}
	if j := r.l.ClockJump(); j < 59*time.Minute {
		t.Fatalf("jump of %s reported", j)
	}
	r.clock.Wall = r.clock.Wall.Add(-time.Hour)
	r.run()
	if got := r.l.Stats().Notes - notes; got != 2 || r.l.ClockJump() != 0 {
		t.Fatalf("%d notes, jump %s; want two notes and none", got, r.l.ClockJump())
	}
}

// Links come and go on goroutines of their own while the loop runs.
func TestATimerFiresInTimeThoughTheWallClockIsSetBack(t *testing.T) {
	r := newRig(t, vfs.NewMem(), nil)
	r.mustOpen()
	r.offer(Ask{After: time.Second}) // set before
	r.run()
	r.clock.Wall = r.clock.Wall.Add(-time.Hour)
	r.tick(900 * time.Millisecond)
	r.run()
	if f := r.counterOf().Fired; f != 0 {
		t.Fatal("fired early")
	}
	if at, ok := r.l.NextDue(); !ok || at.Sub(r.clock.Wall) > 101*time.Millisecond {
		t.Fatalf("next due %v %v, by a wall clock of %v", at, ok, r.clock.Wall)
	}
	for want := int64(1); want <= 3; want++ {
		r.tick(200 * time.Millisecond)
		r.run()
		if f := r.counterOf().Fired; f != want {
			t.Fatalf("fired %d times, want %d", f, want)
		}
		r.offer(Ask{After: time.Second}) // set meanwhile
		r.run()
		r.tick(900 * time.Millisecond)
		r.run()
		if f := r.counterOf().Fired; f != want {
			t.Fatal("fired early")
		}
	}
}

func TestNotesComeFromAnyGoroutine(t *testing.T) {
	r := newRig(t, vfs.NewMem(), nil)
	r.mustOpen()
	before := r.l.Stats().Notes
	const each, writers = 50, 4
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			for range each {
				if err := r.l.Note(event.NoteLink, event.NoteInfo{Peer: "n2", Count: uint64(i)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	for over := false; !over; {
		select {
		case <-done:
			over = true
		default:
		}
		r.run()
	}
	if got := r.l.Stats().Notes - before; got != each*writers {
		t.Errorf("%d notes in the journal, %d were given", got, each*writers)
	}
}

func TestAnUpgradeIsRecordedAndARollbackRefused(t *testing.T) {
	fs := vfs.NewMem()
	versions := 1
	r := newRig(t, fs, func(c *loop.Config) { c.Registry = registry(versions) })
	r.mustOpen()
	r.offer(Add{5})
	r.run()
	versions = 2
	r.fs = fs.Restart()
	r.mustOpen()
	r.offer(Add{5})
	r.run()
	if n := r.counterOf().N; n != 55 {
		t.Fatalf("N = %d, want 5 by version 1 and 50 by version 2", n)
	}
	chain := r.l.Stepper().Chain()
	r.fs = r.fs.(*vfs.Mem).Restart()
	if err := r.open(); err != nil {
		t.Fatalf("both versions in one journal: %v", err)
	}
	if got := r.l.Stepper().Chain(); got != chain {
		t.Fatalf("chain %x, want %x", got, chain)
	}
	r.run()
	r.l.WantCheckpoint()
	r.run()
	versions = 1
	r.fs = r.fs.(*vfs.Mem).Restart()
	err := r.open()
	var rb *stepper.RollbackError
	if !errors.As(err, &rb) || rb.Has != 2 || rb.Want != 1 {
		t.Fatalf("got %v", err)
	}
}

func TestAPoisonEventIsSkippedOrHandledByANewVersion(t *testing.T) {
	for _, again := range []bool{false, true} {
		fs := vfs.NewMem()
		versions, seq := 1, uint64(0)
		r := newRig(t, fs, func(c *loop.Config) {
			c.Registry = registry(versions)
			if again {
				c.Again = seq
			}
		})
		r.mustOpen()
		r.offer(Add{1})
		r.run()
		r.offer(Die{})
		err := r.poll()
		var pe *stepper.PanicError
		if !errors.As(err, &pe) {
			t.Fatalf("got %v", err)
		}
		seq = pe.Seq
		r.fs = fs.Restart()
		if err := r.open(); !errors.As(err, &pe) || pe.Seq != seq {
			t.Fatalf("second start: %v", err)
		}
		if err := journal.Skip(r.fs, "n1/journal", seq, "it kills"); err != nil {
			t.Fatal(err)
		}
		if again {
			versions = 2
		}
		r.mustOpen()
		r.offer(Add{1})
		r.run()
		want := int64(2)
		logged := false
		for _, o := range r.take() {
			logged = logged || o.Kind == loop.OutputLog && string(o.Effect.Payload) == "not this time"
		}
		if again {
			want = 11
		}
		if n := r.counterOf().N; n != want || logged != again {
			t.Fatalf("again %v: N = %d, want %d; handled by the new version: %v", again, n, want, logged)
		}
		chain := r.l.Stepper().Chain()
		r.fs = r.fs.(*vfs.Mem).Restart()
		if err := r.open(); err != nil || r.l.Stepper().Chain() != chain {
			t.Fatalf("the start after: %v, chain %x, want %x", err, r.l.Stepper().Chain(), chain)
		}
	}
}

// clocked keeps something that isn't in its events.
type clocked struct{ N int64 }

var wall int64 // stands for the wall clock

func (c *clocked) Step(ctx *machine.Context, ev event.Event) { wall++; c.N = wall }

func TestRecoveryFindsAMachineThatLooksAtAClock(t *testing.T) {
	fs := vfs.NewMem()
	r := newRig(t, fs, func(c *loop.Config) {
		c.Registry = machine.Registry{"counter": {1: func() machine.Machine { return &clocked{} }}}
	})
	r.mustOpen()
	r.offer(Add{1})
	r.offer(Add{1})
	r.run()
	r.fs = fs.Restart()
	err := r.open()
	var d *stepper.DivergenceError
	if !errors.As(err, &d) || d.Machine != "counter" {
		t.Fatalf("got %v", err)
	}
}

func TestHeldOutputsAreBounded(t *testing.T) {
	r := newRig(t, vfs.NewMem(), func(c *loop.Config) { c.MaxHeld = 30; c.Batch = 1000 })
	r.mustOpen()
	r.noSync = true
	for range 100 {
		r.offer(Add{1})
	}
	r.run()
	// An event may pass the bound by its own effects, no more.
	if held := r.l.Stats().Held; held < 30 || held > 33 {
		t.Fatalf("%d held, the bound is 30 and an event has 3", held)
	}
	r.diskIsBack()
	if n := r.counterOf().N; n != 100 {
		t.Fatalf("N = %d after the disk came back", n)
	}
}

func TestHeldBytesAreBounded(t *testing.T) {
	const limit = 600
	r := newRig(t, vfs.NewMem(), func(c *loop.Config) { c.MaxHeldBytes = limit; c.Batch = 10_000 })
	r.mustOpen()
	r.noSync = true
	for range 300 {
		r.offer(Add{1})
	}
	r.run()
	stopped := r.counterOf().N
	// Each Add holds a reply and two sends, of some bytes each.
	if stopped == 0 || stopped > limit/3 {
		t.Fatalf("%d of 300 stepped with %d bytes to be held", stopped, limit)
	}
	r.diskIsBack()
	if n := r.counterOf().N; n != 300 {
		t.Fatalf("N = %d after the disk came back", n)
	}
}

func TestAShadowsCheckpointCountsOnceTheChainAgrees(t *testing.T) {
	fs := vfs.NewMem()
	r := newRig(t, fs, nil)
	r.mustOpen()
	st, err := stepper.New(stepper.Options{Node: "n1", Registry: registry(1)})
	if err != nil {
		t.Fatal(err)
	}
	rd, err := r.j.NewReader(1)
	if err != nil {
		t.Fatal(err)
	}
	s := loop.NewShadow(st, rd, r.j.Skip)
	defer s.Close()
	r.offer(Add{1})
	r.run()
	if _, err := s.Advance(1000, nil); err != nil || s.Seq() != r.l.Seq() {
		t.Fatalf("advance: %v, at %d of %d", err, s.Seq(), r.l.Seq())
	}
	if err := s.TakeCheckpoint(); err != nil {
		t.Fatal(err)
	}
	if _, ok := s.Confirmed(); ok {
		t.Fatal("confirmed before any stamp could tell")
	}
	r.offer(Add{1})
	r.run()
	if _, err := s.Advance(1000, nil); err != nil {
		t.Fatal(err)
	}
	o, ok := s.Confirmed()
	if !ok || o.Seq == 0 || o.Versions["counter"] != 1 {
		t.Fatalf("%+v, %v", o, ok)
	}
	if st, err := stepper.Restore(stepper.Options{Node: "n1", Registry: registry(1)}, o.Body); err != nil || st.Chain() != o.Chain {
		t.Fatalf("restored: %v", err)
	}
}

func TestANoteIsStampedAfterWhatItSpeaksOf(t *testing.T) {
	r := newRig(t, vfs.NewMem(), nil)
	r.mustOpen()
	sent := r.clock.Wall.Add(300 * time.Millisecond)
	if err := r.l.NoteAfter(sent, event.NoteDrop, event.NoteInfo{Peer: "n2"}); err != nil {
		t.Fatal(err)
	}
	r.run()
	if now := r.l.Now(); now <= sent {
		t.Fatalf("stamped %v, not after %v", now, sent)
	}
	notes := r.l.Stats().Notes
	if err := r.l.NoteAfter(r.clock.Wall.Add(time.Hour), event.NoteDrop, event.NoteInfo{Peer: "n2"}); err != nil {
		t.Fatal(err)
	}
	r.run()
	if s := r.l.Stats(); s.Notes != notes+1 || r.l.Now().Sub(r.clock.Wall) > time.Second {
		t.Fatalf("%d notes, clock at %v: a fact about the far future is kept and not believed", s.Notes-notes, r.l.Now())
	}
}
