// Package lattice searches the consistent cuts of a computation, not only those
// that were observed: what could have held (possibly) and what must have held
// (definitely), whatever the relative speed of the processes was.
//
// A Computation is what n processes did and which event happened before which.
// Its consistent cuts form a lattice; a path through it, one event at a time from
// the bottom to the top, is one of the orders in which everything may have
// happened. possibly p: some cut satisfies p. definitely p: every path passes a
// cut that does.
//
// Each class of condition has its algorithm:
//
//	conjunctive   one condition for each process, all of them at once
//	              Least, the least cut: Garg and Waldecker, "Detection of weak
//	              unstable predicates in distributed programs" (1994)
//	              Inevitable: Garg and Waldecker, "Detection of strong unstable
//	              predicates in distributed programs" (1996)
//	sum           one number for each process, their sum against a constant
//	              Max: Chase and Garg, "Detection of global predicates: techniques
//	              and their limitations" (1998), section 5, by the closure of
//	              greatest weight: Picard, "Maximal closure of a graph" (1976)
//	general       First and Avoid: Cooper and Marzullo, "Consistent detection of
//	              global predicates" (1991), under a bound on the cuts reached
//
// What is not known to be polynomial: whether a sum is equal to a constant
// (subset sum), unless every event changes it by one at most, for then the sum
// passes every value between its extremes (Tomlinson and Garg, "Detecting
// relational global predicates", 1993); the first cut, by the number of events,
// at which a sum reaches a constant (knapsack); and whether a sum definitely
// reaches one, which is the sequencing to minimize the maximum cumulative cost of
// Abdel-Wahab and Kameda (1978), NP-complete also for steps of one. For these
// there is the bounded search.
//
// The package is pure and knows no values, only processes and numbers of events.
package lattice
