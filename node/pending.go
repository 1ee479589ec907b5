package node

import (
	"context"
	"fmt"
	"sync"

	"hindcast.dev/event"
	"hindcast.dev/hlc"
)

// A rawReply is one reply, or the last one if an error, on its way to whoever
// made the request.
type rawReply struct {
	name    string
	version uint32
	payload []byte
	more    bool // others follow
	time    hlc.Timestamp
	refused string // not a reply: why no machine takes the request
}

// pending holds the requests that wait for their last reply. It is bounded; what
// comes for a request that isn't there (its client went away, or lived before a
// crash) is dropped and counted.
type pending struct {
	max, partsMax int

	mu       sync.Mutex
	waiting  map[uint64]*waiter // by the id's Seq
	last     uint64             // the highest Seq given out
	draining bool               // nothing new
	over     error              // set: nothing more will come
	empty    chan struct{}      // closed when draining and empty
	counts   pendingCounts
}

type pendingCounts struct {
	requests, replies, dropped, refusedBusy, slow uint64
}

// A waiter waits for the replies to one request.
type waiter struct {
	seq     uint64
	machine string
	// A native client's request: replies go to conn under its own id.
	conn uint64
	id   event.MessageID

	// Of a local request, guarded by pending.mu.
	replies []rawReply
	ended   error         // no reply will come any more
	wake    chan struct{} // one signal: something changed; nil for a native client's
}

func newPending(max, partsMax int) *pending {
	return &pending{max: max, partsMax: partsMax, waiting: map[uint64]*waiter{}, empty: make(chan struct{})}
}

// add makes room for one more request, or returns ErrBusy or ErrStopping.
func (p *pending) add(w *waiter) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.draining || p.over != nil:
		return ErrStopping
	case len(p.waiting) >= p.max:
		p.counts.refusedBusy++
		return fmt.Errorf("%w: %d requests are in flight, the most is %d", ErrBusy, len(p.waiting), p.max)
	}
	p.last++
	w.seq = p.last
	p.waiting[w.seq] = w
	p.counts.requests++
	return nil
}

// remove gives up waiting.
func (p *pending) remove(w *waiter) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forget(w)
}

func (p *pending) forget(w *waiter) {
	if p.waiting[w.seq] != w {
		return
	}
	delete(p.waiting, w.seq)
	p.maybeEmpty()
}

func (p *pending) maybeEmpty() {
	if p.draining && len(p.waiting) == 0 {
		select {
		case <-p.empty:
		default:
			close(p.empty)
		}
	}
}

// deliver hands a reply to the request seq. It returns the waiter if that is a
// native client's, to whom the caller sends it.
func (p *pending) deliver(seq uint64, r rawReply) *waiter {
	p.mu.Lock()
	defer p.mu.Unlock()
	w := p.waiting[seq]
	if w == nil {
		p.counts.dropped++
		return nil
	}
	p.counts.replies++
	if !r.more {
		p.forget(w)
	}
	if w.wake == nil {
		return w
	}
	if len(w.replies) >= p.partsMax {
		p.counts.slow++
		w.ended = fmt.Errorf("%w: %d partial replies wait to be read, the most is %d", ErrBusy, len(w.replies), p.partsMax)
		p.forget(w)
	} else {
		w.replies = append(w.replies, r)
	}
	signal(w.wake)
	return nil
}

// next returns the next reply to a local request.
func (p *pending) next(ctx context.Context, w *waiter) (rawReply, error) {
	for {
		p.mu.Lock()
		if len(w.replies) > 0 {
			r := w.replies[0]
			w.replies = w.replies[1:]
			p.mu.Unlock()
			return r, nil
		}
		ended := w.ended
		p.mu.Unlock()
		if ended != nil {
			return rawReply{}, ended
		}
		select {
		case <-w.wake:
		case <-ctx.Done():
			return rawReply{}, ctx.Err()
		}
	}
}

// closed forgets the requests of a native client's connection that is gone.
func (p *pending) closed(conn uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, w := range p.waiting {
		if w.conn == conn && w.wake == nil {
			p.forget(w)
		}
	}
}

// drain refuses new requests and returns a channel that is closed when none is
// in flight.
func (p *pending) drain() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.draining = true
	p.maybeEmpty()
	return p.empty
}

// stopping tells whether drain was called.
func (p *pending) stopping() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.draining
}

// end tells all who wait that nothing more will come.
func (p *pending) end(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.draining, p.over = true, err
	for _, w := range p.waiting {
		w.ended = err
		if w.wake != nil {
			signal(w.wake)
		}
		p.forget(w)
	}
}

// late counts a reply that nobody waits for.
func (p *pending) late() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.counts.dropped++
}

func (p *pending) snapshot() (inFlight int, c pendingCounts) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.waiting), p.counts
}

// signal puts one signal into c, which holds at most one.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
