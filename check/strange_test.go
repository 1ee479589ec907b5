package check_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"hindcast.dev/check"
	"hindcast.dev/event"
)

// Histories with what is rare elsewhere: calls and returns at the same moment, null
// that is written, operations that take no time, strings that begin each other.
func TestLinearizableAsAllOrdersSayOfStrangeHistories(t *testing.T) {
	r := rand.New(rand.NewPCG(77, 99))
	counts := map[string]int{}
	for i := range oracleRounds() / 2 {
		var model string
		var ops []check.Operation
		apply := applyKV
		switch r.IntN(6) {
		case 0:
			model, ops = "register", randomHistory(r, 1, r.IntN(2) == 0, "read", "write", "read")
		case 1:
			model, ops = "cas-register", randomHistory(r, 1, r.IntN(2) == 0, "read", "write", "cas", "cas")
		case 2:
			model, ops = "kv", randomHistory(r, 1, r.IntN(2) == 0, "read", "write", "delete", "cas", "read")
		case 3:
			model, ops = "kv", randomHistory(r, 1, true, "read", "delete", "append", "append", "write", "cas")
			for j := range ops { // strings
				if ops[j].F == "write" {
					ops[j].Input = event.String([]string{"", "a", "ab", "c"}[r.IntN(4)])
				}
				if ops[j].F == "read" && !ops[j].Output.IsAbsent() {
					ops[j].Output = []event.Value{event.Null(), event.String(""), event.String("a"), event.String("ab"), event.String("ba"), event.String("aa"), event.String("abc")}[r.IntN(7)]
				}
				if ops[j].F == "cas" {
					ops[j].Input = event.List([]event.Value{event.Null(), event.String(""), event.String("a"), event.String("ab")}[r.IntN(4)], event.String([]string{"", "a", "b"}[r.IntN(3)]))
				}
			}
		case 4:
			model, ops = "queue", randomHistory(r, 1, r.IntN(2) == 0, "enqueue", "dequeue")
			apply = applyQueue
		case 5:
			model, ops = "lock", randomHistory(r, 1, true, "acquire", "release")
			apply = applyLock
		}
		// equal times, written nulls, and answers that say nothing
		for j := range ops {
			if ops[j].Return != check.Open && r.IntN(3) == 0 {
				ops[j].Return = ops[j].Call + int64(r.IntN(2))
			}
			if ops[j].F == "write" && r.IntN(8) == 0 {
				ops[j].Input = event.Null()
			}
		}
		m, _ := check.ModelByName(model)
		got := check.Linearizable(ops, m, check.Options{})
		want := oracleLinearizable(ops, apply)
		if (got.Verdict == check.Holds) != want || got.Verdict == check.Undecided {
			t.Fatalf("%d %s: %v, all orders say %v\n%s", i, model, got.Verdict, want, listing(ops))
		}
		counts[fmt.Sprint(model, want)]++
	}
	for _, what := range []string{"registerfalse", "registertrue", "cas-registertrue", "kvfalse", "kvtrue", "queuetrue", "locktrue"} {
		if counts[what] == 0 {
			t.Errorf("no history is %s: %v", what, counts)
		}
	}
}

// With CAS, deletes and values that are written twice what holds is never claimed
// wrongly, nor what is violated; undecided may be what is hard.
func TestLevelsAreNeverClaimedWrongly(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 9))
	counts := map[string]int{}
	for i := range oracleRounds() / 2 {
		unique := r.IntN(3) > 0
		fs := [][]string{{"read", "write"}, {"read", "write", "cas"}, {"read", "write", "delete"}, {"read", "read", "cas", "write"}}[r.IntN(4)]
		ops := randomHistory(r, 1+r.IntN(2), unique, fs...)
		want := oracleSequential(ops)
		got := check.Level(ops, check.Sequential, check.Options{Plain: true})
		counts[fmt.Sprint("seq ", want, got.Verdict)]++
		if got.Verdict == check.Holds && !want || got.Verdict == check.Violated && want {
			t.Fatalf("%d sequential got %v want %v\n%s", i, got.Verdict, want, listing(ops))
		}
		if want { // weaker ones must not be violated
			for _, name := range []string{check.PRAM, check.Causal, check.MonotonicReads, check.MonotonicWrites, check.ReadYourWrites, check.WritesFollowReads} {
				if g := check.Level(ops, name, check.Options{Plain: true}); g.Verdict == check.Violated {
					t.Fatalf("%d %s violated though sequential\n%s", i, name, listing(ops))
				}
			}
		}
		m, _ := check.ModelByName("kv")
		if check.Linearizable(ops, m, check.Options{}).Verdict == check.Holds && !want {
			t.Fatalf("linearizable but not sequential per oracle\n%s", listing(ops))
		}
	}
	if counts["seq true holds"] == 0 || counts["seq false violated"] == 0 {
		t.Errorf("the test sees only one side: %v", counts)
	}
}
