package tui

import (
	"fmt"
	"io"
	"strings"

	tea "charm.land/bubbletea/v2"
)

// A key is one entry of the table of keys, which help shows.
type key struct {
	keys  []string // as tea names them
	what  string
	group string
	do    func(m *model) tea.Cmd
}

// keyTable is what keys do where no line is being typed. The letters are those of
// the page.
func keyTable() []key {
	return []key{
		{[]string{"]"}, "step: one event on, of the whole system", "Time", (*model).stepOn},
		{[]string{"["}, "back: one event back", "Time", (*model).stepBack},
		{[]string{"}"}, "step on in the chosen lane", "Time", func(m *model) tea.Cmd { return m.stepLane("next") }},
		{[]string{"{"}, "step back in the chosen lane", "Time", func(m *model) tea.Cmd { return m.stepLane("prev") }},
		{[]string{"c"}, "go to the cause of the event", "Time", func(m *model) tea.Cmd { return m.ask("cause") }},
		{[]string{"n"}, "next hit, row of the query, or mark", "Time", func(m *model) tea.Cmd { return m.nextHit(1) }},
		{[]string{"p"}, "the one before", "Time", func(m *model) tea.Cmd { return m.nextHit(-1) }},
		{[]string{"g"}, "go to the beginning", "Time", func(m *model) tea.Cmd { return m.ask("goto START") }},
		{[]string{"G"}, "go to the end", "Time", func(m *model) tea.Cmd { return m.ask("goto END") }},
		{[]string{">"}, "continue to the next breakpoint", "Time", func(m *model) tea.Cmd { return m.ask("continue") }},
		{[]string{"<"}, "rewind to the last breakpoint", "Time", func(m *model) tea.Cmd { return m.ask("rewind") }},
		{[]string{"u"}, "undo", "Time", func(m *model) tea.Cmd { return m.ask("undo") }},
		{[]string{"U"}, "redo", "Time", func(m *model) tea.Cmd { return m.ask("redo") }},

		{[]string{"up", "k"}, "up: an event back, a lane or a line up", "Move", func(m *model) tea.Cmd { return m.move(0, -1) }},
		{[]string{"down", "j"}, "down: an event on, a lane or a line down", "Move", func(m *model) tea.Cmd { return m.move(0, 1) }},
		{[]string{"left", "h"}, "the lane to the left; earlier in the overview; close in the state", "Move", func(m *model) tea.Cmd { return m.move(-1, 0) }},
		{[]string{"right", "l"}, "the lane to the right; later in the overview; open in the state", "Move", func(m *model) tea.Cmd { return m.move(1, 0) }},
		{[]string{"pgup", "ctrl+b"}, "a screenful back, or up", "Move", func(m *model) tea.Cmd { return m.page(-1) }},
		{[]string{"pgdown", "ctrl+f", "space"}, "a screenful on, or down", "Move", func(m *model) tea.Cmd { return m.page(1) }},
		{[]string{"home"}, "the beginning, or the top", "Move", func(m *model) tea.Cmd { return m.toEnd(false) }},
		{[]string{"end"}, "the end, or the bottom", "Move", func(m *model) tea.Cmd { return m.toEnd(true) }},
		{[]string{"enter"}, "go where the line leads; open or close it", "Move", (*model).enter},
		{[]string{"tab"}, "the next pane", "Move", func(m *model) tea.Cmd { return m.focusNext(1) }},
		{[]string{"shift+tab"}, "the pane before", "Move", func(m *model) tea.Cmd { return m.focusNext(-1) }},

		{[]string{"+", "="}, "zoom in: from the whole run to single events", "View", func(m *model) tea.Cmd { return m.zoom(1) }},
		{[]string{"-", "_"}, "zoom out", "View", func(m *model) tea.Cmd { return m.zoom(-1) }},
		{[]string{"0", "f"}, "the whole run", "View", (*model).whole},
		{[]string{"z"}, "bring the cut into view, near", "View", (*model).nearView},
		{[]string{"a"}, "another axis of the overview: time, order", "View", (*model).nextAxis},
		{[]string{"v"}, "the pane alone on the screen, or beside the others", "View", (*model).toggleAlone},
		{[]string{"F"}, "follow a running cluster", "View", (*model).toggleFollow},
		{[]string{"ctrl+l"}, "draw the screen anew", "View", func(*model) tea.Cmd { return tea.ClearScreen }},

		{[]string{"1"}, "Event", "Panes", func(m *model) tea.Cmd { return m.open(paneEvent) }},
		{[]string{"2"}, "State", "Panes", func(m *model) tea.Cmd { return m.open(paneState) }},
		{[]string{"3"}, "Query: what commands answer", "Panes", func(m *model) tea.Cmd { return m.open(paneQuery) }},
		{[]string{"4"}, "Notes: the marks", "Panes", func(m *model) tea.Cmd { return m.open(paneNotes) }},
		{[]string{"5"}, "Diff: before and after the event", "Panes", func(m *model) tea.Cmd { return m.open(paneDiff) }},
		{[]string{"6"}, "List of the events", "Panes", func(m *model) tea.Cmd { return m.open(paneList) }},
		{[]string{"m"}, "mark the place", "Panes", func(m *model) tea.Cmd { return m.typeLine(':', "mark ") }},
		{[]string{"/"}, "search the events; in the state pane, the state", "Panes", func(m *model) tea.Cmd { return m.typeLine('/', "") }},
		{[]string{":", "ctrl+k"}, "a command: Tab completes it, ↑ brings earlier ones", "Panes", func(m *model) tea.Cmd { return m.typeLine(':', "") }},
		{[]string{"?"}, "these keys and all commands", "Panes", (*model).toggleHelp},
		{[]string{"esc"}, "end the command that runs; close what is open", "Panes", (*model).escape},
		{[]string{"ctrl+c"}, "end the command that runs; again: quit", "Panes", (*model).interrupt},
		{[]string{"ctrl+z"}, "suspend", "Panes", func(*model) tea.Cmd { return tea.Suspend }},
		{[]string{"q"}, "quit", "Panes", (*model).quit},
	}
}

// shownKeys is how help names keys.
func shownKeys(keys []string) string {
	names := map[string]string{"up": "↑", "down": "↓", "left": "←", "right": "→", "pgup": "PgUp", "pgdown": "PgDn", "home": "Home", "end": "End",
		"enter": "Enter", "tab": "Tab", "shift+tab": "Shift-Tab", "esc": "Esc", "space": "Space"}
	var out []string
	for _, k := range keys {
		name, ok := names[k]
		if c, found := strings.CutPrefix(k, "ctrl+"); found {
			name, ok = "Ctrl-"+strings.ToUpper(c), true
		}
		if !ok {
			name = k
		}
		out = append(out, name)
	}
	return strings.Join(out, " ")
}

// WriteDoc writes the table of keys as Markdown.
func WriteDoc(w io.Writer) error {
	fmt.Fprint(w, "| key | what it does |\n|---|---|\n")
	group := ""
	for _, k := range keyTable() {
		if k.group != group {
			group = k.group
			fmt.Fprintf(w, "| | **%s** |\n", group)
		}
		if _, err := fmt.Fprintf(w, "| `%s` | %s |\n", strings.ReplaceAll(shownKeys(k.keys), " ", "` `"), k.what); err != nil {
			return err
		}
	}
	return nil
}
