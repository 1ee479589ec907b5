// Package raftkv is a linearizable key-value store on Raft: etcd-io/raft's RawNode
// as a machine of Hindcast, with its log, snapshots and members in the machine's
// state, an HTTP face, and the properties that it is to keep.
//
// The library is used as its documents say: messages, ticks and proposals go in,
// Ready comes out. What it says is to be stored is stored in the exported fields
// in the same Step. That is honest, because an input is in the journal before its
// Step, and the messages that come of it leave after the journal's sync: whoever
// hears of an entry or a vote hears of something that is there after a crash.
//
// RawNode itself has no exported fields. It is made anew from those of Raft at
// reopen events: see machine.Reopening.
package raftkv

import (
	"slices"
	"time"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"hindcast.dev/event"
	"hindcast.dev/hlc"
	"hindcast.dev/machine"
)

// Name is the machine's name, on which clients call and which queries use.
const Name = "raft"

// Bounds.
const (
	MaxKey      = 512     // bytes
	MaxValue    = 8 << 10 // bytes, also of what Append makes
	MaxPending  = 1024    // writes of a node that wait, and as many reads
	MaxSessions = 1024    // remembered; those idle for longest are forgotten
)

// Raft is the machine. Queries may ask for its exported fields: raft.term,
// raft.log[7].data, raft.progress["n2"].match and so on.
type Raft struct {
	// What the library has stored.
	Term      uint64
	Vote      string // for whom in this term, "" for nobody
	Commit    uint64
	Log       machine.Map[uint64, Entry] // indexes (Compacted.Index, Last]
	Compacted Position                   // what lies before Log
	Last      uint64
	Conf      Conf

	// How the library sees the cluster.
	State    string // follower, pre-candidate, candidate or leader
	Lead     string // "" if there is none
	Led      machine.Set[uint64]
	Wins     int                           // how many terms are in Led
	Progress machine.Map[string, Progress] // a leader's
	Snaps    machine.Map[string, hlc.Timestamp]

	// What the committed entries came to, up to Applied.
	Applied  uint64
	Data     machine.Map[string, Item]
	Bytes    int // of keys and values in Data
	Sessions machine.Map[string, Done]

	// What clients of this node wait for. Numbers are this node's, in order of time.
	Count   uint64
	Writes  machine.Map[uint64, Waiting]
	Reads   machine.Map[uint64, Waiting]
	Round   Round
	Sweeps  bool // a Sweep is on its way
	Retries bool // a Retry is on its way

	// When to begin an election: Patience after Heard.
	Heard    hlc.Timestamp `hindcast:"-"`
	Patience time.Duration
	Proposed machine.Map[string, event.MessageID] // the last proposal that was passed on to here, by node

	Self    string
	Peers   []string
	Options Options

	lib *library
}

type (
	// Conf is who belongs to the cluster.
	Conf struct{ Voters, Learners []string }

	// Waiting is a client's operation that waits.
	Waiting struct {
		Request event.MessageID
		Due     hlc.Timestamp
		Key     string // that is read
	}

	// Round is a question to the leader for a read index, for all reads up to a
	// number at once. The others wait for the next round.
	Round struct {
		Context string // of the question, and of its retries; "" if none is under way
		Upto    uint64
		Index   uint64 // the answer, 0 before it came
		Leader  string // when it was asked
	}
)

// New returns a machine that hasn't started.
func New() machine.Machine { return &Raft{} }

// Registry holds the machine by name and version.
func Registry() machine.Registry { return machine.Registry{Name: {1: New}} }

// Payloads lists the types that Raft sends and takes.
func (*Raft) Payloads() []any {
	return []any{&MsgProp{}, &MsgApp{}, &MsgAppResp{}, &MsgVote{}, &MsgVoteResp{}, &MsgPreVote{}, &MsgPreVoteResp{}, &MsgSnap{},
		&MsgHeartbeat{}, &MsgHeartbeatResp{}, &MsgTimeoutNow{}, &MsgReadIndex{}, &MsgReadIndexResp{},
		Get{}, Put{}, Delete{}, Cas{}, Append{}, Members{}, Ask{}, Answer{}, Failure{}, Status{}, Tick{}, Elect{}, Retry{}, Sweep{}}
}

// Delivery is any: Raft bears messages that come late, twice or in disorder.
func (*Raft) Delivery() machine.Delivery { return machine.AnyOrder }

// Step handles one event.
func (r *Raft) Step(ctx *machine.Context, ev event.Event) {
	was := r.standing()
	switch ev.Kind {
	case event.Start:
		r.start(ctx)
		return
	case event.Control:
		if ev.Name == event.ControlReopen {
			r.handOver(ctx)
			return
		}
		r.configure(ctx)
	case event.Request:
		r.request(ctx, ev.ID, ev.Body)
	case event.Message:
		r.receive(ctx, ev)
	case event.Timer:
		r.timer(ctx, ev.Body)
	}
	r.settle(ctx, was)
}

// A standing is where a node stands in the protocol.
type standing struct {
	term        uint64
	state, lead string
}

func (r *Raft) standing() standing { return standing{r.Term, r.State, r.Lead} }

func (r *Raft) start(ctx *machine.Context) {
	r.configure(ctx)
	r.Compacted, r.Last = Position{1, 1}, 1
	r.Term, r.Commit, r.Applied, r.State = 1, 1, 1, follower
	r.Conf.Voters = r.Options.voters(append([]string{r.Self}, r.Peers...))
	r.Reopen()
	r.reset(ctx)
}

func (r *Raft) configure(ctx *machine.Context) {
	o, err := options(ctx.Start.Config)
	if err != nil {
		ctx.Log("error", "settings: %v: the defaults are used instead", err)
	}
	// The library has what it was made with until it is made anew.
	r.Options, r.Self, r.Peers = o, ctx.Node(), slices.Clone(ctx.Peers())
}

// handOver prepares to be a follower that knows of no leader. A leader lets a
// follower that has all of its log go ahead at once.
func (r *Raft) handOver(ctx *machine.Context) {
	if r.State == leader {
		if next := r.upToDate(); next != "" {
			r.lib.node.TransferLeader(r.lib.ids[next])
			r.ready(ctx)
		}
	}
	r.State, r.Lead = follower, ""
	r.Progress.Clear()
	r.Snaps.Clear()
	r.reset(ctx)
}

// receive gives the library a message of another node.
func (r *Raft) receive(ctx *machine.Context, ev event.Event) {
	kind, m := rpcOf(ev.Body)
	if m == nil {
		return
	}
	from := ev.ID.Node
	if m.From == "" {
		m.From = from
	}
	switch kind {
	case raftpb.MsgProp:
		// A duplicate would be a second proposal. Late ones are dropped as well: whoever
		// waits for one will hear that its fate is unknown.
		if last, ok := r.Proposed.Get(from); ok && !last.Less(ev.ID) {
			return
		}
		r.Proposed.Put(from, ev.ID)
	case raftpb.MsgVote, raftpb.MsgPreVote:
		r.maybeForget(ctx, m.Term)
	}
	var snap pbSnap
	if s := m.Snapshot; s != nil {
		snap = newSnap(s.Index, s.Term, newConf(r.lib.idsOf(s.Voters), r.lib.idsOf(s.Learners)), s.Data)
	}
	// What it says of a message that it can't use is no error here.
	_ = r.lib.node.Step(newMessage(kind, r.lib.name(m.From), r.lib.ids[r.Self], m, r.lib.entries(m), snap))
	r.ready(ctx)
	switch kind {
	case raftpb.MsgApp, raftpb.MsgHeartbeat, raftpb.MsgSnap:
		if m.Term == r.Term && r.Lead == m.From {
			r.Heard = ctx.Now()
		}
	}
}

func (r *Raft) timer(ctx *machine.Context, body any) {
	switch body.(type) {
	case Tick:
		r.tick(ctx)
	case Elect:
		r.elect(ctx)
	case Retry:
		r.Retries = false
		if r.Round.Context != "" && r.Round.Index == 0 {
			r.askIndex(ctx)
		}
	case Sweep:
		r.sweep(ctx)
	}
}

// settle does what is left to do when the library has nothing more to say.
func (r *Raft) settle(ctx *machine.Context, was standing) {
	r.ready(ctx)
	if now := r.standing(); now.term != was.term || now.state != was.state {
		r.reset(ctx)
	}
	if r.Lead != "" && r.Lead != was.lead {
		r.leaderChanged(ctx)
	}
	if r.State == leader {
		r.lib.node.WithProgress(r.progress)
	} else if r.Progress.Len() > 0 {
		r.Progress.Clear()
		r.Snaps.Clear()
	}
	r.answerReads(ctx)
	r.compact()
}

// ready does what the library says until it has nothing more to say.
func (r *Raft) ready(ctx *machine.Context) {
	node := r.lib.node
	for node.HasReady() {
		rd := node.Ready()
		r.save(&rd)
		for i := range rd.Messages {
			r.send(ctx, rd.Messages[i])
		}
		for i := range rd.CommittedEntries {
			r.commit(ctx, rd.CommittedEntries[i])
		}
		for i := range rd.ReadStates {
			if rs := &rd.ReadStates[i]; r.Round.Index == 0 && string(rs.RequestCtx) == r.Round.Context {
				r.Round.Index = rs.Index
			}
		}
		node.Advance(rd)
	}
}

// save takes in what is to be stored before messages are sent.
func (r *Raft) save(rd *raft.Ready) {
	if !raft.IsEmptySnap(rd.Snapshot) {
		r.install(rd.Snapshot)
	}
	if len(rd.Entries) > 0 {
		r.append(rd.Entries)
	}
	if term, vote, commit, ok := hardOf(rd); ok {
		r.Term, r.Vote, r.Commit = term, r.lib.names[vote], commit
	}
	if s := rd.SoftState; s != nil {
		r.State, r.Lead = stateNames[s.RaftState], r.lib.names[s.Lead]
		if r.State == leader && r.Led.Add(r.Term) {
			r.Wins++
		}
	}
}

// send sends a message of the library.
func (r *Raft) send(ctx *machine.Context, m pbMessage) {
	kind, from, to, rpc, entries, snap, hasSnap := messageOf(m)
	name := r.lib.names[to]
	body := bodyOf(kind, rpc)
	if name == "" || body == nil {
		return
	}
	if from := r.lib.names[from]; from != r.Self {
		rpc.From = from
	}
	for _, e := range entries {
		rpc.Entries = append(rpc.Entries, r.lib.plain(e))
	}
	switch {
	case hasSnap && kind == raftpb.MsgSnap:
		index, term, conf, data := snapOf(snap)
		voters, learners := confOf(conf)
		rpc.Snapshot = &Snapshot{index, term, r.lib.namesOf(voters), r.lib.namesOf(learners), data}
		r.Snaps.Put(name, ctx.Now())
	case kind == raftpb.MsgVoteResp && !rpc.Reject:
		r.Heard = ctx.Now()
	}
	ctx.Send(name, Name, body)
}

// progress takes in what a leader knows of a node.
func (r *Raft) progress(id uint64, _ raft.ProgressType, pr progressOf) {
	name := r.lib.names[id]
	p := Progress{pr.Match, pr.Next, progressNames[pr.State]}
	if old, ok := r.Progress.Get(name); !ok || old != p {
		r.Progress.Put(name, p)
	}
}
