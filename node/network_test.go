package node

import (
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"hindcast.dev/event"
	"hindcast.dev/hlc"
	"hindcast.dev/journal"
	"hindcast.dev/journal/record"
	"hindcast.dev/machine/state"
	"hindcast.dev/transport"
	"hindcast.dev/vfs"
)

func TestThreeNodesTalk(t *testing.T) {
	nodes := cluster(t, []string{"n1", "n2", "n3"}, nil)
	for from, n := range nodes {
		for to := range nodes {
			if to != from {
				total(t, n, Pass{To: to, Key: from, By: 1})
			}
		}
	}
	for name, n := range nodes {
		for from := range nodes {
			if from != name {
				eventually(t, n, "a message", func() bool { return peek(t, n, from) == 1 })
			}
		}
	}
}

func TestACutLosesMessagesAndTheJournalSaysWhich(t *testing.T) {
	nodes := cluster(t, []string{"n1", "n2"}, nil)
	n1, n2 := nodes["n1"], nodes["n2"]
	if err := n1.SetFault(Fault{Kind: FaultCut, Peer: "n2"}); err != nil {
		t.Fatal(err)
	}
	total(t, n1, Pass{To: "n2", Key: "lost", By: 1})
	eventually(t, n1, "the link to go down", func() bool { return !n1.net.Stats().Peers["n2"].Up })
	if err := n1.SetFault(Fault{Kind: FaultHeal, Peer: "n2"}); err != nil {
		t.Fatal(err)
	}
	linked(t, n1)
	linked(t, n2)
	total(t, n1, Pass{To: "n2", Key: "found", By: 1})
	eventually(t, n2, "the message after the heal", func() bool { return peek(t, n2, "found") == 1 })
	if got := peek(t, n2, "lost"); got != 0 {
		t.Fatalf("the message over the cut link arrived: %d", got)
	}
	stop(t, n1)
	stop(t, n2)
	notes := noteLog(t, vfs.OS(), n1.dirs.journal)
	for _, want := range []string{"link n2 up", "fault n2 cut both", "drop n2 Add fault: cut", "link n2 down", "fault n2 heal"} {
		if !hasNote(notes, want) {
			t.Errorf("notes of n1 lack %q: %q", want, notes)
		}
	}
	lost := sentID(t, n1.dirs.journal, "drop")
	if id, err := event.ParseMessageID(lost); err != nil || id.Node != "n1" {
		t.Errorf("the dropped message's id is %q, %v", lost, err)
	}
}

// sentID is the message that the first note of a name is about.
func sentID(t *testing.T, dir, name string) string {
	t.Helper()
	r, err := journal.OpenReader(vfs.OS(), dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for {
		e, err := r.Next()
		if err != nil {
			t.Fatalf("no note %q: %v", name, err)
		}
		var info event.NoteInfo
		if e.Kind == event.Note && e.Name == name {
			if err := state.Unmarshal(e.Payload, &info); err != nil {
				t.Fatal(err)
			}
			return info.Message
		}
	}
}

func TestOneWayCutsDropsAndDelays(t *testing.T) {
	nodes := cluster(t, []string{"n1", "n2"}, nil)
	n1, n2 := nodes["n1"], nodes["n2"]
	set := func(f Fault) {
		t.Helper()
		if err := n1.SetFault(f); err != nil {
			t.Fatal(err)
		}
	}
	set(Fault{Kind: FaultCut, Peer: "n2", Direction: "out"})
	total(t, n1, Pass{To: "n2", Key: "out", By: 1})
	total(t, n2, Pass{To: "n1", Key: "in", By: 1}) // the other way is open
	eventually(t, n1, "a message against the cut", func() bool { return peek(t, n1, "in") == 1 })
	set(Fault{Kind: FaultHeal, Peer: "n2"})
	linked(t, n1)
	set(Fault{Kind: FaultDrop, Peer: "n2", Probability: 1})
	total(t, n1, Pass{To: "n2", Key: "drop", By: 1})
	set(Fault{Kind: FaultDrop, Peer: "n2"})
	set(Fault{Kind: FaultDelay, Peer: "n2", Delay: time.Millisecond})
	total(t, n1, Pass{To: "n2", Key: "late", By: 1})
	eventually(t, n2, "the delayed message", func() bool { return peek(t, n2, "late") == 1 })
	if peek(t, n2, "out") != 0 || peek(t, n2, "drop") != 0 {
		t.Fatal("a message that was dropped arrived")
	}
	for _, f := range []Fault{{Kind: "nonsense", Peer: "n2"}, {Kind: FaultCut, Peer: "n9"}, {Kind: FaultCut, Peer: "n2", Direction: "up"},
		{Kind: FaultDrop, Peer: "n2", Probability: 2}} {
		if err := n1.SetFault(f); err == nil {
			t.Errorf("%+v was taken", f)
		}
	}
}

func TestFaultsNeedToBeAllowed(t *testing.T) {
	o := options(t, "n1")
	o.AllowFaults = false
	n := start(t, o)
	for _, f := range []Fault{{Kind: FaultCut, Peer: "n2"}, {Kind: FaultClock, Offset: time.Hour}} {
		if err := n.SetFault(f); !errors.Is(err, ErrFaultsOff) {
			t.Errorf("%+v: %v, want ErrFaultsOff", f, err)
		}
	}
}

func TestAMessageToNobodyIsDroppedWithANote(t *testing.T) {
	o := options(t, "n1")
	n := start(t, o)
	total(t, n, Pass{To: "n9", Key: "a", By: 1})
	stop(t, n)
	if notes := noteLog(t, vfs.OS(), n.dirs.journal); !hasNote(notes, "drop n9 Add unknown peer") {
		t.Fatalf("notes %q", notes)
	}
}

func TestAClockBeyondMaxDriftIsolatesTheNodeUntilItIsRight(t *testing.T) {
	nodes := cluster(t, []string{"n1", "n2"}, nil)
	n1, n2 := nodes["n1"], nodes["n2"]
	if err := n1.SetFault(Fault{Kind: FaultClock, Offset: time.Hour}); err != nil {
		t.Fatal(err)
	}
	// The own jump is refused, so that the peer needn't.
	eventually(t, n1, "the jump to be refused", func() bool { return n1.Status().ClockJump > 59*time.Minute })
	total(t, n1, Pass{To: "n2", Key: "a", By: 1})
	eventually(t, n2, "a message from a node with a wrong clock", func() bool { return peek(t, n2, "a") == 1 })
	// A request from the future is refused, here by a client.
	f := record.Frame{Kind: event.Message, Machine: "tally", From: "tally", Name: "Add", Version: 1,
		ID: event.MessageID{Node: "n1", Boot: 1, Seq: 1 << 40}, Sent: hlc.FromTime(time.Now().Add(time.Hour))}
	if err := n2.loop.Offer(&f); err != nil {
		t.Fatal(err)
	}
	eventually(t, n2, "the refusal", func() bool { return n2.Status().Loop.RefusedDrift == 1 })
	if err := n1.SetFault(Fault{Kind: FaultClock}); err != nil {
		t.Fatal(err)
	}
	eventually(t, n1, "the clock to be trusted again", func() bool { return n1.Status().ClockJump == 0 })
	stop(t, n1)
	notes := noteLog(t, vfs.OS(), n1.dirs.journal)
	for _, want := range []string{"fault clock", "clock refused", "clock ok"} {
		if !hasNote(notes, want) {
			t.Errorf("notes lack %q: %q", want, notes)
		}
	}
}

func TestTimersFireThoughTheClockIsSetBack(t *testing.T) {
	n := start(t, options(t, "n1"))
	total(t, n, Add{"a", 1})
	if err := n.SetFault(Fault{Kind: FaultClock, Offset: -time.Hour}); err != nil {
		t.Fatal(err)
	}
	if got := total(t, n, Later{50 * time.Millisecond}); got != 1 {
		t.Fatalf("the timer's reply is %d", got)
	}
}

func TestNativeClients(t *testing.T) {
	o := options(t, "n1")
	o.Listen = "127.0.0.1:0"
	n := start(t, o)
	c, err := transport.DialClient(within(t, patience), n.Addr(), transport.ClientOptions{Service: "test", Name: "c"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	send := func(seq uint64, machine string, body any) record.Frame {
		t.Helper()
		f := frameOf(t, n, body)
		f.ID, f.Machine = event.MessageID{Node: "c", Seq: seq}, machine
		if err := c.Send(record.AppendWire(nil, &f)); err != nil {
			t.Fatal(err)
		}
		got, _, err := c.Receive()
		if err != nil {
			t.Fatal(err)
		}
		if got.ID != f.ID {
			t.Fatalf("the reply has id %v, the request %v", got.ID, f.ID)
		}
		return got
	}
	got := send(1, "tally", Add{"a", 5})
	body, err := n.codecs["tally"].decode(got.Name, got.Version, got.Payload)
	if got.Kind != event.Result || err != nil || body != any(Total{5}) || got.Sent == 0 {
		t.Fatalf("reply %+v, %v, %v", got, body, err)
	}
	if got := send(2, "nobody", Add{"a", 5}); got.Kind != event.Refused || got.Name != RefusedOther || len(got.Payload) == 0 {
		t.Fatalf("a request to no machine: %+v", got)
	}
	if got := send(3, "tally", Parts{1}); got.Flags&FlagMore == 0 {
		t.Fatalf("a partial reply: %+v", got)
	}
	if got, _, err := c.Receive(); err != nil || got.Flags&FlagMore != 0 {
		t.Fatalf("the end of a reply in parts: %+v, %v", got, err)
	}
	// One that goes away frees its places.
	f := frameOf(t, n, Hold{})
	if err := c.Send(record.AppendWire(nil, &f)); err != nil {
		t.Fatal(err)
	}
	eventually(t, n, "the request", func() bool { return n.Status().Requests.InFlight == 1 })
	c.Close()
	soon(t, "its place", func() bool { return n.Status().Requests.InFlight == 0 })
}

func TestClientsThatStallStallNobodyElse(t *testing.T) {
	o := options(t, "n1")
	o.Listen = "127.0.0.1:0"
	o.HTTP, o.Handler = "127.0.0.1:0", echoHandler
	n := start(t, o)
	// One stalls in its hello, one in a frame, one in an HTTP header.
	for _, addr := range []string{n.Addr(), n.HTTPAddr()} {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.Write([]byte("HCW")); err != nil {
			t.Fatal(err)
		}
	}
	c, err := transport.DialClient(within(t, patience), n.Addr(), transport.ClientOptions{Service: "test"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	f := frameOf(t, n, Add{"a", 1})
	if err := c.Send(record.AppendWire(nil, &f)[:40]); err != nil {
		t.Fatal(err)
	}
	total(t, n, Add{"a", 1})
	if status, _, _ := ask(t, "GET", "http://"+n.HTTPAddr()+"/", ""); status != 200 {
		t.Fatalf("status %d", status)
	}
	// And garbage ends its own connection only.
	g, err := net.Dial("tcp", n.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	if _, err := g.Write([]byte(strings.Repeat("garbage ", 1000))); err != nil {
		t.Fatal(err)
	}
	total(t, n, Add{"a", 1})
}
