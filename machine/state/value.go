package state

import (
	"reflect"
	"unsafe"

	"hindcast.dev/event"
)

// ValueOf returns v for people and queries: structs and maps as maps, slices as
// lists, bytes as strings, Timestamps as times, message ids as their text,
// durations as nanoseconds. Names and tags are those of variables. It fails for
// types that can't be recorded. It compiles v's type every time; a Codec and a
// Plan do so once.
func ValueOf(v any) (event.Value, error) {
	t := reflect.TypeOf(v)
	if t == nil {
		return event.Null(), nil
	}
	s, err := newCompiler(nil).compile(t, t.String())
	if err != nil {
		return event.Absent, err
	}
	p := reflect.New(t)
	p.Elem().Set(reflect.ValueOf(v))
	return s.value(p.UnsafePointer()), nil
}

// Value returns a payload for people and queries. What can't be decoded is shown
// as a string of its bytes, an empty payload without a name is Absent.
func (c *Codec) Value(name string, version uint32, b []byte) event.Value {
	if name == "" && len(b) == 0 {
		return event.Absent
	}
	body, err := c.Decode(name, version, b)
	if body == nil || err != nil {
		return event.String(string(b))
	}
	v := reflect.ValueOf(body)
	if v.Kind() != reflect.Pointer {
		p := reflect.New(v.Type())
		p.Elem().Set(v)
		v = p
	}
	return c.byName[name].shape.value(v.UnsafePointer())
}

func addressIn(v reflect.Value, offset uintptr) unsafe.Pointer {
	return unsafe.Add(v.Addr().UnsafePointer(), offset)
}
