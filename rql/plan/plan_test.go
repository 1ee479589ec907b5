package plan_test

import (
	"fmt"
	"strings"
	"testing"

	"hindcast.dev/rql/plan"
	"hindcast.dev/rql/syntax"
)

var schema = &plan.Schema{Nodes: []string{"n1", "n2"}, Vars: []string{"inv.a", "inv.b", "inv.c", "inv.m", "inv.m.deep", "zk.v"}}

func compile(t *testing.T, text string) *plan.Query {
	t.Helper()
	st, err := syntax.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	q, err := plan.Compile(schema, st.(*syntax.Query))
	if err != nil {
		t.Fatalf("%s\n%v", text, err)
	}
	return q
}

// shape is a condition in parts: each leaf as its class and slots.
func shape(c *plan.Cond) string {
	if c.Op == plan.CondLeaf {
		return fmt.Sprintf("%s%v", [...]string{"global", "node", "each", "key", "join"}[c.Leaf.Class], c.Slots)
	}
	var kids []string
	for _, k := range c.Kids {
		kids = append(kids, shape(k))
	}
	return [...]string{plan.CondAnd: "and", plan.CondOr: "or"}[c.Op] + "(" + strings.Join(kids, " ") + ")"
}

func TestAConditionIsCutWhereItsPartsShareNoNode(t *testing.T) {
	for _, c := range []struct{ cond, want string }{
		{"inv.a > 1", "node[0]"},
		{"inv.a > inv.b", "join[0 1]"},
		{"(inv.a > inv.b) LINK SAME_NODE", "node[0]"},
		{"(inv.a > inv.b) LINK EACH_NODE", "each[]"},
		{"NOT ((inv.a > inv.b) LINK EACH_NODE)", "each[]"},
		{"MAX(inv.a) > 1", "global[]"},
		{"inv.a > 1 AND inv.b > 1", "and(node[0] node[1])"},
		{"inv.a > 1 AND $1 < 5", "node[0]"},
		{"inv.a > 1 AND inv.b > 1 AND NODE($1) = NODE($2)", "join[0 1]"},
		{"inv.a > 1 AND inv.b > 1 AND inv.c > 1 AND NODE($1) = NODE($3)", "and(node[1] join[0 2])"},
		{"inv.a > 1 OR $1 + inv.b = 3", "or(node[0] join[0 1])"},
		{"NOT (inv.a > 1 OR inv.b > 1)", "and(node[0] node[1])"},
		{"NOT (inv.a > 1 AND NOT (inv.b > 1 OR inv.c > 1))", "or(node[0] node[1] node[2])"},
		{"EXISTS k IN KEYS(inv.m) : (MAX(inv.m[k]) > 1)", "key[]"},
		{"NOT (FORALL k IN KEYS(inv.b) : (COUNT(inv.b[k]) = 2))", "key[]"},
		{"EXISTS k IN KEYS(inv.b) : (inv.b[k] > 1)", "node[0]"},
		{"EXISTS v IN inv.a : (v > 1)", "global[]"},
	} {
		q := compile(t, "SELECT inv.a FROM inv WHEN "+c.cond)
		if got := shape(q.Root); got != c.want {
			t.Errorf("%s: %s, want %s", c.cond, got, c.want)
		}
	}
}

func TestPlaceholdersAreNumberedAsWritten(t *testing.T) {
	q := compile(t, `SELECT inv.a FROM inv, zk COMPUTE m := inv.a + PREV(inv.b)
		WHEN (inv.c > m) LINK SAME_NODE AND inv.a[zk.v] IN inv.b AND MAX(inv.c) < COALESCE(zk.v, inv.a) AND EXISTS x IN inv.a : (x > inv.c)`)
	var got []string
	for i, h := range q.Holders {
		got = append(got, fmt.Sprintf("$%d %s in %d", i+1, h.Text, h.Slot))
	}
	want := "$1 inv.a in 0, $2 inv.b in 0, $3 inv.c in 0, $4 inv.a[zk.v] in 1, $5 zk.v in 2, $6 zk.v in 3, $7 inv.a in 4, $8 inv.c in 5"
	if s := strings.Join(got, ", "); s != want {
		t.Errorf("placeholders:\n got %s\nwant %s", s, want)
	}
}

func TestAVariableIsTheLongestPrefix(t *testing.T) {
	q := compile(t, "SELECT inv.m.deep.er FROM inv")
	r := q.Items[0].Ref
	if len(r.Vars) != 2 || r.Vars[0] != (plan.Candidate{Var: 4, Rest: 2}) || r.Vars[1] != (plan.Candidate{Var: 3, Rest: 1}) {
		t.Errorf("inv.m.deep.er may be %v, want variable 4 and then 3", r.Vars)
	}
}
