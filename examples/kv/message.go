package kv

import (
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"hindcast.dev/event"
	"hindcast.dev/hlc"
)

// An Item is one version of a record.
type Item struct {
	Value   string
	Version hlc.Timestamp // when it was written; the later one wins
	Writer  string        // the node that gave the version; breaks ties
	Deleted bool          // a tombstone
}

// newer reports whether i wins over o.
func (i Item) newer(o Item) bool {
	return i.Version > o.Version || i.Version == o.Version && i.Writer > o.Writer
}

// An Entry is a record: its key and one of its versions.
type Entry struct {
	Key  string
	Item Item
}

// Consistency is what a client asks for, and what it is told that it got.
type Consistency string

const (
	// Fresh asks for the primary's answer and, if that can't be had, for any; ""
	// means the same. Told: the primary gave it.
	Fresh Consistency = "fresh"
	// Degraded is told: the primary couldn't be reached, this node answered alone.
	Degraded Consistency = "degraded"
	// Eventual asks this node to answer alone and at once; told: it did.
	Eventual Consistency = "eventual"
	// Strict asks for the primary's answer or a Failure.
	Strict Consistency = "strict"
)

// What clients ask.
type (
	// Put writes a value.
	Put struct {
		Key, Value  string
		Consistency Consistency
	}
	// Delete leaves a tombstone.
	Delete struct {
		Key         string
		Consistency Consistency
	}
	// Get reads one record.
	Get struct {
		Key         string
		Consistency Consistency
	}
	// Scan reads records whose keys begin with Prefix, from the key From on and
	// Limit of them at most. Both may be left out.
	Scan struct {
		Prefix, From string
		Limit        int
		Consistency  Consistency
	}
)

// What they are told.
type (
	// Answer is about one record.
	Answer struct {
		Key         string
		Found       bool
		Item        Item
		Consistency Consistency
		Age         time.Duration // unless fresh: how long ago the primary was last heard
	}
	// Listing answers a Scan in the order of keys. It is Degraded if some primary
	// couldn't be reached; Next is where the limit cut it off, "" if it didn't.
	Listing struct {
		Answers     []Answer
		Consistency Consistency
		Next        string
	}
	// Failure says why there is no answer.
	Failure struct {
		Code   Code
		Reason string
	}
	// Code is the kind of a Failure.
	Code string
)

// The kinds of Failure. Unless it is Uncertain, nothing was done.
const (
	Invalid     Code = "invalid"     // the request breaks a rule
	Busy        Code = "busy"        // MaxPending is reached: try again later
	Unreachable Code = "unreachable" // a strict operation, and no primary
	Uncertain   Code = "uncertain"   // a strict write, and no word of whether the primary has it
)

// What nodes tell each other. Op is when the operation began, which names it on
// the node that waits.
type (
	// Write asks a primary for a version; Written answers.
	Write struct {
		Op         hlc.Timestamp
		Key, Value string
		Deleted    bool
	}
	// Written says that the primary has it, and as what.
	Written struct {
		Op    hlc.Timestamp
		Entry Entry
	}
	// Lookup asks a primary for what is newer than these, which come without
	// values; Looked answers.
	Lookup struct {
		Op   hlc.Timestamp
		Have []Entry
	}
	// Looked holds those that are newer.
	Looked struct {
		Op      hlc.Timestamp
		Entries []Entry
	}
	// Replicate carries records to a node that may not have them.
	Replicate struct{ Entries []Entry }

	// Root, Sums and Versions find out what another node has newer, as sync.go
	// tells.
	Root struct{ Sum uint64 }
	// Sums has one sum for each bucket.
	Sums struct{ Sums []uint64 }
	// Versions are all entries of a bucket, without values.
	Versions struct {
		Bucket  int
		Entries []Entry
	}
)

// What timers carry.
type (
	// Expire ends the wait for the primaries of an operation.
	Expire struct{ Op hlc.Timestamp }
	// Tick is the time to compare with the other nodes.
	Tick struct{}
)

// An Op is an operation that waits for primaries.
type Op struct {
	Request     event.MessageID // whom to answer
	Kind        OpKind
	Consistency Consistency // asked for
	Keys        []string    // one, but those of a scan
	Value       string      // to be written
	Deleted     bool        // to be written: a tombstone
	Next        string      // of a scan's Listing
	Waiting     []string    // primaries that were asked and haven't answered
	Missing     []string    // primaries that can't be reached
}

// OpKind is what an Op does.
type OpKind string

// The kinds of Op.
const (
	OpWrite OpKind = "write"
	OpRead  OpKind = "read"
	OpScan  OpKind = "scan"
)

// failed reports whether a strict operation has to do without a primary.
func (op *Op) failed() bool { return op.Consistency == Strict && len(op.Missing) > 0 }

func (op *Op) failure() Failure {
	away := strings.Join(op.Missing, ", ")
	if op.Kind == OpWrite && len(op.Waiting) > 0 {
		return Failure{Uncertain, "primary " + away + " was asked and hasn't answered: it may have the write or not"}
	}
	return Failure{Unreachable, "primary " + away + " can't be reached"}
}

// invalid says which rule an operation breaks, "" for none.
func (op *Op) invalid() string {
	switch op.Consistency {
	case "", Fresh, Eventual, Strict:
	default:
		return "consistency is one of fresh, eventual, strict"
	}
	switch {
	case op.Kind == "":
		return "clients may Put, Delete, Get and Scan"
	case op.Kind != OpScan && (op.Keys[0] == "" || len(op.Keys[0]) > MaxKey):
		return "a key has 1 to " + strconv.Itoa(MaxKey) + " bytes"
	case len(op.Value) > MaxValue:
		return "a value has at most " + strconv.Itoa(MaxValue) + " bytes"
	case op.Kind != OpScan && !utf8.ValidString(op.Keys[0]), !utf8.ValidString(op.Value):
		return "keys and values are UTF-8 text"
	}
	return ""
}
