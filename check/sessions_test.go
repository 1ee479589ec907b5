package check_test

import (
	"math/rand/v2"
	"testing"

	"hindcast.dev/check"
)

func TestConsistencyAsAllOrdersSay(t *testing.T) {
	held, rounds := map[string]int{}, oracleRounds()/4
	for seed := range rounds {
		ops := randomHistory(rand.New(rand.NewPCG(uint64(seed), 4)), 2, true, "read", "read", "write")
		for name, oracle := range map[string]func() bool{
			check.PRAM:       func() bool { return oracleClients(ops, false) },
			check.Causal:     func() bool { return oracleClients(ops, true) },
			check.Sequential: func() bool { return oracleSequential(ops) },
		} {
			want := oracle()
			got := check.Level(ops, name, check.Options{})
			if (got.Verdict == check.Holds) != want || got.Verdict == check.Undecided {
				text := ""
				for _, v := range got.Violations {
					text += v.Text + "\n"
				}
				t.Fatalf("seed %d: %s %s %s, all orders say %v:\n%s\n%s", seed, name, got.Verdict, got.Bound, want, listing(ops), text)
			}
			if want {
				held[name]++
			}
		}
	}
	for name, n := range held {
		if n < rounds/20 || n > rounds*19/20 {
			t.Errorf("%s holds for %d of %d histories: the test sees only one side", name, n, rounds)
		}
	}
}

// What a property implies holds when it does, and is decided alone.
func TestStrongerPropertiesImplyWeaker(t *testing.T) {
	for seed := range oracleRounds() / 4 {
		ops := randomHistory(rand.New(rand.NewPCG(uint64(seed), 5)), 2, true, "read", "read", "write")
		verdict := map[string]check.Verdict{}
		for _, name := range check.Levels() {
			verdict[name] = check.Level(ops, name, check.Options{Plain: true}).Verdict
		}
		for strong, weak := range map[string][]string{
			check.PRAM:       {check.MonotonicReads, check.MonotonicWrites, check.ReadYourWrites},
			check.Causal:     {check.PRAM, check.WritesFollowReads},
			check.Sequential: {check.Causal},
			"linearizable":   {check.Sequential},
		} {
			for _, w := range weak {
				if verdict[strong] == check.Holds && verdict[w] != check.Holds {
					t.Fatalf("seed %d: %s holds, %s is %s:\n%s", seed, strong, w, verdict[w], listing(ops))
				}
			}
		}
	}
}
