package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"path"
	"slices"

	"hindcast.dev/hlc"
	"hindcast.dev/journal/record"
	"hindcast.dev/journal/segment"
	"hindcast.dev/vfs"
)

// seedSegmentBytes is how much a Seeder puts into one segment if nobody says.
const seedSegmentBytes = 4 << 20

// SeedOptions say which journal a Seeder writes. FS, Dir and Node are required.
type SeedOptions struct {
	FS   vfs.FS
	Dir  string // empty, or not there
	Node string
	// Boot is the boot that the journal says it had: the node that opens it has the
	// next one.
	Boot uint64
	// Before is the stamp before the first event: a checkpoint's. Zero begins at 1.
	Before record.Stamp
	// Ceiling is what the next boot stamps above, at the least; it is raised to the
	// last stamp's time.
	Ceiling    hlc.Timestamp
	Durability Durability
	// SegmentBytes is about how large segments get; 0 is 4 MiB.
	SegmentBytes int
	Nonce        func() uint32 // nil means at random
}

// A Seeder writes a journal as a process would have left it that was closed in
// order: stamped events, then published frames that the next Open hands out. It
// is how a node begins at a snapshot.
type Seeder struct {
	o     Options
	seed  SeedOptions
	buf   []byte // of the segment being made
	h     segment.Header
	open  segment.Opening
	last  record.Stamp
	end   uint64 // position behind the last stamped frame
	loose bool   // a frame without a stamp was appended
}

// NewSeeder begins a journal. Nothing is written before a segment is full, or
// Close.
func NewSeeder(o SeedOptions) (*Seeder, error) {
	if o.SegmentBytes == 0 {
		o.SegmentBytes = seedSegmentBytes
	}
	s := &Seeder{seed: o, last: o.Before, o: Options{FS: o.FS, Dir: o.Dir, Node: o.Node, Nonce: o.Nonce, Durability: o.Durability}}
	if err := s.o.validate(); err != nil {
		return nil, err
	}
	if err := vfs.MkdirSync(o.FS, o.Dir); err != nil {
		return nil, fmt.Errorf("journal directory: %w", err)
	}
	names, err := o.FS.ReadDir(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("journal directory: %w", err)
	}
	if len(names) > 0 {
		return nil, fmt.Errorf("%w: %s holds %s: give a directory that is empty", ErrNotNew, o.Dir, names[0])
	}
	s.begin(1, 0)
	return s, nil
}

func (s *Seeder) begin(number, base uint64) {
	s.h = segment.Header{Nonce: s.o.nonce(), Number: number, Base: base, Boot: max(1, s.seed.Boot), Node: s.o.Node}
	s.open = segment.Opening{} // not entered
	if !s.loose {
		s.open = segment.OpeningAfter(s.last)
	}
	if s.buf = s.buf[:0]; cap(s.buf) < segment.DataOffset {
		s.grow(segment.DataOffset)
	}
	s.buf = s.buf[:segment.DataOffset]
	clear(s.buf)
	if number == 1 {
		s.end = segment.DataOffset
	}
}

// Stamped appends an event with its stamp, which follows the one before.
func (s *Seeder) Stamped(f *record.Frame, st record.Stamp) error {
	if s.loose || st.Seq != s.last.Seq+1 || st.Time <= s.last.Time {
		return fmt.Errorf("journal: event %d at %v can't follow event %d at %v, or a frame without a stamp", st.Seq, st.Time, s.last.Seq, s.last.Time)
	}
	b, pos, err := s.append(f)
	if err != nil {
		return err
	}
	st.Write(b, pos, s.h.Nonce)
	s.last, s.end = st, pos+uint64(len(b))
	return nil
}

// Published appends a frame that waits for its stamp.
func (s *Seeder) Published(f *record.Frame) error {
	s.loose = true
	_, _, err := s.append(f)
	return err
}

func (s *Seeder) append(f *record.Frame) (b []byte, pos uint64, err error) {
	if err := f.Check(); err != nil {
		return nil, 0, err
	}
	n := f.Size()
	if len(s.buf) > segment.DataOffset && len(s.buf)+n > s.seed.SegmentBytes {
		if err := s.flush(true); err != nil {
			return nil, 0, err
		}
		s.begin(s.h.Number+1, s.h.End())
	}
	at := len(s.buf)
	s.grow(n)
	s.buf = append(s.buf, make([]byte, n)...)
	b, pos = s.buf[at:], s.h.Base+uint64(at)
	f.Encode(b, pos)
	binary.LittleEndian.PutUint64(b, record.CommitWord(n, s.h.Nonce))
	return b, pos, nil
}

// grow makes room for n bytes more: twice what there is, for append's smaller steps
// copy what gets large too often.
func (s *Seeder) grow(n int) {
	if len(s.buf)+n > cap(s.buf) {
		s.buf = slices.Grow(s.buf, max(n, cap(s.buf)))
	}
}

// flush writes the segment; one that another follows is padded to its end.
func (s *Seeder) flush(followed bool) error {
	at := len(s.buf)
	s.h.Size = max(2*segment.DataOffset, uint64(at+segment.DataOffset-1)/segment.DataOffset*segment.DataOffset)
	s.buf = append(s.buf, make([]byte, int(s.h.Size)-at)...)
	if rest := len(s.buf) - at; followed && rest > 0 {
		record.EncodePadding(s.buf[at:], s.h.Base+uint64(at))
		binary.LittleEndian.PutUint64(s.buf[at:], record.CommitWord(rest, s.h.Nonce))
	}
	copy(s.buf, s.h.Encode())
	if s.open.Seq > 0 {
		copy(s.buf[segment.OpeningOffset:], s.open.Encode(&s.h))
	}
	return vfs.WriteFile(s.o.FS, path.Join(s.o.Dir, segmentName(s.h.Number)), s.buf)
}

// Close writes what is left. Without it the directory holds no journal.
func (s *Seeder) Close() error {
	if err := s.flush(false); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	m := segment.Meta{Node: s.o.Node, Boot: s.seed.Boot, Clean: true, Durability: uint8(s.o.Durability),
		Ceiling: max(s.seed.Ceiling, s.last.Time), Durable: s.end, DurableSeq: s.last.Seq, StampedSeq: s.last.Seq}
	err := createMeta(s.o.FS, s.o.Dir, m)
	return errors.Join(err, s.o.FS.SyncDir(s.o.Dir))
}

// Last is the stamp of the last event.
func (s *Seeder) Last() record.Stamp { return s.last }
