package history_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/history/historytest"
	"hindcast.dev/hlc"
)

// entries are all entries of a History, in the order of the walk.
func entries(src history.Source) (out []history.Event, err error) {
	c, err := src.Walk(context.Background(), history.Begin, history.End, nil)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	for {
		e, err := c.Next()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		out = append(out, *e)
	}
}

// trail feeds a Tail what a History has.
func trail(t *history.Tail, src history.Source) error {
	if err := t.Grow(src.Meta()); err != nil {
		return err
	}
	es, err := entries(src)
	for i := range es {
		err = errors.Join(err, t.Feed(&es[i]))
	}
	for i := range src.Meta().Nodes {
		for _, s := range src.Meta().Nodes[i].Unknown {
			t.Gap(i, s)
		}
	}
	t.End()
	return err
}

func TestAMomentOfATailConforms(t *testing.T) {
	historytest.Conformance(t, func(feed func(history.Writer) error) (history.Source, error) {
		src, err := openMem(feed)
		if err != nil {
			return nil, err
		}
		tail := history.NewTail(0)
		err = trail(tail, src)
		return tail.Now(), err
	})
}

// set is an event of a node that sets kv.v to its sequence number.
func set(node int, seq uint64, at hlc.Timestamp) *history.Event {
	return &history.Event{Position: history.Position{Node: node, Time: at, Seq: seq}, Kind: "set", ID: fmt.Sprint(node, ".", seq),
		Changes: []history.Change{{Var: 0, Value: event.Uint(seq)}}}
}

func told(t *testing.T, src history.Source) (out []string) {
	t.Helper()
	es, err := entries(src)
	if err != nil {
		t.Fatal(err)
	}
	for i := range es {
		e := &es[i]
		text := fmt.Sprintf("%s:%d@%d", src.Meta().Nodes[e.Node].Name, e.Seq, e.Time)
		if e.Base {
			text = "base " + text
		}
		out = append(out, text)
	}
	return out
}

func nodesNamed(names ...string) *history.Meta {
	m := &history.Meta{Vars: []history.Var{{Name: "kv.v"}}}
	for _, n := range names {
		m.Nodes = append(m.Nodes, history.Node{Name: n})
	}
	return m
}

func feed(t *testing.T, tail *history.Tail, es ...*history.Event) {
	t.Helper()
	for _, e := range es {
		if err := tail.Feed(e); err != nil {
			t.Fatal(err)
		}
	}
}

func base(node int, seq uint64, at hlc.Timestamp) *history.Event {
	e := set(node, seq, at)
	e.Base = true
	return e
}

func want(t *testing.T, src history.Source, what string) {
	t.Helper()
	if got := strings.Join(told(t, src), " "); got != what {
		t.Errorf("told\n%s\nwant\n%s", got, what)
	}
}

func TestAMomentStaysWhileItsTailGrows(t *testing.T) {
	tail := history.NewTail(0)
	if err := tail.Grow(nodesNamed("n1", "n2")); err != nil {
		t.Fatal(err)
	}
	feed(t, tail, set(0, 1, 10), set(1, 1, 20))
	one := tail.Now()
	if tail.Now() != one {
		t.Error("nothing came, and there is another Moment")
	}
	feed(t, tail, set(0, 2, 30))
	two := tail.Now()
	want(t, one, "n1:1@10 n2:1@20")
	want(t, two, "n1:1@10 n2:1@20 n1:2@30")
	if !two.Continues(one) || one.Continues(two) || one.Meta().Events != 2 || two.Meta().Vars[0].Changes != 3 || one.Meta().Vars[0].Changes != 2 {
		t.Errorf("%+v and %+v", one.Meta(), two.Meta())
	}
	if err := tail.Feed(set(1, 2, 25)); err == nil {
		t.Error("an event before the end is taken")
	}
	if err := tail.Grow(nodesNamed("n1")); err == nil {
		t.Error("a node may go")
	}
}

// A node that joins again is told with a base at a moment that the walk is at: if
// others have been there, it stands before the node's next event.
func TestABaseStandsBeforeItsNodesNextEvent(t *testing.T) {
	tail := history.NewTail(0)
	if err := tail.Grow(nodesNamed("n1", "n2", "n3")); err != nil {
		t.Fatal(err)
	}
	feed(t, tail, base(2, 7, 9), base(0, 3, 9), set(0, 4, 10))
	want(t, tail.Now(), "base n1:3@9 base n3:7@9 n1:4@10")
	tail.Gap(1, history.Span{From: 5, To: hlc.Max})
	feed(t, tail, set(2, 8, 20), base(1, 2, 20))
	tail.Gap(1, history.Span{From: 5, To: 21})
	want(t, tail.Now(), "base n1:3@9 base n3:7@9 n1:4@10 n3:8@20")
	feed(t, tail, set(0, 5, 21), set(1, 3, 22))
	want(t, tail.Now(), "base n1:3@9 base n3:7@9 n1:4@10 n3:8@20 n1:5@21 base n2:2@22 n2:3@22")
	n := tail.Now().Meta().Nodes[1]
	if len(n.Unknown) != 1 || n.Unknown[0] != (history.Span{To: 22}) || n.Reason == "" {
		t.Errorf("n2 is %+v", n)
	}
	tail.Blame("n2", "it was away")
	if n := tail.Now().Meta().Nodes[1]; !strings.HasPrefix(n.Reason, "it was away") {
		t.Errorf("n2 is %+v", n)
	}
}

func TestANodeThatIsNewBetweenOthersMovesThem(t *testing.T) {
	tail := history.NewTail(0)
	if err := tail.Grow(nodesNamed("127.0.0.1:2", "n1", "n3")); err != nil {
		t.Fatal(err)
	}
	tail.Gap(0, history.Span{From: 1, To: hlc.Max})
	feed(t, tail, set(1, 1, 10), set(2, 1, 20))
	before := tail.Now()
	if err := tail.Grow(nodesNamed("n1", "n2", "n3")); err != nil {
		t.Fatal(err)
	}
	feed(t, tail, set(1, 1, 30), set(2, 2, 40))
	now := tail.Now()
	want(t, before, "n1:1@10 n3:1@20")
	want(t, now, "n1:1@10 n3:1@20 n2:1@30 n3:2@40")
	if now.Continues(before) || len(now.Meta().Nodes) != 3 || len(before.Meta().Nodes[0].Unknown) != 1 || now.Meta().Vars[0].Changes != 4 {
		t.Errorf("%+v", now.Meta())
	}
	if m, err := now.Message(t.Context(), "1.1"); err != nil || m.Sent {
		t.Errorf("%+v %v", m, err)
	}
}

// Full, it forgets what is oldest and says so; what is left is right, and what a
// Moment had before stays.
func TestAFullTailForgetsItsOlderHalf(t *testing.T) {
	tail := history.NewTail(100_000)
	if err := tail.Grow(nodesNamed("n1", "n2", "quiet")); err != nil {
		t.Fatal(err)
	}
	feed(t, tail, set(2, 1, 1))
	first := tail.Now()
	for seq := uint64(1); seq <= 1000; seq++ {
		feed(t, tail, set(0, seq, hlc.Timestamp(seq*10)), set(1, seq, hlc.Timestamp(seq*10+5)))
		if m := tail.Now(); m.Meta().Events > 250 {
			t.Fatalf("%d events are kept", m.Meta().Events)
		}
	}
	now := tail.Now()
	meta := now.Meta()
	if meta.Events < 60 || tail.Forgotten()+meta.Events != 2001 || meta.Nodes[2].Events != 0 {
		t.Errorf("%d events are left, %d forgotten", meta.Events, tail.Forgotten())
	}
	for _, n := range meta.Nodes {
		if len(n.Unknown) != 1 || n.Unknown[0].From != 0 || !strings.Contains(n.Reason, "forgotten") {
			t.Errorf("%+v", n)
		}
	}
	c, err := now.Walk(t.Context(), history.End, history.End, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for i, last := range []uint64{1000, 1000, 1} {
		if got, _ := c.States()[i].Get(0).AsInt(); uint64(got) != last {
			t.Errorf("node %d has %d at the end, want %d", i, got, last)
		}
	}
	want(t, first, "quiet:1@1")
	if now.Continues(first) {
		t.Error("what has forgotten its beginning continues it")
	}
}

// A node that lost its end counts its events anew: it begins there, and the others
// stay.
func TestANodeThatCountsAnewBeginsAnew(t *testing.T) {
	tail := history.NewTail(0)
	if err := tail.Grow(nodesNamed("n1", "n2")); err != nil {
		t.Fatal(err)
	}
	feed(t, tail, set(0, 1, 10), set(1, 1, 20), set(0, 2, 30), set(0, 3, 40))
	before := tail.Now()
	tail.Gap(0, history.Span{From: 41, To: hlc.Max})
	tail.Gap(0, history.Span{From: 41, To: 50})
	b := base(0, 1, 50)
	b.Changes[0].Value = event.Uint(77)
	feed(t, tail, b, set(1, 2, 60), set(0, 2, 70))
	now := tail.Now()
	want(t, before, "n1:1@10 n2:1@20 n1:2@30 n1:3@40")
	want(t, now, "n2:1@20 base n1:1@50 n2:2@60 n1:2@70")
	n := now.Meta().Nodes[0]
	if len(n.Unknown) != 1 || n.Unknown[0] != (history.Span{To: 50}) || !strings.Contains(n.Reason, "anew") || tail.Forgotten() != 3 || n.Events != 1 {
		t.Errorf("%+v, %d forgotten", n, tail.Forgotten())
	}
	if e, err := now.Event(t.Context(), 0, 2); err != nil || e.Time != 70 {
		t.Errorf("n1:2 is %+v, %v", e, err)
	}
	if _, err := now.Event(t.Context(), 0, 3); !errors.Is(err, history.ErrNoEvent) {
		t.Errorf("n1:3: %v", err)
	}
}
