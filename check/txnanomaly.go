package check

import (
	"slices"

	"hindcast.dev/event"
)

// An anomalyFound is one kind of anomaly as it was found.
type anomalyFound struct {
	form     anomalyForm
	count    int
	examples []Violation
}

// txnFindings collects anomalies: all are counted, some explained.
type txnFindings struct {
	h     *txnHistory
	o     Options
	found map[anomalyForm]*anomalyFound
}

func (f *txnFindings) has(form anomalyForm) bool { return f.found[form] != nil }

// add counts an anomaly, and keeps its explanation if there is room for one.
func (f *txnFindings) add(form anomalyForm, explain func() Violation) {
	a := f.found[form]
	if a == nil {
		a = &anomalyFound{form: form}
		f.found[form] = a
	}
	a.count++
	if len(a.examples) < f.o.violationsMax() {
		v := explain()
		v.Property = form.String()
		if !f.o.Plain {
			v.Text = v.Property + ", " + anomalyClasses[form.class].gloss + v.Text
		}
		a.examples = append(a.examples, v)
	}
}

// readAnomalies finds what single reads show, without a graph.
func (f *txnFindings) readAnomalies() {
	h := f.h
	for i := range h.keys {
		if k := &h.keys[i]; k.reader >= 0 && k.twice == "" {
			f.listAnomalies(int32(i), k.reader, k.longest)
		}
	}
	h.reads(func(t int32, m *microOp) {
		k := &h.keys[m.key]
		if m.beside {
			f.add(anomalyForm{class: incompatibleOrder}, func() Violation { return f.explainOrder(t, m) })
		}
		if m.beside || m.ext > 0 && m.ext < len(m.list) && h.isOwn(t, m, m.ext-1) {
			f.listAnomalies(m.key, t, m.list)
		}
		if m.beside || int(k.aborted) < len(m.list) {
			f.abortedRead(t, m)
		}
		f.intermediateRead(t, m)
	})
	h.forget()
	for t := range h.txns {
		if h.txns[t].op.Outcome == Ok {
			f.ownSteps(int32(t))
		}
	}
	h.forget()
	for t := range h.txns {
		if h.txns[t].committed {
			f.ownOrder(int32(t))
		}
	}
	f.lostUpdates()
}

// listAnomalies finds elements of a version that should not be there at all.
func (f *txnFindings) listAnomalies(key, reader int32, list []event.Value) {
	seen := make(map[event.Value]bool, len(list))
	for i, v := range list {
		c := canonical(v)
		if seen[c] {
			f.add(anomalyForm{class: duplicateElements}, func() Violation {
				return f.explainElement(reader, key, list, i, "which stands there twice and was appended at most once")
			})
		} else if f.h.writer(key, v) < 0 {
			f.add(anomalyForm{class: garbageRead}, func() Violation {
				return f.explainElement(reader, key, list, i, "which nobody appended")
			})
		}
		seen[c] = true
	}
}

// abortedRead is G1a: the first element of the version that a failed transaction
// appended.
func (f *txnFindings) abortedRead(t int32, m *microOp) {
	for i, v := range m.list {
		id := f.h.writer(m.key, v)
		if id >= 0 && f.h.txns[f.h.appends[id].txn].op.Outcome == Fail {
			f.add(anomalyForm{class: g1a}, func() Violation { return f.explainRead(t, m, i, id) })
			return
		}
	}
}

// intermediateRead is G1b: the version ends in the middle of another
// transaction's appends.
func (f *txnFindings) intermediateRead(t int32, m *microOp) {
	n := m.ext
	if n == 0 {
		return
	}
	id := f.h.writer(m.key, m.list[n-1])
	if id >= 0 && f.h.appends[id].more && f.h.committedAppend(id) {
		f.add(anomalyForm{class: g1b}, func() Violation { return f.explainRead(t, m, n-1, id) })
	}
}

// ownSteps compares what a transaction read with what it read and appended
// itself before: reads repeat, own appends stand at the end.
func (f *txnFindings) ownSteps(t int32) {
	h := f.h
	ops := h.txns[t].ops
	for i := range ops {
		m := &ops[i]
		k := &h.keys[m.key]
		if k.twice != "" {
			continue
		}
		if k.met != t {
			k.met, k.last, k.read, k.own = t, nil, false, k.own[:0]
		}
		if m.isAppend {
			k.own = append(k.own, m.value)
			continue
		}
		if !m.known {
			continue
		}
		if own := f.futureElement(m, ops[i+1:]); own >= 0 {
			f.add(anomalyForm{class: futureRead}, func() Violation { return f.explainFuture(t, m, own) })
		} else if !k.explains(m.list) {
			last, had, own := k.last, k.read, slices.Clone(k.own)
			f.add(anomalyForm{class: internalRead}, func() Violation { return f.explainInternal(t, m, last, had, own) })
		}
		k.last, k.read, k.own = m.list, true, k.own[:0]
	}
}

// explains reports whether a version follows from what the transaction did with
// the key before.
func (k *txnKey) explains(list []event.Value) bool {
	n := len(list) - len(k.own)
	if n < 0 || !isPrefix(k.own, list[n:]) {
		return false
	}
	return !k.read || n == len(k.last) && isPrefix(k.last, list)
}

// futureElement returns the position of an element that the transaction appends
// only later, -1 if there is none.
func (f *txnFindings) futureElement(m *microOp, later []microOp) int {
	for i := range later {
		l := &later[i]
		if !l.isAppend || l.key != m.key {
			continue
		}
		from, to := m.ext, len(m.list)
		if pos := int(f.h.appends[l.id].pos); pos >= 0 && pos < m.ext && event.Equal(m.list[pos], l.value) {
			return pos
		} else if m.beside {
			from = 0
		}
		for pos := from; pos < to; pos++ {
			if event.Equal(m.list[pos], l.value) {
				return pos
			}
		}
	}
	return -1
}

// ownOrder compares the order of a transaction's appends with that in the list.
// One that nobody read stands behind all that were.
func (f *txnFindings) ownOrder(t int32) {
	h := f.h
	for i := range h.txns[t].ops {
		m := &h.txns[t].ops[i]
		k := &h.keys[m.key]
		if !m.isAppend || k.twice != "" || h.appends[m.id].pos == readBeside {
			continue
		}
		if k.met != t {
			k.met, k.late = t, m
			continue
		}
		pos, late := h.appends[m.id].pos, h.appends[k.late.id].pos
		switch {
		case pos != unread && (late == unread || pos < late):
			before := k.late
			f.add(anomalyForm{class: reorderedAppends}, func() Violation { return f.explainReordered(t, before, m) })
		case late != unread:
			k.late = m
		}
	}
}

// lostUpdates finds transactions that read the same version of a list, and
// appended to it.
func (f *txnFindings) lostUpdates() {
	type version struct {
		key int32
		len int
	}
	type update struct {
		txn  int32
		read *microOp
	}
	first := map[version]update{}
	h := f.h
	h.forget()
	for t := range h.txns {
		ops := h.txns[t].ops
		for i := range ops {
			m := &ops[i]
			k := &h.keys[m.key]
			if !m.isAppend || k.twice != "" || !h.txns[t].committed || k.met == int32(t) {
				continue
			}
			k.met = int32(t)
			r := readBy(ops, i)
			if r == nil || r.beside {
				continue
			}
			at := version{m.key, r.ext}
			if one, twice := first[at]; twice {
				f.add(anomalyForm{class: lostUpdate}, func() Violation { return f.explainLost(one.txn, int32(t), one.read, r) })
			} else {
				first[at] = update{int32(t), r}
			}
		}
	}
}

// readBy returns what tells the version of the list to which the i-th
// micro-operation appends: the last read before it, or else the first after it.
// It is nil if there is none.
func readBy(ops []microOp, i int) *microOp {
	is := func(m *microOp) bool { return !m.isAppend && m.known && m.key == ops[i].key }
	for j := i - 1; j >= 0; j-- {
		if is(&ops[j]) {
			return &ops[j]
		}
	}
	for j := i + 1; j < len(ops); j++ {
		if is(&ops[j]) {
			return &ops[j]
		}
	}
	return nil
}

// isOwn reports whether the reader appended the element at the position itself.
func (h *txnHistory) isOwn(t int32, m *microOp, pos int) bool {
	id := h.writer(m.key, m.list[pos])
	return id >= 0 && h.appends[id].txn == t
}
