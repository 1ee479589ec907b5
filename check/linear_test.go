package check_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"hindcast.dev/check"
	"hindcast.dev/event"
)

func model(t testing.TB, name string) *check.Model {
	t.Helper()
	m, ok := check.ModelByName(name)
	if !ok {
		t.Fatalf("no model %s", name)
	}
	return m
}

// oracleRounds is how many small histories each model is judged on.
func oracleRounds() int {
	if testing.Short() {
		return 3000
	}
	return 20000
}

func TestLinearizableAsAllOrdersSay(t *testing.T) {
	for _, c := range []struct {
		name, model string
		unique      bool
		fs          []string
		apply       func(string, check.Operation) (string, bool)
	}{
		{"register with unique values", "register", true, []string{"read", "read", "write"}, applyKV},
		{"register", "register", false, []string{"read", "write"}, applyKV},
		{"cas-register", "cas-register", false, []string{"read", "write", "cas"}, applyKV},
		{"kv with deletes", "kv", true, []string{"read", "read", "write", "delete"}, applyKV},
		{"kv with everything", "kv", false, []string{"read", "write", "delete", "cas"}, applyKV},
		{"queue", "queue", true, []string{"enqueue", "enqueue", "dequeue"}, applyQueue},
		{"lock", "lock", true, []string{"acquire", "release"}, applyLock},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, held, rounds := model(t, c.model), 0, oracleRounds()
			for seed := range rounds {
				ops := randomHistory(rand.New(rand.NewPCG(uint64(seed), 1)), 2, c.unique, c.fs...)
				want := oracleLinearizable(ops, c.apply)
				if got := check.Linearizable(ops, m, check.Options{Plain: true}); (got.Verdict == check.Holds) != want || got.Verdict == check.Undecided {
					t.Fatalf("seed %d: %s, all orders say %v:\n%s", seed, got.Verdict, want, listing(ops))
				}
				if want {
					held++
				}
			}
			if held < rounds/20 || held > rounds*19/20 {
				t.Errorf("%d of %d histories hold: the test sees only one side", held, rounds)
			}
		})
	}
}

// listing is operations, one a line.
func listing(ops []check.Operation) string {
	var b strings.Builder
	for _, op := range ops {
		b.WriteString(op.Ref + ": " + op.F + " " + op.Key + " " + op.Input.String() + " → " + op.Output.String() + " " + op.Outcome.String() + " client " + event.Int(int64(op.Process)).String() +
			" [" + event.Int(op.Call).String() + ", " + event.Int(op.Return).String() + "]\n")
	}
	return b.String()
}

// randomLists makes histories of lists and strings that are appended to: of reads
// some are what a list was, some are not.
func randomLists(r *rand.Rand, text bool) []check.Operation {
	ops := randomHistory(r, 1, true, "append", "read")
	var has []event.Value
	for i := range ops {
		if ops[i].F == "append" {
			ops[i].Input = event.String(string(rune('a' + i)))
			if r.IntN(8) > 0 {
				has = append(has, ops[i].Input)
			}
			continue
		}
		if ops[i].Outcome != check.Ok {
			continue
		}
		seen := slices.Clone(has[:len(has)-min(len(has), r.IntN(3)/2)])
		if r.IntN(6) == 0 {
			slices.Reverse(seen)
		}
		if !text {
			ops[i].Output = event.List(seen...)
			continue
		}
		s := ""
		for _, v := range seen {
			s += v.AsString()
		}
		if ops[i].Output = event.String(s); s == "" {
			ops[i].Output = event.Null()
		}
	}
	return ops
}

func TestAppendsAsAllOrdersSay(t *testing.T) {
	for name, text := range map[string]bool{"append-list": false, "kv": true} {
		m, held, rounds := model(t, name), 0, oracleRounds()
		for seed := range rounds {
			ops := randomLists(rand.New(rand.NewPCG(uint64(seed), 2)), text)
			apply := applyList
			if text {
				apply = applyKV
			}
			want := oracleLinearizable(ops, apply)
			if got := check.Linearizable(ops, m, check.Options{Plain: true}); (got.Verdict == check.Holds) != want || got.Verdict == check.Undecided {
				t.Fatalf("%s, seed %d: %s, all orders say %v:\n%s", name, seed, got.Verdict, want, listing(ops))
			}
			if want {
				held++
			}
		}
		if held < rounds/20 || held > rounds*19/20 {
			t.Errorf("%s: %d of %d histories hold: the test sees only one side", name, held, rounds)
		}
	}
}

// What a violation shows must be one by itself: of every good history those
// operations must be good as well.
func TestCounterexamplesAreViolations(t *testing.T) {
	for _, c := range []struct {
		model string
		fs    []string
		apply func(string, check.Operation) (string, bool)
	}{
		{"kv", []string{"read", "write", "delete"}, applyKV},
		{"cas-register", []string{"read", "write", "cas"}, applyKV},
		{"queue", []string{"enqueue", "enqueue", "dequeue"}, applyQueue},
		{"lock", []string{"acquire", "release"}, applyLock},
	} {
		m, found := model(t, c.model), 0
		for seed := range 600 {
			ops := randomHistory(rand.New(rand.NewPCG(uint64(seed), 3)), 2, true, c.fs...)
			res := check.Linearizable(ops, m, check.Options{})
			for _, v := range res.Violations {
				found++
				if oracleLinearizable(v.Operations, c.apply) {
					t.Fatalf("%s, seed %d: the counterexample has an order:\n%s\nof\n%s", c.model, seed, v.Text, listing(ops))
				}
				if len(v.Text) == 0 || !strings.HasSuffix(v.Text, ".") {
					t.Errorf("%s, seed %d: no sentence at the end of %q", c.model, seed, v.Text)
				}
			}
		}
		if found < 50 {
			t.Errorf("%s: %d violations: the test sees too few", c.model, found)
		}
	}
}

// The three ways to decide agree: without a search, by ours, by porcupine's.
func TestEnginesAgree(t *testing.T) {
	for _, w := range []workload{
		{model: "register", clients: 4, keys: 1, ops: 24, info: 0.1, fail: 0.1},
		{model: "kv", clients: 4, keys: 2, ops: 30, info: 0.1, fail: 0.1, deletes: true},
		{model: "queue", clients: 3, keys: 1, ops: 16, info: 0.1, fail: 0.1},
	} {
		m, violated := model(t, w.model), 0
		for seed := range oracleRounds() / 20 {
			r := rand.New(rand.NewPCG(uint64(seed), 10))
			ops := w.run(r)
			if seed%2 == 0 {
				mutations["answers swapped"](r, ops)
			}
			want := check.PorcupineVerdict(ops, m)
			if got := check.SearchVerdict(ops, m); got != want {
				t.Fatalf("%s, seed %d: the search says %s, porcupine %s:\n%s", w.model, seed, got, want, listing(ops))
			}
			if got := check.Linearizable(ops, m, check.Options{Plain: true}); got.Verdict != want {
				t.Fatalf("%s, seed %d: the verdict is %s, porcupine says %s:\n%s", w.model, seed, got.Verdict, want, listing(ops))
			}
			violated += len(check.Linearizable(ops, m, check.Options{Plain: true}).Violations)
		}
		if violated < 10 {
			t.Errorf("%s: %d violations: the test sees one side only", w.model, violated)
		}
	}
}

// hard is a history that takes a search: clients that overlap put the same few
// elements into a queue, and in the end somebody takes what nobody put there.
func hard(n int) []check.Operation {
	r := rand.New(rand.NewPCG(1, 11))
	var ops []check.Operation
	for i := range n {
		call := int64(i/24) * 10
		ops = append(ops, check.Operation{Process: i % 24, F: "enqueue", Input: event.Int(int64(r.IntN(5))), Call: call, Return: call + 9, Outcome: check.Ok})
	}
	end := int64(n) * 10
	return append(ops, check.Operation{Process: 0, F: "dequeue", Output: event.Int(99), Call: end, Return: end + 1, Outcome: check.Ok})
}

func TestBoundsAreSaid(t *testing.T) {
	m := model(t, "queue")
	res := check.Linearizable(hard(240), m, check.Options{Steps: 3000})
	if res.Verdict != check.Undecided || !strings.Contains(res.Bound, "steps were not enough") {
		t.Errorf("%s, bound %q", res.Verdict, res.Bound)
	}
	polled := 0
	res = check.Linearizable(hard(240), m, check.Options{Stop: func() bool { polled++; return true }})
	if res.Verdict != check.Undecided || !strings.Contains(res.Bound, "stopped") || polled == 0 {
		t.Errorf("%s, bound %q, polled %d times", res.Verdict, res.Bound, polled)
	}
	ops := []check.Operation{{F: "enqueue", Ref: "line 1"}}
	res = check.Linearizable(ops, model(t, "kv"), check.Options{})
	if res.Verdict != check.Undecided || !strings.Contains(res.Bound, `line 1: model kv has no operation "enqueue"`) {
		t.Errorf("%s, bound %q", res.Verdict, res.Bound)
	}
}
