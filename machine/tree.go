package machine

import "cmp"

// nodeMax is how many items a node of a tree holds at most: odd, so that a full
// node splits into two halves and the item between them.
const (
	nodeMax = 31
	nodeMin = nodeMax / 2
)

// A tree is a B-tree: sorted items in wide nodes, every leaf at the same depth.
// The zero tree is empty.
type tree[K cmp.Ordered, V any] struct {
	root *treeNode[K, V]
	size int
	// shape counts the changes that moved items. An iterator that sees it change
	// finds its place anew.
	shape uint64
}

type item[K cmp.Ordered, V any] struct {
	key K
	val V
}

// A treeNode holds, in a leaf, only items; else len(items)+1 kids, where the
// keys under kids[i] are between items[i-1] and items[i].
type treeNode[K cmp.Ordered, V any] struct {
	items []item[K, V]
	kids  []*treeNode[K, V]
}

// find returns the index of the first item not below k, and whether it is k.
func (n *treeNode[K, V]) find(k K) (int, bool) {
	lo, hi := 0, len(n.items)
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if cmp.Less(n.items[mid].key, k) {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo, lo < len(n.items) && cmp.Compare(n.items[lo].key, k) == 0
}

// get returns where the value under k lies, nil if there is none. The pointer is
// good until the tree's shape changes.
func (t *tree[K, V]) get(k K) *V {
	for n := t.root; n != nil; {
		i, ok := n.find(k)
		switch {
		case ok:
			return &n.items[i].val
		case n.kids == nil:
			return nil
		}
		n = n.kids[i]
	}
	return nil
}

// slot returns where the value under k lies, making room for it if there is
// none; there is what get would have found.
func (t *tree[K, V]) slot(k K) (v *V, there bool) {
	if v := t.get(k); v != nil {
		return v, true
	}
	t.shape++
	t.size++
	if t.root == nil {
		t.root = &treeNode[K, V]{}
	}
	if len(t.root.items) == nodeMax {
		t.root = &treeNode[K, V]{kids: []*treeNode[K, V]{t.root}}
		t.root.split(0)
	}
	return t.root.insert(k), false
}

// insert puts a key that isn't there into a node that isn't full.
func (n *treeNode[K, V]) insert(k K) *V {
	for {
		i, _ := n.find(k)
		if n.kids == nil {
			n.items = append(n.items, item[K, V]{})
			copy(n.items[i+1:], n.items[i:])
			n.items[i] = item[K, V]{key: k}
			return &n.items[i].val
		}
		if len(n.kids[i].items) == nodeMax {
			n.split(i)
			if cmp.Less(n.items[i].key, k) {
				i++
			}
		}
		n = n.kids[i]
	}
}

// split makes two of the full kid i, with its middle item between them.
func (n *treeNode[K, V]) split(i int) {
	left := n.kids[i]
	middle := left.items[nodeMin]
	right := &treeNode[K, V]{items: append(make([]item[K, V], 0, nodeMax), left.items[nodeMin+1:]...)}
	clear(left.items[nodeMin:])
	left.items = left.items[:nodeMin]
	if left.kids != nil {
		right.kids = append(make([]*treeNode[K, V], 0, nodeMax+1), left.kids[nodeMin+1:]...)
		clear(left.kids[nodeMin+1:])
		left.kids = left.kids[:nodeMin+1]
	}
	n.items = append(n.items, item[K, V]{})
	copy(n.items[i+1:], n.items[i:])
	n.items[i] = middle
	n.kids = append(n.kids, nil)
	copy(n.kids[i+2:], n.kids[i+1:])
	n.kids[i+1] = right
}

// delete takes k out and reports whether it was there.
func (t *tree[K, V]) delete(k K) bool {
	if t.get(k) == nil {
		return false
	}
	t.shape++
	t.size--
	t.root.delete(k)
	if len(t.root.items) == 0 && t.root.kids != nil {
		t.root = t.root.kids[0]
	}
	return true
}

// delete takes out a key that is in this subtree, whose root has more than
// nodeMin items or is the tree's root.
func (n *treeNode[K, V]) delete(k K) {
	for {
		i, ok := n.find(k)
		if n.kids == nil {
			n.remove(i)
			return
		}
		if ok && len(n.kids[i].items) > nodeMin {
			n.items[i] = n.kids[i].popLast()
			return
		}
		if ok && len(n.kids[i+1].items) > nodeMin {
			n.items[i] = n.kids[i+1].popFirst()
			return
		}
		if ok { // both neighbours are at the minimum: k goes down into their union
			n.merge(i)
		} else {
			i = n.fatten(i)
		}
		n = n.kids[i]
	}
}

func (n *treeNode[K, V]) remove(i int) item[K, V] {
	it := n.items[i]
	copy(n.items[i:], n.items[i+1:])
	clear(n.items[len(n.items)-1:])
	n.items = n.items[:len(n.items)-1]
	return it
}

func (n *treeNode[K, V]) popLast() item[K, V] {
	for n.kids != nil {
		n = n.kids[n.fatten(len(n.items))]
	}
	return n.remove(len(n.items) - 1)
}

func (n *treeNode[K, V]) popFirst() item[K, V] {
	for n.kids != nil {
		n = n.kids[n.fatten(0)]
	}
	return n.remove(0)
}

// fatten makes sure that kid i has more than nodeMin items, by taking one from a
// neighbour or by merging with it, and returns where the kid is then.
func (n *treeNode[K, V]) fatten(i int) int {
	kid := n.kids[i]
	switch {
	case len(kid.items) > nodeMin:
	case i > 0 && len(n.kids[i-1].items) > nodeMin:
		left := n.kids[i-1]
		kid.items = append(kid.items, item[K, V]{})
		copy(kid.items[1:], kid.items)
		kid.items[0] = n.items[i-1]
		n.items[i-1] = left.remove(len(left.items) - 1)
		if left.kids != nil {
			last := len(left.kids) - 1
			kid.kids = append([]*treeNode[K, V]{left.kids[last]}, kid.kids...)
			left.kids[last] = nil
			left.kids = left.kids[:last]
		}
	case i < len(n.items) && len(n.kids[i+1].items) > nodeMin:
		right := n.kids[i+1]
		kid.items = append(kid.items, n.items[i])
		n.items[i] = right.remove(0)
		if right.kids != nil {
			kid.kids = append(kid.kids, right.kids[0])
			right.kids = append(right.kids[:0:0], right.kids[1:]...)
		}
	case i > 0:
		n.merge(i - 1)
		return i - 1
	default:
		n.merge(i)
	}
	return i
}

// merge joins kid i, the item after it and kid i+1.
func (n *treeNode[K, V]) merge(i int) {
	left, right := n.kids[i], n.kids[i+1]
	left.items = append(append(left.items, n.remove(i)), right.items...)
	left.kids = append(left.kids, right.kids...)
	copy(n.kids[i+1:], n.kids[i+2:])
	n.kids[len(n.kids)-1] = nil
	n.kids = n.kids[:len(n.kids)-1]
}

// A bound is where an iteration begins.
type bound[K cmp.Ordered] struct {
	key       K
	some      bool // else from the first item
	exclusive bool // after key
}

// ascend calls yield for the items from b on, in order, until it returns false.
// yield may change the tree: the iteration goes on after the key it was at.
func (t *tree[K, V]) ascend(b bound[K], yield func(k *K, v *V) bool) {
	for t.root != nil {
		shape, stopped, moved := t.shape, false, false
		t.root.ascend(b, func(it *item[K, V]) bool {
			key := it.key
			stopped = !yield(&it.key, &it.val)
			moved = t.shape != shape
			if moved {
				b = bound[K]{key: key, some: true, exclusive: true}
			}
			return !stopped && !moved
		})
		if stopped || !moved {
			return
		}
	}
}

func (n *treeNode[K, V]) ascend(b bound[K], yield func(*item[K, V]) bool) bool {
	i := 0
	if b.some {
		var at bool
		i, at = n.find(b.key)
		if n.kids != nil && !at && !n.kids[i].ascend(b, yield) {
			return false
		}
		if at && b.exclusive {
			i++
			if n.kids != nil && !n.kids[i].ascend(bound[K]{}, yield) {
				return false
			}
		}
	} else if n.kids != nil && !n.kids[0].ascend(b, yield) {
		return false
	}
	for ; i < len(n.items); i++ {
		if !yield(&n.items[i]) {
			return false
		}
		if n.kids != nil && !n.kids[i+1].ascend(bound[K]{}, yield) {
			return false
		}
	}
	return true
}

// first and last return the outermost items, nil in an empty tree.
func (t *tree[K, V]) first() *item[K, V] {
	if t.size == 0 {
		return nil
	}
	n := t.root
	for n.kids != nil {
		n = n.kids[0]
	}
	return &n.items[0]
}

func (t *tree[K, V]) last() *item[K, V] {
	if t.size == 0 {
		return nil
	}
	n := t.root
	for n.kids != nil {
		n = n.kids[len(n.kids)-1]
	}
	return &n.items[len(n.items)-1]
}

// reset empties the tree, keeping one small node for the next items.
func (t *tree[K, V]) reset() {
	t.shape++
	t.size = 0
	if t.root == nil || t.root.kids != nil {
		t.root = nil
		return
	}
	clear(t.root.items)
	t.root.items = t.root.items[:0]
}
