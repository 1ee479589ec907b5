package debug

import (
	"strings"
	"testing"

	"hindcast.dev/event"
)

func TestAPreviewIsForPeopleAndShort(t *testing.T) {
	parse := func(text string) event.Value {
		v, err := event.ParseValue([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for text, want := range map[string]string{
		`{"a":{"$ts":"2026-01-01T00:00:01Z"},"b c":[1,2.5,null]}`: `{a: 2026-01-01T00:00:01.000000Z/0, b c: [1, 2.5, null]}`,
		`{"$set":["x","y"]}`:              `{"x", "y"}`,
		`"a\"b\\c\nd\u001b[31m\u202e<b>"`: `"a\"b\\c\nd·[31m·<b>"`,
		`{"$map":[[1,true]]}`:             `{1: true}`,
		`[]`:                              `[]`,
	} {
		if got := Preview(parse(text), 120); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
	if got := Preview(event.Absent, 120); got != "—" {
		t.Errorf("absent: %s", got)
	}
	long := make([]event.Value, 100_000)
	for i := range long {
		long[i] = event.String(strings.Repeat("x", 1000))
	}
	v := event.List(long...)
	if got := Preview(v, 120); len([]rune(got)) != 120 || !strings.HasSuffix(got, "…") {
		t.Errorf("a long list: %q", got)
	}
	if n := testing.AllocsPerRun(5, func() { Preview(v, 120) }); n > 500 {
		t.Errorf("a preview of a long list makes %v allocations", n)
	}
}
