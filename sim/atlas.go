package sim

import (
	"slices"
	"time"

	"hindcast.dev/machine"
	"hindcast.dev/vfs"
)

// An atlas keeps damage to what was durable within what redundancy can repair:
// in a run it befalls the same few nodes only. The idea is TigerBeetle's.
type atlas struct {
	redundancy int // nodes that may lose their storage; -1 is not said
	said       bool
	victims    []*Node
	replacing  func(n *Node) // nil: a lost node stays down
	harmed     []bool        // by node: its disk was damaged, or lost
	ever       []bool        // by node: so was one of its disks
	boots      uint64        // of replaced disks so far
}

// Redundancy says how many nodes can lose what they stored and be repaired from
// the others; without it fewer than half. It is called in Setup.
func (w *World) Redundancy(nodes int) { w.nemesis.atlas.redundancy, w.nemesis.atlas.said = nodes, true }

// Replace says that a node whose disk is lost, or refuses to be read, is given an
// empty one and started again under the same name, and what else an operator then
// does: prepare, which may be nil, is called before the start. Without it such a
// node stays down. It is called in Setup.
func (w *World) Replace(prepare func(n *Node)) {
	if prepare == nil {
		prepare = func(*Node) {}
	}
	w.nemesis.atlas.replacing = prepare
}

// choose draws the victims.
func (a *atlas) choose(w *World) {
	a.harmed, a.ever = make([]bool, len(w.nodes)), make([]bool, len(w.nodes))
	count := a.redundancy
	if !a.said {
		count = (len(w.nodes) - 1) / 2
	}
	d := &drawer{w: w, rand: w.Rand("atlas")}
	for _, i := range d.permutation(len(w.nodes))[:min(count, len(w.nodes))] {
		a.victims = append(a.victims, w.nodes[i])
	}
	slices.SortFunc(a.victims, func(a, b *Node) int { return a.index - b.index })
}

// is reports whether a node is a victim.
func (a *atlas) is(n *Node) bool { return slices.Contains(a.victims, n) }

// Harmed reports whether a fault has damaged or taken what the node had stored, in
// this run so far: what it told before, it need not know any more.
func (n *Node) Harmed() bool { return n.w.nemesis.atlas.ever[n.index] }

// damage harms a victim's disk; false: there was nothing to harm.
func (a *atlas) damage(w *World, n *Node, f *Fault) bool {
	if !a.is(n) {
		w.misuse("%s: %s is no victim of this run's atlas, which is %s", f, n.name, names(a.victims))
		return false
	}
	if n.stays != "" {
		return false // it is lost already
	}
	if f.Kind == FaultDiskLoss {
		a.harmed[n.index], a.ever[n.index] = true, true
		n.die()
		n.disk.lost("its disk is lost")
		return true
	}
	r := machine.NewRand(f.Seed)
	d, ok := pickDamage(n.disk.mem, f.Kind, r)
	if !ok {
		return false
	}
	if err := n.disk.mem.Damage(d); err != nil {
		w.misuse("%s: %v", f, err)
		return false
	}
	a.harmed[n.index], a.ever[n.index] = true, true
	if f.Kind == FaultBitRot || f.Kind == FaultReadError { // seen by a process that reads
		n.dieNow(nil)
		n.startIn(10 * time.Millisecond)
	}
	return true
}

// pickDamage draws a sector that was written, and what becomes of it.
func pickDamage(mem *vfs.Mem, k FaultKind, r *machine.Rand) (d vfs.Damage, ok bool) {
	var files []vfs.Extent
	for _, e := range mem.Files() {
		if e.Sectors > 0 {
			files = append(files, e)
		}
	}
	if len(files) == 0 {
		return d, false
	}
	file := files[r.IntN(len(files))]
	sector := int64(r.Uint64N(uint64(file.Sectors)))
	switch k {
	case FaultBitRot:
		d = vfs.Damage{Kind: vfs.BitRot, File: file.Name, Sector: sector, Bit: r.IntN(vfs.SectorBits - 8), Bits: 1 + r.IntN(8)}
	case FaultReadError:
		d = vfs.Damage{Kind: vfs.ReadError, File: file.Name, Sector: sector}
	case FaultLostWrite:
		d = vfs.Damage{Kind: vfs.LostWrite, Sector: vfs.AnySector}
	case FaultMisplaced:
		d = vfs.Damage{Kind: vfs.MisdirectedWrite, Sector: vfs.AnySector, ToFile: file.Name, ToSector: sector}
	}
	return d, true
}

// lost is the end of a disk: the node has none until it is replaced.
func (d *disk) lost(why string) {
	n := d.n
	n.stays = why
	n.archived = append(n.archived, d.mem)
}

// replace gives a node that stays down an empty disk, if the subject says how.
func (a *atlas) replace(w *World, n *Node) {
	if n.stays == "" || n.up || a.replacing == nil {
		return
	}
	a.boots++
	n.stays, n.replaced = "", a.boots<<32
	n.disk.mem = vfs.NewMem()
	n.fs = n.disk.mem
	a.harmed[n.index] = false
	a.replacing(n)
	n.startIn(0)
}

func names(nodes []*Node) string {
	s := ""
	for i, n := range nodes {
		if i > 0 {
			s += ", "
		}
		s += n.name
	}
	if s == "" {
		return "nobody"
	}
	return s
}
