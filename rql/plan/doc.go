// Package plan checks a parsed query against what a History has and turns it
// into a plan: names resolved to variables, placeholders numbered, the nodes
// that must be chosen together joined into slots, and the condition cut into
// parts that can be decided apart from each other. A plan is immutable and holds
// no state of a run; package rql runs it.
//
// # Slots
//
// Every occurrence of a variable in scalar position is a placeholder, $1, $2, …
// A slot is a node to be chosen; placeholders under one LINK SAME_NODE share a
// slot, each other placeholder of COMPUTE and WHEN has its own. LINK EACH_NODE
// has a slot that runs over all its nodes, and an item of SELECT one that runs
// over the nodes shown.
package plan

// MaxPlaceholders is how many placeholders a query may have.
const MaxPlaceholders = 4096
