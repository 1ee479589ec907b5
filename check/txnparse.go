package check

import (
	"fmt"
	"slices"
	"strings"

	"hindcast.dev/event"
)

// A microOp is one step of a transaction: an append of one element to one list,
// or a read of a whole list.
type microOp struct {
	isAppend bool
	known    bool  // read: what it gave is known
	key      int32 // index into txnHistory.keys
	id       int32 // append: index into txnHistory.appends
	value    event.Value
	list     []event.Value // read: the version that it gave; borrowed from the Operation
	// ext is how many elements of list were there before the transaction's own
	// appends, which it sees at the end, wherever they will come to stand.
	ext int
	// beside: these are no version of the key's order.
	beside bool
}

// A txn is one transaction.
type txn struct {
	op *Operation
	// ops are its micro-operations. Reads of a transaction that isn't Ok gave
	// nothing that is known.
	ops []microOp
	// committed: Ok, or Info of which somebody read an append.
	committed bool
}

// An appendOp is an element on its way into a list.
type appendOp struct {
	txn   int32
	key   int32
	value event.Value
	pos   int32 // where it stands in the key's order, unread or readBeside
	more  bool  // the same transaction appends to the key again afterwards
}

// A txnKey is a list.
type txnKey struct {
	name    event.Value
	appends []int32 // all appends to it
	// twice says why reads of it don't tell whose append they saw: the key takes no
	// part then. "" where all is well.
	twice string

	// longest is the longest version that was read, by the transaction reader, -1 if
	// nobody read anything. Lists only grow, so it is the order of all versions.
	longest []event.Value
	reader  int32
	forked  bool // somebody read a version beside that order
	// order are longest's elements as appends; -1 is one that nobody appended.
	order []int32
	// before[i] is the last position < i whose append is committed, -1 if none is;
	// after[i] the first position ≥ i whose append is committed and not by the
	// transaction of the element before it. Both have len(order)+1 entries; no
	// after is len(order).
	before, after []int32
	// aborted is the first position whose append failed, len(order) if none did.
	aborted int32
	// unread are the committed transactions with an append that nobody read.
	unread []int32

	// The last transaction that met the key in a walk over all, and what it knows.
	met  int32
	last []event.Value // the last version it read
	read bool          // it read one
	own  []event.Value // its appends since
	late *microOp      // its first append that nobody read, or the last that somebody did
}

// element is a key of the map from elements to appends.
type element struct {
	key   int32
	value event.Value
}

// A txnHistory is a history of transactions, taken apart.
type txnHistory struct {
	txns    []txn
	keys    []txnKey
	keyIDs  map[event.Value]int32
	appends []appendOp
	writers map[element]int32
}

// canonical makes of equal values equal keys of a Go map.
func canonical(v event.Value) event.Value {
	switch v.Type() {
	case event.TypeAbsent, event.TypeNull, event.TypeBool, event.TypeInt, event.TypeUint:
		return v
	case event.TypeString:
		if !strings.HasPrefix(v.AsString(), "\x00") {
			return v
		}
	}
	return event.String("\x00" + v.String())
}

// readTransactions takes the operations with F "txn" apart, in order of their
// calls. Its error names the operation that it could not read, and why.
func readTransactions(ops []Operation) (*txnHistory, error) {
	h := &txnHistory{keyIDs: map[event.Value]int32{}, writers: map[element]int32{}}
	for i := range ops {
		if ops[i].F == "txn" {
			h.txns = append(h.txns, txn{op: &ops[i], committed: ops[i].Outcome == Ok})
		}
	}
	slices.SortStableFunc(h.txns, func(a, b txn) int {
		switch {
		case a.op.Call < b.op.Call:
			return -1
		case a.op.Call > b.op.Call:
			return 1
		}
		return 0
	})
	for i := range h.txns {
		if err := h.parse(&h.txns[i]); err != nil {
			op := h.txns[i].op
			return nil, fmt.Errorf("client %d, %s: %w", op.Process, refOr(op, i), err)
		}
		h.index(int32(i))
	}
	return h, nil
}

func refOr(op *Operation, i int) string {
	if op.Ref != "" {
		return op.Ref
	}
	return fmt.Sprintf("transaction %d", i+1)
}

// parse reads a transaction's micro-operations: what came back, or, where
// nothing did, what was asked.
func (h *txnHistory) parse(t *txn) error {
	v, answered := t.op.Output, t.op.Outcome == Ok
	if (v.IsAbsent() || !answered) && !t.op.Input.IsAbsent() {
		v, answered = t.op.Input, false
	}
	if v.Type() != event.TypeList {
		return fmt.Errorf("a transaction is a list of micro-operations such as [\"append\", \"x\", 1] and [\"r\", \"x\", [1]], not %s", v)
	}
	t.ops = make([]microOp, 0, v.Len())
	for i, m := range v.Members() {
		op, err := h.parseMicro(m, answered)
		if err != nil {
			return fmt.Errorf("number %d: %w", i+1, err)
		}
		t.ops = append(t.ops, op)
	}
	return nil
}

func (h *txnHistory) parseMicro(m event.Value, answered bool) (microOp, error) {
	w := m.Members()
	if m.Type() != event.TypeList || len(w) < 2 || len(w) > 3 {
		return microOp{}, fmt.Errorf("micro-operation %s: it must be a list [f, key, value]", m)
	}
	if len(w) == 2 {
		w = []event.Value{w[0], w[1], event.Null()}
	}
	switch f := strings.TrimPrefix(w[0].AsString(), ":"); f {
	case "append":
		if w[2].Type() == event.TypeNull {
			return microOp{}, fmt.Errorf("micro-operation %s: it appends nothing; an append needs an element", m)
		}
		return microOp{isAppend: true, key: h.key(w[1]), value: w[2]}, nil
	case "r", "read":
		if t := w[2].Type(); t != event.TypeList && t != event.TypeNull {
			return microOp{}, fmt.Errorf("micro-operation %s: a read gives a list, or null for the empty one; registers need another model than list-append", m)
		}
		return microOp{known: answered, key: h.key(w[1]), list: w[2].Members()}, nil
	default:
		return microOp{}, fmt.Errorf("micro-operation %s: list-append knows append and r, not %q", m, f)
	}
}

// key returns the number of a key.
func (h *txnHistory) key(v event.Value) int32 {
	c := canonical(v)
	id, ok := h.keyIDs[c]
	if !ok {
		id = int32(len(h.keys))
		h.keyIDs[c] = id
		h.keys = append(h.keys, txnKey{name: v, reader: -1, met: -1})
	}
	return id
}

// index enters the appends of the t-th transaction.
func (h *txnHistory) index(t int32) {
	ops := h.txns[t].ops
	first := int32(len(h.appends))
	for i := range ops {
		if ops[i].isAppend {
			h.enter(t, &ops[i])
		}
	}
	for id := int32(len(h.appends)) - 1; id >= first; id-- {
		a := &h.appends[id]
		k := &h.keys[a.key]
		a.more = k.met == t
		k.met = t
	}
}

// enter enters one append. An element must tell whose it is: of two appends of
// the same one only a failed one is forgotten.
func (h *txnHistory) enter(t int32, op *microOp) {
	k, at := &h.keys[op.key], element{op.key, canonical(op.value)}
	op.id = int32(len(h.appends))
	h.appends = append(h.appends, appendOp{txn: t, key: op.key, value: op.value, pos: unread})
	k.appends = append(k.appends, op.id)
	old, twice := h.writers[at]
	if !twice {
		h.writers[at] = op.id
		return
	}
	other := &h.txns[h.appends[old].txn]
	switch {
	case h.txns[t].op.Outcome == Fail:
	case other.op.Outcome == Fail:
		h.writers[at] = op.id
	case k.twice == "":
		k.twice = fmt.Sprintf("%s is appended to %s twice (%s and %s): a read of it doesn't tell whose append it saw; elements must be unique in their list",
			plainText(op.value), plainText(k.name), refOr(other.op, int(h.appends[old].txn)), refOr(h.txns[t].op, int(t)))
	}
}

// forget makes ready for another walk over all transactions.
func (h *txnHistory) forget() {
	for i := range h.keys {
		h.keys[i].met = -1
	}
}

// writer returns the append of an element, -1 if nobody appended it.
func (h *txnHistory) writer(key int32, v event.Value) int32 {
	if id, ok := h.writers[element{key, canonical(v)}]; ok {
		return id
	}
	return -1
}

// committedAppend reports whether the append is one of a committed transaction.
func (h *txnHistory) committedAppend(id int32) bool {
	return id >= 0 && h.txns[h.appends[id].txn].committed
}

// reads calls f for every read of a committed transaction on a sound key.
func (h *txnHistory) reads(f func(t int32, m *microOp)) {
	for t := range h.txns {
		if !h.txns[t].committed {
			continue
		}
		for i := range h.txns[t].ops {
			m := &h.txns[t].ops[i]
			if !m.isAppend && m.known && h.keys[m.key].twice == "" {
				f(int32(t), m)
			}
		}
	}
}
