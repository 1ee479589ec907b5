package rql_test

import (
	"cmp"
	"math"
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"hindcast.dev/event"
	"hindcast.dev/rql/syntax"
)

func isNull(x any) bool {
	v, ok := x.(event.Value)
	return ok && v.Type() == event.TypeNull
}

// function is a scalar function of arguments none of which is ⊥.
func function(name string, args []any) any {
	a := args[0]
	text, isText := a.(string)
	switch name {
	case "LEAST", "GREATEST", "MIN", "MAX":
		return extremeOf(args, name == "GREATEST" || name == "MAX")
	case "LEN":
		if isText {
			return big.NewInt(int64(utf8.RuneCountInString(text)))
		}
		if m, ok := a.(event.Value); ok && m.Type() == event.TypeMap {
			return big.NewInt(int64(m.Len()))
		}
		if ms, ok := membersOf(a); ok {
			return big.NewInt(int64(len(ms)))
		}
		return nil
	case "LOWER", "UPPER":
		if !isText {
			return nil
		}
		return map[string]func(string) string{"LOWER": strings.ToLower, "UPPER": strings.ToUpper}[name](text)
	case "STARTSWITH":
		if other, ok := args[1].(string); ok && isText {
			return strings.HasPrefix(text, other)
		}
		return nil
	case "CONTAINS":
		if other, ok := args[1].(string); ok && isText {
			return strings.Contains(text, other)
		}
		if ms, ok := membersOf(a); ok {
			return slices.ContainsFunc(ms, func(m any) bool { return order(m, args[1]) == 0 })
		}
		return nil
	case "INT":
		return intValue(a)
	case "FLOAT":
		if isText {
			if f, err := strconv.ParseFloat(text, 64); err == nil {
				return f
			}
			return nil
		}
	}
	return numeric(name, a)
}

func intValue(a any) any {
	switch a := a.(type) {
	case *big.Int:
		return a
	case float64:
		if !math.IsNaN(a) && !math.IsInf(a, 0) {
			n, _ := big.NewFloat(math.Trunc(a)).Int(nil)
			return n
		}
	case string:
		if n, ok := new(big.Int).SetString(a, 10); ok {
			return n
		}
	}
	return nil
}

func numeric(name string, a any) any {
	if rank(a) != rankNumber {
		return nil
	}
	f := floatOf(a)
	n, isInt := a.(*big.Int)
	switch {
	case name == "FLOAT":
		return f
	case name == "SQRT" && f < 0:
		return nil
	case name == "SQRT":
		return math.Sqrt(f)
	case isInt && name == "ABS":
		return new(big.Int).Abs(n)
	case isInt:
		return n
	}
	return map[string]func(float64) float64{"ABS": math.Abs, "CEIL": math.Ceil, "FLOOR": math.Floor, "ROUND": math.Round}[name](f)
}

func likeOf(a, b any) bool {
	text, ok := a.(string)
	pattern, ok2 := b.(string)
	if !ok || !ok2 {
		return false
	}
	var re strings.Builder
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; {
		case c == '%':
			re.WriteString("(?s:.*)")
		case c == '_':
			re.WriteString("(?s:.)")
		case c == '\\' && i+1 < len(pattern):
			i++
			re.WriteString(regexp.QuoteMeta(pattern[i : i+1]))
		default:
			re.WriteString(regexp.QuoteMeta(pattern[i : i+1]))
		}
	}
	return regexp.MustCompile("^" + re.String() + "$").MatchString(text)
}

// extremeOf is MIN or MAX; a NaN among numbers makes it NaN.
func extremeOf(ms []any, greatest bool) any {
	if len(ms) == 0 {
		return nil
	}
	best, nan := ms[0], false
	for _, m := range ms {
		if rank(m) != rank(ms[0]) || !hasOrder(m) {
			return nil
		}
		nan = nan || isNaN(m)
		c := cmp.Or(order(m, best), event.Compare(back(m), back(best)))
		if greatest && c > 0 || !greatest && c < 0 {
			best = m
		}
	}
	if nan {
		return math.NaN()
	}
	return best
}

func hasOrder(x any) bool {
	r := rank(x)
	return r == rankNumber || r == rankString || r == rankTime
}

// sumOf adds exactly and rounds once.
func sumOf(ms []any, average bool) any {
	sum, float, special := new(big.Rat), average, 0.0
	for _, m := range ms {
		switch m := m.(type) {
		case *big.Int:
			sum.Add(sum, new(big.Rat).SetInt(m))
		case float64:
			float = true
			if math.IsNaN(m) || math.IsInf(m, 0) {
				special += m // of which Inf - Inf is NaN
			} else {
				sum.Add(sum, new(big.Rat).SetFloat64(m))
			}
		default:
			return nil
		}
	}
	if average && len(ms) == 0 {
		return nil
	}
	if special != 0 {
		return special
	}
	if average {
		sum.Quo(sum, new(big.Rat).SetInt64(int64(len(ms))))
	}
	if !float {
		return new(big.Int).Set(sum.Num())
	}
	f, _ := sum.Float64()
	return f
}

const (
	rankNumber = "int"
	rankString = "string"
	rankTime   = "time"
)

// rank is the type of a value, all numbers being one.
func rank(x any) string {
	switch x := x.(type) {
	case *big.Int, float64:
		return rankNumber
	case string:
		return rankString
	case bool:
		return "bool"
	case []any:
		return "set"
	case event.Value:
		return x.Type().String()
	}
	return ""
}

// typeOf is the type of a value, in the order of types.
func typeOf(x any) event.Type {
	switch x := x.(type) {
	case *big.Int, float64:
		return event.TypeInt
	case string:
		return event.TypeString
	case bool:
		return event.TypeBool
	case []any:
		return event.TypeSet
	case event.Value:
		return x.Type()
	}
	return event.TypeAbsent
}

// order compares values; equal is 0. Of different types the types are compared.
// NaN comes before all numbers.
func order(a, b any) int {
	if c := cmp.Compare(typeOf(a), typeOf(b)); c != 0 {
		return c
	}
	switch a := a.(type) {
	case nil:
		return 0
	case string:
		return strings.Compare(a, b.(string))
	case bool:
		return cmp.Compare(fmtBool(a), fmtBool(b.(bool)))
	case []any:
		return slices.CompareFunc(dedupe(a), dedupe(b.([]any)), order)
	case event.Value:
		return orderValues(a, b.(event.Value))
	}
	return orderNumbers(a, b)
}

func fmtBool(b bool) string { return strconv.FormatBool(b) }

// orderValues compares what is kept as it is in Histories.
func orderValues(a, b event.Value) int {
	switch a.Type() {
	case event.TypeList:
		x, _ := membersOf(a)
		y, _ := membersOf(b)
		return slices.CompareFunc(x, y, order)
	case event.TypeMap:
		entries := func(m *event.Map) (out []any) {
			for k, v := range m.All() {
				out = append(out, lift(k), lift(v))
			}
			return out
		}
		return slices.CompareFunc(entries(a.AsMap()), entries(b.AsMap()), order)
	}
	return event.Compare(a, b)
}

func orderNumbers(a, b any) int {
	special := func(x any) bool {
		f, ok := x.(float64)
		return ok && (math.IsNaN(f) || math.IsInf(f, 0))
	}
	if special(a) || special(b) {
		return cmp.Compare(floatOf(a), floatOf(b)) // NaN is the least there, too
	}
	return ratio(a).Cmp(ratio(b))
}

func floatOf(x any) float64 {
	if f, ok := x.(float64); ok {
		return f
	}
	f, _ := new(big.Float).SetInt(x.(*big.Int)).Float64()
	return f
}

func ratio(x any) *big.Rat {
	if n, ok := x.(*big.Int); ok {
		return new(big.Rat).SetInt(n)
	}
	return new(big.Rat).SetFloat64(x.(float64))
}

func dedupe(ms []any) []any {
	out := slices.Clone(ms)
	slices.SortStableFunc(out, func(a, b any) int { return cmp.Or(order(a, b), event.Compare(back(a), back(b))) })
	out = slices.CompactFunc(out, func(a, b any) bool { return order(a, b) == 0 })
	if out == nil {
		out = []any{}
	}
	return out
}

func compareOf(op syntax.Op, a, b any) bool {
	if a == nil || b == nil {
		return false
	}
	same := rank(a) == rank(b)
	switch {
	case !same:
		return op == syntax.Ne
	case isNaN(a) || isNaN(b):
		return false
	case op == syntax.Eq:
		return order(a, b) == 0
	case op == syntax.Ne:
		return order(a, b) != 0
	case !hasOrder(a):
		return false
	}
	c := order(a, b)
	switch op {
	case syntax.Lt:
		return c < 0
	case syntax.Le:
		return c <= 0
	case syntax.Gt:
		return c > 0
	}
	return c >= 0
}
