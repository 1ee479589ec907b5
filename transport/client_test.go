package transport

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"hindcast.dev/event"
	"hindcast.dev/journal/record"
)

func TestAClientThatStallsInAFrameStallsNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		n2 := start(t, n, "n2", nil, "n1")
		stalled, other := n2.client("slow"), n2.client("quick")
		if _, err := stalled.conn.Write(request(1, make([]byte, 1000))[:500]); err != nil {
			t.Fatal(err)
		}
		for seq := range uint64(5) {
			if err := other.Send(request(seq+2, nil)); err != nil {
				t.Fatal(err)
			}
		}
		n2.want("got", &n2.got, "/0/2/0", "/0/3/0", "/0/4/0", "/0/5/0", "/0/6/0")
		settle(9 * time.Second)
		n2.want("errors", &n2.errs)
		settle(2 * time.Second)
		n2.want("errors", &n2.errs, "connection from slow (pipe): stalled at offset 0: read pipe: i/o timeout")
		if _, _, err := stalled.Receive(); err != io.EOF {
			t.Errorf("receive: %v", err)
		}
		if s := n2.Stats(); s.Clients != 1 {
			t.Errorf("stats %+v", s)
		}
		stop(n2)
	})
}

func TestAClientGetsItsRepliesOnItsConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		n2 := start(t, n, "n2", nil, "n1")
		n2.deliver = func(from Peer, f *record.Frame, _ []byte) {
			reply := record.Frame{Kind: event.Result, Name: from.Name, ID: f.ID, Payload: f.Payload}
			if err := n2.Reply(from.Conn, record.AppendWire(nil, &reply)); err != nil {
				t.Errorf("reply to %+v: %v", from, err)
			}
		}
		for _, name := range []string{"alice", ""} {
			c := n2.client(name)
			if node, boot := c.Node(); node != "n2" || boot != 1 {
				t.Errorf("reached %s boot %d", node, boot)
			}
			for seq := range uint64(3) {
				if err := errors.Join(c.Ping(), c.Send(request(seq, []byte("x")))); err != nil {
					t.Fatal(err)
				}
				f, _, err := c.Receive()
				if err != nil || f.ID.Seq != seq || f.Name != name || string(f.Payload) != "x" {
					t.Fatalf("%+v, %v", f, err)
				}
			}
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		if len(n2.closed) != 2 || n2.closed[0].Conn == n2.closed[1].Conn || n2.closed[0].Role != RoleClient {
			t.Errorf("closed %+v", n2.closed)
		}
		if err := n2.Reply(n2.closed[0].Conn, nil); err != ErrNoConnection {
			t.Errorf("reply to one that has gone: %v", err)
		}
		n2.want("errors", &n2.errs)
		stop(n2)
	})
}

func TestAClientThatDoesNotReadIsDisconnectedAtTheBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		n2 := start(t, n, "n2", func(o *Options) { o.Limits.ReplyFrames = 2 }, "n1")
		c := n2.client("slow")
		if err := c.Send(request(1, nil)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		id := n2.from[0].Conn
		var errs []error
		for range 4 {
			errs = append(errs, n2.Reply(id, request(1, nil)))
			synctest.Wait() // the first is being written, two are queued
		}
		if want := []error{nil, nil, nil, ErrSlowClient}; !slices.Equal(errs, want) {
			t.Errorf("replies: %v, want %v", errs, want)
		}
		n2.count(map[Cause]uint64{CauseSlow: 1})
		if err := n2.Reply(id, nil); err != ErrNoConnection {
			t.Errorf("then: %v", err)
		}
		stop(n2)
	})
}

func TestRepliesThatWaitAreBoundedInBytesToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		size := len(request(1, nil))
		n2 := start(t, n, "n2", func(o *Options) { o.Limits.ReplyBytes = 2 * size }, "n1")
		c := n2.client("slow")
		if err := c.Send(request(1, nil)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		id := n2.from[0].Conn
		var errs []error
		for range 4 {
			errs = append(errs, n2.Reply(id, request(1, nil)))
			synctest.Wait() // the first is being written, two are queued
		}
		if want := []error{nil, nil, nil, ErrSlowClient}; !slices.Equal(errs, want) {
			t.Errorf("replies: %v, want %v", errs, want)
		}
		n2.count(map[Cause]uint64{CauseSlow: 1})
		stop(n2)
	})
}

func TestAReplyThatIsNotReadInTimeEndsTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		n2 := start(t, n, "n2", nil, "n1")
		c := n2.client("slow")
		if err := c.Send(request(1, nil)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if err := n2.Reply(n2.from[0].Conn, request(1, nil)); err != nil {
			t.Fatal(err)
		}
		settle(10 * time.Second)
		n2.want("errors", &n2.errs, "connection from slow (pipe): slow: write pipe: i/o timeout")
		stop(n2)
	})
}

func TestCloseWritesTheRepliesThatAreQueued(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		n2 := start(t, n, "n2", nil, "n1")
		c := n2.client("c")
		if err := c.Send(request(1, nil)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		for seq := range uint64(3) {
			if err := n2.Reply(n2.from[0].Conn, request(seq, nil)); err != nil {
				t.Fatal(err)
			}
		}
		closed := make(chan error, 1)
		go func() { closed <- n2.Close(context.Background()) }()
		for seq := range uint64(3) {
			if f, _, err := c.Receive(); err != nil || f.ID.Seq != seq {
				t.Errorf("%+v, %v", f, err)
			}
		}
		if _, _, err := c.Receive(); err != io.EOF {
			t.Errorf("after the last: %v", err)
		}
		if err := <-closed; err != nil {
			t.Error(err)
		}
		n2.want("errors", &n2.errs)
	})
}

func TestClientsAreBoundedAndKeptToRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		n2 := start(t, n, "n2", func(o *Options) { o.Limits.Clients, o.Limits.ClientFrameBytes = 1, 1024 }, "n1")
		c := n2.client("c1")
		_, err := DialClient(context.Background(), "n2", ClientOptions{Service: "kv", Dial: n.dial})
		var refusal *Refusal
		if !errors.As(err, &refusal) || refusal.Code != RefusedNoRoom || refusal.Text != "node n2 has 1 clients, its limit: try again later" {
			t.Errorf("%v", err)
		}
		if err := c.Send(request(1, make([]byte, 1024))); err == nil || !strings.Contains(err.Error(), "node n2 takes at most 1024 from a client") {
			t.Errorf("a long request: %v", err)
		}
		synctest.Wait()
		if err := c.Send(message(1, nil)); err != nil {
			t.Fatal(err)
		}
		n2.want("errors after refusal and message", &n2.errs,
			"connection from pipe: refused: node n2 has 1 clients, its limit: try again later",
			"connection from c1 (pipe): protocol at offset 0: a client may not send a frame of kind recv")
		if _, err := DialClient(context.Background(), "n2", ClientOptions{Service: "kv", Dial: n.dial}); err != nil {
			t.Errorf("room again: %v", err)
		}
		stop(n2)
	})
}

func TestAnIdleClientIsDisconnectedUnlessItPings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		n2 := start(t, n, "n2", nil, "n1")
		idle, alive := n2.client("idle"), n2.client("alive")
		go func() {
			for {
				if _, _, err := alive.Receive(); err != nil {
					return
				}
			}
		}()
		for range 3 {
			if err := alive.Ping(); err != nil {
				t.Fatal(err)
			}
			settle(2 * time.Minute)
		}
		n2.want("errors", &n2.errs, "connection from idle (pipe): idle: read pipe: i/o timeout")
		idle.Close()
		stop(n2)
	})
}
