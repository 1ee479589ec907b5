package syntax

import (
	"fmt"
	"strconv"
	"strings"
)

// Print is the canonical text of a node, on one line: keywords in capitals, one
// space between words, brackets only where they are needed. What Parse makes of
// the text of a statement, or ParseExpr of that of an expression, is n again but
// for positions and the Text of items.
func Print(n Node) string {
	var p printer
	p.node(n)
	return p.String()
}

type printer struct{ strings.Builder }

func (p *printer) write(parts ...string) {
	for _, s := range parts {
		p.WriteString(s)
	}
}

func (p *printer) node(n Node) {
	if e, ok := n.(Expr); ok {
		p.expr(e, levelOr, false)
		return
	}
	switch n := n.(type) {
	case *Query:
		p.query(n)
	case *EventQuery:
		p.eventQuery(n)
	case *Show:
		p.show(n)
	case *Item:
		p.item(n)
	case *Ident:
		p.write(nameText(n.Name))
	case *ForEach:
		p.write("FOR EACH ", nameText(n.Name.Name), " IN ")
		p.node(n.Set)
	case *Binding:
		p.write(nameText(n.Name.Name), " := ")
		p.node(n.X)
	case *When:
		p.when(n)
	case *At:
		p.at(n)
	case *Range:
		p.write("ON TIME ", timeText(n.From))
		if n.To != nil {
			p.write(" TO ", timeText(n.To))
		}
	case *Limit:
		p.write("LIMIT ", strconv.FormatInt(n.N, 10))
	case *Duration:
		p.write(durationText(n.D))
	case *CaseWhen:
		p.caseWhen(n)
	default:
		p.eventNode(n)
	}
}

func (p *printer) eventNode(n Node) {
	switch n := n.(type) {
	case *Input:
		p.write(logText(n.Name.Name), " IN ")
		p.source(n.Source)
	case *Join:
		p.write("JOIN ")
		p.node(n.Input)
		p.write(" ON ", logText(n.Before.Name), []string{" -> ", " => "}[b2i(n.Along)], logText(n.After.Name))
	case *Source:
		p.source(n)
	default:
		panic(fmt.Sprintf("syntax: no node to print: %T", n))
	}
}

// Statements.

func (p *printer) query(q *Query) {
	if q.Explain {
		p.write("EXPLAIN ")
	}
	p.write("SELECT ")
	printList(p, q.Items)
	for i, log := range q.From {
		p.write([]string{", ", " FROM "}[b2i(i == 0)], logText(log.Name))
	}
	printClause(p, q.ForEach)
	printClauseList(p, " COMPUTE ", q.Compute)
	printClause(p, q.When)
	printClause(p, q.At)
	printClause(p, q.OnTime)
	printClauseList(p, " GROUP BY ", q.GroupBy)
	if q.Emit != EmitDefault {
		p.write(" EMIT ", [...]string{EmitIntervals: "INTERVALS", EmitCuts: "CUTS", EmitEnter: "ENTER", EmitLeave: "LEAVE"}[q.Emit])
	}
	printClause(p, q.Limit)
}

func (p *printer) eventQuery(q *EventQuery) {
	if q.Explain {
		p.write("EXPLAIN ")
	}
	p.write("FROM ")
	p.node(q.From)
	for _, j := range q.Joins {
		p.write(" ")
		p.node(j)
	}
	printClauseList(p, " LET ", q.Let)
	if q.Where != nil {
		p.write(" WHERE ")
		p.node(q.Where)
	}
	printClauseList(p, " GROUP BY ", q.GroupBy)
	printClauseList(p, " SELECT ", q.Items)
	printClause(p, q.OnTime)
	printClause(p, q.Limit)
}

func (p *printer) show(s *Show) {
	p.write("SHOW ", [...]string{ShowNodes: "NODES", ShowLogs: "LOGS", ShowVariables: "VARIABLES", ShowEvents: "EVENTS"}[s.What])
	if s.Like != nil {
		p.write(" LIKE ", stringText(s.Like.Value))
	}
	printClause(p, s.At)
	printClause(p, s.OnTime)
	printClause(p, s.Limit)
}

func (p *printer) item(it *Item) {
	switch {
	case it.Star && it.Log != nil:
		p.write(logText(it.Log.Name), ".*")
	case it.Star:
		p.write("*")
	default:
		p.node(it.X)
	}
	if it.As != nil {
		p.write(" AS ", nameText(it.As.Name))
	}
}

func (p *printer) when(w *When) {
	p.write("WHEN ", [...]string{Observed: "", Possibly: "POSSIBLY ", Definitely: "DEFINITELY "}[w.Modality])
	p.expr(w.Cond, levelOr, w.Within != nil)
	p.within(w.Within)
}

func (p *printer) within(d *Duration) {
	if d != nil {
		p.write(" WITHIN ", durationText(d.D))
	}
}

func (p *printer) at(a *At) {
	if len(a.Nodes) == 0 {
		p.write("AT ALL NODES")
		return
	}
	for i, n := range a.Nodes {
		p.write([]string{", ", "AT NODES "}[b2i(i == 0)], nodeText(n.Name))
	}
}

func (p *printer) source(s *Source) {
	switch s.Keep {
	case KeepAll:
		if s.Query != nil {
			p.write("(")
			p.eventQuery(s.Query)
			p.write(")")
			return
		}
		p.write(eventText(s.Event))
	case KeepFirst, KeepMostRecent:
		p.write(keeps[s.Keep], "(", eventText(s.Event), ")")
	default:
		p.write(keeps[s.Keep], "(", strconv.FormatInt(s.N, 10), ", ", eventText(s.Event), ")")
	}
}

// printClause prints a space and the clause that c points to, if any.
func printClause[T any, P interface {
	*T
	Node
}](p *printer, c P) {
	if c != nil {
		p.write(" ")
		p.node(c)
	}
}

func printClauseList[N Node](p *printer, keyword string, all []N) {
	if len(all) > 0 {
		p.write(keyword)
		printList(p, all)
	}
}

func printList[N Node](p *printer, all []N) {
	for i, n := range all {
		if i > 0 {
			p.write(", ")
		}
		p.node(n)
	}
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Expressions.

// levelOf is how tightly the outermost operator of e binds.
func levelOf(e Expr) level {
	switch e := e.(type) {
	case *Unary:
		return opLevel[e.Op]
	case *Binary:
		return opLevel[e.Op]
	case *Past:
		return levelPrefix
	case *For:
		return levelFor
	case *Link:
		return levelLink
	}
	return levelPrimary
}

// expr prints e, in brackets if its operator binds looser than lowest. within
// says that a WITHIN follows e at once, which an ONCE or ALWAYS at the end of e
// must not take for its own.
func (p *printer) expr(e Expr, lowest level, within bool) {
	past, ok := e.(*Past)
	open := ok && past.Op != Previously && past.Within == nil
	if levelOf(e) < lowest || open && within {
		p.write("(")
		p.expr(e, levelOr, false)
		p.write(")")
		return
	}
	switch e := e.(type) {
	case *Unary:
		p.unary(e, within)
	case *Past:
		p.write(e.Op.String(), " ")
		p.expr(e.X, levelPrefix, within || e.Within != nil)
		p.within(e.Within)
	case *For:
		p.expr(e.X, levelFor, false)
		p.write(" FOR ", durationText(e.D.D))
	case *Binary:
		lv := opLevel[e.Op]
		left := lv
		if lv == levelCompare {
			left++ // not chained
		}
		p.expr(e.L, left, false)
		p.write(" ", e.Op.String(), " ")
		if d, ok := e.R.(*Duration); ok && hasTime(e.L) { // or it would be read as that time's
			p.write("(", durationText(d.D), ")")
			return
		}
		p.expr(e.R, lv+1, within)
	case *Link:
		p.expr(e.X, levelPrimary, false)
		p.write([]string{" LINK SAME_NODE", " LINK EACH_NODE"}[b2i(e.Each)])
	default:
		p.primary(e)
	}
}

// hasTime reports whether there is a time literal in an expression.
func hasTime(e Expr) (has bool) {
	Inspect(e, func(n Node) bool {
		_, ok := n.(*Time)
		has = has || ok
		return !has
	})
	return has
}

func (p *printer) unary(u *Unary, within bool) {
	if u.Op == Not {
		p.write("NOT ")
		p.expr(u.X, levelPrefix, within)
		return
	}
	p.write("-")
	if inner, ok := u.X.(*Unary); ok && inner.Op == Neg {
		p.write(" ") // two signs together begin a comment
	}
	p.expr(u.X, levelNeg, within)
}

func (p *printer) primary(e Expr) {
	switch e := e.(type) {
	case *Int:
		p.write(e.Text)
	case *Float:
		p.write(floatText(e.Value))
	case *String:
		p.write(stringText(e.Value))
	case *Bool:
		p.write([]string{"FALSE", "TRUE"}[b2i(e.Value)])
	case *Null:
		p.write("NULL")
	case *Time:
		p.write(timeText(e))
	case *Duration:
		p.write(durationText(e.D))
	case *Path:
		p.path(e)
	case *Placeholder:
		p.write("$", strconv.Itoa(e.N))
	case *Call:
		p.call(e)
	case *SetLit:
		p.write("{")
		printList(p, e.Elems)
		p.write("}")
	case *Quantifier:
		p.quantifier(e)
	case *Case:
		p.caseExpr(e)
	default:
		panic(fmt.Sprintf("syntax: no expression to print: %T", e))
	}
}

func (p *printer) path(e *Path) {
	for i, s := range e.Steps {
		switch {
		case s.Kind == StepAll:
			p.write("[*]")
		case s.Kind == StepIndex:
			p.write("[")
			p.node(s.Index)
			p.write("]")
		case i == 0 && e.Log == "":
			p.write(nameText(s.Name))
		case i == 0:
			p.write(logText(e.Log), ".", fieldText(s.Name))
		default:
			p.write(".", fieldText(s.Name))
		}
	}
}

func (p *printer) call(c *Call) {
	p.write(c.Name, "(")
	if c.Distinct {
		p.write("DISTINCT ")
	}
	if c.Star {
		p.write("*")
	}
	printList(p, c.Args)
	p.write(")")
}

func (p *printer) quantifier(q *Quantifier) {
	p.write([]string{"EXISTS ", "FORALL "}[b2i(q.All)])
	printList(p, q.Names)
	p.write(" IN ")
	p.node(q.Set)
	p.write(" : (")
	p.node(q.Body)
	p.write(")")
}

func (p *printer) caseExpr(c *Case) {
	p.write("CASE ")
	for _, w := range c.Whens {
		p.caseWhen(w)
		p.write(" ")
	}
	if c.Else != nil {
		p.write("ELSE ")
		p.node(c.Else)
		p.write(" ")
	}
	p.write("END")
}

func (p *printer) caseWhen(w *CaseWhen) {
	p.write("WHEN ")
	p.node(w.Cond)
	p.write(" THEN ")
	p.node(w.Then)
}
