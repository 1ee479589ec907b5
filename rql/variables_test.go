package rql

import (
	"fmt"
	"strings"
	"testing"

	"hindcast.dev/history"
)

// What a statement names is known before it is run, so that whoever runs it can
// see to it that those variables are there.
func TestAStatementTellsWhichVariablesItNames(t *testing.T) {
	src, err := history.ReadText(strings.NewReader(`{"node":"n1","ts":1,"set":{"inv.a":1,"inv.b":{},"inv.b.x":2,"kv.c":3}}
{"node":"n1","bulky":{"kv.d":"1"}}
`), "test", history.TextOptions{})
	if err != nil {
		t.Fatal(err)
	}
	meta := src.Meta()
	names := func(vars []history.VarID) string {
		var out []string
		for _, v := range vars {
			out = append(out, meta.Vars[v].Name)
		}
		return fmt.Sprint(out)
	}
	for text, want := range map[string]string{
		`SELECT inv.a FROM inv, kv WHEN kv.d["x"] > 1`:                          "[inv.a kv.d] []",
		`SELECT COUNT(inv.a) AS n FROM inv, kv FOR EACH k IN KEYS(kv.d)`:        "[inv.a kv.d] []",
		`SELECT inv.b.x FROM inv COMPUTE m := SUM(inv.a) WHEN m > 0`:            "[inv.a inv.b inv.b.x] []",
		`SELECT * FROM inv, net WHEN LEN(net.sent) > 0`:                         "[] [inv net]",
		`SELECT kv.*, inv.a FROM inv, kv`:                                       "[inv.a] [kv]",
		`SELECT inv.a FROM inv, kv WHEN EXISTS k IN KEYS(kv.d) : (kv.d[k] > 1)`: "[inv.a kv.d] []",
		`EXPLAIN SELECT * FROM kv WHEN LEN(kv.d) > 1`:                           "[] []",
		`SHOW VARIABLES`: "[] []",
	} {
		q, err := Compile(meta, text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := fmt.Sprint(names(q.Variables()), " ", q.Shown()); got != want {
			t.Errorf("%s names %s, want %s", text, got, want)
		}
	}
	c, err := CompileCondition(meta, `kv.d["x"] > 1 AND LEN(net.sent) = 0`)
	if err != nil {
		t.Fatal(err)
	}
	if got := names(c.Variables()); got != "[kv.d]" {
		t.Errorf("the condition names %s", got)
	}
	var rows []string
	q, err := Compile(meta, `SHOW VARIABLES LIKE 'kv.%'`)
	if err == nil {
		_, err = q.Run(t.Context(), src, Options{}, func(r *Row) error {
			b, err := r.MarshalJSON()
			rows = append(rows, string(b))
			return err
		})
	}
	want := `[{"variable":"kv.c","types":{"$set":["int"]},"nodes":["n1"],"changes":1,"bulky":[]} {"variable":"kv.d","types":{"$set":[]},"nodes":[],"changes":0,"bulky":["n1"]}]`
	if got := fmt.Sprint(rows); err != nil || got != want {
		t.Errorf("%s, %v\nwant %s", got, err, want)
	}
}
