package vfs

import (
	"maps"
	"slices"
)

// A nameChange moves one node: nowhere to somewhere is a creation, somewhere to
// nowhere a removal. What it replaces at its destination disappears.
type nameChange struct {
	node     *memNode
	from, to place
	durable  bool // a SyncDir covered it; it waits only for older ones
}

// move changes the current tree and notes the change as pending.
func (m *Mem) move(n *memNode, from, to place) {
	m.pending = append(m.pending, &nameChange{node: n, from: from, to: to})
	if from.dir != nil {
		delete(from.dir.entries, from.name)
	}
	n.linked = to.dir != nil
	if n.linked {
		if old := to.dir.entries[to.name]; old != nil {
			old.linked = false
			m.released(old)
		}
		to.dir.entries[to.name] = n
	}
	m.released(n)
}

// syncNames makes all changes in dir durable.
func (m *Mem) syncNames(dir *memNode) {
	for _, c := range m.pending {
		if c.from.dir == dir || c.to.dir == dir {
			c.durable = true
		}
	}
	m.settleNames(func(c *nameChange) bool { return c.durable })
	m.pending = commit(m.pending)
}

// settleNames decides which pending changes are durable. One that puts a node
// somewhere needs all older ones that took a node away from there: else it would
// destroy a file that was only renamed. So it goes from the newest to the oldest.
func (m *Mem) settleNames(keep func(*nameChange) bool) {
	needed := map[place]bool{}
	for _, c := range slices.Backward(m.pending) {
		c.durable = keep(c) || c.from.dir != nil && needed[c.from]
		if c.durable && c.to.dir != nil {
			needed[c.to] = true
		}
	}
}

// commit applies the durable changes to the durable tree and returns the others,
// with those durable ones that have to wait because an older change of the same
// place is undecided. (An older change of the same node is one: it put the node
// where this one takes it from.)
func commit(pending []*nameChange) []*nameChange {
	var rest []*nameChange
	undecided := map[place]bool{}
	for _, c := range pending {
		waits := c.from.dir != nil && undecided[c.from] || c.to.dir != nil && undecided[c.to]
		if c.durable && !waits {
			c.apply()
			continue
		}
		rest = append(rest, c)
		undecided[c.from], undecided[c.to] = true, true
	}
	return rest
}

// apply makes the change in the durable tree, wherever the node is there.
func (c *nameChange) apply() {
	n := c.node
	if n.at.dir != nil {
		delete(n.at.dir.synced, n.at.name)
	}
	n.at = c.to
	if c.to.dir == nil {
		return
	}
	if old := c.to.dir.synced[c.to.name]; old != nil {
		old.at = place{}
	}
	c.to.dir.synced[c.to.name] = n
}

// Crash returns the disk as a power loss might leave it now. pick(n) returns a
// number in [0, n) and decides everything, in an order that depends only on what
// was done to m: the same numbers give the same disk.
//
// Each change of a name that no SyncDir covered is kept or lost, a Rename as one.
// Each file has its synced size, its current one, or the smallest in between; each
// sector of it holds its synced or its current bytes. m itself stays as it is, and
// nothing done to it or to its open Files and Maps shows in the result.
func (m *Mem) Crash(pick func(n int) int) *Mem {
	c := m.Clone()
	kept := make(map[*nameChange]bool, len(c.pending))
	for _, change := range c.pending {
		kept[change] = change.durable || pick(2) == 1
	}
	c.settleNames(func(change *nameChange) bool { return kept[change] })
	for _, change := range c.pending {
		if change.durable {
			change.apply()
		}
	}
	c.pending = nil
	c.used = 0
	c.powerUp(c.root, pick)
	return c
}

// powerUp makes the durable tree below n the current one.
func (m *Mem) powerUp(n *memNode, pick func(n int) int) {
	n.linked = true
	if !n.dir {
		n.content.crash(pick)
		m.used += int64(len(n.content.cur))
		return
	}
	n.entries = maps.Clone(n.synced)
	for _, name := range slices.Sorted(maps.Keys(n.entries)) {
		m.powerUp(n.entries[name], pick)
	}
}

// Restart returns the disk as the death of the process leaves it: everything that
// was written is there, synced or not, and a later Crash may still lose what was
// not. Damage shows in what was synced, for nothing keeps a cache. Locks are
// released. m and its open Files and Maps are cut off from the result.
func (m *Mem) Restart() *Mem {
	to := m.Clone()
	for _, f := range to.files() {
		f.node.content.settle()
	}
	return to
}

// Clone returns a copy of the disk, its damages included; open Files, Maps and
// locks are m's alone. It costs what is mapped and not durable: the rest is shared
// until one of the two writes to it.
func (m *Mem) Clone() *Mem {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := copier{}
	to := &Mem{root: c.node(m.root), capacity: m.capacity, struck: slices.Clone(m.struck)}
	for _, change := range m.pending {
		to.pending = append(to.pending, &nameChange{
			node: c.node(change.node), from: c.place(change.from), to: c.place(change.to), durable: change.durable,
		})
	}
	for _, a := range m.arms {
		to.arms = append(to.arms, arm{damage: a.damage, node: c.node(a.node), to: c.node(a.to)})
	}
	for _, n := range c {
		if n.linked {
			to.used += int64(len(n.content.cur))
		}
	}
	return to
}

// A copier copies nodes, each once.
type copier map[*memNode]*memNode

func (c copier) node(n *memNode) *memNode {
	if n == nil {
		return nil
	}
	if to := c[n]; to != nil {
		return to
	}
	to := &memNode{dir: n.dir, linked: n.linked, content: n.content.clone()}
	c[n] = to
	to.entries, to.synced, to.at = c.names(n.entries), c.names(n.synced), c.place(n.at)
	return to
}

func (c copier) names(from map[string]*memNode) map[string]*memNode {
	if from == nil {
		return nil
	}
	to := make(map[string]*memNode, len(from))
	for name, n := range from {
		to[name] = c.node(n)
	}
	return to
}

func (c copier) place(p place) place { return place{c.node(p.dir), p.name} }
