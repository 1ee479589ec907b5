package sim_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"hindcast.dev/machine"
	"hindcast.dev/sim"
)

func mustRun(t *testing.T, s *sim.Search) (*sim.Tally, []string) {
	t.Helper()
	var seen []string
	s.Done = func(o *sim.Outcome, r *sim.Result) error {
		line := fmt.Sprint(o.Seed, " ", o.Hash)
		if (o.Failure != nil) != (r != nil) {
			t.Errorf("seed %d: failure %v, result %v: want both or none", o.Seed, o.Failure, r)
		}
		if r != nil {
			line += " " + o.Failure.Property
		}
		seen = append(seen, line)
		return nil
	}
	tally := &sim.Tally{}
	if err := s.Run(t.Context(), tally); err != nil {
		t.Fatal(err)
	}
	return tally, seen
}

func TestSearchFindsTheSameWithAnyNumberOfWorkers(t *testing.T) {
	search := func(workers int) (string, []string) {
		tally, seen := mustRun(t, &sim.Search{Subject: tally(), Options: sim.Options{Set: quickly()}, First: 1, Last: 40, Workers: workers, Floors: lowFloors})
		b, err := json.Marshal(tally)
		if err != nil {
			t.Fatal(err)
		}
		return string(b), seen
	}
	tally1, seen1 := search(1)
	tally3, seen3 := search(3)
	if tally1 != tally3 {
		t.Errorf("1 worker: %s\n3 workers: %s", tally1, tally3)
	}
	if len(seen1) != 40 || strings.Join(seen1, "\n") != strings.Join(seen3, "\n") {
		t.Errorf("1 worker saw\n%s\n3 workers saw\n%s", strings.Join(seen1, "\n"), strings.Join(seen3, "\n"))
	}
	if !strings.Contains(tally1, "no more than was added") || !strings.Contains(tally1, `"counted":`) {
		t.Errorf("the planted fault isn't in %s", tally1)
	}
}

func TestSearchGoesOnWhereItWasEnded(t *testing.T) {
	whole, _ := mustRun(t, &sim.Search{Subject: tally(), Options: sim.Options{Set: quickly()}, First: 1, Last: 20, Floors: lowFloors})
	ctx, cancel := context.WithCancel(t.Context())
	s := &sim.Search{Subject: tally(), Options: sim.Options{Set: quickly()}, First: 1, Last: 20, Workers: 2, Floors: lowFloors}
	s.Done = func(o *sim.Outcome, _ *sim.Result) error {
		if o.Seed == 7 {
			cancel()
		}
		return nil
	}
	part := &sim.Tally{}
	if err := s.Run(ctx, part); !errors.Is(err, context.Canceled) || part.Next < 8 || part.Next > 20 {
		t.Fatalf("ended at seed %d with %v", part.Next, err)
	}
	b, err := json.Marshal(part)
	if err != nil {
		t.Fatal(err)
	}
	var rest sim.Tally
	if err := json.Unmarshal(b, &rest); err != nil {
		t.Fatal(err)
	}
	s.Done = nil
	if err := s.Run(t.Context(), &rest); err != nil {
		t.Fatal(err)
	}
	got, _ := json.Marshal(&rest)
	want, _ := json.Marshal(whole)
	if string(got) != string(want) {
		t.Errorf("in two parts: %s\nin one: %s", got, want)
	}
}

func TestSearchEndsAfterFailuresMax(t *testing.T) {
	tally, seen := mustRun(t, &sim.Search{Subject: tally(), Options: sim.Options{Set: quickly()}, First: 1, Workers: 2, FailuresMax: 2, Floors: lowFloors})
	if tally.Failing != 2 || tally.Verdict().Kind != sim.Safety {
		t.Errorf("%d failing, verdict %v", tally.Failing, tally.Verdict())
	}
	if last := seen[len(seen)-1]; !strings.HasSuffix(last, "no more than was added") {
		t.Errorf("the last seed is %q, want a failing one", last)
	}
}

func TestOptionThatNoRunDrawsIsAMistake(t *testing.T) {
	s := &sim.Search{Subject: tally(), Options: sim.Options{Set: map[string]string{"operations": "10", "thinks": "1ms"}}, First: 1, Last: 3}
	err := s.Run(t.Context(), &sim.Tally{})
	if err == nil || !strings.Contains(err.Error(), `"thinks"`) || !strings.HasSuffix(err.Error(), "did you mean think?") {
		t.Errorf("error %v: want it to name the option and the nearest", err)
	}
	s.Options.Set = map[string]string{"operations": "10", "network.loss": "0.01"} // drawn in some runs only
	s.Last = 12
	if err := s.Run(t.Context(), &sim.Tally{}); err != nil {
		t.Errorf("an option that some runs draw: %v", err)
	}
}

func TestSearchInWhichNoSeedCountsFails(t *testing.T) {
	tally, _ := mustRun(t, &sim.Search{Subject: tally(), Options: sim.Options{Set: map[string]string{"operations": "5"}}, First: 1, Last: 2})
	v := tally.Verdict()
	if v == nil || v.Kind != sim.Coverage || !strings.Contains(v.Text, "fewer than 2000 operations") {
		t.Errorf("verdict %v", v)
	}
}

func TestSeedWhoseSecondRunIsAnotherFails(t *testing.T) {
	s, n := tally(), 0
	setup := s.Setup
	s.Setup = func(w *sim.World) {
		setup(w)
		n++ // what a run must not depend on
		w.After(time.Duration(n)*time.Millisecond, func() {})
	}
	tally, _ := mustRun(t, &sim.Search{Subject: s, Options: sim.Options{Set: map[string]string{"operations": "20"}}, First: 1, Last: 1, Verify: true, Floors: sim.Floors{Events: 1e6}})
	if v := tally.Verdict(); v == nil || v.Kind != sim.Nondeterminism {
		t.Errorf("verdict %v, want non-determinism", v)
	}
}

func TestPanicOfASubjectIsAFailureOfItsSeed(t *testing.T) {
	s := &sim.Subject{Name: "bad", Machines: machine.Registry{}, Setup: func(w *sim.World) { panic("no setup") }}
	tally, _ := mustRun(t, &sim.Search{Subject: s, First: 1, Last: 2})
	if tally.Failing != 2 || tally.First.Kind != sim.Crash || !strings.Contains(tally.First.Text, "no setup") {
		t.Errorf("%d failing, first %v", tally.Failing, tally.First)
	}
}
