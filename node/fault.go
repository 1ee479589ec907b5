package node

import (
	"errors"
	"fmt"
	"time"

	"hindcast.dev/event"
	"hindcast.dev/transport"
)

// ErrFaultsOff is returned by SetFault of a node that doesn't allow faults.
var ErrFaultsOff = errors.New("fault switches are off: start the node with faults allowed")

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
	Kind        FaultKind     `json:"kind"`
	Peer        string        `json:"peer,omitempty"`        // "" is every peer
	Direction   string        `json:"direction,omitempty"`   // of a cut: "out" (to the peer), "in", or "both", which is the default
	Delay       time.Duration `json:"delay,omitempty"`       // nanoseconds
	Probability float64       `json:"probability,omitempty"` // in [0, 1]; of a drop; 0 is never
	Offset      time.Duration `json:"offset,omitempty"`      // of the clock, nanoseconds
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
			return fmt.Errorf("no peer named %q", peer)
		}
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

// apply returns the switches of a peer as they are after f.
func (f Fault) apply(t transport.Fault) (transport.Fault, error) {
	switch f.Kind {
	case FaultDrop:
		t.Drop = f.Probability
	case FaultDelay:
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
