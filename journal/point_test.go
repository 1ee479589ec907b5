package journal

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"hindcast.dev/faultpoint"
	"hindcast.dev/vfs"
)

// steps are the points of this package that a run may die at.
func steps() []string {
	var out []string
	for _, p := range faultpoint.Points() {
		if p.Kind == faultpoint.Step && strings.HasPrefix(p.Name, "journal.") {
			out = append(out, p.Name)
		}
	}
	return out
}

// A death is a run that ended at a point.
type death struct {
	ledger
	killed *vfs.Mem // the disk as the death of the process left it
	lost   *vfs.Mem // as a power loss at that moment left it
	err    error
}

// dieAt works until the k-th time that it comes to the point, where it dies, or
// fails; rare is whether to take the rare paths.
func dieAt(point string, k int, a faultpoint.Action, rare func() bool) (d death) {
	inner := vfs.NewMem()
	here := 0
	d.faults = faultpoint.New(func(name string) faultpoint.Action {
		if name == point {
			if here++; here == k {
				d.killed, d.lost = inner.Restart(), inner.Crash(picker(uint64(k)))
				return a
			}
		} else if rare() {
			return faultpoint.Take
		}
		return faultpoint.Pass
	})
	d.err = powerRun(inner, "host-1", Group, &d.ledger)
	if d.killed != nil && a == faultpoint.Fail {
		d.killed, d.lost = inner.Restart(), inner.Crash(picker(uint64(k)))
	}
	return d
}

func never() bool { return false }

// checkKilled holds what the death of a process left against the ledger: all that
// was stamped is there, for the machine stayed up.
func checkKilled(t *testing.T, fsys vfs.FS, led ledger, what string) {
	t.Helper()
	o := options(fsys)
	o.SegmentBytes, o.Durability, o.HostBoot = 8<<10, Group, "host-1"
	j, err := Open(o)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	if r := j.Recovery(); int(r.Last.Seq) != led.stamped || r.Lost != nil || j.Boot() <= led.boot {
		t.Fatalf("%s: %d events of %d, boot %d after %d, lost %v", what, r.Last.Seq, led.stamped, j.Boot(), led.boot, r.Lost)
	}
	mustClose(t, j)
}

func TestDeathAtEveryPointLosesNothingDurable(t *testing.T) {
	deaths := 0
	for _, point := range steps() {
		for k := 1; ; k++ {
			d := dieAt(point, k, faultpoint.Die, never)
			if d.killed == nil {
				if k == 1 {
					t.Errorf("the run never comes to %s", point)
				}
				break
			}
			what := fmt.Sprintf("%s, time %d", point, k)
			if !errors.Is(d.err, faultpoint.ErrDied) {
				t.Fatalf("%s: the run ended with %v", what, d.err)
			}
			deaths++
			checkKilled(t, d.killed, d.ledger, what+", killed")
			checkPower(t, d.lost, Group, d.ledger, what+", power loss")
			if k >= 3 { // the later ones are alike: look at some
				k += k * 2
			}
		}
	}
	t.Logf("%d deaths", deaths)
}

func TestAFailureAtEveryPointIsNoDamage(t *testing.T) {
	for _, point := range steps() {
		for k := 1; k < 4; k++ {
			d := dieAt(point, k, faultpoint.Fail, never)
			what := fmt.Sprintf("failure at %s, time %d", point, k)
			if d.killed == nil {
				break
			}
			// A segment that can't be prepared at the start is only a warning.
			if d.err == nil && (d.stamped != 150 || !strings.HasPrefix(point, "journal.segment.")) {
				t.Errorf("%s: nobody was told", what)
			}
			checkKilled(t, d.killed, d.ledger, what)
			checkPower(t, d.lost, Group, d.ledger, what+", power loss")
		}
	}
}

// Rare paths are as good as the others, and dying on them as well.
func TestRarePathsLoseNothing(t *testing.T) {
	const rounds = 60 // fewer say little: most points are not passed often enough to die at
	points := steps()
	died := 0
	for seed := range uint64(rounds) {
		r := rand.New(rand.NewPCG(seed, 1))
		point := points[r.IntN(len(points))]
		d := dieAt(point, 1+r.IntN(40), faultpoint.Die, func() bool { return r.IntN(4) == 0 })
		what := fmt.Sprintf("seed %d, %s", seed, point)
		if d.killed == nil {
			if d.err != nil {
				t.Fatalf("%s: %v", what, d.err)
			}
			continue
		}
		died++
		checkKilled(t, d.killed, d.ledger, what)
		checkPower(t, d.lost, Group, d.ledger, what+", power loss")
	}
	if died < rounds/4 {
		t.Errorf("%d of %d runs died", died, rounds)
	}
}

// What retention couldn't finish doesn't keep it from going on.
func TestAFailedRemovalOfAnIndexIsNoEndOfRetention(t *testing.T) {
	fsys := vfs.NewMem()
	o := options(fsys)
	o.SegmentBytes, o.RetainBytes = 8<<10, 24<<10
	fails := 0
	o.Faults = faultpoint.New(func(name string) faultpoint.Action {
		if name == faultpoint.JournalRetainIndex && fails == 0 {
			fails++
			return faultpoint.Fail
		}
		return faultpoint.Pass
	})
	j := mustOpen(t, o)
	fill(t, j, 1, 60)
	j.SetRetainFrom(60)
	fillUp := func(from int) (err error) {
		for i := range 150 {
			if err2 := j.Append(message(from + i)); errors.Is(err2, ErrFull) {
				err = errors.Join(err, j.Maintain())
				mustAppend(t, j, message(from+i))
			} else if err2 != nil {
				t.Fatal(err2)
			}
			mustStamp(t, j)
			if i%20 == 0 {
				mustSync(t, j)
				j.SetRetainFrom(uint64(from + i))
				err = errors.Join(err, j.Maintain())
			}
		}
		return err
	}
	if err := fillUp(61); !errors.Is(err, faultpoint.ErrInjected) || fails != 1 {
		t.Fatalf("%v, failed %d times", err, fails)
	}
	if err := fillUp(211); err != nil {
		t.Fatalf("retention doesn't go on: %v", err)
	}
	mustClose(t, j)
	l, err := list(fsys, testDir)
	if err != nil || len(l.segments) > 6 {
		t.Errorf("%d segments are left: %v", len(l.segments), err)
	}
}
