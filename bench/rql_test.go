package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"

	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/hlc"
	"hindcast.dev/rql"
)

// A searchRow is one row of the table of RQL's speed: a query, the History it is
// asked of, and the same condition decided by trying every choice at every cut.
type searchRow struct {
	name  string
	query string
	src   func(b *testing.B) *history.Mem
	naive func(states []map[string]int64) bool // nil: by key, see naiveKeys
	slow  int                                  // how many cuts the naive enumerator is given
	cuts  int
}

// The Histories by key begin with a base of a million entries, which is entered
// before the first cut and counts.
const (
	searchEvents = 200_000
	keyedEvents  = 1_000_000
)

var searchRows = []searchRow{
	{"same_node/nodes=10", "SELECT inv.a FROM inv WHEN (inv.a + inv.b <= inv.c) LINK SAME_NODE", numbers(10), naiveSameNode, 100_000, searchEvents},
	{"spread/nodes=10", "SELECT inv.a FROM inv WHEN MAX(inv.a) - MIN(inv.a) >= 1000", numbers(10), naiveSpread, 100_000, searchEvents},
	{"unlinked/nodes=10", "SELECT inv.a FROM inv WHEN inv.a + inv.b <= inv.c", numbers(10), naiveUnlinked, 5_000, searchEvents},
	{"unlinked/nodes=100", "SELECT inv.a FROM inv WHEN inv.a + inv.b <= inv.c", numbers(100), naiveUnlinked, 50, searchEvents},
	{"half_linked/nodes=1000", "SELECT inv.a FROM inv WHEN (inv.a + inv.b) LINK SAME_NODE <= inv.c", numbers(1000), naiveHalfLinked, 20, searchEvents},
	{"exists_key/keys=100000", "SELECT inv.n FROM inv WHEN EXISTS k IN KEYS(inv.m) : (MAX(inv.m[k].v) - MIN(inv.m[k].v) >= 2)", keyed, nil, 5, keyedEvents},
	{"for_each_key/keys=100000", "SELECT inv.n FROM inv FOR EACH k IN KEYS(inv.m) WHEN MAX(inv.m[k].v) - MIN(inv.m[k].v) >= 2", keyed, nil, 5, keyedEvents},
}

// numbers are nodes with a and b around 1000 and c below their least sum, but
// one in ten thousand.
func numbers(nodes int) func(b *testing.B) *history.Mem {
	return func(tb *testing.B) *history.Mem {
		r := rand.New(rand.NewPCG(1, uint64(nodes)))
		b := history.NewBuilder()
		now := hlc.Timestamp(1 << 32)
		add := func(node int, set ...history.Assign) {
			now += hlc.Timestamp(1 + r.IntN(1<<16))
			b.Append(fmt.Sprintf("n%04d", node), history.EventSpec{Event: history.Event{Position: history.Position{Time: now}}, Set: set})
		}
		change := func(name string) history.Assign {
			n := 1000 + r.Int64N(500)
			if name == "c" {
				if n -= 500; r.IntN(10_000) == 0 {
					n += 2000
				}
			} else if r.IntN(10_000) == 0 {
				n += 600
			}
			return history.Assign{Path: "inv." + name, Value: event.Int(n)}
		}
		for n := range nodes {
			add(n, change("a"), change("b"), change("c"))
		}
		for range searchEvents - nodes {
			add(r.IntN(nodes), change([]string{"a", "b", "c"}[r.IntN(3)]))
		}
		return built(tb, b)
	}
}

// keyed is ten nodes with a map of 100,000 entries, of which every event writes
// one.
func keyed(tb *testing.B) *history.Mem {
	const nodes, keys = 10, 100_000
	r := rand.New(rand.NewPCG(1, 1))
	entry := func(v int64) event.Value {
		return event.MapOf(event.NewMap(event.Entry{Key: event.String("v"), Value: event.Int(v)}))
	}
	var entries []event.Entry
	for k := range keys {
		entries = append(entries, event.Entry{Key: event.String(fmt.Sprintf("key/%06d", k)), Value: entry(1)})
	}
	all := event.MapOf(event.NewMap(entries...))
	b := history.NewBuilder()
	now := hlc.Timestamp(1 << 32)
	add := func(node int, set ...history.Assign) {
		now += hlc.Timestamp(1 + r.IntN(1<<16))
		b.Append(fmt.Sprintf("n%04d", node), history.EventSpec{Event: history.Event{Position: history.Position{Time: now}}, Set: set})
	}
	for n := range nodes {
		now++
		b.Base(fmt.Sprintf("n%04d", n), 7, now, map[string]event.Value{"inv.m": all, "inv.n": event.Int(int64(n))})
	}
	for range keyedEvents {
		v := 1 + r.Int64N(2)
		if r.IntN(20_000) == 0 {
			v = 3
		}
		add(r.IntN(nodes), history.Assign{Path: fmt.Sprintf("inv.m[%q].v", fmt.Sprintf("key/%06d", r.IntN(keys))), Value: event.Int(v)})
	}
	return built(tb, b)
}

func built(tb *testing.B, b *history.Builder) *history.Mem {
	m, err := b.Build()
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

// BenchmarkSearch walks whole Histories on one core. cuts/s is of Query.Run, the
// median of the repetitions, least/s and most/s their least and most; fed/s is the
// median of the same without the merging of nodes, from a slice of events; naive/s
// is trying every choice at every cut, and x_naive how many times faster Run is.
// Seconds are of processor time, the collector's included, so that other work on the
// machine counts little; load is how much of that there was.
func BenchmarkSearch(b *testing.B) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	for _, row := range searchRows {
		b.Run(row.name, func(b *testing.B) { searchBench(b, &row) })
	}
}

// searchRounds is how many repetitions there are at least.
const searchRounds = 5

func searchBench(b *testing.B, row *searchRow) {
	src := row.src(b)
	naive := naiveSpeed(b, src, row)
	f := &fed{Mem: src, events: collected(b, src)}
	runtime.GC()
	var whole, without []float64
	speed := func(src history.Source) (cutsPerSecond float64, rows uint64) {
		began := userTime()
		rows = ask(b, src, row)
		return float64(row.cuts) / (userTime() - began).Seconds(), rows
	}
	round := func() {
		w, rows := speed(src)
		o, again := speed(f)
		if again != rows {
			b.Fatalf("%d rows of the whole, %d of the events alone", rows, again)
		}
		whole, without = append(whole, w), append(without, o)
	}
	for b.Loop() {
		round()
	}
	for len(whole) < searchRounds {
		round()
	}
	slices.Sort(whole)
	slices.Sort(without)
	median := whole[len(whole)/2]
	b.ReportMetric(median, "cuts/s")
	b.ReportMetric(whole[0], "least/s")
	b.ReportMetric(whole[len(whole)-1], "most/s")
	b.ReportMetric(without[len(without)/2], "fed/s")
	b.ReportMetric(naive, "naive/s")
	b.ReportMetric(median/naive, "x_naive")
	b.ReportMetric(machineLoad(), "load")
	b.ReportMetric(0, "ns/op")
}

// machineLoad is the machine's load of the last minute; 0 where that isn't told.
func machineLoad() (load float64) {
	text, err := os.ReadFile("/proc/loadavg")
	if err == nil {
		_, _ = fmt.Sscan(string(text), &load)
	}
	return load
}

func ask(b *testing.B, src history.Source, row *searchRow) (rows uint64) {
	q, err := rql.Compile(src.Meta(), row.query)
	if err != nil {
		b.Fatal(err)
	}
	sum, err := q.Run(context.Background(), src, rql.Options{}, func(*rql.Row) error { return nil })
	if err != nil || sum.Cuts != uint64(row.cuts) || sum.Rows == 0 {
		b.Fatalf("%d cuts, %d rows, error %v", sum.Cuts, sum.Rows, err)
	}
	return sum.Rows
}

// fed is a History whose walk is a slice.
type fed struct {
	*history.Mem
	events []*history.Event
}

func (f *fed) Walk(context.Context, history.Position, history.Position, []int) (history.Cursor, error) {
	return &fedCursor{rest: f.events, nodes: len(f.Meta().Nodes)}, nil
}

type fedCursor struct {
	rest  []*history.Event
	nodes int
}

func (c *fedCursor) Next() (*history.Event, error) {
	if len(c.rest) == 0 {
		return nil, io.EOF
	}
	ev := c.rest[0]
	c.rest = c.rest[1:]
	return ev, nil
}

func (c *fedCursor) States() []*history.State { return make([]*history.State, c.nodes) }
func (c *fedCursor) Close() error             { return nil }

func collected(b *testing.B, src history.Source) (events []*history.Event) {
	cur, err := src.Walk(context.Background(), history.Begin, history.End, nil)
	if err != nil {
		b.Fatal(err)
	}
	defer cur.Close()
	for {
		ev, err := cur.Next()
		if errors.Is(err, io.EOF) {
			return events
		}
		if err != nil {
			b.Fatal(err)
		}
		events = append(events, ev)
	}
}

// naiveSpeed is how many cuts a second trying every choice decides.
func naiveSpeed(b *testing.B, src *history.Mem, row *searchRow) float64 {
	if row.naive == nil {
		return naiveKeys(b, src, row.slow)
	}
	meta := src.Meta()
	names := make([]string, len(meta.Vars))
	for i := range names {
		names[i] = meta.Vars[i].Name[len("inv."):]
	}
	states := make([]map[string]int64, len(meta.Nodes))
	for i := range states {
		states[i] = map[string]int64{}
	}
	matching := 0
	events := collected(b, src)
	first := len(meta.Nodes) // by then every node has its variables
	var began time.Duration
	for i, ev := range events[:first+row.slow] {
		for _, c := range ev.Changes {
			states[ev.Node][names[c.Var]], _ = c.Value.AsInt()
		}
		if i == first {
			began = userTime()
		}
		if i >= first && row.naive(states) {
			matching++
		}
	}
	return float64(row.slow) / (userTime() - began).Seconds()
}

func naiveSameNode(states []map[string]int64) bool {
	for _, s := range states {
		if s["a"]+s["b"] <= s["c"] {
			return true
		}
	}
	return false
}

func naiveSpread(states []map[string]int64) bool {
	least, most := states[0]["a"], states[0]["a"]
	for _, s := range states {
		least, most = min(least, s["a"]), max(most, s["a"])
	}
	return most-least >= 1000
}

func naiveUnlinked(states []map[string]int64) bool {
	for _, i := range states {
		for _, j := range states {
			for _, k := range states {
				if i["a"]+j["b"] <= k["c"] {
					return true
				}
			}
		}
	}
	return false
}

func naiveHalfLinked(states []map[string]int64) bool {
	for _, i := range states {
		for _, k := range states {
			if i["a"]+i["b"] <= k["c"] {
				return true
			}
		}
	}
	return false
}

// naiveKeys compares the copies of every key at every cut.
func naiveKeys(b *testing.B, src *history.Mem, cuts int) float64 {
	meta := src.Meta()
	states := make([]map[string]int64, len(meta.Nodes))
	events := collected(b, src)
	for i := range states {
		states[i] = map[string]int64{}
		for _, c := range events[i].Changes {
			for k, v := range c.Value.AsMap().All() {
				states[i][k.AsString()], _ = v.Field("v").AsInt()
			}
		}
	}
	began := userTime()
	for _, ev := range events[len(states):][:cuts] {
		n, _ := ev.Changes[0].Value.AsInt()
		states[ev.Node][ev.Changes[0].Path[0].AsString()] = n
		for k := range states[0] {
			least, most := states[0][k], states[0][k]
			for _, s := range states[1:] {
				least, most = min(least, s[k]), max(most, s[k])
			}
			if most-least >= 2 {
				break
			}
		}
	}
	return float64(cuts) / (userTime() - began).Seconds()
}
