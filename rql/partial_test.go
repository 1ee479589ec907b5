package rql_test

import (
	"context"
	"errors"
	"testing"

	"hindcast.dev/rql"
)

func TestARunThatIsEndedEarlyGivesTheRowsThatWait(t *testing.T) {
	src, _ := load(`{"node":"n1","ts":@1,"set":{"kv.a":1}}
{"node":"n1","ts":@2,"set":{"kv.b":1}}
{"node":"n2","ts":@3,"set":{"kv.a":2}}
{"node":"n3","ts":@4,"set":{"kv.a":3}}`)
	q, err := rql.Compile(src.Meta(), `SELECT COUNT(kv.a) AS n FROM kv WHEN COUNT(kv.a) < 3 OR EXISTS x, y, z IN kv.a : (x * y * z = 7919)`)
	if err != nil {
		t.Fatal(err)
	}
	var given, partial []string
	collect := func(into *[]string) func(*rql.Row) error {
		return func(r *rql.Row) error {
			*into = append(*into, shorten(string(r.AppendJSON(nil))))
			return nil
		}
	}
	sum, err := q.Run(context.Background(), src, rql.Options{MaxCombinations: 20, Partial: collect(&partial)}, collect(&given))
	if many := (*rql.CombinationsError)(nil); !errors.As(err, &many) {
		t.Fatalf("error %v", err)
	}
	const want = `{"from":@1,"to":null,"cuts":3,"values":{"n":1},"event":{"node":"n1","seq":1},"incomplete":true}`
	if len(given) != 0 || len(partial) != 1 || partial[0] != want || sum.Rows != 1 {
		t.Errorf("given %v, in part %v, %d rows", given, partial, sum.Rows)
	}
	// Without it nothing is given that hasn't ended.
	if sum, _ = q.Run(context.Background(), src, rql.Options{MaxCombinations: 20}, collect(&given)); len(given) != 0 || sum.Rows != 0 {
		t.Errorf("given %v, %d rows", given, sum.Rows)
	}
}
