package tui

import (
	"fmt"
	"strconv"
	"strings"

	tea "charm.land/bubbletea/v2"

	"hindcast.dev/debug"
	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/termtext"
)

// Bounds on what the tree of the state shows.
const (
	childrenMax  = 500    // of one value
	foundMax     = 300    // lines of a search
	lookedAtMax  = 200000 // values that a search looks at
	nodesOpenMax = 8      // with more nodes, those that the event isn't on begin closed
)

// A tree is which parts of the state are open, or what is searched for in it.
type tree struct {
	turned map[string]bool // opened or closed by hand
	filter string          // lower case; "" shows the tree
	stale  bool
}

func (t *tree) init() { t.turned = map[string]bool{} }

// toggle opens or closes an entry, by its key.
func (t *tree) toggle(key string) {
	t.turned[key] = !t.turned[key]
	t.stale = true
}

// isOpen reports whether an entry is open, given how it begins.
func (t *tree) isOpen(key string, begins bool) bool { return begins != t.turned[key] }

// fold opens or closes the chosen entry, or goes to the one that it is in.
func (t *tree) fold(l *list, open bool) tea.Cmd {
	if l.cur >= len(l.lines) {
		return nil
	}
	n := l.lines[l.cur]
	isOpen := l.cur+1 < len(l.lines) && l.lines[l.cur+1].depth > n.depth
	switch {
	case n.open != "" && isOpen != open:
		t.toggle(n.open)
	case !open:
		for i := l.cur; i >= 0; i-- {
			if l.lines[i].depth < n.depth {
				l.cur = i
				break
			}
		}
	}
	return nil
}

// A forester makes the lines of a tree.
type forester struct {
	t     *tree
	g     *global
	width int
	node  int
	now   *history.State
	was   *history.State // nil on other nodes than the event's
	lines []line
	left  int // values that may still be looked at
}

// stateLines are the state of all nodes at the cut, as far as it is open.
func (m *model) stateLines(width int) []line {
	m.tree.stale = false
	g := &m.global
	if g.err != nil {
		l := &liner{width: width}
		l.wrapped("", red, g.err.Error(), "")
		return l.lines
	}
	if g.states == nil {
		return []line{styled(dim, "reading …")}
	}
	f := &forester{t: &m.tree, g: g, width: width, left: lookedAtMax}
	if m.tree.filter != "" {
		f.lines = append(f.lines, styled(yellow, fmt.Sprintf("with %q in it; Esc shows all", m.tree.filter)))
	}
	for _, w := range m.watched {
		f.lines = append(f.lines, styled(cyan, "watch  "+w))
	}
	var empty []string
	for n := range g.meta.Nodes {
		if st := g.states[n]; st != nil && len(st.Vars()) == 0 && n != g.at.Node {
			empty = append(empty, g.meta.Nodes[n].Name)
			continue
		}
		f.branch(n)
	}
	if len(empty) > 0 && m.tree.filter == "" {
		f.lines = append(f.lines, styled(dim, "  without variables: "+strings.Join(empty, ", ")))
	}
	if m.tree.filter != "" && len(f.lines) == 1 {
		f.lines = append(f.lines, styled(dim, "nothing at this cut"))
	}
	return f.lines
}

// branch adds a node and its variables.
func (f *forester) branch(n int) {
	f.node, f.now, f.was = n, f.g.states[n], nil
	if n == f.g.at.Node && f.g.at != history.Begin {
		f.was = f.g.was
	}
	name := termtext.Name(f.g.meta.Nodes[n].Name)
	if f.now == nil {
		if f.t.filter == "" {
			f.lines = append(f.lines, line{parts: []part{{"  " + name, bold}, {"  nothing is recorded up to here", dim}}})
		}
		return
	}
	if f.t.filter != "" {
		f.search(name)
		return
	}
	key := "node " + strconv.Itoa(n)
	open := f.t.isOpen(key, len(f.g.meta.Nodes) <= nodesOpenMax || f.was != nil)
	parts := []part{{sign(open) + name, bold}}
	if f.was != nil {
		parts = append(parts, part{"  ◆ the event is here", yellow})
	}
	f.lines = append(f.lines, line{parts: parts, open: key, here: f.was != nil})
	if !open {
		return
	}
	for id := range f.g.meta.Vars {
		f.variable(history.VarID(id))
	}
}

func sign(open bool) string {
	if open {
		return "▾ "
	}
	return "▸ "
}

// variable adds a variable of the node.
func (f *forester) variable(id history.VarID) {
	v := &f.g.meta.Vars[id]
	now, was := f.now.Get(id), f.now.Get(id)
	if f.was != nil {
		was = f.was.Get(id)
	}
	if v.BulkyAt(f.node, f.g.at.Time) {
		text := "too large to be compared after every event: Enter shows it"
		f.lines = append(f.lines, line{depth: 1, parts: []part{{"    " + termtext.Printable(v.Name) + "  ", 0}, {text, dim}},
			do: "state " + termtext.Name(f.g.meta.Nodes[f.node].Name) + " " + event.PathString(v.Name, nil)})
		return
	}
	if !now.IsAbsent() || !was.IsAbsent() {
		f.value(twig{name: v.Name, variable: v.Name, now: now, was: was, depth: 1})
	}
}

// A twig is a variable, or something in one.
type twig struct {
	name     string
	variable string
	steps    []event.Value
	now, was event.Value
	depth    int
}

// value adds a value, and what is inside if it is open.
func (f *forester) value(w twig) {
	path := event.PathString(w.variable, w.steps)
	inside := isContainer(w.now) && w.now.Len() > 0
	key := fmt.Sprintf("%d %s", f.node, path)
	open := inside && f.t.isOpen(key, false)
	mark, shape, st := "  ", "  ", style(0)
	if !event.Equal(w.now, w.was) {
		mark, st = "* ", yellow|bold
	}
	n := line{depth: w.depth}
	if inside {
		shape, n.open = sign(open), key
	}
	head := strings.Repeat("  ", w.depth-1) + mark + shape + termtext.Printable(w.name)
	text := debug.Preview(w.now, f.width)
	switch {
	case w.now.IsAbsent():
		text = "gone; it was " + debug.Preview(w.was, f.width)
	case open:
		text = fmt.Sprintf("(%d)", w.now.Len())
	case !inside && termtext.Columns(head)+len(" = ")+termtext.Columns(text) > f.width:
		n.do = "state " + termtext.Name(f.g.meta.Nodes[f.node].Name) + " " + path // shows it whole
	}
	n.parts = []part{{head, st}, {" = ", dim}, {text, st}}
	f.lines = append(f.lines, n)
	if open {
		f.inside(w)
	}
}

// inside adds the members of a value.
func (f *forester) inside(w twig) {
	add := func(k, now, was event.Value) {
		name := strings.Trim(debug.Preview(k, f.width), `"`)
		f.value(twig{name, w.variable, append(w.steps[:len(w.steps):len(w.steps)], k), now, was, w.depth + 1})
	}
	i := 0
	for k, v := range entries(w.now) {
		if i++; i > childrenMax {
			text := fmt.Sprintf("%s… and %d more: state PATH shows one", strings.Repeat("  ", w.depth+2), w.now.Len()-childrenMax)
			f.lines = append(f.lines, line{depth: w.depth + 1, parts: []part{{text, dim}}})
			return
		}
		add(k, v, w.was.Index(k))
	}
	if w.was.Type() != event.TypeMap || w.now.Type() != event.TypeMap {
		return
	}
	for k, v := range w.was.AsMap().All() {
		if i++; i > childrenMax {
			return
		}
		if w.now.Index(k).IsAbsent() {
			add(k, event.Absent, v)
		}
	}
}

// search adds what has the filter in its path or its value.
func (f *forester) search(node string) {
	for id := range f.g.meta.Vars {
		v := f.now.Get(history.VarID(id))
		if !v.IsAbsent() {
			f.find(node, f.g.meta.Vars[id].Name, nil, v)
		}
	}
}

func (f *forester) find(node, name string, steps []event.Value, v event.Value) {
	if f.left--; f.left < 0 || len(f.lines) >= foundMax {
		return
	}
	path := event.PathString(name, steps)
	if isContainer(v) && v.Len() > 0 {
		for k, in := range entries(v) {
			f.find(node, name, append(steps[:len(steps):len(steps)], k), in)
			if f.left < 0 || len(f.lines) >= foundMax {
				return
			}
		}
		return
	}
	text := debug.Preview(v, 4*f.width)
	if strings.Contains(strings.ToLower(node+" "+path+" "+text), f.t.filter) {
		f.lines = append(f.lines, line{parts: []part{{termtext.Pad(node, 10) + " ", bold}, {termtext.Printable(path), 0}, {" = ", dim}, {text, 0}}})
	}
}

func isContainer(v event.Value) bool {
	t := v.Type()
	return t == event.TypeMap || t == event.TypeList || t == event.TypeSet
}

// entries are the members of a value by key, or by place.
func entries(v event.Value) func(yield func(k, v event.Value) bool) {
	if v.Type() == event.TypeMap {
		return v.AsMap().All()
	}
	return func(yield func(k, v event.Value) bool) {
		for i, in := range v.Members() {
			if !yield(event.Int(int64(i)), in) {
				return
			}
		}
	}
}
