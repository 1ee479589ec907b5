package rql_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
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
	past   bool // operators of past time, too
	inside int  // LINKs and quantifiers around, where there are none
}

func (g *generator) pick(label string, options ...string) string {
	return rapid.SampledFrom(options).Draw(g.t, label)
}

func (g *generator) chance(percent int) bool {
	return rapid.IntRange(0, 99).Draw(g.t, "chance") < percent
}

func (g *generator) value(v string) event.Value {
	num := func() event.Value { return event.Int(int64(rapid.IntRange(-2, 4).Draw(g.t, "n"))) }
	key := func() event.Value { return event.String(g.pick("key", "x", "y", "z")) }
	switch v {
	case "s":
		return event.Set(num(), num())
	case "m":
		return event.MapOf(event.NewMap(event.Entry{Key: key(), Value: num()}, event.Entry{Key: key(), Value: num()}))
	case "r":
		inner := func() event.Value {
			return event.MapOf(event.NewMap(event.Entry{Key: event.String("v"), Value: num()}))
		}
		return event.MapOf(event.NewMap(event.Entry{Key: key(), Value: inner()}))
	}
	if g.ints {
		return num()
	}
	switch rapid.IntRange(0, 11).Draw(g.t, "type") {
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
	}
	return num()
}

func (g *generator) assign() history.Assign {
	v := g.pick("var", "a", "a", "b", "b", "c", "s", "m", "m", "r", "r")
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
	nodes := []string{"n1", "n2", "n3"}[:rapid.IntRange(1, 3).Draw(g.t, "nodes")]
	now := hlc.Timestamp(100 << 16)
	if g.chance(20) {
		b.Base(nodes[0], 5, now, map[string]event.Value{"inv.a": event.Int(1), "inv.m": g.value("m")})
	}
	// Every variable is known, or queries that name it would be refused.
	all := func() (all []history.Assign) {
		for _, v := range []string{"a", "b", "c", "s", "m", "r"} {
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
	for range rapid.IntRange(0, 9).Draw(g.t, "events") {
		now += hlc.Timestamp(rapid.IntRange(0, 3).Draw(g.t, "gap")<<16 | rapid.IntRange(0, 1).Draw(g.t, "logical"))
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
		return "inv.s"
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
		return "VALUES(inv.c)"
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
	}
	return g.pick("aggregate", "COUNT", "MAX", "MIN", "SUM", "AVG", "SUM", "COUNT") + "(" + g.pick("distinct", "", "") + g.set(depth-1) + ")"
}

func (g *generator) cond(depth int) string {
	if g.past && g.inside == 0 && depth > 0 && g.chance(35) {
		return g.pastCond(depth)
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
		c := g.cond(depth - 1)
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
		return g.pick("function", "PRESENT", "CHANGED") + "(" + g.variable() + ")"
	case n == 10:
		return "(" + g.number(depth-1) + g.pick("in", " IN ", " NOT IN ") + g.set(depth-1) + ")"
	case n == 11:
		return "(" + g.set(depth-1) + " SUBSET " + g.set(depth-1) + ")"
	case n == 12 && !g.plain:
		return g.pick("node", "(NODE($1) = NODE($2))", "(NODE($1) != 'n1')", "($1 > 1)", "(NODE($2) IN {'n1', 'n2'})")
	}
	return "(" + g.number(depth-1) + g.pick("op", " = ", " != ", " < ", " <= ", " > ", " >= ") + g.number(depth-1) + ")"
}

// pastCond is an operator of past time. Names that may stand for chosen nodes
// rarely stand in its operands.
func (g *generator) pastCond(depth int) string {
	locals := g.locals
	if g.chance(80) {
		g.locals = slices.DeleteFunc(slices.Clone(locals), func(name string) bool { return name == "m0" })
	}
	defer func() { g.locals = locals }()
	d := syntax.Print(&syntax.Duration{D: hlc.TicksDuration(rapid.Uint64Range(0, 6).Draw(g.t, "ticks"))})
	x := "(" + g.cond(depth-1) + ")"
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
	if each {
		items = append(items, "inv.r[k].v", "k")
		g.keys = []string{"k"}
	}
	if compute {
		items = append(items, "m0")
	}
	fmt.Fprintf(&b, "SELECT %s FROM inv", strings.Join(items, ", "))
	if each {
		b.WriteString(" FOR EACH k IN KEYS(" + g.pick("map", "inv.r", "inv.r", "inv.m") + ")")
	}
	if compute {
		b.WriteString(" COMPUTE m0 := " + g.number(2))
		g.locals = []string{"m0"}
	}
	if g.chance(95) {
		b.WriteString(" WHEN " + g.cond(4))
	}
	if g.chance(20) {
		fmt.Fprintf(&b, " ON TIME %d", 98<<16+rapid.IntRange(0, 20<<16).Draw(g.t, "from"))
		if g.chance(80) {
			fmt.Fprintf(&b, " TO %d", 118<<16+rapid.IntRange(0, 9<<16).Draw(g.t, "to"))
		}
	}
	b.WriteString(g.pick("emit", "", "", " EMIT INTERVALS", " EMIT CUTS", " EMIT ENTER", " EMIT LEAVE"))
	if g.chance(20) {
		b.WriteString(" LIMIT " + g.pick("limit", "1", "2", "3"))
	}
	return b.String()
}

func TestEngineGivesWhatTheDefinitionGives(t *testing.T) {
	var asked, refused, matched, past, ticks int
	rapid.Check(t, func(t *rapid.T) {
		g := &generator{t: t, past: rapid.Bool().Draw(t, "past")}
		src := g.history()
		text := g.query()
		q, err := rql.Compile(src.Meta(), text)
		if err != nil {
			var se *syntax.Error
			if !errors.As(err, &se) || !se.Pos.IsValid() {
				t.Fatalf("%s\n%v", text, err)
			}
			refused++
			return
		}
		asked++
		var got strings.Builder
		_, err = q.Run(context.Background(), src, rql.Options{MaxCombinations: 1e6}, func(r *rql.Row) error {
			got.Write(append(r.AppendJSON(nil), '\n'))
			return nil
		})
		if err != nil {
			t.Fatalf("%s\n%v", text, err)
		}
		st, _ := syntax.Parse(text)
		o, err := newOracle(src, st.(*syntax.Query))
		if err != nil {
			t.Fatal(err)
		}
		var want strings.Builder
		for _, r := range o.rows() {
			want.Write(append(r.AppendJSON(nil), '\n'))
		}
		if got.Len() > 0 {
			matched++
		}
		if len(o.scopes) > 0 {
			past++
		}
		if strings.Contains(got.String(), `"event":null`) {
			ticks++
		}
		if got.String() != want.String() {
			var h strings.Builder
			_ = history.WriteText(&h, src)
			t.Fatalf("%s\n%s\ngot:\n%s\nwant:\n%s", text, h.String(), got.String(), want.String())
		}
	})
	t.Logf("%d asked (%d with rows, %d of past time, %d with rows that begin at a tick), %d refused", asked, matched, past, ticks, refused)
	if asked < refused {
		t.Errorf("only %d of %d queries were asked: the generator makes too many mistakes", asked, asked+refused)
	}
}
