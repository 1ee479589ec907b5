package timeline

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/hlc"
)

// world draws a History of up to four nodes with messages between them, some
// received twice or never, timers, notes, nodes that go down, and a base.
func world(t *rapid.T) *history.Mem {
	b := history.NewBuilder()
	nodes := rapid.IntRange(1, 4).Draw(t, "nodes")
	for n := range nodes {
		b.AddNode(fmt.Sprintf("n%d", n), "")
	}
	seqs := make([]uint64, nodes)
	now := hlc.Timestamp(rapid.Uint64Range(1, 1<<40).Draw(t, "begin"))
	if rapid.Bool().Draw(t, "base") {
		seqs[0] = 7
		b.Base("n0", 7, now, map[string]event.Value{"node.up": event.Bool(false)})
		now++
	}
	var flying []string
	for i := range rapid.IntRange(0, 250).Draw(t, "events") {
		n := rapid.IntRange(0, nodes-1).Draw(t, "node")
		now += hlc.Timestamp(rapid.SampledFrom([]uint64{1, 1, 3, 1000, 1 << 30}).Draw(t, "gap"))
		seqs[n]++
		if seqs[n] > 1 && rapid.IntRange(0, 20).Draw(t, "hole") == 0 {
			seqs[n] += 5
		}
		e := history.Event{Position: history.Position{Time: now, Seq: seqs[n]}}
		var set []history.Assign
		switch rapid.IntRange(0, 6).Draw(t, "kind") {
		case 0, 1:
			if len(flying) > 0 {
				k := rapid.IntRange(0, len(flying)-1).Draw(t, "message")
				e.Kind, e.ID = "recv", flying[k]
				if rapid.IntRange(0, 4).Draw(t, "again") > 0 {
					flying = slices.Delete(flying, k, k+1)
				}
				break
			}
			e.Kind = "request"
		case 2:
			e.Kind = "timer"
		case 3:
			e.Kind, e.Name = "note", rapid.SampledFrom([]string{"boot", "link", "drop", "else"}).Draw(t, "name")
		case 4:
			e.Kind = "note"
			set = []history.Assign{{Path: "node.up", Value: event.Bool(rapid.Bool().Draw(t, "up"))}}
		default:
			e.Kind = "set"
		}
		for k := range rapid.IntRange(0, 2).Draw(t, "sends") {
			id := fmt.Sprintf("m%d.%d", i, k)
			e.Effects = append(e.Effects, history.Effect{Kind: "send", ID: id})
			flying = append(flying, id)
		}
		b.Append(fmt.Sprintf("n%d", n), history.EventSpec{Event: e, Set: set})
	}
	src, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return src
}

// A fact is what the slow model knows of an event.
type fact struct {
	history.Event
	order, depth uint64
	causes       []int // places in the walk
}

func facts(t *rapid.T, src *history.Mem) []fact {
	c, err := src.Walk(t.Context(), history.Begin, history.End, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var all []fact
	last, sent := map[int]int{}, map[string]int{}
	for {
		e, err := c.Next()
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		if e.Base {
			continue
		}
		f := fact{Event: *e, order: uint64(len(all)), depth: 1}
		if k, ok := last[e.Node]; ok {
			f.causes = append(f.causes, k)
		}
		for id := range e.Received() {
			if k, ok := sent[id]; ok {
				f.causes = append(f.causes, k)
			}
		}
		for _, k := range f.causes {
			f.depth = max(f.depth, all[k].depth+1)
		}
		last[e.Node] = len(all)
		for id := range e.Sent() {
			sent[id] = len(all)
		}
		all = append(all, f)
	}
}

func (f *fact) at(a Axis) uint64 {
	return [...]uint64{uint64(f.Time), f.order, f.depth}[a]
}

func linked(t *rapid.T, src *history.Mem) *Index {
	x, err := Build(t.Context(), src, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := x.Frame(View{Axis: Depth, To: 9, Columns: 1}); !errors.Is(err, ErrNotLinked) {
		t.Fatalf("depth before Link: %v", err)
	}
	x, err = x.Link(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func TestFramesAreWhatCountingTheEventsGives(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		src := world(rt)
		all := facts(rt, src)
		x := linked(rt, src)
		if x.Len() != len(all) {
			rt.Fatalf("%d events, want %d", x.Len(), len(all))
		}
		v := View{Axis: Axis(rapid.IntRange(0, 2).Draw(rt, "axis")), Columns: rapid.IntRange(1, 50).Draw(rt, "columns")}
		from, to, ok := x.Span(v.Axis)
		if ok != (len(all) > 0) {
			rt.Fatalf("span: %v of %d events", ok, len(all))
		}
		switch rapid.IntRange(0, 3).Draw(rt, "view") {
		case 0:
			v.From, v.To = from, to
		case 1:
			v.From, v.To = 0, math.MaxUint64
		default:
			v.From = rapid.Uint64Range(from, to).Draw(rt, "from")
			v.To = rapid.Uint64Range(v.From, to).Draw(rt, "to")
		}
		if rapid.Bool().Draw(rt, "some lanes") {
			v.Lanes = []int{len(src.Meta().Nodes) - 1}
		}
		f, err := x.Frame(v)
		if err != nil {
			rt.Fatal(err)
		}
		want := make([][]Cell, len(f.Lanes))
		for i := range want {
			want[i] = make([]Cell, v.Columns)
		}
		var inView []history.Position
		for i := range all {
			e := &all[i]
			lane := slices.Index(f.Lanes, e.Node)
			if at := e.at(v.Axis); lane >= 0 && at >= v.From && at <= v.To {
				c := &want[lane][v.Column(at)]
				c.Count++
				c.Class |= classOf(&e.Event)
				inView = append(inView, e.Position)
			}
		}
		if f.Events != len(inView) || fmt.Sprint(f.Cells) != fmt.Sprint(want) {
			rt.Fatalf("%+v: %d events %v\nwant %d %v", v, f.Events, f.Cells, len(inView), want)
		}
		one := v
		one.Merged = true
		m, err := x.Frame(one)
		if err != nil || m.Events != f.Events || fmt.Sprint(m.Cells) != fmt.Sprint([][]Cell{together(want, v.Columns)}) {
			rt.Fatalf("%+v, merged: %v, %v\nwant what is together in %v", v, m.Cells, err, want)
		}
		at, n, err := x.Events(v, len(inView))
		if err != nil || n != len(inView) || !slices.Equal(at, inView) {
			rt.Fatalf("%+v: %d events %v, %v\nwant %v", v, n, at, err, inView)
		}
		if len(inView) > 0 {
			if at, n, err := x.Events(v, len(inView)-1); err != nil || at != nil || n != len(inView) {
				rt.Fatalf("too many: %v %d %v", at, n, err)
			}
		}
	})
}

// A message with one end in a view crosses its border.
func TestMessagesCrossAViewsBorder(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		src := world(rt)
		x, all := linked(rt, src), facts(rt, src)
		v := View{Axis: Axis(rapid.IntRange(0, 2).Draw(rt, "axis")), Columns: 1}
		from, to, ok := x.Span(v.Axis)
		if !ok {
			return
		}
		v.From = rapid.Uint64Range(from, to).Draw(rt, "from")
		v.To = rapid.Uint64Range(v.From, to).Draw(rt, "to")
		if rapid.Bool().Draw(rt, "some lanes") {
			v.Lanes = []int{len(src.Meta().Nodes) - 1}
		}
		inside := func(f *fact) bool {
			return f.at(v.Axis) >= v.From && f.at(v.Axis) <= v.To && (v.Lanes == nil || f.Node == v.Lanes[0])
		}
		want := Crossing{map[history.Position][]history.Position{}, map[history.Position][]history.Position{}}
		last := map[int]bool{}
		for i := range all {
			f, causes := &all[i], all[i].causes
			if last[f.Node] {
				causes = causes[1:] // the event before it on its lane
			}
			last[f.Node] = true
			for _, k := range causes {
				switch s := &all[k]; {
				case inside(f) && !inside(s):
					want.In[f.Position] = append(want.In[f.Position], s.Position)
				case !inside(f) && inside(s):
					want.Out[s.Position] = append(want.Out[s.Position], f.Position)
				}
			}
		}
		got, err := x.Crossing(v)
		if err != nil || fmt.Sprint(*got) != fmt.Sprint(want) {
			rt.Fatalf("%+v: %v, %v\nwant %v", v, got, err, want)
		}
	})
}

// together are the cells of several lanes as those of one.
func together(lanes [][]Cell, columns int) []Cell {
	sum := make([]Cell, columns)
	for _, cells := range lanes {
		for i, c := range cells {
			sum[i].Count += c.Count
			sum[i].Class |= c.Class
		}
	}
	return sum
}

// Columns are as wide as each other, to one coordinate, and an edge is where the
// column begins.
func TestColumnsAndEdgesAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := View{From: rapid.Uint64().Draw(t, "from"), Columns: rapid.IntRange(1, ColumnsMax).Draw(t, "columns")}
		v.To = rapid.Uint64Range(v.From, math.MaxUint64).Draw(t, "to")
		at := rapid.Uint64Range(v.From, v.To).Draw(t, "at")
		c := v.Column(at)
		if c < 0 || c >= v.Columns {
			t.Fatalf("column %d of %d", c, v.Columns)
		}
		begin, ok := v.edge(c)
		end, more := v.edge(c + 1)
		if !ok || at < begin || c+1 < v.Columns && more && at >= end {
			t.Fatalf("%d is in column %d, which is from %d %v up to %d %v", at, c, begin, ok, end, more)
		}
		if v.Column(v.From) != 0 || v.Column(v.To) != v.Columns-1 && v.To-v.From >= uint64(v.Columns) {
			t.Fatalf("the view's ends are in columns %d and %d", v.Column(v.From), v.Column(v.To))
		}
	})
}

func TestConesAreWhatFollowingTheCausesGives(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		src := world(rt)
		all := facts(rt, src)
		if len(all) == 0 {
			return
		}
		x := linked(rt, src)
		here := rapid.IntRange(0, len(all)-1).Draw(rt, "event")
		past, future := map[int]bool{here: true}, map[int]bool{here: true}
		for i := here; i >= 0; i-- {
			for _, k := range all[i].causes {
				past[k] = past[k] || past[i]
			}
		}
		for i := here; i < len(all); i++ {
			for _, k := range all[i].causes {
				future[i] = future[i] || future[k]
			}
		}
		c, err := x.ConeOf(all[here].Position)
		if err != nil {
			rt.Fatal(err)
		}
		seen := make([]int, len(src.Meta().Nodes))
		for i := range all {
			n := all[i].Node
			if got := seen[n] < c.Past[n]; got != past[i] {
				rt.Fatalf("event %d in the past of %d: %v, want %v", i, here, got, past[i])
			}
			if got := seen[n] >= c.Future[n]; got != future[i] {
				rt.Fatalf("event %d in the future of %d: %v, want %v", i, here, got, future[i])
			}
			seen[n]++
		}
	})
}

func TestPlacesAndCoordinatesLeadToEachOther(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		src := world(rt)
		all := facts(rt, src)
		x := linked(rt, src)
		for i := range all {
			e := &all[i]
			for a := Time; a <= Depth; a++ {
				at, ok := x.Coordinate(a, e.Position)
				if !ok || at != e.at(a) {
					rt.Fatalf("event %d along %v: %d %v, want %d", i, a, at, ok, e.at(a))
				}
				if near, ok := x.Nearest(a, e.Node, at); !ok || near.Seq != e.Seq {
					rt.Fatalf("event %d along %v: nearest to it is %v", i, a, near)
				}
			}
			p := e.Position
			p.Seq += 3
			if _, ok := x.Coordinate(Order, p); ok != slices.ContainsFunc(all, func(f fact) bool { return f.Position.Node == p.Node && f.Seq == p.Seq }) {
				rt.Fatalf("is there an event %d of node %d? %v", p.Seq, p.Node, ok)
			}
		}
		for range 10 {
			a := Axis(rapid.IntRange(0, 1).Draw(rt, "axis"))
			at := rapid.Uint64Range(0, 1<<41).Draw(rt, "at")
			if a == Order {
				at = rapid.Uint64Range(0, 300).Draw(rt, "order")
			}
			want := history.Begin
			for i := range all {
				if all[i].at(a) <= at {
					want = all[i].Position
				}
			}
			if got := x.Cut(a, at); got != want {
				rt.Fatalf("cut at %d along %v: %v, want %v", at, a, got, want)
			}
		}
	})
}

func TestWhatMakesNoSenseIsRefused(t *testing.T) {
	src, err := history.NewBuilder().Build()
	if err != nil {
		t.Fatal(err)
	}
	x, err := Build(t.Context(), src, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []View{{Columns: 0}, {Columns: ColumnsMax + 1}, {From: 2, To: 1, Columns: 1}, {Columns: 1, Lanes: []int{0}}, {Columns: 1, Axis: 9}} {
		if _, err := x.Frame(v); err == nil {
			t.Errorf("%+v: no error", v)
		}
	}
	if f, err := x.Frame(View{Columns: 3, To: 9}); err != nil || f.Events != 0 {
		t.Errorf("of nothing: %v", err)
	}
	if _, err := ParseAxis("colour"); err == nil {
		t.Error("axis colour: no error")
	}
	if _, err := x.ConeOf(history.Position{}); !errors.Is(err, ErrNotLinked) {
		t.Errorf("cone: %v", err)
	}
}
