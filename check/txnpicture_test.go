package check

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"hindcast.dev/event"
)

// skew is two transactions that each did not see what the other appended.
func skew() *Cycle {
	value := func(s string) event.Value {
		v, err := event.ParseValue([]byte(s))
		if err != nil {
			panic(err)
		}
		return v
	}
	return &Cycle{
		Operations: []Operation{
			{Process: 0, F: "txn", Output: value(`[["append","x",2],["r","y",[]]]`), Outcome: Ok, Ref: "line 1"},
			{Process: 1, F: "txn", Output: value(`[["append","<y>",1],["r","x",[1,2,3,4,5,6,7,8,9]]]`), Ref: "line 2"},
		},
		Edges: []Edge{
			{0, 1, "rw", "T1 read y = [] without 1, which T2 appended"},
			{1, 0, "rw", "T2 read x & \x01 \"all\" of it"},
		},
	}
}

func TestCycleTextShowsOperationsAndTheWayBack(t *testing.T) {
	want := strings.Join([]string{
		"+--> T1  client 0, line 1: append x 2, r y []",
		"|     |",
		"|     | rw: T1 read y = [] without 1, which T2 appended",
		"|     v",
		"|    T2  client 1, line 2: append <y> 1, r x [(3 more) 4 5 6 7 8 9] (info)",
		"|     |",
		"|     | rw: T2 read x & \x01 \"all\" of it",
		"+-----+",
	}, "\n")
	if got := skew().Text(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestCycleSVGIsWellFormedAndComplete(t *testing.T) {
	svg := skew().SVG()
	d := xml.NewDecoder(bytes.NewReader(svg))
	var text strings.Builder
	boxes := 0
	for {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, svg)
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			if tok.Name.Local == "rect" {
				boxes++
			}
		case xml.CharData:
			text.Write(tok)
		}
	}
	if boxes != 3 { // the ground, and each operation
		t.Errorf("%d boxes, want 3", boxes)
	}
	for _, want := range []string{"append <y> 1", `T2 read x & ? "all" of it`, "T1 read y = [] without 1"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the picture doesn't say %q:\n%s", want, svg)
		}
	}
}
