package history

import (
	"encoding/binary"
	"errors"
	"math"

	"hindcast.dev/event"
	"hindcast.dev/hlc"
)

// Tags of values in binary form. They are part of the format on disk.
const (
	tagAbsent byte = iota
	tagNull
	tagFalse
	tagTrue
	tagInt    // zigzag varint
	tagUint   // uvarint, above the int64 range
	tagFloat  // 8 bytes, little-endian
	tagString // length, bytes
	tagTime   // 8 bytes, little-endian
	tagList   // count, members
	tagSet    // count, members ascending
	tagMap    // count, keys and values, keys ascending
)

func appendUint(b []byte, n uint64) []byte { return binary.AppendUvarint(b, n) }

func appendCount(b []byte, n int) []byte { return binary.AppendUvarint(b, uint64(n)) }

func appendText(b []byte, s string) []byte { return append(appendCount(b, len(s)), s...) }

func appendValue(b []byte, v event.Value) []byte {
	switch v.Type() {
	case event.TypeNull:
		return append(b, tagNull)
	case event.TypeBool:
		if v.AsBool() {
			return append(b, tagTrue)
		}
		return append(b, tagFalse)
	case event.TypeInt:
		n, _ := v.AsInt()
		return binary.AppendVarint(append(b, tagInt), n)
	case event.TypeUint:
		n, _ := v.AsUint()
		return appendUint(append(b, tagUint), n)
	case event.TypeFloat:
		f, _ := v.AsFloat()
		return binary.LittleEndian.AppendUint64(append(b, tagFloat), math.Float64bits(f))
	case event.TypeString:
		return appendText(append(b, tagString), v.AsString())
	case event.TypeTime:
		return binary.LittleEndian.AppendUint64(append(b, tagTime), uint64(v.AsTime()))
	case event.TypeList:
		return appendMembers(append(b, tagList), v.Members())
	case event.TypeSet:
		return appendMembers(append(b, tagSet), v.Members())
	case event.TypeMap:
		b = appendCount(append(b, tagMap), v.Len())
		for k, val := range v.AsMap().All() {
			b = appendValue(appendValue(b, k), val)
		}
		return b
	default:
		return append(b, tagAbsent)
	}
}

func appendMembers(b []byte, vs []event.Value) []byte {
	b = appendCount(b, len(vs))
	for _, v := range vs {
		b = appendValue(b, v)
	}
	return b
}

var (
	errShort   = errors.New("it ends too early")
	errValue   = errors.New("a value has an unknown tag or a wrong form")
	errDepth   = errors.New("a value is nested too deep")
	errNumber  = errors.New("a number is out of range")
	errOverrun = errors.New("bytes are left over")
)

// A decoder reads binary forms from bytes that may be hostile: after the first
// error it reads nothing more, and every length is checked against what is left
// before memory is taken.
type decoder struct {
	b   []byte
	pos int
	err error
}

func (d *decoder) fail(err error) {
	if d.err == nil {
		d.err = err
	}
	d.pos = len(d.b)
}

func (d *decoder) left() int { return len(d.b) - d.pos }

func (d *decoder) byte() byte {
	if d.left() == 0 {
		d.fail(errShort)
		return 0
	}
	d.pos++
	return d.b[d.pos-1]
}

func (d *decoder) uint() uint64 {
	if d.pos < len(d.b) && d.b[d.pos] < 0x80 {
		d.pos++
		return uint64(d.b[d.pos-1])
	}
	return d.longUint()
}

func (d *decoder) longUint() uint64 {
	n, size := binary.Uvarint(d.b[d.pos:])
	if size <= 0 {
		d.fail(errShort)
		return 0
	}
	d.pos += size
	return n
}

// uints reads so many numbers, zeros from where there is none.
func (d *decoder) uints(into []uint64) {
	b, pos := d.b, d.pos
	for i := range into {
		if pos < len(b) && b[pos] < 0x80 {
			into[i] = uint64(b[pos])
			pos++
			continue
		}
		d.pos = pos
		into[i] = d.longUint()
		pos = d.pos
	}
	d.pos = pos
}

func (d *decoder) varint() int64 {
	if d.pos < len(d.b) && d.b[d.pos] < 0x80 {
		n := int64(d.b[d.pos])
		d.pos++
		return n>>1 ^ -(n & 1)
	}
	if d.pos+1 < len(d.b) && d.b[d.pos+1] < 0x80 {
		n := int64(d.b[d.pos]&0x7f) | int64(d.b[d.pos+1])<<7
		d.pos += 2
		return n>>1 ^ -(n & 1)
	}
	return d.longVarint()
}

func (d *decoder) longVarint() int64 {
	n, size := binary.Varint(d.b[d.pos:])
	if size <= 0 {
		d.fail(errShort)
		return 0
	}
	d.pos += size
	return n
}

func (d *decoder) fixed64() uint64 {
	if d.left() < 8 {
		d.fail(errShort)
		return 0
	}
	d.pos += 8
	return binary.LittleEndian.Uint64(d.b[d.pos-8:])
}

// count reads how many things follow, of at least size bytes each.
func (d *decoder) count(size int) int {
	n := d.uint()
	if n > uint64(d.left()/size) {
		d.fail(errShort)
		return 0
	}
	return int(n)
}

func (d *decoder) text() string {
	n := d.count(1)
	d.pos += n
	return string(d.b[d.pos-n : d.pos])
}

func (d *decoder) value(depth int) event.Value {
	if depth > event.MaxDepth {
		d.fail(errDepth)
		return event.Absent
	}
	switch d.byte() {
	case tagAbsent:
		return event.Absent
	case tagNull:
		return event.Null()
	case tagFalse:
		return event.Bool(false)
	case tagTrue:
		return event.Bool(true)
	case tagInt:
		return event.Int(d.varint())
	case tagUint:
		return event.Uint(d.uint())
	case tagFloat:
		return event.Float(math.Float64frombits(d.fixed64()))
	case tagString:
		return event.String(d.text())
	case tagTime:
		return event.Time(hlc.Timestamp(d.fixed64()))
	case tagList:
		return event.List(d.members(depth)...)
	case tagSet:
		return event.Set(d.members(depth)...)
	case tagMap:
		return d.mapValue(depth)
	}
	d.fail(errValue)
	return event.Absent
}

func (d *decoder) members(depth int) []event.Value {
	n := d.count(1)
	vs := make([]event.Value, 0, min(n, 1024))
	for range n {
		vs = append(vs, d.value(depth+1))
	}
	return vs
}

func (d *decoder) mapValue(depth int) event.Value {
	n := d.count(2)
	entries := make([]event.Entry, 0, min(n, 1024))
	for range n {
		k := d.value(depth + 1)
		entries = append(entries, event.Entry{Key: k, Value: d.value(depth + 1)})
	}
	return event.MapOf(event.NewMap(entries...))
}

// end makes sure that nothing is left.
func (d *decoder) end() error {
	if d.err == nil && d.left() > 0 {
		d.fail(errOverrun)
	}
	return d.err
}
