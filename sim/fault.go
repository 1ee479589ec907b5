package sim

import (
	"fmt"
	"strings"
	"time"
)

// A FaultKind is a kind of thing that goes wrong. FAULTS.md says what each does,
// and what the system may assume all the same.
type FaultKind string

// The kinds of Fault. Those of the network that befall single messages (loss,
// duplication, reordering, long delays) are options of a run and no Faults.
const (
	FaultPartition FaultKind = "partition"   // Nodes and Peers don't hear each other
	FaultOneWay    FaultKind = "one-way"     // Peers don't hear Nodes
	FaultBridge    FaultKind = "bridge"      // Nodes and Peers hear each other only by way of the other nodes
	FaultSlowLink  FaultKind = "slow-link"   // messages from Nodes to Peers take Delay longer
	FaultClog      FaultKind = "clog"        // what is sent to Nodes waits until the end of it
	FaultSwizzle   FaultKind = "swizzle"     // Nodes are clogged one after the other, and unclogged in another order
	FaultLoss      FaultKind = "loss"        // messages from Nodes to Peers are lost with probability Amount
	FaultDouble    FaultKind = "double"      // messages from Nodes to Peers come twice with probability Amount
	FaultGarble    FaultKind = "garble"      // bits of messages from Nodes to Peers flip with probability Amount
	FaultKill      FaultKind = "kill"        // the process dies, and starts again after For
	FaultPower     FaultKind = "power"       // the machine loses power: unsynced sectors are kept or lost, each on its own
	FaultPause     FaultKind = "pause"       // the process does nothing for a while, and doesn't know
	FaultVersion   FaultKind = "version"     // the process is restarted with machines of Version
	FaultDiskLoss  FaultKind = "disk-loss"   // the disk is gone; the node is replaced, if the subject knows how
	FaultSkew      FaultKind = "skew"        // the wall clock is off by Delay
	FaultDrift     FaultKind = "drift"       // the clocks run faster by Amount, a fraction
	FaultJump      FaultKind = "jump"        // the wall clock jumps by Delay, for good
	FaultSlowDisk  FaultKind = "slow-disk"   // every operation of the disk takes Delay longer
	FaultFullDisk  FaultKind = "full-disk"   // nothing can grow
	FaultReadError FaultKind = "read-error"  // reads fail: the next start does
	FaultSync      FaultKind = "sync-error"  // the next sync fails
	FaultBitRot    FaultKind = "bit-rot"     // bits of a durable sector flip
	FaultLostWrite FaultKind = "lost-write"  // a sync says it is done, and a sector isn't written
	FaultMisplaced FaultKind = "misplaced"   // a sector is written elsewhere
	FaultPoint     FaultKind = "fault-point" // the process dies, or goes the rare way, at the point Point
)

// A Fault is one thing that goes wrong, at a time and for a while.
type Fault struct {
	Kind    FaultKind     `json:"kind"`
	At      time.Duration `json:"at"`            // virtual time
	For     time.Duration `json:"for,omitempty"` // until it is mended; 0 for what has no end
	Nodes   []string      `json:"nodes,omitempty"`
	Peers   []string      `json:"peers,omitempty"`
	Amount  float64       `json:"amount,omitempty"`
	Delay   time.Duration `json:"delay,omitempty"`
	Version uint32        `json:"version,omitempty"`
	Point   string        `json:"point,omitempty"`
	Group   int           `json:"group,omitempty"` // clogs of one swizzle have the same
	// Seed decides what is left to chance when it happens: which sectors, which bits.
	Seed uint64 `json:"seed,omitempty"`
}

// String is the fault in words.
func (f Fault) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s at %s", f.Kind, round(f.At))
	if f.For > 0 {
		fmt.Fprintf(&b, " for %s", round(f.For))
	}
	if len(f.Nodes) > 0 {
		fmt.Fprintf(&b, ": %s", strings.Join(f.Nodes, ", "))
	}
	if len(f.Peers) > 0 {
		fmt.Fprintf(&b, " | %s", strings.Join(f.Peers, ", "))
	}
	switch {
	case f.Delay != 0:
		fmt.Fprintf(&b, ", %s", round(f.Delay))
	case f.Amount != 0:
		fmt.Fprintf(&b, ", %.3g", f.Amount)
	case f.Version != 0:
		fmt.Fprintf(&b, ", version %d", f.Version)
	case f.Point != "":
		fmt.Fprintf(&b, ", %s", f.Point)
	}
	return b.String()
}

// round is a duration as people want to read it.
func round(d time.Duration) time.Duration {
	switch {
	case d >= 10*time.Second || d <= -10*time.Second:
		return d.Round(time.Millisecond)
	case d >= time.Millisecond || d <= -time.Millisecond:
		return d.Round(time.Microsecond)
	}
	return d
}
