package debug

import (
	"strings"

	"hindcast.dev/event"
	"hindcast.dev/termtext"
)

// Bounds on what is said of one value, in columns.
const (
	wholeColumns = 1 << 20 // by what shows it whole
	eventColumns = 1 << 14 // of an event
)

// inShort is FormatValue in up to n columns. It costs no more for a value that holds
// much: of that it shows as much as Preview.
func inShort(v event.Value, n int) string {
	if weigh(v, 2*n) < 2*n {
		return termtext.Clip(FormatValue(v), n)
	}
	return Preview(v, n)
}

// weigh is about how many bytes a value has as text, counted no further than enough.
func weigh(v event.Value, enough int) int {
	switch v.Type() {
	case event.TypeString:
		return 2 + v.Len()
	case event.TypeMap:
		n := 2
		for k, m := range v.AsMap().All() {
			if n += 2 + weigh(k, enough-n) + weigh(m, enough-n); n >= enough {
				break
			}
		}
		return n
	case event.TypeList, event.TypeSet:
		n := 2
		for _, m := range v.Members() {
			if n += 1 + weigh(m, enough-n); n >= enough {
				break
			}
		}
		return n
	}
	return 8
}

// whole is a value in up to n columns, and says so if that isn't all of it.
func whole(v event.Value, n int) string {
	text := termtext.Printable(inShort(v, n))
	if weigh(v, 2*n) >= 2*n || strings.HasSuffix(text, "…") && len(text) > n/2 {
		text += " (cut short: state PATH shows more, export jsonl all of it)"
	}
	return text
}

// Preview is a value on a line of up to n columns, for people: without the reserved
// keys of the JSON form. It costs no more for a value that holds much.
func Preview(v event.Value, n int) string {
	return termtext.Clip(string(appendPreview(nil, v, n)), n)
}

// appendPreview stops soon after b has more than n bytes.
func appendPreview(b []byte, v event.Value, n int) []byte {
	switch v.Type() {
	case event.TypeMap:
		b = append(b, '{')
		first := true
		for k, m := range v.AsMap().All() {
			if len(b) > n {
				break
			}
			if !first {
				b = append(b, ", "...)
			}
			first = false
			if k.Type() == event.TypeString {
				b = appendStart(b, k.AsString(), n)
			} else {
				b = appendPreview(b, k, n)
			}
			b = appendPreview(append(b, ": "...), m, n)
		}
		return append(b, '}')
	case event.TypeList, event.TypeSet:
		ends := "[]"
		if v.Type() == event.TypeSet {
			ends = "{}"
		}
		b = append(b, ends[0])
		for i, m := range v.Members() {
			if len(b) > n {
				break
			}
			if i > 0 {
				b = append(b, ", "...)
			}
			b = appendPreview(b, m, n)
		}
		return append(b, ends[1])
	case event.TypeString:
		return append(appendStart(append(b, '"'), v.AsString(), n), '"')
	case event.TypeTime:
		return v.AsTime().Append(b)
	case event.TypeAbsent:
		return append(b, "—"...)
	}
	return v.AppendJSON(b)
}

var escapes = map[rune]string{'\n': `\n`, '\t': `\t`, '\r': `\r`, '"': `\"`, '\\': `\\`}

// appendStart appends as much of a text as is shown, with what ends lines or has no
// shape made visible.
func appendStart(b []byte, s string, n int) []byte {
	for i, r := range s {
		if i > n {
			break
		}
		if escaped, ok := escapes[r]; ok {
			b = append(b, escaped...)
		} else {
			b = append(b, termtext.Printable(string(r))...)
		}
	}
	return b
}
