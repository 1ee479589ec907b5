package debug

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"hindcast.dev/event"
	"hindcast.dev/history"
)

// diffMax bounds the lines of one diff.
const diffMax = 200

// listWhole is the length up to which a diff shows lists as a whole.
const listWhole = 16

func runDiff(ctx context.Context, s *Session, args string) error {
	place, path, err := s.diffArgs(ctx, args)
	if err != nil {
		return err
	}
	if place == "" {
		if s.at == history.Begin {
			return commandErrorf("diff", "before the first event nothing has changed: step, or goto a time, comes first")
		}
		return s.diff(ctx, s.at, s.at.After(), path)
	}
	p, err := s.parsePlace(ctx, place)
	if err != nil {
		return commandErrorf("diff", "%v", err)
	}
	from, to := p, s.at
	if from.Compare(to) > 0 {
		from, to = to, from
	}
	s.say(&Span{From: s.place(from), To: s.place(to)})
	return s.diff(ctx, from.After(), to.After(), path)
}

// diffArgs reads [PLACE] [PATH]; a node's name and a key may have spaces in them.
func (s *Session) diffArgs(ctx context.Context, args string) (place, path string, err error) {
	if _, ok := s.variable(args); ok {
		return "", args, nil
	}
	for i := range len(args) {
		if args[i] != ' ' {
			continue
		}
		path := strings.TrimSpace(args[i:])
		if _, ok := s.variable(path); ok {
			return args[:i], path, nil
		}
	}
	if _, rest, ok := strings.Cut(args, " "); ok {
		if _, err := s.parsePlace(ctx, args); err != nil {
			return "", "", commandErrorf("diff", "%q is no variable%s", strings.TrimSpace(rest), s.hint(strings.TrimSpace(rest)))
		}
	}
	return args, "", nil
}

// diff shows what differs between the cuts just before two positions, in what a
// path leads to; "" is everything.
func (s *Session) diff(ctx context.Context, a, b history.Position, path string) error {
	if err := s.fillPath(ctx, "diff", path, -1, b.Time); path != "" && err != nil {
		return err
	}
	d := differ{s: s}
	if path == "" && b == a.After() {
		if err := d.event(ctx, a); err != nil {
			return err
		}
		s.endDiff(&d, a, b, path)
		return nil
	}
	node := -1
	if b == a.After() {
		node = b.Node // of one event only its node can differ
	}
	before, err := s.states(ctx, a, only(node))
	if err != nil {
		return err
	}
	now, err := s.states(ctx, b, only(node))
	if err != nil {
		return err
	}
	for n := range s.meta.Nodes {
		d.node = s.meta.Nodes[n].Name
		if path != "" {
			if err := d.at(path, before[n], now[n]); err != nil {
				return commandErrorf("diff", "%v", err)
			}
			continue
		}
		for v := range s.meta.Vars {
			id := history.VarID(v)
			if now[n].Get(id).IsAbsent() && s.meta.Vars[v].BulkyAt(n, b.Time) {
				continue // it isn't gone
			}
			d.value(s.meta.Vars[v].Name, nil, before[n].Get(id), now[n].Get(id))
		}
	}
	s.endDiff(&d, a, b, path)
	return nil
}

// endDiff says what a diff didn't tell.
func (s *Session) endDiff(d *differ, a, b history.Position, path string) {
	switch {
	case d.lines == 0:
		s.remark("nothing differs")
	case d.lines > diffMax:
		s.say(&More{Count: d.lines - diffMax})
	}
	if path == "" {
		s.notComparedBetween(a, b)
	}
}

// event compares what an event says it changed, at the cost of that.
func (d *differ) event(ctx context.Context, at history.Position) error {
	e, err := d.s.src.Event(ctx, at.Node, at.Seq)
	if err != nil {
		return err
	}
	states, err := d.s.states(ctx, at, []int{at.Node})
	if err != nil {
		return err
	}
	before, now := states[at.Node], states[at.Node].Clone()
	now.ApplyAll(e.Changes)
	d.node = d.s.meta.Nodes[at.Node].Name
	changes := slices.Clone(e.Changes)
	slices.SortStableFunc(changes, func(a, b history.Change) int {
		return cmp.Or(cmp.Compare(a.Var, b.Var), slices.CompareFunc(a.Path, b.Path, event.Compare))
	})
	told := map[string]bool{}
	for _, c := range changes {
		was, is, path := before.Get(c.Var), now.Get(c.Var), c.Path
		if is.IsAbsent() && d.s.meta.Vars[c.Var].BulkyAt(at.Node, at.Time) {
			continue // it isn't gone
		}
		for i, step := range c.Path {
			if was.Type() != event.TypeMap || is.Type() != event.TypeMap {
				path = c.Path[:i] // the map was made, or was none
				break
			}
			was, is = was.Index(step), is.Index(step)
		}
		name := d.s.meta.Vars[c.Var].Name
		within := false
		for i := range len(path) + 1 {
			within = within || told[event.PathString(name, path[:i])]
		}
		if !within {
			told[event.PathString(name, path)] = true
			d.value(name, path, was, is)
		}
	}
	return nil
}

// notComparedBetween says of what a diff of everything tells nothing: of one
// event only its node can differ.
func (s *Session) notComparedBetween(a, b history.Position) {
	for n := range s.meta.Nodes {
		if b != a.After() || n == b.Node {
			s.notCompared(n, b.Time)
		}
	}
}

// at compares what a path leads to.
func (d *differ) at(path string, before, now *history.State) error {
	old, err := d.s.lookupPath(before, path)
	if err != nil {
		return err
	}
	is, err := d.s.lookupPath(now, path)
	if err == nil {
		name, steps, _ := event.ParsePath(path)
		d.value(name, steps, old, is)
	}
	return err
}

// A differ tells the places at which values differ.
type differ struct {
	s     *Session
	node  string
	lines int
}

func (d *differ) value(name string, path []event.Value, a, b event.Value) {
	if event.Equal(a, b) {
		return
	}
	if a.Type() == event.TypeMap && b.Type() == event.TypeMap {
		d.maps(name, path, a.AsMap(), b.AsMap())
		return
	}
	if a.Type() == event.TypeList && b.Type() == event.TypeList && max(a.Len(), b.Len()) > listWhole {
		d.lists(name, path, a, b)
		return
	}
	d.lines++
	if d.lines <= diffMax {
		d.s.say(&Difference{Node: d.node, Path: event.PathString(name, path), Before: a, After: b})
	}
}

// lists compares place by place.
func (d *differ) lists(name string, path []event.Value, a, b event.Value) {
	was, is := a.Members(), b.Members()
	for i := range max(len(was), len(is)) {
		old, now := event.Absent, event.Absent
		if i < len(was) {
			old = was[i]
		}
		if i < len(is) {
			now = is[i]
		}
		if !event.Equal(old, now) {
			d.value(name, append(path[:len(path):len(path)], event.Int(int64(i))), old, now)
		}
	}
}

func (d *differ) maps(name string, path []event.Value, a, b *event.Map) {
	for k, v := range a.All() {
		d.value(name, append(path[:len(path):len(path)], k), v, b.Get(k))
	}
	for k, v := range b.All() {
		if a.Get(k).IsAbsent() {
			d.value(name, append(path[:len(path):len(path)], k), event.Absent, v)
		}
	}
}
