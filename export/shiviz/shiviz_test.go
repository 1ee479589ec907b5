package shiviz_test

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"hindcast.dev/event"
	export "hindcast.dev/export/shiviz"
	"hindcast.dev/history"
	"hindcast.dev/hlc"
	"hindcast.dev/importer/shiviz"
)

const tick = 1 << hlc.LogicalBits

// relay is three nodes between which messages go, by pairs (from, to) of nodes;
// of a pair with equal nodes there is but an event.
func relay(t testing.TB, pairs [][2]int) *history.Mem {
	t.Helper()
	b := history.NewBuilder()
	names := []string{"n 1", "n_1", "n-3"}
	for _, n := range names {
		b.AddNode(n, "")
	}
	for i, p := range pairs {
		at := hlc.Timestamp(i*2+1) * tick
		id := fmt.Sprintf("m%d", i)
		e := history.Event{Position: history.Position{Time: at}, Kind: "timer", Name: "go\non", Data: event.String("a {line\nbreak")}
		if p[0] != p[1] {
			e.Effects = []history.Effect{{Kind: "send", ID: id, Peer: names[p[1]], Name: "Msg"}}
		}
		b.Append(names[p[0]], history.EventSpec{Event: e, Set: []history.Assign{{Path: "log.n", Value: event.Int(int64(i))}}})
		if p[0] != p[1] {
			b.Append(names[p[1]], history.EventSpec{Event: history.Event{Position: history.Position{Time: at + tick}, Kind: "recv", ID: id, Peer: names[p[0]]}})
		}
	}
	src, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return src
}

// What is written is read again with the same hosts, as many events of each, and
// the same events that received something.
func TestWhatIsWrittenIsReadAgain(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var pairs [][2]int
		for range rapid.IntRange(1, 20).Draw(rt, "pairs") {
			pairs = append(pairs, [2]int{rapid.IntRange(0, 2).Draw(rt, "from"), rapid.IntRange(0, 2).Draw(rt, "to")})
		}
		src := relay(t, pairs)
		var log bytes.Buffer
		if err := export.Write(t.Context(), &log, src, history.Begin, history.End); err != nil {
			rt.Fatal(err)
		}
		runs, err := shiviz.Read(&log, "log", shiviz.Options{})
		if err != nil || len(runs) != 1 {
			rt.Fatalf("%d executions, %v", len(runs), err)
		}
		back := runs[0].History
		if uint64(runs[0].Events) != src.Meta().Events {
			rt.Fatalf("%d events, want %d", runs[0].Events, src.Meta().Events)
		}
		for n, node := range src.Meta().Nodes {
			want := kinds(rt, src, n)
			name := strings.ReplaceAll(node.Name, " ", "_")
			if node.Name == "n_1" { // taken by the other
				name = "n_1_"
			}
			got := []string(nil)
			if k, ok := back.Meta().NodeIndex(name); ok {
				got = kinds(rt, back, k)
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				rt.Fatalf("%s: received %v, want %v", name, got, want)
			}
		}
	})
}

// kinds says of each event of a node whether it learnt something new of another.
func kinds(t *rapid.T, src *history.Mem, node int) (out []string) {
	c, err := src.Walk(t.Context(), history.Begin, history.End, []int{node})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for {
		e, err := c.Next()
		if err == io.EOF {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, fmt.Sprint(e.Kind == "recv"))
	}
}

func TestTheLogIsAsShiVizReadsIt(t *testing.T) {
	src := relay(t, [][2]int{{0, 1}, {1, 1}})
	var log strings.Builder
	if err := export.Write(t.Context(), &log, src, history.Begin, history.End); err != nil {
		t.Fatal(err)
	}
	want := `timer go·on "a {line\nbreak" · send Msg to n_1 · log.n=0 @1970-01-01T00:00:00.000016Z/0
n_1 {"n_1":1}
recv from n 1 @1970-01-01T00:00:00.000031Z/0
n_1_ {"n_1":1, "n_1_":1}
timer go·on "a {line\nbreak" · log.n=1 @1970-01-01T00:00:00.000046Z/0
n_1_ {"n_1":1, "n_1_":2}
`
	if log.String() != want {
		t.Errorf("got\n%swant\n%s", log.String(), want)
	}
}
