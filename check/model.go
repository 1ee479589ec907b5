package check

import (
	"fmt"
	"slices"
	"strings"

	"hindcast.dev/event"
)

// A Model is the sequential specification of an object: what operations give if
// they happen one after the other. Objects with different keys are independent.
type Model struct {
	Name string
	Doc  string // one line: what it is in the beginning and which operations it has

	verbs   []string // the operations it knows, as verb names them
	compile func(ops []Operation) (spec, []entry)
	// sound reports whether kept, a part of the operations on one key, can be judged
	// without the rest: if all are linearizable, so are those kept. nil: never.
	sound func(all, kept []Operation) bool
	// since reports whether judgeFromAny can judge operations. nil: never.
	since func(ops []Operation) bool
}

// A spec is a Model at work on the operations of one key. States are small
// numbers, equal states equal numbers.
type spec interface {
	init() int32
	// step lets operation i happen in a state; ok is false if it can't, with the
	// output it had. An Info operation always can, if only by not happening.
	step(state int32, i int) (next int32, ok bool)
	// pure reports whether operation i leaves every state as it is.
	pure(i int) bool
	// alike reports whether two Info operations do the same in every state.
	alike(i, j int) bool
	// text is a state for people: "held 4".
	text(state int32) string
}

// An entry is an operation that a search has to place, or may.
type entry struct {
	op        int // index into the operations compiled
	call, ret int64
	info      bool // it may never happen; ret is Open
}

// Models returns the models there are, by name.
func Models() []*Model {
	return []*Model{
		{Name: "append-list", Doc: "a list per key, empty at first: append (an element), read (all of it)",
			verbs: []string{"read", "append"}, compile: compileList, sound: soundList},
		{Name: "cas-register", Doc: "a register per key, null at first: read, write, cas ([old, new])",
			verbs: []string{"read", "write", "cas"}, compile: compileRegister, sound: soundRegister, since: sinceRegister},
		{Name: "kv", Doc: "a value per key, null at first: read (get), write (put), delete, cas, append (to a string)",
			verbs: []string{"read", "write", "delete", "cas", "append"}, compile: compileRegister, sound: soundRegister, since: sinceRegister},
		{Name: "lock", Doc: "a lock per key, free at first: acquire (output false: it was held), release by its holder",
			verbs: []string{"acquire", "release"}, compile: compileLock, sound: soundLock},
		{Name: "queue", Doc: "a first-in-first-out queue per key, empty at first: enqueue, dequeue (null: it was empty)",
			verbs: []string{"enqueue", "dequeue"}, compile: compileQueue, sound: soundQueue},
		{Name: "register", Doc: "a register per key, null at first: read, write",
			verbs: []string{"read", "write"}, compile: compileRegister, sound: soundRegister, since: sinceRegister},
	}
}

// ModelByName returns the model of this name; ok is false if there is none.
func ModelByName(name string) (m *Model, ok bool) {
	for _, m := range Models() {
		if m.Name == name {
			return m, true
		}
	}
	return nil, false
}

// GuessModel returns the model that fits the operations: the simplest that knows
// them all. ok is false if none does.
func GuessModel(ops []Operation) (m *Model, ok bool) {
	for _, name := range []string{"register", "cas-register", "append-list", "kv", "queue", "lock"} {
		m, _ := ModelByName(name)
		if m.Accepts(ops) == nil && (name != "append-list" || readsLists(ops)) {
			return m, true
		}
	}
	return nil, false
}

// readsLists reports whether reads gave lists, or nothing.
func readsLists(ops []Operation) bool {
	for i := range ops {
		if verb(ops[i].F) == "read" && ops[i].Outcome == Ok && !isList(ops[i].Output) {
			return false
		}
	}
	return true
}

func isList(v event.Value) bool {
	return v.Type() == event.TypeList || v.Type() == event.TypeNull || v.IsAbsent()
}

// Accepts returns an error that names the first operation that the model can't
// judge, nil if there is none.
func (m *Model) Accepts(ops []Operation) error {
	for i := range ops {
		op := &ops[i]
		v := verb(op.F)
		switch {
		case !slices.Contains(m.verbs, v):
			return fmt.Errorf("%s: model %s has no operation %q, it has %s; choose another model", op.ref(), m.Name, op.F, strings.Join(m.verbs, ", "))
		case v == "cas" && (op.Input.Type() != event.TypeList || op.Input.Len() != 2):
			return fmt.Errorf("%s: the input of cas is %s; want the list [old, new]", op.ref(), valueText(op.Input))
		case m.Name == "append-list" && v == "read" && op.Outcome == Ok && !isList(op.Output):
			return fmt.Errorf("%s: the read gave %s; the model append-list wants a list", op.ref(), valueText(op.Output))
		}
	}
	return nil
}

// verb is an operation's name as models know it: other names for the same thing
// are in use.
func verb(f string) string {
	switch f {
	case "get", "r":
		return "read"
	case "put", "set", "w":
		return "write"
	case "del", "remove":
		return "delete"
	case "enq", "push", "offer":
		return "enqueue"
	case "deq", "pop", "poll":
		return "dequeue"
	case "lock":
		return "acquire"
	case "unlock":
		return "release"
	}
	return f
}

// ref says which operation this is, for messages.
func (op *Operation) ref() string {
	if op.Ref != "" {
		return op.Ref
	}
	return fmt.Sprintf("%s of client %d called at %d", op.F, op.Process, op.Call)
}

// newEntry is the entry of an operation that isn't changed by others.
func newEntry(ops []Operation, i int) entry {
	e := entry{op: i, call: ops[i].Call, ret: ops[i].Return, info: ops[i].Outcome != Ok}
	if e.info {
		e.ret = Open
	}
	return e
}
