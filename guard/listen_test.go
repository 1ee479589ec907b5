package guard

import (
	"errors"
	"net"
	"testing"
)

// pipes is a listener of endless connections.
type pipes struct {
	net.Listener
	accepted chan net.Conn
}

func (p *pipes) Accept() (net.Conn, error) {
	a, b := net.Pipe()
	p.accepted <- b
	return a, nil
}

func TestConnectionsHaveSeats(t *testing.T) {
	inner := &pipes{accepted: make(chan net.Conn, 10)}
	l := Limit(inner, 2).(*limited)
	var conns []net.Conn
	for range 2 {
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
	}
	third := make(chan net.Conn)
	go func() {
		c, err := l.Accept()
		if err != nil {
			t.Error(err)
		}
		third <- c
	}()
	if got := len(inner.accepted); got != 2 {
		t.Fatalf("%d connections were accepted with 2 seats", got)
	}
	conns[0].Close()
	conns[0].Close() // gives its seat up once
	c := <-third
	if got := len(inner.accepted); got != 3 || len(l.seats) != 2 {
		t.Fatalf("%d connections accepted, %d seats taken", got, len(l.seats))
	}
	c.Close()
	conns[1].Close()
	for range 3 {
		(<-inner.accepted).Close()
	}
}

func TestAClosedListenerLetsNobodyWait(t *testing.T) {
	l := Limit(&pipes{accepted: make(chan net.Conn, 10)}, 0)
	ended := make(chan error)
	go func() {
		_, err := l.Accept()
		ended <- err
	}()
	l.(*limited).once.Do(func() { close(l.(*limited).closed) })
	if err := <-ended; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept ended with %v", err)
	}
}
