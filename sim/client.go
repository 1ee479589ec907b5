package sim

import (
	"fmt"
	"math"
	"slices"
	"time"

	"hindcast.dev/check"
	"hindcast.dev/event"
	"hindcast.dev/hlc"
	"hindcast.dev/journal/record"
	"hindcast.dev/machine"
)

// load is what clients do, and what came of it.
type load struct {
	w          *World
	work       Workload
	clients    []*Client
	target     int // operations before the core is healed
	begun      int
	plan       *Plan // nil: clients work until so many operations have begun
	stopped    bool  // no more operations are begun
	asked      []*Node
	operations []check.Operation
	lanes      []laneEvent
}

// A laneEvent is an event of a client's lane in the History.
type laneEvent struct {
	client    int
	seq       uint64 // in the lane, from 1
	operation int    // index into operations
	number    int    // of the operation, among the client's, from 1
	kind      string
	node      *Node // that was asked; nil at first
	time      hlc.Timestamp
	physical  hlc.Timestamp
	event     uint64 // of the world
	at        int64
}

// laneInvoke is the kind of the event that begins an operation; those that end it
// are called like its outcome.
const laneInvoke = "invoke"

// A Client does one operation after the other. Its clock is right, and an HLC.
type Client struct {
	// Rand is the client's own source.
	Rand *machine.Rand
	// Index counts the clients from 0.
	Index int
	// Done counts operations that ended as ok.
	Done int

	load  *load
	lane  string
	clock *hlc.Clock
	count int    // operations begun
	seq   uint64 // of the lane's last event
	busy  bool   // with an operation
	ok    bool   // since the core healed

	plan        []Planned // what is still to be done, if there is a plan
	purpose     uint64    // of Rand
	asks, hears []weather // on the way to and from each node
}

// Nodes are the nodes that clients ask now: all, or while progress is demanded
// those of the core.
func (c *Client) Nodes() []*Node { return c.load.asked }

// A call is an operation under way.
type call struct {
	c         *Client
	op        Op
	operation int // index into load.operations
	number    int // among the client's, from 1
	node      *Node
	id        event.MessageID // under which the node took it in
	began     hlc.Timestamp   // the client's time, given along
	sent      hlc.Timestamp   // the answer's
	attempt   uint64
	over      bool // the client knows, or gave up
}

func (c *call) String() string {
	return fmt.Sprintf("%s %s %s %s", c.c.lane, c.op.F, c.op.Key, c.op.Input)
}

// A reply is an answer on its way to a client.
type reply struct {
	c       *call
	answer  Answer
	sent    hlc.Timestamp
	attempt uint64
}

func (r *reply) String() string { return r.c.String() }

// Clients lets clients work from the moment the nodes have started until enough
// operations were done, and on while progress is demanded. It is called once, in
// Setup, after Cluster.
func (w *World) Clients(work Workload) {
	if work.Timeout == 0 {
		work.Timeout = time.Second
	}
	l := &load{w: w, work: work, asked: w.nodes, target: w.intFrom("operations", 0, 2000, 2200)}
	// Most runs have about so many; an operation begins and ends.
	l.operations = make([]check.Operation, 0, l.target+work.Clients)
	l.lanes = make([]laneEvent, 0, 2*cap(l.operations))
	for i := range work.Clients {
		c := &Client{load: l, Index: i, lane: fmt.Sprintf("client/%d", i), clock: hlc.NewClock(0, 0),
			Rand: w.Rand(fmt.Sprintf("client %d", i)), purpose: hashName(fmt.Sprintf("client %d", i))}
		c.asks, c.hears = make([]weather, len(w.nodes)), make([]weather, len(w.nodes))
		l.clients = append(l.clients, c)
	}
	w.load = l
	if w.options.Plan != nil {
		l.planned(w.options.Plan)
	}
	for _, c := range l.clients {
		c.next(warmUp)
	}
}

// next begins the next operation after a while.
func (c *Client) next(after time.Duration) {
	w := c.load.w
	if c.load.plan != nil {
		c.nextPlanned()
		return
	}
	think := time.Duration(-math.Log(1-c.Rand.Float64()) * float64(c.load.work.Think))
	w.queue.put(w.now+int64(after+think), happening{kind: happensInvoke, arg: c})
}

func (c *Client) reading() hlc.Reading {
	now := c.load.w.Now()
	return hlc.Reading{Wall: epoch.Add(now), Mono: now}
}

// invoke begins an operation.
func (c *Client) invoke(uint64) {
	l := c.load
	if l.stopped {
		return
	}
	l.begun++
	c.begins()
	op := l.work.Next(c)
	if op.Timeout == 0 {
		op.Timeout = l.work.Timeout
	}
	x := &call{c: c, op: op, operation: len(l.operations), number: c.count}
	c.busy = true
	l.operations = append(l.operations, check.Operation{Process: c.Index, F: op.F, Key: op.Key, Input: op.Input,
		Call: l.w.now, Return: check.Open, Ref: fmt.Sprintf("%s:%d", c.lane, c.seq+1)})
	x.began = l.mark(x, laneInvoke, 0)
	x.ask(op.Node)
	l.reached()
}

// mark adds an event to the client's lane.
func (l *load) mark(x *call, kind string, sent hlc.Timestamp) hlc.Timestamp {
	c := x.c
	ts, pt, err := c.clock.Receive(c.reading(), sent)
	if err != nil {
		ts, pt = c.clock.Local(c.reading())
	}
	c.seq++
	l.lanes = append(l.lanes, laneEvent{client: c.Index, seq: c.seq, operation: x.operation, number: x.number, kind: kind, node: x.node,
		time: ts, physical: pt, event: l.w.events, at: l.w.now})
	return ts
}

// ask sends the request to a node, or to one at random.
func (x *call) ask(name string) {
	l := x.c.load
	w := l.w
	x.attempt++
	x.node = w.byName[name]
	if x.node == nil {
		x.node = l.asked[x.c.Rand.IntN(len(l.asked))]
	}
	w.queue.put(w.now+int64(x.op.Timeout), happening{kind: happensTimeout, arg: x, tag: x.attempt})
	x.c.asks[x.node.index].set(w.net.rand, w, placeAsk|uint64(x.c.Index)<<8|uint64(x.node.index))
	if w.chance(w.net.loss) {
		return
	}
	w.queue.put(w.now+int64(w.net.delay()), happening{kind: happensRequest, node: x.node, arg: x})
}

// frame is the request as node n takes it in.
func (x *call) frame(n *Node) record.Frame {
	n.asked++
	x.id = event.MessageID{Node: n.name + ".client", Boot: n.boot, Seq: n.asked}
	f := record.Frame{Kind: event.Request, Machine: x.op.Machine, ID: x.id, Sent: x.began}
	if b, raw := x.op.Body.([]byte); raw {
		f.Payload = b
		return f
	}
	codec := n.w.codecs[x.op.Machine]
	if codec == nil {
		n.w.misuse("operation %s asks machine %q for %T: the machine has no payload types", x.op.F, x.op.Machine, x.op.Body)
		return f
	}
	var err error
	if f.Name, f.Version, f.Payload, err = codec.Encode(x.op.Body); err != nil {
		n.w.misuse("operation %s asks machine %q for %T: %v", x.op.F, x.op.Machine, x.op.Body, err)
	}
	return f
}

// answer lets an answer go to the client.
func (x *call) answer(n *Node, a Answer) {
	w := n.w
	w.mix(uint64(x.operation), uint64(len(a.Refused)))
	x.c.hears[n.index].set(w.net.rand, w, placeReply|uint64(x.c.Index)<<8|uint64(n.index))
	w.queue.put(w.now+int64(w.net.delay()), happening{kind: happensReply, arg: &reply{x, a, x.sent, x.attempt}})
}

// arrive is the answer at the client.
func (r *reply) arrive() {
	x := r.c
	if x.over || r.attempt != x.attempt {
		return
	}
	if r.answer.Lost {
		x.end(check.Info, event.Absent, 0)
		return
	}
	f := x.c.load.work.Found(x.c, &x.op, r.answer)
	if f.Again {
		x.attempt++ // answers to the attempt before are over
		x.c.load.w.After(f.After, func() {
			if !x.over {
				x.ask(f.Node)
			}
		})
		return
	}
	x.end(f.Outcome, f.Output, r.sent)
}

// timeout is the client's giving up.
func (x *call) timeout(attempt uint64) {
	if !x.over && attempt == x.attempt {
		x.end(check.Info, event.Absent, 0)
	}
}

// end completes the operation.
func (x *call) end(o check.Outcome, output event.Value, sent hlc.Timestamp) {
	x.over = true
	c, l := x.c, x.c.load
	c.busy = false
	op := &l.operations[x.operation]
	op.Outcome, op.Output = o, output
	if o != check.Info {
		op.Return = l.w.now
	}
	l.mark(x, o.String(), sent)
	if o == check.Ok {
		c.Done++
		c.ok = true
	}
	l.w.mix(uint64(x.operation), uint64(o))
	l.w.progressed()
	if !l.stopped {
		c.next(0)
	}
}

// reached looks whether enough operations were begun.
func (l *load) reached() {
	if l.begun >= l.target && l.plan == nil {
		l.w.heal()
	}
}

// idle reports whether no operation is under way.
func (l *load) idle() bool {
	return !slices.ContainsFunc(l.operations[max(0, len(l.operations)-len(l.clients)):], func(o check.Operation) bool {
		return o.Outcome == check.Info && o.Return == check.Open && !l.gaveUp(o)
	})
}

// gaveUp reports whether the client of an open operation has given up.
func (l *load) gaveUp(o check.Operation) bool {
	return l.w.now-o.Call > int64(10*l.work.Timeout)
}
