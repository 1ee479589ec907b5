package tui

import (
	"strconv"
	"strings"

	"hindcast.dev/termtext"
)

// A style is how a cell looks: attributes, and at most one colour.
type style uint16

const (
	bold style = 1 << iota
	dim
	underline
	reverse
	red
	green
	yellow
	blue
	magenta
	cyan
)

// behind marks the cell behind a wide character.
const behind rune = -1

// A cell is one column of one row.
type cell struct {
	char  rune
	style style
}

// A screen is what is drawn, by cells: nothing drawn on it can be wider or higher
// than it is, whatever was recorded.
type screen struct {
	w, h  int
	cells []cell
}

func newScreen(w, h int) *screen {
	s := &screen{max(w, 0), max(h, 0), nil}
	s.cells = make([]cell, s.w*s.h)
	for i := range s.cells {
		s.cells[i].char = ' '
	}
	return s
}

// all is the whole screen.
func (s *screen) all() area { return area{s, 0, 0, s.w, s.h} }

// An area is a part of a screen, with coordinates of its own. What would be drawn
// outside of it is left out.
type area struct {
	s          *screen
	x, y, w, h int
}

// rows is the part of an area from a row on, so many rows high.
func (a area) rows(y, h int) area {
	y = min(max(y, 0), a.h)
	return area{a.s, a.x, a.y + y, a.w, min(max(h, 0), a.h-y)}
}

// columns is the part of an area from a column on, so many columns wide.
func (a area) columns(x, w int) area {
	x = min(max(x, 0), a.w)
	return area{a.s, a.x + x, a.y, min(max(w, 0), a.w-x), a.h}
}

// at is the cell at a place in the area; nil outside.
func (a area) at(x, y int) *cell {
	if x < 0 || y < 0 || x >= a.w || y >= a.h {
		return nil
	}
	return &a.s.cells[(a.y+y)*a.s.w+a.x+x]
}

// set draws one character of one column.
func (a area) set(x, y int, c rune, st style) {
	if p := a.at(x, y); p != nil {
		*p = cell{c, st}
	}
}

// text draws a text from a column on, made safe and cut off at the area's edge, and
// returns the column behind it.
func (a area) text(x, y int, st style, s string) int {
	for _, c := range s {
		if x >= a.w {
			break
		}
		if safe := termtext.Printable(string(c)); safe != string(c) {
			c = []rune(safe)[0]
		}
		n := termtext.RuneColumns(c)
		switch {
		case n == 0: // a cell holds one character
		case x+n > a.w:
			a.set(x, y, '…', st)
		default:
			a.set(x, y, c, st)
			if n > 1 {
				a.set(x+1, y, behind, st)
			}
		}
		x += n
	}
	return x
}

// line draws a text as text does, with an ellipsis where it doesn't fit.
func (a area) line(x, y int, st style, s string) int {
	return a.text(x, y, st, termtext.Clip(s, max(a.w-x, 0)))
}

// right draws a text that ends at the area's right edge.
func (a area) right(y int, st style, s string) int {
	s = termtext.Clip(termtext.Printable(s), a.w)
	x := a.w - termtext.Columns(s)
	a.text(x, y, st, s)
	return x
}

// paint gives a row a style beside those that it has.
func (a area) paint(y int, st style) {
	for x := range a.w {
		if p := a.at(x, y); p != nil {
			p.style |= st
		}
	}
}

// A look says how a screen is turned into text for a terminal.
type look struct {
	ascii  bool // characters of ASCII alone
	colour bool
}

// render is the text of a screen, row by row. The styles are escape sequences.
func (s *screen) render(l look, styled bool) string {
	var b strings.Builder
	for y := range s.h {
		if y > 0 {
			b.WriteByte('\n')
		}
		row := s.cells[y*s.w : (y+1)*s.w]
		end := len(row)
		for end > 0 && row[end-1].char == ' ' && (!styled || row[end-1].style&(reverse|underline) == 0) {
			end--
		}
		last := style(0)
		for _, c := range row[:end] {
			if c.char == behind {
				if l.ascii {
					b.WriteByte('?')
				}
				continue
			}
			if styled && c.style != last {
				b.WriteString(escape(c.style, l.colour))
				last = c.style
			}
			if l.ascii {
				c.char = ascii(c.char)
			}
			b.WriteRune(c.char)
		}
		if last != 0 {
			b.WriteString("\x1b[m")
		}
	}
	return b.String()
}

// escape is the sequence that sets a style.
func escape(st style, colour bool) string {
	codes := []int{0}
	for i, s := range []style{bold, dim, underline, reverse} {
		if st&s != 0 {
			codes = append(codes, []int{1, 2, 4, 7}[i])
		}
	}
	for i, s := range []style{red, green, yellow, blue, magenta, cyan} {
		if colour && st&s != 0 {
			codes = append(codes, 31+i)
		}
	}
	var b strings.Builder
	b.WriteString("\x1b[")
	for i, c := range codes {
		if i > 0 {
			b.WriteByte(';')
		}
		b.WriteString(strconv.Itoa(c))
	}
	b.WriteByte('m')
	return b.String()
}

// asciiFor stands in for the characters that this package draws with.
var asciiFor = map[rune]rune{
	'│': '|', '─': '-', '├': '+', '┤': '+', '┼': '+', '┬': '+', '┴': '+', '●': 'o', '◆': '*', '▶': '>', '◀': '<', '╳': 'X',
	'▸': '+', '▾': '-', '→': '>', '…': '~', '·': '.', '›': '>', '»': '>', '✕': 'x', '—': '-', '−': '-', '↑': '^', '↓': 'v',
	'▁': '.', '▂': ':', '▃': '-', '▄': '=', '▅': '+', '▆': '*', '▇': '#', '█': '@', '╌': '-', '┊': ':', '▲': '^',
}

// ascii is a character of ASCII for any.
func ascii(c rune) rune {
	if c < 0x7f {
		return c
	}
	if a, ok := asciiFor[c]; ok {
		return a
	}
	return '?'
}
