package debug

import (
	"context"
	"fmt"
	"strings"

	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/rql/syntax"
)

// entriesMax bounds the entries of a map that state lists.
const entriesMax = 200

func runState(ctx context.Context, s *Session, args string) error {
	node, path, _ := s.cutNode(args)
	path = strings.TrimSuffix(path, ".") // of a name that was completed in part
	if s.at != history.Begin {
		if err := s.fillPath(ctx, "state", path, node, s.at.Time); err != nil {
			return err
		}
	}
	states, err := s.states(ctx, s.at.After(), only(node))
	if err != nil {
		return err
	}
	if path != "" {
		if _, _, err := event.ParsePath(path); err != nil {
			return commandErrorf("state", "%s: %v", path, err)
		}
	}
	shown := 0
	for n, st := range states {
		if st == nil || node >= 0 && n != node {
			continue
		}
		k, err := s.showState(n, st, path)
		if err != nil {
			return commandErrorf("state", "%v", err)
		}
		shown += k
	}
	if shown == 0 {
		s.remark("nothing is set there at this cut%s", s.hint(path))
	}
	return nil
}

// hint names the node or variable that a path is most likely a misprint of.
func (s *Session) hint(path string) string {
	name, _, _ := strings.Cut(path, "[")
	if _, known := s.meta.VarID(name); known || name == "" {
		return ""
	}
	if near, ok := syntax.Nearest(name, append(s.nodeNames(), s.varNames()...)); ok {
		return fmt.Sprintf("; did you mean %q?", near)
	}
	return ""
}

// showState tells the variables of a node that lie at or below path.
func (s *Session) showState(n int, st *history.State, path string) (shown int, err error) {
	name := s.meta.Nodes[n].Name
	if path != "" {
		v, err := s.lookupPath(st, path)
		if err != nil || v.IsAbsent() {
			return s.showBelow(n, st, path), err
		}
		s.showValue(name, path, v)
		return 1, nil
	}
	return s.showBelow(n, st, ""), nil
}

// showValue tells a value whole, of a map an entry at a time, up to a bound.
func (s *Session) showValue(node, path string, v event.Value) {
	if v.Type() != event.TypeMap || v.Len() == 0 {
		s.say(&Variable{Node: node, Path: path, Value: v, Whole: true})
		return
	}
	shown := 0
	for k, e := range v.AsMap().All() {
		if shown == entriesMax {
			s.say(&More{Node: node, Count: v.Len() - shown})
			return
		}
		s.say(&Variable{Node: node, Path: path + event.PathString("", []event.Value{k})[len("``"):], Value: e, Whole: true})
		shown++
	}
}

// showBelow tells the variables whose names begin with prefix.
func (s *Session) showBelow(n int, st *history.State, prefix string) (shown int) {
	for _, id := range st.Vars() {
		name := s.meta.Vars[id].Name
		if prefix != "" && name != prefix && !strings.HasPrefix(name, prefix+".") {
			continue
		}
		s.say(&Variable{Node: s.meta.Nodes[n].Name, Path: name, Value: st.Get(id)})
		shown++
	}
	s.leftOut(n, s.at.Time, prefix, func(name string) {
		s.say(&LeftOut{Node: s.meta.Nodes[n].Name, Variable: name, Shows: "state"})
		shown++
	})
	return shown
}

// lookupPath finds the value at a path: the longest prefix of it that is a
// variable here, then into its value.
func (s *Session) lookupPath(st *history.State, path string) (event.Value, error) {
	name, steps, err := event.ParsePath(path)
	if err != nil {
		return event.Absent, err
	}
	for {
		if id, ok := s.meta.VarID(name); ok {
			v := st.Get(id)
			for _, k := range steps {
				v = v.Index(k)
			}
			return v, nil
		}
		i := strings.LastIndexByte(name, '.')
		if i < 0 {
			return event.Absent, nil
		}
		steps = append([]event.Value{event.String(name[i+1:])}, steps...)
		name = name[:i]
	}
}
