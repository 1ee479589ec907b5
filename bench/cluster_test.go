package bench

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"hindcast.dev/event"
	"hindcast.dev/examples/kv"
	"hindcast.dev/hlc"
	"hindcast.dev/journal"
	"hindcast.dev/journal/checkpoint"
	"hindcast.dev/journal/record"
	"hindcast.dev/loop"
	"hindcast.dev/machine"
	"hindcast.dev/machine/state"
	"hindcast.dev/vfs"
)

// A cluster is three loops in virtual time without faults, driven as directly as
// can be: what a run costs above this is the simulator's own.
type cluster struct {
	t       testing.TB
	o       clusterOptions
	members []*member
	byName  map[string]*member
	queue   heap[*happening]
	spare   []*happening
	mono    time.Duration
	nonces  uint32
	seq     uint64 // of client requests
	wires   [][]byte
	replies int
}

type clusterOptions struct {
	registry  machine.Registry
	payloads  []any
	machine   string
	request   func(n uint64) any
	every     time.Duration // between requests; 0 is none
	delay     time.Duration // of a message
	disk      time.Duration // of a sync
	maxEvents uint64
}

// A happening is what an event queue holds.
type happening struct {
	at   time.Duration
	n    uint64
	to   *member
	wire []byte // of a message; nil for others
	kind happeningKind
	disk loop.OutputKind
	time hlc.Timestamp
	out  *loop.Output // of a checkpoint
}

type happeningKind uint8

const (
	arrival happeningKind = iota
	diskDone
	timerDue
	clientAsks
)

func (h *happening) before(o *happening) bool { return h.at < o.at || h.at == o.at && h.n < o.n }

type member struct {
	c      *cluster
	name   string
	fs     *vfs.Mem
	j      *journal.Journal
	l      *loop.Loop
	dec    record.Decoder
	timer  time.Duration // for which a timerDue is queued; 0 if there is none
	upkeep bool          // the journal wants Maintain
}

// tick is the unit of Timestamps, rounded up.
const tick = 16 * time.Microsecond

var epoch = hlc.FromTime(time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC))

func newCluster(t testing.TB, o clusterOptions) *cluster {
	t.Helper()
	c := &cluster{t: t, o: o, byName: map[string]*member{}, mono: time.Second}
	names := []string{"n1", "n2", "n3"}
	for i, name := range names {
		m := &member{c: c, name: name, fs: vfs.NewMem(), upkeep: true}
		c.members = append(c.members, m)
		c.byName[name] = m
		m.start(slices.Delete(slices.Clone(names), i, i+1))
		c.settle(m)
	}
	if o.every > 0 {
		c.push(happening{at: c.mono, kind: clientAsks})
	}
	return c
}

func (m *member) start(peers []string) {
	c := m.c
	var err error
	m.j, err = journal.Open(journal.Options{FS: m.fs, Dir: "journal", Node: m.name, SegmentBytes: 64 << 10, Backlog: 128 << 10,
		RetainBytes: 256 << 10, Durability: journal.Group, WantMaintain: func() { m.upkeep = true },
		Nonce: func() uint32 { c.nonces++; return c.nonces*7919 + 1 }})
	if err != nil {
		c.t.Fatal(err)
	}
	m.l, err = loop.Open(loop.Config{Journal: m.j, FS: m.fs, Checkpoints: "checkpoints", Registry: c.o.registry, Node: m.name,
		Build: "bench", Arch: "any", Peers: peers, Durability: journal.Group, CheckpointEvery: 10_000, Seed: uint64(len(c.members))},
		c.reading())
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *cluster) reading() hlc.Reading {
	return hlc.Reading{Wall: epoch.Add(c.mono), Mono: c.mono}
}

func (c *cluster) push(h happening) {
	c.seq++
	var p *happening
	if n := len(c.spare); n > 0 {
		p, c.spare = c.spare[n-1], c.spare[:n-1]
	} else {
		p = new(happening)
	}
	*p = h
	p.n = c.seq
	c.queue.push(p)
}

// events is how many events the loops have handled.
func (c *cluster) events() (n uint64) {
	for _, m := range c.members {
		n += m.l.Seq()
	}
	return n
}

// run goes on until the loops have handled n more events.
func (c *cluster) run(n uint64) {
	for end := c.events() + n; c.events() < end; {
		c.step()
	}
}

// runFor goes on for a time.
func (c *cluster) runFor(d time.Duration) {
	end := c.mono + d
	for len(c.queue) > 0 && c.queue[0].at <= end {
		c.step()
	}
	c.mono = end
}

func (c *cluster) step() {
	p := c.queue.pop()
	h := *p
	c.spare = append(c.spare, p)
	c.mono = max(c.mono, h.at)
	switch h.kind {
	case arrival:
		f, _, err := h.to.dec.DecodeWire(h.wire)
		if err != nil {
			c.t.Fatal(err)
		}
		c.offer(h.to, &f)
		c.wires = append(c.wires, h.wire[:0])
	case diskDone:
		h.to.diskDoes(&h)
	case timerDue:
		h.to.timer = 0
	case clientAsks:
		c.ask()
		c.push(happening{at: h.at + c.o.every, kind: clientAsks})
		return
	}
	c.settle(h.to)
}

func (c *cluster) offer(to *member, f *record.Frame) {
	if err := to.l.Offer(f); err != nil {
		c.t.Fatalf("%s: %v", to.name, err)
	}
}

func (c *cluster) ask() {
	m := c.members[c.seq%3]
	body := c.o.request(c.seq)
	f := record.Frame{Kind: event.Request, Machine: c.o.machine, Name: nameOf(body), Version: 1,
		ID: event.MessageID{Node: m.name + ".client", Boot: 1, Seq: c.seq}}
	var err error
	if f.Payload, err = state.Marshal(body); err != nil {
		c.t.Fatal(err)
	}
	c.offer(m, &f)
	c.settle(m)
}

func nameOf(body any) string {
	switch body.(type) {
	case kv.Put:
		return "Put"
	case kv.Get:
		return "Get"
	}
	panic(fmt.Sprintf("%T", body))
}

// settle polls a node and does what it asks for.
func (c *cluster) settle(m *member) {
	outs, err := m.l.Poll(c.reading())
	if err != nil {
		c.t.Fatal(err)
	}
	for i := range outs {
		o := &outs[i]
		switch o.Kind {
		case loop.OutputSync, loop.OutputCeiling, loop.OutputCheckpoint:
			h := happening{at: c.mono + c.o.disk, kind: diskDone, to: m, disk: o.Kind, time: o.Time}
			if o.Kind == loop.OutputCheckpoint {
				out := *o
				h.out = &out
			}
			c.push(h)
		case loop.OutputSend:
			var b []byte
			if n := len(c.wires); n > 0 {
				b, c.wires = c.wires[n-1], c.wires[:n-1]
			}
			c.push(happening{at: c.mono + c.o.delay, kind: arrival, to: c.byName[o.Node], wire: record.AppendWire(b, &o.Frame)})
		case loop.OutputReply:
			c.replies++
		}
	}
	if m.upkeep {
		m.upkeep = false
		if err := m.j.Maintain(); err != nil {
			c.t.Fatal(err)
		}
	}
	if at, ok := m.l.NextDue(); ok {
		due := at.Sub(epoch) + tick
		if due <= c.mono { // it waits for the disk
			due = c.mono + c.o.delay
		}
		if m.timer == 0 || due < m.timer {
			m.timer = due
			c.push(happening{at: due, kind: timerDue, to: m})
		}
	}
}

func (m *member) diskDoes(p *happening) {
	var err error
	switch o := p.out; p.disk {
	case loop.OutputSync:
		var seq uint64
		if seq, err = m.j.Sync(); err == nil {
			m.l.Synced(seq)
		}
	case loop.OutputCeiling:
		if err = m.j.RaiseCeiling(p.time); err == nil {
			m.l.CeilingSynced(p.time)
		}
	case loop.OutputCheckpoint:
		h := checkpoint.Header{Node: m.name, Boot: m.l.Boot(), Seq: o.Seq, Time: o.Time, Physical: o.Physical, Chain: o.Chain, Versions: o.Versions}
		if err = checkpoint.Write(m.fs, "checkpoints", h, o.Body); err == nil {
			var oldest uint64
			if oldest, err = checkpoint.Prune(m.fs, "checkpoints", 2); oldest > 0 {
				m.j.SetRetainFrom(oldest + 1)
			}
		}
	}
	if err != nil {
		m.c.t.Fatal(err)
	}
}

// A heap is a priority queue.
type heap[T interface{ before(T) bool }] []T

func (h *heap[T]) push(x T) {
	s := append(*h, x)
	i := len(s) - 1
	for i > 0 {
		p := (i - 1) / 2
		if !x.before(s[p]) {
			break
		}
		s[i] = s[p]
		i = p
	}
	s[i] = x
	*h = s
}

func (h *heap[T]) pop() T {
	s := *h
	top, last := s[0], s[len(s)-1]
	var zero T
	s[len(s)-1] = zero
	s = s[:len(s)-1]
	*h = s
	if len(s) == 0 {
		return top
	}
	i := 0
	for {
		kid := 2*i + 1
		if kid >= len(s) {
			break
		}
		if kid+1 < len(s) && s[kid+1].before(s[kid]) {
			kid++
		}
		if !s[kid].before(last) {
			break
		}
		s[i] = s[kid]
		i = kid
	}
	s[i] = last
	return top
}
