package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"
)

// accept takes connections until the listener is closed.
func (t *Transport) accept() {
	pause := backOff{min: 5 * time.Millisecond, max: time.Second, random: t.o.Random}
	for {
		conn, err := t.ln.Accept()
		switch {
		case err == nil:
			pause.reset()
			t.admit(conn)
		case t.draining() || errors.Is(err, net.ErrClosed):
			return
		default:
			// Out of file descriptors, say: it will pass.
			t.report(Peer{}, CauseAccept, 0, err)
			select {
			case <-time.After(pause.next()):
			case <-t.drain.Done():
			}
		}
	}
}

// admit starts a goroutine for conn if there is room for one more.
func (t *Transport) admit(conn net.Conn) {
	t.mu.Lock()
	room := t.pending < t.o.Limits.Pending
	if room {
		t.pending++
		t.accepted++
	}
	t.mu.Unlock()
	if !room {
		conn.Close()
		t.report(Peer{Addr: conn.RemoteAddr().String()}, CauseHandshake, 0,
			fmt.Errorf("%d connections are in the handshake already", t.o.Limits.Pending))
		return
	}
	t.wg.Go(func() { t.receive(conn) })
}

// receive is the life of a connection that came in.
func (t *Transport) receive(conn net.Conn) {
	if t.o.TLS != nil {
		conn = tls.Server(conn, t.o.TLS)
	}
	defer conn.Close()
	stop := context.AfterFunc(t.ctx, func() { conn.Close() })
	defer stop()
	// One that is still shaking hands when the Transport drains isn't waited for.
	stopHandshake := context.AfterFunc(t.drain, func() { conn.Close() })
	r, cause, err := t.welcome(conn)
	stopped := !stopHandshake()
	t.mu.Lock()
	t.pending--
	t.mu.Unlock()
	switch {
	case err == nil:
		r.serve()
	case stopped:
		// The error is our own doing.
	default:
		t.report(Peer{Name: r.peer.Name, Addr: r.peer.Addr}, cause, 0, err)
	}
}

// report counts and tells of a connection's end.
func (t *Transport) report(from Peer, cause Cause, offset uint64, err error) {
	t.mu.Lock()
	t.errors[cause]++
	t.mu.Unlock()
	t.o.OnError(from, &Error{Cause: cause, Addr: from.Addr, Peer: from.Name, Offset: offset, Err: err})
}

// welcome shakes hands. Without an error the connection is registered.
func (t *Transport) welcome(conn net.Conn) (*inbound, Cause, error) {
	r := &inbound{t: t, conn: conn, peer: Peer{Addr: conn.RemoteAddr().String()}}
	timeout := t.o.Timing.Handshake
	if err := conn.SetDeadline(time.Now().Add(timeout)); err != nil {
		return r, CauseHandshake, err
	}
	hello, err := readGreeting(conn)
	if err == nil {
		r.peer.Name, r.peer.Boot, r.peer.Role = hello.node, hello.boot, hello.role
	}
	if r.peer.Role == RoleNode && t.Fault(hello.node).CutIn {
		return r, CauseCut, errors.New(DropCutIn)
	}
	refusal := t.judge(hello, err)
	if refusal == nil && err != nil {
		return r, CauseHandshake, err
	}
	if refusal == nil {
		refusal = t.seat(r, hello, timeout)
	}
	if refusal != nil {
		g := greeting{version: ProtocolVersion, what: greetingRefusal, refusal: *refusal}
		conn.Write(g.append(nil)) // who refuses doesn't mind whether it is heard
		return r, CauseRefused, refusal
	}
	g := t.greeting(greetingWelcome, hello.node)
	if r.peer.Role == RoleClient {
		g.frame = uint32(t.o.Limits.ClientFrameBytes)
	}
	if _, err = conn.Write(g.append(nil)); err == nil {
		err = conn.SetDeadline(time.Time{})
	}
	if err != nil {
		t.unseat(r)
		return r, CauseHandshake, err
	}
	return r, "", nil
}

// judge is the acceptor's rules that need nothing but the hello, in the order of
// PROTOCOL.md. err is what readGreeting said of it; where there is no refusal
// for it, the connection is closed without an answer.
func (t *Transport) judge(g greeting, err error) *Refusal {
	var version *versionError
	var malformed *malformedError
	refuse := func(code RefusalCode, format string, args ...any) *Refusal {
		return &Refusal{code, fmt.Sprintf(format, args...)}
	}
	switch {
	case errors.As(err, &version):
		older := "the dialer"
		if version.version > ProtocolVersion {
			older = t.o.Node
		}
		return refuse(RefusedVersion, "the dialer speaks protocol version %d, node %s version %d: upgrade %s",
			version.version, t.o.Node, ProtocolVersion, older)
	case errors.As(err, &malformed):
		return refuse(RefusedMalformed, "%v", err)
	case err != nil:
		return nil
	case g.what != greetingHello:
		return refuse(RefusedMalformed, "the dialer has to begin with a hello")
	case t.draining():
		return refuse(RefusedClosing, "node %s is stopping", t.o.Node)
	case g.service != t.o.Service:
		return refuse(RefusedService, "node %s belongs to service %s, not to %s: check the address", t.o.Node, t.o.Service, g.service)
	case g.to != "" && g.to != t.o.Node:
		return refuse(RefusedWrongNode, "this is node %s, not %s: check the addresses of the peers", t.o.Node, g.to)
	case g.role == RoleNode && g.node == t.o.Node:
		return refuse(RefusedSameName, "both sides are node %s: give each node a name of its own", g.node)
	case g.role == RoleNode && t.links[g.node] == nil:
		return refuse(RefusedUnknownNode, "node %s has no peer %s: name it among its peers", t.o.Node, g.node)
	}
	return nil
}

// seat registers r, or says why not. A node's older connection is ended first,
// and its last frame delivered, so that order is kept.
func (t *Transport) seat(r *inbound, hello greeting, timeout time.Duration) *Refusal {
	r.init(hello)
	late := time.NewTimer(timeout / 2) // in time for the refusal to be heard
	defer late.Stop()
	for {
		old, refusal := t.trySeat(r)
		if old == nil {
			return refusal
		}
		old.fail(CauseReplaced, 0, fmt.Errorf("boot %d connects from %s", r.peer.Boot, r.peer.Addr))
		select {
		case <-old.done:
		case <-late.C:
			return &Refusal{RefusedNoRoom, fmt.Sprintf("node %s is still busy with the connection before: try again", t.o.Node)}
		}
	}
}

// trySeat registers r unless the connection that it returns is in the way.
func (t *Transport) trySeat(r *inbound) (*inbound, *Refusal) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := &r.peer
	switch {
	case p.Role == RoleNode && p.Boot < t.boots[p.Name]:
		return nil, &Refusal{RefusedOldBoot, fmt.Sprintf("node %s has been here with boot %d, this is boot %d: "+
			"stop the other process of that name, or undo the change of its directory", p.Name, t.boots[p.Name], p.Boot)}
	case p.Role == RoleNode && t.nodes[p.Name] != nil:
		t.boots[p.Name] = p.Boot
		return t.nodes[p.Name], nil
	case p.Role == RoleClient && t.clients >= t.o.Limits.Clients:
		return nil, &Refusal{RefusedNoRoom, fmt.Sprintf("node %s has %d clients, its limit: try again later", t.o.Node, t.clients)}
	case t.draining():
		// Close looks at what is registered after it has begun to drain.
		return nil, &Refusal{RefusedClosing, fmt.Sprintf("node %s is stopping", t.o.Node)}
	}
	t.lastConn++
	p.Conn = t.lastConn
	t.conns[p.Conn] = r
	if p.Role == RoleClient {
		t.clients++
		return nil, nil
	}
	t.nodes[p.Name], t.boots[p.Name] = r, p.Boot
	signal(t.links[p.Name].poke) // it is there: no need to wait for the back-off
	return nil, nil
}

// unseat forgets r.
func (t *Transport) unseat(r *inbound) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.conns, r.peer.Conn)
	if r.peer.Role == RoleClient {
		t.clients--
	} else {
		delete(t.nodes, r.peer.Name)
	}
	close(r.done)
}
