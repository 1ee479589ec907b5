package rql

import (
	"context"
	"fmt"
	"testing"

	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/hlc"
)

// TestAnEventOnTheHotPathAllocatesNothing feeds engines that have seen their nodes
// with events that change one value each.
func TestAnEventOnTheHotPathAllocatesNothing(t *testing.T) {
	const nodes = 10
	b := history.NewBuilder()
	now := hlc.Timestamp(1 << 32)
	add := func(n int, set ...history.Assign) {
		now += 1 << 16
		b.Append(fmt.Sprintf("n%02d", n), history.EventSpec{Event: history.Event{Position: history.Position{Time: now}}, Set: set})
	}
	entry := event.MapOf(event.NewMap(event.Entry{Key: event.String("v"), Value: event.Int(1)}))
	for n := range nodes {
		add(n, history.Assign{Path: "inv.a", Value: event.Int(int64(n))}, history.Assign{Path: "inv.b", Value: event.Int(9)},
			history.Assign{Path: "inv.c", Value: event.Int(-5)}, history.Assign{Path: `inv.m["x"]`, Value: entry}, history.Assign{Path: `inv.m["y"]`, Value: entry})
	}
	const runs = 200
	for i := range 6 * (runs + 1) {
		path := []string{"inv.a", "inv.b", "inv.c", `inv.m["x"].v`, `inv.m["y"].v`}[i%5]
		add(i%nodes, history.Assign{Path: path, Value: event.Int(int64(i%7) - 3*int64(i%5/2))})
	}
	src, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		"SELECT inv.a FROM inv WHEN (inv.a + inv.b <= inv.c) LINK SAME_NODE",
		"SELECT inv.a FROM inv WHEN (inv.a + inv.b > inv.c) LINK EACH_NODE",
		"SELECT inv.a FROM inv WHEN MAX(inv.a) - MIN(inv.a) >= 2 AND SUM(inv.b) + COUNT(inv.c) > 3",
		"SELECT inv.a FROM inv WHEN inv.a + inv.b <= inv.c",
		"SELECT inv.a FROM inv WHEN (inv.a + inv.b) LINK SAME_NODE <= inv.c AND NODE($1) != 'n01'",
		"SELECT inv.a FROM inv WHEN EXISTS k IN KEYS(inv.m) : (MAX(inv.m[k].v) - MIN(inv.m[k].v) >= 2)",
		"SELECT inv.a FROM inv FOR EACH k IN KEYS(inv.m) WHEN MAX(inv.m[k].v) - MIN(inv.m[k].v) >= 2",
	} {
		if got := allocations(t, src, text, nodes, runs); got > 0 {
			t.Errorf("%s: %.2f allocations for an event, want none", text, got)
		}
	}
}

func allocations(t *testing.T, src history.Source, text string, skip, runs int) float64 {
	q, err := Compile(src.Meta(), text)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	r := &runner{q: q.cut, src: src, meta: src.Meta()}
	members, err := r.members(ctx)
	if err != nil {
		t.Fatal(err)
	}
	cur, err := src.Walk(ctx, history.Begin, history.End, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer cur.Close()
	e := newEngine(ctx, q.cut, src.Meta(), cur.States(), members, Options{})
	e.setLean()
	e.follows()
	step := func() {
		ev, err := cur.Next()
		if err == nil {
			err = e.step(ev)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for range skip + 3*runs {
		step()
	}
	return testing.AllocsPerRun(runs, step)
}
