package main

import (
	"strings"
	"testing"
	"time"

	"hindcast.dev/history"
	"hindcast.dev/hlc"
	"hindcast.dev/rql"
)

// lagThenCut is a window made of several spells. n3 is cut off. When the window
// opens with n1's write, n2 is behind for a moment, as replicas are when all is
// well. n3 misses it, but soon has a newer value of its own, which n1 and n2 then
// miss, n2 longest.
const lagThenCut = `
{"node":"n1","ts":"2026-11-21T12:00:01Z","set":{"node.up":true,"kv.items[\"x\"]":{"version":1,"value":"old"}}}
{"node":"n2","ts":"2026-11-21T12:00:01Z","set":{"node.up":true,"kv.items[\"x\"]":{"version":1,"value":"old"}}}
{"node":"n3","ts":"2026-11-21T12:00:01Z","set":{"node.up":true,"kv.items[\"x\"]":{"version":1,"value":"old"}}}
{"node":"n1","ts":"2026-11-21T12:00:02Z","kind":"request","name":"Put","set":{"kv.items[\"x\"]":{"version":2,"value":"a"}},"effects":[{"kind":"send","id":"n1/1/2/0","to":"n2","name":"Replicate"},{"kind":"send","id":"n1/1/2/1","to":"n3","name":"Replicate"}]}
{"node":"n3","ts":"2026-11-21T12:00:02.002Z","kind":"request","name":"Put","set":{"kv.items[\"x\"]":{"version":3,"value":"b"}},"effects":[{"kind":"send","id":"n3/1/2/0","to":"n1","name":"Replicate"},{"kind":"send","id":"n3/1/2/1","to":"n2","name":"Replicate"}]}
{"node":"n2","ts":"2026-11-21T12:00:02.02Z","kind":"recv","from":"n1","id":"n1/1/2/0","name":"Replicate","set":{"kv.items[\"x\"]":{"version":2,"value":"a"}}}
{"node":"n3","ts":"2026-11-21T12:00:02.1Z","kind":"note","name":"drop","id":"n3/1/2/1","data":{"message":"n3/1/2/1","peer":"n2","reason":"fault: cut"}}
{"node":"n1","ts":"2026-11-21T12:00:04Z","kind":"recv","name":"Replicate","set":{"kv.items[\"x\"]":{"version":3,"value":"b"}}}
{"node":"n2","ts":"2026-11-21T12:00:05Z","kind":"recv","name":"Replicate","set":{"kv.items[\"x\"]":{"version":3,"value":"b"}}}
{"node":"n2","ts":"2026-11-21T12:00:06Z","set":{"kv.heard":1}}
`

func rowsOf(t *testing.T, text string) (history.Source, []*rql.Row) {
	t.Helper()
	src, err := history.ReadText(strings.NewReader(text), "test", history.TextOptions{})
	if err != nil {
		t.Fatal(err)
	}
	q, err := rql.Compile(src.Meta(), demoQuery)
	if err != nil {
		t.Fatal(err)
	}
	var rows []*rql.Row
	if _, err := q.Run(t.Context(), src, rql.Options{}, func(r *rql.Row) error {
		rows = append(rows, r)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return src, rows
}

func TestAStoryIsOfTheNodeThatMissedAMessageNotOfOneThatLagged(t *testing.T) {
	src, rows := rowsOf(t, lagThenCut)
	if len(rows) != 1 {
		t.Fatalf("%d windows, want one", len(rows))
	}
	teller, err := newTeller(t.Context(), src)
	if err != nil {
		t.Fatal(err)
	}
	s, err := teller.tell(t.Context(), rows[0], 100)
	if err != nil || s == nil {
		t.Fatalf("story %v, %v", s, err)
	}
	if s.Stale != "n2" || s.Missed.Node != "n3" || s.Dropped.ID != "n3/1/2/1" || s.Ended == nil || s.Lasted < 2.9 || s.Lasted > 3.1 {
		t.Errorf("stale %s for %v s, missed %+v, dropped %+v, ended %+v", s.Stale, s.Lasted, s.Missed, s.Dropped, s.Ended)
	}
	if len(s.Dropped.Notes) != 1 || s.Dropped.Notes[0].Reason != "fault: cut" {
		t.Errorf("notes: %+v", s.Dropped.Notes)
	}
	picture := strings.Join(s.Diagram, "\n")
	if !strings.Contains(picture, "╳") || !strings.Contains(picture, `x = "b"`) || strings.Contains(picture, `"a"`) {
		t.Errorf("the picture:\n%s", picture)
	}
}

func TestATimeShownLeadsBackToItsEvent(t *testing.T) {
	for fraction := range hlc.Timestamp(1 << 16) {
		ts := hlc.FromTime(time.Date(2026, 11, 21, 12, 0, 1, 0, time.UTC)) | fraction<<hlc.LogicalBits
		back, err := hlc.Parse("2026-11-21T" + timeOfDay(ts) + "Z")
		if err != nil || back != ts {
			t.Fatalf("%s shows as %s, which is %s, %v", ts, timeOfDay(ts), back, err)
		}
	}
}

func TestReplicasThatOnlyLagHaveNoStory(t *testing.T) {
	src, rows := rowsOf(t, `
{"node":"n1","ts":"2026-11-21T12:00:01Z","set":{"node.up":true,"kv.items[\"x\"]":{"version":1}}}
{"node":"n2","ts":"2026-11-21T12:00:01Z","set":{"node.up":true,"kv.items[\"x\"]":{"version":1}}}
{"node":"n1","ts":"2026-11-21T12:00:02Z","kind":"request","set":{"kv.items[\"x\"]":{"version":2}},"effects":[{"kind":"send","id":"n1/1/2/0","to":"n2","name":"Replicate"}]}
{"node":"n2","ts":"2026-11-21T12:00:03Z","kind":"recv","from":"n1","id":"n1/1/2/0","set":{"kv.items[\"x\"]":{"version":2}}}
`)
	teller, err := newTeller(t.Context(), src)
	if err != nil {
		t.Fatal(err)
	}
	s, err := teller.tell(t.Context(), rows[0], 100)
	if err != nil || s != nil {
		t.Fatalf("story %+v, %v; want none: every message arrived", s, err)
	}
}
