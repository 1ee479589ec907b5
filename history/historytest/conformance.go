package historytest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/hlc"
)

// An Open makes a Source of what feed writes.
type Open func(feed func(history.Writer) error) (history.Source, error)

// Conformance runs the suite: random Histories, each method compared with the
// model's answer.
func Conformance(t *testing.T, open Open) {
	rapid.Check(t, func(t *rapid.T) {
		m := Generate(Shape{}).Draw(t, "history")
		src, err := open(m.Feed)
		if err != nil {
			t.Fatalf("open: %v", err)
		}
		defer func() {
			if err := src.Close(); err != nil {
				t.Fatalf("close: %v", err)
			}
		}()
		Check(t, m, src)
	})
}

// Check compares a Source with the model in every method.
func Check(t *rapid.T, m *Model, src history.Source) {
	c := checker{t: t, model: m, src: src, meta: src.Meta(), walk: m.walk(), ctx: context.Background()}
	c.checkNodes()
	c.checkTotals()
	c.checkVars()
	c.checkWalk(history.Begin, history.End, nil)
	for range 3 {
		from, to := c.position("from"), c.position("to")
		c.checkWalk(from, to, c.nodes())
		c.checkNarrow(from, to, c.nodes())
		c.checkBefore(from, rapid.IntRange(0, 6).Draw(t, "n"), c.nodes())
	}
	c.checkEvents()
	c.checkMessages()
	c.checkCancel()
}

type checker struct {
	t     *rapid.T
	model *Model
	src   history.Source
	meta  *history.Meta
	walk  []Entry
	ctx   context.Context
}

// position draws a place at, just before or just after an entry, or none of it.
func (c *checker) position(label string) history.Position {
	if len(c.walk) == 0 || rapid.IntRange(0, 3).Draw(c.t, label+" kind") == 0 {
		return rapid.SampledFrom([]history.Position{history.Begin, history.End, {Time: 20}, {Time: 20, Node: 1, Seq: 3}}).Draw(c.t, label)
	}
	p := rapid.SampledFrom(c.walk).Draw(c.t, label).Position
	p.Seq += uint64(rapid.IntRange(0, 1).Draw(c.t, label+" after"))
	return p
}

func (c *checker) nodes() []int {
	if rapid.Bool().Draw(c.t, "all nodes") {
		return nil
	}
	return rapid.SliceOfN(rapid.IntRange(0, max(0, len(c.model.Nodes)-1)), 0, min(3, len(c.model.Nodes))).Draw(c.t, "nodes")
}

func (c *checker) equal(what string, got, want any) {
	if g, w := fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want); g != w {
		c.t.Fatalf("%s:\n got %s\nwant %s", what, g, w)
	}
}

func (c *checker) ok(what string, err error) {
	if err != nil {
		c.t.Fatalf("%s: %v", what, err)
	}
}

func (c *checker) checkNodes() {
	c.equal("number of nodes", len(c.meta.Nodes), len(c.model.Nodes))
	for i, want := range c.model.Nodes {
		got := c.meta.Nodes[i]
		n := history.Node{Name: want.Name, Build: want.Build, Unknown: want.unknown(), Reason: got.Reason}
		for j, e := range want.Entries {
			e.Node = i
			if j == 0 {
				n.First = e.Position
			}
			if !e.Base {
				n.Events++
				n.Last = e.Position
			}
		}
		if len(want.Entries) == 0 {
			n.First = got.First
		}
		if n.Events == 0 {
			n.Last = got.Last
		}
		c.equal("node "+want.Name, got, n)
		if len(n.Unknown) > 0 && got.Reason == "" {
			c.t.Fatalf("node %s is unknown in part, without a reason", n.Name)
		}
		if at, ok := c.meta.NodeIndex(want.Name); !ok || at != i {
			c.t.Fatalf("NodeIndex(%q) = %d, %v, want %d", want.Name, at, ok, i)
		}
	}
}

func (c *checker) checkTotals() {
	var events, violations uint64
	last := c.meta.Last
	for _, e := range c.walk {
		if !e.Base {
			events++
			last = e.Position
		}
		var ids []string
		if e.Kind == "recv" {
			ids = append(ids, e.ID)
		}
		for _, f := range e.Effects {
			if f.Kind == "recv" && !slices.Contains(ids, f.ID) {
				ids = append(ids, f.ID)
			}
		}
		for _, id := range ids {
			if m := c.model.message(id); m.Sent && e.Time <= m.Send.Time {
				violations++
			}
		}
	}
	c.equal("number of events", c.meta.Events, events)
	c.equal("number of causality violations", c.meta.Violations, violations)
	if violations > 0 && len(c.meta.Warnings) == 0 {
		c.t.Fatalf("%d causality violations and no warning", violations)
	}
	if len(c.walk) > 0 {
		c.equal("first position", c.meta.First, c.walk[0].Position)
		c.equal("last position", c.meta.Last, last)
	}
}

// checkVars compares the statistics of every variable.
func (c *checker) checkVars() {
	want := map[string]*history.Var{}
	vars := make([]map[string]event.Value, len(c.model.Nodes))
	for i := range vars {
		vars[i] = map[string]event.Value{}
	}
	for _, e := range c.walk {
		apply(vars[e.Node], e.Assigns)
		for _, a := range e.Assigns {
			v := want[a.Var]
			if v == nil {
				v = &history.Var{Name: a.Var}
				want[a.Var] = v
			}
			if !e.Base {
				v.Changes++
			}
			if x, ok := vars[e.Node][a.Var]; ok {
				v.Nodes = append(v.Nodes, e.Node)
				typ := x.Type()
				if typ == event.TypeUint {
					typ = event.TypeInt
				}
				v.Types = append(v.Types, typ)
			}
		}
	}
	for i, n := range c.model.Nodes {
		for name, from := range n.Bulky {
			if want[name] == nil {
				want[name] = &history.Var{Name: name}
			}
			want[name].Bulky = append(want[name].Bulky, history.Bulky{Node: i, From: from})
		}
	}
	c.equal("number of variables", len(c.meta.Vars), len(want))
	for i, got := range c.meta.Vars {
		w := want[got.Name]
		if w == nil {
			c.t.Fatalf("variable %q is nowhere set", got.Name)
		}
		slices.Sort(w.Nodes)
		slices.Sort(w.Types)
		w.Nodes, w.Types = slices.Compact(w.Nodes), slices.Compact(w.Types)
		c.equal("variable "+got.Name, got, *w)
		if id, ok := c.meta.VarID(got.Name); !ok || int(id) != i {
			c.t.Fatalf("VarID(%q) = %d, %v, want %d", got.Name, id, ok, i)
		}
	}
}

// checkWalk walks a range and compares states and entries, those handed out
// first also after the last.
func (c *checker) checkWalk(from, to history.Position, nodes []int) {
	what := fmt.Sprintf("walk from %v to %v of %v", from, to, nodes)
	cur, err := c.src.Walk(c.ctx, from, to, nodes)
	c.ok(what, err)
	defer cur.Close()
	var got []*history.Event
	states := cur.States()
	c.equal(what+": number of states", len(states), len(c.model.Nodes))
	for i, want := range c.model.states(from, nodes) {
		c.equal(fmt.Sprintf("%s: state of node %d", what, i), DescribeState(c.meta, states[i]), describeVars(want))
		if states[i] == nil {
			states[i] = history.NewState()
		}
	}
	for {
		e, err := cur.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		c.ok(what, err)
		states[e.Node].ApplyAll(e.Changes)
		got = append(got, e)
	}
	var want []Entry
	for _, e := range c.walk {
		if e.Position.Compare(from) >= 0 && e.Position.Compare(to) < 0 && chosen(nodes, e.Node) {
			want = append(want, e)
		}
	}
	c.equal(what+": number of entries", len(got), len(want))
	for i := range want {
		c.equal(fmt.Sprintf("%s: entry %d", what, i), Describe(c.meta, got[i]), want[i].describe())
	}
	if from.Compare(to) < 0 {
		for i, w := range c.model.states(to, nodes) {
			if w != nil {
				c.equal(fmt.Sprintf("%s: state of node %d at its end", what, i), DescribeState(c.meta, states[i]), describeVars(w))
			}
		}
	}
}

// checkNarrow walks a range through a lens: all entries come, and what the lens
// asks for of each is there until the next is asked for.
func (c *checker) checkNarrow(from, to history.Position, nodes []int) {
	lens := c.lens()
	what := fmt.Sprintf("walk through %+v from %v to %v of %v", lens, from, to, nodes)
	cur, err := history.WalkThrough(c.ctx, c.src, from, to, nodes, lens)
	c.ok(what, err)
	defer cur.Close()
	states := cur.States()
	for i, want := range c.model.states(from, nodes) {
		if (states[i] == nil) != (want == nil) {
			c.t.Fatalf("%s: state of node %d is %v, want %s", what, i, states[i], describeVars(want))
		}
		for id := range c.meta.Vars {
			if v := want[c.meta.Vars[id].Name]; shows(&lens, history.VarID(id)) && want != nil {
				c.equal(fmt.Sprintf("%s: %s on node %d", what, c.meta.Vars[id].Name, i), states[i].Get(history.VarID(id)), v)
			}
		}
	}
	for i, want := range c.walk {
		if want.Position.Compare(from) < 0 || want.Position.Compare(to) >= 0 || !chosen(nodes, want.Node) {
			continue
		}
		e, err := cur.Next()
		c.ok(fmt.Sprintf("%s: entry %d", what, i), err)
		got := through(&lens, e)
		full := want.Event
		for _, a := range want.Assigns {
			id, _ := c.meta.VarID(a.Var)
			full.Changes = append(full.Changes, history.Change{Var: id, Path: a.Path, Value: a.Value})
		}
		c.equal(fmt.Sprintf("%s: entry %d", what, i), Describe(c.meta, got), Describe(c.meta, through(&lens, &full)))
	}
	if e, err := cur.Next(); !errors.Is(err, io.EOF) {
		c.t.Fatalf("%s: one entry too many: %+v, %v", what, e, err)
	}
}

func (c *checker) lens() history.Lens {
	l := history.Lens{All: rapid.IntRange(0, 4).Draw(c.t, "all") == 0, Fields: history.Fields(rapid.Uint8Range(0, uint8(history.AllFields)).Draw(c.t, "fields"))}
	if n := len(c.meta.Vars); n > 0 && !l.All {
		for _, v := range rapid.SliceOfN(rapid.IntRange(0, n-1), 0, 2).Draw(c.t, "vars") {
			l.Vars = append(l.Vars, history.VarID(v))
		}
	}
	return l
}

func shows(l *history.Lens, v history.VarID) bool { return l.All || slices.Contains(l.Vars, v) }

// through returns what of an event a lens is sure to show.
func through(l *history.Lens, e *history.Event) *history.Event {
	out := history.Event{Position: e.Position, Base: e.Base}
	if l.Fields&history.FieldPhysical != 0 {
		out.Physical = e.Physical
	}
	if l.Fields&history.FieldKind != 0 {
		out.Kind, out.Name, out.Machine = e.Kind, e.Name, e.Machine
	}
	if l.Fields&history.FieldMessage != 0 {
		out.ID, out.Peer = e.ID, e.Peer
	}
	if l.Fields&history.FieldData != 0 {
		out.Data = e.Data
	}
	if l.Fields&history.FieldEffects != 0 {
		out.Effects = e.Effects
	}
	for _, ch := range e.Changes {
		if shows(l, ch.Var) {
			out.Changes = append(out.Changes, ch)
		}
	}
	return &out
}

func (c *checker) checkBefore(p history.Position, n int, nodes []int) {
	what := fmt.Sprintf("%d events before %v of %v", n, p, nodes)
	got, err := c.src.Before(c.ctx, p, n, nodes)
	c.ok(what, err)
	var want []Entry
	for _, e := range c.walk {
		if e.Position.Compare(p) < 0 && !e.Base && chosen(nodes, e.Node) {
			want = append(want, e)
		}
	}
	want = want[max(0, len(want)-n):]
	c.equal(what+": number", len(got), len(want))
	place, ok, err := history.PlaceBefore(c.ctx, c.src, p, nodes)
	c.ok("place before", err)
	if n > 0 && ok != (len(want) > 0) || ok && n > 0 && place != want[len(want)-1].Position {
		c.t.Fatalf("%s: the last one is at %v, %v", what, place, ok)
	}
	for i := range want {
		c.equal(fmt.Sprintf("%s: number %d", what, i), Describe(c.meta, &got[i]), want[i].describe())
	}
}

// checkEvents asks for every sequence number from 0 to beyond the last.
func (c *checker) checkEvents() {
	for i, n := range c.model.Nodes {
		there := map[uint64]string{}
		last := uint64(0)
		for _, e := range n.Entries {
			e.Node = i
			if !e.Base {
				there[e.Seq] = e.describe()
			}
			last = e.Seq
		}
		for seq := range last + 2 {
			e, err := c.src.Event(c.ctx, i, seq)
			if want, ok := there[seq]; ok {
				c.ok("event", err)
				c.equal("event", Describe(c.meta, e), want)
			} else if !errors.Is(err, history.ErrNoEvent) {
				c.t.Fatalf("event %s:%d: got %v, %v, want ErrNoEvent", n.Name, seq, e, err)
			}
		}
	}
	if _, err := c.src.Event(c.ctx, len(c.model.Nodes), 1); err == nil {
		c.t.Fatalf("an event of a node that isn't there")
	}
}

func (c *checker) checkMessages() {
	ids := map[string]bool{"": true, "nobody/1/1/1": true}
	for _, e := range c.walk {
		ids[e.ID] = true
		for _, f := range e.Effects {
			ids[f.ID] = true
		}
	}
	for id := range ids {
		got, err := c.src.Message(c.ctx, id)
		c.ok("message "+id, err)
		c.equal("message "+id, got, c.model.message(id))
	}
}

// checkCancel makes sure that wrong nodes and a dead context are noticed.
func (c *checker) checkCancel() {
	if _, err := c.src.Walk(c.ctx, history.Begin, history.End, []int{len(c.model.Nodes)}); err == nil {
		c.t.Fatalf("a walk over a node that isn't there")
	}
	if _, err := c.src.Before(c.ctx, history.Position{Time: hlc.Max}, 1, []int{-1}); err == nil {
		c.t.Fatalf("events before, of node -1")
	}
}
