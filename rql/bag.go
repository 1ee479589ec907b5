package rql

import (
	"cmp"
	"math"
	"math/big"

	"hindcast.dev/event"
	"hindcast.dev/rql/plan"
)

// A bag holds what aggregates need of a collection's members, and takes members
// in and out one by one. The zero bag is empty. A sum is exact whatever the
// order, also of floats: it is rounded once, when it is asked for.
type bag struct {
	count   int
	sum     sum
	numbers int // NaNs too
	nans    int
	strings int
	times   int
	least   extreme
	most    extreme
}

// An extreme is the least or greatest member that has an order.
type extreme struct {
	v     value
	times int  // how often it is there; 0: none is
	stale bool // it went, and the others weren't kept: they must be put in again
}

// outward is the order of extremes; it tells equal numbers of different types
// apart, so that the answer doesn't depend on the order of nodes.
func outward(a, b value) int { return cmp.Or(canonical(a, b), identity(a, b)) }

func (x *extreme) add(v value, sign int) {
	if x.stale {
		return
	}
	c := 1
	if x.times > 0 {
		c = sign * outward(v, x.v)
	}
	switch {
	case c > 0:
		x.v, x.times = v, 1
	case c == 0:
		x.times++
	}
}

func (x *extreme) remove(v value) {
	if x.stale || x.times == 0 || outward(v, x.v) != 0 {
		return
	}
	x.times--
	x.stale = x.times == 0
}

// tell counts v's type and reports whether it has an order.
func (b *bag) tell(v value, by int) bool {
	b.count += by
	switch v.rank() {
	case event.TypeInt:
		b.numbers += by
		if v.isNaN() {
			b.nans += by
			return false
		}
	case event.TypeString:
		b.strings += by
	case event.TypeTime:
		b.times += by
	default:
		return false
	}
	return true
}

func (b *bag) add(v value) {
	if b.tell(v, 1) {
		b.least.add(v, -1)
		b.most.add(v, 1)
	}
	b.sum.add(v, 1)
}

func (b *bag) remove(v value) {
	if b.tell(v, -1) {
		b.least.remove(v)
		b.most.remove(v)
	}
	b.sum.add(v, -1)
}

// merge adds all members of o.
func (b *bag) merge(o *bag) {
	b.count += o.count
	b.numbers += o.numbers
	b.nans += o.nans
	b.strings += o.strings
	b.times += o.times
	b.sum.merge(&o.sum)
	if o.least.times > 0 {
		b.least.add(o.least.v, -1)
	}
	if o.most.times > 0 {
		b.most.add(o.most.v, 1)
	}
}

// result is an aggregate of the members.
func (b *bag) result(op plan.AggOp) value {
	switch op {
	case plan.AggCount:
		return ofInt(int64(b.count))
	case plan.AggSum:
		if b.numbers != b.count {
			return bot
		}
		return b.sum.total()
	case plan.AggAvg:
		if b.numbers != b.count || b.count == 0 {
			return bot
		}
		return b.sum.average(b.count)
	}
	x := &b.most
	if op == plan.AggMin {
		x = &b.least
	}
	switch {
	case b.count == 0 || b.count != b.numbers && b.count != b.strings && b.count != b.times:
		return bot
	case b.nans > 0:
		return ofFloat(math.NaN())
	}
	return x.v
}

// A sum is an exact sum of numbers. Other values don't count.
type sum struct {
	small  int64    // together with big, the sum of the ints
	big    *big.Int // nil is 0
	floats int      // how many finite floats
	exact  *big.Int // their sum, in units of 2⁻¹⁰⁷⁴
	nan    int      // how many of each
	plus   int
	minus  int
}

// floatUnit is the exponent of the least float.
const floatUnit = 1074

// add adds v by times; by is 1 or -1.
func (s *sum) add(v value, by int64) {
	if v.isSmallInt() {
		n, _ := v.v.AsInt()
		if next, ok := smallArith(addition(by), s.small, n); ok {
			s.small, _ = next.v.AsInt()
			return
		}
	}
	if v.isInt() {
		s.addBig(new(big.Int).Mul(v.bigInt(), big.NewInt(by)))
		return
	}
	f, ok := v.float()
	switch {
	case !ok:
	case math.IsNaN(f):
		s.nan += int(by)
	case math.IsInf(f, 1):
		s.plus += int(by)
	case math.IsInf(f, -1):
		s.minus += int(by)
	default:
		s.floats += int(by)
		s.addExact(units(f), by)
	}
}

func (s *sum) addBig(n *big.Int) {
	if s.big == nil {
		s.big = new(big.Int)
	}
	s.big.Add(s.big, n)
}

func (s *sum) addExact(n *big.Int, by int64) {
	if s.exact == nil {
		s.exact = new(big.Int)
	}
	if by < 0 {
		s.exact.Sub(s.exact, n)
	} else {
		s.exact.Add(s.exact, n)
	}
}

// units is f in units of the least float.
func units(f float64) *big.Int {
	mantissa, exponent := math.Frexp(f)
	n := big.NewInt(int64(mantissa * (1 << 53)))
	shift := exponent - 53 + floatUnit
	if shift >= 0 {
		return n.Lsh(n, uint(shift))
	}
	return n.Rsh(n, uint(-shift)) // a subnormal: what goes is zeros
}

func (s *sum) merge(o *sum) {
	if n := s.small + o.small; (n > s.small) == (o.small > 0) {
		s.small = n
	} else {
		s.addBig(big.NewInt(o.small))
	}
	if o.big != nil {
		s.addBig(o.big)
	}
	if o.exact != nil {
		s.addExact(o.exact, 1)
	}
	s.floats += o.floats
	s.nan += o.nan
	s.plus += o.plus
	s.minus += o.minus
}

func (s *sum) ints() *big.Int {
	n := big.NewInt(s.small)
	if s.big != nil {
		n.Add(n, s.big)
	}
	return n
}

// special is the sum if it is NaN or infinite.
func (s *sum) special() (value, bool) {
	switch {
	case s.nan > 0 || s.plus > 0 && s.minus > 0:
		return ofFloat(math.NaN()), true
	case s.plus > 0:
		return ofFloat(math.Inf(1)), true
	case s.minus > 0:
		return ofFloat(math.Inf(-1)), true
	}
	return bot, false
}

// ratio is the exact sum of all finite numbers.
func (s *sum) ratio() *big.Rat {
	n := s.ints()
	if s.floats == 0 {
		return new(big.Rat).SetInt(n)
	}
	n.Lsh(n, floatUnit)
	n.Add(n, s.exact)
	return new(big.Rat).SetFrac(n, new(big.Int).Lsh(big.NewInt(1), floatUnit))
}

func (s *sum) total() value {
	if v, ok := s.special(); ok {
		return v
	}
	switch {
	case s.floats > 0:
		f, _ := s.ratio().Float64()
		return ofFloat(f)
	case s.big == nil || s.big.Sign() == 0:
		return ofInt(s.small)
	}
	return ofBig(s.ints())
}

func (s *sum) average(n int) value {
	if v, ok := s.special(); ok {
		return v
	}
	r := s.ratio()
	f, _ := r.Quo(r, new(big.Rat).SetInt64(int64(n))).Float64()
	return ofFloat(f)
}
