// Package rql answers cut queries over a History: it walks the consistent cuts
// and gives those where a condition over variables of several nodes holds.
//
//	q, err := rql.Compile(src.Meta(), "SELECT inv.a FROM inv WHEN inv.a > 5")
//	sum, err := q.Run(ctx, src, rql.Options{}, func(r *rql.Row) error { … })
//
// The engine is incremental: an event changes one node, and only what reads
// something that it changed is decided again. The condition is cut into parts
// that share no chosen node (package plan); for each part a truth value per node,
// or per key, is kept. What the parts don't allow is enumerated, bounded by
// Options.MaxCombinations. An Evaluator is the same engine for those who step
// themselves.
//
// Values are exact: ints have any size within an expression, and a sum or
// average of floats over a collection is rounded once, whatever the order of its
// members.
//
// The package is pure: it looks at no clock and starts no goroutine.
package rql
