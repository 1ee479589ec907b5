package rql

import (
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"hindcast.dev/event"
	"hindcast.dev/rql/plan"
	"hindcast.dev/rql/syntax"
)

// call evaluates a scalar function. Except for COALESCE, an argument that is ⊥
// makes the result ⊥.
func (e *env) call(x *plan.Call) value {
	if x.Func == "COALESCE" {
		for _, a := range x.Args {
			if v := e.eval(a); !v.isBot() && !v.isNull() {
				return v
			}
		}
		return bot
	}
	args := make([]value, len(x.Args))
	for i, a := range x.Args {
		if args[i] = e.eval(a); args[i].isBot() {
			return bot
		}
	}
	v, ok := scalarFunc(x.Func, args)
	if !ok {
		e.fault(FaultArgument, x.Pos)
		return bot
	}
	return v
}

// scalarFunc applies a function; ok is false if an argument has the wrong type.
func scalarFunc(name string, args []value) (v value, ok bool) {
	a := args[0]
	switch name {
	case plan.FuncMinus:
		return minus(a, args[1])
	case "LEAST", "GREATEST":
		var b bag
		for _, m := range args {
			b.add(m)
		}
		op := plan.AggMin
		if name == "GREATEST" {
			op = plan.AggMax
		}
		v = b.result(op)
		return v, !v.isBot()
	case "LEN", "LOWER", "UPPER", "STARTSWITH", "CONTAINS":
		return textFunc(name, args)
	case "INT":
		return toInt(a)
	case "FLOAT":
		return toFloat(a)
	}
	if !a.isNumber() {
		return bot, false
	}
	switch name {
	case "SQRT":
		if f := a.toFloat(); f >= 0 || math.IsNaN(f) {
			return ofFloat(math.Sqrt(f)), true
		}
		return bot, true
	case "SIN":
		return ofFloat(math.Sin(a.toFloat())), true
	case "COS":
		return ofFloat(math.Cos(a.toFloat())), true
	case "TAN":
		return ofFloat(math.Tan(a.toFloat())), true
	}
	return rounding(name, a), true
}

// minus subtracts numbers, or times.
func minus(a, b value) (v value, ok bool) {
	v, f := arith(syntax.Sub, a, b)
	return v, f == ""
}

// rounding is ABS, CEIL, FLOOR or ROUND, which keep the type.
func rounding(name string, a value) value {
	f, ok := a.float()
	if !ok {
		if name == "ABS" {
			return ofBig(new(big.Int).Abs(a.bigInt()))
		}
		return a
	}
	switch name {
	case "ABS":
		return ofFloat(math.Abs(f))
	case "CEIL":
		return ofFloat(math.Ceil(f))
	case "FLOOR":
		return ofFloat(math.Floor(f))
	}
	return ofFloat(math.Round(f))
}

func textFunc(name string, args []value) (v value, ok bool) {
	a := args[0]
	isText := func(v value) bool { return v.v.Type() == event.TypeString }
	switch {
	case name == "LEN" && isText(a):
		return ofInt(int64(utf8.RuneCountInString(a.v.AsString()))), true
	case name == "LEN" && a.v.Type() == event.TypeMap:
		return ofInt(int64(a.v.Len())), true
	case name == "LEN":
		ms, ok := a.members()
		return ofInt(int64(len(ms))), ok
	case name == "CONTAINS" && !isText(a):
		ms, ok := a.members()
		return ofBool(slices.ContainsFunc(ms, func(m value) bool { return canonical(m, args[1]) == 0 })), ok
	case !isText(a) || len(args) > 1 && !isText(args[1]):
		return bot, false
	}
	s := a.v.AsString()
	switch name {
	case "LOWER":
		return ofString(strings.ToLower(s)), true
	case "UPPER":
		return ofString(strings.ToUpper(s)), true
	case "STARTSWITH":
		return ofBool(strings.HasPrefix(s, args[1].v.AsString())), true
	}
	return ofBool(strings.Contains(s, args[1].v.AsString())), true
}

// toInt cuts a float down towards zero and reads the decimal digits of a string.
func toInt(a value) (value, bool) {
	if a.isInt() {
		return a, true
	}
	if f, ok := a.float(); ok {
		if math.IsNaN(f) || math.IsInf(f, 0) {
			return bot, false
		}
		n, _ := new(big.Float).SetFloat64(f).Int(nil)
		return ofBig(n), true
	}
	if a.v.Type() != event.TypeString || len(a.v.AsString()) > maxDigits {
		return bot, false
	}
	n, ok := new(big.Int).SetString(a.v.AsString(), 10)
	if !ok {
		return bot, false
	}
	return ofBig(n), true
}

// maxDigits bounds the texts that INT reads; an int of maxIntBits is shorter.
const maxDigits = maxIntBits / 3

func toFloat(a value) (value, bool) {
	if a.isNumber() {
		return ofFloat(a.toFloat()), true
	}
	if a.v.Type() != event.TypeString {
		return bot, false
	}
	f, err := strconv.ParseFloat(a.v.AsString(), 64)
	return ofFloat(f), err == nil
}

// likeValue decides a LIKE pattern.
func likeValue(a, pattern value) (value, Fault) {
	switch {
	case a.isBot() || pattern.isBot():
		return ofBool(false), FaultAbsent
	case a.v.Type() != event.TypeString || pattern.v.Type() != event.TypeString:
		return ofBool(false), FaultTypes
	}
	return ofBool(like(a.v.AsString(), pattern.v.AsString())), ""
}

// like matches a whole text: % stands for any characters, _ for one, and a
// backslash takes the meaning from the character after it.
func like(s, pattern string) bool {
	text, pat := []rune(s), []rune(pattern)
	i, j, star, mark := 0, 0, -1, 0
	for i < len(text) {
		lit, width := likeRune(pat, j)
		switch {
		case j < len(pat) && pat[j] == '%':
			star, mark = j, i
			j++
		case j < len(pat) && (pat[j] == '_' || lit == text[i]):
			i++
			j += width
		case star >= 0:
			mark++
			i, j = mark, star+1
		default:
			return false
		}
	}
	for j < len(pat) && pat[j] == '%' {
		j++
	}
	return j == len(pat)
}

// likeRune returns the character that pat[j] stands for, and how long it is
// written.
func likeRune(pat []rune, j int) (lit rune, width int) {
	if j >= len(pat) {
		return -1, 0
	}
	if pat[j] == '\\' && j+1 < len(pat) {
		return pat[j+1], 2
	}
	return pat[j], 1
}

// addition is the operator that adds by times.
func addition(by int64) syntax.Op {
	if by < 0 {
		return syntax.Sub
	}
	return syntax.Add
}
