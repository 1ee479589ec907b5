package event

import (
	"iter"
	"slices"
)

// smallMax is the size up to which a Map is one sorted slice: the size of most
// structs, where copying beats a tree.
const smallMax = 8

// An Entry is one key and its value.
type Entry struct {
	Key, Value Value
}

// A Map is an immutable map from Value to Value, ordered by Compare of its keys.
// With and Without return a changed copy that shares all but O(log n) of its
// content, so that every past state of a large map can be kept. A nil *Map is
// the empty map. It is safe for concurrent use.
//
// Small maps are sorted slices; larger ones AVL trees with path copying.
type Map struct {
	small []Entry // sorted by key; used while root is nil
	root  *node
}

type node struct {
	entry       Entry
	left, right *node
	size        int
	height      int8
}

// NewMap returns the map of the entries, of which a later one replaces an
// earlier one of the same key, or removes it if its value is Absent.
func NewMap(entries ...Entry) *Map {
	sorted := slices.Clone(entries)
	slices.SortStableFunc(sorted, func(a, b Entry) int { return Compare(a.Key, b.Key) })
	out := sorted[:0]
	for i, e := range sorted {
		last := i+1 == len(sorted) || Compare(e.Key, sorted[i+1].Key) != 0
		if last && !e.Value.IsAbsent() {
			out = append(out, e)
		}
	}
	switch {
	case len(out) == 0:
		return nil
	case len(out) > smallMax:
		return &Map{root: build(out)}
	}
	return &Map{small: out}
}

// Len returns the number of entries.
func (m *Map) Len() int {
	if m == nil {
		return 0
	}
	if m.root != nil {
		return m.root.size
	}
	return len(m.small)
}

// Get returns the value under key, Absent if there is none.
func (m *Map) Get(key Value) Value {
	if m == nil {
		return Absent
	}
	if m.root == nil {
		if i, ok := m.find(key); ok {
			return m.small[i].Value
		}
		return Absent
	}
	for n := m.root; n != nil; {
		switch c := Compare(key, n.entry.Key); {
		case c == 0:
			return n.entry.Value
		case c < 0:
			n = n.left
		default:
			n = n.right
		}
	}
	return Absent
}

// field is Get of a text in a small map.
func (m *Map) field(name string) Value {
	for i := range m.small {
		if k := &m.small[i].Key; k.typ == TypeString && k.str == name {
			return m.small[i].Value
		}
	}
	return Absent
}

// With returns m with key set to v; an Absent v removes it.
func (m *Map) With(key, v Value) *Map {
	if v.IsAbsent() {
		return m.Without(key)
	}
	if m == nil {
		return &Map{small: []Entry{{key, v}}}
	}
	if m.root != nil {
		return &Map{root: m.root.with(key, v)}
	}
	i, ok := m.find(key)
	out := make([]Entry, 0, len(m.small)+1)
	out = append(append(out, m.small[:i]...), Entry{key, v})
	if ok {
		i++
	}
	out = append(out, m.small[i:]...)
	if len(out) > smallMax {
		return &Map{root: build(out)}
	}
	return &Map{small: out}
}

// Without returns m without key.
func (m *Map) Without(key Value) *Map {
	if m.Get(key).IsAbsent() {
		return m
	}
	if m.root == nil {
		i, _ := m.find(key)
		out := make([]Entry, 0, len(m.small)-1)
		return &Map{small: append(append(out, m.small[:i]...), m.small[i+1:]...)}
	}
	root := m.root.without(key)
	if root.size > smallMax {
		return &Map{root: root}
	}
	small := make([]Entry, 0, root.size)
	for k, v := range (&Map{root: root}).All() {
		small = append(small, Entry{k, v})
	}
	return &Map{small: small}
}

// All iterates over the entries in key order.
func (m *Map) All() iter.Seq2[Value, Value] {
	return func(yield func(Value, Value) bool) {
		if m == nil {
			return
		}
		for _, e := range m.small {
			if !yield(e.Key, e.Value) {
				return
			}
		}
		m.root.walk(yield)
	}
}

// find returns where key stands in small, or where it would.
func (m *Map) find(key Value) (int, bool) {
	for i := range m.small {
		if c := Compare(key, m.small[i].Key); c <= 0 {
			return i, c == 0
		}
	}
	return len(m.small), false
}

func build(sorted []Entry) *node {
	if len(sorted) == 0 {
		return nil
	}
	mid := len(sorted) / 2
	return newNode(sorted[mid], build(sorted[:mid]), build(sorted[mid+1:]))
}

func newNode(e Entry, left, right *node) *node {
	return &node{e, left, right, left.len() + right.len() + 1, max(left.tall(), right.tall()) + 1}
}

func (n *node) len() int {
	if n == nil {
		return 0
	}
	return n.size
}

func (n *node) tall() int8 {
	if n == nil {
		return 0
	}
	return n.height
}

func (n *node) walk(yield func(Value, Value) bool) bool {
	return n == nil || n.left.walk(yield) && yield(n.entry.Key, n.entry.Value) && n.right.walk(yield)
}

func (n *node) with(key, v Value) *node {
	if n == nil {
		return newNode(Entry{key, v}, nil, nil)
	}
	switch c := Compare(key, n.entry.Key); {
	case c == 0:
		return &node{Entry{key, v}, n.left, n.right, n.size, n.height}
	case c < 0:
		return balance(n.entry, n.left.with(key, v), n.right)
	default:
		return balance(n.entry, n.left, n.right.with(key, v))
	}
}

func (n *node) without(key Value) *node {
	switch c := Compare(key, n.entry.Key); {
	case c < 0:
		return balance(n.entry, n.left.without(key), n.right)
	case c > 0:
		return balance(n.entry, n.left, n.right.without(key))
	}
	if n.left == nil {
		return n.right
	}
	if n.right == nil {
		return n.left
	}
	next := n.right
	for next.left != nil {
		next = next.left
	}
	return balance(next.entry, n.left, n.right.without(next.entry.Key))
}

// balance makes a node of parts whose heights differ by two at most.
func balance(e Entry, left, right *node) *node {
	switch d := left.tall() - right.tall(); {
	case d > 1:
		if left.left.tall() < left.right.tall() {
			left = rotateLeft(left)
		}
		return rotateRight(&node{entry: e, left: left, right: right})
	case d < -1:
		if right.right.tall() < right.left.tall() {
			right = rotateRight(right)
		}
		return rotateLeft(&node{entry: e, left: left, right: right})
	}
	return newNode(e, left, right)
}

func rotateLeft(n *node) *node {
	return newNode(n.right.entry, newNode(n.entry, n.left, n.right.left), n.right.right)
}

func rotateRight(n *node) *node {
	return newNode(n.left.entry, n.left.left, newNode(n.entry, n.left.right, n.right))
}
