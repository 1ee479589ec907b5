package syntax

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// An Error is a mistake in a query's text; the checker of a later stage reports
// what it finds with it too.
type Error struct {
	Pos  Pos
	Msg  string // what is wrong and what was expected; no full stop
	Hint string // the remedy, or empty: did you mean FROM?
}

// Error is one line: "1:10: expected …, found …; did you mean FROM?".
func (e *Error) Error() string {
	var b strings.Builder
	if e.Pos.IsValid() {
		fmt.Fprintf(&b, "%s: ", e.Pos)
	}
	b.WriteString(e.Msg)
	if e.Hint != "" {
		b.WriteString("; ")
		b.WriteString(e.Hint)
	}
	return b.String()
}

// renderWidth is how many characters of a long line Render shows on either side
// of the mistake.
const renderWidth = 60

// Render is the error for a person: the message, the line of text it speaks of
// with a caret below the place, and the hint. It ends in a newline. text is what
// was parsed.
func (e *Error) Render(text string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", (&Error{Pos: e.Pos, Msg: e.Msg}).Error())
	if e.Pos.IsValid() && e.Pos.Offset <= len(text) {
		line, before := excerpt(text, e.Pos.Offset)
		fmt.Fprintf(&b, "  %s\n  %s^\n", line, blank(before))
	}
	if e.Hint != "" {
		fmt.Fprintf(&b, "%s\n", e.Hint)
	}
	return b.String()
}

// excerpt returns the line that holds offset, cut down if it is long, and the
// part of it that comes before offset.
func excerpt(text string, offset int) (line, before string) {
	start := strings.LastIndexByte(text[:offset], '\n') + 1
	head, tail := text[start:offset], text[offset:]
	if i := strings.IndexByte(tail, '\n'); i >= 0 {
		tail = tail[:i]
	}
	if cut := len(head) - renderWidth; cut > 0 {
		for !utf8.RuneStart(head[cut]) {
			cut++
		}
		head = "…" + head[cut:]
	}
	if len(tail) > renderWidth {
		cut := renderWidth
		for cut > 0 && !utf8.RuneStart(tail[cut]) {
			cut--
		}
		tail = tail[:cut] + "…"
	}
	clean := strings.NewReplacer("\r", " ").Replace
	return clean(head + tail), clean(head)
}

// blank is as wide as s: tabs are kept, everything else is a space.
func blank(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\t' {
			return r
		}
		return ' '
	}, s)
}
