package state

import (
	"unsafe"

	"hindcast.dev/event"
	"hindcast.dev/machine"
)

// SmallMax is up to which weight (words, and 64 bytes of strings) the content of
// plain maps and slices of a variable is compared after every event. A variable
// that passes it is bulky from then on: left to Materialize, absent from changes.
const SmallMax = 256

// An Emit takes a change: the entry at path in a variable (the whole variable,
// if path is empty) now is v, or is gone if v is Absent. The callee may keep
// path.
type Emit func(name string, path []event.Value, v event.Value)

// A Tracker follows one machine from event to event: what was touched enters
// the digest and, in replay, becomes changes.
type Tracker struct {
	plan *Plan
	base unsafe.Pointer
	at   []watch // one for each leaf of plan
	fold *folding
	walk func(name string) bool
	// OnBulky is told the variable whenever a part of it becomes bulky, while Commit
	// has an emit. May be nil.
	OnBulky func(name string)
}

// A watch is what a Tracker remembers of a leaf.
type watch struct {
	container machine.Container // of containerKind
	inspector machine.Inspector // that was there at the last commit: another one is a replaced container

	// For changes only.
	known bool  // was emitted, or was there when tracking began
	hash  Hash  // of the content then
	bulk  bool  // its content is too much to be compared; not emitted any more
	parts parts // of a walked map or slice, to find which entries changed
}

// Track returns a Tracker for m. walk says of which variables plain maps and
// slices are compared by content, whatever their size; nil is of none.
func (p *Plan) Track(m machine.Machine, walk func(name string) bool) *Tracker {
	t := &Tracker{plan: p, base: p.base(m), at: make([]watch, len(p.leaves)), walk: walk, fold: newFolding()}
	for i, l := range p.leaves {
		if l.shape.kind == containerKind {
			t.at[i].container = l.shape.containerAt(unsafe.Add(t.base, l.offset))
		}
	}
	return t
}

// Skip takes the present state as known, so that the first Commit reports only
// what changes from now on. It is for a machine that comes from a checkpoint.
func (t *Tracker) Skip() { t.Commit(0, func(string, []event.Value, event.Value) {}) }

// Commit ends an event: it folds what the event touched into h, tells emit what
// changed (nil if nobody wants to know: then nothing is compared) and settles
// the containers. The first Commit with an emit reports every variable.
//
// Digested are scalars and small structs, the touched entries of ordered
// containers, and of plain maps and slices the lengths.
func (t *Tracker) Commit(h Hash, emit Emit) Hash {
	for i := range t.plan.leaves {
		l, w := &t.plan.leaves[i], &t.at[i]
		p := unsafe.Add(t.base, l.offset)
		if w.container != nil {
			h = t.commitContainer(h, l, w, emit)
			continue
		}
		h = l.shape.hash(h, p, false)
		if emit != nil && !l.hidden {
			t.changed(l, w, p, emit)
		}
	}
	return h
}

func (t *Tracker) commitContainer(h Hash, l *leaf, w *watch, emit Emit) Hash {
	in := w.container.Inspect()
	replaced := in != w.inspector
	if !replaced && emit == nil && in.Untouched() {
		return h.Word(uint64(in.Len())).Word(uint64(in.Base()))
	}
	w.inspector = in
	if replaced {
		h = l.shape.hashContainer(h, in)
	} else {
		h = t.fold.touched(l.shape, h, in)
	}
	if emit != nil && !l.hidden {
		l.emitContainer(w, in, replaced, emit)
	}
	if l.shape.elem.ordered {
		l.shape.settle(unsafe.Add(t.base, l.offset))
	} else {
		in.Settle()
	}
	return h
}

// A folding folds entries of a container into a hash. A Tracker has one for all
// of its containers, so that none is made for every event.
type folding struct {
	hash  Hash
	shape *shape // of the container
	yield func(k, v any) bool
}

func newFolding() *folding {
	f := &folding{}
	f.yield = f.entry
	return f
}

// touched folds in what was touched in a container of shape s.
func (f *folding) touched(s *shape, h Hash, in machine.Inspector) Hash {
	f.shape, f.hash = s, h.Word(uint64(in.Len())).Word(uint64(in.Base()))
	in.Touched(f.yield)
	return f.hash
}

func (f *folding) entry(k, v any) bool {
	h := f.shape.key.hash(f.hash, dataOf(k), true)
	if v == nil {
		h = h.Word(0)
	} else {
		h = f.shape.elem.hash(h.Word(1), dataOf(v), true)
	}
	f.hash = h
	return true
}

func (l *leaf) emitContainer(w *watch, in machine.Inspector, replaced bool, emit Emit) {
	switch {
	case l.redact:
		if !w.known {
			emit(l.variable, l.path, event.String(Redacted))
		}
	case replaced || !w.known:
		emit(l.variable, l.path, l.shape.containerValue(in))
	case in.Shape() == machine.ShapeSet:
		in.Touched(func(_, _ any) bool {
			emit(l.variable, l.path, l.shape.containerValue(in))
			return false
		})
	default:
		in.Touched(func(k, v any) bool {
			val := event.Absent
			if v != nil {
				val = l.shape.elem.value(pointerIn(v))
			}
			emit(l.variable, l.join(l.shape.key.value(pointerIn(k))), val)
			return true
		})
	}
	w.known = true
}

// join is the leaf's path and one key more.
func (l *leaf) join(key event.Value) []event.Value {
	return append(append(make([]event.Value, 0, len(l.path)+1), l.path...), key)
}

// changed compares a leaf that is no container with what it was.
func (t *Tracker) changed(l *leaf, w *watch, p unsafe.Pointer, emit Emit) {
	if l.redact || w.bulk {
		if !w.known && !w.bulk {
			emit(l.variable, l.path, event.String(Redacted))
		}
		w.known = true
		return
	}
	if l.shape.bulk && t.walk != nil && t.walk(l.variable) {
		l.walked(w, p, emit)
		return
	}
	if l.shape.bulk && l.shape.weight(p, SmallMax+1) > SmallMax {
		w.bulk = true
		if w.known {
			emit(l.variable, l.path, event.Absent)
		}
		if t.OnBulky != nil {
			t.OnBulky(l.variable)
		}
		return
	}
	h := l.shape.hash(0, p, true)
	if w.known && h == w.hash {
		return
	}
	emit(l.variable, l.path, l.shape.value(p))
	w.known, w.hash = true, h
}

// Bulky reports whether the content of a variable is not part of the changes
// because it is too large.
func (t *Tracker) Bulky(name string) bool {
	for i, l := range t.plan.leaves {
		if l.variable == name && t.at[i].bulk {
			return true
		}
	}
	return false
}

// Settle takes the present state as the one that the last Commit saw, for the
// digest alone; Skip does so for changes too.
func (t *Tracker) Settle() {
	for i := range t.plan.leaves {
		if w := &t.at[i]; w.container != nil {
			w.inspector = w.container.Inspect()
			t.plan.leaves[i].shape.settle(unsafe.Add(t.base, t.plan.leaves[i].offset))
		}
	}
}
