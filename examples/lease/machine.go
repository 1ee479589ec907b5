// Package lease is a lock that is held for a time only, small enough to be read in
// one go, with a mistake that can be switched on. docs/sim-lease.md tells how the
// simulator finds it.
//
// The first node keeps a register and gives out leases on it, one at a time. Who
// has the lease was told the register's value, counts on by itself, and writes:
//
//	keeper                     holder
//	  ◀───────────────  Acquire
//	  Granted{token, value} ──▶  for so long, by its own clock
//	  ◀──  Write{token, value+1}
//	  Written ────────────────▶  answers its client
//
// A holder can't know that its time is over: its clock may be slow, the network
// may hold its write back, the process may be stopped for a minute between looking
// at the clock and writing. So the keeper numbers the leases, and refuses a write
// under any but the newest: that is the fence.
package lease

import (
	"slices"
	"time"

	"hindcast.dev/event"
	"hindcast.dev/hlc"
	"hindcast.dev/machine"
)

// Name is the machine's name.
const Name = "lease"

// Unfenced is the setting that switches the mistake on: the keeper trusts in
// everybody's clock and takes every write.
const Unfenced = "unfenced"

const (
	leaseTime = 300 * time.Millisecond
	retryWait = 50 * time.Millisecond // until a lease is asked for again
)

// Register is what the lease is for.
type Register struct {
	Value int64
	Token uint64 // under which it was written
}

// Lock is the machine: keeper and holder in one.
type Lock struct {
	// The keeper's.
	Register Register
	Token    uint64        // of the newest lease
	Holder   string        // who has it
	Until    hlc.Timestamp // by the keeper's clock

	// The holder's.
	Held    bool                                // it believes to have the lease
	Lease   uint64                              // the token of its newest lease
	Value   int64                               // as far as it has counted
	Waiting machine.List[event.MessageID]       // clients that wait for a lease
	Written machine.Map[int64, event.MessageID] // clients that wait for Written, by value
}

// New returns a lock that nobody holds.
func New() machine.Machine { return &Lock{} }

// Registry holds the machine by name and version.
func Registry() machine.Registry { return machine.Registry{Name: {1: New}} }

// Step handles one event.
func (l *Lock) Step(ctx *machine.Context, ev event.Event) {
	switch m := ev.Body.(type) {
	case Next:
		l.Waiting.Append(ev.ID)
		l.serve(ctx)
	case Acquire:
		l.acquire(ctx, ev.ID.Node)
	case Granted:
		l.granted(ctx, m)
	case Write:
		l.write(ctx, ev.ID.Node, m)
	case Written:
		l.written(ctx, m)
	case Over:
		l.Held = false
	case Retry:
		l.serve(ctx)
	}
}

// acquire gives the lease to who asks for it, if it is free.
func (l *Lock) acquire(ctx *machine.Context, from string) {
	if ctx.Now() < l.Until && l.Holder != from {
		return // it asks again
	}
	l.Token++
	l.Holder, l.Until = from, ctx.Now().Add(leaseTime)
	ctx.Send(from, Name, Granted{l.Token, l.Register.Value})
}

// write sets the register. The fence is the newest lease that was granted, not
// the newest that has written: who has it was told the value already.
func (l *Lock) write(ctx *machine.Context, from string, m Write) {
	if m.Token < l.Token && ctx.Config(Unfenced) == "" {
		ctx.Send(from, Name, Written{m.Token, m.Value, true})
		return
	}
	l.Register = Register{m.Value, m.Token}
	ctx.Send(from, Name, Written{m.Token, m.Value, false})
}

// granted begins a lease. Who waits for a write under the one before hears nothing
// of it any more.
func (l *Lock) granted(ctx *machine.Context, m Granted) {
	l.Held, l.Lease, l.Value = true, m.Token, m.Value
	l.Written.Clear()
	ctx.SetTimer("over", leaseTime, Over{})
	l.serve(ctx)
}

// serve gives numbers to those who wait, or asks for a lease.
func (l *Lock) serve(ctx *machine.Context) {
	if l.Waiting.Len() == 0 {
		return
	}
	if !l.Held {
		ctx.Send(keeper(ctx), Name, Acquire{})
		ctx.SetTimer("retry", retryWait, Retry{})
		return
	}
	for _, client := range l.Waiting.All() {
		l.Value++
		l.Written.Put(l.Value, client)
		ctx.Send(keeper(ctx), Name, Write{l.Lease, l.Value})
	}
	l.Waiting.DropBefore(l.Waiting.End())
}

// written answers the client of a write.
func (l *Lock) written(ctx *machine.Context, m Written) {
	client, ok := l.Written.Get(m.Value)
	if !ok || m.Token != l.Lease {
		return
	}
	l.Written.Delete(m.Value)
	if m.Refused {
		l.Held = false
		ctx.Reply(client, Refused{})
		return
	}
	ctx.Reply(client, Number{m.Value})
}

// keeper is the node that has the register.
func keeper(ctx *machine.Context) string {
	return slices.Min(append(slices.Clone(ctx.Peers()), ctx.Node()))
}
