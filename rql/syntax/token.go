package syntax

import (
	"strconv"
	"strings"
	"time"
	"unicode"

	"hindcast.dev/hlc"
)

// kind is what a token is. Punctuation and operators are all kindSign.
type kind int

const (
	kindEnd  kind = iota // the end of the text
	kindWord             // a keyword or a name, unquoted
	kindName             // a name in backquotes
	kindInt
	kindFloat
	kindString
	kindDuration
	kindTime
	kindPlaceholder
	kindSign
	kindAsked // the end of a text of which is asked what may follow
)

// A token is one lexical element. What its text holds depends on kind.
type token struct {
	kind  kind
	pos   Pos
	end   int           // offset of the first byte after it
	text  string        // word or name; digits of an int; value of a string; the sign
	upper string        // of a kindWord: text in capitals
	num   float64       // of a kindFloat
	dur   time.Duration // of a kindDuration
	time  hlc.Timestamp // of a kindTime
}

// is reports whether t is the keyword word (in capitals).
func (t *token) is(word string) bool { return t.kind == kindWord && t.upper == word }

// isSign reports whether t is the given punctuation or operator.
func (t *token) isSign(sign string) bool { return t.kind == kindSign && t.text == sign }

// describe says what t is, for an error that found it.
func (t *token) describe() string {
	switch t.kind {
	case kindEnd:
		return "the end of the text"
	case kindWord:
		return strconv.Quote(t.text)
	case kindName:
		return "the name " + t.text
	case kindInt, kindFloat:
		return "a number"
	case kindString:
		return "a string"
	case kindDuration:
		return "a duration"
	case kindTime:
		return "a time"
	case kindPlaceholder:
		return "$" + t.text
	}
	return strconv.Quote(t.text)
}

// reserved holds the words that are no names unless in backquotes or after a dot.
var reserved = wordSet(`SELECT FROM FOR COMPUTE WHEN POSSIBLY DEFINITELY WITHIN AT ON GROUP GROUPBY EMIT LIMIT AS
	OR AND SINCE NOT PREVIOUSLY ONCE ALWAYS IN NOTIN SUBSET ISSUBSET LIKE UNION INTERSECT EXCEPT LINK
	EXISTS FORALL CASE THEN ELSE DISTINCT JOIN LET WHERE`)

// literalWords are values in an expression, and names elsewhere or before a dot.
var literalWords = wordSet("TRUE FALSE NULL NOW START END")

func wordSet(list string) map[string]bool {
	set := map[string]bool{}
	for _, w := range strings.Fields(list) {
		set[w] = true
	}
	return set
}

// upperASCII is s with the letters a to z in capitals, and no others: keywords
// have no look-alikes.
func upperASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' {
			return r - ('a' - 'A')
		}
		return r
	}, s)
}

func isWordStart(r rune) bool { return r == '_' || unicode.IsLetter(r) }
func isWordPart(r rune) bool  { return isWordStart(r) || unicode.IsDigit(r) }

// isWord reports whether s can be written as a word without quotes.
func isWord(s string) bool {
	for i, r := range s {
		if i == 0 && !isWordStart(r) || !isWordPart(r) {
			return false
		}
	}
	return s != ""
}
