package event_test

import (
	"cmp"
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"

	"hindcast.dev/event"
)

func TestCompareIsATotalOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		vs := rapid.SliceOfN(genValue(2), 3, 3).Draw(t, "values")
		a, b, c := vs[0], vs[1], vs[2]
		if event.Compare(a, b) != -event.Compare(b, a) {
			t.Fatalf("Compare(%v, %v) = %d, the other way round %d", a, b, event.Compare(a, b), event.Compare(b, a))
		}
		if event.Compare(a, b) <= 0 && event.Compare(b, c) <= 0 && event.Compare(a, c) > 0 {
			t.Fatalf("%v <= %v <= %v, but the first is above the last", a, b, c)
		}
		if !event.Equal(a, a) {
			t.Fatalf("%v is not equal to itself", a)
		}
	})
}

// exact is the number as a rational; NaN and infinities are told apart by rank.
func exact(v event.Value) (rank int, r *big.Rat) {
	if n, ok := v.AsInt(); ok {
		return 1, new(big.Rat).SetInt64(n)
	}
	if n, ok := v.AsUint(); ok {
		return 1, new(big.Rat).SetInt(new(big.Int).SetUint64(n))
	}
	f, _ := v.AsFloat()
	switch {
	case math.IsNaN(f):
		return -1, nil
	case math.IsInf(f, -1):
		return 0, nil
	case math.IsInf(f, 1):
		return 2, nil
	}
	return 1, new(big.Rat).SetFloat64(f)
}

func TestNumbersCompareByTheirExactValue(t *testing.T) {
	number := genScalar().Filter(event.Value.IsNumber)
	rapid.Check(t, func(t *rapid.T) {
		a, b := number.Draw(t, "a"), number.Draw(t, "b")
		ra, xa := exact(a)
		rb, xb := exact(b)
		want := cmp.Compare(ra, rb)
		if want == 0 && ra == 1 {
			want = xa.Cmp(xb)
		}
		if got := event.CompareNumeric(a, b); got != want {
			t.Fatalf("CompareNumeric(%v, %v) = %d, want %d", a, b, got, want)
		}
	})
}

func TestIntsAndFloatsOfTheSameValueAreDifferentValues(t *testing.T) {
	ordered := []event.Value{event.Absent, event.Null(), event.Bool(false), event.Bool(true),
		event.Float(math.NaN()), event.Float(math.Inf(-1)), event.Int(0), event.Float(0), event.Float(math.Copysign(0, -1)),
		event.Int(1), event.Float(1), event.Uint(1 << 63), event.Float(1 << 63), event.Float(math.Inf(1)),
		event.String(""), event.String("a"), event.Time(0), event.List(), event.List(event.Int(1)), event.Set(), event.MapOf(nil)}
	for i, a := range ordered {
		for j, b := range ordered {
			if got, want := event.Compare(a, b), cmp.Compare(i, j); got != want {
				t.Errorf("Compare(%v, %v) = %d, want %d", a, b, got, want)
			}
		}
	}
}

func TestASetHoldsEachValueOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		vs := rapid.SliceOfN(genValue(1), 0, 12).Draw(t, "values")
		set := event.Set(append([]event.Value(nil), vs...)...)
		for i, m := range set.Members() {
			if i > 0 && event.Compare(set.Members()[i-1], m) >= 0 {
				t.Fatalf("members %v not strictly ascending", set)
			}
		}
		for _, v := range vs {
			found := 0
			for _, m := range set.Members() {
				if event.Equal(m, v) {
					found++
				}
			}
			if found != 1 {
				t.Fatalf("%v stands %d times in %v", v, found, set)
			}
		}
	})
}
