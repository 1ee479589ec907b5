package debug

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"

	"hindcast.dev/history"
)

// logs is a machine that is upgraded, and what it logs; and a note.
const logs = `{"node":"n1","ts":"2026-01-01T00:00:01Z","kind":"start","machine":"kv","set":{"node.version":{"kv":1}}}
{"node":"n1","ts":"2026-01-01T00:00:02Z","kind":"request","machine":"kv","name":"Put","effects":[{"kind":"log","name":"info","data":"stored"},{"kind":"reply","name":"Done"},{"kind":"log","name":"warn","data":"late"}]}
{"node":"n1","ts":"2026-01-01T00:00:03Z","kind":"control","machine":"kv","name":"upgrade","set":{"node.version":{"kv":2}}}
{"node":"n1","ts":"2026-01-01T00:00:04Z","kind":"request","machine":"kv","name":"Put"}
{"node":"n1","ts":"2026-01-01T00:00:05Z","kind":"note","name":"drop","data":{"reason":"link cut"}}
`

func TestAnEventHasItsCodeAndItsLogLines(t *testing.T) {
	src, err := history.ReadText(strings.NewReader(logs), "logs", history.TextOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s := NewSession(src, io.Discard)
	s.Code = func(build, machine string, version uint32) (Code, bool) {
		return Code{Function: fmt.Sprintf("%s.Step%d", machine, version), File: "kv.go", Line: 7, Version: version, Of: "b2"}, true
	}
	type told struct {
		Log  []map[string]any
		Code *Code
	}
	at := func(place string) (e told, text string) {
		t.Helper()
		if _, err := s.Ask(t.Context(), "goto "+place); err != nil {
			t.Fatal(err)
		}
		a, err := s.Ask(t.Context(), "event")
		if err != nil {
			t.Fatal(err)
		}
		b, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		var parts struct {
			Parts []struct{ Event told }
		}
		if err := json.Unmarshal(b, &parts); err != nil || len(parts.Parts) != 1 {
			t.Fatalf("%s: %v", b, err)
		}
		var w bytes.Buffer
		a.Parts[0].writeText(&textForm{w: &w})
		return parts.Parts[0].Event, w.String()
	}
	e, text := at("n1:2")
	if fmt.Sprint(e.Log) != "[map[data:stored level:info] map[data:late level:warn]]" {
		t.Errorf("logged: %v", e.Log)
	}
	if e.Code == nil || *e.Code != (Code{"kv.Step1", "kv.go", 7, 1, "b2"}) {
		t.Errorf("code: %+v", e.Code)
	}
	if want := "\n  code     kv.Step1  kv.go:7  (as it is in build b2, which isn't the one that ran)\n"; !strings.Contains(text, want) {
		t.Errorf("%s\nwant%s", text, want)
	}
	if e, _ := at("n1:4"); e.Code == nil || e.Code.Version != 2 || e.Log != nil {
		t.Errorf("after the upgrade: %+v", e)
	}
	if e, _ := at("n1:5"); e.Code != nil || fmt.Sprint(e.Log) != "[map[data:map[reason:link cut]]]" {
		t.Errorf("the note: %+v", e)
	}
	s.Code = nil
	if e, text := at("n1:4"); e.Code != nil || strings.Contains(text, "code") {
		t.Errorf("where nobody knows: %+v\n%s", e, text)
	}
}
