package event

import (
	"math"
	"slices"

	"hindcast.dev/hlc"
)

// A Type is the type of a Value.
type Type uint8

// The types of Value, in the order in which Compare sorts values of different
// types; Int, Uint and Float are one type there: numbers.
const (
	TypeAbsent Type = iota // no value: never set, deleted, or ⊥
	TypeNull
	TypeBool
	TypeInt   // an int64
	TypeUint  // an int above the int64 range, up to 2⁶⁴-1; smaller ones are TypeInt
	TypeFloat // a float64
	TypeString
	TypeTime // an hlc.Timestamp
	TypeList
	TypeSet
	TypeMap
)

var typeNames = [...]string{"absent", "null", "bool", "int", "int", "float", "string", "time", "list", "set", "map"}

// String is the type's name in RQL; Uint is an int there.
func (t Type) String() string { return typeNames[t] }

// A Value is what a variable holds: immutable, copied by assignment, its zero
// value is Absent. Lists, sets and maps share their content between copies.
type Value struct {
	typ  Type
	num  uint64 // bool, int, uint, float bits, time
	str  string
	list *[]Value // list: as given; set: sorted, no two equal; by pointer to keep Values small
	m    *Map
}

// Absent is the Value of a variable that isn't there.
var Absent = Value{}

// Null returns the null of RQL, a value of its own type.
func Null() Value { return Value{typ: TypeNull} }

// Bool returns b as a Value.
func Bool(b bool) Value {
	if b {
		return Value{typ: TypeBool, num: 1}
	}
	return Value{typ: TypeBool}
}

// Int returns n as a Value.
func Int(n int64) Value { return Value{typ: TypeInt, num: uint64(n)} }

// Uint returns n as a Value, of TypeInt where it fits.
func Uint(n uint64) Value {
	if n <= math.MaxInt64 {
		return Value{typ: TypeInt, num: n}
	}
	return Value{typ: TypeUint, num: n}
}

// Float returns f as a Value. There is one NaN: its other bits are not kept.
func Float(f float64) Value {
	if f != f {
		f = math.NaN()
	}
	return Value{typ: TypeFloat, num: math.Float64bits(f)}
}

// String returns s as a Value. s may hold any bytes.
func String(s string) Value { return Value{typ: TypeString, str: s} }

// Time returns t as a Value.
func Time(t hlc.Timestamp) Value { return Value{typ: TypeTime, num: uint64(t)} }

// List returns a list of the values, whose slice it takes over.
func List(vs ...Value) Value { return Value{typ: TypeList, list: &vs} }

// Set returns the set of the values, whose slice it takes over and sorts.
func Set(vs ...Value) Value {
	slices.SortFunc(vs, Compare)
	vs = slices.CompactFunc(vs, Equal)
	return Value{typ: TypeSet, list: &vs}
}

// MapOf returns m as a Value; nil is the empty map.
func MapOf(m *Map) Value { return Value{typ: TypeMap, m: m} }

// Type returns the value's type.
func (v Value) Type() Type { return v.typ }

// IsAbsent reports whether there is no value.
func (v Value) IsAbsent() bool { return v.typ == TypeAbsent }

// IsNumber reports whether v is an int or a float.
func (v Value) IsNumber() bool { return v.typ >= TypeInt && v.typ <= TypeFloat }

// IsInt reports whether v is an int, of any size.
func (v Value) IsInt() bool { return v.typ == TypeInt || v.typ == TypeUint }

// AsBool returns the bool in v, false for other types.
func (v Value) AsBool() bool { return v.typ == TypeBool && v.num == 1 }

// AsInt returns the int64 in v; ok is false for other types and for ints beyond
// it.
func (v Value) AsInt() (n int64, ok bool) { return int64(v.num), v.typ == TypeInt }

// AsUint returns the int in v if it is in [0, 2⁶⁴).
func (v Value) AsUint() (n uint64, ok bool) {
	return v.num, v.typ == TypeUint || v.typ == TypeInt && int64(v.num) >= 0
}

// AsFloat returns the float64 in v; ok is false for other types, ints included.
func (v Value) AsFloat() (f float64, ok bool) {
	return math.Float64frombits(v.num), v.typ == TypeFloat
}

// AsString returns the string in v, "" for other types.
func (v Value) AsString() string { return v.str }

// AsTime returns the Timestamp in v, 0 for other types.
func (v Value) AsTime() hlc.Timestamp {
	if v.typ != TypeTime {
		return 0
	}
	return hlc.Timestamp(v.num)
}

// Members returns the members of a list, or of a set in order; nil for other
// types. The caller must not change the slice.
func (v Value) Members() []Value {
	if v.list == nil {
		return nil
	}
	return *v.list
}

// AsMap returns the map in v, nil for other types and for the empty map; a nil
// *Map reads as empty.
func (v Value) AsMap() *Map { return v.m }

// Len returns the number of members or entries, or the bytes of a string.
func (v Value) Len() int {
	switch v.typ {
	case TypeString:
		return len(v.str)
	case TypeMap:
		return v.m.Len()
	default:
		return len(v.Members())
	}
}

// Index returns a map's entry or a list's element (an int key, from 0), Absent
// if there is none.
func (v Value) Index(key Value) Value {
	switch v.typ {
	case TypeMap:
		return v.m.Get(key)
	case TypeList:
		if i, ok := key.AsInt(); ok && i >= 0 && i < int64(v.Len()) {
			return v.Members()[i]
		}
	}
	return Absent
}

// Field returns a map's entry under the string key name.
func (v Value) Field(name string) Value {
	if v.m != nil && v.m.root == nil {
		return v.m.field(name)
	}
	return v.Index(String(name))
}
