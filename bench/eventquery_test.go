package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"

	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/hlc"
	"hindcast.dev/rql"
)

// eventRows are event queries over a million events of requests that go through
// ten servers, two of them each.
var eventRows = []struct{ name, query string }{
	{"walk", "FROM r IN note SELECT COUNT(*)"},
	{"group", "FROM w IN Work GROUP BY w.node SELECT w.node, SUM(w.bytes)"},
	{"mostrecent", "FROM w IN Work JOIN r IN MOSTRECENT(recv) ON r -> w GROUP BY w.node SELECT w.node, AVG(w.time - r.time)"},
	{"first", "FROM w IN Work JOIN s IN FIRST(Start) ON s => w GROUP BY s.client SELECT s.client, SUM(w.bytes)"},
	{"all_along", "FROM w IN Work JOIN s IN Start ON s => w JOIN r IN recv ON r => w GROUP BY s.client, w.node SELECT s.client, w.node, COUNT(*)"},
	{"subquery", "FROM d IN Done JOIN t IN (FROM w IN Work JOIN r IN MOSTRECENT(recv) ON r => w SELECT w.time - r.time AS spent) ON t => d SELECT d.node, AVG(t.spent)"},
}

// requests are a million events: a client begins, asks a server, which works and
// asks another one, which works and answers the client.
func requests(tb testing.TB) *history.Mem {
	const events, clients, servers = 1_000_000, 20, 10
	r := rand.New(rand.NewPCG(1, 1))
	b := history.NewBuilder()
	now, ids := hlc.Timestamp(1<<32), 0
	add := func(node string, ev history.Event) {
		now += hlc.Timestamp(1 + r.IntN(1<<14))
		ev.Time = now
		b.Append(node, history.EventSpec{Event: ev})
	}
	field := func(name string, v event.Value) event.Value {
		return event.MapOf(event.NewMap(event.Entry{Key: event.String(name), Value: v}))
	}
	hop := func(from, to string) {
		ids++
		id := fmt.Sprint("m", ids)
		add(from, history.Event{Kind: "send", Effects: []history.Effect{{Kind: "send", ID: id, Peer: to}}})
		add(to, history.Event{Kind: "recv", ID: id, Peer: from})
	}
	for i := 0; i < events; i += 11 {
		c := r.IntN(clients)
		client, s1, s2 := fmt.Sprint("client", c), fmt.Sprint("s", r.IntN(servers)), fmt.Sprint("s", r.IntN(servers))
		add(client, history.Event{Kind: "invoke"})
		add(client, history.Event{Kind: "Start", Data: field("client", event.Int(int64(c)))})
		hop(client, s1)
		add(s1, history.Event{Kind: "Work", Data: field("bytes", event.Int(r.Int64N(1000)))})
		hop(s1, s2)
		add(s2, history.Event{Kind: "Work", Data: field("bytes", event.Int(r.Int64N(1000)))})
		hop(s2, client)
		add(client, history.Event{Kind: "Done"})
	}
	src, err := b.Build()
	if err != nil {
		tb.Fatal(err)
	}
	return src
}

// BenchmarkEventQuery gives events per second of processor time, and the megabytes
// that a query holds at its end, the History's own left out.
func BenchmarkEventQuery(b *testing.B) {
	src := requests(b)
	for _, row := range eventRows {
		b.Run(row.name, func(b *testing.B) {
			q, err := rql.Compile(src.Meta(), row.query)
			if err != nil {
				b.Fatal(err)
			}
			before := held()
			rows, after := 0, uint64(0)
			b.ReportAllocs()
			runs, used := 0, userTime()
			for b.Loop() {
				runs++
				rows = 0
				_, err := q.Run(context.Background(), src, rql.Options{}, func(*rql.Row) error {
					if rows++; rows == 1 && after == 0 {
						counting := userTime()
						after = held() // groups come when the walk is over and all is still held
						used += userTime() - counting
					}
					return nil
				})
				if err != nil || rows == 0 {
					b.Fatalf("%d rows, %v", rows, err)
				}
			}
			used = userTime() - used
			b.ReportMetric(float64(src.Meta().Events)*float64(runs)/used.Seconds()/1e6, "Mevents/cpu-s")
			b.ReportMetric(float64(after-min(before, after))/(1<<20), "MB-held")
		})
	}
}

// held is what is in use after a collection.
func held() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
