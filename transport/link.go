package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"hindcast.dev/event"
)

// A link carries frames to one peer. Its goroutine connects, sends, and
// connects again; Send only queues.
//
//	Send ─► queue ─► pump ─► unacked ─► acknowledged
//	          │                  │
//	          ▼ full, old, cut   ▼ the connection ended
//	        dropped            dropped: in doubt
type link struct {
	t          *Transport
	peer, addr string
	wake       chan struct{} // one signal: the queue has got something
	poke       chan struct{} // one signal: something changed, don't wait to dial

	mu      sync.Mutex // guards what follows
	queue   queue
	unacked queue // sent on this connection and not acknowledged; their frame is nil
	fault   Fault
	closed  bool // nothing is taken any more
	stats   LinkStats
	known   bool // OnLink has been called
}

func newLink(t *Transport, peer, addr string) *link {
	return &link{t: t, peer: peer, addr: addr, wake: make(chan struct{}, 1), poke: make(chan struct{}, 1),
		stats: LinkStats{Addr: addr, Reason: "not connected yet", Dropped: map[string]uint64{}}}
}

// signal puts one signal into c, which holds at most one.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// send queues a frame, or drops it.
func (l *link) send(frame []byte, id event.MessageID, name string) {
	now := time.Now()
	n := letter{frame: frame, id: id, name: name, queued: now, due: now}
	l.mu.Lock()
	reason := l.admit(&n)
	var old []letter
	if reason == "" && !l.stats.Up {
		old = l.queue.popBefore(now.Add(-l.t.o.Timing.QueueAge))
	}
	if reason == "" && !l.queue.push(n, l.t.o.Limits.QueueFrames, l.t.o.Limits.QueueBytes) {
		reason = DropQueueFull
	}
	l.mu.Unlock()
	l.drop(old, DropLinkDown)
	if reason != "" {
		l.drop([]letter{n}, reason)
		return
	}
	signal(l.wake)
}

// admit says why a letter can't be queued, "" if it can, and delays it if a
// fault wants that. The caller holds mu.
func (l *link) admit(n *letter) string {
	f := l.fault
	switch {
	case l.closed:
		return DropClosing
	case len(n.frame) > l.t.o.Limits.FrameBytes:
		return DropTooLarge
	case f.CutOut:
		return DropCut
	case f.Drop > 0 && l.t.o.Random() < f.Drop:
		return DropFault
	}
	n.due = n.queued.Add(f.Delay)
	return ""
}

// drop counts and reports letters that will not be sent. The caller doesn't
// hold mu.
func (l *link) drop(letters []letter, reason string) {
	if len(letters) == 0 {
		return
	}
	l.countDrop(reason, len(letters))
	for _, n := range letters {
		l.t.o.OnDrop(Drop{Peer: l.peer, ID: n.id, Name: n.name, Reason: reason})
	}
}

func (l *link) countDrop(reason string, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stats.Dropped[reason] += uint64(n)
}

// expire drops what has been queued for too long.
func (l *link) expire() {
	before := time.Now().Add(-l.t.o.Timing.QueueAge)
	l.mu.Lock()
	old := l.queue.popBefore(before)
	l.mu.Unlock()
	l.drop(old, DropLinkDown)
}

// run keeps the link up until the Transport drains.
func (l *link) run() {
	back := backOff{min: l.t.o.Timing.BackOffMin, max: l.t.o.Timing.BackOffMax, random: l.t.o.Random}
	for !l.t.draining() {
		err := l.connect(&back)
		l.becomeDown(err)
		l.rest(back.next())
	}
	l.mu.Lock()
	rest := l.queue.popAll()
	l.mu.Unlock()
	l.drop(rest, DropClosing)
}

// close makes send take nothing more.
func (l *link) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
}

// connect dials, shakes hands and sends until the connection ends. It returns
// why.
func (l *link) connect(back *backOff) error {
	if l.t.Fault(l.peer).CutOut {
		return errors.New(DropCut)
	}
	conn, welcome, err := l.dial()
	if err != nil {
		return err
	}
	defer conn.Close()
	stop := context.AfterFunc(l.t.ctx, func() { conn.Close() })
	defer stop()
	l.expire()
	l.becomeUp(welcome)
	return newSender(l, conn, welcome, back).run()
}

// dial connects and shakes hands.
func (l *link) dial() (net.Conn, greeting, error) {
	o := &l.t.o
	ctx, cancel := context.WithTimeout(l.t.drain, o.Timing.Dial)
	defer cancel()
	conn, err := o.Dial(ctx, l.addr)
	if err != nil {
		return nil, greeting{}, err
	}
	conn, err = secure(conn, l.addr, o.TLS)
	if err != nil {
		return nil, greeting{}, err
	}
	stop := context.AfterFunc(l.t.drain, func() { conn.Close() })
	hello := l.t.greeting(greetingHello, l.peer)
	welcome, err := shakeHands(conn, hello, o.Timing.Handshake)
	if err == nil && !stop() {
		err = errors.New(DropClosing)
	}
	if err == nil {
		err = checkWelcome(hello, welcome)
	}
	if err != nil {
		stop()
		conn.Close()
		return nil, greeting{}, err
	}
	return conn, welcome, nil
}

// secure puts TLS around conn if cfg says so.
func secure(conn net.Conn, addr string, cfg *tls.Config) (net.Conn, error) {
	if cfg == nil {
		return conn, nil
	}
	if cfg.ServerName == "" {
		host, _, err := net.SplitHostPort(addr)
		if err != nil {
			conn.Close()
			return nil, fmt.Errorf("address %q: %w", addr, err)
		}
		cfg = cfg.Clone()
		cfg.ServerName = host
	}
	return tls.Client(conn, cfg), nil
}

// shakeHands sends a hello and reads the answer; the error wraps a *Refusal if
// that is it.
func shakeHands(conn net.Conn, hello greeting, timeout time.Duration) (greeting, error) {
	if err := conn.SetDeadline(time.Now().Add(timeout)); err != nil {
		return greeting{}, err
	}
	if _, err := conn.Write(hello.append(nil)); err != nil {
		return greeting{}, fmt.Errorf("handshake: %w", err)
	}
	g, err := readGreeting(conn)
	switch {
	case err != nil:
		return g, fmt.Errorf("handshake: %w", err)
	case g.what == greetingRefusal:
		return g, fmt.Errorf("refused: %w", &g.refusal)
	case g.what != greetingWelcome:
		return g, errors.New("handshake: the answer is a hello, not a welcome")
	}
	return g, conn.SetDeadline(time.Time{})
}

// checkWelcome tells whether the dialer has reached whom it meant.
func checkWelcome(hello, w greeting) error {
	switch {
	case w.service != hello.service:
		return fmt.Errorf("the other side's service is %s, not %s: check the address", w.service, hello.service)
	case hello.to != "" && w.node != hello.to:
		return fmt.Errorf("reached node %s, not %s: check the addresses of the peers", w.node, hello.to)
	}
	return nil
}

func (l *link) becomeUp(w greeting) {
	l.mu.Lock()
	l.known = true
	l.stats.Up, l.stats.Since, l.stats.Reason, l.stats.PeerBoot = true, time.Now(), "", w.boot
	l.stats.Connects++
	l.mu.Unlock()
	l.t.o.OnLink(l.peer, true, fmt.Sprintf("connected to boot %d", w.boot))
}

// becomeDown notes that there is no connection; what was sent and not
// acknowledged is in doubt.
func (l *link) becomeDown(err error) {
	l.mu.Lock()
	changed := l.stats.Up || !l.known
	l.known = true
	if l.stats.Up {
		l.stats.Since = time.Now()
	}
	l.stats.Up, l.stats.Reason = false, err.Error()
	doubt := l.unacked.popAll()
	l.mu.Unlock()
	if changed {
		l.t.o.OnLink(l.peer, false, err.Error())
	}
	l.drop(doubt, DropInDoubt)
}

// rest waits before the next attempt to connect and drops what grows too old
// meanwhile. A cut link rests until it is healed.
func (l *link) rest(d time.Duration) {
	over := time.NewTimer(d)
	defer over.Stop()
	old := time.NewTicker(l.t.o.Timing.QueueAge)
	defer old.Stop()
	defer l.expire()
	for {
		select {
		case <-l.t.drain.Done():
			return
		case <-old.C:
			l.expire()
			continue
		case <-l.poke:
		case <-over.C:
		}
		if !l.t.Fault(l.peer).CutOut {
			return
		}
	}
}

// A backOff spaces attempts: doubling from min to max, each shortened at random
// by up to a half, so that nodes that lost the same peer don't return together.
type backOff struct {
	min, max time.Duration
	random   func() float64
	last     time.Duration
}

func (b *backOff) next() time.Duration {
	b.last = min(max(2*b.last, b.min), b.max)
	return b.last - time.Duration(b.random()*float64(b.last)/2)
}

// reset is called when the other side has proved to be there.
func (b *backOff) reset() { b.last = 0 }
