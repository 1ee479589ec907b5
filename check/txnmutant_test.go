package check

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// A txnMutation makes one thing of a good history wrong, and reports whether it
// found something to do it to.
type txnMutation struct {
	name   string
	mutate func(r *rand.Rand, h *slowHistory) bool
}

// anyRead returns a random read of an Ok transaction for which the condition
// holds.
func (h *slowHistory) anyRead(r *rand.Rand, is func(t *slowTxn, m *slowOp) bool) (*slowTxn, *slowOp) {
	for range 200 {
		t := &h.txns[r.IntN(len(h.txns))]
		m := &t.ops[r.IntN(len(t.ops))]
		if t.outcome == Ok && !m.append && is(t, m) {
			return t, m
		}
	}
	return nil, nil
}

// author returns the transaction that appended an element.
func (h *slowHistory) author(elem int) *slowTxn {
	for i := range h.txns {
		if slices.ContainsFunc(h.txns[i].ops, func(m slowOp) bool { return m.append && m.elem == elem }) {
			return &h.txns[i]
		}
	}
	return nil
}

// everywhere changes a list in all reads of its key and in the end.
func (h *slowHistory) everywhere(key int, change func(list []int) []int) {
	h.final[key] = change(slices.Clone(h.final[key]))
	for i := range h.txns {
		for j := range h.txns[i].ops {
			if m := &h.txns[i].ops[j]; !m.append && m.key == key {
				m.list = change(slices.Clone(m.list))
			}
		}
	}
}

func (t *slowTxn) appendsTo(key int) bool {
	return slices.ContainsFunc(t.ops, func(m slowOp) bool { return m.append && m.key == key })
}

func longer(n int) func(*slowTxn, *slowOp) bool {
	return func(_ *slowTxn, m *slowOp) bool { return len(m.list) >= n }
}

// badMutations all make something that no strict serializable database shows:
// each chooses its place so that this is sure.
var badMutations = []txnMutation{
	{"a read lacks an element in the middle", func(r *rand.Rand, h *slowHistory) bool {
		_, m := h.anyRead(r, longer(3))
		if m != nil {
			i := r.IntN(len(m.list) - 1)
			m.list = slices.Delete(m.list, i, i+1)
		}
		return m != nil
	}},
	{"two elements of a read change places", func(r *rand.Rand, h *slowHistory) bool {
		_, m := h.anyRead(r, longer(2))
		if m != nil {
			i := r.IntN(len(m.list) - 1)
			m.list[i], m.list[i+1] = m.list[i+1], m.list[i]
		}
		return m != nil
	}},
	{"a read has an element twice", func(r *rand.Rand, h *slowHistory) bool {
		_, m := h.anyRead(r, longer(1))
		if m != nil {
			m.list = append(m.list, m.list[r.IntN(len(m.list))])
		}
		return m != nil
	}},
	{"a read has an element from nowhere", func(r *rand.Rand, h *slowHistory) bool {
		_, m := h.anyRead(r, longer(0))
		if m != nil {
			m.list = slices.Insert(m.list, r.IntN(len(m.list)+1), 1<<30)
		}
		return m != nil
	}},
	{"a read is stale", func(r *rand.Rand, h *slowHistory) bool {
		_, m := h.anyRead(r, func(t *slowTxn, m *slowOp) bool {
			return len(m.list) > 0 && h.author(m.list[len(m.list)-1]).outcome == Ok && h.author(m.list[len(m.list)-1]).ret < t.call
		})
		if m != nil {
			m.list = m.list[:len(m.list)-1]
		}
		return m != nil
	}},
	{"a read is from the future", func(r *rand.Rand, h *slowHistory) bool {
		_, m := h.anyRead(r, func(t *slowTxn, m *slowOp) bool {
			return !t.appendsTo(m.key) && len(m.list) < len(h.final[m.key]) && h.author(h.final[m.key][len(m.list)]).call > t.ret
		})
		if m != nil {
			m.list = slices.Clone(h.final[m.key][:len(m.list)+1])
		}
		return m != nil
	}},
	{"a read lacks the own append", func(r *rand.Rand, h *slowHistory) bool {
		_, m := h.anyRead(r, func(t *slowTxn, m *slowOp) bool {
			return len(m.list) > 0 && h.author(m.list[len(m.list)-1]) == t
		})
		if m != nil {
			m.list = m.list[:len(m.list)-1]
		}
		return m != nil
	}},
	{"what was read had failed", func(r *rand.Rand, h *slowHistory) bool {
		_, m := h.anyRead(r, func(t *slowTxn, m *slowOp) bool {
			return len(m.list) > 0 && h.author(m.list[len(m.list)-1]) != t
		})
		if m != nil {
			h.author(m.list[len(m.list)-1]).outcome = Fail
		}
		return m != nil
	}},
	{"an append is lost", func(r *rand.Rand, h *slowHistory) bool {
		key := r.IntN(len(h.final))
		if len(h.final[key]) == 0 {
			return false
		}
		elem := h.final[key][r.IntN(len(h.final[key]))]
		if h.author(elem).outcome != Ok {
			return false
		}
		h.everywhere(key, func(list []int) []int {
			return slices.DeleteFunc(list, func(e int) bool { return e == elem })
		})
		return true
	}},
	{"two appends take effect in the wrong order", func(r *rand.Rand, h *slowHistory) bool {
		key := r.IntN(len(h.final))
		if len(h.final[key]) < 2 {
			return false
		}
		i := r.IntN(len(h.final[key]) - 1)
		a, b := h.final[key][i], h.final[key][i+1]
		if one, two := h.author(a), h.author(b); one.outcome != Ok || one.ret >= two.call {
			return false
		}
		h.everywhere(key, func(list []int) []int {
			at := slices.Index(list, a)
			if at >= 0 && at+1 < len(list) {
				list[at], list[at+1] = list[at+1], list[at]
			} else if at >= 0 {
				list[at] = b
			}
			return list
		})
		return true
	}},
	{"half of a transaction is seen", func(r *rand.Rand, h *slowHistory) bool {
		// A read misses the last transaction it saw, of which it saw another append.
		var pair [2]*slowOp
		t, _ := h.anyRead(r, func(t *slowTxn, m *slowOp) bool {
			for i := range t.ops {
				o := &t.ops[i]
				if o.append || o.key == m.key || len(o.list) == 0 || len(m.list) == 0 {
					continue
				}
				a := h.author(m.list[len(m.list)-1])
				if a != t && a == h.author(o.list[len(o.list)-1]) {
					pair = [2]*slowOp{m, o}
					return true
				}
			}
			return false
		})
		if t != nil {
			m := pair[0]
			m.list = m.list[:len(m.list)-1]
		}
		return t != nil
	}},
}

// goodMutations change a good history into another good one.
var goodMutations = []txnMutation{
	{"an answer is lost", func(r *rand.Rand, h *slowHistory) bool {
		t := &h.txns[r.IntN(len(h.txns))]
		if t.outcome == Ok {
			t.outcome, t.ret, t.process = Info, Open, 1<<19+r.IntN(1<<18)
		}
		return true
	}},
	{"all take longer", func(r *rand.Rand, h *slowHistory) bool {
		for i := range h.txns {
			h.txns[i].process = i
			h.txns[i].call -= r.Int64N(20)
			if h.txns[i].ret != Open {
				h.txns[i].ret += r.Int64N(20)
			}
		}
		return true
	}},
	{"nobody did the reads", func(r *rand.Rand, h *slowHistory) bool {
		h.txns = slices.DeleteFunc(h.txns, func(t slowTxn) bool {
			return r.IntN(2) == 0 && !slices.ContainsFunc(t.ops, func(m slowOp) bool { return m.append })
		})
		return true
	}},
	{"what failed comes to nothing", func(_ *rand.Rand, h *slowHistory) bool {
		h.txns = slices.DeleteFunc(h.txns, func(t slowTxn) bool { return t.outcome == Fail })
		return true
	}},
}

// TestMutantsAreCaught counts, of histories of a strict serializable database
// with one thing changed, how many are found wrong: all of those that are, none
// of those that aren't.
func TestMutantsAreCaught(t *testing.T) {
	each := 30
	if testing.Short() {
		each = 8
	}
	count := func(m txnMutation) (made, caught int) {
		for seed := uint64(0); made < each && seed < 1000; seed++ {
			h := toyDBs[0].run(seed, 150, 5)
			if !m.mutate(rand.New(rand.NewPCG(seed, 8)), h) {
				continue
			}
			made++
			switch r := Transactions(h.operations(), Options{Plain: true}); r.Verdict {
			case Violated:
				caught++
			case Undecided:
				t.Errorf("%s, seed %d: %s", m.name, seed, r.Bound)
			}
		}
		t.Logf("%-44s %d of %d caught", m.name, caught, made)
		if made < each {
			t.Errorf("%s: could be done %d times only", m.name, made)
		}
		return made, caught
	}
	for _, m := range badMutations {
		if made, caught := count(m); caught != made {
			t.Errorf("%s: %d of %d were accepted", m.name, made-caught, made)
		}
	}
	for _, m := range goodMutations {
		if _, caught := count(m); caught != 0 {
			t.Errorf("%s: %d were accused", m.name, caught)
		}
	}
}
