package sim

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// A Watch looks after worlds that run, from outside: a machine that loops for ever
// inside of one Step holds its world up for good, and nothing in the world can tell.
// It takes no part in what the worlds do.
type Watch struct {
	mu     sync.Mutex
	worlds map[*pulse]bool // that run now
}

// A pulse is where a world is. The goroutine that runs it writes, the Watch reads.
type pulse struct {
	subject   *Subject
	options   Options
	goroutine []byte // how its stack begins: "goroutine 17 "

	events atomic.Uint64 // that have begun
	node   atomic.Pointer[Node]
	kind   atomic.Uint32

	// Of the Watch alone.
	seen  uint64
	still int // looks in a row at which it was the same event
}

// A Hang is a world in which one event isn't over after a long time.
type Hang struct {
	Subject string
	Options Options // of the run: the seed and what was set
	Event   uint64  // of the world, from 1; 0 is the set-up
	Node    string  // whose event it is, "" for none
	What    string  // the event in words
	Stack   string  // of the goroutine that runs the world
	After   time.Duration
}

// begin is told that a world is about to run on the calling goroutine.
func (w *Watch) begin(s *Subject, o *Options) *pulse {
	if w == nil {
		return nil
	}
	p := &pulse{subject: s, options: *o, goroutine: goroutine()}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.worlds == nil {
		w.worlds = map[*pulse]bool{}
	}
	w.worlds[p] = true
	return p
}

// end is told that it doesn't run any more.
func (w *Watch) end(p *pulse) {
	if w == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.worlds, p)
}

// beat is told that an event of the world begins.
func (p *pulse) beat(event uint64, h *happening) {
	p.node.Store(h.node)
	p.kind.Store(uint32(h.kind))
	p.events.Store(event)
}

// goroutine is how the calling goroutine's stack begins.
func goroutine() []byte {
	b := make([]byte, 64)
	b = b[:runtime.Stack(b, false)]
	if i := bytes.IndexByte(b, '['); i > 0 {
		return b[:i]
	}
	return nil
}

// Looks at a world before it is held for hanging.
const looksMax = 20

// Run looks after the worlds until ctx ends, and tells of the first that is at the
// same event for as long as after. Time in which this process didn't run doesn't
// count. hung is called once, on the goroutine of Run.
func (w *Watch) Run(ctx context.Context, after time.Duration, hung func(*Hang)) {
	tick := time.NewTicker(max(after/looksMax, time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if p := w.look(); p != nil {
			hung(p.hang(ctx, after))
			return
		}
	}
}

// look returns a world that was at the same event at enough looks.
func (w *Watch) look() *pulse {
	w.mu.Lock()
	defer w.mu.Unlock()
	for p := range w.worlds {
		if now := p.events.Load(); now != p.seen {
			p.seen, p.still = now, 0
			continue
		}
		if p.still++; p.still > looksMax {
			return p
		}
	}
	return nil
}

// tellMax is how long it may take to run a world once more up to where it hangs.
const tellMax = 30 * time.Second

// hang describes where a world is.
func (p *pulse) hang(ctx context.Context, after time.Duration) *Hang {
	h := &Hang{Subject: p.subject.Name, Options: p.options, Event: p.seen, Stack: p.stack(), After: after}
	if p.seen == 0 {
		h.What = "the set-up"
		return h
	}
	if n := p.node.Load(); n != nil {
		h.Node = n.name
	}
	h.What = kindNames[p.kind.Load()]
	// What the event is about belongs to the goroutine that hangs. The run is the
	// same once more up to there, and this time it is told in words.
	lines := make(chan Line, 1)
	ctx, cancel := context.WithTimeout(ctx, tellMax)
	defer cancel()
	o := p.options
	o.Watch, o.Quick = nil, true
	o.Stop = func() bool { return ctx.Err() != nil }
	o.Trace = func(l Line) {
		if l.N == h.Event {
			lines <- l
		}
	}
	go func() { _, _ = Attempt(p.subject, o) }() // it hangs as well
	select {
	case l := <-lines:
		h.Node, h.What = l.Node, fmt.Sprintf("%s, at %s", l.Text, l.At)
	case <-ctx.Done():
	}
	return h
}

// stackBytesMax bounds the stacks of all goroutines that are looked through.
const stackBytesMax = 16 << 20

// stack is the stack of the goroutine that runs the world.
func (p *pulse) stack() string {
	for size := 1 << 16; ; size *= 2 {
		b := make([]byte, size)
		n := runtime.Stack(b, true)
		if n == size && size < stackBytesMax {
			continue
		}
		for one := range bytes.SplitSeq(b[:n], []byte("\n\n")) {
			if bytes.HasPrefix(one, p.goroutine) {
				return string(one)
			}
		}
		return ""
	}
}
