package node

import (
	"context"
	"errors"
	"fmt"
	"hindcast.dev/journal/record"
	"strings"
	"testing"
	"time"

	"hindcast.dev/event"
	"hindcast.dev/journal"
	"hindcast.dev/machine"
	"hindcast.dev/recording"
	"hindcast.dev/stepper"
	"hindcast.dev/vfs"
)

// die makes a node's machine panic and returns what Wait returned.
func die(t *testing.T, n *Node) error {
	t.Helper()
	if _, err := n.Client().Do(within(t, patience), "tally", Die{}); !errors.Is(err, ErrUncertain) {
		t.Fatalf("the request that panics: %v, want ErrUncertain", err)
	}
	return n.Wait()
}

func TestAPanicIsSetAsideAndTheSecondOneStopsRestarts(t *testing.T) {
	o := options(t, "n1")
	n := start(t, o)
	total(t, n, Add{"a", 1})
	err := die(t, n)
	var crash *CrashError
	if !errors.As(err, &crash) || ExitCode(err) != ExitPanic {
		t.Fatalf("the node stopped with %v, exit code %d", err, ExitCode(err))
	}
	r, err := recording.Open(vfs.OS(), crash.Box)
	if err != nil {
		t.Fatal(err)
	}
	c := r.Manifest().Crash
	if c == nil || c.Node != "n1" || c.Seq == 0 || !strings.Contains(c.Reason, "asked to die") || !strings.Contains(c.Stack, "Step") {
		t.Fatalf("the box's crash is %+v", c)
	}
	if last := lastOf(t, vfs.OS(), r.JournalDir("n1")); last != c.Seq {
		t.Fatalf("the box ends with event %d, want the fatal one, %d", last, c.Seq)
	}

	_, err = Start(context.Background(), o)
	var poison *PoisonError
	if !errors.As(err, &poison) || ExitCode(err) != ExitPoison || poison.Seq != c.Seq || poison.Box != crash.Box {
		t.Fatalf("the second start: %v, exit code %d, want a *PoisonError about event %d", err, ExitCode(err), c.Seq)
	}
	for _, way := range []string{"hindcast journal skip", "--upgrade-before", crash.Box} {
		if !strings.Contains(err.Error(), way) {
			t.Errorf("the error doesn't name %q: %v", way, err)
		}
	}

	if err := journal.Skip(vfs.OS(), poison.Dir, poison.Seq, "known bug"); err != nil {
		t.Fatal(err)
	}
	n = start(t, o)
	if got := total(t, n, Add{"a", 1}); got != 2 {
		t.Fatalf("a = %d after the skip, want 2", got)
	}
	stop(t, n)
	n = start(t, o)
	if got := peek(t, n, "a"); got != 2 {
		t.Fatalf("a = %d at the start after, want 2", got)
	}
}

// tame is a tally that bears what killed the one before.
type tame struct{ tally }

func (c *tame) Step(ctx *machine.Context, ev event.Event) {
	if _, ok := ev.Body.(Die); ok {
		c.Sums.Put("died", 1)
		return
	}
	c.tally.Step(ctx, ev)
}

func (c *tame) UpgradeFrom(old machine.Machine) error {
	c.tally = *old.(*tally)
	return nil
}

func TestUpgradeBeforeTheFatalEventHandlesIt(t *testing.T) {
	o := options(t, "n1")
	n := start(t, o)
	total(t, n, Add{"a", 1})
	die(t, n)
	_, err := Start(context.Background(), o)
	var poison *PoisonError
	if !errors.As(err, &poison) {
		t.Fatal(err)
	}
	o.Registry = registry()
	o.Registry["tally"][2] = func() machine.Machine { return &tame{} }
	o.UpgradeBefore = poison.Seq
	for boot := range 2 { // the option may stay
		n = start(t, o)
		eventually(t, n, "the upgrade", func() bool { return n.Status().Machines["tally"] == 2 })
		if got := peek(t, n, "died"); got != 1 {
			t.Fatalf("start %d: the event wasn't handled by the new version: %d", boot, got)
		}
		if got := total(t, n, Add{"a", 1}); got != int64(boot)+2 {
			t.Fatalf("start %d: a = %d", boot, got)
		}
		stop(t, n)
	}
}

func TestADivergenceInRecoveryIsSetAside(t *testing.T) {
	o := options(t, "n1")
	n := start(t, o)
	total(t, n, Guess{})
	total(t, n, Add{"a", 1}) // its stamp holds the digest after the guess
	stop(t, n)
	_, err := Start(context.Background(), o)
	var diverged *stepper.DivergenceError
	var crash *CrashError
	if !errors.As(err, &diverged) || !errors.As(err, &crash) || ExitCode(err) != ExitDivergence {
		t.Fatalf("start: %v, exit code %d", err, ExitCode(err))
	}
	if diverged.Name != "Guess" || !recording.Is(vfs.OS(), crash.Box) {
		t.Fatalf("diverged at %q, box %s", diverged.Name, crash.Box)
	}
}

func TestEventsThatPassABoundStopTheNode(t *testing.T) {
	n := start(t, options(t, "n1"))
	_, err := n.Client().Do(within(t, patience), "tally", Parts{stepper.DefaultMaxEffects + 1})
	if !errors.Is(err, ErrUncertain) {
		t.Fatal(err)
	}
	err = n.Wait()
	var limit *stepper.LimitError
	if !errors.As(err, &limit) || ExitCode(err) != ExitPanic {
		t.Fatalf("stopped with %v, exit code %d", err, ExitCode(err))
	}
}

func TestCrashBoxesAreBounded(t *testing.T) {
	o, mem := inMemory(options(t, "n1"))
	o.Limits.CrashBoxes = 2
	for range 5 {
		n := start(t, o)
		total(t, n, Add{"a", 1})
		abandon(t, n)
		mem = mem.Restart()
		o.FS = mem
	}
	n := start(t, o)
	boxes, err := mem.ReadDir(n.dirs.crashboxes)
	if err != nil || len(boxes) != 2 {
		t.Fatalf("crash boxes %v, %v: want 2", boxes, err)
	}
	stop(t, n)

	o.Limits.CrashBoxBytes = 1
	n = start(t, o)
	total(t, n, Add{"a", 1})
	if _, err := n.Bundle(within(t, patience), time.Hour); err == nil || !strings.Contains(err.Error(), "limit of 1") {
		t.Fatalf("a bundle beyond the limit: %v", err)
	}
	if names, _ := mem.ReadDir(n.dirs.bundles); len(names) != 0 {
		t.Fatalf("left behind: %v", names)
	}
}

func TestABundleHoldsTheCheckpointBeforeAndTheJournalSince(t *testing.T) {
	n := start(t, options(t, "n1"))
	for range 5 {
		total(t, n, Add{"a", 1})
	}
	seq, err := n.Checkpoint(within(t, patience))
	if err != nil {
		t.Fatal(err)
	}
	total(t, n, Add{"a", 1})
	for since, want := range map[time.Duration]int{time.Hour: 0, -time.Hour: 1} {
		dir, err := n.Bundle(within(t, patience), since)
		if err != nil {
			t.Fatal(err)
		}
		r, err := recording.Open(vfs.OS(), dir)
		if err != nil {
			t.Fatal(err)
		}
		if last := lastOf(t, vfs.OS(), r.JournalDir("n1")); last <= seq {
			t.Errorf("since %v: the bundle ends with event %d, the checkpoint is at %d", since, last, seq)
		}
		files, err := recording.ListCheckpoints(vfs.OS(), r.CheckpointsDir("n1"))
		if err != nil || len(files) < want {
			t.Errorf("since %v: checkpoints %v, %v", since, files, err)
		}
	}
}

func TestAShadowTakesTheCheckpoints(t *testing.T) {
	o := options(t, "n1")
	o.ShadowCheckpoints, o.CheckpointEvery = true, 10
	n := start(t, o)
	for range 50 {
		total(t, n, Add{"a", 1})
	}
	eventually(t, n, "checkpoints", func() bool {
		total(t, n, Add{"b", 1}) // a later stamp confirms
		return n.Status().Disk.Checkpoints >= 2
	})
	if s := n.Status(); s.Loop.Checkpoints != 0 {
		t.Fatalf("the loop took %d checkpoints", s.Loop.Checkpoints)
	}
	stop(t, n)
	n = start(t, o)
	if got := peek(t, n, "a"); got != 50 {
		t.Fatalf("a = %d from the shadow's checkpoint, want 50", got)
	}
	if s := n.Status(); s.Loop.Replayed >= 50 {
		t.Fatalf("%d events replayed: no checkpoint was used", s.Loop.Replayed)
	}
}

func TestAShadowThatDivergesIsSetAsideAndTheNodeGoesOn(t *testing.T) {
	n := start(t, options(t, "n1"))
	ended := make(chan error, 1)
	go func() { ended <- n.Shadow(within(t, patience), ShadowOptions{}) }()
	total(t, n, Guess{})
	for i := 0; ; i++ {
		total(t, n, Add{"a", 1})
		select {
		case err := <-ended:
			var diverged *stepper.DivergenceError
			var crash *CrashError
			if !errors.As(err, &diverged) || !errors.As(err, &crash) {
				t.Fatalf("the shadow ended with %v", err)
			}
			if got := total(t, n, Add{"a", 1}); got != int64(i+2) {
				t.Fatalf("a = %d, want %d", got, i+2)
			}
			return
		default:
		}
	}
}

// changes keeps the last value of each variable.
type changes map[string]string

func (c changes) Bulky(string) {}

func (c changes) Change(variable string, path []event.Value, v event.Value) {
	c[fmt.Sprint(variable, path)] = v.String()
}

func TestAShadowSeesEveryEventAndChange(t *testing.T) {
	n := start(t, options(t, "n1"))
	ctx, cancel := context.WithCancel(within(t, patience))
	defer cancel()
	seen, ended := make(chan uint64, 1000), make(chan error, 1)
	all := changes{}
	go func() {
		ended <- n.Shadow(ctx, ShadowOptions{OnChange: all, See: func(f *stepper.Followed, _ record.Stamp) { seen <- f.Event.Seq }})
	}()
	total(t, n, Add{"a", 1})
	total(t, n, Add{"a", 41})
	last := n.j.Stamped()
	for want := uint64(1); want <= last; want++ {
		if got := <-seen; got != want {
			t.Fatalf("the shadow saw event %d, want %d", got, want)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if got := all[fmt.Sprint("tally.sums", []event.Value{event.String("a")})]; got != "42" {
		t.Fatalf("changes %v", all)
	}
}

// lastOf is the last event of a journal.
func lastOf(t *testing.T, fsys vfs.FS, dir string) (last uint64) {
	t.Helper()
	r, err := journal.OpenReader(fsys, dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for {
		e, err := r.Next()
		if err != nil {
			return last
		}
		last = e.Stamp.Seq
	}
}
