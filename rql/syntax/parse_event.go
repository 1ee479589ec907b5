package syntax

import "strings"

// eventQuery reads an event query, the statement or one in brackets.
func (p *parser) eventQuery() *EventQuery {
	clauses, last := p.clauses, p.last
	p.clauses, p.last = eventClauses, 0
	q := &EventQuery{Pos: p.tok.pos}
	p.clause("FROM")
	q.From = p.input()
	for {
		pos, ok := p.clause("JOIN")
		if !ok {
			break
		}
		if len(q.Joins) == MaxList {
			fail(pos, "", "a list has more than %d members", MaxList)
		}
		q.Joins = append(q.Joins, p.join(pos))
	}
	if _, ok := p.clause("LET"); ok {
		q.Let = list(p, p.binding)
	}
	if _, ok := p.clause("WHERE"); ok {
		q.Where = p.expr()
	}
	if _, ok := p.clause("GROUP BY"); ok {
		q.GroupBy, q.GroupText = p.keys()
	}
	if _, ok := p.clause("SELECT"); !ok {
		p.noSelect()
	}
	q.Items = list(p, p.item)
	q.OnTime = p.onTime()
	q.Limit = p.limit()
	if clauses != nil { // a sub-query
		p.end("the closing bracket")
		p.clauses, p.last = clauses, last
	}
	return q
}

// noSelect fails because an event query ends or goes on without SELECT.
func (p *parser) noSelect() {
	hint := ""
	if p.tok.kind == kindWord {
		p.misplaced(p.tok)
	}
	if p.tok.is("WHEN") {
		hint = "the condition of an event query is WHERE"
	}
	upTo := p.clauses[max(p.last, 1):6] // JOIN may come again
	expected := strings.Join(upTo, ", ")
	if i := strings.LastIndex(expected, ", "); i >= 0 {
		expected = expected[:i] + " or " + expected[i+2:]
	}
	words := append(firstWords(upTo), infixWords...)
	p.unexpectedHint(hint, expected, words...)
}

func (p *parser) input() *Input {
	in := &Input{Pos: p.tok.pos, Name: p.anyName("a name for the events")}
	event := in.Name.Name
	if p.operandFollows() && p.tok.kind == kindWord {
		event = p.tok.text
	}
	p.expectHint("IN", " after the name of the events", "the form is FROM name IN event: FROM e IN "+event)
	in.Source = p.source()
	return in
}

func (p *parser) join(pos Pos) *Join {
	j := &Join{Pos: pos, Input: p.input()}
	p.expectHint("ON", " and which event happened before which", "the form is JOIN name IN event ON a -> b, a having happened before b")
	j.Before = p.anyName("the name of the events that happened before")
	if j.Along = p.accept("=>"); !j.Along {
		if !p.tok.isSign("->") {
			p.unexpectedHint("events are joined by happened-before, ON a -> b; other conditions go into WHERE", `"->" between the names of the events`)
		}
		p.advance()
	}
	j.After = p.anyName("the name of the events that happened after")
	return j
}

// keeps are the functions of a source, by the Keep they mean.
var keeps = [...]string{KeepFirst: "FIRST", KeepMostRecent: "MOSTRECENT", KeepFirstN: "FIRSTN", KeepMostRecentN: "MOSTRECENTN"}

func (p *parser) source() *Source {
	s := &Source{Pos: p.tok.pos}
	if p.accept("(") {
		p.enter()
		defer p.leave()
		if !p.tok.is("FROM") {
			p.unexpected("an event query, FROM …, in the brackets", "FROM")
		}
		s.Query = p.eventQuery()
		p.expect(")", " after the event query")
		return s
	}
	if p.tok.kind == kindWord && p.peek().isSign("(") {
		s.Keep = p.keep()
		p.advance()
		if s.Keep == KeepFirstN || s.Keep == KeepMostRecentN {
			if p.tok.kind == kindWord {
				p.unexpectedHint("the number comes first: "+keeps[s.Keep]+"(3, event)", "how many events, a whole number")
			}
			s.N = p.integer("how many events, a whole number")
			p.expect(",", " after the number of events")
		}
		s.Name = p.tok.pos
		s.Event = p.eventName()
		p.expect(")", " after the name of the event")
		return s
	}
	s.Name = p.tok.pos
	s.Event = p.eventName()
	return s
}

func (p *parser) keep() Keep {
	for k, word := range keeps {
		if k > 0 && p.acceptWord(word) {
			return Keep(k)
		}
	}
	p.unexpectedHint(foreignKeeps[p.tok.upper], "the name of an event, or FIRST, MOSTRECENT, FIRSTN or MOSTRECENTN", keeps[1:]...)
	return KeepAll
}

// eventName reads a name with dots in it.
func (p *parser) eventName() string {
	parts := []string{p.anyName(wantEvent).Name}
	for p.accept(".") {
		if len(parts) == MaxList {
			fail(p.tok.pos, "", "a list has more than %d members", MaxList)
		}
		parts = append(parts, p.field())
	}
	return strings.Join(parts, ".")
}

// field reads the name after a dot: any word.
func (p *parser) field() string {
	if p.tok.kind != kindWord && p.tok.kind != kindName {
		p.unexpected("a name after the dot")
	}
	return p.advance().text
}
