//go:build raft36

package raftkv

import (
	"fmt"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
)

// lib.go for the library's versions up to v3.6, whose types are values. See
// README.md for how to build with them.
type (
	pbEntry   = raftpb.Entry
	pbMessage = raftpb.Message
	pbHard    = raftpb.HardState
	pbConf    = raftpb.ConfState
	pbSnap    = raftpb.Snapshot
)

func termOf(e pbEntry) uint64  { return e.Term }
func indexOf(e pbEntry) uint64 { return e.Index }
func sizeOf(e pbEntry) uint64  { return uint64(len(e.Data)) + 24 }

func newEntry(index, term uint64, conf bool, data []byte) pbEntry {
	kind := raftpb.EntryNormal
	if conf {
		kind = raftpb.EntryConfChange
	}
	return raftpb.Entry{Index: index, Term: term, Type: kind, Data: data}
}

func entryOf(e pbEntry) (conf bool, data []byte) { return e.Type == raftpb.EntryConfChange, e.Data }

func newHard(term, vote, commit uint64) pbHard {
	return raftpb.HardState{Term: term, Vote: vote, Commit: commit}
}

func hardOf(rd *raft.Ready) (term, vote, commit uint64, ok bool) {
	h := rd.HardState
	return h.Term, h.Vote, h.Commit, !raft.IsEmptyHardState(h)
}

func newConf(voters, learners []uint64) pbConf {
	return raftpb.ConfState{Voters: voters, Learners: learners}
}

func confOf(c pbConf) (voters, learners []uint64) { return c.Voters, c.Learners }

func newSnap(index, term uint64, conf pbConf, data []byte) pbSnap {
	return raftpb.Snapshot{Data: data, Metadata: raftpb.SnapshotMetadata{Index: index, Term: term, ConfState: conf}}
}

func snapOf(s pbSnap) (index, term uint64, conf pbConf, data []byte) {
	return s.Metadata.Index, s.Metadata.Term, s.Metadata.ConfState, s.Data
}

func newMessage(kind raftpb.MessageType, from, to uint64, r *RPC, entries []pbEntry, snap pbSnap) pbMessage {
	m := raftpb.Message{Type: kind, From: from, To: to, Term: r.Term, LogTerm: r.LogTerm, Index: r.Index,
		Commit: r.Commit, Reject: r.Reject, RejectHint: r.RejectHint, Context: r.Context, Entries: entries}
	if r.Snapshot != nil {
		m.Snapshot = &snap
	}
	return m
}

func messageOf(m pbMessage) (kind raftpb.MessageType, from, to uint64, r *RPC, entries []pbEntry, snap pbSnap, hasSnap bool) {
	r = &RPC{Term: m.Term, LogTerm: m.LogTerm, Index: m.Index, Commit: m.Commit,
		Reject: m.Reject, RejectHint: m.RejectHint, Context: m.Context}
	if m.Snapshot != nil {
		snap = *m.Snapshot
	}
	return m.Type, m.From, m.To, r, m.Entries, snap, m.Snapshot != nil
}

func newChange(kind raftpb.ConfChangeType, id uint64, context []byte) raftpb.ConfChangeI {
	return raftpb.ConfChange{Type: kind, NodeID: id, Context: context}
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
	err = c.Unmarshal(data)
	return c.Type, c.NodeID, c.Context, err
}

func (r *Raft) applyChange(kind raftpb.ConfChangeType, id uint64, context []byte) (voters, learners []uint64) {
	return confOf(*r.lib.node.ApplyConfChange(newChange(kind, id, context)))
}
