package check

import (
	"fmt"
	"slices"
	"strings"

	"hindcast.dev/event"
)

// violation makes one of sentences about transactions, which they call T1, T2, …
// in the order given. Of their steps only those on the keys are shown.
func (f *txnFindings) violation(parts []int32, keys []int32, sentences ...string) Violation {
	v := Violation{}
	for _, t := range parts {
		v.Operations = append(v.Operations, *f.h.txns[t].op)
	}
	sortByCall(v.Operations)
	if len(keys) == 1 {
		v.Key = plainText(f.h.keys[keys[0]].name)
	}
	if f.o.Plain {
		return v
	}
	lines := []string{""} // for the anomaly's name
	for i, t := range parts {
		lines = append(lines, fmt.Sprintf("  T%d is %s", i+1, f.describe(t, keys)))
	}
	v.Text = strings.Join(append(lines, sentences...), "\n")
	return v
}

// describe is one transaction: whose, where it stands, and its steps on the keys.
func (f *txnFindings) describe(t int32, keys []int32) string {
	tx := &f.h.txns[t]
	s := fmt.Sprintf("client %d", tx.op.Process)
	if tx.op.Ref != "" {
		s += ", " + tx.op.Ref
	}
	var parts []string
	left := 0
	for i := range tx.ops {
		m := &tx.ops[i]
		if !slices.Contains(keys, m.key) {
			left++
			continue
		}
		parts = append(parts, f.step(m))
	}
	if left > 0 {
		parts = append(parts, fmt.Sprintf("%d more", left))
	}
	return s + ": " + strings.Join(parts, ", ") + outcomeText(tx.op.Outcome)
}

// step is a micro-operation in words.
func (f *txnFindings) step(m *microOp) string {
	key := f.keyText(m.key)
	switch {
	case m.isAppend:
		return "append " + key + " " + elementText(m.value)
	case !m.known:
		return "r " + key + " ?"
	}
	return "r " + key + " " + listText(m.list)
}

func (f *txnFindings) keyText(key int32) string { return elementText(f.h.keys[key].name) }

// elementMax is how much of a long element or key is shown.
const elementMax = 24

func elementText(v event.Value) string { return clip(plainText(v), elementMax) }

// explainOrder: a version that is no beginning of the longest one.
func (f *txnFindings) explainOrder(t int32, m *microOp) Violation {
	k := &f.h.keys[m.key]
	key := f.keyText(m.key)
	list := m.list[:m.ext]
	at := 0
	for event.Equal(list[at], k.longest[at]) {
		at++
	}
	parts := []int32{t, k.reader}
	why := fmt.Sprintf("T1 read %s = %s and T2 read %s = %s.", key, listText(list), key, listText(k.longest))
	if t == k.reader {
		parts = parts[:1]
		why = fmt.Sprintf("T1 read %s as %s and as %s.", key, listText(list), listText(k.longest))
	}
	return f.violation(parts, []int32{m.key}, why,
		fmt.Sprintf("At position %d there is %s in one and %s in the other: a list to which is only appended", at, elementText(list[at]), elementText(k.longest[at])),
		"can't have been both. An element was lost, or read before it was surely there.")
}

// explainElement: an element that should not be in a version.
func (f *txnFindings) explainElement(t, key int32, list []event.Value, pos int, why string) Violation {
	return f.violation([]int32{t}, []int32{key},
		fmt.Sprintf("T1 read %s = %s with %s at position %d, %s.", f.keyText(key), listText(list), elementText(list[pos]), pos, why))
}

// explainRead: a version with an element that its reader should not have seen.
func (f *txnFindings) explainRead(t int32, m *microOp, pos int, id int32) Violation {
	a := &f.h.appends[id]
	key, e := f.keyText(m.key), elementText(a.value)
	why := fmt.Sprintf("T1 read %s = %s with %s, which T2 appended; but T2 failed.", key, listText(m.list), e)
	if f.h.txns[a.txn].op.Outcome != Fail {
		why = fmt.Sprintf("T1 read %s = %s, whose last element %s T2 appended; T2 then appended more to %s, which T1 doesn't see.",
			key, listText(m.list[:pos+1]), e, key)
	}
	return f.violation([]int32{t, a.txn}, []int32{m.key}, why)
}

func (f *txnFindings) explainFuture(t int32, m *microOp, pos int) Violation {
	return f.violation([]int32{t}, []int32{m.key},
		fmt.Sprintf("T1 read %s = %s with %s, which it appended only afterwards.", f.keyText(m.key), listText(m.list), elementText(m.list[pos])))
}

// explainReordered: two own appends in the wrong order.
func (f *txnFindings) explainReordered(t int32, one, two *microOp) Violation {
	k := &f.h.keys[one.key]
	parts := []int32{t}
	if k.reader != t {
		parts = append(parts, k.reader)
	}
	how := "before"
	if f.h.appends[one.id].pos == unread {
		how = "and no"
	}
	return f.violation(parts, []int32{one.key}, fmt.Sprintf("T1 appended %s to %s and then %s; but T%d read %s = %s, with %s %s %s.",
		elementText(one.value), f.keyText(one.key), elementText(two.value), len(parts), f.keyText(one.key), listText(k.longest),
		elementText(two.value), how, elementText(one.value)))
}

// explainInternal: a read that doesn't follow from the transaction's own steps.
func (f *txnFindings) explainInternal(t int32, m *microOp, last []event.Value, had bool, own []event.Value) Violation {
	want := "a version that ends in " + listText(own)
	switch {
	case had && len(own) > 0:
		want = fmt.Sprintf("%s followed by its own %s", listText(last), listText(own))
	case had:
		want = listText(last) + " once more"
	}
	return f.violation([]int32{t}, []int32{m.key},
		fmt.Sprintf("T1 read %s = %s; after its earlier steps it must read %s.", f.keyText(m.key), listText(m.list), want))
}

// explainLost: two changes of the same version. It is a cycle of two: each did
// not see what the other appended.
func (f *txnFindings) explainLost(one, two int32, r1, r2 *microOp) Violation {
	key := f.keyText(r1.key)
	e1, e2 := f.firstAppend(one, r1.key), f.firstAppend(two, r1.key)
	v := f.violation([]int32{one, two}, []int32{r1.key},
		fmt.Sprintf("T1 and T2 both read %s = %s, and both appended to it: T1 %s, T2 %s.", key, listText(r1.list[:r1.ext]), e1, e2),
		"Whichever came second should have read what the first appended.")
	if !f.o.Plain {
		v.Cycle = &Cycle{
			Operations: []Operation{*f.h.txns[one].op, *f.h.txns[two].op},
			labels:     []string{f.describe(one, []int32{r1.key}), f.describe(two, []int32{r1.key})},
			Edges: []Edge{
				{0, 1, "rw", fmt.Sprintf("T1 read %s = %s without %s, which T2 appended", key, listText(r1.list[:r1.ext]), e2)},
				{1, 0, "rw", fmt.Sprintf("T2 read %s = %s without %s, which T1 appended", key, listText(r2.list[:r2.ext]), e1)},
			},
		}
	}
	return v
}

// firstAppend is the first element that the transaction appends to the key.
func (f *txnFindings) firstAppend(t, key int32) string {
	for i := range f.h.txns[t].ops {
		if m := &f.h.txns[t].ops[i]; m.isAppend && m.key == key {
			return elementText(m.value)
		}
	}
	return "?"
}

// explainCycle: transactions each of which must come before the next.
func (f *txnFindings) explainCycle(g *txnGraph, form anomalyForm, cycle []int32) Violation {
	var parts, keys []int32
	var edges []txnEdge // those that leave parts; to is unused
	for _, x := range cycle {
		e := g.edges[x]
		if e.kind == edgeOn {
			continue
		}
		parts = append(parts, e.from)
		edges = append(edges, e)
		if e.kind&(edgeProcess|edgeTime) == 0 && !slices.Contains(keys, e.key) {
			keys = append(keys, e.key)
		}
	}
	c := &Cycle{}
	for i, e := range edges {
		j := (i + 1) % len(parts)
		c.Operations = append(c.Operations, *f.h.txns[parts[i]].op)
		edge := Edge{From: i, To: j, Kind: edgeNames[e.kind]}
		if !f.o.Plain {
			edge.Why = f.why(e, parts, i, j)
			c.labels = append(c.labels, f.describe(parts[i], keys))
		}
		c.Edges = append(c.Edges, edge)
	}
	v := f.violation(nil, keys)
	v.Operations = slices.Clone(c.Operations)
	sortByCall(v.Operations)
	if !f.o.Plain {
		v.Text = "\n" + c.Text() + "\n" + cycleConclusion(form, len(parts))
	}
	v.Cycle = c
	return v
}

// cycleConclusion says what the sentences before it come to.
func cycleConclusion(form anomalyForm, n int) string {
	order := [orders]string{"", ", with the order of each client kept", ", with the order of time kept"}[form.order]
	if n == 2 {
		return "Each of the two must come before the other" + order + "."
	}
	return fmt.Sprintf("Each of the %d must come before the next, and the last before the first%s.", n, order)
}

// why is the clause that explains an edge from the i-th to the j-th of parts.
func (f *txnFindings) why(e txnEdge, parts []int32, i, j int) string {
	from, to := fmt.Sprintf("T%d", i+1), fmt.Sprintf("T%d", j+1)
	a, b := &f.h.txns[parts[i]], &f.h.txns[parts[j]]
	switch e.kind {
	case edgeProcess:
		return fmt.Sprintf("client %d did %s, then %s", a.op.Process, from, to)
	case edgeTime:
		return fmt.Sprintf("%s had returned (at %s) before %s was called (at %s)", from, f.o.timeText(a.op.Return), to, f.o.timeText(b.op.Call))
	case edgeWW:
		return f.whyWrite(e, parts[i], parts[j], from, to)
	case edgeUpdate:
		if e.micro < 0 {
			return f.whyWrite(e, parts[i], parts[j], from, to)
		}
	}
	key := f.keyText(e.key)
	if e.kind == edgeWR {
		m := &b.ops[e.micro]
		if int(e.pos) == len(m.list)-1 {
			return fmt.Sprintf("%s read %s = %s, whose last element %s appended", to, key, listText(m.list), from)
		}
		return fmt.Sprintf("%s read %s = %s, of which %s appended %s", to, key, listText(m.list), from, elementText(m.list[e.pos]))
	}
	m := &a.ops[e.micro]
	if e.kind == edgeUpdate {
		return fmt.Sprintf("%s appended %s to %s when it was %s, without %s, which %s appended", from, f.firstAppend(parts[i], e.key),
			key, listText(m.list[:m.ext]), f.firstAppend(parts[j], e.key), to)
	}
	element := f.firstAppend(parts[j], e.key)
	if e.pos != unread {
		element = elementText(f.h.keys[e.key].longest[e.pos])
	}
	return fmt.Sprintf("%s read %s = %s without %s, which %s appended", from, key, listText(m.list), element, to)
}

// whyWrite explains a ww edge by the order of the list.
func (f *txnFindings) whyWrite(e txnEdge, a, b int32, from, to string) string {
	k, key := &f.h.keys[e.key], f.keyText(e.key)
	end := int(e.pos)
	if e.pos == unread {
		end = len(k.order)
	}
	for end > 0 && (k.order[end-1] < 0 || f.h.appends[k.order[end-1]].txn != a) {
		end--
	}
	first := elementText(k.longest[end-1])
	if e.pos == unread {
		return fmt.Sprintf("%s appended %s to %s, %s %s, which the longest version read, %s, doesn't have yet",
			from, first, key, to, f.firstAppend(b, e.key), listText(k.longest))
	}
	return fmt.Sprintf("%s appended %s to %s, %s then %s: the list was %s", from, first, key, to,
		elementText(k.longest[e.pos]), listText(k.longest[:e.pos+1]))
}

// writeAnomaly writes a line about one kind of anomaly.
func writeAnomaly(b *strings.Builder, a Anomaly) {
	fmt.Fprintf(b, "%s (%d): %s; excludes %s and above\n", a.Name, a.Count, a.Gloss, strings.Join(a.Excludes, ", "))
}
