package stepper

import (
	"slices"
	"strings"

	"hindcast.dev/event"
	"hindcast.dev/machine"
	"hindcast.dev/machine/state"
)

// Variables calls emit with every variable log.name and its value, in order of
// machine and name. With OnChange, those are left out that changes leave out
// because their plain maps or slices are too large: see Bulky.
func (s *Stepper) Variables(emit func(variable string, v event.Value)) {
	for _, log := range s.Machines() {
		in := s.machines[log]
		if in.m == nil {
			continue
		}
		for _, name := range in.plan.Names() {
			if !in.tracker.Bulky(name) {
				emit(log+"."+name, in.plan.Materialize(in.m, name))
			}
		}
	}
}

// Bulky returns the variables whose plain maps and slices became too large to be
// compared after every event, sorted: changes say that they are absent, and
// Materialize gives them. To have their changes, replay with Options.Walk.
func (s *Stepper) Bulky() []string {
	var out []string
	for _, log := range s.Machines() {
		in := s.machines[log]
		if in.m == nil {
			continue
		}
		for _, name := range in.plan.Names() {
			if in.tracker.Bulky(name) {
				out = append(out, log+"."+name)
			}
		}
	}
	return out
}

// Materialize returns the present value of one variable log.name, whatever its
// size; Absent if there is none of this name.
func (s *Stepper) Materialize(variable string) event.Value {
	log, name, _ := strings.Cut(variable, ".")
	if in := s.machines[log]; in != nil && in.m != nil {
		return in.plan.Materialize(in.m, name)
	}
	return event.Absent
}

// Data returns an event's payload for people and queries. Bytes that can't be
// decoded are shown as a string, an empty payload is Absent.
func (s *Stepper) Data(ev event.Event) event.Value {
	switch ev.Kind {
	case event.Start:
		return s.infos.Value("StartInfo", 1, ev.Payload)
	case event.Note:
		return withoutZeros(s.infos.Value("NoteInfo", 1, ev.Payload))
	case event.Control:
		info := map[string]string{event.ControlUpgrade: "UpgradeInfo", event.ControlConfig: "StartInfo", event.ControlSkip: "SkipInfo"}
		return s.infos.Value(info[ev.Name], 1, ev.Payload)
	case event.Refused:
		return s.infos.Value("", 0, ev.Payload)
	}
	return s.codec(ev.Machine).Value(ev.Name, ev.Version, ev.Payload)
}

// EffectData is Data for an effect.
func (s *Stepper) EffectData(e event.Effect) event.Value {
	if e.Kind == event.EffectLog {
		return event.String(string(e.Payload))
	}
	return s.codec(e.Machine).Value(e.Name, e.Version, e.Payload)
}

// codec returns that of the machine as it runs, or of its latest version.
func (s *Stepper) codec(name string) *state.Codec {
	if in := s.machines[name]; in != nil {
		return in.codec
	}
	if vs := s.versions(name); len(vs) > 0 {
		return s.programs[name][slices.Max(vs)].codec
	}
	return nil
}

// withoutZeros leaves out the fields of a note that it doesn't use.
func withoutZeros(v event.Value) event.Value {
	if v.Type() != event.TypeMap {
		return v
	}
	m := v.AsMap()
	for k, f := range v.AsMap().All() {
		n, isInt := f.AsInt()
		if isInt && n == 0 || f.Len() == 0 && (f.Type() == event.TypeString || f.Type() == event.TypeMap) {
			m = m.Without(k)
		}
	}
	return event.MapOf(m)
}

// Senders calls yield with the last message that each ordered machine here has
// taken in from each sending node; in no order. A message of a sender that
// isn't above it was handled, or is lost: it won't be any more.
func (s *Stepper) Senders(yield func(machine string, last event.MessageID)) {
	for k, last := range s.senders {
		yield(k.machine, *last)
	}
}

// Orders reports whether a started machine takes each sender's messages in the
// order of their ids, each once.
func (s *Stepper) Orders(name string) bool {
	in := s.machines[name]
	return in != nil && in.delivery == machine.Ordered
}
