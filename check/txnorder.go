package check

import (
	"slices"

	"hindcast.dev/event"
)

// What appendOp.pos says of an append that isn't part of the key's order.
const (
	unread     = -1 // nobody read it
	readBeside = -2 // it was read, in a version beside the order
)

// orderVersions finds the order of each list's versions: since lists only grow,
// the longest version that was read tells it.
func (h *txnHistory) orderVersions() {
	h.reads(func(t int32, m *microOp) {
		k := &h.keys[m.key]
		m.ext = h.external(t, m)
		if k.reader < 0 || m.ext > len(k.longest) {
			k.longest, k.reader = m.list[:m.ext], t
		}
	})
	for i := range h.keys {
		k := &h.keys[i]
		k.order = make([]int32, len(k.longest))
		for pos, v := range k.longest {
			k.order[pos] = h.writer(int32(i), v)
			h.observe(k.order[pos], int32(pos))
		}
	}
	// What only a version beside the order shows was committed as well.
	h.reads(func(_ int32, m *microOp) {
		m.beside = !isPrefix(m.list[:m.ext], h.keys[m.key].longest)
		if m.beside {
			h.keys[m.key].forked = true
			for _, v := range m.list[:m.ext] {
				h.observe(h.writer(m.key, v), readBeside)
			}
		}
	})
	for i := range h.keys {
		h.link(&h.keys[i])
	}
}

// observe notes that an append was read: its transaction took effect, unless it
// surely failed.
func (h *txnHistory) observe(id, pos int32) {
	if id < 0 {
		return
	}
	a := &h.appends[id]
	if a.pos == unread {
		a.pos = pos
	}
	if t := &h.txns[a.txn]; t.op.Outcome == Info {
		t.committed = true
	}
}

// isPrefix reports whether b begins with a.
func isPrefix(a, b []event.Value) bool {
	if len(a) > len(b) {
		return false
	}
	if len(a) == 0 || &a[0] == &b[0] {
		return true
	}
	for i := range a {
		if !event.Equal(a[i], b[i]) {
			return false
		}
	}
	return true
}

// link fills what is derived from a key's order once it is known who committed.
func (h *txnHistory) link(k *txnKey) {
	n := int32(len(k.order))
	k.before, k.after, k.aborted = make([]int32, n+1), make([]int32, n+1), n
	k.before[0] = -1
	for i, id := range k.order {
		k.before[i+1] = k.before[i]
		if h.committedAppend(id) {
			k.before[i+1] = int32(i)
		} else if id >= 0 && k.aborted == n {
			k.aborted = int32(i)
		}
	}
	next := make([]int32, n+1) // the first committed position ≥ i
	next[n], k.after[n] = n, n
	for i := n - 1; i >= 0; i-- {
		next[i] = next[i+1]
		if h.committedAppend(k.order[i]) {
			next[i] = i
		}
		// Where the next one is by the transaction of the element before, that one's
		// successor has already been found.
		k.after[i] = next[i]
		if q := next[i]; i > 0 && q < n && h.sameWriter(k.order[i-1], k.order[q]) {
			k.after[i] = k.after[q+1]
		}
	}
	h.linkUnread(k)
}

func (h *txnHistory) sameWriter(a, b int32) bool {
	return a >= 0 && b >= 0 && h.appends[a].txn == h.appends[b].txn
}

// linkUnread finds the committed transactions whose append to the key nobody
// read. It follows the longest version, in an order nobody knows. The writer of
// that version's end is left out: it is followed by the others anyhow. A list
// that has been seen to lose elements tells nothing about those that nobody read.
func (h *txnHistory) linkUnread(k *txnKey) {
	if k.twice != "" || k.forked {
		return
	}
	last := int32(-1)
	if p := k.before[len(k.order)]; p >= 0 {
		last = h.appends[k.order[p]].txn
	}
	for _, id := range k.appends {
		a := &h.appends[id]
		if a.pos == unread && a.txn != last && h.committedAppend(id) {
			k.unread = append(k.unread, a.txn)
		}
	}
	slices.Sort(k.unread)
	k.unread = slices.Compact(k.unread)
}

// external finds microOp.ext: it leaves out the elements at the end that are t's
// own, in the order in which it appended them.
func (h *txnHistory) external(t int32, m *microOp) int {
	n, next := len(m.list), int32(len(h.appends))
	for n > 0 {
		id := h.writer(m.key, m.list[n-1])
		if id < 0 || h.appends[id].txn != t || id >= next {
			break
		}
		n--
		next = id
	}
	return n
}
