package syntax

import (
	"strings"
	"testing"
)

func mustParse(t *testing.T, what, text string) {
	t.Helper()
	stmt, err := Parse(text)
	if err != nil {
		t.Errorf("%s: %v", what, err)
		return
	}
	mustRoundTrip(t, stmt)
}

func mustRefuse(t *testing.T, what, text, message string) {
	t.Helper()
	if _, err := Parse(text); err == nil || !strings.Contains(err.Error(), message) {
		t.Errorf("%s: got error %v, want one with %q", what, err, message)
	}
}

func TestDepthIsBounded(t *testing.T) {
	repeat := strings.Repeat
	nests := []struct {
		name string
		nest func(n int) string // nested n deep
	}{
		{"brackets", func(n int) string { return repeat("(", n) + "a" + repeat(")", n) }},
		{"minus", func(n int) string { return repeat("- ", n-1) + "a" }},
		{"NOT", func(n int) string { return repeat("NOT ", n-1) + "a" }},
		{"ONCE", func(n int) string { return repeat("ONCE ", n-1) + "a" + repeat(" WITHIN 1s", n-1) }},
		{"calls", func(n int) string { return repeat("F(", n-1) + "a" + repeat(")", n-1) }},
		{"sets", func(n int) string { return repeat("{", n) + repeat("}", n) }},
		{"indices", func(n int) string { return repeat("a[", n-1) + "a" + repeat("]", n-1) }},
		{"a row to the left", func(n int) string { return repeat("a + ", n-1) + "a" }},
		{"a row to the right", func(n int) string { return repeat("a + (", n-1) + "a" + repeat(")", n-1) }},
		{"FOR", func(n int) string { return "a" + repeat(" FOR 1s", n-1) }},
		{"CASE", func(n int) string { return repeat("CASE WHEN a THEN ", n-1) + "a" + repeat(" END", n-1) }},
		{"EXISTS", func(n int) string { return repeat("EXISTS a IN b : (", n-1) + "a" + repeat(")", n-1) }},
		{"LINK", func(n int) string {
			return repeat("(", n-2) + "a" + repeat(" LINK SAME_NODE)", n-2) + " LINK SAME_NODE"
		}},
	}
	for _, c := range nests {
		mustParse(t, c.name, "SELECT "+c.nest(MaxDepth)+" FROM b")
		mustRefuse(t, c.name, "SELECT "+c.nest(MaxDepth+1)+" FROM b", "more than 1000")
		mustRefuse(t, c.name, "SELECT "+c.nest(10*MaxDepth)+" FROM b", "more than 1000")
	}
	sub := func(n int) string {
		return repeat("FROM a IN (", n) + "FROM a IN b SELECT *" + repeat(") SELECT *", n)
	}
	mustParse(t, "sub-queries", sub(MaxDepth))
	mustRefuse(t, "sub-queries", sub(MaxDepth+1), "more than 1000")
	// Each row is within the bound, the tree that they make is not.
	rows := repeat("(", 900) + "a" + repeat(repeat(" + a", 3)+")", 900)
	mustRefuse(t, "rows in rows", "SELECT "+rows+" FROM b", "more than 1000")
}

func TestUnclosedBracketsEndWithAnError(t *testing.T) {
	for _, open := range []string{"(", "{", "a[", "F(", "- ", "NOT ", "CASE WHEN ", "EXISTS a IN ", "EXISTS a IN b : (", "(a LINK "} {
		if _, err := ParseExpr(strings.Repeat(open, MaxText/len(open))); err == nil {
			t.Errorf("a text of nothing but %q parses", open)
		}
	}
}

func TestListsAreBounded(t *testing.T) {
	list := func(n int, member, sep string) string { return strings.Repeat(member+sep, n-1) + member }
	lists := []struct{ name, before, member, sep, after string }{
		{"items", "SELECT ", "a", ", ", " FROM b"},
		{"logs", "SELECT * FROM ", "a", ", ", ""},
		{"definitions", "SELECT * FROM b COMPUTE ", "a := 1", ", ", ""},
		{"nodes", "SELECT * FROM b AT NODES ", "a", ", ", ""},
		{"keys", "SELECT * FROM b GROUP BY ", "a", ", ", ""},
		{"arguments", "SELECT F(", "a", ", ", ") FROM b"},
		{"members", "SELECT {", "1", ", ", "} FROM b"},
		{"quantified names", "SELECT EXISTS ", "a", ", ", " IN b : (c) FROM b"},
		{"branches", "SELECT CASE ", "WHEN a THEN b", " ", " END FROM b"},
		{"steps", "SELECT ", "a", ".", " FROM b"},
		{"joins", "FROM a IN b ", "JOIN a IN b ON a -> a", " ", " SELECT *"},
	}
	for _, c := range lists {
		most := MaxList
		if c.name == "steps" {
			most++ // the log is no step
		}
		mustParse(t, c.name, c.before+list(most, c.member, c.sep)+c.after)
		mustRefuse(t, c.name, c.before+list(most+1, c.member, c.sep)+c.after, "more than 10000")
	}
	mustRefuse(t, "event name", "FROM a IN "+list(MaxList+1, "a", ".")+" SELECT *", "more than 10000")
}

func TestTextIsBounded(t *testing.T) {
	text := "SELECT * FROM b"
	mustParse(t, "longest", text+strings.Repeat(" ", MaxText-len(text)))
	mustRefuse(t, "longer", text+strings.Repeat(" ", MaxText-len(text)+1), "1048577 bytes")
}

func TestPlaceholderNumbersAreBounded(t *testing.T) {
	mustParse(t, "largest", "SELECT $1000000 FROM b")
	mustRefuse(t, "larger", "SELECT $1000001 FROM b", "up to 1000000")
}
