package node

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"hindcast.dev/event"
	"hindcast.dev/journal/record"
	"hindcast.dev/transport"
)

// strange connects to a node's port past the handshake and returns the bare
// connection, to send what a client wouldn't.
func strange(t *testing.T, n *Node) net.Conn {
	t.Helper()
	var conn net.Conn
	_, err := transport.DialClient(within(t, patience), n.Addr(), transport.ClientOptions{Service: "test", Name: "strange",
		Dial: func(ctx context.Context, addr string) (net.Conn, error) {
			c, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
			conn = c
			return c, err
		}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// TestBadConnectionsAreCountedAndReportedAndStopNobody sends a node's port what
// it can't take, each time beside a client that goes on.
func TestBadConnectionsAreCountedAndReportedAndStopNobody(t *testing.T) {
	log := &lines{}
	o := options(t, "n1")
	o.Listen, o.Admin, o.Log = "127.0.0.1:0", "127.0.0.1:0", textLog(log)
	o.Network.ClientFrameBytes, o.Timing.Stall = 4096, 500*time.Millisecond
	n := start(t, o)
	good, err := transport.DialClient(within(t, patience), n.Addr(), transport.ClientOptions{Service: "test", Name: "good"})
	if err != nil {
		t.Fatal(err)
	}
	defer good.Close()
	whole := frameOf(t, n, Add{"a", 1})
	long := frameOf(t, n, Large{make([]byte, 8000)})
	message := whole
	message.Kind = event.Message
	sum := 0
	for cause, send := range map[transport.Cause]func() net.Conn{
		transport.CauseHandshake: func() net.Conn {
			c, err := net.Dial("tcp", n.Addr())
			if err != nil {
				t.Fatal(err)
			}
			write(t, c, []byte(strings.Repeat("garbage ", 1000)))
			return c
		},
		transport.CauseGarbage: func() net.Conn { c := strange(t, n); write(t, c, []byte(strings.Repeat("garbage ", 100))); return c },
		transport.CauseTooLarge: func() net.Conn {
			c := strange(t, n)
			write(t, c, record.AppendWire(nil, &long))
			return c
		},
		transport.CauseHalfSent: func() net.Conn {
			c := strange(t, n)
			write(t, c, record.AppendWire(nil, &whole)[:40])
			if err := c.(*net.TCPConn).CloseWrite(); err != nil {
				t.Fatal(err)
			}
			return c
		},
		transport.CauseStalled: func() net.Conn {
			c := strange(t, n)
			write(t, c, record.AppendWire(nil, &whole)[:40])
			return c
		},
		transport.CauseProtocol: func() net.Conn { c := strange(t, n); write(t, c, record.AppendWire(nil, &message)); return c },
	} {
		c := send()
		sum++
		request := frameOf(t, n, Add{"a", 1})
		request.ID = event.MessageID{Node: "good", Seq: uint64(sum)}
		if err := good.Send(record.AppendWire(nil, &request)); err != nil {
			t.Fatal(err)
		}
		if f, _, err := good.Receive(); err != nil || f.Kind != event.Result {
			t.Fatalf("%s: the client beside it got %+v, %v", cause, f, err)
		}
		// The node closes it, and writes nothing that isn't a frame of its own.
		if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		_, err := io.Copy(io.Discard, c)
		if e, ok := err.(net.Error); ok && e.Timeout() {
			t.Fatalf("%s: the connection isn't closed", cause)
		}
		c.Close()
		soon(t, "the count of "+string(cause), func() bool { return n.net.Stats().Errors[cause] == 1 })
		soon(t, "a word in the log of "+string(cause), func() bool { return log.has(": "+string(cause)) && log.has("connection ended") })
	}
	if got := peek(t, n, "a"); got != int64(sum) {
		t.Errorf("a = %d, want the %d of the client that behaved", got, sum)
	}
	_, body, _ := ask(t, "GET", "http://"+n.AdminAddr()+"/v1/status", "")
	errs, _ := body["network"].(map[string]any)["errors"].(map[string]any)
	if len(errs) != sum {
		t.Errorf("status: %v, want %d causes", errs, sum)
	}
}

func write(t *testing.T, c net.Conn, b []byte) {
	t.Helper()
	if _, err := c.Write(b); err != nil && !strings.Contains(err.Error(), "reset") && !strings.Contains(err.Error(), "broken pipe") {
		t.Fatal(err) // else the node was quicker to close
	}
}

// TestSlowHTTPClientsGiveUpTheirSeats has every seat taken by a client that
// doesn't go on: in its header, in its body, or in reading the answer.
func TestSlowHTTPClientsGiveUpTheirSeats(t *testing.T) {
	o := options(t, "n1")
	o.HTTP = "127.0.0.1:0"
	o.Limits.HTTPConns, o.Limits.HTTPRead, o.Limits.HTTPWrite = 3, 200*time.Millisecond, 200*time.Millisecond
	o.Handler = func(c *Client) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if _, err := io.Copy(io.Discard, r.Body); err != nil {
				WriteError(w, err)
				return
			}
			if r.URL.Path == "/long" {
				for b := make([]byte, 1<<20); ; {
					if _, err := w.Write(b); err != nil {
						return
					}
				}
			}
			echoHandler(c).ServeHTTP(w, r)
		})
	}
	n := start(t, o)
	for _, text := range []string{"GET / HT", "POST / HTTP/1.1\r\nHost: n1\r\nContent-Length: 100\r\n\r\nhalf", "GET /long HTTP/1.1\r\nHost: n1\r\n\r\n"} {
		c, err := net.Dial("tcp", n.HTTPAddr())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	total(t, n, Add{"a", 1}) // the node goes on meanwhile
	if status, body, _ := ask(t, "GET", "http://"+n.HTTPAddr()+"/", ""); status != 200 || body["n"] != 1.0 {
		t.Fatalf("the client that waited for a seat got %d, %v", status, body)
	}
}

// TestAShadowThatDivergesGivesNoCheckpoint: what a shadow took when its machines
// differed from the node's must not become what a restart begins with.
func TestAShadowThatDivergesGivesNoCheckpoint(t *testing.T) {
	o := options(t, "n1")
	o.ShadowCheckpoints, o.CheckpointEvery = true, 10
	n := start(t, o)
	total(t, n, Guess{}) // the shadow guesses otherwise
	for range 20 {
		total(t, n, Add{"a", 1})
	}
	eventually(t, n, "the loop to take the checkpoints", func() bool {
		total(t, n, Add{"b", 1})
		return n.Status().Disk.Checkpoints >= 2
	})
	s := n.Status()
	if s.Loop.Checkpoints < s.Disk.Checkpoints {
		t.Errorf("%d checkpoints were written, the loop took %d: the others are the shadow's", s.Disk.Checkpoints, s.Loop.Checkpoints)
	}
	boxes, err := o.withDefaults().FS.ReadDir(n.dirs.crashboxes)
	if err != nil || len(boxes) != 1 {
		t.Errorf("crash boxes %v, %v: want the divergence's", boxes, err)
	}
	guessed, sum := int64(0), peek(t, n, "a")
	if err := n.control(within(t, patience), func() { guessed = n.loop.Stepper().Machine("tally").(*tally).Guessed }); err != nil {
		t.Fatal(err)
	}
	stop(t, n)
	n = start(t, o) // from the loop's checkpoint
	var after int64
	if err := n.control(within(t, patience), func() { after = n.loop.Stepper().Machine("tally").(*tally).Guessed }); err != nil {
		t.Fatal(err)
	}
	if got := peek(t, n, "a"); got != sum || after != guessed {
		t.Errorf("after the restart a = %d and the guess %d, want %d and %d", got, after, sum, guessed)
	}
}
