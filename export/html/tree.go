package html

import (
	"slices"
	"strings"

	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/termtext"
)

// A nodeTree is a node's variables at the cut.
type nodeTree struct {
	Name      string
	State     string // "up", "down", "not begun", "unknown", "" of one that never says
	Reason    string // for which it is unknown
	Here      bool   // the event is its
	Changed   int    // how many values the event changed
	Variables []branch
	More      int // variables that aren't shown
}

// A branch is a variable, or an entry of one: a leaf with a text, or a map.
type branch struct {
	Key     string
	Text    string
	Was     string // of a leaf that changed
	Changed bool
	Gone    bool
	Inside  int // how many leaves of it changed
	Leaves  []branch
	Len     int // of a map
	More    int // entries that aren't shown
}

// A grower makes the trees, up to a number of values.
type grower struct {
	v      *View
	leaves int
}

// trees are the states of all nodes. What there is room for begins with that of the
// event.
func (v *View) trees() []nodeTree {
	g := &grower{v: v}
	out := make([]nodeTree, len(v.Meta.Nodes))
	if v.At != history.Begin {
		out[v.At.Node] = g.node(v.At.Node)
	}
	for n := range out {
		if v.At == history.Begin || n != v.At.Node {
			out[n] = g.node(n)
		}
	}
	return out
}

func (g *grower) node(n int) nodeTree {
	m := &g.v.Meta.Nodes[n]
	t := nodeTree{Name: termtext.Printable(m.Name), State: "not begun", Here: g.v.At != history.Begin && g.v.At.Node == n}
	for _, s := range m.Unknown {
		if s.Contains(g.v.At.Time) {
			t.State, t.Reason = "unknown", termtext.Printable(m.Reason)
		}
	}
	if n >= len(g.v.Now) || g.v.Now[n] == nil {
		return t
	}
	now, was := g.v.Now[n], (*history.State)(nil)
	if n < len(g.v.Was) {
		was = g.v.Was[n]
	}
	id, known := g.v.Meta.VarID("node.up")
	if t.State == "not begun" {
		t.State = ""
		if known && !now.Get(id).IsAbsent() {
			t.State = upClass(now.Get(id), true)
		}
	}
	for i := range g.v.Meta.Vars {
		id, old := history.VarID(i), event.Absent
		if was != nil {
			old = was.Get(id)
		}
		value := now.Get(id)
		if value.IsAbsent() && (old.IsAbsent() || g.v.Meta.Vars[i].BulkyAt(n, g.v.At.Time)) {
			continue
		}
		if g.leaves >= leavesMax && event.Equal(old, value) {
			t.More++
			continue
		}
		b := g.branch(termtext.Printable(g.v.Meta.Vars[i].Name), old, value)
		t.Changed += b.Inside
		t.Variables = append(t.Variables, b)
	}
	slices.SortStableFunc(t.Variables, func(a, b branch) int { return strings.Compare(a.Key, b.Key) })
	return t
}

// branch compares what a variable or entry was with what it is.
func (g *grower) branch(key string, was, now event.Value) branch {
	b := branch{Key: key, Changed: !event.Equal(was, now)}
	if now.Type() != event.TypeMap || now.Len() == 0 || g.leaves > leavesMax {
		g.leaves++
		b.Text, b.Gone = clipped(now), now.IsAbsent()
		if b.Changed {
			b.Inside = 1
			if !was.IsAbsent() {
				b.Was = clipped(was)
			}
		}
		return b
	}
	b.Len = now.Len()
	g.entries(&b, was, now)
	return b
}

// entries adds the entries of a map: those that changed first come into it, where
// there are too many for all.
func (g *grower) entries(b *branch, was, now event.Value) {
	add := func(k, old, is event.Value) {
		changed := !event.Equal(old, is)
		if len(b.Leaves) >= entryMax {
			b.More++
			if changed {
				b.Inside++
			}
			return
		}
		leaf := g.branch(clipped(k), old, is)
		b.Inside += leaf.Inside
		b.Leaves = append(b.Leaves, leaf)
	}
	var rest []event.Value
	for k, is := range now.AsMap().All() {
		if old := was.Index(k); now.Len() > entryMax && event.Equal(old, is) {
			rest = append(rest, k)
		} else {
			add(k, old, is)
		}
	}
	if was.Type() == event.TypeMap {
		for k, old := range was.AsMap().All() {
			if now.Index(k).IsAbsent() {
				add(k, old, event.Absent)
			}
		}
	}
	for _, k := range rest {
		add(k, was.Index(k), now.Index(k))
	}
}

// clipped is a value in a line.
func clipped(v event.Value) string {
	switch v.Type() {
	case event.TypeAbsent:
		return "—"
	case event.TypeTime:
		return v.AsTime().String()
	}
	return termtext.Clip(termtext.Printable(string(v.AppendJSON(nil))), valueMax)
}
