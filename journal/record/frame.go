// Package record is the form of one frame, in the journal and on the wire:
// journal/FORMAT.md, "Frame", as code. It is pure.
package record

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"hindcast.dev/event"
	"hindcast.dev/hlc"
)

// Sizes of the parts of a frame, in bytes.
const (
	Align      = 16 // every frame's length is a multiple of it
	HeaderSize = 56
	StampSize  = 48
	SizeMin    = HeaderSize + StampSize // of a frame that isn't padding
	PaddingMin = 16

	// MaxFrame is the longest frame that anything takes or makes.
	MaxFrame = 16 << 20
	// NameMax is the longest machine, sender, name or node.
	NameMax = math.MaxUint8
	// BaggageMax is the longest baggage.
	BaggageMax = math.MaxUint16
)

// Offsets in a frame.
const (
	offCRC     = 8
	offKind    = 12
	offFlags   = 13
	offMachine = 14
	offFrom    = 15
	offName    = 16
	offNode    = 17
	offBaggage = 18
	offPayload = 20
	offVersion = 24
	offEffect  = 28
	offBoot    = 32
	offSeq     = 40
	offSent    = 48
)

// A Frame is what is journaled or sent of one event. Decoded, Baggage and Payload
// alias the buffer; the strings don't.
type Frame struct {
	Kind    event.Kind
	Flags   uint8  // no bit has a meaning in the journal; carried along
	Machine string // the machine it is for
	From    string // the machine that sent it; timers: the timer's name
	Name    string // registered name of the payload's type; name of a control or note
	Version uint32 // schema version of the payload
	ID      event.MessageID
	Sent    hlc.Timestamp // the sender's Timestamp; 0 if it has none
	Baggage []byte
	Payload []byte
}

// ErrTooLarge is wrapped by the error of Check.
var ErrTooLarge = errors.New("frame too large")

// Check returns an error that wraps ErrTooLarge if the frame can't be encoded:
// a field is longer than its length can say, or the whole is above MaxFrame.
func (f *Frame) Check() error {
	for _, s := range [...]string{f.Machine, f.From, f.Name, f.ID.Node} {
		if len(s) > NameMax {
			return fmt.Errorf("%w: name %.20q… has %d bytes, the most is %d", ErrTooLarge, s, len(s), NameMax)
		}
	}
	if len(f.Baggage) > BaggageMax {
		return fmt.Errorf("%w: baggage has %d bytes, the most is %d", ErrTooLarge, len(f.Baggage), BaggageMax)
	}
	if n := f.Size(); n > MaxFrame {
		return fmt.Errorf("%w: %d bytes with a payload of %d, the most is %d", ErrTooLarge, n, len(f.Payload), MaxFrame)
	}
	return nil
}

// Size is the length of the encoded frame, its stamp included; a multiple of
// Align.
func (f *Frame) Size() int {
	n := SizeMin + len(f.Machine) + len(f.From) + len(f.Name) + len(f.ID.Node) + len(f.Baggage) + len(f.Payload)
	return (n + Align - 1) &^ (Align - 1)
}

// Encode writes all of the frame but its commit word to dst, whose length is
// Size: bytes 0…7 of dst are not touched, so that the frame stays unpublished
// until CommitWord is stored there. The stamp is zeroed. Check has passed.
func (f *Frame) Encode(dst []byte, position uint64) {
	if len(dst) != f.Size() {
		panic(fmt.Sprintf("record: Encode into %d bytes, the frame has %d", len(dst), f.Size()))
	}
	dst[offKind] = byte(f.Kind)
	dst[offFlags] = f.Flags
	dst[offMachine] = byte(len(f.Machine))
	dst[offFrom] = byte(len(f.From))
	dst[offName] = byte(len(f.Name))
	dst[offNode] = byte(len(f.ID.Node))
	le := binary.LittleEndian
	le.PutUint16(dst[offBaggage:], uint16(len(f.Baggage)))
	le.PutUint32(dst[offPayload:], uint32(len(f.Payload)))
	le.PutUint32(dst[offVersion:], f.Version)
	le.PutUint32(dst[offEffect:], f.ID.Effect)
	le.PutUint64(dst[offBoot:], f.ID.Boot)
	le.PutUint64(dst[offSeq:], f.ID.Seq)
	le.PutUint64(dst[offSent:], uint64(f.Sent))
	n := HeaderSize
	n += copy(dst[n:], f.Machine)
	n += copy(dst[n:], f.From)
	n += copy(dst[n:], f.Name)
	n += copy(dst[n:], f.ID.Node)
	n += copy(dst[n:], f.Baggage)
	n += copy(dst[n:], f.Payload)
	clear(dst[n:])
	Seal(dst, position)
}

// Seal writes the CRC of the frame that fills b, for a place in a journal: a
// wire frame that was read into a claim becomes a journal's frame by Seal and
// then the store of its CommitWord.
func Seal(b []byte, position uint64) {
	binary.LittleEndian.PutUint32(b[offCRC:], frameCRC(b, position))
}

// CommitWord is the word at the start of a published frame. A nonce of 0 is the
// wire's.
func CommitWord(length int, nonce uint32) uint64 {
	return uint64(nonce)<<32 | uint64(uint32(length))
}

// ClaimWord is the word at the start of a claim that isn't published yet.
func ClaimWord(length int, nonce uint32) uint64 {
	return uint64(^nonce)<<32 | uint64(uint32(-int32(length)))
}

// WordLength returns the length that a commit word states, 0 if the word is not
// that of a published frame of this nonce. The length is a multiple of Align and
// at least PaddingMin, but may be longer than what is there.
func WordLength(word uint64, nonce uint32) int {
	n := int32(uint32(word))
	if uint32(word>>32) != nonce || n < PaddingMin || n%Align != 0 || n > maxPadding {
		return 0
	}
	return int(n)
}

// maxPadding is the longest padding: the rest of a segment may be longer than
// any frame.
const maxPadding = 1 << 30

// ClaimLength returns the length of the claim that a word states, 0 if it isn't
// that of a claim.
func ClaimLength(word uint64, nonce uint32) int {
	n := -int32(uint32(word))
	if uint32(word>>32) != ^nonce || n < PaddingMin || n%Align != 0 {
		return 0
	}
	return int(n)
}

// EncodePadding makes b a padding frame but for its commit word. Only its first
// PaddingMin bytes are written; len(b) is a multiple of Align.
func EncodePadding(b []byte, position uint64) {
	clear(b[offKind:PaddingMin])
	b[offKind] = byte(event.Padding)
	Seal(b, position)
}

// AppendWire appends the wire form of f: position 0, nonce 0, no stamp. Check
// has passed.
func AppendWire(dst []byte, f *Frame) []byte {
	n := len(dst)
	dst = append(dst, make([]byte, f.Size())...)
	b := dst[n:]
	f.Encode(b, 0)
	binary.LittleEndian.PutUint64(b, CommitWord(len(b), 0))
	return dst
}

// EventOf returns the event that a stamped frame is. Its slices are the frame's,
// its Body is nil.
func EventOf(f *Frame, s Stamp) event.Event {
	return event.Event{
		Seq: s.Seq, Time: s.Time, Kind: f.Kind, Machine: f.Machine, Name: f.Name, Version: f.Version,
		ID: f.ID, From: f.From, Sent: f.Sent, Baggage: f.Baggage, Payload: f.Payload,
	}
}
