package sim_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"hindcast.dev/check"
	"hindcast.dev/event"
	"hindcast.dev/machine"
	"hindcast.dev/sim"
)

// short is a run of few operations, in which no fault is drawn.
func short(properties ...sim.Property) sim.Options {
	return sim.Options{Seed: 1, Set: map[string]string{"operations": "60"}, Faults: []sim.Fault{}, Properties: properties}
}

func TestPropertiesInEachModeHoldAndFail(t *testing.T) {
	for _, c := range []struct {
		p    sim.Property
		kind sim.FailureKind // "" if it holds
		text []string
	}{
		{p: sim.Property{Mode: sim.Always, RQL: "register.n >= 0"}},
		{p: sim.Property{Mode: sim.Always, Name: "few copies", RQL: "(register.copies <= 3) LINK EACH_NODE"}, kind: sim.Safety,
			text: []string{"always (register.copies <= 3) LINK EACH_NODE, but it does not hold at 2026-01-01T00:00:0", "recv Copy\n", "register.copies: n1 0, n2 "}},
		{p: sim.Property{Mode: sim.Never, RQL: "register.n > 1000000"}},
		{p: sim.Property{Mode: sim.Never, Name: "no copies", RQL: "register.copies > 3 AND register.n >= 0"}, kind: sim.Safety,
			text: []string{"but it holds at", "$1, register.copies, is that of n", "$2, register.n, is that of n1", "register.n: n1 "}},
		{p: sim.Property{Mode: sim.Eventually, RQL: "(register.n > 3) LINK EACH_NODE"}},
		{p: sim.Property{Mode: sim.Eventually, Name: "forgets", RQL: "register.n = 0"}, kind: sim.Liveness,
			text: []string{"eventually register.n = 0, but it didn't hold at any cut after everything was mended at 2026-", "register.n: n1 "}},
		{p: sim.Property{Mode: sim.Sometimes, RQL: "register.n > 3"}},
		{p: sim.Property{Mode: sim.Sometimes, RQL: "register.n < 0"}},
		{p: sim.Property{Mode: sim.Never, RQL: "COUNT(net.inflight[*][*]) < 0"}},
		{p: sim.Property{Mode: sim.Never, Name: "nothing is sent", RQL: "net.sent['n2'] > 2"}, kind: sim.Safety,
			text: []string{"$1, net.sent", "is that of n1"}},
	} {
		t.Run(string(c.p.Mode)+" "+c.p.RQL, func(t *testing.T) {
			t.Parallel()
			r := run(t, subject(nil), short(c.p))
			if c.kind == "" {
				if r.Failure != nil || r.Undecided != "" || len(r.Vacuous) > 0 {
					t.Fatalf("%v; undecided %q, vacuous %v", r.Failure, r.Undecided, r.Vacuous)
				}
				return
			}
			f := r.Failure
			if f == nil || f.Kind != c.kind || f.Property != c.p.Name {
				t.Fatalf("failure is %v", f)
			}
			for _, want := range c.text {
				if !strings.Contains(f.Text, want) {
					t.Errorf("no %q in\n%s", want, f.Text)
				}
			}
			if f.Node == "" || f.Seq == 0 || f.Event == 0 || f.Event > r.Events || f.At > r.Simulated {
				t.Errorf("it isn't placed: %+v", f)
			}
			src, err := r.History(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			i, _ := src.Meta().NodeIndex(f.Node)
			if _, err := src.Event(context.Background(), i, f.Seq); err != nil {
				t.Errorf("the History doesn't have the event: %v", err)
			}
		})
	}
}

func TestSometimesIsToldAndIsNoFailure(t *testing.T) {
	r := run(t, subject(func(w *sim.World) {
		w.Sometimes("counts", "register.n > 3")
		w.Sometimes("below zero", "register.n < 0")
	}), short())
	if r.Failure != nil || !r.Sometimes["counts"] || r.Sometimes["below zero"] || len(r.Sometimes) != 2 {
		t.Errorf("%v, %v", r.Failure, r.Sometimes)
	}
}

func TestAMistakeInAPropertyIsTheCallers(t *testing.T) {
	for _, c := range []struct {
		p    sim.Property
		want []string
	}{
		{sim.Property{Mode: sim.Never, Name: "broken", RQL: "register.n >"}, []string{`property "broken"`, "  register.n >\n", "^"}},
		{sim.Property{Mode: sim.Never, Name: "misspelt", RQL: "register.copys > 1"}, []string{`property "misspelt"`, "register.copys", "^", "did you mean register.copies?"}},
		{sim.Property{Mode: "seldom", Name: "x", RQL: "register.n > 1"}, []string{`mode "seldom"`, "want one of [always never eventually sometimes]"}},
		{sim.Property{Mode: sim.Never, Name: "types", RQL: "register.n = 'n1'"}, []string{`property "types"`, "compares an int with a string", "^"}},
		{sim.Property{Mode: sim.Never, Name: "below", RQL: "node.version.regster = 7"}, []string{`property "below" can't fail`, "node.version.regster", "did you mean node.version.register?"}},
	} {
		_, err := sim.Run(subject(nil), short(c.p))
		if err == nil {
			t.Errorf("%s: no error", c.p.Name)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("no %q in\n%v", want, err)
			}
		}
	}
	twice := sim.Property{Mode: sim.Never, Name: "a", RQL: "register.n < 0"}
	if _, err := sim.Run(subject(nil), short(twice, twice)); err == nil || !strings.Contains(err.Error(), "stated twice") {
		t.Errorf("a property stated twice: %v", err)
	}
}

func TestAPropertyThatSaysNothingIsTold(t *testing.T) {
	p := sim.Property{Mode: sim.Never, Name: "link to nowhere", RQL: "node.link['n9'] = 'up'"}
	r := run(t, subject(nil), short(p))
	if r.Failure != nil || !strings.Contains(r.Vacuous["link to nowhere"], "was present on no node asked at any cut") {
		t.Errorf("%v, %v", r.Failure, r.Vacuous)
	}
}

func TestAPropertyThatNeverSaysAnythingFailsTheSearch(t *testing.T) {
	p := sim.Property{Mode: sim.Never, Name: "link to nowhere", RQL: "node.link['n9'] = 'up'"}
	var tally sim.Tally
	search := &sim.Search{Subject: subject(nil), Options: short(p), First: 1, Last: 3, Floors: sim.Floors{Operations: 1}}
	if err := search.Run(context.Background(), &tally); err != nil {
		t.Fatal(err)
	}
	v := tally.Verdict()
	if v == nil || v.Kind != sim.Coverage || !strings.Contains(v.Text, "link to nowhere") {
		t.Errorf("%v", v)
	}
}

func TestAlwaysIsAskedFromWhereItsVariablesAre(t *testing.T) {
	// At the first cuts no machine has started, and nothing can be true of it.
	r := run(t, subject(nil), short(sim.Property{Mode: sim.Always, Name: "started", RQL: "COUNT(register.n) >= 1"}))
	if r.Failure != nil {
		t.Error(r.Failure)
	}
}

func TestAJudgeOfOperationsPointsAtTheOperation(t *testing.T) {
	s := subject(func(w *sim.World) {
		w.Judge("no reads", func(ops []check.Operation) check.Result {
			i := slices.IndexFunc(ops, func(o check.Operation) bool { return o.F == "read" && o.Outcome == check.Ok })
			return check.Result{Check: "no reads", Verdict: check.Violated,
				Violations: []check.Violation{{Text: "a read: " + ops[i].Ref, Operations: ops[i : i+1]}}}
		})
	})
	r := run(t, s, short())
	f := r.Failure
	if f == nil || f.Kind != sim.Safety || f.Property != "no reads" || !strings.HasPrefix(f.Text, "a read: client/") {
		t.Fatalf("%v", f)
	}
	src, err := r.History(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	i, ok := src.Meta().NodeIndex(f.Node)
	if !ok {
		t.Fatalf("no lane %q", f.Node)
	}
	ev, err := src.Event(context.Background(), i, f.Seq)
	if err != nil || ev.Kind != "ok" || ev.Data.Field("f").AsString() != "read" {
		t.Errorf("%v %v, %v", ev.Kind, ev.Data, err)
	}
	if f.Event == 0 || f.Event >= r.Events || f.At >= r.Simulated {
		t.Errorf("%+v of %d events", f, r.Events)
	}
}

func TestUndecidedIsNoPassAndNoFailure(t *testing.T) {
	asked := false
	s := subject(func(w *sim.World) {
		w.Judge("hard", func([]check.Operation) check.Result {
			return check.Result{Check: "hard", Verdict: check.Undecided, Bound: "4 steps"}
		})
		w.Judge("easy", func([]check.Operation) check.Result {
			asked = true
			return check.Result{Check: "easy", Verdict: check.Holds}
		})
	})
	r := run(t, s, short())
	if r.Failure != nil || r.Undecided != "hard: 4 steps" || !asked || len(r.Checks) != 2 {
		t.Errorf("%v, undecided %q, %v", r.Failure, r.Undecided, r.Checks)
	}
	if o := sim.OutcomeOf(r, sim.Floors{}); !slices.Equal(o.Undecided, []string{"hard: 4 steps"}) {
		t.Errorf("a search keeps %q", o.Undecided)
	}
	// More choices of nodes than may be tried: the property is undecided too.
	wide := sim.Property{Mode: sim.Never, Name: "wide", RQL: "register.n" + strings.Repeat(" % register.n", 13) + " < 0"}
	r = run(t, subject(nil), short(wide))
	if r.Failure != nil || !strings.HasPrefix(r.Undecided, "wide: ") {
		t.Errorf("%v, undecided %q", r.Failure, r.Undecided)
	}
}

func TestTheHistoryHoldsWhatClientsSaw(t *testing.T) {
	o := short()
	o.Faults = []sim.Fault{{Kind: sim.FaultKill, At: 350e6, For: 20e6, Nodes: []string{"n1"}}}
	r := run(t, subject(nil), o)
	src, err := r.History(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if again, err := r.History(context.Background()); err != nil || again != src {
		t.Errorf("a second History: %v", err)
	}
	ops, err := check.FromHistory(context.Background(), src)
	if err != nil {
		t.Fatal(err)
	}
	if len(ops) != len(r.Operations) {
		t.Fatalf("%d operations in the History, %d in the run", len(ops), len(r.Operations))
	}
	seen := map[string]check.Operation{}
	for _, op := range r.Operations {
		seen[op.Ref] = op
	}
	for _, op := range ops {
		was, ok := seen[op.Ref]
		if !ok || was.F != op.F || was.Process != op.Process || was.Outcome != op.Outcome || !event.Equal(was.Input, op.Input) {
			t.Fatalf("%+v in the History, %+v in the run", op, was)
		}
		if was.Outcome == check.Ok && was.F == "read" && !event.Equal(was.Output, op.Output) {
			t.Fatalf("%s read %s in the History, %s in the run", op.Ref, op.Output, was.Output)
		}
	}
	if src.Meta().Events < r.Steps {
		t.Errorf("%d events in the History, %d in the run", src.Meta().Events, r.Steps)
	}
	if src.Meta().Violations > 0 {
		t.Errorf("%v", src.Meta().Warnings)
	}
}

// A planted machine isn't deterministic, each in its way.
type planted struct {
	N       int64
	Plain   map[string]int64
	Order   []string
	Largest string
	how     string
}

var plantedCounter int64

func (*planted) Payloads() []any { return []any{Write{}, Read{}, Value{}, Copy{}} }

func (p *planted) Step(ctx *machine.Context, ev event.Event) {
	if p.Plain == nil {
		p.Plain = map[string]int64{}
	}
	m, isWrite := ev.Body.(Write)
	switch {
	case isWrite && m.Value > 10 && p.how == "map order":
		for k := range map[string]bool{"a": true, "b": true, "c": true, "d": true, "e": true} {
			p.Largest = k
		}
	case isWrite && m.Value > 10 && p.how == "global":
		plantedCounter++
		p.N = plantedCounter
	case isWrite && p.how == "inside a plain map":
		plantedCounter++
		p.Plain["x"] = plantedCounter
	case isWrite && m.Value == 30 && p.how == "panic":
		panic("thirty")
	}
	if isWrite || ev.Kind == event.Request {
		ctx.Reply(ev.ID, Value{p.N})
	}
}

func plantedSubject(how string) *sim.Subject {
	s := subject(nil)
	s.Machines = machine.Registry{"register": {1: func() machine.Machine { return &planted{how: how} }}}
	return s
}

func TestReplayFindsWhatIsNotDeterministic(t *testing.T) {
	for _, how := range []string{"map order", "global", "inside a plain map"} {
		t.Run(how, func(t *testing.T) {
			for _, properties := range [][]sim.Property{nil, {{Mode: sim.Never, RQL: "register.n < 0"}}} {
				r := run(t, plantedSubject(how), short(properties...))
				f := r.Failure
				if f == nil || f.Kind != sim.Divergence || f.Node != "n1" || f.Seq == 0 || f.Event == 0 {
					t.Fatalf("%v", f)
				}
				if how == "inside a plain map" && !strings.Contains(f.Text, `register.plain["x"] is `) {
					t.Errorf("%s", f.Text)
				}
			}
			if r := run(t, plantedSubject(how), sim.Options{Seed: 1, Set: short().Set, Faults: []sim.Fault{}, Quick: true}); r.Failure != nil {
				t.Errorf("a quick run replays: %v", r.Failure)
			}
		})
	}
	if r := run(t, plantedSubject("none"), short()); r.Failure != nil {
		t.Errorf("%v", r.Failure)
	}
}

func TestAPanicIsPlaced(t *testing.T) {
	r := run(t, plantedSubject("panic"), short())
	if f := r.Failure; f == nil || f.Kind != sim.Crash || f.Node != "n1" || f.Seq == 0 {
		t.Errorf("%v", r.Failure)
	}
	src, err := r.History(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	i, _ := src.Meta().NodeIndex("n1")
	ev, err := src.Event(context.Background(), i, r.Failure.Seq)
	if err != nil || len(ev.Effects) != 1 || ev.Effects[0].Kind != "panic" {
		t.Errorf("%+v, %v", ev, err)
	}
}

func TestVerifyNamesTheFirstEventThatDiffers(t *testing.T) {
	for how, want := range map[string]string{"map order": "register.largest is ", "global": "register.n is "} {
		m, err := sim.Verify(plantedSubject(how), short())
		if err != nil {
			t.Fatal(err)
		}
		if m == nil {
			t.Errorf("%s: no mismatch", how)
			continue
		}
		if m.Node != "n1" || m.Event == 0 || m.First != m.Second || !strings.Contains(m.Difference, want) || len(m.Before) == 0 {
			t.Errorf("%s: %v", how, m)
		}
	}
	// So does a search that verifies.
	r := run(t, plantedSubject("global"), sim.Options{Seed: 1, Set: short().Set, Faults: []sim.Fault{}, Quick: true})
	f, err := sim.Repeats(plantedSubject("global"), short(), r)
	if err != nil || f == nil || f.Kind != sim.Nondeterminism || f.Node != "n1" || f.Event == 0 || !strings.Contains(f.Text, "\n  second  ") {
		t.Errorf("%v, %v", f, err)
	}
	// What the subject outside of the machines does counts too.
	s := subject(func(w *sim.World) {
		plantedCounter++
		if plantedCounter%2 == 0 {
			w.After(500e6, func() {})
		}
	})
	if m, err := sim.Verify(s, short()); err != nil || m == nil || m.First == m.Second {
		t.Errorf("%v, %v", m, err)
	}
	for seed := range uint64(3) {
		o := sim.Options{Seed: seed, Set: short().Set}
		if m, err := sim.Verify(subject(nil), o); m != nil || err != nil {
			t.Errorf("seed %d: %v, %v", seed, m, err)
		}
	}
}

func TestARunThatExercisesTooLittleSaysSo(t *testing.T) {
	few := run(t, subject(nil), short())
	if ok, why := few.Counted(); ok || why != "fewer than 2000 operations" {
		t.Errorf("%t, %q", ok, why)
	}
	o := short()
	o.Floors = true
	r := run(t, subject(nil), o)
	if r.Failure == nil || r.Failure.Kind != sim.Coverage || !strings.Contains(r.Failure.Text, "2000 operations") {
		t.Errorf("%v", r.Failure)
	}
	idle := &sim.Subject{Name: "idle", Machines: subject(nil).Machines, Setup: func(w *sim.World) { w.Cluster(2) }}
	r = run(t, idle, sim.Options{Faults: []sim.Fault{}})
	if ok, why := r.Counted(); ok || why != "no node took in a message or a request" {
		t.Errorf("%t, %q", ok, why)
	}
	full := sim.Options{Seed: 3, Floors: true}
	r = run(t, subject(nil), full)
	if ok, why := r.Counted(); !ok || r.Failure != nil {
		t.Errorf("%q, %v, %v", why, r.Failure, r.Happened)
	}
}

func TestCoverageTellsStatesFaultsAndMessagesApart(t *testing.T) {
	s := subject(func(w *sim.World) {
		w.State(func(n *sim.Node) string {
			if m, ok := n.Machine("register").(*register); ok && m.Copies > 0 {
				return "copied"
			}
			return "empty"
		})
	})
	o := short()
	o.Faults = []sim.Fault{{Kind: sim.FaultSlowLink, At: 0, For: 10e9, Nodes: []string{"n1"}, Peers: []string{"n2"}, Delay: 1e6}}
	r := run(t, s, o)
	for _, want := range []string{"empty × slow-link × Copy", "copied × slow-link × Copy", "empty × slow-link × write", "empty × slow-link × –"} {
		if r.Coverage.Kinds[want] == 0 {
			t.Errorf("no %q in %v", want, r.Coverage.Kinds)
		}
	}
	calm := run(t, s, short())
	if calm.Coverage.Kinds["copied × – × Copy"] == 0 || calm.Coverage.Kinds["copied × slow-link × Copy"] != 0 {
		t.Errorf("%v", calm.Coverage.Kinds)
	}
	var sum sim.CoverageReport
	sum.Merge(r.Coverage)
	sum.Merge(calm.Coverage)
	for k, n := range sum.Kinds {
		if n != r.Coverage.Kinds[k]+calm.Coverage.Kinds[k] {
			t.Errorf("%s: %d", k, n)
		}
	}
}
