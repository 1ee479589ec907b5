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

// at is where the wall clock should be when the monotonic clock shows mono, if
// nobody has set it since r.
func (r Reading) at(mono time.Duration) Timestamp { return r.Wall.Add(mono - r.Mono) }

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
// monotonic time since the last reading; so idleness is none. A jump ahead by
// more than MaxDrift is refused: the clock then goes on by monotonic time from
// its last good reading, until the wall clock returns to within MaxDrift of
// that, or until a remote timestamp bears witness to the wall clock by being
// within MaxDrift of it while more than MaxDrift ahead of us (which is how a
// node gets over a suspended machine). A jump back is always taken: the HLC
// itself stays ahead, counting on from its last stamp. If that was the bad
// reading, the way ahead again, to where the wall clock was before, is no jump
// to be refused.
type Clock struct {
	maxDrift time.Duration
	drift    Timestamp // maxDrift in Timestamp units
	last     Timestamp // the last one issued; the next is greater
	limit    Timestamp // physical time above it counts as it

	good    Reading // the last reading whose wall was accepted
	started bool    // good is set
	before  Reading // the good reading before the wall clock jumped back
	back    bool    // before is set: the wall clock hasn't returned there

	jump    time.Duration // how far the wall clock is ahead, while that is refused; else 0
	jumps   uint64        // jumps refused since the start, each counted once
	refused uint64        // remote timestamps refused
}

// NewClock returns a clock that issues only Timestamps above last. A maxDrift of
// 0 or less means DefaultMaxDrift.
func NewClock(maxDrift time.Duration, last Timestamp) *Clock {
	if maxDrift <= 0 {
		maxDrift = DefaultMaxDrift
	}
	return &Clock{maxDrift: maxDrift, drift: Timestamp(0).Add(maxDrift), last: last, limit: Max}
}

// SetLimit makes the clock lag: Timestamps follow physical time up to limit and
// from there on only count, last+1 and remote+1, until the limit is raised. It is
// for a node whose disk records the clock ceiling more slowly than time passes.
// Physical time itself, as it is returned and compared, is not limited.
func (c *Clock) SetLimit(limit Timestamp) { c.limit = limit }

// Preview returns the Timestamp that Receive with the same arguments would issue,
// or Local if it would refuse remote: without a limit, and with it. It issues
// none.
func (c *Clock) Preview(r Reading, remote Timestamp) (free, limited Timestamp) {
	pt := c.Physical(r)
	at, ok := c.judge(r, pt, remote)
	if !ok {
		return max(pt, c.last+1), max(min(pt, c.limit), c.last+1)
	}
	floor := max(c.last, remote) + 1
	return max(at, floor), max(min(at, c.limit), floor)
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
	if wall == c.good.Wall && r.Mono == c.good.Mono && c.jump == 0 && !c.back {
		return wall // the same reading again
	}
	expected := c.good.at(r.Mono)
	returned := c.back && distance(wall, c.before.at(r.Mono)) <= c.drift
	if ahead(wall, expected) > c.drift && !returned {
		if c.jump == 0 {
			c.jumps++
		}
		c.jump = wall.Sub(expected)
		return expected
	}
	switch {
	case returned:
		c.back = false
	case ahead(expected, wall) > c.drift && !c.back:
		c.before, c.back = c.good, true
	}
	c.accept(wall, r.Mono)
	return wall
}

func (c *Clock) accept(wall Timestamp, mono time.Duration) {
	c.good, c.jump = Reading{wall, mono}, 0
}

// Local returns the Timestamp of a local event: max(pt, last+1). It also
// returns pt, the physical time used.
func (c *Clock) Local(r Reading) (ts, pt Timestamp) {
	pt = c.Physical(r)
	return c.issue(min(pt, c.limit)), pt
}

// Receive returns the Timestamp of the receipt of an event stamped remote:
// max(pt, last+1, remote+1). A remote whose physical part is more than MaxDrift
// ahead of pt is refused with a *DriftError and counted; the clock is then as
// Physical left it, and no Timestamp is issued.
func (c *Clock) Receive(r Reading, remote Timestamp) (ts, pt Timestamp, err error) {
	pt = c.Physical(r)
	at, ok := c.judge(r, pt, remote)
	switch {
	case !ok:
		c.refused++
		return 0, pt, &DriftError{Local: pt, Refused: remote, MaxDrift: c.maxDrift}
	case at != pt:
		// The peer agrees with the wall clock that we refused: we were wrong.
		c.accept(at, r.Mono)
		c.back = false
	}
	return c.issue(max(min(at, c.limit), remote+1)), at, nil
}

// judge reports whether remote is to be taken, and what physical time then is: pt,
// or the wall clock's if remote bears witness to that.
func (c *Clock) judge(r Reading, pt, remote Timestamp) (at Timestamp, ok bool) {
	if ahead(remote.Physical(), pt) <= c.drift {
		return pt, true
	}
	wall := r.Wall.Physical()
	return wall, distance(remote.Physical(), wall) <= c.drift // never when pt is wall
}

// issue returns the next Timestamp, at least floor.
func (c *Clock) issue(floor Timestamp) Timestamp {
	if c.last >= Max-1 {
		panic(fmt.Sprintf("hlc: nothing can be stamped after %d: Advance was given a time that nobody checked", uint64(c.last)))
	}
	c.last = max(floor, c.last+1)
	return c.last
}

// Advance makes sure that everything issued from now on is above ts. It is how
// a recovered stamp, a clock ceiling or a promise binds the clock. There is no
// bound: whoever takes ts from outside compares it with MaxDrift first.
func (c *Clock) Advance(ts Timestamp) { c.last = max(c.last, ts) }

func distance(a, b Timestamp) Timestamp { return max(a, b) - min(a, b) }

// ahead is by how much a is ahead of b, 0 if it isn't.
func ahead(a, b Timestamp) Timestamp { return max(a, b) - b }
