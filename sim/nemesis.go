package sim

import (
	"math"
	"slices"
	"time"

	"hindcast.dev/event"
	"hindcast.dev/machine"
)

// A nemesis makes the faults of a schedule happen, and mends them.
type nemesis struct {
	rand     *machine.Rand
	active   []int // indices of faults under way
	happened map[FaultKind]int
	damage   []bool // by node: its disk is
}

// faultKinds are the kinds that a schedule draws from.
var faultKinds = []FaultKind{FaultPartition, FaultOneWay, FaultBridge, FaultSlowLink, FaultClog, FaultLoss, FaultDouble,
	FaultKill, FaultPower, FaultPause, FaultSkew, FaultJump, FaultDrift, FaultSlowDisk}

// schedule draws the faults, unless they are given, and puts them in the queue.
func (m *nemesis) schedule(w *World) {
	m.rand = w.Rand("nemesis")
	m.happened = map[FaultKind]int{}
	m.damage = make([]bool, len(w.nodes))
	w.faults = w.options.Faults
	if w.faults == nil {
		w.faults = m.draw(w)
	}
	for i, f := range w.faults {
		w.queue.put(int64(f.At), happening{kind: happensFault, tag: uint64(i)})
	}
}

// draw draws a schedule: some kinds of fault, each some times.
func (m *nemesis) draw(w *World) []Fault {
	span := w.estimate()
	var kinds []FaultKind
	for _, k := range faultKinds {
		if w.Chance("fault."+string(k), 0.4) {
			kinds = append(kinds, k)
		}
	}
	for len(kinds) < 3 {
		if k := faultKinds[m.rand.IntN(len(faultKinds))]; !slices.Contains(kinds, k) {
			kinds = append(kinds, k)
		}
	}
	count := w.Int("faults", 3, 30)
	faults := []Fault{}
	for i := range max(count, len(kinds)) {
		k := kinds[m.rand.IntN(len(kinds))]
		if i < len(kinds) {
			k = kinds[i] // each at least once
		}
		at := warmUp + time.Duration(m.rand.Uint64N(uint64(span)))
		faults = append(faults, m.one(w, k, at, span))
	}
	slices.SortStableFunc(faults, func(a, b Fault) int { return int(a.At - b.At) })
	return faults
}

// estimate is about how long the clients' operations take.
func (w *World) estimate() time.Duration {
	if w.load == nil || len(w.load.clients) == 0 {
		return 10 * time.Second
	}
	one := w.load.work.Think + 4*(w.net.base+w.net.jitter) + 2*(w.phases.diskBase+w.phases.diskJitter)
	return one * time.Duration(w.load.target) / time.Duration(len(w.load.clients))
}

// one draws a fault of a kind.
func (m *nemesis) one(w *World, k FaultKind, at, span time.Duration) Fault {
	f := Fault{Kind: k, At: at, Seed: m.rand.Uint64() >> 1}
	long := max(float64(span)/10, float64(20*time.Millisecond))
	f.For = 10*time.Millisecond + min(time.Duration(-math.Log(1-m.rand.Float64())*long/2), span/3)
	perm := m.permutation(len(w.nodes))
	pick := func(n int) (names []string) {
		for _, i := range perm[:n] {
			names = append(names, w.nodes[i].name)
		}
		perm = perm[n:]
		slices.Sort(names)
		return names
	}
	switch k {
	case FaultPartition, FaultOneWay, FaultBridge:
		n := 1 + m.rand.IntN(len(w.nodes)-1)
		f.Nodes = pick(n)
		if k == FaultBridge && len(perm) > 1 {
			pick(1) // the bridge
		}
		f.Peers = pick(len(perm))
	case FaultSlowLink:
		f.Nodes, f.Peers = pick(1), pick(1)
		f.Delay = time.Duration(1+m.rand.IntN(500)) * time.Millisecond
	case FaultLoss, FaultDouble:
		f.Nodes, f.Peers, f.Amount = pick(1), pick(1), math.Round(m.rand.Float64()*100)/100
	case FaultSkew:
		f.Nodes, f.Delay = pick(1), time.Duration(m.rand.IntN(400)-200)*time.Millisecond
	case FaultJump:
		f.Nodes, f.Delay, f.For = pick(1), time.Duration(m.rand.IntN(400)-200)*time.Millisecond, 0
	case FaultDrift:
		f.Nodes, f.Amount = pick(1), math.Round((m.rand.Float64()-0.5)*0.02*1e5)/1e5
	case FaultSlowDisk:
		f.Nodes, f.Delay = pick(1), time.Duration(1+m.rand.IntN(200))*time.Millisecond
	default:
		f.Nodes = pick(1)
	}
	return f
}

func (m *nemesis) permutation(n int) []int {
	p := make([]int, n)
	for i := range p {
		j := m.rand.IntN(i + 1)
		p[i], p[j] = p[j], i
	}
	return p
}

// redraw lets another seed decide which faults are still to come.
func (m *nemesis) redraw(w *World) {}

// begin makes a fault happen.
func (m *nemesis) begin(w *World, i int) {
	if w.phase != phaseFaults {
		return
	}
	f := &w.faults[i]
	w.mix(uint64(i), f.Seed)
	if !m.apply(w, f, true) {
		return
	}
	m.happened[f.Kind]++
	if f.For > 0 {
		m.active = append(m.active, i)
		w.queue.put(w.now+int64(f.For), happening{kind: happensMending, tag: uint64(i)})
	}
}

// mend ends a fault, if it isn't over yet.
func (m *nemesis) mend(w *World, i int) {
	at := slices.Index(m.active, i)
	if at < 0 {
		return
	}
	m.active = slices.Delete(m.active, at, at+1)
	m.apply(w, &w.faults[i], false)
}

// apply switches a fault on or off; it reports whether there was anything to do.
func (m *nemesis) apply(w *World, f *Fault, on bool) bool {
	nodes := w.named(f.Nodes)
	peers := w.named(f.Peers)
	sign := 1
	if !on {
		sign = -1
	}
	each := func(do func(l *link)) {
		for _, a := range nodes {
			for _, b := range peers {
				do(w.link(a, b))
			}
		}
	}
	switch f.Kind {
	case FaultPartition, FaultBridge:
		each(func(l *link) { l.cut += sign })
		nodes, peers = peers, nodes
		each(func(l *link) { l.cut += sign })
	case FaultOneWay:
		each(func(l *link) { l.cut += sign })
	case FaultSlowLink:
		each(func(l *link) { l.slow += time.Duration(sign) * f.Delay })
	case FaultLoss:
		each(func(l *link) { l.loss += float64(sign) * f.Amount })
	case FaultDouble:
		each(func(l *link) { l.twice += float64(sign) * f.Amount })
	case FaultClog:
		for _, n := range nodes {
			w.clog(n, sign)
		}
	case FaultKill, FaultPower:
		for _, n := range nodes {
			m.crash(w, n, f, on)
		}
	case FaultPause:
		for _, n := range nodes {
			if on {
				n.paused = max(n.paused, w.now+int64(f.For))
			}
		}
	case FaultSkew:
		for _, n := range nodes {
			n.clock.off += time.Duration(sign) * f.Delay
		}
	case FaultJump:
		for _, n := range nodes {
			n.clock.off += f.Delay
		}
	case FaultDrift:
		for _, n := range nodes {
			n.clock.setRate(w.now, map[bool]float64{true: f.Amount}[on])
		}
	case FaultSlowDisk:
		for _, n := range nodes {
			n.disk.slow += time.Duration(sign) * f.Delay
		}
	}
	for _, n := range nodes {
		state := "on"
		if !on {
			state = "off"
		}
		n.note(0, event.NoteFault, event.NoteInfo{State: state, Reason: f.String()})
	}
	return true
}

// clog holds what is sent to a node (1), or lets it go (-1).
func (w *World) clog(n *Node, by int) {
	for _, from := range w.nodes {
		l := w.link(from, n)
		if l.clogs += by; l.clogs == 0 {
			w.unclog(l)
		}
	}
}

// crash ends a process, or starts it again.
func (m *nemesis) crash(w *World, n *Node, f *Fault, on bool) {
	if !on {
		n.startIn(0)
		return
	}
	if !n.up {
		return
	}
	n.die("killed")
	if f.Kind == FaultPower {
		r := machine.NewRand(f.Seed)
		n.disk.mem = n.disk.mem.Crash(r.IntN)
		n.fs = n.disk.mem
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

// healCore ends the faults of a majority and returns it.
func (m *nemesis) healCore(w *World) []*Node {
	m.healAll(w)
	return w.nodes
}

// healAll ends all faults.
func (m *nemesis) healAll(w *World) {
	for len(m.active) > 0 {
		m.mend(w, m.active[0])
	}
}

func (w *World) happened(k FaultKind) { w.nemesis.happened[k]++ }

func (m *nemesis) happenedKinds() map[FaultKind]int { return m.happened }

func (m *nemesis) describe(i int) string { return "" }

func (m *nemesis) current() string { return "" }

func (m *nemesis) damaged(n *Node) bool { return m.damage[n.index] }
