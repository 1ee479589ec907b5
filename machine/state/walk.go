package state

import (
	"math"
	"reflect"
	"unsafe"

	"hindcast.dev/event"
	"hindcast.dev/hlc"
	"hindcast.dev/machine"
)

// pointerIn returns the pointer that an interface holds.
func pointerIn(v any) unsafe.Pointer { return reflect.ValueOf(v).UnsafePointer() }

// containerAt returns the container of shape s that lies at p.
func (s *shape) containerAt(p unsafe.Pointer) machine.Container {
	return reflect.NewAt(s.typ, p).Interface().(machine.Container)
}

// bytesAt returns the bytes of a bytesKind or binaryKind.
func (s *shape) bytesAt(p unsafe.Pointer) []byte {
	if s.kind == bytesKind {
		return *(*[]byte)(p)
	}
	return unsafe.Slice((*byte)(p), s.typ.Len())
}

// elements returns the elements of an array or slice: where they begin and how
// many there are.
func (s *shape) elements(p unsafe.Pointer) (unsafe.Pointer, int) {
	if s.kind == arrayKind {
		return p, s.typ.Len()
	}
	// Every slice has the same header, whatever it is a slice of.
	h := *(*[]byte)(p)
	return unsafe.Pointer(unsafe.SliceData(h)), len(h)
}

// eachPair calls f for the entries of the plain map at p, in no order.
func (s *shape) eachPair(p unsafe.Pointer, f func(key, val unsafe.Pointer)) {
	key, val := reflect.New(s.key.typ), reflect.New(s.elem.typ)
	for it := reflect.NewAt(s.typ, p).Elem().MapRange(); it.Next(); {
		key.Elem().SetIterKey(it)
		val.Elem().SetIterValue(it)
		f(key.UnsafePointer(), val.UnsafePointer())
	}
}

// word reads a bool, integer or Timestamp.
func (s *shape) word(p unsafe.Pointer) uint64 {
	signed := s.kind == intKind
	switch s.typ.Size() {
	case 1:
		if signed {
			return uint64(*(*int8)(p))
		}
		return uint64(*(*uint8)(p))
	case 2:
		if signed {
			return uint64(*(*int16)(p))
		}
		return uint64(*(*uint16)(p))
	case 4:
		if signed {
			return uint64(*(*int32)(p))
		}
		return uint64(*(*uint32)(p))
	}
	return *(*uint64)(p)
}

func (s *shape) float(p unsafe.Pointer) float64 {
	if s.typ.Size() == 4 {
		return float64(*(*float32)(p))
	}
	return *(*float64)(p)
}

// hash folds in what lies at p: all of it if deep, else plain maps and slices by
// their lengths only. An empty map or slice is the same as a nil one, as it is
// after a checkpoint.
func (s *shape) hash(h Hash, p unsafe.Pointer, deep bool) Hash {
	switch s.kind {
	case boolKind, intKind, uintKind, timestampKind:
		return h.Word(s.word(p))
	case floatKind:
		return h.Float(s.float(p))
	case stringKind:
		return h.Text(*(*string)(p))
	case binaryKind:
		return h.Bytes(s.bytesAt(p))
	case bytesKind:
		if deep {
			return h.Bytes(s.bytesAt(p))
		}
		return h.Word(uint64(len(s.bytesAt(p))))
	case structKind, idKind:
		for i := range s.fields {
			h = s.fields[i].shape.hash(h, unsafe.Add(p, s.fields[i].offset), deep)
		}
		return h
	case pointerKind:
		if p = *(*unsafe.Pointer)(p); p == nil {
			return h.Word(0)
		}
		return s.elem.hash(h.Word(1), p, deep)
	case containerKind:
		return s.hashContainer(h, s.containerAt(p).Inspect())
	}
	return s.hashMany(h, p, deep)
}

// hashMany is hash for arrays, slices and plain maps.
func (s *shape) hashMany(h Hash, p unsafe.Pointer, deep bool) Hash {
	if s.kind == mapKind {
		h = h.Word(uint64(reflect.NewAt(s.typ, p).Elem().Len()))
		if !deep {
			return h
		}
		var sum Hash // a plain map has no order, and addition needs none
		s.eachPair(p, func(k, v unsafe.Pointer) { sum += s.elem.hash(s.key.hash(0, k, true), v, true) })
		return h.Word(uint64(sum))
	}
	first, n := s.elements(p)
	if s.kind == sliceKind {
		h = h.Word(uint64(n))
		if !deep {
			return h
		}
	}
	for i := range n {
		h = s.elem.hash(h, unsafe.Add(first, uintptr(i)*s.elem.typ.Size()), deep)
	}
	return h
}

// hashContainer folds in all of a container. Its entries are deep: they are
// looked at when they were touched.
func (s *shape) hashContainer(h Hash, in machine.Inspector) Hash {
	h = h.Word(uint64(in.Len())).Word(uint64(in.Base()))
	in.Each(func(k, v any) bool {
		h = s.elem.hash(s.key.hash(h, pointerIn(k), true), pointerIn(v), true)
		return true
	})
	return h
}

// settle settles the containers inside the value at p.
func (s *shape) settle(p unsafe.Pointer) {
	switch s.kind {
	case structKind:
		for i := range s.fields {
			if f := &s.fields[i]; f.shape.ordered {
				f.shape.settle(unsafe.Add(p, f.offset))
			}
		}
	case containerKind:
		in := s.containerAt(p).Inspect()
		if s.elem.ordered {
			in.Touched(func(_, v any) bool {
				if v != nil {
					s.elem.settle(pointerIn(v))
				}
				return true
			})
		}
		in.Settle()
	}
}

// value is what lies at p for people and queries.
func (s *shape) value(p unsafe.Pointer) event.Value {
	switch s.kind {
	case boolKind:
		return event.Bool(*(*bool)(p))
	case intKind:
		return event.Int(int64(s.word(p)))
	case uintKind:
		return event.Uint(s.word(p))
	case timestampKind:
		return event.Time(*(*hlc.Timestamp)(p))
	case floatKind:
		return event.Float(s.float(p))
	case stringKind:
		return event.String(*(*string)(p))
	case bytesKind, binaryKind:
		return event.String(string(s.bytesAt(p)))
	case idKind:
		return event.String((*event.MessageID)(p).String())
	case structKind:
		return s.structValue(p)
	case pointerKind:
		if p = *(*unsafe.Pointer)(p); p == nil {
			return event.Null()
		}
		return s.elem.value(p)
	case containerKind:
		return s.containerValue(s.containerAt(p).Inspect())
	case mapKind:
		var entries []event.Entry
		s.eachPair(p, func(k, v unsafe.Pointer) {
			entries = append(entries, event.Entry{Key: s.key.value(k), Value: s.elem.value(v)})
		})
		return event.MapOf(event.NewMap(entries...))
	}
	first, n := s.elements(p)
	vs := make([]event.Value, n)
	for i := range vs {
		vs[i] = s.elem.value(unsafe.Add(first, uintptr(i)*s.elem.typ.Size()))
	}
	return event.List(vs...)
}

func (s *shape) structValue(p unsafe.Pointer) event.Value {
	entries := make([]event.Entry, 0, len(s.fields))
	for i := range s.fields {
		f := &s.fields[i]
		if f.hidden {
			continue
		}
		v := event.String(Redacted)
		if !f.redact {
			v = f.shape.value(unsafe.Add(p, f.offset))
		}
		entries = append(entries, event.Entry{Key: event.String(f.name), Value: v})
	}
	return event.MapOf(event.NewMap(entries...))
}

// containerValue shows a Map as a map, a Set as a set and a List as a map from
// index to element, because its indexes are what stays.
func (s *shape) containerValue(in machine.Inspector) event.Value {
	if in.Shape() == machine.ShapeSet {
		vs := make([]event.Value, 0, in.Len())
		in.Each(func(k, _ any) bool {
			vs = append(vs, s.key.value(pointerIn(k)))
			return true
		})
		return event.Set(vs...)
	}
	entries := make([]event.Entry, 0, in.Len())
	in.Each(func(k, v any) bool {
		entries = append(entries, event.Entry{Key: s.key.value(pointerIn(k)), Value: s.elem.value(pointerIn(v))})
		return true
	})
	return event.MapOf(event.NewMap(entries...))
}

// weight counts what is in the value at p, in words and strings, and gives up
// at limit.
func (s *shape) weight(p unsafe.Pointer, limit int) int {
	switch s.kind {
	case stringKind:
		return 1 + len(*(*string)(p))/64
	case bytesKind, binaryKind:
		return 1 + len(s.bytesAt(p))/64
	case structKind:
		n := 1
		for i := 0; i < len(s.fields) && n < limit; i++ {
			n += s.fields[i].shape.weight(unsafe.Add(p, s.fields[i].offset), limit-n)
		}
		return n
	case pointerKind:
		if p = *(*unsafe.Pointer)(p); p == nil {
			return 1
		}
		return s.elem.weight(p, limit)
	case mapKind:
		n := reflect.NewAt(s.typ, p).Elem().Len()
		if n < limit {
			s.eachPair(p, func(k, v unsafe.Pointer) {
				if n < limit {
					n += s.key.weight(k, limit-n) + s.elem.weight(v, limit-n)
				}
			})
		}
		return n
	case containerKind:
		return math.MaxInt / 2 // known by what was touched, never walked
	case arrayKind, sliceKind:
		first, n := s.elements(p)
		total := min(n, limit)
		for i := 0; i < n && total < limit; i++ {
			total += s.elem.weight(unsafe.Add(first, uintptr(i)*s.elem.typ.Size()), limit-total)
		}
		return total
	}
	return 1
}
