package syntax

import (
	"slices"
	"strings"
)

// An Expectation is what may stand at a place of a text, for completion. It is
// what the parser says there that it expected.
type Expectation struct {
	Words   []string // keywords, in capitals; an operator of two words is one of them
	Operand bool     // an expression may begin
	Log     bool     // the name of a log
	Node    bool     // the name of a node
	Event   bool     // the name of an event
	Time    bool     // a time
}

// The names that the grammar asks for, as errors call them.
const (
	wantOperand = "an expression"
	wantLog     = "the name of a log"
	wantNode    = "the name of a node"
	wantEvent   = "the name of an event"
	wantTime    = "a time"
)

// operandWords are the keywords with which an expression may begin.
var operandWords = []string{"NOT", "EXISTS", "FORALL", "CASE", "PREVIOUSLY", "ONCE", "ALWAYS", "TRUE", "FALSE", "NULL", "NOW", "START", "END"}

// Expect returns what may come at the end of text, the beginning of a statement.
// After a mistake, and inside a string or a name, nothing may.
func Expect(text string) Expectation {
	return expect(text, func(p *parser) { p.whole() })
}

// ExpectExpr is Expect for one expression alone.
func ExpectExpr(text string) Expectation {
	return expect(text, func(p *parser) {
		p.expr()
		p.end("the end of the text")
	})
}

// A wanted is the panic of a parser that has reached the place asked about.
type wanted struct {
	what  string
	words []string
	after token
}

func expect(text string, parse func(*parser)) (e Expectation) {
	defer func() {
		switch r := recover().(type) {
		case nil, *Error:
		case *wanted:
			e = r.expectation()
		default:
			panic(r)
		}
	}()
	p := newParserAt(text, start(), true)
	parse(p)
	return e
}

func (w *wanted) expectation() Expectation {
	e := Expectation{Words: slices.Clone(w.words)}
	is := func(want string) bool { return strings.HasPrefix(w.what, want) }
	switch {
	case is(wantOperand):
		e.Operand = true
		e.Words = append(e.Words, operandWords...)
		if w.after.is("WHEN") {
			e.Words = append(e.Words, "POSSIBLY", "DEFINITELY")
		}
	case is(wantLog):
		e.Log = true
	case is(wantNode):
		e.Node = true
	case is(wantEvent):
		e.Event = true
		e.Words = append(e.Words, keeps[1:]...)
	case is(wantTime):
		e.Time = true
		e.Words = append(e.Words, "START", "END", "NOW")
	}
	return e
}

// Names are what a text declares and speaks of, as far as it can be read: it needs
// be no statement yet.
type Names struct {
	Logs     []string // of FROM, before a condition or behind it
	Declared []string // of FOR EACH, COMPUTE, LET, quantifiers, and events of FROM and JOIN
}

// NamesIn reads the names of a text that may be unfinished.
func NamesIn(text string) Names {
	var n Names
	tokens, _ := tokensOf(text)
	for i, t := range tokens {
		rest := tokens[i+1:]
		switch {
		case t.is("FROM"), t.is("JOIN"):
			n.from(rest)
		case t.is("EACH"), t.is("EXISTS"), t.is("FORALL"):
			n.Declared = append(n.Declared, leadingNames(rest)...)
		case len(rest) > 0 && rest[0].isSign(":=") && (t.kind == kindWord || t.kind == kindName):
			n.Declared = append(n.Declared, t.text)
		}
	}
	return n
}

// from reads what follows FROM or JOIN: logs, or a name for events.
func (n *Names) from(rest []token) {
	names := leadingNames(rest)
	if len(names) == 1 && len(rest) > 1 && rest[1].is("IN") {
		n.Declared = append(n.Declared, names[0])
		return
	}
	n.Logs = append(n.Logs, names...)
}

// leadingNames are the names with commas between with which tokens begin.
func leadingNames(tokens []token) []string {
	var names []string
	for i := 0; i < len(tokens); i += 2 {
		if t := tokens[i]; t.kind != kindName && (t.kind != kindWord || reserved[t.upper]) {
			break
		}
		names = append(names, tokens[i].text)
		if i+1 >= len(tokens) || !tokens[i+1].isSign(",") {
			break
		}
	}
	return names
}

// tokensOf are the tokens of a text up to its end or, where whole is false, its
// first mistake.
func tokensOf(text string) (tokens []token, whole bool) {
	var err error
	func() {
		defer catch(&err)
		if len(text) > MaxText {
			fail(Pos{Line: 1, Col: 1}, "", "the text is too long")
		}
		s := scanner{text: text, pos: start()}
		for t := s.next(); t.kind != kindEnd; t = s.next() {
			tokens = append(tokens, t)
		}
	}()
	return tokens, err == nil
}

// Split cuts a text that is still being typed into the statements that a ; ends,
// and the rest behind the last of these. A mistake in the text, such as a string
// that isn't closed, ends with the ; that ends the text.
func Split(text string) (statements []string, rest string) {
	start := 0
	tokens, whole := tokensOf(text)
	for _, t := range tokens {
		if t.isSign(";") {
			statements = append(statements, strings.TrimSpace(text[start:t.end]))
			start = t.end
		}
	}
	rest = strings.TrimSpace(text[start:])
	if !whole && strings.HasSuffix(rest, ";") {
		return append(statements, rest), ""
	}
	return statements, rest
}
