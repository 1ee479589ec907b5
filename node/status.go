package node

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"hindcast.dev/hlc"
	"hindcast.dev/loop"
	"hindcast.dev/transport"
)

// A Status is a snapshot of what a node is and does. Counts begin at 0 with the
// boot.
type Status struct {
	Node       string            `json:"node"`
	Service    string            `json:"service"`
	Build      string            `json:"build"`
	Boot       uint64            `json:"boot"`
	Time       hlc.Timestamp     `json:"time"` // of the last event
	Wall       hlc.Timestamp     `json:"wall"` // what the node's clock shows, an offset included
	Seq        uint64            `json:"seq"`  // of the last event
	Durable    uint64            `json:"durable"`
	Durability string            `json:"durability"`
	Machines   map[string]uint32 `json:"machines"` // name → version
	Peers      []string          `json:"peers"`
	Ready      bool              `json:"ready"`
	NotReady   []string          `json:"notReady,omitempty"` // why
	Warnings   []string          `json:"warnings,omitempty"` // what is wrong although requests are taken
	Failure    string            `json:"failure,omitempty"`

	Loop      loop.Stats    `json:"loop"`
	ClockJump time.Duration `json:"clockJumpNanos"` // by how much the wall clock is refused as too far ahead
	// Drifting are the peers that are isolated here because their clocks are too far
	// ahead, and by how much.
	Drifting map[string]time.Duration `json:"driftingNanos,omitempty"`
	Disk     DiskStatus               `json:"disk"`
	Requests RequestStatus            `json:"requests"`
	Network  transport.Stats          `json:"network"`
	Log      map[string]string        `json:"log"` // area → level
	Addr     string                   `json:"addr,omitempty"`
	HTTP     string                   `json:"http,omitempty"`
	Admin    string                   `json:"admin,omitempty"`
	Faults   bool                     `json:"faultsAllowed"`
}

// DiskStatus is what goes on between a node and its disk.
type DiskStatus struct {
	Full               string        `json:"full,omitempty"`    // why nothing can be written, if so
	Trouble            string        `json:"trouble,omitempty"` // the last error that stops nobody
	WaitingBytes       uint64        `json:"waitingBytes"`      // in the journal, not yet handled
	BacklogRefused     uint64        `json:"backlogRefused"`
	FullRefused        uint64        `json:"fullRefused"`
	PaddingBytes       uint64        `json:"paddingBytes"`
	Syncs              uint64        `json:"syncs"`
	SyncTime           time.Duration `json:"syncNanos"` // all together
	LastCheckpoint     uint64        `json:"lastCheckpoint"`
	Checkpoints        uint64        `json:"checkpoints"`
	CheckpointsFailed  uint64        `json:"checkpointsFailed"`
	CheckpointsSkipped uint64        `json:"checkpointsSkipped"` // the disk was too slow for them
	MaintainFailed     uint64        `json:"maintainFailed"`
	TimesFull          uint64        `json:"timesFull"`
}

// RequestStatus is about requests and their replies.
type RequestStatus struct {
	InFlight       int    `json:"inFlight"`
	Taken          uint64 `json:"taken"`
	Replies        uint64 `json:"replies"`
	RepliesDropped uint64 `json:"repliesDropped"` // nobody waited for them any more
	RefusedBusy    uint64 `json:"refusedBusy"`    // too many in flight
	RefusedBacklog uint64 `json:"refusedBacklog"`
	RefusedFull    uint64 `json:"refusedFull"`
	SlowReaders    uint64 `json:"slowReaders"`
	PeeksBusy      uint64 `json:"peeksBusy"`
	CallsBusy      uint64 `json:"callsBusy"`
	RefusalsLost   uint64 `json:"refusalsLost"`
}

// A loopStatus is what only the loop's goroutine can look at.
type loopStatus struct {
	seq, durable uint64
	time         hlc.Timestamp
	stats        loop.Stats
	jump         time.Duration
	drifting     map[string]time.Duration
	machines     map[string]uint32
}

func (n *Node) loopStatus() loopStatus {
	st := n.loop.Stepper()
	s := loopStatus{seq: n.loop.Seq(), durable: n.loop.Durable(), time: n.loop.Now(), stats: n.loop.Stats(),
		jump: n.loop.ClockJump(), drifting: n.loop.Drifting(), machines: map[string]uint32{}}
	for _, name := range st.Machines() {
		s.machines[name] = st.Version(name)
	}
	return s
}

// warnings says what is wrong with clocks.
func (s *loopStatus) warnings() (out []string) {
	if s.jump != 0 {
		out = append(out, fmt.Sprintf("the wall clock is %s ahead of where monotonic time puts it and isn't followed: set it right", s.jump))
	}
	for _, peer := range slices.Sorted(maps.Keys(s.drifting)) {
		out = append(out, fmt.Sprintf("%s is isolated: its clock is %s ahead of this node's and its messages are dropped: check the time synchronisation of both",
			peer, s.drifting[peer]))
	}
	return out
}

// askLoop returns the loop's status: the last one if it is over, none if ctx ended
// before the loop had time.
func (n *Node) askLoop(ctx context.Context) (s loopStatus) {
	if n.control(ctx, func() { s = n.loopStatus() }) == nil {
		return s
	}
	select {
	case <-n.loopDone:
		return n.last
	default:
		return loopStatus{}
	}
}

// Status returns a snapshot.
func (n *Node) Status() Status {
	l := n.askLoop(context.Background())
	s := Status{Node: n.o.Name, Service: n.o.Service, Build: n.o.Build, Boot: n.boot, Time: l.time, Wall: n.reading().Wall,
		Seq: l.seq, Durable: l.durable, Durability: n.o.Durability.String(), Machines: l.machines, Peers: n.o.peerNames(),
		NotReady: n.NotReady(), Loop: l.stats, ClockJump: l.jump, Drifting: l.drifting, Warnings: l.warnings(), Network: n.net.Stats(), Log: n.logs.current(),
		Addr: n.Addr(), HTTP: n.HTTPAddr(), Admin: n.AdminAddr(), Faults: n.o.AllowFaults}
	s.Ready = len(s.NotReady) == 0
	s.Peers = orEmpty(s.Peers)
	if err := n.failedWith(); err != nil {
		s.Failure = err.Error()
	}
	c, full, trouble, written := n.disk.snapshot()
	j := n.j.Counts()
	s.Disk = DiskStatus{Full: full, Trouble: trouble, WaitingBytes: n.j.Waiting(), BacklogRefused: j.Backlog, FullRefused: j.Full,
		PaddingBytes: j.Padding, Syncs: c.syncs, SyncTime: c.syncTime, LastCheckpoint: written, Checkpoints: c.checkpoints,
		CheckpointsFailed: c.checkpointsFailed, CheckpointsSkipped: c.checkpointsSkipped, MaintainFailed: c.maintainFailed, TimesFull: c.full}
	inFlight, p := n.pending.snapshot()
	s.Requests = RequestStatus{InFlight: inFlight, Taken: p.requests, Replies: p.replies, RepliesDropped: p.dropped,
		RefusedBusy: p.refusedBusy, RefusedBacklog: n.counts.refusedBacklog.Load(), RefusedFull: n.counts.refusedFull.Load(),
		SlowReaders: p.slow, PeeksBusy: n.counts.peeksBusy.Load(), CallsBusy: n.counts.callsBusy.Load(),
		RefusalsLost: n.counts.refusalsLost.Load()}
	return s
}

// NotReady says why the node takes no requests now; empty if it does.
func (n *Node) NotReady() []string {
	var why []string
	if err := n.failedWith(); err != nil {
		why = append(why, "failed: "+err.Error())
	}
	if n.pending.stopping() {
		why = append(why, "stopping")
	}
	select {
	case <-n.started:
	default:
		why = append(why, "starting: the machines haven't handled their start yet")
	}
	if full := n.disk.fullReason(); full != "" {
		why = append(why, "disk full: "+full)
	}
	return why
}

// orEmpty makes a list without entries [] in JSON, not null.
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
