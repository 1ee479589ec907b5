package app

import (
	"strings"
	"testing"
)

func TestATableStaysAlignedWhenACellIsTooWide(t *testing.T) {
	row := func(edge, lasted, value, event string) tableRow {
		names := []string{"edge", "lasted", "x", "event"}
		return tableRow{names: names, cells: map[string]string{"edge": edge, "lasted": lasted, "x": value, "event": event}}
	}
	var b strings.Builder
	table := &tableRows{w: &b, columns: []string{"edge", "lasted", "x", "event"}, live: true}
	table.first = []tableRow{row("enter", "0s", "—", "n1:1")}
	if err := table.head(); err != nil {
		t.Fatal(err)
	}
	for _, r := range []tableRow{row("leave", "12.345ms", "—", "n1:12345"), row("enter", "458µs", "n1=one n2=one", "n2:7"), row("leave", "1s", "n1=one", "n2:8")} {
		if err := table.later(r); err != nil {
			t.Fatal(err)
		}
	}
	want := `
edge   lasted      x  event
enter  0s          —  n1:1
leave  12.345ms    —  n1:12345
edge   lasted      x              event
enter  458µs       n1=one n2=one  n2:7
leave  1s          n1=one         n2:8
`
	if got := b.String(); got != strings.TrimPrefix(want, "\n") {
		t.Errorf("it is\n%s", got)
	}
}
