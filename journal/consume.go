package journal

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"hindcast.dev/event"
	"hindcast.dev/hlc"
	"hindcast.dev/journal/record"
	"hindcast.dev/journal/segment"
	"hindcast.dev/vfs"
)

// Next returns the next published frame that isn't stamped, false if there is
// none, or if the next one isn't published yet. Until Stamp was called it returns
// the same frame again. The frame's slices lie in the mapping: they are valid
// until the call of Next that follows its Stamp. An error means that memory was
// overwritten, or that the journal failed; it is final. For the consumer's
// goroutine; it doesn't block.
func (j *Journal) Next() (record.Frame, bool, error) {
	if err := j.usable(); err != nil {
		return record.Frame{}, false, err
	}
	p := &j.pending
	if p.n > 0 {
		return p.frame, true, nil
	}
	j.released.Store(p.pos)
	for {
		tail := j.tail.Load() &^ tailStopped
		switch p.pos {
		case tail:
			return record.Frame{}, false, nil
		case p.seg.End():
			j.enter(p.seg.next.Load()) // there, for the tail is in it
			continue
		}
		n := record.WordLength(vfs.LoadUint64(p.seg.b, int(p.pos-p.seg.Base)), p.seg.Nonce)
		if n == 0 {
			return record.Frame{}, false, nil
		}
		f, err := j.decode(n, tail)
		if err != nil {
			return record.Frame{}, false, err
		}
		if f.Kind == event.Padding {
			j.pass(n)
			continue
		}
		p.n, p.frame = n, f
		return f, true, nil
	}
}

// decode reads the published frame of n bytes at the consumer's place.
func (j *Journal) decode(n int, tail uint64) (record.Frame, error) {
	p := &j.pending
	end := min(tail, p.seg.End())
	if p.pos+uint64(n) > end {
		return record.Frame{}, j.overwritten(fmt.Sprintf("a frame of %d bytes where %d are claimed", n, end-p.pos))
	}
	f, err := p.dec.DecodePublished(p.seg.at(p.pos, n), n, p.pos)
	if err != nil {
		return f, j.overwritten(err.Error())
	}
	return f, nil
}

func (j *Journal) overwritten(detail string) error {
	return &FileError{Problem: ErrCorrupt, File: j.pending.seg.file, Offset: int64(j.pending.pos - j.pending.seg.Base),
		Detail: detail + ": a published frame was overwritten", Remedy: "suspect memory, or a producer that wrote after it published; start again"}
}

// pass moves the consumer behind n bytes.
func (j *Journal) pass(n int) {
	j.pending.pos += uint64(n)
	j.consumed.Store(j.pending.pos)
}

// enter moves the consumer to the start of a segment and writes its opening.
func (j *Journal) enter(s *mapped) {
	p := &j.pending
	o := segment.OpeningAfter(p.last)
	copy(s.b[segment.OpeningOffset:], o.Encode(&s.Header))
	s.index = &segment.Index{Nonce: s.Nonce, Number: s.Number, FirstSeq: o.Seq, LastSeq: o.Seq - 1, FirstTime: o.Time, LastTime: o.Time}
	p.seg, p.pos = s, s.frames()
	j.entered.Store(s)
	j.released.Store(p.pos)
	j.consumed.Store(p.pos)
}

// Stamp stamps the frame that Next returned: from here on it is handled history.
// s.Seq is one above the last stamp's and s.Time above its time, else it panics.
// s.Boot is set to Boot. For the consumer's goroutine; it doesn't block. The error is that of a journal
// that failed or was closed.
func (j *Journal) Stamp(s record.Stamp) error {
	if err := j.usable(); err != nil {
		return err
	}
	p := &j.pending
	switch {
	case p.n == 0:
		panic("journal: Stamp without a frame from Next")
	case s.Seq != p.last.Seq+1 || s.Time <= p.last.Time:
		panic(fmt.Sprintf("journal: stamp %d at %v after %d at %v", s.Seq, s.Time, p.last.Seq, p.last.Time))
	}
	s.Boot = j.boot
	s.Write(p.seg.at(p.pos, p.n), p.pos, p.seg.Nonce)
	p.seg.stamped(p.pos-p.seg.Base, &s)
	p.last = s
	n := p.n
	p.n, p.frame = 0, record.Frame{}
	j.lastTime.Store(uint64(s.Time))
	j.pass(n)
	j.stamped.Store(s.Seq)
	if j.waiting.any.Load() {
		j.waiting.wake()
	}
	return nil
}

// waiting wakes those that wait for stamps. The consumer looks at any only.
type waiting struct {
	any atomic.Bool
	mu  sync.Mutex
	ch  chan struct{} // closed by the next wake; nil if nobody waits
}

func (w *waiting) wake() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ch != nil {
		close(w.ch)
		w.ch = nil
	}
	w.any.Store(false)
}

func (w *waiting) channel() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ch == nil {
		w.ch = make(chan struct{})
	}
	w.any.Store(true)
	return w.ch
}

// Wait returns nil when an event with a sequence number above seq is stamped,
// ctx's error, or that of a journal that failed or was closed. Any goroutine.
func (j *Journal) Wait(ctx context.Context, seq uint64) error {
	for {
		if j.stamped.Load() > seq {
			return nil
		}
		ch := j.waiting.channel()
		if j.stamped.Load() > seq { // stamped before it could see us
			return nil
		}
		if err := j.usable(); err != nil {
			return err
		}
		select {
		case <-ch:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// lastStampTime is the Timestamp of the last stamp; any goroutine.
func (j *Journal) lastStampTime() hlc.Timestamp { return hlc.Timestamp(j.lastTime.Load()) }
