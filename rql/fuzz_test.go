package rql_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hindcast.dev/history"
	"hindcast.dev/rql"
	"hindcast.dev/rql/syntax"
)

// FuzzQuery: whatever the text, it is refused with a place or runs to its end.
func FuzzQuery(f *testing.F) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for _, b := range strings.Split(string(text), "\nask\n")[1:] {
			query, _, _ := strings.Cut(b, "\n----")
			f.Add(lengthen(query, ""))
		}
	}
	src, err := history.ReadText(strings.NewReader(lengthen(`
{"node":"n1","ts":@1,"set":{"inv.a":1,"inv.b":2,"kv.items":{"x":{"version":1}},"t.f":1.5,"t.s":"s","t.set":{"$set":[1,2]}}}
{"node":"n2","ts":@2,"set":{"inv.a":3,"inv.c":{"$f":"NaN"},"kv.items[\"y\"].version":2,"node.up":true,"t.list":[1,[2]]}}
{"node":"n1","ts":@3,"kind":"send","to":"n2","id":"m","del":["inv.a"],"set":{"t.big":9223372036854775807}}
{"node":"n2","ts":@4,"kind":"recv","from":"n1","id":"m","set":{"kv.items[\"x\"].version":3}}`, `"`)), "fuzz", history.TextOptions{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		q, err := rql.Compile(src.Meta(), text)
		if err != nil {
			var se *syntax.Error
			if !errors.As(err, &se) || !se.Pos.IsValid() {
				t.Fatalf("%q: an error without a place: %v", text, err)
			}
			return
		}
		_, err = q.Run(context.Background(), src, rql.Options{MaxCombinations: 500}, func(r *rql.Row) error {
			if len(r.AppendJSON(nil)) == 0 || len(r.Fields()) == 0 {
				t.Fatalf("%q: an empty row", text)
			}
			return nil
		})
		var ce *rql.CombinationsError
		var le *rql.LatticeError
		var se *syntax.Error
		if err != nil && !errors.As(err, &ce) && !errors.As(err, &le) && !errors.As(err, &se) {
			t.Fatalf("%q: %v", text, err)
		}
	})
}
