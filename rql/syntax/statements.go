package syntax

import (
	"strings"
	"unicode/utf8"
)

// Statements cuts a whole text into its statements, which a ; ends or the end of
// the text. Lines and columns of a statement are those of the text: empty lines and
// spaces stand where others stood before it. What is nothing but a comment is no
// statement.
func Statements(text string) []string {
	var statements []string
	start := 0
	add := func(end int) {
		before := text[:start]
		line := strings.LastIndexByte(before, '\n') + 1
		pad := strings.Repeat("\n", strings.Count(before, "\n")) + strings.Repeat(" ", utf8.RuneCountInString(before[line:]))
		statements = append(statements, pad+strings.TrimRight(text[start:end], "\r\n"))
	}
	tokens, whole := tokensOf(text)
	empty := true
	for _, t := range tokens {
		if !t.isSign(";") {
			empty = false
			continue
		}
		if !empty {
			add(t.end)
		}
		start, empty = t.end, true
	}
	if !empty || !whole {
		add(len(text))
	}
	return statements
}
