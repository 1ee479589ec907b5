package rql_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/history/historytest"
	"hindcast.dev/hlc"
	"hindcast.dev/rql"
	"hindcast.dev/vfs"
)

// told is everything that a run gave, but how often a fault was counted: that
// counts evaluations, and what was evaluated for the witness of a row that began
// before a part may be evaluated once less in it.
func told(rows []string, sum rql.Summary, err error) string {
	sum.Errors = slices.Clone(sum.Errors)
	for i := range sum.Errors {
		sum.Errors[i].Count = min(sum.Errors[i].Count, 1)
	}
	sum.Unequal = slices.Clone(sum.Unequal)
	for i := range sum.Unequal {
		sum.Unequal[i].Count = min(sum.Unequal[i].Count, 1)
	}
	return fmt.Sprintf("%s\n%+v\n%v", strings.Join(rows, "\n"), sum, err)
}

func collect(into *[]string) func(*rql.Row) error {
	return func(r *rql.Row) error {
		*into = append(*into, string(r.AppendJSON(nil)))
		return nil
	}
}

// inParts runs a query in parts with these edges, of which some are searched
// apart, in any order, with what was remembered at any time before.
func inParts(t *rapid.T, q *rql.Query, src history.Source, opt rql.Options, edges []hlc.Timestamp) (string, int) {
	ctx := context.Background()
	var gathered []*rql.Gathered
	if q.Gathers() && rapid.Bool().Draw(t, "gather in parts") {
		from := history.Begin
		for _, e := range append(slices.Clone(edges), hlc.Max) {
			to := history.Position{Time: e}
			g, err := q.Gather(ctx, src, opt, from, to)
			if err != nil {
				t.Fatal(err)
			}
			gathered = append(gathered, g)
			from = to
		}
	}
	var rows []string
	p, err := q.Parts(ctx, src, opt, gathered, collect(&rows))
	if err != nil {
		return told(rows, rql.Summary{}, err), 0
	}
	from, to := p.Range()
	edges = slices.DeleteFunc(slices.Clone(edges), func(e hlc.Timestamp) bool { return e <= from || e > to })
	at, joined := history.Begin, 0
	memory := p.Memory()
	for i := range len(edges) + 1 {
		next := history.End
		if i < len(edges) {
			next = history.Position{Time: edges[i]}
		}
		if rapid.Bool().Draw(t, "new memory") {
			memory = p.Memory()
		}
		done := false
		if i > 0 && rapid.IntRange(0, 3).Draw(t, "apart") > 0 {
			part, err := p.Search(at, next, memory)
			if err != nil {
				t.Fatal(err)
			}
			if done, err = p.Join(part); done && err != nil {
				break
			}
			if done {
				joined++
			}
		}
		if !done {
			if err := p.Walk(next); err != nil {
				break
			}
		}
		if p.Done() {
			break
		}
		at = next
	}
	sum, err := p.End()
	return told(rows, sum, err), joined
}

// remembering puts operators of past time around the condition of a query.
func remembering(t *rapid.T, text string) string {
	before, rest, ok := strings.Cut(text, " WHEN ")
	if !ok {
		return text
	}
	end := len(rest)
	for _, clause := range []string{" ON TIME", " EMIT", " LIMIT"} {
		if i := strings.Index(rest, clause); i >= 0 {
			end = min(end, i)
		}
	}
	form := rapid.SampledFrom([]string{"%s", "%s", "%s", "PREVIOUSLY (%s)", "ONCE (%s)", "ALWAYS (%s)", "((%s) SINCE inv.a > 1)",
		"(inv.a < 3) SINCE (%s)", "(%s) FOR 40us", "ONCE (%s) WITHIN 50us", "ALWAYS (%s) WITHIN 40us", "NOT (PREVIOUSLY (%s)) AND inv.a >= 0",
		"PREVIOUSLY (PREVIOUSLY (%s))", "(ONCE (%s)) FOR 30us"}).Draw(t, "past")
	return before + " WHEN " + fmt.Sprintf(form, rest[:end]) + rest[end:]
}

func TestPartsOfAWalkGiveWhatTheWalkGives(t *testing.T) {
	asked, joined := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		g := &generator{t: t, past: rapid.Bool().Draw(t, "past")}
		var src history.Source = g.long()
		if rapid.Bool().Draw(t, "on disk") {
			src = historytest.OnDisk(t, vfs.NewMem(), "h", src, history.DiskOptions{BlockBytes: 60, BaseBytes: 40}) // many small blocks
		}
		text := remembering(t, g.query())
		q, err := rql.Compile(src.Meta(), text)
		if err != nil || q.Whole(src.Meta()) != "" {
			return
		}
		opt := rql.Options{MaxCombinations: rapid.SampledFrom([]int{1e6, 1e6, 20}).Draw(t, "combinations")}
		var rows []string
		sum, err := q.Run(context.Background(), src, opt, collect(&rows))
		want := told(rows, sum, err)
		var edges []hlc.Timestamp
		first, last := int(src.Meta().First.Time>>16), int(src.Meta().Last.Time>>16)
		for range rapid.IntRange(1, 5).Draw(t, "edges") {
			edges = append(edges, hlc.Timestamp(rapid.IntRange(first, last+1).Draw(t, "edge"))<<16)
		}
		slices.Sort(edges)
		got, n := inParts(t, q, src, opt, slices.Compact(edges))
		asked++
		joined += n
		if got != want {
			var h strings.Builder
			_ = history.WriteText(&h, src)
			t.Fatalf("%s\n%s\nedges %v\nin parts:\n%s\nwant:\n%s", text, h.String(), edges, got, want)
		}
	})
	t.Logf("%d asked, %d parts joined", asked, joined)
	if joined < asked/4 {
		t.Errorf("%d queries and only %d parts were joined", asked, joined)
	}
}

// long is a History of some length, in which times collide and a node begins
// again after a gap.
func (g *generator) long() *history.Mem {
	b := history.NewBuilder()
	now := uint64(100)
	for i := range rapid.IntRange(1, 25).Draw(g.t, "events") {
		now += uint64(rapid.IntRange(0, 3).Draw(g.t, "gap"))
		e := history.EventSpec{Event: history.Event{Position: history.Position{Time: hlc.Timestamp(now << 16)}}}
		if i == 0 {
			for _, v := range []string{"a", "b", "c", "s", "m", "r"} {
				e.Set = append(e.Set, history.Assign{Path: "inv." + v, Value: g.value(v)})
			}
		}
		for range rapid.IntRange(0, 2).Draw(g.t, "changes") {
			e.Set = append(e.Set, g.assign())
		}
		node := g.pick("node", "n1", "n2", "n3")
		if i > 0 && g.chance(4) {
			b.Base(node, uint64(100*i), e.Time, map[string]event.Value{"inv.a": event.Int(1), "inv.m": g.value("m")})
			continue
		}
		b.Append(node, e)
	}
	m, err := b.Build()
	if err != nil {
		g.t.Fatalf("history: %v", err)
	}
	return m
}
