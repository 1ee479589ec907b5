package motif

import (
	"reflect"
	"testing"
)

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"a -> b -> a", `a -Put "x"-x 'b'`, "a -> ?m, ?m -> b, no ?m -> c within 1s", "gather 2 Ack", "a: timer.Tick",
		`{"lanes":[{"name":"a"},{"name":"b","node":"n2"}],"events":[{"lane":0,"text":"t"},{"lane":1}],"messages":[{"from":0,"to":1,"name":"P"}]}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, read := range []func(string) (*Motif, error){Parse, ParseDrawing} {
			m, err := read(text)
			if err != nil {
				continue
			}
			again, err := Parse(m.String())
			if err != nil || !reflect.DeepEqual(m, again) {
				t.Errorf("%q reads as %q, which reads as %+v (%v), not %+v", text, m, again, err, m)
			}
		}
	})
}
