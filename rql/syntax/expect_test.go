package syntax_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"hindcast.dev/rql/syntax"
)

func TestWhatMayFollowABeginning(t *testing.T) {
	for _, c := range []struct {
		text string
		want []string // words, or operand, log, node, event, time
		not  []string
	}{
		{"", []string{"SELECT", "FROM", "SHOW", "EXPLAIN"}, []string{"operand"}},
		{"SELECT ", []string{"operand", "NOT", "EXISTS"}, []string{"FROM"}},
		{"SELECT a ", []string{"FROM", "AS", "AND", "LINK", "UNION"}, []string{"operand"}},
		{"SELECT a FROM ", []string{"log"}, []string{"operand"}},
		{"SELECT a FROM inv ", []string{"FOR", "WHEN", "AT", "ON", "GROUP", "EMIT", "LIMIT"}, []string{"operand", "AND", "FROM"}},
		{"SELECT a FROM inv WHEN ", []string{"operand", "POSSIBLY", "DEFINITELY"}, nil},
		{"SELECT a FROM inv WHEN a ", []string{"AND", "LIMIT", "LINK"}, []string{"WHEN", "operand"}},
		{"SELECT a FROM inv WHEN (a ", []string{"AND"}, []string{"LIMIT"}},
		{"SELECT a FROM inv WHEN (a) LINK ", []string{"SAME_NODE", "EACH_NODE"}, nil},
		{"SELECT a FROM inv WHEN a > ", []string{"operand"}, []string{"POSSIBLY"}},
		{"SELECT a FROM inv AT ", []string{"ALL", "NODES"}, nil},
		{"SELECT a FROM inv AT NODES ", []string{"node"}, nil},
		{"SELECT a FROM inv ON ", []string{"TIME"}, nil},
		{"SELECT a FROM inv ON TIME ", []string{"time", "START", "NOW"}, nil},
		{"SELECT a FROM inv EMIT ", []string{"INTERVALS", "CUTS", "ENTER", "LEAVE"}, nil},
		{"SELECT a FROM inv LIMIT 3 ", nil, []string{"LIMIT", "WHEN", "operand"}},
		{"SELECT a FROM inv FOR ", []string{"EACH"}, nil},
		{"SELECT a FROM inv FOR EACH k ", []string{"IN"}, nil},
		{"SHOW ", []string{"NODES", "LOGS", "VARIABLES", "EVENTS"}, nil},
		{"SHOW EVENTS ", []string{"LIKE", "AT", "ON", "LIMIT"}, nil},
		{"FROM e IN ", []string{"event", "FIRST", "MOSTRECENTN"}, nil},
		{"FROM e IN x JOIN f IN y ", []string{"ON"}, nil},
		{"FROM e IN x ", []string{"JOIN", "WHERE", "SELECT"}, nil},
		{"SELECT a FROM inv WHEN a = 'SELECT ", nil, []string{"FROM", "operand"}},
		{"SELECT a FORM inv ", nil, []string{"WHEN"}},
		{"SELECT inv.", nil, []string{"operand", "FROM"}},
	} {
		got := told(syntax.Expect(c.text))
		for _, w := range c.want {
			if !slices.Contains(got, w) {
				t.Errorf("after %q there is no %s, only %v", c.text, w, got)
			}
		}
		for _, w := range c.not {
			if slices.Contains(got, w) {
				t.Errorf("after %q there is %s: %v", c.text, w, got)
			}
		}
	}
	if e := syntax.ExpectExpr("inv.a "); !slices.Contains(e.Words, "AND") || slices.Contains(e.Words, "LIMIT") {
		t.Errorf("after a condition alone: %v", e.Words)
	}
}

func told(e syntax.Expectation) []string {
	out := slices.Clone(e.Words)
	for name, is := range map[string]bool{"operand": e.Operand, "log": e.Log, "node": e.Node, "event": e.Event, "time": e.Time} {
		if is {
			out = append(out, name)
		}
	}
	return out
}

// Every keyword with which a text goes on is one that was expected there, unless
// it is a function.
func TestAKeywordThatIsThereIsExpected(t *testing.T) {
	for _, q := range []string{
		"EXPLAIN SELECT a AS b , MAX ( c ) FROM inv FOR EACH k IN KEYS ( m ) COMPUTE x := a + 1 WHEN ( a > b ) LINK SAME_NODE AND NOT EXISTS v IN a : ( v > 1 ) AT NODES n1 ON TIME START EMIT ENTER LIMIT 3",
		"SELECT a FROM inv WHEN ONCE a > 1 OR CASE WHEN a THEN b ELSE c END GROUP BY a",
		"SHOW EVENTS LIKE 'x' AT ALL NODES ON TIME NOW LIMIT 1",
		"FROM e IN x JOIN f IN y ON e -> f LET z := e.a WHERE e.a > 1 GROUP BY e.b SELECT e.b LIMIT 1",
	} {
		words := strings.Fields(q)
		for i, w := range words {
			if strings.ToUpper(w) != w || len(w) < 2 || strings.ContainsAny(w, "0123456789':=->") || w == "MAX" || w == "KEYS" {
				continue
			}
			got := told(syntax.Expect(strings.Join(words[:i], " ") + " "))
			if !slices.Contains(got, w) {
				t.Errorf("%q: %s is not expected, but %v", strings.Join(words[:i], " "), w, got)
			}
		}
	}
}

func TestNamesInAnUnfinishedText(t *testing.T) {
	for _, c := range []struct {
		text           string
		logs, declared []string
	}{
		{"SELECT a FROM inv, kv WHEN EXISTS v, w IN a : (v >", []string{"inv", "kv"}, []string{"v", "w"}},
		{"SELECT FROM kv FOR EACH k IN KEYS(kv.items) COMPUTE m := MAX(kv.items[k]), n := 2 WHEN", []string{"kv"}, []string{"k", "m", "n"}},
		{"FROM e IN x JOIN f IN FIRST(y) ON e ->", nil, []string{"e", "f"}},
		{"SELECT 'FROM x", nil, nil},
	} {
		n := syntax.NamesIn(c.text)
		if !slices.Equal(n.Logs, c.logs) || !slices.Equal(n.Declared, c.declared) {
			t.Errorf("%s: %v", c.text, n)
		}
	}
}

func TestSplit(t *testing.T) {
	for _, c := range []struct {
		text string
		want []string
		rest string
	}{
		{"SHOW NODES;", []string{"SHOW NODES;"}, ""},
		{"SHOW NODES", nil, "SHOW NODES"},
		{"SHOW NODES; SHOW LOGS;\n SHOW", []string{"SHOW NODES;", "SHOW LOGS;"}, "SHOW"},
		{"SHOW EVENTS LIKE 'a;b'", nil, "SHOW EVENTS LIKE 'a;b'"},
		{"SHOW EVENTS LIKE 'a;", []string{"SHOW EVENTS LIKE 'a;"}, ""},
		{"SHOW NODES -- not yet;", nil, "SHOW NODES -- not yet;"},
		{"SELECT € FROM inv;", []string{"SELECT € FROM inv;"}, ""},
		{";", []string{";"}, ""},
	} {
		got, rest := syntax.Split(c.text)
		if !slices.Equal(got, c.want) || rest != c.rest {
			t.Errorf("%q: %q and %q", c.text, got, rest)
		}
	}
}

func TestExpectAndSplitBearAnyText(t *testing.T) {
	pieces := []string{"SELECT", "FROM", "inv", ".", "a", "(", ")", "[", "]", "'", "`", "WHEN", ">", "FOR", "EACH", "k", "IN", "1", "5s",
		"$1", ";", ",", "CASE", "END", "--", "\n", "LINK", ":", ":=", "*", "2026-01-01T0", "é", "\xff"}
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 0, 12).Draw(t, "pieces"), " ")
		_ = fmt.Sprint(syntax.Expect(text), syntax.ExpectExpr(text), syntax.NamesIn(text))
		statements, rest := syntax.Split(text)
		strip := strings.NewReplacer(" ", "", "\n", "").Replace
		if got := strip(strings.Join(append(statements, rest), "")); got != strip(text) {
			t.Fatalf("Split loses text: %q of %q", got, text)
		}
	})
}
