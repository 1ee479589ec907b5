package event

import (
	"cmp"
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
		return compareLists(a.Members(), b.Members())
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

// compareMaps costs what differs, not what is there, where one map was made from
// the other: subtrees that both share are passed over whole.
func compareMaps(a, b *Map) int {
	if a == b {
		return 0
	}
	x, y := a.todo(), b.todo()
	for len(x) > 0 && len(y) > 0 {
		p, q := x[len(x)-1], y[len(y)-1]
		switch {
		case p.sub != nil && p.sub == q.sub:
			x, y = x[:len(x)-1], y[:len(y)-1]
		case p.sub != nil && p.sub.len() >= q.sub.len():
			x = p.expand(x)
		case q.sub != nil:
			y = q.expand(y)
		default:
			if c := cmp.Or(Compare(p.entry.Key, q.entry.Key), Compare(p.entry.Value, q.entry.Value)); c != 0 {
				return c
			}
			x, y = x[:len(x)-1], y[:len(y)-1]
		}
	}
	return cmp.Compare(len(x), len(y))
}

// A todo is a part of a map still to be compared: a subtree, or one entry.
type todo struct {
	sub   *node
	entry *Entry
}

// todo returns the whole map as a stack, what comes first on top.
func (m *Map) todo() []todo {
	if m == nil {
		return nil
	}
	if m.root != nil {
		return append(make([]todo, 0, 16), todo{sub: m.root})
	}
	stack := make([]todo, 0, len(m.small))
	for i := len(m.small) - 1; i >= 0; i-- {
		stack = append(stack, todo{entry: &m.small[i]})
	}
	return stack
}

// expand replaces t, the top of the stack and a subtree, by its parts.
func (t todo) expand(stack []todo) []todo {
	stack = stack[:len(stack)-1]
	if t.sub.right != nil {
		stack = append(stack, todo{sub: t.sub.right})
	}
	stack = append(stack, todo{entry: &t.sub.entry})
	if t.sub.left != nil {
		stack = append(stack, todo{sub: t.sub.left})
	}
	return stack
}

func compareNumbers(a, b Value) int {
	if a.typ == TypeFloat && b.typ == TypeFloat {
		// -0 is told from 0, so that equal Values are identical.
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
