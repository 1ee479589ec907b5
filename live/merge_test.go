package live

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/hlc"
	"hindcast.dev/rql"
)

// A cast is a History of several nodes, and the frames in which each tells it.
type cast struct {
	src    *history.Mem
	addrs  []string
	frames [][]any // by node
	seqs   []uint64
}

func drawCast(t *rapid.T, events int) *cast {
	b := history.NewBuilder()
	c := &cast{}
	names := []string{"n1", "n2", "n3"}[:rapid.IntRange(1, 3).Draw(t, "nodes")]
	specs := make([][]history.EventSpec, len(names))
	num := func() event.Value { return event.Int(int64(rapid.IntRange(-2, 4).Draw(t, "n"))) }
	now := hlc.Timestamp(100 << 16)
	for range rapid.IntRange(len(names), events).Draw(t, "events") {
		now += hlc.Timestamp(rapid.IntRange(0, 2).Draw(t, "gap")) << 10
		i := rapid.IntRange(0, len(names)-1).Draw(t, "node")
		if n := len(specs[i]); n > 0 && specs[i][n-1].Time >= now {
			now = specs[i][n-1].Time + 1
		}
		e := history.EventSpec{Event: history.Event{Position: history.Position{Time: now}}}
		for range rapid.IntRange(0, 3).Draw(t, "changes") {
			path := rapid.SampledFrom([]string{"inv.a", "inv.b", `inv.m["x"]`, `inv.m["y"]`}).Draw(t, "path")
			v := num()
			if rapid.IntRange(0, 5).Draw(t, "delete") == 0 {
				v = event.Absent
			}
			e.Set = append(e.Set, history.Assign{Path: path, Value: v})
		}
		specs[i] = append(specs[i], e)
	}
	for i, name := range names {
		b.AddNode(name, "")
		b.Append(name, specs[i]...)
		b.Append(name, history.EventSpec{Event: history.Event{Position: history.Position{Time: now + hlc.Timestamp(i+1)<<12}},
			Set: []history.Assign{{Path: "inv.a", Value: num()}, {Path: "inv.b", Value: num()}, {Path: `inv.m["z"]`, Value: num()}}})
		c.addrs = append(c.addrs, "127.0.0.1:"+name[1:])
	}
	var err error
	if c.src, err = b.Build(); err != nil {
		t.Fatal(err)
	}
	for i, name := range names {
		c.frames = append(c.frames, c.tell(t, i, name))
	}
	return c
}

// walk is all entries of the History, or of one node.
func (c *cast) walk(nodes []int) (out []*history.Event) {
	cur, err := c.src.Walk(context.Background(), history.Begin, history.End, nodes)
	if err != nil {
		panic(err)
	}
	defer cur.Close()
	for {
		ev, err := cur.Next()
		if err == io.EOF {
			return out
		}
		if err != nil {
			panic(err)
		}
		out = append(out, ev)
	}
}

// tell makes a node's frames: blocks of some events, with promises, and some twice,
// as after a connection that broke.
func (c *cast) tell(t *rapid.T, node int, name string) []any {
	fs := []any{&Hello{Node: name, Version: Version}, &Base{Last: true}}
	events := c.walk([]int{node})
	c.seqs = append(c.seqs, events[len(events)-1].Seq)
	var names []string
	for _, v := range c.src.Meta().Vars {
		names = append(names, v.Name)
	}
	all := Names{Names: names}
	for i := 0; i < len(events); {
		n := rapid.IntRange(1, 3).Draw(t, "block")
		from := max(0, i-rapid.IntRange(0, 2).Draw(t, "again"))
		block := &Block{Names: all}
		all = Names{From: len(names)}
		i = min(i+n, len(events))
		for _, e := range events[from:i] {
			copied := *e
			copied.Changes = slices.Clone(e.Changes)
			block.Events = append(block.Events, copied)
		}
		block.Promise = events[i-1].Time
		if i < len(events) && rapid.Bool().Draw(t, "promises more") {
			block.Promise = events[i].Time - 1
		}
		fs = append(fs, block)
	}
	return append(fs, &Block{Names: Names{From: len(names)}, Promise: hlc.Max - 1})
}

// deliver gives a node's next frame.
func (c *cast) deliver(t *rapid.T, m *Merger, i int, now time.Duration) {
	f := c.frames[i][0]
	c.frames[i] = c.frames[i][1:]
	switch f := f.(type) {
	case *Hello:
		if err := m.Hello(i, f, now); err != nil {
			t.Fatal(err)
		}
	case *Base:
		m.Base(i, f, now)
	case *Block:
		m.Block(i, f, now)
	}
}

func (c *cast) over() bool {
	return !slices.ContainsFunc(c.frames, func(fs []any) bool { return len(fs) > 0 })
}

// An asked is a sink that asks a query, which it compiles when it knows the
// variables.
type asked struct {
	t    *rapid.T
	text string
	s    *rql.Stream
	rows []string
	sum  rql.Summary
}

func (a *asked) Grow(meta *history.Meta) error {
	if a.s != nil {
		return a.s.Grow(meta)
	}
	if _, ok := meta.VarID("inv.a"); !ok { // as a live node has them from its start
		grown := *meta
		for _, v := range []string{"inv.a", "inv.b", "inv.m"} {
			grown.Vars = append(grown.Vars, history.Var{Name: v})
		}
		meta = &grown
	}
	q, err := rql.Compile(meta, a.text)
	if err != nil {
		return err
	}
	a.s, err = q.Stream(context.Background(), meta, rql.Options{}, func(r *rql.Row) error {
		a.rows = append(a.rows, string(r.AppendJSON(nil)))
		return nil
	})
	return err
}

func (a *asked) Feed(ev *history.Event) error    { return a.s.Feed(ev) }
func (a *asked) Gap(node int, span history.Span) { a.s.Gap(node, span) }
func (a *asked) close() (err error)              { a.sum, err = a.s.Close(); return err }
func rowsOf(t *rapid.T, c *cast, text string) []string {
	q, err := rql.Compile(c.src.Meta(), text)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	if _, err = q.Run(context.Background(), c.src, rql.Options{}, func(r *rql.Row) error {
		out = append(out, string(r.AppendJSON(nil)))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return out
}

var streamed = []string{
	"SELECT inv.a, inv.b FROM inv WHEN inv.a > inv.b EMIT INTERVALS",
	"SELECT inv.a FROM inv WHEN (inv.a + inv.b <= 2) LINK SAME_NODE EMIT ENTER",
	"SELECT inv.* FROM inv WHEN MAX(inv.a) - MIN(inv.a) >= 2 EMIT CUTS",
	"SELECT inv.a FROM inv WHEN CHANGED(inv.a) AND PREV(inv.a) < 2 EMIT CUTS",
	"SELECT inv.m FROM inv WHEN (inv.a > 1) LINK EACH_NODE EMIT LEAVE",
	"SELECT inv.m FROM inv WHEN EXISTS k IN KEYS(inv.m) : (MAX(inv.m[k]) - MIN(inv.m[k]) >= 1) EMIT INTERVALS",
	"SELECT SUM(inv.m[*]) AS s FROM inv WHEN SUM(inv.m[*]) > 3 EMIT CUTS LIMIT 3",
}

// Whatever the order in which the nodes are heard, the rows are those of a run over
// the whole History.
func TestRowsDontDependOnTheOrderOfArrival(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawCast(t, 14)
		text := rapid.SampledFrom(streamed).Draw(t, "query")
		a := &asked{t: t, text: text}
		m := NewMerger(c.addrs, 0, time.Second, a)
		now, ended := time.Duration(0), false
		for !c.over() {
			i := rapid.IntRange(0, len(c.frames)-1).Draw(t, "who")
			if len(c.frames[i]) == 0 {
				continue
			}
			now += time.Duration(rapid.IntRange(0, 100).Draw(t, "ms")) * time.Millisecond / time.Duration(5*len(c.frames)*len(c.frames[i]))
			for j := range c.frames { // alive, though they have nothing to say
				m.sources[j].heard = now
			}
			c.deliver(t, m, i, now)
			if err := m.Advance(now); err == io.EOF {
				ended = true
				break
			} else if err != nil {
				t.Fatalf("%s\n%v", text, err)
			}
		}
		if err := a.close(); err != nil {
			t.Fatalf("%s\n%v", text, err)
		}
		if got, want := strings.Join(a.rows, "\n"), strings.Join(rowsOf(t, c, text), "\n"); got != want {
			t.Fatalf("%s\ngot\n%s\nwant\n%s", text, got, want)
		}
		if s := m.Stats(); !ended && (s.Late > 0 || s.Events != c.src.Meta().Events) {
			t.Fatalf("%+v of %d events", s, c.src.Meta().Events)
		}
	})
}

// A keeper is a sink that keeps what it is told.
type keeper struct {
	t      *rapid.T
	meta   *history.Meta
	states map[string]*history.State
	at     history.Position
	events int
	gaps   map[string]history.Span // the last of each node
}

func (k *keeper) Grow(meta *history.Meta) error {
	if k.events > 0 {
		k.at.Node, _ = meta.NodeIndex(k.meta.Nodes[k.at.Node].Name)
	}
	k.meta = meta
	return nil
}

func (k *keeper) Feed(ev *history.Event) error {
	name := k.meta.Nodes[ev.Node].Name
	if k.states[name] == nil {
		k.states[name] = history.NewState()
	}
	k.states[name].ApplyAll(ev.Changes)
	if ev.Base {
		return nil
	}
	if ev.Position.Compare(k.at) < 0 {
		k.t.Fatalf("%v is fed after %v", ev.Position, k.at)
	}
	k.at, k.events = ev.Position, k.events+1
	return nil
}

func (k *keeper) Gap(node int, span history.Span) { k.gaps[k.meta.Nodes[node].Name] = span }

// A tee gives what it is told to a Tail, too.
type tee struct {
	*keeper
	tail *history.Tail
}

func (t tee) Grow(meta *history.Meta) error {
	return errors.Join(t.keeper.Grow(meta), t.tail.Grow(meta))
}

func (t tee) Feed(ev *history.Event) error {
	return errors.Join(t.keeper.Feed(ev), t.tail.Feed(ev))
}

func (t tee) Gap(node int, span history.Span) {
	t.keeper.Gap(node, span)
	t.tail.Gap(node, span)
}

// kept compares what a Tail has with what happened: it is in order, what it has is so,
// what it hasn't is unknown, and so it says.
func (c *cast) kept(t *rapid.T, m *history.Moment, fed int) {
	cur, err := m.Walk(context.Background(), history.Begin, history.End, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer cur.Close()
	meta, has := m.Meta(), map[string]bool{}
	states := make([]*history.State, len(meta.Nodes))
	last := history.Begin
	for {
		e, err := cur.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if e.Position.Compare(last) <= 0 {
			t.Fatalf("%v comes after %v", e.Position, last)
		}
		last = e.Position
		if states[e.Node] == nil {
			states[e.Node] = history.NewState()
		}
		states[e.Node].ApplyAll(e.Changes)
		if !e.Base {
			has[fmt.Sprint(meta.Nodes[e.Node].Name, e.Seq)] = true
		}
	}
	if len(has) != fed || meta.Events != uint64(fed) {
		t.Fatalf("%d events are kept, %d by the meta, %d were fed", len(has), meta.Events, fed)
	}
	want := map[string]*history.State{}
	for _, e := range c.walk(nil) {
		name := c.src.Meta().Nodes[e.Node].Name
		if want[name] == nil {
			want[name] = history.NewState()
		}
		want[name].ApplyAll(e.Changes)
		n, ok := meta.NodeIndex(name)
		if !ok || has[fmt.Sprint(name, e.Seq)] {
			continue
		}
		if node := meta.Nodes[n]; !slices.ContainsFunc(node.Unknown, func(s history.Span) bool { return s.Contains(e.Time) }) {
			t.Fatalf("%s:%d at %v isn't there, and known: %+v", name, e.Seq, e.Time, node)
		}
	}
	for n := range meta.Nodes {
		for id, v := range meta.Vars {
			w, _ := c.src.Meta().VarID(v.Name)
			if states[n] == nil || want[meta.Nodes[n].Name] == nil {
				continue
			}
			if got, w := states[n].Get(history.VarID(id)), want[meta.Nodes[n].Name].Get(w); fmt.Sprint(got) != fmt.Sprint(w) {
				t.Fatalf("%s of %s is %v in the end, want %v", v.Name, meta.Nodes[n].Name, got, w)
			}
		}
	}
}

// A node that falls silent holds the walk back no longer than it may, and when it is
// back what the sink has of it is right.
func TestANodeThatFallsSilentIsLeftAndComesBack(t *testing.T) {
	var late uint64
	rapid.Check(t, func(t *rapid.T) {
		c := drawCast(t, 25)
		k := &keeper{t: t, states: map[string]*history.State{}, gaps: map[string]history.Span{}}
		tail := history.NewTail(0)
		m := NewMerger(c.addrs, 0, time.Second, tee{k, tail})
		m.renames = rapid.Bool().Draw(t, "renames")
		now := time.Duration(0)
		silent := map[int]bool{}
		for !c.over() {
			if i := rapid.IntRange(-2, len(c.frames)-1).Draw(t, "switches"); i >= 0 && len(silent) < len(c.frames)-1 || silent[i] {
				if silent[i] {
					delete(silent, i)
				} else {
					silent[i] = true
				}
			}
			i := rapid.IntRange(0, len(c.frames)-1).Draw(t, "who")
			now += 400 * time.Millisecond
			for j := range c.frames {
				if !silent[j] {
					m.sources[j].heard = now
				}
			}
			if len(c.frames[i]) == 0 || silent[i] {
				clear(silent)
				continue
			}
			c.deliver(t, m, i, now)
			if err := m.Advance(now); err != nil {
				t.Fatal(err)
			}
		}
		for range 3 {
			now += 100 * time.Millisecond
			for j := range c.frames {
				m.sources[j].heard = now
			}
			if err := m.Advance(now); err != nil {
				t.Fatal(err)
			}
		}
		s := m.Stats()
		late += s.Late
		before := 0 // events that a base stood for when its node came first
		if got := uint64(k.events) + s.Late; got > c.src.Meta().Events {
			t.Fatalf("%d events were fed and %d late, of %d", k.events, s.Late, c.src.Meta().Events)
		} else {
			before = int(c.src.Meta().Events - got)
		}
		if before > 0 && s.Late == 0 && len(k.gaps) == 0 {
			t.Fatalf("%d events are missing, and nobody was silent", before)
		}
		c.compare(t, k)
		tail.End()
		c.kept(t, tail.Now(), k.events)
	})
	t.Logf("%d late events", late)
}

// compare compares the last states.
func (c *cast) compare(t *rapid.T, k *keeper) {
	meta := c.src.Meta()
	cur, err := c.src.Walk(context.Background(), history.End, history.End, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer cur.Close()
	for n, want := range cur.States() {
		name := meta.Nodes[n].Name
		if g, open := k.gaps[name]; open && g.To == hlc.Max {
			t.Fatalf("node %s is still unknown, though it has told all", name)
		}
		for _, v := range meta.Vars {
			id, _ := meta.VarID(v.Name)
			got := event.Absent
			for i := range k.meta.Vars {
				if k.meta.Vars[i].Name == v.Name {
					got = k.states[name].Get(history.VarID(i))
				}
			}
			if w := want.Get(id); fmt.Sprint(got) != fmt.Sprint(w) {
				t.Fatalf("%s of %s is %v in the end, want %v", v.Name, name, got, w)
			}
		}
	}
}

// A node that lost its end, and so begins anew, is unknown in between.
func TestANodeThatBeginsAnewIsUnknownInBetween(t *testing.T) {
	k := &keeper{states: map[string]*history.State{}, gaps: map[string]history.Span{}}
	m := NewMerger([]string{"127.0.0.1:1"}, 0, time.Second, k)
	set := func(n int64) []history.Change { return []history.Change{{Value: event.Int(n)}} }
	names := Names{Names: []string{"inv.a"}}
	tell := func(at time.Duration, fs ...any) {
		for _, f := range fs {
			switch f := f.(type) {
			case *Hello:
				if err := m.Hello(0, f, at); err != nil {
					t.Fatal(err)
				}
			case *Base:
				m.Base(0, f, at)
			case *Block:
				m.Block(0, f, at)
			}
		}
		if err := m.Advance(at); err != nil {
			t.Fatal(err)
		}
	}
	tell(1, &Hello{Node: "n1"}, &Base{Names: names, Seq: 9, Time: 90, Changes: set(1), Last: true},
		&Block{Events: []history.Event{{Position: history.Position{Time: 100, Seq: 10}, Changes: set(2)}}, Promise: 100})
	tell(2, &Hello{Node: "n1"}, &Base{Names: names, Seq: 4, Time: 200, Changes: set(7), Last: true},
		&Block{Events: []history.Event{{Position: history.Position{Time: 210, Seq: 5}}}, Promise: 210})
	if got := fmt.Sprint(k.gaps["n1"], k.events, k.states["n1"].Get(0)); got != "{1970-01-01T00:00:00.000000Z/101 1970-01-01T00:00:00.000000Z/201} 2 7" {
		t.Errorf("gap, events, value are %s, want {1970-01-01T00:00:00.000000Z/101 1970-01-01T00:00:00.000000Z/201} 2 7", strings.TrimSpace(got))
	}
	if err := m.Hello(0, &Hello{Node: "n2"}, 3); err == nil {
		t.Error("another node answers at the address, and nobody says so")
	}
}

func TestOneNodeIsNotFollowedTwice(t *testing.T) {
	m := NewMerger([]string{"127.0.0.1:1", "localhost:1"}, 0, time.Second, nil)
	if err := m.Hello(0, &Hello{Node: "n1"}, 0); err != nil {
		t.Fatal(err)
	}
	if err := m.Hello(1, &Hello{Node: "n1"}, 0); err == nil {
		t.Error("the same node at two addresses is followed twice")
	}
}
