package rql_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/history/historytest"
	"hindcast.dev/hlc"
	"hindcast.dev/rql"
	"hindcast.dev/rql/syntax"
	"hindcast.dev/vfs"
)

// server is a History of so many requests to one node, each handled at once: a
// tracepoint Start at the client, one Work at the server.
func server(tb testing.TB, requests int) *history.Mem {
	tb.Helper()
	b := history.NewBuilder()
	at := hlc.Timestamp(1 << 20)
	for i := range requests {
		client, id := fmt.Sprintf("c%d", i%4), fmt.Sprintf("m%d", i)
		data := event.MapOf((*event.Map)(nil).With(event.String("n"), event.Int(int64(i))))
		for _, ev := range []struct {
			node string
			history.Event
		}{
			{client, history.Event{Kind: "request", Name: "Get"}},
			{client, history.Event{Kind: "Start", Data: data}},
			{client, history.Event{Kind: "send", Effects: []history.Effect{{Kind: "send", ID: id, Peer: "srv"}}}},
			{"srv", history.Event{Kind: "recv", ID: id, Peer: client}},
			{"srv", history.Event{Kind: "Work", Data: data}},
		} {
			at += 1 << 16
			ev.Time = at
			b.Append(ev.node, history.EventSpec{Event: ev.Event})
		}
	}
	src, err := b.Build()
	if err != nil {
		tb.Fatal(err)
	}
	return src
}

func runEventQuery(src history.Source, text string, opt rql.Options) (rows []string, err error) {
	q, err := rql.Compile(src.Meta(), text)
	if err != nil {
		return nil, err
	}
	_, err = q.Run(context.Background(), src, opt, func(r *rql.Row) error {
		rows = append(rows, string(r.AppendJSON(nil)))
		return nil
	})
	return rows, err
}

func TestAnEventQueryEndsWhereItWouldKeepTooMuch(t *testing.T) {
	const all = "FROM w IN Work JOIN s IN Start ON s -> w SELECT w.n"
	src := server(t, 40)
	if _, err := runEventQuery(src, all, rql.Options{MaxEvents: 200}); err != nil {
		t.Error(err)
	}
	var kept *rql.EventsError
	if _, err := runEventQuery(src, all, rql.Options{MaxEvents: 20}); !errors.As(err, &kept) || kept.Limit != 20 {
		t.Errorf("40 events and 40 messages are kept within 20: %v", err)
	}
	// What is superseded is not kept: the last one of each node and message.
	if _, err := runEventQuery(server(t, 4000), "FROM w IN Work JOIN s IN MOSTRECENT(Start) ON s => w SELECT w.n", rql.Options{MaxEvents: 10_000}); err != nil {
		t.Error(err)
	}
	if _, err := runEventQuery(src, "FROM w IN Work GROUP BY w.n SELECT w.n", rql.Options{MaxEvents: 10}); !errors.As(err, &kept) {
		t.Errorf("40 groups are kept within 10: %v", err)
	}
}

func TestAnEventQueryEndsWhereTooManyEventsAreJoined(t *testing.T) {
	const all = "FROM w IN Work JOIN s IN Start ON s -> w SELECT w.n"
	src := server(t, 10)
	rows, err := runEventQuery(src, all, rql.Options{MaxCombinations: 10})
	if err != nil || len(rows) != 55 {
		t.Errorf("%d rows, %v; want 1 + 2 + … + 10", len(rows), err)
	}
	var many *rql.CombinationsError
	rows, err = runEventQuery(src, all, rql.Options{MaxCombinations: 9})
	if !errors.As(err, &many) || len(rows) != 54 || !strings.Contains(err.Error(), "MOSTRECENT") {
		t.Errorf("%d rows, %v; want 1 + 2 + … + 9, and nine of ten", len(rows), err)
	}
}

func TestAlongLinksEachRequestHasItsOwn(t *testing.T) {
	rows, err := runEventQuery(server(t, 500), "FROM w IN Work JOIN s IN Start ON s => w WHERE s.n = w.n SELECT COUNT(*)", rql.Options{})
	if err != nil || len(rows) != 1 || rows[0] != `{"group":{},"values":{"COUNT(*)":500}}` {
		t.Errorf("%v, %v", rows, err)
	}
	rows, err = runEventQuery(server(t, 500), "FROM w IN Work JOIN s IN Start ON s => w SELECT COUNT(*)", rql.Options{})
	if err != nil || len(rows) != 1 || rows[0] != `{"group":{},"values":{"COUNT(*)":500}}` {
		t.Errorf("%v, %v", rows, err)
	}
}

func TestACopyOfAMessageIsLinkedToo(t *testing.T) {
	b := history.NewBuilder()
	b.Append("a", history.EventSpec{Event: history.Event{Position: history.Position{Time: 1 << 20}, Kind: "Start"}},
		history.EventSpec{Event: history.Event{Position: history.Position{Time: 2 << 20}, Kind: "send", Effects: []history.Effect{{Kind: "send", ID: "m"}}}})
	for i, n := range []string{"b", "c", "b"} {
		b.Append(n, history.EventSpec{Event: history.Event{Position: history.Position{Time: hlc.Timestamp(3+i) << 20}, Kind: "recv", ID: "m"}})
	}
	src, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	for _, arrow := range []string{"->", "=>"} {
		rows, err := runEventQuery(src, "FROM r IN recv JOIN s IN Start ON s "+arrow+" r SELECT r.node", rql.Options{})
		if err != nil || len(rows) != 3 {
			t.Errorf("%s: %v, %v", arrow, rows, err)
		}
	}
}

func TestAnEventQueryStopsWhenItIsTold(t *testing.T) {
	src := server(t, 2000)
	q, err := rql.Compile(src.Meta(), "FROM w IN Work JOIN s IN Start ON s -> w SELECT COUNT(*)")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := q.Run(ctx, src, rql.Options{}, func(*rql.Row) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// FuzzEventQuery: whatever the text, it is refused with a place or runs to its end
// within its bounds.
func FuzzEventQuery(f *testing.F) {
	for _, text := range []string{
		"FROM w IN Work JOIN s IN FIRST(Start) ON s -> w GROUP BY s.n SELECT s.n, COUNT(*)",
		"FROM w IN Work JOIN s IN MOSTRECENTN(2, send) ON s => w LET d := w.time - s.time WHERE d > 0 SELECT d, w.*",
		"FROM w IN (FROM r IN recv JOIN s IN srv.recv ON s -> r SELECT r.id, s.data.x) JOIN q IN Start ON q -> w SELECT w.id, q.event.time",
		"FROM g IN (FROM s IN Start GROUP BY s.node SELECT s.node, SUM(s.n)) SELECT VALUES(g.node) LIMIT 2",
		"FROM w IN MOSTRECENT(Work) SELECT * ON TIME START TO END - 1s",
	} {
		f.Add(text)
	}
	src := server(f, 6)
	f.Fuzz(func(t *testing.T, text string) {
		if !strings.HasPrefix(strings.ToUpper(text), "FROM") {
			return
		}
		q, err := rql.Compile(src.Meta(), text)
		var se *syntax.Error
		if err != nil {
			if !errors.As(err, &se) || !se.Pos.IsValid() {
				t.Fatalf("%q: an error without a place: %v", text, err)
			}
			return
		}
		_, err = q.Run(context.Background(), src, rql.Options{MaxCombinations: 200, MaxEvents: 100}, func(r *rql.Row) error {
			if len(r.AppendJSON(nil)) == 0 || len(r.Fields()) != len(q.Columns()) {
				t.Fatalf("%q: %s has other columns than %q", text, r.AppendJSON(nil), q.Columns())
			}
			return nil
		})
		if err != nil && !errors.As(err, new(*rql.CombinationsError)) && !errors.As(err, new(*rql.EventsError)) && !errors.As(err, &se) {
			t.Fatalf("%q: %v", text, err)
		}
	})
}

func TestAnEventQueryAnswersTheSameOnDisk(t *testing.T) {
	src := server(t, 300)
	disk := historytest.OnDisk(t, vfs.NewMem(), "h", src, history.DiskOptions{BlockBytes: 1 << 10})
	defer disk.Close()
	for _, text := range []string{
		"FROM w IN Work JOIN s IN FIRSTN(2, Start) ON s -> w JOIN q IN MOSTRECENT(request.Get) ON q => s SELECT w.n, s.n, q.node, w.time - s.time",
		"FROM w IN Work JOIN s IN send ON s => w GROUP BY s.node SELECT s.node, COUNT(*), SUM(w.n), VALUES(s.peer)",
		"FROM r IN MOSTRECENTN(3, recv) SELECT r.node, r.physical",
		"SHOW EVENTS",
	} {
		want, err := runEventQuery(src, text, rql.Options{})
		if err != nil {
			t.Fatal(err)
		}
		got, err := runEventQuery(disk, text, rql.Options{})
		if err != nil || len(got) == 0 || strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("%s: %d rows on disk and %d in memory, %v", text, len(got), len(want), err)
		}
	}
}
