package raftkv

import (
	"go.etcd.io/raft/v3/raftpb"
)

// An Entry is one place of the replicated log.
type Entry struct {
	Term uint64 `cbor:"1,keyasint,omitempty"`
	Kind string `cbor:"2,keyasint,omitempty"` // "" a command, "conf" a change of members
	Data []byte `cbor:"3,keyasint,omitempty"` // text, see command; empty where a leader began its term
}

// An RPC is what a message of the library carries. Zeros take no space.
type RPC struct {
	Term       uint64    `cbor:"1,keyasint,omitempty"`
	LogTerm    uint64    `cbor:"2,keyasint,omitempty"`
	Index      uint64    `cbor:"3,keyasint,omitempty"`
	Commit     uint64    `cbor:"4,keyasint,omitempty"`
	Entries    []Entry   `cbor:"5,keyasint,omitempty"`
	Reject     bool      `cbor:"6,keyasint,omitempty"`
	RejectHint uint64    `cbor:"7,keyasint,omitempty"`
	Context    []byte    `cbor:"8,keyasint,omitempty"`
	From       string    `cbor:"9,keyasint,omitempty"` // whom it comes from, if not from the sender: it was passed on
	Snapshot   *Snapshot `cbor:"10,keyasint,omitempty"`
}

// A Snapshot is the state at an index, for a node that is behind what the log
// still holds.
type Snapshot struct {
	Index    uint64
	Term     uint64
	Voters   []string
	Learners []string
	Data     []byte // an image
}

// What nodes tell each other: the library's messages, each under its own name.
type (
	MsgProp          RPC // a proposal is passed on to the leader
	MsgApp           RPC // the leader sends entries
	MsgAppResp       RPC // and how far they match
	MsgVote          RPC // a candidate asks
	MsgVoteResp      RPC // and is answered
	MsgPreVote       RPC // would you vote for me?
	MsgPreVoteResp   RPC // and the answer
	MsgSnap          RPC // the leader sends a snapshot
	MsgHeartbeat     RPC // the leader is there; with the context of reads to be confirmed
	MsgHeartbeatResp RPC // and is heard
	MsgTimeoutNow    RPC // the leader hands over
	MsgReadIndex     RPC // what is the commit index? Asked of the leader
	MsgReadIndexResp RPC // and answered
)

// bodyOf is the message of a kind as it is sent, nil for a kind that isn't.
func bodyOf(kind raftpb.MessageType, r *RPC) any {
	switch kind {
	case raftpb.MsgProp:
		return (*MsgProp)(r)
	case raftpb.MsgApp:
		return (*MsgApp)(r)
	case raftpb.MsgAppResp:
		return (*MsgAppResp)(r)
	case raftpb.MsgVote:
		return (*MsgVote)(r)
	case raftpb.MsgVoteResp:
		return (*MsgVoteResp)(r)
	case raftpb.MsgPreVote:
		return (*MsgPreVote)(r)
	case raftpb.MsgPreVoteResp:
		return (*MsgPreVoteResp)(r)
	case raftpb.MsgSnap:
		return (*MsgSnap)(r)
	case raftpb.MsgHeartbeat:
		return (*MsgHeartbeat)(r)
	case raftpb.MsgHeartbeatResp:
		return (*MsgHeartbeatResp)(r)
	case raftpb.MsgTimeoutNow:
		return (*MsgTimeoutNow)(r)
	case raftpb.MsgReadIndex:
		return (*MsgReadIndex)(r)
	case raftpb.MsgReadIndexResp:
		return (*MsgReadIndexResp)(r)
	}
	return nil
}

// rpcOf is bodyOf backwards; r is nil for what is no message of the library.
func rpcOf(body any) (kind raftpb.MessageType, r *RPC) {
	switch m := body.(type) {
	case *MsgProp:
		return raftpb.MsgProp, (*RPC)(m)
	case *MsgApp:
		return raftpb.MsgApp, (*RPC)(m)
	case *MsgAppResp:
		return raftpb.MsgAppResp, (*RPC)(m)
	case *MsgVote:
		return raftpb.MsgVote, (*RPC)(m)
	case *MsgVoteResp:
		return raftpb.MsgVoteResp, (*RPC)(m)
	case *MsgPreVote:
		return raftpb.MsgPreVote, (*RPC)(m)
	case *MsgPreVoteResp:
		return raftpb.MsgPreVoteResp, (*RPC)(m)
	case *MsgSnap:
		return raftpb.MsgSnap, (*RPC)(m)
	case *MsgHeartbeat:
		return raftpb.MsgHeartbeat, (*RPC)(m)
	case *MsgHeartbeatResp:
		return raftpb.MsgHeartbeatResp, (*RPC)(m)
	case *MsgTimeoutNow:
		return raftpb.MsgTimeoutNow, (*RPC)(m)
	case *MsgReadIndex:
		return raftpb.MsgReadIndex, (*RPC)(m)
	case *MsgReadIndexResp:
		return raftpb.MsgReadIndexResp, (*RPC)(m)
	}
	return 0, nil
}

// Once makes a client's retries safe: a write that comes again with the
// session and sequence number of the last one isn't done again, and gets the
// same answer. A client counts from 1 and has one write under way at a time.
type Once struct {
	Session string // "" for a write that isn't to be retried
	Seq     uint64
}

// What clients ask.
type (
	// Get reads a record, linearizably unless Stale: then as this node has it.
	Get struct {
		Key   string
		Stale bool
	}
	// Put writes a record.
	Put struct {
		Key, Value string
		Once
	}
	// Delete removes a record, if there is one.
	Delete struct {
		Key string
		Once
	}
	// Cas writes New where the value is Old, or where there is no record if Absent.
	Cas struct {
		Key, Old, New string
		Absent        bool
		Once
	}
	// Append adds to the end of a record, making it if there is none.
	Append struct {
		Key, Value string
		Once
	}
	// Members changes who belongs to the cluster: Change is "add" (a voter), "learn"
	// (a learner) or "remove".
	Members struct {
		Change string
		Node   string
	}
	// Ask asks for a Status. It is answered without a journal as well.
	Ask struct{}
)

// What they are told.
type (
	// Answer is what came of an operation. Of a write Found says whether it was
	// done: a Cas may not be; of a Delete whether there was a record.
	Answer struct {
		Found bool
		Value string // that was read; of an Append the new one
		Index uint64 // of the log, at which it holds
	}
	// Failure says why there is no answer.
	Failure struct {
		Code   Code
		Reason string
		Leader string // where to ask, "" if that isn't known
	}
	// Status is how a node sees the cluster.
	Status struct {
		Node, State, Leader   string
		Term, Commit, Applied uint64
		Voters, Learners      []string
	}
	// Code is the kind of a Failure.
	Code string
)

// The kinds of Failure. Unless it is Unknown, nothing was done, nor will be.
const (
	Invalid     Code = "invalid"     // the request breaks a rule
	Busy        Code = "busy"        // too much waits: try again later
	Full        Code = "full"        // the store holds as much as it may
	NotLeader   Code = "not-leader"  // ask the Leader
	Unavailable Code = "unavailable" // a read, and no word from a leader in time
	Unknown     Code = "unknown"     // a write, and no word of whether it is committed
	Expired     Code = "expired"     // the session's later write was done, or the session was forgotten
)

// What timers carry.
type (
	// Tick is the leader's clock.
	Tick struct{}
	// Elect is the time to look whether there is a leader.
	Elect struct{}
	// Retry asks again for the read index.
	Retry struct{}
	// Sweep ends what has waited for too long.
	Sweep struct{}
)

// What a node's state is made of.
type (
	// Position is a place in the log, and its term.
	Position struct{ Index, Term uint64 }

	// Progress is what a leader knows of another's log: up to Match it is the same;
	// what begins at Next is to be sent.
	Progress struct {
		Match, Next uint64
		State       string // probe, replicate or snapshot
	}

	// Item is a record.
	Item struct {
		Value string
		Index uint64 // at which it was written
	}

	// Done is the last write of a session, and its answer.
	Done struct {
		Seq    uint64
		Index  uint64 // at which it was done: sessions that are idle for longest are forgotten first
		Answer Answer
		Code   Code // "" if it was done
	}
)
