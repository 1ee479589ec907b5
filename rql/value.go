package rql

import (
	"cmp"
	"math"
	"math/big"
	"slices"
	"strings"

	"hindcast.dev/event"
	"hindcast.dev/hlc"
)

// A value is what an expression gives: an event.Value, of which Absent is ⊥, or
// what that can't hold, an int of any size or a set that contains such.
type value struct {
	v   event.Value
	ext *ext
}

// An ext is a value beyond event.Value; one of its fields is set.
type ext struct {
	big *big.Int // beyond int64 and uint64
	set []value  // sorted by canonical, no two equal
}

// bot is ⊥, no value.
var bot = value{}

func of(v event.Value) value       { return value{v: v} }
func ofInt(n int64) value          { return value{v: event.Int(n)} }
func ofFloat(f float64) value      { return value{v: event.Float(f)} }
func ofBool(b bool) value          { return value{v: event.Bool(b)} }
func ofString(s string) value      { return value{v: event.String(s)} }
func ofTime(t hlc.Timestamp) value { return value{v: event.Time(t)} }
func (a value) isBot() bool        { return a.v.IsAbsent() && a.ext == nil }
func (a value) isInt() bool        { return a.v.IsInt() || a.ext != nil && a.ext.big != nil }
func (a value) isTime() bool       { return a.v.Type() == event.TypeTime }
func (a value) isNumber() bool     { return a.v.IsNumber() || a.ext != nil && a.ext.big != nil }
func (a value) isNull() bool       { return a.v.Type() == event.TypeNull }
func (a value) isOwnSet() bool     { return a.ext != nil && a.ext.big == nil }
func (a value) isSmallInt() bool   { return a.ext == nil && a.v.Type() == event.TypeInt }

// float returns the float in a.
func (a value) float() (float64, bool) { return a.v.AsFloat() }

func (a value) isNaN() bool {
	f, ok := a.v.AsFloat()
	return ok && math.IsNaN(f)
}

// bigInt returns the int in a, which must be one. The result is not to be
// changed.
func (a value) bigInt() *big.Int {
	if a.ext != nil {
		return a.ext.big
	}
	if n, ok := a.v.AsInt(); ok {
		return big.NewInt(n)
	}
	n, _ := a.v.AsUint()
	return new(big.Int).SetUint64(n)
}

// ofBig returns n, in the smallest form.
func ofBig(n *big.Int) value {
	switch {
	case n.IsInt64():
		return ofInt(n.Int64())
	case n.IsUint64():
		return of(event.Uint(n.Uint64()))
	}
	return value{ext: &ext{big: n}}
}

// toFloat is the number in a as a float, rounded to the nearest.
func (a value) toFloat() float64 {
	if f, ok := a.float(); ok {
		return f
	}
	if n, ok := a.v.AsInt(); ok && a.ext == nil {
		return float64(n)
	}
	f, _ := new(big.Float).SetInt(a.bigInt()).Float64()
	return f
}

// rank is the type of a as far as equality and order see it: all numbers are one.
func (a value) rank() event.Type {
	switch {
	case a.isNumber():
		return event.TypeInt
	case a.isOwnSet():
		return event.TypeSet
	}
	return a.v.Type()
}

// members returns the members of a list or set; ok is false for other values.
func (a value) members() (ms []value, ok bool) {
	if a.isOwnSet() {
		return a.ext.set, true
	}
	if t := a.v.Type(); t != event.TypeList && t != event.TypeSet {
		return nil, false
	}
	ms = make([]value, a.v.Len())
	for i, m := range a.v.Members() {
		ms[i] = of(m)
	}
	return ms, true
}

// setOf returns the set of the members, whose slice it takes over. Of equal
// numbers the int stays.
func setOf(ms []value) value {
	slices.SortFunc(ms, func(a, b value) int { return cmp.Or(canonical(a, b), identity(a, b)) })
	ms = slices.CompactFunc(ms, func(a, b value) bool { return canonical(a, b) == 0 })
	return value{ext: &ext{set: slices.Clip(ms)}}
}

// canonical is a total order in which what RQL calls equal is equal: numbers by
// their exact value whatever their type. NaN is before all numbers and equal to
// itself here.
func canonical(a, b value) int {
	ra, rb := a.rank(), b.rank()
	if ra != rb {
		return cmp.Compare(ra, rb)
	}
	switch ra {
	case event.TypeInt:
		return compareNumbers(a, b)
	case event.TypeString:
		return strings.Compare(a.v.AsString(), b.v.AsString())
	case event.TypeList:
		return compareLists(a, b)
	case event.TypeSet:
		return compareLists(normalSet(a), normalSet(b))
	case event.TypeMap:
		return compareMaps(a.v.AsMap(), b.v.AsMap())
	}
	return event.Compare(a.v, b.v)
}

// normalSet makes sets that hold 1 and 1.0 compare as the set of one number.
func normalSet(a value) value {
	if a.isOwnSet() {
		return a
	}
	ms, _ := a.members()
	return setOf(ms)
}

// identity tells apart what canonical calls equal: an int from a float.
func identity(a, b value) int {
	if a.ext != nil || b.ext != nil {
		return 0
	}
	return event.Compare(a.v, b.v)
}

func compareLists(a, b value) int {
	x, _ := a.members()
	y, _ := b.members()
	return slices.CompareFunc(x, y, canonical)
}

func compareMaps(a, b *event.Map) int {
	if a == b {
		return 0
	}
	entries := func(m *event.Map) (out []event.Entry) {
		for k, v := range m.All() {
			out = append(out, event.Entry{Key: k, Value: v})
		}
		return out
	}
	return slices.CompareFunc(entries(a), entries(b), func(x, y event.Entry) int {
		return cmp.Or(canonical(of(x.Key), of(y.Key)), canonical(of(x.Value), of(y.Value)))
	})
}

// compareNumbers compares two numbers exactly; NaN comes first.
func compareNumbers(a, b value) int {
	if a.ext == nil && b.ext == nil {
		return event.CompareNumeric(a.v, b.v)
	}
	if f, ok := a.float(); ok {
		return compareFloatBig(f, b.bigInt())
	}
	if f, ok := b.float(); ok {
		return -compareFloatBig(f, a.bigInt())
	}
	return a.bigInt().Cmp(b.bigInt())
}

func compareFloatBig(f float64, n *big.Int) int {
	if math.IsNaN(f) {
		return -1
	}
	if math.IsInf(f, 0) {
		return cmp.Compare(f, 0)
	}
	x := new(big.Float).SetFloat64(f)
	return x.Cmp(new(big.Float).SetPrec(uint(max(n.BitLen(), 1))).SetInt(n))
}

// shown is a as it goes into a row; ok is false for an int, on its own or within,
// that doesn't fit.
func (a value) shown() (v event.Value, ok bool) {
	switch {
	case a.ext == nil:
		return a.v, true
	case a.ext.big != nil:
		return event.Absent, false
	}
	out := make([]event.Value, len(a.ext.set))
	for i, m := range a.ext.set {
		if out[i], ok = m.shown(); !ok {
			return event.Absent, false
		}
	}
	return event.Set(out...), true
}
