package sim

import (
	"fmt"
	"math"
	"slices"
	"time"

	"hindcast.dev/faultpoint"
	"hindcast.dev/machine"
)

// allFaults are the kinds that a schedule draws from, unless the subject leaves
// some out.
var allFaults = []FaultKind{FaultPartition, FaultOneWay, FaultBridge, FaultSlowLink, FaultClog, FaultSwizzle, FaultLoss,
	FaultDouble, FaultGarble, FaultKill, FaultPower, FaultPause, FaultVersion, FaultDiskLoss, FaultSkew, FaultDrift, FaultJump,
	FaultSlowDisk, FaultFullDisk, FaultReadError, FaultSync, FaultBitRot, FaultLostWrite, FaultMisplaced, FaultPoint}

// FaultKinds are all kinds of Fault.
func FaultKinds() []FaultKind { return slices.Clone(allFaults) }

// Kinds that are confined to the atlas' victims, and kinds of a link.
var (
	damaging  = []FaultKind{FaultDiskLoss, FaultReadError, FaultBitRot, FaultLostWrite, FaultMisplaced}
	omissions = []FaultKind{FaultPartition, FaultOneWay, FaultBridge, FaultLoss, FaultGarble, FaultSlowLink, FaultClog, FaultSwizzle}
)

// kindsMin is how many kinds of fault a schedule has at least.
const kindsMin = 4

// Without leaves kinds of fault out that the subject doesn't claim to bear. It is
// called in Setup; doc says why, for people.
func (w *World) Without(doc string, kinds ...FaultKind) {
	w.nemesis.without = append(w.nemesis.without, kinds...)
}

// Often has kinds of fault in more runs than others: those of which the subject
// has most to fear. It is called in Setup.
func (w *World) Often(kinds ...FaultKind) { w.nemesis.often = append(w.nemesis.often, kinds...) }

// oftenShare is the least share of runs that have such a kind.
const oftenShare = 0.6

// A drawer draws schedules.
type drawer struct {
	w      *World
	rand   *machine.Rand
	span   time.Duration   // in which faults begin
	bursts []time.Duration // when they begin; none: faults come at any time
	group  int
}

// draw draws the faults that begin in [from, from+span).
func (m *nemesis) draw(w *World, from time.Duration) []Fault {
	d := &drawer{w: w, rand: m.rand, span: w.estimate()}
	drawn, kinds := w.intFrom("faults", 0, 4, 40), d.kinds()
	if len(kinds) == 0 {
		return []Fault{}
	}
	count := max(drawn, len(kinds))
	faults := []Fault{}
	d.drawBursts()
	for i := range count {
		k := kinds[d.rand.IntN(len(kinds))]
		if i < len(kinds) {
			k = kinds[i] // each at least once
		}
		faults = append(faults, d.fault(k, warmUp+d.when(i < len(kinds)))...)
	}
	faults = slices.DeleteFunc(faults, func(f Fault) bool { return f.At < from })
	slices.SortStableFunc(faults, func(a, b Fault) int { return int(a.At - b.At) })
	return faults
}

// drawBursts draws whether faults come in bursts, and when those are: many things
// are wrong at once, and then for a while nothing is.
func (d *drawer) drawBursts() {
	some, count := d.w.Chance("fault.inBursts", 0.5), d.w.Int("fault.bursts", 1, 5)
	if !some {
		return
	}
	for i := range count {
		at := time.Duration(d.rand.Uint64N(uint64(d.span)))
		if i == 0 {
			at /= 4 // clients may be faster than was thought
		}
		d.bursts = append(d.bursts, at)
	}
}

// when draws when a fault begins. The first burst has all kinds.
func (d *drawer) when(first bool) time.Duration {
	if len(d.bursts) == 0 {
		return time.Duration(d.rand.Uint64N(uint64(d.span)))
	}
	at := d.bursts[0]
	if !first {
		at = d.bursts[d.rand.IntN(len(d.bursts))]
	}
	return at + time.Duration(d.rand.Uint64N(uint64(d.span/8+1)))
}

// kinds draws the kinds of this run: a swarm has runs that leave most out.
func (d *drawer) kinds() []FaultKind {
	w := d.w
	var may, kinds []FaultKind
	share := w.Float("fault.share", 0.1, 0.7)
	for _, k := range allFaults {
		p, from := share, "true with fault.share"
		if slices.Contains(w.nemesis.often, k) {
			p, from = max(share, oftenShare), fmt.Sprintf("true with fault.share, at least %g", oftenShare)
		}
		some := w.chanceFrom("fault."+string(k), p, from)
		if slices.Contains(w.nemesis.without, k) || !d.possible(k) {
			continue
		}
		if may = append(may, k); some {
			kinds = append(kinds, k)
		}
	}
	for len(kinds) < min(kindsMin, len(may)) {
		if k := may[d.rand.IntN(len(may))]; !slices.Contains(kinds, k) {
			kinds = append(kinds, k)
		}
	}
	return kinds
}

// possible reports whether this world can have such a fault at all.
func (d *drawer) possible(k FaultKind) bool {
	w := d.w
	switch {
	case len(w.nodes) == 0:
		return false
	case len(w.nodes) < 2 && (k == FaultDouble || slices.Contains(omissions, k)), k == FaultBridge && len(w.nodes) < 3:
		return false
	case w.net.mode == Synchronous && slices.Contains(omissions, k):
		return false
	case slices.Contains(damaging, k):
		return len(w.nemesis.atlas.victims) > 0
	case k == FaultVersion:
		return w.versionsMax() > 1
	}
	return true
}

// versionsMax is the highest version of any machine.
func (w *World) versionsMax() uint32 {
	most := uint32(0)
	for _, v := range w.subject.Machines {
		most = max(most, v.Latest())
	}
	return most
}

// estimate is about how long the clients' operations take.
func (w *World) estimate() time.Duration {
	if w.load == nil || len(w.load.clients) == 0 {
		return 10 * time.Second
	}
	takes := w.load.work.Takes
	if takes == 0 {
		takes = 4*(w.net.base+w.net.jitter) + 2*(w.phases.diskBase+w.phases.diskJitter)
	}
	all := float64(w.load.work.Think+takes) * float64(w.load.target) / float64(len(w.load.clients))
	return time.Duration(min(max(all, 1), float64(faultsMax)))
}

// fault draws a fault of a kind; a swizzle is several.
func (d *drawer) fault(k FaultKind, at time.Duration) []Fault {
	f := Fault{Kind: k, At: at, Seed: d.rand.Uint64() >> 12, For: d.length()}
	perm := d.permutation(len(d.w.nodes))
	pick := func(n int) (names []string) {
		for _, i := range perm[:n] {
			names = append(names, d.w.nodes[i].name)
		}
		perm = perm[n:]
		slices.Sort(names)
		return names
	}
	switch k {
	case FaultPartition, FaultOneWay:
		f.Nodes = pick(1 + d.rand.IntN(len(perm)-1))
		f.Peers = pick(len(perm))
	case FaultBridge:
		pick(1)
		f.Nodes = pick(1 + d.rand.IntN(len(perm)-1))
		f.Peers = pick(len(perm))
	case FaultSlowLink:
		return d.slow(f, pick)
	case FaultLoss, FaultDouble, FaultGarble:
		f.Nodes, f.Peers, f.Amount = pick(1), pick(1), 0.01*float64(1+d.rand.IntN(100))
	case FaultSwizzle:
		return d.swizzle(f, pick(1+d.rand.IntN(len(perm))))
	default:
		f.Nodes = pick(1)
		d.alone(&f)
	}
	return []Fault{f}
}

// slow draws which links are slow: one, all on which a node is heard, or all on
// which it hears; and for how long: for longer than messages then take, or few
// would be late. A node that hears late may drop out altogether: for a while nobody
// hears it, and what it hears is from before that.
func (d *drawer) slow(f Fault, pick func(n int) []string) []Fault {
	one, direction := pick(1), d.rand.IntN(5)
	f.Nodes, f.Delay = one, d.millis(1, int(min(max(d.span/4, 500*time.Millisecond), 3*time.Second).Milliseconds()))
	f.For += 4 * f.Delay
	switch direction {
	case 0:
		f.Peers = pick(1)
		return []Fault{f}
	case 1:
		f.Peers = pick(len(d.w.nodes) - 1)
		return []Fault{f}
	}
	f.Nodes, f.Peers = pick(len(d.w.nodes)-1), one
	if direction == 2 {
		return []Fault{f}
	}
	out := Fault{Kind: FaultOneWay, At: f.At + d.upto(3*f.Delay), For: f.Delay + d.length(), Nodes: one, Peers: f.Nodes, Seed: f.Seed}
	f.For = max(f.For, out.At+out.For-f.At)
	return []Fault{f, out}
}

// upto draws a duration below most, which isn't 0.
func (d *drawer) upto(most time.Duration) time.Duration {
	return time.Duration(d.rand.Uint64N(uint64(most))).Round(time.Microsecond)
}

// alone draws what faults of a single node have.
func (d *drawer) alone(f *Fault) {
	switch f.Kind {
	case FaultSkew:
		f.Delay = d.millis(-200, 200)
	case FaultJump:
		f.Delay = d.millis(-400, 400)
		if d.rand.IntN(4) == 0 {
			f.Delay *= 10
		}
	case FaultDrift:
		f.Amount = float64(d.rand.IntN(2001)-1000) * 1e-5
	case FaultSlowDisk:
		f.Delay = d.millis(1, 200)
	case FaultVersion:
		f.Version = 1 + uint32(d.rand.IntN(int(d.w.versionsMax())))
	case FaultPoint:
		points := faultpoint.Points()
		f.Point = points[d.rand.IntN(len(points))].Name
	case FaultReadError, FaultBitRot, FaultLostWrite, FaultMisplaced, FaultDiskLoss:
		v := d.w.nemesis.atlas.victims
		f.Nodes = []string{v[d.rand.IntN(len(v))].name}
	}
	if slices.Contains([]FaultKind{FaultSync, FaultBitRot, FaultLostWrite, FaultMisplaced, FaultReadError}, f.Kind) {
		f.For = 0
	}
}

func (d *drawer) millis(lo, hi int) time.Duration {
	return time.Duration(lo+d.rand.IntN(hi-lo+1)) * time.Millisecond
}

// length draws how long a fault lasts: mostly short, at most a third of all.
func (d *drawer) length() time.Duration {
	mean := max(float64(d.span)/20, float64(20*time.Millisecond))
	l := 5*time.Millisecond + min(time.Duration(-math.Log(1-d.rand.Float64())*mean), d.span/3)
	return l.Round(time.Microsecond)
}

// swizzle clogs nodes one after the other, and lets go in another order.
func (d *drawer) swizzle(f Fault, names []string) []Fault {
	d.group++
	step := f.For / time.Duration(2*len(names))
	order := d.permutation(len(names))
	var clogs []Fault
	for i, name := range names {
		c := f
		c.Nodes, c.Group = []string{name}, d.group
		c.At = f.At + time.Duration(i)*step
		c.For = f.At + f.For - time.Duration(order[i])*step - c.At
		clogs = append(clogs, c)
	}
	return clogs
}

func (d *drawer) permutation(n int) []int {
	p := make([]int, n)
	for i := range p {
		j := d.rand.IntN(i + 1)
		p[i], p[j] = p[j], i
	}
	return p
}
