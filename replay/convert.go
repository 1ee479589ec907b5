package replay

import (
	"bytes"
	"slices"

	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/journal"
	"hindcast.dev/journal/record"
	"hindcast.dev/machine/state"
	"hindcast.dev/stepper"
)

// Kinds of effects that a History has beside those of package event.
const (
	// EffectInternal is a message between machines of one node, handled inside the
	// event. Name is machine.payload.
	EffectInternal = "internal"
	// EffectRefused says that no machine took the event, or the message inside the
	// node whose ID it has; Data is why.
	EffectRefused = "refused"
	// EffectIgnored says that the event was a duplicate or a stale timer: Name.
	EffectIgnored = "ignored"
	// EffectPanic says that the machine panicked: Data is what it said.
	EffectPanic = "panic"
)

// convert holds what came of an entry as the pending event. Its changes are
// those of the node's own variables, then those of the machines.
func (p *player) convert(e *journal.Entry, f *stepper.Followed, skipped string) {
	ev, st := &f.Event, p.f.Stepper()
	h := history.Event{
		Position: history.Position{Time: ev.Time, Seq: ev.Seq}, Physical: e.Stamp.Physical,
		Kind: ev.Kind.String(), Name: ev.Name, Machine: ev.Machine,
	}
	lean := p.blind || p.o.Lean
	if !lean {
		h.ID = ev.ID.String()
	}
	switch {
	case lean:
		p.lean(ev, e.Stamp.Disposition)
	case e.Stamp.Disposition != record.Handled:
		drop(&h, ev, e.Stamp.Disposition, skipped)
	case ev.Kind == event.Note:
		h.Data = st.Data(*ev)
		p.note(&h, ev)
	default:
		h.Data = st.Data(*ev)
		p.seen = [2]seen{{machine: ev.Machine, name: ev.Name, version: ev.Version, payload: ev.Payload, value: h.Data}}
		if ev.Kind == event.Message {
			h.Peer = ev.ID.Node
		}
		if ev.Kind == event.Timer && h.Name == "" {
			h.Name = ev.From
		}
		h.Effects = p.effects(ev, &f.Outcome)
		p.node.versions(p, ev)
	}
	h.Changes = slices.Concat(p.node.changes, p.changes)
	p.node.changes = p.node.changes[:0]
	p.pending, p.held, p.last = h, true, h.Position
}

// lean changes the node's own variables as an event does, and keeps nothing else
// of it.
func (p *player) lean(ev *event.Event, d record.Disposition) {
	var h history.Event
	switch {
	case d != record.Handled:
	case ev.Kind == event.Note:
		p.note(&h, ev)
	default:
		p.node.versions(p, ev)
	}
}

// drop makes an entry that reached no machine a note of that.
func drop(h *history.Event, ev *event.Event, d record.Disposition, reason string) {
	if reason == "" {
		reason = d.String()
	} else {
		reason = d.String() + ": " + reason
	}
	h.Kind, h.Name, h.Machine, h.Peer = event.Note.String(), event.NoteDrop, "", ""
	if ev.Kind == event.Message {
		h.Peer = ev.ID.Node
	}
	m := (*event.Map)(nil).With(event.String("reason"), event.String(reason)).
		With(event.String("kind"), event.String(ev.Kind.String()))
	for k, v := range map[string]string{"message": h.ID, "name": ev.Name, "machine": ev.Machine} {
		if v != "" {
			m = m.With(event.String(k), event.String(v))
		}
	}
	h.Data = event.MapOf(m)
}

// note fills in what a note says, and changes the node's own variables.
func (p *player) note(h *history.Event, ev *event.Event) {
	var info event.NoteInfo
	if err := state.Unmarshal(ev.Payload, &info); err != nil {
		return // Data shows the bytes
	}
	h.Peer = info.Peer
	if ev.Name == event.NoteDrop {
		h.ID = info.Message
	}
	p.node.note(p, ev.Name, &info)
}

// effects are what an event asked for, and how it was received.
func (p *player) effects(ev *event.Event, out *stepper.Outcome) []history.Effect {
	n := len(out.Effects) + len(out.Internal)
	if out.Refused == "" && !out.Duplicate && !out.Stale && n == 0 {
		return nil
	}
	effects := make([]history.Effect, 0, n+1)
	switch {
	case out.Duplicate:
		effects = append(effects, history.Effect{Kind: EffectIgnored, Name: "duplicate"})
	case out.Stale:
		effects = append(effects, history.Effect{Kind: EffectIgnored, Name: "stale"})
	case out.Refused != "":
		effects = append(effects, history.Effect{Kind: EffectRefused, ID: ev.ID.String(), Data: event.String(out.Refused)})
	}
	for i := range out.Effects {
		effects = append(effects, p.effect(&out.Effects[i]))
	}
	for i := range out.Internal {
		in := &out.Internal[i]
		e := p.effect(&in.Send)
		e.Kind, e.Peer, e.Name = EffectInternal, "", in.Send.To+"."+e.Name
		effects = append(effects, e)
		if in.Refused != "" {
			effects = append(effects, history.Effect{Kind: EffectRefused, ID: e.ID, Data: event.String(in.Refused)})
		}
	}
	return effects
}

// effect converts one effect. A call's Peer is the adapter; a timer's Name is the
// timer's, and its Data when it is due and its payload.
func (p *player) effect(e *event.Effect) history.Effect {
	h := history.Effect{Kind: e.Kind.String(), ID: e.ID.String(), Name: e.Name}
	switch e.Kind {
	case event.EffectCancelTimer:
		h.Name = e.Timer
		return h
	case event.EffectSend:
		h.Peer = e.Node
	case event.EffectCall:
		h.Peer = e.To
	}
	h.Data = p.effectData(e)
	if e.Kind == event.EffectSetTimer {
		m := (*event.Map)(nil).With(event.String("at"), event.Time(e.At))
		if !h.Data.IsAbsent() {
			m = m.With(event.String("data"), h.Data)
		}
		h.Name, h.Data = e.Timer, event.MapOf(m)
	}
	return h
}

// A seen is a payload that was decoded for the present event.
type seen struct {
	machine, name string
	version       uint32
	payload       []byte
	value         event.Value
}

func (s *seen) is(e *event.Effect) bool {
	return s.machine == e.Machine && s.name == e.Name && s.version == e.Version && len(s.payload) > 0 && bytes.Equal(s.payload, e.Payload)
}

// effectData decodes an effect's payload. Often it is the one that came, passed
// on, or the one before, sent to another node.
func (p *player) effectData(e *event.Effect) event.Value {
	if e.Kind == event.EffectLog {
		return p.f.Stepper().EffectData(*e)
	}
	for i := range p.seen {
		if p.seen[i].is(e) {
			return p.seen[i].value
		}
	}
	v := p.f.Stepper().EffectData(*e)
	p.seen[1] = seen{machine: e.Machine, name: e.Name, version: e.Version, payload: e.Payload, value: v}
	return v
}

// fatal holds the event that the node died of, without effects or changes.
func (p *player) fatal(e *journal.Entry, err error) error {
	p.node.boots(p, e.Stamp.Boot)
	if err := p.flush(); err != nil {
		return err
	}
	p.changes = p.changes[:0]
	f := stepper.Followed{Event: record.EventOf(&e.Frame, e.Stamp), Stepped: true}
	p.convert(e, &f, "")
	p.pending.Effects = []history.Effect{{Kind: EffectPanic, Data: event.String(err.Error())}}
	return nil
}
