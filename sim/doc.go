// Package sim runs a whole system under one seed: production's loop, stepper,
// journal and machines, in a world whose time, network, disks and clocks are
// simulated. The seed decides everything, so a failure is one line to paste.
//
//	subject ── Setup ──▶ world ── queue: what happens next, in virtual time
//	                      │ nodes      production's loop on vfs.Mem
//	                      │ network    delay, loss, order, partitions
//	                      │ nemesis    a schedule of faults: FAULTS.md
//	                      │ clients    operations, and what came of them
//	                      ▼
//	                    judges: invariants, RQL over the History, checkers of
//	                    operations, convergence
//
// A run is one goroutine and touches nothing global; many may run at once. A run
// reads no clock, no map order and no scheduler: the same seed of the same build
// gives the same hash, anywhere.
package sim
