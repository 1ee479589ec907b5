package motif

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"hindcast.dev/history"
	"pgregory.net/rapid"
)

// A slowEnd is one end of a message on a node: when, with whom, under what name.
type slowEnd struct {
	event, peer int
	out         bool
	name        string
}

// ends are those of a node, in order: an event receives before it sends. What a node
// sends to itself has its ends, too.
func (w *slowWorld) ends(node int) (out []slowEnd) {
	for e := range w.events {
		for _, f := range w.flights {
			if f.to == node && f.recv == e {
				out = append(out, slowEnd{e, f.from, false, f.name})
			}
		}
		seen := map[int]bool{}
		for _, f := range w.flights {
			if f.from == node && f.send == e && !seen[f.message] {
				seen[f.message] = true
				out = append(out, slowEnd{e, f.to, true, f.name})
			}
		}
	}
	return out
}

// began is the event that a node handles at another: the last that is no mere step.
func (w *slowWorld) began(node, event int) int {
	for e := event; e >= 0; e-- {
		if w.events[e].node == node && w.events[e].name != "step" {
			return e
		}
	}
	return -1
}

// slowFans are the stretches of a fan, as the events of its node, a line each. One
// ends where it can't go on for a reason that is looked for anew at each message.
func (w *slowWorld) slowFans(m *Motif) (lines []string) {
	active := map[int]bool{}
	for node := range slowNodes {
		active[node] = len(w.ends(node)) > 0
	}
	want := m.fan.count
	if want == 0 {
		for _, a := range active {
			if a {
				want++
			}
		}
		want = max(want-1, 1)
	}
	for node := range slowNodes {
		var run []slowEnd
		flush := func() {
			if len(run) >= want {
				line := slowNodes[node]
				for _, e := range run {
					line += fmt.Sprint(" ", e.event)
				}
				lines = append(lines, line)
			}
			run = nil
		}
		for _, e := range w.ends(node) {
			if e.out == m.fan.in {
				flush()
				continue
			}
			if e.peer == node || m.fan.want.name != "" && e.name != m.fan.want.name {
				continue
			}
			if len(run) > 0 {
				late := m.within > 0 && w.events[e.event].at.Sub(w.events[run[0].event].at) > m.within
				other := e.out && w.began(node, e.event) != w.began(node, run[0].event)
				again := slices.ContainsFunc(run, func(r slowEnd) bool { return r.peer == e.peer })
				if late || other || again {
					flush()
				}
			}
			run = append(run, e)
		}
		flush()
	}
	slices.Sort(lines)
	return lines
}

func TestFansAreTheStretchesThatASlowLookFinds(t *testing.T) {
	matches := 0
	rapid.Check(t, func(t *rapid.T) {
		w, src := drawWorld(t)
		m, err := Parse(rapid.SampledFrom([]string{"broadcast", "gather"}).Draw(t, "fan") +
			rapid.SampledFrom([]string{"", " 1", " 2"}).Draw(t, "count") + rapid.SampledFrom([]string{"", " P"}).Draw(t, "name") +
			rapid.SampledFrom([]string{"", " within 2s"}).Draw(t, "within"))
		if err != nil {
			t.Fatal(err)
		}
		r, err := Find(context.Background(), src, m, Options{})
		if err != nil {
			t.Fatal(err)
		}
		order := map[history.Position]int{}
		es, err := src.Before(context.Background(), history.End, 100, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := range es {
			order[es[i].Position] = i
		}
		var got []string
		for _, match := range r.Matches {
			line := src.Meta().Nodes[match.Nodes[0]].Name
			for _, p := range match.Parts {
				if p.Lane == 0 {
					line += fmt.Sprint(" ", order[p.Position])
				}
			}
			got = append(got, line)
		}
		slices.Sort(got)
		matches += len(got)
		if want := w.slowFans(m); !slices.Equal(got, want) {
			t.Fatalf("%s in\n%+v\n%+v\ngives %q, want %q", m, w.events, w.flights, got, want)
		}
	})
	if matches == 0 {
		t.Error("nothing was ever found")
	}
}
