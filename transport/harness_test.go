package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"hindcast.dev/event"
	"hindcast.dev/journal/record"
)

// A network of pipes: addresses are names, dialing gives net.Pipe ends, so that
// everything can run on the virtual time of testing/synctest.
type network struct {
	mu        sync.Mutex
	listeners map[string]*pipeListener
	wires     []*wire // dialed and not closed
}

func newNetwork() *network { return &network{listeners: map[string]*pipeListener{}} }

type pipeListener struct {
	addr   string
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (n *network) listen(addr string) *pipeListener {
	ln := &pipeListener{addr: addr, conns: make(chan net.Conn), closed: make(chan struct{})}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.listeners[addr] = ln
	return ln
}

func (ln *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-ln.conns:
		return c, nil
	case <-ln.closed:
		return nil, net.ErrClosed
	}
}
func (ln *pipeListener) Close() error   { ln.once.Do(func() { close(ln.closed) }); return nil }
func (ln *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: ln.addr} }

var errNobody = errors.New("connection refused: nobody listens there")

func (n *network) dial(ctx context.Context, addr string) (net.Conn, error) {
	n.mu.Lock()
	ln := n.listeners[addr]
	n.mu.Unlock()
	if ln == nil {
		return nil, errNobody
	}
	near, far := net.Pipe()
	w := &wire{Conn: end{near}, addr: addr}
	select {
	case ln.conns <- end{far}:
		n.mu.Lock()
		n.wires = append(n.wires, w)
		n.mu.Unlock()
		return w, nil
	case <-ln.closed:
		return nil, errNobody
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// to returns the latest connection that was dialed to addr.
func (n *network) to(addr string) *wire {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, w := range slices.Backward(n.wires) {
		if w.addr == addr {
			return w
		}
	}
	return nil
}

// An end of a pipe: other than a socket's, a pipe's deadline can't be set any
// more when the other end is closed.
type end struct{ net.Conn }

func (e end) SetDeadline(t time.Time) error      { return forgive(e.Conn.SetDeadline(t)) }
func (e end) SetReadDeadline(t time.Time) error  { return forgive(e.Conn.SetReadDeadline(t)) }
func (e end) SetWriteDeadline(t time.Time) error { return forgive(e.Conn.SetWriteDeadline(t)) }

func forgive(err error) error {
	if errors.Is(err, io.ErrClosedPipe) {
		return nil
	}
	return err
}

// A wire is the dialer's end of a connection. A mute one loses what is written:
// what a one-way cut in the network does.
type wire struct {
	net.Conn
	addr string
	mute atomic.Bool
}

func (w *wire) Write(b []byte) (int, error) {
	if w.mute.Load() {
		return len(b), nil
	}
	return w.Conn.Write(b)
}

// A host is a node under test, with everything that its Transport told.
type host struct {
	*Transport
	t   testing.TB
	net *network

	mu      sync.Mutex
	got     []string // "n1/1/7/0": the ids delivered
	from    []Peer
	links   []string // "n2 up: connected to boot 1"
	drops   []string // "n2 n1/1/7/0 Put: link down"
	errs    []string // "garbage: connection from …"
	closed  []Peer
	refuse  error         // what Deliver returns
	hold    chan struct{} // if set, Deliver waits for it
	deliver func(Peer, *record.Frame, []byte)
}

// start runs node name on the network. mod may change its options.
func start(t testing.TB, n *network, name string, mod func(*Options), peers ...string) *host {
	t.Helper()
	h := &host{t: t, net: n}
	o := Options{Service: "kv", Node: name, Boot: 1, Peers: map[string]string{}, Dial: n.dial,
		Random: func() float64 { return 0 }, Deliver: h.take,
		OnLink: func(peer string, up bool, reason string) {
			h.note(&h.links, fmt.Sprintf("%s %s: %s", peer, map[bool]string{true: "up", false: "down"}[up], reason))
		},
		OnDrop: func(d Drop) {
			h.note(&h.drops, fmt.Sprintf("%s %s %s: %s", d.Peer, d.ID, d.Name, d.Reason))
		},
		OnError: func(from Peer, err error) { h.note(&h.errs, err.Error()) },
		OnClose: func(from Peer) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.closed = append(h.closed, from)
		},
	}
	for _, p := range peers {
		o.Peers[p] = p
	}
	if mod != nil {
		mod(&o)
	}
	tr, err := New(n.listen(name), o)
	if err != nil {
		t.Fatal(err)
	}
	h.Transport = tr
	return h
}

func (h *host) note(to *[]string, s string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	*to = append(*to, s)
}

func (h *host) take(from Peer, f *record.Frame, wire []byte) error {
	h.mu.Lock()
	hold, refuse, deliver := h.hold, h.refuse, h.deliver
	h.got, h.from = append(h.got, f.ID.String()), append(h.from, from)
	h.mu.Unlock()
	if deliver != nil {
		deliver(from, f, wire)
	}
	if hold != nil {
		<-hold
	}
	return refuse
}

// release ends the waiting of Deliver for good.
func (h *host) release() {
	h.mu.Lock()
	defer h.mu.Unlock()
	close(h.hold)
	h.hold = nil
}

// put sends messages first to last of boot 1 to the peer.
func (h *host) put(peer string, first, last uint64) {
	for seq := first; seq <= last; seq++ {
		id := event.MessageID{Node: h.o.Node, Boot: h.o.Boot, Seq: seq}
		h.Send(peer, messageOf(h.o.Node, h.o.Boot, seq, nil), id, "Put")
	}
}

// ids are those that put sends.
func ids(node string, first, last uint64) []string {
	var out []string
	for seq := first; seq <= last; seq++ {
		out = append(out, event.MessageID{Node: node, Boot: 1, Seq: seq}.String())
	}
	return out
}

// dropsOf are the drops that put's messages come to.
func dropsOf(peer, node string, first, last uint64, reason string) []string {
	out := ids(node, first, last)
	for i := range out {
		out[i] = fmt.Sprintf("%s %s Put: %s", peer, out[i], reason)
	}
	return out
}

// want waits until nothing moves and compares what was told to one of the lists,
// which is emptied.
func (h *host) want(what string, list *[]string, want ...string) {
	h.t.Helper()
	synctest.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	if !slices.Equal(*list, want) {
		h.t.Errorf("%s, %s:\n got %q\nwant %q", h.o.Node, what, *list, want)
	}
	*list = nil
}

// settle lets d pass and everything that it causes happen.
func settle(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// stop closes the hosts, which must end in order.
func stop(hosts ...*host) {
	for _, h := range hosts {
		if err := h.Close(context.Background()); err != nil {
			h.t.Errorf("close %s: %v", h.o.Node, err)
		}
	}
}

// count is how often each error cause was counted.
func (h *host) count(want map[Cause]uint64) {
	h.t.Helper()
	if got := h.Stats().Errors; !maps.Equal(got, want) {
		h.t.Errorf("%s: error counters %v, want %v", h.o.Node, got, want)
	}
}

// client connects a native client.
func (h *host) client(name string) *Client {
	h.t.Helper()
	c, err := DialClient(context.Background(), h.o.Node, ClientOptions{Service: "kv", Name: name, Dial: h.net.dial})
	if err != nil {
		h.t.Fatal(err)
	}
	return c
}

func request(seq uint64, payload []byte) []byte {
	f := record.Frame{Kind: event.Request, Machine: "m", Name: "Get", Payload: payload, ID: event.MessageID{Seq: seq}}
	return record.AppendWire(nil, &f)
}
