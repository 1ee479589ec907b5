package rql

import (
	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/hlc"
	"hindcast.dev/rql/plan"
)

// A world is the global state at a cut.
type world struct {
	names  []string         // of all nodes
	nodes  []int            // those asked, ascending
	states []*history.State // by node; nil where the node isn't in the cut
	now    hlc.Timestamp    // of the cut
	event  *history.Event   // that made the cut
	before []undo           // what this cut's event changed, first values first
	net    *netLog          // nil unless log net is asked for
}

// An undo is a variable's value one cut before.
type undo struct {
	node int
	id   history.VarID
	old  event.Value
}

// in reports whether a node is in the cut.
func (w *world) in(node int) bool { return w.states[node] != nil }

// get returns a variable's value on a node, now or one cut before.
func (w *world) get(node, id int, prev bool) event.Value {
	if prev {
		for i := range w.before {
			if u := &w.before[i]; u.node == node && int(u.id) == id {
				return u.old
			}
		}
	}
	if w.net != nil && id == int(w.net.inflight) {
		w.net.settle(w, node)
	}
	return w.states[node].Get(history.VarID(id))
}

// remember keeps the first value that a variable had at this cut.
func (w *world) remember(node int, id history.VarID, old event.Value) {
	for i := range w.before {
		if u := &w.before[i]; u.node == node && u.id == id {
			return
		}
	}
	w.before = append(w.before, undo{node, id, old})
}

// variable returns what a path leads to on a node, Absent if that isn't there.
func (e *env) variable(r *plan.Ref, node int, prev bool) event.Value {
	if r.Column > 0 && !prev && e.cols != nil {
		return e.cols.value(node, r.Column-1)
	}
	if v, ok := e.keyedValue(r, node); ok && !prev {
		return v
	}
	return e.walked(r, node, prev)
}

// walked is variable, from the node's state.
func (e *env) walked(r *plan.Ref, node int, prev bool) event.Value {
	for _, c := range r.Vars {
		if v := e.w.get(node, c.Var, prev); !v.IsAbsent() {
			return e.walk(v, r.Steps[c.Rest:])
		}
	}
	return event.Absent
}

// walk follows steps, none of which is [*].
func (e *env) walk(v event.Value, steps []plan.Step) event.Value {
	for i := range steps {
		if v.IsAbsent() {
			break
		}
		key := steps[i].Key
		if steps[i].Kind == plan.StepIndex {
			k, _ := e.eval(steps[i].Index).shown()
			key = k
		}
		v = v.Index(key)
	}
	return v
}

// inRange reports whether a placeholder of the path may stand for the node: what
// the part before the first computed index leads to is present.
func (e *env) inRange(r *plan.Ref, node int) bool {
	for _, c := range r.Vars {
		if v := e.w.get(node, c.Var, false); !v.IsAbsent() {
			for _, s := range r.Steps[c.Rest:r.Fixed] {
				v = v.Index(s.Key)
			}
			return !v.IsAbsent()
		}
	}
	return false
}

// candidate reports whether a chosen or shown slot may stand for the node.
func (e *env) candidate(slot, node int) bool {
	if !e.w.in(node) {
		return false
	}
	for _, r := range e.q.Slots[slot].Needs {
		if !e.present(r, node) {
			return false
		}
	}
	return true
}

// relevant reports whether LINK EACH_NODE goes over the node.
func (e *env) relevant(slot, node int) bool {
	if !e.w.in(node) {
		return false
	}
	for _, r := range e.q.Slots[slot].Needs {
		if e.present(r, node) {
			return true
		}
	}
	return false
}

// spread calls f with the values that a path has on one node, in key order.
func (e *env) spread(r *plan.Ref, node int, f func(event.Value)) {
	if !e.w.in(node) {
		return
	}
	if r.Column > 0 || e.keys != nil && e.keys.refs[r].v != nil && e.keys.refs[r].part >= 0 {
		if v := e.variable(r, node, false); !v.IsAbsent() {
			f(v)
		}
		return
	}
	for _, c := range r.Vars {
		if v := e.w.get(node, c.Var, false); !v.IsAbsent() {
			e.entries(v, r.Steps[c.Rest:], f)
			return
		}
	}
}

// entries calls f with everything that steps lead to from v.
func (e *env) entries(v event.Value, steps []plan.Step, f func(event.Value)) {
	for i := range steps {
		switch steps[i].Kind {
		case plan.StepAll:
			for _, m := range v.Members() {
				e.entries(m, steps[i+1:], f)
			}
			for _, m := range v.AsMap().All() {
				e.entries(m, steps[i+1:], f)
			}
			return
		default:
			v = e.walk(v, steps[i:i+1])
		}
		if v.IsAbsent() {
			return
		}
	}
	if !v.IsAbsent() {
		f(v)
	}
}
