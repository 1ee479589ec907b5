package node

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"hindcast.dev/event"
	"hindcast.dev/journal"
	"hindcast.dev/transport"
)

// freeze holds the loop until the returned function is called.
func freeze(t *testing.T, n *Node) func() {
	t.Helper()
	frozen, thaw, over := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(over)
		if err := n.control(context.Background(), func() { close(frozen); <-thaw }); err != nil {
			t.Error(err)
		}
	}()
	<-frozen
	release := sync.OnceFunc(func() { close(thaw); <-over })
	t.Cleanup(release)
	return release
}

func TestRequestsInFlightAreBounded(t *testing.T) {
	o := options(t, "n1")
	o.Limits.InFlight = 3
	n := start(t, o)
	held := make(chan error, 3)
	before := n.Status().Loop.Events
	for range 3 {
		go func() {
			_, err := n.Client().Do(within(t, patience), "tally", Hold{})
			held <- err
		}()
	}
	eventually(t, n, "the requests", func() bool { return n.Status().Requests.InFlight == 3 })
	_, err := n.Client().Do(within(t, patience), "tally", Add{"a", 1})
	if !errors.Is(err, ErrBusy) || problemOf(err).status != 429 || !problemOf(err).retry {
		t.Fatalf("one request more: %v, HTTP %+v", err, problemOf(err))
	}
	// One that is in flight may not be in the journal yet.
	eventually(t, n, "all to be handled", func() bool { return n.Status().Loop.Events == before+3 })
	f := frameOf(t, n, Release{})
	if err := n.loop.Offer(&f); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := <-held; err != nil {
			t.Error(err)
		}
	}
	total(t, n, Add{"a", 1})
	if s := n.Status().Requests; s.RefusedBusy != 1 {
		t.Errorf("%d refused", s.RefusedBusy)
	}
}

func TestTheBacklogIsBounded(t *testing.T) {
	o := options(t, "n1")
	o.Limits.DeliverWait = time.Millisecond
	n := start(t, o)
	thaw := freeze(t, n)
	f := frameOf(t, n, Large{make([]byte, 8000)})
	var err error
	taken := 0
	for ; taken < 100 && err == nil; taken++ {
		err = n.loop.Offer(&f)
	}
	if !errors.Is(err, journal.ErrBacklog) || taken > 5 {
		t.Fatalf("%d frames of 8 KB were taken, then %v", taken, err)
	}
	_, err = n.Client().Do(within(t, patience), "tally", Large{make([]byte, 8000)})
	if !errors.Is(err, ErrBusy) {
		t.Fatalf("Do beyond the backlog: %v, want ErrBusy", err)
	}
	from := transport.Peer{Name: "n2", Boot: 1, Role: transport.RoleNode}
	if err := n.deliver(from, &f, nil); !errors.Is(err, ErrBusy) {
		t.Fatalf("a message beyond the backlog: %v, want ErrBusy", err)
	}
	thaw()
	total(t, n, Large{make([]byte, 8000)})
	if s := n.Status(); s.Requests.RefusedBacklog != 1 || s.Disk.BacklogRefused < 3 || s.Requests.InFlight != 0 {
		t.Fatalf("counts %+v, %+v", s.Requests, s.Disk)
	}
}

func TestAMessageWaitsForTheBacklogForAWhile(t *testing.T) {
	o := options(t, "n1")
	o.Limits.DeliverWait = patience
	n := start(t, o)
	thaw := freeze(t, n)
	f := frameOf(t, n, Large{make([]byte, 8000)})
	var err error
	for err == nil {
		err = n.loop.Offer(&f)
	}
	got := make(chan error, 1)
	go func() { got <- n.deliver(transport.Peer{Name: "n2", Boot: 1, Role: transport.RoleNode}, &f, nil) }()
	thaw()
	if err := <-got; err != nil {
		t.Fatalf("a message while the backlog was full for a moment: %v", err)
	}
}

func TestRequestsHaveASize(t *testing.T) {
	o := options(t, "n1")
	o.Limits.RequestBytes = 1000
	n := start(t, o)
	if _, err := n.Client().Do(within(t, patience), "tally", Large{make([]byte, 1001)}); !errors.Is(err, ErrTooLarge) {
		t.Fatalf("a request beyond the limit: %v", err)
	}
	if got := total(t, n, Large{make([]byte, 900)}); got != 900 {
		t.Fatalf("a request within the limit: %d", got)
	}
	// A frame that the journal can't take is refused as well.
	o = options(t, "n2")
	n = start(t, o)
	if _, err := n.Client().Do(within(t, patience), "tally", Large{make([]byte, 40<<10)}); !errors.Is(err, ErrTooLarge) {
		t.Fatalf("a request beyond the backlog: %v", err)
	}
}

func TestQueriesThatWaitAreBounded(t *testing.T) {
	o := options(t, "n1")
	o.Limits.Peeks = 2
	n := start(t, o)
	thaw := freeze(t, n)
	got := make(chan error, 2)
	for range 2 {
		go func() {
			_, err := n.Client().Peek(within(t, patience), "tally", Read{"a"})
			got <- err
		}()
	}
	soon(t, "the queries", func() bool { return len(n.peeks) == 2 })
	if _, err := n.Client().Peek(within(t, patience), "tally", Read{"a"}); !errors.Is(err, ErrBusy) {
		t.Fatalf("one query more: %v, want ErrBusy", err)
	}
	thaw()
	for range 2 {
		if err := <-got; err != nil {
			t.Error(err)
		}
	}
}

func TestPartialRepliesThatWaitAreBounded(t *testing.T) {
	o := options(t, "n1")
	o.Limits.Parts = 4
	n := start(t, o)
	read := 0
	err := n.Client().Stream(within(t, patience), "tally", Parts{10}, func(Reply, bool) error {
		if read == 0 { // all the others come meanwhile
			soon(t, "the replies", func() bool { return n.Status().Requests.InFlight == 0 })
		}
		read++
		return nil
	})
	if !errors.Is(err, ErrBusy) || read > 6 {
		t.Fatalf("%d parts were read, then %v: want ErrBusy", read, err)
	}
	if s := n.Status().Requests; s.SlowReaders != 1 {
		t.Fatalf("%d slow readers", s.SlowReaders)
	}
}

func TestCallsOfAnAdapterAreBounded(t *testing.T) {
	o := options(t, "n1")
	o.Limits.AdapterTasks, o.Limits.AdapterCalls = 1, 2
	entered, release := make(chan struct{}, 10), make(chan struct{})
	o.Adapters = map[string]Adapter{"echo": AdapterFunc(func(ctx context.Context, body any) (any, error) {
		entered <- struct{}{}
		select {
		case <-release:
		case <-ctx.Done():
		}
		return Word{"late"}, nil
	})}
	n := start(t, o)
	answers := make(chan string, 3)
	call := func() {
		r, err := n.Client().Do(within(t, patience), "tally", Outside{"x"})
		if err != nil {
			t.Error(err)
			return
		}
		answers <- r.Body.(Word).Text
	}
	go call()
	<-entered // it is with the adapter
	go call()
	soon(t, "the second call", func() bool { return len(n.adapters.queues["echo"]) == 1 })
	go call()
	if got := <-answers; !strings.Contains(got, "busy") {
		t.Fatalf("the third call: %q, want busy", got)
	}
	close(release)
	for range 2 {
		if got := <-answers; got != "late" {
			t.Fatalf("a call within the bound: %q", got)
		}
	}
}

func TestRefusalsThatWaitAreBounded(t *testing.T) {
	n := &Node{}
	a := &adapters{n: n, wake: make(chan struct{}, 1)}
	for range refusalsMax + 5 {
		a.refuse(&event.Effect{}, "x")
	}
	if len(a.refusals) != refusalsMax || n.counts.refusalsLost.Load() != 5 {
		t.Fatalf("%d wait, %d lost", len(a.refusals), n.counts.refusalsLost.Load())
	}
}

func TestBundlesAreMadeOneAtATime(t *testing.T) {
	n := start(t, options(t, "n1"))
	n.bundling.Lock()
	if _, err := n.Bundle(within(t, patience), time.Minute); !errors.Is(err, ErrBusy) {
		t.Fatalf("a second bundle: %v", err)
	}
	n.bundling.Unlock()
	if _, err := n.Bundle(within(t, patience), time.Minute); err != nil {
		t.Fatal(err)
	}
}
