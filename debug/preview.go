package debug

import (
	"hindcast.dev/event"
	"hindcast.dev/termtext"
)

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
