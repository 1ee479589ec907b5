// Package event is the vocabulary that every other package speaks: events and
// effects, the identity of a message, and Values with their text form. It
// depends on nothing but the clock.
package event

import (
	"fmt"
	"strconv"
	"strings"

	"hindcast.dev/hlc"
)

// A Kind says what a journaled frame is. The numbers are part of the journal's
// format.
type Kind uint8

// The kinds of frame. All but Note and Padding are events; Control events reach
// the stepper, and a machine only where that is said.
const (
	// Start is the first event a machine handles on a node, with a StartInfo.
	Start Kind = 1
	// Message came from a machine, here or on another node.
	Message Kind = 2
	// Request came from a client and may be answered by Reply effects.
	Request Kind = 3
	// Timer is a timer of the machine that fired. ID is that of the SetTimer.
	Timer Kind = 4
	// Result is what a Call came to. ID is that of the Call.
	Result Kind = 5
	// Control changes how the node runs; Name says which: see Control*.
	Control Kind = 6
	// Note is a fact that reaches no machine; Name says which: see Note*.
	Note Kind = 7
	// Refused is a message or request of ours that its receiver would not take
	// (unknown machine, name or schema version). ID is that of the message,
	// Payload a text with the reason.
	Refused Kind = 8
	// Padding fills the rest of a segment or an aborted claim.
	Padding Kind = 255
)

// Names of Control events.
const (
	ControlUpgrade = "upgrade" // from here on another machine version handles: payload UpgradeInfo
	ControlPromise = "promise" // the node will never again stamp at or below Sent
	ControlConfig  = "config"  // the node's configuration changed: payload StartInfo
	ControlSkip    = "skip"    // the event with the given sequence number is not handled: payload SkipInfo
	ControlReopen  = "reopen"  // machines make what they can't export anew from what they can: no payload
)

// Names of Notes. Their payload is a NoteInfo.
const (
	NoteBoot  = "boot"  // the node started; Boot, Build, and what recovery found
	NoteStop  = "stop"  // the node stopped in an orderly way
	NoteCrash = "crash" // found at a start: the boot before ended without a stop
	NoteLink  = "link"  // Peer, State "up" or "down", Reason
	NoteDrop  = "drop"  // a message was dropped: Message, Peer, Reason
	NoteFault = "fault" // a fault switch was set or cleared: Peer, State, Reason
	NoteClock = "clock" // the own clock jumped, or came back: Reason
	NoteDisk  = "disk"  // the disk is full, or has space again: State, Reason
	NoteLost  = "lost"  // so many notes before this one found no room: Count, Reason
)

var kindNames = [...]string{Start: "start", Message: "recv", Request: "request", Timer: "timer",
	Result: "result", Control: "control", Note: "note", Refused: "refused"}

// String is the kind as it stands in a History's text form.
func (k Kind) String() string {
	if k == Padding {
		return "padding"
	}
	if int(k) < len(kindNames) && kindNames[k] != "" {
		return kindNames[k]
	}
	return "kind(" + strconv.Itoa(int(k)) + ")"
}

// A MessageID names one message, request, timer or call for good: the Effect-th
// effect of the event with sequence number Seq on Node in its Boot-th start.
// Requests are numbered by who took them in, under a Node of the form
// "n1.client". The zero MessageID is none.
type MessageID struct {
	Node   string
	Boot   uint64
	Seq    uint64
	Effect uint32
}

// IsZero reports whether the id names nothing.
func (id MessageID) IsZero() bool { return id == MessageID{} }

// String is node/boot/seq/effect, or "" for none.
func (id MessageID) String() string {
	if id.IsZero() {
		return ""
	}
	b := make([]byte, 0, len(id.Node)+24)
	b = append(append(b, id.Node...), '/')
	b = append(strconv.AppendUint(b, id.Boot, 10), '/')
	b = append(strconv.AppendUint(b, id.Seq, 10), '/')
	return string(strconv.AppendUint(b, uint64(id.Effect), 10))
}

// ParseMessageID reads what String writes.
func ParseMessageID(s string) (MessageID, error) {
	parts := strings.Split(s, "/")
	if len(parts) < 4 {
		return MessageID{}, fmt.Errorf("message id %q: want node/boot/sequence/effect", s)
	}
	n := len(parts) - 3
	boot, err1 := strconv.ParseUint(parts[n], 10, 64)
	seq, err2 := strconv.ParseUint(parts[n+1], 10, 64)
	eff, err3 := strconv.ParseUint(parts[n+2], 10, 32)
	if err1 != nil || err2 != nil || err3 != nil {
		return MessageID{}, fmt.Errorf("message id %q: want node/boot/sequence/effect", s)
	}
	return MessageID{Node: strings.Join(parts[:n], "/"), Boot: boot, Seq: seq, Effect: uint32(eff)}, nil
}

// Less orders the ids of one sender's boot by the order of sending.
func (id MessageID) Less(o MessageID) bool {
	if id.Seq != o.Seq {
		return id.Seq < o.Seq
	}
	return id.Effect < o.Effect
}

// An Event is what a loop hands to a machine.
type Event struct {
	Seq     uint64        // the node's sequence number, from 1, notes included
	Time    hlc.Timestamp // when this node took it in
	Kind    Kind
	Machine string        // the machine it is for; "" for notes and most controls
	Name    string        // registered name of Body's type; name of a control or note
	Version uint32        // schema version of the payload
	ID      MessageID     // which message, request, timer or call this is, or answers
	From    string        // the machine that sent it, for messages; timers: the timer's name
	Sent    hlc.Timestamp // the sender's Timestamp; 0 if it has none
	Baggage []byte        // causal metadata; borrowed like Payload
	// Payload is the body as it came. It is borrowed: it may lie in the journal's
	// mapping and is valid until Step returns.
	Payload []byte
	// Body is the decoded payload, a value of a registered type, or nil where the
	// machine asked for raw bytes. It belongs to the machine.
	Body any
}

// An EffectKind says what an Effect asks for. The numbers enter digests.
type EffectKind uint8

// The kinds of Effect.
const (
	EffectSend        EffectKind = 1 // a message to machine To on Node
	EffectReply       EffectKind = 2 // an answer to the request ID
	EffectCall        EffectKind = 3 // adapter To is to do something outside
	EffectSetTimer    EffectKind = 4 // a Timer event at At, named Timer
	EffectCancelTimer EffectKind = 5 // timer named Timer is not to fire
	EffectLog         EffectKind = 6 // a line for the log: Name is its level, Payload its text
)

var effectNames = [...]string{EffectSend: "send", EffectReply: "reply", EffectCall: "call",
	EffectSetTimer: "settimer", EffectCancelTimer: "canceltimer", EffectLog: "log"}

// String is the kind as it stands in a History's text form.
func (k EffectKind) String() string {
	if int(k) < len(effectNames) && effectNames[k] != "" {
		return effectNames[k]
	}
	return "effect(" + strconv.Itoa(int(k)) + ")"
}

// An Effect is what a Step asks for, as a value. It is performed after the event
// that caused it is durable, or never, if the node dies before.
type Effect struct {
	Kind    EffectKind
	Machine string        // the machine that asked
	ID      MessageID     // this effect's own id; of a reply, the id of the request
	Node    string        // send: the node it goes to
	To      string        // send: the machine there; call: the adapter
	Name    string        // registered name of the payload's type; log: the level
	Version uint32        // schema version of the payload
	More    bool          // reply: others follow for the same request
	Timer   string        // timers: the timer's name, unique in its machine
	At      hlc.Timestamp // set timer: when it is due
	Sent    hlc.Timestamp // the Timestamp of the causing event
	Baggage []byte
	Payload []byte // owned by the Effect
}

// StartInfo is the payload of a Start and of a ControlConfig event: all that a
// machine may know of its surroundings.
type StartInfo struct {
	Node    string            `cbor:"node" json:"node"`
	Peers   []string          `cbor:"peers" json:"peers"` // the other nodes' names, sorted
	Config  map[string]string `cbor:"config,omitempty" json:"config,omitempty"`
	Build   string            `cbor:"build" json:"build"`
	Arch    string            `cbor:"arch" json:"arch"`       // GOARCH
	Seed    uint64            `cbor:"seed" json:"seed"`       // of the node's Rand
	Version uint32            `cbor:"version" json:"version"` // of the machine
}

// UpgradeInfo is the payload of a ControlUpgrade event.
type UpgradeInfo struct {
	From  uint32 `cbor:"from" json:"from"`
	To    uint32 `cbor:"to" json:"to"`
	Build string `cbor:"build" json:"build"`
}

// SkipInfo is the payload of a ControlSkip event.
type SkipInfo struct {
	Seq    uint64 `cbor:"seq" json:"seq"` // the event not to be handled
	Reason string `cbor:"reason" json:"reason"`
	Timer  string `cbor:"timer,omitempty" json:"timer,omitempty"` // the id of the timer whose event it is, which is not to fire again
}

// NoteInfo is the payload of every Note; a note uses the fields that it needs.
type NoteInfo struct {
	Boot    uint64            `cbor:"boot,omitempty" json:"boot,omitempty"`
	Build   string            `cbor:"build,omitempty" json:"build,omitempty"`
	Version map[string]uint32 `cbor:"version,omitempty" json:"version,omitempty"` // machine → version
	Peer    string            `cbor:"peer,omitempty" json:"peer,omitempty"`
	State   string            `cbor:"state,omitempty" json:"state,omitempty"`
	Message string            `cbor:"message,omitempty" json:"message,omitempty"` // a MessageID's text
	Name    string            `cbor:"name,omitempty" json:"name,omitempty"`       // payload name of the message
	Count   uint64            `cbor:"count,omitempty" json:"count,omitempty"`
	Reason  string            `cbor:"reason,omitempty" json:"reason,omitempty"`
}
