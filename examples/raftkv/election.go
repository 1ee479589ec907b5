package raftkv

import (
	"slices"
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
	r.retire()
	r.lib.node.Tick()
	ctx.SetTimer(timerTick, r.Options.Tick, Tick{})
}

// retire hands the lead over if the leader has no vote any more. The library would
// rather have it step down where it applies that change (StepDownOnRemoval). But a
// change holds for a node once it applied it, and the others hear that it is
// committed from the leader alone: if it is silent then, and one of the other old
// voters is down, nobody has the votes of those who must still be asked, as the one
// who led has the longest log and doesn't campaign. Nodes would be up in a
// sufficient number and elect nobody for ever.
func (r *Raft) retire() {
	if slices.Contains(r.Conf.Voters, r.Self) {
		return
	}
	if next := r.upToDate(); next != "" {
		r.lib.node.TransferLeader(r.lib.ids[next])
	}
}

// upToDate is a voter that has all of the leader's log, "" if there is none.
func (r *Raft) upToDate() string {
	for name, p := range r.Progress.All() {
		if name != r.Self && p.Match == r.Last && slices.Contains(r.Conf.Voters, name) {
			return name
		}
	}
	return ""
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
