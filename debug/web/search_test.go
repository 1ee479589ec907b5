package web

import (
	"encoding/json"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// told are the lines of an answer, by kind.
func told(t *testing.T, hs *httptest.Server, path, body string) (kinds []string, values []map[string]any) {
	t.Helper()
	res, b := ask(t, hs, "POST", path, body)
	if res.StatusCode != 200 {
		t.Fatalf("%s %s: %d %s", path, body, res.StatusCode, b)
	}
	for line := range strings.Lines(string(b)) {
		var v map[string]map[string]any
		if err := json.Unmarshal([]byte(line), &v); err != nil || len(v) != 1 {
			t.Fatalf("%s: %q: %v", path, line, err)
		}
		for kind, what := range v {
			if kind != "progress" {
				kinds, values = append(kinds, kind), append(values, what)
			}
		}
	}
	return kinds, values
}

func TestAQueryIsAnsweredLineByLine(t *testing.T) {
	hs := serve(t, "")
	kinds, values := told(t, hs, "/api/v1/query", `{"statement":"SELECT kv.count FROM kv WHEN kv.count > 0 EMIT CUTS LIMIT 2"}`)
	if !slices.Equal(kinds, []string{"row", "row", "end"}) {
		t.Fatalf("%v %v", kinds, values)
	}
	place := values[1]["places"].([]any)[0].(map[string]any)
	if place["name"] != "n2" || place["timeAt"] != nil && place["timeAt"] != float64(second) {
		t.Errorf("the second row's place: %v", place)
	}
	if row := values[0]["row"].(map[string]any); row["values"].(map[string]any)["kv.count"].(map[string]any)["n1"] != 1.0 {
		t.Errorf("the first row: %v", row)
	}
	if _, values := told(t, hs, "/api/v1/query", `{"statement":"SELECT kv.count FROM kv EMIT CUTS","limit":1}`); values[len(values)-1]["partial"] == nil {
		t.Errorf("rows left out aren't told of: %v", values)
	}
	if kinds, values := told(t, hs, "/api/v1/query", `{"statement":"FROM c IN Copy SELECT c.name"}`); len(kinds) != 2 || len(values[0]["places"].([]any)) != 1 {
		t.Errorf("an event query: %v %v", kinds, values)
	}
	if _, values := told(t, hs, "/api/v1/query", `{"statement":"SELECT kv.count FROM kv WHEN POSSIBLY COUNT(kv.items) = 2"}`); len(values) != 2 || values[0]["places"].([]any)[0].(map[string]any)["name"] != "n2" {
		t.Errorf("a cut of the lattice: %v", values)
	}
	if _, values := told(t, hs, "/api/v1/query", `{"statement":"SELECT kv.items FROM kv WHEN kv.count > kv.items"}`); len(values) != 1 || values[0]["notes"] == nil {
		t.Errorf("what is most likely a mistake isn't told of: %v", values)
	}
	var m mistake
	if code := read(t, hs, "POST", "/api/v1/query", `{"statement":"SELECT kv.count\nFORM kv"}`, &m); code != 400 || m.Line != 2 || m.Col != 1 || m.Offset != 16 || m.Error == "" {
		t.Errorf("a mistake: %d %+v", code, m)
	}
}

func TestAStatementIsCompletedWhereTheCaretIs(t *testing.T) {
	hs := serve(t, "")
	var a struct {
		Start      int
		Candidates []string
	}
	read(t, hs, "POST", "/api/v1/query/complete", `{"statement":"SELECT kv.c FROM kv","pos":11}`, &a)
	if a.Start != 7 || !slices.Contains(a.Candidates, "kv.count") {
		t.Errorf("%+v", a)
	}
}

func TestSearchFindsTextsAndBeginnings(t *testing.T) {
	hs := serve(t, "")
	kinds, values := told(t, hs, "/api/v1/search", `{"text":"copy"}`)
	if !slices.Equal(kinds, []string{"hit", "hit", "end"}) || values[1]["id"] != "m1" {
		t.Fatalf("%v %v", kinds, values)
	}
	if kinds, values := told(t, hs, "/api/v1/search", `{"text":"copy","limit":1}`); len(kinds) != 2 || values[1]["partial"] != "the first 1" {
		t.Errorf("%v %v", kinds, values)
	}
	kinds, values = told(t, hs, "/api/v1/search", `{"where":"COUNT(kv.items) = 2"}`)
	if len(kinds) != 2 || values[0]["place"].(map[string]any)["name"] != "n2" {
		t.Errorf("%v %v", kinds, values)
	}
	var m mistake
	if code := read(t, hs, "POST", "/api/v1/search", `{"where":"kv.cuont > 1"}`, &m); code != 400 || m.Col != 1 || !strings.Contains(m.Remedy, "kv.count") {
		t.Errorf("a mistake: %d %+v", code, m)
	}
	for _, body := range []string{`{}`, `{"text":"a","where":"b"}`} {
		if code := read(t, hs, "POST", "/api/v1/search", body, &m); code != 400 {
			t.Errorf("%s: %d", body, code)
		}
	}
}

func TestSearchInTheStateFindsPathsAndValues(t *testing.T) {
	hs := serve(t, "")
	var a struct {
		Found []found
	}
	paths := func(q string) (out []string) {
		read(t, hs, "GET", "/api/v1/state/search?"+q, "", &a)
		for _, f := range a.Found {
			out = append(out, f.Path)
		}
		return out
	}
	if got := paths("at=n1:3&text=COUNT"); !slices.Equal(got, []string{"kv.count"}) {
		t.Errorf("by name: %q", got)
	}
	if got := paths("at=n1:3&text=2"); !slices.Equal(got, []string{"kv.items[\"<b>y\"].v"}) {
		t.Errorf("by value: %q", got)
	}
	if got := paths("at=n1:3&text=items&node=n2"); !slices.Equal(got, []string{"kv.items"}) || a.Found[0].Node != 1 {
		t.Errorf("on a node: %q %v", got, a.Found)
	}
	if res, _ := ask(t, hs, "GET", "/api/v1/state/search?at=n1:3", ""); res.StatusCode != 400 {
		t.Errorf("nothing looked for: %d", res.StatusCode)
	}
}

func TestACommandAtAnotherPlaceLeavesTheSessionWhereItIs(t *testing.T) {
	hs := serve(t, "")
	var a struct {
		Error  string
		Answer struct {
			Place struct {
				Node string
				Seq  uint64
			}
			Parts []map[string]map[string]any
		}
	}
	read(t, hs, "POST", "/api/v1/command", `{"line":"goto n3:1"}`, &a)
	if read(t, hs, "POST", "/api/v1/command", `{"line":"cause","at":"n2:1"}`, &a); a.Answer.Place.Node != "n1" || a.Answer.Parts[0]["event"]["name"] != "Put" {
		t.Errorf("cause elsewhere: %+v", a)
	}
	read(t, hs, "POST", "/api/v1/command", `{"line":"mark there a note","at":"n2:1"}`, &a)
	if read(t, hs, "POST", "/api/v1/command", `{"line":"event"}`, &a); a.Answer.Place.Node != "n3" {
		t.Errorf("the session went to %+v", a.Answer.Place)
	}
	a.Answer.Parts = nil
	if read(t, hs, "POST", "/api/v1/command", `{"line":"marks"}`, &a); a.Answer.Parts[0]["mark"] != nil {
		t.Errorf("a mark was left: %+v", a.Answer.Parts)
	}
	if code := read(t, hs, "POST", "/api/v1/command", `{"line":"event","at":"nowhere"}`, &a); code != 400 {
		t.Errorf("nowhere: %d", code)
	}
}
