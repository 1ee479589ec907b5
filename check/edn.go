package check

import (
	"fmt"
	"strconv"
	"strings"

	"hindcast.dev/event"
)

// An ednReader reads values of the notation of Clojure, as far as Jepsen's logs
// use it: nil, booleans, numbers, strings, keywords and symbols (both become
// strings, a keyword without its colon), vectors, lists, sets, maps. A tag before
// a value and the bases of integers are left out.
type ednReader struct {
	s   string
	pos int
}

// ednError is what is wrong at a place of a text.
type ednError struct {
	pos int
	msg string
}

func (e *ednError) Error() string { return fmt.Sprintf("column %d: %s", e.pos+1, e.msg) }

func (r *ednReader) errorf(format string, args ...any) error {
	return &ednError{r.pos, fmt.Sprintf(format, args...)}
}

// space skips what separates values; commas do.
func (r *ednReader) space() {
	for r.pos < len(r.s) && strings.IndexByte(" \t\r\n,", r.s[r.pos]) >= 0 {
		r.pos++
	}
}

// done reports whether nothing follows but space.
func (r *ednReader) done() bool {
	r.space()
	return r.pos == len(r.s)
}

// value reads one value; depth bounds nesting.
func (r *ednReader) value(depth int) (event.Value, error) {
	r.space()
	if depth > event.MaxDepth {
		return event.Absent, r.errorf("nested more than %d deep", event.MaxDepth)
	}
	if r.pos == len(r.s) {
		return event.Absent, r.errorf("the text ends where a value is wanted")
	}
	switch c := r.s[r.pos]; {
	case c == '"':
		return r.quoted()
	case c == '[' || c == '(':
		vs, err := r.sequence(depth, closing(c))
		return event.List(vs...), err
	case c == '{':
		return r.mapping(depth)
	case c == '#':
		return r.tagged(depth)
	case c == ']' || c == ')' || c == '}':
		return event.Absent, r.errorf("%q closes nothing", c)
	}
	return r.word()
}

func closing(open byte) byte {
	if open == '(' {
		return ')'
	}
	return open + 2 // [ ] and { }
}

// sequence reads values up to a bracket.
func (r *ednReader) sequence(depth int, end byte) ([]event.Value, error) {
	begin := r.pos
	r.pos++
	var vs []event.Value
	for {
		r.space()
		if r.pos == len(r.s) {
			r.pos = begin
			return nil, r.errorf("%q is not closed", r.s[begin])
		}
		if r.s[r.pos] == end {
			r.pos++
			return vs, nil
		}
		v, err := r.value(depth + 1)
		if err != nil {
			return nil, err
		}
		vs = append(vs, v)
	}
}

func (r *ednReader) mapping(depth int) (event.Value, error) {
	begin := r.pos
	vs, err := r.sequence(depth, '}')
	if err != nil {
		return event.Absent, err
	}
	if len(vs)%2 != 0 {
		r.pos = begin
		return event.Absent, r.errorf("a map with a key that has no value")
	}
	entries := make([]event.Entry, 0, len(vs)/2)
	for i := 0; i < len(vs); i += 2 {
		entries = append(entries, event.Entry{Key: vs[i], Value: vs[i+1]})
	}
	return event.MapOf(event.NewMap(entries...)), nil
}

// tagged reads a set, or a value behind a tag, which is left out.
func (r *ednReader) tagged(depth int) (event.Value, error) {
	r.pos++
	if r.pos < len(r.s) && r.s[r.pos] == '{' {
		vs, err := r.sequence(depth, '}')
		return event.Set(vs...), err
	}
	for r.pos < len(r.s) && !ends(r.s[r.pos]) {
		r.pos++
	}
	return r.value(depth + 1)
}

// ends reports whether a byte ends a word.
func ends(c byte) bool { return strings.IndexByte(" \t\r\n,\"[](){}#;", c) >= 0 }

func (r *ednReader) quoted() (event.Value, error) {
	begin := r.pos
	var b strings.Builder
	for r.pos++; r.pos < len(r.s); r.pos++ {
		switch c := r.s[r.pos]; c {
		case '"':
			r.pos++
			return event.String(b.String()), nil
		case '\\':
			r.pos++
			if r.pos == len(r.s) {
				break
			}
			i := strings.IndexByte(`ntr"\`, r.s[r.pos])
			if i < 0 {
				return event.Absent, r.errorf(`unknown escape \%c; write \n, \t, \r, \" or \\`, r.s[r.pos])
			}
			b.WriteByte("\n\t\r\"\\"[i])
		default:
			b.WriteByte(c)
		}
	}
	r.pos = begin
	return event.Absent, r.errorf("the string is not closed")
}

// word reads nil, a boolean, a number, a keyword or a symbol.
func (r *ednReader) word() (event.Value, error) {
	begin := r.pos
	for r.pos < len(r.s) && !ends(r.s[r.pos]) {
		r.pos++
	}
	w := r.s[begin:r.pos]
	switch w {
	case "":
		return event.Absent, r.errorf("%q is not a value", r.s[r.pos])
	case "nil":
		return event.Null(), nil
	case "true", "false":
		return event.Bool(w == "true"), nil
	}
	if w[0] == ':' {
		return event.String(w[1:]), nil
	}
	if strings.IndexByte("0123456789+-", w[0]) >= 0 && len(strings.TrimLeft(w, "+-")) > 0 {
		if n, err := strconv.ParseInt(strings.TrimSuffix(w, "N"), 10, 64); err == nil {
			return event.Int(n), nil
		}
		if f, err := strconv.ParseFloat(strings.TrimSuffix(w, "M"), 64); err == nil {
			return event.Float(f), nil
		}
		if w[0] >= '0' && w[0] <= '9' {
			r.pos = begin
			return event.Absent, r.errorf("%q is not a number", w)
		}
	}
	return event.String(w), nil
}
