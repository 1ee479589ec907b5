package rql_test

import (
	"context"
	"fmt"
	"strings"

	"hindcast.dev/history"
	"hindcast.dev/rql"
)

func Example() {
	src, err := history.ReadText(strings.NewReader(`
		{"node":"n1","ts":"2026-11-21T19:46:53Z","set":{"inv.a":1,"inv.b":5}}
		{"node":"n2","ts":"2026-11-21T19:46:54Z","set":{"inv.a":7}}
		{"node":"n2","ts":"2026-11-21T19:46:55Z","set":{"inv.a":2}}`), "example.jsonl", history.TextOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	q, err := rql.Compile(src.Meta(), "SELECT inv.a FROM inv WHEN inv.a > inv.b")
	if err != nil {
		fmt.Println(err)
		return
	}
	sum, err := q.Run(context.Background(), src, rql.Options{}, func(r *rql.Row) error {
		fmt.Println(string(r.AppendJSON(nil)))
		return nil
	})
	fmt.Println(sum.Cuts, "cuts,", sum.Rows, "row,", err)
	// Output:
	// {"from":"2026-11-21T19:46:54.000000Z/0","to":"2026-11-21T19:46:55.000000Z/0","cuts":1,"values":{"inv.a":{"n1":1,"n2":7}},"witness":{"$1":"n2","$2":"n1"},"event":{"node":"n2","seq":1}}
	// 3 cuts, 1 row, <nil>
}
