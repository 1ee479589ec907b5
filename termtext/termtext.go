// Package termtext makes text fit for a terminal: safe, whatever was recorded, and
// as wide as there is room for. Widths are counted in columns, not in bytes or
// characters.
package termtext

import (
	"bytes"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Printable makes s safe for one line of a terminal: what a recording holds is
// anybody's, and an escape sequence, a line break or a change of direction in a
// node's name must not do there what it says.
func Printable(s string) string { return strings.Map(visible, s) }

// PrintableText is Printable for text of several lines.
func PrintableText(s string) string { return strings.Map(visibleInText, s) }

// Name makes a name safe for one line of a terminal, such that Unname tells which it
// was: it is as it is if it shows as it is, else in double quotes with the escapes of
// Go.
func Name(name string) string {
	if name == "" || name[0] == '"' || strings.TrimSpace(name) != name || Printable(name) != name {
		return strings.ReplaceAll(strconv.Quote(name), "\uFFFD", `\ufffd`) // which Quote takes for itself
	}
	return name
}

// Unname is the name of which Name made the text.
func Unname(text string) string {
	if name, err := strconv.Unquote(text); err == nil && text[0] == '"' {
		return name
	}
	return text
}

func visibleInText(r rune) rune {
	if r == '\n' || r == '\t' {
		return r
	}
	return visible(r)
}

// visible is the rune itself if it shows, a dot if it does anything else.
func visible(r rune) rune {
	if r == utf8.RuneError || !unicode.IsPrint(r) {
		return '·'
	}
	return r
}

// SafeWriter returns a writer that passes text on to w with everything but line
// breaks and tabs made printable. A character may be split between Writes; the
// last Write ends with a whole one.
func SafeWriter(w io.Writer) io.Writer { return &safeWriter{w: w} }

type safeWriter struct {
	w    io.Writer
	part []byte // the beginning of a character whose rest is still to come
}

func (s *safeWriter) Write(b []byte) (int, error) {
	text := append(s.part, b...)
	whole := len(text)
	for i := 1; i < utf8.UTFMax && i <= len(text); i++ {
		if c := text[len(text)-i]; utf8.RuneStart(c) {
			if !utf8.FullRune(text[len(text)-i:]) {
				whole = len(text) - i
			}
			break
		}
	}
	safe := bytes.Map(visibleInText, text[:whole])
	s.part = append([]byte(nil), text[whole:]...)
	if _, err := s.w.Write(safe); err != nil {
		return 0, err
	}
	return len(b), nil
}

// wide are the blocks whose characters fill two columns of a terminal.
var wide = &unicode.RangeTable{
	R16: []unicode.Range16{{0x1100, 0x115f, 1}, {0x2e80, 0x303e, 1}, {0x3041, 0xa4cf, 1}, {0xac00, 0xd7a3, 1},
		{0xf900, 0xfaff, 1}, {0xfe30, 0xfe6f, 1}, {0xff00, 0xff60, 1}, {0xffe0, 0xffe6, 1}},
	R32: []unicode.Range32{{0x1f300, 0x1f64f, 1}, {0x1f680, 0x1f6ff, 1}, {0x1f900, 0x1f9ff, 1}, {0x20000, 0x3fffd, 1}},
}

// RuneColumns is how many columns of a terminal a printable character fills.
func RuneColumns(r rune) int {
	switch {
	case unicode.Is(unicode.Mn, r) || unicode.Is(unicode.Me, r):
		return 0
	case unicode.Is(wide, r):
		return 2
	}
	return 1
}

// Columns is how many columns of a terminal s fills.
func Columns(s string) (n int) {
	for _, r := range s {
		n += RuneColumns(r)
	}
	return n
}

// Pad fills s up with spaces to n columns.
func Pad(s string, n int) string { return s + strings.Repeat(" ", max(n-Columns(s), 0)) }

// Clip shortens s to n columns, and reads no more of it than that takes.
func Clip(s string, n int) string {
	used, room := 0, 0 // columns so far; where an ellipsis still fits
	for i, r := range s {
		if used <= n-1 {
			room = i
		}
		if used += RuneColumns(r); used > n {
			return s[:room] + strings.Repeat("…", min(max(n, 0), 1))
		}
	}
	return s
}
