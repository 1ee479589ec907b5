package segment

import (
	"bytes"
	"errors"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"hindcast.dev/hlc"
	"hindcast.dev/journal/record"
)

var headers = rapid.Custom(func(t *rapid.T) Header {
	return Header{Nonce: rapid.Uint32Min(1).Draw(t, "nonce"), Number: rapid.Uint64Min(1).Draw(t, "number"),
		Base: rapid.Uint64Max(1<<40).Draw(t, "base") * DataOffset, Size: rapid.Uint64Range(2, 1<<18).Draw(t, "size") * DataOffset,
		Boot: rapid.Uint64().Draw(t, "boot"), Node: rapid.StringN(0, 20, NodeMax).Draw(t, "node")}
})

func TestHeaderAndOpeningComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := headers.Draw(t, "header")
		got, err := DecodeHeader(h.Encode())
		if err != nil || got != h {
			t.Fatalf("%+v, %v, want %+v", got, err, h)
		}
		s := record.Stamp{Seq: rapid.Uint64Max(1<<63).Draw(t, "seq"), Time: 3, Physical: 2, Chain: 9, Boot: 8, Disposition: record.Drift}
		b := OpeningAfter(s).Encode(&h)
		o, ok := DecodeOpening(b, &h)
		if !ok || o.Before() != s {
			t.Fatalf("%+v, %v, want it after %+v", o, ok, s)
		}
		h.Nonce++
		if _, ok := DecodeOpening(b, &h); ok {
			t.Fatal("an opening is valid in another life of the file")
		}
	})
}

func TestMetaComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := Meta{Generation: rapid.Uint64Min(1).Draw(t, "generation"), Clean: rapid.Bool().Draw(t, "clean"),
			Repaired: rapid.Bool().Draw(t, "repaired"), Anew: rapid.Bool().Draw(t, "anew"),
			Durability: 1, Node: rapid.StringN(0, 20, NodeMax).Draw(t, "node"), HostBoot: rapid.StringN(0, 10, HostBootMax).Draw(t, "host"),
			Boot: rapid.Uint64().Draw(t, "boot"), Ceiling: hlc.Timestamp(rapid.Uint64().Draw(t, "ceiling")),
			Durable: rapid.Uint64Max(1<<63).Draw(t, "durable"), DurableSeq: 3, StampedSeq: 4}
		if got, err := DecodeMeta(m.Encode()); err != nil || got != m {
			t.Fatalf("%+v, %v, want %+v", got, err, m)
		}
	})
}

func TestIndexComesBackAndFindsWhatIsAtOrBefore(t *testing.T) {
	x := Index{Nonce: 7, Number: 3, FirstSeq: 10, LastSeq: 99, FirstTime: 1000, LastTime: 9900}
	for i := range uint64(9) {
		x.Entries = append(x.Entries, IndexEntry{Seq: 10 + 10*i, Time: hlc.Timestamp(1000 + 1000*i), Offset: DataOffset + 112*i})
	}
	got, err := DecodeIndex(x.Encode())
	if err != nil || !reflect.DeepEqual(got, x) {
		t.Fatalf("%+v, %v", got, err)
	}
	for _, c := range []struct {
		seq, want uint64
		ok        bool
	}{{9, 0, false}, {10, 10, true}, {19, 10, true}, {20, 20, true}, {1000, 90, true}} {
		if e, ok := x.SeekSeq(c.seq); ok != c.ok || e.Seq != c.want {
			t.Errorf("SeekSeq(%d): %+v, %v", c.seq, e, ok)
		}
	}
	for _, c := range []struct {
		ts   hlc.Timestamp
		want uint64
		ok   bool
	}{{1000, 0, false}, {1001, 10, true}, {2000, 10, true}, {99999, 90, true}} {
		if e, ok := x.SeekTime(c.ts); ok != c.ok || e.Seq != c.want {
			t.Errorf("SeekTime(%d): %+v, %v", c.ts, e, ok)
		}
	}
}

func TestEveryFlippedBitIsSeen(t *testing.T) {
	h := Header{Nonce: 7, Number: 3, Base: 8192, Size: 8192, Boot: 2, Node: "n1"}
	m := Meta{Generation: 9, Node: "n1", HostBoot: "h", Boot: 2}
	x := Index{Nonce: 7, Number: 3, Entries: []IndexEntry{{1, 1, DataOffset}}}
	for _, c := range []struct {
		name   string
		b      []byte
		decode func([]byte) error
	}{
		{"header", h.Encode(), func(b []byte) error { _, err := DecodeHeader(b); return err }},
		{"meta", m.Encode(), func(b []byte) error { _, err := DecodeMeta(b); return err }},
		{"index", x.Encode(), func(b []byte) error { _, err := DecodeIndex(b); return err }},
		{"opening", Opening{Seq: 1}.Encode(&h), func(b []byte) error {
			if _, ok := DecodeOpening(b, &h); !ok {
				return ErrCorrupt
			}
			return nil
		}},
	} {
		if err := c.decode(c.b); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		for i := range len(c.b) * 8 {
			b := bytes.Clone(c.b)
			b[i/8] ^= 1 << (i % 8)
			if c.decode(b) == nil {
				t.Errorf("%s: bit %d of byte %d flipped: nobody notices", c.name, i%8, i/8)
			}
		}
	}
	b := h.Encode()
	b[8] = 2
	if _, err := DecodeHeader(b); !errors.Is(err, ErrVersion) {
		t.Errorf("another version, whose CRC we can't know, reads as %v", err)
	}
}

// known reports whether an error is one of the package's.
func known(err error) bool {
	return errors.Is(err, ErrForeign) || errors.Is(err, ErrVersion) || errors.Is(err, ErrCorrupt) || errors.Is(err, ErrShort)
}

// resealed puts the CRC right, so that what lies behind it is reached.
func resealed(b []byte, size int) []byte {
	if len(b) < size || size < 4 {
		return b
	}
	b = bytes.Clone(b)
	sumUp(b[:size])
	return b
}

func FuzzDecodeHeader(f *testing.F) {
	h := Header{Nonce: 7, Number: 3, Base: 8192, Size: 8192, Boot: 2, Node: "n1"}
	f.Add(h.Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		b = resealed(b, HeaderSize)
		got, err := DecodeHeader(b)
		if err == nil && !bytes.Equal(got.Encode(), b[:HeaderSize]) || err != nil && !known(err) {
			t.Fatalf("%+v, %v", got, err)
		}
		DecodeOpening(b, &h)
	})
}

func FuzzDecodeMeta(f *testing.F) {
	m := Meta{Generation: 9, Node: "n1", HostBoot: "h", Boot: 2}
	f.Add(m.Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		b = resealed(b, SlotSize)
		got, err := DecodeMeta(b)
		if err == nil && !bytes.Equal(got.Encode(), b[:SlotSize]) || err != nil && !known(err) {
			t.Fatalf("%+v, %v", got, err)
		}
	})
}

func FuzzDecodeIndex(f *testing.F) {
	x := Index{Nonce: 7, Number: 3, Entries: []IndexEntry{{1, 1, DataOffset}, {2, 2, DataOffset + 112}}}
	f.Add(x.Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		b = resealed(b, len(b))
		got, err := DecodeIndex(b)
		if err == nil && !bytes.Equal(got.Encode(), b) || err != nil && !known(err) {
			t.Fatalf("%+v, %v", got, err)
		}
		got.SeekSeq(5)
		got.SeekTime(5)
	})
}
