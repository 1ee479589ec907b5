package check

import (
	"fmt"

	"hindcast.dev/event"
)

// A listSpec is a list that is appended to and read as a whole. What was read
// tells the order of the elements: of all reads the longest is what the list
// must become, and every other is a beginning of it. So the state is how much of
// it is there, and one more state for everything longer, which nobody read.
type listSpec struct {
	longest []int32 // the elements of the longest read
	ops     []listOp
}

type listOp struct {
	append  bool
	element int32 // appended
	length  int   // read; -1: not a beginning of the longest
}

// compileList serves append-list.
func compileList(ops []Operation) (spec, []entry) {
	values := newValueTable()
	s := &listSpec{ops: make([]listOp, len(ops))}
	reads := make([][]int32, len(ops))
	firstSeen, appends := map[int32]int64{}, map[int32]int{}
	for i := range ops {
		op := &ops[i]
		if verb(op.F) == "append" {
			s.ops[i] = listOp{append: true, element: values.id(op.Input)}
			appends[s.ops[i].element]++
			continue
		}
		if op.Outcome != Ok {
			continue
		}
		for _, v := range op.Output.Members() {
			id := values.id(v)
			reads[i] = append(reads[i], id)
			if first, ok := firstSeen[id]; !ok || op.Return < first {
				firstSeen[id] = op.Return
			}
		}
		if len(reads[i]) > len(s.longest) {
			s.longest = reads[i]
		}
	}
	var entries []entry
	for i := range ops {
		op, e := &s.ops[i], newEntry(ops, i)
		if op.append && e.info {
			first, seen := firstSeen[op.element]
			if !seen {
				continue // if it happened nobody knows
			}
			if appends[op.element] == 1 && first >= e.call {
				e.info, e.ret = false, first
			}
		}
		if !op.append {
			if e.info || ops[i].Output.IsAbsent() {
				continue
			}
			op.length = s.lengthOf(reads[i])
		}
		entries = append(entries, e)
	}
	return s, entries
}

// lengthOf returns how long a read was, -1 if the longest doesn't begin so.
func (s *listSpec) lengthOf(read []int32) int {
	for i, id := range read {
		if s.longest[i] != id {
			return -1
		}
	}
	return len(read)
}

func (s *listSpec) init() int32     { return 0 }
func (s *listSpec) pure(i int) bool { return !s.ops[i].append }

func (s *listSpec) alike(i, j int) bool { return s.ops[i] == s.ops[j] }

func (s *listSpec) step(state int32, i int) (int32, bool) {
	op := &s.ops[i]
	switch n := int(state); {
	case !op.append:
		return state, op.length == n
	case n >= len(s.longest):
		return int32(len(s.longest)) + 1, true
	default:
		return state + 1, s.longest[n] == op.element
	}
}

func (s *listSpec) text(state int32) string {
	if int(state) > len(s.longest) {
		return "had more elements than anybody read"
	}
	return fmt.Sprintf("had %d elements", state)
}

// soundList: an element that was read must be there with who appended it.
func soundList(all, kept []Operation) bool {
	values, read := newValueTable(), map[int32]bool{}
	for i := range kept {
		if kept[i].Outcome == Ok && verb(kept[i].F) == "read" {
			for _, v := range kept[i].Output.Members() {
				read[values.id(v)] = true
			}
		}
	}
	need := 0
	count := func(ops []Operation, n int) {
		for i := range ops {
			if verb(ops[i].F) == "append" && read[values.id(ops[i].Input)] {
				need += n
			}
		}
	}
	count(all, 1)
	count(kept, -1)
	return need == 0
}

// A queueSpec is a first-in-first-out queue. Its states are numbered sequences.
// When an element came out tells where in the queue it can have been: that keeps
// them few.
type queueSpec struct {
	ops    []queueOp
	values *valueTable
	states map[string]int32 // the elements, four bytes each → number
	names  []string         // number → elements
	out    []comingOut      // value → when it came out
	takers bool             // there are dequeues of which nobody knows what they took
}

// A comingOut is when an element was dequeued. One that never was, for all that is
// known, came out after everything, or into the hands of who knows.
type comingOut struct {
	call, ret int64
	enqueues  int
	dequeues  int
}

type queueOp struct {
	enqueue bool
	info    bool
	any     bool  // dequeue: what it took isn't known
	value   int32 // enqueued or dequeued; null of a dequeue: it was empty
}

// compileQueue serves queue. An enqueue without an answer whose element never
// came out is left out: if it happened, it is there still, or what took it has no
// answer either, and neither needs to have happened.
func compileQueue(ops []Operation) (spec, []entry) {
	s := &queueSpec{ops: make([]queueOp, len(ops)), values: newValueTable(), states: map[string]int32{"": 0}, names: []string{""}}
	unknown := false
	for i := range ops {
		op := &ops[i]
		c := queueOp{enqueue: verb(op.F) == "enqueue", info: op.Outcome != Ok}
		if c.enqueue {
			c.value = s.values.id(op.Input)
			s.cameOut(c.value).enqueues++
		} else if c.any = c.info || op.Output.IsAbsent(); c.any {
			s.takers = true
			unknown = unknown || !c.info
		} else {
			c.value = s.values.id(op.Output)
			out := s.cameOut(c.value)
			out.call, out.ret, out.dequeues = op.Call, op.Return, out.dequeues+1
		}
		s.ops[i] = c
	}
	var entries []entry
	for i := range ops {
		c, e := s.ops[i], newEntry(ops, i)
		if c.enqueue && c.info {
			out := s.cameOut(c.value)
			if !unknown && out.dequeues == 0 {
				continue
			}
			if out.once() && out.ret >= e.call {
				e.info, e.ret = false, out.ret
			}
		}
		entries = append(entries, e)
	}
	return s, entries
}

func (s *queueSpec) cameOut(value int32) *comingOut {
	for int(value) >= len(s.out) {
		s.out = append(s.out, comingOut{call: Open, ret: Open})
	}
	return &s.out[value]
}

// once reports whether an element went in and came out one time.
func (c *comingOut) once() bool { return c.enqueues == 1 && c.dequeues == 1 }

func (s *queueSpec) init() int32 { return 0 }

func (s *queueSpec) pure(i int) bool {
	op := &s.ops[i]
	return !op.enqueue && !op.any && op.value == null
}

func (s *queueSpec) alike(i, j int) bool { return s.ops[i] == s.ops[j] }

func (s *queueSpec) step(state int32, i int) (int32, bool) {
	op, has := &s.ops[i], s.names[state]
	switch {
	case op.enqueue && !s.behind(has, op.value):
		return state, op.info
	case op.enqueue:
		return s.number(has + string([]byte{byte(op.value), byte(op.value >> 8), byte(op.value >> 16), byte(op.value >> 24)})), true
	case has == "":
		return state, op.any || op.value == null
	case op.any && s.out[first(has)].once():
		return state, op.info // somebody else took that
	case !op.any && op.value != first(has):
		return state, false
	}
	return s.number(has[4:]), true
}

// behind reports whether an element can be behind all that are there: it must not
// have come out before one of these was asked for, nor before one that never came
// out.
func (s *queueSpec) behind(has string, value int32) bool {
	mine := &s.out[value]
	if !mine.once() {
		return true
	}
	for ; has != ""; has = has[4:] {
		if its := &s.out[first(has)]; its.once() && mine.ret < its.call || its.enqueues == 1 && its.dequeues == 0 && !s.takers {
			return false
		}
	}
	return true
}

func first(has string) int32 {
	return int32(has[0]) | int32(has[1])<<8 | int32(has[2])<<16 | int32(has[3])<<24
}

func (s *queueSpec) number(has string) int32 {
	id, ok := s.states[has]
	if !ok {
		id = int32(len(s.names))
		s.states[has] = id
		s.names = append(s.names, has)
	}
	return id
}

func (s *queueSpec) text(state int32) string {
	if state == 0 {
		return "was empty"
	}
	has := s.names[state]
	return fmt.Sprintf("had %s at its head", valueText(s.values.values[first(has)]))
}

// soundQueue: a queue without all that concerns some elements is a queue, as long
// as nobody took something unknown.
func soundQueue(all, kept []Operation) bool {
	values := newValueTable()
	count := map[int32]int{}
	for i := range kept {
		count[elementOf(values, &kept[i])]--
	}
	for i := range all {
		id := elementOf(values, &all[i])
		if _, ok := count[id]; ok || id == anyElement {
			count[id]++
		}
	}
	delete(count, null)
	for _, n := range count {
		if n != 0 {
			return false
		}
	}
	return true
}

// anyElement stands for what a dequeue without an answer took.
const anyElement int32 = -1

// elementOf is the number of the element that an operation is about, null for a
// dequeue that found none.
func elementOf(values *valueTable, op *Operation) int32 {
	switch {
	case verb(op.F) == "enqueue":
		return values.id(op.Input)
	case op.Outcome != Ok || op.Output.IsAbsent():
		return anyElement
	}
	return values.id(op.Output)
}

// A lockSpec is a lock. State 0 is free, n+1 held by processes[n].
type lockSpec struct {
	ops       []lockOp
	processes []int
}

type lockOp struct {
	acquire bool
	refused bool // acquire: it was held
	info    bool
	holder  int32
}

// compileLock serves lock.
func compileLock(ops []Operation) (spec, []entry) {
	s := &lockSpec{ops: make([]lockOp, len(ops))}
	holders := map[int]int32{}
	entries := make([]entry, 0, len(ops))
	for i := range ops {
		op := &ops[i]
		h, ok := holders[op.Process]
		if !ok {
			s.processes = append(s.processes, op.Process)
			h = int32(len(s.processes))
			holders[op.Process] = h
		}
		refused := op.Outcome == Ok && op.Output.Type() == event.TypeBool && !op.Output.AsBool()
		s.ops[i] = lockOp{acquire: verb(op.F) == "acquire", refused: refused, info: op.Outcome != Ok, holder: h}
		entries = append(entries, newEntry(ops, i))
	}
	return s, entries
}

func (s *lockSpec) init() int32     { return 0 }
func (s *lockSpec) pure(i int) bool { return s.ops[i].refused }

func (s *lockSpec) alike(i, j int) bool { return s.ops[i] == s.ops[j] }

func (s *lockSpec) step(state int32, i int) (int32, bool) {
	op := &s.ops[i]
	switch {
	case op.acquire && op.refused:
		return state, state != 0
	case op.refused: // a release that was refused: not the holder
		return state, state != op.holder
	case op.acquire && state == 0:
		return op.holder, true
	case !op.acquire && state == op.holder:
		return 0, true
	}
	return state, op.info
}

func (s *lockSpec) text(state int32) string {
	if state == 0 {
		return "was free"
	}
	return fmt.Sprintf("was held by client %d", s.processes[state-1])
}

// soundLock: a lock without all that some clients did is a lock, as long as
// nobody was refused.
func soundLock(all, kept []Operation) bool {
	count := map[int]int{}
	for i := range kept {
		if kept[i].Output.Type() == event.TypeBool && !kept[i].Output.AsBool() {
			return len(kept) == len(all)
		}
		count[kept[i].Process]--
	}
	for i := range all {
		if _, ok := count[all[i].Process]; ok {
			count[all[i].Process]++
		}
	}
	for _, n := range count {
		if n != 0 {
			return false
		}
	}
	return true
}
