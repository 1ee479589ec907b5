package stepper

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"hindcast.dev/machine"
	"hindcast.dev/machine/state"
)

// A program is one version of a machine, as its code says.
type program struct {
	construct func() machine.Machine
	plan      *state.Plan
	codec     *state.Codec // nil for a machine that isn't Typed
	delivery  machine.Delivery
}

// An instance is a machine that has started.
type instance struct {
	*program // of the version; an empty one while m is nil
	name     string
	version  uint32
	m        machine.Machine // nil: this build lacks the version, raw waits for an upgrade
	raw      []byte          // the state as it stood in the checkpoint, while m is nil
	coded    bool            // raw is in the machine's own encoding
	tracker  *state.Tracker
	stepped  bool // handled something in the event that runs
}

func compile(reg machine.Registry) (map[string]map[uint32]*program, error) {
	all := map[string]map[uint32]*program{}
	for _, name := range slices.Sorted(maps.Keys(reg)) {
		if name == "" || name == "node" || name == "net" || len(reg[name]) == 0 {
			return nil, fmt.Errorf("stepper: machine %q: it needs a version, and a name other than the reserved logs node and net", name)
		}
		all[name] = map[uint32]*program{}
		for _, v := range slices.Sorted(maps.Keys(reg[name])) {
			p, err := newProgram(reg[name][v])
			if err == nil && v == 0 {
				err = fmt.Errorf("versions count from 1")
			}
			if err != nil {
				return nil, fmt.Errorf("stepper: machine %s version %d: %w", name, v, err)
			}
			all[name][v] = p
		}
	}
	return all, nil
}

func newProgram(construct func() machine.Machine) (*program, error) {
	m := construct()
	if m == nil {
		return nil, fmt.Errorf("its constructor returned nil")
	}
	p := &program{construct: construct}
	var err error
	if p.plan, err = state.Compile(reflect.TypeOf(m)); err != nil {
		return nil, err
	}
	if t, ok := m.(machine.Typed); ok {
		if p.codec, err = state.NewCodec(t.Payloads()); err != nil {
			return nil, err
		}
	}
	if d, ok := m.(machine.Delivering); ok {
		p.delivery = d.Delivery()
	}
	return p, nil
}

// versions returns the versions of a machine that this build has, ascending.
func (s *Stepper) versions(name string) []uint32 {
	return slices.Sorted(maps.Keys(s.programs[name]))
}

// program returns the code of a version of a machine.
func (s *Stepper) program(name string, version uint32) (*program, error) {
	if p := s.programs[name][version]; p != nil {
		return p, nil
	}
	return nil, &VersionError{Machine: name, Want: version, Have: s.versions(name)}
}

// install makes m the machine of that name.
func (s *Stepper) install(name string, version uint32, p *program, m machine.Machine) *instance {
	in := &instance{program: p, name: name, version: version, m: m}
	in.tracker = p.plan.Track(m, s.walk(name))
	if s.opts.OnChange != nil {
		in.tracker.OnBulky = func(variable string) { s.opts.OnChange.Bulky(name + "." + variable) }
	}
	s.add(in)
	return in
}

func (s *Stepper) add(in *instance) {
	i, there := slices.BinarySearch(s.order, in.name)
	if !there {
		s.order = slices.Insert(s.order, i, in.name)
		s.running = slices.Insert(s.running, i, nil)
	}
	s.running[i] = in
	s.machines[in.name] = in
}

func (s *Stepper) walk(log string) func(name string) bool {
	if s.opts.Walk == nil {
		return nil
	}
	return func(name string) bool { return s.opts.Walk(log + "." + name) }
}

// An Upgrade says that a machine is to go from one version to another; From is 0
// for one that hasn't started.
type Upgrade struct {
	Machine  string
	From, To uint32
}

// Unstarted returns the machines of the registry that had no Start event yet,
// sorted: the loop appends one for each, with the version To in its StartInfo.
func (s *Stepper) Unstarted() []Upgrade {
	var out []Upgrade
	for name := range s.programs {
		if s.machines[name] == nil {
			out = append(out, Upgrade{Machine: name, To: s.opts.wanted(name)})
		}
	}
	return sortUpgrades(out)
}

// Upgrades returns what ControlUpgrade events are due so that each machine that
// has started runs the version that Options asks for, sorted by machine.
func (s *Stepper) Upgrades() []Upgrade {
	var out []Upgrade
	for name, in := range s.machines {
		if to := s.opts.wanted(name); to > in.version {
			out = append(out, Upgrade{Machine: name, From: in.version, To: to})
		}
	}
	return sortUpgrades(out)
}

func sortUpgrades(us []Upgrade) []Upgrade {
	slices.SortFunc(us, func(a, b Upgrade) int { return cmp.Compare(a.Machine, b.Machine) })
	return us
}
