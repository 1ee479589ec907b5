package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/hlc"
	"hindcast.dev/rql"
)

// Of the bank: how many nodes, accounts on each, with how much in each.
const (
	bankNodes    = 10
	bankAccounts = 10
	bankOpening  = 1000
)

// transfers are so many events of a bank: a node takes an amount from an account
// and sends it to another node, which puts it into one of its own. underWay
// messages are on their way at a time, once so many were sent.
func transfers(tb testing.TB, events, underWay int) *history.Mem {
	r := rand.New(rand.NewPCG(1, 1))
	b := history.NewBuilder()
	now := hlc.Timestamp(1 << 32)
	add := func(node int, ev history.Event, account int, to event.Value) {
		now += hlc.Timestamp(1 + r.IntN(1<<14))
		ev.Time = now
		a := history.Assign{Path: "bank.accounts", Value: to}
		if account >= 0 {
			a.Path = fmt.Sprintf(`bank.accounts["%d"]`, account)
		}
		b.Append(fmt.Sprint("n", node), history.EventSpec{Event: ev, Set: []history.Assign{a}})
	}
	var balances [bankNodes][bankAccounts]int64
	for n := range balances {
		all := (*event.Map)(nil)
		for i := range balances[n] {
			balances[n][i] = bankOpening
			all = all.With(event.String(fmt.Sprint(i)), event.Int(bankOpening))
		}
		add(n, history.Event{Kind: "start"}, -1, event.MapOf(all))
	}
	type transfer struct {
		id       string
		from, to int
		amount   int64
	}
	var flying []transfer
	for i := bankNodes; i < events; i++ {
		account := r.IntN(bankAccounts)
		if len(flying) > underWay {
			k := r.IntN(len(flying))
			t := flying[k]
			flying[k] = flying[len(flying)-1]
			flying = flying[:len(flying)-1]
			balances[t.to][account] += t.amount
			add(t.to, history.Event{Kind: "recv", ID: t.id, Peer: fmt.Sprint("n", t.from)}, account, event.Int(balances[t.to][account]))
			continue
		}
		t := transfer{fmt.Sprint("m", i), r.IntN(bankNodes), r.IntN(bankNodes), r.Int64N(100)}
		flying = append(flying, t)
		balances[t.from][account] -= t.amount
		send := history.Effect{Kind: "send", ID: t.id, Peer: fmt.Sprint("n", t.to), Name: "bank.Credit",
			Data: event.MapOf((*event.Map)(nil).With(event.String("amount"), event.Int(t.amount)))}
		add(t.from, history.Event{Kind: "request", Effects: []history.Effect{send}}, account, event.Int(balances[t.from][account]))
	}
	src, err := b.Build()
	if err != nil {
		tb.Fatal(err)
	}
	return src
}

// netRows are questions about money, and about nothing but the accounts.
var netRows = []struct{ name, query string }{
	{"accounts", "SELECT TIME() FROM bank WHEN COUNT(bank.accounts) = 10 AND SUM(bank.accounts[*]) > 100000"},
	{"money", "SELECT TIME() FROM bank, net WHEN COUNT(bank.accounts) = 10 AND SUM(bank.accounts[*]) + SUM(net.inflight[*][*].data.amount) != 100000"},
	{"count", "SELECT TIME() FROM net WHEN COUNT(net.inflight[*][*]) > 1000000"},
	{"largest", "SELECT TIME() FROM net WHEN MAX(net.inflight[*][*].data.amount) > 1000"},
	{"lists", "SELECT net.inflight FROM bank, net WHEN COUNT(bank.accounts) = 10 AND SUM(bank.accounts[*]) + SUM(net.inflight[*][*].data.amount) != 100000"},
}

// BenchmarkInflight gives cuts per second of processor time over a million events
// with so many messages under way, and how many times longer than the question
// without log net it takes.
func BenchmarkInflight(b *testing.B) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	for _, underWay := range []int{10, 10_000} {
		src := transfers(b, 1_000_000, underWay)
		var without float64
		for _, row := range netRows {
			b.Run(fmt.Sprintf("%s/%d", row.name, underWay), func(b *testing.B) {
				var spent time.Duration
				for b.Loop() {
					began := userTime()
					askNothing(b, src, row.query)
					spent += userTime() - began
				}
				speed := float64(b.N) * float64(src.Meta().Events) / spent.Seconds()
				if without == 0 {
					without = speed
				}
				b.ReportMetric(speed, "cuts/s")
				b.ReportMetric(without/speed, "x_without")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

// askNothing asks what never holds.
func askNothing(b *testing.B, src history.Source, query string) {
	q, err := rql.Compile(src.Meta(), query)
	if err != nil {
		b.Fatal(err)
	}
	sum, err := q.Run(context.Background(), src, rql.Options{}, func(*rql.Row) error { return nil })
	if err != nil || sum.Cuts != src.Meta().Events || sum.Rows != 0 {
		b.Fatalf("%d cuts, %d rows, error %v", sum.Cuts, sum.Rows, err)
	}
}
