package state

import (
	"slices"
	"unsafe"

	"hindcast.dev/event"
)

// parts are what is remembered of a plain map or slice that is walked: a hash of
// each entry. Its values are made only for the entries that change.
type parts struct {
	entries map[Hash]*part // of a map, by the hash of the key
	list    []Hash         // of a slice
	round   uint64         // counts the walks
}

// A part is an entry of a plain map.
type part struct {
	key   event.Value
	hash  Hash   // of the value
	round uint64 // the walk that met it last
}

// walked compares a leaf that is walked, whatever its size, entry by entry.
func (l *leaf) walked(w *watch, p unsafe.Pointer, emit Emit) {
	switch {
	case l.shape.kind == mapKind:
		l.walkMap(w, p, emit)
	case l.shape.kind == sliceKind:
		l.walkSlice(w, p, emit)
	default:
		if h := l.shape.hash(0, p, true); !w.known || h != w.hash {
			emit(l.variable, l.path, l.shape.value(p))
			w.hash = h
		}
	}
	w.known = true
}

// walkMap reports the entries that came, changed or went, in order of their
// keys, and the whole map when it is seen for the first time.
func (l *leaf) walkMap(w *watch, p unsafe.Pointer, emit Emit) {
	if w.parts.entries == nil {
		w.parts.entries = map[Hash]*part{}
	}
	ps := &w.parts
	ps.round++
	var changed []event.Entry
	n := 0
	l.shape.eachPair(p, func(k, v unsafe.Pointer) {
		n++
		id, h := l.shape.key.hash(0, k, true), l.shape.elem.hash(0, v, true)
		e := ps.entries[id]
		if e == nil {
			e = &part{key: l.shape.key.value(k), hash: ^h}
			ps.entries[id] = e
		}
		e.round = ps.round
		if e.hash != h {
			e.hash = h
			changed = append(changed, event.Entry{Key: e.key, Value: l.shape.elem.value(v)})
		}
	})
	if !w.known {
		emit(l.variable, l.path, event.MapOf(event.NewMap(changed...)))
		return
	}
	if n < len(ps.entries) {
		for id, e := range ps.entries {
			if e.round != ps.round {
				changed = append(changed, event.Entry{Key: e.key, Value: event.Absent})
				delete(ps.entries, id)
			}
		}
	}
	slices.SortFunc(changed, func(a, b event.Entry) int { return event.Compare(a.Key, b.Key) })
	for _, c := range changed {
		emit(l.variable, l.join(c.Key), c.Value)
	}
}

// walkSlice reports the elements that changed or were appended; a slice that
// became shorter, or of which most differs, it reports whole.
func (l *leaf) walkSlice(w *watch, p unsafe.Pointer, emit Emit) {
	first, n := l.shape.elements(p)
	at := func(i int) unsafe.Pointer { return unsafe.Add(first, uintptr(i)*l.shape.elem.typ.Size()) }
	old := len(w.parts.list)
	whole := !w.known || n < old
	w.parts.list = slices.Grow(w.parts.list[:min(n, old)], max(0, n-old))[:n]
	var changed []int
	for i := range n {
		h := l.shape.elem.hash(0, at(i), true)
		if i >= old || w.parts.list[i] != h {
			changed = append(changed, i)
		}
		w.parts.list[i] = h
	}
	if whole || len(changed) > n/2 {
		if whole || len(changed) > 0 {
			emit(l.variable, l.path, l.shape.value(p))
		}
		return
	}
	for _, i := range changed {
		emit(l.variable, l.join(event.Int(int64(i))), l.shape.elem.value(at(i)))
	}
}
