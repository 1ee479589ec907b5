package rql_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/hlc"
	"hindcast.dev/rql"
)

// A longBank is a History of so many transfers between the accounts of nodes, of
// which many are under way at a time, and arrive in no order.
type longBank struct {
	b        *history.Builder
	r        *rand.Rand
	now      hlc.Timestamp
	balances [bankNodes][bankAccounts]int64
	flying   []transfer
	events   int
}

type transfer struct {
	id       string
	from, to int
	amount   int64
}

const (
	bankNodes    = 5
	bankAccounts = 4
	bankTotal    = bankNodes * bankAccounts * 1000
)

func (l *longBank) add(node int, ev history.Event, sets ...history.Assign) {
	l.events++
	l.now += hlc.Timestamp(1 + l.r.IntN(1<<12))
	ev.Time = l.now
	l.b.Append(fmt.Sprint("n", node), history.EventSpec{Event: ev, Set: sets})
}

// book changes an account.
func (l *longBank) book(node int, by int64) history.Assign {
	account := l.r.IntN(bankAccounts)
	l.balances[node][account] += by
	return history.Assign{Path: fmt.Sprintf(`bank.accounts["%d"].balance`, account), Value: event.Int(l.balances[node][account])}
}

func (l *longBank) pay(i int) {
	t := transfer{fmt.Sprint("m", i), l.r.IntN(bankNodes), l.r.IntN(bankNodes), 1 + l.r.Int64N(100)}
	l.flying = append(l.flying, t)
	l.add(t.from, history.Event{Kind: "request", Effects: []history.Effect{{Kind: "send", ID: t.id, Peer: fmt.Sprint("n", t.to),
		Name: "bank.Credit", Data: event.MapOf((*event.Map)(nil).With(event.String("amount"), event.Int(t.amount)))}}}, l.book(t.from, -t.amount))
}

// receive books a transfer that is under way, less what is lost of it.
func (l *longBank) receive(lost int64) {
	k := l.r.IntN(len(l.flying))
	t := l.flying[k]
	l.flying[k] = l.flying[len(l.flying)-1]
	l.flying = l.flying[:len(l.flying)-1]
	l.add(t.to, history.Event{Kind: "recv", ID: t.id, Peer: fmt.Sprint("n", t.from)}, l.book(t.to, t.amount-lost))
	if l.r.IntN(10) == 0 { // a copy that is refused
		l.add(t.to, history.Event{Kind: "recv", ID: t.id, Peer: fmt.Sprint("n", t.from)})
	}
}

// build makes the History; of transfer number broken something is lost.
func (l *longBank) build(t *testing.T, transfers, underWay, broken int) (src *history.Mem, at int) {
	l.b, l.r, l.now = history.NewBuilder(), rand.New(rand.NewPCG(7, 7)), 1<<32
	for n := range bankNodes {
		var sets []history.Assign
		for a := range bankAccounts {
			l.balances[n][a] = 1000
			sets = append(sets, history.Assign{Path: fmt.Sprintf(`bank.accounts["%d"].balance`, a), Value: event.Int(1000)})
		}
		l.add(n, history.Event{Kind: "start"}, sets...)
	}
	for i := range transfers {
		l.pay(i)
		if len(l.flying) > underWay {
			lost := int64(0)
			if i == broken {
				lost, at = 1, l.events
			}
			l.receive(lost)
		}
	}
	for len(l.flying) > 0 {
		l.receive(0)
	}
	src, err := l.b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return src, at
}

// money asks for the cuts at which money is made or lost.
func money(t *testing.T, src *history.Mem) []*rql.Row {
	q, err := rql.Compile(src.Meta(), fmt.Sprintf("SELECT COUNT(net.inflight[*][*]) AS n, "+
		"SUM(bank.accounts[*].balance) + SUM(net.inflight[*][*].data.amount) AS money FROM bank, net "+
		"WHEN COUNT(bank.accounts) = %d AND SUM(bank.accounts[*].balance) + SUM(net.inflight[*][*].data.amount) != %d", bankNodes, bankTotal))
	if err != nil {
		t.Fatal(err)
	}
	var rows []*rql.Row
	sum, err := q.Run(context.Background(), src, rql.Options{}, func(r *rql.Row) error { rows = append(rows, r); return nil })
	if err != nil || sum.Cuts != src.Meta().Events {
		t.Fatalf("%d cuts of %d, error %v", sum.Cuts, src.Meta().Events, err)
	}
	return rows
}

// At every cut of a long run balances and messages under way come to the same sum,
// and where one unit is lost the very cut is found.
func TestMoneyIsConservedAtEveryCutOfALongRun(t *testing.T) {
	transfers, underWay := 20_000, 5_000
	if testing.Short() {
		transfers, underWay = 4_000, 1_000
	}
	src, _ := (&longBank{}).build(t, transfers, underWay, -1)
	if rows := money(t, src); len(rows) > 0 {
		t.Errorf("of %d cuts %d runs break the sum, the first at %s", src.Meta().Events, len(rows), rows[0].From)
	}
	src, at := (&longBank{}).build(t, transfers, underWay, transfers/2)
	rows := money(t, src)
	if len(rows) != 1 || rows[0].Cuts != src.Meta().Events-uint64(at) || !rows[0].Open {
		t.Fatalf("a loss at cut %d of %d isn't one row to the end: %d rows, %+v", at+1, src.Meta().Events, len(rows), rows)
	}
	n, _ := rows[0].Values[0].Value.AsInt()
	left, _ := rows[0].Values[1].Value.AsInt()
	if n != int64(underWay) || left != bankTotal-1 {
		t.Errorf("%d under way and %d in all, want %d and %d", n, left, underWay, bankTotal-1)
	}
}
