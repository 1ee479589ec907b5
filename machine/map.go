package machine

import (
	"cmp"
	"iter"
)

// A Map is an ordered map for a machine's state: it iterates in the order of its
// keys, which a Go map doesn't, and it knows which entries the last Step
// touched, so that an event costs what it changed. The zero Map is empty and
// ready for use. Operations take O(log n).
//
// A value is replaced, not changed where it lies: Get returns a copy, Put and
// Update store one. What a value points to (a slice, a plain map, a pointer)
// must not be changed afterwards but in Update, or the change goes unseen.
//
// A Map is held by value in the state and isn't copied: like a Go map, a copy is
// the same map once it holds something. Keys that are floating point NaN are all
// the same key.
type Map[K cmp.Ordered, V any] struct {
	s *mapState[K, V]
}

type mapState[K cmp.Ordered, V any] struct {
	entries tree[K, V]
	touched tree[K, struct{}]
}

func (m *Map[K, V]) state() *mapState[K, V] {
	if m.s == nil {
		m.s = &mapState[K, V]{}
	}
	return m.s
}

// Len returns the number of entries.
func (m *Map[K, V]) Len() int {
	if m.s == nil {
		return 0
	}
	return m.s.entries.size
}

// Get returns the value under k; ok is whether there is one.
func (m *Map[K, V]) Get(k K) (v V, ok bool) {
	if m.s == nil {
		return v, false
	}
	if p := m.s.entries.get(k); p != nil {
		return *p, true
	}
	return v, false
}

// Has reports whether there is an entry under k.
func (m *Map[K, V]) Has(k K) bool { return m.s != nil && m.s.entries.get(k) != nil }

// Put sets the value under k.
func (m *Map[K, V]) Put(k K, v V) {
	s := m.state()
	p, _ := s.entries.slot(k)
	*p = v
	s.touched.slot(k)
}

// Update calls f with a copy of the value under k, the zero V if there is none,
// and stores what f leaves.
func (m *Map[K, V]) Update(k K, f func(v *V)) {
	v, _ := m.Get(k)
	f(&v)
	m.Put(k, v)
}

// Delete removes the entry under k and reports whether there was one.
func (m *Map[K, V]) Delete(k K) bool {
	if m.s == nil || !m.s.entries.delete(k) {
		return false
	}
	m.s.touched.slot(k)
	return true
}

// Clear removes every entry.
func (m *Map[K, V]) Clear() {
	for k := range m.All() {
		m.Delete(k)
	}
}

// All iterates over the entries in the order of their keys. The map may be
// changed meanwhile: the iteration goes on after the key it is at, so it sees
// what was put there and doesn't see what was deleted.
func (m *Map[K, V]) All() iter.Seq2[K, V] { return m.seq(bound[K]{}) }

// From is All from the first key that isn't below k.
func (m *Map[K, V]) From(k K) iter.Seq2[K, V] { return m.seq(bound[K]{key: k, some: true}) }

func (m *Map[K, V]) seq(b bound[K]) iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		if m.s != nil {
			m.s.entries.ascend(b, func(k *K, v *V) bool { return yield(*k, *v) })
		}
	}
}

// Keys iterates over the keys in order, under the rules of All.
func (m *Map[K, V]) Keys() iter.Seq[K] {
	return func(yield func(K) bool) {
		if m.s != nil {
			m.s.entries.ascend(bound[K]{}, func(k *K, _ *V) bool { return yield(*k) })
		}
	}
}

// Min returns the entry with the lowest key; ok is whether there is one.
func (m *Map[K, V]) Min() (k K, v V, ok bool) {
	if m.Len() == 0 {
		return k, v, false
	}
	it := m.s.entries.first()
	return it.key, it.val, true
}

// Max returns the entry with the highest key; ok is whether there is one.
func (m *Map[K, V]) Max() (k K, v V, ok bool) {
	if m.Len() == 0 {
		return k, v, false
	}
	it := m.s.entries.last()
	return it.key, it.val, true
}

// Inspect gives the stepper its view of the container.
func (m *Map[K, V]) Inspect() Inspector { return m.state() }

// Shape, Len, Base, Each, Touched, Settle and Elem make a mapState an Inspector.
func (s *mapState[K, V]) Shape() Shape { return ShapeMap }
func (s *mapState[K, V]) Len() int     { return s.entries.size }
func (s *mapState[K, V]) Base() int    { return 0 }
func (s *mapState[K, V]) Settle()      { s.touched.reset() }

// Untouched is part of an Inspector too.
func (s *mapState[K, V]) Untouched() bool { return s.touched.size == 0 }

func (s *mapState[K, V]) Each(yield func(key, val any) bool) {
	s.entries.ascend(bound[K]{}, func(k *K, v *V) bool { return yield(k, v) })
}

func (s *mapState[K, V]) Touched(yield func(key, val any) bool) {
	if root := s.touched.root; root == nil || root.kids == nil { // few or none, as after most events
		s.touchedIn(root, yield)
		return
	}
	s.touched.ascend(bound[K]{}, func(k *K, _ *struct{}) bool {
		if v := s.entries.get(*k); v != nil {
			return yield(k, v)
		}
		return yield(k, nil)
	})
}

// touchedIn is Touched for keys that are all in one node.
func (s *mapState[K, V]) touchedIn(n *treeNode[K, struct{}], yield func(key, val any) bool) {
	for i := 0; n != nil && i < len(n.items); i++ {
		k := &n.items[i].key
		var val any
		if v := s.entries.get(*k); v != nil {
			val = v
		}
		if !yield(k, val) {
			return
		}
	}
}

func (s *mapState[K, V]) Elem() (key, val any) { return new(K), new(V) }

// A Set is an ordered set, under the rules of Map. As a variable it is one value
// that is shown anew when a member comes or goes: where a set is large and
// changes often, a Map with an empty struct costs less to replay.
type Set[K cmp.Ordered] struct {
	m Map[K, struct{}]
}

// Len returns the number of members.
func (s *Set[K]) Len() int { return s.m.Len() }

// Has reports whether k is a member.
func (s *Set[K]) Has(k K) bool { return s.m.Has(k) }

// Add makes k a member and reports whether it was none.
func (s *Set[K]) Add(k K) bool {
	if s.m.Has(k) {
		return false
	}
	s.m.Put(k, struct{}{})
	return true
}

// Delete removes k and reports whether it was a member.
func (s *Set[K]) Delete(k K) bool { return s.m.Delete(k) }

// Clear removes every member.
func (s *Set[K]) Clear() { s.m.Clear() }

// All iterates over the members in order, under the rules of Map.All.
func (s *Set[K]) All() iter.Seq[K] { return s.m.Keys() }

// From is All from the first member that isn't below k.
func (s *Set[K]) From(k K) iter.Seq[K] {
	return func(yield func(K) bool) {
		for k := range s.m.From(k) {
			if !yield(k) {
				return
			}
		}
	}
}

// Min returns the lowest member; ok is whether there is one.
func (s *Set[K]) Min() (k K, ok bool) {
	k, _, ok = s.m.Min()
	return k, ok
}

// Max returns the highest member; ok is whether there is one.
func (s *Set[K]) Max() (k K, ok bool) {
	k, _, ok = s.m.Max()
	return k, ok
}

// Inspect gives the stepper its view of the container.
func (s *Set[K]) Inspect() Inspector { return setInspector[K]{s.m.state()} }

type setInspector[K cmp.Ordered] struct{ *mapState[K, struct{}] }

func (setInspector[K]) Shape() Shape { return ShapeSet }
