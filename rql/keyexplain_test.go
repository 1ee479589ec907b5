package rql_test

import (
	"strings"
	"testing"

	"hindcast.dev/event"
	"hindcast.dev/history"
)

// EXPLAIN says whether entries are kept by key, and why they aren't.
func TestExplainTellsHowKeysAreKept(t *testing.T) {
	b := history.NewBuilder()
	b.Append("n1", history.EventSpec{Event: history.Event{Position: history.Position{Time: 1 << 32}},
		Set: []history.Assign{{Path: `kv.m["x"].v`, Value: event.Int(1)}, {Path: "kv.a", Value: event.Int(1)}}})
	src, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	const slow = "looked up in each node's map, for "
	for query, want := range map[string]string{
		"SELECT COUNT(a) AS n FROM kv WHEN EXISTS k IN KEYS(m) : (MAX(m[k].v) > 1)":                      "entries of kv.m by k: kept by key; ",
		"SELECT m[k].v FROM kv FOR EACH k IN KEYS(m) WHEN MAX(m[k].v) > 1":                               "entries of kv.m by k: kept by key; ",
		"SELECT * FROM kv WHEN EXISTS k IN KEYS(m) : (MAX(m[k].v) > 1)":                                  slow + "SELECT * shows the whole map",
		"SELECT m FROM kv WHEN EXISTS k IN KEYS(m) : (MAX(m[k].v) > 1)":                                  slow + "kv.m is read whole",
		"SELECT SUM(m[*].v) AS s FROM kv WHEN EXISTS k IN KEYS(m) : (MAX(m[k].v) > 1)":                   slow + "kv.m[*].v goes over all entries",
		"SELECT m['x'] FROM kv WHEN EXISTS k IN KEYS(m) : (MAX(m[k].v) > 1)":                             slow + "kv.m['x'] names an entry",
		"SELECT COUNT(a) AS n FROM kv WHEN EXISTS k IN KEYS(m) : (MAX(m[k].v) > 1) AND CHANGED(a)":       slow + "PREV and CHANGED ask for what was before",
		"SELECT COUNT(a) AS n FROM kv WHEN EXISTS k IN KEYS(m) : (MAX(m[k].v.w) > 1 OR MAX(m[k].v) > 2)": slow + "kv.m[k].v.w leads below a field of the entry",
	} {
		if got := answer(t, src, "EXPLAIN "+query); !strings.Contains(strings.ReplaceAll(got, `\"`, `"`), want) {
			t.Errorf("%s\nis explained as\n%s\nwant %s", query, got, want)
		}
	}
}
