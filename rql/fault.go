package rql

import (
	"hindcast.dev/event"
	"hindcast.dev/hlc"
	"hindcast.dev/rql/syntax"
)

// A Fault is a kind of runtime error. Faults never end a query: the expression
// has no value or the comparison is false, and the summary counts them.
type Fault string

// The kinds of Fault.
const (
	FaultArithmetic Fault = "arithmetic on a value that is not a number"
	FaultDivision   Fault = "division by zero"
	FaultRemainder  Fault = "% of floats"
	FaultTooLong    Fault = "an int of more than 65536 bits"
	FaultRange      Fault = "an int too large to be shown"
	FaultAbsent     Fault = "comparison with no value"
	FaultTypes      Fault = "comparison of different types"
	FaultUnordered  Fault = "comparison of values that have no order"
	FaultCondition  Fault = "not a condition"
	FaultCollection Fault = "not a collection"
	FaultArgument   Fault = "wrong type of argument"
	FaultAggregate  Fault = "aggregate over mixed or unsuitable types"
)

// An ErrorCount says how often a Fault was met, and where first. The engine
// evaluates only what an event touched, so it counts evaluations, not cuts.
type ErrorCount struct {
	Fault Fault
	Count uint64
	Pos   syntax.Pos    // of the first, in the query
	Node  string        // whose event made the cut of the first; "" if that is a tick
	Seq   uint64        // that event
	Time  hlc.Timestamp // of that cut
	// Lattice says that it was met under POSSIBLY or DEFINITELY: the event is one of
	// the last in the cut, none if the cut is the one that the search begins with.
	Lattice bool
	// Left and Right are the types that the first of FaultTypes compared, else "".
	Left, Right string
}

// What is the kind for a person, with the types that were compared first.
func (e *ErrorCount) What() string {
	if e.Left == "" {
		return string(e.Fault)
	}
	what := string(e.Fault) + ", " + article(e.Left) + " with " + article(e.Right)
	if hint := typesHint(e.Left, e.Right); hint != "" {
		what += " (" + hint + ")"
	}
	return what
}

// typesHint is the remedy where values of two types never meet, "" if there is no
// usual one.
func typesHint(left, right string) string {
	time, text := event.TypeTime.String(), event.TypeString.String()
	if left == time && right == text || left == text && right == time {
		return "write a time without quotes"
	}
	return ""
}

// faults counts by kind, in the order in which the kinds first came.
type faults struct {
	list []ErrorCount
}

// add counts a fault, and returns it if it is the first of its kind.
func (f *faults) add(kind Fault, pos syntax.Pos, w *world) (first *ErrorCount) {
	for i := range f.list {
		if f.list[i].Fault == kind {
			f.list[i].Count++
			return nil
		}
	}
	e := ErrorCount{Fault: kind, Count: 1, Pos: pos, Time: w.now}
	if w.event != nil {
		e.Node, e.Seq = w.names[w.event.Node], w.event.Seq
	}
	f.list = append(f.list, e)
	return &f.list[len(f.list)-1]
}
