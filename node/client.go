package node

import (
	"context"
	"errors"
	"fmt"

	"hindcast.dev/event"
	"hindcast.dev/hlc"
	"hindcast.dev/journal/record"
	"hindcast.dev/machine"
)

// A Client is how a service's own code asks the machines of its node. Any
// goroutine may use it.
type Client struct {
	n *Node
}

// A Reply is what a machine answered.
type Reply struct {
	Body  any           // of a registered type, or []byte of a machine that takes raw payloads
	Parts []any         // the bodies of the partial replies before it
	Time  hlc.Timestamp // of the event that made the reply
}

// Node is the name of the node.
func (c *Client) Node() string { return c.n.o.Name }

// Peers are the names of the other nodes, sorted.
func (c *Client) Peers() []string { return c.n.o.peerNames() }

// Do appends a request for a machine to the journal and waits for its reply, or
// for its last one, if the machine replies in parts. body is of a type that the
// machine names in Payloads, or []byte for a machine that names none.
//
// Errors: ErrBusy, ErrDiskFull, ErrStopping, ErrTooLarge, *RefusedError,
// *DriftError: it was not handled. ErrUncertain and the error of a ctx that ended:
// it may have been handled, or still be.
func (c *Client) Do(ctx context.Context, machine string, body any) (Reply, error) {
	var out Reply
	err := c.Stream(ctx, machine, body, func(r Reply, last bool) error {
		out.Body, out.Time = r.Body, r.Time
		if last {
			return nil
		}
		if len(out.Parts) >= c.n.o.Limits.Parts {
			return fmt.Errorf("%w: the machine answers in more than %d parts: use Stream", ErrTooLarge, c.n.o.Limits.Parts)
		}
		out.Parts = append(out.Parts, r.Body)
		return nil
	})
	if err != nil {
		return Reply{}, err
	}
	return out, nil
}

// Stream is like Do, and calls each for every reply as it comes, also for a
// partial one. It ends with the last reply, or with the error of each.
func (c *Client) Stream(ctx context.Context, machine string, body any, each func(r Reply, last bool) error) error {
	n := c.n
	w, err := n.request(ctx, machine, body)
	if err != nil {
		return err
	}
	defer n.pending.remove(w)
	for {
		r, err := n.pending.next(ctx, w)
		if err != nil {
			return err
		}
		timesOf(ctx).replied(r.time)
		if r.refused != "" {
			return &RefusedError{Machine: machine, Name: r.name, Reason: r.refused}
		}
		reply := Reply{Time: r.time}
		if reply.Body, err = n.codecs[machine].decode(r.name, r.version, r.payload); err != nil {
			return fmt.Errorf("reply of machine %s: %w", machine, err)
		}
		if err := each(reply, !r.more); err != nil || !r.more {
			return err
		}
	}
}

// request appends a request and returns who waits for it.
func (n *Node) request(ctx context.Context, machine string, body any) (*waiter, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	codec := n.codecs[machine]
	if codec == nil {
		return nil, &RefusedError{Machine: machine, Name: fmt.Sprintf("%T", body), Reason: "this node has no machine of that name"}
	}
	name, version, payload, err := codec.encode(body)
	if err != nil {
		return nil, &RefusedError{Machine: machine, Name: fmt.Sprintf("%T", body), Reason: err.Error()}
	}
	if len(payload) > n.o.Limits.RequestBytes {
		return nil, fmt.Errorf("%w: %d bytes, the most is %d", ErrTooLarge, len(payload), n.o.Limits.RequestBytes)
	}
	w := &waiter{machine: machine, wake: make(chan struct{}, 1)}
	f := record.Frame{Kind: event.Request, Machine: machine, Name: name, Version: version, Payload: payload}
	if t := timesOf(ctx); t != nil {
		f.Sent = t.sent
	}
	if err := n.enter(w, &f); err != nil {
		return nil, err
	}
	return w, nil
}

// enter registers who waits and appends the request. A request that is refused
// leaves nothing behind.
func (n *Node) enter(w *waiter, f *record.Frame) error {
	if err := n.checkDrift(f.Sent); err != nil {
		return err
	}
	if err := n.pending.add(w); err != nil {
		return err
	}
	f.ID = n.requestID(w.seq)
	if err := n.offerSoon(f); err != nil {
		n.pending.remove(w)
		return n.clientError(err)
	}
	return nil
}

// requestID is the id of a request that this node took in.
func (n *Node) requestID(seq uint64) event.MessageID {
	return event.MessageID{Node: n.clientName, Boot: n.boot, Seq: seq}
}

// checkDrift refuses a time that the loop would refuse, before anything is
// journaled for it.
func (n *Node) checkDrift(sent hlc.Timestamp) error {
	if sent == 0 {
		return nil
	}
	wall := n.reading().Wall.Physical()
	if sent.Physical() > wall && sent.Physical().Sub(wall) > n.o.MaxDrift {
		return &DriftError{Sent: sent, Wall: wall, MaxDrift: n.o.MaxDrift}
	}
	return nil
}

// Peek asks a machine.Querying about its state as it is between two events. It
// isn't journaled, works while the disk is full, and may see what isn't durable
// yet. Errors: ErrNoQuery, ErrBusy, ErrStopping, ctx's, or what the machine
// panicked with.
func (c *Client) Peek(ctx context.Context, machine string, body any) (any, error) {
	type answer struct {
		body any
		err  error
	}
	got := make(chan answer, 1)
	err := c.n.peek(func() {
		body, err := c.n.query(machine, body)
		got <- answer{body, err}
	})
	if err != nil {
		return nil, err
	}
	select {
	case a := <-got:
		return a.body, a.err
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-c.n.loopDone:
		select {
		case a := <-got:
			return a.body, a.err
		default:
			return nil, ErrStopping
		}
	}
}

// query runs on the loop's goroutine.
func (n *Node) query(name string, body any) (reply any, err error) {
	m := n.loop.Stepper().Machine(name)
	if m == nil {
		return nil, fmt.Errorf("%w: this node runs no machine %q", ErrNoQuery, name)
	}
	q, ok := m.(machine.Querying)
	if !ok {
		return nil, fmt.Errorf("%w: %s has no method Query", ErrNoQuery, name)
	}
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("machine %s panicked in Query: %v", name, v)
		}
	}()
	st := n.loop.Stepper()
	ctx := &machine.Context{Host: queryHost{}, Machine: name, Time: n.loop.Now(), Start: st.Start(), Random: machine.NewRand(0)}
	return q.Query(ctx, body), nil
}

// queryHost keeps a query from doing what only a Step may.
type queryHost struct{}

var errQueryEffect = errors.New("a Query has no effects: it isn't journaled, so nothing that it does could be replayed")

func (queryHost) Encode(any) (string, uint32, []byte) { panic(errQueryEffect) }
func (queryHost) Effect(event.Effect) event.MessageID { panic(errQueryEffect) }
