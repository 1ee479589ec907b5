package lease

// What clients ask, and are told.
type (
	// Next asks for a number that nobody else gets.
	Next struct{}
	// Number is one.
	Number struct{ Value int64 }
	// Refused says that there is none: the lease was over.
	Refused struct{}
)

// What nodes tell each other.
type (
	// Acquire asks the keeper for the lease.
	Acquire struct{}
	// Granted gives it.
	Granted struct {
		Token uint64
		Value int64
	}
	// Write sets the register.
	Write struct {
		Token uint64
		Value int64
	}
	// Written says whether the keeper has done so.
	Written struct {
		Token   uint64
		Value   int64
		Refused bool
	}
)

// What timers carry.
type (
	// Over is the end of a lease, by the holder's clock.
	Over struct{}
	// Retry is the time to ask for a lease again.
	Retry struct{}
)

// Payloads lists the types that Lock sends and takes.
func (*Lock) Payloads() []any {
	return []any{Next{}, Number{}, Refused{}, Acquire{}, Granted{}, Write{}, Written{}, Over{}, Retry{}}
}
