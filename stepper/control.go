package stepper

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"hindcast.dev/event"
	"hindcast.dev/machine"
	"hindcast.dev/machine/state"
)

// maxSkips bounds the events that are marked to be skipped and not yet there.
const maxSkips = 1024

// handleStart makes a machine and gives it its first event; Machine "" starts
// all that haven't started. The version is that of the StartInfo, or the one
// that Options asks for where it says 0.
func (s *Stepper) handleStart(ev event.Event) error {
	var info event.StartInfo
	if err := s.startInfo(ev, &info); err != nil {
		return err
	}
	names := []string{ev.Machine}
	if ev.Machine == "" {
		names = slices.Sorted(maps.Keys(s.programs))
	} else if s.machines[ev.Machine] != nil {
		s.run.out.Refused = fmt.Sprintf("machine %s has started already", ev.Machine)
		return nil
	}
	if s.rand == nil {
		s.rand = machine.NewRand(info.Seed)
	}
	s.start = info
	for _, name := range names {
		if s.machines[name] != nil {
			continue
		}
		version := info.Version
		if version == 0 {
			version = s.opts.wanted(name)
		}
		if wanted := s.opts.wanted(name); version > wanted && wanted > 0 {
			return &RollbackError{Machine: name, Has: version, Want: wanted}
		}
		p, err := s.program(name, version)
		if err != nil {
			return err
		}
		in := s.install(name, version, p, p.construct())
		if err := s.run.step(in, s.toMachine(ev, in)); err != nil {
			return err
		}
	}
	return nil
}

// toMachine is a Start or config event as one machine gets it.
func (s *Stepper) toMachine(ev event.Event, in *instance) *event.Event {
	info := s.start
	info.Version = in.version
	ev.Machine, ev.Body = in.name, info
	return &ev
}

func (s *Stepper) startInfo(ev event.Event, info *event.StartInfo) error {
	if err := decodeInfo(ev, info); err != nil {
		return err
	}
	if info.Node != s.opts.Node {
		return fmt.Errorf("stepper: event %d starts or configures node %q, this is node %q: the journal is another node's", ev.Seq, info.Node, s.opts.Node)
	}
	return nil
}

func decodeInfo(ev event.Event, info any) error {
	if err := state.Unmarshal(ev.Payload, info); err != nil {
		return fmt.Errorf("stepper: payload of %s event %d %s: %w", ev.Kind, ev.Seq, ev.Name, err)
	}
	return nil
}

// handleControl does what a control event says. A new configuration is shown to
// every machine as a Control event with a StartInfo as Body; the other controls
// reach none.
func (s *Stepper) handleControl(ev event.Event) error {
	switch ev.Name {
	case event.ControlPromise:
		return nil
	case event.ControlConfig:
		return s.configure(ev)
	case event.ControlReopen:
		return s.reopenAll(ev)
	case event.ControlUpgrade:
		var info event.UpgradeInfo
		if err := decodeInfo(ev, &info); err != nil {
			return err
		}
		return s.upgrade(ev.Machine, info)
	case event.ControlSkip:
		var info event.SkipInfo
		if err := decodeInfo(ev, &info); err != nil {
			return err
		}
		if id, err := event.ParseMessageID(info.Timer); err == nil {
			s.timers.drop(id)
		}
		if len(s.skips) >= maxSkips {
			return &LimitError{What: "events to be skipped", Max: maxSkips, Seq: ev.Seq, Hint: "skip fewer at a time"}
		}
		if info.Seq > ev.Seq {
			s.skips[info.Seq] = info.Reason
		}
		return nil
	}
	return fmt.Errorf("stepper: control event %d is %q, which this build doesn't know: use the build that wrote it", ev.Seq, ev.Name)
}

func (s *Stepper) configure(ev event.Event) error {
	var info event.StartInfo
	if err := s.startInfo(ev, &info); err != nil {
		return err
	}
	s.start = info
	for _, name := range s.order {
		in := s.machines[name]
		if err := s.run.step(in, s.toMachine(ev, in)); err != nil {
			return err
		}
	}
	return nil
}

// upgrade replaces a machine by one of a newer version that takes over its
// state.
func (s *Stepper) upgrade(name string, info event.UpgradeInfo) error {
	old := s.machines[name]
	if old == nil {
		return &UpgradeError{Machine: name, From: info.From, To: info.To, Err: errors.New("it hasn't started")}
	}
	if info.From != old.version {
		return &UpgradeError{Machine: name, From: info.From, To: info.To, Err: fmt.Errorf("it runs at version %d", old.version)}
	}
	if info.To <= info.From {
		return &RollbackError{Machine: name, Has: info.From, Want: info.To}
	}
	if wanted := s.opts.wanted(name); info.To > wanted && wanted > 0 {
		return &RollbackError{Machine: name, Has: info.To, Want: wanted}
	}
	p, err := s.program(name, info.To)
	if err != nil {
		return err
	}
	if _, reopens := old.m.(machine.Reopening); reopens {
		if err := s.run.step(old, s.reopenFor(s.run.ev, old)); err != nil {
			return err
		}
	}
	m, err := s.takeOver(old, p, info)
	if err != nil {
		return err
	}
	if r, reopens := m.(machine.Reopening); reopens {
		r.Reopen()
	}
	s.install(name, info.To, p, m).stepped = true
	s.dropVariables(old, p)
	return nil
}

// takeOver returns a machine of program p with the state of old.
func (s *Stepper) takeOver(old *instance, p *program, info event.UpgradeInfo) (m machine.Machine, err error) {
	fail := func(err error) (machine.Machine, error) {
		return nil, &UpgradeError{Machine: old.name, From: info.From, To: info.To, Err: err}
	}
	m = p.construct()
	if up, ok := m.(machine.Upgrading); ok {
		if old.m == nil {
			return nil, &VersionError{Machine: old.name, Want: old.version, Have: s.versions(old.name)}
		}
		if err := up.UpgradeFrom(old.m); err != nil {
			return fail(err)
		}
		return m, nil
	}
	raw, coded := old.raw, old.coded
	if old.m != nil {
		_, coded = old.m.(machine.Coded)
		if raw, err = state.EncodeState(old.m); err != nil {
			return fail(err)
		}
	}
	if coded {
		return fail(errors.New("the old state has an encoding of its own: implement machine.Upgrading in the new version"))
	}
	if err := p.plan.UpgradeState(m, raw); err != nil {
		return fail(err)
	}
	return m, nil
}

// dropVariables reports the variables that a new version doesn't have any more.
func (s *Stepper) dropVariables(old *instance, p *program) {
	if s.opts.OnChange == nil || old.m == nil {
		return
	}
	there := p.plan.Names()
	for _, name := range old.plan.Names() {
		if !slices.Contains(there, name) {
			s.opts.OnChange.Change(old.name+"."+name, nil, event.Absent)
		}
	}
}
