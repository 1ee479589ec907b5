// Package machine is the contract between business logic and the loop that runs
// it: what a deterministic state machine is, what it may ask for, and the
// ordered containers that its state is made of.
package machine

import "hindcast.dev/event"

// A Machine is deterministic: its next state and its effects depend on its state
// and the event alone. It holds no I/O, starts no goroutine, looks at no clock
// and ranges over no Go map where the order shows.
//
// Its state is its exported fields, and theirs. Unexported fields are caches: a
// checkpoint doesn't hold them, so a machine that was loaded from one must do
// the same as one that was not; or it is Reopening.
//
// Step is never called concurrently. It must not keep ev.Payload or ev.Baggage.
type Machine interface {
	Step(ctx *Context, ev event.Event)
}

// Versions holds the constructor of each version of a machine. A constructor
// returns a new machine in its initial state.
type Versions map[uint32]func() Machine

// A Registry holds the machines of a service: name → version → constructor. On
// a node every name runs, each at the highest version unless told otherwise.
type Registry map[string]Versions

// Latest returns the highest version, 0 if there is none.
func (v Versions) Latest() uint32 {
	var latest uint32
	for n := range v {
		latest = max(latest, n)
	}
	return latest
}

// Delivery is what a machine wants to see of an unreliable network.
type Delivery uint8

const (
	// Ordered: per sender's boot first in, first out, with gaps, no duplicates.
	Ordered Delivery = iota
	// AnyOrder: late, reordered and duplicated as they came, for protocols that
	// claim to bear it.
	AnyOrder
)

// The optional parts of a Machine.
type (
	// Typed names the payload types that a machine sends or takes, each by a zero
	// value. An event of another name is refused. A machine that isn't Typed gets
	// raw payloads and a nil Body.
	Typed interface{ Payloads() []any }

	// Delivering chooses a Delivery other than Ordered.
	Delivering interface{ Delivery() Delivery }

	// Upgrading takes over the state of the version before it. It is called on a
	// new machine with the old one, at an upgrade event.
	Upgrading interface{ UpgradeFrom(old Machine) error }

	// Querying answers questions about its state as it is between two events.
	// Nothing of it is journaled, so it works while nothing can be written; for the
	// same reason it must not change the state, nor have effects: the Context's Send,
	// Reply, Call, timers and Log panic. What it returns shares no memory with the
	// state.
	Querying interface {
		Query(ctx *Context, body any) (reply any)
	}

	// Reopening is for a machine with a part that it can't export and that is no
	// cache: an object of an imported library, such as a consensus library's node.
	// Reopen throws that object away and makes it anew from the exported fields and
	// nothing else, and leaves those as they are.
	//
	// Checkpoints of a node with such a machine are taken only right behind a
	// Control event event.ControlReopen, live, by a shadow replica and in tests
	// alike. At it every such machine first has its Step, with its object as it was:
	// there it brings its exported fields to what the new object will be (a leader
	// that will be a follower says so), and has effects if it likes. Then Reopen is
	// called; and it is called on a machine that was loaded from that checkpoint, or
	// that took over an older version's state, which had such a Step before. So the
	// one that went on and the one that was loaded hold the same.
	Reopening interface{ Reopen() }

	// Coded replaces the encoding of a machine's state in checkpoints.
	Coded interface {
		EncodeState() ([]byte, error)
		DecodeState(b []byte) error
	}
)

// The optional parts of a payload type.
type (
	// Named replaces the name of the Go type as a payload's registered name.
	Named interface{ PayloadName() string }

	// Versioned gives a payload's schema version, 1 without it. A receiver that
	// knows the type refuses a message of a higher version than its own; raise it
	// when an old receiver would misread the new form, and leave it when a field
	// was added that an old one may ignore.
	Versioned interface{ SchemaVersion() uint32 }
)
