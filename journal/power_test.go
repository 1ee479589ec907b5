package journal

import (
	"errors"
	"fmt"
	"testing"

	"hindcast.dev/faultpoint"
	"hindcast.dev/vfs"
)

var errPower = errors.New("power is off")

// ledger is what a run was told before the power went.
type ledger struct {
	stamped int    // events stamped, all named "payload N"
	durable uint64 // reported by Sync
	boot    uint64 // reported by Boot
	ceiling uint64
	faults  *faultpoint.Set
}

// powerRun works on fsys until it fails: boots, appends, stamps, syncs, rotates,
// retains, closes.
func powerRun(fsys vfs.FS, host string, d Durability, led *ledger) error {
	o := options(fsys)
	o.SegmentBytes, o.Durability, o.HostBoot = 8<<10, d, host
	o.RetainBytes, o.Archive, o.Faults = 24<<10, "n1/archive", led.faults
	for range 2 {
		j, err := Open(o)
		if err != nil {
			return err
		}
		led.boot = j.Boot()
		led.stamped = int(j.LastStamp().Seq)
		if err := powerWork(j, d, led); err != nil {
			return err
		}
		if err := j.Close(); err != nil {
			return err
		}
		led.durable = uint64(led.stamped)
	}
	return nil
}

func powerWork(j *Journal, d Durability, led *ledger) error {
	for i := range 75 {
		err := j.Append(message(led.stamped + 1))
		if errors.Is(err, ErrFull) {
			if err := j.Maintain(); err != nil {
				return err
			}
			err = j.Append(message(led.stamped + 1))
		}
		if err != nil {
			return err
		}
		if _, ok, err := j.Next(); !ok {
			return err
		}
		if err := j.Stamp(stampAfter(j.LastStamp())); err != nil {
			return err
		}
		led.stamped++
		if d == Each || d == Group && i%7 == 6 {
			if led.durable, err = j.Sync(); err != nil {
				return err
			}
		}
		if i%25 == 24 {
			if err := j.RaiseCeiling(j.LastStamp().Time + 1<<20); err != nil {
				return err
			}
			led.ceiling = uint64(j.LastStamp().Time + 1<<20)
			j.SetRetainFrom(uint64(max(led.stamped-10, 1)))
			if err := j.Maintain(); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkPower opens what a power loss left and holds it against the ledger.
func checkPower(t *testing.T, fsys vfs.FS, d Durability, led ledger, what string) {
	t.Helper()
	o := options(fsys)
	o.SegmentBytes, o.Durability, o.HostBoot = 8<<10, d, "host-2"
	j, err := Open(o)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	defer mustClose(t, j)
	r := j.Recovery()
	switch {
	case j.Boot() <= led.boot:
		t.Fatalf("%s: boot %d again", what, led.boot)
	case uint64(j.Ceiling()) < led.ceiling:
		t.Fatalf("%s: ceiling %d after %d", what, j.Ceiling(), led.ceiling)
	case r.Last.Seq < led.durable:
		t.Fatalf("%s: event %d was durable, %d are left", what, led.durable, r.Last.Seq)
	case r.Last.Seq > uint64(led.stamped):
		t.Fatalf("%s: %d events are left of %d", what, r.Last.Seq, led.stamped)
	}
	if d == Process && r.Ending == Killed && r.Lost == nil && led.stamped > 0 {
		t.Fatalf("%s: %d of %d events are left, and nothing is said of a loss", what, r.Last.Seq, led.stamped)
	}
	live, err := j.NewReader(0)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	defer live.Close()
	got := readAll(t, live)
	for i, payload := range got {
		if want := fmt.Sprintf("payload %d", int(r.Last.Seq)-len(got)+i+1); payload != want {
			t.Fatalf("%s: %q where %q should be", what, payload, want)
		}
	}
	if rep, err := Verify(fsys, testDir, nil); err != nil || len(rep.Problems) > 0 {
		t.Fatalf("%s: verify: %v, %v", what, rep.Problems, err)
	}
	stampAll(t, j)
	mustMaintain(t, j)
	fill(t, j, 1000, 5)
}

func TestPowerLossAtEveryStepKeepsWhatIsDurable(t *testing.T) {
	for _, d := range []Durability{Process, Group, Each} {
		t.Run(d.String(), func(t *testing.T) {
			for step := int64(1); ; step++ {
				done := false
				for seed := range uint64(3) {
					inner := vfs.NewMem()
					var led ledger
					fsys := vfs.NewFaulty(inner, func(op vfs.Op) error {
						if op.N >= step {
							return errPower
						}
						return nil
					})
					err := powerRun(fsys, "host-1", d, &led)
					if err != nil && !errors.Is(err, errPower) {
						t.Fatalf("step %d: %v", step, err)
					}
					done = err == nil
					what := fmt.Sprintf("step %d, seed %d", step, seed)
					checkPower(t, inner.Crash(picker(seed)), d, led, what)
				}
				if done {
					if step < 100 {
						t.Fatalf("only %d steps", step)
					}
					return
				}
				if testing.Short() {
					step += 4
				}
			}
		})
	}
}

// A second power loss while the first is being recovered loses nothing more.
func TestPowerLossDuringRecoveryKeepsWhatIsDurable(t *testing.T) {
	seeds := uint64(12)
	if testing.Short() {
		seeds = 3
	}
	for seed := range seeds {
		first := vfs.NewMem()
		var led ledger
		cut := 200 + int64(seed)*11
		err := powerRun(vfs.NewFaulty(first, func(op vfs.Op) error {
			if op.N >= cut {
				return errPower
			}
			return nil
		}), "host-1", Group, &led)
		if err != nil && !errors.Is(err, errPower) {
			t.Fatal(err)
		}
		for step := int64(1); ; step++ {
			second := first.Crash(picker(seed))
			o := options(vfs.NewFaulty(second, func(op vfs.Op) error {
				if op.N >= step {
					return errPower
				}
				return nil
			}))
			o.SegmentBytes, o.Durability, o.HostBoot = 8<<10, Group, "host-1b"
			j, err := Open(o)
			if err != nil && !errors.Is(err, errPower) {
				t.Fatalf("seed %d, step %d: %v", seed, step, err)
			}
			now := led
			if err == nil {
				now.boot = j.Boot()
			}
			checkPower(t, second.Crash(picker(seed+uint64(step)*1001)), Group, now, fmt.Sprintf("seed %d, step %d of recovery", seed, step))
			if err == nil {
				break
			}
		}
	}
}
