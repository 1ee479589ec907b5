package raftkv

import (
	"fmt"
	"slices"
	"unicode/utf8"

	"hindcast.dev/event"
	"hindcast.dev/hlc"
	"hindcast.dev/machine"
)

type hlcTime = hlc.Timestamp

// request begins a client's operation.
func (r *Raft) request(ctx *machine.Context, req event.MessageID, body any) {
	c := command{}
	switch m := body.(type) {
	case Get:
		r.get(ctx, req, m)
		return
	case Ask:
		ctx.Reply(req, r.status())
		return
	case Members:
		r.change(ctx, req, m)
		return
	case Put:
		c = command{op: "put", key: m.Key, value: m.Value, session: m.Session, sequenceNumber: m.Seq}
	case Delete:
		c = command{op: "delete", key: m.Key, session: m.Session, sequenceNumber: m.Seq}
	case Cas:
		c = command{op: "cas", key: m.Key, value: m.New, old: m.Old, session: m.Session, sequenceNumber: m.Seq}
		if m.Absent {
			c.op, c.old = "create", ""
		}
	case Append:
		c = command{op: "append", key: m.Key, value: m.Value, session: m.Session, sequenceNumber: m.Seq}
	}
	if why := c.invalid(); why != "" {
		ctx.Reply(req, Failure{Code: Invalid, Reason: why})
		return
	}
	number, ok := r.mayWrite(ctx, req)
	if !ok {
		return
	}
	c.node, c.number = r.Self, number
	r.proposed(ctx, req, number, r.lib.node.Propose(c.encode()))
}

func (c *command) invalid() string {
	switch {
	case c.key == "" || len(c.key) > MaxKey || !utf8.ValidString(c.key):
		return fmt.Sprintf("a key is UTF-8 text of 1 to %d bytes", MaxKey)
	case len(c.value) > MaxValue || len(c.old) > MaxValue || !utf8.ValidString(c.value):
		return fmt.Sprintf("a value is UTF-8 text of up to %d bytes", MaxValue)
	case len(c.session) > MaxKey || (c.session == "") != (c.sequenceNumber == 0):
		return fmt.Sprintf("a session is a name of up to %d bytes with a sequence number from 1 on", MaxKey)
	}
	return ""
}

// mayWrite returns the number of a new write, or answers why there can be none.
func (r *Raft) mayWrite(ctx *machine.Context, req event.MessageID) (number uint64, ok bool) {
	switch {
	case r.Writes.Len() >= MaxPending:
		ctx.Reply(req, Failure{Code: Busy, Reason: "as many writes as a node may have wait"})
		return 0, false
	case r.State != leader && (!r.Options.Forward || r.Lead == ""):
		r.refuse(ctx, req)
		return 0, false
	}
	r.Count++
	return r.Count, true
}

func (r *Raft) refuse(ctx *machine.Context, req event.MessageID) {
	f := Failure{Code: NotLeader, Reason: "this node isn't the leader, and knows of none", Leader: r.Lead}
	if r.Lead != "" {
		f.Reason = "this node isn't the leader"
	}
	ctx.Reply(req, f)
}

// proposed lets a write wait for its entry, unless the library didn't take it.
func (r *Raft) proposed(ctx *machine.Context, req event.MessageID, number uint64, err error) {
	if err != nil {
		ctx.Reply(req, Failure{Code: Busy, Reason: "the leader takes no more at the moment", Leader: r.Lead})
		return
	}
	r.Writes.Put(number, Waiting{Request: req, Due: ctx.Now().Add(r.Options.Timeout)})
	r.sweepLater(ctx)
}

// change proposes a change of members.
func (r *Raft) change(ctx *machine.Context, req event.MessageID, m Members) {
	kind, known := changes[m.Change]
	if !known || m.Node != r.Self && !slices.Contains(r.Peers, m.Node) {
		ctx.Reply(req, Failure{Code: Invalid, Reason: "a change is add, learn or remove, of a node that all nodes know"})
		return
	}
	number, ok := r.mayWrite(ctx, req)
	if !ok {
		return
	}
	context := fmt.Appendf(nil, "%s %s/%d", m.Node, r.Self, number)
	r.proposed(ctx, req, number, r.lib.node.ProposeConfChange(newChange(kind, r.lib.name(m.Node), context)))
}

// Reads are linearizable by the library's ReadIndex: the leader says up to where
// the log was committed, when a majority has confirmed that it is the leader; then
// this node reads its own copy, once that is applied. One question is under way at
// a time, for all reads that wait; without an answer it is asked again, with the
// same context, as users of the library do.

func (r *Raft) get(ctx *machine.Context, req event.MessageID, m Get) {
	switch {
	case m.Key == "" || len(m.Key) > MaxKey:
		ctx.Reply(req, Failure{Code: Invalid, Reason: fmt.Sprintf("a key is UTF-8 text of 1 to %d bytes", MaxKey)})
		return
	case m.Stale:
		ctx.Reply(req, r.read(m.Key))
		return
	case r.Reads.Len() >= MaxPending:
		ctx.Reply(req, Failure{Code: Busy, Reason: "as many reads as a node may have wait"})
		return
	}
	r.Count++
	r.Reads.Put(r.Count, Waiting{Request: req, Due: ctx.Now().Add(r.Options.Timeout), Key: m.Key})
	r.sweepLater(ctx)
	r.maybeAsk(ctx)
}

// maybeAsk begins a round for the reads that wait, unless one is under way.
func (r *Raft) maybeAsk(ctx *machine.Context) {
	if r.Round.Context != "" || r.Reads.Len() == 0 {
		return
	}
	r.Count++
	r.Round = Round{Context: fmt.Sprintf("%s/%d", r.Self, r.Count), Upto: r.Count, Leader: r.Lead}
	r.askIndex(ctx)
}

// askIndex asks the leader, and asks again if there is no answer.
func (r *Raft) askIndex(ctx *machine.Context) {
	r.lib.node.ReadIndex([]byte(r.Round.Context))
	r.retryLater(ctx)
	r.ready(ctx)
}

func (r *Raft) retryLater(ctx *machine.Context) {
	ctx.SetTimer(timerRetry, r.Options.Retry, Retry{})
	r.Retries = true
}

// leaderChanged gives up a round that another leader was asked in, and begins a
// new one.
func (r *Raft) leaderChanged(ctx *machine.Context) {
	if r.Round.Context != "" && r.Round.Index == 0 && r.Round.Leader != r.Lead {
		r.Round = Round{}
		r.maybeAsk(ctx)
	}
}

// answerReads answers the reads of a round when what it said is applied.
func (r *Raft) answerReads(ctx *machine.Context) {
	for r.Round.Context != "" && r.Round.Index != 0 && r.Applied >= r.Round.Index {
		for number, w := range r.Reads.All() {
			if number > r.Round.Upto {
				break
			}
			r.Reads.Delete(number)
			ctx.Reply(w.Request, r.read(w.Key))
		}
		r.Round = Round{}
		if r.Retries {
			ctx.CancelTimer(timerRetry)
			r.Retries = false
		}
		r.maybeAsk(ctx)
	}
}

// sweepLater sees to it that what waits doesn't wait for ever.
func (r *Raft) sweepLater(ctx *machine.Context) {
	if !r.Sweeps {
		r.Sweeps = true
		ctx.SetTimer(timerSweep, r.Options.Timeout, Sweep{})
	}
}

// sweep ends what has waited for too long, and goes on when the next of it will
// have.
func (r *Raft) sweep(ctx *machine.Context) {
	r.Sweeps = false
	unknown := Failure{Code: Unknown, Reason: "it was proposed, and may be done or not"}
	next := min(r.expire(ctx, &r.Writes, unknown), r.expire(ctx, &r.Reads, Failure{Code: Unavailable, Reason: "no leader answered in time"}))
	if next != never {
		r.Sweeps = true
		ctx.SetTimer(timerSweep, next.Sub(ctx.Now()), Sweep{})
	}
}

const never = ^hlc.Timestamp(0)

// expire fails what is due, and returns when the first of the rest is.
func (r *Raft) expire(ctx *machine.Context, m *machine.Map[uint64, Waiting], f Failure) hlc.Timestamp {
	f.Leader = r.Lead
	for number, w := range m.All() {
		if w.Due > ctx.Now() {
			return w.Due
		}
		m.Delete(number)
		ctx.Reply(w.Request, f)
	}
	return never
}
