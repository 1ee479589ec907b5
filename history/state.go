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

// Set sets a whole variable; Absent deletes it.
func (s *State) Set(v VarID, val event.Value) {
	if int(v) >= len(s.vals) {
		s.vals = append(s.vals, make([]event.Value, int(v)+1-len(s.vals))...)
	}
	s.vals[v] = val
}

// Apply makes one change.
func (s *State) Apply(c *Change) {
	if len(c.Path) == 0 {
		s.Set(c.Var, c.Value)
		return
	}
	s.Set(c.Var, setPath(s.Get(c.Var), c.Path, c.Value))
}

// ApplyAll makes the changes of one event.
func (s *State) ApplyAll(cs []Change) {
	for i := range cs {
		s.Apply(&cs[i])
	}
}

// Clone returns a copy that changes apart from s.
func (s *State) Clone() *State {
	return &State{vals: append([]event.Value(nil), s.vals...)}
}

// Vars returns the ids of the variables that are present, ascending.
func (s *State) Vars() []VarID {
	var ids []VarID
	for i, v := range s.vals {
		if !v.IsAbsent() {
			ids = append(ids, VarID(i))
		}
	}
	return ids
}

// setPath returns v with the entry at path set; what isn't a map on the way is
// replaced by one, unless an entry is deleted.
func setPath(v event.Value, path []event.Value, val event.Value) event.Value {
	if val.IsAbsent() && v.Type() != event.TypeMap {
		return v
	}
	m := v.AsMap()
	if len(path) == 1 {
		return event.MapOf(m.With(path[0], val))
	}
	inner := m.Get(path[0])
	if val.IsAbsent() && inner.IsAbsent() {
		return v
	}
	return event.MapOf(m.With(path[0], setPath(inner, path[1:], val)))
}
