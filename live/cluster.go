package live

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"hindcast.dev/history"
	"hindcast.dev/hlc"
)

// clusterPromise is how far the promises of an idle node are apart: whoever looks at a
// Cluster is a human, and each is an event in the node's journal.
const clusterPromise = 200 * time.Millisecond

// ClusterOptions say how a Cluster follows its nodes. The zero value works.
type ClusterOptions struct {
	Token string
	// From is after what the History begins; 0 is now.
	From hlc.Timestamp
	// Hold is how long a node that says nothing holds back all others; 0 is HoldDefault.
	Hold time.Duration
	// Bytes is about how much is kept; 0 is history.TailBytes. What is older is
	// forgotten.
	Bytes int
	// Client makes the requests; nil is one of the Cluster's own.
	Client *http.Client
}

// A Cluster is nodes that run, followed in the background until Close: what they
// have told so far is a History. Who looks at it holds up neither the nodes nor the
// Cluster. A node that refuses, can't be reached or goes away is unknown from there
// on, and why is told; it is tried again for ever. Safe for concurrent use.
type Cluster struct {
	tail   *history.Tail
	cancel context.CancelFunc
	ended  chan struct{} // closed when nobody follows any more

	mu      sync.Mutex
	changed chan struct{} // closed at the next change
	reach   hlc.Timestamp
	began   bool
	over    bool
	err     error
	names   []string // by address
	silent  []string // by address; "" if it isn't
	unknown []bool   // by address: nobody waits for it
}

// Status is how far a Cluster is.
type Status struct {
	Events    uint64        // that are there
	Forgotten uint64        // events that were there, and aren't kept
	Reach     hlc.Timestamp // up to then all is there of the nodes that aren't silent
	Nodes     []NodeStatus  // like Meta.Nodes
	Ended     bool          // nothing comes any more
	Err       error         // why it ended; nil if it was closed
}

// NodeStatus is what becomes of one node.
type NodeStatus struct {
	Name   string // its address as long as it wasn't reached
	Silent string // why it isn't heard, "" if it is
}

// Open follows nodes, by the addresses of their admin APIs as Follow takes them. It
// returns when the first of them have told where they are; that none does is an error.
func Open(ctx context.Context, addrs []string, o ClusterOptions) (*Cluster, error) {
	following, cancel := context.WithCancel(context.WithoutCancel(ctx))
	c := &Cluster{tail: history.NewTail(o.Bytes), cancel: cancel, ended: make(chan struct{}),
		changed: make(chan struct{}), names: make([]string, len(addrs)), silent: make([]string, len(addrs)), unknown: make([]bool, len(addrs))}
	go func() {
		defer close(c.ended)
		_, err := Follow(following, addrs, Options{Token: o.Token, From: o.From, Hold: o.Hold, Promise: clusterPromise, Client: o.Client,
			Patient: true, Told: c.told, Reached: c.reached}, clusterSink{c})
		c.end(err)
	}()
	if err := c.Wait(ctx, func(Status) bool { return c.hasBegun() }); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	if s := c.Status(); s.Ended {
		return nil, errors.Join(s.Err, c.Close())
	}
	return c, nil
}

// Close ends following. What was told stays.
func (c *Cluster) Close() error {
	c.cancel()
	<-c.ended
	return nil
}

// Now is what there is now: a History that doesn't change. Later ones continue it, see
// history.Moment.
func (c *Cluster) Now() history.Source { return c.tail.Now() }

// Changed returns a channel that is closed when there is more than there was, or
// something became of a node.
func (c *Cluster) Changed() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.changed
}

// Status is how far it is now.
func (c *Cluster) Status() Status {
	meta := c.tail.Now().Meta()
	c.mu.Lock()
	defer c.mu.Unlock()
	s := Status{Events: meta.Events, Forgotten: c.tail.Forgotten(), Reach: c.reach, Ended: c.over, Err: c.err}
	for i := range meta.Nodes {
		n := NodeStatus{Name: meta.Nodes[i].Name}
		for j, name := range c.names {
			if name == n.Name {
				n.Silent = c.silent[j]
			}
		}
		s.Nodes = append(s.Nodes, n)
	}
	return s
}

// Wait returns when enough says so, or nothing comes any more, or ctx ends, which
// alone is an error.
func (c *Cluster) Wait(ctx context.Context, enough func(Status) bool) error {
	for {
		changed := c.Changed()
		if s := c.Status(); s.Ended || enough(s) {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (c *Cluster) hasBegun() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.began
}

// change makes a change, and tells who waits for one.
func (c *Cluster) change(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
	close(c.changed)
	c.changed = make(chan struct{})
}

func (c *Cluster) end(err error) {
	c.tail.End()
	c.change(func() { c.over, c.err = true, err })
}

// reached takes in how far the walk is.
func (c *Cluster) reached(t hlc.Timestamp) {
	c.mu.Lock()
	same := t <= c.reach
	c.mu.Unlock()
	if !same {
		c.change(func() { c.reach = t })
	}
}

// told takes in what becomes of a node.
func (c *Cluster) told(n Notice) {
	why := ""
	c.change(func() {
		c.unknown[n.Of] = n.Change == NodeUnknown || c.unknown[n.Of] && n.Change != NodeKnown
		why = c.why(n)
		c.names[n.Of], c.silent[n.Of] = n.Node, why
	})
	c.tail.Blame(n.Node, why)
}

// why is why a node isn't heard, "" if it is.
func (c *Cluster) why(n Notice) string {
	switch {
	case n.Change == NodeLost:
		return strings.TrimPrefix(n.Err.Error(), n.Node+": ")
	case n.Change == NodeUnknown && c.silent[n.Of] == "":
		return fmt.Sprintf("it has told nothing since %s", n.Heard.UTC().Format("15:04:05Z"))
	case n.Change == NodeUnknown:
		return c.silent[n.Of]
	case n.Change == NodeBack && c.unknown[n.Of]:
		return "it is back, and tells what it missed to tell"
	}
	return ""
}

// A clusterSink is the Cluster as Follow's goroutine sees it.
type clusterSink struct{ c *Cluster }

// Grow implements Sink.
func (s clusterSink) Grow(meta *history.Meta) error {
	err := s.c.tail.Grow(meta)
	s.c.change(func() {
		s.c.began = true
		for i, name := range s.c.names {
			if s.c.silent[i] != "" {
				s.c.tail.Blame(name, s.c.silent[i])
			}
		}
	})
	return err
}

// Feed implements Sink.
func (s clusterSink) Feed(e *history.Event) error { return s.c.tail.Feed(e) }

// Gap implements Sink.
func (s clusterSink) Gap(node int, span history.Span) { s.c.tail.Gap(node, span) }
