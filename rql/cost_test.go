package rql

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/hlc"
)

const staleReads = `SELECT kv.items[k].version FROM kv, node FOR EACH k IN KEYS(kv.items)
	WHEN (kv.items[k].version < MAX(kv.items[k].version) AND node.up) LINK SAME_NODE`

// manyKeys is three replicas with so many keys, then events that each write one.
func manyKeys(tb testing.TB, keys, events int) *history.Mem {
	b := history.NewBuilder()
	now := hlc.Timestamp(1 << 32)
	nodes := []string{"n1", "n2", "n3"}
	for _, n := range nodes {
		now += 1 << 16
		var items *event.Map
		for k := range keys {
			version := event.NewMap(event.Entry{Key: event.String("version"), Value: event.Int(1)})
			items = items.With(event.String(fmt.Sprintf("key%06d", k)), event.MapOf(version))
		}
		b.Append(n, history.EventSpec{Event: history.Event{Position: history.Position{Time: now}}, Set: []history.Assign{
			{Path: "kv.items", Value: event.MapOf(items)}, {Path: "node.up", Value: event.Bool(true)}}})
	}
	for i := range events {
		now += 1 << 16
		path := fmt.Sprintf(`kv.items["key%06d"].version`, i/3*7919%keys)
		b.Append(nodes[i%3], history.EventSpec{Event: history.Event{Position: history.Position{Time: now}},
			Set: []history.Assign{{Path: path, Value: event.Int(int64(2 + i/3))}}})
	}
	m, err := b.Build()
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

// decisions returns how many leaves are decided at each event after the first
// skip ones.
func decisions(t *testing.T, src history.Source, text string, skip int) (most int) {
	q, err := Compile(src.Meta(), text)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	r := &runner{q: q.cut, src: src}
	members, err := r.members(ctx)
	if err != nil {
		t.Fatal(err)
	}
	cur, err := src.Walk(ctx, history.Begin, history.End, nil)
	if err != nil {
		t.Fatal(err)
	}
	e := newEngine(ctx, q.cut, src.Meta(), cur.States(), members, Options{})
	for i := 0; ; i++ {
		ev, err := cur.Next()
		if errors.Is(err, io.EOF) {
			return most
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := e.step(ev); err != nil {
			t.Fatal(err)
		}
		if i >= skip {
			most = max(most, len(e.work))
		}
	}
}

func TestAnEventDecidesOnlyTheMembersItTouches(t *testing.T) {
	src := manyKeys(t, 500, 90)
	if got := decisions(t, src, staleReads, 3); got != 1 {
		t.Errorf("an event that writes one of 500 keys decides %d members, want 1", got)
	}
}

func TestAnEventThatNothingReadsDecidesNothing(t *testing.T) {
	src := manyKeys(t, 50, 90)
	if got := decisions(t, src, `SELECT kv.items FROM kv, node WHEN (node.up) LINK EACH_NODE`, 3); got != 0 {
		t.Errorf("an event that writes a key decides %d leaves about node.up, want 0", got)
	}
}

// TestAQuantifierOverKeysDecidesOnlyTouchedKeys counts the keys whose body is
// evaluated, by what is charged for it: nothing, while a full evaluation is
// charged for each key.
func TestAQuantifierOverKeysDecidesOnlyTouchedKeys(t *testing.T) {
	src := manyKeys(t, 500, 90)
	text := `SELECT node.up FROM kv, node WHEN EXISTS k IN KEYS(kv.items) : (MAX(kv.items[k].version) - MIN(kv.items[k].version) >= 2)`
	q, err := Compile(src.Meta(), text)
	if err != nil {
		t.Fatal(err)
	}
	cur, err := src.Walk(context.Background(), history.Begin, history.End, nil)
	if err != nil {
		t.Fatal(err)
	}
	e := newEngine(context.Background(), q.cut, src.Meta(), cur.States(), nil, Options{})
	for i := 0; ; i++ {
		ev, err := cur.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		evaluated := e.keysDecided
		if err := e.step(ev); err != nil {
			t.Fatal(err)
		}
		if n := e.keysDecided - evaluated; i >= 3 && n != 1 {
			t.Fatalf("event %d, which writes one of 500 keys, decides %d keys, want 1", i, n)
		}
	}
}

func BenchmarkStaleReads(b *testing.B) {
	for _, keys := range []int{100, 10_000} {
		b.Run(fmt.Sprintf("keys=%d", keys), func(b *testing.B) { benchmarkSteps(b, staleReads, keys) })
	}
}

func BenchmarkExistsKey(b *testing.B) {
	text := `SELECT node.up FROM kv, node WHEN EXISTS k IN KEYS(kv.items) : (MAX(kv.items[k].version) - MIN(kv.items[k].version) >= 2)`
	for _, keys := range []int{100, 10_000} {
		b.Run(fmt.Sprintf("keys=%d", keys), func(b *testing.B) { benchmarkSteps(b, text, keys) })
	}
}

func BenchmarkSumOfEntries(b *testing.B) {
	text := `SELECT node.up FROM kv, node WHEN SUM(kv.items[*].version) < 0`
	for _, keys := range []int{100, 10_000} {
		b.Run(fmt.Sprintf("keys=%d", keys), func(b *testing.B) { benchmarkSteps(b, text, keys) })
	}
}

// benchmarkSteps measures one event, once all keys are there.
func benchmarkSteps(b *testing.B, text string, keys int) {
	src := manyKeys(b, keys, b.N)
	q, err := Compile(src.Meta(), text)
	if err != nil {
		b.Fatal(err)
	}
	ctx := context.Background()
	r := &runner{q: q.cut, src: src}
	members, err := r.members(ctx)
	if err != nil {
		b.Fatal(err)
	}
	cur, err := src.Walk(ctx, history.Begin, history.End, nil)
	if err != nil {
		b.Fatal(err)
	}
	e := newEngine(ctx, q.cut, src.Meta(), cur.States(), members, Options{})
	for i := range 3 + b.N {
		if i == 3 {
			b.ResetTimer()
		}
		ev, err := cur.Next()
		if err == nil {
			err = e.step(ev)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}
