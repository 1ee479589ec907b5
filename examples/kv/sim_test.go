package kv

import (
	"strings"
	"testing"

	"hindcast.dev/check"
	"hindcast.dev/event"
	"hindcast.dev/hlc"
	"hindcast.dev/machine"
	"hindcast.dev/sim"
)

// seeds is how many runs a test makes.
func seeds(long, short uint64) uint64 {
	if testing.Short() {
		return short
	}
	return long
}

func simulated(t *testing.T, s *sim.Subject, seed uint64) *sim.Result {
	t.Helper()
	r, err := sim.Run(s, sim.Options{Seed: seed})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestPromisesHoldWhateverHappens(t *testing.T) {
	counts := map[string]int{}
	for seed := range seeds(8, 2) {
		r := simulated(t, Sim(), seed)
		if r.Failure != nil {
			t.Errorf("seed %d: %v", seed, r.Failure)
		}
		if len(r.Operations) < 2000 || len(r.Happened) < 3 || r.Steps > 50_000 {
			t.Errorf("seed %d doesn't count: %d operations, faults %v, %d events", seed, len(r.Operations), r.Happened, r.Steps)
		}
		for _, op := range r.Operations {
			d := deedOf(op)
			counts[d.F+" "+string(d.told)+string(d.failure)]++
		}
	}
	// The runs must have been hard enough for all of it to happen.
	for _, what := range []string{"write fresh", "write degraded", "write eventual", "write uncertain", "write unreachable", "delete fresh",
		"delete degraded", "read fresh", "read degraded", "read eventual", "read unreachable", "scan fresh", "scan degraded", "scan eventual"} {
		if counts[what] < 5 && !testing.Short() {
			t.Errorf("%q happened only %d times: %v", what, counts[what], counts)
		}
	}
}

// A liar answers reads from its own copy and calls them fresh.
type liar struct{ KV }

func (l *liar) Step(ctx *machine.Context, ev event.Event) {
	if m, ok := ev.Body.(Get); ok {
		ctx.Reply(ev.ID, l.answer(ctx, Op{}, m.Key))
		return
	}
	l.KV.Step(ctx, ev)
}

func TestJudgesFindAMachineThatLies(t *testing.T) {
	s := Sim()
	s.Machines = machine.Registry{Name: {1: func() machine.Machine { return &liar{} }}}
	for seed := range uint64(10) {
		if f := simulated(t, s, seed).Failure; f != nil && strings.HasPrefix(f.Property, "G1") {
			return
		}
	}
	t.Error("stale reads that call themselves fresh go unseen")
}

// Each judge is shown the smallest story that breaks its promise.
func TestJudgesFindBrokenPromises(t *testing.T) {
	w := sim.Options{Seed: 1, Quick: true, Faults: []sim.Fault{}, Set: map[string]string{"operations": "2000"}}
	var world *sim.World
	s := Sim()
	setup := s.Setup
	s.Setup = func(w *sim.World) { world = w; setup(w) }
	if _, err := sim.Run(s, w); err != nil {
		t.Fatal(err)
	}
	item := func(v string, version int) Item { return Item{Value: v, Version: hlc.Timestamp(version), Writer: "n1"} }
	put := func(call int64, value string, c Consistency, i Item) deed {
		return deed{Operation: check.Operation{F: "write", Key: "a/0", Call: call, Return: call + 1, Outcome: check.Ok}, value: value, asked: "", node: "n1",
			told: c, records: []Answer{{Key: "a/0", Found: true, Item: i, Consistency: c}}}
	}
	get := func(call int64, c Consistency, i Item) deed {
		d := put(call, "", c, i)
		d.F, d.records[0].Found = "read", i.Version != 0 && !i.Deleted
		return d
	}
	stories := map[string]struct {
		of    func(j *judge)
		deeds []deed
	}{
		"a fresh read is stale":       {(*judge).fresh, []deed{put(1, "x", Fresh, item("x", 5)), get(3, Fresh, item("w", 4))}},
		"a fresh write is older":      {(*judge).fresh, []deed{put(1, "x", Fresh, item("x", 5)), put(3, "y", Fresh, item("y", 4))}},
		"what was read is gone":       {(*judge).linear, []deed{put(1, "x", Fresh, item("x", 5)), get(3, Fresh, Item{})}},
		"a node forgets":              {(*judge).kept, []deed{get(1, Eventual, item("x", 5)), get(3, Eventual, Item{})}},
		"another node gave a version": {(*judge).writers, []deed{put(1, "x", Degraded, Item{Value: "x", Version: 5, Writer: "n2"})}},
		"another value was written":   {(*judge).writers, []deed{put(1, "x", Degraded, item("y", 5))}},
		"it says eventual unasked":    {(*judge).labels, []deed{get(1, Eventual, item("x", 5))}},
		"a value from nowhere":        {(*judge).sources, []deed{get(1, Fresh, item("x", 5))}},
		"a write is done twice":       {(*judge).sources, []deed{put(1, "x", Fresh, item("x", 5)), get(3, Fresh, item("x", 7))}},
		"it is lost in the end":       {(*judge).survives, []deed{put(1, "x", Fresh, Item{Value: "x", Version: 1 << 63, Writer: "n1"})}},
		"a scan misses a record": {(*judge).scans, []deed{put(1, "x", Fresh, item("x", 5)),
			{Operation: check.Operation{F: "scan", Call: 3, Return: 4, Outcome: check.Ok}, node: "n1", told: Fresh}}},
	}
	for name, story := range stories {
		j := &judge{w: world, deeds: story.deeds}
		story.of(j)
		if len(j.found) == 0 {
			t.Errorf("%s, and nobody minds", name)
		} else if j.found[0].Text == "" {
			t.Errorf("%s: no text", name)
		}
	}
}

// A checker that comes to no verdict leaves the promise undecided: it is not kept.
func TestWhatACheckerLeavesOpenIsNotHeld(t *testing.T) {
	j := &judge{}
	j.took(check.Result{Verdict: check.Undecided, Bound: "4 steps"})
	if r := j.result("p"); r.Verdict != check.Undecided || r.Bound != "4 steps" {
		t.Errorf("%v, bound %q", r.Verdict, r.Bound)
	}
	j.took(check.Result{Verdict: check.Violated, Violations: []check.Violation{{Text: "wrong"}}})
	if r := j.result("p"); r.Verdict != check.Violated {
		t.Errorf("%v", r.Verdict)
	}
}

// A few operations under the whole schedule of faults: restarts come so thick
// that a node dies in the middle of its first start, with a newer version than it
// starts with again.
func TestFaultsThatComeThickAreSurvived(t *testing.T) {
	for seed := range seeds(40, 5) {
		r, err := sim.Run(Sim(), sim.Options{Seed: seed, Set: map[string]string{"operations": "10"}})
		if err != nil {
			t.Fatal(err)
		}
		if r.Failure != nil {
			t.Errorf("seed %d: %v", seed, r.Failure)
		}
	}
}

// What a recording tells of the clients is what a register would have told.
func TestARecordingsLanesAreThoseOfRegisters(t *testing.T) {
	r, err := sim.Run(Sim(), sim.Options{Seed: 3, Faults: []sim.Fault{}, Quick: true, Set: map[string]string{
		"operations": "300", "ops.deletes": "false", "ops.scans": "false", "ops.eventual": "false", "keys": "5", "network": "synchronous", "network.base": "1ms"}})
	if err != nil || r.Failure != nil {
		t.Fatal(err, r.Failure)
	}
	src, err := r.History(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ops, err := check.FromHistory(t.Context(), src)
	if err != nil || len(ops) < 300 {
		t.Fatalf("%d operations, %v", len(ops), err)
	}
	seen := 0
	for _, op := range ops {
		if op.F == "write" && op.Input.Type() != event.TypeString {
			t.Fatalf("%s writes %s", op.Ref, op.Input)
		}
		if op.F != "read" || op.Outcome != check.Ok {
			continue
		}
		if told := op.Extra.Field("consistency").AsString(); told == "" || op.Extra.Field("record").IsAbsent() {
			t.Errorf("%s: beside the value stands %s", op.Ref, op.Extra)
		}
		if op.Output.Type() == event.TypeString {
			seen++
		}
	}
	model, _ := check.ModelByName("register")
	if judged := check.Linearizable(ops, model, check.Options{}); judged.Verdict != check.Holds || seen < 50 {
		t.Errorf("%d reads saw a write; %+v", seen, judged)
	}
}
