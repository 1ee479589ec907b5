package transport

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"hindcast.dev/event"
)

func TestMessagesArriveInOrderBothWays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		n1 := start(t, n, "n1", nil, "n2")
		synctest.Wait()
		n2 := start(t, n, "n2", nil, "n1")
		settle(time.Second)
		n1.want("links", &n1.links, "n2 down: connection refused: nobody listens there", "n2 up: connected to boot 1")
		n2.want("links", &n2.links, "n1 up: connected to boot 1")
		n1.put("n2", 1, 3000)
		n2.put("n1", 1, 3000)
		n2.want("got", &n2.got, ids("n1", 1, 3000)...)
		n1.want("got", &n1.got, ids("n2", 1, 3000)...)
		s := n1.Stats().Peers["n2"]
		if !s.Up || s.Sent != 3000 || s.Acked != 3000 || s.Received != 3000 || s.Queued+s.Unacked != 0 || s.Connects != 1 ||
			!s.Inbound || s.PeerBoot != 1 || s.InboundBoot != 1 || s.SentBytes != s.ReceivedBytes || s.SentBytes == 0 {
			t.Errorf("stats %+v", s)
		}
		stop(n1, n2)
		n1.want("drops", &n1.drops)
		n1.want("errors", &n1.errs)
		n2.want("errors", &n2.errs)
	})
}

func TestAFrameLongerThanABatchArrives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		n1, n2 := start(t, n, "n1", nil, "n2"), start(t, n, "n2", nil, "n1")
		settle(time.Second)
		for i := range uint64(5) {
			n1.Send("n2", message(i+1, make([]byte, int(i)*60_000)), event.MessageID{}, "Put")
		}
		n2.want("got", &n2.got, ids("n1", 1, 5)...)
		stop(n1, n2)
	})
}

func TestMessagesToAnAbsentPeerWaitAndThenAreDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		n1 := start(t, n, "n1", nil, "n2")
		n1.put("n2", 1, 2)
		settle(3 * time.Second)
		n1.want("drops", &n1.drops, dropsOf("n2", "n1", 1, 2, DropLinkDown)...)
		n1.put("n2", 3, 4)
		n2 := start(t, n, "n2", nil, "n1") // its own link makes n1 dial at once
		settle(100 * time.Millisecond)
		n2.want("got", &n2.got, ids("n1", 3, 4)...)
		n1.want("drops", &n1.drops)
		n1.Send("n9", nil, event.MessageID{Node: "n1", Boot: 1, Seq: 5}, "Put")
		n1.want("drops", &n1.drops, "n9 n1/1/5/0 Put: unknown peer")
		stop(n1, n2)
	})
}

func TestAFullQueueDropsTheNewestAtItsBound(t *testing.T) {
	for name, limit := range map[string]Limits{
		"frames": {QueueFrames: 3},
		"bytes":  {QueueBytes: 3 * len(message(1, nil))},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork()
				n1 := start(t, n, "n1", func(o *Options) { o.Limits = limit }, "n2")
				n1.put("n2", 1, 4)
				n1.want("drops", &n1.drops, dropsOf("n2", "n1", 4, 4, DropQueueFull)...)
				if s := n1.Stats().Peers["n2"]; s.Queued != 3 || s.QueuedBytes != 3*len(message(1, nil)) || s.Dropped[DropQueueFull] != 1 {
					t.Errorf("stats %+v", s)
				}
				stop(n1)
				n1.want("drops", &n1.drops, dropsOf("n2", "n1", 1, 3, DropClosing)...)
				n1.put("n2", 5, 5)
				n1.want("drops", &n1.drops, dropsOf("n2", "n1", 5, 5, DropClosing)...)
			})
		})
	}
}

func TestSendingStopsAtTheBoundOfWhatIsNotAcknowledged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		small := func(o *Options) { o.Limits.Unacked = 4 }
		n1, n2 := start(t, n, "n1", small, "n2"), start(t, n, "n2", nil, "n1")
		settle(time.Second)
		n2.hold = make(chan struct{})
		n1.put("n2", 1, 10)
		synctest.Wait()
		if s := n1.Stats().Peers["n2"]; s.Unacked != 4 || s.Queued != 6 || s.Sent != 4 {
			t.Errorf("stats %+v", s)
		}
		close(n2.hold)
		n2.want("got", &n2.got, ids("n1", 1, 10)...)
		stop(n1, n2)
	})
}

func TestFramesThatAreTooLongAreDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		n1 := start(t, n, "n1", func(o *Options) { o.Limits.FrameBytes = 4096 }, "n2")
		n2 := start(t, n, "n2", func(o *Options) { o.Limits.FrameBytes = 1024 }, "n1")
		settle(time.Second)
		for seq, size := range []int{5000, 2000, 100} {
			id := event.MessageID{Node: "n1", Boot: 1, Seq: uint64(seq)}
			n1.Send("n2", message(id.Seq, make([]byte, size)), id, "Put")
		}
		n2.want("got", &n2.got, "n1/1/2/0")
		n1.want("drops", &n1.drops, dropsOf("n2", "n1", 0, 1, DropTooLarge)...)
		stop(n1, n2)
	})
}

func TestALostConnectionLeavesTheUnacknowledgedInDoubtAndTheQueuedWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		small := func(o *Options) { o.Limits.Unacked = 3 }
		n1, n2 := start(t, n, "n1", small, "n2"), start(t, n, "n2", nil, "n1")
		settle(time.Second)
		n1.links = nil
		n2.hold = make(chan struct{})
		n1.put("n2", 1, 5)
		synctest.Wait()
		n.to("n2").Conn.Close()
		synctest.Wait()
		n2.release() // the first was being delivered: it counts, nothing of that connection comes after
		settle(time.Second)
		n1.want("links", &n1.links, "n2 down: lost: io: read/write on closed pipe", "n2 up: connected to boot 1")
		n1.want("drops", &n1.drops, dropsOf("n2", "n1", 1, 3, DropInDoubt)...)
		if got := n2.got; !slices.IsSorted(got) || !slices.Equal(got[len(got)-2:], ids("n1", 4, 5)) {
			t.Errorf("n2 got %q", got)
		}
		if s := n1.Stats().Peers["n2"]; s.Connects != 2 || s.Dropped[DropInDoubt] != 3 {
			t.Errorf("stats %+v", s)
		}
		stop(n1, n2)
	})
}

func TestAOneWayCutInTheNetworkIsNoticedByMissedHeartbeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		n1, n2 := start(t, n, "n1", nil, "n2"), start(t, n, "n2", nil, "n1")
		settle(1100 * time.Millisecond)
		n1.links, n2.links = nil, nil
		w := n.to("n2")
		w.mute.Store(true)
		n1.put("n2", 1, 1)
		settle(time.Second - 150*time.Millisecond)
		n1.want("links before", &n1.links)
		settle(400 * time.Millisecond)
		n1.want("links after", &n1.links, "n2 down: no answer for 1s", "n2 up: connected to boot 1")
		n1.want("drops", &n1.drops, dropsOf("n2", "n1", 1, 1, DropInDoubt)...)
		n2.want("links", &n2.links)
		stop(n1, n2)
	})
}

func TestBackOffDoublesUpToItsLimitAndIsShortenedAtRandom(t *testing.T) {
	next, random := 0.0, func() float64 { return 0 }
	b := backOff{min: 50, max: 300, random: func() float64 { return random() }}
	var got []time.Duration
	for range 5 {
		got = append(got, b.next())
	}
	if want := []time.Duration{50, 100, 200, 300, 300}; !slices.Equal(got, want) {
		t.Errorf("got %d, want %d", got, want)
	}
	next = 0.5
	random = func() float64 { return next }
	if got := b.next(); got != 225 {
		t.Errorf("with jitter %d, want 225", got)
	}
	b.reset()
	if got := b.next(); got != 38 {
		t.Errorf("after a reset %d, want 38", got)
	}
}

func TestTheDialerBacksOffWhileNobodyAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var at []time.Duration
		n1 := start(t, newNetwork(), "n1", func(o *Options) {
			o.Dial = func(ctx context.Context, addr string) (net.Conn, error) {
				at = append(at, time.Since(began))
				return nil, errors.New("no route")
			}
		}, "n2")
		settle(5 * time.Second)
		stop(n1)
		ms := time.Millisecond
		if want := []time.Duration{0, 50 * ms, 150 * ms, 350 * ms, 750 * ms, 1550 * ms, 3150 * ms}; !slices.Equal(at, want) {
			t.Errorf("dialed at %v, want %v", at, want)
		}
		n1.want("links", &n1.links, "n2 down: no route")
	})
}

func TestCloseSendsWhatIsQueuedOrGivesUpWhenTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		slow := func(o *Options) { o.AllowFaults = true }
		n1, n2 := start(t, n, "n1", slow, "n2"), start(t, n, "n2", nil, "n1")
		settle(time.Second)
		if err := n1.SetFault("n2", Fault{Delay: 5 * time.Second}); err != nil {
			t.Fatal(err)
		}
		n1.put("n2", 1, 2)
		stop(n1)
		n2.want("got", &n2.got, ids("n1", 1, 2)...)
		n1.want("drops", &n1.drops)

		n1 = start(t, n, "n1", slow, "n2")
		settle(time.Second)
		if err := n1.SetFault("n2", Fault{Delay: 5 * time.Second}); err != nil {
			t.Fatal(err)
		}
		n1.put("n2", 3, 4)
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := n1.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("close: %v", err)
		}
		n1.want("drops", &n1.drops, dropsOf("n2", "n1", 3, 4, DropClosing)...)
		n2.want("got", &n2.got)
		stop(n2)
	})
}

func TestOptionsAreChecked(t *testing.T) {
	ok := Options{Service: "kv", Node: "n1", Boot: 1, Deliver: (&host{}).take}
	for want, mod := range map[string]func(*Options){
		"service name has 0 bytes":      func(o *Options) { o.Service = "" },
		"node name has 129 bytes":       func(o *Options) { o.Node = strings.Repeat("x", 129) },
		"boot number 0":                 func(o *Options) { o.Boot = 0 },
		"Deliver is missing":            func(o *Options) { o.Deliver = nil },
		"peer n2 has no address":        func(o *Options) { o.Peers = map[string]string{"n2": ""} },
		"below 0":                       func(o *Options) { o.Timing.Stall = -1 },
		"frames of 16777217 bytes: the": func(o *Options) { o.Limits.FrameBytes = 16<<20 + 1 },
	} {
		o := ok
		mod(&o)
		if _, err := New(nil, o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	ok.Peers = map[string]string{"n1": "self"}
	tr, err := New(nil, ok)
	if err != nil {
		t.Fatal(err)
	}
	if len(tr.links) != 0 || tr.Addr() != nil {
		t.Errorf("a link to itself, or an address: %v %v", tr.links, tr.Addr())
	}
	if err := tr.Close(t.Context()); err != nil {
		t.Error(err)
	}
}
