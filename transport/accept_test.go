package transport

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"hindcast.dev/event"
	"hindcast.dev/journal/record"
)

// raw dials without a Transport.
func (n *network) raw(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := n.dial(context.Background(), addr)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func helloOf(node string, boot uint64) greeting {
	return greeting{version: ProtocolVersion, what: greetingHello, role: RoleNode, boot: boot, frame: 1 << 20,
		service: "kv", node: node, to: "n2"}
}

// greet sends g and returns the answer.
func greet(t *testing.T, c net.Conn, g greeting) greeting {
	t.Helper()
	if _, err := c.Write(g.append(nil)); err != nil {
		t.Fatal(err)
	}
	answer, err := readGreeting(c)
	if err != nil {
		t.Fatalf("answer to %v: %v", g, err)
	}
	return answer
}

// ended tells whether the other side has closed the connection.
func ended(t *testing.T, c net.Conn) bool {
	t.Helper()
	_, err := io.Copy(io.Discard, c)
	return err == nil
}

func TestAHelloThatDoesNotFitIsRefusedWithAReason(t *testing.T) {
	for name, c := range map[string]struct {
		mod  func(*greeting)
		code RefusalCode
		want string
	}{
		"newer version": {func(g *greeting) { g.version = 7 }, RefusedVersion, "the dialer speaks protocol version 7, node n2 version 1: upgrade n2"},
		"older version": {func(g *greeting) { g.version = 0 }, RefusedVersion, "the dialer speaks protocol version 0, node n2 version 1: upgrade the dialer"},
		"service":       {func(g *greeting) { g.service = "queue" }, RefusedService, "node n2 belongs to service kv, not to queue: check the address"},
		"same name":     {func(g *greeting) { g.node = "n2" }, RefusedSameName, "both sides are node n2: give each node a name of its own"},
		"wrong node":    {func(g *greeting) { g.to = "n3" }, RefusedWrongNode, "this is node n2, not n3: check the addresses of the peers"},
		"unknown node":  {func(g *greeting) { g.node = "n9" }, RefusedUnknownNode, "node n2 has no peer n9: name it among its peers"},
		"malformed":     {func(g *greeting) { g.boot = 0 }, RefusedMalformed, "malformed greeting: boot number 0"},
		"no hello":      {func(g *greeting) { g.what = greetingWelcome }, RefusedMalformed, "the dialer has to begin with a hello"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork()
				n2 := start(t, n, "n2", nil, "n1")
				g := helloOf("n1", 1)
				c.mod(&g)
				conn := n.raw(t, "n2")
				answer := greet(t, conn, g)
				if answer.what != greetingRefusal || answer.refusal != (Refusal{c.code, c.want}) {
					t.Errorf("answer %v\nwant %d %s", answer, c.code, c.want)
				}
				if !ended(t, conn) {
					t.Error("the connection goes on")
				}
				synctest.Wait()
				n2.count(map[Cause]uint64{CauseRefused: 1})
				stop(n2)
			})
		})
	}
}

func TestTheDialerTellsWhyItWasRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		n2 := start(t, n, "n2", nil, "n1")
		n1 := start(t, n, "n1", func(o *Options) { o.Service = "queue" }, "n2")
		n1.want("links", &n1.links, "n2 down: refused: node n2 belongs to service kv, not to queue: check the address")
		stop(n1, n2)
	})
}

func TestGarbageInsteadOfAHelloGetsNoAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		n2 := start(t, n, "n2", nil, "n1")
		conn := n.raw(t, "n2")
		if _, err := conn.Write([]byte("GET / HT")); err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(conn); len(b) != 0 || err != nil {
			t.Errorf("%q, %v", b, err)
		}
		n2.want("errors", &n2.errs, "connection from pipe: handshake: not a Hindcast peer: the connection doesn't begin with the protocol's magic")
		stop(n2)
	})
}

func TestAHandshakeHasADeadlineAndTheirNumberABound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		n2 := start(t, n, "n2", func(o *Options) { o.Limits.Pending = 2 }, "n1")
		silent := []net.Conn{n.raw(t, "n2"), n.raw(t, "n2")}
		synctest.Wait()
		if s := n2.Stats(); s.Pending != 2 {
			t.Errorf("stats %+v", s)
		}
		if !ended(t, n.raw(t, "n2")) {
			t.Error("a third one is taken")
		}
		n2.want("errors", &n2.errs, "connection from pipe: handshake: 2 connections are in the handshake already")
		settle(5 * time.Second)
		for _, c := range silent {
			if !ended(t, c) {
				t.Error("a silent one goes on")
			}
		}
		n2.want("errors", &n2.errs, slices.Repeat([]string{"connection from pipe: handshake: read pipe: i/o timeout"}, 2)...)
		if answer := greet(t, n.raw(t, "n2"), helloOf("n1", 1)); answer.what != greetingWelcome || answer.to != "n1" {
			t.Errorf("answer %v", answer)
		}
		stop(n2)
	})
}

func TestANewerBootReplacesAnOlderOneAndNeverTheOtherWayRound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		n2 := start(t, n, "n2", nil, "n1")
		first, second := n.raw(t, "n2"), n.raw(t, "n2")
		greet(t, first, helloOf("n1", 3))
		if answer := greet(t, n.raw(t, "n2"), helloOf("n1", 2)); answer.refusal.Code != RefusedOldBoot ||
			answer.refusal.Text != "node n1 has been here with boot 3, this is boot 2: stop the other process of that name, or undo the change of its directory" {
			t.Errorf("answer %v", answer)
		}
		synctest.Wait()
		if answer := greet(t, second, helloOf("n1", 4)); answer.what != greetingWelcome {
			t.Errorf("answer %v", answer)
		}
		if !ended(t, first) {
			t.Error("the older boot's connection goes on")
		}
		n2.want("errors", &n2.errs,
			"connection from n1 (pipe): refused: node n1 has been here with boot 3, this is boot 2: stop the other process of that name, or undo the change of its directory",
			"connection from n1 (pipe): replaced: boot 4 connects from pipe")
		second.Close()
		synctest.Wait()
		if answer := greet(t, n.raw(t, "n2"), helloOf("n1", 3)); answer.refusal.Code != RefusedOldBoot {
			t.Errorf("boot 3 after boot 4 has gone: %v", answer)
		}
		stop(n2)
	})
}

func TestAReplacedConnectionsLastFrameIsDeliveredBeforeTheWelcome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		n2 := start(t, n, "n2", nil, "n1")
		first, second := n.raw(t, "n2"), n.raw(t, "n2")
		greet(t, first, helloOf("n1", 1))
		n2.hold = make(chan struct{})
		if _, err := first.Write(message(1, nil)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // message 1 is being delivered
		welcomed := make(chan greeting, 1)
		go func() { welcomed <- greet(t, second, helloOf("n1", 1)) }()
		synctest.Wait()
		select {
		case g := <-welcomed:
			t.Errorf("%v while a frame is being delivered", g)
		default:
		}
		close(n2.hold)
		if g := <-welcomed; g.what != greetingWelcome {
			t.Errorf("answer %v", g)
		}
		stop(n2)
	})
}

// inbound connects as n1 and returns the connection after the welcome.
func (n *network) inbound(t *testing.T) net.Conn {
	t.Helper()
	c := n.raw(t, "n2")
	if g := greet(t, c, helloOf("n1", 1)); g.what != greetingWelcome {
		t.Fatal(g)
	}
	return c
}

func TestABadFrameEndsItsConnectionAndNoOther(t *testing.T) {
	wireOf := func(f record.Frame) []byte { return record.AppendWire(nil, &f) }
	garbage := make([]byte, 300)
	rand.Read(garbage)
	flipped := message(2, []byte("hello"))
	flipped[60] ^= 1
	stamped := message(2, nil)
	stamped[len(stamped)-1] ^= 1
	oversized := message(2, make([]byte, 9000))
	second := fmt.Sprintf("at offset %d: ", len(message(1, nil)))
	for name, c := range map[string]struct {
		b     []byte
		cause Cause
		want  string
	}{
		"garbage":      {garbage, CauseGarbage, second + "corrupt frame"},
		"flipped":      {flipped, CauseGarbage, second + "corrupt frame: CRC is"},
		"stamped":      {stamped, CauseGarbage, second + "its stamp is not zero"},
		"oversized":    {oversized, CauseTooLarge, second + fmt.Sprintf("a frame of %d bytes, the most is 8192", len(oversized))},
		"half-sent":    {message(2, nil)[:50], CauseHalfSent, second + "50 bytes of a frame, then the end"},
		"request":      {request(2, nil), CauseProtocol, second + "a node may not send a frame of kind request"},
		"note":         {wireOf(record.Frame{Kind: event.Note, Name: event.NoteStop}), CauseProtocol, "a node may not send a frame of kind note"},
		"control":      {wireOf(record.Frame{Kind: event.Control, Name: event.ControlSkip}), CauseProtocol, "a node may not send a frame of kind control"},
		"another's":    {messageOf("n3", 1, 1, nil), CauseProtocol, "message n3/1/1/0 from node n1 boot 1"},
		"another boot": {messageOf("n1", 2, 1, nil), CauseProtocol, "message n1/2/1/0 from node n1 boot 1"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork()
				n2 := start(t, n, "n2", func(o *Options) { o.Limits.FrameBytes = 8192 }, "n1", "n3")
				n3 := start(t, n, "n3", nil, "n2")
				settle(100 * time.Millisecond)
				bad := n.inbound(t)
				drained := make(chan bool, 1)
				go func() { drained <- ended(t, bad) }()
				if _, err := bad.Write(message(1, nil)); err != nil {
					t.Fatal(err)
				}
				bad.Write(c.b) // the other side may close before it has read all
				if name == "half-sent" {
					bad.Close()
				}
				<-drained
				synctest.Wait()
				n2.count(map[Cause]uint64{c.cause: 1})
				if len(n2.errs) != 1 || !strings.Contains(n2.errs[0], c.want) || !strings.Contains(n2.errs[0], "from n1 (pipe): "+string(c.cause)) {
					t.Errorf("errors %q, want %q", n2.errs, c.want)
				}
				if len(n2.closed) != 1 || n2.closed[0].Name != "n1" {
					t.Errorf("closed %v", n2.closed)
				}
				n3.put("n2", 1, 1)
				n2.want("got", &n2.got, "n1/1/1/0", "n3/1/1/0")
				stop(n2, n3)
			})
		})
	}
}

func TestWhatDeliverRefusesIsToldAndTheConnectionGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		n1, n2 := start(t, n, "n1", nil, "n2"), start(t, n, "n2", nil, "n1")
		settle(time.Second)
		n2.refuse = errors.New("the journal is full")
		n1.put("n2", 1, 2)
		n2.want("drops", &n2.drops, dropsOf("n1", "n1", 1, 2, "not taken: the journal is full")...)
		if s := n2.Stats().Peers["n1"]; s.Dropped[DropNotTaken] != 2 || s.Received != 2 {
			t.Errorf("stats %+v", s)
		}
		n2.refuse = nil
		n1.put("n2", 3, 3)
		n2.want("got", &n2.got, ids("n1", 1, 3)...)
		n1.want("drops", &n1.drops)
		stop(n1, n2)
	})
}

// A listener that fails a few times, as when file descriptors run out.
type failing struct {
	net.Listener
	times int
}

func (f *failing) Accept() (net.Conn, error) {
	if f.times > 0 {
		f.times--
		return nil, errors.New("too many open files")
	}
	return f.Listener.Accept()
}

func TestAListenerThatFailsForAWhileIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		h := &host{t: t, net: n}
		tr, err := New(&failing{n.listen("n2"), 3}, Options{Service: "kv", Node: "n2", Boot: 1, Peers: map[string]string{"n1": "n1"},
			Dial: n.dial, Deliver: h.take})
		if err != nil {
			t.Fatal(err)
		}
		n.inbound(t).Close()
		synctest.Wait()
		if e := tr.Stats().Errors; e[CauseAccept] != 3 {
			t.Errorf("error counters %v", e)
		}
		if err := tr.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestANodeIsRefusedWhileItsFormerConnectionIsStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		n2 := start(t, n, "n2", nil, "n1")
		first := n.inbound(t)
		n2.hold = make(chan struct{})
		if _, err := first.Write(message(1, nil)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if g := greet(t, n.raw(t, "n2"), helloOf("n1", 1)); g.refusal.Code != RefusedNoRoom ||
			g.refusal.Text != "node n2 is still busy with the connection before: try again" {
			t.Errorf("answer %v", g)
		}
		synctest.Wait()
		n2.want("errors", &n2.errs, "connection from n1 (pipe): refused: node n2 is still busy with the connection before: try again")
		n2.release()
		n2.want("errors", &n2.errs, "connection from n1 (pipe): replaced: boot 1 connects from pipe")
		n.inbound(t)
		stop(n2)
	})
}
