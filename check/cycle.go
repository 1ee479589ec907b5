package check

// A Cycle is operations each of which must come before the next, and the last
// before the first: so no order has them all. It is how contradictions of
// consistency models and of transactions are told alike.
type Cycle struct {
	Operations []Operation
	Edges      []Edge

	labels []string // what to write beside each operation's name; nil: what it did
}

// An Edge says that one operation of a Cycle must come before another.
type Edge struct {
	From, To int    // indices into Cycle.Operations
	Kind     string // short, for pictures: "ww", "wr", "rw", "process", "time"
	Why      string // a clause for the explanation: "T2 read x = 3, which T1 wrote"
}
