package debug

import (
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"hindcast.dev/debug/timeline"
	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/hlc"
	"hindcast.dev/termtext"
	"hindcast.dev/vfs"
)

// oddNames are names that somebody may give a node.
var oddNames = []string{"n1", "N1", "n:1", "n1:2", "a/b", `it's "quoted"`, `"n1"`, "new\nline", "tab\t", "rtl\u202eevil", "🚀", "nul\x00", "nul\x01", "nul·",
	" lead", "trail ", "two words", "two", "START", "12:30", "+1s", "-", "#", "%s", "<b>", "a=b&c", "'", "$1", "\\x00", strings.Repeat("long", 500)}

// oddly is a History of nodes with odd names, three events each.
func oddly(t *testing.T) history.Source {
	t.Helper()
	b := history.NewBuilder()
	for k := range 3 {
		for i, name := range oddNames {
			e := history.EventSpec{Event: history.Event{Position: history.Position{Time: hlc.Timestamp(1000*k+i+1) << 16}, Kind: "request", Name: "Put"}}
			e.Set = []history.Assign{{Path: "kv.n", Value: event.Int(int64(k))}}
			e.Effects = []history.Effect{{Kind: "send", ID: fmt.Sprint("m", k, "/", i), Peer: oddNames[(i+1)%len(oddNames)], Name: "Copy"}}
			b.Append(name, e)
		}
	}
	src, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return src
}

func TestEveryNodeIsReachedByItsNameHoweverOddThatIs(t *testing.T) {
	src := oddly(t)
	var out strings.Builder
	s := NewSession(src, &out)
	for n := range src.Meta().Nodes {
		name := src.Meta().Nodes[n].Name
		if p, err := s.Locate(t.Context(), name+":2"); name != `"n1"` && (err != nil || p.Node != n || p.Seq != 2) {
			t.Errorf("%q:2 leads to %v, %v", name, p, err)
		}
		shown := termtext.Name(name)
		for _, c := range []struct {
			line string
			seq  uint64
		}{{"goto " + shown + ":1", 1}, {"step " + shown, 2}, {"next " + shown, 3}, {"back " + shown + " 2", 1}, {"break node " + shown, 1}, {"continue", 2}, {"delete all", 2}} {
			if err := s.Do(t.Context(), c.line); err != nil || s.Position().Node != n || s.Position().Seq != c.seq {
				t.Errorf("%s: at %v, %v", c.line, s.Position(), err)
			}
		}
		a, err := s.Ask(t.Context(), "state "+shown)
		if err != nil || len(a.Parts) != 1 {
			t.Errorf("state %s: %v, %d parts", shown, err, len(a.Parts))
		}
		if back := s.name(s.Position()); back != a.Place.String() || back != shown+":2" {
			t.Errorf("%q: here is %s and %s", name, back, a.Place)
		}
	}
	for _, line := range []string{"nodes", "diagram", "log", "state", "event", "effects", "goto nothing:1", "step nothing", "query SHOW NODES", "compare x"} {
		_ = s.Do(t.Context(), line)
	}
	if text := out.String(); termtext.PrintableText(text) != text {
		t.Error("something was said that a terminal carries out")
	}
}

// tried are lines for every command: without arguments, with those of its examples,
// and with some that make no sense.
func tried() []string {
	lines := []string{"goto END", "goto +1s", "goto -1s", "state nothing", "diff START", "step 1000000000", "back 1000000000", "step -1", "diagram 500", "log 500",
		"find x", "rfind x", "where kv.n > 1", "rwhere kv.n > 1", "break kind recv", "break where kv.n = 1", "continue", "rewind", "query SELECT kv.n FROM kv", "print COUNT(kv.n) over START to END",
		"cause kv.n", "watch kv.n", "mark here \"a note\"", "goto here", "undo 100", "redo 100", "motif x -> y"}
	for _, c := range Commands() {
		switch c.Name {
		case "export", "quit", "whatif":
			continue
		}
		lines = append(lines, c.Name, c.Name+" \x00", c.Name+" "+strings.Repeat("9", 400))
		lines = append(lines, c.Examples...)
	}
	return lines
}

// Whatever is opened, a command gives an answer or says why not, in few words.
func TestEveryCommandAnswersWhateverIsOpened(t *testing.T) {
	many := history.NewBuilder()
	nodes := 10_000
	if testing.Short() {
		nodes = 2_000
	}
	for i := range nodes {
		many.Append(fmt.Sprint("node", i), history.EventSpec{Event: history.Event{Position: history.Position{Time: hlc.Timestamp(i+1) << 16}, Kind: "timer", Name: "tick"},
			Set: []history.Assign{{Path: "kv.n", Value: event.Int(int64(i))}}})
	}
	for _, c := range []struct {
		what string
		b    *history.Builder
	}{
		{"nothing", history.NewBuilder()},
		{"a node without events", alone(0)},
		{"one event", alone(1)},
		{"one node", alone(50)},
		{"thousands of nodes", many},
		{"clocks in a circle", circle()},
	} {
		src, err := c.b.Build()
		if err != nil {
			t.Fatal(c.what, err)
		}
		x, err := timeline.Build(t.Context(), src, nil)
		if err == nil {
			x, err = x.Link(t.Context(), nil)
		}
		if err != nil {
			t.Fatal(c.what, err)
		}
		for _, index := range []func() *timeline.Index{nil, func() *timeline.Index { return x }} {
			s := NewSession(src, io.Discard)
			s.Index = index
			for _, line := range tried() {
				if len(src.Meta().Nodes) > 1000 && (strings.HasPrefix(line, "query") || strings.HasPrefix(line, "print")) {
					continue // they count thousands of nodes at each of as many cuts
				}
				if _, err := s.Ask(t.Context(), line); err != nil && (len(err.Error()) > 3000 || err.Error() == "") {
					t.Errorf("%s: %.40q: an error of %d bytes", c.what, line, len(err.Error()))
				}
			}
		}
	}
}

// alone is a node with so many events.
func alone(events int) *history.Builder {
	b := history.NewBuilder()
	b.AddNode("n1", "")
	for i := range events {
		b.Append("n1", history.EventSpec{Event: history.Event{Position: history.Position{Time: hlc.Timestamp(i+1) << 40}, Kind: "request", Name: "Put", ID: fmt.Sprint("r", i)},
			Set: []history.Assign{{Path: "kv.n", Value: event.Int(int64(i))}}})
	}
	return b
}

// circle is nodes of which each received from the next before that sent it, by
// clocks that disagree.
func circle() *history.Builder {
	const nodes = 5
	b := history.NewBuilder()
	for k := range 20 {
		for n := range nodes {
			e := history.EventSpec{Event: history.Event{Position: history.Position{Time: hlc.Timestamp(100*k+n+1) << 20}, Kind: "recv", ID: fmt.Sprint("m", k, "/", (n+1)%nodes), Peer: fmt.Sprint("n", (n+1)%nodes), Name: "Token"}}
			e.Effects = []history.Effect{{Kind: "send", ID: fmt.Sprint("m", k, "/", n), Peer: fmt.Sprint("n", (n+nodes-1)%nodes), Name: "Token", Data: event.Int(int64(k))}}
			e.Set = []history.Assign{{Path: "kv.n", Value: event.Int(int64(k))}}
			b.Append(fmt.Sprint("n", n), e)
		}
	}
	return b
}

// bulky are Histories whose last state is large, each in its way.
func bulky() map[string]*history.Builder {
	twice := func(first, then event.Value) *history.Builder {
		b := history.NewBuilder()
		for i, v := range []event.Value{first, then} {
			b.Append("n1", history.EventSpec{Event: history.Event{Position: history.Position{Time: hlc.Timestamp(i+1) << 40}, Kind: "request", Name: "Put", Data: v},
				Set: []history.Assign{{Path: "kv.big", Value: v}}})
		}
		return b
	}
	size := 10 << 20
	if testing.Short() {
		size = 1 << 20
	}
	text := strings.Repeat("0123456789", size)
	deep := event.Int(1)
	for range 900 {
		deep = event.List(deep)
	}
	entries := make([]event.Entry, 100_000)
	for i := range entries {
		entries[i] = event.Entry{Key: event.String(fmt.Sprintf("key%06d", i)), Value: event.String(text[:100])}
	}
	m := event.MapOf(event.NewMap(entries...))
	many := history.EventSpec{Event: history.Event{Position: history.Position{Time: 1 << 40}}}
	for i := range 10_000 {
		many.Set = append(many.Set, history.Assign{Path: fmt.Sprint("kv.v", i), Value: event.String(text[:100])})
	}
	variables := history.NewBuilder()
	variables.Append("n1", many)
	return map[string]*history.Builder{"a large text": twice(event.String(text), event.String(text+"x")), "a deep nest": twice(deep, event.List(deep)),
		"a map of 10 MB": twice(m, event.MapOf(m.AsMap().With(event.String("key000007"), event.Int(7)))), "many variables": variables}
}

// What a command says, and what it makes for that, is bounded, whatever a variable
// holds.
func TestALargeStateIsSaidInShort(t *testing.T) {
	const saidMax, madeMax = 2 << 20, 64 << 20
	lines := []string{"state", "state kv.big", "state n1 kv.big", "event", "diff", "diff START", "diagram", "log", "cause kv.big", "watch kv.big", "find zzz",
		"query SELECT kv.big FROM kv", "query SELECT kv.bgi FROM kv", "print kv.big", "where kv.big = 1", "break change kv.big"}
	for what, b := range bulky() {
		src, err := b.Build()
		if err != nil {
			t.Fatal(what, err)
		}
		for _, line := range lines {
			var out strings.Builder
			s := NewSession(src, &out)
			if err := s.Do(t.Context(), "goto END"); err != nil {
				t.Fatal(err)
			}
			var before, then runtime.MemStats
			runtime.ReadMemStats(&before)
			err := s.Do(t.Context(), line)
			runtime.ReadMemStats(&then)
			if made := then.TotalAlloc - before.TotalAlloc; out.Len() > saidMax || made > madeMax || err != nil && len(err.Error()) > 3000 {
				t.Errorf("%s: %s: %d bytes said, %d MB made; %.100v", what, line, out.Len(), made>>20, err)
			}
		}
	}
}

// What is sent to a page is bounded too.
func TestAnAnswerIsShortenedToWhatAPageCanHold(t *testing.T) {
	for what, b := range bulky() {
		src, err := b.Build()
		if err != nil {
			t.Fatal(what, err)
		}
		s := NewSession(src, io.Discard)
		for _, line := range []string{"goto END", "event", "state", "state kv.big", "diff START", "cause kv.big", "print kv.big", "query SELECT kv.big FROM kv"} {
			a, _ := s.Ask(t.Context(), line)
			a.Shorten()
			text, err := json.Marshal(a)
			if err != nil || len(text) > 2*answerMax {
				t.Errorf("%s: %s: %d bytes, %v", what, line, len(text), err)
			}
			if a.Short != strings.Contains(string(text), cutMark) || what == "a large text" && line == "event" && !a.Short {
				t.Errorf("%s: %s: short: %v, %.200s", what, line, a.Short, text)
			}
		}
	}
}

// A History on disk of which something is broken, or cut off, is refused when it is
// opened, or where it is read: by an error that names a file, or an answer from what
// is whole.
func TestADamagedHistoryIsToldOf(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "h")
	{
		w, err := history.CreateDisk(vfs.OS(), dir, history.DiskOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for n := range 2 {
			nw, err := w.Node(fmt.Sprint("n", n), "")
			if err != nil {
				t.Fatal(err)
			}
			v := nw.Var("kv.n")
			for k := range 200 {
				e := &history.Event{Position: history.Position{Time: hlc.Timestamp(10*k+n+1) << 20, Seq: uint64(k + 1)}, Kind: "timer", Name: "tick", Data: event.Int(int64(k)), Changes: []history.Change{{Var: v, Value: event.Int(int64(k))}}}
				if err := nw.Append(e); err != nil {
					t.Fatal(err)
				}
			}
			if err := nw.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Finish(); err != nil {
			t.Fatal(err)
		}
	}
	refused, failed := 0, 0
	look := func(what string) {
		src, err := history.OpenDisk(vfs.OS(), dir)
		if err != nil {
			if refused++; len(err.Error()) > 500 {
				t.Errorf("%s: %d bytes of error", what, len(err.Error()))
			}
			return
		}
		defer src.Close()
		s := NewSession(src, io.Discard)
		if x, err := timeline.Build(t.Context(), src, nil); err == nil {
			s.Index = func() *timeline.Index { return x }
		}
		for _, line := range []string{"goto END", "state", "back 150", "event", "diff START", "diagram 300", "log", "find zzz", "where kv.n = 77", "query SELECT kv.n FROM kv", "print kv.n", "cause kv.n"} {
			if _, err := s.Ask(t.Context(), line); err != nil {
				failed++
			}
		}
	}
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		whole, err := os.ReadFile(name)
		if err != nil || len(whole) == 0 { // a lock
			return err
		}
		for i := range 12 {
			b, at := slices.Clone(whole), i*len(whole)/12
			if b[at] ^= 0x55; i%3 == 2 {
				b = b[:at]
			}
			if err := os.WriteFile(name, b, 0o600); err != nil {
				return err
			}
			look(fmt.Sprintf("%s at %d", name, at))
		}
		return os.WriteFile(name, whole, 0o600)
	})
	if err != nil || refused == 0 || failed == 0 {
		t.Errorf("%v; %d were refused, %d commands failed: nothing was tried", err, refused, failed)
	}
}
