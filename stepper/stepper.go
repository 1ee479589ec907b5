// Package stepper is the sequential core of one node: it hands events to
// machines and collects their effects, keeps timers, random state and duplicate
// suppression, digests what happened and makes checkpoints. It is pure: given
// the same events it does the same, live, in recovery and in replay. The loop
// gives it events that are journaled and stamped, and performs its effects.
package stepper

import (
	"hindcast.dev/event"
	"hindcast.dev/hlc"
	"hindcast.dev/machine"
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
}

// An Outcome is what came of one event. It belongs to the caller.
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
	Event event.Event // as the receiving machine got it; of Kind Refused for the sender of one refused
	// Refused is why the receiving machine didn't handle it, "" if it did.
	Refused string
}

// A Stepper is one node's sequential core. It is not safe for concurrent use.
type Stepper struct {
	opts Options
}

// New returns a stepper at sequence number 0, where no machine has started. It
// fails if a machine of the registry can't be recorded; the error says why.
func New(o Options) (*Stepper, error) { panic("not yet") }

// Step handles one event; boot is the boot of this node that handles it. Events
// come in the order of their sequence numbers.
//
// A panic of a machine comes back as a *PanicError, a bound that one event
// passed as a *LimitError, an upgrade that can't be done as a *VersionError or
// an *UpgradeError. After an error the stepper is of no further use and returns
// the same error again.
func (s *Stepper) Step(ev event.Event, boot uint64) (Outcome, error) { panic("not yet") }

// Chain is the digest of everything up to and including the last event: its
// effects and the state it touched. The stamp of the next event carries it.
func (s *Stepper) Chain() uint64 { panic("not yet") }

// Seq is the sequence number of the last event, 0 if there was none.
func (s *Stepper) Seq() uint64 { panic("not yet") }

// Time is the Timestamp of the last event.
func (s *Stepper) Time() hlc.Timestamp { panic("not yet") }

// Start is the node's configuration, as of the last Start or ControlConfig.
func (s *Stepper) Start() event.StartInfo { panic("not yet") }

// NextTimer returns the pending timer that is due first and that was not
// Offered, as the Timer event to be appended (without sequence number and time).
func (s *Stepper) NextTimer() (at hlc.Timestamp, ev event.Event, ok bool) { panic("not yet") }

// Offered says that the Timer event with this id was appended to the journal, so
// that NextTimer goes on to the next one. It isn't part of a checkpoint: after a
// restart the timer is offered again, and the second event of the two is stale.
func (s *Stepper) Offered(id event.MessageID) { panic("not yet") }

// Machines returns the names of the machines that have started, sorted.
func (s *Stepper) Machines() []string { panic("not yet") }

// Machine returns a started machine, nil if there is none. The caller must not
// change it.
func (s *Stepper) Machine(name string) machine.Machine { panic("not yet") }

// Version returns the version that a started machine runs at, 0 for others.
func (s *Stepper) Version(name string) uint32 { panic("not yet") }

// Unstarted returns the machines of the registry that had no Start event yet,
// sorted: the loop appends one for each, with the Version to run in StartInfo.
func (s *Stepper) Unstarted() []Upgrade { panic("not yet") }

// Upgrades returns what ControlUpgrade events are due so that each machine runs
// the version that Options asks for, sorted by machine.
func (s *Stepper) Upgrades() []Upgrade { panic("not yet") }

// An Upgrade says that a machine is to go from one version to another; From is 0
// for one that hasn't started.
type Upgrade struct {
	Machine  string
	From, To uint32
}

// Variables calls emit with every variable of every machine and its value, in
// order of name. Large plain maps and slices are included.
func (s *Stepper) Variables(emit func(variable string, v event.Value)) { panic("not yet") }

// Data returns the payload of an event or, with Machine, Name, Version and
// Payload of an effect, of that: as a Value for people and queries. What can't
// be decoded is shown as a string of bytes; an empty payload is Absent.
func (s *Stepper) Data(kind event.Kind, machine, name string, version uint32, payload []byte) event.Value {
	panic("not yet")
}

// Checkpoint returns the whole sequential state after the last event: machines,
// timers, random state, duplicate suppression, versions and configuration.
func (s *Stepper) Checkpoint() ([]byte, error) { panic("not yet") }

// Restore returns a stepper that goes on where the one that made the checkpoint
// was. A machine comes back at the version it had; Upgrades then says what is
// due. Errors: *RollbackError for a machine that ran at a higher version than
// this registry or Options would run, *VersionError for code that is missing,
// *CorruptError for a body that isn't a checkpoint's.
func Restore(o Options, body []byte) (*Stepper, error) { panic("not yet") }
