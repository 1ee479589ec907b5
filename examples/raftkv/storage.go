package raftkv

import (
	"fmt"
	"hash/fnv"
	"slices"
	"strings"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
)

// A library is what a Raft can't export: the library's node, and its view of the
// log. All of it comes from the exported fields: see Raft.Reopen.
type library struct {
	node  *raft.RawNode
	names map[uint64]string // of nodes, by the library's id
	ids   map[string]uint64

	// log holds the entries of Raft.Log, as the library wants them, behind a first
	// one that stands for Raft.Compacted. What the library was given isn't written to
	// any more.
	log []pbEntry
}

// idOf is a node's id in the library: a hash of its name, never 0 and none of
// those that the library has taken for itself.
func idOf(name string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(name))
	return h.Sum64()>>1 | 1<<62
}

// Reopen makes the library's node anew from the exported fields: a follower that
// knows of no leader, as after a restart.
func (r *Raft) Reopen() {
	l := &library{names: map[uint64]string{}, ids: map[string]uint64{}}
	r.lib = l
	for _, name := range append([]string{r.Self}, r.Peers...) {
		l.name(name)
	}
	l.log = append(l.log, newEntry(r.Compacted.Index, r.Compacted.Term, false, nil))
	for i, e := range r.Log.All() {
		if i != l.last()+1 {
			panic(fmt.Sprintf("raftkv: the log has entry %d behind %d", i, l.last()))
		}
		l.log = append(l.log, l.entry(i, e))
	}
	o := r.Options
	node, err := raft.NewRawNode(&raft.Config{ID: l.ids[r.Self], ElectionTick: o.ElectionTick, HeartbeatTick: o.HeartbeatTick,
		Storage: storage{r}, Applied: r.Applied, MaxSizePerMsg: uint64(o.MaxMessage), MaxInflightMsgs: o.MaxInflight,
		MaxUncommittedEntriesSize: uint64(o.MaxMessage) * 16, CheckQuorum: o.CheckQuorum, PreVote: o.PreVote,
		ReadOnlyOption: raft.ReadOnlySafe, DisableProposalForwarding: !o.Forward, Logger: quiet{}})
	if err != nil {
		panic(fmt.Sprintf("raftkv: %v", err))
	}
	l.node = node
}

func (l *library) name(name string) uint64 {
	id, ok := l.ids[name]
	if !ok {
		id = idOf(name)
		if other := l.names[id]; other != "" {
			panic(fmt.Sprintf("raftkv: nodes %s and %s have the same id: rename one", name, other))
		}
		l.ids[name], l.names[id] = id, name
	}
	return id
}

func (l *library) first() uint64 { return indexOf(l.log[0]) + 1 }
func (l *library) last() uint64  { return indexOf(l.log[0]) + uint64(len(l.log)) - 1 }

func (l *library) idsOf(names []string) []uint64 {
	ids := make([]uint64, 0, len(names))
	for _, n := range names {
		ids = append(ids, l.name(n))
	}
	slices.Sort(ids)
	return ids
}

func (l *library) namesOf(ids []uint64) []string {
	names := make([]string, 0, len(ids))
	for _, id := range ids {
		names = append(names, l.names[id])
	}
	slices.Sort(names)
	return names
}

// entry is an Entry as the library has it. A change of members is text outside of
// the library: what, whom, and who asked.
func (l *library) entry(index uint64, e Entry) pbEntry {
	if e.Kind != kindConf {
		return newEntry(index, e.Term, false, e.Data)
	}
	change, rest, _ := strings.Cut(string(e.Data), " ")
	who, origin, _ := strings.Cut(rest, " ")
	return newEntry(index, e.Term, true, encodeChange(changes[change], l.name(who), []byte(who+" "+origin)))
}

// plain is entry backwards.
func (l *library) plain(e pbEntry) Entry {
	conf, data := entryOf(e)
	if !conf {
		return Entry{Term: termOf(e), Data: data}
	}
	kind, _, context, err := decodeChange(data)
	if err != nil {
		panic(fmt.Sprintf("raftkv: entry %d: %v", indexOf(e), err))
	}
	return Entry{Term: termOf(e), Kind: kindConf, Data: fmt.Appendf(nil, "%s %s", changeNames[kind], context)}
}

const kindConf = "conf"

var (
	changes = map[string]raftpb.ConfChangeType{"add": raftpb.ConfChangeAddNode, "remove": raftpb.ConfChangeRemoveNode,
		"learn": raftpb.ConfChangeAddLearnerNode}
	changeNames = map[raftpb.ConfChangeType]string{raftpb.ConfChangeAddNode: "add", raftpb.ConfChangeRemoveNode: "remove",
		raftpb.ConfChangeAddLearnerNode: "learn"}
)

// entries are those of an RPC as the library has them.
func (l *library) entries(r *RPC) []pbEntry {
	if len(r.Entries) == 0 {
		return nil
	}
	out := make([]pbEntry, len(r.Entries))
	for i, e := range r.Entries {
		out[i] = l.entry(r.Index+1+uint64(i), e)
	}
	return out
}

// append takes in entries that the library wants stored; some may replace others.
func (r *Raft) append(entries []pbEntry) {
	l := r.lib
	from := indexOf(entries[0])
	for i := from; i <= l.last(); i++ {
		r.Log.Delete(i)
	}
	keep := l.log[:from-indexOf(l.log[0])]
	if len(keep) < len(l.log) {
		keep = slices.Clip(keep) // what is replaced may be on its way
	}
	l.log = append(keep, entries...)
	for _, e := range entries {
		r.Log.Put(indexOf(e), l.plain(e))
	}
	r.Last = l.last()
}

// compact drops the entries up to an index from the log, but a few.
func (r *Raft) compact() {
	if r.Applied < r.Compacted.Index+uint64(r.Options.SnapshotEvery) {
		return
	}
	l := r.lib
	to := r.Applied - min(r.Applied, uint64(r.Options.Keep)) // it may keep more than there is
	if to <= r.Compacted.Index {
		return
	}
	for i := r.Compacted.Index + 1; i <= to; i++ {
		r.Log.Delete(i)
	}
	at := l.log[to-r.Compacted.Index]
	rest := l.log[to-r.Compacted.Index+1:]
	r.Compacted = Position{to, termOf(at)}
	l.log = append(append(make([]pbEntry, 0, len(rest)+r.Options.SnapshotEvery), newEntry(to, termOf(at), false, nil)), rest...)
}

// install replaces all state by a snapshot's.
func (r *Raft) install(snap pbSnap) {
	index, term, conf, data := snapOf(snap)
	voters, learners := confOf(conf)
	r.Log.Clear()
	r.Compacted, r.Last, r.Applied = Position{index, term}, index, index
	r.lib.log = []pbEntry{newEntry(index, term, false, nil)}
	r.Conf = Conf{r.lib.namesOf(voters), r.lib.namesOf(learners)}
	r.load(data)
}

// A storage is a Raft as the library reads it.
type storage struct{ *Raft }

// InitialState returns what a restart of the library begins with.
func (s storage) InitialState() (pbHard, pbConf, error) {
	vote := uint64(0)
	if s.Vote != "" {
		vote = s.lib.name(s.Vote)
	}
	return newHard(s.Raft.Term, vote, s.Commit), s.Raft.conf(), nil
}

func (r *Raft) conf() pbConf {
	return newConf(r.lib.idsOf(r.Conf.Voters), r.lib.idsOf(r.Conf.Learners))
}

// Entries returns those in [lo, hi), as many as fit into size, and one at least.
func (s storage) Entries(lo, hi, size uint64) ([]pbEntry, error) {
	l := s.lib
	if lo < l.first() {
		return nil, raft.ErrCompacted
	}
	if hi > l.last()+1 {
		return nil, raft.ErrUnavailable
	}
	offset := indexOf(l.log[0])
	es := l.log[lo-offset : hi-offset]
	total, n := uint64(0), 0
	for ; n < len(es); n++ {
		if total += sizeOf(es[n]); total > size && n > 0 {
			break
		}
	}
	return es[:n:n], nil
}

// Term returns the term of an entry, also of the last one that was compacted.
func (s storage) Term(i uint64) (uint64, error) {
	l := s.lib
	switch {
	case i+1 < l.first():
		return 0, raft.ErrCompacted
	case i > l.last():
		return 0, raft.ErrUnavailable
	}
	return termOf(l.log[i-indexOf(l.log[0])]), nil
}

// FirstIndex returns the index of the first entry that is there.
func (s storage) FirstIndex() (uint64, error) { return s.lib.first(), nil }

// LastIndex returns the index of the last entry.
func (s storage) LastIndex() (uint64, error) { return s.lib.last(), nil }

// Snapshot makes a snapshot of the state as it is: that is cheaper than to have one
// lie ready for a node that falls behind.
func (s storage) Snapshot() (pbSnap, error) {
	term, err := s.Term(s.Applied)
	if err != nil {
		panic(fmt.Sprintf("raftkv: the log doesn't reach what is applied: %v", err))
	}
	r := s.Raft
	return newSnap(r.Applied, term, r.conf(), r.image()), nil
}

// quiet takes what the library logs: it would say much, and the History says it
// all. A panic of the library is one of the machine.
type quiet struct{}

func (quiet) Debug(...any)              {}
func (quiet) Debugf(string, ...any)     {}
func (quiet) Info(...any)               {}
func (quiet) Infof(string, ...any)      {}
func (quiet) Warning(...any)            {}
func (quiet) Warningf(string, ...any)   {}
func (quiet) Error(...any)              {}
func (quiet) Errorf(string, ...any)     {}
func (quiet) Fatal(v ...any)            { panic(fmt.Sprint(v...)) }
func (quiet) Fatalf(f string, v ...any) { panic(fmt.Sprintf(f, v...)) }
func (quiet) Panic(v ...any)            { panic(fmt.Sprint(v...)) }
func (quiet) Panicf(f string, v ...any) { panic(fmt.Sprintf(f, v...)) }
