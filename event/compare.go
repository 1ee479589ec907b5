package event

import (
	"cmp"
	"iter"
	"math"
	"math/big"
	"strings"
)

// Equal reports whether a and b are the same value: Compare is 0.
func Equal(a, b Value) bool { return Compare(a, b) == 0 }

// Compare is a total order over all Values, for sorting and for keys; it is not
// RQL's <. Types sort as listed at Type. Numbers compare exactly whatever their
// type, an int before an equal float, NaN before all others; strings by bytes;
// lists and sets member by member; maps entry by entry in key order.
func Compare(a, b Value) int {
	if a.IsNumber() && b.IsNumber() {
		return compareNumbers(a, b)
	}
	if a.typ != b.typ {
		return cmp.Compare(a.typ, b.typ)
	}
	switch a.typ {
	case TypeString:
		return strings.Compare(a.str, b.str)
	case TypeList, TypeSet:
		return compareLists(a.list, b.list)
	case TypeMap:
		return compareMaps(a.m, b.m)
	default:
		return cmp.Compare(a.num, b.num)
	}
}

func compareLists(a, b []Value) int {
	for i := range min(len(a), len(b)) {
		if c := Compare(a[i], b[i]); c != 0 {
			return c
		}
	}
	return cmp.Compare(len(a), len(b))
}

func compareMaps(a, b *Map) int {
	if a == b {
		return 0
	}
	next, stop := iter.Pull2(b.All())
	defer stop()
	for k, v := range a.All() {
		k2, v2, ok := next()
		if !ok {
			return 1
		}
		if c := cmp.Or(Compare(k, k2), Compare(v, v2)); c != 0 {
			return c
		}
	}
	return cmp.Compare(a.Len(), b.Len())
}

func compareNumbers(a, b Value) int {
	if a.typ == TypeFloat && b.typ == TypeFloat {
		// -0 is told from 0, and one NaN from another, so that equal Values are
		// identical.
		return cmp.Or(CompareNumeric(a, b), cmp.Compare(a.num, b.num))
	}
	return cmp.Or(CompareNumeric(a, b), cmp.Compare(a.typ, b.typ))
}

// CompareNumeric compares two numbers by their exact mathematical value; an int
// and a float may be equal. A NaN is before all others and equal to itself; a
// caller that wants IEEE rules tests for it first.
func CompareNumeric(a, b Value) int {
	switch {
	case a.IsInt() && b.IsInt():
		if a.typ != b.typ {
			return cmp.Compare(a.typ, b.typ) // a Uint is above every Int
		}
		if a.typ == TypeInt {
			return cmp.Compare(int64(a.num), int64(b.num))
		}
		return cmp.Compare(a.num, b.num)
	case a.IsInt():
		return -compareFloatInt(math.Float64frombits(b.num), a)
	case b.IsInt():
		return compareFloatInt(math.Float64frombits(a.num), b)
	}
	return cmp.Compare(math.Float64frombits(a.num), math.Float64frombits(b.num))
}

func compareFloatInt(f float64, n Value) int {
	switch {
	case math.IsNaN(f) || f < -1<<63:
		return -1
	case f >= 1<<64:
		return 1
	}
	// Both are within 65 bits: a big.Float of 128 holds either exactly.
	x := new(big.Float).SetPrec(128).SetFloat64(f)
	y := new(big.Float).SetPrec(128)
	if n.typ == TypeInt {
		y.SetInt64(int64(n.num))
	} else {
		y.SetUint64(n.num)
	}
	return x.Cmp(y)
}
