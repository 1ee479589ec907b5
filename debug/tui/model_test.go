package tui

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"
	"pgregory.net/rapid"

	"hindcast.dev/debug"
	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/hlc"
	"hindcast.dev/termtext"
)

// nasty is what somebody might record who wants the screen broken.
var nasty = []string{"\x1b[31mred", "\u202egnp", "世界世界世界", "a\nb", "\x00\x07", "e\u0301\u0301", "שלום", "\u200d\u2028", "│◆╳", strings.Repeat("long", 40), "", " "}

// hostile is a History of nodes, messages and values by such names.
func hostile(t testing.TB) *history.Mem {
	t.Helper()
	b := history.NewBuilder()
	for i := range 60 {
		name := func(k int) string { return nasty[(i+k)%len(nasty)] }
		node := func(k int) string { return fmt.Sprintf("%d%s", k%15, nasty[k%15%len(nasty)]) }
		e := history.Event{Position: history.Position{Time: hlc.Timestamp(1+i) << 40}, Kind: "recv", Name: name(1), Peer: node(i), ID: fmt.Sprint("m", i-1),
			Machine: name(2), Data: event.String(name(3)),
			Effects: []history.Effect{{Kind: "send", ID: fmt.Sprint("m", i), Peer: node(i*7 + 1), Name: name(4), Data: event.List(event.String(name(5)), event.Int(3))},
				{Kind: "log", Name: name(6), Data: event.String(name(7))}}}
		if i%7 == 0 {
			e.Kind, e.Name = "note", "drop"
		}
		inside := event.MapOf(event.NewMap(event.Entry{Key: event.String(name(8)), Value: event.String(name(9))}))
		b.Append(node(i*7), history.EventSpec{Event: e, Set: []history.Assign{{Path: event.PathString("log.v"+name(2), nil), Value: inside}, {Path: "log.n", Value: event.Int(int64(i))}}})
	}
	src, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return src
}

// fits reports what is wrong with a screen: it has so many rows, none wider than
// there are columns, and nothing in it but characters and styles.
func fits(d *driver) error {
	s, cursor := d.m.draw()
	if cursor != nil && (cursor.X < 0 || cursor.X >= d.m.w || cursor.Y < 0 || cursor.Y >= d.m.h) {
		return fmt.Errorf("the cursor is at %d, %d", cursor.X, cursor.Y)
	}
	rows := strings.Split(s.render(d.m.look, false), "\n")
	if len(rows) != max(d.m.h, 1) {
		return fmt.Errorf("%d rows, want %d", len(rows), d.m.h)
	}
	for _, r := range rows {
		if n := termtext.Columns(r); n > d.m.w {
			return fmt.Errorf("%d columns in %q, there are %d", n, r, d.m.w)
		}
		for _, c := range r {
			if !unicode.IsPrint(c) || c == utf8.RuneError || d.m.o.Plain && c > 0x7e {
				return fmt.Errorf("%q in %q", c, r)
			}
		}
	}
	return nil
}

func TestWhateverIsTypedTheScreenHoldsAndNothingEscapes(t *testing.T) {
	srcs := []*history.Mem{hostile(t), store(t), counted(t, 0), counted(t, 1)}
	var keys []string
	for _, k := range keyTable() {
		for _, name := range k.keys {
			if name != "q" && name != "ctrl+z" {
				keys = append(keys, name)
			}
		}
	}
	lines := []string{":query SHOW VARIABLES", ":where MAX(log.n) > 3", "/世", ":state", ":event", ":effects", ":diagram 30", ":print log.n", ":nodes", ":help", ":marks",
		":mark a b", ":goto a", ":watch log.n", ":nonsense", ":log 50", ":diff START", ":query SELECT log.n FROM log WHEN MAX(log.n) > 2 EMIT CUTS", ": ", "/"}
	rapid.Check(t, func(rt *rapid.T) {
		d := drive(t, rapid.SampledFrom(srcs).Draw(rt, "source"), rapid.IntRange(1, 130).Draw(rt, "w"), rapid.IntRange(1, 50).Draw(rt, "h"), rapid.Bool().Draw(rt, "ascii"))
		for range rapid.IntRange(1, 25).Draw(rt, "n") {
			switch rapid.IntRange(0, 9).Draw(rt, "what") {
			case 0:
				d.send(tea.WindowSizeMsg{Width: rapid.IntRange(0, 130).Draw(rt, "w"), Height: rapid.IntRange(0, 50).Draw(rt, "h")})
			case 1:
				if d.m.line == nil {
					d.types(rapid.SampledFrom(lines).Draw(rt, "line"))
					d.press("enter")
				}
			case 2:
				d.send(tea.PasteMsg{Content: rapid.SampledFrom(nasty).Draw(rt, "paste")})
			default:
				d.press(rapid.SampledFrom(keys).Draw(rt, "key"))
			}
			if err := fits(d); err != nil {
				rt.Fatalf("%d×%d: %v", d.m.w, d.m.h, err)
			}
		}
	})
}

// counted is a History of n events on one node.
func counted(t testing.TB, n int) *history.Mem {
	t.Helper()
	b := history.NewBuilder()
	b.AddNode("n1", "")
	for i := range n {
		b.Append("n1", history.EventSpec{Event: history.Event{Position: history.Position{Time: hlc.Timestamp(1+i) << 40}},
			Set: []history.Assign{{Path: "log.n", Value: event.Int(int64(i))}}})
	}
	src, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return src
}

func TestEveryNodeIsReachedWhateverItsName(t *testing.T) {
	src := hostile(t)
	d := drive(t, src, 80, 24, false)
	for n := range src.Meta().Nodes {
		d.press("g")
		d.m.lane = n
		d.press("}")
		if d.m.at.Node != n || d.m.at == history.Begin {
			t.Errorf("stepping on in the lane of %q leads to %v: %s", src.Meta().Nodes[n].Name, d.m.at, d.m.message.text)
		}
		at := d.m.at
		d.press("g")
		d.m.lane = n
		d.press("enter")
		if d.m.at != at {
			t.Errorf("Enter on the lane of %q leads to %v, want %v: %s", src.Meta().Nodes[n].Name, d.m.at, at, d.m.message.text)
		}
	}
}

func TestEveryKeyIsInTheTableOnce(t *testing.T) {
	seen := map[string]bool{}
	for _, k := range keyTable() {
		for _, name := range k.keys {
			if seen[name] {
				t.Errorf("%s is there twice", name)
			}
			seen[name] = true
		}
	}
}

func TestALongCommandLeavesTheScreenAloneAndEscEndsIt(t *testing.T) {
	src := &slow{Mem: counted(t, 5), begun: make(chan struct{}, 1)}
	d := drive(t, src.Mem, 80, 24, false)
	s := debug.NewSession(src, nil)
	d.m.o.Session = s
	src.hangs = func(_, to history.Position) bool { return to == history.End }
	d.types(":where MAX(log.n) > 3")
	_, cmd := d.m.Update(keyPress("enter"))
	done := make(chan tea.Msg)
	go func() { done <- answerOf(cmd) }()
	<-src.begun
	// Meanwhile the screen goes on, and further commands wait.
	d.press("2", "?", "?", "]")
	if got := d.screen(); !strings.Contains(got, "2 State") || len(d.m.queue) != 1 {
		t.Errorf("with a command under way %d wait, and the screen is\n%s", len(d.m.queue), got)
	}
	d.press("esc")
	msg := (<-done).(answered)
	if !errors.Is(msg.err, context.Canceled) {
		t.Fatalf("the command ended with %v", msg.err)
	}
	src.hangs = nil
	d.send(msg)
	if d.m.running != nil || len(d.m.queue) != 0 || !strings.Contains(d.screen(), "interrupted") {
		t.Errorf("after Esc the screen is\n%s", d.screen())
	}
	d.press("]")
	if d.m.at.Seq != 1 {
		t.Errorf("the next step leads to %v", d.m.at)
	}
}

// answerOf runs the commands of a batch until one of them is an answer.
func answerOf(cmd tea.Cmd) tea.Msg {
	msg := cmd()
	batch, ok := msg.(tea.BatchMsg)
	if !ok {
		return msg
	}
	for _, c := range batch {
		if c == nil {
			continue
		}
		if a := answerOf(c); a != nil {
			return a
		}
	}
	return nil
}

func TestCtrlCEndsTheCommandAndThenTheProgram(t *testing.T) {
	src := &slow{Mem: counted(t, 5), begun: make(chan struct{}, 1)}
	d := drive(t, src.Mem, 80, 24, false)
	d.m.o.Session = debug.NewSession(src, nil)
	src.hangs = func(_, to history.Position) bool { return to == history.End }
	d.types(":where MAX(log.n) > 3")
	_, cmd := d.m.Update(keyPress("enter"))
	done := make(chan tea.Msg)
	go func() { done <- answerOf(cmd) }()
	<-src.begun
	d.press("ctrl+c")
	if d.quit {
		t.Fatal("the first Ctrl-C has quit")
	}
	d.press("ctrl+c")
	if !d.quit {
		t.Error("the second Ctrl-C hasn't quit")
	}
	<-done
}

func TestThePlaceIsKeptInViewWhereverItGoes(t *testing.T) {
	d := drive(t, counted(t, 500), 80, 24, false)
	for _, keys := range [][]string{{"]"}, {"pgdown"}, {"pgdown"}, {"up", "up"}, {"G"}, {"pgup"}, {"["}, {"g"}, {"down"}} {
		d.press(keys...)
		want := "◆ set"
		if d.m.at == history.Begin {
			want = "START"
		}
		if !strings.Contains(d.screen(), want) {
			t.Errorf("after %q at %v the screen is\n%s", keys, d.m.at, d.screen())
		}
	}
}

func TestOnlyWhatIsOnTheScreenIsRead(t *testing.T) {
	src := &counting{Mem: counted(t, 20_000)}
	d := drive(t, src, 80, 24, false)
	d.press("G")
	src.events = 0
	d.press("[", "[", "[")
	if most := 3 * 4 * 80; src.events > most {
		t.Errorf("three steps read %d events, want no more than %d", src.events, most)
	}
}

// A counting source counts the events that it gives.
type counting struct {
	*history.Mem
	events int
}

type countingCursor struct {
	history.Cursor
	s *counting
}

func (c countingCursor) Next() (*history.Event, error) {
	c.s.events++
	return c.Cursor.Next()
}

func (s *counting) WalkThrough(ctx context.Context, from, to history.Position, nodes []int, lens history.Lens) (history.Cursor, error) {
	c, err := s.Mem.WalkThrough(ctx, from, to, nodes, lens)
	return countingCursor{c, s}, err
}

func (s *counting) Event(ctx context.Context, node int, seq uint64) (*history.Event, error) {
	s.events++
	return s.Mem.Event(ctx, node, seq)
}

func (s *counting) Before(ctx context.Context, p history.Position, n int, nodes []int) ([]history.Event, error) {
	es, err := s.Mem.Before(ctx, p, n, nodes)
	s.events += len(es)
	return es, err
}
