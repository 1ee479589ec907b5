package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"hindcast.dev/event"
	"hindcast.dev/journal/record"
	"hindcast.dev/journal/segment"
)

// A readerAt is an open segment: a file, a mapping or an unpacked archive.
type readerAt interface {
	io.ReaderAt
	io.Closer
}

// readFull is ReadAt with a short read at the end of the file as no error.
func readFull(src io.ReaderAt, b []byte, off int64) (int, error) {
	n, err := src.ReadAt(b, off)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}

// errSegmentEnd is returned by a scanner behind the last byte.
var errSegmentEnd = errors.New("end of segment")

// A gapError says why no published frame begins at a place.
type gapError struct {
	off    int64
	torn   bool // something was begun there: a claim, or a frame whose CRC is wrong
	detail string
}

func (e *gapError) Error() string { return e.detail }

// An item is a published frame, or padding, and where it is.
type item struct {
	off     int64
	n       int
	padding bool
	frame   record.Frame
	stamp   record.Stamp
	stamped bool // whether the stamp is valid
}

// readAhead is how much a scanner reads at once, in bytes.
const readAhead = 64 << 10

// A scanner goes from frame to frame through one segment; it never goes past a
// place where none begins. Items are valid until the next call.
type scanner struct {
	head
	src    io.ReaderAt
	off    int64 // of the next item
	buf    []byte
	bufOff int64 // of buf in the file
	dec    record.Decoder
}

func newScanner(src io.ReaderAt, h head) *scanner {
	return &scanner{head: h, src: src, off: segment.DataOffset}
}

// position of the next item.
func (s *scanner) position() uint64 { return s.Base + uint64(s.off) }

// next returns the next item and passes it. At the end of the segment it returns
// errSegmentEnd, where no published frame begins a *gapError, and else what the
// file returned. It reads nothing at or above position limit.
func (s *scanner) next(limit uint64) (item, error) {
	it, err := s.peek(limit)
	if err == nil {
		s.off += int64(it.n)
	}
	return it, err
}

func (s *scanner) peek(limit uint64) (item, error) {
	end := int64(min(limit, s.End()) - s.Base)
	if s.off >= int64(s.Size) {
		return item{}, errSegmentEnd
	}
	b, err := s.fetch(record.PaddingMin, end)
	if err != nil {
		return item{}, err
	}
	word := binary.LittleEndian.Uint64(b)
	n := record.WordLength(word, s.Nonce)
	if n == 0 || int64(n) > int64(s.Size)-s.off {
		return item{}, s.gap(word)
	}
	if event.Kind(b[12]) != event.Padding {
		if b, err = s.fetch(min(n, record.MaxFrame), end); err != nil { // longer is refused below
			return item{}, err
		}
	}
	f, _, err := s.dec.Decode(b, s.position(), s.Nonce)
	if err != nil {
		return item{}, &gapError{off: s.off, torn: true, detail: err.Error()}
	}
	it := item{off: s.off, n: n, padding: f.Kind == event.Padding, frame: f}
	if !it.padding {
		it.stamp, it.stamped = record.ReadStamp(b[:n], s.position(), s.Nonce)
	}
	return it, nil
}

// gap explains a commit word that isn't that of a published frame.
func (s *scanner) gap(word uint64) error {
	if n := record.ClaimLength(word, s.Nonce); n > 0 {
		return &gapError{off: s.off, torn: true, detail: fmt.Sprintf("a claim of %d bytes was not published", n)}
	}
	if uint32(word>>32) == s.Nonce {
		return &gapError{off: s.off, torn: true, detail: fmt.Sprintf("a frame of %d bytes can't be here", uint32(word))}
	}
	return &gapError{off: s.off, detail: "no published frame begins here"}
}

// fetch returns at least n bytes from s.off on, of which those at or above end
// are not to be read.
func (s *scanner) fetch(n int, end int64) ([]byte, error) {
	if s.off+int64(n) > end {
		return nil, &gapError{off: s.off, torn: true, detail: fmt.Sprintf("%d bytes are needed, %d are there", n, end-s.off)}
	}
	if i := s.off - s.bufOff; i >= 0 && i+int64(n) <= int64(len(s.buf)) {
		return s.buf[i:], nil
	}
	want := int(min(int64(max(n, readAhead)), end-s.off))
	if cap(s.buf) < want {
		s.buf = make([]byte, want)
	}
	got, err := readFull(s.src, s.buf[:want], s.off)
	s.buf, s.bufOff = s.buf[:got], s.off
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", s.file, err)
	}
	if got < n {
		return nil, &FileError{Problem: ErrUnexpectedEnd, File: s.file, Offset: min(s.off, s.there), Remedy: remedyRepair,
			Detail: fmt.Sprintf("it has %d bytes of %d: at least %d more are needed for the frame here", min(s.there, s.off+int64(got)), s.Size, n-got)}
	}
	return s.buf, nil
}

// forget drops what was read ahead: it may have changed since.
func (s *scanner) forget() { s.buf = s.buf[:0] }

// damaged is the error for a place in this segment that should be sound.
func (s *scanner) damaged(off int64, detail string) *FileError {
	return &FileError{Problem: ErrCorrupt, File: s.file, Offset: off, Detail: detail, Remedy: remedyRepair}
}

// index makes the segment's index, from sound frames that are all stamped.
func (s *scanner) index() (*segment.Index, error) {
	x := &segment.Index{Nonce: s.Nonce, Number: s.Number, FirstSeq: s.opening.Seq, LastSeq: s.opening.Seq - 1,
		FirstTime: s.opening.Time, LastTime: s.opening.Time}
	for {
		it, err := s.next(s.End())
		if err == errSegmentEnd {
			return x, nil
		}
		if err != nil {
			return nil, err
		}
		if it.padding {
			continue
		}
		if !it.stamped {
			return nil, s.damaged(it.off, "its stamp is not valid")
		}
		addToIndex(x, uint64(it.off), &it.stamp)
	}
}

// addToIndex adds the next stamped frame of a segment to its index.
func addToIndex(x *segment.Index, off uint64, s *record.Stamp) {
	n := len(x.Entries)
	if n == 0 {
		x.FirstTime = s.Time
	}
	if n == 0 || off-x.Entries[n-1].Offset >= indexEvery {
		x.Entries = append(x.Entries, segment.IndexEntry{Seq: s.Seq, Time: s.Time, Offset: off})
	}
	x.LastSeq, x.LastTime = s.Seq, s.Time
}

// indexEvery is how far index entries are apart, in bytes: what a seek reads.
const indexEvery = 32 << 10
