package tui

import (
	"fmt"

	tea "charm.land/bubbletea/v2"

	"hindcast.dev/history"
)

// move carries out an arrow: it goes where it points.
func (m *model) move(dx, dy int) tea.Cmd {
	switch {
	case m.help != nil:
		m.help.cur += dy
		m.help.top += dy
		m.help.fit(m.h - 2)
		return nil
	case m.focus == 0 && m.scope.on:
		return m.moveScope(dx, dy)
	case m.focus == 0 || m.side == paneList:
		return m.moveCut(dx, dy)
	case m.side == paneState && dx != 0:
		return m.tree.fold(&m.sides[paneState], dx > 0)
	}
	l := &m.sides[m.side]
	l.moved = true
	l.cur += dy
	l.fit(m.places().side.h)
	return nil
}

// moveCut goes to the event above or below, or chooses the lane beside.
func (m *model) moveCut(dx, dy int) tea.Cmd {
	switch {
	case dy > 0:
		return m.stepOn()
	case dy < 0:
		return m.stepBack()
	}
	m.lane = max(min(m.lane+dx, len(m.meta.Nodes)-1), 0)
	return nil
}

// page goes on or back by a screenful.
func (m *model) page(by int) tea.Cmd {
	p := m.places()
	switch {
	case m.help != nil:
		return m.move(0, by*max(m.h-3, 1))
	case m.focus == 0 && m.scope.on:
		return m.moveScope(by*max(p.main.w/4, 1), 0)
	case m.focus == 1 && m.side != paneList:
		return m.move(0, by*max(p.side.h-1, 1))
	}
	h := p.main.h
	if m.focus == 1 {
		h = p.side.h
	}
	if by < 0 {
		return m.ask(fmt.Sprint("back ", max(h/2, 1)))
	}
	return m.ask(fmt.Sprint("step ", max(h/2, 1)))
}

// toEnd goes to the beginning or the end of what has the focus.
func (m *model) toEnd(last bool) tea.Cmd {
	l := m.help
	if m.focus == 1 && m.side != paneList && l == nil {
		l = &m.sides[m.side]
		l.moved = true
	}
	switch {
	case l != nil && last:
		l.cur, l.top = len(l.lines)-1, len(l.lines)
	case l != nil:
		l.cur, l.top = 0, 0
	case last:
		return m.ask("goto END")
	default:
		return m.ask("goto START")
	}
	return nil
}

// enter goes where the chosen line leads.
func (m *model) enter() tea.Cmd {
	if m.help != nil {
		return nil
	}
	if m.focus == 0 {
		if m.scope.on || m.lane != m.at.Node || m.at == history.Begin {
			return m.toLane()
		}
		return m.open(paneEvent)
	}
	if m.side == paneList {
		return m.open(paneEvent)
	}
	l := &m.sides[m.side]
	if l.cur >= len(l.lines) {
		return nil
	}
	n := l.lines[l.cur]
	switch {
	case n.open != "":
		m.tree.toggle(n.open)
		l.stale = true
	case n.do != "":
		return m.ask(n.do)
	}
	return nil
}

// open shows a pane and gives it the focus.
func (m *model) open(p pane) tea.Cmd {
	m.help = nil
	m.side, m.focus = p, 1
	return nil
}

// focusNext gives the focus to the next of the diagram and the panes.
func (m *model) focusNext(by int) tea.Cmd {
	at := 0
	if m.focus == 1 {
		at = int(m.side) + 1
	}
	at = (at + by + int(panes) + 1) % (int(panes) + 1)
	if m.focus = min(at, 1); at > 0 {
		m.side = pane(at - 1)
	}
	return nil
}

// toggleAlone gives what has the focus all of the screen, or its share of it.
func (m *model) toggleAlone() tea.Cmd {
	m.alone = !m.alone
	return nil
}
