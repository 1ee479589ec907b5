package node

import (
	"context"
	"errors"
	"fmt"
	"hindcast.dev/journal/record"
	"sync"
	"testing"
	"time"

	"hindcast.dev/stepper"
)

// TestNothingIsLostOrTwiceUnderLoad has many clients add on three nodes while
// links are cut and healed, checkpoints and bundles are made, and shadows follow;
// then every node has to have each acknowledged addition once, a shadow has to
// agree with every digest, and a restart has to find the same.
func TestNothingIsLostOrTwiceUnderLoad(t *testing.T) {
	each := 300
	if testing.Short() {
		each = 60
	}
	nodes := cluster(t, []string{"n1", "n2", "n3"}, func(o *Options) { o.CheckpointEvery = 100 })
	ctx, cancel := context.WithCancel(within(t, 4*patience))
	defer cancel()
	var shadows sync.WaitGroup
	for name, n := range nodes {
		shadows.Go(func() {
			if err := n.Shadow(ctx, ShadowOptions{See: func(*stepper.Followed, record.Stamp) {}}); err != nil {
				t.Errorf("shadow of %s: %v", name, err)
			}
		})
	}
	var clients sync.WaitGroup
	for name, n := range nodes {
		for c := range 4 {
			clients.Go(func() { add(t, n, fmt.Sprintf("%s-%d", name, c), each) })
		}
	}
	disturb(t, nodes["n1"])
	clients.Wait()
	cancel()
	shadows.Wait()
	for name, n := range nodes {
		for c := range 4 {
			if got := peek(t, n, fmt.Sprintf("%s-%d", name, c)); got != int64(each) {
				t.Errorf("%s: client %d has %d, %d were acknowledged", name, c, got, each)
			}
		}
		if s := n.Status(); s.Loop.LostNotes != 0 || s.Requests.InFlight != 0 {
			t.Errorf("%s: %d notes lost, %d requests in flight", name, s.Loop.LostNotes, s.Requests.InFlight)
		}
	}
	for _, n := range nodes {
		stop(t, n)
	}
	replayed(t, nodes)
	for _, n := range nodes {
		n = start(t, n.o) // recovery compares every digest
		if got := peek(t, n, n.o.Name+"-0"); got != int64(each) {
			t.Errorf("%s after a restart: %d, want %d", n.o.Name, got, each)
		}
		stop(t, n)
	}
}

// add adds one, again and again, and tells a peer.
func add(t *testing.T, n *Node, key string, times int) {
	for i := range times {
		for {
			_, err := n.Client().Do(within(t, 4*patience), "tally", Add{key, 1})
			if err == nil {
				break
			}
			if !errors.Is(err, ErrBusy) {
				t.Errorf("Do: %v", err)
				return
			}
		}
		peers := n.o.peerNames()
		if _, err := n.Client().Do(within(t, 4*patience), "tally", Pass{To: peers[i%len(peers)], Key: "told", By: 1}); err != nil && !errors.Is(err, ErrBusy) {
			t.Errorf("Pass: %v", err)
		}
	}
}

// disturb does to a node what it has to bear.
func disturb(t *testing.T, n *Node) {
	for i := range 5 {
		if err := n.SetFault(Fault{Kind: FaultCut, Peer: "n2", Direction: []string{"in", "out", "both"}[i%3]}); err != nil {
			t.Error(err)
		}
		if _, err := n.Bundle(within(t, patience), time.Minute); err != nil {
			t.Error(err)
		}
		if err := n.SetFault(Fault{Kind: FaultHeal, Peer: "n2"}); err != nil {
			t.Error(err)
		}
		if _, err := n.Checkpoint(within(t, patience)); err != nil {
			t.Error(err)
		}
		n.Status()
	}
}
