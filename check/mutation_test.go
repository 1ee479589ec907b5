package check_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"hindcast.dev/check"
	"hindcast.dev/event"
)

// A workload is what clients ask of a correct object.
type workload struct {
	model   string
	clients int
	keys    int
	ops     int
	info    float64 // part without an answer
	fail    float64 // part that fails
	deletes bool
}

// run gives what clients of a correct object see: every operation takes effect at
// one moment between its call and its return. Of those without an answer some
// take effect late, and some never.
func (w workload) run(r *rand.Rand) []check.Operation {
	type effect struct {
		at float64
		op int
	}
	var ops []check.Operation
	var effects []effect
	now := make([]int64, w.clients)
	process := make([]int, w.clients)
	for c := range process {
		process[c] = c
	}
	for i := range w.ops {
		c := r.IntN(w.clients)
		call := now[c] + 1 + int64(r.IntN(20))
		ret := call + 1 + int64(r.IntN(40))
		now[c] = ret
		op := check.Operation{Process: process[c], Key: fmt.Sprintf("k%d", r.IntN(w.keys)), Call: call, Return: ret, Outcome: check.Ok, Ref: fmt.Sprint("op ", i)}
		op.F, op.Input = w.ask(r, i)
		at := float64(call) + r.Float64()*float64(ret-call)
		switch x := r.Float64(); {
		case x < w.info:
			op.Outcome, op.Return = check.Info, check.Open
			process[c] = w.clients + i
			if at = float64(call) + r.Float64()*400; r.IntN(2) == 0 {
				at = -1
			}
		case x < w.info+w.fail:
			op.Outcome, at = check.Fail, -1
		}
		if ops = append(ops, op); at >= 0 {
			effects = append(effects, effect{at, i})
		}
	}
	slices.SortFunc(effects, func(a, b effect) int {
		if a.at < b.at {
			return -1
		}
		return 1
	})
	has := map[string][]event.Value{}
	for _, e := range effects {
		op := &ops[e.op]
		out := takeEffect(op, has)
		if op.Outcome == check.Ok {
			op.Output = out
		}
	}
	slices.SortStableFunc(ops, func(a, b check.Operation) int { return int(a.Call - b.Call) })
	return ops
}

func (w workload) ask(r *rand.Rand, i int) (string, event.Value) {
	v := event.String(fmt.Sprintf("v%d", i))
	switch {
	case w.model == "queue" && r.IntN(2) == 0:
		return "enqueue", v
	case w.model == "queue":
		return "dequeue", event.Absent
	case w.deletes && r.IntN(20) == 0:
		return "delete", event.Absent
	case r.IntN(2) == 0:
		return "write", v
	}
	return "read", event.Absent
}

// takeEffect changes the objects, and returns what the operation gives.
func takeEffect(op *check.Operation, has map[string][]event.Value) event.Value {
	all := has[op.Key]
	switch op.F {
	case "write":
		has[op.Key] = []event.Value{op.Input}
	case "delete":
		has[op.Key] = nil
	case "enqueue":
		has[op.Key] = append(all, op.Input)
	default:
		if len(all) == 0 {
			return event.Null()
		}
		if op.F == "dequeue" {
			has[op.Key] = all[1:]
		}
		return all[0]
	}
	return event.Absent
}

// answers are the operations with an output, of one key.
func answers(ops []check.Operation, key string) []int {
	var at []int
	for i := range ops {
		if ops[i].Outcome == check.Ok && !ops[i].Output.IsAbsent() && (key == "" || ops[i].Key == key) {
			at = append(at, i)
		}
	}
	return at
}

// mutations damage a history, in place; false if there was nothing to damage.
// Whether it is wrong then the oracle tells.
var mutations = map[string]func(r *rand.Rand, ops []check.Operation) bool{
	"answers swapped": func(r *rand.Rand, ops []check.Operation) bool {
		all := answers(ops, "")
		if len(all) < 2 {
			return false
		}
		a := all[r.IntN(len(all))]
		same := answers(ops, ops[a].Key)
		b := same[r.IntN(len(same))]
		ops[a].Output, ops[b].Output = ops[b].Output, ops[a].Output
		return true
	},
	"an older answer": func(r *rand.Rand, ops []check.Operation) bool {
		all := answers(ops, "")
		if len(all) == 0 {
			return false
		}
		a := all[r.IntN(len(all))]
		for b := range a {
			if ops[b].Key == ops[a].Key && !ops[b].Input.IsAbsent() && ops[b].Outcome == check.Ok {
				ops[a].Output = ops[b].Input
				return true
			}
		}
		return false
	},
	"a lost change": func(r *rand.Rand, ops []check.Operation) bool {
		all := answers(ops, "")
		if len(all) == 0 {
			return false
		}
		ops[all[r.IntN(len(all))]].Output = event.Null()
		return true
	},
	"moved in time": func(r *rand.Rand, ops []check.Operation) bool {
		all := answers(ops, "")
		if len(all) == 0 {
			return false
		}
		a := all[r.IntN(len(all))]
		length, to := ops[a].Return-ops[a].Call, ops[r.IntN(len(ops))].Call
		ops[a].Call, ops[a].Return = to, to+length
		ops[a].Process = 1000 // at another time another client
		slices.SortStableFunc(ops, func(a, b check.Operation) int { return int(a.Call - b.Call) })
		return true
	},
	"a failed change seen": func(r *rand.Rand, ops []check.Operation) bool {
		for i := range ops {
			if ops[i].Outcome != check.Fail || ops[i].Input.IsAbsent() {
				continue
			}
			if same := answers(ops, ops[i].Key); len(same) > 0 {
				ops[same[r.IntN(len(same))]].Output = ops[i].Input
				return true
			}
		}
		return false
	},
	"an answer twice": func(r *rand.Rand, ops []check.Operation) bool {
		all := answers(ops, "")
		if len(all) < 2 {
			return false
		}
		a := all[r.IntN(len(all)-1)]
		for _, b := range answers(ops, ops[a].Key) {
			if b > a {
				ops[b].Output = ops[a].Output
				return true
			}
		}
		return false
	},
	"a failure made of a success": func(r *rand.Rand, ops []check.Operation) bool {
		a := r.IntN(len(ops))
		if ops[a].Outcome != check.Ok || ops[a].Input.IsAbsent() {
			return false
		}
		ops[a].Outcome = check.Fail
		return true
	},
}

// A checker that accepts a wrong history is worse than none. So good histories are
// damaged, and what all orders say is wrong must be found: every one. What is
// still good must be accepted.
func TestMutantsAreCaught(t *testing.T) {
	rounds := 400
	if testing.Short() {
		rounds = 100
	}
	for _, w := range []workload{
		{model: "register", clients: 3, keys: 1, ops: 8, info: 0.1, fail: 0.1},
		{model: "kv", clients: 3, keys: 2, ops: 9, info: 0.15, fail: 0.1, deletes: true},
		{model: "queue", clients: 3, keys: 1, ops: 8, info: 0.1, fail: 0.1},
	} {
		m, apply := model(t, w.model), applyKV
		if w.model == "queue" {
			apply = applyQueue
		}
		for name, mutate := range mutations {
			wrong, caught := 0, 0
			for seed := range rounds {
				r := rand.New(rand.NewPCG(uint64(seed), 6))
				ops := w.run(r)
				if res := check.Linearizable(ops, m, check.Options{Plain: true}); res.Verdict != check.Holds {
					t.Fatalf("%s, seed %d: a good history is %s:\n%s", w.model, seed, res.Verdict, listing(ops))
				}
				if !mutate(r, ops) {
					continue
				}
				good := oracleLinearizable(ops, apply)
				res := check.Linearizable(ops, m, check.Options{Plain: true})
				switch {
				case good && res.Verdict != check.Holds:
					t.Errorf("%s, %s, seed %d: %s, but it has an order:\n%s", w.model, name, seed, res.Verdict, listing(ops))
				case !good && res.Verdict == check.Violated:
					wrong, caught = wrong+1, caught+1
				case !good:
					wrong++
					t.Errorf("%s, %s, seed %d: accepted (%s), but no order explains it:\n%s", w.model, name, seed, res.Verdict, listing(ops))
				}
			}
			t.Logf("%s, %s: %d of %d wrong histories caught", w.model, name, caught, wrong)
			if wrong < rounds/20 {
				t.Errorf("%s, %s: only %d of %d mutants are wrong: the test sees too few", w.model, name, wrong, rounds)
			}
		}
	}
}

// surely damage a long history of registers so that it is wrong for certain,
// without an oracle, which could not judge it.
var surely = map[string]func(r *rand.Rand, ops []check.Operation) bool{
	"a value read after it was overwritten": func(r *rand.Rand, ops []check.Operation) bool {
		return damage(r, ops, func(read, old, newer *check.Operation) bool {
			return old.Return < newer.Call && newer.Return < read.Call && newer.Outcome == check.Ok
		})
	},
	"a value read before it was written": func(r *rand.Rand, ops []check.Operation) bool {
		return damage(r, ops, func(read, later, _ *check.Operation) bool { return later.Call > read.Return })
	},
	"a value read whose write failed": func(r *rand.Rand, ops []check.Operation) bool {
		return damage(r, ops, func(_, failed, _ *check.Operation) bool { return failed.Outcome == check.Fail })
	},
}

// damage gives some read the value of a write, such that bad holds for both and
// some other write of that key.
func damage(r *rand.Rand, ops []check.Operation, bad func(read, write, other *check.Operation) bool) bool {
	for range 100_000 {
		reads := answers(ops, "")
		read := &ops[reads[r.IntN(len(reads))]]
		write, other := &ops[r.IntN(len(ops))], &ops[r.IntN(len(ops))]
		if write.F == "write" && other.F == "write" && write.Key == read.Key && other.Key == read.Key && bad(read, write, other) {
			read.Output = write.Input
			return true
		}
	}
	return false
}

func TestMutantsOfLongHistoriesAreCaught(t *testing.T) {
	rounds := 16
	if testing.Short() {
		rounds = 4
	}
	w := workload{model: "kv", clients: 6, keys: 4, ops: 2500, info: 0.08, fail: 0.05}
	m := model(t, "kv")
	for name, mutate := range surely {
		for seed := range rounds {
			w.deletes = seed%2 == 0
			r := rand.New(rand.NewPCG(uint64(seed), 7))
			ops := w.run(r)
			if res := check.Linearizable(ops, m, check.Options{Plain: true}); res.Verdict != check.Holds {
				t.Fatalf("seed %d: a good history is %s (%s)", seed, res.Verdict, res.Bound)
			}
			if !mutate(r, ops) {
				t.Fatalf("seed %d: nothing to damage", seed)
			}
			res := check.Linearizable(ops, m, check.Options{})
			if res.Verdict != check.Violated {
				t.Fatalf("%s, seed %d: %s %s", name, seed, res.Verdict, res.Bound)
			}
			if n := len(res.Violations[0].Operations); n > 8 {
				t.Errorf("%s, seed %d: the counterexample has %d operations:\n%s", name, seed, n, res.Violations[0].Text)
			}
		}
	}
}

// What a correct object gives holds at every level.
func TestGoodHistoriesHoldAtEveryLevel(t *testing.T) {
	for seed := range 10 {
		w := workload{model: "register", clients: 5, keys: 3, ops: 400, info: 0.05, fail: 0.05}
		ops := w.run(rand.New(rand.NewPCG(uint64(seed), 8)))
		all := check.Consistency(ops, check.Options{})
		if got := all.String(); got != "holds: linearizable" {
			t.Fatalf("seed %d: %s", seed, got)
		}
		for _, level := range check.Levels() {
			if r := check.Level(ops, level, check.Options{}); r.Verdict != check.Holds {
				t.Fatalf("seed %d: %s is %s %s", seed, level, r.Verdict, r.Bound)
			}
		}
	}
}

// BenchmarkPerSeed judges what the simulator judges for each seed.
func BenchmarkPerSeed(b *testing.B) {
	for _, c := range []struct {
		name string
		w    workload
	}{
		{"kv of 24 keys with 200 unanswered", workload{model: "kv", clients: 8, keys: 24, ops: 2500, info: 0.08, fail: 0.02, deletes: true}},
		{"one register with 200 unanswered", workload{model: "register", clients: 8, keys: 1, ops: 2500, info: 0.08, fail: 0.02}},
		{"one register with deletes and 200 unanswered", workload{model: "kv", clients: 8, keys: 1, ops: 2500, info: 0.08, fail: 0.02, deletes: true}},
		{"queues with 25 unanswered", workload{model: "queue", clients: 8, keys: 5, ops: 2500, info: 0.01, fail: 0.02}},
	} {
		b.Run(c.name, func(b *testing.B) {
			ops, m := c.w.run(rand.New(rand.NewPCG(1, 9))), model(b, c.w.model)
			for b.Loop() {
				if res := check.Linearizable(ops, m, check.Options{Plain: true}); res.Verdict != check.Holds {
					b.Fatal(res.Verdict, res.Bound)
				}
			}
		})
	}
}

// BenchmarkHundredThousand judges 100,000 operations of 5 clients.
func BenchmarkHundredThousand(b *testing.B) {
	for _, c := range []struct {
		name string
		w    workload
	}{
		{"register", workload{model: "register", clients: 5, keys: 1, ops: 100_000, info: 0.001}},
		{"kv with deletes", workload{model: "kv", clients: 5, keys: 10, ops: 100_000, info: 0.001, deletes: true}},
		{"one key with deletes", workload{model: "kv", clients: 5, keys: 1, ops: 100_000, info: 0.001, deletes: true}},
		{"queue", workload{model: "queue", clients: 5, keys: 100, ops: 100_000}},
	} {
		ops := c.w.run(rand.New(rand.NewPCG(1, 9)))
		b.Run(c.name, func(b *testing.B) {
			m := model(b, c.w.model)
			for b.Loop() {
				if res := check.Linearizable(ops, m, check.Options{Plain: true}); res.Verdict != check.Holds {
					b.Fatal(res.Verdict, res.Bound)
				}
			}
		})
	}
	ops := workload{model: "register", clients: 5, keys: 10, ops: 100_000}.run(rand.New(rand.NewPCG(1, 9)))
	for _, level := range check.Levels() {
		b.Run(level, func(b *testing.B) {
			for b.Loop() {
				if r := check.Level(ops, level, check.Options{Plain: true}); r.Verdict != check.Holds {
					b.Fatal(r.Verdict, r.Bound)
				}
			}
		})
	}
}
