package loop_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"hindcast.dev/faultpoint"
	"hindcast.dev/journal"
	"hindcast.dev/loop"
	"hindcast.dev/vfs"
)

// dieAt runs a node under load until the k-th time that it comes to the point,
// where it dies; rare is whether to take the rare paths. Nothing is returned if it
// never comes there.
func dieAt(t *testing.T, point string, k int, rare func() bool) (killed, lost power, died bool) {
	mem := vfs.NewMem()
	var left, torn *vfs.Mem
	here := 0
	faults := faultpoint.New(func(name string) faultpoint.Action {
		if name == point {
			if here++; here == k {
				left, torn = mem.Restart(), mem.Crash(picks(uint64(k)))
				return faultpoint.Die
			}
		} else if rare() {
			return faultpoint.Take
		}
		return faultpoint.Pass
	})
	r := newRig(t, mem, func(c *loop.Config) { c.CheckpointEvery = 40 })
	r.journal = func(o *journal.Options) { o.SegmentBytes = 8 << 10; o.RetainBytes = 24 << 10 }
	r.faults = faults
	killed.acked = powerLoad(r)
	lost.acked = killed.acked
	what := fmt.Sprintf("death at %s, time %d", point, k)
	if left == nil {
		if killed.acked < 60 {
			t.Fatalf("%s: it never came there, and only %d were acknowledged", what, killed.acked)
		}
		return killed, lost, false
	}
	if !errors.Is(faults.Died(), faultpoint.ErrDied) {
		t.Fatalf("%s: %v", what, faults.Died())
	}
	killed.restart(r, left, what+", killed")
	lost.restart(r, torn, what+", power loss")
	return killed, lost, true
}

func points(prefixes ...string) (out []string) {
	for _, p := range faultpoint.Points() {
		for _, prefix := range prefixes {
			if p.Kind == faultpoint.Step && strings.HasPrefix(p.Name, prefix) {
				out = append(out, p.Name)
			}
		}
	}
	return out
}

func checkDeath(t *testing.T, point string, k int, rare func() bool) bool {
	killed, lost, died := dieAt(t, point, k, rare)
	for what, p := range map[string]power{"killed": killed, "power loss": lost} {
		if died && p.found < p.acked {
			t.Fatalf("%s at %s, time %d: %d found, %d were acknowledged", what, point, k, p.found, p.acked)
		}
	}
	return died
}

func TestDeathAtEveryPointLosesNothingAcknowledged(t *testing.T) {
	deaths := 0
	for _, point := range points("loop.", "checkpoint.", "journal.seal", "journal.segment", "journal.sync", "journal.ceiling", "journal.append") {
		before := deaths
		for k := 1; checkDeath(t, point, k, func() bool { return false }); k += 1 + k/2 {
			deaths++
			if k > 20 && testing.Short() {
				break
			}
		}
		if deaths == before {
			t.Errorf("the run never comes to %s", point)
		}
	}
	if deaths < 50 {
		t.Errorf("only %d deaths", deaths)
	}
	t.Logf("%d deaths", deaths)
}

func TestRarePathsLoseNothingAcknowledged(t *testing.T) {
	rounds := uint64(60)
	if testing.Short() {
		rounds = 15
	}
	all := points("")
	died := 0
	for seed := range rounds {
		r := rand.New(rand.NewPCG(seed, 2))
		if checkDeath(t, all[r.IntN(len(all))], 1+r.IntN(30), func() bool { return r.IntN(4) == 0 }) {
			died++
		}
	}
	if died < int(rounds)/4 {
		t.Errorf("%d of %d runs died", died, rounds)
	}
}
