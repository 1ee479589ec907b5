package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"slices"
	"time"

	"hindcast.dev/event"
	"hindcast.dev/hlc"
	"hindcast.dev/journal/record"
)

// A Role says what the side that dialed is.
type Role uint8

// The roles of a hello.
const (
	RoleNode   Role = 1 // another node of the service: sends messages
	RoleClient Role = 2 // a native client: sends requests, reads replies
)

// String is the role as PROTOCOL.md names it.
func (r Role) String() string {
	switch r {
	case RoleNode:
		return "node"
	case RoleClient:
		return "client"
	}
	return fmt.Sprintf("role(%d)", uint8(r))
}

// A Peer is the other side of a connection that came in.
type Peer struct {
	Name string // of the node or client; "" for a client without a name, or before its hello
	Boot uint64 // the node's boot; 0 for a client
	Role Role
	Conn uint64 // names the connection, for Reply; never used twice in one Transport
	Addr string // the remote address
}

// Options of a Transport. Service, Node, Boot and Deliver are required.
type Options struct {
	Service string // both sides must agree on it
	Node    string // own name
	Boot    uint64 // own boot number, durable already; at least 1

	// Peers are the other nodes, name → address. A link to each is kept up; a
	// node that isn't here is refused. An entry for Node itself is ignored.
	Peers map[string]string

	// TLS, when set, is used for both directions; a config with certificates,
	// RootCAs, ClientCAs and RequireAndVerifyClientCert makes it mutual. An empty
	// ServerName becomes the host of the peer's address.
	TLS *tls.Config

	// Dial opens the connection to a peer, by default over TCP. Tests put pipes here.
	Dial func(ctx context.Context, addr string) (net.Conn, error)

	Limits Limits
	Timing Timing

	// AllowFaults makes SetFault work. Production leaves it off.
	AllowFaults bool
	// Random gives numbers in [0, 1) for the jitter of the back-off and for the
	// fault switch Drop. It is called by many goroutines. Default math/rand/v2.
	Random func() float64

	// Deliver takes one received frame. f and wire, the frame's bytes in wire
	// form, are valid until it returns. It is called by one goroutine per
	// connection, in order of sending, and must not block for long: the connection
	// waits for it. An error means that the frame was not taken: it is counted
	// and reported through OnDrop, and the connection goes on.
	Deliver func(from Peer, f *record.Frame, wire []byte) error

	// The On functions are told of what happens. They must not block, and must
	// not call Close. Each may be nil.

	// OnLink tells that frames can, or no longer can, be sent to the peer, and
	// why. It is called by one goroutine per peer, when the state changes; the
	// first failure to connect counts as a change.
	OnLink func(peer string, up bool, reason string)
	// OnDrop tells of each message that Send or Deliver was to pass on and that
	// wasn't: see Drop* for reasons. It may be called inside Send.
	OnDrop func(Drop)
	// OnError tells of each connection that came in and was refused or ended
	// other than orderly: an *Error.
	OnError func(from Peer, err error)
	// OnClose tells that a connection with a Conn that Deliver has seen, or could
	// have seen, is gone: replies to it have nowhere to go.
	OnClose func(from Peer)
}

// Reasons why a message was dropped.
const (
	DropQueueFull   = "queue full"           // Limits.QueueFrames or QueueBytes was reached
	DropLinkDown    = "link down"            // waited for the link longer than Timing.QueueAge
	DropInDoubt     = "in doubt"             // sent, but the link ended before an acknowledgement
	DropClosing     = "closing"              // the Transport is closing
	DropUnknownPeer = "unknown peer"         // Options.Peers doesn't name it
	DropTooLarge    = "too large"            // longer than this side may send or the other side takes
	DropCut         = "fault: cut"           // fault switch CutOut
	DropCutIn       = "fault: cut, incoming" // fault switch CutIn, told by the receiver
	DropFault       = "fault: drop"          // fault switch Drop
	DropNotTaken    = "not taken"            // Deliver returned an error; ": " and its text follow
)

// Limits bound what a Transport holds. Zero fields take the default.
type Limits struct {
	FrameBytes       int // longest frame sent, or taken from a node; 16 MiB
	ClientFrameBytes int // longest frame taken from a client; 1 MiB
	QueueFrames      int // frames queued for one peer; 8192
	QueueBytes       int // bytes queued for one peer; 32 MiB
	Unacked          int // frames sent to a peer and not acknowledged; 4096
	ReplyFrames      int // frames queued for one client; 1024
	ReplyBytes       int // bytes queued for one client; 8 MiB
	Clients          int // client connections; 256
	Pending          int // connections not yet past the handshake; 64
}

// Timing is how long things take. Zero fields take the default. Heartbeat and
// Missed should be alike on all nodes: an acceptor gives up a node that has been
// silent for twice as long.
type Timing struct {
	Dial       time.Duration // to connect; 2 s
	Handshake  time.Duration // from the connection to the welcome; 5 s
	Heartbeat  time.Duration // between pings; 250 ms
	Missed     int           // heartbeats without an answer until a link is down; 4
	Stall      time.Duration // a frame that has begun must be complete; 10 s
	ClientIdle time.Duration // a client that says nothing is disconnected; 5 min
	QueueAge   time.Duration // a frame may wait for a link that is down; 1 s
	BackOffMin time.Duration // before the first attempt to reconnect; 50 ms
	BackOffMax time.Duration // each attempt doubles the back-off up to here; 2 s
}

// silence is how long a peer may say nothing.
func (t Timing) silence() time.Duration { return time.Duration(t.Missed) * t.Heartbeat }

func orDefault[T int | time.Duration](v *T, d T) {
	if *v == 0 {
		*v = d
	}
}

// withDefaults fills in what is zero. The maps are copied.
func (o Options) withDefaults() Options {
	l, t := &o.Limits, &o.Timing
	orDefault(&l.FrameBytes, 16<<20)
	orDefault(&l.ClientFrameBytes, 1<<20)
	orDefault(&l.QueueFrames, 8192)
	orDefault(&l.QueueBytes, 32<<20)
	orDefault(&l.Unacked, 4096)
	orDefault(&l.ReplyFrames, 1024)
	orDefault(&l.ReplyBytes, 8<<20)
	orDefault(&l.Clients, 256)
	orDefault(&l.Pending, 64)
	orDefault(&t.Dial, 2*time.Second)
	orDefault(&t.Handshake, 5*time.Second)
	orDefault(&t.Heartbeat, 250*time.Millisecond)
	orDefault(&t.Missed, 4)
	orDefault(&t.Stall, 10*time.Second)
	orDefault(&t.ClientIdle, 5*time.Minute)
	orDefault(&t.QueueAge, time.Second)
	orDefault(&t.BackOffMin, 50*time.Millisecond)
	orDefault(&t.BackOffMax, 2*time.Second)
	o.Peers = maps.Clone(o.Peers)
	delete(o.Peers, o.Node)
	if o.Dial == nil {
		o.Dial = func(ctx context.Context, addr string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "tcp", addr)
		}
	}
	if o.Random == nil {
		o.Random = rand.Float64
	}
	if o.OnLink == nil {
		o.OnLink = func(string, bool, string) {}
	}
	if o.OnDrop == nil {
		o.OnDrop = func(Drop) {}
	}
	if o.OnError == nil {
		o.OnError = func(Peer, error) {}
	}
	if o.OnClose == nil {
		o.OnClose = func(Peer) {}
	}
	return o
}

// validate checks Options that have their defaults.
func (o *Options) validate() error {
	if err := checkName("service", o.Service, 1); err != nil {
		return err
	}
	if err := checkName("node", o.Node, 1); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(o.Peers)) {
		if err := checkName("peer", name, 1); err != nil {
			return err
		}
		if o.Peers[name] == "" {
			return fmt.Errorf("transport: peer %s has no address: give it as %s=HOST:PORT", name, name)
		}
	}
	if o.Boot == 0 {
		return errors.New("transport: boot number 0: the journal gives it, from 1")
	}
	if o.Deliver == nil {
		return errors.New("transport: Options.Deliver is missing")
	}
	l, t := o.Limits, o.Timing
	for _, n := range []int{l.FrameBytes, l.ClientFrameBytes, l.QueueFrames, l.QueueBytes, l.Unacked,
		l.ReplyFrames, l.ReplyBytes, l.Clients, l.Pending, t.Missed, int(t.Dial), int(t.Handshake), int(t.Heartbeat),
		int(t.Stall), int(t.ClientIdle), int(t.QueueAge), int(t.BackOffMin), int(t.BackOffMax)} {
		if n < 0 {
			return fmt.Errorf("transport: a limit or time is below 0: %+v %+v", l, t)
		}
	}
	if int64(l.FrameBytes) > frameBytesMax || int64(l.ClientFrameBytes) > frameBytesMax {
		return fmt.Errorf("transport: frames of %d bytes: the most is %d", max(l.FrameBytes, l.ClientFrameBytes), int64(frameBytesMax))
	}
	return nil
}

// A Drop is a message that was not passed on.
type Drop struct {
	Peer   string // where it was to go, or came from
	ID     event.MessageID
	Name   string // of its payload
	Reason string // see Drop*
	// Sent is the Timestamp of a message that came from the peer: what is recorded
	// of its loss happened after it. 0 for one of our own.
	Sent hlc.Timestamp
}
