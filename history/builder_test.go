package history_test

import (
	"strings"
	"testing"

	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/hlc"
)

func TestBuilderTakesEventsByName(t *testing.T) {
	b := history.NewBuilder()
	b.AddNode("n2", "v2")
	b.Unknown("n2", history.Span{From: 0, To: hlc.Max}, "it refused")
	b.Base("n1", 4, 10, map[string]event.Value{"kv.b": event.Int(2), "kv.a": event.Int(1)})
	b.Append("n1",
		history.EventSpec{Event: history.Event{Position: history.Position{Time: 20}}, Set: []history.Assign{{Path: `kv.items["x"]`, Value: event.Int(3)}, {Path: "kv.a"}}},
		history.EventSpec{Event: history.Event{Position: history.Position{Time: 20}, Kind: "timer"}})
	m, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	want := `{"node":"n1","unknown":["1970-01-01T00:00:00.000000Z/0","1970-01-01T00:00:00.000000Z/10"],"reason":"what came before event 5 is not recorded"}
{"node":"n2","build":"v2"}
{"node":"n2","unknown":["1970-01-01T00:00:00.000000Z/0","2106-02-07T06:28:15.999985Z/65535"],"reason":"it refused"}
{"node":"n1","ts":"1970-01-01T00:00:00.000000Z/10","seq":4,"base":true,"set":{"kv.a":1,"kv.b":2}}
{"node":"n1","ts":"1970-01-01T00:00:00.000000Z/20","seq":5,"set":{"kv.items[\"x\"]":3},"del":["kv.a"]}
{"node":"n1","ts":"1970-01-01T00:00:00.000000Z/20","seq":6,"kind":"timer"}
`
	// The deletion of a whole variable comes before the entry.
	if got := writeText(t, m); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestBuilderReportsTheFirstError(t *testing.T) {
	spec := func(path string) history.EventSpec {
		return history.EventSpec{Set: []history.Assign{{Path: path, Value: event.Null()}}}
	}
	for want, do := range map[string]func(b *history.Builder){
		`node n1: event 1 sets "a[": at byte 2: want a value`:    func(b *history.Builder) { b.Append("n1", spec("a["), spec("b[")) },
		`node "": want a name`:                                   func(b *history.Builder) { b.AddNode("", ""); b.AddNode("", "") },
		"node n1 is there already":                               func(b *history.Builder) { b.AddNode("n1", ""); b.AddNode("n1", "") },
		"a base holds whole variables that are present":          func(b *history.Builder) { b.Base("n1", 1, 1, map[string]event.Value{"a": event.Absent}) },
		`want a name that is not empty and valid UTF-8`:          func(b *history.Builder) { b.Append("n1", spec("``")) },
		"want a span that ends after it begins":                  func(b *history.Builder) { b.Unknown("n1", history.Span{}, "") },
		`event 2 changes the variable "\xff"`:                    func(b *history.Builder) { b.Append("n1", history.EventSpec{}, spec("\xff")) },
		"event 3 comes after event 3: sequence numbers ascend":   func(b *history.Builder) { b.Append("n1", at(3), at(3)) },
		"event 2 at 1970-01-01T00:00:00.000000Z/0 comes after e": func(b *history.Builder) { b.Base("n1", 1, 7, nil); b.Append("n1", at(2)) },
	} {
		b := history.NewBuilder()
		do(b)
		if _, err := b.Build(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func at(seq uint64) history.EventSpec {
	return history.EventSpec{Event: history.Event{Position: history.Position{Seq: seq}}}
}
