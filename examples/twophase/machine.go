// Package twophase is two-phase commit, small enough to be read in one go, with a
// mistake that can be switched on. docs/sim-twophase.md tells how the simulator
// finds it.
//
// A write goes to all nodes or to none. The node that a client asks coordinates:
//
//	coordinator           participant
//	  Prepare ───────────▶  locks the key, or not
//	  ◀─────────────  Vote
//	  all yes: commit; a no, or no word in time: abort
//	  Decision ──────────▶  writes or doesn't, unlocks
//
// Between its yes and the Decision a participant is in doubt, and may do nothing
// but ask.
package twophase

import (
	"slices"
	"time"

	"hindcast.dev/event"
	"hindcast.dev/machine"
)

// Name is the machine's name.
const Name = "twophase"

// Impatient is the setting that switches the mistake on: a participant that has
// been in doubt for a while takes it that the transaction was aborted.
const Impatient = "impatient"

const (
	voteWait  = 400 * time.Millisecond // how long the coordinator waits for votes
	doubtWait = time.Second            // how long a participant waits for the decision
)

// State is what became of a transaction, for good.
type State string

// The states.
const (
	Committed State = "committed"
	Aborted   State = "aborted"
)

// A Transaction is a write that is prepared on a node.
type Transaction struct{ Key, Value, Coordinator string }

// A Ballot is what the coordinator of a transaction still has to hear.
type Ballot struct {
	Client  event.MessageID
	Waiting []string // the nodes whose votes are missing
}

// Store is the machine: coordinator and participant in one.
type Store struct {
	Records   machine.Map[string, string]
	Prepared  machine.Map[string, Transaction] // this node said yes and knows no decision
	Locks     machine.Map[string, string]      // key → the transaction that is prepared
	Committed machine.Map[string, string]      // key → the last that was, on this node
	Aborted   machine.Map[string, string]      // key → the last that was prepared here, and then aborted
	Ballots   machine.Map[string, Ballot]      // of transactions coordinated here and not decided
	Decisions machine.Map[string, State]       // of those decided; who asks late must be told, too
}

// New returns an empty store.
func New() machine.Machine { return &Store{} }

// Registry holds the machine by name and version.
func Registry() machine.Registry { return machine.Registry{Name: {1: New}} }

// Step handles one event.
func (s *Store) Step(ctx *machine.Context, ev event.Event) {
	switch m := ev.Body.(type) {
	case Write:
		s.begin(ctx, ev.ID, m)
	case Prepare:
		yes := s.prepare(ctx, m.Transaction, Transaction{m.Key, m.Value, ev.ID.Node})
		ctx.Send(ev.ID.Node, Name, Vote{m.Transaction, yes})
	case Vote:
		s.vote(ctx, ev.ID.Node, m)
	case Decision:
		s.settle(ctx, m.Transaction, m.State)
	case Inquire:
		if state, ok := s.Decisions.Get(m.Transaction); ok {
			ctx.Send(ev.ID.Node, Name, Decision{m.Transaction, state})
		}
	case VotesDue:
		s.decide(ctx, m.Transaction, Aborted)
	case InDoubt:
		s.doubt(ctx, m.Transaction)
	}
}

// begin coordinates a client's write.
func (s *Store) begin(ctx *machine.Context, client event.MessageID, m Write) {
	id := client.String()
	if !s.prepare(ctx, id, Transaction{m.Key, m.Value, ctx.Node()}) {
		ctx.Reply(client, Done{id, Aborted})
		return
	}
	s.Ballots.Put(id, Ballot{client, ctx.Peers()})
	ctx.SetTimer("votes "+id, voteWait, VotesDue{id})
	for _, p := range ctx.Peers() {
		ctx.Send(p, Name, Prepare{id, m.Key, m.Value})
	}
}

// prepare locks the key for a transaction, if no other has.
func (s *Store) prepare(ctx *machine.Context, id string, t Transaction) (yes bool) {
	if s.Locks.Has(t.Key) {
		return false
	}
	s.Prepared.Put(id, t)
	s.Locks.Put(t.Key, id)
	if t.Coordinator != ctx.Node() {
		ctx.SetTimer("doubt "+id, doubtWait, InDoubt{id})
	}
	return true
}

// vote counts one vote: a no decides, and the last yes.
func (s *Store) vote(ctx *machine.Context, from string, m Vote) {
	b, open := s.Ballots.Get(m.Transaction)
	if !open {
		return
	}
	b.Waiting = slices.DeleteFunc(slices.Clone(b.Waiting), func(n string) bool { return n == from })
	s.Ballots.Put(m.Transaction, b)
	switch {
	case !m.Yes:
		s.decide(ctx, m.Transaction, Aborted)
	case len(b.Waiting) == 0:
		s.decide(ctx, m.Transaction, Committed)
	}
}

// decide is the coordinator's decision: once, and for good.
func (s *Store) decide(ctx *machine.Context, id string, state State) {
	b, open := s.Ballots.Get(id)
	if !open {
		return
	}
	s.Ballots.Delete(id)
	s.Decisions.Put(id, state)
	ctx.CancelTimer("votes " + id)
	s.settle(ctx, id, state)
	for _, p := range ctx.Peers() {
		ctx.Send(p, Name, Decision{id, state})
	}
	ctx.Reply(b.Client, Done{id, state})
}

// settle ends a transaction on this node.
func (s *Store) settle(ctx *machine.Context, id string, state State) {
	t, ok := s.Prepared.Get(id)
	if !ok {
		return
	}
	s.Prepared.Delete(id)
	s.Locks.Delete(t.Key)
	ctx.CancelTimer("doubt " + id)
	if state == Aborted {
		s.Aborted.Put(t.Key, id)
		return
	}
	s.Committed.Put(t.Key, id)
	s.Records.Put(t.Key, t.Value)
}

// doubt is about a participant that voted yes and hears nothing. Whoever voted
// yes has given the decision away: it may have been made, and be told to others.
func (s *Store) doubt(ctx *machine.Context, id string) {
	t, _ := s.Prepared.Get(id)
	if ctx.Config(Impatient) != "" {
		s.settle(ctx, id, Aborted) // the mistake
		return
	}
	ctx.Send(t.Coordinator, Name, Inquire{id})
	ctx.SetTimer("doubt "+id, doubtWait, InDoubt{id})
}
