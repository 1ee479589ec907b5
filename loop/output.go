package loop

import (
	"fmt"

	"hindcast.dev/event"
	"hindcast.dev/hlc"
	"hindcast.dev/journal"
	"hindcast.dev/journal/record"
	"hindcast.dev/stepper"
)

// An OutputKind says what an Output asks of the driver.
type OutputKind uint8

// The kinds of Output.
const (
	OutputSend       OutputKind = iota + 1 // Frame goes to node Node
	OutputReply                            // Effect answers the request Effect.ID
	OutputRefusal                          // the request Effect.ID can't be taken: Reason
	OutputCall                             // Effect goes to adapter Effect.To; its result is offered as a Result
	OutputLog                              // Effect is a line for the log
	OutputSync                             // sync the journal, then call Synced
	OutputCeiling                          // raise the journal's clock ceiling to Time, then call CeilingSynced
	OutputCheckpoint                       // write Body as the checkpoint at Seq; the journal is durable up to there
)

var outputNames = [...]string{OutputSend: "send", OutputReply: "reply", OutputRefusal: "refusal", OutputCall: "call",
	OutputLog: "log", OutputSync: "sync", OutputCeiling: "ceiling", OutputCheckpoint: "checkpoint"}

// String is the kind's name.
func (k OutputKind) String() string { return outputNames[k] }

// An Output is something for the driver to do. It belongs to the driver.
type Output struct {
	Kind   OutputKind
	Seq    uint64       // the event that caused it; sync: the last event to be covered
	Node   string       // send
	Frame  record.Frame // send
	Effect event.Effect // reply, refusal, call, log
	Reason string       // refusal
	Time   hlc.Timestamp
	// Of a checkpoint: what its file's header wants besides Seq and Time.
	Physical hlc.Timestamp
	Chain    uint64
	Versions map[string]uint32
	Body     []byte
}

// collect turns the outcome of an event into held outputs.
func (l *Loop) collect(ev *event.Event, out *stepper.Outcome) {
	switch {
	case ev.Kind == event.Refused && out.Refused == "":
		l.stats.Refusals++
	case out.Duplicate:
		l.stats.Duplicates++
	case out.Stale:
		l.stats.Stale++
	case out.Refused != "":
		l.refuse(ev, out.Refused)
	}
	for i := range out.Effects {
		e := &out.Effects[i]
		switch e.Kind {
		case event.EffectSend:
			l.hold(Output{Kind: OutputSend, Seq: l.seq, Node: e.Node, Frame: messageFrame(e)})
		case event.EffectReply:
			l.hold(Output{Kind: OutputReply, Seq: l.seq, Effect: *e})
		case event.EffectCall:
			l.hold(Output{Kind: OutputCall, Seq: l.seq, Effect: *e})
		case event.EffectLog:
			l.hold(Output{Kind: OutputLog, Seq: l.seq, Effect: *e})
		}
	}
}

// refuse sends word back about an event that no machine here takes.
func (l *Loop) refuse(ev *event.Event, reason string) {
	l.stats.Refused++
	switch ev.Kind {
	case event.Message:
		f := record.Frame{Kind: event.Refused, Machine: ev.From, From: ev.Machine, Name: ev.Name,
			Version: ev.Version, ID: ev.ID, Sent: ev.Time, Payload: []byte(reason)}
		l.hold(Output{Kind: OutputSend, Seq: l.seq, Node: ev.ID.Node, Frame: f})
	case event.Request:
		l.hold(Output{Kind: OutputRefusal, Seq: l.seq, Effect: event.Effect{ID: ev.ID, Sent: ev.Time}, Reason: reason})
	}
	l.hold(Output{Kind: OutputLog, Seq: l.seq, Effect: logEffect("warn", "refused %s %s %s: %s", ev.Kind, ev.Name, ev.ID, reason)})
}

func (l *Loop) hold(o Output) {
	l.held = append(l.held, o)
	l.heldBytes += o.bytes()
}

// bytes is what an output keeps in memory beyond itself. A checkpoint doesn't
// count: there is one at most at a time, and its size is the state's.
func (o *Output) bytes() int {
	return len(o.Frame.Payload) + len(o.Frame.Baggage) + len(o.Effect.Payload) + len(o.Effect.Baggage)
}

// release moves to out what may be performed now. A checkpoint waits for the
// disk under every policy: a checkpoint ahead of the journal would be a state
// that never was.
func (l *Loop) release() {
	n := 0
	for n < len(l.held) {
		o := &l.held[n]
		free := (l.cfg.Durability == journal.Process || canaryReleasesUnsynced) && o.Kind != OutputCheckpoint
		if !free && o.Seq > l.durable {
			break
		}
		l.out = append(l.out, *o)
		l.heldBytes -= o.bytes()
		n++
	}
	rest := copy(l.held, l.held[n:])
	clear(l.held[rest:])
	l.held = l.held[:rest]
}

func messageFrame(e *event.Effect) record.Frame {
	return record.Frame{Kind: event.Message, Machine: e.To, From: e.Machine, Name: e.Name, Version: e.Version,
		ID: e.ID, Sent: e.Sent, Baggage: e.Baggage, Payload: e.Payload}
}

// FrameOf returns the frame that carries an event to the journal.
func FrameOf(ev *event.Event) record.Frame {
	return record.Frame{Kind: ev.Kind, Machine: ev.Machine, From: ev.From, Name: ev.Name, Version: ev.Version,
		ID: ev.ID, Sent: ev.Sent, Baggage: ev.Baggage, Payload: ev.Payload}
}

func logEffect(level, format string, args ...any) event.Effect {
	return event.Effect{Kind: event.EffectLog, Name: level, Payload: fmt.Appendf(nil, format, args...)}
}
