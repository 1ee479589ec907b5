package syntax

import (
	"strings"
	"unicode/utf8"
)

// A Piece is a statement of a longer text.
type Piece struct {
	Text string
	At   Pos // where it begins in that text, for ParseAt
}

// Statements cuts a whole text into its statements, which a ; ends or the end of
// the text. What is nothing but a comment is no statement.
func Statements(text string) []Piece {
	var statements []Piece
	at := start()
	add := func(end int) {
		statements = append(statements, Piece{strings.TrimRight(text[at.Offset:end], "\r\n"), at})
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
		at, empty = at.after(text[at.Offset:t.end]), true
	}
	if !empty || !whole {
		add(len(text))
	}
	return statements
}

// after is where a text ends that begins at p.
func (p Pos) after(text string) Pos {
	p.Offset += len(text)
	if i := strings.LastIndexByte(text, '\n'); i >= 0 {
		p.Line += strings.Count(text, "\n")
		p.Col, text = 1, text[i+1:]
	}
	p.Col += utf8.RuneCountInString(text)
	return p
}
