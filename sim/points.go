package sim

import (
	"hindcast.dev/faultpoint"
	"hindcast.dev/machine"
)

// syncPoint is where a failing sync fails.
const syncPoint = faultpoint.JournalSyncSegment

// An arm is a point of production code where something is to happen.
type arm struct {
	point string
	kind  FaultKind
	rare  bool // a path that is taken now and then, while it is armed
	took  bool // rare: it was taken
	die   bool // else it fails
	power bool // the machine goes down too
	rand  *machine.Rand
}

// arm prepares a point of the node.
func (n *Node) arm(point string, die bool, f *Fault) bool {
	a := arm{point: point, kind: f.Kind, die: die, power: f.Seed%2 == 0, rand: machine.NewRand(f.Seed)}
	for _, p := range faultpoint.Points() {
		if p.Name == point {
			a.rare = p.Kind == faultpoint.Rare
			n.arms = append(n.arms, a)
			return true
		}
	}
	n.w.misuse("%s: there is no point %q", f, point)
	return false
}

func (n *Node) disarm() { n.arms = nil }

// decide is what happens at a point.
func (n *Node) decide(point string) faultpoint.Action {
	for i := range n.arms {
		a := &n.arms[i]
		switch {
		case a.point != point:
		case a.rare:
			if a.rand.IntN(2) == 0 {
				if !a.took {
					a.took = true
					n.w.happenedNow(a.kind)
				}
				return faultpoint.Take
			}
			return faultpoint.Pass
		default:
			return n.fire(i)
		}
	}
	return faultpoint.Pass
}

// fire is the end of a process at a point, or a failure there. The disk is taken
// as it is at this moment: what the code does on its way out didn't happen.
func (n *Node) fire(i int) faultpoint.Action {
	a := n.arms[i]
	n.arms = append(n.arms[:i:i], n.arms[i+1:]...)
	n.w.happenedNow(a.kind)
	if !a.die {
		return faultpoint.Fail
	}
	n.disk.left = n.disk.mem.Restart()
	if a.power {
		n.disk.left = n.disk.left.Crash(a.rand.IntN)
	}
	return faultpoint.Die
}

// gone ends the process if it died at a point, and reports whether it did.
func (n *Node) gone() bool {
	if n.points.Died() == nil {
		return false
	}
	n.die()
	n.startIn(restartWait)
	return true
}
