package tui

import (
	"io"
	"strings"
	"sync"
	"testing"

	tea "charm.land/bubbletea/v2"

	"hindcast.dev/debug"
	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/hlc"
	"hindcast.dev/live"
)

// A growing History is fed by a test.
type growing struct {
	tail *history.Tail
	mu   sync.Mutex
	next chan struct{}
	seq  uint64
	over bool
}

func grows(t testing.TB) *growing {
	t.Helper()
	g := &growing{tail: history.NewTail(0), next: make(chan struct{})}
	if err := g.tail.Grow(&history.Meta{Nodes: []history.Node{{Name: "n1"}, {Name: "n2"}}, Vars: []history.Var{{Name: "kv.v"}}}); err != nil {
		t.Fatal(err)
	}
	return g
}

// add adds n events, on n1.
func (g *growing) add(t testing.TB, n int) {
	t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	for range n {
		g.seq++
		e := &history.Event{Position: history.Position{Time: hlc.Timestamp(g.seq) << 40, Seq: g.seq}, Kind: "set", Changes: []history.Change{{Value: event.Uint(g.seq)}}}
		if err := g.tail.Feed(e); err != nil {
			t.Fatal(err)
		}
	}
	close(g.next)
	g.next = make(chan struct{})
}

func (g *growing) end() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.over = true
	close(g.next)
	g.next = make(chan struct{})
}

func (g *growing) Now() history.Source { return g.tail.Now() }

func (g *growing) Changed() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.next
}

func (g *growing) Status() live.Status {
	g.mu.Lock()
	defer g.mu.Unlock()
	return live.Status{Reach: hlc.Timestamp(g.seq) << 40, Ended: g.over, Nodes: []live.NodeStatus{{Name: "n1"}, {Name: "n2", Silent: "connection refused"}}}
}

func TestWhatGrowsIsFollowedOnRequestAndElseThePlaceStays(t *testing.T) {
	g := grows(t)
	g.add(t, 3)
	s := debug.NewSession(g.Now(), io.Discard)
	s.Live = g
	m := newModel(t.Context(), Options{Title: "live", Session: s, Environ: []string{}})
	m.every = 0
	d := &driver{t: t, m: m}
	ended := make(chan error, 1)
	go func() { ended <- m.survey.Run(t.Context()) }()
	surveyed := func(n uint64) {
		for {
			changed := m.survey.Changed()
			if m.survey.Status().Events == n && m.survey.Index() != nil {
				return
			}
			<-changed
		}
	}
	surveyed(3)
	d.send(tea.WindowSizeMsg{Width: 80, Height: 24})
	d.send(grown{})
	d.press("]")
	if got := d.screen(); !strings.Contains(got, "n1:1") || !strings.Contains(got, "1 of 3") || !strings.Contains(got, "n2 isn't heard") {
		t.Errorf("at first the screen is\n%s", got)
	}
	g.add(t, 2)
	surveyed(5)
	d.send(grown{})
	if got := d.screen(); !strings.Contains(got, "1 of 5") || strings.Count(got, "● set") != 4 {
		t.Errorf("with more the screen is\n%s", got)
	}
	d.press("F")
	if got := d.screen(); !strings.Contains(got, "5 of 5") {
		t.Errorf("following the screen is\n%s", got)
	}
	g.add(t, 40)
	surveyed(45)
	d.send(grown{})
	if got := d.screen(); !strings.Contains(got, "45 of 45") || !strings.Contains(got, "n1:45") {
		t.Errorf("following further the screen is\n%s", got)
	}
	d.press("[")
	g.add(t, 1)
	surveyed(46)
	d.send(grown{})
	if got := d.screen(); !strings.Contains(got, "44 of 46") {
		t.Errorf("after a step back the screen is\n%s", got)
	}
	d.press("0")
	if got := d.screen(); !strings.Contains(got, "n2        ?") {
		t.Errorf("the overview is\n%s", got)
	}
	g.end()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	d.send(grown{})
	if got := d.screen(); !strings.Contains(got, "ended") {
		t.Errorf("at the end the screen is\n%s", got)
	}
}
