package check

import (
	"fmt"
	"testing"
)

// BenchmarkTransactions judges 100,000 transactions of ten overlapping clients:
// of a database without anomalies, and of those where nearly all of the history
// is one knot.
func BenchmarkTransactions(b *testing.B) {
	b.Run("nothing is stored/100000", func(b *testing.B) { benchTransactions(b, storesNothing(100_000)) })
	for _, name := range []string{"strict serializable", "snapshot isolation", "generalised snapshot isolation", "stale reads", "read committed"} {
		for _, db := range toyDBs {
			if db.name != name {
				continue
			}
			const txns = 100_000
			ops := db.run(1, txns, 10).operations()
			b.Run(fmt.Sprintf("%s/%d", name, txns), func(b *testing.B) { benchTransactions(b, ops) })
		}
	}
}

func benchTransactions(b *testing.B, ops []Operation) {
	b.ReportAllocs()
	for b.Loop() {
		if r := Transactions(ops, Options{}); r.Verdict == Undecided {
			b.Fatal(r.Bound)
		}
	}
	b.ReportMetric(float64(len(ops))*float64(b.N)/b.Elapsed().Seconds(), "txn/s")
}

// storesNothing is a history in which all read and append, and nobody ever sees
// anything: between any two there is a dependency.
func storesNothing(n int) []Operation {
	h := &slowHistory{final: make([][]int, 1)}
	for i := range n {
		at := int64(i)
		h.txns = append(h.txns, slowTxn{process: i % 10, call: 10 * at, ret: 10*at + 50, outcome: Ok,
			ops: []slowOp{{}, {append: true, elem: i}}})
	}
	return h.operations()
}
