package check_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"hindcast.dev/check"
	"hindcast.dev/event"
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

// at makes a history of operations one after the other.
func at(specs ...check.Operation) []check.Operation {
	for i := range specs {
		specs[i].Call, specs[i].Return, specs[i].Outcome = int64(2*i), int64(2*i+1), check.Ok
	}
	return specs
}

func write(client int, key string, v int64) check.Operation {
	return check.Operation{Process: client, F: "write", Key: key, Input: event.Int(v)}
}

// read is one that found v, or nothing for 0.
func read(client int, key string, v int64) check.Operation {
	op := check.Operation{Process: client, F: "read", Key: key, Output: event.Int(v)}
	if v == 0 {
		op.Output = event.Null()
	}
	return op
}

// Each guarantee is violated by its own anomaly and by no other's.
func TestGuaranteesFindTheirAnomaly(t *testing.T) {
	for _, c := range []struct {
		name     string
		ops      []check.Operation
		violated []string // of the session guarantees
		text     string
	}{
		{"a client's own write is gone", at(write(0, "x", 1), read(0, "x", 0)), []string{check.ReadYourWrites}, "wrote x = 1, but then it found nothing there."},
		{"an own write gave way to one it overwrote", at(write(0, "x", 1), write(0, "x", 2), read(0, "x", 1)), []string{check.ReadYourWrites}, "wrote x = 2, and read x = 1 after it"},
		{"back to nothing", at(write(0, "x", 1), read(1, "x", 1), read(1, "x", 0)), []string{check.MonotonicReads}, "had read x = 1, but then it found nothing there."},
		{"back to an older value", at(write(0, "x", 1), write(0, "x", 2), read(1, "x", 2), read(1, "x", 1)), []string{check.MonotonicReads}, "had read x = 2, and read x = 1 after it"},
		{"a later write seen without the earlier", at(write(0, "x", 1), write(0, "y", 2), read(1, "y", 2), read(1, "x", 0)), []string{check.MonotonicWrites}, "before which client 0 had written x = 1"},
		{"an answer seen without its question", at(write(0, "x", 1), read(1, "x", 1), write(1, "y", 2), read(2, "y", 2), read(2, "x", 0)), []string{check.WritesFollowReads}, "before which client 1 had read x = 1"},
		{"stale, but no client can tell", at(write(0, "x", 1), read(1, "x", 0), read(1, "x", 1)), nil, ""},
		{"two clients see two orders", at(write(0, "x", 1), write(1, "x", 2), read(2, "x", 1), read(2, "x", 2), read(3, "x", 2), read(3, "x", 1)), nil, ""},
	} {
		var violated []string
		text := ""
		for _, r := range check.Sessions(c.ops, check.Options{}) {
			if r.Verdict == check.Undecided {
				t.Errorf("%s: %s is undecided: %s", c.name, r.Check, r.Bound)
			}
			if r.Verdict == check.Violated {
				violated = append(violated, r.Check)
				text += r.Violations[0].Text
			}
		}
		if !slices.Equal(violated, c.violated) || !strings.Contains(text, c.text) {
			t.Errorf("%s: violated %q, want %q; explained\n%s", c.name, violated, c.violated, text)
		}
	}
}

func TestStrongestLevelIsNamed(t *testing.T) {
	for _, c := range []struct {
		name string
		ops  []check.Operation
		want string // how the line begins
	}{
		{"in order", at(write(0, "x", 1), read(1, "x", 1)), "holds: linearizable"},
		{"late for another client", at(write(0, "x", 1), read(1, "x", 0), read(1, "x", 1)), "holds: sequential; fails: linearizable, because client 0's write 1 had returned before client 1's read of null was called"},
		{"two orders", at(write(0, "x", 1), write(1, "x", 2), read(2, "x", 1), read(2, "x", 2), read(3, "x", 2), read(3, "x", 1)), "holds: causal; fails: sequential, because "},
		{"causes forgotten", at(write(0, "x", 1), read(1, "x", 1), write(1, "y", 2), read(2, "y", 2), read(2, "x", 0)), "holds: PRAM; fails: writes follow reads, because "},
		{"out of nothing", at(read(0, "x", 7)), "fails: monotonic reads, because client 0 saw 7, which nobody wrote; "},
	} {
		all := check.Consistency(c.ops, check.Options{})
		if got := all.String(); !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// Where a value could be of two writes nothing is claimed.
func TestValuesThatAreNotUniqueAreUndecided(t *testing.T) {
	ops := at(write(0, "x", 1), write(1, "x", 1), read(2, "x", 1))
	for _, r := range check.Sessions(ops, check.Options{}) {
		if r.Verdict != check.Undecided || !strings.Contains(r.Bound, "written more than once") {
			t.Errorf("%s is %s: %s", r.Check, r.Verdict, r.Bound)
		}
	}
}

// Two CAS of one value can't both hold: no order explains them.
func TestSequentialKeepsCASWhole(t *testing.T) {
	cas := func(client int, old, to int64) check.Operation {
		return check.Operation{Process: client, F: "cas", Key: "x", Input: event.List(event.Int(old), event.Int(to))}
	}
	for want, ops := range map[check.Verdict][]check.Operation{
		check.Holds:    at(write(0, "x", 1), cas(1, 1, 2), cas(2, 2, 3), read(1, "x", 3)),
		check.Violated: at(write(0, "x", 1), cas(1, 1, 2), cas(2, 1, 3)),
	} {
		if r := check.Level(ops, check.Sequential, check.Options{}); r.Verdict != want {
			t.Errorf("%s %s, want %s:\n%s", r.Verdict, r.Bound, want, listing(ops))
		}
	}
}

func TestConvergedNamesWhoDiffers(t *testing.T) {
	m := func(v int64) event.Value {
		return event.MapOf(event.NewMap(event.Entry{Key: event.String("a"), Value: event.Int(1)}, event.Entry{Key: event.String("b"), Value: event.Int(v)}))
	}
	if r := check.Converged(map[string]event.Value{"n1": m(1), "n2": m(1)}); r.Verdict != check.Holds {
		t.Errorf("equal nodes: %s", r.Verdict)
	}
	r := check.Converged(map[string]event.Value{"n1": m(1), "n2": m(2), "n3": m(1)})
	if r.Verdict != check.Violated || !strings.Contains(r.Violations[0].Text, `The first entry that differs is "b": 1 on n1, 2 on n2.`) {
		t.Errorf("%s %v", r.Verdict, r.Violations)
	}
}

// Every violation has a picture.
func TestViolationsHavePictures(t *testing.T) {
	ops := at(write(0, "x", 1), write(0, "x", 2), read(1, "x", 2), read(1, "x", 1))
	all := check.Consistency(ops, check.Options{})
	for _, r := range all.Results {
		for _, v := range r.Violations {
			var page strings.Builder
			if err := v.HTML(&page); err != nil || !strings.Contains(page.String(), "<html") || !strings.Contains(page.String(), "svg") {
				t.Errorf("%s: %v, %d bytes", r.Check, err, page.Len())
			}
		}
	}
}
