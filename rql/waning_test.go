package rql

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/hlc"
	"hindcast.dev/rql/plan"
)

// waning are conditions with TIME(), and whether time alone can make them true.
var waning = []struct {
	text  string
	wanes bool
}{
	{"EXISTS k IN KEYS(kv.items) : (MAX(kv.items[k].version) > TIME())", true},
	{"EXISTS k IN KEYS(kv.items) : (MAX(kv.items[k].version) >= TIME() AND COUNT(kv.items[k].version) > 1)", true},
	{"kv.seen > TIME()", true},
	{"(kv.seen >= TIME() AND kv.n > 1) LINK SAME_NODE", true},
	{"kv.seen > TIME() AND kv.n > 1 AND NODE($1) != NODE($2)", true},
	{"MAX(kv.seen) > TIME()", true},
	{"TIME() < MAX(kv.seen) OR TIME() <= MIN(kv.seen)", true},
	{"FORALL k IN KEYS(kv.items) : (MAX(kv.items[k].version) >= TIME())", true},
	{"NOT EXISTS k IN KEYS(kv.items) : (MAX(kv.items[k].version) > TIME())", false},
	{"(kv.seen >= TIME()) LINK EACH_NODE", false},
	{"kv.seen < TIME()", false},
	{"MAX(kv.seen) = TIME()", false},
	{"EXISTS k IN KEYS(kv.items) : (MAX(kv.items[k].version) < TIME())", false},
}

// TestAWaningConditionIsDecidedAsIfAtEveryCut compares the engine with one that
// decides everything at every cut.
func TestAWaningConditionIsDecidedAsIfAtEveryCut(t *testing.T) {
	held := map[string]int{}
	check := func(t *rapid.T, src *history.Mem) {
		for _, c := range waning {
			lazy, eager := compiled(t, src, c.text), compiled(t, src, c.text)
			wanes := 0
			for _, l := range lazy.plan.Leaves {
				if l.Wanes {
					wanes++
				}
			}
			if c.wanes != (wanes > 0) {
				t.Fatalf("%s: %d leaves wane", c.text, wanes)
			}
			for _, l := range eager.plan.Leaves {
				l.Wanes = false
				if l.Class == plan.ClassEachKey {
					l.Class = plan.ClassGlobal
				}
			}
			a, b := followed(t, src, lazy), followed(t, src, eager)
			if !slices.Equal(a, b) {
				t.Fatalf("%s\nholds at %v, and decided at every cut at %v", c.text, a, b)
			}
			if slices.Contains(a, true) && slices.Contains(a, false) {
				held[c.text]++
			}
		}
	}
	// Several to a check, so that with the few checks of -short too every condition
	// both holds and doesn't.
	rapid.Check(t, func(t *rapid.T) {
		for range 8 {
			check(t, timedHistory(t))
		}
	})
	for _, c := range waning {
		if held[c.text] == 0 {
			t.Errorf("%s never both held and didn't: nothing was tested", c.text)
		}
	}
}

func timedHistory(t *rapid.T) *history.Mem {
	b := history.NewBuilder()
	now := hlc.Timestamp(100 << 16)
	at := func() event.Value {
		return event.Time(now + hlc.Timestamp(rapid.IntRange(-2, 6).Draw(t, "ahead")<<16))
	}
	all := []history.Assign{{Path: `kv.items["x"].version`, Value: at()}, {Path: "kv.seen", Value: at()}, {Path: "kv.n", Value: event.Int(1)}}
	b.Append("n1", history.EventSpec{Event: history.Event{Position: history.Position{Time: now}}, Set: all})
	for range rapid.IntRange(3, 14).Draw(t, "events") {
		now += hlc.Timestamp(rapid.IntRange(1, 2).Draw(t, "gap") << 16)
		e := history.EventSpec{Event: history.Event{Position: history.Position{Time: now}}}
		switch rapid.IntRange(0, 5).Draw(t, "change") {
		case 0:
			e.Set = append(e.Set, history.Assign{Path: fmt.Sprintf("kv.items[%q].version", rapid.SampledFrom([]string{"x", "y"}).Draw(t, "key")), Value: at()})
		case 1:
			e.Set = append(e.Set, history.Assign{Path: "kv.seen", Value: at()})
		case 2:
			e.Set = append(e.Set, history.Assign{Path: "kv.n", Value: event.Int(int64(rapid.IntRange(0, 3).Draw(t, "n")))})
		case 3:
			e.Set = append(e.Set, history.Assign{Path: fmt.Sprintf("kv.items[%q]", "x")})
		}
		b.Append(rapid.SampledFrom([]string{"n1", "n2"}).Draw(t, "node"), e)
	}
	m, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func compiled(t *rapid.T, src *history.Mem, text string) *Condition {
	c, err := CompileCondition(src.Meta(), text)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// followed are the cuts at which the condition holds.
func followed(t *rapid.T, src *history.Mem, c *Condition) (holds []bool) {
	v, err := c.Evaluator(context.Background(), make([]*history.State, len(src.Meta().Nodes)), Options{})
	if err != nil {
		t.Fatal(err)
	}
	cur, err := src.Walk(context.Background(), history.Begin, history.End, nil)
	if err != nil {
		t.Fatal(err)
	}
	for range src.Meta().Events {
		ev, err := cur.Next()
		if err != nil {
			t.Fatal(err)
		}
		ok, err := v.Feed(ev)
		if err != nil {
			t.Fatal(err)
		}
		holds = append(holds, ok)
	}
	return holds
}

func TestValuesAreWhatAConditionNames(t *testing.T) {
	b := history.NewBuilder()
	b.Append("n1", history.EventSpec{Event: history.Event{Position: history.Position{Time: 1 << 32}}, Set: []history.Assign{
		{Path: `kv.items["x"].version`, Value: event.Int(3)}, {Path: "kv.n", Value: event.Int(1)}}})
	b.Append("n2", history.EventSpec{Event: history.Event{Position: history.Position{Time: 2 << 32}}, Set: []history.Assign{
		{Path: "kv.n", Value: event.Int(2)}}})
	src, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	c, err := CompileCondition(src.Meta(), `kv.items["x"].version > kv.n AND kv.n > 0 AND EXISTS k IN KEYS(kv.items) : (kv.items[k].version > 0) AND net.sent["n2"] > 0`)
	if err != nil {
		t.Fatal(err)
	}
	cur, err := src.Walk(context.Background(), history.End, history.End, nil)
	if err != nil {
		t.Fatal(err)
	}
	got := ""
	for _, cell := range c.Values(cur.States()) {
		got += cell.Name
		for _, f := range cell.Nodes {
			got += fmt.Sprintf(" %s=%s", f.Name, f.Value)
		}
		got += "; "
	}
	want := `kv.items["x"].version n1=3; kv.n n1=1 n2=2; kv.items n1={"x":{"version":3}}; `
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := c.Placeholder(2); got != "kv.n" {
		t.Errorf("$2 is %s", got)
	}
}
