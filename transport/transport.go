package transport

import (
	"context"
	"fmt"
	"net"
	"sync"

	"hindcast.dev/event"
)

// A Transport is one node's end of all its connections. Its methods may be
// called by any goroutine.
type Transport struct {
	o     Options
	ln    net.Listener
	links map[string]*link // by peer; never changes

	drain     context.Context // done when Close begins: nothing new is begun
	stopDrain context.CancelFunc
	ctx       context.Context // done when Close has waited enough: connections are closed
	stop      context.CancelFunc
	linksDone sync.WaitGroup
	wg        sync.WaitGroup // all goroutines but those of links
	closeOnce sync.Once
	closeErr  error

	mu       sync.Mutex // guards what follows
	conns    map[uint64]*inbound
	nodes    map[string]*inbound // at most one of each node
	boots    map[string]uint64   // the highest boot seen of each node
	lastConn uint64
	clients  int
	pending  int
	accepted uint64
	errors   map[Cause]uint64
}

// Listen opens a TCP listener on addr ("127.0.0.1:0" for any free port) and
// starts a Transport on it.
func Listen(addr string, o Options) (*Transport, error) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("transport: listen for nodes and clients: %w", err)
	}
	t, err := New(ln, o)
	if err != nil {
		ln.Close()
		return nil, err
	}
	return t, nil
}

// New starts a Transport that accepts from ln, which it will close, and keeps up
// a link to each peer. With a nil ln it only sends.
func New(ln net.Listener, o Options) (*Transport, error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	t := &Transport{o: o, ln: ln, links: map[string]*link{}, conns: map[uint64]*inbound{},
		nodes: map[string]*inbound{}, boots: map[string]uint64{}, errors: map[Cause]uint64{}}
	t.drain, t.stopDrain = context.WithCancel(context.Background())
	t.ctx, t.stop = context.WithCancel(context.Background())
	for peer, addr := range o.Peers {
		t.links[peer] = newLink(t, peer, addr)
	}
	for _, l := range t.links {
		t.linksDone.Go(l.run)
	}
	if ln != nil {
		t.wg.Go(t.accept)
	}
	return t, nil
}

// Addr is where the Transport listens; nil if it doesn't.
func (t *Transport) Addr() net.Addr {
	if t.ln == nil {
		return nil
	}
	return t.ln.Addr()
}

// Send queues a frame in wire form for a peer; the frame is the Transport's from
// now on. It never blocks. id and name are the frame's, for reports. Whatever
// doesn't reach the peer is reported through OnDrop, perhaps before Send
// returns; what was sent may still be lost on the other side.
func (t *Transport) Send(peer string, frame []byte, id event.MessageID, name string) {
	if l := t.links[peer]; l != nil {
		l.send(frame, id, name)
		return
	}
	t.o.OnDrop(Drop{Peer: peer, ID: id, Name: name, Reason: DropUnknownPeer})
}

// Close stops in an orderly way: it accepts and takes nothing more, sends what
// is queued for peers that are connected and waits for their acknowledgement,
// sends the replies that are queued, and closes all connections. When ctx is
// done it stops waiting: what is left is dropped, and ctx's error returned. No
// goroutine and no callback is left when it returns. A second Close waits for the
// first and returns the same.
func (t *Transport) Close(ctx context.Context) error {
	t.closeOnce.Do(func() { t.closeErr = t.close(ctx) })
	return t.closeErr
}

func (t *Transport) close(ctx context.Context) error {
	for _, l := range t.links {
		l.close()
	}
	t.stopDrain()
	if t.ln != nil {
		t.ln.Close()
	}
	hurry := context.AfterFunc(ctx, t.stop)
	defer hurry()
	t.linksDone.Wait()
	t.mu.Lock()
	for _, r := range t.conns {
		r.finish()
	}
	t.mu.Unlock()
	t.wg.Wait()
	err := t.ctx.Err()
	t.stop()
	if err != nil {
		return fmt.Errorf("transport: closed before all was sent: %w", context.Cause(ctx))
	}
	return nil
}

// greeting is this side's hello or welcome.
func (t *Transport) greeting(what uint8, to string) greeting {
	return greeting{version: ProtocolVersion, what: what, role: RoleNode, boot: t.o.Boot,
		frame: uint32(t.o.Limits.FrameBytes), service: t.o.Service, node: t.o.Node, to: to}
}

func (t *Transport) draining() bool { return t.drain.Err() != nil }
