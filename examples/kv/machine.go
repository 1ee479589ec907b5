// Package kv is a replicated key-value store, written as Hindcast wants a
// service to be: one deterministic machine, its HTTP face, and nothing else.
//
// Every node holds every record. The record's primary, a node chosen by hashing
// the key, gives its versions and the fresh answers, each in one hop; all other
// copies follow without anybody waiting. Who can't reach a primary goes on alone
// and says so. The later version wins, so when links heal the copies become
// equal: nodes compare what they have every second and send what differs.
//
// The nodes of a cluster are the same for good, for they choose the primaries.
// Tombstones stay.
package kv

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"hindcast.dev/event"
	"hindcast.dev/hlc"
	"hindcast.dev/machine"
)

// Name is the machine's name, on which clients call and which queries use.
const Name = "kv"

// Bounds. A batch of the largest records fits into one message.
const (
	MaxKey     = 512      // bytes
	MaxValue   = 32 << 10 // bytes
	MaxBatch   = 100      // records in a Listing or a message
	MaxPending = 1024     // operations of a node that wait for primaries
)

const (
	opTimeout = 500 * time.Millisecond // how long a primary may take
	// writeLate is the age at which a Write isn't done any more: the client has its
	// answer since opTimeout, and maybe wrote again. Clocks may differ by MaxDrift.
	writeLate = opTimeout + hlc.DefaultMaxDrift
)

// KV is the machine. Queries may ask for its exported fields: kv.items["x"].version,
// kv.suspects and so on.
type KV struct {
	Items    machine.Map[string, Item]
	Pending  machine.Map[hlc.Timestamp, Op]
	Suspects machine.Set[string]                // peers that a wait was in vain for
	Heard    machine.Map[string, hlc.Timestamp] // when each peer's last Root came

	index *index // of Items; see sync.go
}

// New returns an empty store.
func New() machine.Machine { return &KV{} }

// Registry holds the machine by name and version.
func Registry() machine.Registry { return machine.Registry{Name: {1: New}} }

// Payloads lists the types that KV sends and takes.
func (*KV) Payloads() []any {
	return []any{Put{}, Delete{}, Get{}, Scan{}, Answer{}, Listing{}, Failure{}, Write{}, Written{}, Lookup{}, Looked{},
		Replicate{}, Root{}, Sums{}, Versions{}, Expire{}, Tick{}}
}

// Step handles one event.
func (s *KV) Step(ctx *machine.Context, ev event.Event) {
	switch ev.Kind {
	case event.Start:
		for _, n := range ctx.Peers() {
			s.Heard.Put(n, ctx.Now())
		}
		s.tick(ctx)
	case event.Request:
		s.request(ctx, ev.ID, ev.Body)
	case event.Message:
		s.Suspects.Delete(ev.ID.Node)
		s.message(ctx, ev.ID.Node, ev.Body)
	case event.Timer:
		switch m := ev.Body.(type) {
		case Expire:
			s.expire(ctx, m.Op)
		case Tick:
			s.tick(ctx)
		}
	}
}

// request makes an Op of what a client asks and begins it.
func (s *KV) request(ctx *machine.Context, req event.MessageID, body any) {
	op := Op{Request: req}
	switch m := body.(type) {
	case Put:
		op.Kind, op.Consistency, op.Keys, op.Value = OpWrite, m.Consistency, []string{m.Key}, m.Value
	case Delete:
		op.Kind, op.Consistency, op.Keys, op.Deleted = OpWrite, m.Consistency, []string{m.Key}, true
	case Get:
		op.Kind, op.Consistency, op.Keys = OpRead, m.Consistency, []string{m.Key}
	case Scan:
		op.Kind, op.Consistency = OpScan, m.Consistency
		op.Keys, op.Next = s.list(m)
		op.Missing = slices.Collect(s.Suspects.All()) // they may have keys that aren't here
	}
	if why := op.invalid(); why != "" {
		ctx.Reply(req, Failure{Invalid, why})
		return
	}
	s.begin(ctx, op)
}

// list returns the keys that a scan finds in the local copy. One that was created
// elsewhere a moment ago may be missing.
func (s *KV) list(m Scan) (keys []string, next string) {
	limit := m.Limit
	if limit <= 0 || limit > MaxBatch {
		limit = MaxBatch
	}
	for key, item := range s.Items.From(max(m.Prefix, m.From)) {
		switch {
		case !strings.HasPrefix(key, m.Prefix):
			return keys, ""
		case item.Deleted:
		case len(keys) == limit:
			return keys, key
		default:
			keys = append(keys, key)
		}
	}
	return keys, ""
}

// begin asks the primaries of an operation, or finishes it if there is nobody to
// wait for.
func (s *KV) begin(ctx *machine.Context, op Op) {
	keysOf := map[string][]string{} // by primary; never ranged over: a Go map has no order
	for _, key := range op.Keys {
		p := primary(ctx, key)
		if p == ctx.Node() || op.Consistency == Eventual {
			continue
		}
		keysOf[p] = append(keysOf[p], key)
		switch {
		case slices.Contains(op.Missing, p), slices.Contains(op.Waiting, p):
		case s.Suspects.Has(p):
			op.Missing = append(op.Missing, p)
		default:
			op.Waiting = append(op.Waiting, p)
		}
	}
	switch {
	case len(op.Waiting) == 0, op.failed():
		s.finish(ctx, op)
		return
	case s.Pending.Len() >= MaxPending:
		ctx.Reply(op.Request, Failure{Busy, "as many operations as a node may have wait for other nodes"})
		return
	}
	id := ctx.Now()
	s.Pending.Put(id, op)
	ctx.SetTimer(opTimer(id), opTimeout, Expire{id})
	for _, p := range op.Waiting {
		if op.Kind == OpWrite {
			ctx.Send(p, Name, Write{Op: id, Key: op.Keys[0], Value: op.Value, Deleted: op.Deleted})
		} else {
			ctx.Send(p, Name, Lookup{Op: id, Have: s.versions(keysOf[p])})
		}
	}
}

// message handles what another node says.
func (s *KV) message(ctx *machine.Context, from string, body any) {
	switch m := body.(type) {
	case Write:
		if ctx.Now() < m.Op.Add(writeLate) {
			e := s.assign(ctx, m.Key, m.Value, m.Deleted)
			ctx.Send(from, Name, Written{m.Op, e})
			s.replicate(ctx, e, from)
		}
	case Written:
		s.merge(m.Entry)
		if op, ok := s.answered(ctx, m.Op, from); ok {
			ctx.Reply(op.Request, Answer{Key: m.Entry.Key, Found: !op.Deleted, Item: m.Entry.Item, Consistency: Fresh})
		}
	case Lookup:
		ctx.Send(from, Name, Looked{m.Op, s.newer(m.Have)})
	case Looked:
		s.merge(m.Entries...)
		if op, ok := s.answered(ctx, m.Op, from); ok {
			s.finish(ctx, op)
		}
	case Replicate:
		s.merge(m.Entries...)
	case Root:
		s.Heard.Put(from, ctx.Now())
		if m.Sum != s.root() {
			ctx.Send(from, Name, Sums{s.sums()})
		}
	case Sums:
		s.compareSums(ctx, from, m)
	case Versions:
		s.compareVersions(ctx, from, m)
	}
}

// answered notes a primary's answer and, if it was the last one, ends the wait.
func (s *KV) answered(ctx *machine.Context, id hlc.Timestamp, by string) (op Op, done bool) {
	op, ok := s.Pending.Get(id)
	if !ok {
		return op, false
	}
	op.Waiting = slices.DeleteFunc(slices.Clone(op.Waiting), func(n string) bool { return n == by })
	if len(op.Waiting) > 0 {
		s.Pending.Put(id, op)
		return op, false
	}
	s.Pending.Delete(id)
	ctx.CancelTimer(opTimer(id))
	return op, true
}

// expire goes on without the primaries that haven't answered in time.
func (s *KV) expire(ctx *machine.Context, id hlc.Timestamp) {
	op, _ := s.Pending.Get(id)
	s.Pending.Delete(id)
	for _, p := range op.Waiting {
		s.Suspects.Add(p)
	}
	op.Missing = slices.Concat(op.Missing, op.Waiting)
	s.finish(ctx, op)
}

// finish answers an operation from here. Reads come after what the primaries said
// was merged, so of their records this copy is as fresh as theirs.
func (s *KV) finish(ctx *machine.Context, op Op) {
	switch {
	case op.failed():
		ctx.Reply(op.Request, op.failure())
	case op.Kind == OpWrite:
		e := s.assign(ctx, op.Keys[0], op.Value, op.Deleted)
		ctx.Reply(op.Request, s.answer(ctx, op, e.Key))
		s.replicate(ctx, e, "")
	case op.Kind == OpRead:
		ctx.Reply(op.Request, s.answer(ctx, op, op.Keys[0]))
	case op.Kind == OpScan:
		ctx.Reply(op.Request, s.listing(ctx, op))
	}
}

// answer is what this node has under a key, and what that is worth.
func (s *KV) answer(ctx *machine.Context, op Op, key string) Answer {
	item, ok := s.Items.Get(key)
	a := Answer{Key: key, Found: ok && !item.Deleted, Item: item, Consistency: Fresh}
	p := primary(ctx, key)
	switch {
	case op.Consistency == Eventual && p != ctx.Node():
		a.Consistency = Eventual
	case slices.Contains(op.Missing, p):
		a.Consistency = Degraded
	default:
		return a
	}
	if heard, ok := s.Heard.Get(p); ok {
		a.Age = ctx.Now().Sub(heard)
	}
	return a
}

func (s *KV) listing(ctx *machine.Context, op Op) Listing {
	l := Listing{Consistency: Fresh, Next: op.Next}
	switch {
	case op.Consistency == Eventual:
		l.Consistency = Eventual
	case len(op.Missing) > 0:
		l.Consistency = Degraded
	}
	for _, key := range op.Keys {
		if a := s.answer(ctx, op, key); a.Found {
			l.Answers = append(l.Answers, a)
		}
	}
	return l
}

// Query reads the local copy while nothing can be journaled, and so nobody asked.
func (s *KV) Query(ctx *machine.Context, body any) any {
	op := Op{Missing: slices.Concat(ctx.Peers(), []string{ctx.Node()})}
	switch m := body.(type) {
	case Get:
		return s.answer(ctx, op, m.Key)
	case Scan:
		op.Keys, op.Next = s.list(m)
		return s.listing(ctx, op)
	}
	return Failure{Invalid, "only a Get or Scan is answered without a journal"}
}

// assign gives a new version here. It wins over all that this node has seen, for
// that is what the clock sees to: a message is handled at a later time than it
// was sent.
func (s *KV) assign(ctx *machine.Context, key, value string, deleted bool) Entry {
	e := Entry{key, Item{Value: value, Version: ctx.Now(), Writer: ctx.Node(), Deleted: deleted}}
	s.merge(e)
	return e
}

// replicate tells all others but one, and waits for nobody.
func (s *KV) replicate(ctx *machine.Context, e Entry, except string) {
	for _, n := range ctx.Peers() {
		if n != except {
			s.send(ctx, n, []Entry{e})
		}
	}
}

// primary is the node whose name, hashed with the key, comes out highest: so each
// has an equal share.
func primary(ctx *machine.Context, key string) string {
	best, most := ctx.Node(), hash(key, ctx.Node())
	for _, n := range ctx.Peers() {
		if h := hash(key, n); h > most || h == most && n < best {
			best, most = n, h
		}
	}
	return best
}

func opTimer(id hlc.Timestamp) string {
	return string(strconv.AppendUint(append(make([]byte, 0, 24), "op/"...), uint64(id), 10))
}
