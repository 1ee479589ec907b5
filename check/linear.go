package check

import (
	"cmp"
	"fmt"
	"slices"
)

// Linearizable reports whether there is an order of the operations that respects
// real time (what returned before another was called comes before it) and in which
// the model gives every answer that was given. Each key is judged for itself:
// linearizability is local (Herlihy and Wing, 1990).
//
// Operations that the model doesn't know make it Undecided; Model.Accepts tells
// beforehand. Options.Steps is for each key.
func Linearizable(ops []Operation, m *Model, o Options) Result {
	res := Result{Check: "linearizable", Model: m.Name, Operations: len(ops), Verdict: Holds}
	if err := m.Accepts(ops); err != nil {
		res.Verdict, res.Bound = Undecided, err.Error()
		return res
	}
	objects := byKey(ops)
	res.Keys = len(objects)
	done := 0
	for _, obj := range objects {
		b := newBudget(&o)
		j := judge(obj.ops, m, b)
		res.Steps += b.spent
		done += len(obj.ops)
		if o.Progress != nil {
			o.Progress(done, len(ops))
		}
		switch j.verdict {
		case Violated:
			res.Verdict = Violated
			if len(res.Violations) < o.violationsMax() {
				res.Violations = append(res.Violations, explainOrder(obj, m, j, &o))
			}
		case Undecided:
			if res.Bound == "" {
				res.Bound = inKey(obj.key) + j.bound
			}
			if res.Verdict == Holds {
				res.Verdict = Undecided
			}
		}
		if b.stopped {
			break
		}
	}
	if res.Verdict != Undecided {
		res.Bound = ""
	}
	if done < len(ops)-failures(ops) && res.Verdict == Holds {
		res.Verdict, res.Bound = Undecided, "stopped"
	}
	slices.SortStableFunc(res.Violations, func(a, b Violation) int { return cmp.Compare(lastCall(a.Operations), lastCall(b.Operations)) })
	return res
}

func failures(ops []Operation) int {
	n := 0
	for i := range ops {
		n += b2i(ops[i].Outcome == Fail)
	}
	return n
}

func lastCall(ops []Operation) int64 {
	last := int64(beginning)
	for i := range ops {
		last = max(last, ops[i].Call)
	}
	return last
}

// inKey is where a message about a key begins.
func inKey(key string) string {
	if key == "" {
		return ""
	}
	return fmt.Sprintf("key %q: ", key)
}

// An object is what was done with one key, by call.
type object struct {
	key    string
	ops    []Operation // those that may have happened
	failed []Operation // those that did not
}

// byKey splits operations by key; keys in order of their first operation.
func byKey(ops []Operation) []*object {
	at, counts := map[string]int{}, []int{}
	places := make([]int, len(ops))
	for i := range ops {
		k, ok := at[ops[i].Key]
		if !ok {
			k = len(counts)
			at[ops[i].Key] = k
			counts = append(counts, 0)
		}
		places[i] = k
		if ops[i].Outcome != Fail {
			counts[k]++
		}
	}
	objects := make([]*object, len(counts))
	for i := range ops {
		obj := objects[places[i]]
		if obj == nil {
			obj = &object{key: ops[i].Key, ops: make([]Operation, 0, counts[places[i]])}
			objects[places[i]] = obj
		}
		if ops[i].Outcome == Fail {
			obj.failed = append(obj.failed, ops[i])
		} else {
			obj.ops = append(obj.ops, ops[i])
		}
	}
	for _, obj := range objects {
		sortByCall(obj.ops)
	}
	return objects
}

func sortByCall(ops []Operation) {
	byCall := func(a, b Operation) int { return cmp.Compare(a.Call, b.Call) }
	if !slices.IsSortedFunc(ops, byCall) {
		slices.SortStableFunc(ops, byCall)
	}
}

// A judgement is what is known of the operations on one key.
type judgement struct {
	verdict  Verdict
	bound    string
	conflict []int   // Violated without a search: indices of the operations that contradict each other
	at       int64   // Violated by a search: what returned until then is not explained
	failed   int     // Violated by a search: the operation whose return is not, an index
	states   []int32 // Violated by a search: the states that were possible then
	spec     spec
	anyInit  bool // it was not known what was there at first
}

// judge decides whether the operations on one key are linearizable: without a
// search where the model is a register and allows it, else by following all
// configurations, and where they get too many by porcupine, which goes deep
// instead of wide.
func judge(ops []Operation, m *Model, b *budget) judgement {
	s, entries := m.compile(ops)
	if reg, ok := s.(*registerSpec); ok {
		if conflict, v, ok := zones(reg, entries); ok {
			b.spend(int64(len(entries)))
			for i, e := range conflict {
				conflict[i] = entries[e].op
			}
			return judgement{verdict: v, conflict: conflict, spec: s}
		}
	}
	whole := b.left
	b.left = min(whole, max(whole/tryPart, tryStepsMin))
	j := searched(s, entries, b)
	if j.verdict != Undecided || b.stopped {
		return j
	}
	deep := newBudget(b.options)
	deep.left = whole
	v, bound := runPorcupine(s, entries, deep)
	b.spent, b.stopped = b.spent+deep.spent, deep.stopped
	if v != Undecided || b.stopped {
		return judgement{verdict: v, bound: bound, at: Open, spec: s}
	}
	b.left = whole
	if j = searched(s, entries, b); j.verdict == Undecided && !b.stopped {
		j.bound = bound // of the search that went furthest
	}
	return j
}

// A first search takes a part of the steps: most are decided in a few, and some
// are for porcupine that aren't for us.
const (
	tryPart     = 16
	tryStepsMin = 20_000
)

// searched judges by following all configurations.
func searched(s spec, entries []entry, b *budget) judgement {
	r := search(s, entries, b)
	j := judgement{verdict: r.verdict, bound: r.bound, states: r.states, spec: s}
	if r.verdict == Violated {
		j.at, j.failed = entries[r.failed].ret, entries[r.failed].op
	}
	return j
}

// judgeFromAny is judge for a register that may hold anything in the beginning.
func judgeFromAny(ops []Operation, m *Model, b *budget) judgement {
	s, entries := m.compile(ops)
	reg := s.(*registerSpec)
	j := searched(anyRegister{reg}, entries, b)
	j.spec, j.anyInit = s, true
	return j
}

// An anyRegister is a register of which nobody knows what it holds at first.
type anyRegister struct{ *registerSpec }

// inits are the states that it may be in.
func (s anyRegister) inits() []int32 {
	all := []int32{unseen, null}
	for id := range s.seen {
		all = append(all, id)
	}
	slices.Sort(all)
	return slices.Compact(all)
}
