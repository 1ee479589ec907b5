package state

import (
	"bytes"
	"math"
	"reflect"
	"unsafe"
)

// sharedMax is up to which length the strings of a payload share one copy of it.
// Who keeps one of them keeps all; of a longer payload that could be too much.
const sharedMax = 256

// A reading is a payload being read by its form.
type reading struct {
	b    []byte // what is left
	all  []byte
	text string // a copy of all, once a string was met; "" if it is too long
}

// decode sets the zero value at p to what b holds and reports whether the form
// takes it. If not, what is at p is of no use.
func (f *form) decode(b []byte, p unsafe.Pointer) bool {
	r := reading{b: b, all: b}
	return f.read(&r, p) && len(r.b) == 0
}

// item takes the head of an item.
func (r *reading) item() (major byte, n uint64, ok bool) {
	if len(r.b) == 0 {
		return 0, 0, false
	}
	major, n = r.b[0]&0xe0, uint64(r.b[0]&0x1f)
	r.b = r.b[1:]
	if n < 24 {
		return major, n, true
	}
	width := 1 << (n - 24)
	if n > 27 || len(r.b) < width {
		return 0, 0, false
	}
	n = 0
	for _, c := range r.b[:width] {
		n = n<<8 | uint64(c)
	}
	r.b = r.b[width:]
	return major, n, true
}

// null takes a null, if there is one.
func (r *reading) null() bool {
	if len(r.b) == 0 || r.b[0] != simpleNull {
		return false
	}
	r.b = r.b[1:]
	return true
}

// read sets the zero value at p.
func (f *form) read(r *reading, p unsafe.Pointer) bool {
	switch f.kind {
	case boolKind:
		if len(r.b) == 0 || r.b[0] != simpleFalse && r.b[0] != simpleTrue {
			return false
		}
		*(*bool)(p) = r.b[0] == simpleTrue
		r.b = r.b[1:]
		return true
	case structKind:
		return f.readStruct(r, p)
	case sliceKind, bytesKind, pointerKind:
		if r.null() {
			return true
		}
		if f.kind == pointerKind {
			v := reflect.New(f.elem.typ).UnsafePointer()
			*(*unsafe.Pointer)(p) = v
			return f.elem.read(r, v)
		}
	}
	major, n, ok := r.item()
	if !ok {
		return false
	}
	switch f.kind {
	case uintKind:
		return major == majorUint && setWord(p, f.size, n, math.MaxUint64>>(64-8*f.size))
	case intKind:
		limit := uint64(math.MaxInt64) >> (64 - 8*f.size)
		if major == majorInt {
			return n <= limit && setWord(p, f.size, ^n, math.MaxUint64)
		}
		return major == majorUint && setWord(p, f.size, n, limit)
	case stringKind:
		return major == majorText && r.readText(n, (*string)(p))
	case bytesKind:
		if major != majorBytes || n > uint64(len(r.b)) {
			return false
		}
		*(*[]byte)(p) = append(make([]byte, 0, n), r.b[:n]...)
		r.b = r.b[n:]
		return true
	}
	return major == majorArray && f.readElements(r, p, n)
}

func (r *reading) readText(n uint64, to *string) bool {
	if n > uint64(len(r.b)) {
		return false
	}
	if n > 0 {
		if r.text == "" && len(r.all) <= sharedMax {
			r.text = string(r.all)
		}
		if r.text != "" {
			at := len(r.all) - len(r.b)
			*to = r.text[at : at+int(n)]
		} else {
			*to = string(r.b[:n])
		}
	}
	r.b = r.b[n:]
	return true
}

// readStruct takes fields in the order in which they are written.
func (f *form) readStruct(r *reading, p unsafe.Pointer) bool {
	major, n, ok := r.item()
	if !ok || major != majorMap || n > uint64(len(f.fields)) {
		return false
	}
	next := 0
	for range n {
		for next < len(f.fields) && !bytes.HasPrefix(r.b, f.fields[next].key) {
			next++
		}
		if next == len(f.fields) {
			return false
		}
		x := &f.fields[next]
		r.b = r.b[len(x.key):]
		if !x.form.read(r, unsafe.Add(p, x.offset)) {
			return false
		}
		next++
	}
	return true
}

// readElements reads n elements of an array, or of a slice that it makes.
func (f *form) readElements(r *reading, p unsafe.Pointer, n uint64) bool {
	switch {
	case n > uint64(min(len(r.b), payloadElementsMax)): // each has a byte at least
		return false
	case f.kind == arrayKind:
		if n != uint64(f.typ.Len()) {
			return false
		}
	case n == 0:
		*(*[]byte)(p) = []byte{}
	default:
		v := reflect.NewAt(f.typ, p).Elem()
		v.Grow(int(n))
		v.SetLen(int(n))
		p = v.UnsafePointer()
	}
	for i := range int(n) {
		if !f.elem.read(r, unsafe.Add(p, uintptr(i)*f.elem.size)) {
			return false
		}
	}
	return true
}
