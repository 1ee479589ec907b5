package node

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"hindcast.dev/event"
	"hindcast.dev/transport"
)

// ErrFaultsOff is returned by SetFault of a node without Options.AllowFaults.
var ErrFaultsOff = errors.New("fault switches are off on this node")

// A FaultKind is what a Fault does.
type FaultKind string

// The kinds of Fault.
const (
	FaultDrop  FaultKind = "drop"  // messages to Peer are lost with Probability
	FaultDelay FaultKind = "delay" // messages to Peer are held back by Delay
	FaultCut   FaultKind = "cut"   // nothing goes to or comes from Peer, see Direction
	FaultHeal  FaultKind = "heal"  // the faults of Peer are cleared
	FaultClock FaultKind = "clock" // the node's wall clock is off by Offset
)

// A Fault is one setting of a node's fault switches.
type Fault struct {
	Kind        FaultKind
	Peer        string        // "" is every peer
	Direction   string        // of a cut: "out" (to the peer), "in", or "both", which is the default
	Delay       time.Duration // not below 0
	Probability float64       // in [0, 1]; of a drop; 0 is never
	Offset      time.Duration // of the clock
}

// SetFault sets or clears fault switches. It is journaled as a note.
func (n *Node) SetFault(f Fault) error {
	if !n.o.AllowFaults {
		return ErrFaultsOff
	}
	if f.Kind == FaultClock {
		n.noteFault("", f)
		n.clockOffset.Store(int64(f.Offset))
		return nil
	}
	peers := []string{f.Peer}
	if f.Peer == "" {
		peers = n.o.peerNames()
	}
	for _, peer := range peers {
		if _, ok := n.o.Peers[peer]; !ok {
			return fmt.Errorf("no peer named %q: the peers are %s", peer, strings.Join(n.o.peerNames(), ", "))
		}
	}
	if _, err := f.apply(transport.Fault{}); err != nil {
		return err // also where there is no peer
	}
	for _, peer := range peers {
		to, err := f.apply(n.net.Fault(peer))
		if err != nil {
			return err
		}
		n.noteFault(peer, f) // before what it drops is noted
		if err := n.net.SetFault(peer, to); err != nil {
			return err
		}
	}
	return nil
}

// faultSwitches are how a node's fault switches stand.
type faultSwitches struct {
	Allowed     bool                  `json:"allowed"` // else they are all off and stay so
	ClockOffset duration              `json:"clockOffset"`
	Peers       map[string]peerFaults `json:"peers"`
}

// peerFaults are the switches of one peer.
type peerFaults struct {
	CutOut bool     `json:"cutOut"` // nothing goes to it
	CutIn  bool     `json:"cutIn"`  // nothing comes from it
	Drop   float64  `json:"drop"`   // with this probability a message to it is lost
	Delay  duration `json:"delay"`  // messages to it are held back so long
}

// faults returns how the fault switches stand.
func (n *Node) faults() faultSwitches {
	s := faultSwitches{Allowed: n.o.AllowFaults, ClockOffset: duration(n.clockOffset.Load()), Peers: map[string]peerFaults{}}
	for _, peer := range n.o.peerNames() {
		f := n.net.Fault(peer)
		s.Peers[peer] = peerFaults{CutOut: f.CutOut, CutIn: f.CutIn, Drop: f.Drop, Delay: duration(f.Delay)}
	}
	return s
}

// apply returns the switches of a peer as they are after f.
func (f Fault) apply(t transport.Fault) (transport.Fault, error) {
	switch f.Kind {
	case FaultDrop:
		if !(f.Probability >= 0 && f.Probability <= 1) {
			return t, fmt.Errorf("probability %g: want one in [0, 1]", f.Probability)
		}
		t.Drop = f.Probability
	case FaultDelay:
		if f.Delay < 0 {
			return t, fmt.Errorf("delay %s: want one not below 0", f.Delay)
		}
		t.Delay = f.Delay
	case FaultHeal:
		t = transport.Fault{}
	case FaultCut:
		switch f.Direction {
		case "", "both":
			t.CutOut, t.CutIn = true, true
		case "out":
			t.CutOut = true
		case "in":
			t.CutIn = true
		default:
			return t, fmt.Errorf("direction %q of a cut: want in, out or both", f.Direction)
		}
	default:
		return t, fmt.Errorf("fault kind %q: want %s, %s, %s, %s or %s", f.Kind, FaultDrop, FaultDelay, FaultCut, FaultHeal, FaultClock)
	}
	return t, nil
}

func (n *Node) noteFault(peer string, f Fault) {
	info := event.NoteInfo{Peer: peer, State: string(f.Kind)}
	switch f.Kind {
	case FaultDrop:
		info.Reason = fmt.Sprintf("with probability %g", f.Probability)
	case FaultDelay:
		info.Reason = "by " + f.Delay.String()
	case FaultCut:
		info.Reason = f.Direction
		if f.Direction == "" {
			info.Reason = "both"
		}
	case FaultClock:
		info.Reason = "off by " + f.Offset.String()
	}
	n.logs.in(AreaNode).Warn("fault switch", "kind", f.Kind, "peer", peer, "what", info.Reason)
	n.note(event.NoteFault, info)
}
