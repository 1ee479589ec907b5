package hlc

import (
	"fmt"
	"time"
)

// DefaultMaxDrift is how far ahead of the own clock a remote timestamp, or the
// clock's own next reading, may be.
const DefaultMaxDrift = 500 * time.Millisecond

// A Reading is one look at the machine's two clocks, taken together by the
// driver; the package never looks itself.
type Reading struct {
	Wall Timestamp     // the wall clock; its logical part is ignored
	Mono time.Duration // the monotonic clock since any fixed point; never decreases
}

// A DriftError says that a time was refused because accepting it would have put
// the clock more than its MaxDrift ahead of where it has reason to be.
type DriftError struct {
	Local    Timestamp     // where the own physical clock is
	Refused  Timestamp     // the time refused
	MaxDrift time.Duration // the bound that was passed
}

func (e *DriftError) Error() string {
	return fmt.Sprintf("timestamp %s is %s ahead of this node's clock %s (MaxDrift %s): check the sender's time synchronisation",
		e.Refused, e.Refused.Sub(e.Local), e.Local, e.MaxDrift)
}

// A Clock issues Timestamps that never repeat and never run backwards. It does
// no I/O and is not safe for concurrent use: one loop owns it.
//
// A jump of the wall clock is a change of the difference between wall and
// monotonic time. A jump ahead by more than MaxDrift is refused: the clock then
// goes on by monotonic time from its last good reading, until the wall clock
// returns to within MaxDrift of that, or until a remote timestamp bears witness
// to the wall clock by being within MaxDrift of it while more than MaxDrift
// ahead of us (which is how a node gets over a suspended machine). A jump back
// is always taken: the HLC itself stays ahead, counting on from its last stamp.
type Clock struct {
	maxDrift Timestamp // in Timestamp units
	last     Timestamp // the last one issued; the next is greater
	good     Reading   // the last reading whose wall was accepted
	started  bool      // good is set
	jump     time.Duration
	jumps    uint64 // jumps refused since the start, each counted once
	refused  uint64 // remote timestamps refused
}

// NewClock returns a clock that issues only Timestamps above last. A maxDrift of
// 0 means DefaultMaxDrift.
func NewClock(maxDrift time.Duration, last Timestamp) *Clock {
	if maxDrift == 0 {
		maxDrift = DefaultMaxDrift
	}
	return &Clock{maxDrift: Timestamp(DurationTicks(maxDrift)) << LogicalBits, last: last}
}

// Last returns the last Timestamp issued, or the one the clock was made with.
func (c *Clock) Last() Timestamp { return c.last }

// Jump returns by how much the wall clock, at the last reading, was ahead of
// where monotonic time puts it, if that was refused; else 0.
func (c *Clock) Jump() time.Duration { return c.jump }

// Refused returns how many jumps of the own wall clock and how many remote
// timestamps were refused so far.
func (c *Clock) Refused() (jumps, remotes uint64) { return c.jumps, c.refused }

// Physical takes a reading and returns the physical time that the clock
// believes in: the wall clock, or monotonic time since the last good reading
// while a jump is being refused. The logical part is 0.
func (c *Clock) Physical(r Reading) Timestamp {
	wall := r.Wall.Physical()
	if !c.started {
		c.good, c.started = Reading{wall, r.Mono}, true
		return wall
	}
	expected := c.good.Wall.Add(r.Mono - c.good.Mono)
	if wall > expected && wall-expected > c.maxDrift {
		if c.jump == 0 {
			c.jumps++
		}
		c.jump = wall.Sub(expected)
		return expected
	}
	c.jump = 0
	c.good = Reading{wall, r.Mono}
	return wall
}

// Local returns the Timestamp of a local event: max(pt, last+1). It also
// returns pt, the physical time used.
func (c *Clock) Local(r Reading) (ts, pt Timestamp) {
	pt = c.Physical(r)
	c.last = max(pt, c.last+1)
	return c.last, pt
}

// Receive returns the Timestamp of the receipt of an event stamped remote:
// max(pt, last+1, remote+1). A remote more than MaxDrift ahead of pt is refused
// with a *DriftError and counted; the clock is then as Physical left it, and no
// Timestamp is issued.
func (c *Clock) Receive(r Reading, remote Timestamp) (ts, pt Timestamp, err error) {
	pt = c.Physical(r)
	if remote > pt && remote-pt > c.maxDrift {
		if wall := r.Wall.Physical(); c.jump == 0 || distance(remote, wall) > c.maxDrift {
			c.refused++
			return 0, pt, &DriftError{Local: pt, Refused: remote, MaxDrift: TicksDuration(c.maxDrift.Ticks())}
		} else {
			// The peer agrees with the wall clock that we refused: we were wrong.
			c.good, c.jump, pt = Reading{wall, r.Mono}, 0, wall
		}
	}
	c.last = max(pt, c.last+1, remote+1)
	return c.last, pt, nil
}

// Advance makes sure that everything issued from now on is above ts. It is how
// a recovered stamp, a clock ceiling or a promise binds the clock.
func (c *Clock) Advance(ts Timestamp) { c.last = max(c.last, ts) }

func distance(a, b Timestamp) Timestamp { return max(a, b) - min(a, b) }
