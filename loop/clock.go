package loop

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"hindcast.dev/event"
	"hindcast.dev/hlc"
)

// drifts is how far peers' clocks are ahead, by peer; only those that are being
// refused. There are at most as many as Config.Peers.
type drifts map[string]time.Duration

// Drifting returns the peers whose messages are being refused because their
// clocks are more than MaxDrift ahead, and by how much the last one was. A peer
// is no longer among them once a message of it was taken.
func (l *Loop) Drifting() map[string]time.Duration { return maps.Clone(l.drifting) }

// watchPeer remembers what an event's stamping said about its sender's clock:
// err is why it was refused, nil if it was taken.
func (l *Loop) watchPeer(ev *event.Event, err error) {
	if ev.Kind != event.Message {
		return
	}
	if err == nil && len(l.drifting) == 0 {
		return
	}
	peer := ev.ID.Node
	var drift *hlc.DriftError
	if !errors.As(err, &drift) {
		if _, was := l.drifting[peer]; was {
			delete(l.drifting, peer)
			l.say("info", "the clock of %s is within MaxDrift %s again: its messages are taken", peer, l.cfg.MaxDrift)
		}
		return
	}
	if _, was := l.drifting[peer]; !was && slices.Contains(l.cfg.Peers, peer) {
		if l.drifting == nil {
			l.drifting = drifts{}
		}
		l.say("error", "%s is isolated: its clock is %s ahead of this node's, more than MaxDrift %s, and its messages are dropped until that ends: check the time synchronisation of both",
			peer, drift.Refused.Sub(drift.Local), l.cfg.MaxDrift)
		l.drifting[peer] = 0
	}
	if _, known := l.drifting[peer]; known {
		l.drifting[peer] = drift.Refused.Sub(drift.Local)
	}
}

// watchClock says when a jump of the own clock begins and ceases to be refused.
func (l *Loop) watchClock(r hlc.Reading) {
	l.clock.Physical(r)
	jump := l.clock.Jump()
	switch {
	case jump != 0 && !l.jumping:
		reason := fmt.Sprintf("the wall clock jumped ahead by %s, more than MaxDrift %s: going on by monotonic time", jump, l.cfg.MaxDrift)
		l.say("error", "%s; set it right", reason)
		l.note(event.NoteClock, event.NoteInfo{State: "refused", Reason: reason})
	case jump == 0 && l.jumping:
		l.say("info", "the wall clock is trusted again")
		l.note(event.NoteClock, event.NoteInfo{State: "ok", Reason: "the wall clock is trusted again"})
	}
	l.jumping = jump != 0
}

// say has a line logged at once: it is about now, and waits for no disk.
func (l *Loop) say(level, format string, args ...any) {
	l.out = append(l.out, Output{Kind: OutputLog, Seq: l.seq, Effect: logEffect(level, format, args...)})
}
