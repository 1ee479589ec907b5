package shiviz

import (
	"strconv"
	"strings"
	"unicode"

	"hindcast.dev/event"
)

// tlaDepth bounds how deep values may be nested.
const tlaDepth = 50

// A tla reads a value as TLC, the model checker of TLA+, prints it: functions
// (a :> 1 @@ b :> 2), records [a |-> 1], sequences <<1, 2>>, sets {1, 2}, strings,
// integers, TRUE and FALSE. Source: Lamport, "Specifying Systems" (2002), section
// 14.
type tla struct{ rest string }

// parseTLA reads a whole text; ok is false if it is no such value.
func parseTLA(s string) (v event.Value, ok bool) {
	t := &tla{s}
	v, ok = t.value(0)
	return v, ok && strings.TrimSpace(t.rest) == ""
}

// eat passes over a token, if it is the next.
func (t *tla) eat(token string) bool {
	rest := strings.TrimLeftFunc(t.rest, unicode.IsSpace)
	if !strings.HasPrefix(rest, token) {
		return false
	}
	t.rest = rest[len(token):]
	return true
}

func (t *tla) value(depth int) (event.Value, bool) {
	switch {
	case depth > tlaDepth:
		return event.Absent, false
	case t.eat("<<"):
		vs, ok := t.list(depth, ">>")
		return event.List(vs...), ok
	case t.eat("{"):
		vs, ok := t.list(depth, "}")
		return event.Set(vs...), ok
	case t.eat("["):
		return t.entries(depth, "|->", ",", "]")
	case t.eat("("):
		return t.entries(depth, ":>", "@@", ")")
	}
	return t.atom()
}

func (t *tla) list(depth int, end string) ([]event.Value, bool) {
	var out []event.Value
	if t.eat(end) {
		return out, true
	}
	for {
		v, ok := t.value(depth + 1)
		if !ok {
			return nil, false
		}
		if out = append(out, v); t.eat(end) {
			return out, true
		}
		if !t.eat(",") {
			return nil, false
		}
	}
}

// entries reads what a function or a record maps.
func (t *tla) entries(depth int, arrow, comma, end string) (event.Value, bool) {
	var out []event.Entry
	for {
		k, ok := t.value(depth + 1)
		if !ok || !t.eat(arrow) {
			return event.Absent, false
		}
		v, ok := t.value(depth + 1)
		if !ok {
			return event.Absent, false
		}
		if out = append(out, event.Entry{Key: k, Value: v}); t.eat(end) {
			return event.MapOf(event.NewMap(out...)), true
		}
		if !t.eat(comma) {
			return event.Absent, false
		}
	}
}

func (t *tla) atom() (event.Value, bool) {
	rest := strings.TrimLeftFunc(t.rest, unicode.IsSpace)
	if strings.HasPrefix(rest, `"`) {
		q, err := strconv.QuotedPrefix(rest)
		if err != nil {
			return event.Absent, false
		}
		s, err := strconv.Unquote(q)
		t.rest = rest[len(q):]
		return event.String(s), err == nil
	}
	n := strings.IndexFunc(rest, func(r rune) bool { return r != '-' && r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	if n < 0 {
		n = len(rest)
	}
	word := rest[:n]
	t.rest = rest[n:]
	if i, err := strconv.ParseInt(word, 10, 64); err == nil {
		return event.Int(i), true
	}
	switch word {
	case "":
		return event.Absent, false
	case "TRUE":
		return event.Bool(true), true
	case "FALSE":
		return event.Bool(false), true
	}
	return event.String(word), true
}
