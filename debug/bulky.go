package debug

import (
	"context"
	"errors"
	"strings"

	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/hlc"
)

// fill makes sure that what is in variables is there: if a History left it out,
// the session goes on with one that doesn't.
func (s *Session) fill(ctx context.Context, command string, vars []history.VarID) error {
	var names []string
	for _, v := range vars {
		if len(s.meta.Vars[v].Bulky) > 0 {
			names = append(names, s.meta.Vars[v].Name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	if s.Walk == nil {
		return commandErrorf(command, "%s: too large to be compared after every event, and left out of this History: open the recording that it was made of, with the program that ran",
			strings.Join(names, ", "))
	}
	src, err := s.Walk(ctx, names)
	if errors.Is(err, context.Canceled) {
		return err
	}
	if err != nil {
		return commandErrorf(command, "%v", err)
	}
	s.src, s.meta, s.lost = src, src.Meta(), nil
	return nil
}

// variable finds the variable that a path leads into, or is: the longest prefix
// of it that the History knows.
func (s *Session) variable(path string) (history.VarID, bool) {
	name, _, err := event.ParsePath(path)
	for err == nil {
		if id, ok := s.meta.VarID(name); ok {
			return id, true
		}
		i := strings.LastIndexByte(name, '.')
		if i < 0 {
			break
		}
		name = name[:i]
	}
	return 0, false
}

// fillPath is fill for the variable that a path leads into, if it is bulky on a
// node (-1: on any) at the cut at t.
func (s *Session) fillPath(ctx context.Context, command, path string, node int, t hlc.Timestamp) error {
	v, ok := s.variable(path)
	if !ok {
		return nil
	}
	for _, b := range s.meta.Vars[v].Bulky {
		if (node < 0 || b.Node == node) && b.From <= t {
			return s.fill(ctx, command, []history.VarID{v})
		}
	}
	return nil
}

// leftOut calls f with the variables below prefix (all, if it is empty) whose
// contents the History leaves out on a node at the cut at t.
func (s *Session) leftOut(node int, t hlc.Timestamp, prefix string, f func(name string)) {
	for i := range s.meta.Vars {
		v := &s.meta.Vars[i]
		if v.BulkyAt(node, t) && (prefix == "" || v.Name == prefix || strings.HasPrefix(v.Name, prefix+".")) {
			f(v.Name)
		}
	}
}

// notCompared says which variables of a node a diff doesn't tell about.
func (s *Session) notCompared(node int, t hlc.Timestamp) {
	s.leftOut(node, t, "", func(name string) {
		s.say(&LeftOut{Node: s.meta.Nodes[node].Name, Variable: name, Shows: "diff", Compared: true})
	})
}
