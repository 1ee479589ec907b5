package history

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"io"
	"slices"
	"strconv"

	"hindcast.dev/event"
	"hindcast.dev/hlc"
)

// WriteText writes a whole History in its text form, in walk order. ReadText
// makes the same History of it: the same walk, except that the changes of one
// event may stand in another order or be put in other words that come to the
// same.
func WriteText(w io.Writer, src Source) error {
	return WriteTextBetween(context.Background(), w, src, Begin, End)
}

// WriteTextBetween writes what a walk from one position up to another gives, as a
// History of its own: each node begins with a base, of what it had before.
func WriteTextBetween(ctx context.Context, w io.Writer, src Source, from, to Position) error {
	t := &textWriter{out: bufio.NewWriterSize(w, 64<<10), meta: src.Meta()}
	t.states = make([]*State, len(t.meta.Nodes))
	for i := range t.meta.Nodes {
		if err := errors.Join(t.node(&t.meta.Nodes[i]), t.bulky(i)); err != nil {
			return err
		}
	}
	c, err := src.Walk(ctx, from, to, nil)
	if err != nil {
		return err
	}
	defer c.Close()
	if from != Begin {
		if err := t.bases(ctx, src, c.States(), from); err != nil {
			return err
		}
	}
	for {
		e, err := c.Next()
		if errors.Is(err, io.EOF) {
			return t.out.Flush()
		}
		if err != nil {
			return err
		}
		if err := t.entry(e); err != nil {
			return err
		}
	}
}

// bases writes what the nodes had just before a position.
func (t *textWriter) bases(ctx context.Context, src Source, states []*State, from Position) error {
	for n, st := range states {
		last, err := src.Before(ctx, from, 1, []int{n})
		if err != nil {
			return err
		}
		if st == nil || len(last) == 0 {
			continue
		}
		e := &Event{Position: last[0].Position, Base: true, Kind: KindBase}
		for _, id := range st.Vars() {
			e.Changes = append(e.Changes, Change{Var: id, Value: st.Get(id)})
		}
		if err := t.entry(e); err != nil {
			return err
		}
	}
	return nil
}

type textWriter struct {
	out    *bufio.Writer
	meta   *Meta
	states []*State // by node, after the last entry written
	line   []byte
	path   []byte
}

// node writes what is known of a node as a whole, if that isn't seen from its
// events.
func (t *textWriter) node(n *Node) error {
	if n.Build != "" || n.Events == 0 && len(n.Unknown) == 0 {
		t.line = append(t.line[:0], '{')
		t.text("node", n.Name)
		t.text("build", n.Build)
		if err := t.flush(); err != nil {
			return err
		}
	}
	for _, s := range n.Unknown {
		t.line = append(t.line[:0], '{')
		t.text("node", n.Name)
		t.key("unknown")
		t.line = append(s.From.Append(append(t.line, `["`...)), `","`...)
		t.line = append(s.To.Append(t.line), `"]`...)
		t.text("reason", n.Reason)
		if err := t.flush(); err != nil {
			return err
		}
	}
	return nil
}

// bulky writes which of a node's variables are.
func (t *textWriter) bulky(node int) error {
	t.line = append(t.line[:0], '{')
	t.text("node", t.meta.Nodes[node].Name)
	sep := byte('{')
	for i := range t.meta.Vars {
		for _, b := range t.meta.Vars[i].Bulky {
			if b.Node != node {
				continue
			}
			if sep == '{' {
				t.key("bulky")
			}
			t.line = append(t.line, sep)
			sep = ','
			t.path = event.AppendPath(t.path[:0], t.meta.Vars[i].Name, nil)
			t.line = append(event.String(string(t.path)).AppendJSON(t.line), ':', '"')
			t.line = append(b.From.Append(t.line), '"')
		}
	}
	if sep == '{' {
		return nil
	}
	t.line = append(t.line, '}')
	return t.flush()
}

func (t *textWriter) flush() error {
	t.line = append(t.line, '}', '\n')
	_, err := t.out.Write(t.line)
	return err
}

func (t *textWriter) key(name string) {
	if t.line[len(t.line)-1] != '{' {
		t.line = append(t.line, ',')
	}
	t.line = append(append(append(t.line, '"'), name...), '"', ':')
}

func (t *textWriter) text(name, s string) {
	t.key(name)
	t.line = event.String(s).AppendJSON(t.line)
}

// optional writes a string unless it is empty.
func (t *textWriter) optional(name, s string) {
	if s != "" {
		t.text(name, s)
	}
}

func (t *textWriter) time(name string, ts hlc.Timestamp) {
	t.key(name)
	t.line = append(ts.Append(append(t.line, '"')), '"')
}

func (t *textWriter) data(v event.Value) {
	if !v.IsAbsent() {
		t.key("data")
		t.line = v.AppendJSON(t.line)
	}
}

func (t *textWriter) entry(e *Event) error {
	t.line = append(t.line[:0], '{')
	t.text("node", t.meta.Nodes[e.Node].Name)
	t.time("ts", e.Time)
	if e.Physical != 0 {
		t.time("pt", e.Physical)
	}
	t.key("seq")
	t.line = strconv.AppendUint(t.line, e.Seq, 10)
	if e.Base {
		t.key("base")
		t.line = append(t.line, "true"...)
	} else {
		t.event(e)
	}
	if t.states[e.Node] == nil {
		t.states[e.Node] = NewState()
	}
	s := t.states[e.Node]
	changes := e.Changes
	reordered := !inLineOrder(changes) && throughList(changes, s)
	s.ApplyAll(changes)
	if reordered {
		changes = wholeChanges(changes, s)
	} else {
		changes = plainChanges(changes, s)
	}
	t.changes(changes, e.Base)
	return t.flush()
}

func (t *textWriter) event(e *Event) {
	if e.Kind != kindSet {
		t.text("kind", e.Kind)
	}
	t.optional("machine", e.Machine)
	t.optional("from", e.Peer)
	if isPlainSend(e) {
		t.optional("to", e.Effects[0].Peer)
		t.optional("id", e.Effects[0].ID)
	} else {
		t.optional("id", e.ID)
	}
	t.optional("name", e.Name)
	t.data(e.Data)
	if !isPlainSend(e) && (len(e.Effects) > 0 || e.Kind == kindSend) {
		t.effects(e.Effects)
	}
}

// isPlainSend reports whether the event is no more than its one send.
func isPlainSend(e *Event) bool {
	if e.Kind != kindSend || e.ID != "" || len(e.Effects) != 1 {
		return false
	}
	f := &e.Effects[0]
	return f.Kind == kindSend && f.Name == e.Name && event.Equal(f.Data, e.Data)
}

func (t *textWriter) effects(fs []Effect) {
	t.key("effects")
	t.line = append(t.line, '[')
	for i := range fs {
		if i > 0 {
			t.line = append(t.line, ',')
		}
		f := &fs[i]
		t.line = append(t.line, '{')
		t.text("kind", f.Kind)
		t.optional("id", f.ID)
		t.optional("to", f.Peer)
		t.optional("name", f.Name)
		t.data(f.Data)
		t.line = append(t.line, '}')
	}
	t.line = append(t.line, ']')
}

// changes writes "set" and "del"; of a base only what is set.
func (t *textWriter) changes(cs []Change, base bool) {
	sep := byte('{')
	for i := range cs {
		if c := &cs[i]; !c.Value.IsAbsent() {
			if sep == '{' {
				t.key("set")
			}
			t.line = append(t.line, sep)
			sep = ','
			t.path = event.AppendPath(t.path[:0], t.meta.Vars[c.Var].Name, c.Path)
			t.line = append(event.String(string(t.path)).AppendJSON(t.line), ':')
			t.line = c.Value.AppendJSON(t.line)
		}
	}
	if sep == ',' {
		t.line = append(t.line, '}')
	}
	if sep = '['; base {
		return
	}
	for i := range cs {
		if c := &cs[i]; c.Value.IsAbsent() {
			if sep == '[' {
				t.key("del")
			}
			t.line = append(t.line, sep)
			sep = ','
			t.line = event.String(event.PathString(t.meta.Vars[c.Var].Name, c.Path)).AppendJSON(t.line)
		}
	}
	if sep == ',' {
		t.line = append(t.line, ']')
	}
}

// plainChanges returns changes that can stand in a line: each variable or entry
// once, and nothing before what contains it, so that the order doesn't matter.
// If cs isn't so already, the touched variables are given whole, as they are in
// after.
func plainChanges(cs []Change, after *State) []Change {
	if !isPlain(cs) {
		return wholeChanges(cs, after)
	}
	out := cs
	if !slices.IsSortedFunc(cs, byDepth) {
		out = slices.Clone(cs)
		slices.SortStableFunc(out, byDepth)
	}
	return out
}

// inLineOrder reports whether a reader applies changes in their own order: what
// is set first, then what is deleted, each by depth.
func inLineOrder(cs []Change) bool {
	return slices.IsSortedFunc(cs, byDepth) && !slices.ContainsFunc(cs, func(c Change) bool { return c.Value.IsAbsent() })
}

// throughList reports whether a change leads through a list, as it was before or
// as these changes set it: what an entry of one does depends on those before it.
func throughList(cs []Change, before *State) bool {
	for i := range cs {
		if len(cs[i].Path) > 0 && holdsList(cs[i].Value) {
			return true
		}
		if len(cs[i].Path) == 0 && holdsList(cs[i].Value) && slices.ContainsFunc(cs, func(c Change) bool { return c.Var == cs[i].Var && len(c.Path) > 0 }) {
			return true
		}
		v := before.Get(cs[i].Var)
		for _, k := range cs[i].Path {
			if v.Type() == event.TypeList {
				return true
			}
			v = v.Index(k)
		}
	}
	return false
}

// holdsList reports whether a value is a list or has one in it.
func holdsList(v event.Value) bool {
	if v.Type() == event.TypeMap {
		for _, x := range v.AsMap().All() {
			if holdsList(x) {
				return true
			}
		}
	}
	return v.Type() == event.TypeList
}

func byDepth(a, b Change) int { return cmp.Compare(len(a.Path), len(b.Path)) }

// isPlain reports whether no change touches what an earlier one made, but for
// entries inside it.
func isPlain(cs []Change) bool {
	if len(cs) < 2 {
		return true
	}
	order := make([]int, len(cs))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int {
		return cmp.Or(cmp.Compare(cs[i].Var, cs[j].Var), comparePaths(cs[i].Path, cs[j].Path), cmp.Compare(i, j))
	})
	// Sorted like this, what contains a change stands before it, with only other
	// parts of the same in between: a stack of containers.
	var within []int
	for _, i := range order {
		for len(within) > 0 && !contains(&cs[within[len(within)-1]], &cs[i]) {
			within = within[:len(within)-1]
		}
		for _, outer := range within {
			if outer > i || len(cs[outer].Path) == len(cs[i].Path) {
				return false
			}
		}
		within = append(within, i)
	}
	return true
}

func comparePaths(a, b []event.Value) int {
	for i := range min(len(a), len(b)) {
		if c := event.Compare(a[i], b[i]); c != 0 {
			return c
		}
	}
	return cmp.Compare(len(a), len(b))
}

// contains reports whether inner changes what outer sets, or a part of it.
func contains(outer, inner *Change) bool {
	return outer.Var == inner.Var && len(outer.Path) <= len(inner.Path) && comparePaths(outer.Path, inner.Path[:len(outer.Path)]) == 0
}

// wholeChanges sets each touched variable to what it is in after.
func wholeChanges(cs []Change, after *State) []Change {
	var out []Change
	seen := map[VarID]bool{}
	for i := range cs {
		if id := cs[i].Var; !seen[id] {
			seen[id] = true
			out = append(out, Change{Var: id, Value: after.Get(id)})
		}
	}
	return out
}
