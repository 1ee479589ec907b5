// Package historytest holds the one suite that every history.Source passes, and
// the slow, obvious model of a History that it compares with.
package historytest

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/hlc"
)

// A Model is a History as plain data.
type Model struct {
	Nodes []Node // sorted by name
}

// A Node is what a Model has of one node.
type Node struct {
	Name, Build string
	Entries     []Entry // in order
	Marked      []history.Span
	Bulky       map[string]hlc.Timestamp // variables, and from when on
}

// An Entry is an event, or a base if Event.Base is set. Its changes are in
// Assigns; of a base these are whole variables.
type Entry struct {
	history.Event
	Assigns []Assign
}

// An Assign is a history.Change that names its variable.
type Assign struct {
	Var   string
	Path  []event.Value
	Value event.Value
}

// GoString shows the model in a failing test.
func (m *Model) GoString() string {
	var b strings.Builder
	for i, n := range m.Nodes {
		fmt.Fprintf(&b, "\nnode %d %q build %q marked %v bulky %v", i, n.Name, n.Build, n.Marked, n.Bulky)
		for _, e := range n.Entries {
			fmt.Fprintf(&b, "\n  %s", e.describe())
		}
	}
	return b.String()
}

// Feed writes the model into w, node by node.
func (m *Model) Feed(w history.Writer) error {
	for i := range m.Nodes {
		if err := m.Nodes[i].feed(w); err != nil {
			return err
		}
	}
	return nil
}

func (n *Node) feed(w history.Writer) error {
	nw, err := w.Node(n.Name, n.Build)
	if err != nil {
		return err
	}
	for _, s := range n.Marked {
		if err := nw.Unknown(s, "marked by the test"); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(n.Bulky)) {
		if err := nw.Bulky(nw.Var(name), n.Bulky[name]); err != nil {
			return err
		}
	}
	for i := range n.Entries {
		e := n.Entries[i].Event
		for _, a := range n.Entries[i].Assigns {
			e.Changes = append(e.Changes, history.Change{Var: nw.Var(a.Var), Path: a.Path, Value: a.Value})
		}
		if e.Base {
			err = nw.Base(e.Seq, e.Time, e.Changes)
		} else {
			err = nw.Append(&e)
		}
		if err != nil {
			return err
		}
	}
	return nw.Close()
}

// walk returns all entries in walk order, their Position.Node filled in and a
// base's deletions added.
func (m *Model) walk() []Entry {
	var out []Entry
	for i, n := range m.Nodes {
		vars := map[string]event.Value{}
		for _, e := range n.Entries {
			e.Position.Node = i
			if e.Base {
				e.Kind = history.KindBase
				e.Assigns = append(slices.Clone(e.Assigns), deletions(vars, e.Assigns)...)
			}
			apply(vars, e.Assigns)
			out = append(out, e)
		}
	}
	slices.SortStableFunc(out, func(a, b Entry) int { return a.Position.Compare(b.Position) })
	return out
}

func deletions(vars map[string]event.Value, base []Assign) []Assign {
	var out []Assign
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		if !slices.ContainsFunc(base, func(a Assign) bool { return a.Var == name }) {
			out = append(out, Assign{Var: name})
		}
	}
	return out
}

// states returns every node's variables before p, nil for a node without any
// entry before it or that isn't among nodes.
func (m *Model) states(p history.Position, nodes []int) []map[string]event.Value {
	out := make([]map[string]event.Value, len(m.Nodes))
	for _, e := range m.walk() {
		if e.Position.Compare(p) >= 0 || !chosen(nodes, e.Node) {
			continue
		}
		if out[e.Node] == nil {
			out[e.Node] = map[string]event.Value{}
		}
		apply(out[e.Node], e.Assigns)
	}
	return out
}

func chosen(nodes []int, node int) bool { return nodes == nil || slices.Contains(nodes, node) }

func apply(vars map[string]event.Value, assigns []Assign) {
	for _, a := range assigns {
		v := set(vars[a.Var], a.Path, a.Value)
		if v.IsAbsent() {
			delete(vars, a.Var)
		} else {
			vars[a.Var] = v
		}
	}
}

// set is Change as its comments define it, on a copy of everything.
func set(v event.Value, path []event.Value, val event.Value) event.Value {
	if len(path) == 0 {
		return val
	}
	if i, ok := path[0].AsInt(); ok && v.Type() == event.TypeList && i >= 0 && i <= int64(v.Len()) {
		list := slices.Clone(v.Members())
		element := set(v.Index(path[0]), path[1:], val)
		switch {
		case element.IsAbsent():
		case int(i) == len(list):
			list = append(list, element)
		default:
			list[i] = element
		}
		return event.List(list...)
	}
	if v.Type() != event.TypeMap && val.IsAbsent() {
		return v
	}
	var entries []event.Entry
	old := event.Absent
	for k, x := range v.AsMap().All() {
		if event.Equal(k, path[0]) {
			old = x
		} else {
			entries = append(entries, event.Entry{Key: k, Value: x})
		}
	}
	if old.IsAbsent() && val.IsAbsent() {
		return v
	}
	if x := set(old, path[1:], val); !x.IsAbsent() {
		entries = append(entries, event.Entry{Key: path[0], Value: x})
	}
	return event.MapOf(event.NewMap(entries...))
}

// unknown returns where a node's recording is missing.
func (n *Node) unknown() []history.Span {
	spans := slices.Clone(n.Marked)
	last := history.Position{}
	for i, e := range n.Entries {
		want := last.Seq + 1 // the next event's number; a base stands for the event before
		if e.Base {
			want = last.Seq
		}
		switch {
		case i == 0 && (e.Base || e.Seq > want):
			spans = append(spans, history.Span{From: 0, To: e.Time})
		case i > 0 && e.Seq > want:
			spans = append(spans, history.Span{From: last.Time + 1, To: e.Time})
		}
		last = e.Position
	}
	var out []history.Span
	for t := hlc.Timestamp(0); ; { // join what overlaps or touches, the slow way
		next := history.Span{From: hlc.Max, To: hlc.Max}
		for _, s := range spans {
			if s.To > s.From && s.From >= t && s.From < next.From {
				next = s
			}
		}
		if next.From == hlc.Max {
			return out
		}
		for range spans {
			for _, s := range spans {
				if s.To > s.From && s.From <= next.To && s.To > next.To {
					next.To = s.To
				}
			}
		}
		out = append(out, next)
		t = next.To + 1
	}
}

// message finds the sends and receives of an id by looking at every event.
func (m *Model) message(id string) history.Message {
	out := history.Message{ID: id}
	for _, e := range m.walk() {
		for _, f := range e.Effects {
			if id != "" && f.ID == id && slices.Contains([]string{"send", "settimer", "call"}, f.Kind) && !out.Sent {
				out.Sent, out.Send = true, e.Position
			}
		}
		receives := e.ID == id && slices.Contains([]string{"recv", "timer", "result"}, e.Kind)
		for _, f := range e.Effects {
			receives = receives || f.ID == id && f.Kind == "recv"
		}
		if id != "" && receives {
			out.Receives = append(out.Receives, e.Position)
		}
	}
	return out
}

// Describe is an entry as text, with variables by name and a base's changes
// sorted: two entries with the same text are the same.
func Describe(meta *history.Meta, e *history.Event) string {
	out := Entry{Event: *e}
	for _, c := range e.Changes {
		out.Assigns = append(out.Assigns, Assign{meta.Vars[c.Var].Name, c.Path, c.Value})
	}
	return out.describe()
}

func (e *Entry) describe() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d:%d at %d/%d base=%v kind=%q name=%q machine=%q id=%q peer=%q data=%v",
		e.Node, e.Seq, e.Time, e.Physical, e.Base, e.Kind, e.Name, e.Machine, e.ID, e.Peer, e.Data)
	for _, f := range e.Effects {
		fmt.Fprintf(&b, " %s{%q %q %q %v}", f.Kind, f.ID, f.Peer, f.Name, f.Data)
	}
	var changes []string
	for _, a := range e.Assigns {
		changes = append(changes, fmt.Sprintf("%s=%v", event.PathString(a.Var, a.Path), a.Value))
	}
	if e.Base {
		slices.Sort(changes)
	}
	fmt.Fprintf(&b, " %v", changes)
	return b.String()
}

// DescribeState is a node's variables as text, "unknown" for nil.
func DescribeState(meta *history.Meta, s *history.State) string {
	if s == nil {
		return "unknown"
	}
	vars := map[string]event.Value{}
	for _, id := range s.Vars() {
		vars[meta.Vars[id].Name] = s.Get(id)
	}
	return describeVars(vars)
}

func describeVars(vars map[string]event.Value) string {
	if vars == nil {
		return "unknown"
	}
	var out []string
	for name, v := range vars {
		out = append(out, fmt.Sprintf("%s=%v", event.PathString(name, nil), v))
	}
	slices.SortFunc(out, cmp.Compare[string])
	return fmt.Sprint(out)
}
