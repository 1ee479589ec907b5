package sim

import (
	"fmt"
	"math/bits"
	"slices"
	"time"

	"hindcast.dev/check"
	"hindcast.dev/hlc"
	"hindcast.dev/machine"
)

// epoch is where the worlds' time begins.
var epoch = hlc.FromTime(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))

// A World is one run: nodes, the network between them, their clients, and time.
// Everything in it happens on the goroutine that runs it, in an order that the
// seed decides. It is handed to Subject.Setup, and later to what that asked to be
// called; nothing may be kept beyond the run.
type World struct {
	options Options
	subject *Subject
	queue   queue
	now     int64  // ns since the world began
	events  uint64 // happened so far
	moved   uint64 // events when time passed last
	hash    uint64

	seed    uint64 // that decides from here on: Options.Seed, until a Reseed
	streams []stream
	drawn   []Drawn

	net      network
	nodes    []*Node
	byName   map[string]*Node
	load     *load
	judges   judges
	codecs   codecs
	adapters map[string]Adapter
	faults   []Fault // the schedule
	nemesis  nemesis
	cover    coverage
	phase    phase
	phases   phases

	failure *Failure
	misused error // a mistake in the subject or the options: the run can't begin
}

type stream struct {
	purpose string
	rand    *machine.Rand
}

// Rand returns a generator for one purpose, the same for the same name. After a
// Reseed it goes on from the other seed.
func (w *World) Rand(purpose string) *machine.Rand {
	for _, s := range w.streams {
		if s.purpose == purpose {
			return s.rand
		}
	}
	r := newStream(w.seed, purpose)
	w.streams = append(w.streams, stream{purpose, r})
	return r
}

// Now is the virtual time since the world began.
func (w *World) Now() time.Duration { return time.Duration(w.now) }

// After calls f when d of virtual time has passed.
func (w *World) After(d time.Duration, f func()) {
	w.queue.put(w.now+int64(max(d, 0)), happening{kind: happensCall, arg: f})
}

// Nodes are the world's nodes, in the order in which they were made.
func (w *World) Nodes() []*Node { return w.nodes }

// Node returns a node by its name, nil if there is none.
func (w *World) Node(name string) *Node { return w.byName[name] }

// Fail ends the run as a safety failure: what a subject finds for itself.
func (w *World) Fail(property, format string, args ...any) {
	w.fail(&Failure{Kind: Safety, Property: property, Text: fmt.Sprintf(format, args...)})
}

func (w *World) fail(f *Failure) {
	if w.failure != nil {
		return
	}
	f.Event, f.At = w.events, w.Now()
	w.failure = f
}

// misuse ends the run before it begins.
func (w *World) misuse(format string, args ...any) {
	if w.misused == nil {
		w.misused = fmt.Errorf(format, args...)
	}
}

// A kind is what a happening is.
type kind uint8

const (
	happensDelivery kind = iota + 1 // a message arrives
	happensTurn                     // a node's loop is polled
	happensWake                     // the same, because a timer is due
	happensDisk                     // a disk has done what was asked
	happensStart                    // a node starts
	happensFault                    // a fault begins
	happensMending                  // a fault ends
	happensInvoke                   // a client begins an operation
	happensRequest                  // a request reaches a node
	happensReply                    // an answer reaches a client
	happensTimeout                  // a client gives up
	happensCall                     // of a function: the subject's, or a phase's end
	happensLetter                   // a bare process gets a message
)

var kindNames = [...]string{happensDelivery: "delivery", happensTurn: "turn", happensWake: "wake", happensDisk: "disk",
	happensStart: "start", happensFault: "fault", happensMending: "mending", happensInvoke: "invoke", happensRequest: "request",
	happensReply: "reply", happensTimeout: "timeout", happensCall: "call", happensLetter: "letter"}

// step lets the next thing happen. The queue isn't empty.
func (w *World) step() {
	at, h := w.queue.take()
	w.events++
	if p := w.options.pulse; p != nil {
		p.beat(w.events, &h)
	}
	if w.events > w.options.eventsMax() {
		w.endless()
		return
	}
	if at > w.now {
		w.now, w.moved = at, w.events
	} else if w.events-w.moved > stillMax {
		w.stands()
	}
	if r := w.options.Reseed; r != nil && w.events == r.At+1 {
		w.reseed(r.Seed)
	}
	who := uint64(0)
	if h.node != nil {
		who = uint64(h.node.index) + 1
	}
	w.mix(uint64(h.kind)<<32|who, uint64(w.now))
	if w.options.Trace != nil {
		w.trace(&h)
	}
	switch h.kind {
	case happensDelivery:
		h.node.deliver(h.arg.(*message))
	case happensTurn:
		h.node.turn(h.tag)
	case happensWake:
		h.node.woken(h.tag)
	case happensDisk:
		h.node.disk.done(h.tag)
	case happensStart:
		h.node.start(h.tag)
	case happensFault:
		w.nemesis.begin(w, int(h.tag))
	case happensMending:
		w.nemesis.mend(w, int(h.tag))
	case happensInvoke:
		h.arg.(*Client).invoke(h.tag)
	case happensRequest:
		h.node.request(h.arg.(*call))
	case happensReply:
		h.arg.(*reply).arrive()
	case happensTimeout:
		h.arg.(*call).timeout(h.tag)
	case happensCall:
		h.arg.(func())()
	case happensLetter:
		h.arg.(*letter).arrive()
	}
	if w.options.Fingerprints {
		w.phases.fingerprints = append(w.phases.fingerprints, w.hash)
	}
}

// mix takes two words into the run's hash. Each step is a bijection of the hash
// for given words, so that what was different once stays different.
func (w *World) mix(a, b uint64) {
	h := bits.RotateLeft64(w.hash^a, 23) * 0x9e3779b97f4a7c15
	h = bits.RotateLeft64(h^b, 29) * 0xbf58476d1ce4e5b9
	w.hash = h ^ h>>32
}

// reseed lets another seed decide from here on.
func (w *World) reseed(seed uint64) {
	w.seed = seed
	for _, s := range w.streams {
		*s.rand = *newStream(seed, s.purpose)
	}
	w.nemesis.redraw(w)
}

func (w *World) trace(h *happening) {
	l := Line{N: w.events, At: w.Now(), Hash: w.hash, Text: kindNames[h.kind]}
	if h.node != nil {
		l.Node = h.node.name
	}
	switch x := h.arg.(type) {
	case *message:
		l.Text += " " + x.String()
	case *call:
		l.Text += " " + x.String()
	case *reply:
		l.Text += " " + x.String()
	case *Client:
		l.Text += " " + x.lane
	}
	switch h.kind {
	case happensFault, happensMending:
		l.Text += " " + w.nemesis.describe(w, int(h.tag))
	}
	w.options.Trace(l)
}

// run lets things happen until the phases are over, something failed, or nothing
// is left to happen.
func (w *World) run() (stopped bool) {
	for w.goesOn() {
		w.step()
		if w.events%4096 == 0 && w.options.Stop != nil && w.options.Stop() {
			return true
		}
	}
	return false
}

// goesOn reports whether the run isn't over.
func (w *World) goesOn() bool {
	return w.failure == nil && w.misused == nil && !w.phases.over && w.queue.len() > 0
}

// operations are what clients did, in the order of invocation.
func (w *World) operations() []check.Operation {
	if w.load == nil {
		return nil
	}
	return slices.Clone(w.load.operations)
}
