package timeline

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"hindcast.dev/history"
)

// A node that restarts all the time has no more stretches in a frame than columns, and
// is down in the columns that it was down in.
func TestANodeThatRestartsAllTheTimeHasNoMoreStretchesThanColumns(t *testing.T) {
	var text strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&text, `{"node":"n1","ts":"2026-01-01T00:%02d:%02dZ","kind":"note","name":"x","set":{"node.up":%v}}`+"\n", i/60, i%60, i%2 == 0)
	}
	src, err := history.ReadText(strings.NewReader(text.String()), "restarts", history.TextOptions{})
	if err != nil {
		t.Fatal(err)
	}
	x, err := Build(t.Context(), src, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, columns := range []int{1, 7, 100, 999, 5000} {
		v := View{Axis: Order, To: 999, Columns: columns}
		f, err := x.Frame(v)
		if err != nil {
			t.Fatal(err)
		}
		down, told := make([]bool, columns), make([]bool, columns)
		for i := 1; i < 1000; i += 2 {
			for c := v.Column(uint64(i)); c <= v.Column(uint64(min(i+1, 999))); c++ {
				down[c] = true
			}
		}
		for i, s := range f.Down[0] {
			if i > 0 && s.From <= f.Down[0][i-1].To {
				t.Fatalf("%d columns: %v before %v", columns, f.Down[0][i-1], s)
			}
			for c := s.From; c <= s.To; c++ {
				told[c] = true
			}
		}
		if len(f.Down[0]) > columns || !slices.Equal(down, told) {
			t.Errorf("%d columns: %d stretches", columns, len(f.Down[0]))
		}
	}
}
