package motif

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"hindcast.dev/history"
	"hindcast.dev/hlc"
	"pgregory.net/rapid"
)

// A slowEvent and a slowFlight are what the generator made, which the slow matcher
// looks at instead of the History.
type slowEvent struct {
	node int
	name string
	at   hlc.Timestamp
}

type slowFlight struct {
	message, from, to, send, recv, cause int // events; recv −1: never
	name                                 string
}

type slowWorld struct {
	events  []slowEvent
	flights []slowFlight
}

var slowNodes = []string{"n1", "n2", "n3"}

// drawWorld makes a small History of three nodes: timers, what isn't handled for its
// own sake, messages, some lost, some received twice.
func drawWorld(t *rapid.T) (*slowWorld, history.Source) {
	w, b := &slowWorld{}, history.NewBuilder()
	for _, n := range slowNodes {
		b.AddNode(n, "")
	}
	handled := []int{-1, -1, -1}
	at := hlc.FromTime(time.Unix(1_000_000_000, 0))
	for i := range rapid.IntRange(1, 9).Draw(t, "events") {
		at = at.Add(time.Duration(rapid.IntRange(1, 3).Draw(t, "gap")) * time.Second)
		n := rapid.IntRange(0, 2).Draw(t, "node")
		e := history.EventSpec{Event: history.Event{Position: history.Position{Time: at}, Kind: rapid.SampledFrom([]string{"timer", "step"}).Draw(t, "kind"), Name: "T"}}
		var came []int
		for f := range w.flights {
			if w.flights[f].to == n && w.flights[f].send < i {
				came = append(came, f)
			}
		}
		if len(came) > 0 && rapid.IntRange(0, 3).Draw(t, "receives") > 0 {
			f := rapid.SampledFrom(came).Draw(t, "which")
			m := w.flights[f]
			e.Kind, e.Name, e.ID, e.Peer = "recv", m.name, fmt.Sprint(m.message), slowNodes[m.from]
			w.arrive(m.message, i)
		}
		if e.Kind != "step" {
			handled[n] = i
		}
		for range rapid.IntRange(0, 2).Draw(t, "sends") {
			m := slowFlight{len(w.flights), n, rapid.IntRange(0, 2).Draw(t, "to"), i, -1, handled[n], rapid.SampledFrom([]string{"P", "Q"}).Draw(t, "name")}
			for slices.ContainsFunc(w.flights, func(f slowFlight) bool { return f.message == m.message }) {
				m.message++
			}
			w.flights = append(w.flights, m)
			e.Effects = append(e.Effects, history.Effect{Kind: "send", ID: fmt.Sprint(m.message), Peer: slowNodes[m.to], Name: m.name})
		}
		w.events = append(w.events, slowEvent{n, e.Kind, at})
		b.Append(slowNodes[n], e)
	}
	src, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(w.flights, func(a, b slowFlight) int {
		return slices.Compare([]int{a.send, a.message, a.recv}, []int{b.send, b.message, b.recv})
	})
	return w, src
}

// arrive says that a message is received, perhaps not for the first time.
func (w *slowWorld) arrive(message, event int) {
	for f := range w.flights {
		if m := &w.flights[f]; m.message == message {
			if m.recv < 0 {
				m.recv = event
				return
			}
			again := *m
			again.recv = event
			w.flights = append(w.flights, again)
			return
		}
	}
}

// drawMotif makes the text of a motif.
func drawMotif(t *rapid.T) string {
	lane := func() string {
		return rapid.SampledFrom([]string{"a", "a", "b", "b", "c", "n2"}).Draw(t, "lane")
	}
	arrow := func() string { return rapid.SampledFrom([]string{"->", "->", "->", "-P->"}).Draw(t, "arrow") }
	var chains []string
	open := 0
	for i := range rapid.IntRange(1, 3).Draw(t, "chains") {
		switch rapid.IntRange(0, 6).Draw(t, "form") {
		case 0:
			chains = append(chains, lane()+": timer")
		case 1:
			chains = append(chains, lane()+" -x "+lane())
		case 2:
			chains = append(chains, fmt.Sprintf("%s -> ?m%d", lane(), i))
			open = i + 1
		case 3:
			if open > 0 {
				chains = append(chains, fmt.Sprintf("?m%d -> %s", open-1, lane()))
				continue
			}
			fallthrough
		case 4:
			chains = append(chains, fmt.Sprint(lane(), " ", arrow(), " ", lane(), " ", arrow(), " ", lane()))
		default:
			chains = append(chains, fmt.Sprint(lane(), " ", arrow(), " ", lane()))
		}
	}
	if len(chains) > 1 && rapid.Bool().Draw(t, "no") {
		chains[len(chains)-1] = "no " + chains[len(chains)-1]
	}
	return strings.Join(chains, ", ") + rapid.SampledFrom([]string{"", "", " within 4s"}).Draw(t, "within")
}

// A slowMatch tries everything.
type slowMatch struct {
	*slowWorld
	m *Motif
}

// candidates are all numbers that step i may have at all: of an event, or a flight.
func (s *slowMatch) candidates(i int) []int {
	st := &s.m.steps[i]
	var out []int
	if st.act == does {
		for e := range s.events {
			if st.want.name == "" || s.events[e].name == st.want.name {
				out = append(out, e)
			}
		}
		return out
	}
	for f, fl := range s.flights {
		if st.act == receives && fl.recv >= 0 || st.act == sends && (st.want.name == "" || st.want.name == fl.name) && (!st.lost || fl.recv < 0) {
			out = append(out, f)
		}
	}
	if st.act == sends && !s.bound(i, st.lane) && st.to >= 0 && s.bound(i, st.to) && i+1 < len(s.m.steps) && s.m.steps[i+1].act == receives && s.m.steps[i+1].flight == st.flight {
		out = slices.DeleteFunc(out, func(f int) bool { return s.flights[f].recv < 0 })
		slices.SortStableFunc(out, func(a, b int) int { return s.flights[a].recv - s.flights[b].recv })
	}
	return out
}

// bound reports whether a lane's node is known before step i.
func (s *slowMatch) bound(i, lane int) bool {
	return slices.Contains(slowNodes, s.m.lanes[lane].name) || slices.ContainsFunc(s.m.steps[:i], func(st step) bool {
		return st.lane == lane || st.act == sends && st.to == lane
	})
}

func (s *slowMatch) place(i, c int) (event int) {
	switch s.m.steps[i].act {
	case sends:
		return s.flights[c].send
	case receives:
		return s.flights[c].recv
	}
	return c
}

// holds reports whether the first steps, as chosen, agree with each other.
func (s *slowMatch) holds(chosen []int) bool {
	nodes := map[int]int{}
	is := func(lane, node int) bool {
		if n := slices.Index(slowNodes, s.m.lanes[lane].name); n >= 0 && n != node {
			return false
		}
		for l, n := range nodes {
			if (l == lane) != (n == node) {
				return false
			}
		}
		nodes[lane] = node
		return true
	}
	for l := range s.m.lanes { // a node that is named is that lane, and no other
		if n := slices.Index(slowNodes, s.m.lanes[l].name); n >= 0 && !is(l, n) {
			return false
		}
	}
	sent, got := map[int]int{}, map[int]int{}
	for i, c := range chosen {
		st, at := &s.m.steps[i], s.place(i, c)
		if !is(st.lane, s.events[at].node) || st.lost && st.to >= 0 && !is(st.to, s.flights[c].to) {
			return false
		}
		if d := s.events[at].at.Sub(s.events[s.place(0, chosen[0])].at); s.m.within > 0 && (d > s.m.within || -d > s.m.within) {
			return false
		}
		for j, before := range chosen[:i] {
			if s.m.steps[j].lane == st.lane && !s.after(j, s.place(j, before), i, at) {
				return false
			}
		}
		switch st.act {
		case sends:
			for f, other := range sent {
				if f != st.flight && s.flights[other].message == s.flights[c].message {
					return false
				}
			}
			if st.caused && s.flights[c].cause != s.place(i-1, chosen[i-1]) {
				return false
			}
			sent[st.flight] = c
		case receives:
			was, again := got[st.flight]
			if !again && c != sent[st.flight] || again && (c <= was || s.flights[c].message != s.flights[was].message) {
				return false
			}
			got[st.flight] = c
		}
	}
	return true
}

// after reports whether step i at event b can come after step j at a on one lane.
func (s *slowMatch) after(j, a, i, b int) bool {
	rank := map[act]int{receives: 0, does: 1, sends: 2}
	x, y := s.m.steps[j].act, s.m.steps[i].act
	return a < b || a == b && rank[x] <= rank[y] && !(x == does && y == does)
}

// extend finds the first way to go on to the end.
func (s *slowMatch) extend(chosen []int, end int) []int {
	if len(chosen) == end {
		if end == s.m.no && end < len(s.m.steps) && s.extend(chosen, len(s.m.steps)) != nil {
			return nil
		}
		return slices.Clone(chosen)
	}
	for _, c := range s.candidates(len(chosen)) {
		next := append(chosen[:len(chosen):len(chosen)], c)
		if s.holds(next) {
			if found := s.extend(next, end); found != nil {
				return found
			}
		}
	}
	return nil
}

// all is what Find ought to find, a line for each match.
func (s *slowMatch) all() (lines []string) {
	for _, c := range s.candidates(0) {
		if !s.holds([]int{c}) {
			continue
		}
		found := s.extend([]int{c}, s.m.no)
		if found == nil {
			continue
		}
		line := ""
		for i, c := range found {
			line += fmt.Sprint(s.place(i, c), " ")
		}
		if len(lines) == 0 || lines[len(lines)-1] != line {
			lines = append(lines, line)
		}
	}
	return lines
}

func TestFindFindsWhatTryingEverythingFinds(t *testing.T) {
	matches := 0
	rapid.Check(t, func(t *rapid.T) {
		w, src := drawWorld(t)
		text := drawMotif(t)
		m, err := Parse(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
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
			line := ""
			for _, p := range match.Parts {
				line += fmt.Sprint(order[p.Position], " ")
			}
			got = append(got, line)
		}
		matches += len(got)
		if want := (&slowMatch{w, m}).all(); !slices.Equal(got, want) {
			t.Fatalf("%s (%s) in\n%+v\n%+v\ngives %q, want %q", text, m, w.events, w.flights, got, want)
		}
	})
	if matches == 0 {
		t.Error("nothing was ever found")
	}
}
