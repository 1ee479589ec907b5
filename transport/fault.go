package transport

import (
	"fmt"
	"time"
)

// A Fault is what the fault switches do to the link with one peer. The zero
// Fault does nothing. A one-way cut is one-way: CutOut stops what this node's
// link carries to the peer and leaves the peer's link to this node alone, the
// acknowledgements on it included.
type Fault struct {
	// CutOut drops what Send is given and what is queued, silences the pings, so
	// that the link goes down after the missed heartbeats, and then stops dialing.
	CutOut bool `json:"cutOut,omitempty"`
	// CutIn drops what comes from the peer and answers nothing, a hello neither.
	CutIn bool `json:"cutIn,omitempty"`
	// Drop is the probability that Send drops a frame, in [0, 1].
	Drop float64 `json:"drop,omitempty"`
	// Delay holds back every frame given to Send. Order is kept.
	Delay time.Duration `json:"delayNanos,omitempty"`
}

// SetFault switches the faults of one peer; a zero Fault clears them. What was
// in the queue is dropped by CutOut. It returns ErrFaultsOff unless
// Options.AllowFaults.
func (t *Transport) SetFault(peer string, f Fault) error {
	if !t.o.AllowFaults {
		return ErrFaultsOff
	}
	l := t.links[peer]
	if l == nil {
		return fmt.Errorf("transport: no peer named %q", peer)
	}
	if !(f.Drop >= 0 && f.Drop <= 1) || f.Delay < 0 {
		return fmt.Errorf("transport: fault %+v: want a drop probability in [0, 1] and a delay not below 0", f)
	}
	l.mu.Lock()
	l.fault = f
	var cut []letter
	if f.CutOut {
		cut = l.queue.popAll()
	}
	l.mu.Unlock()
	l.drop(cut, DropCut)
	signal(l.poke)
	return nil
}

// Fault returns the fault switches of one peer.
func (t *Transport) Fault(peer string) Fault {
	l := t.links[peer]
	if l == nil {
		return Fault{}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fault
}
