package syntax

import (
	"cmp"
	"strconv"
	"strings"
)

// level is how tightly an operator binds; greater is tighter.
type level int

const (
	levelOr level = iota + 1
	levelAnd
	levelSince
	levelFor
	levelPrefix
	levelCompare
	levelSet
	levelAdd
	levelMul
	levelNeg
	levelLink
	levelPrimary
)

var opLevel = [...]level{
	Or: levelOr, And: levelAnd, Since: levelSince,
	Not: levelPrefix, Previously: levelPrefix, Once: levelPrefix, Always: levelPrefix,
	Eq: levelCompare, Ne: levelCompare, Lt: levelCompare, Le: levelCompare, Gt: levelCompare, Ge: levelCompare,
	In: levelCompare, NotIn: levelCompare, Subset: levelCompare, Like: levelCompare,
	Union: levelSet, Intersect: levelSet, Except: levelSet,
	Add: levelAdd, Sub: levelAdd, Mul: levelMul, Div: levelMul, Mod: levelMul, Neg: levelNeg,
}

var (
	infixByWord = map[string]Op{"OR": Or, "AND": And, "SINCE": Since, "IN": In, "NOTIN": NotIn, "SUBSET": Subset,
		"ISSUBSET": Subset, "LIKE": Like, "UNION": Union, "INTERSECT": Intersect, "EXCEPT": Except}
	infixBySign = map[string]Op{"||": Or, "&&": And, "=": Eq, "!=": Ne, "<": Lt, "<=": Le, ">": Gt, ">=": Ge,
		`\`: Except, "+": Add, "-": Sub, "*": Mul, "/": Div, "%": Mod}
	prefixByWord = map[string]Op{"NOT": Not, "PREVIOUSLY": Previously, "ONCE": Once, "ALWAYS": Always}
)

// An operand is an expression with the height of its tree, which is at most
// MaxDepth, so that later stages may recurse into it.
type operand struct {
	x      Expr
	height int
}

// above makes x, a node over the given operands, an operand.
func above(x Expr, below ...operand) operand {
	h := 0
	for _, b := range below {
		h = max(h, b.height)
	}
	if h++; h > MaxDepth {
		fail(x.Position(), "use brackets to balance it, or x IN {…} for many values", "the expression is more than %d operators deep", MaxDepth)
	}
	return operand{x, h}
}

func (p *parser) expr() Expr { return p.operand(levelOr).x }

// bracketed reads an expression after an opening bracket.
func (p *parser) bracketed() operand {
	p.enter()
	defer p.leave()
	return p.operand(levelOr)
}

// operand reads an expression whose operators bind at least as tightly as lowest
// (precedence climbing).
func (p *parser) operand(lowest level) operand {
	left, highest := p.prefixed(lowest)
	for {
		op, lv := p.infix()
		if lv < lowest {
			return left
		}
		if lv > highest {
			fail(p.tok.pos, "put brackets around what comes before it", "%s can't follow what binds looser than it", p.tok.describe())
		}
		pos := p.advance().pos
		if op == NotIn && p.tok.is("IN") {
			p.advance()
		}
		if lv == levelFor {
			left = above(&For{Pos: pos, X: left.x, D: p.duration("FOR")}, left)
		} else {
			right := p.operand(lv + 1)
			left = above(&Binary{Pos: pos, Op: op, L: left.x, R: right.x}, left, right)
		}
		highest = lv
		if lv == levelCompare {
			p.notChained(left.x)
		}
	}
}

// notChained fails if another comparison follows left.
func (p *parser) notChained(left Expr) {
	op, lv := p.infix()
	if lv != levelCompare {
		return
	}
	hint := "write a < b AND b < c, or use brackets"
	if b, ok := left.(*Binary); ok && len(Print(b)) < renderWidth {
		hint = "write " + Print(b) + " AND " + Print(b.R) + " " + op.String() + " …, or use brackets"
	}
	fail(p.tok.pos, hint, "%s can't follow another comparison", op)
}

// infix returns the infix or postfix operator that comes next, without consuming
// it; level 0 if there is none.
func (p *parser) infix() (Op, level) {
	op := OpNone
	switch t := p.tok; {
	case t.is("FOR"):
		if p.peek().is("EACH") {
			return OpNone, 0
		}
		return OpNone, levelFor
	case t.is("NOT"):
		next := p.peek()
		if next.is("BETWEEN") {
			fail(t.pos, "write x < a OR x > b", "RQL has no NOT BETWEEN")
		}
		if next.is("LIKE") {
			fail(t.pos, "write NOT (a LIKE 'pattern')", "RQL has no NOT LIKE")
		}
		if next.is("IN") {
			op = NotIn
		}
	case t.kind == kindWord:
		op = infixByWord[t.upper]
	case t.kind == kindSign:
		op = infixBySign[t.text]
	}
	return op, opLevel[op]
}

// prefixed reads an operand with its prefix operators. highest is the tightest
// operator that may follow it.
func (p *parser) prefixed(lowest level) (o operand, highest level) {
	pos := p.tok.pos
	if p.tok.isSign("-") {
		p.advance()
		p.enter()
		defer p.leave()
		x, _ := p.prefixed(levelNeg)
		return above(&Unary{Pos: pos, Op: Neg, X: x.x}, x), levelMul
	}
	op, ok := prefixByWord[p.tok.upper]
	if p.tok.isSign("!") {
		op, ok = Not, true
	}
	if !ok {
		return p.linked(), levelMul
	}
	if lowest > levelPrefix {
		fail(pos, "put it in brackets", "%s binds looser than what comes before it", op)
	}
	p.advance()
	p.enter()
	defer p.leave()
	x := p.operand(levelPrefix)
	if op == Not {
		return above(&Unary{Pos: pos, Op: Not, X: x.x}, x), levelPrefix
	}
	past := &Past{Pos: pos, Op: op, X: x.x}
	if op != Previously && p.acceptWord("WITHIN") {
		past.Within = p.duration("WITHIN")
	}
	return above(past, x), levelPrefix
}

// linked reads a primary and the LINK after it.
func (p *parser) linked() operand {
	o := p.primary()
	if !p.tok.is("LINK") {
		return o
	}
	l := &Link{Pos: p.advance().pos, X: o.x}
	l.Each = p.expectOne("SAME_NODE", "EACH_NODE") == 1
	if p.tok.is("LINK") {
		fail(p.tok.pos, "link the variables once", "LINK follows LINK")
	}
	return above(l, o)
}

func (p *parser) primary() operand {
	switch t := p.tok; t.kind {
	case kindInt:
		p.advance()
		return above(&Int{Pos: t.pos, Text: t.text})
	case kindFloat:
		p.advance()
		return above(&Float{Pos: t.pos, Value: t.num})
	case kindString:
		p.advance()
		return above(&String{Pos: t.pos, Value: t.text})
	case kindTime:
		return above(p.timeLiteral(false))
	case kindPlaceholder:
		p.advance()
		n, _ := strconv.Atoi(t.text) // the scanner has checked it
		return above(&Placeholder{Pos: t.pos, N: n})
	case kindDuration:
		p.advance()
		return above(&Duration{Pos: t.pos, D: t.dur})
	case kindName:
		return p.path()
	case kindWord:
		return p.word()
	case kindSign:
		return p.bracket()
	}
	p.unexpected(wantOperand)
	return operand{}
}

// bracket reads a primary that begins with a bracket.
func (p *parser) bracket() operand {
	pos := p.tok.pos
	switch {
	case p.accept("("):
		o := p.bracketed()
		if p.tok.isSign(",") {
			p.unexpectedHint("a set is written {a, b}", `")"`)
		}
		p.expectClose(")", pos)
		return o
	case p.accept("{"):
		s := &SetLit{Pos: pos}
		elems := p.args("}", pos)
		s.Elems = exprs(elems)
		return above(s, elems...)
	case p.tok.isSign("["):
		p.unexpectedHint("a set is written {a, b}", wantOperand)
	}
	p.unexpected(wantOperand)
	return operand{}
}

// args reads the list of expressions up to the closing bracket, maybe empty; open
// is the place of the opening one.
func (p *parser) args(closing string, open Pos) []operand {
	if p.accept(closing) {
		return nil
	}
	all := list(p, p.bracketed)
	p.expectClose(closing, open)
	return all
}

// expectClose consumes the bracket that closes the one at open.
func (p *parser) expectClose(closing string, open Pos) {
	if !p.tok.isSign(closing) {
		p.afterOperand("an operator or "+strconv.Quote(closing)+" for the bracket opened at "+open.String(), infixWords...)
	}
	p.advance()
}

func exprs(os []operand) []Expr {
	var all []Expr
	for _, o := range os {
		all = append(all, o.x)
	}
	return all
}

// word reads a primary that begins with a word.
func (p *parser) word() operand {
	t, next := p.tok, p.peek()
	switch {
	case literalWords[t.upper] && !next.isSign("."):
		return p.literalWord()
	case t.upper == "EXISTS" || t.upper == "FORALL":
		return p.quantifier()
	case t.upper == "CASE":
		return p.caseExpr()
	case next.isSign("(") && (t.upper == "ISSUBSET" || t.upper == "NOTIN"):
		return p.comparisonCall()
	case reserved[t.upper]:
		hint := ""
		if next.kind != kindWord {
			hint = t.upper + " is a keyword; as a name it is written `" + t.text + "`, or after its log: log." + t.text
		}
		if h := p.habit(wantOperand); h != "" {
			hint = h
		}
		p.unexpectedHint(hint, wantOperand)
	case next.isSign("("):
		return p.call()
	}
	return p.path()
}

func (p *parser) literalWord() operand {
	if tm := p.timeLiteral(false); tm != nil {
		return above(tm)
	}
	t := p.advance()
	if t.upper == "NULL" {
		return above(&Null{Pos: t.pos})
	}
	return above(&Bool{Pos: t.pos, Value: t.upper == "TRUE"})
}

// path reads a name and what follows it.
func (p *parser) path() operand {
	first := p.advance()
	path := &Path{Pos: first.pos}
	if p.tok.isSign(".") {
		path.Log = first.text
	} else {
		path.Steps = []Step{{Pos: first.pos, Name: first.text}}
	}
	var below []operand
	for {
		pos := p.tok.pos
		if len(path.Steps) == MaxList && (p.tok.isSign(".") || p.tok.isSign("[")) {
			fail(pos, "", "a path has more than %d steps", MaxList)
		}
		switch {
		case p.accept("."):
			if p.tok.isSign("*") {
				p.unexpectedHint("log.* stands only as a whole item of SELECT; for all entries of a map write [*]", "a name after the dot")
			}
			at := p.tok.pos
			path.Steps = append(path.Steps, Step{Pos: at, Name: p.field()})
		case p.accept("["):
			step, index := p.index(pos)
			path.Steps = append(path.Steps, step)
			below = append(below, index)
		default:
			return above(path, below...)
		}
	}
}

// index reads the rest of a step in square brackets.
func (p *parser) index(open Pos) (Step, operand) {
	if p.accept("*") {
		p.expectClose("]", open)
		return Step{Pos: open, Kind: StepAll}, operand{}
	}
	defer p.hintAtKey(open)
	o := p.bracketed()
	p.expectClose("]", open)
	return Step{Pos: open, Kind: StepIndex, Index: o.x, Text: p.scan.text[open.Offset+1 : p.prev.pos.Offset]}, o
}

// hintAtKey gives an error between brackets that aren't closed yet the hint that a
// key stands in quotes, if it looks like one.
func (p *parser) hintAtKey(open Pos) {
	r := recover()
	if r == nil {
		return
	}
	text := p.scan.text[open.Offset+1:]
	if end := strings.IndexByte(text, ']'); end > 0 {
		if e, ok := r.(*Error); ok && e.Pos.Offset <= open.Offset+1+end {
			e.Hint = cmp.Or(KeyHint(text[:end]), e.Hint)
		}
	}
	panic(r)
}

// KeyHint is the hint that a key stands in quotes, if what stands between brackets
// looks like one that doesn't: a name with signs in it. It is "" otherwise.
func KeyHint(text string) string {
	signs := false
	for _, r := range text {
		switch {
		case strings.ContainsRune("-:/@#", r):
			signs = true
		case !isWordPart(r) && r != '.':
			return ""
		}
	}
	if !signs && (text == "" || !isDigit(rune(text[0]))) {
		return ""
	}
	return "a key stands in quotes: [\"" + text + "\"]"
}

// aliases are functions of Retroscope under their names here.
var aliases = map[string]string{"NODESUM": "SUM", "CARDINALITY": "COUNT"}

func (p *parser) call() operand {
	name := p.advance()
	c := &Call{Pos: name.pos, Name: name.upper}
	if to, ok := aliases[c.Name]; ok {
		c.Name = to
	}
	open := p.advance().pos
	c.Distinct = p.acceptWord("DISTINCT") || name.upper == "CARDINALITY"
	if p.tok.isSign("*") {
		p.advance()
		c.Star = true
		p.expectClose(")", open)
		return above(c)
	}
	args := p.args(")", open)
	c.Args = exprs(args)
	return above(c, args...)
}

// comparisonCall reads ISSUBSET(a, b) or NOTIN(a, b), which mean the operators.
func (p *parser) comparisonCall() operand {
	name := p.advance()
	args := p.args(")", p.advance().pos)
	if len(args) != 2 {
		fail(name.pos, "", "%s wants two arguments, found %d", name.upper, len(args))
	}
	return above(&Binary{Pos: name.pos, Op: infixByWord[name.upper], L: args[0].x, R: args[1].x}, args...)
}

func (p *parser) quantifier() operand {
	t := p.advance()
	q := &Quantifier{Pos: t.pos, All: t.upper == "FORALL"}
	if p.tok.isSign("(") {
		p.unexpectedHint("the form is "+t.upper+" v IN collection : (condition); whether a variable is there is PRESENT(x)", "a name after "+t.upper)
	}
	q.Names = list(p, func() *Ident { return p.name("a name after " + t.upper) })
	form := "the form is " + t.upper + " " + q.Names[0].Name + " IN collection : (condition)"
	p.expectHint("IN", " after the names of "+t.upper, form)
	set := p.bracketed()
	if !p.tok.isSign(":") {
		p.unexpectedHint(form, `":" after the set of `+t.upper)
	}
	p.advance()
	if !p.tok.isSign("(") {
		p.unexpectedHint(form, `"(" before the condition of `+t.upper)
	}
	open := p.advance().pos
	body := p.bracketed()
	p.expectClose(")", open)
	q.Set, q.Body = set.x, body.x
	return above(q, set, body)
}

func (p *parser) caseExpr() operand {
	c := &Case{Pos: p.advance().pos}
	var below []operand
	for {
		pos := p.tok.pos
		if len(c.Whens) == 0 && !p.tok.is("WHEN") {
			p.unexpectedHint("write CASE WHEN a = b THEN … END", "WHEN after CASE", "WHEN")
		} else if !p.acceptWord("WHEN") {
			break
		}
		if len(c.Whens) == MaxList {
			fail(pos, "", "a list has more than %d members", MaxList)
		}
		cond := p.bracketed()
		p.expectWord("THEN", " after the condition of CASE")
		then := p.bracketed()
		c.Whens = append(c.Whens, &CaseWhen{Pos: pos, Cond: cond.x, Then: then.x})
		below = append(below, cond, then)
	}
	if p.acceptWord("ELSE") {
		o := p.bracketed()
		c.Else = o.x
		below = append(below, o)
	}
	if !p.tok.is("END") {
		hint := "close it with END"
		if p.nearest("WHEN", "ELSE", "END", "THEN") != "" {
			hint = ""
		}
		p.unexpectedHint(hint, "WHEN, ELSE or END for the CASE at "+c.Pos.String(), "WHEN", "ELSE", "END", "THEN")
	}
	p.advance()
	return above(c, below...)
}
