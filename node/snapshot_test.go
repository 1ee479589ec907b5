package node

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// A cut in the future is waited for: the node's Timestamps don't run ahead of its
// clock because somebody reads.
func TestACutAheadDoesNotMoveTheClock(t *testing.T) {
	o, _ := inMemory(options(t, "n1"))
	n := start(t, o)
	total(t, n, Add{"k", 1})
	at := n.reading().Wall.Physical().Add(100 * time.Millisecond)
	a, err := n.Cut(within(t, patience), at)
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
	if _, err := n.Cut(within(t, patience), at.Add(time.Hour)); !errors.As(err, &drift) {
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
	a, err := n.Cut(within(t, patience), 1<<16)
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
	if _, err := n.Cut(within(t, patience), first); !errors.As(err, &reach) || reach.First <= first {
		t.Fatalf("%v", err)
	}
	if a, err := n.Cut(within(t, patience), reach.First); err != nil || a.Cut.Seq == 0 {
		t.Errorf("at the time that is named: %+v, %v", a, err)
	}
}

// As many cuts as may are held: the next is refused before anything is stepped for
// it, and there is room again when one is forgotten.
func TestCutsAreBounded(t *testing.T) {
	o, _ := inMemory(options(t, "n1"))
	o.Limits.WindowBytes = -1
	n := start(t, o)
	total(t, n, Add{"k", 1})
	var last string
	for range cutsMax {
		a, err := n.Cut(within(t, patience), 0)
		if err != nil {
			t.Fatal(err)
		}
		last = a.ID
	}
	stepped := n.snapshots.steps.Load()
	if _, err := n.Cut(within(t, patience), 0); !errors.Is(err, ErrBusy) {
		t.Errorf("one more: %v", err)
	}
	if n.snapshots.steps.Load() != stepped {
		t.Error("the machines were stepped for a cut that is refused")
	}
	n.snapshots.forget(last)
	if _, err := n.Cut(within(t, patience), 0); err != nil {
		t.Error(err)
	}
}
