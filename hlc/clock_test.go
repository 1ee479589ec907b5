package hlc

import (
	"errors"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// noon is where the examples begin.
var noon = FromTime(time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC))

// reading is the look at two clocks that run together, mono after noon, while
// the wall clock is wrong by off.
func reading(mono, off time.Duration) Reading {
	return Reading{Wall: noon.Add(mono).Add(off), Mono: mono}
}

const (
	ms   = time.Millisecond
	tick = 1 << LogicalBits // one tick, as a Timestamp
)

func wantLocal(t *testing.T, c *Clock, r Reading, wantTS, wantPT Timestamp) {
	t.Helper()
	if ts, pt := c.Local(r); ts != wantTS || pt != wantPT {
		t.Errorf("Local = %s, pt %s, want %s, pt %s", ts, pt, wantTS, wantPT)
	}
}

func wantReceive(t *testing.T, c *Clock, r Reading, remote, wantTS Timestamp) {
	t.Helper()
	if ts, _, err := c.Receive(r, remote); ts != wantTS || err != nil {
		t.Errorf("Receive(%s) = %s, %v, want %s", remote, ts, err, wantTS)
	}
}

func wantRefused(t *testing.T, c *Clock, r Reading, remote Timestamp) {
	t.Helper()
	last := c.Last()
	_, before := c.Refused()
	ts, pt, err := c.Receive(r, remote)
	var drift *DriftError
	if !errors.As(err, &drift) || ts != 0 || drift.Refused != remote || drift.Local != pt {
		t.Errorf("Receive(%s) = %s, %v, want a DriftError", remote, ts, err)
	}
	if _, after := c.Refused(); after != before+1 || c.Last() != last {
		t.Errorf("a refusal took the count from %d to %d and the clock from %s to %s", before, after, last, c.Last())
	}
}

// While the wall clock makes no jump, the clock is two formulas.
func TestClockFollowsTheFormulas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		last := Timestamp(rapid.Uint64Range(uint64(noon)-1<<34, uint64(noon)+1<<34).Draw(t, "last"))
		c := NewClock(0, last)
		now := reading(0, 0)
		for range rapid.IntRange(1, 50).Draw(t, "steps") {
			step := time.Duration(rapid.Int64Range(0, int64(200*ms)).Draw(t, "step"))
			slew := time.Duration(rapid.Int64Range(int64(-499*ms), int64(499*ms)).Draw(t, "slew"))
			now = Reading{Wall: now.Wall.Add(step).Add(slew), Mono: now.Mono + step}
			now.Wall |= Timestamp(rapid.Uint16().Draw(t, "ignored"))
			pt := now.Wall.Physical()
			var got, want, gotPT Timestamp
			if rapid.Bool().Draw(t, "receive") {
				remote := Timestamp(rapid.Uint64Range(uint64(pt)-1<<34, uint64(pt.Add(DefaultMaxDrift))).Draw(t, "remote"))
				var err error
				if got, gotPT, err = c.Receive(now, remote); err != nil {
					t.Fatal(err)
				}
				want = max(pt, last+1, remote+1)
			} else {
				got, gotPT = c.Local(now)
				want = max(pt, last+1)
			}
			if got != want || gotPT != pt || c.Last() != got {
				t.Fatalf("at %s after %s: %s, pt %s, want %s", pt, last, got, gotPT, want)
			}
			last = got
		}
		if jumps, remotes := c.Refused(); jumps+remotes != 0 || c.Jump() != 0 {
			t.Fatalf("%d jumps and %d remotes refused, jump %s", jumps, remotes, c.Jump())
		}
	})
}

func TestFullLogicalPartCarriesIntoThePhysical(t *testing.T) {
	c := NewClock(0, noon|logicalMask-1)
	wantLocal(t, c, reading(0, 0), noon|logicalMask, noon)
	wantLocal(t, c, reading(0, 0), noon+tick, noon)
	wantLocal(t, c, reading(0, 0), noon+tick+1, noon)

	c = NewClock(0, 0)
	wantReceive(t, c, reading(0, 0), noon|logicalMask, noon+tick)
}

// Whatever the clocks show and the peers send, each stamp is above the last,
// and above the remote one that it acknowledges; and the physical time never
// runs ahead of a wall clock that was shown.
func TestClockIsMonotoneUnderAnyReadings(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		anyTime := rapid.Custom(func(t *rapid.T) Timestamp {
			near := noon.Add(time.Duration(rapid.Int64Range(int64(-3*time.Second), int64(3*time.Second)).Draw(t, "near")))
			far := Timestamp(rapid.Uint64Range(0, uint64(Max)>>1).Draw(t, "far"))
			return rapid.SampledFrom([]Timestamp{near, near, near, far}).Draw(t, "time")
		})
		last := anyTime.Draw(t, "last")
		c := NewClock(0, last)
		var mono time.Duration
		for range 40 {
			mono += time.Duration(rapid.Int64Range(0, int64(time.Second)).Draw(t, "mono"))
			r := Reading{anyTime.Draw(t, "wall"), mono}
			var ts, pt Timestamp
			if rapid.Bool().Draw(t, "receive") {
				remote := anyTime.Draw(t, "remote")
				var err error
				if ts, pt, err = c.Receive(r, remote); err != nil {
					if c.Last() != last {
						t.Fatalf("a refusal moved the clock from %s to %s", last, c.Last())
					}
					continue
				}
				if ts <= remote {
					t.Fatalf("receipt stamped %s, not after %s", ts, remote)
				}
			} else {
				ts, pt = c.Local(r)
			}
			if ts <= last || ts < pt || pt > r.Wall {
				t.Fatalf("%s after %s, pt %s, wall %s", ts, last, pt, r.Wall)
			}
			last = ts
		}
	})
}

func TestRemoteIsTakenAtMaxDriftAndRefusedOneTickPast(t *testing.T) {
	for _, maxDrift := range []time.Duration{0, ms, time.Hour} {
		bound := maxDrift
		if maxDrift == 0 {
			bound = DefaultMaxDrift
		}
		at := noon.Add(bound)
		wantReceive(t, NewClock(maxDrift, 0), reading(0, 0), at, at+1)
		wantReceive(t, NewClock(maxDrift, 0), reading(0, 0), at|logicalMask, at+tick)
		c := NewClock(maxDrift, 0)
		wantRefused(t, c, reading(0, 0), at+tick)
		wantRefused(t, c, reading(0, 0), Max)
		wantLocal(t, c, reading(ms, 0), noon.Add(ms), noon.Add(ms)) // it poisoned nothing
	}
}

func TestRemoteFarBehindIsTaken(t *testing.T) {
	c := NewClock(0, 0)
	wantLocal(t, c, reading(0, 0), noon, noon)
	wantReceive(t, c, reading(0, 0), 1, noon+1)
}

func TestDriftErrorSaysWhoWhereAndTheRemedy(t *testing.T) {
	c := NewClock(0, 0)
	_, _, err := c.Receive(reading(0, 0), noon.Add(2*time.Second))
	want := "timestamp 2026-11-21T12:00:02.000000Z/0 is 2s ahead of this node's clock 2026-11-21T12:00:00.000000Z/0 (MaxDrift 500ms): check the sender's time synchronisation"
	if err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

func TestJumpAheadIsTakenAtMaxDriftAndRefusedOneTickPast(t *testing.T) {
	c := NewClock(0, 0)
	c.Local(reading(0, 0))
	wantLocal(t, c, reading(time.Second, 500*ms), noon.Add(1500*ms), noon.Add(1500*ms))
	if jumps, _ := c.Refused(); jumps != 0 || c.Jump() != 0 {
		t.Errorf("%d jumps, jump %s at the bound", jumps, c.Jump())
	}

	c = NewClock(0, 0)
	c.Local(reading(0, 0))
	r := reading(time.Second, 500*ms)
	r.Wall += tick
	wantLocal(t, c, r, noon.Add(time.Second), noon.Add(time.Second))
	if jumps, _ := c.Refused(); jumps != 1 || c.Jump() != TicksDuration(DurationTicks(500*ms)+1) {
		t.Errorf("%d jumps, jump %s one tick past the bound", jumps, c.Jump())
	}
}

// While the wall clock is wrong, time goes on by the monotonic clock; when it
// is near again it is followed again; the jump is counted once.
func TestRefusedJumpEndsWhenTheWallClockReturns(t *testing.T) {
	c := NewClock(0, 0)
	wantLocal(t, c, reading(0, 0), noon, noon)
	for s := 1; s <= 3; s++ {
		at := time.Duration(s) * time.Second
		wantLocal(t, c, reading(at, time.Hour), noon.Add(at), noon.Add(at))
	}
	wantLocal(t, c, reading(4*time.Second, 2*time.Hour), noon.Add(4*time.Second), noon.Add(4*time.Second))
	if jumps, _ := c.Refused(); jumps != 1 || c.Jump() != 2*time.Hour {
		t.Errorf("%d jumps, jump %s", jumps, c.Jump())
	}
	back := noon.Add(5*time.Second + 300*ms)
	wantLocal(t, c, reading(5*time.Second, 300*ms), back, back)
	if jumps, _ := c.Refused(); jumps != 1 || c.Jump() != 0 {
		t.Errorf("after its return: %d jumps, jump %s", jumps, c.Jump())
	}
	wantLocal(t, c, reading(6*time.Second, time.Hour), noon.Add(6*time.Second+300*ms), noon.Add(6*time.Second+300*ms))
	if jumps, _ := c.Refused(); jumps != 2 {
		t.Errorf("the second jump made the count %d", jumps)
	}
}

// A suspended machine's monotonic clock stood still: the wall clock is right,
// and a peer that agrees with it proves it.
func TestRefusedJumpEndsWhenARemoteBearsWitness(t *testing.T) {
	for _, off := range []time.Duration{-500 * ms, 0, 500 * ms} {
		c := NewClock(0, 0)
		wantLocal(t, c, reading(0, 0), noon, noon)
		wantLocal(t, c, reading(time.Second, time.Hour), noon.Add(time.Second), noon.Add(time.Second))
		truth := noon.Add(2*time.Second + time.Hour)
		remote := truth.Add(off)
		wantReceive(t, c, reading(2*time.Second, time.Hour), remote, max(truth, remote+1))
		later := noon.Add(3*time.Second + time.Hour)
		wantLocal(t, c, reading(3*time.Second, time.Hour), later, later)
		if jumps, remotes := c.Refused(); jumps != 1 || remotes != 0 || c.Jump() != 0 {
			t.Errorf("witness %s off: %d jumps, %d remotes, jump %s", off, jumps, remotes, c.Jump())
		}
	}
}

func TestARemoteThatAgreesWithNeitherClockIsNoWitness(t *testing.T) {
	c := NewClock(0, 0)
	c.Local(reading(0, 0))
	r := reading(time.Second, time.Hour)
	c.Local(r)
	wantRefused(t, c, r, r.Wall.Add(500*ms)+tick)
	wantRefused(t, c, r, r.Wall.Add(-500*ms)-tick)
	wantRefused(t, c, r, noon.Add(time.Second+500*ms)+tick)
	wantReceive(t, c, r, noon.Add(time.Second+500*ms), noon.Add(time.Second+500*ms)+1) // near our own time
	if c.Jump() != time.Hour {
		t.Errorf("jump %s, want it still refused", c.Jump())
	}
}

// Nor does a remote make a jump good that nobody made.
func TestWithoutAJumpNoRemoteBearsWitness(t *testing.T) {
	c := NewClock(0, 0)
	c.Local(reading(0, 0))
	wantRefused(t, c, reading(time.Second, 0), noon.Add(time.Hour))
}

func TestJumpBackIsTakenAndTheClockCountsOn(t *testing.T) {
	c := NewClock(0, 0)
	wantLocal(t, c, reading(0, 0), noon, noon)
	wantLocal(t, c, reading(time.Second, -time.Hour), noon+1, noon.Add(time.Second-time.Hour))
	wantLocal(t, c, reading(2*time.Second, -time.Hour), noon+2, noon.Add(2*time.Second-time.Hour))
	wantRefused(t, c, reading(2*time.Second, -time.Hour), noon.Add(2*time.Second)) // the peers are ahead now
	if jumps, _ := c.Refused(); jumps != 0 || c.Jump() != 0 {
		t.Errorf("%d jumps, jump %s", jumps, c.Jump())
	}
}

// One bad reading in the past must not make the right time look like a jump.
func TestAWallClockThatJumpedBackMayReturn(t *testing.T) {
	for _, off := range []time.Duration{-500 * ms, 0, 500 * ms} {
		c := NewClock(0, 0)
		c.Local(reading(0, 0))
		c.Local(reading(time.Second, -time.Hour))
		c.Local(reading(2*time.Second, -2*time.Hour))
		want := noon.Add(3*time.Second - time.Hour - time.Hour)
		wantLocal(t, c, reading(3*time.Second, -time.Hour-2*time.Second), noon+3, want) // ahead, to nowhere known
		back := noon.Add(4 * time.Second).Add(off)
		wantLocal(t, c, reading(4*time.Second, off), back, back)
		if jumps, _ := c.Refused(); jumps != 1 || c.Jump() != 0 {
			t.Errorf("back %s off: %d jumps, jump %s", off, jumps, c.Jump())
		}
		// The return is used up: the same way ahead again is a jump.
		wantLocal(t, c, reading(5*time.Second, time.Hour), noon.Add(5*time.Second).Add(off), noon.Add(5*time.Second).Add(off))
	}
	c := NewClock(0, 0)
	c.Local(reading(0, 0))
	c.Local(reading(time.Second, -time.Hour))
	r := reading(2*time.Second, 500*ms)
	r.Wall += tick
	wantLocal(t, c, r, noon+2, noon.Add(2*time.Second-time.Hour)) // one tick past where it was
}

// The way back is one, and it is the latest: what was good before an older jump
// back excuses nothing any more.
func TestTheWayBackIsForgottenOnceTaken(t *testing.T) {
	c := NewClock(0, 0)
	c.Local(reading(0, 0))
	c.Local(reading(0, -time.Hour))
	c.Local(reading(0, 0))
	for i := range 10 {
		c.Local(reading(0, time.Duration(-i)*400*ms))
	}
	if _, pt := c.Local(reading(0, 0)); pt != noon.Add(-3600*ms) {
		t.Errorf("pt %s: a jump of 3.6 s was taken for a return", pt)
	}

	c = NewClock(0, 0)
	c.Local(reading(0, 0))
	c.Local(reading(0, -time.Hour))
	if _, _, err := c.Receive(reading(0, time.Hour), noon.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	c.Local(reading(0, -time.Hour))
	if _, pt := c.Local(reading(0, time.Hour)); pt != noon.Add(time.Hour) {
		t.Errorf("pt %s: the clock didn't return to where the witness put it", pt)
	}
}

func TestIdleHoursAreNoJump(t *testing.T) {
	c := NewClock(0, 0)
	wantLocal(t, c, reading(0, 0), noon, noon)
	for _, idle := range []time.Duration{time.Hour, 30 * time.Hour, 10_000 * time.Hour} {
		wantLocal(t, c, reading(idle, 0), noon.Add(idle), noon.Add(idle))
	}
	at := 20_000 * time.Hour
	wantReceive(t, c, reading(at, 0), noon.Add(at+400*ms), noon.Add(at+400*ms)+1)
	if jumps, remotes := c.Refused(); jumps+remotes != 0 {
		t.Errorf("%d jumps and %d remotes refused", jumps, remotes)
	}
}

// A wall clock that is slewed, however far in the end, never jumps.
func TestSlewingIsNoJump(t *testing.T) {
	c := NewClock(0, 0)
	off := time.Duration(0)
	for i := range 1000 {
		off += 400 * ms
		want := noon.Add(time.Duration(i) * time.Second).Add(off)
		wantLocal(t, c, reading(time.Duration(i)*time.Second, off), want, want)
	}
}

func TestAdvanceBindsTheClockAndNeverLowersIt(t *testing.T) {
	c := NewClock(0, 0)
	c.Advance(noon.Add(time.Hour))
	c.Advance(noon)
	if c.Last() != noon.Add(time.Hour) {
		t.Errorf("Last = %s", c.Last())
	}
	wantLocal(t, c, reading(0, 0), noon.Add(time.Hour)+1, noon)
}

func TestAClockAtTheEndOfTimeStopsRatherThanRunBackwards(t *testing.T) {
	c := NewClock(0, Max-2)
	wantLocal(t, c, reading(0, 0), Max-1, noon)
	defer func() {
		if s, _ := recover().(string); !strings.Contains(s, "nothing can be stamped after 18446744073709551614") {
			t.Errorf("recovered %q", s)
		}
	}()
	ts, _ := c.Local(reading(0, 0))
	t.Errorf("stamped %d after Max-1", ts)
}

func TestPreviewIsWhatReceiveIssues(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := NewClock(0, noon)
		if rapid.Bool().Draw(t, "limited") {
			c.SetLimit(noon.Add(time.Second))
		}
		now := reading(0, 0)
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			d := time.Duration(rapid.IntRange(0, 300).Draw(t, "passed")) * ms
			jump := time.Duration(rapid.SampledFrom([]int{0, 0, 0, 400, 700, -700, 5000, -5000}).Draw(t, "jump")) * ms
			now = Reading{Wall: now.Wall.Add(d + jump), Mono: now.Mono + d}
			remote := now.Wall.Add(time.Duration(rapid.IntRange(-1500, 1500).Draw(t, "remote"))*ms) + Timestamp(rapid.IntRange(0, 3).Draw(t, "logical"))
			free, want := c.Preview(now, remote)
			if c.limit == Max && free != want {
				t.Fatalf("Preview %s, limited %s: there is no limit", free, want)
			}
			ts, _, err := c.Receive(now, remote)
			if err != nil {
				ts, _ = c.Local(now)
			}
			if ts != want {
				t.Fatalf("Preview %s, issued %s (%v)", want, ts, err)
			}
		}
	})
}

func TestALimitedClockLagsAndGoesOn(t *testing.T) {
	c := NewClock(0, noon)
	limit := noon.Add(10 * ms)
	c.SetLimit(limit)
	wantLocal(t, c, reading(5*ms, 0), noon.Add(5*ms), noon.Add(5*ms))
	wantLocal(t, c, reading(50*ms, 0), limit, noon.Add(50*ms))
	wantLocal(t, c, reading(50*ms, 0), limit+1, noon.Add(50*ms))
	remote := noon.Add(60 * ms)
	wantReceive(t, c, reading(51*ms, 0), remote, remote+1)
	c.SetLimit(noon.Add(time.Second))
	wantLocal(t, c, reading(70*ms, 0), noon.Add(70*ms), noon.Add(70*ms))
}
