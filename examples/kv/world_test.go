package kv

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"hindcast.dev/event"
	"hindcast.dev/hlc"
	"hindcast.dev/machine"
	"hindcast.dev/machine/state"
	"hindcast.dev/stepper"
)

// A world is three steppers and the network between them in virtual time, for
// tests of single promises: each delay, loss and crash is where the test puts it.
// Whatever else may happen is for the simulator, in sim_test.go.
type world struct {
	t        testing.TB
	now      time.Duration // since epoch
	nodes    []*vnode
	codec    *state.Codec
	queue    []delivery // by at, then by n
	count    uint64     // deliveries so far
	requests uint64
	ops      map[event.MessageID]*operation // that wait for a reply

	cut  map[link]bool
	hold bool                    // a cut link keeps what is sent for later, instead of losing it
	lose func(event.Effect) bool // if set: which messages are lost besides
	slow func() time.Duration    // delay of one message

	sent []event.Effect // messages between nodes
}

var epoch = hlc.FromTime(time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC))

type link struct{ from, to string }

type delivery struct {
	at time.Duration
	n  uint64
	to *vnode
	ev event.Event
}

// A vnode is a node: what its journal holds, and, while it is up, its stepper and
// clock.
type vnode struct {
	name    string
	options stepper.Options
	up      bool
	boot    uint64
	st      *stepper.Stepper
	clock   *hlc.Clock
	journal []stamped
	arrives map[string]time.Duration // from each peer: the last arrival, so that links are FIFO
}

type stamped struct {
	ev    event.Event
	boot  uint64
	chain uint64 // after the event
}

// An operation is what a client did.
type operation struct {
	id       event.MessageID
	at       *vnode
	body     any
	invoked  time.Duration
	returned time.Duration
	reply    any            // nil while it waits
	before   int            // messages sent until it began
	sent     []event.Effect // messages sent from then until it was answered
}

func newWorld(t testing.TB) *world {
	t.Helper()
	codec, err := state.NewCodec(New().(machine.Typed).Payloads())
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, codec: codec, cut: map[link]bool{}, ops: map[event.MessageID]*operation{}}
	w.slow = func() time.Duration { return time.Millisecond }
	names := []string{"n1", "n2", "n3"}
	for _, name := range names {
		n := &vnode{name: name, arrives: map[string]time.Duration{}}
		n.options = stepper.Options{Node: name, Registry: Registry()}
		w.nodes = append(w.nodes, n)
	}
	for i, n := range w.nodes {
		w.boot(n)
		peers := slices.Delete(slices.Clone(names), i, i+1)
		payload, err := state.Marshal(event.StartInfo{Node: n.name, Peers: peers, Seed: uint64(i), Version: 1})
		if err != nil {
			t.Fatal(err)
		}
		w.handle(n, event.Event{Kind: event.Start, Machine: Name, Version: 1, Payload: payload})
	}
	return w
}

func (w *world) node(name string) *vnode {
	i := slices.IndexFunc(w.nodes, func(n *vnode) bool { return n.name == name })
	return w.nodes[i]
}

func (n *vnode) kv() *KV { return n.st.Machine(Name).(*KV) }

// reading is what all nodes' clocks show.
func (w *world) reading() hlc.Reading {
	return hlc.Reading{Wall: epoch.Add(w.now), Mono: w.now}
}

// boot brings a node up from its journal.
func (w *world) boot(n *vnode) {
	var err error
	if n.st, err = stepper.New(n.options); err != nil {
		w.t.Fatalf("%s doesn't start: %v", n.name, err)
	}
	last := hlc.Timestamp(0)
	for _, e := range n.journal {
		e.ev.Payload = bytes.Clone(e.ev.Payload)
		if _, err := n.st.Step(e.ev, e.boot); err != nil {
			w.t.Fatalf("%s event %d again: %v", n.name, e.ev.Seq, err)
		}
		if n.st.Chain() != e.chain {
			w.t.Fatalf("%s diverges at event %d %s %s: chain %x was %x", n.name, e.ev.Seq, e.ev.Kind, e.ev.Name, n.st.Chain(), e.chain)
		}
	}
	if len(n.journal) > 0 {
		last = n.journal[len(n.journal)-1].ev.Time
	}
	n.clock = hlc.NewClock(0, last)
	n.boot++
	n.up = true
}

// crash takes a node down; whoever waits for it gets no answer.
func (w *world) crash(n *vnode) {
	n.up, n.st = false, nil
	for id, op := range w.ops {
		if op.at == n {
			delete(w.ops, id)
		}
	}
	w.queue = slices.DeleteFunc(w.queue, func(d delivery) bool { return d.to == n })
}

// handle stamps an event, journals it, steps it and performs what comes of it.
func (w *world) handle(n *vnode, ev event.Event) {
	r := w.reading()
	if ev.Sent != 0 {
		ts, _, err := n.clock.Receive(r, ev.Sent)
		if err != nil {
			w.t.Fatalf("the test's clocks are too far apart: %v", err)
		}
		ev.Time = ts
	} else {
		ev.Time, _ = n.clock.Local(r)
	}
	ev.Seq = uint64(len(n.journal)) + 1
	out, err := n.st.Step(ev, n.boot)
	if err != nil {
		w.t.Fatalf("%s event %d: %v", n.name, ev.Seq, err)
	}
	if out.Refused != "" {
		w.t.Fatalf("%s refuses %s %s: %s", n.name, ev.Kind, ev.Name, out.Refused)
	}
	n.journal = append(n.journal, stamped{ev, n.boot, n.st.Chain()})
	for _, e := range out.Effects {
		switch e.Kind {
		case event.EffectSend:
			w.send(n, e)
		case event.EffectReply:
			w.replied(n, e)
		}
	}
}

func (w *world) send(from *vnode, e event.Effect) {
	w.sent = append(w.sent, e)
	to := w.node(e.Node)
	l := link{from.name, to.name}
	if !to.up || w.cut[l] && !w.hold || w.lose != nil && w.lose(e) {
		return
	}
	at := max(w.now+w.slow(), to.arrives[from.name])
	to.arrives[from.name] = at
	w.enqueue(at, to, event.Event{Kind: event.Message, Machine: e.To, From: e.Machine, Name: e.Name, Version: e.Version,
		ID: e.ID, Sent: e.Sent, Payload: e.Payload})
}

func (w *world) enqueue(at time.Duration, to *vnode, ev event.Event) {
	w.count++
	d := delivery{at, w.count, to, ev}
	i, _ := slices.BinarySearchFunc(w.queue, d, func(a, b delivery) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.n, b.n)) })
	w.queue = slices.Insert(w.queue, i, d)
}

// do has a client ask a node, which handles that at once.
func (w *world) do(at *vnode, body any) *operation {
	w.requests++
	op := &operation{at: at, body: body, invoked: w.now, before: len(w.sent),
		id: event.MessageID{Node: at.name + ".client", Boot: at.boot, Seq: w.requests}}
	name, version, payload, err := w.codec.Encode(body)
	if err != nil {
		w.t.Fatal(err)
	}
	w.ops[op.id] = op
	w.handle(at, event.Event{Kind: event.Request, Machine: Name, Name: name, Version: version, Payload: payload, ID: op.id})
	return op
}

func (w *world) replied(n *vnode, e event.Effect) {
	op := w.ops[e.ID]
	if op == nil {
		if e.ID.Boot == n.boot {
			w.t.Errorf("%s answers %s, which nobody waits for", n.name, e.ID)
		}
		return // its client went with the boot before
	}
	delete(w.ops, e.ID)
	body, err := w.codec.Decode(e.Name, e.Version, e.Payload)
	if err != nil {
		w.t.Fatal(err)
	}
	op.reply, op.returned, op.sent = body, w.now, w.sent[op.before:]
}

// run goes on for d.
func (w *world) run(d time.Duration) {
	end := w.now + d
	for w.step(end) {
	}
	w.now = end
}

// step does what is due next, a delivery or a timer, if that is before end.
func (w *world) step(end time.Duration) bool {
	at, what := end, func() {}
	for i, d := range w.queue {
		if l := (link{d.ev.ID.Node, d.to.name}); w.cut[l] {
			continue // held, or on its way when the link was cut
		}
		if d.at <= at {
			at, what = max(d.at, w.now), func() { w.queue = slices.Delete(w.queue, i, i+1); w.handle(d.to, d.ev) }
		}
		break
	}
	for _, n := range w.nodes {
		if !n.up {
			continue
		}
		due, ev, ok := n.st.NextTimer()
		if !ok {
			continue
		}
		if t := max(due.Sub(epoch), w.now); t < at {
			at, what = t, func() { n.st.Offered(ev.ID); w.handle(n, ev) }
		}
	}
	if at >= end {
		return false
	}
	w.now = at
	what()
	return true
}

// split cuts the links between a node and the others; heal mends all.
func (w *world) split(n *vnode) {
	for _, o := range w.nodes {
		w.cut[link{n.name, o.name}], w.cut[link{o.name, n.name}] = true, true
	}
}

func (w *world) heal() { clear(w.cut) }

// converged fails the test unless all nodes hold the same.
func (w *world) converged() {
	w.t.Helper()
	first := maps.Collect(w.nodes[0].kv().Items.All())
	for _, n := range w.nodes[1:] {
		if items := maps.Collect(n.kv().Items.All()); !maps.Equal(items, first) {
			w.t.Errorf("%s has %d records and %s has %d, or others", n.name, len(items), w.nodes[0].name, len(first))
		}
	}
}

// keyAt returns a key whose primary is n.
func (w *world) keyAt(n *vnode) string {
	for i := 0; ; i++ {
		if key := fmt.Sprintf("key/%s/%d", n.name, i); w.primary(key) == n {
			return key
		}
	}
}

func (w *world) primary(key string) *vnode {
	ctx := &machine.Context{Start: w.nodes[0].st.Start()}
	return w.node(primary(ctx, key))
}
