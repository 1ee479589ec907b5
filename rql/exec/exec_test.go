package exec_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/history/historytest"
	"hindcast.dev/hlc"
	"hindcast.dev/rql"
	"hindcast.dev/rql/exec"
	"hindcast.dev/vfs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// walked is a History of so many events: ints a and b, a map m of ints, and now
// and then a base after a gap.
func walked(t *rapid.T, events int) *history.Mem {
	b := history.NewBuilder()
	now := uint64(100)
	small := rapid.IntRange(-1, 3)
	for i := range events {
		now += uint64(rapid.IntRange(0, 2).Draw(t, "gap"))
		at := hlc.Timestamp(now << 16)
		node := rapid.SampledFrom([]string{"n1", "n2", "n3"}).Draw(t, "node")
		if i > 0 && rapid.IntRange(0, 40).Draw(t, "kind") == 0 {
			b.Base(node, uint64(1000*i), at, map[string]event.Value{"inv.a": event.Int(2)})
			continue
		}
		e := history.EventSpec{Event: history.Event{Position: history.Position{Time: at}}}
		if i == 0 {
			e.Set = []history.Assign{{Path: "inv.b", Value: event.Int(1)}, {Path: "inv.m", Value: event.MapOf(nil)}, {Path: "inv.t", Value: event.String("x")}}
		}
		switch v := event.Int(int64(small.Draw(t, "value"))); rapid.IntRange(0, 4).Draw(t, "what") {
		case 0:
			key := rapid.SampledFrom([]string{"x", "y", "z"}).Draw(t, "key")
			e.Set = append(e.Set, history.Assign{Path: `inv.m["` + key + `"]`, Value: v})
		case 1:
			e.Set = append(e.Set, history.Assign{Path: "inv.b", Value: v})
		case 2:
		default:
			e.Set = append(e.Set, history.Assign{Path: "inv.a", Value: v})
		}
		b.Append(node, e)
	}
	m, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

var asked = []string{
	"SELECT inv.a, inv.b FROM inv WHEN (inv.a + inv.b <= 2) LINK SAME_NODE",
	"SELECT inv.a FROM inv WHEN inv.a > inv.b + 1",
	"SELECT * FROM inv WHEN MAX(inv.a) - MIN(inv.a) >= 2 EMIT CUTS",
	"SELECT inv.a, TIME() FROM inv",
	"SELECT SUM(inv.m[*]) AS s FROM inv WHEN SUM(inv.m[*]) > 2 EMIT ENTER",
	"SELECT k, inv.m[k] FROM inv FOR EACH k IN KEYS(inv.m) WHEN MAX(inv.m[k]) - MIN(inv.m[k]) >= 1",
	"SELECT k FROM inv FOR EACH k IN KEYS(inv.m) WHEN inv.m[k] = inv.a EMIT LEAVE",
	"SELECT inv.a, COUNT(*) AS n, SUM(DURATION()) AS d FROM inv WHEN inv.a > 0 GROUP BY MAX(inv.a)",
	"SELECT inv.a, DURATION() AS d FROM inv WHEN inv.a > 1 EMIT CUTS",
	"SELECT k FROM inv FOR EACH k IN inv.a WHEN inv.a = k",
	"SELECT inv.a FROM inv WHEN CHANGED(inv.a) AND PREV(inv.a) > inv.a",
	"SELECT inv.a FROM inv WHEN inv.t < inv.a OR inv.a = 1",
	"SELECT inv.a FROM inv WHEN PREVIOUSLY (inv.a > 1) AND NOT inv.a > 1",
	"SELECT inv.a FROM inv WHEN (inv.a >= 0) SINCE (inv.b = 3)",
	"SELECT inv.a FROM inv WHEN ONCE (inv.a = 3) WITHIN 100us OR ALWAYS (inv.b < 3)",
	"SELECT inv.a FROM inv WHEN (inv.a > 0) FOR 60us",
	"SELECT k FROM inv FOR EACH k IN KEYS(inv.m) WHEN (inv.m[k] > 0) FOR 90us EMIT ENTER",
	"SELECT inv.a FROM inv WHEN COUNT(inv.a) >= 2 AND inv.m[\"w\"].v > 1 OR inv.a = \"x\" LIMIT 5",
	"SELECT inv.a FROM inv WHEN (inv.a > 0) LINK EACH_NODE AT NODES n1, n2",
}

// told is everything that a run gave, but how often a fault was counted: that
// counts evaluations, of which what is kept from earlier cuts spares some.
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

func onDisk(t historytest.Fataler, src history.Source, opts history.DiskOptions) (vfs.FS, *history.Disk) {
	fsys := vfs.NewMem()
	return fsys, historytest.OnDisk(t, fsys, "h", src, opts)
}

func TestAParallelSearchGivesWhatOneWalkGives(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var src history.Source = walked(t, rapid.IntRange(1, 60).Draw(t, "events"))
		if rapid.Bool().Draw(t, "on disk") {
			_, src = onDisk(t, src, history.DiskOptions{BlockBytes: 80, BaseBytes: 80})
		}
		defer src.Close()
		text := rapid.SampledFrom(asked).Draw(t, "query")
		text = clauses(t, text)
		q, err := rql.Compile(src.Meta(), text)
		if err != nil {
			return // the History has no such variable
		}
		opt := exec.Options{Parallel: rapid.IntRange(2, 4).Draw(t, "parallel"), Parts: rapid.IntRange(1, 7).Draw(t, "parts")}
		agree(t, q, src, src, opt, text)
	})
}

// clauses draws ON TIME, EMIT and LIMIT for a query.
func clauses(t *rapid.T, text string) string {
	text, limit, _ := strings.Cut(text, " LIMIT")
	text, emit, _ := strings.Cut(text, " EMIT")
	text, group, _ := strings.Cut(text, " GROUP BY")
	if rapid.IntRange(0, 3).Draw(t, "range") == 0 {
		from := rapid.IntRange(95, 130).Draw(t, "from") << 16
		text += fmt.Sprintf(" ON TIME %d TO %d", from, from+rapid.IntRange(0, 60).Draw(t, "length")<<16)
	}
	if group != "" {
		text += " GROUP BY" + group
	}
	if rapid.Bool().Draw(t, "other edges") {
		emit = rapid.SampledFrom([]string{"", " INTERVALS", " CUTS", " ENTER", " LEAVE"}).Draw(t, "emit")
	}
	if emit != "" {
		text += " EMIT" + emit
	}
	if n := rapid.IntRange(-4, 6).Draw(t, "limit"); n > 0 {
		limit = fmt.Sprint(" ", n)
	}
	if limit != "" {
		text += " LIMIT" + limit
	}
	return text
}

// phased is a History in which values are high at some times only, and now and
// then one is absent or no int.
func phased(t *rapid.T) *history.Mem {
	b := history.NewBuilder()
	now := uint64(100)
	high := false
	for i := range rapid.IntRange(40, 160).Draw(t, "events") {
		now += uint64(rapid.IntRange(0, 2).Draw(t, "gap"))
		if rapid.IntRange(0, 40).Draw(t, "turn") == 17 {
			high = !high
		}
		e := history.EventSpec{Event: history.Event{Position: history.Position{Time: hlc.Timestamp(now << 16)}}}
		for j, v := range []string{"inv.a", "inv.b"} {
			x := event.Int(int64(rapid.IntRange(0, 3).Draw(t, "low")))
			switch k := rapid.IntRange(0, 120).Draw(t, "what"); {
			case i < 3 && j < 3:
			case k == 77:
				x = event.Absent
			case k == 78:
				x = event.String("x")
			case k < 60:
				continue
			case high && k < 80:
				x = event.Int(int64(rapid.IntRange(40, 60).Draw(t, "high")))
			}
			e.Set = append(e.Set, history.Assign{Path: v, Value: x})
		}
		node := []string{"n1", "n2", "n3"}[min(i, rapid.IntRange(0, 2).Draw(t, "node"))]
		if i > 3 && rapid.IntRange(0, 50).Draw(t, "base") == 23 {
			b.Base(node, uint64(1000*i), e.Time, map[string]event.Value{"inv.a": event.Int(2), "inv.b": event.Int(0)})
			continue
		}
		b.Append(node, e)
	}
	m, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

var rare = []string{
	"inv.a > 40", "inv.a = 50", "MAX(inv.a) - MIN(inv.a) >= 30", "(inv.a + inv.b > 60) LINK SAME_NODE", "inv.a > 45 AND inv.b < 30",
	"NOT inv.a <= 40", "inv.a > 40 OR 45 <= inv.b", "SUM(inv.a) >= 45", "COUNT(inv.a) > 3 OR -inv.a < -44", "MAX(inv.a) = 44", "(inv.a > 50) LINK EACH_NODE",
}

// What can't be found somewhere is passed over there, and nobody can tell.
func TestStretchesThatArePassedOverMakeNoDifference(t *testing.T) {
	runs, passed := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		mem := phased(t)
		_, src := onDisk(t, mem, history.DiskOptions{BlockBytes: 40, BaseBytes: 80})
		defer src.Close()
		text := "SELECT inv.a FROM inv WHEN " + rapid.SampledFrom(rare).Draw(t, "condition")
		if rapid.IntRange(0, 3).Draw(t, "range") == 0 {
			from := rapid.IntRange(95, 150).Draw(t, "from") << 16
			text += fmt.Sprintf(" ON TIME %d TO %d", from, from+rapid.IntRange(0, 90).Draw(t, "length")<<16)
		}
		text += rapid.SampledFrom([]string{"", " EMIT CUTS", " EMIT ENTER", " EMIT LEAVE", " LIMIT 3"}).Draw(t, "emit")
		q, err := rql.Compile(src.Meta(), text)
		if err != nil {
			return
		}
		opt := exec.Options{Parallel: rapid.IntRange(1, 3).Draw(t, "parallel"), Parts: rapid.IntRange(1, 16).Draw(t, "parts")}
		agree(t, q, mem, src, opt, text)
		runs++
		explained, err := rql.Compile(src.Meta(), "EXPLAIN "+text)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := exec.Run(context.Background(), explained, src, opt, func(r *rql.Row) error {
			if strings.Contains(r.Columns[0].Value.AsString(), "passed over") {
				passed++
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	})
	t.Logf("%d runs, %d with stretches that were passed over", runs, passed)
	if passed < runs/10 {
		t.Errorf("of %d runs only %d passed over something", runs, passed)
	}
}

// long is a History in which a of one node goes round, so that a query has many
// rows.
func long(t *testing.T, events int) *history.Mem {
	t.Helper()
	b := history.NewBuilder()
	for i := range events {
		e := history.EventSpec{Event: history.Event{Position: history.Position{Time: hlc.Timestamp(i+1) << 20}}}
		e.Set = []history.Assign{{Path: "inv.a", Value: event.Int(int64(i % 7))}}
		b.Append([]string{"n1", "n2"}[i%2], e)
	}
	m, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func compile(t *testing.T, src history.Source, text string) *rql.Query {
	t.Helper()
	q, err := rql.Compile(src.Meta(), text)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func TestARunThatIsEndedHasGivenTheFirstRowsInOrder(t *testing.T) {
	src := long(t, 20_000)
	q := compile(t, src, "SELECT inv.a FROM inv WHEN inv.a = 3 EMIT CUTS")
	var all []string
	if _, err := q.Run(t.Context(), src, rql.Options{}, func(r *rql.Row) error {
		all = append(all, string(r.AppendJSON(nil)))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	enough := errors.New("enough")
	for _, n := range []int{1, 700, 2000} {
		for _, byContext := range []bool{true, false} {
			ctx, cancel := context.WithCancel(t.Context())
			var got []string
			sum, err := exec.Run(ctx, q, src, exec.Options{Parallel: 3, Parts: 9}, func(r *rql.Row) error {
				got = append(got, string(r.AppendJSON(nil)))
				switch {
				case len(got) < n:
				case byContext:
					cancel()
				default:
					return enough
				}
				return nil
			})
			cancel()
			if want := map[bool]error{true: context.Canceled, false: enough}[byContext]; !errors.Is(err, want) {
				t.Fatalf("ended after %d rows: got %v, want %v", n, err, want)
			}
			if len(got) < n || len(got) == len(all) || strings.Join(got, "\n") != strings.Join(all[:len(got)], "\n") || sum.Rows > uint64(len(got)) {
				t.Fatalf("ended after %d rows: %d rows came, and the summary says %d", n, len(got), sum.Rows)
			}
		}
	}
}

func TestACorruptBlockIsAnErrorWhereTheWalkMeetsIt(t *testing.T) {
	fsys, d := onDisk(t, long(t, 3000), history.DiskOptions{BlockBytes: 400})
	src := history.Source(d)
	q := compile(t, src, "SELECT inv.a FROM inv WHEN inv.a = 3")
	file, err := vfs.ReadFile(fsys, "h/run-000002", 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	clean := 0
	if _, err := q.Run(t.Context(), src, rql.Options{}, func(*rql.Row) error { clean++; return nil }); err != nil || clean == 0 {
		t.Fatal(clean, err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	for _, at := range []int{len(file) / 3, len(file) / 2} {
		bad := append([]byte(nil), file...)
		bad[at] ^= 1
		if err := vfs.WriteFile(fsys, "h/run-000002", bad); err != nil {
			t.Fatal(err)
		}
		d, err := history.OpenDisk(fsys, "h")
		if err != nil {
			t.Fatal(err)
		}
		runs := map[int]string{}
		for _, parallel := range []int{1, 3} {
			var rows []string
			sum, err := exec.Run(t.Context(), q, d, exec.Options{Parallel: parallel, Parts: 8}, func(r *rql.Row) error {
				rows = append(rows, string(r.AppendJSON(nil)))
				return nil
			})
			var where *history.FileError
			if !errors.As(err, &where) || where.File != "h/run-000002" || where.Offset == 0 || len(rows) == 0 || len(rows) >= clean {
				t.Fatalf("byte %d is bad: %d rows of %d, %v", at, len(rows), clean, err)
			}
			runs[parallel] = told(rows, sum, err)
		}
		if runs[1] != runs[3] {
			t.Fatalf("byte %d is bad: in parts\n%s\nin one walk\n%s", at, runs[3], runs[1])
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestExplainTellsWhatIsReadAndInHowManyParts(t *testing.T) {
	_, src := onDisk(t, long(t, 4000), history.DiskOptions{BlockBytes: 400})
	defer src.Close()
	for _, c := range []struct {
		text string
		opt  exec.Options
		want []string
	}{
		{"SELECT inv.a FROM inv WHEN inv.a = 3", exec.Options{Parallel: 2, Parts: 4}, []string{"search: 5 parts, 2 at a time"}},
		{"SELECT inv.a FROM inv WHEN inv.a = 3", exec.Options{Parallel: 2}, []string{"search: one walk, for the events are few"}},
		{"SELECT inv.a FROM inv WHEN inv.a = 3 ON TIME START TO START + 10ms", exec.Options{Parallel: 1},
			[]string{"2 in the time asked, 2 to read", "2 of these change a variable of the query", "search: one walk, for --parallel is 1"}},
		{"SELECT net.sent FROM net", exec.Options{Parallel: 2}, []string{"search: one walk, for log net is made of all events so far"}},
	} {
		q := compile(t, src, "EXPLAIN "+c.text)
		var lines []string
		sum, err := exec.Run(t.Context(), q, src, c.opt, func(r *rql.Row) error {
			lines = append(lines, r.Columns[0].Value.AsString())
			return nil
		})
		if err != nil || sum.Rows != uint64(len(lines)) {
			t.Fatalf("%s: %d rows, %v", c.text, sum.Rows, err)
		}
		for _, want := range c.want {
			if !strings.Contains(strings.Join(lines, "\n"), want) {
				t.Errorf("%s: want %q in\n%s", c.text, want, strings.Join(lines, "\n"))
			}
		}
	}
}

func TestSmallHistoriesAndOneCoreAreWalked(t *testing.T) {
	src := long(t, 100)
	q := compile(t, src, "SELECT inv.a FROM inv WHEN inv.a = 3")
	before := runtime.NumGoroutine()
	if _, err := exec.Run(t.Context(), q, src, exec.Options{}, func(*rql.Row) error {
		if n := runtime.NumGoroutine(); n > before {
			t.Errorf("%d goroutines for 100 events, %d before", n, before)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// agree fails unless a query in parts of src answers as one walk of whole, the same
// History.
func agree(t *rapid.T, q *rql.Query, whole, src history.Source, opt exec.Options, text string) {
	var got, want []string
	sum, err := q.Run(context.Background(), whole, rql.Options{}, func(r *rql.Row) error {
		want = append(want, string(r.AppendJSON(nil)))
		return nil
	})
	walk := told(want, sum, err)
	sum, err = exec.Run(context.Background(), q, src, opt, func(r *rql.Row) error {
		got = append(got, string(r.AppendJSON(nil)))
		return nil
	})
	if parts := told(got, sum, err); parts != walk {
		var h strings.Builder
		_ = history.WriteText(&h, src)
		t.Fatalf("%s\n%s\n%+v\nin parts:\n%s\nwant:\n%s", text, h.String(), opt, parts, walk)
	}
}
