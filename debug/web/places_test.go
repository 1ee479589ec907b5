package web

import (
	"encoding/binary"
	"testing"
)

func TestPlacesHaveTheirCoordinates(t *testing.T) {
	hs := serve(t, "")
	type place struct {
		Name                 string
		Seq                  uint64
		Time                 string
		TimeAt, Order, Depth float64
		Begin                bool
	}
	var a struct{ Places []*place }
	if code := read(t, hs, "POST", "/api/v1/places", `{"places":["n1:3","n9:1","n1:77","START","2026-01-01T00:00:02Z"]}`, &a); code != 200 || len(a.Places) != 5 {
		t.Fatalf("%d %+v", code, a)
	}
	if p := a.Places[0]; p == nil || *p != (place{Name: "n1", Seq: 3, Time: "2026-01-01T00:00:04.000000Z/0", TimeAt: 3 * second, Order: 3, Depth: p.Depth}) || p.Depth == 0 {
		t.Errorf("n1:3 is %+v", p)
	}
	if a.Places[1] != nil || a.Places[2] != nil {
		t.Errorf("what isn't there: %+v %+v", a.Places[1], a.Places[2])
	}
	if p := a.Places[3]; p == nil || !p.Begin {
		t.Errorf("START is %+v", p)
	}
	if p := a.Places[4]; p == nil || p.Name != "n2" || p.Seq != 1 {
		t.Errorf("a time is %+v", p)
	}
	var b struct {
		At     place
		Answer any
	}
	if read(t, hs, "POST", "/api/v1/command", `{"line":"goto n2:1"}`, &b); b.At.Name != "n2" || b.At.TimeAt != second || b.Answer == nil {
		t.Errorf("an answer says where the session is: %+v", b)
	}
}

func TestLanesSayWhatNodesDoAtACut(t *testing.T) {
	hs := serve(t, "")
	type lane struct {
		State string
		Seq   uint64
		Order float64
	}
	for at, want := range map[string][3]lane{
		"START": {{State: "not begun"}, {State: "not begun"}, {State: "not begun"}},
		"n1:2":  {{Seq: 2, Order: 2}, {Seq: 1, Order: 1}, {State: "not begun"}},
		"END":   {{Seq: 3, Order: 3}, {Seq: 1, Order: 1}, {State: "down", Seq: 1, Order: 4}},
	} {
		var a struct{ Nodes [3]lane }
		if code := read(t, hs, "GET", "/api/v1/lanes?at="+at, "", &a); code != 200 || a.Nodes != want {
			t.Errorf("at %s: %d %+v, want %+v", at, code, a.Nodes, want)
		}
	}
}

func TestLanesMayBeMergedInAFrame(t *testing.T) {
	hs := serve(t, "")
	le := binary.LittleEndian
	for query, want := range map[string][2]uint32{"merge=1": {1, 5}, "lanes=0&rest=1": {2, 2}, "lanes=0&rest=1&merge=1": {1, 2}, "lanes=0,1,2&rest=1&merge=1": {1, 0}} {
		res, b := ask(t, hs, "GET", "/api/v1/frame?axis=time&from=0&to=17179869184&columns=5&"+query, "")
		if res.StatusCode != 200 || len(b) < 16 {
			t.Fatalf("%s: %d %q", query, res.StatusCode, b)
		}
		if got := [2]uint32{le.Uint32(b[8:]), le.Uint32(b[12:])}; got != want {
			t.Errorf("%s: %d lanes of %d events, want %v", query, got[0], got[1], want)
		}
	}
}
