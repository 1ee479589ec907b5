package replay

import (
	"fmt"

	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/hlc"
	"hindcast.dev/journal"
	"hindcast.dev/journal/checkpoint"
	"hindcast.dev/journal/record"
	"hindcast.dev/stepper"
)

// A Live turns what a shadow replica follows into the entries of a History: the
// same that a replay of the journal gives. It is the replica's stepper.Changes. As
// in a replay the last event is held back until the next one confirms that it came
// out as the node had it; only the last of a node that stops is given at once. Not
// safe for concurrent use.
type Live struct {
	p    player
	skip func(seq uint64) (reason string, skip bool)
	err  error
}

// NewLive returns a Live that writes into w; skip is journal.Journal.Skip.
func NewLive(node string, w history.NodeWriter, skip func(seq uint64) (string, bool)) *Live {
	return &Live{p: player{j: Journal{Node: node}, w: w, vars: map[string]history.VarID{}}, skip: skip}
}

// Lean leaves out of the events what they carry: their data, ids, peers and effects.
// Kind, name, machine and all changes stay. Decoding payloads is about a third of
// what a shadow that is told costs.
func (l *Live) Lean() { l.p.o.Lean = true }

// Begin is told the stepper as it is before the first event: restored from the
// checkpoint of which h is the header, or new, with a zero h. It writes a base.
func (l *Live) Begin(st *stepper.Stepper, h checkpoint.Header) {
	f := stepper.NewFollower(st)
	if h.Seq == 0 {
		l.p.f = f
		return
	}
	l.keep(l.p.begin(f, h))
}

// See takes what came of an event.
func (l *Live) See(f *stepper.Followed, s record.Stamp) {
	l.p.node.boots(&l.p, s.Boot)
	l.keep(l.p.flush())
	l.keep(l.p.noteBulky(s.Time))
	reason, _ := l.skip(s.Seq)
	l.p.convert(&journal.Entry{Stamp: s}, f, reason)
	l.p.changes = l.p.changes[:0]
	if !l.p.node.up {
		l.keep(l.p.flush())
	}
}

func (l *Live) keep(err error) {
	if l.err == nil && err != nil {
		l.err = fmt.Errorf("history of node %s: %w", l.p.j.Node, err)
	}
}

// Promised is the Timestamp up to which everything was written: nothing stamped at
// or below it will be.
func (l *Live) Promised() hlc.Timestamp {
	if l.p.held {
		return l.p.pending.Time - 1
	}
	return l.p.last.Time
}

// Err is the first error of the writer.
func (l *Live) Err() error { return l.err }

// Change implements stepper.Changes.
func (l *Live) Change(variable string, path []event.Value, v event.Value) {
	l.p.Change(variable, path, v)
}

// Bulky implements stepper.Changes.
func (l *Live) Bulky(variable string) { l.p.Bulky(variable) }
