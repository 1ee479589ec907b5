package check

import (
	"io"
	"math/rand/v2"
	"testing"

	"hindcast.dev/event"
)

// FuzzTransactions gives all sorts of operations, as a JSON list of [process,
// outcome, call, return, input, output], and looks at all that is explained.
func FuzzTransactions(f *testing.F) {
	for seed := range uint64(20) {
		var all []event.Value
		for _, op := range randomHistory(rand.New(rand.NewPCG(seed, 4))).operations() {
			all = append(all, event.List(event.Int(int64(op.Process)), event.Int(int64(op.Outcome)), event.Int(op.Call), event.Int(op.Return), op.Input, op.Output))
		}
		f.Add(event.List(all...).AppendJSON(nil))
	}
	f.Add([]byte(`[[0,1,0,9,[["append","x",1],["append","x",1]],[["r","x",[1,1,null,{}]],["r",null,null]]]]`))
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := event.ParseValue(b)
		if err != nil {
			return
		}
		var ops []Operation
		for _, m := range v.Members() {
			w := m.Members()
			if len(w) != 6 {
				return
			}
			number := func(i int) int64 { n, _ := w[i].AsInt(); return n }
			ops = append(ops, Operation{Process: int(number(0)), F: "txn", Outcome: Outcome(uint64(number(1)) % 3), Call: number(2), Return: number(3), Input: w[4], Output: w[5]})
		}
		r := Transactions(ops, Options{Violations: 100})
		if r.Verdict == Undecided && r.Bound == "" || r.Verdict == Violated && len(r.Violations) == 0 {
			t.Errorf("%s, %q, %d violations", r.Verdict, r.Bound, len(r.Violations))
		}
		for i := range r.Violations {
			if r.Violations[i].Text == "" || len(r.Violations[i].Operations) == 0 {
				t.Errorf("%s is not explained", r.Violations[i].Property)
			}
			if err := r.Violations[i].HTML(io.Discard); err != nil {
				t.Error(err)
			}
		}
	})
}
