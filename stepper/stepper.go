// Package stepper is the sequential core of one node: it hands events to
// machines and collects their effects, keeps timers, random state and duplicate
// suppression, digests what happened and makes checkpoints. It is pure: given
// the same events it does the same, live, in recovery and in replay. The loop
// gives it events that are journaled and stamped, and performs its effects.
package stepper

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"hindcast.dev/event"
	"hindcast.dev/hlc"
	"hindcast.dev/machine"
	"hindcast.dev/machine/state"
)

// Bounds that hold where Options names no other.
const (
	// DefaultMaxEffects bounds the effects of one event, those of messages inside
	// the node included.
	DefaultMaxEffects = 4096
	// DefaultMaxInternal bounds the messages between machines of this node that
	// one event may cause.
	DefaultMaxInternal = 1024
	// DefaultMaxTimers bounds the pending timers of a node.
	DefaultMaxTimers = 1 << 16
	// DefaultMaxSenders bounds the pairs of sending node and ordered machine that
	// duplicate suppression remembers.
	DefaultMaxSenders = 1 << 12
)

// Options say what a Stepper runs. Node and Registry are required.
type Options struct {
	Node     string
	Registry machine.Registry
	// Versions names the version to run for machines that aren't to run their
	// latest. It decides what Upgrades reports and what Restore refuses; a Start
	// event carries its own version.
	Versions map[string]uint32

	MaxEffects  int // per event; 0 is DefaultMaxEffects
	MaxInternal int // messages inside the node per event; 0 is DefaultMaxInternal
	MaxTimers   int // pending; 0 is DefaultMaxTimers
	MaxSenders  int // 0 is DefaultMaxSenders

	// OnChange is told every change of every variable; nil, as it is live, costs
	// nothing. Changes of one event come before Step returns.
	OnChange Changes
	// Walk names variables ("log.name") whose plain maps and slices are compared
	// entry by entry after every event, however large: what a query or a debugger
	// asked to be materialised. nil is none.
	Walk func(variable string) bool
	// Stack returns the stack of the panic being recovered, for PanicError; the
	// driver sets it to debug.Stack. nil leaves it out.
	Stack func() []byte
}

// Changes takes what changed in the state of a node's machines.
type Changes interface {
	// Change says that the entry at path in the variable log.name now is v, or is
	// gone if v is Absent; an empty path is the whole variable. The callee may keep
	// path.
	Change(variable string, path []event.Value, v event.Value)
	// Bulky says that from this event on Change leaves out what is in the variable
	// log.name, or in a part of it: see Stepper.Bulky, which knows it also of those
	// that were so in a checkpoint. It may be said more than once.
	Bulky(variable string)
}

// An Outcome is what came of one event. The slice of Effects is the stepper's and
// good until the next Step; all else, the payloads in it too, is the caller's.
type Outcome struct {
	// Effects are to be performed once the event is durable, in this order. Timer
	// effects are among them for the record; the stepper has taken them in already
	// (see NextTimer). Messages inside the node are not: see Internal.
	Effects []event.Effect
	// Refused is why the event wasn't handled, "" if it was. For a Message or a
	// Request a refusal is to go back to the sender.
	Refused string
	// Duplicate: a message that came before, and was not handled again.
	Duplicate bool
	// Stale: a timer that was replaced or cancelled meanwhile, and was ignored.
	Stale bool
	// Internal are the messages between machines of this node, in the order in
	// which they were handled, all inside the causing event.
	Internal []Internal
}

// An Internal is one message between machines of this node.
type Internal struct {
	Send  event.Effect
	Event event.Event // as the receiving machine got it, without the Body, which is the machine's
	// Refused is why the receiving machine didn't handle it, "" if it did.
	Refused string
}

// A Stepper is one node's sequential core. It is not safe for concurrent use.
type Stepper struct {
	opts     Options
	programs map[string]map[uint32]*program
	infos    *state.Codec // of the payloads in package event

	// What a checkpoint holds.
	seq      uint64
	time     hlc.Timestamp
	chain    state.Hash
	start    event.StartInfo
	rand     *machine.Rand // nil until the first Start
	machines map[string]*instance
	order    []string    // of machines
	running  []*instance // the machines in that order
	timers   timers
	senders  map[sender]*event.MessageID // the last message taken in
	skips    map[uint64]string           // events that are not to be handled, and why

	reopened bool // nothing was handled since a reopen event or a checkpoint
	run      run
	failed   error // after which nothing goes on
}

// A sender is a pair of a node and the ordered machine here that it sent to.
type sender struct {
	node, machine string
}

// New returns a stepper at sequence number 0, where no machine has started. It
// fails if a machine of the registry can't be recorded; the error says why.
func New(o Options) (*Stepper, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	programs, err := compile(o.Registry)
	if err != nil {
		return nil, err
	}
	infos, err := state.NewCodec([]any{event.StartInfo{}, event.UpgradeInfo{}, event.SkipInfo{}, event.NoteInfo{}})
	if err != nil {
		return nil, err
	}
	s := &Stepper{opts: o, programs: programs, infos: infos, machines: map[string]*instance{},
		timers: newTimers(), senders: map[sender]*event.MessageID{}, skips: map[uint64]string{}}
	s.run.s = s
	return s, nil
}

// complete fills in defaults and says what is missing.
func (o *Options) complete() error {
	if o.Node == "" || len(o.Registry) == 0 {
		return errors.New("stepper: Options need a Node and a Registry with a machine")
	}
	for name, v := range o.Versions {
		if o.Registry[name][v] == nil {
			return &VersionError{Machine: name, Want: v, Have: slices.Sorted(maps.Keys(o.Registry[name]))}
		}
	}
	for _, d := range []struct {
		p *int
		d int
	}{{&o.MaxEffects, DefaultMaxEffects}, {&o.MaxInternal, DefaultMaxInternal},
		{&o.MaxTimers, DefaultMaxTimers}, {&o.MaxSenders, DefaultMaxSenders}} {
		if *d.p <= 0 {
			*d.p = d.d
		}
	}
	return nil
}

// wanted is the version of a machine that is to run, 0 if there is none.
func (o *Options) wanted(name string) uint32 {
	if v := o.Versions[name]; v != 0 {
		return v
	}
	return o.Registry[name].Latest()
}

// Step handles one event; boot is the boot of this node that handles it. Events
// come in the order of their sequence numbers and Timestamps. Notes are counted
// and nothing else.
//
// A panic of a machine comes back as a *PanicError, a bound that one event
// passed as a *LimitError, an upgrade that can't be done as a *VersionError, a
// *RollbackError or an *UpgradeError. After an error the stepper is of no
// further use and returns the same error again.
func (s *Stepper) Step(ev event.Event, boot uint64) (Outcome, error) {
	if s.failed != nil {
		return Outcome{}, s.failed
	}
	if ev.Seq <= s.seq || ev.Time <= s.time {
		return Outcome{}, fmt.Errorf("stepper: event %d at %s came after event %d at %s: events come in order",
			ev.Seq, ev.Time, s.seq, s.time)
	}
	s.seq, s.time = ev.Seq, ev.Time
	if ev.Kind == event.Note || ev.Kind == event.Padding {
		return Outcome{}, nil
	}
	s.run.begin(&ev, boot)
	s.reopened = false
	if s.failed = s.handle(); s.failed != nil {
		return Outcome{}, s.failed
	}
	return s.run.out, nil
}

// handle does all of an event. What panics outside of a machine's Step (its
// constructor, a payload's own decoder) ends here.
func (s *Stepper) handle() (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = s.panicError(s.run.ev.Machine, p)
		}
	}()
	if err := s.dispatch(); err != nil {
		return err
	}
	if err := s.run.drain(); err != nil {
		return err
	}
	s.commit()
	return nil
}

// dispatch hands the event to whom it is for.
func (s *Stepper) dispatch() error {
	ev := &s.run.ev
	if reason, ok := s.skips[ev.Seq]; ok {
		delete(s.skips, ev.Seq)
		s.run.out.Refused = "skipped: " + reason
		return nil
	}
	switch ev.Kind {
	case event.Start:
		return s.handleStart(*ev)
	case event.Control:
		return s.handleControl(*ev)
	case event.Message, event.Request, event.Timer, event.Result, event.Refused:
		return s.deliver(ev)
	}
	return fmt.Errorf("stepper: event %d is of kind %s, which this build doesn't know: use the build that wrote it", ev.Seq, ev.Kind)
}

// commit ends an event that was handled: it chains what came of it and reports
// changes.
func (s *Stepper) commit() {
	r := &s.run
	h := s.chain.Word(s.seq).Word(uint64(r.ev.Kind)).Text(r.out.Refused)
	h = h.Word(r.outcome()).Word(uint64(r.effects))
	for _, in := range s.running {
		if !in.stepped {
			continue
		}
		in.stepped = false
		h = in.tracker.Commit(h.Text(in.name), s.emit(in.name))
	}
	if s.rand != nil {
		h = h.Word(s.rand.Hi).Word(s.rand.Lo)
	}
	s.chain = h
}

// emit is the Emit for a machine's tracker, nil if nobody listens.
func (s *Stepper) emit(log string) state.Emit {
	if s.opts.OnChange == nil {
		return nil
	}
	return func(name string, path []event.Value, v event.Value) {
		s.opts.OnChange.Change(log+"."+name, path, v)
	}
}

// Chain is the digest of everything up to and including the last event: its
// effects and the state it touched. The stamp of the next event carries it.
func (s *Stepper) Chain() uint64 { return uint64(s.chain) }

// Seq is the sequence number of the last event, 0 if there was none.
func (s *Stepper) Seq() uint64 { return s.seq }

// Time is the Timestamp of the last event.
func (s *Stepper) Time() hlc.Timestamp { return s.time }

// Start is the node's configuration, as of the last Start or ControlConfig.
func (s *Stepper) Start() event.StartInfo { return s.start }

// NextTimer returns the pending timer that is due first and that was not
// Offered, as the Timer event to be appended (without sequence number and time).
// Timers due at the same time come in the order in which they were set.
func (s *Stepper) NextTimer() (at hlc.Timestamp, ev event.Event, ok bool) {
	t := s.timers.next()
	if t == nil {
		return 0, event.Event{}, false
	}
	return t.At, event.Event{Kind: event.Timer, Machine: t.Machine, From: t.Timer, ID: t.ID,
		Name: t.Name, Version: t.Version, Baggage: t.Baggage, Payload: t.Payload}, true
}

// NextDue is the time and the id of what NextTimer returns.
func (s *Stepper) NextDue() (at hlc.Timestamp, id event.MessageID, ok bool) {
	t := s.timers.next()
	if t == nil {
		return 0, event.MessageID{}, false
	}
	return t.At, t.ID, true
}

// Offered says that the Timer event with this id was appended to the journal, so
// that NextTimer goes on to the next one. It isn't part of a checkpoint: after a
// restart the timer is offered again, and the second event of the two is stale.
func (s *Stepper) Offered(id event.MessageID) { s.timers.offered(id) }

// Machines returns the names of the machines that have started, sorted.
func (s *Stepper) Machines() []string { return slices.Clone(s.order) }

// Machine returns a started machine, nil if there is none, or if it came from a
// checkpoint of a version that this build doesn't have and waits for its
// upgrade. The caller must not change it.
func (s *Stepper) Machine(name string) machine.Machine {
	if in := s.machines[name]; in != nil {
		return in.m
	}
	return nil
}

// Version returns the version that a started machine runs at, 0 for others.
func (s *Stepper) Version(name string) uint32 {
	if in := s.machines[name]; in != nil {
		return in.version
	}
	return 0
}
