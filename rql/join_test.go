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
	"hindcast.dev/rql/syntax"
)

// joinHistory has a b c on three nodes, of kinds that are drawn for the whole
// History: most Histories are of ints or of floats alone, some are of everything.
func joinHistory(t *rapid.T) *history.Mem {
	kind := rapid.IntRange(0, 5).Draw(t, "kind")
	small := func() int64 { return int64(rapid.IntRange(-3, 3).Draw(t, "n")) }
	value := func() event.Value {
		k := kind
		if k == 5 {
			k = rapid.IntRange(0, 9).Draw(t, "of")
		}
		switch k {
		case 1:
			return event.Float(float64(small()) / 2)
		case 2:
			return event.Int(math.MaxInt64 - rapid.Int64Range(0, 3).Draw(t, "below"))
		case 3:
			return event.Float([]float64{0.1, 0.2, 0.3, 1e16, -1e16, 1}[rapid.IntRange(0, 5).Draw(t, "float")])
		case 4:
			return event.String(string(rune('a' + rapid.IntRange(0, 2).Draw(t, "letter"))))
		case 6:
			return event.Float([]float64{math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64, math.Copysign(0, -1)}[rapid.IntRange(0, 4).Draw(t, "odd")])
		case 7:
			return event.Uint(math.MaxUint64 - uint64(rapid.IntRange(0, 1).Draw(t, "below")))
		case 8:
			return []event.Value{event.Null(), event.Bool(true), event.List(event.Int(1)), event.Set(event.Int(1))}[rapid.IntRange(0, 3).Draw(t, "other")]
		}
		return event.Int(small())
	}
	b := history.NewBuilder()
	now := hlc.Timestamp(100 << 16)
	for i := range rapid.IntRange(3, 14).Draw(t, "events") {
		now += 1 << 16
		e := history.EventSpec{Event: history.Event{Position: history.Position{Time: now}}}
		for _, v := range []string{"a", "b", "c"} {
			if i == 0 || rapid.IntRange(0, 2).Draw(t, "changes") == 0 {
				set := value()
				if i > 0 && rapid.IntRange(0, 5).Draw(t, "deleted") == 0 {
					set = event.Absent
				}
				e.Set = append(e.Set, history.Assign{Path: "inv." + v, Value: set})
			}
		}
		b.Append(rapid.SampledFrom([]string{"n1", "n2", "n3", "n4"}).Draw(t, "node"), e)
	}
	m, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// joinShapes are conditions over several nodes, OP standing for a comparison; the
// kind that the plan must find for them is before the colon.
var joinShapes = []string{
	"linear: inv.a + inv.b OP inv.c",
	"linear: inv.a - inv.b - inv.c OP 0",
	"linear: inv.a OP -inv.b",
	"linear: 2 * (inv.a - inv.b) OP inv.c * -1",
	"linear: (inv.a + inv.b) LINK SAME_NODE OP inv.c",
	"linear: inv.a + 1 OP inv.b + MAX(inv.c)",
	"linear: inv.a + (inv.b + inv.c) OP 0.5",
	"linear: inv.a + inv.b OP inv.c AND NODE($1) = NODE($3)",
	"linear: inv.a + inv.b OP inv.c AND NODE($1) = NODE($2)",
	"linear: inv.a + inv.b OP inv.c AND NODE($2) != 'n1' AND inv.a > -1",
	"linear: inv.a - inv.b OP inv.c AND NODE($1) != NODE($2)",
	"linear: inv.a - inv.b OP inv.c AND NODE($1) != NODE($2) AND NODE($2) != NODE($3)",
	"linear: inv.a OP inv.a AND NODE($1) != NODE($2) AND NODE($2) IN {'n1', 'n3'}",
	"linear: COALESCE(inv.a, 1) + inv.b OP 1",
	"linear: CASE WHEN inv.a > inv.b THEN 1 ELSE inv.a END LINK SAME_NODE OP inv.c",
	"linear: NOT (inv.a + inv.b OP inv.c)",
	"linear: NOT (inv.a - inv.b OP inv.c) AND NODE($1) != NODE($3)",
	"linear: inv.a OP inv.b",
	"equal: inv.a = inv.b",
	"equal: inv.a != inv.b",
	"equal: NOT (inv.a = inv.b)",
	"equal: NOT (inv.a != inv.b)",
	"equal: inv.a = inv.a AND NODE($1) != NODE($2)",
	"equal: (inv.a + inv.b) LINK SAME_NODE = inv.c AND NODE($2) != 'n2'",
	"equal: inv.a != inv.a AND inv.b > 0 AND NODE($1) = NODE($3)",
	"enumerate: inv.a + inv.b = inv.c",
	"tree: inv.a < inv.b AND inv.b OP inv.c AND NODE($2) = NODE($3)",
	"tree: inv.a OP inv.b AND inv.c < $1",
	"tree: inv.a OP inv.b AND $2 + 1 > inv.c AND $1 != inv.b AND $1 < 2",
	"tree: inv.a OP inv.b AND NODE($1) != NODE($2) AND ($2 = inv.c OR $2 > 1)",
	"tree: NOT (inv.a OP inv.b) AND inv.c OP $1 AND NODE($3) != 'n1'  AND inv.b + 1 < $1",
	"tree: inv.a OP inv.b AND $2 OP inv.c AND $3 OP inv.a AND $3 = inv.b",
	"enumerate: inv.a OP inv.b AND inv.b < inv.c AND $1 < $4 AND $2 < $3",
	"linear: inv.a * inv.b OP inv.c",
	"linear: inv.a * (inv.b - inv.c) OP 2",
	"linear: 1 - inv.a * inv.b * -inv.c OP inv.a",
	"linear: NOT (inv.a * inv.b OP 2)",
	"linear: inv.a * (inv.b + 1) LINK SAME_NODE OP inv.c * inv.a AND NODE($1) = NODE($2)",
	"enumerate: inv.a * inv.b OP inv.c AND NODE($1) != NODE($2)",
}

func joinQuery(t *rapid.T) string {
	shape := rapid.SampledFrom(joinShapes).Draw(t, "shape")
	_, cond, _ := strings.Cut(shape, ": ")
	cond = strings.ReplaceAll(cond, "OP", rapid.SampledFrom([]string{"<", "<=", ">", ">="}).Draw(t, "op"))
	if rapid.IntRange(0, 3).Draw(t, "or") == 0 {
		cond = "(" + cond + ") OR inv.b > 2"
	}
	return "SELECT inv.a FROM inv WHEN " + cond + rapid.SampledFrom([]string{"", " EMIT CUTS"}).Draw(t, "emit")
}

func TestJoinsArePlannedByTheirShape(t *testing.T) {
	b := history.NewBuilder()
	for _, n := range []string{"n1", "n2", "n3"} {
		b.Append(n, history.EventSpec{Event: history.Event{Position: history.Position{Time: 1 << 32}}, Set: []history.Assign{
			{Path: "inv.a", Value: event.Int(1)}, {Path: "inv.b", Value: event.Int(1)}, {Path: "inv.c", Value: event.Int(1)}}})
	}
	src, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]string{"linear": " extremes over ", "equal": " hash of values over ", "tree": " tree of ", "enumerate": " join of "}
	for _, shape := range joinShapes {
		kind, cond, _ := strings.Cut(shape, ": ")
		plan := strings.ReplaceAll(answer(t, src, "EXPLAIN SELECT inv.a FROM inv WHEN "+strings.ReplaceAll(cond, "OP", "<")), `"plan":"`, ": ")
		if !strings.Contains(plan, told[kind]) {
			t.Errorf("%s\nis planned as\n%s", shape, plan)
		}
		if kind == "enumerate" && !strings.Contains(plan, ", here up to ") {
			t.Errorf("%s\ndoesn't say how many choices there are:\n%s", shape, plan)
		}
	}
}

// TestJoinsGiveWhatTheDefinitionGives compares conditions over several nodes with
// the definition, whichever way they are decided.
func TestJoinsGiveWhatTheDefinitionGives(t *testing.T) {
	matched := 0
	rapid.Check(t, func(t *rapid.T) {
		src := joinHistory(t)
		for range 3 {
			text := joinQuery(t)
			got := answer(t, src, text)
			st, err := syntax.Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			o, err := newOracle(src, st.(*syntax.Query))
			if err != nil {
				t.Fatal(err)
			}
			var want strings.Builder
			for _, r := range o.rows() {
				want.Write(append(r.AppendJSON(nil), '\n'))
			}
			if got != "" {
				matched++
			}
			if got != want.String() {
				var h strings.Builder
				_ = history.WriteText(&h, src)
				t.Fatalf("%s\n%s\ngot:\n%s\nwant:\n%s", text, h.String(), got, want.String())
			}
		}
	})
	if matched == 0 {
		t.Error("no query matched: nothing was tested")
	}
}

func answer(t interface{ Fatalf(string, ...any) }, src history.Source, text string) string {
	q, err := rql.Compile(src.Meta(), text)
	if err != nil {
		t.Fatalf("%s\n%v", text, err)
	}
	var got strings.Builder
	if _, err := q.Run(context.Background(), src, rql.Options{}, func(r *rql.Row) error {
		got.Write(append(r.AppendJSON(nil), '\n'))
		return nil
	}); err != nil {
		t.Fatalf("%s\n%v", text, err)
	}
	return got.String()
}

// TestAThousandNodesNeedNoEnumeration asks what has a thousand million choices,
// and allows hardly any.
func TestAThousandNodesNeedNoEnumeration(t *testing.T) {
	b := history.NewBuilder()
	now := hlc.Timestamp(1 << 32)
	for n := range 1000 {
		now += 1 << 16
		b.Append(fmt.Sprintf("n%03d", n), history.EventSpec{Event: history.Event{Position: history.Position{Time: now}}, Set: []history.Assign{
			{Path: "inv.a", Value: event.Int(int64(1000 - n))}, {Path: "inv.b", Value: event.Int(1000)}, {Path: "inv.c", Value: event.Int(int64(n))}}})
	}
	src, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"SELECT TIME() AS t FROM inv WHEN inv.a + inv.b < inv.c + 4":                           `"witness":{"$1":"n998","$2":"n000","$3":"n999"},"event":{"node":"n999"`,
		"SELECT TIME() AS t FROM inv WHEN inv.a + 996 = inv.c":                                 `"witness":{"$1":"n998","$2":"n998"},"event":{"node":"n998"`,
		"SELECT TIME() AS t FROM inv WHEN inv.a < inv.b AND $2 < inv.c + 2 AND inv.a + 1 < $3": `"witness":{"$1":"n001","$2":"n000","$3":"n999","$4":"n003"},"event":{"node":"n999"`,
		"SELECT TIME() AS t FROM inv WHEN inv.a * inv.b < inv.c + 2":                           `"witness":{"$1":"n999","$2":"n000","$3":"n999"},"event":{"node":"n999"`,
		"SELECT TIME() AS t FROM inv WHEN inv.a + inv.b < inv.c + 5 AND NODE($1) != NODE($3)":  `"witness":{"$1":"n997","$2":"n000","$3":"n999"},"event":{"node":"n999"`,
	} {
		q, err := rql.Compile(src.Meta(), text)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		_, err = q.Run(context.Background(), src, rql.Options{MaxCombinations: 10}, func(r *rql.Row) error {
			got = append(got, string(r.AppendJSON(nil)))
			return nil
		})
		if err != nil || len(got) != 1 || !strings.Contains(got[0], want) {
			t.Errorf("%s gives %q (%v), want %s", text, got, err, want)
		}
	}
}
