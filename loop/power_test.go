package loop_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"hindcast.dev/event"
	"hindcast.dev/journal"
	"hindcast.dev/loop"
	"hindcast.dev/machine"
	"hindcast.dev/vfs"
)

var errPower = errors.New("the power is gone")

// TestPowerLossAtEveryStepLosesNothingAcknowledged runs a node that takes
// requests, checkpoints and changes segments, cuts the power at every single
// step of its writing, in turn, with sectors torn as the seed decides, and
// starts it again: every acknowledged Add must be there, and the recovered chain
// must go on without divergence.
func TestPowerLossAtEveryStepLosesNothingAcknowledged(t *testing.T) {
	seeds := 3
	if testing.Short() {
		seeds = 1
	}
	for _, d := range []journal.Durability{journal.Group, journal.Each} {
		t.Run(d.String(), func(t *testing.T) {
			steps := powerRun(t, d, -1, 0).steps
			if steps < 100 {
				t.Fatalf("only %d steps: the run exercises nothing", steps)
			}
			for k := range steps * seeds {
				if p := powerRun(t, d, k%steps, uint64(k)); p.found < p.acked {
					t.Fatalf("step %d, seed %d: %d found after power loss, %d were acknowledged", k%steps, k, p.found, p.acked)
				}
			}
			t.Logf("power cut at each of %d steps, %d times", steps, seeds)
		})
	}
}

// Under process nothing waits for the disk: power loss may lose what was
// acknowledged, and the start says so. It is also the proof that the test above
// can fail.
func TestPowerLossUnderProcessIsStated(t *testing.T) {
	steps := powerRun(t, journal.Process, -1, 0).steps
	lost := 0
	for k := range steps {
		p := powerRun(t, journal.Process, k, uint64(k))
		if p.found >= p.acked {
			continue
		}
		lost++
		if p.recovery.Lost == nil {
			t.Fatalf("step %d: %d of %d acknowledged are there, and the start doesn't say so", k, p.found, p.acked)
		}
	}
	if lost == 0 {
		t.Fatalf("%d power losses and nothing was lost: the disk doesn't lose what wasn't synced", steps)
	}
}

// A power is what a power cut left.
type power struct {
	steps        int // changes of the disk until then
	acked, found int64
	recovery     journal.Recovery
}

// powerRun cuts the power at the step-th change of the disk, or never if it is
// negative.
func powerRun(t *testing.T, d journal.Durability, step int, seed uint64) (p power) {
	mem := vfs.NewMem()
	faulty := vfs.NewFaulty(mem, func(op vfs.Op) error {
		if !op.Kind.Changes() {
			return nil
		}
		p.steps++
		if step >= 0 && p.steps > step {
			return errPower
		}
		return nil
	})
	r := newRig(t, faulty, func(c *loop.Config) { c.Durability = d; c.CheckpointEvery = 40 })
	r.journal = func(o *journal.Options) { o.Durability = d; o.SegmentBytes = 8 << 10 }
	p.acked = powerLoad(r)
	if step < 0 {
		return p
	}
	p.restart(r, mem.Crash(picks(seed)), fmt.Sprintf("step %d, seed %d", step, seed))
	return p
}

// picks decides what a power loss leaves.
func picks(seed uint64) func(n int) int {
	rand := machine.NewRand(seed)
	return func(n int) int { return rand.IntN(n) }
}

// restart starts the node on what is left of its disk.
func (p *power) restart(r *rig, fs *vfs.Mem, what string) {
	t := r.t
	t.Helper()
	r.fs, r.faults = fs, nil
	r.tick(time.Second)
	if err := r.open(); err != nil {
		t.Fatalf("%s: start after it: %v", what, err)
	}
	p.recovery = r.j.Recovery()
	r.run()
	p.found = r.counterOf().N
	r.offer(Add{1})
	r.run()
	if n := r.counterOf().N; n != p.found+1 {
		t.Fatalf("%s: N = %d after one more Add, want %d", what, n, p.found+1)
	}
}

// powerLoad offers requests until the power goes, and returns how many of them
// were acknowledged.
func powerLoad(r *rig) (acked int64) {
	if r.open() != nil || r.poll() != nil {
		return 0
	}
	for i := range 60 {
		r.request++
		id := event.MessageID{Node: "n1.client", Boot: r.l.Boot(), Seq: r.request}
		f := frame(r.t, event.Request, id, 0, Add{1})
		err := r.l.Offer(&f)
		for tries := 0; errors.Is(err, journal.ErrBacklog) && tries < 100; tries++ {
			if err = r.poll(); err == nil {
				err = r.l.Offer(&f)
			}
		}
		if err != nil {
			return acked
		}
		r.tick(5 * time.Millisecond)
		err = r.poll()
		for _, o := range r.take() {
			if o.Kind == loop.OutputReply {
				acked++
			}
		}
		if err != nil {
			return acked
		}
		if i%20 == 19 {
			if err := r.j.Maintain(); err != nil {
				return acked
			}
		}
	}
	return acked
}
