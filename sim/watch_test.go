package sim_test

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"hindcast.dev/event"
	"hindcast.dev/machine"
	"hindcast.dev/sim"
)

// A Spinner handles some events, and then one for as long as it isn't released.
type Spinner struct {
	Count    int
	released *atomic.Bool
}

type spin struct{}

// Step loops at the third tick.
func (s *Spinner) Step(ctx *machine.Context, ev event.Event) {
	if s.Count++; s.Count == 3 {
		for !s.released.Load() {
		}
	}
	ctx.SetTimer("tick", time.Second, spin{})
}

// Payloads are the types of its payloads.
func (*Spinner) Payloads() []any { return []any{spin{}} }

func spinner(released *atomic.Bool) *sim.Subject {
	return &sim.Subject{Name: "spinner", Machines: machine.Registry{"spinner": {1: func() machine.Machine { return &Spinner{released: released} }}},
		Setup: func(w *sim.World) { w.Cluster(1) }}
}

func TestAWatchTellsWhereAWorldHangs(t *testing.T) {
	var released atomic.Bool
	watch := &sim.Watch{}
	o := sim.Options{Seed: 7, Quick: true, Faults: []sim.Fault{}, Watch: watch}
	var worlds sync.WaitGroup
	worlds.Go(func() {
		if _, err := sim.Attempt(spinner(&released), o); err != nil {
			t.Error(err)
		}
	})
	var h *sim.Hang
	watch.Run(t.Context(), 50*time.Millisecond, func(hang *sim.Hang) { h = hang })
	released.Store(true)
	worlds.Wait()
	if h == nil || h.Subject != "spinner" || h.Options.Seed != 7 || h.Node != "n1" || h.Event == 0 {
		t.Fatalf("%+v", h)
	}
	if !strings.Contains(h.Stack, "Spinner).Step") || !strings.Contains(h.What, ", at ") {
		t.Errorf("%s\n%s", h.What, h.Stack)
	}
}

func TestAWatchIsSilentOfWorldsThatEnd(t *testing.T) {
	watch := &sim.Watch{}
	ctx, cancel := context.WithCancel(t.Context())
	var over sync.WaitGroup
	over.Go(func() {
		watch.Run(ctx, time.Hour, func(h *sim.Hang) { t.Errorf("%+v", h) })
	})
	plain := run(t, subject(nil), sim.Options{Seed: 3, Set: map[string]string{"operations": "20"}})
	watched := run(t, subject(nil), sim.Options{Seed: 3, Set: map[string]string{"operations": "20"}, Watch: watch})
	cancel()
	over.Wait()
	if plain.Hash != watched.Hash {
		t.Error("a watch changes the run")
	}
}

func TestARunWithTooManyEventsFails(t *testing.T) {
	o := sim.Options{Seed: 1, Quick: true, Set: map[string]string{"operations": "50"}}
	whole := run(t, subject(nil), o)
	if whole.Failure != nil {
		t.Fatal(whole.Failure)
	}
	o.EventsMax = whole.Events
	if r := run(t, subject(nil), o); r.Failure != nil || r.Hash != whole.Hash {
		t.Errorf("with as many events as it has: %v, hash %016x", r.Failure, r.Hash)
	}
	o.EventsMax--
	r := run(t, subject(nil), o)
	if r.Failure == nil || r.Failure.Kind != sim.Liveness || r.Failure.Property != "the run comes to its end" {
		t.Errorf("with one less: %v", r.Failure)
	}
}
