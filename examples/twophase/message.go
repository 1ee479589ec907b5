package twophase

// What clients ask, and are told.
type (
	// Write sets a record on all nodes.
	Write struct{ Key, Value string }
	// Done says which transaction it was, and what came of it.
	Done struct {
		Transaction string
		State       State
	}
)

// What nodes tell each other.
type (
	// Prepare asks for a vote.
	Prepare struct{ Transaction, Key, Value string }
	// Vote answers it.
	Vote struct {
		Transaction string
		Yes         bool
	}
	// Decision is the coordinator's last word.
	Decision struct {
		Transaction string
		State       State
	}
	// Inquire asks the coordinator what it decided.
	Inquire struct{ Transaction string }
)

// What timers carry.
type (
	// VotesDue ends the wait for votes.
	VotesDue struct{ Transaction string }
	// InDoubt says that no decision has come.
	InDoubt struct{ Transaction string }
)

// Payloads lists the types that Store sends and takes.
func (*Store) Payloads() []any {
	return []any{Write{}, Done{}, Prepare{}, Vote{}, Decision{}, Inquire{}, VotesDue{}, InDoubt{}}
}
