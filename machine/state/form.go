package state

import (
	"bytes"
	"encoding"
	"math"
	"reflect"
	"slices"
	"strings"
	"unsafe"

	"github.com/fxamacker/cbor/v2"
)

// A form is how the values of a type stand in CBOR, compiled once, so that
// neither direction looks at types again. It is a fast way to the same end: it
// writes byte for byte what the general encoder writes, and what it reads the
// general decoder reads as the same. A type with anything out of the ordinary has
// no form, and an input with anything out of the ordinary is not taken by one;
// both are left to the general codec, which alone knows all the rules.
type form struct {
	kind   kind // timestamps and ids are what they are made of
	typ    reflect.Type
	size   uintptr
	elem   *form       // of an array or slice
	fields []formField // of a struct, in the order in which they are written
	whole  []byte      // of a struct that leaves nothing out: its head
}

type formField struct {
	key    []byte // encoded
	offset uintptr
	form   *form
	omit   bool // if empty
}

// formDepthMax is how deep a form nests, well within the limits of a decoder.
const formDepthMax = 8

// Major types of CBOR, in the high bits of an item's first byte; and those of
// the simple values that matter.
const (
	majorUint   = 0 << 5
	majorInt    = 1 << 5
	majorBytes  = 2 << 5
	majorText   = 3 << 5
	majorArray  = 4 << 5
	majorMap    = 5 << 5
	simpleFalse = 0xf4
	simpleTrue  = 0xf5
	simpleNull  = 0xf6
)

// formOf returns the form of a type, nil if it has none.
func formOf(t reflect.Type, depth int) *form {
	if depth > formDepthMax || hasOwnCBOR(t) {
		return nil
	}
	f := &form{typ: t, size: t.Size()}
	switch t.Kind() {
	case reflect.Bool:
		f.kind = boolKind
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		f.kind = intKind
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		f.kind = uintKind
	case reflect.String:
		f.kind = stringKind
	case reflect.Struct:
		f.kind = structKind
		if !f.addFields(depth) {
			return nil
		}
	case reflect.Slice, reflect.Array:
		f.kind = arrayKind
		if t.Kind() == reflect.Slice {
			f.kind = sliceKind
		}
		if f.elem = formOf(t.Elem(), depth+1); f.elem == nil {
			return nil
		}
		if t.Elem().Kind() == reflect.Uint8 {
			if t.Kind() == reflect.Array {
				return nil
			}
			f.kind = bytesKind
		}
	default:
		return nil
	}
	return f
}

// hasOwnCBOR reports whether the general codec treats a type in a way of its own.
func hasOwnCBOR(t reflect.Type) bool {
	for _, own := range [...]reflect.Type{reflect.TypeFor[cbor.Marshaler](), reflect.TypeFor[cbor.Unmarshaler](),
		reflect.TypeFor[encoding.BinaryMarshaler](), reflect.TypeFor[encoding.BinaryUnmarshaler]()} {
		if reflect.PointerTo(t).Implements(own) {
			return true
		}
	}
	return strings.HasPrefix(t.PkgPath(), "github.com/fxamacker/") || t == timeType || t.PkgPath() == "math/big"
}

// addFields reports whether every field of a struct is of the common sort.
func (f *form) addFields(depth int) bool {
	for i := range f.typ.NumField() {
		sf := f.typ.Field(i)
		tag := sf.Tag.Get("cbor")
		if tag == "" {
			tag = sf.Tag.Get("json")
		}
		if sf.Anonymous || sf.Name == "_" {
			return false
		}
		if !sf.IsExported() || tag == "-" {
			continue
		}
		name, options, _ := strings.Cut(tag, ",")
		if name == "" {
			name = sf.Name
		}
		field := formField{key: append(appendItem(nil, majorText, uint64(len(name))), name...), offset: sf.Offset,
			form: formOf(sf.Type, depth+1), omit: options == "omitempty"}
		if field.form == nil || options != "" && !field.omit || field.omit && !field.form.canBeEmpty() {
			return false
		}
		f.fields = append(f.fields, field)
	}
	slices.SortFunc(f.fields, func(a, b formField) int { return bytes.Compare(a.key, b.key) })
	f.whole = appendItem(nil, majorMap, uint64(len(f.fields)))
	for i := range f.fields {
		if f.fields[i].omit {
			f.whole = nil
		}
		if i > 0 && bytes.Equal(f.fields[i-1].key, f.fields[i].key) {
			return false
		}
	}
	return true
}

func (f *form) canBeEmpty() bool { return f.kind != structKind && f.kind != arrayKind }

// empty reports what `omitempty` means by it.
func (f *form) empty(p unsafe.Pointer) bool {
	switch f.kind {
	case stringKind:
		return *(*string)(p) == ""
	case bytesKind, sliceKind:
		return len(*(*[]byte)(p)) == 0
	}
	return wordAt(p, f.size, false) == 0
}

// appendItem appends the head of an item: its major type and its number, in the
// shortest way.
func appendItem(b []byte, major byte, n uint64) []byte {
	switch {
	case n < 24:
		return append(b, major|byte(n))
	case n <= math.MaxUint8:
		return append(b, major|24, byte(n))
	case n <= math.MaxUint16:
		return append(b, major|25, byte(n>>8), byte(n))
	case n <= math.MaxUint32:
		return append(b, major|26, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	}
	return append(b, major|27, byte(n>>56), byte(n>>48), byte(n>>40), byte(n>>32), byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
}

// append appends the value at p.
func (f *form) append(b []byte, p unsafe.Pointer) []byte {
	switch f.kind {
	case boolKind:
		return append(b, simpleFalse|*(*byte)(p))
	case uintKind:
		return appendItem(b, majorUint, wordAt(p, f.size, false))
	case intKind:
		if n := int64(wordAt(p, f.size, true)); n < 0 {
			return appendItem(b, majorInt, uint64(^n))
		} else {
			return appendItem(b, majorUint, uint64(n))
		}
	case stringKind:
		s := *(*string)(p)
		return append(appendItem(b, majorText, uint64(len(s))), s...)
	case bytesKind:
		s := *(*[]byte)(p)
		if s == nil {
			return append(b, simpleNull)
		}
		return append(appendItem(b, majorBytes, uint64(len(s))), s...)
	case structKind:
		return f.appendStruct(b, p)
	}
	if f.kind == sliceKind && *(*[]byte)(p) == nil {
		return append(b, simpleNull)
	}
	p, n := f.elements(p)
	b = appendItem(b, majorArray, uint64(n))
	for i := range n {
		b = f.elem.append(b, unsafe.Add(p, uintptr(i)*f.elem.size))
	}
	return b
}

func (f *form) appendStruct(b []byte, p unsafe.Pointer) []byte {
	if f.whole != nil {
		b = append(b, f.whole...)
	} else {
		n := 0
		for i := range f.fields {
			if x := &f.fields[i]; !x.omit || !x.form.empty(unsafe.Add(p, x.offset)) {
				n++
			}
		}
		b = appendItem(b, majorMap, uint64(n))
	}
	for i := range f.fields {
		x := &f.fields[i]
		at := unsafe.Add(p, x.offset)
		if !x.omit || !x.form.empty(at) {
			b = x.form.append(append(b, x.key...), at)
		}
	}
	return b
}

// encode returns the value at p in CBOR, in a slice of its length.
func (f *form) encode(p unsafe.Pointer) []byte { return f.append(make([]byte, 0, f.length(p)), p) }

// length is how many bytes append will append.
func (f *form) length(p unsafe.Pointer) int {
	switch f.kind {
	case boolKind:
		return 1
	case uintKind:
		return itemLength(wordAt(p, f.size, false))
	case intKind:
		n := int64(wordAt(p, f.size, true))
		return itemLength(uint64(n ^ n>>63))
	case stringKind, bytesKind:
		n := len(*(*string)(p)) // a slice's length is in the same place
		return itemLength(uint64(n)) + n
	case structKind:
		total := itemLength(uint64(len(f.fields)))
		for i := range f.fields {
			x := &f.fields[i]
			if at := unsafe.Add(p, x.offset); !x.omit || !x.form.empty(at) {
				total += len(x.key) + x.form.length(at)
			}
		}
		return total
	}
	p, n := f.elements(p)
	total := itemLength(uint64(n))
	for i := range n {
		total += f.elem.length(unsafe.Add(p, uintptr(i)*f.elem.size))
	}
	return total
}

// elements returns where the elements of an array or slice lie, and how many
// there are.
func (f *form) elements(p unsafe.Pointer) (unsafe.Pointer, int) {
	if f.kind == arrayKind {
		return p, f.typ.Len()
	}
	s := *(*[]byte)(p) // every slice has the same header
	return unsafe.Pointer(unsafe.SliceData(s)), len(s)
}

func itemLength(n uint64) int {
	switch {
	case n < 24:
		return 1
	case n <= math.MaxUint8:
		return 2
	case n <= math.MaxUint16:
		return 3
	case n <= math.MaxUint32:
		return 5
	}
	return 9
}

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
	case sliceKind, bytesKind:
		if r.null() {
			return true
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

// wordAt reads a bool or integer of size bytes.
func wordAt(p unsafe.Pointer, size uintptr, signed bool) uint64 {
	switch {
	case size == 8:
		return *(*uint64)(p)
	case size == 4 && signed:
		return uint64(*(*int32)(p))
	case size == 4:
		return uint64(*(*uint32)(p))
	case size == 2 && signed:
		return uint64(*(*int16)(p))
	case size == 2:
		return uint64(*(*uint16)(p))
	case signed:
		return uint64(*(*int8)(p))
	}
	return uint64(*(*uint8)(p))
}

// setWord writes the low size bytes of n, if it is at most limit.
func setWord(p unsafe.Pointer, size uintptr, n, limit uint64) bool {
	if n > limit {
		return false
	}
	switch size {
	case 8:
		*(*uint64)(p) = n
	case 4:
		*(*uint32)(p) = uint32(n)
	case 2:
		*(*uint16)(p) = uint16(n)
	default:
		*(*uint8)(p) = uint8(n)
	}
	return true
}

// An eface is an interface value without methods, as it lies in memory.
type eface struct {
	typ  unsafe.Pointer
	data unsafe.Pointer
}

// typeWord is the first half of every interface value that holds a t.
func typeWord(t reflect.Type) unsafe.Pointer {
	v := reflect.Zero(t).Interface()
	return (*eface)(unsafe.Pointer(&v)).typ
}

// boxed returns the value at p, which nobody writes to any more, as an interface.
// Its type has a form; a type of which the interface would hold the value itself
// instead of a pointer to it (a pointer, a map) has none.
func boxed(typ, p unsafe.Pointer) (v any) {
	*(*eface)(unsafe.Pointer(&v)) = eface{typ, p}
	return v
}

// dataOf returns where the value, or what the pointer points to, lies that v holds.
func dataOf(v any) unsafe.Pointer { return (*eface)(unsafe.Pointer(&v)).data }
