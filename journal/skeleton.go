// Package journal is the black box of a node: an append-only log of frames in
// memory-mapped segments. FORMAT.md beside this file is its form on disk.
package journal

import (
	"context"
	"io"

	"hindcast.dev/hlc"
	"hindcast.dev/journal/record"
	"hindcast.dev/vfs"
)

// A Journal is open for writing.
type Journal struct{}

// Open opens or creates the journal, recovers it and raises its boot number.
func Open(o Options) (*Journal, error) { panic("being written") }

// Recovery says what Open found.
func (j *Journal) Recovery() Recovery { panic("being written") }

// An Ending is how the boot before this one ended.
type Ending uint8

// The endings.
const (
	NoBoot   Ending = iota // there was none
	Stopped                // closed in order
	Panicked               // with MarkPanic
	Killed                 // otherwise: SIGKILL, out of memory, the machine went down
)

// A Recovery says what Open found.
type Recovery struct {
	Boot        uint64 // the boot before, 0 if none
	Ending      Ending
	Panic       *PanicMark // the last panic marked, whatever happened since; nil if none
	Last        record.Stamp
	Unstamped   int  // frames that Next will hand out again
	MachineDown bool // the machine went down since (or may have, if HostBoot isn't known)
	Torn        *FileError
	Lost        *Loss // nil if nothing stamped can be lost
	Warnings    []string
	DurableSeq  uint64
	Durability  Durability // of the boot before
}

// A Loss says which stamped events are known, or may be, gone.
type Loss struct {
	After   uint64        // events with higher sequence numbers
	AtLeast uint64        // up to this one at least, if it is more than After
	Until   hlc.Timestamp // none was stamped above this time
}

// A PanicMark is what MarkPanic recorded.
type PanicMark struct {
	Boot  uint64 `json:"boot"`
	Seq   uint64 `json:"seq"`
	Count int    `json:"count"` // panics at this Seq so far
	Text  string `json:"text"`
}

// Boot is the number of this start, from 1, durable before Open returned.
func (j *Journal) Boot() uint64 { panic("being written") }

// Ceiling is the durable clock ceiling.
func (j *Journal) Ceiling() hlc.Timestamp { panic("being written") }

// LastStamp is the last stamp written, zero if there is none.
func (j *Journal) LastStamp() record.Stamp { panic("being written") }

// Append publishes a frame. Any goroutine.
func (j *Journal) Append(f *record.Frame) error { panic("being written") }

// Claim reserves n bytes for whole frames. Any goroutine.
func (j *Journal) Claim(n int) (Claim, error) { panic("being written") }

// A Claim is space in the journal.
type Claim struct{ b []byte }

// Bytes is the space.
func (c Claim) Bytes() []byte { return c.b }

// Publish publishes the wire frames that the claim begins with and pads the rest.
func (c Claim) Publish(used int) error { panic("being written") }

// Abort gives the space up.
func (c Claim) Abort() { panic("being written") }

// Next returns the next frame to stamp. The consumer's goroutine.
func (j *Journal) Next() (record.Frame, bool, error) { panic("being written") }

// Stamp stamps the frame that Next returned. The consumer's goroutine.
func (j *Journal) Stamp(s record.Stamp) error { panic("being written") }

// Sync makes durable what is stamped. The disk's goroutine.
func (j *Journal) Sync() (durable uint64, err error) { panic("being written") }

// RaiseCeiling makes a clock ceiling durable. The disk's goroutine.
func (j *Journal) RaiseCeiling(ts hlc.Timestamp) error { panic("being written") }

// Maintain prepares segments, seals, retains. The disk's goroutine.
func (j *Journal) Maintain() error { panic("being written") }

// Close closes in order.
func (j *Journal) Close() error { panic("being written") }

// MarkPanic records durably that handling seq panicked.
func (j *Journal) MarkPanic(seq uint64, text string) error { panic("being written") }

// Skip reports whether seq is not to be handled, and why.
func (j *Journal) Skip(seq uint64) (reason string, ok bool) { panic("being written") }

// SetRetainFrom keeps everything from seq on.
func (j *Journal) SetRetainFrom(seq uint64) { panic("being written") }

// Durable is the last sequence number that Sync made durable.
func (j *Journal) Durable() uint64 { panic("being written") }

// Wait returns when an event with a sequence number above seq is stamped.
func (j *Journal) Wait(ctx context.Context, seq uint64) error { panic("being written") }

// NewReader reads what is stamped, from a sequence number on (0: the first kept).
func (j *Journal) NewReader(fromSeq uint64) (*Reader, error) { panic("being written") }

// A Reader reads stamped events in order.
type Reader struct{}

// An Entry is a stamped event and its place.
type Entry struct {
	record.Frame
	Stamp   record.Stamp
	Segment uint64 // number of the segment
	Offset  int64  // in the segment's file
}

// OpenReader opens a journal, or an archive, for reading.
func OpenReader(fs vfs.FS, dir string, fromSeq uint64) (*Reader, error) { panic("being written") }

// Next returns the next entry; io.EOF at the stamped end, after which it may be called again.
func (r *Reader) Next() (Entry, error) { panic("being written") }

// SeekSeq moves to the first event at or above seq.
func (r *Reader) SeekSeq(seq uint64) error { panic("being written") }

// SeekTime moves to the first event at or after ts.
func (r *Reader) SeekTime(ts hlc.Timestamp) error { panic("being written") }

// Close releases the reader.
func (r *Reader) Close() error { panic("being written") }

// DumpOptions say what Dump prints.
type DumpOptions struct {
	JSON     bool
	From, To uint64 // sequence numbers [From, To); 0 is open
}

// Dump writes the stamped events as text, one line each.
func Dump(w io.Writer, fs vfs.FS, dir string, o DumpOptions) error { panic("being written") }

// Skip makes the next boot stamp seq as skipped. The journal isn't open.
func Skip(fs vfs.FS, dir string, seq uint64, reason string) error { panic("being written") }
