package check

import (
	"fmt"
	"slices"
	"strings"

	"hindcast.dev/event"
)

// A registerSpec is a register, a CAS register or a key's value in a store. Its
// state is the number of the value held; values that nobody ever asked about are
// all the same state, unseen.
type registerSpec struct {
	values *valueTable
	ops    []registerOp
	// seen tells the values that an answer speaks of; with appends also what these
	// begin with matters, and texts are they, sorted.
	seen   map[int32]bool
	texts  []string // nil if nothing is appended
	joined map[[2]int32]int32
	exact  bool // values that nobody asks about are told apart, for explanations
}

// unseen is the state of a register whose value nobody asks about.
const unseen int32 = -1

type registerOp struct {
	kind    registerKind
	in, old int32 // written or appended; compared
	out     int32 // read
}

type registerKind uint8

const (
	doRead registerKind = iota
	doWrite
	doAppend
	doCAS      // the comparison held
	doFailCAS  // the comparison failed
	doMaybeCAS // unknown
)

// compileRegister serves register, cas-register and kv. Reads without an answer
// are left out, and so is a write without an answer of a value that nobody saw:
// if it happened nobody knows. One whose value was seen, and can't come from
// another, did happen, before it was seen.
func compileRegister(ops []Operation) (spec, []entry) {
	s := &registerSpec{values: newValueTable(), ops: make([]registerOp, len(ops)), seen: map[int32]bool{}, joined: map[[2]int32]int32{}}
	u := registerUse{writers: map[int32]int{}, firstSeen: map[int32]int64{}}
	for i := range ops {
		s.ops[i] = s.compileOp(&ops[i])
		u.note(s, &ops[i], s.ops[i])
	}
	if u.appends {
		s.noteTexts()
	}
	entries := make([]entry, 0, len(ops))
	for i := range ops {
		op, e := &s.ops[i], newEntry(ops, i)
		if op.kind == doRead && (e.info || ops[i].Output.IsAbsent()) {
			continue
		}
		if e.info && !u.appends && !u.failedCAS {
			first, sawIt := u.firstSeen[op.in]
			if !s.seen[op.in] {
				continue
			}
			if sawIt && u.writers[op.in] == 1 && op.in != null && first >= e.call {
				e.info, e.ret = false, first
				if op.kind == doMaybeCAS {
					op.kind = doCAS
				}
			}
		}
		entries = append(entries, e)
	}
	return s, entries
}

// A registerUse is what has to be known of all operations before one without an
// answer can be left out.
type registerUse struct {
	appends, failedCAS bool
	writers            map[int32]int   // value → how many could have written it
	firstSeen          map[int32]int64 // value → the earliest return of an answer that had it
}

func (u *registerUse) note(s *registerSpec, op *Operation, c registerOp) {
	switch c.kind {
	case doRead:
		if op.Outcome == Ok && !op.Output.IsAbsent() {
			u.see(s, c.out, op.Return)
		}
		return
	case doAppend:
		u.appends = true
	case doFailCAS:
		u.failedCAS = true
		s.seen[c.old] = true
		return
	case doCAS:
		u.see(s, c.old, op.Return)
	case doMaybeCAS:
		s.seen[c.old] = true
	}
	u.writers[c.in]++
}

func (u *registerUse) see(s *registerSpec, value int32, at int64) {
	s.seen[value] = true
	if first, ok := u.firstSeen[value]; !ok || at < first {
		u.firstSeen[value] = at
	}
}

func (s *registerSpec) compileOp(op *Operation) registerOp {
	switch verb(op.F) {
	case "read":
		return registerOp{kind: doRead, out: s.values.id(op.Output)}
	case "delete":
		return registerOp{kind: doWrite, in: null}
	case "append":
		return registerOp{kind: doAppend, in: s.values.id(op.Input)}
	case "cas":
		c := registerOp{kind: doCAS, old: s.values.id(op.Input.Index(event.Int(0))), in: s.values.id(op.Input.Index(event.Int(1)))}
		switch {
		case op.Outcome != Ok:
			c.kind = doMaybeCAS
		case casFailed(op):
			c.kind = doFailCAS
		}
		return c
	}
	return registerOp{kind: doWrite, in: s.values.id(op.Input)}
}

// casFailed reports whether a CAS was answered, and the comparison failed.
func casFailed(op *Operation) bool {
	return op.Outcome == Ok && op.Output.Type() == event.TypeBool && !op.Output.AsBool()
}

// noteTexts makes the strings seen known: a state that none of them begins with
// is never seen again until the next write.
func (s *registerSpec) noteTexts() {
	s.texts = []string{""}
	for id := range s.seen {
		s.texts = append(s.texts, s.values.values[id].AsString())
	}
	slices.Sort(s.texts)
}

// begins reports whether a string seen begins with text.
func (s *registerSpec) begins(text string) bool {
	i, _ := slices.BinarySearch(s.texts, text)
	return i < len(s.texts) && strings.HasPrefix(s.texts[i], text)
}

func (s *registerSpec) init() int32 { return null }

func (s *registerSpec) pure(i int) bool {
	return s.ops[i].kind == doRead || s.ops[i].kind == doFailCAS
}

func (s *registerSpec) alike(i, j int) bool { return s.ops[i] == s.ops[j] }

func (s *registerSpec) step(state int32, i int) (int32, bool) {
	op := &s.ops[i]
	switch op.kind {
	case doRead:
		return state, state == op.out
	case doAppend:
		return s.append(state, op.in), true
	case doCAS:
		return s.canonical(op.in), state == op.old
	case doFailCAS:
		return state, state != op.old
	case doMaybeCAS:
		if state != op.old {
			return state, true
		}
	}
	return s.canonical(op.in), true
}

// canonical is the state in which the register holds a value.
func (s *registerSpec) canonical(value int32) int32 {
	if s.exact || s.seen[value] || value == null || s.begins(s.values.values[value].AsString()) {
		return value
	}
	return unseen
}

func (s *registerSpec) append(state, in int32) int32 {
	if state == unseen {
		return unseen
	}
	id, ok := s.joined[[2]int32{state, in}]
	if !ok {
		text := s.values.values[state].AsString() + s.values.values[in].AsString()
		id = unseen
		if s.exact || s.begins(text) {
			id = s.values.id(event.String(text))
		}
		s.joined[[2]int32{state, in}] = id
	}
	return id
}

func (s *registerSpec) text(state int32) string {
	if state == unseen {
		return "held a value that no answer has"
	}
	return fmt.Sprintf("held %s", valueText(s.values.values[state]))
}

// soundRegister: what an answer speaks of must be there with all who could have
// written it, or a part of it where strings are appended. An answer that speaks of
// what was not there needs every change.
func soundRegister(all, kept []Operation) bool {
	o := observed{table: newValueTable(), saw: map[int32]bool{}}
	for i := range all {
		o.parts = o.parts || verb(all[i].F) == "append"
	}
	for i := range kept {
		switch op := &kept[i]; {
		case verb(op.F) == "read" && op.Outcome == Ok && !op.Output.IsAbsent():
			o.see(op.Output)
		case verb(op.F) == "cas":
			o.see(op.Input.Index(event.Int(0)))
			o.changes = o.changes || casFailed(op)
		}
	}
	need := 0
	for i := range all {
		need += b2i(o.needs(&all[i]))
	}
	for i := range kept {
		need -= b2i(o.needs(&kept[i]))
	}
	return need == 0
}

// observed is what the answers of some operations speak of.
type observed struct {
	table   *valueTable
	saw     map[int32]bool
	texts   []string
	parts   bool // strings are appended
	changes bool // an answer depends on every change
}

func (o *observed) see(v event.Value) {
	if id := o.table.id(v); !o.saw[id] {
		o.saw[id] = true
		o.texts = append(o.texts, v.AsString())
	}
}

// needs reports whether without an operation an answer could be another. Where
// strings are appended, one that is part of no answer was followed by a write
// before the next answer; but what empties the register leaves no part.
func (o *observed) needs(op *Operation) bool {
	if !isChange(op) {
		return false
	}
	v := writtenValue(op)
	if o.changes || o.saw[o.table.id(v)] {
		return true
	}
	if !o.parts {
		return false
	}
	text := v.AsString()
	return text == "" || slices.ContainsFunc(o.texts, func(saw string) bool { return strings.Contains(saw, text) })
}

func isChange(op *Operation) bool { return verb(op.F) != "read" && !casFailed(op) }

// sinceRegister: where strings are appended, what was there before shows in what
// is read later.
func sinceRegister(ops []Operation) bool {
	return !slices.ContainsFunc(ops, func(op Operation) bool { return verb(op.F) == "append" })
}
