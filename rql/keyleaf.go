package rql

import (
	"slices"

	"hindcast.dev/event"
	"hindcast.dev/rql/plan"
)

// keysIn is the variable over whose keys the quantifier of a leaf goes, nil if it
// isn't kept by key.
func (e *engine) keysIn(l *plan.Leaf) *keyedVar {
	if e.keys == nil || l.Class != plan.ClassEachKey {
		return nil
	}
	return e.keys.refs[l.KeysOf()].v
}

// touchKey has a key decided anew.
func (e *engine) touchKey(l *plan.Leaf, k *keyTruth, key event.Value) {
	if e.keysIn(l) == nil {
		k.touch = append(k.touch, key)
	} else if r := e.keys.find(key); r != noKey {
		k.rows = append(k.rows, r)
	}
}

// decideRows is decideEachKey where the keys have rows.
func (e *engine) decideRows(l *plan.Leaf, s *leafState, v *keyedVar) {
	k := s.keys
	if k.all {
		k.rows = append(k.rows[:0], e.keys.all()...)
	} else if len(k.rows) > 1 {
		e.keys.sort(k.rows)
		k.rows = slices.Compact(k.rows)
	}
	truth := e.keys.truthOf(l)
	local, inner := l.Quant.Locals[0], e.code[l.ID].inner
	for _, r := range k.rows {
		was, is := truth[r], nodeTruth{in: v.has(r)}
		if is.in {
			e.locals[local], e.rows[local] = of(e.keys.keys[r]), r
			e.keysDecided++
			is.holds = inner(&e.env)
		}
		if was != is {
			k.tell(was, -1)
			k.tell(is, 1)
			truth[r] = is
		}
	}
	k.rows, k.all = k.rows[:0], false
	some := k.trues > 0
	if l.Quant.All {
		some = k.trues == k.count
	}
	s.ok = some != l.Not
}

// truthOf is the truth of a quantifier for every key.
func (t *keyTable) truthOf(l *plan.Leaf) []nodeTruth {
	truth := t.truth[l.ID]
	if n := len(t.keys) - len(truth); n > 0 {
		truth = append(truth, make([]nodeTruth, n)...)
		t.truth[l.ID] = truth
	}
	return truth
}

func (k *keyTruth) tell(t nodeTruth, by int) {
	if t.in {
		k.count += by
		if t.holds {
			k.trues += by
		}
	}
}

// rowFor is the row of an instance's key, noKey if there is none yet.
func (e *engine) rowFor(in *instance) keyRow {
	if in.row == noKey {
		if key, ok := in.member.shown(); ok {
			in.row = e.keys.find(key)
		}
	}
	return in.row
}

// instanceOf is the instance for a key, nil if it is no member.
func (e *engine) instanceOf(key event.Value) *instance {
	if e.keys == nil {
		return e.byKey[keyID(key)]
	}
	r := e.keys.find(key)
	if r == noKey {
		return e.byKey[keyID(key)]
	}
	return e.instanceAt(r)
}

// instanceAt is the instance for the key of a row, nil if it is no member.
func (e *engine) instanceAt(r keyRow) *instance {
	if e.keys.insts[r] == nil {
		e.keys.insts[r] = e.byKey[keyID(e.keys.keys[r])]
	}
	return e.keys.insts[r]
}
