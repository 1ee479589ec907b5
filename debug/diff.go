package debug

import (
	"context"
	"fmt"

	"hindcast.dev/event"
	"hindcast.dev/history"
)

// diffMax bounds the lines of one diff.
const diffMax = 200

func runDiff(ctx context.Context, s *Session, args string) error {
	if args == "" {
		if s.at == history.Begin {
			return commandErrorf("diff", "before the first event nothing has changed: step, or goto a time, comes first")
		}
		return s.diff(ctx, s.at, after(s.at))
	}
	p, err := s.parsePlace(ctx, args)
	if err != nil {
		return commandErrorf("diff", "%v", err)
	}
	from, to := p, s.at
	if from.Compare(to) > 0 {
		from, to = to, from
	}
	fmt.Fprintf(s.out, "from %s to %s:\n", s.name(from), s.name(to))
	return s.diff(ctx, after(from), after(to))
}

// diff shows what differs between the cuts just before two positions.
func (s *Session) diff(ctx context.Context, a, b history.Position) error {
	before, err := s.states(ctx, a)
	if err != nil {
		return err
	}
	now, err := s.states(ctx, b)
	if err != nil {
		return err
	}
	d := differ{s: s}
	for n := range s.meta.Nodes {
		for v := range s.meta.Vars {
			d.node = Printable(s.meta.Nodes[n].Name)
			id := history.VarID(v)
			d.value(s.meta.Vars[v].Name, nil, before[n].Get(id), now[n].Get(id))
		}
	}
	switch {
	case d.lines == 0:
		fmt.Fprintln(s.out, "nothing differs")
	case d.lines > diffMax:
		fmt.Fprintf(s.out, "… and %d more\n", d.lines-diffMax)
	}
	return nil
}

// A differ prints the places at which values differ.
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
	d.lines++
	if d.lines <= diffMax {
		fmt.Fprintf(d.s.out, "%s  %s: %s → %s\n", d.node, Printable(event.PathString(name, path)),
			Printable(Clip(FormatValue(a), valueColumns)), Printable(Clip(FormatValue(b), valueColumns)))
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
