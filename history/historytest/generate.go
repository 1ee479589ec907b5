package historytest

import (
	"fmt"
	"slices"

	"pgregory.net/rapid"

	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/hlc"
)

// A Shape bounds the Models that Generate draws. The zero Shape is that of the
// conformance suite.
type Shape struct {
	Entries int // of a node, at most; 0 is 40
}

var (
	nodeNames = []string{"n1", "n10", "n2", "böse\nnode", "z"}
	varNames  = []string{"inv.a", "inv.b", "kv.items", "kv.log", "x", "a[b]", "`", "kv.items.deep"}
	kinds     = []string{"set", "send", "recv", "timer", "result", "request", "note", "hdfs.read", "base"}
	effects   = []string{"send", "send", "settimer", "call", "reply", "log", "recv"}
	texts     = []string{"", "Put", "Get", "ünïcode", "\xff\x00", "a\"b"}
)

// Generate draws Models: several nodes with times that collide, gaps, bases,
// messages that are lost, duplicated or received before they were sent, and
// changes that undo each other.
func Generate(shape Shape) *rapid.Generator[*Model] {
	if shape.Entries == 0 {
		shape.Entries = 40
	}
	return rapid.Custom(func(t *rapid.T) *Model {
		m := &Model{}
		names := rapid.SliceOfNDistinct(rapid.SampledFrom(nodeNames), 0, 4, rapid.ID).Draw(t, "nodes")
		slices.Sort(names)
		ids := rapid.SliceOfNDistinct(rapid.StringMatching(`n[12]/1/[0-9]{1,2}/0`), 1, 12, rapid.ID).Draw(t, "ids")
		for _, name := range names {
			m.Nodes = append(m.Nodes, genNode(t, name, ids, shape.Entries))
		}
		return m
	})
}

func genNode(t *rapid.T, name string, ids []string, entriesMax int) Node {
	n := Node{Name: name, Build: rapid.SampledFrom([]string{"", "v1"}).Draw(t, "build")}
	if rapid.IntRange(0, 5).Draw(t, "mark") == 0 {
		from := rapid.Uint64Range(0, 60).Draw(t, "from")
		n.Marked = append(n.Marked, history.Span{From: hlc.Timestamp(from), To: hlc.Timestamp(from + rapid.Uint64Range(1, 20).Draw(t, "length"))})
	}
	if rapid.IntRange(0, 3).Draw(t, "bulky") == 0 {
		n.Bulky = rapid.MapOfN(rapid.SampledFrom(append([]string{"never.set"}, varNames...)),
			rapid.Map(rapid.Uint64Range(0, 80), func(t uint64) hlc.Timestamp { return hlc.Timestamp(t) }), 1, 3).Draw(t, "variables")
	}
	now, seq := rapid.Uint64Range(0, 20).Draw(t, "start"), uint64(0)
	for i := range rapid.IntRange(0, entriesMax).Draw(t, "entries") {
		gap := rapid.IntRange(0, 30).Draw(t, "gap")
		if gap == 0 {
			seq += rapid.Uint64Range(1, 3).Draw(t, "missing")
		}
		if gap == 1 || i == 0 && gap < 10 {
			now++
			n.Entries = append(n.Entries, genBase(t, seq, now))
			continue
		}
		now += rapid.Uint64Range(0, 3).Draw(t, "later")
		seq++
		n.Entries = append(n.Entries, genEvent(t, seq, now, ids))
	}
	return n
}

func genBase(t *rapid.T, seq, now uint64) Entry {
	e := Entry{}
	e.Base, e.Seq, e.Time = true, seq, hlc.Timestamp(now)
	for _, v := range rapid.SliceOfNDistinct(rapid.SampledFrom(varNames), 0, 4, rapid.ID).Draw(t, "vars") {
		e.Assigns = append(e.Assigns, Assign{Var: v, Value: genValue().Draw(t, "value")})
	}
	return e
}

func genEvent(t *rapid.T, seq, now uint64, ids []string) Entry {
	text := rapid.SampledFrom(texts)
	e := Entry{}
	e.Seq, e.Time = seq, hlc.Timestamp(now)
	e.Kind = rapid.SampledFrom(kinds).Draw(t, "kind")
	if rapid.Bool().Draw(t, "plain") {
		e.Kind = "set"
	} else {
		e.Physical = hlc.Timestamp(rapid.Uint64Range(0, 1<<40).Draw(t, "physical"))
		e.Name, e.Machine = text.Draw(t, "name"), text.Draw(t, "machine")
		e.Peer = text.Draw(t, "peer")
		e.Data = rapid.OneOf(rapid.Just(event.Absent), genValue()).Draw(t, "data")
	}
	if e.Kind == "recv" || rapid.IntRange(0, 5).Draw(t, "id") == 0 {
		e.ID = rapid.SampledFrom(ids).Draw(t, "received")
	}
	for range max(0, rapid.IntRange(-3, 2).Draw(t, "effects")) {
		f := history.Effect{Kind: rapid.SampledFrom(effects).Draw(t, "effect"), ID: rapid.SampledFrom(ids).Draw(t, "sent")}
		f.Peer, f.Name = text.Draw(t, "to"), text.Draw(t, "name")
		f.Data = rapid.OneOf(rapid.Just(event.Absent), genValue()).Draw(t, "data")
		e.Effects = append(e.Effects, f)
	}
	for range rapid.IntRange(0, 4).Draw(t, "changes") {
		e.Assigns = append(e.Assigns, genAssign(t))
	}
	return e
}

func genAssign(t *rapid.T) Assign {
	a := Assign{Var: rapid.SampledFrom(varNames).Draw(t, "var")}
	for range max(0, rapid.IntRange(-3, 3).Draw(t, "depth")) {
		a.Path = append(a.Path, rapid.OneOf(
			rapid.Map(rapid.SampledFrom([]string{"x", "y", "$set", "\xfe"}), event.String),
			rapid.Map(rapid.Int64Range(-1, 2), event.Int)).Draw(t, "key"))
	}
	if rapid.IntRange(0, 3).Draw(t, "delete") > 0 {
		a.Value = genValue().Draw(t, "value")
	}
	return a
}

// genValue draws values of every type, small ones mostly.
func genValue() *rapid.Generator[event.Value] {
	return rapid.Custom(func(t *rapid.T) event.Value {
		small := rapid.Map(rapid.Int64Range(-2, 2), event.Int)
		list := rapid.SliceOfN(small, 0, 3)
		switch rapid.IntRange(0, 12).Draw(t, "type") {
		case 0:
			return event.Null()
		case 1:
			return event.Bool(rapid.Bool().Draw(t, "bool"))
		case 2:
			return event.Float(rapid.Float64().Draw(t, "float"))
		case 3:
			return event.String(rapid.SampledFrom(texts).Draw(t, "string"))
		case 4:
			return event.Uint(rapid.Uint64().Draw(t, "uint"))
		case 5:
			return event.Time(hlc.Timestamp(rapid.Uint64().Draw(t, "time")))
		case 6:
			return event.List(list.Draw(t, "list")...)
		case 7:
			return event.Set(list.Draw(t, "set")...)
		case 8, 9:
			var m *event.Map
			for i, v := range list.Draw(t, "map") {
				m = m.With(event.String(fmt.Sprint("xyz"[i:i+1])), v)
			}
			return event.MapOf(m)
		}
		return small.Draw(t, "int")
	})
}
