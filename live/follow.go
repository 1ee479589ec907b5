package live

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"hindcast.dev/hlc"
)

// HoldDefault is Options.Hold where that is 0.
const HoldDefault = 5 * time.Second

const (
	// advanceEvery is how often the walk is looked at when nothing comes.
	advanceEvery = 50 * time.Millisecond
	// gateEntries is how many entries of one node may wait for the others before it
	// is left waiting.
	gateEntries = 1 << 16
)

// Options say how nodes are followed. The zero value works.
type Options struct {
	Token string
	// From is after what the walk begins; 0 is now.
	From hlc.Timestamp
	// Hold is how long a node that says nothing holds back all others.
	Hold time.Duration
	// Told is called with what becomes of the nodes, by one goroutine. May be nil.
	Told func(Notice)
	// Lean asks the nodes to leave out what events carry (data, ids, peers, effects):
	// for who looks at variables alone, of logs other than net.
	Lean bool
	// Promise is how long an idle node may go without a promise, 25 ms to 1 s; 0 is 25 ms.
	// Each is an event in its journal, and twice as late may an event be told and final.
	Promise time.Duration
	// Client makes the requests; nil is one of Follow's own.
	Client *http.Client
	// Patient takes a node that refuses, tells nonsense or is another one than before
	// for one that isn't there: it is tried again, and the others are followed. At the
	// beginning nobody waits for a node that can't be reached.
	Patient bool
	// Reached is called, by the goroutine that calls Told, whenever there may be more:
	// up to that time the walk is complete, of all nodes that are waited for. May be
	// nil.
	Reached func(hlc.Timestamp)
}

// A Notice says what becomes of a node.
type Notice struct {
	Node   string // its address as long as it wasn't reached
	Of     int    // by number in the addresses
	Change Change
	Err    error     // of NodeLost: why
	Heard  time.Time // when it last said something
	// From is from when on it is unknown (NodeUnknown), or known again (NodeKnown).
	From hlc.Timestamp
}

// A Change is what may become of a node.
type Change int

// A node that is lost may be back within Options.Hold; else it is unknown for a
// while, then back, and known again once it has told what it missed to tell.
const (
	NodeLost    Change = iota // it is tried again
	NodeUnknown               // nobody waits for it any more
	NodeBack
	NodeKnown
)

// Follow follows nodes, by the addresses of their admin APIs (HOST:PORT, a URL, or
// NAME=either), and gives the walk over all of them to sink, until ctx ends, which
// isn't an error, or sink returns an error; io.EOF of it is none. A node that
// refuses from the beginning is an error, and that none is there within Hold; one
// that isn't there, or is lost, is tried again.
func Follow(ctx context.Context, addrs []string, o Options, sink Sink) (Stats, error) {
	if o.Hold == 0 {
		o.Hold = HoldDefault
	}
	client := o.Client
	if client == nil {
		t := &http.Transport{Proxy: http.ProxyFromEnvironment, DisableCompression: true, MaxIdleConnsPerHost: -1,
			DialContext: (&net.Dialer{Timeout: 2 * time.Second}).DialContext}
		defer t.CloseIdleConnections()
		client = &http.Client{Transport: t}
	}
	f := &follower{o: o, in: make(chan message, len(addrs))}
	names := make([]string, len(addrs))
	for i, text := range addrs {
		name, base, err := parseAddr(text)
		if err != nil {
			return Stats{}, err
		}
		if names[i] = name; name == "" {
			names[i] = text
		}
		f.conns = append(f.conns, &conn{index: i, addr: text, base: base, token: o.Token, from: o.From, lean: o.Lean, promise: o.Promise, patient: o.Patient,
			client: client, out: f.in, gate: make(chan struct{}, 1)})
	}
	f.begin, f.lost, f.gated = time.Now(), make([]error, len(addrs)), make([]bool, len(addrs))
	f.away, f.shut = make([]hlc.Timestamp, len(addrs)), make([]bool, len(addrs))
	f.m = NewMerger(names, o.From, o.Hold, sink)
	f.m.renames = o.Patient
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	for _, c := range f.conns {
		running.Go(func() { c.run(ctx) })
	}
	err := f.loop(ctx)
	cancel()
	running.Wait()
	if errors.Is(err, io.EOF) || errors.Is(err, context.Canceled) {
		err = nil
	}
	return f.m.Stats(), err
}

// A follower is the goroutine that merges.
type follower struct {
	o     Options
	m     *Merger
	conns []*conn
	in    chan message
	begin time.Time
	lost  []error         // why a node isn't there; nil if it is, or wasn't heard of yet
	gated []bool          // a connection waits until the others have come as far
	away  []hlc.Timestamp // from when on it is unknown, as was told; 0 if it isn't
	shut  []bool          // what its connection tells isn't listened to: it is another node's
}

func (f *follower) loop(ctx context.Context) error {
	tick := time.NewTicker(advanceEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case m := <-f.in:
			if err := f.take(m); err != nil {
				return err
			}
		case <-tick.C:
		}
		now := time.Since(f.begin)
		if err := f.m.Advance(now); err != nil {
			return err
		}
		f.tellUnknown()
		if f.o.Reached != nil {
			f.o.Reached(f.m.Reach())
		}
		f.open(now)
		if err := f.alone(now); err != nil {
			return err
		}
	}
}

// open lets go on who need not wait.
func (f *follower) open(now time.Duration) {
	for i, c := range f.conns {
		if !f.gated[i] {
			continue
		}
		if !f.shut[i] {
			f.m.sources[i].heard = now
		}
		if len(f.m.sources[i].queue) < gateEntries {
			f.gated[i] = false
			c.gate <- struct{}{}
		}
	}
}

// alone fails when no node could be reached in time.
func (f *follower) alone(now time.Duration) error {
	if f.m.began {
		return nil
	}
	var first error
	for i, s := range f.m.sources {
		if now-s.heard <= f.o.Hold && !s.absent || s.based {
			return nil
		}
		if first == nil {
			first = f.lost[i]
		}
	}
	if first == nil {
		first = errors.New("they don't answer")
	}
	if now <= f.o.Hold {
		return fmt.Errorf("none of the nodes could be followed: %w", first)
	}
	return fmt.Errorf("none of the nodes could be reached within %v: %w", f.o.Hold, first)
}

// take takes a message. Its error ends all.
func (f *follower) take(m message) error {
	now := time.Since(f.begin)
	f.gated[m.from] = m.err == nil
	switch fr := m.frame.(type) {
	case *Hello:
		before := f.m.sources[m.from].heard
		err := f.m.Hello(m.from, fr, now)
		f.shut[m.from] = err != nil
		switch {
		case err != nil && f.o.Patient:
			return f.down(m.from, err)
		case err != nil:
			return err
		}
		f.heard(m.from, before)
	case *Base:
		if !f.shut[m.from] {
			f.m.Base(m.from, fr, now)
		}
	case *Block:
		if !f.shut[m.from] {
			f.m.Block(m.from, fr, now)
		}
	default:
		return f.down(m.from, m.err)
	}
	return nil
}

// tellUnknown tells for which nodes the walk waits no longer, and which it follows
// again.
func (f *follower) tellUnknown() {
	if !f.m.began {
		return
	}
	for i, s := range f.m.sources {
		switch {
		case f.away[i] == 0 && s.silent:
			f.away[i] = max(s.gap, 1)
			f.tell(i, Notice{Change: NodeUnknown, From: f.away[i]})
		case f.away[i] != 0 && s.joined:
			f.tell(i, Notice{Change: NodeKnown, From: max(f.m.at.Time+1, f.away[i])})
			f.away[i] = 0
		}
	}
}

func (f *follower) tell(i int, n Notice) {
	s := f.m.sources[i]
	n.Node, n.Of, n.Heard = s.name, i, f.begin.Add(s.heard)
	if f.o.Told != nil {
		f.o.Told(n)
	}
}

// heard notes that a node is there.
func (f *follower) heard(i int, before time.Duration) {
	if f.lost[i] != nil && f.o.Told != nil {
		f.o.Told(Notice{Node: f.m.sources[i].name, Of: i, Change: NodeBack, Heard: f.begin.Add(before)})
	}
	f.lost[i] = nil
}

// down notes that a node is lost: once, or if that is Patient whenever it is for
// another reason.
func (f *follower) down(i int, err error) error {
	s := f.m.sources[i]
	var refused *RefusedError
	var bad *FrameError
	if f.o.Patient {
		f.m.Absent(i)
	} else if !s.based && (errors.As(err, &refused) && refused.final() || errors.As(err, &bad)) {
		return err
	}
	if was := f.lost[i]; was == nil || f.o.Patient && was.Error() != err.Error() {
		f.tell(i, Notice{Change: NodeLost, Err: err})
	}
	f.lost[i] = err
	return nil
}
