package check

import (
	"cmp"
	"slices"
	"strings"
)

// An Isolation is what Transactions found a history to be.
type Isolation struct {
	// Strongest are the strongest consistency models that the anomalies leave; more
	// than one where neither implies the other, none where nothing is left.
	Strongest []string
	// Excluded are the weakest models that the history isn't, and with them all that
	// imply them.
	Excluded []string
	// Anomalies are the kinds found, worst first.
	Anomalies []Anomaly
}

// An Anomaly is one kind of anomaly in a history.
type Anomaly struct {
	Name     string   // "G1a", "G-single-realtime", "lost update"…
	Gloss    string   // what that is, in words
	Count    int      // how many there are; of cycles, in how many knots of transactions
	Excludes []string // the weakest models that it excludes, and with them all that imply them
	Example  Violation
}

// Transactions judges transactions over lists to which is only appended: which
// anomalies of Adya's did clients observe, and so which isolation may the database
// have given? (Adya 1999; Adya, Liskov, O'Neil 2000; after Kingsbury and Alvaro,
// Elle, 2020: a list that only grows tells the order of its versions.)
//
// It looks at operations with F "txn", whose Input and Output are lists of
// micro-operations ["append", key, element] and ["r", key, [element, …]]. Elements
// must be unique in their list: a key where they are not is left out and bounds
// the verdict. An Info transaction took effect if somebody read an append of it,
// otherwise it takes no part.
//
// The verdict is on the model named by o.Isolation; Result.Isolation tells all
// that was found, whatever was asked. What was found is there for sure; Holds
// means that the clients observed nothing else, not that nothing else happened.
// It takes time linear in the elements read, but for explanations, which are
// bounded.
func Transactions(ops []Operation, o Options) Result {
	r := Result{Model: "list-append"}
	asked, err := txnModelByName(o.Isolation)
	if err != nil {
		r.Bound = err.Error()
		return r
	}
	r.Check = asked.String()
	h, err := readTransactions(ops)
	if err != nil {
		r.Bound = err.Error()
		return r
	}
	r.Operations, r.Keys = len(h.txns), len(h.keys)
	if len(h.txns) == 0 {
		r.Bound = "there are no transactions: operations with f = txn and a list of micro-operations"
		return r
	}
	f := &txnFindings{h: h, o: o, found: map[anomalyForm]*anomalyFound{}}
	h.orderVersions()
	f.readAnomalies()
	complete := !o.stopped() && f.cycleAnomalies(buildGraph(h, unreadDirect))
	f.report(&r, asked)
	switch {
	case r.Verdict == Violated:
	case !complete:
		r.Bound = "it was stopped before all kinds of cycle were looked for"
	case h.ambiguous() != "":
		r.Bound = h.ambiguous()
	default:
		r.Verdict = Holds
	}
	return r
}

// AcceptsTransactions returns an error that names the first operation with F "txn"
// that isn't a list of micro-operations, and its place; nil if there is none.
func AcceptsTransactions(ops []Operation) error {
	_, err := readTransactions(ops)
	return err
}

// ambiguous says why a key was left out, "" if none was.
func (h *txnHistory) ambiguous() string {
	for i := range h.keys {
		if h.keys[i].twice != "" {
			return h.keys[i].twice
		}
	}
	return ""
}

// report writes the findings into the result. Its verdict is Violated if one
// excludes the model, otherwise it is left as it is.
func (f *txnFindings) report(r *Result, asked txnModel) {
	var found []*anomalyFound
	var forms []anomalyForm
	for form, a := range f.found {
		found = append(found, a)
		forms = append(forms, form)
	}
	slices.SortFunc(found, func(a, b *anomalyFound) int {
		return cmp.Or(cmp.Compare(a.form.order, b.form.order), cmp.Compare(a.form.class, b.form.class))
	})
	strongest, excluded := isolation(forms)
	r.Isolation = &Isolation{Strongest: modelNames(strongest), Excluded: modelNames(weakest(excluded))}
	for _, a := range found {
		_, excludes := isolation([]anomalyForm{a.form})
		r.Isolation.Anomalies = append(r.Isolation.Anomalies, Anomaly{
			Name: a.form.String(), Gloss: anomalyClasses[a.form.class].gloss, Count: a.count,
			Excludes: modelNames(weakest(excludes)), Example: a.examples[0],
		})
	}
	// One of each kind before a second of any.
	for i := range f.o.violationsMax() {
		for _, a := range found {
			if a.form.excludes(asked) {
				r.Verdict = Violated
				if i < len(a.examples) && len(r.Violations) < f.o.violationsMax() {
					r.Violations = append(r.Violations, a.examples[i])
				}
			}
		}
	}
}

func modelNames(models []txnModel) []string {
	var names []string
	for _, m := range models {
		names = append(names, m.String())
	}
	return names
}

// String is a report of a few lines: what was found, what that excludes, what is
// left.
func (i *Isolation) String() string {
	var b strings.Builder
	if len(i.Anomalies) == 0 {
		b.WriteString("no anomalies\n")
	}
	for _, a := range i.Anomalies {
		writeAnomaly(&b, a)
	}
	b.WriteString("strongest model left: ")
	if len(i.Strongest) == 0 {
		b.WriteString("none")
	}
	b.WriteString(strings.Join(i.Strongest, "; "))
	return b.String()
}
