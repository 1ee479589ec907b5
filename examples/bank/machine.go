// Package bank keeps accounts on several nodes and moves money between them by
// messages. No money is made or lost: at every consistent cut the balances and what
// is under way come to the same sum. It is what snapshots are tested with.
//
// A transfer to another node is a message, numbered by sender and receiver; the
// receiver takes each number once, in whatever order they come, so that one that is
// lost holds up no other. What isn't acknowledged is told again in a message of
// another type: so a message that is lost, or a node that dies, delays a transfer
// and doesn't lose it.
package bank

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"hindcast.dev/event"
	"hindcast.dev/hlc"
	"hindcast.dev/machine"
)

// Name is the machine's name, on which clients call and which queries use.
const Name = "bank"

// Opening is what is in every account at first.
const Opening = 1000

// AccountsSetting is the setting that says how many accounts each node opens; it
// has DefaultAccounts otherwise.
const (
	AccountsSetting = "accounts"
	DefaultAccounts = 10
)

const (
	againAfter = time.Second            // what isn't acknowledged for so long is told again
	againSoon  = 100 * time.Millisecond // after what was told again at once, the rest
	againMax   = 1000                   // transfers told again at once, to a node that answers
	probeMax   = 10                     // to one that doesn't
	owedMax    = 10_000                 // transfers that wait for acknowledgement: then clients are refused
	earlyMax   = 10_000                 // transfers of a node that are taken before an earlier one
)

// Bank is the machine. Queries may ask for its exported fields:
// bank.accounts["n1/0"].balance, bank.owed and so on.
type Bank struct {
	Accounts machine.Map[string, Account]       // by name: NODE/NUMBER
	Owed     machine.Map[string, Owed]          // by receiver and number: sent, and not acknowledged
	Sent     machine.Map[string, uint64]        // by receiver: the number of the last transfer to it
	Taken    machine.Map[string, uint64]        // by sender: the number up to which all transfers were taken
	Early    machine.Map[string, uint64]        // by sender and number, above that: those that were taken too
	Ahead    machine.Map[string, int64]         // by sender: how many of Early are its
	Paid     machine.Map[string, int64]         // by receiver: what it was sent, in all
	Got      machine.Map[string, int64]         // by sender: what came from it, in all
	Heard    machine.Map[string, hlc.Timestamp] // by receiver: when it last acknowledged anything
}

// An Account is what one client has.
type Account struct {
	Balance int64
}

// An Owed is a transfer that was sent and not acknowledged.
type Owed struct {
	To      string // node
	No      uint64
	Account string
	Amount  int64
	At      hlc.Timestamp // when it was sent, or told again
}

// New returns a bank without accounts; it opens them when it starts.
func New() machine.Machine { return &Bank{} }

// Registry holds the machine by name and version.
func Registry() machine.Registry { return machine.Registry{Name: {1: New}} }

// Payloads lists the types that Bank sends and takes.
func (*Bank) Payloads() []any {
	return []any{Transfer{}, Done{}, Denied{}, Look{}, Sheet{}, Credit{}, Again{}, Ack{}, Tick{}}
}

// Step handles one event.
func (b *Bank) Step(ctx *machine.Context, ev event.Event) {
	switch m := ev.Body.(type) {
	case event.StartInfo:
		b.open(ctx)
	case Transfer:
		if ev.Kind == event.Request {
			b.transfer(ctx, ev.ID, m)
		}
	case Look:
		if ev.Kind == event.Request {
			ctx.Reply(ev.ID, b.sheet())
		}
	case Credit:
		b.take(ctx, ev.ID.Node, m.No, m.Account, m.Amount)
	case Again:
		b.take(ctx, ev.ID.Node, m.No, m.Account, m.Sum)
	case Ack:
		b.settle(ctx, ev.ID.Node, m)
	case Tick:
		b.again(ctx)
	}
}

func (b *Bank) open(ctx *machine.Context) {
	if b.Accounts.Len() > 0 {
		return // it had started before
	}
	n, err := strconv.Atoi(ctx.Config(AccountsSetting))
	if err != nil || n < 1 {
		n = DefaultAccounts
	}
	for i := range n {
		b.Accounts.Put(fmt.Sprintf("%s/%d", ctx.Node(), i), Account{Opening})
	}
	ctx.SetTimer("again", againAfter, Tick{})
}

// transfer moves money out of an account here.
func (b *Bank) transfer(ctx *machine.Context, request event.MessageID, m Transfer) {
	from, ok := b.Accounts.Get(m.From)
	node, _, _ := strings.Cut(m.To, "/")
	here := node == ctx.Node()
	reason := ""
	switch {
	case !ok:
		reason = fmt.Sprintf("there is no account %q on node %s", m.From, ctx.Node())
	case m.Amount < 1 || m.Amount > from.Balance:
		reason = fmt.Sprintf("%d can't be taken from a balance of %d", m.Amount, from.Balance)
	case here && !b.Accounts.Has(m.To), !here && !slices.Contains(ctx.Peers(), node):
		reason = fmt.Sprintf("there is no account %q", m.To)
	case !here && b.Owed.Len() >= owedMax:
		reason = "too many transfers wait for other nodes"
	}
	if reason != "" {
		ctx.Reply(request, Denied{reason})
		return
	}
	from.Balance -= m.Amount
	b.Accounts.Put(m.From, from)
	if here {
		b.add(m.To, m.Amount)
	} else {
		no, _ := b.Sent.Get(node)
		no++
		b.Sent.Put(node, no)
		b.Paid.Update(node, func(sum *int64) { *sum += m.Amount })
		b.Owed.Put(owedKey(node, no), Owed{node, no, m.To, m.Amount, ctx.Now()})
		ctx.Send(node, Name, Credit{no, m.To, m.Amount})
	}
	ctx.Reply(request, Done(from))
}

func owedKey(node string, no uint64) string { return fmt.Sprintf("%s/%020d", node, no) }

func (b *Bank) add(account string, amount int64) {
	b.Accounts.Update(account, func(a *Account) { a.Balance += amount })
}

// take takes a transfer in, if it wasn't, and tells how far that has come. An account
// that another node made up is opened: money isn't lost.
func (b *Bank) take(ctx *machine.Context, from string, no uint64, account string, amount int64) {
	last, _ := b.Taken.Get(from)
	key := owedKey(from, no)
	ahead, _ := b.Ahead.Get(from)
	switch {
	case no <= last || b.Early.Has(key):
	case no > last+1 && ahead >= earlyMax:
		ctx.Send(from, Name, Ack{UpTo: last})
		return
	default:
		b.Got.Update(from, func(sum *int64) { *sum += amount })
		b.add(account, amount)
		if no == last+1 {
			last = b.close(from, no)
			break
		}
		b.Early.Put(key, no)
		b.Ahead.Put(from, ahead+1)
	}
	ctx.Send(from, Name, Ack{UpTo: last, No: no})
}

// close closes the gap at a number: what was taken above it counts as in order.
func (b *Bank) close(from string, no uint64) (last uint64) {
	last = no
	for b.Early.Delete(owedKey(from, last+1)) {
		last++
	}
	b.Taken.Put(from, last)
	if last > no {
		b.Ahead.Update(from, func(n *int64) { *n -= int64(last - no) })
	}
	return last
}

// settle forgets what a node has taken.
func (b *Bank) settle(ctx *machine.Context, node string, m Ack) {
	b.Heard.Put(node, ctx.Now())
	b.Owed.Delete(owedKey(node, m.No))
	for k, o := range b.Owed.From(owedKey(node, 0)) {
		if o.To != node || o.No > m.UpTo {
			return
		}
		b.Owed.Delete(k)
	}
}

// again tells of transfers that nobody acknowledged; the more of them the sooner,
// but of a node that doesn't answer only to learn whether it is back.
func (b *Bank) again(ctx *machine.Context) {
	next := againAfter
	for node := range b.Sent.Keys() {
		most := probeMax
		if heard, _ := b.Heard.Get(node); ctx.Now().Sub(heard) < 2*againAfter {
			most = againMax
		}
		if b.tell(ctx, node, most) && most == againMax {
			next = againSoon
		}
	}
	ctx.SetTimer("again", next, Tick{})
}

// tell tells one node again; more says that there would be more to tell.
func (b *Bank) tell(ctx *machine.Context, node string, most int) (more bool) {
	n := 0
	for k, o := range b.Owed.From(owedKey(node, 0)) {
		if o.To != node {
			break
		}
		if ctx.Now().Sub(o.At) < againAfter {
			continue
		}
		if n++; n > most {
			return true
		}
		o.At = ctx.Now()
		b.Owed.Put(k, o)
		ctx.Send(o.To, Name, Again{o.No, o.Account, o.Amount})
	}
	return false
}

func (b *Bank) sheet() Sheet {
	var s Sheet
	for name, a := range b.Accounts.All() {
		s.Accounts = append(s.Accounts, Line{name, a.Balance})
		s.Sum += a.Balance
	}
	for _, o := range b.Owed.All() {
		s.Owed += o.Amount
	}
	return s
}

// Query answers Look without an entry in the journal.
func (b *Bank) Query(_ *machine.Context, body any) any {
	if _, ok := body.(Look); ok {
		return b.sheet()
	}
	return nil
}
