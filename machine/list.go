package machine

import (
	"fmt"
	"iter"
)

// A List is a sequence for a machine's state, under the rules of Map. It holds
// the elements with the indexes in [First, End). An element keeps its index for
// as long as it is there, also when elements before it are dropped, which is
// what a log or a queue needs. The zero List is empty and begins at 0.
type List[V any] struct {
	s *listState[V]
}

type listState[V any] struct {
	mapState[int, V]
	first, end int
}

func (l *List[V]) state() *listState[V] {
	if l.s == nil {
		l.s = &listState[V]{}
	}
	return l.s
}

// Len returns the number of elements.
func (l *List[V]) Len() int { return l.End() - l.First() }

// First returns the index of the first element, or of the next one to be
// appended if there is none.
func (l *List[V]) First() int {
	if l.s == nil {
		return 0
	}
	return l.s.first
}

// End returns the index that the next element will have.
func (l *List[V]) End() int {
	if l.s == nil {
		return 0
	}
	return l.s.end
}

// Append adds an element at the end and returns its index.
func (l *List[V]) Append(v V) int {
	s := l.state()
	s.put(s.end, v)
	s.end++
	return s.end - 1
}

func (s *listState[V]) put(i int, v V) {
	p, _ := s.entries.slot(i)
	*p = v
	s.touched.slot(i)
}

// Get returns element i; ok is false if there is none at this index.
func (l *List[V]) Get(i int) (v V, ok bool) {
	if l.s != nil {
		if p := l.s.entries.get(i); p != nil {
			return *p, true
		}
	}
	return v, false
}

// Set replaces element i. It panics if there is none at this index.
func (l *List[V]) Set(i int, v V) {
	l.mustHave(i)
	l.s.put(i, v)
}

// Update calls f with a copy of element i and stores what f leaves. It panics if
// there is none at this index.
func (l *List[V]) Update(i int, f func(v *V)) {
	l.mustHave(i)
	v, _ := l.Get(i)
	f(&v)
	l.s.put(i, v)
}

func (l *List[V]) mustHave(i int) {
	if i < l.First() || i >= l.End() {
		panic(fmt.Sprintf("machine: List index %d is outside [%d, %d)", i, l.First(), l.End()))
	}
}

// DropBefore removes the elements with indexes below i; those that stay keep
// theirs.
func (l *List[V]) DropBefore(i int) {
	for s := l.state(); s.first < min(i, s.end); s.first++ {
		s.entries.delete(s.first)
		s.touched.slot(s.first)
	}
}

// Truncate removes the elements with indexes from i on; the next one appended
// gets the lowest index that is free.
func (l *List[V]) Truncate(i int) {
	for s := l.state(); s.end > max(i, s.first); s.end-- {
		s.entries.delete(s.end - 1)
		s.touched.slot(s.end - 1)
	}
}

// All iterates over indexes and elements in order, under the rules of Map.All.
func (l *List[V]) All() iter.Seq2[int, V] { return l.From(l.First()) }

// From is All from index i.
func (l *List[V]) From(i int) iter.Seq2[int, V] {
	return func(yield func(int, V) bool) {
		if l.s != nil {
			l.s.entries.ascend(bound[int]{key: i, some: true}, func(k *int, v *V) bool { return yield(*k, *v) })
		}
	}
}

// Inspect gives the stepper its view of the container.
func (l *List[V]) Inspect() Inspector { return l.state() }

// Shape and Base are what a list's Inspector says otherwise than a map's.
func (s *listState[V]) Shape() Shape { return ShapeList }
func (s *listState[V]) Base() int    { return s.first }
