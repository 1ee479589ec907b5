// Package segment is the form of a journal's files but for the frames in them:
// segment headers, meta slots and indexes. journal/FORMAT.md as code.
package segment

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"hindcast.dev/hlc"
	"hindcast.dev/journal/record"
)

// Version is the format version that this build writes, and the only one it reads.
const Version = 1

// Sizes and places, in bytes.
const (
	HeaderSize    = 512
	OpeningOffset = 512
	OpeningSize   = 64
	DataOffset    = 4096 // of the first frame
	NodeMax       = 128
	HostBootMax   = 64
)

const magicSegment = "HCASTSEG"

// What Decode functions find; each error wraps one of them.
var (
	ErrForeign = errors.New("wrong magic")
	ErrVersion = errors.New("unknown format version")
	ErrCorrupt = errors.New("damaged")
	ErrShort   = errors.New("too short")
)

// A Header is written when a segment is made.
type Header struct {
	Nonce  uint32
	Number uint64 // from 1
	Base   uint64 // position of the file's first byte
	Size   uint64 // of the file
	Boot   uint64 // that made it
	Node   string
}

// End is the position just after the segment.
func (h *Header) End() uint64 { return h.Base + h.Size }

// Encode returns the HeaderSize bytes of h.
func (h *Header) Encode() []byte {
	b := make([]byte, HeaderSize)
	le := binary.LittleEndian
	copy(b, magicSegment)
	le.PutUint32(b[8:], Version)
	le.PutUint32(b[12:], h.Nonce)
	le.PutUint64(b[16:], h.Number)
	le.PutUint64(b[24:], h.Base)
	le.PutUint64(b[32:], h.Size)
	le.PutUint64(b[40:], h.Boot)
	b[48] = byte(len(h.Node))
	copy(b[56:56+NodeMax], h.Node)
	return sumUp(b)
}

// sumUp puts the CRC of all before into the last 4 bytes.
func sumUp(b []byte) []byte {
	n := len(b) - 4
	binary.LittleEndian.PutUint32(b[n:], record.CRC(0, b[:n]))
	return b
}

// check looks at magic, version and CRC, in this order.
func check(b []byte, magic string, size int) error {
	le := binary.LittleEndian
	switch {
	case len(b) < 12:
		return fmt.Errorf("%w: %d bytes", ErrShort, len(b))
	case string(b[:8]) != magic:
		return fmt.Errorf("%w: %q instead of %q", ErrForeign, b[:8], magic)
	case le.Uint32(b[8:]) != Version:
		return fmt.Errorf("%w: %d, this build knows %d", ErrVersion, le.Uint32(b[8:]), Version)
	case len(b) < size:
		return fmt.Errorf("%w: %d bytes instead of %d", ErrShort, len(b), size)
	}
	if want, got := record.CRC(0, b[:size-4]), le.Uint32(b[size-4:]); want != got {
		return fmt.Errorf("%w: CRC is %#08x and should be %#08x", ErrCorrupt, got, want)
	}
	return nil
}

// DecodeHeader reads what Encode wrote.
func DecodeHeader(b []byte) (Header, error) {
	if err := check(b, magicSegment, HeaderSize); err != nil {
		return Header{}, fmt.Errorf("segment header: %w", err)
	}
	le := binary.LittleEndian
	h := Header{
		Nonce: le.Uint32(b[12:]), Number: le.Uint64(b[16:]), Base: le.Uint64(b[24:]),
		Size: le.Uint64(b[32:]), Boot: le.Uint64(b[40:]),
	}
	n := int(b[48])
	if n > NodeMax || h.Nonce == 0 || h.Number == 0 || h.Size < 2*DataOffset || h.Size > 1<<30 ||
		h.Size%DataOffset != 0 || h.Base%DataOffset != 0 || h.Base > 1<<62 {
		return Header{}, fmt.Errorf("segment header: %w: a field is out of range", ErrCorrupt)
	}
	h.Node = string(b[56 : 56+n])
	if again := h.Encode(); !bytes.Equal(again, b[:HeaderSize]) {
		return Header{}, fmt.Errorf("segment header: %w: bytes that are zero are not", ErrCorrupt)
	}
	return h, nil
}

// An Opening is written when the consumer enters a segment.
type Opening struct {
	Seq         uint64        // of the first stamp in the segment
	Time        hlc.Timestamp // of the stamp before it, like the others; 0 if none
	Physical    hlc.Timestamp
	Chain       uint64
	Boot        uint64
	Disposition record.Disposition
}

// OpeningAfter is the opening of a segment that is entered after the stamp s.
func OpeningAfter(s record.Stamp) Opening {
	return Opening{Seq: s.Seq + 1, Time: s.Time, Physical: s.Physical, Chain: s.Chain, Boot: s.Boot, Disposition: s.Disposition}
}

// Before is the stamp before the segment, zero if there is none.
func (o Opening) Before() record.Stamp {
	return record.Stamp{Seq: o.Seq - 1, Time: o.Time, Physical: o.Physical, Chain: o.Chain, Boot: o.Boot, Disposition: o.Disposition}
}

// Encode returns the OpeningSize bytes of o, as it stands in the segment h.
func (o Opening) Encode(h *Header) []byte {
	b := make([]byte, OpeningSize)
	le := binary.LittleEndian
	le.PutUint64(b, o.Seq)
	le.PutUint64(b[8:], uint64(o.Time))
	le.PutUint64(b[16:], uint64(o.Physical))
	le.PutUint64(b[24:], o.Chain)
	le.PutUint64(b[32:], o.Boot)
	b[40] = byte(o.Disposition)
	le.PutUint32(b[60:], openingCRC(b, h))
	return b
}

func openingCRC(b []byte, h *Header) uint32 {
	return record.CRC(record.CRC64(record.CRC32(0, h.Nonce), h.Number), b[:OpeningSize-4])
}

// DecodeOpening reads the opening of the segment h; false if it has none yet, or
// a damaged one.
func DecodeOpening(b []byte, h *Header) (Opening, bool) {
	if len(b) < OpeningSize {
		return Opening{}, false
	}
	le := binary.LittleEndian
	o := Opening{
		Seq: le.Uint64(b), Time: hlc.Timestamp(le.Uint64(b[8:])),
		Physical: hlc.Timestamp(le.Uint64(b[16:])), Chain: le.Uint64(b[24:]),
		Boot: le.Uint64(b[32:]), Disposition: record.Disposition(b[40]),
	}
	if o.Seq == 0 || !bytes.Equal(o.Encode(h), b[:OpeningSize]) {
		return Opening{}, false
	}
	return o, true
}
