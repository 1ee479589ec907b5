package check

import (
	"cmp"
	"encoding/binary"
	"slices"
)

// sequential judges sequential consistency (Lamport, 1979): one order of all
// operations in which each client's are in its own. Deciding it is NP-complete
// (Gibbons and Korach, 1997); so first what must be in that order is collected, and
// where that doesn't contradict itself an order is searched for, within the bound.
func (l *sessionLog) sequential(o *Options) Result {
	r := l.result(Sequential)
	b := newBudget(o)
	defer func() { r.Steps = b.spent }()
	if len(l.accesses)*len(l.sessions) > viewCellsMax {
		r.Bound = "too many operations of too many clients: judge fewer at once"
		l.finish(&r, o)
		return r
	}
	var reads []int
	for a := range l.accesses {
		if !l.accesses[a].write {
			reads = append(reads, a)
		}
	}
	v := l.newOrderView(reads, func(int) bool { return true })
	v.both = true
	c, undecided := v.saturate(b)
	switch {
	case undecided:
		r.Bound = b.bound()
	case c != nil:
		title := "sequential is violated: no order of all operations that keeps each client's explains what was read"
		r.Violations = append(r.Violations, l.explain(Sequential, title, c.accesses, c.why, c.cycle, o))
	case len(l.bad) == 0:
		w := newWitness(v, b)
		switch w.search() {
		case Violated:
			r.Violations = append(r.Violations, Violation{Property: Sequential, Operations: pickFirst(l.ops, shownMax),
				Text: "sequential is violated: a search through all orders that keep each client's operations found none that explains what was read"})
		case Undecided:
			r.Bound = b.bound()
		}
	}
	l.finishOrder(&r, o)
	return r
}

func pickFirst(ops []Operation, n int) []Operation { return slices.Clone(ops[:min(n, len(ops))]) }

// A witness looks for one order of all accesses. A read happens as soon as it can,
// which never hurts; a write may when nobody still has to read what it replaces.
type witness struct {
	view    *orderView
	budget  *budget
	in      []int32         // access → how many that must be before it have not happened
	current []int32         // key → the write whose value is there, beginningValue
	readers []int           // access (a write), or n + key for the beginning → reads of it to come
	ready   []int32         // what nothing must be before any more, and has not happened
	dead    map[string]bool // what is there and what has happened, from where no order is
	done    []int32         // session → how many have happened
	count   int
}

func newWitness(v *orderView, b *budget) *witness {
	n := len(v.log.accesses)
	w := &witness{view: v, budget: b, in: make([]int32, n), current: make([]int32, len(v.log.keys)), readers: make([]int, n+len(v.log.keys)),
		dead: map[string]bool{}, done: make([]int32, len(v.log.sessions))}
	for _, list := range v.next {
		for _, x := range list {
			w.in[x]++
		}
	}
	for k := range w.current {
		w.current[k] = beginningValue
	}
	for a := range v.log.accesses {
		if x := &v.log.accesses[a]; !x.write && x.from != untied {
			w.readers[w.source(x)]++
		}
		if w.in[a] == 0 {
			w.ready = append(w.ready, int32(a))
		}
	}
	return w
}

func (w *witness) source(x *access) int {
	if x.from == beginningValue {
		return len(w.view.log.accesses) + int(x.key)
	}
	return x.from
}

// A choice is a write that was let happen, and what followed from it.
type choice struct {
	options  []int32
	trail    []int32 // accesses that happened since the choice before, in order
	replaced []int32 // what the writes among them replaced
}

// search goes on until all have happened, taking back the last choice where
// nothing can.
func (w *witness) search() Verdict {
	stack := []choice{{}}
	w.settle(&stack[0])
	stack[0].options = w.writable()
	for {
		if w.count == len(w.view.log.accesses) {
			return Holds
		}
		top := &stack[len(stack)-1]
		if !w.budget.spend(int64(1 + len(w.ready)/8)) {
			return Undecided
		}
		if len(top.options) == 0 {
			w.budget.spend(deadCost)
			w.dead[w.key()] = true
			w.undo(top)
			stack = stack[:len(stack)-1]
			if len(stack) == 0 {
				return Violated
			}
			continue
		}
		next := choice{}
		a := top.options[0]
		top.options = top.options[1:]
		w.happen(&next, a)
		if w.halfCAS(int(a)) {
			w.happen(&next, a+1)
		}
		w.settle(&next)
		if w.dead[w.key()] {
			w.undo(&next)
			continue
		}
		next.options = w.writable()
		stack = append(stack, next)
	}
}

// deadCost is how many steps it counts to remember where no order is: it takes
// memory.
const deadCost = 32

// halfCAS reports whether an access is the read of a CAS, whose write is the next
// access and happens with it.
func (w *witness) halfCAS(a int) bool {
	all := w.view.log.accesses
	return !all[a].write && a+1 < len(all) && all[a+1].op == all[a].op
}

// settle lets all reads happen that can.
func (w *witness) settle(c *choice) {
	for again := true; again; {
		again = false
		for i := 0; i < len(w.ready); i++ {
			if x := &w.view.log.accesses[w.ready[i]]; !x.write && !w.halfCAS(int(w.ready[i])) && (x.from == untied || int32(x.from) == w.current[x.key]) {
				w.happen(c, w.ready[i])
				again = true
				i--
			}
		}
	}
}

// writable are the writes that can happen, those called first at the front; of a
// CAS it is the read.
func (w *witness) writable() []int32 {
	l := w.view.log
	var all []int32
	for _, a := range w.ready {
		x, left := &l.accesses[a], 0
		if w.halfCAS(int(a)) {
			if int32(x.from) != w.current[x.key] && x.from != untied || w.in[a+1] != 1 {
				continue
			}
			left = b2i(x.from != untied)
		} else if !x.write || a > 0 && w.halfCAS(int(a)-1) {
			continue
		}
		cur := int(w.current[x.key])
		if cur == beginningValue {
			cur = len(l.accesses) + int(x.key)
		}
		if w.readers[cur] == left {
			all = append(all, a)
		}
	}
	slices.SortFunc(all, func(a, b int32) int {
		return cmp.Compare(l.ops[l.accesses[a].op].Call, l.ops[l.accesses[b].op].Call)
	})
	return all
}

func (w *witness) happen(c *choice, a int32) {
	x := &w.view.log.accesses[a]
	w.ready = slices.Delete(w.ready, slices.Index(w.ready, a), slices.Index(w.ready, a)+1)
	c.trail = append(c.trail, a)
	if x.write {
		c.replaced = append(c.replaced, w.current[x.key])
		w.current[x.key] = a
	} else if x.from != untied {
		w.readers[w.source(x)]--
	}
	for _, b := range w.view.next[a] {
		if w.in[b]--; w.in[b] == 0 {
			w.ready = append(w.ready, b)
		}
	}
	w.done[x.session]++
	w.count++
}

func (w *witness) undo(c *choice) {
	for i := len(c.trail) - 1; i >= 0; i-- {
		a := c.trail[i]
		x := &w.view.log.accesses[a]
		for _, b := range w.view.next[a] {
			if w.in[b]++; w.in[b] == 1 {
				w.ready = slices.Delete(w.ready, slices.Index(w.ready, b), slices.Index(w.ready, b)+1)
			}
		}
		if x.write {
			w.current[x.key] = c.replaced[len(c.replaced)-1]
			c.replaced = c.replaced[:len(c.replaced)-1]
		} else if x.from != untied {
			w.readers[w.source(x)]++
		}
		w.ready = append(w.ready, a)
		w.done[x.session]--
		w.count--
	}
}

// key is what has happened and what is there, which is all that matters for what
// can follow.
func (w *witness) key() string {
	b := make([]byte, 0, 4*(len(w.done)+len(w.current)))
	for _, n := range w.done {
		b = binary.LittleEndian.AppendUint32(b, uint32(n))
	}
	for _, n := range w.current {
		b = binary.LittleEndian.AppendUint32(b, uint32(n))
	}
	return string(b)
}
