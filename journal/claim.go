package journal

import (
	"errors"
	"fmt"

	"hindcast.dev/faultpoint"
	"hindcast.dev/journal/record"
	"hindcast.dev/journal/segment"
	"hindcast.dev/vfs"
)

// Producers advance one word, the tail, by compare-and-swap: lock-free, not
// wait-free. Aeron's fetch-and-add would never retry, but could not check the
// backlog and take the space in one step (n producers overshoot by n frames), and
// would need words of its own for the change of segments, which here is the same
// step:
//
//	   segment k            │ k+1
//	───────┬────────────────┼────────┬──────────┬───
//	       p                end   frames      p + n'
//	       └── padding ─────┘        └── claim ──┘
//
// One swap of the tail from p to the end of the claim takes both the rest of k
// and the claim in k+1, so nobody waits for anybody. A swap fails only because
// another claim succeeded.

// Append publishes one frame. It returns ErrBacklog, ErrFull or ErrClosed, or an
// error that wraps ErrTooLarge or ErrSyncFailed; then nothing was written. Any
// goroutine; no lock, no allocation. f isn't kept.
func (j *Journal) Append(f *record.Frame) error {
	if err := f.Check(); err != nil {
		return fmt.Errorf("%w: %w", ErrTooLarge, err)
	}
	n := f.Size()
	s, pos, err := j.reserve(n)
	if err != nil {
		return err
	}
	if err := j.o.Faults.Hit(faultpoint.JournalClaimed); err != nil {
		return j.claimFailed(s, pos, n, err)
	}
	f.Encode(s.at(pos, n), pos)
	s.publish(pos, n)
	j.notify()
	return nil
}

// claimFailed gives a claim up, unless its producer is dead.
func (j *Journal) claimFailed(s *mapped, pos uint64, n int, err error) error {
	if errors.Is(err, faultpoint.ErrDied) {
		return j.fail("append", err)
	}
	j.pad(s, pos, n)
	j.notify()
	return err
}

// A Claim is space in the journal that its owner fills and publishes, or aborts:
// exactly one of the two, and soon, for the consumer can't pass it. Its methods
// are for one goroutine.
type Claim struct {
	j   *Journal
	s   *mapped
	pos uint64
	n   int
}

// Claim takes n bytes, rounded up to record.Align, at least record.SizeMin.
// Errors are those of Append.
func (j *Journal) Claim(n int) (Claim, error) {
	if n > record.MaxFrame {
		return Claim{}, fmt.Errorf("%w: a claim of %d bytes, the most is %d", ErrTooLarge, n, record.MaxFrame)
	}
	n = (max(n, record.SizeMin) + record.Align - 1) &^ (record.Align - 1)
	s, pos, err := j.reserve(n)
	if err != nil {
		return Claim{}, err
	}
	return Claim{j: j, s: s, pos: pos, n: n}, nil
}

// Bytes is the claim's space, to be filled with wire frames one after the other,
// each beginning where the one before ends. It lies in the mapping and holds
// junk. A socket may be read straight into it.
func (c Claim) Bytes() []byte { return c.s.at(c.pos, c.n) }

// Publish publishes the wire frames in the first used bytes, all at once: each
// one's CRC is checked, then CRCs and commit words are rewritten for their place,
// the first frame's last. What is left is padded. If a frame is incomplete or
// corrupt, those before it are published, the rest is padded, and the error is
// that of record.DecodeWire. It returns the number of bytes published.
func (c Claim) Publish(used int) (int, error) {
	b := c.Bytes()[:used]
	var few [32]int
	lengths := few[:0]
	var bad error
	good := 0
	for good < used {
		n, err := record.CheckWire(b[good:])
		if err != nil {
			bad = err
			break
		}
		lengths = append(lengths, n)
		good += n
	}
	c.pad(good, c.n)
	end := good
	for i := len(lengths) - 1; i >= 0; i-- {
		pos := c.pos + uint64(end-lengths[i])
		frame := c.s.at(pos, lengths[i])
		clear(frame[len(frame)-record.StampSize:])
		record.Seal(frame, pos)
		if i > 0 {
			c.s.publish(pos, lengths[i])
		}
		end -= lengths[i]
	}
	if len(lengths) > 0 {
		c.s.publish(c.pos, lengths[0])
	}
	c.j.notify()
	return good, bad
}

// Put encodes f as the claim's only content and publishes it. f.Size() is at most
// the size claimed.
func (c Claim) Put(f *record.Frame) {
	n := f.Size()
	if n > c.n {
		panic(fmt.Sprintf("journal: a frame of %d bytes in a claim of %d", n, c.n))
	}
	c.pad(n, c.n)
	f.Encode(c.s.at(c.pos, n), c.pos)
	c.s.publish(c.pos, n)
	c.j.notify()
}

// Abort gives the space up: it becomes padding.
func (c Claim) Abort() {
	c.pad(0, c.n)
	c.j.notify()
}

// pad publishes padding at [from, to) of the claim.
func (c Claim) pad(from, to int) {
	if from < to {
		c.j.pad(c.s, c.pos+uint64(from), to-from)
	}
}

func (j *Journal) pad(s *mapped, pos uint64, n int) {
	record.EncodePadding(s.at(pos, n), pos)
	s.publish(pos, n)
	j.counts.padding.Add(uint64(n))
}

// publish makes the n bytes at pos visible to the consumer.
func (s *mapped) publish(pos uint64, n int) {
	vfs.StoreUint64(s.b, int(pos-s.Base), record.CommitWord(n, s.Nonce))
}

func (j *Journal) notify() {
	if j.o.Notify != nil {
		j.o.Notify()
	}
}

// reserve takes n bytes, a multiple of record.Align, and marks them as claimed.
func (j *Journal) reserve(n int) (*mapped, uint64, error) {
	if room := min(j.o.Backlog, j.o.SegmentBytes-segment.DataOffset); n > room {
		return nil, 0, fmt.Errorf("%w: %d bytes, the most is %d (segment size and backlog are options)", ErrTooLarge, n, room)
	}
	for {
		consumed := j.consumed.Load() // before tail: so it is below
		p := j.tail.Load()
		if p&tailStopped != 0 {
			return nil, 0, j.usable()
		}
		s, next, start := j.place(p, n)
		switch {
		case s == nil:
			if j.tail.Load() != p { // what was found is no longer so
				continue
			}
			j.counts.full.Add(1)
			return nil, 0, ErrFull
		case p != consumed && (start+uint64(n)-consumed > uint64(j.o.Backlog) || j.o.Faults.Buggify(faultpoint.JournalBacklog)):
			if j.tail.Load() != p {
				continue
			}
			j.counts.backlog.Add(1)
			return nil, 0, ErrBacklog
		case !j.tail.CompareAndSwap(p, start+uint64(n)):
			continue
		}
		if next != nil {
			j.turn(s, next, p)
			s = next
		}
		vfs.StoreUint64(s.b, int(start-s.Base), record.ClaimWord(n, s.Nonce))
		return s, start, nil
	}
}

// place finds where a claim of n bytes would go if the tail is p: in the segment
// s, or, if next isn't nil, at the beginning of next after s was padded from p.
// s is nil if the next segment would be needed and isn't prepared.
func (j *Journal) place(p uint64, n int) (s, next *mapped, start uint64) {
	s = j.active.Load()
	for p > s.End() { // active lags
		s = s.next.Load()
	}
	if p < s.frames() {
		// active ran ahead of p: either p is stale and the swap will fail, or s.Base == p.
		return s, nil, s.frames()
	}
	next = s.next.Load()
	early := next != nil && p > s.frames() && j.o.Faults.Buggify(faultpoint.JournalEarlyRoll)
	if p+uint64(n) <= s.End() && !early {
		return s, nil, p
	}
	if next == nil || next.frames()+uint64(n) > next.End() {
		return nil, nil, 0
	}
	return s, next, next.frames()
}

// turn does what the winner of the swap into next owes: it pads the rest of s.
func (j *Journal) turn(s, next *mapped, p uint64) {
	if rest := s.End() - p; rest > 0 {
		j.pad(s, p, int(rest))
	}
	j.active.CompareAndSwap(s, next)
	if j.o.WantMaintain != nil {
		j.o.WantMaintain()
	}
}
