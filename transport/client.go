package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"hindcast.dev/journal/record"
)

// ClientOptions of DialClient. Service is required.
type ClientOptions struct {
	Service    string
	Name       string // the client's own name; may be empty
	TLS        *tls.Config
	Dial       func(ctx context.Context, addr string) (net.Conn, error) // default: TCP
	FrameBytes int                                                      // longest frame taken; 16 MiB
	Handshake  time.Duration                                            // 5 s
	Stall      time.Duration                                            // to write a frame, or to complete one that has begun; 10 s
}

// A Client is a native client's connection to one node. It doesn't reconnect:
// what happened to a request whose connection broke only its sender can find out.
type Client struct {
	conn  net.Conn
	in    *stream
	stall time.Duration
	node  greeting

	mu sync.Mutex // held while writing
}

// DialClient connects to the node at addr. The error wraps a *Refusal if the
// node refused.
func DialClient(ctx context.Context, addr string, o ClientOptions) (*Client, error) {
	full := Options{Dial: o.Dial, Limits: Limits{FrameBytes: o.FrameBytes},
		Timing: Timing{Handshake: o.Handshake, Stall: o.Stall}}.withDefaults()
	if err := errors.Join(checkName("service", o.Service, 1), checkName("client", o.Name, 0)); err != nil {
		return nil, fmt.Errorf("transport: %w", err)
	}
	conn, err := full.Dial(ctx, addr)
	if err == nil {
		conn, err = secure(conn, addr, o.TLS)
	}
	if err != nil {
		return nil, fmt.Errorf("transport: connect to %s: %w", addr, err)
	}
	hello := greeting{version: ProtocolVersion, what: greetingHello, role: RoleClient,
		frame: uint32(min(full.Limits.FrameBytes, frameBytesMax)), service: o.Service, node: o.Name}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	welcome, err := shakeHands(conn, hello, full.Timing.Handshake)
	if err == nil {
		err = checkWelcome(hello, welcome)
	}
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("transport: connect to %s: %w", addr, err)
	}
	const never = 100 * 365 * 24 * time.Hour // a client may wait for a reply as long as it likes
	return &Client{conn: conn, in: newStream(conn, full.Limits.FrameBytes, never, full.Timing.Stall),
		stall: full.Timing.Stall, node: welcome}, nil
}

// Node is the name of the node that was reached, and its boot.
func (c *Client) Node() (string, uint64) { return c.node.node, c.node.boot }

// Send writes one frame in wire form. It may be called by any goroutine, and
// blocks until the connection has taken it. After an error the connection is
// closed.
func (c *Client) Send(frame []byte) error {
	if len(frame) > int(c.node.frame) {
		return fmt.Errorf("transport: a frame of %d bytes, node %s takes at most %d from a client", len(frame), c.node.node, c.node.frame)
	}
	return c.write(frame)
}

// Ping asks the node for a sign of life and keeps an idle connection open.
func (c *Client) Ping() error { return c.write(appendControl(nil, controlPing, 0)) }

func (c *Client) write(b []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	err := c.conn.SetWriteDeadline(time.Now().Add(c.stall))
	if err == nil {
		_, err = c.conn.Write(b)
	}
	if err != nil {
		c.conn.Close() // half a frame may be out
		return fmt.Errorf("transport: send to %s: %w", c.node.node, err)
	}
	return nil
}

// Receive returns the next frame and its bytes, valid until the call after. It
// is called by one goroutine. It returns io.EOF after an orderly end.
func (c *Client) Receive() (record.Frame, []byte, error) {
	for {
		f, wire, err := c.in.next()
		switch {
		case err == io.EOF:
			return f, nil, err
		case err != nil:
			return f, nil, fmt.Errorf("transport: receive from %s: %w", c.node.node, err)
		case f.Kind != kindControl:
			return f, wire, nil
		}
	}
}

// Close ends the connection.
func (c *Client) Close() error { return c.conn.Close() }
