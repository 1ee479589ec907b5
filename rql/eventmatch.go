package rql

import (
	"slices"
	"strings"

	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/hlc"
	"hindcast.dev/rql/plan"
	"hindcast.dev/rql/syntax"
)

// An occurrence is what event queries call an event: an event of the History, or
// one of the effects that came of it, which happened one after the other before
// the node's next event.
type occurrence struct {
	eventKind
	ev       *history.Event
	effect   int // counted from 1; 0 is the event itself
	id, peer string
	data     event.Value
}

// An eventKind is what the names of an occurrence are made of.
type eventKind struct{ kind, name, machine string }

// asked are the kinds of effects: what they name is asked for, and hasn't
// happened by that.
var asked = map[string]bool{"send": true, "reply": true, "call": true, "settimer": true, "canceltimer": true, "log": true,
	"refused": true, "ignored": true, "panic": true}

// internalKind is an effect that is handled on the spot, by the machine that its
// name begins with.
const internalKind = "internal"

// names are those by which a query finds such occurrences.
func (k eventKind) names() []string { return EventNames(k.kind, k.name, k.machine) }

// EventNames are the names by which an event query finds events, or effects, of a
// kind and name, which may be "", that a machine handled, "" if none did.
func EventNames(kind, name, machine string) []string {
	all := []string{kind}
	if name != "" {
		all = append(all, kind+"."+name)
	}
	if name != "" && !asked[kind] {
		all = append(all, name)
	}
	if machine == "" {
		return all
	}
	for _, n := range all[:len(all):len(all)] {
		all = append(all, machine+"."+n)
	}
	return all
}

// wellKnown are the names that every History may have, though this one has none:
// asking for them is no mistake.
var wellKnown = map[string]bool{"send": true, "recv": true, "request": true, "timer": true, "result": true, "start": true, "control": true,
	"note": true, "set": true, "reply": true, "call": true, "settimer": true, "canceltimer": true, "log": true, "internal": true,
	"refused": true, "ignored": true, "panic": true, "invoke": true, "ok": true, "fail": true, "info": true}

// eventNames finds the inputs that read an occurrence.
type eventNames struct {
	inputs map[string][]*eventInput // by the name in the query
	byKind map[eventKind][]*eventInput
	last   eventKind
	found  []*eventInput // of last
	many   bool          // there are more than kindsMax: byKind hasn't all
}

// kindsMax bounds how many kinds of events are remembered.
const kindsMax = 1 << 16

func (t *eventNames) of(k eventKind) []*eventInput {
	if k == t.last && t.byKind != nil {
		return t.found
	}
	ins, ok := t.byKind[k]
	if !ok {
		for _, name := range k.names() {
			for _, in := range t.inputs[name] {
				if !slices.Contains(ins, in) {
					ins = append(ins, in)
				}
			}
		}
		if t.byKind == nil {
			t.byKind = map[eventKind][]*eventInput{}
		}
		if t.many = t.many || len(t.byKind) >= kindsMax; !t.many {
			t.byKind[k] = ins
		}
	}
	t.last, t.found = k, ins
	return ins
}

// misprint is the error for a name that no event has, nil where each has some.
func (t *eventNames) misprint() error {
	if t.many {
		return nil // it isn't known which there are
	}
	var known []string
	for k := range t.byKind {
		known = append(known, k.names()...)
	}
	var first *eventInput
	for name, ins := range t.inputs {
		if slices.Contains(known, name) || wellKnown[name] {
			continue
		}
		for _, in := range ins {
			if first == nil || in.plan.Pos.Offset < first.plan.Pos.Offset {
				first = in
			}
		}
	}
	if first == nil {
		return nil
	}
	e := &syntax.Error{Pos: first.plan.EventPos, Msg: "the History has no event " + first.plan.Event, Hint: "SHOW EVENTS lists those there are"}
	slices.Sort(known)
	if near, ok := syntax.Nearest(first.plan.Event, slices.Compact(known)); ok {
		e.Hint = "did you mean " + near + "?"
	}
	return e
}

// builtin is what the occurrence has of itself.
func (o *occurrence) builtin(b plan.Builtin, nodes []string) value {
	text := func(s string) value {
		if s == "" {
			return bot
		}
		return ofString(s)
	}
	switch b {
	case plan.BuiltinNode:
		return ofString(nodes[o.ev.Node])
	case plan.BuiltinTime:
		return of(event.Time(o.ev.Time))
	case plan.BuiltinTimestamp:
		return ofFloat(seconds(o.ev.Time))
	case plan.BuiltinSeq:
		return of(event.Uint(o.ev.Seq))
	case plan.BuiltinKind:
		return ofString(o.kind)
	case plan.BuiltinName:
		return text(o.name)
	case plan.BuiltinID:
		return text(o.id)
	case plan.BuiltinPeer:
		return text(o.peer)
	case plan.BuiltinMachine:
		return text(o.machine)
	case plan.BuiltinData:
		return of(o.data)
	case plan.BuiltinPhysical:
		if o.ev.Physical != 0 {
			return of(event.Time(o.ev.Physical))
		}
	}
	return bot
}

// seconds is the physical part of a Timestamp, which a float holds exactly.
func seconds(t hlc.Timestamp) float64 { return float64(uint64(t)>>16) / (1 << 16) }

// ofEvent makes an occurrence of an event.
func (o *occurrence) ofEvent(ev *history.Event) {
	*o = occurrence{eventKind: eventKind{ev.Kind, ev.Name, ev.Machine}, ev: ev, id: ev.ID, peer: ev.Peer, data: ev.Data}
	if own := ownSend(ev); own != nil {
		o.id, o.peer = own.ID, own.Peer
	}
}

// ofEffect makes an occurrence of an effect, the i-th from 0.
func (o *occurrence) ofEffect(ev *history.Event, i int) {
	f := &ev.Effects[i]
	*o = occurrence{eventKind: eventKind{f.Kind, f.Name, ev.Machine}, ev: ev, effect: i + 1, id: f.ID, peer: f.Peer, data: f.Data}
	if f.Kind == internalKind {
		if machine, name, ok := strings.Cut(f.Name, "."); ok {
			o.machine, o.name = machine, name
		}
	}
}

// ownSend is the effect that an event of kind send is: a line of the text form
// for which nothing else was asked.
func ownSend(ev *history.Event) *history.Effect {
	if ev.Kind == "send" && len(ev.Effects) == 1 && ev.Effects[0].Kind == "send" {
		return &ev.Effects[0]
	}
	return nil
}
