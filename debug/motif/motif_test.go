package motif

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"hindcast.dev/history"
)

func TestMotifsReadBackAsTheyAreWritten(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"a -> b", ""},
		{"a->b->a", "a -> b -> a"},
		{"request-response", "a -> b -> a"},
		{"request-response within 1s", "a -> b -> a within 1s"},
		{"a -Put-> b, no b -> a within 200ms", ""},
		{`a -Put "it's"-> b -x 'n-1'`, ""},
		{`a -x b`, ""},
		{`a -x-> b`, ""},
		{`a -x-x b`, ""},
		{`a -'two words'-> b`, ""},
		{"a -> ?first, a -> ?second, ?second -> b, ?first -> b", "a -> ?m1, a -> b, ?m1 -> b"},
		{"a -> ?m, ?m -> b, ?m -> b", "a -> ?m1, ?m1 -> b, ?m1 -> b"},
		{`a: timer.Tick, a: "overdue"`, ""},
		{"a:", ""},
		{"broadcast", ""},
		{`gather 2 Ack "x" within 10ms`, ""},
		{"broadcast '3'", ""},
		{"'no' -> 'within'", ""},
	} {
		m, err := Parse(c.text)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		want := c.want
		if want == "" {
			want = c.text
		}
		if got := m.String(); got != want {
			t.Errorf("%s reads as %s, want %s", c.text, got, want)
		}
		again, err := Parse(m.String())
		if err != nil || !reflect.DeepEqual(m, again) {
			t.Errorf("%s: %v\n%+v\n%+v", m, err, m, again)
		}
	}
}

func TestMistakesInMotifsAreToldWithTheirPlace(t *testing.T) {
	for text, want := range map[string]string{
		"":                          "at column 1: want a node",
		"a":                         "at column 2: want an arrow, or a colon",
		"a -> ":                     "at column 6: want a node",
		"a => b":                    "at column 3: want an arrow",
		"a -> b c":                  "at column 8: after a step comes an arrow",
		"?m -> b":                   "?m arrives before it is sent",
		"a -> ?m, a -> ?m":          "?m is sent twice",
		"a -Put b":                  "want an arrow",
		"a -> 'b":                   "this quote isn't closed",
		"no a -> b":                 "before what mustn't be comes what must",
		"a -> b, no b -> a, a -> b": "what mustn't be comes last",
		"a -> b within soon":        "want a duration",
		"within -> b":               "a node that is called within is written 'within'",
		"broadcast 0":               "from 1 on",
		"a -> ?m -> b":              "after a step comes an arrow",
		strings.Repeat("a -> b, ", 20) + "a -> b": "more than 32 steps",
	} {
		_, err := Parse(text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func TestADrawingIsTheSameAsItsText(t *testing.T) {
	for _, c := range []struct{ drawn, want string }{
		{`{"lanes":[{"name":"a"},{"name":"b"}],"events":[{"lane":0},{"lane":1},{"lane":0}],"messages":[{"from":0,"to":1,"name":"Put"},{"from":1,"to":2}]}`,
			"a -Put-> b, b -> a"},
		{`{"lanes":[{"name":"a"},{"name":"b"}],"events":[{"lane":0},{"lane":0},{"lane":1},{"lane":1}],"messages":[{"from":0,"to":3},{"from":1,"to":2}]}`,
			"a -> ?m1, a -> b, ?m1 -> b"}, // the second overtakes the first
		{`{"lanes":[{"name":"a"},{"name":"b","node":"n2"},{"name":"c"}],"events":[{"lane":0},{"lane":1,"text":"now"},{"lane":2}],"messages":[{"from":0,"to":1},{"from":0,"to":-1,"lost":true,"lane":2}],"within":"1s"}`,
			`a -> ?m1, a -x c, ?m1 -> n2, n2: "now", c: within 1s`},
		{`{"lanes":[{"name":"a"}],"events":[{"lane":0,"name":"timer"}]}`, "a: timer"},
	} {
		m, err := ParseDrawing(c.drawn)
		if err != nil {
			t.Errorf("%s: %v", c.drawn, err)
			continue
		}
		if got := strings.ReplaceAll(m.String(), "'n2'", "n2"); got != c.want {
			t.Errorf("%s\nis %s\nwant %s", c.drawn, got, c.want)
		}
		again, err := Parse(m.String())
		if err != nil || !reflect.DeepEqual(m, again) {
			t.Errorf("%s: %v\n%+v\n%+v", m, err, m, again)
		}
	}
	for drawn, want := range map[string]string{
		`{`:                                  "unexpected EOF",
		`{"circles":[]}`:                     "unknown field",
		`{"lanes":[{"name":"a"}]}`:           "no events",
		`{"lanes":[{"name":""}]}`:            "a name of its own",
		`{"lanes":[],"events":[{"lane":0}]}`: "no lane 0",
		`{"lanes":[{"name":"a"},{"name":"b"}],"events":[{"lane":0},{"lane":0},{"lane":1},{"lane":1}],"messages":[{"from":1,"to":2},{"from":3,"to":0}]}`: "circle",
	} {
		if _, err := ParseDrawing(drawn); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", drawn, err, want)
		}
	}
}

// told is a search's result in a line for each match.
func told(t *testing.T, src history.Source, text string) string {
	t.Helper()
	m, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	r, err := Find(context.Background(), src, m, Options{})
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, match := range r.Matches {
		for i, p := range match.Parts {
			if i > 0 {
				b.WriteByte(' ')
			}
			fmt.Fprintf(&b, "%s:%d", src.Meta().Nodes[p.Position.Node].Name, p.Position.Seq)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func read(t *testing.T, lines string) history.Source {
	t.Helper()
	src, err := history.ReadText(strings.NewReader(lines), "test", history.TextOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return src
}

// stamped is lines with ascending times.
func stamped(lines ...string) string {
	var b strings.Builder
	for i, l := range lines {
		fmt.Fprintf(&b, `{"ts":"2026-01-01T00:00:%02dZ",%s}`+"\n", i, l)
	}
	return b.String()
}

func TestWhatIsFoundIsWhatIsMeant(t *testing.T) {
	src := read(t, stamped(
		`"node":"n1","kind":"request","name":"Go","effects":[{"kind":"send","id":"1","to":"n2","name":"Ask"},{"kind":"send","id":"2","to":"n3","name":"Ask"}]`,
		`"node":"n2","kind":"recv","id":"1","from":"n1","name":"Ask","data":{"key":"Red"},"effects":[{"kind":"send","id":"3","to":"n1","name":"Yes"}]`,
		`"node":"n3","kind":"recv","id":"2","from":"n1","name":"Ask"`,
		`"node":"n1","kind":"recv","id":"3","from":"n2","name":"Yes"`,
		`"node":"n3","kind":"timer","name":"Late","effects":[{"kind":"send","id":"4","to":"n1","name":"Yes"}]`,
		`"node":"n1","kind":"recv","id":"4","from":"n3","name":"Yes"`,
		`"node":"n1","kind":"timer","name":"Again","effects":[{"kind":"send","id":"5","to":"n2","name":"Ask"},{"kind":"send","id":"6","to":"n2","name":"Ask"}]`,
		`"node":"n2","kind":"recv","id":"6","from":"n1","name":"Ask"`,
		`"node":"n2","kind":"recv","id":"6","from":"n1","name":"Ask"`,
	))
	for _, c := range []struct{ motif, want string }{
		{"a -> b -> a", "n1:1 n2:1 n2:1 n1:2\n"},
		{"a -> b, b -> a", "n1:1 n2:1 n2:1 n1:2\nn1:1 n3:1 n3:2 n1:3\nn2:1 n1:2 n1:4 n2:2\n"},
		{"a -> b, b -> a within 3s", "n1:1 n2:1 n2:1 n1:2\n"},
		{"a -Ask-> b, no b -Yes-> a", "n1:4 n2:2\nn1:4 n2:3\n"},
		{"a -x b", "n1:4\n"},
		{"a -> ?m, ?m -> b, ?m -> b", "n1:4 n2:2 n2:3\n"},
		{`a -"red"-> b`, "n1:1 n2:1\n"},
		{"a: timer.Late, a -> b", "n3:2 n3:2 n1:3\n"},
		{"n3 -> b", "n3:2 n1:3\n"},
		{"'n9' -> b", ""},
		{"broadcast", "n1:1 n1:1 n2:1 n3:1\n"},
		{"broadcast 1 Yes", "n2:1 n1:2\nn3:2 n1:3\n"},
		{"gather", "n2:1 n1:2 n3:2 n1:3\n"},
		{"gather 3", ""},
	} {
		if got := told(t, src, c.motif); got != c.want {
			t.Errorf("%s:\n%swant:\n%s", c.motif, got, c.want)
		}
	}
}
