package tui

import (
	"context"
	"fmt"
	"time"

	tea "charm.land/bubbletea/v2"

	"hindcast.dev/debug"
	"hindcast.dev/termtext"
)

// growEvery is how often the screen follows what grows at most.
const growEvery = 200 * time.Millisecond

// await waits until there is more of what grows.
func (m *model) await() tea.Cmd {
	if m.live == nil || m.every == 0 || m.waiting || m.live.Ended != "" {
		return nil
	}
	m.waiting = true
	changed, every := m.survey.Changed(), min(m.every, growEvery)
	return m.work.do(func(ctx context.Context) tea.Msg {
		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		}
		t := time.NewTimer(every)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
		}
		return grown{}
	})
}

// lookAgain has the session take in what there is more.
func (m *model) lookAgain() tea.Cmd {
	if !m.grown || m.running != nil {
		return nil
	}
	m.grown = false
	return m.enqueue(job{line: "live", looks: true})
}

// tellLive takes in how far what grows is, and what the session says of that.
func (m *model) tellLive(a answered) {
	for _, p := range a.answer.Parts {
		switch p := p.(type) {
		case *debug.LiveStatus:
			m.live = p
		case *debug.Remark:
			m.message = message{text: p.Text}
		}
	}
}

// toggleFollow keeps the place at the end of what grows, or lets it be.
func (m *model) toggleFollow() tea.Cmd {
	if m.live != nil && m.live.Following {
		return m.ask("follow off")
	}
	return m.ask("follow")
}

// reach says how far what grows is.
func (m *model) reach() string {
	l := m.live
	if l == nil || l.Reach == 0 {
		return ""
	}
	text := "live, up to " + clock(l.Reach)
	switch {
	case l.Ended != "":
		text = "ended: " + l.Ended
	case l.Following:
		text = "following, up to " + clock(l.Reach)
	}
	silent := ""
	n := 0
	for _, node := range l.Nodes {
		if node.Silent != "" {
			n++
			silent = node.Node
		}
	}
	switch {
	case n == 1:
		text += "; " + termtext.Printable(silent) + " isn't heard"
	case n > 1:
		text += fmt.Sprintf("; %d nodes aren't heard", n)
	}
	return text
}

// isSilent reports whether a node isn't heard.
func (m *model) isSilent(name string) bool {
	if m.live == nil {
		return false
	}
	for _, n := range m.live.Nodes {
		if n.Node == name {
			return n.Silent != ""
		}
	}
	return false
}
