package check

// A Model is the sequential specification of an object: what an operation gives
// if operations happen one after the other.
type Model struct {
	Name string
	Doc  string // one line: which F it knows and what they do
}

// Models returns the models there are, by name.
func Models() []*Model { return nil }

// ModelByName returns the model of this name; ok is false if there is none.
func ModelByName(name string) (m *Model, ok bool) {
	for _, m := range Models() {
		if m.Name == name {
			return m, true
		}
	}
	return nil, false
}

// Linearizable reports whether there is an order of the operations that respects
// real time (what returned before another was called comes before it) and in which
// the model gives every answer that was given. Each key is judged for itself
// (Herlihy and Wing, 1990: linearizability is local).
func Linearizable(ops []Operation, m *Model, o Options) Result {
	_ = o
	return Result{Check: "linearizable", Model: m.Name, Operations: len(ops), Bound: "not there yet"}
}
