package event

import (
	"encoding/base64"
	"math"
	"strconv"
	"unicode/utf8"

	"hindcast.dev/hlc"
)

// Keys of the objects that stand for what JSON has no form of. An object is one
// of these only if this is its single key.
const (
	keySet   = "$set" // a set: array of its members
	keyFloat = "$f"   // "NaN", "Inf" or "-Inf"
	keyTime  = "$ts"  // a time: its text form or decimal
	keyBytes = "$b"   // a string that isn't UTF-8: base64
	keyMap   = "$map" // a map whose keys aren't all strings: array of [key, value]
)

const hexDigits = "0123456789abcdef"

// String is the value's JSON form, and "absent" for Absent.
func (v Value) String() string {
	if v.IsAbsent() {
		return "absent"
	}
	return string(v.AppendJSON(nil))
}

// MarshalJSON is AppendJSON.
func (v Value) MarshalJSON() ([]byte, error) { return v.AppendJSON(nil), nil }

// UnmarshalJSON is ParseValue.
func (v *Value) UnmarshalJSON(b []byte) error {
	p, err := ParseValue(b)
	if err == nil {
		*v = p
	}
	return err
}

// AppendJSON appends the value's JSON form to b: a text without line breaks of
// which ParseValue makes the same value again. Ints are exact, floats always
// have a fraction or an exponent, maps whose keys are all strings are objects in
// key order; the rest are objects with the single key $set, $f, $ts, $b or
// $map. Absent, which has no form, is written as null.
func (v Value) AppendJSON(b []byte) []byte {
	switch v.typ {
	case TypeBool:
		return strconv.AppendBool(b, v.AsBool())
	case TypeInt:
		return strconv.AppendInt(b, int64(v.num), 10)
	case TypeUint:
		return strconv.AppendUint(b, v.num, 10)
	case TypeFloat:
		return appendFloat(b, math.Float64frombits(v.num))
	case TypeString:
		return appendString(b, v.str)
	case TypeTime:
		b = append(b, `{"`+keyTime+`":"`...)
		return append(v.AsTime().Append(b), `"}`...)
	case TypeList:
		return appendMembers(b, v.Members())
	case TypeSet:
		b = append(b, `{"`+keySet+`":`...)
		return append(appendMembers(b, v.Members()), '}')
	case TypeMap:
		return appendMap(b, v.m)
	default:
		return append(b, "null"...)
	}
}

func appendFloat(b []byte, f float64) []byte {
	switch {
	case f != f:
		return append(b, `{"`+keyFloat+`":"NaN"}`...)
	case math.IsInf(f, 1):
		return append(b, `{"`+keyFloat+`":"Inf"}`...)
	case math.IsInf(f, -1):
		return append(b, `{"`+keyFloat+`":"-Inf"}`...)
	}
	start := len(b)
	b = strconv.AppendFloat(b, f, 'g', -1, 64)
	for _, c := range b[start:] {
		if c == '.' || c == 'e' {
			return b
		}
	}
	return append(b, ".0"...)
}

func appendString(b []byte, s string) []byte {
	if !utf8.ValidString(s) {
		b = append(b, `{"`+keyBytes+`":"`...)
		b = base64.StdEncoding.AppendEncode(b, []byte(s))
		return append(b, `"}`...)
	}
	return appendQuoted(b, s)
}

// appendQuoted writes a string that is valid UTF-8.
func appendQuoted(b []byte, s string) []byte {
	b = append(b, '"')
	from := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		b = append(b, s[from:i]...)
		from = i + 1
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, '\\', 'n')
		case '\t':
			b = append(b, '\\', 't')
		default:
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return append(append(b, s[from:]...), '"')
}

func appendMembers(b []byte, vs []Value) []byte {
	b = append(b, '[')
	for i, v := range vs {
		if i > 0 {
			b = append(b, ',')
		}
		b = v.AppendJSON(b)
	}
	return append(b, ']')
}

func appendMap(b []byte, m *Map) []byte {
	if !plainKeys(m) {
		return appendPairs(b, m)
	}
	b = append(b, '{')
	first := true
	for k, v := range m.All() {
		if !first {
			b = append(b, ',')
		}
		first = false
		b = append(appendQuoted(b, k.str), ':')
		b = v.AppendJSON(b)
	}
	return append(b, '}')
}

// plainKeys reports whether m can be written as an object and read back as one.
func plainKeys(m *Map) bool {
	for k := range m.All() {
		if k.typ != TypeString || !utf8.ValidString(k.str) || m.Len() == 1 && isReserved(k.str) {
			return false
		}
	}
	return true
}

func isReserved(key string) bool {
	switch key {
	case keySet, keyFloat, keyTime, keyBytes, keyMap:
		return true
	}
	return false
}

func appendPairs(b []byte, m *Map) []byte {
	b = append(b, `{"`+keyMap+`":[`...)
	first := true
	for k, v := range m.All() {
		if !first {
			b = append(b, ',')
		}
		first = false
		b = append(k.AppendJSON(append(b, '[')), ',')
		b = append(v.AppendJSON(b), ']')
	}
	return append(b, ']', '}')
}

// ParseValue reads one JSON value, with nothing but white space around it. Its
// error is a *SyntaxError.
func ParseValue(b []byte) (Value, error) {
	p := NewParser(b)
	v, err := p.Value()
	if err != nil {
		return Absent, err
	}
	return v, p.End()
}

// special turns an object of the single reserved key into what it stands for. at
// is the offset of its value.
func (p *Parser) special(key string, v Value, at int) (Value, error) {
	switch key {
	case keySet:
		if v.typ == TypeList {
			return Set(v.Members()...), nil
		}
		return Absent, p.failAt(at, `want an array of the set's members after "$set"`)
	case keyFloat:
		switch v.str {
		case "NaN":
			return Float(math.NaN()), nil
		case "Inf":
			return Float(math.Inf(1)), nil
		case "-Inf":
			return Float(math.Inf(-1)), nil
		}
		return Absent, p.failAt(at, `want "NaN", "Inf" or "-Inf" after "$f"`)
	case keyTime:
		t, err := hlc.Parse(v.str)
		if v.typ != TypeString || err != nil {
			return Absent, p.failAt(at, `want a time like "2026-11-21T19:46:53.123456Z/0" after "$ts"`)
		}
		return Time(t), nil
	case keyBytes:
		raw, err := base64.StdEncoding.Strict().DecodeString(v.str)
		if v.typ != TypeString || err != nil {
			return Absent, p.failAt(at, `want base64 with padding after "$b"`)
		}
		return String(string(raw)), nil
	}
	return p.pairs(v, at)
}

// pairs makes a map of an array of [key, value].
func (p *Parser) pairs(v Value, at int) (Value, error) {
	if v.typ != TypeList {
		return Absent, p.failAt(at, `want an array of [key, value] after "$map"`)
	}
	entries := make([]Entry, 0, v.Len())
	for i, pair := range v.Members() {
		if pair.typ != TypeList || pair.Len() != 2 {
			return Absent, p.failAt(p.member(at, i), `want [key, value] inside "$map"`)
		}
		entries = append(entries, Entry{pair.Members()[0], pair.Members()[1]})
	}
	m := NewMap(entries...)
	if m.Len() == len(entries) {
		return MapOf(m), nil
	}
	var seen *Map
	for i, e := range entries {
		if !seen.Get(e.Key).IsAbsent() {
			return Absent, p.failAt(p.member(at, i), "key %v stands in this map twice", e.Key)
		}
		seen = seen.With(e.Key, Null())
	}
	panic("event: a map lost an entry that is there once")
}

// member returns the offset of the i-th member of the array at offset at, which
// has been read before.
func (p *Parser) member(at, i int) int {
	again := &Parser{src: p.src, pos: at}
	found := at
	again.Array(func(at int) error {
		if i == 0 {
			found = at
		}
		i--
		_, err := again.Value()
		return err
	})
	return found
}
