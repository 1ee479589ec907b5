package rql

import (
	"math"
	"math/big"
	"math/bits"

	"hindcast.dev/event"
	"hindcast.dev/hlc"
	"hindcast.dev/rql/syntax"
)

// maxIntBits bounds the ints of intermediate results, so that a short query
// can't ask for one that fills the memory. What would be longer is ⊥.
const maxIntBits = 1 << 16

// arith is a op b for + - * / %. A fault is what to count if the result is ⊥
// for another reason than a ⊥ operand.
func arith(op syntax.Op, a, b value) (value, Fault) {
	switch {
	case a.isBot() || b.isBot():
		return bot, ""
	case a.isTime() || b.isTime():
		return timeArith(op, a, b)
	case !a.isNumber() || !b.isNumber():
		return bot, FaultArithmetic
	case a.isInt() && b.isInt():
		return intArith(op, a, b)
	}
	return floatArith(op, a.toFloat(), b.toFloat())
}

// timeArith is the seconds between two times, or a time that is moved by seconds.
// It is the clock's physical part that counts; seconds are cut down to its ticks.
func timeArith(op syntax.Op, a, b value) (value, Fault) {
	switch {
	case op == syntax.Sub && a.isTime() && b.isTime():
		return ofFloat(seconds(a.v.AsTime()) - seconds(b.v.AsTime())), ""
	case op == syntax.Add && b.isTime():
		a, b = b, a
	case op != syntax.Add && op != syntax.Sub:
		return bot, FaultArithmetic
	}
	if !a.isTime() || !b.isNumber() {
		return bot, FaultArithmetic
	}
	ticks := math.Trunc(b.toFloat() * hlc.TicksPerSecond)
	if op == syntax.Sub {
		ticks = -ticks
	}
	t := a.v.AsTime()
	moved := float64(t.Ticks()) + ticks // below 2^53 it is exact
	if !(moved >= 0 && moved <= float64(hlc.Max.Ticks())) {
		return bot, FaultArithmetic
	}
	return ofTime(hlc.Timestamp(uint64(moved))<<hlc.LogicalBits | t&(1<<hlc.LogicalBits-1)), ""
}

func floatArith(op syntax.Op, x, y float64) (value, Fault) {
	switch op {
	case syntax.Add:
		return ofFloat(x + y), ""
	case syntax.Sub:
		return ofFloat(x - y), ""
	case syntax.Mul:
		return ofFloat(x * y), ""
	case syntax.Div:
		if y == 0 {
			return bot, FaultDivision
		}
		return ofFloat(x / y), ""
	}
	return bot, FaultRemainder
}

func intArith(op syntax.Op, a, b value) (value, Fault) {
	if a.isSmallInt() && b.isSmallInt() {
		x, _ := a.v.AsInt()
		y, _ := b.v.AsInt()
		if v, ok := smallArith(op, x, y); ok {
			return v, ""
		}
	}
	x, y, z := a.bigInt(), b.bigInt(), new(big.Int)
	switch op {
	case syntax.Add:
		z.Add(x, y)
	case syntax.Sub:
		z.Sub(x, y)
	case syntax.Mul:
		if x.BitLen()+y.BitLen() > maxIntBits {
			return bot, FaultTooLong
		}
		z.Mul(x, y)
	default:
		if y.Sign() == 0 {
			return bot, FaultDivision
		}
		if op == syntax.Div {
			z.Quo(x, y)
		} else {
			z.Rem(x, y)
		}
	}
	if z.BitLen() > maxIntBits {
		return bot, FaultTooLong
	}
	return ofBig(z), ""
}

// smallArith computes in 64 bits; ok is false where that doesn't hold the result.
func smallArith(op syntax.Op, x, y int64) (v value, ok bool) {
	switch op {
	case syntax.Add:
		z := x + y
		return ofInt(z), (z > x) == (y > 0)
	case syntax.Sub:
		z := x - y
		return ofInt(z), (z < x) == (y > 0)
	case syntax.Mul:
		hi, lo := bits.Mul64(magnitude(x), magnitude(y))
		return ofInt(x * y), hi == 0 && lo < 1<<63
	}
	if y == 0 || y == -1 && x == math.MinInt64 {
		return bot, false
	}
	if op == syntax.Div {
		return ofInt(x / y), true
	}
	return ofInt(x % y), true
}

func magnitude(x int64) uint64 {
	if x < 0 {
		return -uint64(x)
	}
	return uint64(x)
}

// negative is -a.
func negative(a value) (value, Fault) {
	if f, ok := a.float(); ok {
		return ofFloat(-f), ""
	}
	return arith(syntax.Sub, ofInt(0), a)
}

// compare decides a op b for = != < <= > >=. What is false for want of a value or
// of an order is a fault too.
func compare(op syntax.Op, a, b value) (bool, Fault) {
	if a.isBot() || b.isBot() {
		return false, FaultAbsent
	}
	if a.isNaN() || b.isNaN() {
		if (op == syntax.Eq || op == syntax.Ne) && a.rank() != b.rank() {
			return op == syntax.Ne, ""
		}
		return false, orderFault(op, a, b)
	}
	switch op {
	case syntax.Eq:
		return canonical(a, b) == 0, ""
	case syntax.Ne:
		return canonical(a, b) != 0, ""
	}
	if f := orderFault(op, a, b); f != "" {
		return false, f
	}
	c := canonical(a, b)
	switch op {
	case syntax.Lt:
		return c < 0, ""
	case syntax.Le:
		return c <= 0, ""
	case syntax.Gt:
		return c > 0, ""
	}
	return c >= 0, ""
}

// orderFault says why two values have no order, or "".
func orderFault(op syntax.Op, a, b value) Fault {
	if op == syntax.Eq || op == syntax.Ne {
		return ""
	}
	if a.rank() != b.rank() {
		return FaultTypes
	}
	if !ordered(a.rank()) {
		return FaultUnordered
	}
	return ""
}

func ordered(t event.Type) bool {
	return t == event.TypeInt || t == event.TypeString || t == event.TypeTime
}
