package tui

import (
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"hindcast.dev/termtext"
)

// Bounds on what is typed.
const (
	typedMax      = 10000 // characters of a line
	rememberedMax = 500   // lines
)

// A lineEditor is a line that is being typed.
type lineEditor struct {
	kind   rune // ':' a command, '/' a search
	text   []rune
	at     int      // the cursor's place
	before []string // lines typed before
	back   int      // how far back in them; 0 is the line itself
	own    []rune   // the line itself while an earlier one is shown
	tip    string   // what it may be completed to
}

// typeLine begins a line.
func (m *model) typeLine(kind rune, text string) tea.Cmd {
	m.help = nil
	m.line = &lineEditor{kind: kind, text: []rune(text), at: len([]rune(text)), before: m.typed[kind]}
	m.message = message{}
	return nil
}

// insert puts a text in at the cursor, of one line and safe.
func (l *lineEditor) insert(s string) {
	s = strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || r == '\r' {
			return ' '
		}
		return r
	}, s)
	add := []rune(termtext.Printable(s))
	add = add[:min(len(add), max(typedMax-len(l.text), 0))]
	l.text = slices.Insert(l.text, l.at, add...)
	l.at += len(add)
	l.tip = ""
}

// edit carries out a key while a line is typed.
func (m *model) edit(k tea.KeyPressMsg) tea.Cmd {
	l := m.line
	switch k.String() {
	case "enter":
		return m.enterLine()
	case "esc", "ctrl+c":
		m.line = nil
	case "tab":
		m.completeLine()
	case "backspace", "ctrl+h":
		if len(l.text) == 0 {
			m.line = nil
		} else if l.at > 0 {
			l.at--
			l.text = slices.Delete(l.text, l.at, l.at+1)
		}
	default:
		l.key(k)
	}
	return nil
}

// key moves the cursor, deletes, or inserts.
func (l *lineEditor) key(k tea.KeyPressMsg) {
	l.tip = ""
	switch k.String() {
	case "left", "ctrl+b":
		l.at = max(l.at-1, 0)
	case "right", "ctrl+f":
		l.at = min(l.at+1, len(l.text))
	case "home", "ctrl+a":
		l.at = 0
	case "end", "ctrl+e":
		l.at = len(l.text)
	case "delete", "ctrl+d":
		if l.at < len(l.text) {
			l.text = slices.Delete(l.text, l.at, l.at+1)
		}
	case "ctrl+u":
		l.text, l.at = slices.Clone(l.text[l.at:]), 0
	case "ctrl+k":
		l.text = l.text[:l.at]
	case "ctrl+w":
		from := strings.LastIndex(strings.TrimRight(string(l.text[:l.at]), " "), " ") + 1
		n := len([]rune(string(l.text[:l.at])[:from]))
		l.text = slices.Delete(l.text, n, l.at)
		l.at = n
	case "up", "ctrl+p":
		l.recall(1)
	case "down", "ctrl+n":
		l.recall(-1)
	default:
		if k.Text != "" {
			l.insert(k.Text)
		}
	}
}

// recall shows a line typed earlier, or later.
func (l *lineEditor) recall(by int) {
	back := l.back + by
	if back < 0 || back > len(l.before) {
		return
	}
	if l.back == 0 {
		l.own = l.text
	}
	if l.back = back; back == 0 {
		l.text = l.own
	} else {
		l.text = []rune(l.before[len(l.before)-back])
	}
	l.at = len(l.text)
}

// enterLine carries out what was typed.
func (m *model) enterLine() tea.Cmd {
	l := m.line
	m.line = nil
	text := strings.TrimSpace(string(l.text))
	if text != "" {
		m.remember(l.kind, text)
	}
	switch {
	case l.kind == '/' && m.side == paneState && m.focus == 1:
		m.tree.filter, m.tree.stale = strings.ToLower(text), true
		m.sides[paneState].cur, m.sides[paneState].top = 0, 0
	case text == "":
	case l.kind == '/':
		return m.command("find " + text)
	default:
		return m.command(text)
	}
	return nil
}

func (m *model) remember(kind rune, text string) {
	lines := m.typed[kind]
	if len(lines) > 0 && lines[len(lines)-1] == text {
		return
	}
	lines = append(lines, text)
	m.typed[kind] = lines[max(len(lines)-rememberedMax, 0):]
}

// completeLine completes the word before the cursor as far as that is certain, and
// shows what it may go on with.
func (m *model) completeLine() {
	l := m.line
	if l.kind != ':' {
		return
	}
	if m.running != nil { // the session is busy
		l.tip = "completion waits for the command that runs"
		return
	}
	head, candidates, tail := m.o.Session.Complete(string(l.text), len(string(l.text[:l.at])))
	switch len(candidates) {
	case 0:
		l.tip = "nothing completes this"
		return
	case 1:
		l.tip = ""
	default:
		l.tip = strings.Join(candidates, "  ")
	}
	word := candidates[0]
	for _, c := range candidates[1:] {
		n := 0
		for n < min(len(c), len(word)) && c[n] == word[n] {
			n++
		}
		word = strings.ToValidUTF8(word[:n], "")
	}
	if len(candidates) == 1 && !strings.HasSuffix(word, ":") && tail == "" {
		word += " "
	}
	if now := head + word; len(now) >= len(string(l.text[:l.at])) {
		l.text, l.at = []rune(now+tail), len([]rune(now))
	}
}

// draw draws the line, its end in view, and above it what it may be completed to.
func (l *lineEditor) draw(a area, s *screen) *tea.Cursor {
	if l.tip != "" && a.y > 0 {
		row := s.all().rows(a.y-1, 1)
		for x := range row.w {
			row.set(x, 0, ' ', 0)
		}
		row.line(0, 0, reverse, l.tip)
		row.paint(0, reverse)
	}
	x := a.text(0, 0, bold, string(l.kind))
	first, room := 0, a.w-x-1
	for first < l.at && termtext.Columns(string(l.text[first:l.at])) > room {
		first++
	}
	a.columns(x, a.w).text(0, 0, 0, string(l.text[first:]))
	return tea.NewCursor(a.x+x+termtext.Columns(string(l.text[first:l.at])), a.y)
}
