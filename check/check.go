// Package check judges what clients saw: is there an order of their operations
// that explains every answer, and which guarantees does it keep?
//
// It takes operations (from a History's lanes client/N, or from a log of another
// tool) and gives a Result: the verdict, and for each violation the few operations
// that matter, a sentence that says why no order explains them, and a picture.
//
// A check never guesses. Where it runs into its bound the verdict is Undecided,
// and says which bound that was. An operation without an answer (Info) may have
// happened at any time after its call, or never; one that failed (Fail) did not
// happen. The package reads no clock and no file.
package check

import (
	"io"
	"math"

	"hindcast.dev/event"
)

// Open is the Return of an operation that never came back.
const Open = math.MaxInt64

// An Outcome is what a client knows of its operation afterwards.
type Outcome uint8

// The outcomes. The zero Outcome is Info: who knows nothing may claim nothing.
const (
	Info Outcome = iota // may have happened, at any time after Call, or never
	Ok                  // happened between Call and Return, and gave Output
	Fail                // surely did not happen
)

// String is "ok", "fail" or "info".
func (o Outcome) String() string {
	switch o {
	case Ok:
		return "ok"
	case Fail:
		return "fail"
	}
	return "info"
}

// An Operation is what a client did.
type Operation struct {
	// Process is the client. It does one operation at a time, so that its
	// operations are ordered; one that ended as Info may overlap with later ones.
	Process int
	// F says what was done: "read", "write", "cas", "append", "delete", "enqueue",
	// "dequeue", "acquire", "release", "txn"; the models say which they know.
	F string
	// Key is the object, "" where there is one only. Objects are independent.
	Key string
	// Input is what was asked. write: the value; append: the element; cas: the list
	// [old, new]; enqueue: the element; txn: the list of micro-operations [f, key,
	// value]. Absent where nothing is.
	Input event.Value
	// Output is what came back. read: the value, Null where there is none; dequeue:
	// the element, Null if it was empty; cas: false if the comparison failed;
	// txn: the micro-operations with what their reads gave. Absent if nothing came
	// back or nothing is known of it; what is Absent constrains nothing.
	Output event.Value
	// Call and Return bound when it happened, as closed interval: in any unit, the
	// same for all. An operation that returns at 5 and one called at 5 are concurrent.
	// Return is Open if no answer came.
	Call, Return int64
	Outcome      Outcome
	// Extra is what else was recorded of it, a map, for who chooses operations by it
	// (such as reads that were asked for as fresh). The checks don't look at it.
	Extra event.Value
	// Ref says where the operation stands, for messages: "client/0:473", "line 12".
	Ref string
}

// A Verdict is what a check came to.
type Verdict uint8

// The verdicts. The zero Verdict is Undecided.
const (
	Undecided Verdict = iota // a bound was reached before there was an answer
	Holds                    // every operation is explained
	Violated                 // some are not, whatever the order
)

// String is "holds", "violated" or "undecided".
func (v Verdict) String() string {
	switch v {
	case Holds:
		return "holds"
	case Violated:
		return "violated"
	}
	return "undecided"
}

// A Result is what a check found.
type Result struct {
	Check      string // the property: "linearizable", "causal", "monotonic reads", "serializable"…
	Model      string // the model's name, "" where there is none
	Verdict    Verdict
	Bound      string // Undecided: which bound was reached, and what to do about it
	Operations int    // how many were looked at
	Keys       int    // how many objects they were on
	Steps      int64  // of search; the measure of Options.Steps
	// Violations are what was found, at most Options.Violations, in order of time; of
	// Transactions, the worst kind first and one of each before a second.
	Violations []Violation
	// Isolation is all that Transactions found, nil for other checks.
	Isolation *Isolation
}

// A Violation is operations that no order allowed by the property explains.
type Violation struct {
	Property string // what is violated: "linearizable", "G1c"…
	Key      string // the object; "" where there is one only, or several matter
	// Text explains it: lines of at most 100 or so columns without a line break at
	// the end. The last is the reason.
	Text string
	// Operations are the few that matter, by Call.
	Operations []Operation
	// Cycle is the contradiction where it is one, nil otherwise.
	Cycle *Cycle

	html func(io.Writer) error
}

// Options bound a check. The zero value works.
type Options struct {
	// Steps bounds the search for an order, in steps: a try to let one operation
	// take effect. 0 is StepsDefault for each object, and a negative number none.
	Steps int64
	// Stop, if not nil, is polled now and then; true ends the check as Undecided. It
	// is how wall time gets in.
	Stop func() bool
	// Violations bounds how many are explained; 0 is ViolationsDefault.
	Violations int
	// Isolation is the model that Transactions judges by, one of IsolationModels; ""
	// is the strongest.
	Isolation string
	// Plain leaves out all that is for people: violations carry operations but are
	// neither minimal nor explained. For who only counts verdicts.
	Plain bool
	// Time, if not nil, writes a Call or Return for people; nil writes the number.
	Time func(int64) string
	// Progress, if not nil, is told now and then how many operations of how many
	// were looked at.
	Progress func(done, total int)
}

// Defaults of Options.
const (
	StepsDefault      = 4_000_000
	ViolationsDefault = 5
)

func (o Options) violationsMax() int {
	if o.Violations > 0 {
		return o.Violations
	}
	return ViolationsDefault
}

func (o Options) stopped() bool { return o.Stop != nil && o.Stop() }
