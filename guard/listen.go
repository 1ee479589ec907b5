package guard

import (
	"net"
	"sync"
)

// Limit returns a listener that lets in so many connections at once. Who finds no seat
// waits in the system's queue and costs nothing here.
func Limit(ln net.Listener, conns int) net.Listener {
	return &limited{Listener: ln, seats: make(chan struct{}, conns), closed: make(chan struct{})}
}

type limited struct {
	net.Listener
	seats  chan struct{}
	once   sync.Once
	closed chan struct{}
}

// Accept waits for a seat first.
func (l *limited) Accept() (net.Conn, error) {
	select {
	case l.seats <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.seats
		return nil, err
	}
	return &seated{Conn: c, leave: sync.OnceFunc(func() { <-l.seats })}, nil
}

func (l *limited) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

type seated struct {
	net.Conn
	leave func()
}

func (c *seated) Close() error {
	defer c.leave()
	return c.Conn.Close()
}
