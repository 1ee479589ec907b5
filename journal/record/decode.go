package record

import (
	"encoding/binary"
	"errors"
	"fmt"

	"hindcast.dev/event"
	"hindcast.dev/hlc"
)

// ErrShort is returned by Decode and DecodeWire, bare, if the frame is longer than the
// buffer and is not known to be bad.
var ErrShort = errors.New("frame is not complete")

// ErrCorrupt is wrapped by every *CorruptError.
var ErrCorrupt = errors.New("corrupt frame")

// A CorruptError says what is wrong with a frame, and where in it.
type CorruptError struct {
	Offset int // in the frame
	Detail string
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("corrupt frame: %s (at byte %d of the frame)", e.Detail, e.Offset)
}

// Unwrap returns ErrCorrupt.
func (e *CorruptError) Unwrap() error { return ErrCorrupt }

func corrupt(offset int, format string, args ...any) error {
	return &CorruptError{Offset: offset, Detail: fmt.Sprintf(format, args...)}
}

// Decode decodes the published frame at the start of b, which is at position of
// a segment with the nonce. It returns the frame's length. Padding is returned
// as a Frame of that kind and nothing else. The error is ErrShort or a
// *CorruptError; a word that isn't that of a published frame is the latter.
func Decode(b []byte, position uint64, nonce uint32) (Frame, int, error) {
	var d Decoder
	return d.Decode(b, position, nonce)
}

// DecodeWire decodes the wire frame at the start of b; it takes no padding. After
// ErrShort WireLength tells how many bytes it wants.
func DecodeWire(b []byte) (Frame, int, error) {
	var d Decoder
	return d.DecodeWire(b)
}

// CheckWire checks the wire frame at the start of b as DecodeWire does, allocates
// nothing, and returns the frame's length.
func CheckWire(b []byte) (int, error) {
	var d *Decoder
	_, n, err := d.DecodeWire(b)
	return n, err
}

// WireLength returns the length of the wire frame that begins b; ErrShort if b has
// less than 8 bytes. It is checked before memory is taken for a frame.
func WireLength(b []byte) (int, error) {
	if len(b) < 8 {
		return 0, ErrShort
	}
	word := binary.LittleEndian.Uint64(b)
	n := WordLength(word, 0)
	switch {
	case word>>32 != 0:
		return 0, corrupt(4, "bytes that are zero on the wire are %#x", uint32(word>>32))
	case n < SizeMin || n > MaxFrame:
		return 0, corrupt(0, "length %d is not a multiple of %d in [%d, %d]", uint32(word), Align, SizeMin, MaxFrame)
	}
	return n, nil
}

// A Decoder decodes frames, allocating a name only the first time it is seen.
// The zero Decoder is ready; a nil one checks and leaves names out. It is not safe for concurrent use.
type Decoder struct {
	names map[string]string
	usual [32]string // of the names
}

// namesMax bounds what a sender of ever new names can make a Decoder keep.
const namesMax = 4096

func (d *Decoder) name(b []byte) string {
	if len(b) == 0 || d == nil {
		return ""
	}
	// Most names are one of a few: they have a place each, by what tells them apart.
	place := &d.usual[(len(b)+int(b[0])*5+int(b[len(b)-1])*3)%len(d.usual)]
	if *place == string(b) {
		return *place
	}
	s, ok := d.names[string(b)]
	if ok {
		*place = s
		return s
	}
	s = string(b)
	if d.names == nil {
		d.names = make(map[string]string)
	}
	if len(d.names) < namesMax {
		d.names[s] = s
		*place = s
	}
	return s
}

// DecodeWire is like the function of that name.
func (d *Decoder) DecodeWire(b []byte) (Frame, int, error) {
	if _, err := WireLength(b); err != nil {
		return Frame{}, 0, err
	}
	f, n, err := d.Decode(b, 0, 0)
	if err == nil && f.Kind == event.Padding {
		return Frame{}, 0, corrupt(offKind, "padding on the wire")
	}
	return f, n, err
}

// Decode is like the function of that name.
func (d *Decoder) Decode(b []byte, position uint64, nonce uint32) (Frame, int, error) {
	if len(b) < PaddingMin {
		return Frame{}, 0, ErrShort
	}
	n := WordLength(binary.LittleEndian.Uint64(b), nonce)
	if n == 0 {
		return Frame{}, 0, corrupt(0, "no published frame begins here")
	}
	f, err := d.decode(b, n, position)
	return f, n, err
}

// DecodePublished is like Decode for a reader of shared memory: it doesn't touch
// the commit word, whose length n was loaded before.
func (d *Decoder) DecodePublished(b []byte, n int, position uint64) (Frame, error) {
	return d.decode(b, n, position)
}

func (d *Decoder) decode(b []byte, n int, position uint64) (Frame, error) {
	if event.Kind(b[offKind]) == event.Padding {
		return Frame{Kind: event.Padding}, checkPadding(b, n, position)
	}
	switch {
	case n < SizeMin || n > MaxFrame:
		return Frame{}, corrupt(0, "length %d is not in [%d, %d]", n, SizeMin, MaxFrame)
	case len(b) < n:
		return Frame{}, ErrShort
	}
	b = b[:n]
	if want, got := frameCRC(b, position), storedCRC(b); want != got {
		return Frame{}, corrupt(offCRC, "CRC is %#08x and should be %#08x", got, want)
	}
	return d.fields(b)
}

func checkPadding(b []byte, n int, position uint64) error {
	// Only the first bytes are covered, so a rest that isn't there doesn't matter.
	crc := CRC(CRC64(CRC32(0, uint32(n)), position), b[offKind:PaddingMin])
	if got := storedCRC(b); crc != got {
		return corrupt(offCRC, "CRC of padding is %#08x and should be %#08x", got, crc)
	}
	return nil
}

// fields checks lengths although the CRC held: it came from outside.
func (d *Decoder) fields(b []byte) (Frame, error) {
	le := binary.LittleEndian
	f := Frame{
		Kind: event.Kind(b[offKind]), Flags: b[offFlags], Version: le.Uint32(b[offVersion:]),
		ID: event.MessageID{
			Boot: le.Uint64(b[offBoot:]), Seq: le.Uint64(b[offSeq:]), Effect: le.Uint32(b[offEffect:]),
		},
		Sent: hlc.Timestamp(le.Uint64(b[offSent:])),
	}
	if f.Kind == 0 {
		return Frame{}, corrupt(offKind, "kind is 0")
	}
	rest := b[HeaderSize : len(b)-StampSize]
	baggage, payload := int(le.Uint16(b[offBaggage:])), uint64(le.Uint32(b[offPayload:]))
	used := uint64(int(b[offMachine])+int(b[offFrom])+int(b[offName])+int(b[offNode])+baggage) + payload
	if free := uint64(len(rest)) - used; used > uint64(len(rest)) || free >= Align {
		return Frame{}, corrupt(offMachine, "its parts have %d bytes, there is room for %d", used, len(rest))
	}
	cut := func(n int) []byte {
		p := rest[:n:n]
		rest = rest[n:]
		return p
	}
	f.Machine = d.name(cut(int(b[offMachine])))
	f.From = d.name(cut(int(b[offFrom])))
	f.Name = d.name(cut(int(b[offName])))
	f.ID.Node = d.name(cut(int(b[offNode])))
	if baggage > 0 {
		f.Baggage = cut(baggage)
	}
	if payload > 0 {
		f.Payload = cut(int(payload))
	}
	for _, c := range rest {
		if c != 0 {
			return Frame{}, corrupt(len(b)-StampSize-len(rest), "bytes that fill up are not zero")
		}
	}
	return f, nil
}
