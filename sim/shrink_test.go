package sim_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"hindcast.dev/sim"
)

// failing is the first seed at or after from that fails as the planted fault does.
func failing(t *testing.T, from uint64, set map[string]string) sim.Options {
	t.Helper()
	for seed := from; seed < from+200; seed++ {
		o := sim.Options{Seed: seed, Set: set}
		r, err := sim.Run(tally(), o)
		if err != nil {
			t.Fatal(err)
		}
		if r.Failure != nil && r.Failure.Kind == sim.Safety {
			return o
		}
	}
	t.Fatal("no seed fails")
	return sim.Options{}
}

func TestShrunkRunIsSmallAndFailsTheSame(t *testing.T) {
	o := failing(t, 1, map[string]string{"operations": "200"})
	s := &sim.Shrink{Subject: tally(), Workers: 2}
	small, err := s.Run(t.Context(), o, nil)
	if err != nil {
		t.Fatal(err)
	}
	again, err := sim.Run(tally(), small.Options)
	if err != nil || again.Failure == nil || again.Failure.Property != "no more than was added" {
		t.Fatalf("the shrunk run: %v, %v", again, err)
	}
	if again.Hash != small.Result.Hash {
		t.Error("the shrunk run's result is of another run")
	}
	// One add that comes twice is enough, by one message or by a link that doubles.
	if len(again.Operations) != 1 || len(again.Faults) > 1 || !small.Whole {
		t.Errorf("whole %t, after %d runs:\n%s", small.Whole, small.Runs, again.Words())
	}
	if p, at := small.Options.Plan, again.Failure.At; p != nil && p.Heal > at+time.Millisecond {
		t.Errorf("the faults end at %s, and the failure is seen at %s", p.Heal, at)
	}
	words := again.Words()
	if !strings.Contains(words, "1 operation by 1 client on 2 nodes:\n") || !strings.Contains(words, "client 0: add ") && !strings.Contains(words, "client 1: add ") && !strings.Contains(words, "client 2: add ") {
		t.Errorf("in words:\n%s", words)
	}
	t.Logf("%d runs\n%s", small.Runs, words)
}

func describeShrunk(s sim.Shrunk) string {
	b, err := json.Marshal(s.Options)
	return fmt.Sprintf("%016x %s %v", s.Result.Hash, b, err)
}

func TestShrinkingIsTheSameWithAnyNumberOfWorkersAndInParts(t *testing.T) {
	o := failing(t, 20, map[string]string{"operations": "100"})
	whole := func(workers int) string {
		small, err := (&sim.Shrink{Subject: tally(), Workers: workers}).Run(t.Context(), o, nil)
		if err != nil {
			t.Fatal(err)
		}
		return describeShrunk(small)
	}
	want := whole(1)
	if got := whole(3); got != want {
		t.Errorf("with 3 workers %s, with 1 %s", got, want)
	}
	tried := map[uint64]bool{}
	for range 1000 {
		small, err := (&sim.Shrink{Subject: tally(), Tried: tried, RunsMax: 40}).Run(t.Context(), o, nil)
		if err != nil {
			t.Fatal(err)
		}
		if small.Whole {
			if got := describeShrunk(small); got != want {
				t.Errorf("in parts %s, in one %s", got, want)
			}
			return
		}
		if small.Runs > 40 {
			t.Fatalf("%d runs, with a bound of 40", small.Runs)
		}
	}
	t.Error("doesn't come to an end in parts")
}

func TestShrinkRefusesARunThatDoesNotFail(t *testing.T) {
	calm := sim.Options{Seed: 1, Set: map[string]string{"operations": "20", "network.doubles": "false"}, Faults: []sim.Fault{}}
	_, err := (&sim.Shrink{Subject: tally()}).Run(t.Context(), calm, nil)
	if !errors.Is(err, sim.ErrNotFailing) {
		t.Errorf("error %v, want ErrNotFailing", err)
	}
	_, err = (&sim.Shrink{Subject: tally()}).Run(t.Context(), failing(t, 1, quickly()), &sim.Failure{Kind: sim.Liveness, Property: "another"})
	if !errors.Is(err, sim.ErrNotFailing) || !strings.Contains(err.Error(), "no more than was added") {
		t.Errorf("error %v, want ErrNotFailing that says what fails", err)
	}
}

func TestShrinkThatIsCalledOffKeepsTheBest(t *testing.T) {
	o := failing(t, 1, quickly())
	ctx, cancel := context.WithCancel(t.Context())
	s := &sim.Shrink{Subject: tally(), Progress: func(now sim.Shrunk) {
		if now.Runs > 10 {
			cancel()
		}
	}}
	small, err := s.Run(ctx, o, nil)
	if err != nil || small.Whole || small.Result == nil || small.Result.Failure == nil {
		t.Errorf("%v, %v", small, err)
	}
}
