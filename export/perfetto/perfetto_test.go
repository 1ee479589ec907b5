package perfetto_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"hindcast.dev/export/perfetto"
	"hindcast.dev/history"
)

const text = `{"node":"n1","ts":"2026-01-01T00:00:01Z","kind":"request","machine":"kv","name":"Put","data":{"key":"x"},"effects":[{"kind":"send","id":"m1","to":"n2","name":"Copy"},{"kind":"settimer","id":"t1","name":"again"}],"set":{"kv.count":1,"kv.items":{"x":7}}}
{"node":"n2","ts":"2026-01-01T00:00:01.5Z","kind":"recv","machine":"kv","id":"m1","from":"n1","name":"Copy","set":{"kv.load":1.5}}
{"node":"n1","ts":"2026-01-01T00:00:02Z/3","kind":"timer","machine":"kv","id":"t1","name":"again"}
{"node":"n2","ts":"2026-01-01T00:00:03Z","kind":"note","name":"boot","set":{"node.up":true}}
`

type traced struct {
	Ph, Name, Cat, ID, BP, S string
	Pid, Tid                 int
	Ts, Dur                  float64
	Args                     map[string]any
}

func trace(t *testing.T, from, to history.Position) []traced {
	t.Helper()
	src, err := history.ReadText(strings.NewReader(text), "trace", history.TextOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := perfetto.Write(t.Context(), &out, src, from, to); err != nil {
		t.Fatal(err)
	}
	var file struct {
		TraceEvents []traced
	}
	if err := json.Unmarshal(out.Bytes(), &file); err != nil {
		t.Fatalf("%v in\n%s", err, out.String())
	}
	return file.TraceEvents
}

func TestATraceHasASliceForEachEventAndAnArrowForEachMessage(t *testing.T) {
	slices, begins, ends, counters := 0, map[string]traced{}, map[string]traced{}, map[string]float64{}
	for _, e := range trace(t, history.Begin, history.End) {
		switch e.Ph {
		case "X":
			slices++
			if e.Dur <= 0 || e.Tid == 0 || e.Args["seq"] == nil {
				t.Errorf("slice %+v", e)
			}
		case "s":
			begins[e.ID] = e
		case "f":
			if e.BP != "e" {
				t.Errorf("%s: an arrow's end binds to the next slice", e.ID)
			}
			ends[e.ID] = e
		case "C":
			counters[e.Name] = e.Args["value"].(float64)
		}
	}
	if slices != 4 {
		t.Errorf("%d slices, want 4", slices)
	}
	for id, want := range map[string][4]float64{"m1": {1, 0, 2, 5e5}, "t1": {1, 0, 1, 1e6 + 0.003}} {
		b, e := begins[id], ends[id]
		if got := [4]float64{float64(b.Pid), b.Ts, float64(e.Pid), e.Ts}; got != want {
			t.Errorf("%s: from process and time, to: %v, want %v", id, got, want)
		}
	}
	if len(counters) != 2 || counters["kv.count"] != 1 || counters["kv.load"] != 1.5 {
		t.Errorf("counters %v", counters)
	}
}

func TestAStretchBeginsAtZeroAndHasNoMore(t *testing.T) {
	src, err := history.ReadText(strings.NewReader(text), "trace", history.TextOptions{})
	if err != nil {
		t.Fatal(err)
	}
	second, err := src.Event(t.Context(), 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range trace(t, second.Position, src.Meta().Last) {
		if e.Ph == "X" {
			names = append(names, e.Name)
			if len(names) == 1 && e.Ts != 0 {
				t.Errorf("the first event is at %v", e.Ts)
			}
		}
	}
	if strings.Join(names, " ") != "Copy again" {
		t.Errorf("slices %v", names)
	}
}
