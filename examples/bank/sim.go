package bank

import (
	"fmt"
	"time"

	"hindcast.dev/check"
	"hindcast.dev/event"
	"hindcast.dev/sim"
)

// Conserved is the condition that no money is made or lost, of n nodes with a
// accounts each: once all have started, balances and messages under way come to
// what was there at first. It holds where no message is lost.
func Conserved(n, a int) string {
	return fmt.Sprintf("COUNT(bank.accounts) < %d OR SUM(bank.accounts[*].balance) + SUM(net.inflight[*][*].data.amount) = %d", n, n*a*Opening)
}

// Sim is the bank as the simulator runs it, with all faults.
func Sim() *sim.Subject {
	return &sim.Subject{Name: Name, Doc: "accounts on three nodes, with transfers between them", Machines: Registry(),
		Setup: func(w *sim.World) {
			simulate(w)
			w.Without("money that is forgotten can be spent again",
				sim.FaultDiskLoss, sim.FaultReadError, sim.FaultBitRot, sim.FaultLostWrite, sim.FaultMisplaced)
			w.Never("a transfer is taken twice, or before it is made", "SUM(bank.got[*]) > SUM(bank.paid[*])")
			w.Always("a node's balances are what it had, less what it paid, plus what it got", fmt.Sprintf(
				"COUNT(bank.accounts) < 3 OR SUM(bank.accounts[*].balance) + SUM(bank.paid[*]) - SUM(bank.got[*]) = %d", 3*DefaultAccounts*Opening))
			w.Converges("nothing is owed", func(n *sim.Node) string {
				b, ok := n.Machine(Name).(*Bank)
				if !ok || b.Owed.Len() > 0 {
					return n.Name() + " owes"
				}
				return "nothing is owed"
			})
		}}
}

func simulate(w *sim.World) {
	w.Cluster(3)
	w.CoreSize(3) // money that is owed to a node that is away waits for it
	w.Clients(sim.Workload{
		Clients: w.Int("clients", 2, 8),
		Think:   w.Duration("think", time.Millisecond, 20*time.Millisecond),
		Timeout: 3 * time.Second,
		Next: func(c *sim.Client) sim.Op {
			m := Transfer{Amount: 1 + int64(c.Rand.IntN(100))}
			at := fmt.Sprint("n", 1+c.Rand.IntN(3))
			m.From = fmt.Sprintf("%s/%d", at, c.Rand.IntN(DefaultAccounts))
			m.To = fmt.Sprintf("n%d/%d", 1+c.Rand.IntN(3), c.Rand.IntN(DefaultAccounts))
			return sim.Op{F: "transfer", Key: m.From, Input: event.Int(m.Amount), Node: at, Machine: Name, Body: m}
		},
		Found: func(_ *sim.Client, _ *sim.Op, a sim.Answer) sim.Finding {
			if done, ok := a.Body.(Done); ok {
				return sim.Finding{Outcome: check.Ok, Output: event.Int(done.Balance)}
			}
			return sim.Finding{Outcome: check.Fail}
		},
	})
	w.Sometimes("money is under way", "SUM(net.inflight[*][*].data.amount) > 0")
}
