package raftkv

import (
	"time"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/tracker"

	"hindcast.dev/machine"
)

// The library draws each election timeout from a source of its own, a global one,
// which no journal knows. It looks at what it drew in one place: where a node that
// isn't the leader has its Tick. So only leaders get Ticks here; a leader's is about
// heartbeats and whether a quorum is there, without chance. The others' clock is
// the machine's own:
//
//   - Patience, drawn from Context.Rand whenever the library draws a timeout, from
//     the same range [ElectionTick, 2 ElectionTick) ticks. When it has passed since
//     Heard, which is reset when the library resets its own count, Campaign is
//     called, which is what Tick would do.
//   - With CheckQuorum, a node that has heard of a leader within ElectionTick
//     refuses to take part in elections. Its count of Ticks stands still, so it would
//     refuse for ever: ForgetLeader, when that time has passed and somebody asks,
//     ends it.

// States of a node.
const (
	follower = "follower"
	leader   = "leader"
)

var (
	stateNames = map[raft.StateType]string{raft.StateFollower: follower, raft.StateLeader: leader,
		raft.StateCandidate: "candidate", raft.StatePreCandidate: "pre-candidate"}
	progressNames = map[tracker.StateType]string{tracker.StateProbe: "probe", tracker.StateReplicate: "replicate",
		tracker.StateSnapshot: "snapshot"}
)

type progressOf = tracker.Progress

// Names of timers.
const (
	timerTick  = "tick"
	timerElect = "elect"
	timerRetry = "retry"
	timerSweep = "sweep"
)

// electionTimeout is the least time without a leader before an election.
func (o *Options) electionTimeout() time.Duration { return time.Duration(o.ElectionTick) * o.Tick }

// reset begins to wait anew, as the library does when the term or the node's part
// in it changes.
func (r *Raft) reset(ctx *machine.Context) {
	least := r.Options.electionTimeout()
	r.Heard = ctx.Now()
	r.Patience = least + time.Duration(ctx.Rand().Uint64N(uint64(least)))
	if r.State == leader {
		ctx.CancelTimer(timerElect)
		ctx.SetTimer(timerTick, r.Options.Tick, Tick{})
		return
	}
	ctx.CancelTimer(timerTick)
	ctx.SetTimer(timerElect, r.Patience, Elect{})
}

// tick is the leader's clock.
func (r *Raft) tick(ctx *machine.Context) {
	if r.State != leader {
		return
	}
	for name, at := range r.Snaps.All() {
		r.maybeLost(ctx, name, at)
	}
	r.lib.node.Tick()
	ctx.SetTimer(timerTick, r.Options.Tick, Tick{})
}

// maybeLost tells the library of a snapshot that wasn't acknowledged in time: it
// would send nothing else to that node until it hears of it.
func (r *Raft) maybeLost(ctx *machine.Context, name string, sent hlcTime) {
	if p, _ := r.Progress.Get(name); p.State != "snapshot" {
		r.Snaps.Delete(name)
		return
	}
	if ctx.Now() >= sent.Add(r.Options.electionTimeout()) {
		r.Snaps.Delete(name)
		r.lib.node.ReportSnapshot(r.lib.ids[name], raft.SnapshotFailure)
	}
}

// elect begins an election, if there was no word of a leader for long enough.
func (r *Raft) elect(ctx *machine.Context) {
	if r.State == leader {
		return
	}
	if left := r.Heard.Add(r.Patience).Sub(ctx.Now()); left > 0 {
		ctx.SetTimer(timerElect, left, Elect{})
		return
	}
	before := r.standing()
	_ = r.lib.node.Campaign() // a node that may not says no, and waits on
	r.ready(ctx)
	if r.standing() == before {
		r.reset(ctx)
	}
}

// maybeForget lets the library take part in another's election when the leader
// wasn't heard of for so long that it would by its own count.
func (r *Raft) maybeForget(ctx *machine.Context, term uint64) {
	if term > r.Term && r.Lead != "" && r.State != leader && ctx.Now() >= r.Heard.Add(r.Options.electionTimeout()) {
		_ = r.lib.node.ForgetLeader() // fails where there is nobody to forget
	}
}
