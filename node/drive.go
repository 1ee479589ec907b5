package node

import (
	"context"
	"time"

	"hindcast.dev/event"
	"hindcast.dev/hlc"
	"hindcast.dev/loop"
)

const (
	// idleMax bounds the loop's sleep, so that a jump of the clock is seen although
	// nothing happens.
	idleMax = time.Second
	// overdueWait is the loop's sleep while a timer is due that the journal has no
	// room for.
	overdueWait = 20 * time.Millisecond
	// peeksPerTurn bounds the queries answered between two Polls.
	peeksPerTurn = 64
)

// drive is the loop's goroutine: everything that Loop wants from one goroutine at
// a time happens here.
//
//	journal's Notify ──wake──┐
//	disk's results ──wake────┤        ┌─▶ transport, pending, adapters, log
//	Notes ──wake─────────────┼─ Poll ─┤
//	timers ──NextDue─────────┤        └─▶ disk: sync, ceiling, checkpoint
//	queries and controls ────┘
//
// It ends when the loop or the disk failed, when halt is closed, or, after finish
// was closed, when nothing is left to do.
func (n *Node) drive() {
	defer close(n.loopDone)
	defer n.room.notify() // nobody waits for a loop that is over
	defer func() { n.last = n.loopStatus() }()
	timer := time.NewTimer(idleMax)
	defer timer.Stop()
	finish := n.finish
	for {
		progress, err := n.turn()
		if err != nil {
			n.fail(err)
			return
		}
		if n.finished(progress) {
			return
		}
		if progress {
			signal(n.wake) // look again, after those who ask
		}
		timer.Reset(n.sleep())
		select {
		case <-n.wake:
		case <-timer.C:
		case <-finish:
			finish = nil // seen
		case ask := <-n.controls:
			ask()
		case <-n.halt:
			return
		}
		n.answerPeeks()
	}
}

// turn is one Poll with what belongs to it. progress: more may be left to do.
func (n *Node) turn() (progress bool, err error) {
	synced, ceiling, err := n.disk.results()
	if err != nil {
		n.loop.Fail(err)
		return false, err
	}
	if synced > 0 {
		n.loop.Synced(synced)
	}
	if ceiling > 0 {
		n.loop.CeilingSynced(ceiling)
	}
	before := n.loop.Seq()
	out, err := n.loop.Poll(n.reading())
	for i := range out {
		n.perform(&out[i])
	}
	after := n.loop.Seq()
	if after != before {
		n.room.notify()
	}
	n.maybeStarted(after != before)
	if every := n.ownCheckpoints.Load(); every > 0 && after-n.checkpointed >= every {
		n.checkpointed = after
		n.loop.WantCheckpoint()
	}
	return after != before, err
}

// maybeStarted notices that recovery's rest and the start events are handled.
func (n *Node) maybeStarted(progress bool) {
	if progress || n.saidStart || !n.loop.Begun() || n.j.Waiting() > 0 {
		return
	}
	n.saidStart = true
	close(n.started)
}

// finished reports whether the loop has done all that there was before finish
// was closed, and says so in the journal.
func (n *Node) finished(progress bool) bool {
	select {
	case <-n.finish:
	default:
		return false
	}
	if progress || n.loop.Stats().Held > 0 || n.j.Waiting() > 0 {
		return false
	}
	if n.saidStop {
		return true
	}
	n.saidStop = true
	n.note(event.NoteStop, event.NoteInfo{Boot: n.boot})
	return false
}

// sleep is how long nothing is to be done, if nobody wakes the loop.
func (n *Node) sleep() time.Duration {
	at, ok := n.loop.NextDue()
	if !ok {
		return idleMax
	}
	// By the wall clock alone: had the node's own time reached it, it were offered.
	wall := n.reading().Wall
	if at <= wall {
		return overdueWait
	}
	return min(idleMax, at.Sub(wall)+hlc.TicksDuration(1))
}

func (n *Node) answerPeeks() {
	for range peeksPerTurn {
		select {
		case ask := <-n.peeks:
			ask()
		default:
			return
		}
	}
	signal(n.wake) // there may be more
}

// peek has f called on the loop's goroutine, between two events.
func (n *Node) peek(f func()) error {
	select {
	case <-n.loopDone:
		return ErrStopping
	default:
	}
	select {
	case n.peeks <- f:
		signal(n.wake)
		return nil
	default:
		n.counts.peeksBusy.Add(1)
		return ErrBusy
	}
}

// control calls f on the loop's goroutine and waits for it.
func (n *Node) control(ctx context.Context, f func()) error {
	done := make(chan struct{})
	select {
	case n.controls <- func() { f(); close(done) }:
	case <-n.loopDone:
		return ErrStopping
	case <-ctx.Done():
		return ctx.Err()
	}
	<-done // whoever took it calls it
	return nil
}

// perform does what an output asks for, or hands it on. It doesn't block.
func (n *Node) perform(o *loop.Output) {
	switch o.Kind {
	case loop.OutputSend:
		n.send(o.Node, &o.Frame)
	case loop.OutputReply:
		e := &o.Effect
		n.reply(e.ID, rawReply{name: e.Name, version: e.Version, payload: e.Payload, more: e.More, time: e.Sent})
	case loop.OutputRefusal:
		n.reply(o.Effect.ID, rawReply{refused: o.Reason, time: o.Effect.Sent})
	case loop.OutputCall:
		n.call(&o.Effect)
	case loop.OutputLog:
		n.logEffect(&o.Effect)
	case loop.OutputSync, loop.OutputCeiling, loop.OutputCheckpoint:
		n.disk.wantOutput(o)
	}
}

// reply hands a reply to who waits for it; one that comes too late is dropped and
// counted.
func (n *Node) reply(id event.MessageID, r rawReply) {
	if id.Node != n.clientName || id.Boot != n.boot {
		n.pending.late()
		return
	}
	if w := n.pending.deliver(id.Seq, r); w != nil {
		n.replyNative(w, &r)
	}
}

func (n *Node) logEffect(e *event.Effect) {
	log := n.logs.in(AreaMachine)
	if e.Machine == "" {
		log = n.logs.in(AreaLoop)
	}
	level := levelOf(e.Name)
	if !log.Enabled(context.Background(), level) {
		return
	}
	var about []any
	if e.Machine != "" {
		about = append(about, "machine", e.Machine)
	}
	if e.Sent != 0 { // the loop's own lines are of no event
		about = append(about, "time", e.Sent.String())
	}
	log.Log(context.Background(), level, string(e.Payload), about...)
}

// note has a fact journaled. Any goroutine.
func (n *Node) note(name string, info event.NoteInfo) { n.noteAfter(0, name, info) }

// noteAfter is note for what happened after sent, elsewhere perhaps.
func (n *Node) noteAfter(sent hlc.Timestamp, name string, info event.NoteInfo) {
	// One that finds no place is counted by the loop, which says so later.
	if err := n.loop.NoteAfter(sent, name, info); err != nil {
		n.logs.in(AreaLoop).Debug("note lost", "note", name, "err", err)
	}
	signal(n.wake)
}

// reading looks at the machine's clocks.
func (n *Node) reading() hlc.Reading {
	now := time.Now()
	wall := now.Add(time.Duration(n.clockOffset.Load()))
	return hlc.Reading{Wall: hlc.FromTime(wall), Mono: now.Sub(n.epoch)}
}
