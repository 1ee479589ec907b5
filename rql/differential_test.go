package rql_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/hlc"
	"hindcast.dev/rql"
	"hindcast.dev/rql/syntax"
)

// A generator draws small Histories and queries over log inv: a b c hold
// scalars, s a set, m a map of ints, r a map of maps with field v, t whatever.
type generator struct {
	t      *rapid.T
	locals []string // names of values
	keys   []string // names of keys
	linked bool
	plain  bool // no variable in scalar position
	names  int
	ints   bool // scalars are small ints
	times  bool // or times, most of them
	nodes  []string
	past   bool // operators of past time, too
	wide   bool // what is of no use to a Stream, too
	gaps   bool // nodes are unknown now and then
	inside int  // LINKs and quantifiers around, where there are none
}

func (g *generator) pick(label string, options ...string) string {
	return rapid.SampledFrom(options).Draw(g.t, label)
}

func (g *generator) chance(percent int) bool {
	// Small numbers are drawn most often: they are spread, and shrink to a no.
	return (rapid.IntRange(0, 99).Draw(g.t, "chance")*37+99)%100 < percent
}

func (g *generator) value(v string) event.Value {
	num := func() event.Value { return event.Int(int64(rapid.IntRange(-2, 4).Draw(g.t, "n"))) }
	key := func() event.Value { return event.String(g.pick("key", "x", "y", "z")) }
	switch v {
	case "s":
		return event.Set(num(), num())
	case "m":
		return event.MapOf(event.NewMap(event.Entry{Key: key(), Value: num()}, event.Entry{Key: key(), Value: num()}))
	case "t":
		if rapid.Bool().Draw(g.t, "list") {
			return event.List(num(), event.List(num()), event.String("x"))
		}
		return event.Time(hlc.Timestamp(rapid.IntRange(100, 115).Draw(g.t, "time") << 16))
	case "r":
		inner := func() event.Value {
			return event.MapOf(event.NewMap(event.Entry{Key: event.String("v"), Value: num()}))
		}
		return event.MapOf(event.NewMap(event.Entry{Key: key(), Value: inner()}))
	}
	switch {
	case g.ints:
		return num()
	case g.times && g.chance(70):
		return event.Time(hlc.Timestamp(rapid.IntRange(100<<2, 104<<2).Draw(g.t, "quarter") << 14))
	}
	switch rapid.IntRange(0, 14).Draw(g.t, "type") {
	case 0:
		return event.Float(float64(rapid.IntRange(-4, 8).Draw(g.t, "half")) / 2)
	case 1:
		return event.String(g.pick("text", "x", "y", "n1"))
	case 2:
		return event.Bool(rapid.Bool().Draw(g.t, "bool"))
	case 3:
		return event.Null()
	case 4:
		return event.Int(1<<63 - 1)
	case 5:
		return event.Uint(1<<64 - 1)
	case 6:
		return event.Float(rapid.SampledFrom([]float64{math.NaN(), math.Inf(1), math.Inf(-1), 1 << 63, 1e300, math.Copysign(0, -1)}).Draw(g.t, "special"))
	case 7:
		return event.Time(hlc.Timestamp(rapid.IntRange(100, 110).Draw(g.t, "time") << 16))
	}
	return num()
}

func (g *generator) assign() history.Assign {
	v := g.pick("var", "a", "a", "b", "b", "c", "s", "m", "m", "r", "r", "t")
	switch {
	case g.chance(15):
		return history.Assign{Path: "inv." + v, Value: event.Absent}
	case (v == "m" || v == "r") && g.chance(70):
		path := fmt.Sprintf("inv.%s[%q]", v, g.pick("key", "x", "y", "z"))
		if v == "r" && g.chance(50) {
			path += ".v"
		}
		val := event.Int(int64(rapid.IntRange(-2, 4).Draw(g.t, "n")))
		if g.chance(25) {
			val = event.Absent
		}
		return history.Assign{Path: path, Value: val}
	}
	return history.Assign{Path: "inv." + v, Value: g.value(v)}
}

func (g *generator) history() *history.Mem {
	b := history.NewBuilder()
	g.ints = g.chance(60)
	g.times = g.chance(30)
	nodes := []string{"n1", "n2", "n3"}[:rapid.SampledFrom([]int{2, 3, 1}).Draw(g.t, "nodes")]
	g.nodes = nodes
	for _, n := range nodes {
		b.AddNode(n, "")
	}
	now := hlc.Timestamp(100 << 16)
	if g.chance(20) {
		b.Base(nodes[0], 5, now, map[string]event.Value{"inv.a": event.Int(1), "inv.m": g.value("m")})
	}
	// Every variable is known, or queries that name it would be refused.
	all := func() (all []history.Assign) {
		for _, v := range []string{"a", "b", "c", "s", "m", "r", "t"} {
			all = append(all, history.Assign{Path: "inv." + v, Value: g.value(v)})
		}
		return all
	}
	last := map[string]hlc.Timestamp{}
	full := 0
	if g.chance(75) {
		for full = range rapid.IntRange(1, len(nodes)).Draw(g.t, "full") {
			now += 1 << 16
			last[nodes[full]] = now
			b.Append(nodes[full], history.EventSpec{Event: history.Event{Position: history.Position{Time: now}}, Set: all()})
		}
		full++
	}
	for range rapid.SampledFrom([]int{6, 1, 9, 3, 5, 12, 0, 2, 4, 8}).Draw(g.t, "events") {
		now += hlc.Timestamp(rapid.SampledFrom([]int{2, 1, 3, 0, 5}).Draw(g.t, "gap")<<16 | rapid.IntRange(0, 1).Draw(g.t, "logical"))
		node := rapid.SampledFrom(nodes).Draw(g.t, "node")
		if last[node] >= now {
			now = last[node] + 1
		}
		last[node] = now
		e := history.EventSpec{Event: history.Event{Position: history.Position{Time: now}}}
		for range rapid.IntRange(0, 3).Draw(g.t, "changes") {
			e.Set = append(e.Set, g.assign())
		}
		b.Append(node, e)
	}
	if g.wide && g.chance(15) { // a node whose recording begins on the way
		from := hlc.Timestamp(101<<16) + hlc.Timestamp(rapid.IntRange(0, int(max(now, 102<<16)-(101<<16))).Draw(g.t, "base"))
		b.Base("n4", 2, from, map[string]event.Value{"inv.a": g.value("a"), "inv.r": g.value("r")})
		now = max(now, from) + hlc.Timestamp(rapid.IntRange(1, 3).Draw(g.t, "gap")<<16)
		b.Append("n4", history.EventSpec{Event: history.Event{Position: history.Position{Time: now}}, Set: []history.Assign{g.assign()}})
	}
	for g.gaps && g.chance(25) {
		from := hlc.Timestamp(99<<16) + hlc.Timestamp(rapid.IntRange(0, int(now-(99<<16))).Draw(g.t, "unknown"))
		long := hlc.Timestamp(rapid.SampledFrom([]int{1 << 16, 1, 2 << 16, 1 << 15, 7 << 16}).Draw(g.t, "long"))
		b.Unknown(g.pick("whose", nodes...), history.Span{From: from, To: from + long}, "it was looked away")
	}
	if full == 0 {
		e := history.EventSpec{Event: history.Event{Position: history.Position{Time: now + 1<<16}}, Set: all()}
		b.Append(rapid.SampledFrom(nodes).Draw(g.t, "node"), e)
	}
	m, err := b.Build()
	if err != nil {
		g.t.Fatalf("history: %v", err)
	}
	return m
}

// variable is one in scalar position.
func (g *generator) variable() string {
	switch rapid.IntRange(0, 9).Draw(g.t, "variable") {
	case 0:
		return `inv.m["x"]`
	case 1, 2:
		return "inv.r[" + g.key() + "].v"
	case 3:
		return "inv.m[" + g.key() + "]"
	case 4:
		return g.pick("rare", "inv.s", "inv.t", "inv.t", "inv.t[1]", "inv.m")
	}
	return g.pick("name", "inv.a", "inv.a", "inv.b", "inv.c")
}

func (g *generator) key() string {
	if len(g.keys) > 0 && g.chance(80) {
		return g.pick("key", g.keys...)
	}
	if !g.plain && g.chance(20) {
		return "inv.c"
	}
	return g.pick("key", `"x"`, `"y"`)
}

// set is what stands in set position.
func (g *generator) set(depth int) string {
	switch rapid.IntRange(0, 10).Draw(g.t, "set") {
	case 0:
		return "FLATTEN(inv.s)"
	case 1:
		return "KEYS(inv.m)"
	case 2:
		return "inv.m[*]"
	case 3:
		return "inv.r[*].v"
	case 4:
		return "inv.r[" + g.key() + "].v"
	case 5:
		return "{" + g.number(depth-1) + ", " + g.number(depth-1) + "}"
	case 6:
		if depth > 0 {
			return "(" + g.set(depth-1) + g.pick("op", " UNION ", " INTERSECT ", " EXCEPT ") + g.set(depth-1) + ")"
		}
	case 7:
		return "NODES(inv.b)"
	case 8:
		return g.pick("set", "VALUES(inv.c)", "FLATTEN(inv.t)", "inv.t[*]", "inv.s[*]", "{}", "{1, 2}", "KEYS(inv.r)", "NODES(inv.m[*])")
	}
	return g.pick("name", "inv.a", "inv.b", "inv.c")
}

func (g *generator) number(depth int) string {
	n := rapid.IntRange(0, 13).Draw(g.t, "number")
	if depth <= 0 {
		n %= 6
	}
	switch {
	case n <= 1 && len(g.locals) > 0:
		return g.pick("local", g.locals...)
	case n == 0 && g.ints:
		return g.pick("literal", "0", "1", "2", "-1")
	case n == 0:
		return g.pick("literal", "0", "1", "2", "1.5", `"x"`, "-1", "9223372036854775807")
	case n <= 5 && g.plain:
		return g.pick("aggregate", "COUNT", "MAX", "SUM") + "(" + g.set(0) + ")"
	case n <= 5:
		return g.variable()
	case n == 6:
		return "(" + g.number(depth-1) + g.pick("op", " + ", " - ", " * ", " / ", " % ") + g.number(depth-1) + ")"
	case n == 7 && !g.plain:
		return "PREV(" + g.variable() + ")"
	case n == 8 && !g.plain:
		return "COALESCE(" + g.variable() + ", " + g.number(depth-1) + ")"
	case n == 9:
		return "CASE WHEN " + g.cond(depth-1) + " THEN " + g.number(depth-1) + g.pick("else", " ", " ELSE 1 ") + "END"
	case n == 10:
		return "-" + g.number(0)
	case n == 11:
		return g.function(depth)
	case n == 12 && (g.times || g.chance(20)):
		return g.pick("duration", "16us", "1ms", "30us", "0s", "2m")
	}
	name := g.pick("aggregate", "COUNT", "MAX", "MIN", "SUM", "AVG", "SUM", "COUNT")
	if (name == "COUNT" || name == "SUM") && g.chance(30) {
		name += "(DISTINCT "
	} else {
		name += "("
	}
	return name + g.set(depth-1) + ")"
}

func (g *generator) function(depth int) string {
	switch f := g.pick("function", "ABS", "CEIL", "FLOOR", "ROUND", "SQRT", "LEN", "LOWER", "UPPER", "INT", "FLOAT", "LEAST", "MAX", "TIME", "LARGE", "LENSET"); f {
	case "LEAST", "MAX":
		return f + "(" + g.number(depth-1) + ", " + g.number(depth-1) + ")"
	case "TIME":
		return g.pick("time", "TIME()", "TIME()", "1970-01-01T00:00:00.0016Z", g.instant())
	case "LARGE":
		return g.pick("large", "18446744073709551615", "18446744073709551616", "9007199254740993", "1e300", `"12"`)
	case "LENSET":
		return "LEN(" + g.pick("of", "VALUES(inv.a)", "KEYS(inv.m)", "{1, 1.0, 'x'}") + ")"
	default:
		return f + "(" + g.number(depth-1) + ")"
	}
}

// instant is a time that a Stream can't know.
func (g *generator) instant() string {
	if !g.wide {
		return "TIME()"
	}
	return g.pick("instant", "START + 46us", "END - 31us", "START", "END", "NOW", "NOW + 15259ns")
}

func (g *generator) cond(depth int) string {
	if g.past && g.inside == 0 && depth > 0 && g.chance(50) {
		return g.pastCond(depth)
	}
	if !g.plain && g.chance(15) {
		return "(" + g.variable() + g.pick("op", " = ", " < ", " > ", " >= ") + g.pick("small", "0", "1", "2") + ")"
	}
	n := rapid.IntRange(0, 15).Draw(g.t, "cond")
	if depth <= 0 {
		n = 15 // a comparison
	}
	switch {
	case n <= 2:
		return "(" + g.cond(depth-1) + g.pick("op", " AND ", " OR ", " AND ") + g.cond(depth-1) + ")"
	case n == 3:
		return "NOT (" + g.cond(depth-1) + ")"
	case n <= 6 && !g.linked && !g.plain:
		g.linked = true
		g.inside++
		locals := g.closed()
		c := g.cond(depth - 1)
		if g.chance(70) {
			c = g.variable() + g.pick("op", " = ", " < ", " > ", " <= ", " != ") + g.number(1) + g.pick("and", " AND ", " OR ") + c
		}
		g.locals = locals
		g.inside--
		g.linked = false
		return "(" + c + ") LINK " + g.pick("link", "SAME_NODE", "SAME_NODE", "EACH_NODE")
	case n <= 8:
		g.inside++
		defer func() { g.inside-- }()
		g.names++
		name := fmt.Sprintf("q%d", g.names)
		keys, locals := g.keys, g.locals
		set := "KEYS(" + g.pick("map", "inv.m", "inv.r") + ")"
		if g.chance(60) {
			g.keys = append(g.keys[:len(g.keys):len(g.keys)], name)
		} else {
			set = g.set(depth - 1)
			g.locals = append(g.locals[:len(g.locals):len(g.locals)], name)
		}
		plain := g.plain
		g.plain = g.plain || g.chance(60)
		body := g.cond(depth - 1)
		g.keys, g.locals, g.plain = keys, locals, plain
		return g.pick("quantifier", "EXISTS ", "FORALL ") + name + " IN " + set + " : (" + body + ")"
	case n == 9 && !g.plain:
		return g.pick("function", "PRESENT", "CHANGED", "CHANGED") + "(" + g.variable() + ")"
	case n == 13:
		return g.rareCond(depth)
	case n == 10:
		return "(" + g.number(depth-1) + g.pick("in", " IN ", " NOT IN ") + g.set(depth-1) + ")"
	case n == 11:
		return "(" + g.set(depth-1) + " SUBSET " + g.set(depth-1) + ")"
	case n == 12 && !g.plain:
		return g.pick("node", "(NODE($1) = NODE($2))", "(NODE($1) != 'n1')", "($1 > 1)", "(NODE($2) IN {'n1', 'n2'})")
	}
	return "(" + g.number(depth-1) + g.pick("op", " = ", " != ", " < ", " <= ", " > ", " >= ") + g.number(depth-1) + ")"
}

func (g *generator) rareCond(depth int) string {
	switch rapid.IntRange(0, 4).Draw(g.t, "rare") {
	case 0:
		return "(" + g.number(depth-1) + " LIKE " + g.pick("pattern", "'x'", "'%'", "'n_'", `'_%'`, `'\%'`) + ")"
	case 1:
		return g.pick("text", "STARTSWITH(", "CONTAINS(") + g.number(depth-1) + ", 'n')"
	case 2:
		return "(TIME()" + g.pick("op", " < ", " >= ") + g.instant() + ")"
	case 3:
		return "EXISTS v, w IN " + g.set(1) + " : (v" + g.pick("op", " = ", " < ", " != ", " >= ") + "w + 1)"
	}
	return g.pick("constant", "TRUE", "FALSE", "CONTAINS(VALUES(inv.a), 1)", "CASE WHEN TRUE THEN inv.a = 1 END")
}

// closed forgets for now the name that may stand for chosen nodes, most of the time.
func (g *generator) closed() (locals []string) {
	locals = g.locals
	if g.chance(80) {
		g.locals = slices.DeleteFunc(slices.Clone(locals), func(name string) bool { return name == "m0" })
	}
	return locals
}

// pastCond is an operator of past time. Names that may stand for chosen nodes
// rarely stand in its operands.
func (g *generator) pastCond(depth int) string {
	locals := g.closed()
	defer func() { g.locals = locals }()
	d := syntax.Print(&syntax.Duration{D: hlc.TicksDuration(rapid.SampledFrom([]uint64{2, 1, 3, 4, 0, 6}).Draw(g.t, "ticks"))})
	x := "(" + g.cond(depth-1) + ")"
	if g.chance(50) {
		x = g.pick("simple", "inv.a > 0", "inv.a != 1", "(inv.a >= 0) LINK EACH_NODE", "inv.a = inv.b", "PRESENT(inv.a)", "inv.b < 3", "(inv.a < MAX(inv.a)) LINK SAME_NODE", "COUNT(inv.a) > 1", "NOT inv.a = 0")
		if len(g.keys) > 0 {
			x = g.pick("keyed", x, "COUNT(inv.r["+g.keys[0]+"]) > 0", "inv.r["+g.keys[0]+"].v >= 0")
		}
		x = "(" + x + ")"
	}
	switch rapid.IntRange(0, 7).Draw(g.t, "past") {
	case 0:
		return "PREVIOUSLY " + x
	case 1:
		return "ONCE " + x
	case 2:
		return "ALWAYS " + x
	case 3:
		return "((" + g.cond(depth-1) + ") SINCE " + x + ")"
	case 4:
		return "(ONCE " + x + " WITHIN " + d + ")"
	case 5:
		return "(ALWAYS " + x + " WITHIN " + d + ")"
	}
	return "(" + x + " FOR " + d + ")"
}

func (g *generator) query() string {
	var b strings.Builder
	items := []string{"inv.a"}
	if g.chance(50) {
		items = append(items, "inv.a + inv.b", "PRESENT(inv.b) AS p")
	}
	if g.past && g.chance(25) {
		items = append(items, g.pastCond(2)+" AS old")
	}
	if g.chance(50) {
		items = append(items, "MAX(inv.a) AS top", "inv.m[*] IN {1} AS never")[:len(items)+1]
	}
	each, compute := g.chance(40), g.chance(30)
	if g.wide && g.chance(15) {
		items = append(items, "DURATION() AS lasting", "inv.a + DURATION() AS late")
	}
	if g.wide && g.chance(30) {
		g.inside++
		linked := g.linked
		g.linked = true
		items = append(items, g.number(2)+" AS n", g.cond(1)+" AS c")
		g.linked = linked
		g.inside--
	}
	if each {
		items = append(items, "inv.r[k].v", "k")
		g.keys = []string{"k"}
	}
	group := ""
	if g.wide && g.chance(20) {
		items, group = g.group(each, compute)
	}
	if compute {
		items = append(items, "m0")
	}
	fmt.Fprintf(&b, "SELECT %s FROM inv", strings.Join(items, ", "))
	if each {
		set := "KEYS(" + g.pick("map", "inv.r", "inv.r", "inv.m") + ")"
		if g.wide && g.chance(20) {
			set = g.pick("members", "{1, 2.5, 'x'}", "FLATTEN(inv.s)", "VALUES(inv.a)", "inv.c", "inv.m[*]", "KEYS(inv.m) UNION KEYS(inv.r)", "{COUNT(inv.a)}")
		}
		b.WriteString(" FOR EACH k IN " + set)
	}
	if compute {
		b.WriteString(" COMPUTE m0 := " + g.number(2))
		g.locals = []string{"m0"}
	}
	switch text := strings.Join(items, ", ") + group; {
	case strings.Contains(text, "$1"):
		b.WriteString(" WHEN inv.a " + g.pick("op", "> 0", ">= 0", "!= 1") + " AND " + g.cond(2))
	case g.chance(35):
		b.WriteString(" WHEN NOT (" + g.cond(4) + ")")
	case g.chance(93):
		b.WriteString(" WHEN " + g.cond(4))
	}
	if g.wide && g.chance(15) {
		b.WriteString(" AT " + g.pick("nodes", "ALL NODES", "NODES "+g.nodes[0], "NODES "+g.nodes[len(g.nodes)-1], "NODES "+g.nodes[len(g.nodes)/2]+", n1"))
	}
	if g.wide && g.chance(10) {
		b.WriteString(g.pick("range", " ON TIME END", " ON TIME START", " ON TIME START + 46us TO END", " ON TIME START + 31us TO NOW", " ON TIME END - 62us TO END - 16us", " ON TIME NOW"))
	} else if g.chance(20) {
		fmt.Fprintf(&b, " ON TIME %d", 98<<16+rapid.IntRange(0, 12<<16).Draw(g.t, "from"))
		if g.chance(80) {
			fmt.Fprintf(&b, " TO %d", 118<<16+rapid.IntRange(0, 9<<16).Draw(g.t, "to"))
		}
	}
	b.WriteString(group)
	b.WriteString(g.pick("emit", "", "", " EMIT INTERVALS", " EMIT CUTS", " EMIT ENTER", " EMIT LEAVE"))
	if g.chance(20) {
		b.WriteString(" LIMIT " + g.pick("limit", "1", "2", "3"))
	}
	return b.String()
}

// group is the items and the clause of GROUP BY.
func (g *generator) group(each, compute bool) (items []string, clause string) {
	keys := []string{"inv.a", "MAX(inv.a)", "TRUE", "NODE($1)", "inv.b = 1", "DURATION() > 0.00003", "COUNT(inv.b)", "inv.c", "TIME() > START + 46us"}
	if each {
		keys = append(keys, "k", "k", "inv.m[k]")
	}
	if compute {
		keys = append(keys, "m0", "m0")
	}
	key := g.pick("key", keys...)
	items = append(items, key+" AS the_key")
	folds := []string{"COUNT(*)", "SUM(DURATION())", "MAX(MAX(inv.a))", "MIN(inv.a)", "AVG(inv.b)", "COUNT(DISTINCT NODE($1))", "VALUES(inv.c)",
		"KEYS(inv.m)", "SUM(inv.a + inv.b)", "NODES(inv.a)", "FLATTEN(inv.s)", "COUNT(*) * 2 - MIN(COUNT(inv.b))", "SUM(DISTINCT MAX(inv.b))",
		"AVG(DURATION() * 2)", "MAX(inv.a - DURATION())", "LEAST(COUNT(*), 2) IN VALUES(inv.a)", "MAX(TIME())", "SUM(inv.m[*])", "VALUES($1)",
		"CASE WHEN COUNT(*) > 1 THEN MIN(inv.c) ELSE 'one' END", "COUNT(PRESENT(inv.b))", "MAX(PREV(inv.a))", "SUM(9223372036854775807)"}
	if each {
		folds = append(folds, "VALUES(k)", "MAX(inv.m[k])")
	}
	if compute {
		folds = append(folds, "MAX(m0)", "VALUES(m0)")
	}
	for range rapid.IntRange(1, 3).Draw(g.t, "folds") {
		if f := g.pick("fold", folds...); !slices.Contains(items, f) {
			items = append(items, f)
		}
	}
	clause = " GROUP BY " + g.pick("name", key, "the_key")
	if g.chance(25) && key != "inv.b" {
		clause += ", inv.b"
	}
	return items, clause
}

var pairs = flag.Int("pairs", 1500, "how many random pairs of a History and a query the engine and the definition are compared on")

// TestEngineGivesWhatTheDefinitionGives compares the engine with the oracle. All
// of it is
//
//	go test ./rql -run WhatTheDefinitionGives -pairs 100000 -timeout 1h -v
func TestEngineGivesWhatTheDefinitionGives(t *testing.T) {
	n := *pairs
	if testing.Short() {
		n = min(n, 300)
	}
	checks := flag.Lookup("rapid.checks")
	before := checks.Value.String()
	if err := flag.Set("rapid.checks", strconv.Itoa(n)); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = flag.Set("rapid.checks", before) }()
	met := counts{}
	rapid.Check(t, func(t *rapid.T) {
		g := &generator{t: t, past: rapid.Bool().Draw(t, "past"), wide: true, gaps: true}
		src := g.history()
		compareWithOracle(t, src, g.query(), met)
	})
	t.Log(met)
	if met["asked"] < met["refused"] {
		t.Errorf("only %d queries of %d were asked: the generator makes too many mistakes", met["asked"], n)
	}
}

// counts tells what the pairs were like.
type counts map[string]int

func (c counts) String() string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(c)) {
		out = append(out, fmt.Sprintf("%s %d", k, c[k]))
	}
	return strings.Join(out, ", ")
}

func compareWithOracle(t *rapid.T, src *history.Mem, text string, met counts) {
	q, err := rql.Compile(src.Meta(), text)
	var got, want strings.Builder
	if err == nil {
		_, err = q.Run(context.Background(), src, rql.Options{MaxCombinations: 1e6, Now: oracleNow}, func(r *rql.Row) error {
			got.Write(append(r.AppendJSON(nil), '\n'))
			return nil
		})
	}
	if err != nil {
		var se *syntax.Error
		if !errors.As(err, &se) || !se.Pos.IsValid() {
			t.Fatalf("%s\n%v", text, err)
		}
		met["refused"]++
		return
	}
	st, _ := syntax.Parse(text)
	o, err := newOracle(src, st.(*syntax.Query))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range o.rows() {
		want.Write(append(r.AppendJSON(nil), '\n'))
	}
	for what, is := range map[string]bool{"asked": true, "with rows": got.Len() > 0, "of past time": len(o.scopes) > 0,
		"with GROUP BY": len(o.q.GroupBy) > 0, "with rows of ticks": strings.Contains(got.String(), `"event":null`),
		"incomplete": strings.Contains(got.String(), `"incomplete"`), "with FOR EACH": o.q.ForEach != nil, "with a witness": strings.Contains(got.String(), `"witness"`)} {
		if is {
			met[what]++
		}
	}
	if got.String() != want.String() {
		var h strings.Builder
		_ = history.WriteText(&h, src)
		t.Fatalf("%s\n%s\ngot:\n%s\nwant:\n%s", text, h.String(), got.String(), want.String())
	}
}
