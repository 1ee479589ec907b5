package check

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sort"
	"strings"
	"testing"

	"hindcast.dev/event"
)

// The slow models know nothing of graphs or components: they try every order.

// A slowTxn is a transaction of a small history.
type slowTxn struct {
	process   int
	call, ret int64
	outcome   Outcome
	ops       []slowOp
}

// A slowOp appends elem to key, or reads list from it.
type slowOp struct {
	append bool
	key    int
	elem   int
	list   []int
}

// A slowHistory is some transactions and what the lists hold in the end, which a
// last transaction reads.
type slowHistory struct {
	txns  []slowTxn
	final [][]int
}

func (h *slowHistory) operations() []Operation {
	end := int64(0)
	var ops []Operation
	for i, t := range h.txns {
		var micros []event.Value
		for _, m := range t.ops {
			micros = append(micros, m.value(t.outcome == Ok))
		}
		op := Operation{Process: t.process, F: "txn", Input: event.List(micros...), Call: t.call, Return: t.ret, Outcome: t.outcome, Ref: fmt.Sprintf("txn %d", i+1)}
		if t.outcome == Ok {
			op.Output = op.Input
		}
		ops = append(ops, op)
		if t.ret != Open {
			end = max(end, t.ret)
		}
	}
	var last []event.Value
	for k, list := range h.final {
		last = append(last, slowOp{key: k, list: list}.value(true))
	}
	return append(ops, Operation{Process: 1 << 20, F: "txn", Output: event.List(last...), Call: end + 1, Return: end + 2, Outcome: Ok, Ref: "last"})
}

func (m slowOp) value(known bool) event.Value {
	key := event.String(string(rune('x' + m.key)))
	if m.key > 2 {
		key = event.Int(int64(m.key))
	}
	if m.append {
		return event.List(event.String("append"), key, event.Int(int64(m.elem)))
	}
	var vs []event.Value
	for _, e := range m.list {
		vs = append(vs, event.Int(int64(e)))
	}
	if !known {
		return event.List(event.String("r"), key, event.Null())
	}
	return event.List(event.String("r"), key, event.List(vs...))
}

// String is the history in the notation of the scripts.
func (h *slowHistory) String() string {
	var b strings.Builder
	for _, op := range h.operations() {
		v := op.Output
		if v.IsAbsent() {
			v = op.Input
		}
		fmt.Fprintf(&b, "%d %s %d-%d: %s\n", op.Process, op.Outcome, op.Call, op.Return, microText(v))
	}
	return b.String()
}

// took returns the transactions that took effect: Ok, or Info with an element in
// the final lists.
func (h *slowHistory) took() []*slowTxn {
	var out []*slowTxn
	for i := range h.txns {
		t := &h.txns[i]
		seen := slices.ContainsFunc(t.ops, func(m slowOp) bool { return m.append && slices.Contains(h.final[m.key], m.elem) })
		if t.outcome == Ok || t.outcome == Info && seen {
			out = append(out, t)
		}
	}
	return out
}

// precedes reports whether a must take effect before b.
func precedes(a, b *slowTxn, order int) bool {
	if a.outcome != Ok || a == b {
		return false
	}
	return order >= sessionOrder && a.process == b.process && a.ret <= b.call || order == timeOrder && a.ret < b.call
}

// agrees runs a transaction on lists, and reports whether it reads what it read.
// It returns the lists afterwards.
func (t *slowTxn) agrees(lists [][]int) ([][]int, bool) {
	lists = slices.Clone(lists)
	for _, m := range t.ops {
		if m.append {
			lists[m.key] = append(slices.Clone(lists[m.key]), m.elem)
		} else if t.outcome == Ok && !slices.Equal(lists[m.key], m.list) {
			return nil, false
		}
	}
	return lists, true
}

func equalLists(a, b [][]int) bool { return slices.EqualFunc(a, b, slices.Equal[[]int]) }

// serial reports whether the transactions can have happened one after the other.
func (h *slowHistory) serial(order int) bool {
	var try func(left []*slowTxn, lists [][]int) bool
	try = func(left []*slowTxn, lists [][]int) bool {
		if len(left) == 0 {
			return equalLists(lists, h.final)
		}
		for i, t := range left {
			if slices.ContainsFunc(left, func(o *slowTxn) bool { return precedes(o, t, order) }) {
				continue
			}
			if after, ok := t.agrees(lists); ok && try(slices.Delete(slices.Clone(left), i, i+1), after) {
				return true
			}
		}
		return false
	}
	return try(h.took(), make([][]int, len(h.final)))
}

// snapshots reports whether the transactions can have happened under snapshot
// isolation: each reads from the moment of its start, and commits only if nobody
// committed to its lists since.
func (h *slowHistory) snapshots(order int) bool {
	took := h.took()
	type running struct {
		begun, done bool
		lists       [][]int
	}
	state := make([]running, len(took))
	var try func(lists [][]int, left int) bool
	try = func(lists [][]int, left int) bool {
		if left == 0 {
			return equalLists(lists, h.final)
		}
		for i, t := range took {
			was := state[i]
			switch {
			case was.done:
				continue
			case !was.begun:
				waits := false
				for j, o := range took {
					waits = waits || precedes(o, t, order) && !state[j].done
				}
				if _, ok := t.agrees(lists); waits || !ok {
					continue
				}
				state[i] = running{begun: true, lists: lists}
				if try(lists, left) {
					return true
				}
			default:
				after, ok := t.commits(was.lists, lists)
				if !ok {
					continue
				}
				state[i].done = true
				if try(after, left-1) {
					return true
				}
			}
			state[i] = was
		}
		return false
	}
	return try(make([][]int, len(h.final)), len(took))
}

// commits appends to lists what the transaction appended, unless somebody else
// did since.
func (t *slowTxn) commits(begun, lists [][]int) ([][]int, bool) {
	lists = slices.Clone(lists)
	for k := range lists {
		own := lists[k]
		for _, m := range t.ops {
			if m.append && m.key == k {
				if len(begun[k]) != len(lists[k]) {
					return nil, false
				}
				own = append(slices.Clone(own), m.elem)
			}
		}
		lists[k] = own
	}
	return lists, true
}

// randomHistory makes a history whose transactions read the state of the moment
// or, in some histories, an older one; and then changes some reads, final lists
// and outcomes, or none.
func randomHistory(r *rand.Rand) *slowHistory {
	h := &slowHistory{final: make([][]int, 1+r.IntN(3))}
	elem, free, stale := 0, map[int]int64{}, 1+r.IntN(3)
	var past [][][]int
	spread := int64(1 + r.IntN(40))
	for i := range 2 + r.IntN(4) {
		at := int64(10 * (i + 1))
		t := slowTxn{outcome: Ok, process: r.IntN(4), call: at - r.Int64N(spread), ret: at + 1 + r.Int64N(spread)}
		if r.IntN(8) == 0 {
			t.outcome = Info
		}
		for range 1 + r.IntN(3) {
			m := slowOp{append: r.IntN(2) == 0, key: r.IntN(len(h.final))}
			if m.append {
				elem++
				m.elem = elem
			}
			t.ops = append(t.ops, m)
		}
		past = append(past, slices.Clone(h.final))
		t.run(past[max(0, len(past)-1-r.IntN(stale))], h.final)
		for until, busy := free[t.process]; busy && until > t.call; until, busy = free[t.process] {
			t.process++
		}
		free[t.process] = t.ret
		if t.outcome == Info {
			free[t.process] = 1 << 40
		}
		h.txns = append(h.txns, t)
	}
	if r.IntN(5) == 0 {
		h.txns[r.IntN(len(h.txns))].outcome = Fail
	}
	for range r.IntN(8) - 4 {
		h.disturb(r)
	}
	return h
}

// run executes the transaction: it reads from a snapshot and its own appends,
// and appends to the lists.
func (t *slowTxn) run(snapshot, lists [][]int) {
	snapshot = slices.Clone(snapshot)
	for i := range t.ops {
		m := &t.ops[i]
		if m.append {
			snapshot[m.key] = append(slices.Clone(snapshot[m.key]), m.elem)
			lists[m.key] = append(slices.Clone(lists[m.key]), m.elem)
		} else {
			m.list = slices.Clone(snapshot[m.key])
		}
	}
}

// disturb changes one thing.
func (h *slowHistory) disturb(r *rand.Rand) {
	t := &h.txns[r.IntN(len(h.txns))]
	m := &t.ops[r.IntN(len(t.ops))]
	final := h.final[m.key]
	switch r.IntN(8) {
	case 0:
		if len(final) > 1 {
			i := r.IntN(len(final) - 1)
			final[i], final[i+1] = final[i+1], final[i]
		}
	case 1: // nothing is lost but all reads are in the new order
		if len(final) > 1 {
			i := r.IntN(len(final) - 1)
			final[i], final[i+1] = final[i+1], final[i]
			for i := range h.txns {
				for j := range h.txns[i].ops {
					if o := &h.txns[i].ops[j]; !o.append && o.key == m.key {
						o.list = slices.Clone(final[:min(len(o.list), len(final))])
					}
				}
			}
		}
	default:
		if !m.append {
			m.list = slices.Clone(final[:r.IntN(len(final)+1)])
		}
	}
}

// plain reports whether all that clients read are versions of the final lists
// and nothing failed was read: then a graph explains all.
func (h *slowHistory) plain() bool {
	for _, t := range h.txns {
		for _, m := range t.ops {
			if !m.append && t.outcome == Ok && (len(m.list) > len(h.final[m.key]) || !slices.Equal(m.list, h.final[m.key][:len(m.list)])) {
				return false
			}
			if m.append && t.outcome != Info && slices.Contains(h.final[m.key], m.elem) != (t.outcome == Ok) {
				return false
			}
		}
	}
	return true
}

// TestNoAnomaliesMeansThereIsAnOrder compares with the slow models: where the
// information is complete, serializability and snapshot isolation, of each
// order, are excluded exactly where no order exists.
func TestNoAnomaliesMeansThereIsAnOrder(t *testing.T) {
	n := 3000
	if testing.Short() {
		n = 800
	}
	tally := map[string]int{}
	for seed := range n {
		h := randomHistory(rand.New(rand.NewPCG(uint64(seed), 1)))
		forms := formsOf(h.operations())
		for order := range orders {
			for level, want := range map[int]bool{serializable: h.serial(order), snapshotIsolation: h.snapshots(order)} {
				m := txnModel{level, order}
				_, excluded := isolation(forms)
				tally[fmt.Sprint(m, " ", want)]++
				if got := !slices.Contains(excluded, m); got != want {
					t.Fatalf("seed %d: %s: an order exists: %v; anomalies: %v\n%s", seed, m, want, forms, h)
				}
			}
		}
	}
	for _, k := range slices.Sorted(maps.Keys(tally)) {
		t.Logf("%6d %s", tally[k], k)
		if tally[k] < n/50 {
			t.Errorf("only %d histories of %s: the generator is no good", tally[k], k)
		}
	}
}

// TestLessInformationAccusesNobody leaves out the last transaction, which read
// everything: what an order explains must still be blameless, and it must not
// matter how the graph tells of appends that nobody read.
func TestLessInformationAccusesNobody(t *testing.T) {
	n := 3000
	if testing.Short() {
		n = 800
	}
	caught := 0
	for seed := range n {
		h := randomHistory(rand.New(rand.NewPCG(uint64(seed), 3)))
		ops := h.operations()
		ops = ops[:len(ops)-1]
		forms := formsOf(ops)
		if chained := formsWith(ops, 0); !slices.Equal(forms, chained) {
			t.Fatalf("seed %d: with direct edges %v, with chains %v\n%s", seed, forms, chained, h)
		}
		_, excluded := isolation(forms)
		for order := range orders {
			if slices.Contains(excluded, txnModel{serializable, order}) {
				caught++
				if h.serial(order) {
					t.Fatalf("seed %d: there is an order for %s, but: %v\n%s", seed, txnModel{serializable, order}, forms, h)
				}
			}
			if slices.Contains(excluded, txnModel{snapshotIsolation, order}) && h.snapshots(order) {
				t.Fatalf("seed %d: there is an order for %s, but: %v\n%s", seed, txnModel{snapshotIsolation, order}, forms, h)
			}
		}
	}
	t.Logf("%d times something was excluded", caught)
	if caught < n/10 {
		t.Errorf("only %d times something was excluded: the generator is no good", caught)
	}
}

// formsOf are the anomalies found, sorted.
func formsOf(ops []Operation) []anomalyForm { return formsWith(ops, unreadDirect) }

func formsWith(ops []Operation, direct int) []anomalyForm {
	h, err := readTransactions(ops)
	if err != nil {
		panic(err)
	}
	f := &txnFindings{h: h, found: map[anomalyForm]*anomalyFound{}}
	h.orderVersions()
	f.readAnomalies()
	f.cycleAnomalies(buildGraph(h, direct))
	forms := slices.Collect(maps.Keys(f.found))
	sort.Slice(forms, func(i, j int) bool {
		a, b := forms[i], forms[j]
		return a.order < b.order || a.order == b.order && a.class < b.class
	})
	return forms
}

// slowCycles finds all forms of cycle by walking every simple cycle of a graph
// whose edges are written down from their definitions, all pairs of them.
func (h *slowHistory) slowCycles() map[anomalyForm]bool {
	took := h.took()
	writer := map[int]*slowTxn{}
	for _, t := range took {
		for _, m := range t.ops {
			if m.append {
				writer[m.elem] = t
			}
		}
	}
	type pair struct{ a, b *slowTxn }
	edges := map[pair]edgeKind{}
	add := func(a, b *slowTxn, kind edgeKind) {
		if a != b && a != nil && b != nil {
			edges[pair{a, b}] |= kind
		}
	}
	for _, list := range h.final {
		for i := 1; i < len(list); i++ {
			add(writer[list[i-1]], writer[list[i]], edgeWW)
		}
	}
	for _, t := range took {
		for _, o := range took {
			if precedes(t, o, sessionOrder) {
				add(t, o, edgeProcess)
			}
			if precedes(t, o, timeOrder) {
				add(t, o, edgeTime)
			}
		}
		for _, m := range t.ops {
			if m.append || t.outcome != Ok {
				continue
			}
			n := len(m.list)
			for n > 0 && writer[m.list[n-1]] == t {
				n--
			}
			var before *slowTxn
			if n > 0 {
				before = writer[m.list[n-1]]
				add(before, t, edgeWR)
			}
			for _, e := range h.final[m.key][n:] {
				if writer[e] != before {
					add(t, writer[e], edgeRW)
					break
				}
			}
		}
	}
	found := map[anomalyForm]bool{}
	var walk func(path []*slowTxn, kinds []edgeKind)
	walk = func(path []*slowTxn, kinds []edgeKind) {
		for _, to := range took {
			for _, kind := range []edgeKind{edgeWW, edgeWR, edgeRW, edgeProcess, edgeTime} {
				if edges[pair{path[len(path)-1], to}]&kind == 0 {
					continue
				}
				kinds := append(slices.Clone(kinds), kind)
				if to == path[0] {
					if form, ok := classify(kinds); ok {
						found[form] = true
					}
				} else if !slices.Contains(path, to) {
					walk(append(slices.Clone(path), to), kinds)
				}
			}
		}
	}
	for _, t := range took {
		walk([]*slowTxn{t}, nil)
	}
	return found
}

// classify is the form of a cycle by its definition.
func classify(kinds []edgeKind) (anomalyForm, bool) {
	var all edgeKind
	rw, meet := 0, false
	for i, k := range kinds {
		all |= k
		if k == edgeRW {
			rw++
			meet = meet || kinds[(i+1)%len(kinds)] == edgeRW
		}
	}
	form := anomalyForm{class: g0}
	switch {
	case rw == 1:
		form.class = gSingle
	case rw > 1 && meet:
		form.class = g2Item
	case rw > 1:
		form.class = gNonadjacent
	case all&edgeWR != 0:
		form.class = g1c
	}
	if all&edgeTime != 0 {
		form.order = timeOrder
	} else if all&edgeProcess != 0 {
		form.order = sessionOrder
	}
	return form, all&(edgeWW|edgeWR|edgeRW) != 0
}

// TestCyclesAreThoseOfTheDefinitions compares the forms found with those of all
// simple cycles: none is false, and what one of them excludes is excluded. Where
// cycles of several forms are in one knot, not each form is shown.
func TestCyclesAreThoseOfTheDefinitions(t *testing.T) {
	n := 6000
	if testing.Short() {
		n = 800
	}
	tally, same, compared := map[string]int{}, 0, 0
	for seed := range n {
		h := randomHistory(rand.New(rand.NewPCG(uint64(seed), 2)))
		if !h.plain() {
			continue
		}
		all := h.slowCycles()
		want := maps.Clone(all)
		maps.DeleteFunc(want, func(form anomalyForm, _ bool) bool {
			// The one that needs fewer edges tells more.
			return all[anomalyForm{form.class, anyOrder}] && form.order > anyOrder ||
				all[anomalyForm{form.class, sessionOrder}] && form.order > sessionOrder
		})
		got := map[anomalyForm]bool{}
		for _, form := range formsOf(h.operations()) {
			if slices.Contains([]int{g0, g1c, gSingle, gNonadjacent, g2Item}, form.class) {
				got[form] = true
				tally[form.String()]++
				if !all[form] {
					t.Fatalf("seed %d: found %s; there are %v\n%s", seed, form, all, h)
				}
			}
		}
		_, excluded := isolation(slices.Collect(maps.Keys(got)))
		if _, must := isolation(slices.Collect(maps.Keys(want))); !slices.Equal(excluded, must) {
			t.Fatalf("seed %d: found %v, want %v\n%s", seed, got, want, h)
		}
		compared++
		if maps.Equal(got, want) {
			same++
		}
	}
	t.Logf("%d histories, in %d the very same forms: %v", compared, same, tally)
	if same < compared*98/100 {
		t.Errorf("of %d histories only %d show the very same forms", compared, same)
	}
	musts := []string{"G0", "G1c", "G-single", "G2-item", "G0-realtime", "G-single-process", "G-single-realtime"}
	if !testing.Short() {
		musts = append(musts, "G2-item-realtime") // rare
	}
	for _, must := range musts {
		if tally[must] == 0 {
			t.Errorf("no history with %s: the generator is no good", must)
		}
	}
}
