package node

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"hindcast.dev/event"
	"hindcast.dev/journal"
	"hindcast.dev/journal/record"
)

// An Adapter does something outside for a machine's Call: HTTP, a database, a
// file. It is called by several goroutines at once; ctx ends when the node stops.
// What it returns is of a type that the calling machine names in Payloads, or
// []byte for one that names none, and comes to the machine as a Result event with
// the Call's id; an error comes as a Refused event with its text.
type Adapter interface {
	Call(ctx context.Context, body any) (any, error)
}

// AdapterFunc is a function as an Adapter.
type AdapterFunc func(ctx context.Context, body any) (any, error)

// Call calls f.
func (f AdapterFunc) Call(ctx context.Context, body any) (any, error) { return f(ctx, body) }

// adapters performs calls, a bounded number at once and a bounded number waiting,
// for each adapter.
type adapters struct {
	n      *Node
	ctx    context.Context
	cancel context.CancelFunc
	queues map[string]chan event.Effect
	wg     sync.WaitGroup

	mu       sync.Mutex // guards the refusals that wait for room in the journal
	refusals []record.Frame
	wake     chan struct{}
}

// refusalsMax bounds the refusals that wait for room in the journal; beyond it
// they are lost, as a crash might lose them: a machine that cares sets a timer.
const refusalsMax = 4096

func newAdapters(n *Node) *adapters {
	a := &adapters{n: n, queues: map[string]chan event.Effect{}, wake: make(chan struct{}, 1)}
	a.ctx, a.cancel = context.WithCancel(context.Background())
	l := n.o.Limits
	for name, adapter := range n.o.Adapters {
		queue := make(chan event.Effect, max(0, l.AdapterCalls-l.AdapterTasks))
		a.queues[name] = queue
		for range l.AdapterTasks {
			a.wg.Go(func() { a.work(adapter, queue) })
		}
	}
	a.wg.Go(a.refuseLater)
	return a
}

// stop ends the calls that are under way and waits for their adapters to return.
func (a *adapters) stop() {
	a.cancel()
	a.wg.Wait()
}

// call hands a call to its adapter; on the loop's goroutine.
func (n *Node) call(e *event.Effect) {
	queue, ok := n.adapters.queues[e.To]
	if !ok {
		n.adapters.refuse(e, fmt.Sprintf("this node has no adapter %q", e.To))
		return
	}
	select {
	case queue <- *e:
	default:
		n.counts.callsBusy.Add(1)
		n.adapters.refuse(e, fmt.Sprintf("adapter %q is busy: %d calls wait", e.To, cap(queue)))
	}
}

func (a *adapters) work(adapter Adapter, queue <-chan event.Effect) {
	for {
		select {
		case e := <-queue:
			f := a.perform(adapter, &e)
			a.offer(&f)
		case <-a.ctx.Done():
			return
		}
	}
}

// perform makes one call and returns the frame that tells of it.
func (a *adapters) perform(adapter Adapter, e *event.Effect) (f record.Frame) {
	log := a.n.logs.in(AreaAdapter)
	f = record.Frame{Kind: event.Result, Machine: e.Machine, From: e.To, ID: e.ID}
	defer func() {
		if v := recover(); v != nil {
			log.Error("adapter panicked", "adapter", e.To, "id", e.ID.String(), "panic", v)
			f = callRefused(e, fmt.Sprintf("adapter %s panicked: %v", e.To, v))
		}
	}()
	codec := a.n.codecs[e.Machine]
	body, err := codec.decode(e.Name, e.Version, e.Payload)
	if err == nil {
		body, err = adapter.Call(a.ctx, body)
	}
	if err == nil {
		f.Name, f.Version, f.Payload, err = codec.encode(body)
	}
	if err == nil && len(f.Payload) > a.n.o.Limits.RequestBytes {
		err = fmt.Errorf("%w: a result of %d bytes, the most is %d", ErrTooLarge, len(f.Payload), a.n.o.Limits.RequestBytes)
	}
	if err != nil {
		log.Debug("call failed", "adapter", e.To, "id", e.ID.String(), "err", err)
		return callRefused(e, err.Error())
	}
	return f
}

func callRefused(e *event.Effect, reason string) record.Frame {
	return record.Frame{Kind: event.Refused, Machine: e.Machine, From: e.To, Name: e.Name, Version: e.Version, ID: e.ID, Payload: []byte(reason)}
}

// offer appends a result, however long it takes to find room; the calls behind
// it wait, until the queue is full.
func (a *adapters) offer(f *record.Frame) {
	for {
		room := a.n.room.wait()
		err := a.n.loop.Offer(f)
		if !isNoRoom(err) {
			if err != nil && !errors.Is(err, journal.ErrClosed) {
				a.n.logs.in(AreaAdapter).Error("result lost", "id", f.ID.String(), "err", err)
			}
			return
		}
		a.n.disk.wantMaintain()
		select {
		case <-room:
		case <-a.ctx.Done():
			return
		}
	}
}

// refuse tells the machine that its call isn't made. The loop's goroutine must
// not wait for room in the journal, so another one does.
func (a *adapters) refuse(e *event.Effect, reason string) {
	a.mu.Lock()
	if len(a.refusals) < refusalsMax {
		a.refusals = append(a.refusals, callRefused(e, reason))
	} else {
		a.n.counts.refusalsLost.Add(1)
	}
	a.mu.Unlock()
	signal(a.wake)
}

func (a *adapters) refuseLater() {
	for {
		select {
		case <-a.wake:
		case <-a.ctx.Done():
			return
		}
		a.mu.Lock()
		frames := a.refusals
		a.refusals = nil
		a.mu.Unlock()
		for i := range frames {
			a.offer(&frames[i])
		}
	}
}
