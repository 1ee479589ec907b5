package event

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// PathString is the text of a path: the variable's name, then for each step a
// key in brackets as JSON, or .name for a later step whose key is a word:
//
//	kv.items["x"].version
//	node.link[3]
//
// A name that holds "[", begins with a backquote or is empty stands in
// backquotes, a backquote inside it doubled. ParsePath gives name and steps back.
func PathString(name string, path []Value) string { return string(AppendPath(nil, name, path)) }

// AppendPath appends PathString to b.
func AppendPath(b []byte, name string, path []Value) []byte {
	if name == "" || name[0] == '`' || strings.Contains(name, "[") {
		b = append(b, '`')
		b = append(b, strings.ReplaceAll(name, "`", "``")...)
		b = append(b, '`')
	} else {
		b = append(b, name...)
	}
	for i, step := range path {
		if i > 0 && step.typ == TypeString && wordLen(step.str) == len(step.str) && step.str != "" {
			b = append(append(b, '.'), step.str...)
			continue
		}
		b = append(step.AppendJSON(append(b, '[')), ']')
	}
	return b
}

// ParsePath reads the text of a path. The name is all before the first bracket,
// dots included, so a step into a variable's value begins with a bracket; a
// string key may stand in single quotes too. Its error is a *SyntaxError.
func ParsePath(s string) (name string, path []Value, err error) {
	p := NewParser([]byte(s))
	if name, err = p.name(); err != nil {
		return "", nil, err
	}
	for p.pos < len(p.src) {
		step, err := p.step(len(path) == 0)
		if err != nil {
			return "", nil, err
		}
		if path = append(path, step); len(path) > MaxDepth {
			return "", nil, p.failAt(p.pos, "a path has at most %d steps", MaxDepth)
		}
	}
	return name, path, nil
}

func (p *Parser) name() (string, error) {
	if len(p.src) == 0 {
		return "", p.failAt(0, "want a variable like kv.items")
	}
	if p.src[0] != '`' {
		end := bytes.IndexByte(p.src, '[')
		if end < 0 {
			end = len(p.src)
		}
		if end == 0 {
			return "", p.fail("a variable's name before the bracket")
		}
		p.pos = end
		return string(p.src[:end]), nil
	}
	var b []byte
	for p.pos = 1; p.pos < len(p.src); p.pos++ {
		c := p.src[p.pos]
		if c == '`' {
			if p.pos+1 == len(p.src) || p.src[p.pos+1] != '`' {
				p.pos++
				return string(b), nil
			}
			p.pos++
		}
		b = append(b, c)
	}
	return "", p.failAt(0, "this backquote isn't closed")
}

// step reads one step of a path.
func (p *Parser) step(first bool) (Value, error) {
	if c := p.src[p.pos]; c == '.' && !first {
		p.pos++
		n := wordLen(string(p.src[p.pos:]))
		if n == 0 {
			return Absent, p.fail("a field's name after the dot")
		}
		p.pos += n
		return String(string(p.src[p.pos-n : p.pos])), nil
	} else if c != '[' {
		return Absent, p.fail(`"["`)
	}
	p.pos++
	key, err := p.key()
	if err != nil {
		return Absent, err
	}
	return key, p.take(']', `"]"`)
}

// key reads a key in brackets.
func (p *Parser) key() (Value, error) {
	if p.Peek() != '\'' {
		return p.Value()
	}
	start := p.pos + 1
	n := bytes.IndexByte(p.src[start:], '\'')
	if n < 0 {
		return Absent, p.failAt(start-1, "this string has no end")
	}
	p.pos = start + n + 1
	s, err := p.valid(p.src[start:start+n], start)
	return String(s), err
}

// wordLen returns the length of the word that s begins with: letters, digits and
// underscores, no digit first.
func wordLen(s string) int {
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		letter := r == '_' || r|0x20 >= 'a' && r|0x20 <= 'z'
		if !letter && (i == 0 || r < '0' || r > '9') {
			return i
		}
		i += n
	}
	return len(s)
}
