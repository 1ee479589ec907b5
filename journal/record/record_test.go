package record

import (
	"bytes"
	"encoding/binary"
	"errors"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"hindcast.dev/event"
	"hindcast.dev/hlc"
)

// frames draws frames that pass Check.
var frames = rapid.Custom(func(t *rapid.T) Frame {
	name := rapid.StringMatching(`[a-z.]{0,20}`)
	bytesOf := func(max int, label string) []byte {
		b := rapid.SliceOfN(rapid.Byte(), 0, max).Draw(t, label)
		if len(b) == 0 {
			return nil
		}
		return b
	}
	return Frame{
		Kind:    event.Kind(rapid.IntRange(1, 254).Draw(t, "kind")),
		Flags:   rapid.Uint8().Draw(t, "flags"),
		Machine: name.Draw(t, "machine"), From: name.Draw(t, "from"), Name: name.Draw(t, "name"),
		Version: rapid.Uint32().Draw(t, "version"),
		ID: event.MessageID{
			Node: name.Draw(t, "node"), Boot: rapid.Uint64().Draw(t, "boot"),
			Seq: rapid.Uint64().Draw(t, "seq"), Effect: rapid.Uint32().Draw(t, "effect"),
		},
		Sent:    hlc.Timestamp(rapid.Uint64().Draw(t, "sent")),
		Baggage: bytesOf(40, "baggage"), Payload: bytesOf(300, "payload"),
	}
})

// journaled returns the published form of f.
func journaled(f *Frame, position uint64, nonce uint32) []byte {
	b := make([]byte, f.Size())
	f.Encode(b, position)
	binary.LittleEndian.PutUint64(b, CommitWord(len(b), nonce))
	return b
}

func TestAFrameComesBackAsItWas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := frames.Draw(t, "frame")
		position, nonce := rapid.Uint64().Draw(t, "position"), rapid.Uint32Min(1).Draw(t, "nonce")
		b := journaled(&f, position, nonce)
		got, n, err := Decode(append(b, 1, 2, 3), position, nonce)
		if err != nil || n != len(b) || !reflect.DeepEqual(got, f) {
			t.Fatalf("got %+v, %d, %v\nwant %+v, %d", got, n, err, f, len(b))
		}
		if _, _, err := Decode(b, position+16, nonce); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("at another position: %v", err)
		}
		if _, _, err := Decode(b, position, nonce^1); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("under another nonce: %v", err)
		}
	})
}

func TestAWireFrameIsSealedInPlaceIntoAJournalFrame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := frames.Draw(t, "frame")
		wire := AppendWire([]byte("before"), &f)[6:]
		got, n, err := DecodeWire(wire)
		if err != nil || n != len(wire) || !reflect.DeepEqual(got, f) {
			t.Fatalf("got %+v, %d, %v\nwant %+v, %d", got, n, err, f, len(wire))
		}
		Seal(wire, 4096)
		binary.LittleEndian.PutUint64(wire, CommitWord(n, 7))
		if want := journaled(&f, 4096, 7); !bytes.Equal(wire, want) {
			t.Fatalf("sealed:\n% x\nwant\n% x", wire, want)
		}
	})
}

func TestAnIncompleteWireFrameIsShortAndNotCorrupt(t *testing.T) {
	f := Frame{Kind: event.Message, Machine: "m", Payload: []byte("hello")}
	wire := AppendWire(nil, &f)
	for n := range wire {
		if _, _, err := DecodeWire(wire[:n]); err != ErrShort {
			t.Errorf("%d bytes: %v, want ErrShort", n, err)
		}
	}
}

func TestEveryFlippedBitIsSeen(t *testing.T) {
	f := Frame{Kind: event.Message, Machine: "m", Baggage: []byte{1}, Payload: []byte("hello")}
	const position, nonce = 8192, 77
	b := journaled(&f, position, nonce)
	want := Stamp{Time: 9 << 16, Physical: 8 << 16, Seq: 3, Chain: 4, Boot: 5, Disposition: Skipped}
	want.Write(b, position, nonce)
	if got, ok := ReadStamp(b, position, nonce); !ok || got != want {
		t.Fatalf("stamp %+v, %v, want %+v", got, ok, want)
	}
	for i := range len(b) * 8 {
		b[i/8] ^= 1 << (i % 8)
		_, _, err := Decode(b, position, nonce)
		_, ok := ReadStamp(b, position, nonce)
		if err == nil && ok {
			t.Errorf("bit %d of byte %d flipped: nobody notices", i%8, i/8)
		}
		b[i/8] ^= 1 << (i % 8)
	}
	if _, ok := ReadStamp(b, position+16, nonce); ok {
		t.Error("a stamp is valid at another position")
	}
	if _, ok := ReadStamp(b, position, nonce+1); ok {
		t.Error("a stamp is valid under another nonce")
	}
}

func TestAClaimIsNeverTakenForAPublishedFrame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		nonce := rapid.Uint32Min(1).Draw(t, "nonce")
		n := rapid.IntRange(1, 1<<20).Draw(t, "n") * Align
		claim := ClaimWord(n, nonce)
		if got := ClaimLength(claim, nonce); got != n {
			t.Fatalf("claim of %d bytes reads as %d", n, got)
		}
		// A socket overwrites it byte by byte, in any order, with a wire frame's word.
		var mixed uint64
		wire := CommitWord(rapid.IntRange(1, 1<<20).Draw(t, "wire")*Align, 0)
		mask := rapid.Byte().Draw(t, "written")
		for i := range 8 {
			from := claim
			if mask>>i&1 == 1 {
				from = wire
			}
			mixed |= from & (0xff << (8 * i))
		}
		if got := WordLength(mixed, nonce); got != 0 {
			t.Fatalf("%#x under nonce %#x reads as a published frame of %d", mixed, nonce, got)
		}
	})
}

func TestFrameAtTheLimits(t *testing.T) {
	long := string(make([]byte, NameMax))
	for _, c := range []struct {
		name string
		f    Frame
		ok   bool
	}{
		{"longest names", Frame{Kind: 1, Machine: long, From: long, Name: long, ID: event.MessageID{Node: long}}, true},
		{"machine too long", Frame{Kind: 1, Machine: long + "x"}, false},
		{"from too long", Frame{Kind: 1, From: long + "x"}, false},
		{"name too long", Frame{Kind: 1, Name: long + "x"}, false},
		{"node too long", Frame{Kind: 1, ID: event.MessageID{Node: long + "x"}}, false},
		{"longest baggage", Frame{Kind: 1, Baggage: make([]byte, BaggageMax)}, true},
		{"baggage too long", Frame{Kind: 1, Baggage: make([]byte, BaggageMax+1)}, false},
		{"longest frame", Frame{Kind: 1, Payload: make([]byte, MaxFrame-SizeMin)}, true},
		{"frame too long", Frame{Kind: 1, Payload: make([]byte, MaxFrame-SizeMin+1)}, false},
	} {
		err := c.f.Check()
		if (err == nil) != c.ok || (err != nil && !errors.Is(err, ErrTooLarge)) {
			t.Errorf("%s: %v", c.name, err)
		}
		if !c.ok {
			continue
		}
		if _, _, err := DecodeWire(AppendWire(nil, &c.f)); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestPaddingSaysOnlyItsLength(t *testing.T) {
	for _, n := range []int{PaddingMin, 32, 4096} {
		b := bytes.Repeat([]byte{0xee}, n)
		EncodePadding(b, 100)
		binary.LittleEndian.PutUint64(b, CommitWord(n, 5))
		f, got, err := Decode(b[:PaddingMin], 100, 5)
		if err != nil || got != n || f.Kind != event.Padding {
			t.Errorf("padding of %d: %+v, %d, %v", n, f, got, err)
		}
		if _, _, err := DecodeWire(b); err == nil {
			t.Errorf("padding of %d is taken from the wire", n)
		}
	}
}

func TestEncodingAllocatesNothing(t *testing.T) {
	f := Frame{Kind: event.Message, Machine: "m", Name: "Put", Payload: []byte("hello")}
	b := make([]byte, f.Size())
	var d Decoder
	wire := AppendWire(nil, &f)
	if n := testing.AllocsPerRun(100, func() {
		f.Encode(b, 64)
		Stamp{Seq: 1}.Write(b, 64, 1)
		ReadStamp(b, 64, 1)
		if _, _, err := d.DecodeWire(wire); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzDecodeWire(f *testing.F) {
	frame := Frame{Kind: event.Message, Machine: "m", Name: "Put", Baggage: []byte{1}, Payload: []byte("hello")}
	f.Add(AppendWire(nil, &frame))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		// The CRC is put right, so that what lies behind it is reached.
		if n, err := WireLength(b); err == nil && n <= len(b) {
			Seal(b[:n], 0)
		}
		got, n, err := DecodeWire(b)
		if err != nil {
			if err != ErrShort && !errors.Is(err, ErrCorrupt) {
				t.Fatalf("untyped error %v", err)
			}
			return
		}
		clear(b[n-StampSize : n])
		if again := AppendWire(nil, &got); !bytes.Equal(again, b[:n]) {
			t.Fatalf("encodes to\n% x, was\n% x", again, b[:n])
		}
	})
}

func FuzzDecode(f *testing.F) {
	frame := Frame{Kind: event.Message, Machine: "m", Payload: []byte("hello")}
	f.Add(journaled(&frame, 4096, 9), uint64(4096), uint32(9))
	f.Fuzz(func(t *testing.T, b []byte, position uint64, nonce uint32) {
		_, n, err := Decode(b, position, nonce)
		if err != nil && err != ErrShort && !errors.Is(err, ErrCorrupt) {
			t.Fatalf("untyped error %v", err)
		}
		if err == nil && n <= len(b) {
			ReadStamp(b[:n], position, nonce)
		}
	})
}

func FuzzReadStamp(f *testing.F) {
	f.Add(make([]byte, SizeMin), uint64(1), uint32(2))
	f.Fuzz(func(t *testing.T, b []byte, position uint64, nonce uint32) {
		s, ok := ReadStamp(b, position, nonce)
		if !ok {
			return
		}
		again := bytes.Clone(b)
		if s.Write(again, position, nonce); !bytes.Equal(again, b) {
			t.Fatalf("writes\n% x, was\n% x", again, b)
		}
	})
}

func TestWordsAreSummedUpAsTheirBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		crc, v := rapid.Uint32().Draw(t, "crc"), rapid.Uint64().Draw(t, "v")
		b := binary.LittleEndian.AppendUint64(nil, v)
		if got, want := CRC64(crc, v), CRC(crc, b); got != want {
			t.Fatalf("CRC64 is %#x, want %#x", got, want)
		}
		if got, want := CRC32(crc, uint32(v)), CRC(crc, b[:4]); got != want {
			t.Fatalf("CRC32 is %#x, want %#x", got, want)
		}
	})
}

func TestADecoderKeepsNamesApart(t *testing.T) {
	var d Decoder
	rapid.Check(t, func(t *rapid.T) { // one decoder for all: its memory is what is tested
		name := rapid.StringMatching(`[ab]{0,2}[a-z]?[ab]{0,2}`)
		f := Frame{Kind: 1, Machine: name.Draw(t, "machine"), From: name.Draw(t, "from"), Name: name.Draw(t, "name"),
			ID: event.MessageID{Node: name.Draw(t, "node")}}
		if got, _, err := d.DecodeWire(AppendWire(nil, &f)); err != nil || !reflect.DeepEqual(got, f) {
			t.Fatalf("got %+v (%v)\nwant %+v", got, err, f)
		}
	})
}
