package tui

import (
	"strings"

	"hindcast.dev/history"
	"hindcast.dev/termtext"
)

// A part is a piece of a line in one style.
type part struct {
	text  string
	style style
}

// A line is one of a list.
type line struct {
	parts []part
	do    string // the command that Enter stands for, "" if none
	open  string // what Enter opens or closes in the tree, "" if nothing
	depth int    // in the tree
	here  bool   // it is the node that the event is on
}

func styled(st style, text string) line { return line{parts: []part{{text, st}}} }

// leading is a line that leads somewhere.
func leading(do string, parts ...part) line { return line{parts: parts, do: do} }

// A list is lines of which one is chosen, and some are in view.
type list struct {
	lines    []line
	cur, top int
	width    int              // that the lines were made for
	at       history.Position // that the lines are about, see model.sideAt
	stale    bool
	moved    bool // somebody has chosen a line
	toLast   bool // the last answer is to come into view
}

// fit keeps the chosen line in the list and in view.
func (l *list) fit(h int) {
	l.cur = max(min(l.cur, len(l.lines)-1), 0)
	l.top = max(min(l.top, len(l.lines)-h), 0)
	if l.cur < l.top {
		l.top = l.cur
	}
	if h > 0 && l.cur >= l.top+h {
		l.top = l.cur - h + 1
	}
}

// draw draws the lines in view. The first column points at the chosen one.
func (l *list) draw(a area, focused bool) {
	l.fit(a.h)
	for y := range min(a.h, len(l.lines)-l.top) {
		n := l.lines[l.top+y]
		x := 1
		for _, p := range n.parts {
			x = a.line(x, y, p.style, p.text)
		}
		if n.do != "" || n.open != "" {
			a.set(0, y, '·', dim)
		}
		if l.top+y == l.cur && focused {
			a.set(0, y, '›', bold)
			a.paint(y, reverse)
		}
	}
	if below := len(l.lines) - l.top - a.h; below > 0 && a.h > 1 {
		a.right(a.h-1, reverse, " ↓ ")
	}
	if l.top > 0 && a.h > 1 {
		a.right(0, reverse, " ↑ ")
	}
}

// wrap breaks a text into lines of so many columns, at spaces if there are any.
func wrap(text string, columns int) (lines []string) {
	columns = max(columns, 8)
	for row := range strings.Lines(text) {
		row = strings.TrimRight(row, "\n")
		for termtext.Columns(row) > columns {
			at, space, used := 0, 0, 0
			for i, c := range row {
				if used += termtext.RuneColumns(c); used > columns {
					break
				}
				at = i + len(string(c))
				if c == ' ' && i > 0 {
					space = i + 1
				}
			}
			if space > at/2 {
				at = space
			}
			lines = append(lines, strings.TrimRight(row[:at], " "))
			row = row[at:]
		}
		lines = append(lines, row)
	}
	return lines
}
