package rql_test

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/hlc"
	"hindcast.dev/rql"
)

// keyConditions ask of a map by key alone, in all the ways in which it is kept by
// key.
var keyConditions = []string{
	"MAX(inv.m[k].v) - MIN(inv.m[k].v) >= 2",
	"NOT (MAX(inv.m[k].v) - MIN(inv.m[k].v) >= 2)",
	"SUM(inv.m[k].v) > 3",
	"COUNT(inv.m[k].v) < COUNT(inv.m[k])",
	"COUNT(inv.m[k].v) = 0",
	"AVG(inv.m[k].v) >= 1 OR MAX(inv.m[k].w) > 1",
	"MAX(inv.m[k].w) != MIN(inv.m[k].v)",
	"MAX(inv.m[k]) > 1",
	"SUM(DISTINCT inv.m[k].v) >= 2 AND COUNT(inv.m[k].w) <= 1",
	"CARDINALITY(VALUES(inv.m[k].v)) > 1",
	"MAX(inv.m[k].v) > MAX(inv.p[k])",
	"MAX(inv.m[k].v) >= 2 AND k != 'y'",
	"EXISTS a, b IN inv.m[k].v : (a - b >= 2)",
}

// keyQueries are asked of every condition.
var keyQueries = []string{
	"SELECT inv.a FROM inv WHEN EXISTS k IN KEYS(inv.m) : (%s)",
	"SELECT inv.a FROM inv WHEN FORALL k IN KEYS(inv.m) : (%s)",
	"SELECT inv.a FROM inv FOR EACH k IN KEYS(inv.m) WHEN %s",
	"SELECT inv.m[k].v, k FROM inv FOR EACH k IN KEYS(inv.m) WHEN %s EMIT CUTS",
	"SELECT inv.m[k].v FROM inv FOR EACH k IN KEYS(inv.m) WHEN %s EMIT LEAVE",
	"SELECT inv.a FROM inv FOR EACH k IN KEYS(inv.m) WHEN %s ON TIME 103 TO 120",
	"SELECT inv.a FROM inv FOR EACH k IN KEYS(inv.m) WHEN %s LIMIT 2",
	"SELECT k, COUNT(*) FROM inv FOR EACH k IN KEYS(inv.m) WHEN %s GROUP BY k",
	"SELECT inv.a FROM inv FOR EACH k IN KEYS(inv.m) WHEN (inv.m[k].v < MAX(inv.m[k].v) AND inv.a > 0) LINK SAME_NODE OR %s",
}

var keyValues = []event.Value{
	event.Int(0), event.Int(1), event.Int(2), event.Int(3), event.Int(5), event.Int(1<<53 + 1), event.Int(math.MaxInt64), event.Int(math.MinInt64), event.Uint(math.MaxUint64),
	event.Float(1), event.Float(2.5), event.Float(1 << 53), event.Float(math.NaN()), event.Float(math.Inf(-1)),
	event.String("1"), event.Bool(true), event.Null(), event.List(event.Int(1), event.Int(4)),
}

// keyedHistory is one of nodes whose maps change by entry, now and then as a
// whole, under keys that are mostly texts. A node may begin late, or anew from a
// base.
func keyedHistory(t *rapid.T) *history.Mem {
	b := history.NewBuilder()
	draw := func(n int, what string) int { return rapid.IntRange(0, n-1).Draw(t, what) }
	odd := draw(3, "odd") == 0
	key := func() string {
		if odd && draw(4, "odd key") == 0 {
			return []string{"1", "2.5", "0"}[draw(3, "number")]
		}
		return []string{`"x"`, `"y"`, `"z"`, `"w"`}[draw(4, "key")]
	}
	number := func() event.Value {
		if draw(4, "wide") > 0 {
			return keyValues[draw(5, "small")]
		}
		return keyValues[draw(len(keyValues), "value")]
	}
	entry := func() event.Value {
		if draw(5, "entry") == 0 {
			return number()
		}
		m := []event.Entry{{Key: event.String("v"), Value: number()}, {Key: event.String("w"), Value: number()}}
		return event.MapOf(event.NewMap(m[:draw(3, "fields")]...))
	}
	whole := func() event.Value {
		if odd && draw(3, "no map") == 0 {
			return []event.Value{event.Int(1), event.List(event.Int(2), entry()), event.Absent}[draw(3, "kind")]
		}
		var es []event.Entry
		for range draw(4, "entries") {
			_, path, _ := event.ParsePath("inv.m[" + key() + "]")
			es = append(es, event.Entry{Key: path[0], Value: entry()})
		}
		return event.MapOf(event.NewMap(es...))
	}
	now := hlc.Timestamp(100 << 16)
	seq := map[string]uint64{}
	for range rapid.IntRange(1, 40).Draw(t, "events") {
		node := []string{"n1", "n2", "n3", "n4"}[draw(4, "node")]
		now += hlc.Timestamp(draw(2, "time")) << 16
		seq[node]++
		if draw(16, "base") == 0 {
			seq[node] += 3
			vars := map[string]event.Value{"inv.a": event.Int(1)}
			if m := whole(); !m.IsAbsent() {
				vars["inv.m"] = m
			}
			b.Base(node, seq[node], now, vars)
			continue
		}
		spec := history.EventSpec{Event: history.Event{Position: history.Position{Time: now, Seq: seq[node]}}}
		for range draw(3, "changes") {
			set := history.Assign{Path: "inv.m[" + key() + "]"}
			switch draw(16, "change") {
			case 0:
				set.Path, set.Value = "inv.m", whole()
			case 1, 2:
				set.Value = event.Absent
			case 3, 4:
				set.Value = entry()
			case 5:
				set.Path += ".v"
			case 6, 7:
				set.Path, set.Value = set.Path+".w", number()
			case 8:
				set.Path, set.Value = set.Path+".v.u", number()
			case 9:
				set.Path, set.Value = "inv.a", number()
			case 10:
				set.Path, set.Value = "inv.p["+key()+"]", number()
			default:
				set.Path, set.Value = set.Path+".v", number()
			}
			spec.Set = append(spec.Set, set)
		}
		b.Append(node, spec)
	}
	b.Append("n1", history.EventSpec{Event: history.Event{Position: history.Position{Time: now + 1<<16}},
		Set: []history.Assign{{Path: "inv.p", Value: event.MapOf(nil)}, {Path: "inv.m", Value: event.MapOf(nil)}, {Path: "inv.a", Value: event.Int(7)}}})
	src, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return src
}

// TestWhatIsKeptByKeyIsWhatTheDefinitionGives compares with the oracle, and a
// stream of the same events, and the walk in parts, with the walk.
func TestWhatIsKeptByKeyIsWhatTheDefinitionGives(t *testing.T) {
	met := counts{}
	rapid.Check(t, func(t *rapid.T) {
		src := keyedHistory(t)
		text := fmt.Sprintf(rapid.SampledFrom(keyQueries).Draw(t, "query"), rapid.SampledFrom(keyConditions).Draw(t, "condition"))
		text = strings.ReplaceAll(strings.ReplaceAll(text, "TIME 103", fmt.Sprint("TIME ", 103<<16)), "TO 120", fmt.Sprint("TO ", 120<<16))
		compareWithOracle(t, src, text, met)
		q, err := rql.Compile(src.Meta(), text)
		if err != nil {
			return
		}
		var rows []string
		sum, err := q.Run(context.Background(), src, rql.Options{}, collect(&rows))
		edges := []hlc.Timestamp{hlc.Timestamp(rapid.IntRange(101, 130).Draw(t, "edge")) << 16}
		if got, _ := inParts(t, q, src, rql.Options{}, edges); got != told(rows, sum, err) {
			var h strings.Builder
			_ = history.WriteText(&h, src)
			t.Fatalf("%s\n%s\nin parts:\n%s\nwant:\n%s", text, h.String(), got, told(rows, sum, err))
		}
	})
	t.Log(met)
	if met["with rows"] == 0 || met["with FOR EACH"] == 0 || met["refused"] > met["asked"]/4 {
		t.Errorf("the Histories are dull: %v", met)
	}
}
