package complete_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"hindcast.dev/rql/complete"
)

var known = &complete.Known{
	Vars:  []string{"inv.alpha", "inv.beta", "kv.items", "kv.term", "kv-store.x", "group.size"},
	Nodes: []string{"n1", "n2", "node-3"},
	Times: []string{"2026-01-01T00:00:01Z"},
	Event: func() []string { return []string{"recv", "recv.Put", "send"} },
}

// The place is where | stands.
func TestStatement(t *testing.T) {
	for _, c := range []struct {
		text string
		want []string // all there is; nil is nothing
	}{
		{"|", []string{"SELECT", "FROM", "SHOW", "EXPLAIN"}},
		{"se|", []string{"select"}},
		{"S|", []string{"SELECT", "SHOW"}},
		{"show v|", []string{"variables"}},
		{"SELECT inv.a|", []string{"inv.alpha"}},
		{"SELECT inv.a| FROM inv", []string{"inv.alpha"}},
		{"SELECT al| FROM inv", []string{"alpha", "always"}},
		{"SELECT kv.| FROM inv", nil},
		{"SELECT INV.AL|", []string{"inv.alpha"}},
		{"SELECT kv-f|", []string{"forall", "false", "flatten(", "float(", "floor("}},
		{"SELECT gr|", []string{"`group`.size", "greatest("}},
		{"SELECT inv.alpha F|", []string{"FROM", "FOR"}},
		{"SELECT inv.alpha FROM |", []string{"`group`", "`kv-store`", "inv", "kv", "net", "node"}},
		{"SELECT inv.alpha FROM kv|", []string{"`kv-store`", "kv"}},
		{"SELECT inv.alpha FROM inv, n|", []string{"net", "node"}},
		{"SELECT inv.alpha FROM inv W|", []string{"WHEN"}},
		{"SELECT inv.alpha FROM inv WHEN inv.alpha >= ma|", []string{"max("}},
		{"SELECT inv.alpha FROM inv WHEN inv.alpha LINK s|", []string{"same_node"}},
		{"SELECT inv.alpha FROM inv WHEN a|\nLIMIT 3", []string{"alpha", "always", "abs(", "avg("}},
		{"SELECT 1 FROM kv FOR EACH key IN KEYS(items) WHEN items[k|", []string{"key", "kv.items", "kv.term", "keys("}},
		{"SELECT 1 FROM kv WHEN EXISTS version IN term : (ver|", []string{"version"}},
		{"SELECT 1 FROM kv COMPUTE most := MAX(term) WHEN mo|", []string{"most"}},
		{"SELECT 1 FROM kv AT NODES |", []string{"`node-3`", "n1", "n2"}},
		{"SELECT 1 FROM kv AT NODES n1, no|", []string{"`node-3`"}},
		{"SELECT 1 FROM kv ON TIME |", []string{"2026-01-01T00:00:01Z", "START", "END", "NOW"}},
		{"SELECT 1 FROM kv ON TIME s|", []string{"start"}},
		{"SELECT 1 FROM kv EMIT |", []string{"INTERVALS", "CUTS", "ENTER", "LEAVE"}},
		{"FROM e IN re|", []string{"recv", "recv.Put"}},
		{"FROM e IN FI|", []string{"FIRST", "FIRSTN"}},
		{"FROM e IN recv JOIN s IN send ON s -> e SELECT e|", []string{"e", "exists", "end"}},
		{"FROM e IN recv SELECT e.n|", []string{"e.name", "e.node"}},
		{"FROM e IN recv WHERE e.d|", []string{"e.data"}},
		{"FROM e IN recv SELECT f.|", nil},
		{"SELECT 'inv.a|", nil},
		{"SELECT inv.alpha FORM in|", nil},
		{"SELECT kv.items[0].ver|", nil},
	} {
		pos := strings.Index(c.text, "|")
		text := c.text[:pos] + c.text[pos+1:]
		start, got := complete.Statement(known, text, pos)
		if !slices.Equal(got, c.want) && len(got)+len(c.want) > 0 {
			t.Errorf("%s: %q, want %q", c.text, got, c.want)
		}
		if start < 0 || start > pos {
			t.Errorf("%s: from %d to %d", c.text, start, pos)
		}
	}
}

func TestConditionKnowsEveryLogAndNoClause(t *testing.T) {
	_, got := complete.Condition(known, "inv.alpha > 1 ", 14)
	if !slices.Contains(got, "AND") || slices.Contains(got, "LIMIT") {
		t.Errorf("after a condition: %v", got)
	}
	_, got = complete.Condition(known, "kv.", 3)
	if !slices.Equal(got, []string{"kv.items", "kv.term"}) {
		t.Errorf("after kv.: %v", got)
	}
}

func TestWithManyVariablesAndNothingTypedTheLogsComeFirst(t *testing.T) {
	many := &complete.Known{}
	for i := range 500 {
		many.Vars = append(many.Vars, fmt.Sprintf("log%d.v%d", i%3, i))
	}
	_, got := complete.Statement(many, "SELECT ", 7)
	for _, log := range []string{"log0.", "log1.", "log2."} {
		if !slices.Contains(got, log) {
			t.Errorf("no %s in %v", log, got)
		}
	}
	if slices.Contains(got, "log0.v0") || len(got) > 200 {
		t.Errorf("%d candidates: %v", len(got), got)
	}
	if _, got = complete.Statement(many, "SELECT log0.", 12); len(got) != 167 {
		t.Errorf("after log0.: %d candidates", len(got))
	}
}

// What is offered stands behind the text and begins with what was typed, but for
// case and quotes.
func TestCandidatesFitAnyText(t *testing.T) {
	pieces := []string{"SELECT ", "FROM ", "inv", ".", "alpha", "(", ")", "[", "'", "`", "WHEN ", "> ", "FOR EACH k IN ", "é", "\xff", "AT NODES ", " "}
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 0, 10).Draw(t, "pieces"), "")
		pos := rapid.IntRange(-1, len(text)+1).Draw(t, "pos")
		start, got := complete.Statement(known, text, pos)
		at := min(max(pos, 0), len(text))
		if start < 0 || start > at {
			t.Fatalf("start %d of %d", start, at)
		}
		word := strings.ToLower(strings.TrimPrefix(text[start:at], "`"))
		for _, c := range got {
			if !strings.HasPrefix(strings.ToLower(strings.TrimPrefix(c, "`")), word) {
				t.Fatalf("%q for %q", c, word)
			}
		}
	})
}
