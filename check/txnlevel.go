package check

import (
	"fmt"
	"slices"
	"strings"
)

// The levels of isolation, and how strictly they must respect an order that
// clients can see. A model is one of each: the grid of docs/transactions.md.
const (
	readUncommitted = iota
	readCommitted
	snapshotIsolation
	repeatableRead
	serializable
	levels
)

const (
	anyOrder     = iota // the order may be any
	sessionOrder        // that of each client holds
	timeOrder           // what returned before another was called comes before it
	orders
)

var levelNames = [levels]string{"read uncommitted", "read committed", "snapshot isolation", "repeatable read", "serializable"}
var orderPrefixes = [orders]string{"", "strong session ", "strong "}

// A txnModel is a consistency model of transactions.
type txnModel struct{ level, order int }

func (m txnModel) String() string {
	if m == (txnModel{serializable, timeOrder}) {
		return "strict serializable"
	}
	return orderPrefixes[m.order] + levelNames[m.level]
}

// atMost reports whether every history that o allows m allows too.
func (m txnModel) atMost(o txnModel) bool {
	level := m.level <= o.level
	if m.level == snapshotIsolation && o.level == repeatableRead {
		level = false // neither implies the other
	}
	return level && m.order <= o.order
}

// txnModels are all of them, weaker ones first.
func txnModels() []txnModel {
	var all []txnModel
	for order := range orders {
		for level := range levels {
			all = append(all, txnModel{level, order})
		}
	}
	return all
}

// IsolationModels returns the names of the consistency models that Transactions
// can ask for, weaker ones first.
func IsolationModels() []string {
	var names []string
	for _, m := range txnModels() {
		names = append(names, m.String())
	}
	return names
}

// txnModelByName reads a model's name, with blanks or hyphens; "" is the
// strongest.
func txnModelByName(name string) (txnModel, error) {
	name = strings.ToLower(strings.NewReplacer("-", " ", "_", " ").Replace(name))
	if name == "" || name == "strong serializable" {
		name = "strict serializable"
	}
	for _, m := range txnModels() {
		if m.String() == name {
			return m, nil
		}
	}
	return txnModel{}, fmt.Errorf("no isolation model is called %q; there are: %s", name, strings.Join(IsolationModels(), ", "))
}

// An anomalyClass is a kind of anomaly, without its -process or -realtime.
type anomalyClass struct {
	name  string
	gloss string // what it is, in words
	level int    // the weakest level that excludes it
}

// The classes, worst first.
const (
	garbageRead = iota
	duplicateElements
	reorderedAppends
	g0
	incompatibleOrder
	g1a
	g1b
	futureRead
	g1c
	internalRead
	lostUpdate
	gSingle
	gNonadjacent
	g2Item
	classes
)

var anomalyClasses = [classes]anomalyClass{
	garbageRead:       {"garbage read", "a read gave an element that nobody appended", readUncommitted},
	duplicateElements: {"duplicate elements", "an element that was appended once stands in a list twice", readUncommitted},
	reorderedAppends:  {"reordered appends", "a transaction's own appends stand in a list in another order, or one of them is missing", readUncommitted},
	g0:                {"G0", "write cycle: the appends of transactions are interleaved", readUncommitted},
	incompatibleOrder: {"incompatible order", "two versions of a list, neither of which grew out of the other", readCommitted},
	g1a:               {"G1a", "aborted read: a committed transaction read what a failed one appended", readCommitted},
	g1b:               {"G1b", "intermediate read: a version from the middle of another transaction", readCommitted},
	futureRead:        {"future read", "a transaction read an element before it appended it itself", readCommitted},
	g1c:               {"G1c", "circular information flow: transactions that each depend on what the other wrote", readCommitted},
	internalRead:      {"internal", "a transaction's reads contradict its own earlier steps", snapshotIsolation},
	lostUpdate:        {"lost update", "two transactions changed the same version of a list", snapshotIsolation},
	gSingle:           {"G-single", "read skew: a transaction saw another's effects in part only", snapshotIsolation},
	gNonadjacent:      {"G-nonadjacent", "long fork: a cycle of dependencies in which no two anti-dependencies meet", snapshotIsolation},
	g2Item:            {"G2-item", "write skew: transactions that each did not see what the other wrote", repeatableRead},
}

var orderSuffixes = [orders]string{"", "-process", "-realtime"}

// An anomalyForm is a class with the orders that its cycle needs.
type anomalyForm struct{ class, order int }

func (f anomalyForm) String() string { return anomalyClasses[f.class].name + orderSuffixes[f.order] }

// excludes reports whether a history with the anomaly is none of the model. What
// snapshot isolation excludes, repeatable read of items excludes too: the levels'
// numbers are enough.
func (f anomalyForm) excludes(m txnModel) bool {
	return m.level >= anomalyClasses[f.class].level && m.order >= f.order
}

// isolation is what remains after the anomalies: of all models the strongest
// that none of them excludes, and those that are excluded.
func isolation(forms []anomalyForm) (strongest, excluded []txnModel) {
	var left []txnModel
	for _, m := range txnModels() {
		if slices.ContainsFunc(forms, func(f anomalyForm) bool { return f.excludes(m) }) {
			excluded = append(excluded, m)
		} else {
			left = append(left, m)
		}
	}
	for _, m := range left {
		if !slices.ContainsFunc(left, func(o txnModel) bool { return o != m && m.atMost(o) }) {
			strongest = append(strongest, m)
		}
	}
	slices.SortFunc(strongest, func(a, b txnModel) int { return b.level - a.level })
	return strongest, excluded
}

// weakest returns those of the excluded models that are no stronger than another
// one: to name them names all.
func weakest(excluded []txnModel) []txnModel {
	var out []txnModel
	for _, m := range excluded {
		if !slices.ContainsFunc(excluded, func(o txnModel) bool { return o != m && o.atMost(m) }) {
			out = append(out, m)
		}
	}
	return out
}
