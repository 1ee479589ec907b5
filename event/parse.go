package event

import (
	"fmt"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// MaxDepth is how deep arrays and objects may be nested in a text that a Parser
// reads.
const MaxDepth = 500

// A SyntaxError says what is wrong in a JSON text or a path, and where.
type SyntaxError struct {
	Offset  int // in bytes, from 0
	Message string
}

func (e *SyntaxError) Error() string { return fmt.Sprintf("at byte %d: %s", e.Offset, e.Message) }

// A Parser reads JSON piece by piece, without a tree. It is strict: no comments,
// no trailing commas, valid UTF-8 only. Every error is a *SyntaxError or one
// that a callback returned, after which the Parser isn't used any more. What it
// returns doesn't alias the text.
type Parser struct {
	src   []byte
	pos   int
	depth int
}

// NewParser returns a Parser of src, which must not change meanwhile.
func NewParser(src []byte) *Parser { return &Parser{src: src} }

// Offset is where the Parser stands, in bytes from 0.
func (p *Parser) Offset() int { return p.pos }

// Peek skips white space and returns the next byte, 0 at the end.
func (p *Parser) Peek() byte {
	for p.pos < len(p.src) {
		switch c := p.src[p.pos]; c {
		case ' ', '\t', '\n', '\r':
			p.pos++
		default:
			return c
		}
	}
	return 0
}

// End makes sure that only white space is left.
func (p *Parser) End() error {
	if c := p.Peek(); p.pos < len(p.src) {
		return p.failAt(p.pos, "want the end of the text, found %q", rune(c))
	}
	return nil
}

func (p *Parser) failAt(at int, format string, args ...any) error {
	return &SyntaxError{Offset: at, Message: fmt.Sprintf(format, args...)}
}

// fail reports that the next character isn't what is wanted.
func (p *Parser) fail(want string) error {
	if p.pos >= len(p.src) {
		return p.failAt(p.pos, "want %s, found the end of the text", want)
	}
	r, _ := utf8.DecodeRune(p.src[p.pos:])
	return p.failAt(p.pos, "want %s, found %q", want, r)
}

func (p *Parser) take(c byte, want string) error {
	if p.Peek() != c {
		return p.fail(want)
	}
	p.pos++
	return nil
}

func (p *Parser) enter() error {
	if p.depth++; p.depth > MaxDepth {
		return p.failAt(p.pos, "nested deeper than %d levels", MaxDepth)
	}
	return nil
}

// Object reads an object. It calls member for each key, with the key's offset;
// member reads the value. Keys that stand twice are its business.
func (p *Parser) Object(member func(key string, at int) error) error {
	if err := p.take('{', `"{"`); err != nil {
		return err
	}
	if err := p.enter(); err != nil {
		return err
	}
	for n := 0; ; n++ {
		if c := p.Peek(); c == '}' && n == 0 {
			break
		} else if c != '"' {
			return p.fail("a key in double quotes")
		}
		at := p.pos
		key, err := p.quoted()
		if err != nil {
			return err
		}
		if err := p.take(':', `":"`); err != nil {
			return err
		}
		p.Peek()
		if err := member(key, at); err != nil {
			return err
		}
		if c := p.Peek(); c == '}' {
			break
		} else if c != ',' {
			return p.fail(`"," or "}"`)
		}
		p.pos++
	}
	p.pos++
	p.depth--
	return nil
}

// Array reads an array. It calls member for each member, with its offset; member
// reads it.
func (p *Parser) Array(member func(at int) error) error {
	if err := p.take('[', `"["`); err != nil {
		return err
	}
	if err := p.enter(); err != nil {
		return err
	}
	for n := 0; ; n++ {
		if p.Peek() == ']' && n == 0 {
			break
		}
		if err := member(p.pos); err != nil {
			return err
		}
		if c := p.Peek(); c == ']' {
			break
		} else if c != ',' {
			return p.fail(`"," or "]"`)
		}
		p.pos++
		p.Peek()
	}
	p.pos++
	p.depth--
	return nil
}

// Value reads a value in the form of AppendJSON.
func (p *Parser) Value() (Value, error) {
	switch c := p.Peek(); {
	case c == '{':
		return p.object()
	case c == '[':
		var vs []Value
		err := p.Array(func(int) error {
			v, err := p.Value()
			vs = append(vs, v)
			return err
		})
		return List(vs...), err
	case c == '"':
		s, err := p.quoted()
		return String(s), err
	case c == '-' || c >= '0' && c <= '9':
		return p.number()
	}
	switch {
	case p.word("null"):
		return Null(), nil
	case p.word("true"):
		return Bool(true), nil
	case p.word("false"):
		return Bool(false), nil
	}
	return Absent, p.fail("a value")
}

// Text reads a string: in quotes, or as {"$b":"base64"}.
func (p *Parser) Text() (string, error) {
	p.Peek()
	at := p.pos
	v, err := p.Value()
	if err == nil && v.typ != TypeString {
		err = p.failAt(at, "want a string")
	}
	return v.str, err
}

func (p *Parser) word(w string) bool {
	end := p.pos + len(w)
	if end > len(p.src) || string(p.src[p.pos:end]) != w {
		return false
	}
	if end < len(p.src) && (p.src[end] >= 'a' && p.src[end] <= 'z' || p.src[end] >= '0' && p.src[end] <= '9') {
		return false
	}
	p.pos = end
	return true
}

// object reads a map, or what an object with a single reserved key stands for.
func (p *Parser) object() (Value, error) {
	var entries []Entry
	var seen map[string]bool // once there are many
	valueAt := 0
	err := p.Object(func(key string, at int) error {
		if hasKey(entries, seen, key) {
			return p.failAt(at, "key %q stands in this object twice", key)
		}
		valueAt = p.pos
		v, err := p.Value()
		entries = append(entries, Entry{String(key), v})
		if len(entries) == 2*smallMax {
			seen = make(map[string]bool)
			for _, e := range entries {
				seen[e.Key.str] = true
			}
		} else if seen != nil {
			seen[key] = true
		}
		return err
	})
	if err != nil {
		return Absent, err
	}
	if len(entries) == 1 && isReserved(entries[0].Key.str) {
		return p.special(entries[0].Key.str, entries[0].Value, valueAt)
	}
	return MapOf(NewMap(entries...)), nil
}

func hasKey(entries []Entry, seen map[string]bool, key string) bool {
	if seen != nil {
		return seen[key]
	}
	for i := range entries {
		if entries[i].Key.str == key {
			return true
		}
	}
	return false
}

// number reads an int, or a float if there is a fraction or an exponent.
func (p *Parser) number() (Value, error) {
	start := p.pos
	negative := p.src[p.pos] == '-'
	if negative {
		p.pos++
	}
	if p.pos < len(p.src) && p.src[p.pos] == '0' {
		p.pos++
	} else if p.digits() == 0 {
		return Absent, p.fail("a digit")
	}
	isFloat := false
	if p.pos < len(p.src) && p.src[p.pos] == '.' {
		p.pos++
		isFloat = true
		if p.digits() == 0 {
			return Absent, p.fail("a digit after the decimal point")
		}
	}
	if p.pos < len(p.src) && p.src[p.pos]|0x20 == 'e' {
		p.pos++
		isFloat = true
		if p.pos < len(p.src) && (p.src[p.pos] == '+' || p.src[p.pos] == '-') {
			p.pos++
		}
		if p.digits() == 0 {
			return Absent, p.fail("a digit of the exponent")
		}
	}
	return p.numeral(start, isFloat, negative)
}

func (p *Parser) numeral(start int, isFloat, negative bool) (Value, error) {
	text := string(p.src[start:p.pos])
	if isFloat {
		f, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return Absent, p.failAt(start, "the number %s is beyond what a float64 holds", text)
		}
		return Float(f), nil
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return Int(n), nil
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil || negative {
		return Absent, p.failAt(start, "an int is from -9223372036854775808 to 18446744073709551615; a fraction or exponent makes it a float")
	}
	return Uint(n), nil
}

func (p *Parser) digits() int {
	start := p.pos
	for p.pos < len(p.src) && p.src[p.pos] >= '0' && p.src[p.pos] <= '9' {
		p.pos++
	}
	return p.pos - start
}

// quoted reads a string in double quotes.
func (p *Parser) quoted() (string, error) {
	start := p.pos + 1
	for i := start; i < len(p.src); i++ {
		switch c := p.src[i]; {
		case c == '"':
			p.pos = i + 1
			return p.valid(p.src[start:i], start)
		case c == '\\':
			p.pos = i
			return p.escaped(start)
		case c < ' ':
			return "", p.failAt(i, "control character %U in a string: write it as an escape", rune(c))
		}
	}
	return "", p.failAt(start-1, "this string has no end")
}

// valid makes a string of raw bytes at offset at.
func (p *Parser) valid(raw []byte, at int) (string, error) {
	for i := 0; i < len(raw); {
		if raw[i] < utf8.RuneSelf {
			i++
			continue
		}
		r, n := utf8.DecodeRune(raw[i:])
		if r == utf8.RuneError && n == 1 {
			return "", p.failAt(at+i, `a string is UTF-8, which byte 0x%02x isn't here: write other bytes as {"$b":"base64"}`, raw[i])
		}
		i += n
	}
	return string(raw), nil
}

// escaped reads on at the first backslash of a string that starts at start.
func (p *Parser) escaped(start int) (string, error) {
	var b []byte
	from := start
	for p.pos < len(p.src) {
		switch c := p.src[p.pos]; {
		case c == '"' || c == '\\':
			part, err := p.valid(p.src[from:p.pos], from)
			if err != nil {
				return "", err
			}
			b = append(b, part...)
			p.pos++
			if c == '"' {
				return string(b), nil
			}
			if b, err = p.escape(b); err != nil {
				return "", err
			}
			from = p.pos
		case c < ' ':
			return "", p.failAt(p.pos, "control character %U in a string: write it as an escape", rune(c))
		default:
			p.pos++
		}
	}
	return "", p.failAt(start-1, "this string has no end")
}

const escapes = "\"\"\\\\//b\bf\fn\nr\rt\t" // pairs: what is written, what it means

// escape reads what follows a backslash. Half a surrogate pair is U+FFFD, as in
// other readers of JSON.
func (p *Parser) escape(b []byte) ([]byte, error) {
	if p.pos < len(p.src) && p.src[p.pos] == 'u' {
		r, err := p.hex4()
		if err != nil {
			return nil, err
		}
		if utf16.IsSurrogate(r) {
			second := p.pos
			r2 := rune(utf8.RuneError)
			if p.pos+1 < len(p.src) && p.src[p.pos] == '\\' && p.src[p.pos+1] == 'u' {
				p.pos++
				if r2, err = p.hex4(); err != nil {
					return nil, err
				}
			}
			if r = utf16.DecodeRune(r, r2); r == utf8.RuneError {
				p.pos = second
			}
		}
		return utf8.AppendRune(b, r), nil
	}
	for i := 0; i < len(escapes); i += 2 {
		if p.pos < len(p.src) && p.src[p.pos] == escapes[i] {
			p.pos++
			return append(b, escapes[i+1]), nil
		}
	}
	return nil, p.fail(`one of "\/bfnrtu after a backslash`)
}

// hex4 reads "uXXXX".
func (p *Parser) hex4() (rune, error) {
	if p.pos+5 > len(p.src) {
		return 0, p.failAt(p.pos, `want four hex digits after \u`)
	}
	n, err := strconv.ParseUint(string(p.src[p.pos+1:p.pos+5]), 16, 16)
	if err != nil {
		return 0, p.failAt(p.pos, `want four hex digits after \u`)
	}
	p.pos += 5
	return rune(n), nil
}
