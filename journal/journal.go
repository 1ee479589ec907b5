// Package journal is the black box of a node: an append-only log of frames in
// memory-mapped segments. FORMAT.md beside this file is its form on disk; read
// it first.
//
//	producers ──Append/Claim──▶ tail     (any goroutine, lock-free)
//	consumer  ──Next/Stamp────▶ consumed (one goroutine, never blocks)
//	disk      ──Sync/Maintain─▶ durable  (one goroutine, may block)
//	readers   ──Reader.Next───           (any goroutine or process, below consumed)
//
//	durable ≤ consumed ≤ tail ≤ end of the last prepared segment
//
// These are positions: a frame's place for good, counted through all segments.
package journal

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"hindcast.dev/faultpoint"
	"hindcast.dev/hlc"
	"hindcast.dev/journal/record"
	"hindcast.dev/journal/segment"
	"hindcast.dev/vfs"
)

// A Journal is open for writing. Which goroutine may call a method is said
// there. Everything that a method shares with another side is atomic.
type Journal struct {
	o        Options
	lock     io.Closer
	recovery Recovery
	boot     uint64

	_ [64]byte // what producers write is alone on its cache line

	// tail is the position after the last claim, or'ed with tailStopped when no
	// claim is to succeed any more. Producers advance it by compare-and-swap.
	tail atomic.Uint64
	_    [56]byte

	// consumed is the position behind the last stamped frame or passed padding;
	// the consumer writes it. stamped is its sequence number, written after it.
	consumed atomic.Uint64
	stamped  atomic.Uint64
	lastTime atomic.Uint64
	// released is the position below which the consumer touches no byte.
	released atomic.Uint64
	_        [32]byte

	active  atomic.Pointer[mapped] // holds the tail, or lags behind it
	entered atomic.Pointer[mapped] // that the consumer is in
	failure atomic.Pointer[error]  // set once, then final
	closed  atomic.Bool
	counts  counters
	pending pending // the consumer's
	waiting waiting

	// The disk's side writes these two once they are true.
	durableSeq atomic.Uint64
	ceiling    atomic.Uint64 // a Timestamp

	retainFrom atomic.Uint64
	amendments []Amendment // changed by Amend only
	pins       pins

	disk diskSide
}

// tailStopped marks a tail that no producer may move.
const tailStopped = 1 << 63

// pending is what only the consumer uses.
type pending struct {
	seg   *mapped // in which pos is
	pos   uint64  // of the frame, or of the place where the next one will be
	n     int     // length of the frame that Next returned and Stamp didn't take; 0 if none
	frame record.Frame
	last  record.Stamp
	dec   record.Decoder
}

// diskSide is what only the disk's side uses, under mu, which is there for
// callers that don't keep to one goroutine.
type diskSide struct {
	mu      sync.Mutex
	meta    *metaFile
	oldest  *mapped // the first that is mapped; its chain leads to the last prepared one
	sealed  []sealed
	reindex []sealed // sealed segments whose index is missing
	durable uint64   // position
	spare   bool     // there is a spare file
}

type counters struct {
	backlog, full, padding atomic.Uint64
}

// Counts tell what didn't go smoothly since Open.
type Counts struct {
	Backlog uint64 // claims refused with ErrBacklog
	Full    uint64 // claims refused with ErrFull
	Padding uint64 // bytes of padding, those of segments' ends included
}

// A mapped segment is one that is being written, read by the consumer, or
// prepared.
type mapped struct {
	segment.Header
	m    vfs.Map
	b    []byte
	file string
	next atomic.Pointer[mapped] // set once, when the next segment is prepared
	// index is the consumer's, who adds what it stamps, until the segment is
	// released; nil if it didn't enter the segment at its beginning.
	index *segment.Index
	// tail stands for it where it is nil: an index of what this consumer stamped.
	tail segment.Index
	// places are the entries so far, for readers; the consumer replaces them.
	places atomic.Pointer[[]segment.IndexEntry]
}

// stamped adds a stamped frame to the index.
func (s *mapped) stamped(off uint64, st *record.Stamp) {
	x := s.index
	if x == nil {
		x = &s.tail
	}
	n := len(x.Entries)
	if addToIndex(x, off, st); len(x.Entries) > n {
		entries := x.Entries // only ever appended to
		s.places.Store(&entries)
	}
}

// frames returns the position of the first frame.
func (s *mapped) frames() uint64 { return s.Base + segment.DataOffset }

// at returns the bytes [pos, pos+n).
func (s *mapped) at(pos uint64, n int) []byte {
	off := pos - s.Base
	return s.b[off : off+uint64(n) : off+uint64(n)]
}

// Recovery says what Open found.
func (j *Journal) Recovery() Recovery { return j.recovery }

// Boot is the number of this start of the node, from 1. It was durable before
// Open returned.
func (j *Journal) Boot() uint64 { return j.boot }

// Node is the name of the node.
func (j *Journal) Node() string { return j.o.Node }

// Durable is the last sequence number that is durable. Any goroutine; it doesn't
// wait for a sync under way.
func (j *Journal) Durable() uint64 { return j.durableSeq.Load() }

// Ceiling is the durable clock ceiling: no Timestamp above it is to be used for
// a stamp before RaiseCeiling raised it. Any goroutine; it doesn't wait.
func (j *Journal) Ceiling() hlc.Timestamp { return hlc.Timestamp(j.ceiling.Load()) }

// LastStamp is the last stamp written, or recovered; zero if there is none. It is
// for the consumer's goroutine.
func (j *Journal) LastStamp() record.Stamp { return j.pending.last }

// Stamped is the sequence number of the last stamp written. Any goroutine.
func (j *Journal) Stamped() uint64 { return j.stamped.Load() }

// Waiting is how many bytes are claimed and not stamped, in [0, Options.Backlog]
// but for the end of a segment. Any goroutine.
func (j *Journal) Waiting() uint64 {
	consumed := j.consumed.Load() // before tail, which it can't pass
	return j.tail.Load()&^tailStopped - consumed
}

// Counts may be called by any goroutine.
func (j *Journal) Counts() Counts {
	return Counts{Backlog: j.counts.backlog.Load(), Full: j.counts.full.Load(), Padding: j.counts.padding.Load()}
}

// Err is the failure that stopped the journal, or nil. Any goroutine.
func (j *Journal) Err() error {
	if p := j.failure.Load(); p != nil {
		return *p
	}
	return nil
}

// hit is a point between two steps of the disk's side. Whoever has died does
// nothing more.
func (j *Journal) hit(point string) error {
	err := j.o.Faults.Hit(point)
	if errors.Is(err, faultpoint.ErrDied) {
		return j.fail(point, err)
	}
	return err
}

// usable is the error of every call on a journal that failed or was closed.
func (j *Journal) usable() error {
	if err := j.Err(); err != nil {
		return err
	}
	if j.closed.Load() {
		return ErrClosed
	}
	return nil
}

// fail makes the first failure final and returns it. No claim succeeds from here
// on, and who waits is woken.
func (j *Journal) fail(what string, cause error) error {
	err := fmt.Errorf("%w: %s: %w: end the process and start it again, it will go on from what was durable", ErrSyncFailed, what, cause)
	if j.failure.CompareAndSwap(nil, &err) {
		j.o.Log.Error("journal failed", "err", err)
	}
	j.tail.Or(tailStopped)
	j.waiting.wake()
	return j.Err()
}
