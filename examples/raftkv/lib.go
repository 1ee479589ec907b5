//go:build !raft36

package raftkv

import (
	"fmt"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// The library's types, which it handed around by value up to v3.6 and by pointer
// since. lib36.go has the same names for the versions before, by build tag raft36;
// nothing else knows the difference.
type (
	pbEntry   = *raftpb.Entry
	pbMessage = *raftpb.Message
	pbHard    = *raftpb.HardState
	pbConf    = *raftpb.ConfState
	pbSnap    = *raftpb.Snapshot
)

func termOf(e pbEntry) uint64  { return e.GetTerm() }
func indexOf(e pbEntry) uint64 { return e.GetIndex() }
func sizeOf(e pbEntry) uint64  { return uint64(len(e.GetData())) + 24 }

func newEntry(index, term uint64, conf bool, data []byte) pbEntry {
	kind := raftpb.EntryNormal
	if conf {
		kind = raftpb.EntryConfChange
	}
	return &raftpb.Entry{Index: &index, Term: &term, Type: kind.Enum(), Data: data}
}

func entryOf(e pbEntry) (conf bool, data []byte) {
	return e.GetType() == raftpb.EntryConfChange, e.GetData()
}

func newHard(term, vote, commit uint64) pbHard {
	return &raftpb.HardState{Term: &term, Vote: &vote, Commit: &commit}
}

// hardOf returns what a Ready says is to be stored; ok is whether it says
// anything.
func hardOf(rd *raft.Ready) (term, vote, commit uint64, ok bool) {
	h := rd.HardState
	return h.GetTerm(), h.GetVote(), h.GetCommit(), !raft.IsEmptyHardState(h)
}

func newConf(voters, learners []uint64) pbConf {
	return raftpb.EnsureConfState(&raftpb.ConfState{Voters: voters, Learners: learners})
}

func confOf(c pbConf) (voters, learners []uint64) { return c.GetVoters(), c.GetLearners() }

func newSnap(index, term uint64, conf pbConf, data []byte) pbSnap {
	return &raftpb.Snapshot{Data: data, Metadata: &raftpb.SnapshotMetadata{Index: &index, Term: &term, ConfState: conf}}
}

func snapOf(s pbSnap) (index, term uint64, conf pbConf, data []byte) {
	m := s.GetMetadata()
	return m.GetIndex(), m.GetTerm(), m.GetConfState(), s.GetData()
}

func newMessage(kind raftpb.MessageType, from, to uint64, r *RPC, entries []pbEntry, snap pbSnap) pbMessage {
	m := &raftpb.Message{Type: kind.Enum(), From: &from, To: &to, Term: &r.Term, LogTerm: &r.LogTerm, Index: &r.Index,
		Commit: &r.Commit, Reject: &r.Reject, RejectHint: &r.RejectHint, Context: r.Context, Entries: entries}
	if r.Snapshot != nil {
		m.Snapshot = snap
	}
	return m
}

// messageOf returns the parts of a message; entries and snapshot as they are.
func messageOf(m pbMessage) (kind raftpb.MessageType, from, to uint64, r *RPC, entries []pbEntry, snap pbSnap, hasSnap bool) {
	r = &RPC{Term: m.GetTerm(), LogTerm: m.GetLogTerm(), Index: m.GetIndex(), Commit: m.GetCommit(),
		Reject: m.GetReject(), RejectHint: m.GetRejectHint(), Context: m.GetContext()}
	return m.GetType(), m.GetFrom(), m.GetTo(), r, m.GetEntries(), m.GetSnapshot(), m.GetSnapshot() != nil
}

func newChange(kind raftpb.ConfChangeType, id uint64, context []byte) raftpb.ConfChangeI {
	return &raftpb.ConfChange{Type: kind.Enum(), NodeId: &id, Context: context}
}

func encodeChange(kind raftpb.ConfChangeType, id uint64, context []byte) []byte {
	_, data, err := raftpb.MarshalConfChange(newChange(kind, id, context))
	if err != nil {
		panic(fmt.Sprintf("raftkv: encoding a change of members: %v", err))
	}
	return data
}

func decodeChange(data []byte) (kind raftpb.ConfChangeType, id uint64, context []byte, err error) {
	var c raftpb.ConfChange
	err = proto.Unmarshal(data, &c)
	return c.GetType(), c.GetNodeId(), c.GetContext(), err
}

func (r *Raft) applyChange(kind raftpb.ConfChangeType, id uint64, context []byte) (voters, learners []uint64) {
	return confOf(r.lib.node.ApplyConfChange(newChange(kind, id, context)))
}
