package debug

import (
	"io"
	"slices"
	"strings"
	"testing"

	"hindcast.dev/history"
)

// A grownLater is a Live of which there is more after some looks at it.
type grownLater struct {
	*growingHistory
	looks int // until then
	grow  func()
}

func (g *grownLater) Now() history.Source {
	if g.looks--; g.looks == 0 {
		g.grow()
	}
	return g.growingHistory.Now()
}

// What is asked elsewhere leaves the session at its event, whenever a node becomes
// known that stands before others.
func TestWhatIsAskedElsewhereLeavesThePlaceThoughNodesMove(t *testing.T) {
	for looks := 1; looks <= 4; looks++ {
		g := grows(t, 0, "127.0.0.1:9", "n2")
		g.add(t, 1, 1)
		g.add(t, 1, 2)
		s, out := liveSession(g)
		say(t, s, out, "step")
		at, err := s.Locate(t.Context(), "n2:2")
		if err != nil {
			t.Fatal(err)
		}
		s.Live = &grownLater{g, looks, func() { g.nodes(t, "n0", "n1", "n2") }}
		a, err := s.AskAt(t.Context(), at, "event")
		if err != nil || a.Place.Node != "n2" || a.Place.Seq != 2 {
			t.Errorf("after %d looks: %+v, %v", looks, a, err)
		}
		if got := say(t, s, out, "event"); !strings.Contains(got, "n2:1") {
			t.Errorf("after %d looks the place is %s", looks, got)
		}
	}
}

// What is asked elsewhere changes nothing that a later command builds on.
func TestWhatIsAskedElsewhereLeavesTheLastMotifAndQuery(t *testing.T) {
	s := NewSession(counter(t, []int64{1, 2, 3}, 2), io.Discard)
	if _, err := s.Ask(t.Context(), "motif a: set"); err != nil {
		t.Fatal(err)
	}
	had := slices.Clone(s.hits)
	if len(had) == 0 {
		t.Fatal("no match")
	}
	for _, line := range []string{"motif a: nothing", "query SHOW NODES"} {
		if _, err := s.AskAt(t.Context(), history.Begin, line); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(s.hits, had) || s.asked != nil {
		t.Errorf("hits %v, asked %v", s.hits, s.asked)
	}
}
