package syntax

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"hindcast.dev/hlc"
)

// A scanner cuts a text into tokens. It is a plain value: a copy of it looks
// ahead. At a mistake it panics with an *Error, which Parse catches.
type scanner struct {
	text  string
	pos   Pos  // of the next character
	asked bool // the text ends with a kindAsked in place of a kindEnd
}

// signs are punctuation and operators, longer ones before their beginnings.
var signs = [...]string{
	"&&", "||", "==", "!=", "<>", "<=", ">=", "->", "=>", ":=",
	"=", "<", ">", "!", "+", "-", "*", "/", "%", `\`, ",", ".", "(", ")", "[", "]", "{", "}", ":", ";",
}

// canonicalSign maps those signs that have a second spelling.
var canonicalSign = map[string]string{"==": "=", "<>": "!="}

// lookalikes are characters that papers and word processors put where RQL has
// another.
var lookalikes = map[rune]string{
	'−': "-", '–': "-", '—': "-", '“': `"`, '”': `"`, '‘': "'", '’': "'", '≤': "<=", '≥': ">=", '≠': "!=",
	'∧': "AND", '∨': "OR", '¬': "NOT", '→': "->", '⇒': "=>", '∈': "IN", '∉': "NOT IN", '∃': "EXISTS", '∀': "FORALL",
	'×': "*", '⊆': "SUBSET", '∪': "UNION", '∩': "INTERSECT", '&': "&&", '|': "||",
}

func fail(pos Pos, hint, format string, args ...any) {
	panic(&Error{Pos: pos, Msg: fmt.Sprintf(format, args...), Hint: hint})
}

// next returns the next token.
func (s *scanner) next() token {
	s.skipSpace()
	t := token{pos: s.pos}
	rest := s.rest()
	if rest == "" {
		t.end = s.pos.Offset
		if s.asked {
			t.kind = kindAsked
		}
		return t
	}
	switch r := s.peek(); {
	case isWordStart(r):
		t.kind, t.text = kindWord, s.takeWhile(isWordPart)
		t.upper = upperASCII(t.text)
	case isDigit(r):
		s.number(&t)
	case r == '\'' || r == '"':
		t.kind, t.text = kindString, s.quoted(r)
	case r == '`':
		t.kind, t.text = kindName, s.backquoted()
	case r == '$':
		s.placeholder(&t)
	default:
		t.kind, t.text = kindSign, s.sign(r)
	}
	t.end = s.pos.Offset
	return t
}

func (s *scanner) rest() string { return s.text[s.pos.Offset:] }

// peek returns the next character, or 0 at the end; a text that isn't UTF-8 ends
// here.
func (s *scanner) peek() rune {
	rest := s.rest()
	if rest == "" {
		return 0
	}
	r, n := utf8.DecodeRuneInString(rest)
	if r == utf8.RuneError && n == 1 {
		fail(s.pos, "save the query as UTF-8", "the byte %#02x is no UTF-8", rest[0])
	}
	return r
}

// advance goes over the next n bytes, whole characters.
func (s *scanner) advance(n int) string {
	passed := s.rest()[:n]
	s.pos = s.pos.after(passed)
	return passed
}

func (s *scanner) takeWhile(ok func(rune) bool) string {
	rest := s.rest()
	n := strings.IndexFunc(rest, func(r rune) bool { return !ok(r) })
	if n < 0 {
		n = len(rest)
	}
	return s.advance(n)
}

// skipSpace goes over white space and comments.
func (s *scanner) skipSpace() {
	for {
		s.takeWhile(unicode.IsSpace)
		rest := s.rest()
		if !strings.HasPrefix(rest, "--") {
			return
		}
		n := strings.IndexByte(rest, '\n')
		if n < 0 {
			n = len(rest)
		}
		s.advance(n)
	}
}

func (s *scanner) sign(r rune) string {
	for _, sign := range signs {
		if strings.HasPrefix(s.rest(), sign) {
			s.advance(len(sign))
			if c, ok := canonicalSign[sign]; ok {
				return c
			}
			return sign
		}
	}
	hint := ""
	if c, ok := lookalikes[r]; ok {
		hint = "write " + c
	}
	if h, ok := foreignRunes[r]; ok {
		hint = h
	}
	fail(s.pos, hint, "%q (%U) is not part of RQL", r, r)
	return ""
}

func isDigit(r rune) bool { return '0' <= r && r <= '9' }

// number scans what begins with a digit: int, float, duration or time.
func (s *scanner) number(t *token) {
	if isDate(s.rest()) {
		s.time(t)
		return
	}
	start := s.pos.Offset
	t.kind = kindInt
	s.takeWhile(isDigit)
	if rest := s.rest(); len(rest) > 1 && rest[0] == '.' && isDigit(rune(rest[1])) {
		t.kind = kindFloat
		s.advance(1)
		s.takeWhile(isDigit)
	}
	if n := exponentLen(s.rest()); n > 0 {
		t.kind = kindFloat
		s.advance(n)
		s.takeWhile(isDigit)
	}
	if isWordStart(s.peek()) {
		s.takeWhile(func(r rune) bool { return isWordPart(r) || r == '.' })
		t.kind, t.dur = kindDuration, parseDuration(t.pos, s.text[start:s.pos.Offset])
		return
	}
	text := s.text[start:s.pos.Offset]
	if t.kind == kindInt {
		if t.text = strings.TrimLeft(text, "0"); t.text == "" {
			t.text = "0"
		}
		return
	}
	var err error
	if t.num, err = strconv.ParseFloat(text, 64); err != nil {
		fail(t.pos, "", "the number %s is too large for a float", text)
	}
}

// exponentLen is the length of the e and sign with which an exponent begins, or
// 0 if s doesn't begin with one.
func exponentLen(s string) int {
	if s == "" || s[0] != 'e' && s[0] != 'E' {
		return 0
	}
	n := 1
	if n < len(s) && (s[n] == '+' || s[n] == '-') {
		n++
	}
	if n < len(s) && isDigit(rune(s[n])) {
		return n
	}
	return 0
}

func parseDuration(pos Pos, text string) time.Duration {
	d, err := time.ParseDuration(text)
	if err != nil && (strings.HasPrefix(text, "0x") || strings.Contains(text, "_")) {
		fail(pos, "ints are written in decimal digits alone", "%.40q is no number", text)
	}
	if err != nil {
		fail(pos, "durations are written 200ms, 1.5s, 2m, 1h; their units are ns, us, ms, s, m, h, up to 292 years",
			"%.40q is neither a number nor a duration", text)
	}
	return d
}

// isDate reports whether s begins like an RFC 3339 time: 2026-11-21T1.
func isDate(s string) bool {
	const shape = "dddd-dd-ddTd"
	if len(s) < len(shape) {
		return false
	}
	for i := range len(shape) {
		if shape[i] != s[i] && !(shape[i] == 'd' && isDigit(rune(s[i]))) {
			return false
		}
	}
	return true
}

// time scans an RFC 3339 time with its optional logical part.
func (s *scanner) time(t *token) {
	start := s.pos.Offset
	s.advance(len("2026-11-21T"))
	s.takeWhile(func(r rune) bool { return isDigit(r) || r == ':' || r == '.' })
	rest := s.rest()
	switch {
	case strings.HasPrefix(rest, "Z"):
		s.advance(1)
	case len(rest) >= 6 && (rest[0] == '+' || rest[0] == '-') && rest[3] == ':':
		s.advance(6)
	default:
		fail(t.pos, "add Z for UTC, or an offset like +02:00", "the time %s has no zone", s.text[start:s.pos.Offset])
	}
	if rest := s.rest(); len(rest) > 1 && rest[0] == '/' && isDigit(rune(rest[1])) {
		s.advance(1)
		s.takeWhile(isDigit)
	}
	t.kind = kindTime
	t.time = parseTime(t.pos, s.text[start:s.pos.Offset])
}

func parseTime(pos Pos, text string) hlc.Timestamp {
	ts, err := hlc.Parse(text)
	if err != nil {
		fail(pos, timeHint, "%v", err)
	}
	return ts
}

// placeholderMax is the largest number of a placeholder that can be written.
const placeholderMax = 1_000_000

func (s *scanner) placeholder(t *token) {
	s.advance(1)
	t.kind, t.text = kindPlaceholder, s.takeWhile(isDigit)
	if n, err := strconv.Atoi(t.text); err != nil || n > placeholderMax {
		fail(t.pos, "placeholders are written $1, $2, …", "expected a number up to %d after $", placeholderMax)
	}
}

// quoted scans a string that begins with quote. A quote inside is doubled or has
// a backslash before it.
func (s *scanner) quoted(quote rune) string {
	open := s.pos
	s.advance(1)
	var b strings.Builder
	for {
		b.WriteString(s.takeWhile(func(r rune) bool { return r != quote && r != '\\' && r != utf8.RuneError }))
		switch r := s.peek(); {
		case s.rest() == "":
			fail(open, fmt.Sprintf("close it with %c; the same quote inside a string is doubled", quote), "the string that begins here is not closed")
		case r == '\\':
			b.WriteString(s.escape())
		case r == quote:
			s.advance(1)
			if s.rest() == "" || s.peek() != quote {
				return b.String()
			}
			b.WriteString(s.advance(1))
		default: // a genuine U+FFFD: peek has refused bytes that aren't UTF-8
			b.WriteString(s.advance(utf8.RuneLen(r)))
		}
	}
}

// escape scans what begins with a backslash in a string. \% and \_ keep it: they
// are for LIKE.
func (s *scanner) escape() string {
	const plain, meaning = `\'"ntr%_`, "\\'\"\n\t\r"
	pos := s.pos
	s.advance(1)
	c := s.peek()
	if i := strings.IndexRune(plain, c); c != 0 && i >= 0 {
		s.advance(1)
		if i < len(meaning) {
			return meaning[i : i+1]
		}
		return `\` + string(c)
	}
	digits := map[rune]int{'u': 4, 'U': 8}[c]
	if rest := s.rest(); digits > 0 && len(rest) > digits {
		n, err := strconv.ParseUint(rest[1:1+digits], 16, 32)
		if err == nil && n <= unicode.MaxRune && utf8.ValidRune(rune(n)) {
			s.advance(1 + digits)
			return string(rune(n))
		}
	}
	fail(pos, `escapes are \\ \' \" \n \t \r \uXXXX \UXXXXXXXX, and \% \_ for LIKE`, "unknown escape in a string")
	return ""
}

// backquoted scans a name in backquotes; a backquote inside is doubled.
func (s *scanner) backquoted() string {
	open := s.pos
	s.advance(1)
	var b strings.Builder
	for {
		b.WriteString(s.takeWhile(func(r rune) bool { return r != '`' && r != '\n' && r != utf8.RuneError }))
		switch r := s.peek(); {
		case s.rest() == "" || r == '\n':
			fail(open, "close it with `", "the name that begins here is not closed on its line")
		case r != '`':
			b.WriteString(s.advance(utf8.RuneLen(r)))
			continue
		}
		s.advance(1)
		if !strings.HasPrefix(s.rest(), "`") {
			break
		}
		b.WriteString(s.advance(1))
	}
	if b.Len() == 0 {
		fail(open, "", "a name in backquotes is empty")
	}
	return b.String()
}
