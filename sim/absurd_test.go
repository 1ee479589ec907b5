package sim_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"hindcast.dev/check"
	"hindcast.dev/sim"
)

// What a person or a file says is refused where it would hang the run, exhaust
// memory, or be for nothing.
func TestAbsurdOptionsAreRefused(t *testing.T) {
	for name, values := range map[string][]string{
		"operations":   {"-1", "99999999999999", "9223372036854775807"},
		"faults":       {"-3", "200000000"},
		"network.loss": {"NaN", "Inf", "-Inf", "-0.1", "1e300"},
		"network.base": {"-1h", "100000h", "2562047h47m16s"},
		"disk.jitter":  {"-1ns"},
	} {
		for _, v := range values {
			_, err := sim.Attempt(subject(nil), sim.Options{Seed: 1, Quick: true, Set: map[string]string{name: v}})
			if err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("--set %s=%s: %v", name, v, err)
			}
		}
	}
	for _, ok := range []map[string]string{{"operations": "0"}, {"operations": "1", "network.jitter": "0s"}, {"operations": "5", "faults": "0", "network.loss": "1"}} {
		if _, err := sim.Attempt(subject(nil), sim.Options{Seed: 1, Quick: true, Set: ok}); err != nil {
			t.Errorf("%v: %v", ok, err)
		}
	}
}

func TestAbsurdFaultsAreRefused(t *testing.T) {
	n1 := []string{"n1"}
	for i, f := range []sim.Fault{
		{Kind: "nonsense", Nodes: n1},
		{Kind: sim.FaultKill, Nodes: []string{"n9"}, For: time.Second},
		{Kind: sim.FaultPartition, Nodes: n1, Peers: []string{"n1", "n9"}, For: time.Second},
		{Kind: sim.FaultDrift, Nodes: n1, Amount: -1, For: time.Second},
		{Kind: sim.FaultDrift, Nodes: n1, Amount: math.NaN(), For: time.Second},
		{Kind: sim.FaultDrift, Nodes: n1, Amount: 1e300, For: time.Second},
		{Kind: sim.FaultLoss, Nodes: n1, Peers: []string{"n2"}, Amount: math.Inf(1), For: time.Second},
		{Kind: sim.FaultPause, Nodes: n1, For: math.MaxInt64},
		{Kind: sim.FaultPause, Nodes: n1, For: -1},
		{Kind: sim.FaultJump, Nodes: n1, Delay: math.MinInt64, For: time.Second},
		{Kind: sim.FaultSlowLink, Nodes: n1, Peers: []string{"n2"}, Delay: math.MaxInt64, For: time.Second},
		{Kind: sim.FaultSlowDisk, Nodes: n1, Delay: -time.Second, For: time.Second},
		{Kind: sim.FaultKill, Nodes: n1, At: math.MaxInt64},
		{Kind: sim.FaultPoint, Nodes: n1, Point: "nowhere"},
	} {
		r, err := sim.Attempt(subject(nil), sim.Options{Seed: 1, Quick: true, Set: map[string]string{"operations": "5"}, Faults: []sim.Fault{f}})
		if err == nil {
			t.Errorf("fault %d, %s, is taken: %v", i, f, r.Failure)
		}
	}
}

// Many slow clocks together stand still no more than one.
func TestClocksThatDriftTogetherGoOn(t *testing.T) {
	var faults []sim.Fault
	for range 5 {
		faults = append(faults, sim.Fault{Kind: sim.FaultDrift, Nodes: []string{"n1"}, Amount: -0.5, For: time.Minute})
	}
	r := run(t, subject(nil), sim.Options{Seed: 1, Quick: true, Set: map[string]string{"operations": "20"}, Faults: faults})
	if r.Failure != nil || r.Stopped {
		t.Errorf("%v", r.Failure)
	}
}

// A world in which time stands still is ended.
func TestARunInWhichNoTimePassesFails(t *testing.T) {
	s := subject(func(w *sim.World) {
		var again func()
		again = func() { w.After(0, again) }
		w.After(time.Second, again)
	})
	r := run(t, s, sim.Options{Seed: 1, Quick: true, Set: map[string]string{"operations": "5000"}})
	if r.Failure == nil || r.Failure.Kind != sim.Liveness || r.Failure.Property != "time passes" {
		t.Errorf("%v", r.Failure)
	}
}

// A fault at a point took effect when the point was passed, and not before.
func TestAFaultAtAPointThatIsNeverPassedDidNotHappen(t *testing.T) {
	for point, want := range map[string]int{"journal.sync.segment": 1, "journal.retain.archived": 0} {
		f := sim.Fault{Kind: sim.FaultPoint, At: 320 * time.Millisecond, For: 50 * time.Millisecond, Nodes: []string{"n1"}, Point: point}
		r := run(t, subject(nil), sim.Options{Seed: 1, Quick: true, Set: map[string]string{"operations": "900"}, Faults: []sim.Fault{f}})
		if got := r.Happened[sim.FaultPoint]; got != want || r.Failure != nil {
			t.Errorf("%s: happened %d times, want %d (%v)", point, got, want, r.Failure)
		}
	}
}

// A seed that a judge comes to no verdict on is none of those that count.
func TestASeedWithoutAVerdictDoesNotCount(t *testing.T) {
	s := subject(func(w *sim.World) {
		w.Judge("hard", func([]check.Operation) check.Result { return check.Result{Verdict: check.Undecided, Bound: "4 steps"} })
	})
	tally, _ := mustRun(t, &sim.Search{Subject: s, Options: sim.Options{Set: map[string]string{"operations": "5"}}, First: 1, Last: 2, Floors: lowFloors})
	if tally.Counted != 0 || tally.Undecided != 2 || tally.Failing != 0 {
		t.Errorf("%d counted, %d undecided, %d failing", tally.Counted, tally.Undecided, tally.Failing)
	}
}

// Clients that are refused everything exercise nothing.
func TestASeedInWhichNothingIsDoneDoesNotCount(t *testing.T) {
	r := &sim.Result{Operations: make([]check.Operation, 2000), Happened: map[sim.FaultKind]int{"a": 1, "b": 1, "c": 1}}
	for i := range r.Operations {
		r.Operations[i].Outcome = check.Fail
		if i < 499 {
			r.Operations[i].Outcome = check.Ok
		}
	}
	if got := sim.DefaultFloors.Short(r); got != "fewer than 500 operations that were done" {
		t.Errorf("%q", got)
	}
	r.Operations[499].Outcome = check.Ok
	if got := sim.DefaultFloors.Short(r); got != "" {
		t.Errorf("%q", got)
	}
}

// A future that nobody can judge isn't one without a failure.
func TestUndecidedFuturesAreCounted(t *testing.T) {
	s := subject(func(w *sim.World) {
		w.Judge("hard", func([]check.Operation) check.Result { return check.Result{Verdict: check.Undecided, Bound: "4 steps"} })
	})
	b := &sim.Branch{Subject: s, Options: sim.Options{Seed: 1, Set: map[string]string{"operations": "5"}, Faults: []sim.Fault{}}, Futures: 3, KeepFaults: true}
	if c, err := b.At(t.Context(), sim.Moment{}); err != nil || c.Undecided != 3 || c.Failed != 0 {
		t.Errorf("%+v (%v)", c, err)
	}
}
