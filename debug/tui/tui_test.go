package tui

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"
	"go.uber.org/goleak"

	"hindcast.dev/debug"
	"hindcast.dev/doctest"
	"hindcast.dev/history"
)

var rewrite = flag.Bool("rewrite", false, "write the screens into the scripts")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A driver is who sits before a model: it carries out what the model wants done,
// one thing after the other.
type driver struct {
	t    testing.TB
	m    *model
	quit bool
}

func drive(t testing.TB, src history.Source, w, h int, plain bool) *driver {
	t.Helper()
	s := debug.NewSession(src, io.Discard)
	d := &driver{t: t, m: newModel(t.Context(), Options{Title: "store", Session: s, Plain: plain, Environ: []string{}})}
	d.m.every = 0
	d.run(d.m.Init())
	d.send(tea.WindowSizeMsg{Width: w, Height: h})
	return d
}

// send has the model update, and does what comes of it.
func (d *driver) send(msg tea.Msg) {
	_, cmd := d.m.Update(msg)
	d.run(cmd)
}

func (d *driver) run(cmd tea.Cmd) {
	if cmd == nil {
		return
	}
	switch msg := cmd().(type) {
	case nil:
	case tea.BatchMsg:
		for _, c := range msg {
			d.run(c)
		}
	case tea.QuitMsg:
		d.quit = true
	default:
		d.send(msg)
	}
}

// keyCodes are the keys that aren't characters.
var keyCodes = map[string]rune{"enter": tea.KeyEnter, "esc": tea.KeyEscape, "tab": tea.KeyTab, "up": tea.KeyUp, "down": tea.KeyDown, "left": tea.KeyLeft,
	"right": tea.KeyRight, "pgup": tea.KeyPgUp, "pgdown": tea.KeyPgDown, "home": tea.KeyHome, "end": tea.KeyEnd, "backspace": tea.KeyBackspace, "delete": tea.KeyDelete}

func keyPress(name string) tea.KeyPressMsg {
	if code, ok := keyCodes[name]; ok {
		return tea.KeyPressMsg{Code: code}
	}
	if c, ok := strings.CutPrefix(name, "ctrl+"); ok {
		return tea.KeyPressMsg{Code: rune(c[0]), Mod: tea.ModCtrl}
	}
	if name == "shift+tab" {
		return tea.KeyPressMsg{Code: tea.KeyTab, Mod: tea.ModShift}
	}
	if name == "space" {
		return tea.KeyPressMsg{Code: tea.KeySpace, Text: " "}
	}
	return tea.KeyPressMsg{Code: []rune(name)[0], Text: name}
}

func (d *driver) press(names ...string) {
	for _, n := range names {
		d.send(keyPress(n))
	}
}

// types types a text.
func (d *driver) types(text string) {
	for _, c := range text {
		d.send(tea.KeyPressMsg{Code: c, Text: string(c)})
	}
}

// screen is what is drawn, without styles. The cursor is shown as █.
func (d *driver) screen() string {
	s, cursor := d.m.draw()
	if cursor != nil {
		s.all().set(cursor.X, cursor.Y, '█', 0)
	}
	return s.render(d.m.look, false)
}

// TestScreens runs testdata/*.txt. A script is a row of blocks: a line of words, its
// input, "----", the screen with a bar before each row, an empty line. Lines that
// begin with # between blocks are comments. The words:
//
//	open W H [ascii]   shows the History in the input, in its text form
//	size W H           the terminal gets another size
//	keys               presses the keys in the input, by name; a line that begins
//	                   with > types the rest of it and Enter
//
// A moment is written @7 or @7.5, seconds after the beginning of 2026.
func TestScreens(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".txt"), func(t *testing.T) { runScript(t, f) })
	}
}

func runScript(t *testing.T, file string) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	var d *driver
	lines := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	for i := 0; i < len(lines); {
		if lines[i] == "" || lines[i][0] == '#' {
			all.WriteString(lines[i] + "\n")
			i++
			continue
		}
		at, words := i+1, lines[i]
		input, want, next := block(lines, i+1)
		i = next
		d = carryOut(t, d, words, input)
		got := "|" + strings.ReplaceAll(d.screen(), "\n", "\n|") + "\n"
		if d.quit {
			got = "quit\n"
		}
		if got != want && !*rewrite {
			t.Errorf("%s:%d: %s\n%sgot:\n%swant:\n%s", file, at, words, input, got, want)
		}
		fmt.Fprintf(&all, "%s\n%s----\n%s", words, input, got)
	}
	if *rewrite {
		if err := os.WriteFile(file, []byte(all.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func carryOut(t *testing.T, d *driver, words, input string) *driver {
	t.Helper()
	word, args, _ := strings.Cut(words, " ")
	var w, h int
	var ascii string
	_, _ = fmt.Sscan(args, &w, &h, &ascii) // keys have none
	switch word {
	case "open":
		return drive(t, load(t, input), w, h, ascii != "")
	case "size":
		d.send(tea.WindowSizeMsg{Width: w, Height: h})
	case "keys":
		for l := range strings.Lines(input) {
			l = strings.TrimRight(l, "\n")
			if text, ok := strings.CutPrefix(l, ">"); ok {
				d.types(text)
				d.press("enter")
			} else {
				d.press(strings.Fields(l)...)
			}
		}
	default:
		t.Fatalf("no such word: %s", word)
	}
	return d
}

// block reads the input and the expected output of the block whose input begins
// at line i.
func block(lines []string, i int) (input, want string, next int) {
	var in, out strings.Builder
	for ; i < len(lines) && lines[i] != "----"; i++ {
		in.WriteString(lines[i] + "\n")
	}
	for i++; i < len(lines) && lines[i] != ""; i++ {
		out.WriteString(lines[i] + "\n")
	}
	return in.String(), out.String(), i
}

var moment = regexp.MustCompile(`@(\d+)(\.\d+)?`)

func load(t testing.TB, text string) *history.Mem {
	t.Helper()
	text = moment.ReplaceAllStringFunc(text, func(m string) string {
		p := moment.FindStringSubmatch(m)
		return fmt.Sprintf(`"2026-01-01T00:00:%02s%sZ"`, p[1], p[2])
	})
	src, err := history.ReadText(strings.NewReader(text), "load", history.TextOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return src
}

// store is the History of the first script.
func store(t testing.TB) *history.Mem {
	t.Helper()
	text, err := os.ReadFile("testdata/store.txt")
	if err != nil {
		t.Fatal(err)
	}
	for lines, i := strings.Split(string(text), "\n"), 0; i < len(lines); i++ {
		if strings.HasPrefix(lines[i], "open ") {
			input, _, _ := block(lines, i+1)
			return load(t, input)
		}
	}
	t.Fatal("the script opens nothing")
	return nil
}

// A slow source hangs in walks of more than nothing until they are cancelled, once
// it is told to.
type slow struct {
	*history.Mem
	hangs func(from, to history.Position) bool
	begun chan struct{}
}

func (s *slow) WalkThrough(ctx context.Context, from, to history.Position, nodes []int, lens history.Lens) (history.Cursor, error) {
	if s.hangs != nil && s.hangs(from, to) {
		s.begun <- struct{}{}
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return s.Mem.WalkThrough(ctx, from, to, nodes, lens)
}

func (s *slow) Walk(ctx context.Context, from, to history.Position, nodes []int) (history.Cursor, error) {
	return s.WalkThrough(ctx, from, to, nodes, history.Lens{All: true, Fields: history.AllFields})
}

func TestTheDocumentedKeysAreThoseOfTheTable(t *testing.T) {
	var want strings.Builder
	if err := WriteDoc(&want); err != nil {
		t.Fatal(err)
	}
	doctest.Section(t, "../../docs/debug.md", "<!-- made from debug/tui/keys.go", want.String(), *rewrite)
}

var pageKeys = regexp.MustCompile(`(?m)^  \{ group: '[^']*', keys: \[([^\]]*)\], what: '([^']*)'`)

// What the page has a letter for, the terminal has the same one for, but for what
// only a page has.
func TestTheKeysAreThoseOfThePage(t *testing.T) {
	b, err := os.ReadFile("../web/page/keys.js")
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]string{"ArrowLeft": "left", "ArrowRight": "right", "ArrowUp": "up", "ArrowDown": "down", "Escape": "esc", "Ctrl+k": "ctrl+k"}
	own := map[string]string{}
	for _, k := range keyTable() {
		for _, name := range k.keys {
			own[name] = k.what
		}
	}
	onlyPage := regexp.MustCompile(`^(light or dark|merge the chosen lane)`)
	found := pageKeys.FindAllStringSubmatch(string(b), -1)
	if len(found) < 20 {
		t.Fatalf("only %d keys are found in keys.js", len(found))
	}
	for _, m := range found {
		for _, quoted := range strings.Split(m[1], ", ") {
			name := strings.Trim(quoted, "'")
			if n, ok := names[name]; ok {
				name = n
			}
			if own[name] == "" && !onlyPage.MatchString(m[2]) {
				t.Errorf("the page has %s, %q, which the terminal hasn't", name, m[2])
			}
			first, _, _ := strings.Cut(m[2], ":")
			if len(name) == 1 && strings.ContainsAny(name, "[]{}cngGuU+-=0z") && !strings.HasPrefix(own[name], first) {
				t.Errorf("%s is %q on the page and %q in the terminal", name, m[2], own[name])
			}
		}
	}
}
