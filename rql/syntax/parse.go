package syntax

import (
	"strconv"
	"strings"
)

// Parse reads one statement. Its error is an *Error.
func Parse(text string) (Statement, error) { return ParseAt(text, Pos{}) }

// ParseAt reads one statement of a longer text, which begins at a place of that,
// or at its beginning if that isn't said: the lines and columns of what it returns are that text's, and offsets are the
// statement's own, as Render wants them.
func ParseAt(text string, at Pos) (stmt Statement, err error) {
	defer catch(&err)
	if !at.IsValid() {
		at = start()
	}
	at.Offset = 0
	return newParserAt(text, at, false).whole(), nil
}

// whole reads a statement and the end of the text.
func (p *parser) whole() Statement {
	stmt := p.statement()
	if p.accept(";") && p.tok.kind != kindEnd {
		p.unexpectedHint("ask one statement at a time", "the end of the text after ;")
	}
	p.end("the end of the text")
	return stmt
}

// ParseExpr reads one expression, for tools that ask for a condition alone. Its
// error is an *Error.
func ParseExpr(text string) (e Expr, err error) {
	defer catch(&err)
	p := newParser(text)
	e = p.expr()
	p.end("the end of the text")
	return e, nil
}

// catch turns the panic of fail into a returned error.
func catch(err *error) {
	switch r := recover().(type) {
	case nil:
	case *Error:
		*err = r
	default:
		panic(r)
	}
}

// A parser reads by recursive descent, at most two tokens ahead.
type parser struct {
	scan  scanner // stands after tok, or after ahead if there is one
	tok   token   // the next one, not consumed
	ahead *token  // the one after tok, if peek has read it
	prev  token   // the last one consumed
	depth int     // brackets, prefix operators and sub-queries open now

	clauses []string // of the statement, in order; nil for an expression alone
	last    int      // index in clauses of the last one read
}

func newParser(text string) *parser { return newParserAt(text, start(), false) }

// start is where a text begins.
func start() Pos { return Pos{Line: 1, Col: 1} }

// newParserAt makes a parser that reads text, which begins at a place; with
// asked it panics with a *wanted where text ends.
func newParserAt(text string, at Pos, asked bool) *parser {
	if len(text) > MaxText {
		fail(at, "", "the text is %d bytes long; the longest that is read has %d", len(text), MaxText)
	}
	p := &parser{scan: scanner{text: text, pos: at, asked: asked}}
	p.tok = p.scan.next()
	return p
}

func (p *parser) statement() Statement {
	switch t := p.tok; {
	case t.is("EXPLAIN"):
		return p.explained()
	case t.is("SELECT"):
		return p.query()
	case t.is("FROM"):
		return p.eventQuery()
	case t.is("SHOW"):
		return p.show()
	}
	hint := ""
	if p.tok.kind == kindWord {
		hint = foreignStatements[p.tok.upper]
	}
	if hint == "" && p.conditionFollows() {
		hint = "a condition stands in a query: SELECT … FROM log WHEN condition"
	}
	p.unexpectedHint(hint, "SELECT, FROM, SHOW or EXPLAIN", "SELECT", "FROM", "SHOW", "EXPLAIN")
	return nil
}

// explained reads EXPLAIN and its query.
func (p *parser) explained() Statement {
	pos := p.tok.pos
	p.acceptWord("EXPLAIN")
	hint := "EXPLAIN stands before a whole query: EXPLAIN SELECT …, EXPLAIN FROM …"
	switch {
	case p.tok.is("FROM"):
		q := p.eventQuery()
		q.Pos, q.Explain = pos, true
		return q
	case p.tok.is("SELECT"):
		q := p.query()
		q.Pos, q.Explain = pos, true
		return q
	case p.tok.is("SHOW"):
		hint = "only a query can be explained"
	}
	p.unexpectedHint(hint, "SELECT or FROM after EXPLAIN", "SELECT", "FROM")
	return nil
}

// conditionFollows reports whether an expression stands where a statement should.
func (p *parser) conditionFollows() bool {
	if p.tok.kind == kindEnd || p.tok.kind == kindAsked {
		return false
	}
	if p.tok.kind == kindWord && prefixByWord[p.tok.upper] == OpNone {
		next := p.peek()
		return next.kind == kindSign && !next.isSign(";") && !next.isSign(",")
	}
	return p.tok.kind != kindSign || p.tok.isSign("(")
}

// Tokens.

// advance consumes the next token and returns it.
func (p *parser) advance() token {
	t := p.tok
	p.prev = t
	if p.ahead != nil {
		p.tok, p.ahead = *p.ahead, nil
	} else {
		p.tok = p.scan.next()
	}
	return t
}

// peek returns the token after the next. It is valid until the next advance.
func (p *parser) peek() *token {
	if p.ahead == nil {
		t := p.scan.next()
		p.ahead = &t
	}
	return p.ahead
}

// accept consumes the next token if it is the given sign.
func (p *parser) accept(sign string) bool {
	if p.tok.isSign(sign) {
		p.advance()
		return true
	}
	return false
}

// acceptWord consumes the next token if it is the given keyword.
func (p *parser) acceptWord(word string) bool {
	if p.tok.is(word) {
		p.advance()
		return true
	}
	return false
}

// expect consumes the given sign; what says what it is for.
func (p *parser) expect(sign, what string) token {
	if !p.tok.isSign(sign) {
		p.unexpected(strconv.Quote(sign) + what)
	}
	return p.advance()
}

func (p *parser) expectWord(word, what string) token {
	if !p.tok.is(word) {
		p.unexpected(word+what, word)
	}
	return p.advance()
}

// expectHint is expectWord with a hint for everything that isn't a misprint.
func (p *parser) expectHint(word, what, hint string) token {
	if !p.tok.is(word) {
		if p.nearest(word) != "" {
			hint = ""
		}
		p.unexpectedHint(hint, word+what, word)
	}
	return p.advance()
}

// expectOne consumes one of the given keywords and returns its index.
func (p *parser) expectOne(words ...string) int {
	for i, w := range words {
		if p.acceptWord(w) {
			return i
		}
	}
	n := len(words) - 1
	p.unexpected(strings.Join(words[:n], ", ")+" or "+words[n], words...)
	return 0
}

// unexpected fails at the next token, which isn't what it should be. If it looks
// like a misprint of one of the keywords, that is the hint.
func (p *parser) unexpected(expected string, keywords ...string) {
	p.unexpectedHint("", expected, keywords...)
}

func (p *parser) unexpectedHint(hint, expected string, keywords ...string) {
	if p.tok.kind == kindAsked {
		panic(&wanted{expected, keywords, p.prev})
	}
	if hint == "" {
		hint = p.habit(expected)
	}
	if near := p.nearest(keywords...); hint == "" && near != "" {
		hint = "did you mean " + near + "?"
	}
	fail(p.tok.pos, hint, "expected %s, found %s", expected, p.tok.describe())
}

// nearest is the keyword that the next token is most likely a misprint of, or "".
func (p *parser) nearest(keywords ...string) string {
	if p.tok.kind != kindWord || p.pathFollows() {
		return ""
	}
	near, _ := Nearest(p.tok.upper, keywords)
	return near
}

// pathFollows reports whether the next token goes on as only a name can.
func (p *parser) pathFollows() bool {
	next := p.peek()
	return next.isSign(".") || next.isSign("[") || next.isSign(":=")
}

// prefixWords are what comes before an operand, for "did you mean".
var prefixWords = []string{"NOT", "PREVIOUSLY", "ONCE", "ALWAYS", "POSSIBLY", "DEFINITELY", "EXISTS", "FORALL", "DISTINCT"}

// afterOperand fails at the next token, which can't follow the operand before it:
// maybe because a misprinted prefix operator was taken for that operand.
func (p *parser) afterOperand(expected string, keywords ...string) {
	if near, ok := nearPrefix(p.prev); ok && p.operandFollows() && p.prevHabit() == "" {
		fail(p.prev.pos, "did you mean "+near+"?", "the name %q can't be followed by %s", p.prev.text, p.tok.describe())
	}
	p.unexpectedHint(p.clauseHabit(), expected, keywords...)
}

// nearPrefix returns the word before an operand that t is most likely a misprint
// of.
func nearPrefix(t token) (string, bool) {
	if t.kind != kindWord {
		return "", false
	}
	return Nearest(t.upper, prefixWords)
}

// enter opens one more level of nesting; leave closes it.
func (p *parser) enter() {
	if p.depth++; p.depth > MaxDepth {
		fail(p.tok.pos, "", "nested more than %d levels deep", MaxDepth)
	}
}

func (p *parser) leave() { p.depth-- }

// Names.

// name reads a name that is declared here and may stand alone in expressions.
func (p *parser) name(what string) *Ident {
	if p.tok.kind == kindWord && literalWords[p.tok.upper] {
		p.unexpectedHint("it is a literal; choose another name", what)
	}
	return p.anyName(what)
}

// anyName reads a name where no expression can stand: of a log, or of an event,
// whose parts are reached with a dot.
func (p *parser) anyName(what string) *Ident {
	hint := ""
	if p.tok.kind == kindWord && reserved[p.tok.upper] {
		hint = p.tok.upper + " is a keyword; as a name it is written `" + p.tok.text + "`"
	} else if p.tok.kind == kindWord || p.tok.kind == kindName {
		t := p.advance()
		return &Ident{Pos: t.pos, Name: t.text}
	}
	if hint == "" && what == wantLog {
		hint = p.logHabit()
	}
	p.unexpectedHint(hint, what)
	return nil
}

// list reads one or more elements with commas between.
func list[T any](p *parser, element func() T) []T {
	var all []T
	for {
		if len(all) == MaxList {
			fail(p.tok.pos, "", "a list has more than %d members", MaxList)
		}
		all = append(all, element())
		if !p.accept(",") {
			return all
		}
	}
}

// Numbers and times.

func (p *parser) integer(what string) int64 {
	if p.tok.kind != kindInt {
		p.unexpected(what)
	}
	n, err := strconv.ParseInt(p.tok.text, 10, 64)
	if err != nil {
		fail(p.tok.pos, "", "the number is too large; the largest is %d", int64(1<<63-1))
	}
	p.advance()
	return n
}

func (p *parser) duration(after string) *Duration {
	if p.tok.kind != kindDuration {
		hint := "durations are written 200ms, 1.5s, 2m"
		if p.tok.kind == kindInt || p.tok.kind == kindFloat {
			hint += ", the unit without a space"
		}
		p.unexpectedHint(hint, "a duration after "+after)
	}
	t := p.advance()
	return &Duration{Pos: t.pos, D: t.dur}
}

const timeHint = "times are 2026-11-21T19:46:53Z, a decimal HLC, NOW, START or END, plus or minus a duration"

// time reads a time where nothing else may stand, so that a decimal HLC is one,
// and a time in quotes.
func (p *parser) time(after string) *Time {
	switch t := p.tok; t.kind {
	case kindInt, kindString:
		p.advance()
		if t.kind == kindInt && p.tok.isSign("-") && p.peek().kind == kindInt {
			fail(t.pos, timeHint, "a date alone is no time")
		}
		return p.offset(&Time{Pos: t.pos, At: parseTime(t.pos, t.text)}, true)
	case kindTime, kindWord:
		if tm := p.timeLiteral(true); tm != nil {
			return tm
		}
	}
	hint := timeHint
	if p.tok.is("BETWEEN") {
		hint = "write ON TIME t1 TO t2"
	}
	p.unexpectedHint(hint, wantTime+" after "+after)
	return nil
}

// timeLiteral reads a time that can't be anything else, with its offset; it
// returns nil if the next token begins none.
func (p *parser) timeLiteral(strict bool) *Time {
	tm := &Time{Pos: p.tok.pos}
	switch t := p.tok; {
	case t.kind == kindTime:
		tm.At = t.time
	case t.is("NOW"):
		tm.Base = BaseNow
	case t.is("START"):
		tm.Base = BaseStart
	case t.is("END"):
		tm.Base = BaseEnd
	default:
		return nil
	}
	p.advance()
	return p.offset(tm, strict)
}

// offset reads the durations added to and taken from tm. With strict nothing
// else may be.
func (p *parser) offset(tm *Time, strict bool) *Time {
	for p.tok.isSign("+") || p.tok.isSign("-") {
		if p.peek().kind != kindDuration {
			if !strict {
				return tm
			}
			p.advance()
			hint := timeHint
			if p.tok.kind == kindInt || p.tok.kind == kindFloat {
				hint = "durations are written 200ms, 1.5s, 2m, the unit without a space"
			}
			p.unexpectedHint(hint, "a duration after + or -")
		}
		minus := p.advance().text == "-"
		t := p.advance()
		d := t.dur
		if minus {
			d = -d
		}
		sum := tm.Offset + d
		if (sum > tm.Offset) != (d > 0) && d != 0 || sum == -1<<63 {
			fail(t.pos, "", "the durations add up to more than 292 years")
		}
		tm.Offset = sum
	}
	return tm
}
