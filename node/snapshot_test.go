package node

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
	"weak"

	"hindcast.dev/event"
	"hindcast.dev/journal/record"
)

// A cut in the future is waited for: the node's Timestamps don't run ahead of its
// clock because somebody reads.
func TestACutAheadDoesNotMoveTheClock(t *testing.T) {
	o, _ := inMemory(options(t, "n1"))
	n := start(t, o)
	total(t, n, Add{"k", 1})
	at := n.reading().Wall.Physical().Add(100 * time.Millisecond)
	a, err := n.Cut(within(t, patience), at, 0)
	if err != nil {
		t.Fatal(err)
	}
	if now, wall := n.Status().Time, n.reading().Wall; now.Physical() > wall {
		t.Errorf("the node stamps %v at %v", now, wall)
	}
	if a.Cut.Time > at || a.Cut.Seq == 0 {
		t.Errorf("%+v", a.Cut)
	}
	var drift *DriftError
	if _, err := n.Cut(within(t, patience), at.Add(time.Hour), 0); !errors.As(err, &drift) {
		t.Errorf("an hour ahead: %v", err)
	}
	for _, want := range []string{"ahead of this node's clock", "at most 500ms", "choose NOW"} {
		if text := fmt.Sprintf("%+v", cutError(err)); err != nil && !strings.Contains(text, want) {
			t.Errorf("%q lacks %q", text, want)
		}
	}
}

// Before its first event a node has nothing, and says when it begins.
func TestACutBeforeTheBeginningSaysWhenThatIs(t *testing.T) {
	o, _ := inMemory(options(t, "n1"))
	n := start(t, o)
	total(t, n, Add{"k", 1})
	a, err := n.Cut(within(t, patience), 1<<16, 0)
	if err != nil || a.Cut.Seq != 0 || a.Begins == 0 || a.Begins > n.Status().Time {
		t.Errorf("%+v, %v", a, err)
	}
}

// What retention has removed is refused, with the time that is left.
func TestACutThatRetentionHasRemovedIsRefused(t *testing.T) {
	o, _ := inMemory(options(t, "n1"))
	o.RetainBytes, o.Checkpoints = 1, 1
	n := start(t, o)
	first := n.reading().Wall
	eventually(t, n, "retention", func() bool {
		for range 300 {
			total(t, n, Add{strings.Repeat("k", 500), 1})
		}
		if _, err := n.Checkpoint(within(t, patience)); err != nil {
			t.Fatal(err)
		}
		rd, err := n.j.NewReader(1)
		if err == nil {
			rd.Close()
		}
		return err != nil
	})
	var reach *ReachError
	if _, err := n.Cut(within(t, patience), first, 0); !errors.As(err, &reach) || reach.First <= first {
		t.Fatalf("%v", err)
	}
	if a, err := n.Cut(within(t, patience), reach.First, 0); err != nil || a.Cut.Seq == 0 {
		t.Errorf("at the time that is named: %+v, %v", a, err)
	}
}

// A cut that is held keeps no copy of the machines.
func TestAHeldCutKeepsNoReplica(t *testing.T) {
	o, _ := inMemory(options(t, "n1"))
	n := start(t, o)
	total(t, n, Add{"k", 1})
	s, now := n.snapshots, n.Status().Time
	w := func() weak.Pointer[replica] {
		r, err := s.at(within(t, patience), now-1)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.hold(r, now-1); err != nil {
			t.Fatal(err)
		}
		if err := r.s.Close(); err != nil {
			t.Fatal(err)
		}
		return weak.Make(r)
	}()
	soon(t, "the replica to go", func() bool { runtime.GC(); return w.Value() == nil })
}

// As many cuts as may are held: the next is refused before anything is stepped for
// it, and there is room again when one is forgotten.
func TestCutsAreBounded(t *testing.T) {
	o, _ := inMemory(options(t, "n1"))
	n := start(t, o)
	total(t, n, Add{"k", 1})
	var last string
	for range cutsMax {
		a, err := n.Cut(within(t, patience), 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		last = a.ID
	}
	stepped := n.snapshots.opened.Load()
	if _, err := n.Cut(within(t, patience), 0, 0); !errors.Is(err, ErrBusy) {
		t.Errorf("one more: %v", err)
	}
	if n.snapshots.opened.Load() != stepped {
		t.Error("a replica was made for a cut that is refused")
	}
	n.snapshots.forget(last)
	if _, err := n.Cut(within(t, patience), 0, 0); err != nil {
		t.Error(err)
	}
}

// Who asks for the messages under way doesn't wait longer than he wants to.
func TestAskingForMessagesUnderWayEndsWithItsContext(t *testing.T) {
	o, _ := inMemory(options(t, "n1"))
	n := start(t, o)
	a, err := n.Cut(within(t, patience), 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	h, err := n.snapshots.find(a.ID)
	if err != nil {
		t.Fatal(err)
	}
	if err := n.snapshots.lock(within(t, patience)); err != nil {
		t.Fatal(err)
	}
	defer n.snapshots.unlock()
	if _, err := n.snapshots.underWay(ended(), h, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// A kept replica that has fallen behind more than a checkpoint saves isn't stepped on.
func TestAReplicaThatFellBehindBeginsAnew(t *testing.T) {
	o, _ := inMemory(options(t, "n1"))
	o.Limits.BacklogBytes = 1 << 20
	n := start(t, o)
	total(t, n, Add{"k", 1})
	s, now := n.snapshots, n.Status().Time
	r, err := s.at(within(t, patience), now-1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.s.Close()
	late := now.Add(time.Hour)
	if s.overtaken(r, late) {
		t.Error("there is no checkpoint to begin with")
	}
	for range skipMin + 10 {
		if err := n.loop.Offer(&record.Frame{Kind: event.Control, Name: event.ControlPromise, Sent: 1}); err != nil {
			soon(t, "room", func() bool { // which no event tells of: there is some when one was done with
				return n.loop.Offer(&record.Frame{Kind: event.Control, Name: event.ControlPromise, Sent: 1}) == nil
			})
		}
		signal(n.wake)
	}
	eventually(t, n, "all that was offered", func() bool { return n.j.Stamped() >= r.s.At().Seq+skipMin })
	if s.overtaken(r, late) {
		t.Error("there is no checkpoint to begin with, but many events")
	}
	if _, err := n.Checkpoint(within(t, patience)); err != nil {
		t.Fatal(err)
	}
	if !s.overtaken(r, late) {
		t.Error("a checkpoint would save many events")
	}
	if s.overtaken(r, r.s.At().Time) {
		t.Error("it isn't behind this cut")
	}
}
