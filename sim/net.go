package sim

import (
	"fmt"
	"math"
	"time"

	"hindcast.dev/event"
	"hindcast.dev/journal/record"
	"hindcast.dev/machine"
)

// A NetworkMode is what the network promises, by the field's names.
type NetworkMode string

// The modes of a network.
const (
	// Synchronous: every message arrives, within a bound.
	Synchronous NetworkMode = "synchronous"
	// SemiSynchronous: asynchronous until the core heals, synchronous from then on
	// (Dwork, Lynch, Stockmeyer, "Consensus in the presence of partial synchrony",
	// 1988).
	SemiSynchronous NetworkMode = "semi-synchronous"
	// Asynchronous: no bound, and loss, also while progress is demanded; only less.
	Asynchronous NetworkMode = "asynchronous"
)

// network is what is between nodes, and between clients and nodes.
type network struct {
	mode     NetworkMode
	reliable bool // mode and fifo aren't drawn: see Reliable
	rand     *machine.Rand
	base     time.Duration // of every message
	jitter   time.Duration // mean of what comes on top, exponential
	tail     float64       // probability of a long delay
	tailMax  time.Duration // of which this is the longest
	loss     float64
	double   float64
	fifo     bool      // links keep the order
	links    []link    // from*len(nodes)+to
	letters  []*letter // to be used again
	spare    []*message
}

// A link is one direction between two nodes.
type link struct {
	weather weather
	cut     int           // faults that cut it
	slow    time.Duration // by faults
	loss    float64
	twice   float64
	garble  float64
	clogs   int // faults that hold its messages
	held    []*message
	last    int64 // the last arrival, for FIFO
	down    bool  // as the journals have it: see tellLinks
}

// A message is a frame between two nodes.
type message struct {
	from, to *Node
	boot     uint64 // of the sender
	frame    record.Frame
	copies   int // on their way
}

// newMessage returns a message on its way, once.
func (w *World) newMessage() *message {
	n := len(w.net.spare)
	if n == 0 {
		return &message{copies: 1}
	}
	m := w.net.spare[n-1]
	w.net.spare = w.net.spare[:n-1]
	m.copies = 1
	return m
}

// over is the end of one copy of a message; after the last one it is used again.
func (w *World) over(m *message) {
	if m.copies--; m.copies == 0 {
		*m = message{}
		w.net.spare = append(w.net.spare, m)
	}
}

func (m *message) String() string {
	return fmt.Sprintf("%s %s %s from %s", m.frame.Kind, m.frame.Name, m.frame.ID, m.from.name)
}

// Reliable says, in Setup, that the network delivers every message, in the order of
// sending and within a bound: for what is to be seen without losses. Faults may
// still come; see Without.
func (w *World) Reliable() { w.net.reliable = true }

// drawNetwork draws what the network is like in this run.
func (w *World) drawNetwork() {
	n := &w.net
	n.rand = w.Rand("network")
	n.mode = NetworkMode(w.Pick("network", string(SemiSynchronous), string(SemiSynchronous), string(Asynchronous), string(Synchronous)))
	n.base = w.Duration("network.base", 50*time.Microsecond, 5*time.Millisecond)
	n.jitter = w.Duration("network.jitter", 10*time.Microsecond, 20*time.Millisecond)
	n.fifo = w.Chance("network.fifo", 0.5)
	// All are drawn in every run, so that each can be set in every run.
	tails, tail, tailMax := w.Chance("network.tails", 0.5), w.Float("network.tail", 0, 0.01), w.Duration("network.tailMax", 100*time.Millisecond, 10*time.Second)
	loses, loss := w.Chance("network.loses", 0.5), w.Float("network.loss", 0, 0.1)
	doubles, double := w.Chance("network.doubles", 0.5), w.Float("network.double", 0, 0.1)
	if n.reliable {
		n.mode, n.fifo = Synchronous, true
	}
	if n.mode == Synchronous {
		return
	}
	if tails {
		n.tail, n.tailMax = tail, tailMax
	}
	if loses {
		n.loss = loss
	}
	if doubles {
		n.double = double
	}
}

// calm makes the network what it promises to be when progress is demanded.
func (n *network) calm() {
	if n.mode == SemiSynchronous {
		n.loss, n.double, n.tail = 0, 0, 0
		return
	}
	n.loss, n.tail, n.tailMax = n.loss/4, n.tail/4, min(n.tailMax, time.Second)
}

// delay is how long a message takes.
func (n *network) delay() time.Duration {
	d := n.base
	if n.jitter > 0 {
		d += time.Duration(-math.Log(1-n.rand.Float64()) * float64(n.jitter))
	}
	if n.tail > 0 && n.rand.Float64() < n.tail {
		d += time.Duration(n.rand.Float64() * float64(n.tailMax))
	}
	if n.mode == Synchronous {
		d = min(d, n.bound())
	}
	return d
}

// bound is how long a message takes at most where there is a bound.
func (n *network) bound() time.Duration { return n.base + 10*n.jitter }

func (w *World) link(from, to *Node) *link { return &w.net.links[from.index*len(w.nodes)+to.index] }

// send lets a frame go from one node to another.
func (w *World) send(from *Node, to *Node, f *record.Frame) {
	l := w.link(from, to)
	if l.cut > 0 {
		from.dropped(to, f, "partition")
		return
	}
	l.weather.set(w.net.rand, w, placeLink|uint64(from.index)<<8|uint64(to.index))
	switch {
	case w.chance(w.net.loss + l.loss):
		from.dropped(to, f, "loss")
		return
	}
	m := w.newMessage()
	m.from, m.to, m.boot, m.frame = from, to, from.boot, *f
	if w.chance(l.garble) && !w.garbled(m) {
		from.dropped(to, f, "garbled")
		return
	}
	w.convey(l, m)
	if w.chance(w.net.double + l.twice) {
		w.happenedNow(FaultDouble)
		m.copies++
		w.convey(l, m)
	}
}

// garbled flips a bit of a message on the wire and reports whether the receiver
// would take it all the same.
func (w *World) garbled(m *message) bool {
	wire := record.AppendWire(nil, &m.frame)
	bit := w.net.rand.IntN(8 * len(wire))
	wire[bit/8] ^= 1 << (bit % 8)
	f, _, err := record.DecodeWire(wire)
	if err != nil {
		return false
	}
	m.frame = f
	return true
}

func (w *World) chance(p float64) bool { return p > 0 && w.net.rand.Float64() < p }

// convey brings a message on its way, if nothing holds it.
func (w *World) convey(l *link, m *message) {
	if l.clogs > 0 {
		l.held = append(l.held, m)
		return
	}
	at := w.now + int64(w.net.delay()+l.slow)
	if w.net.fifo {
		at = max(at, l.last+1)
		l.last = at
	}
	w.queue.put(at, happening{kind: happensDelivery, node: m.to, arg: m})
}

// tellLinks notes on both sides of a link that it went down, or is up again, as
// production's transport does for its connections.
func (w *World) tellLinks() {
	for _, a := range w.nodes {
		for _, b := range w.nodes {
			l := w.link(a, b)
			if down := l.cut > 0; down != l.down {
				l.down = down
				state := map[bool]string{true: "down", false: "up"}[down]
				a.note(0, event.NoteLink, event.NoteInfo{Peer: b.name, State: state, Reason: "partition"})
			}
		}
	}
}

// unclog lets what a link holds go on.
func (w *World) unclog(l *link) {
	held := l.held
	l.held = nil
	for _, m := range held {
		l.weather.set(w.net.rand, w, placeLink|uint64(m.from.index)<<8|uint64(m.to.index))
		w.convey(l, m)
	}
}

// dropped has a lost message recorded as lost, as a node's transport does.
func (n *Node) dropped(to *Node, f *record.Frame, reason string) {
	n.w.mix(f.ID.Seq, uint64(to.index))
	if !n.up {
		return
	}
	n.note(f.Sent, event.NoteDrop, event.NoteInfo{Peer: to.name, Message: f.ID.String(), Name: f.Name, Reason: reason})
}

// A Process is something in the world that is no node: a bare actor.
type Process struct {
	w       *World
	receive func(from *Process, body any)
}

type letter struct {
	from, to *Process
	body     any
}

// arrive gives the body to the receiver; the letter is used again.
func (l *letter) arrive() {
	from, to, body := l.from, l.to, l.body
	l.body = nil
	to.w.net.letters = append(to.w.net.letters, l)
	to.receive(from, body)
}

// Process makes a bare process: receive is called for every message to it. Its
// messages take time like others, but none are lost.
func (w *World) Process(receive func(from *Process, body any)) *Process {
	return &Process{w, receive}
}

// Send sends body, which is not copied, to another process.
func (p *Process) Send(to *Process, body any) {
	var l *letter
	if n := len(p.w.net.letters); n > 0 {
		l, p.w.net.letters = p.w.net.letters[n-1], p.w.net.letters[:n-1]
	} else {
		l = new(letter)
	}
	l.from, l.to, l.body = p, to, body
	p.w.queue.put(p.w.now+int64(p.w.net.delay()), happening{kind: happensLetter, arg: l})
}
