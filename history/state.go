package history

import (
	"errors"

	"hindcast.dev/event"
)

// ErrNoEvent is returned by Source.Event for a sequence number that the History
// doesn't have.
var ErrNoEvent = errors.New("no such event in this History")

// A State holds the variables of one node at a moment. Values are immutable, so
// Clone costs only the number of variables.
type State struct {
	vals []event.Value // by VarID; shorter than the dictionary where the rest is absent
}

// NewState returns a state with no variable set.
func NewState() *State { return &State{} }

// Get returns the variable's value, Absent if it isn't there.
func (s *State) Get(v VarID) event.Value {
	if s == nil || int(v) >= len(s.vals) {
		return event.Absent
	}
	return s.vals[v]
}

// At is where a variable's value lies, until another variable is set.
func (s *State) At(v VarID) *event.Value {
	if int(v) >= len(s.vals) {
		s.vals = append(s.vals, make([]event.Value, int(v)+1-len(s.vals))...)
	}
	return &s.vals[v]
}

// Set sets a whole variable; Absent deletes it.
func (s *State) Set(v VarID, val event.Value) { *s.At(v) = val }

// Apply makes one change.
func (s *State) Apply(c *Change) {
	at := s.At(c.Var)
	if len(c.Path) == 0 {
		*at = c.Value
		return
	}
	*at = setPath(*at, c.Path, c.Value)
}

// ApplyAll makes the changes of one event.
func (s *State) ApplyAll(cs []Change) {
	for i := range cs {
		s.Apply(&cs[i])
	}
}

// Clone returns a copy that changes apart from s. A nil State's is empty.
func (s *State) Clone() *State {
	if s == nil {
		return NewState()
	}
	return &State{vals: append([]event.Value(nil), s.vals...)}
}

// weight is about how much there is in the state: variables, and the entries of
// those that are maps.
func (s *State) weight() int {
	n := 0
	for i := range s.vals {
		n += 1 + s.vals[i].AsMap().Len()
	}
	return n
}

// Vars returns the ids of the variables that are present, ascending.
func (s *State) Vars() []VarID {
	if s == nil {
		return nil
	}
	var ids []VarID
	for i, v := range s.vals {
		if !v.IsAbsent() {
			ids = append(ids, VarID(i))
		}
	}
	return ids
}

// setPath returns v with the entry at path set.
func setPath(v event.Value, path []event.Value, val event.Value) event.Value {
	if len(path) == 0 {
		return val
	}
	if i, ok := path[0].AsInt(); ok && v.Type() == event.TypeList && i >= 0 && i <= int64(v.Len()) {
		return setElement(v.Members(), int(i), path[1:], val)
	}
	if val.IsAbsent() && v.Type() != event.TypeMap {
		return v
	}
	m := v.AsMap()
	inner := m.Get(path[0])
	if val.IsAbsent() && inner.IsAbsent() {
		return v
	}
	return event.MapOf(m.With(path[0], setPath(inner, path[1:], val)))
}

// setElement returns the list with what path leads to from element i set, where
// i may be the list's length.
func setElement(list []event.Value, i int, path []event.Value, val event.Value) event.Value {
	out := append(make([]event.Value, 0, len(list)+1), list...)
	old := event.Absent
	if i < len(out) {
		old = out[i]
	}
	changed := setPath(old, path, val)
	switch {
	case changed.IsAbsent():
	case i < len(out):
		out[i] = changed
	default:
		out = append(out, changed)
	}
	return event.List(out...)
}
