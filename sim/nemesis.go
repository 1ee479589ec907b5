package sim

import (
	"slices"
	"time"

	"hindcast.dev/event"
	"hindcast.dev/machine"
)

// A nemesis makes the faults of a schedule happen, and mends them. What lasts for
// a while (links, clocks, slow disks) is worked out anew from the faults that are
// active, whenever one begins or ends: so ending one can't undo half of another.
type nemesis struct {
	rand     *machine.Rand
	without  []FaultKind
	often    []FaultKind
	atlas    atlas
	active   []int  // indices of faults under way, in the order in which they began
	ended    []bool // by fault: it is over, or is never to begin
	happened map[FaultKind]int
	core     []bool // by node: it is healed
	coreSize int
}

// CoreSize says how many nodes must be healthy for progress; without it a
// majority. It is called in Setup.
func (w *World) CoreSize(n int) { w.nemesis.coreSize = n }

// schedule draws the faults, unless they are given, and puts them in the queue.
func (m *nemesis) schedule(w *World) {
	m.rand = w.Rand("nemesis")
	m.happened = map[FaultKind]int{}
	m.core = make([]bool, len(w.nodes))
	m.atlas.choose(w)
	w.faults = m.draw(w, 0) // in any case: what is drawn can be set
	if w.options.Faults != nil {
		w.faults = w.options.Faults
	}
	m.enqueue(w, 0)
}

// enqueue puts the faults from index from on in the queue.
func (m *nemesis) enqueue(w *World, from int) {
	for i := from; i < len(w.faults); i++ {
		m.ended = append(m.ended, false)
		w.queue.put(max(int64(w.faults[i].At), w.now), happening{kind: happensFault, tag: uint64(i)})
	}
}

// redraw lets another seed decide which faults are still to come.
func (m *nemesis) redraw(w *World) {
	if w.options.Reseed.KeepFaults || m.rand == nil {
		return
	}
	for i, f := range w.faults {
		if f.At > w.Now() {
			m.ended[i] = true
		}
	}
	from := len(w.faults)
	w.faults = append(slices.Clip(w.faults), m.draw(w, w.Now())...)
	m.enqueue(w, from)
}

// begin makes a fault happen.
func (m *nemesis) begin(w *World, i int) {
	f := &w.faults[i]
	if w.phase != phaseFaults || m.ended[i] {
		return
	}
	w.mix(uint64(i), f.Seed)
	if !m.strike(w, f) {
		m.ended[i] = true
		return
	}
	if f.Kind != FaultPoint && f.Kind != FaultSync { // these wait for their point
		m.happened[f.Kind]++
	}
	if f.For > 0 {
		m.active = append(m.active, i)
		w.queue.put(w.now+int64(f.For), happening{kind: happensMending, tag: uint64(i)})
	}
	m.recompute(w)
	m.tell(w, f, "on")
	w.tellLinks()
}

// mend ends a fault, if it isn't over yet.
func (m *nemesis) mend(w *World, i int) {
	at := slices.Index(m.active, i)
	if at < 0 {
		return
	}
	m.active = slices.Delete(m.active, at, at+1)
	m.ended[i] = true
	f := &w.faults[i]
	m.recompute(w)
	for _, n := range w.named(f.Nodes) {
		m.recover(w, n, f)
	}
	m.tell(w, f, "off")
	w.tellLinks()
}

// tell notes a fault on the nodes that it is about.
func (m *nemesis) tell(w *World, f *Fault, state string) {
	for _, n := range w.named(f.Nodes) {
		n.note(0, event.NoteFault, event.NoteInfo{State: state, Reason: f.String()})
	}
}

// strike does what happens once, when a fault begins; false: there was nothing
// that could suffer it.
func (m *nemesis) strike(w *World, f *Fault) bool {
	struck := false
	for _, n := range w.named(f.Nodes) {
		struck = m.strikeNode(w, n, f) || struck
	}
	return struck
}

func (m *nemesis) strikeNode(w *World, n *Node, f *Fault) bool {
	switch f.Kind {
	case FaultKill:
		return n.kill(int(f.Seed%4), nil)
	case FaultPower:
		return n.kill(int(f.Seed%4), machine.NewRand(f.Seed))
	case FaultVersion:
		n.pin(f.Version)
		return n.kill(0, nil)
	case FaultPause:
		if !n.up {
			return false
		}
		n.paused = max(n.paused, w.now+int64(f.For))
	case FaultFullDisk:
		n.disk.mem.SetCapacity(n.disk.used())
	case FaultSync:
		return n.up && n.arm(syncPoint, false, f)
	case FaultPoint:
		return n.arm(f.Point, true, f)
	case FaultDiskLoss, FaultReadError, FaultBitRot, FaultLostWrite, FaultMisplaced:
		return m.atlas.damage(w, n, f)
	}
	return true
}

// recover does what happens once, when a fault ends.
func (m *nemesis) recover(w *World, n *Node, f *Fault) {
	switch f.Kind {
	case FaultKill, FaultPower, FaultPoint:
		n.startIn(0)
	case FaultVersion:
		n.startIn(0)
	case FaultFullDisk:
		n.disk.mem.SetCapacity(unlimited)
		n.disk.wantMaintainNow()
	case FaultDiskLoss:
		m.atlas.replace(w, n)
	}
}

// recompute works out what the active faults come to.
func (m *nemesis) recompute(w *World) {
	before := slices.Clone(w.net.links)
	for i := range w.net.links {
		l := &w.net.links[i]
		l.cut, l.slow, l.loss, l.twice, l.garble, l.clogs = 0, 0, 0, 0, 0, 0
	}
	for _, n := range w.nodes {
		n.clock.off, n.disk.slow, n.fault = 0, 0, ""
	}
	rates := make([]float64, len(w.nodes))
	for _, i := range m.active {
		m.compute(w, &w.faults[i], rates)
	}
	for i, n := range w.nodes {
		if rate := min(max(rates[i], -slowest), fastest); n.clock.rate != rate {
			n.clock.setRate(w.now, rate)
		}
	}
	for i := range w.net.links {
		if before[i].clogs > 0 && w.net.links[i].clogs == 0 {
			w.unclog(&w.net.links[i])
		}
	}
}

// compute adds what one active fault does.
func (m *nemesis) compute(w *World, f *Fault, rates []float64) {
	nodes, peers := w.named(f.Nodes), w.named(f.Peers)
	between := func(from, to []*Node, do func(l *link)) {
		for _, a := range from {
			for _, b := range to {
				if a != b && !(m.core[a.index] && m.core[b.index]) {
					do(w.link(a, b))
				}
			}
		}
	}
	switch f.Kind {
	case FaultPartition, FaultBridge:
		between(nodes, peers, func(l *link) { l.cut++ })
		between(peers, nodes, func(l *link) { l.cut++ })
	case FaultOneWay:
		between(nodes, peers, func(l *link) { l.cut++ })
	case FaultSlowLink:
		between(nodes, peers, func(l *link) { l.slow += f.Delay })
	case FaultLoss:
		between(nodes, peers, func(l *link) { l.loss += f.Amount })
	case FaultDouble:
		between(nodes, peers, func(l *link) { l.twice += f.Amount })
	case FaultGarble:
		between(nodes, peers, func(l *link) { l.garble += f.Amount })
	case FaultClog, FaultSwizzle:
		between(w.nodes, nodes, func(l *link) { l.clogs++ })
	}
	for _, n := range append(nodes, peers...) {
		n.fault = f.Kind
	}
	for _, n := range nodes {
		if m.core[n.index] {
			continue
		}
		switch f.Kind {
		case FaultSkew, FaultJump:
			n.clock.off += f.Delay
		case FaultDrift:
			rates[n.index] += f.Amount
		case FaultSlowDisk:
			n.disk.slow += f.Delay
		}
	}
}

func (w *World) named(names []string) []*Node {
	var nodes []*Node
	for _, name := range names {
		if n := w.byName[name]; n != nil {
			nodes = append(nodes, n)
		}
	}
	return nodes
}

// healCore ends all that is wrong with some of the nodes, as many as are needed
// for progress, and returns them.
func (m *nemesis) healCore(w *World) []*Node {
	size := m.coreSize
	if size == 0 {
		size = len(w.nodes)/2 + 1
	}
	var core []*Node
	d := &drawer{w: w, rand: m.rand}
	for _, victims := range []bool{false, true} { // victims only if there are too few others
		for _, i := range d.permutation(len(w.nodes)) {
			n := w.nodes[i]
			if len(core) < size && m.atlas.is(n) == victims && n.stays == "" {
				core = append(core, n)
			}
		}
	}
	slices.SortFunc(core, func(a, b *Node) int { return a.index - b.index })
	m.heal(w, core)
	return core
}

// heal ends all that is wrong with nodes, and among them.
func (m *nemesis) heal(w *World, nodes []*Node) {
	for _, n := range nodes {
		m.core[n.index] = true
	}
	for _, i := range slices.Clone(m.active) {
		f := &w.faults[i]
		out := func(name string) bool { return !m.core[w.byName[name].index] }
		if !slices.ContainsFunc(f.Nodes, out) && !slices.ContainsFunc(f.Peers, out) {
			m.mend(w, i)
		}
	}
	m.recompute(w)
	for _, n := range nodes {
		n.mended()
	}
}

// healAll ends everything.
func (m *nemesis) healAll(w *World) {
	for _, n := range w.nodes {
		m.atlas.replace(w, n)
	}
	m.heal(w, w.nodes)
}

// mended is the end of all that was wrong with a node itself.
func (n *Node) mended() {
	n.disarm()
	n.disk.mem.Disarm()
	n.disk.mem.SetCapacity(unlimited)
	n.disk.wantMaintainNow()
	if n.paused > n.w.now {
		n.paused = n.w.now
		n.turns = false
		n.turnSoon()
	}
	n.startIn(0)
}

// happenedNow counts what befell a single message.
func (w *World) happenedNow(k FaultKind) { w.nemesis.happened[k]++ }

func (m *nemesis) describe(w *World, i int) string { return w.faults[i].String() }

// unlimited is the capacity of a disk that isn't full.
const unlimited = int64(1) << 60

// used is about what the disk's files need.
func (d *disk) used() int64 {
	used := int64(0)
	for _, f := range d.mem.Files() {
		used += f.Size
	}
	return used
}

func (d *disk) wantMaintainNow() {
	if d.n.up {
		d.wantMaintain()
	}
}

// pin has the node run a version of its machines from its next start on; 0 is
// the latest.
func (n *Node) pin(version uint32) {
	n.versions = nil
	if version == 0 {
		return
	}
	n.versions = map[string]uint32{}
	for name, v := range n.w.subject.Machines {
		n.versions[name] = min(version, v.Latest())
	}
}

// kill ends the process after so many of the next turn's effects, or at once if
// there are none to come; with rand set the machine loses power as well. False: it
// was down already.
func (n *Node) kill(after int, rand *machine.Rand) bool {
	if !n.up {
		return false
	}
	if after == 0 || n.paused > n.w.now {
		n.dieNow(rand)
		return true
	}
	n.dieAfter, n.dieBy = after-1, rand
	life := n.life
	n.w.After(time.Millisecond, func() { // it may have nothing to do
		if n.life == life && n.up {
			n.dieNow(rand)
		}
	})
	return true
}

// dieNow ends the process, and cuts the power if rand is set.
func (n *Node) dieNow(rand *machine.Rand) {
	n.die()
	if rand != nil {
		n.disk.powerCut(rand)
	}
}

// powerCut leaves the disk as a loss of power does.
func (d *disk) powerCut(rand *machine.Rand) {
	d.mem = d.mem.Crash(rand.IntN)
	d.n.fs = d.mem
}
