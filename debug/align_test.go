package debug

import (
	"slices"
	"testing"

	"hindcast.dev/history"
	"pgregory.net/rapid"
)

func TestAlignedEventsKeepTheirOrderAndAsManyAsCanStandSideBySide(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(label string) (es []*history.Event) {
			for _, k := range rapid.SliceOfN(rapid.SampledFrom([]string{"recv", "timer", "note"}), 0, 6).Draw(t, label) {
				es = append(es, &history.Event{Kind: k})
			}
			return es
		}
		here, there := draw("here"), draw("there")
		var a, b []*history.Event
		pairs := 0
		for _, p := range align(here, there) {
			switch {
			case p.here != nil && p.there != nil:
				if !alike(p.here, p.there) {
					t.Fatalf("%s stands beside %s", p.here.Kind, p.there.Kind)
				}
				pairs++
			case p.here == nil && p.there == nil:
				t.Fatal("an empty row")
			}
			if p.here != nil {
				a = append(a, p.here)
			}
			if p.there != nil {
				b = append(b, p.there)
			}
		}
		if !slices.Equal(a, here) || !slices.Equal(b, there) {
			t.Fatal("events are gone, or in another order")
		}
		if want := mostPairs(here, there); pairs != want {
			t.Fatalf("%d pairs, %d are possible", pairs, want)
		}
	})
}

// mostPairs tries everything.
func mostPairs(here, there []*history.Event) int {
	if len(here) == 0 || len(there) == 0 {
		return 0
	}
	most := max(mostPairs(here[1:], there), mostPairs(here, there[1:]))
	if alike(here[0], there[0]) {
		most = max(most, 1+mostPairs(here[1:], there[1:]))
	}
	return most
}
