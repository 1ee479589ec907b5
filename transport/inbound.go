package transport

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"hindcast.dev/event"
	"hindcast.dev/journal/record"
)

// ackEvery is how many frames may go without an ack while more of them are held.
const ackEvery = 256

// An inbound is a connection that came in. One goroutine reads and delivers,
// another writes acks and replies.
type inbound struct {
	t        *Transport
	conn     net.Conn
	peer     Peer
	frameMax int           // longest frame that the other side takes
	done     chan struct{} // closed when it is forgotten; nothing is delivered after
	wake     chan struct{} // one signal: the writer has something to do
	stop     chan struct{} // closed when reading has ended: the writer stops

	mu      sync.Mutex // guards what follows
	since   time.Time
	taken   uint64 // frames taken since the welcome
	wantAck bool
	replies [][]byte
	bytes   int // of replies
	closing bool
	failure *Error // the first; ends the connection
}

func (r *inbound) init(hello greeting) {
	r.frameMax = int(min(hello.frame, frameBytesMax))
	r.done, r.wake, r.stop = make(chan struct{}), make(chan struct{}, 1), make(chan struct{})
	r.since = time.Now()
}

// fail ends the connection. The first failure is the one that is reported.
func (r *inbound) fail(cause Cause, offset uint64, err error) {
	r.mu.Lock()
	if r.failure == nil {
		r.failure = &Error{Cause: cause, Addr: r.peer.Addr, Peer: r.peer.Name, Offset: offset, Err: err}
	}
	r.mu.Unlock()
	if c, ok := r.conn.(*tls.Conn); ok {
		c.NetConn().Close() // without the farewell, which may have to wait
		return
	}
	r.conn.Close()
}

// finish ends the connection once the replies that are queued are written.
func (r *inbound) finish() {
	r.mu.Lock()
	r.closing = true
	r.mu.Unlock()
	signal(r.wake)
}

// serve reads until the connection ends, and cleans up.
func (r *inbound) serve() {
	var writer sync.WaitGroup
	writer.Go(r.write)
	err := r.read()
	r.conn.Close()
	close(r.stop)
	writer.Wait()
	r.mu.Lock()
	failure, closing := r.failure, r.closing
	r.mu.Unlock()
	var bad *streamError
	ours := closing || r.t.draining() // that it is lost is our own doing
	if failure == nil && errors.As(err, &bad) && !(ours && bad.cause == CauseLost) {
		failure = &Error{Cause: bad.cause, Offset: bad.offset, Err: bad.err}
	}
	if failure != nil {
		r.t.report(r.peer, failure.Cause, failure.Offset, failure.Err)
	}
	r.t.o.OnClose(r.peer)
	r.t.unseat(r)
}

// read delivers frames until the connection ends, with io.EOF if that was
// orderly, else a *streamError.
func (r *inbound) read() error {
	o := &r.t.o
	frameMax, idle := o.Limits.FrameBytes, 2*o.Timing.silence()
	if r.peer.Role == RoleClient {
		frameMax, idle = o.Limits.ClientFrameBytes, o.Timing.ClientIdle
	}
	in := newStream(r.conn, frameMax, idle, o.Timing.Stall)
	for {
		f, wire, err := in.next()
		if err != nil {
			return err
		}
		if err := r.take(&f, wire); err != nil {
			return &streamError{CauseProtocol, in.offset - uint64(len(wire)), err}
		}
		if r.peer.Role == RoleNode && (in.held() == 0 || r.taken%ackEvery == 0) {
			r.ack()
		}
	}
}

// take handles one frame. An error means that the peer broke the protocol.
func (r *inbound) take(f *record.Frame, wire []byte) error {
	if f.Kind == kindControl {
		if f.Name == controlPing {
			r.ack()
		}
		return nil
	}
	if err := r.allowed(f); err != nil {
		return err
	}
	if r.count(len(wire)) {
		r.drop(f, DropCutIn, DropCutIn)
	} else if err := r.t.o.Deliver(r.peer, f, wire); err != nil {
		r.drop(f, DropNotTaken, DropNotTaken+": "+err.Error())
	}
	r.mu.Lock()
	r.taken++ // not before: what is acknowledged has been delivered
	r.mu.Unlock()
	return nil
}

// allowed tells whether the peer may send f: PROTOCOL.md, Frames.
func (r *inbound) allowed(f *record.Frame) error {
	switch {
	case r.peer.Role == RoleClient && f.Kind == event.Request:
		return nil
	case r.peer.Role == RoleNode && f.Kind == event.Refused:
		return nil
	case r.peer.Role == RoleNode && f.Kind == event.Message:
		if f.ID.Node != r.peer.Name || f.ID.Boot != r.peer.Boot {
			return fmt.Errorf("message %s from node %s boot %d", f.ID, r.peer.Name, r.peer.Boot)
		}
		return nil
	}
	return fmt.Errorf("a %s may not send a frame of kind %s", r.peer.Role, f.Kind)
}

// count counts a frame that was read; it tells whether a fault drops it.
func (r *inbound) count(bytes int) (cut bool) {
	l := r.t.links[r.peer.Name]
	if r.peer.Role != RoleNode || l == nil {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stats.Received++
	l.stats.ReceivedBytes += uint64(bytes)
	return l.fault.CutIn
}

func (r *inbound) drop(f *record.Frame, count, reason string) {
	if l := r.t.links[r.peer.Name]; l != nil && r.peer.Role == RoleNode {
		l.countDrop(count, 1)
	}
	r.t.o.OnDrop(Drop{Peer: r.peer.Name, ID: f.ID, Name: f.Name, Reason: reason, Sent: f.Sent})
}

// ack asks the writer for an ack, unless a cut keeps this side silent.
func (r *inbound) ack() {
	if r.peer.Role == RoleNode && r.t.Fault(r.peer.Name).CutIn {
		return
	}
	r.mu.Lock()
	r.wantAck = true
	r.mu.Unlock()
	signal(r.wake)
}

// reply queues a frame for the client.
func (r *inbound) reply(frame []byte) error {
	l := r.t.o.Limits
	r.mu.Lock()
	switch {
	case r.closing || r.failure != nil:
		r.mu.Unlock()
		return ErrNoConnection
	case len(r.replies) >= l.ReplyFrames || r.bytes+len(frame) > l.ReplyBytes:
		n, bytes := len(r.replies), r.bytes
		r.mu.Unlock()
		r.fail(CauseSlow, 0, fmt.Errorf("%d replies of %d bytes wait to be read", n, bytes))
		return ErrSlowClient
	}
	r.replies = append(r.replies, frame)
	r.bytes += len(frame)
	r.mu.Unlock()
	signal(r.wake)
	return nil
}

// write writes acks and replies until reading has ended or, after finish, all is
// written.
func (r *inbound) write() {
	for {
		batch, closing := r.outgoing()
		switch {
		case len(batch) > 0:
			if err := r.send(batch); err != nil {
				// Unless it doesn't read at all, the reader sees best why it is gone.
				if isTimeout(err) {
					r.fail(CauseSlow, 0, err)
				}
				return
			}
			continue
		case closing:
			r.conn.Close()
			return
		}
		select {
		case <-r.wake:
		case <-r.stop:
			return
		}
	}
}

// outgoing takes what is to be written now.
func (r *inbound) outgoing() (batch net.Buffers, closing bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.wantAck {
		r.wantAck = false
		batch = append(batch, appendControl(nil, controlAck, r.taken))
	}
	batch = append(batch, r.replies...)
	r.replies, r.bytes = nil, 0
	return batch, r.closing
}

func (r *inbound) send(batch net.Buffers) error {
	if err := r.conn.SetWriteDeadline(time.Now().Add(r.t.o.Timing.Stall)); err != nil {
		return err
	}
	_, err := batch.WriteTo(r.conn)
	return err
}

// Reply sends a frame in wire form to a client on the connection that Deliver
// named; the frame is the Transport's from now on. It never blocks. The error is
// ErrNoConnection, ErrSlowClient, or says that the client doesn't take so long a
// frame.
func (t *Transport) Reply(conn uint64, frame []byte) error {
	t.mu.Lock()
	r := t.conns[conn]
	t.mu.Unlock()
	if r == nil || r.peer.Role != RoleClient {
		return ErrNoConnection
	}
	if len(frame) > r.frameMax {
		return fmt.Errorf("transport: a reply of %d bytes, the client takes at most %d", len(frame), r.frameMax)
	}
	return r.reply(frame)
}

func isTimeout(err error) bool {
	var t net.Error
	return errors.As(err, &t) && t.Timeout()
}
