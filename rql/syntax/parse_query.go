package syntax

import "strings"

// clausesOf are the clauses of each statement in the order in which they may
// come. A mistake names them.
var (
	queryClauses = []string{"SELECT", "FROM", "FOR EACH", "COMPUTE", "WHEN", "AT", "ON TIME", "GROUP BY", "EMIT", "LIMIT"}
	eventClauses = []string{"FROM", "JOIN", "LET", "WHERE", "GROUP BY", "SELECT", "ON TIME", "LIMIT"}
	showClauses  = []string{"SHOW", "LIKE", "AT", "ON TIME", "LIMIT"}
)

// infixWords are the operators that are words, for "did you mean".
var infixWords = []string{"OR", "AND", "SINCE", "FOR", "IN", "NOT IN", "SUBSET", "LIKE", "UNION", "INTERSECT", "EXCEPT", "LINK"}

// clause consumes the keywords of a clause if it is the next one.
func (p *parser) clause(name string) (Pos, bool) {
	pos := p.tok.pos
	first, second, two := strings.Cut(name, " ")
	switch {
	case name == "GROUP BY" && p.acceptWord("GROUPBY"):
	case !p.tok.is(first):
		return pos, false
	default:
		p.advance()
		if two {
			p.expectHint(second, " after "+first, secondHints[name])
		}
	}
	for i, c := range p.clauses {
		if c == name {
			p.last = i
		}
	}
	return pos, true
}

// secondHints are for those who leave out the second word of a clause.
var secondHints = map[string]string{
	"FOR EACH": "write FOR EACH name IN collection",
	"ON TIME":  "write ON TIME t or ON TIME t1 TO t2; nodes are named with AT NODES",
	"GROUP BY": "write GROUP BY",
}

// operandClauses end in an expression, after which an operator may follow.
var operandClauses = wordSet("SELECT FOR_EACH COMPUTE WHEN GROUP_BY LET WHERE")

// end fails unless the statement, or the sub-query, ends here; ending says what
// that would be.
func (p *parser) end(ending string) {
	if p.tok.kind == kindEnd && p.depth == 0 || p.tok.isSign(")") && p.depth > 0 {
		return
	}
	t := p.tok
	if t.kind == kindWord {
		p.misplaced(t)
	}
	var later []string
	if p.clauses != nil {
		later = p.clauses[p.last+1:]
	}
	expected := strings.Join(append(later[:len(later):len(later)], ending), ", ")
	words := firstWords(later)
	if p.clauses == nil || operandClauses[strings.ReplaceAll(p.clauses[p.last], " ", "_")] {
		expected = "an operator, " + expected
		words = append(words, infixWords...)
	}
	if i := strings.LastIndex(expected, ", "); i >= 0 {
		expected = expected[:i] + " or " + expected[i+2:]
	}
	p.afterOperand(expected, words...)
}

// firstWords returns the first word of each clause.
func firstWords(clauses []string) []string {
	var words []string
	for _, c := range clauses {
		first, _, _ := strings.Cut(c, " ")
		words = append(words, first)
	}
	return words
}

// misplaced fails if t begins a clause that has been, or whose place has passed.
func (p *parser) misplaced(t token) {
	for i, c := range p.clauses {
		first, _, _ := strings.Cut(c, " ")
		if i > p.last || first != t.upper && !(t.upper == "GROUPBY" && c == "GROUP BY") {
			continue
		}
		hint := "the order is " + strings.Join(p.clauses, ", ")
		if i == p.last {
			fail(t.pos, hint, "a second %s", c)
		}
		fail(t.pos, hint, "%s can't come after %s", c, p.clauses[p.last])
	}
	if t.upper == "WITHIN" {
		fail(t.pos, "WITHIN follows WHEN POSSIBLY c, WHEN DEFINITELY c, ONCE c or ALWAYS c", "WITHIN has nothing to bound here")
	}
}

func (p *parser) query() *Query {
	q := &Query{Pos: p.tok.pos}
	p.clauses = queryClauses
	p.acceptWord("SELECT")
	q.Items = list(p, p.item)
	p.from("FROM after the selected items")
	q.From = list(p, func() *Ident { return p.anyName(wantLog) })
	q.ForEach = p.forEach()
	if _, ok := p.clause("COMPUTE"); ok {
		q.Compute = list(p, p.binding)
	}
	q.When = p.when()
	q.At = p.at()
	q.OnTime = p.onTime()
	if _, ok := p.clause("GROUP BY"); ok {
		q.GroupBy, q.GroupText = p.keys()
	}
	if _, ok := p.clause("EMIT"); ok {
		q.Emit = EmitIntervals + Emit(p.expectOne("INTERVALS", "CUTS", "ENTER", "LEAVE"))
	}
	q.Limit = p.limit()
	return q
}

// keys reads what follows GROUP BY.
func (p *parser) keys() (keys []Expr, texts []string) {
	keys = list(p, func() Expr {
		start := p.tok.pos.Offset
		e := p.expr()
		texts = append(texts, p.scan.text[start:p.prev.end])
		return e
	})
	return keys, texts
}

// from consumes FROM, or says that an operator or FROM was expected.
func (p *parser) from(expected string) {
	if _, ok := p.clause("FROM"); !ok {
		p.itemHabit(expected)
		p.afterOperand(expected, append([]string{"FROM", "AS"}, infixWords...)...)
	}
}

// itemHabit fails if what follows an item looks like another name for it, or like
// a further item.
func (p *parser) itemHabit(expected string) {
	if p.tok.kind != kindName && (p.tok.kind != kindWord || reserved[p.tok.upper]) || p.prevHabit() != "" {
		return
	}
	switch next := p.peek(); {
	case next.is("FROM"), next.isSign(","):
		if _, ok := Nearest(p.tok.upper, append([]string{"FROM", "AS"}, infixWords...)); !ok {
			p.unexpectedHint("another name is given with AS: … AS "+p.tok.text+"; items stand with commas between", expected)
		}
	case next.isSign("."):
		if _, ok := nearPrefix(p.prev); ok {
			return
		}
		p.unexpectedHint("items stand with commas between", expected)
	}
}

// item reads one element of SELECT.
func (p *parser) item() *Item {
	it := &Item{Pos: p.tok.pos}
	start := p.tok.pos.Offset
	switch {
	case p.accept("*"):
		it.Star = true
	case p.logStar():
		it.Star, it.Log = true, p.anyName(wantLog)
		p.advance()
		p.advance()
	default:
		it.X = p.expr()
	}
	it.Text = p.scan.text[start:p.prev.end]
	if !it.Star && p.acceptWord("AS") {
		if p.tok.kind == kindString {
			p.unexpectedHint("a name of any characters stands in backquotes: "+backquote(p.tok.text), "a name after AS")
		}
		it.As = p.name("a name after AS")
	}
	return it
}

// logStar reports whether log.* comes next.
func (p *parser) logStar() bool {
	if p.tok.kind != kindName && (p.tok.kind != kindWord || reserved[p.tok.upper]) {
		return false
	}
	if !p.peek().isSign(".") {
		return false
	}
	further := p.scan // a copy, which stands after the dot
	star := further.next()
	return star.isSign("*")
}

func (p *parser) forEach() *ForEach {
	pos, ok := p.clause("FOR EACH")
	if !ok {
		return nil
	}
	f := &ForEach{Pos: pos, Name: p.name("a name after FOR EACH")}
	p.expectHint("IN", " after the name of FOR EACH", "the form is FOR EACH name IN collection: FOR EACH k IN KEYS(kv.items)")
	f.Set = p.expr()
	return f
}

// binding reads name := expr.
func (p *parser) binding() *Binding {
	b := &Binding{Pos: p.tok.pos, Name: p.name("a name")}
	if p.tok.isSign("=") || p.tok.isSign(":") {
		p.unexpectedHint("write :=", `":=" after the name`)
	}
	if !p.tok.isSign(":=") {
		p.unexpectedHint("the form is name := expression", `":=" after the name`)
	}
	p.advance()
	b.X = p.expr()
	return b
}

func (p *parser) when() *When {
	pos, ok := p.clause("WHEN")
	if !ok {
		return nil
	}
	w := &When{Pos: pos}
	switch {
	case p.acceptWord("POSSIBLY"):
		w.Modality = Possibly
	case p.acceptWord("DEFINITELY"):
		w.Modality = Definitely
	}
	w.Cond = p.expr()
	if p.tok.is("WITHIN") && w.Modality == Observed {
		fail(p.tok.pos, "write WHEN POSSIBLY c WITHIN d, WHEN DEFINITELY c WITHIN d, ONCE c WITHIN d or ALWAYS c WITHIN d",
			"WITHIN after WHEN wants POSSIBLY or DEFINITELY")
	}
	if p.acceptWord("WITHIN") {
		w.Within = p.duration("WITHIN")
	}
	return w
}

func (p *parser) at() *At {
	if p.tok.is("AT") {
		if p.peek().is("TIME") {
			p.advance()
			p.unexpectedHint("a time is asked for with ON TIME", "ALL NODES or NODES after AT")
		}
	}
	pos, ok := p.clause("AT")
	if !ok {
		return nil
	}
	a := &At{Pos: pos}
	if t := p.tok; t.kind == kindString || t.kind == kindName || t.kind == kindWord && p.nearest("ALL", "NODES") == "" {
		if !t.is("ALL") && !t.is("NODES") {
			p.unexpectedHint("write AT NODES "+t.text+"; a time is asked for with ON TIME", "ALL NODES or NODES after AT")
		}
	}
	if p.expectOne("ALL", "NODES") == 0 {
		p.expectWord("NODES", " after AT ALL")
		return a
	}
	a.Nodes = list(p, p.nodeName)
	return a
}

// nodeName reads a node's name, a word or a string.
func (p *parser) nodeName() *Ident {
	if p.tok.kind == kindString {
		t := p.advance()
		return &Ident{Pos: t.pos, Name: t.text}
	}
	return p.anyName(wantNode)
}

func (p *parser) onTime() *Range {
	pos, ok := p.clause("ON TIME")
	if !ok {
		return nil
	}
	r := &Range{Pos: pos, From: p.time("ON TIME")}
	if p.acceptWord("TO") {
		r.To = p.time("TO")
	}
	return r
}

func (p *parser) limit() *Limit {
	pos, ok := p.clause("LIMIT")
	if !ok {
		return nil
	}
	return &Limit{Pos: pos, N: p.integer("a whole number after LIMIT")}
}

func (p *parser) show() *Show {
	s := &Show{Pos: p.advance().pos}
	p.clauses = showClauses
	if hint, ok := foreignShows[p.tok.upper]; ok && p.tok.kind == kindWord {
		p.unexpectedHint(hint, "NODES, LOGS, VARIABLES or EVENTS")
	}
	s.What = ShowKind(p.expectOne("NODES", "LOGS", "VARIABLES", "EVENTS"))
	if s.What < ShowVariables {
		p.clauses = showClauses[:1]
		return s
	}
	if _, ok := p.clause("LIKE"); ok {
		if p.tok.kind != kindString {
			p.unexpectedHint("write LIKE 'inv.%', where % is any characters", "a pattern in quotes after LIKE")
		}
		t := p.advance()
		s.Like = &String{Pos: t.pos, Value: t.text}
	}
	if s.What == ShowVariables {
		p.clauses = showClauses[:2]
		return s
	}
	s.At = p.at()
	s.OnTime = p.onTime()
	s.Limit = p.limit()
	return s
}
