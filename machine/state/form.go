package state

import (
	"bytes"
	"encoding"
	"math"
	"reflect"
	"slices"
	"strconv"
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
	elem   *form       // of a pointer, array or slice
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
		if !f.addFields(t, 0, depth) || !f.sortFields() {
			return nil
		}
	case reflect.Pointer:
		f.kind = pointerKind
		if f.elem = formOf(t.Elem(), depth+1); f.elem == nil || f.elem.kind == pointerKind {
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

// addFields adds the fields of a struct that lies at offset, and reports whether
// they are of the common sort.
func (f *form) addFields(t reflect.Type, offset uintptr, depth int) bool {
	for i := range t.NumField() {
		sf := t.Field(i)
		tag := sf.Tag.Get("cbor")
		if tag == "" {
			tag = sf.Tag.Get("json")
		}
		switch {
		case sf.Name == "_":
			return false
		case sf.Anonymous:
			if tag != "" || sf.Type.Kind() != reflect.Struct || hasOwnCBOR(sf.Type) || !f.addFields(sf.Type, offset+sf.Offset, depth+1) {
				return false
			}
			continue
		case !sf.IsExported() || tag == "-":
			continue
		}
		field := formField{offset: offset + sf.Offset, form: formOf(sf.Type, depth+1)}
		if field.form == nil || !field.named(sf.Name, tag) || field.omit && !field.form.canBeEmpty() {
			return false
		}
		f.fields = append(f.fields, field)
	}
	return true
}

// named sets what the tag of a field says and reports whether that is known here.
func (x *formField) named(name, tag string) bool {
	tagged, rest, _ := strings.Cut(tag, ",")
	if tagged != "" {
		name = tagged
	}
	x.key = append(appendItem(nil, majorText, uint64(len(name))), name...)
	for rest != "" {
		var option string
		switch option, rest, _ = strings.Cut(rest, ","); option {
		case "omitempty":
			x.omit = true
		case "keyasint":
			n, err := strconv.ParseUint(name, 10, 31)
			if err != nil {
				return false
			}
			x.key = appendItem(nil, majorUint, n)
		default:
			return false
		}
	}
	return true
}

// sortFields brings the fields in the order in which they are written and reports
// whether no two have the same key.
func (f *form) sortFields() bool {
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
	case pointerKind:
		return *(*unsafe.Pointer)(p) == nil
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
	case pointerKind:
		if p = *(*unsafe.Pointer)(p); p == nil {
			return append(b, simpleNull)
		}
		return f.elem.append(b, p)
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
	case pointerKind:
		if p = *(*unsafe.Pointer)(p); p == nil {
			return 1
		}
		return f.elem.length(p)
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
// The type is no pointerShaped one.
func boxed(typ, p unsafe.Pointer) (v any) {
	*(*eface)(unsafe.Pointer(&v)) = eface{typ, p}
	return v
}

// pointerShaped reports whether an interface may hold a value of the type itself
// instead of a pointer to it: one that is as large as a pointer, and has one in it,
// in whichever field, also one that has no part in the form.
func (f *form) pointerShaped() bool {
	return f.typ.Size() == unsafe.Sizeof(uintptr(0)) && hasPointer(f.typ)
}

func hasPointer(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Pointer, reflect.Map, reflect.Chan, reflect.Func, reflect.UnsafePointer:
		return true
	case reflect.Array:
		return t.Len() > 0 && hasPointer(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			if hasPointer(t.Field(i).Type) {
				return true
			}
		}
	}
	return false
}

// dataOf returns where the value, or what the pointer points to, lies that v holds.
func dataOf(v any) unsafe.Pointer { return (*eface)(unsafe.Pointer(&v)).data }
