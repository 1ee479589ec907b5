package machine

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"math"

	"github.com/fxamacker/cbor/v2"
)

// A container's CBOR is an array: of a Map its keys and values in turn, in the
// order of keys; of a Set its members; of a List the index of its first element
// and then the elements. A Map is read from a CBOR map as well, and a Set from any
// array, so that an upgrade may turn a plain one into an ordered one.

// The modes below never change. Their limits on numbers of elements are those of
// the format: what is decoded is a checkpoint, whose length bounds them, because
// the decoder wants every element to be there before it makes room for it.
var (
	encMode = must(cbor.CoreDetEncOptions().UserBufferEncMode())
	decMode = must(cbor.DecOptions{
		DupMapKey: cbor.DupMapKeyEnforcedAPF, MaxArrayElements: math.MaxInt32, MaxMapPairs: math.MaxInt32,
		IndefLength: cbor.IndefLengthForbidden, TagsMd: cbor.TagsForbidden, UTF8: cbor.UTF8DecodeInvalid,
		FieldNameMatching: cbor.FieldNameMatchingCaseSensitive,
	}.DecMode())
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// Major types of CBOR, in the high bits of an item's first byte.
const (
	cborArray = 4 << 5
	cborMap   = 5 << 5
)

// appendHead writes the first bytes of an array of n elements.
func appendHead(b *bytes.Buffer, n int) {
	switch {
	case n < 24:
		b.WriteByte(cborArray | byte(n))
	case n < 1<<8:
		b.Write([]byte{cborArray | 24, byte(n)})
	case n < 1<<16:
		b.Write([]byte{cborArray | 25, byte(n >> 8), byte(n)})
	default:
		b.Write([]byte{cborArray | 26, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
	}
}

// readHead takes the head off an array or map: how many elements or pairs follow.
func readHead(b []byte) (major byte, n int, rest []byte, err error) {
	if len(b) == 0 {
		return 0, 0, nil, errors.New("no data")
	}
	major, n, rest = b[0]&0xe0, int(b[0]&0x1f), b[1:]
	if n >= 24 {
		width := 1 << (n - 24)
		if n > 26 || len(rest) < width {
			return 0, 0, nil, errors.New("a container of a length that can't be")
		}
		n = 0
		for _, c := range rest[:width] {
			n = n<<8 | int(c)
		}
		rest = rest[width:]
	}
	if major != cborArray && major != cborMap {
		return 0, 0, nil, errors.New("neither an array nor a map")
	}
	return major, n, rest, nil
}

// MarshalCBOR writes the entries in order.
func (m Map[K, V]) MarshalCBOR() ([]byte, error) {
	var b bytes.Buffer
	appendHead(&b, 2*m.Len())
	for k, v := range m.All() {
		if err := cmp.Or(encMode.MarshalToBuffer(k, &b), encMode.MarshalToBuffer(v, &b)); err != nil {
			return nil, fmt.Errorf("entry %v: %w", k, err)
		}
	}
	return b.Bytes(), nil
}

// UnmarshalCBOR replaces the map by what MarshalCBOR wrote, untouched.
func (m *Map[K, V]) UnmarshalCBOR(data []byte) error {
	major, n, rest, err := readHead(data)
	if err != nil {
		return fmt.Errorf("machine.Map: %w", err)
	}
	if major == cborArray {
		if n%2 != 0 {
			return errors.New("machine.Map: a key without a value")
		}
		n /= 2
	}
	s := &mapState[K, V]{}
	for i := range n {
		var k K
		if rest, err = decMode.UnmarshalFirst(rest, &k); err != nil {
			return fmt.Errorf("machine.Map: key %d: %w", i, err)
		}
		if major == cborArray && s.entries.size > 0 && !cmp.Less(s.entries.last().key, k) {
			return fmt.Errorf("machine.Map: key %d: %v is not above the key before it", i, k)
		}
		p, there := s.entries.slot(k)
		if there {
			return fmt.Errorf("machine.Map: key %v stands twice", k)
		}
		if rest, err = decMode.UnmarshalFirst(rest, p); err != nil {
			return fmt.Errorf("machine.Map: value of %v: %w", k, err)
		}
	}
	m.s = s
	return nil
}

// MarshalCBOR writes the members in order.
func (s Set[K]) MarshalCBOR() ([]byte, error) {
	var b bytes.Buffer
	appendHead(&b, s.Len())
	for k := range s.All() {
		if err := encMode.MarshalToBuffer(k, &b); err != nil {
			return nil, fmt.Errorf("member %v: %w", k, err)
		}
	}
	return b.Bytes(), nil
}

// UnmarshalCBOR replaces the set by what MarshalCBOR wrote, untouched.
func (s *Set[K]) UnmarshalCBOR(data []byte) error {
	major, n, rest, err := readHead(data)
	if err != nil || major != cborArray {
		return fmt.Errorf("machine.Set: %w", cmp.Or(err, errors.New("not an array")))
	}
	st := &mapState[K, struct{}]{}
	for i := range n {
		var k K
		if rest, err = decMode.UnmarshalFirst(rest, &k); err != nil {
			return fmt.Errorf("machine.Set: member %d: %w", i, err)
		}
		if _, there := st.entries.slot(k); there {
			return fmt.Errorf("machine.Set: member %v stands twice", k)
		}
	}
	s.m.s = st
	return nil
}

// MarshalCBOR writes First and then the elements.
func (l List[V]) MarshalCBOR() ([]byte, error) {
	var b bytes.Buffer
	appendHead(&b, 1+l.Len())
	if err := encMode.MarshalToBuffer(l.First(), &b); err != nil {
		return nil, err
	}
	for i, v := range l.All() {
		if err := encMode.MarshalToBuffer(v, &b); err != nil {
			return nil, fmt.Errorf("element %d: %w", i, err)
		}
	}
	return b.Bytes(), nil
}

// UnmarshalCBOR replaces the list by what MarshalCBOR wrote, untouched.
func (l *List[V]) UnmarshalCBOR(data []byte) error {
	major, n, rest, err := readHead(data)
	if err != nil || major != cborArray || n == 0 {
		return fmt.Errorf("machine.List: %w", cmp.Or(err, errors.New("not an array with a first index")))
	}
	s := &listState[V]{}
	if rest, err = decMode.UnmarshalFirst(rest, &s.first); err != nil {
		return fmt.Errorf("machine.List: first index: %w", err)
	}
	if s.first < 0 || s.first > math.MaxInt-n {
		return fmt.Errorf("machine.List: first index %d", s.first)
	}
	for s.end = s.first; s.end < s.first+n-1; s.end++ {
		p, _ := s.entries.slot(s.end)
		if rest, err = decMode.UnmarshalFirst(rest, p); err != nil {
			return fmt.Errorf("machine.List: element %d: %w", s.end, err)
		}
	}
	l.s = s
	return nil
}
