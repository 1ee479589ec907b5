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
	} else if r := e.keys.find(key); r != nil {
		k.rows = append(k.rows, r)
	}
}

// decideRows is decideEachKey where the keys have rows.
func (e *engine) decideRows(l *plan.Leaf, s *leafState, v *keyedVar) {
	k := s.keys
	if k.all {
		k.rows = append(k.rows[:0], e.keys.all()...)
	} else if len(k.rows) > 1 {
		slices.SortFunc(k.rows, func(a, b *keyRow) int { return event.Compare(a.key, b.key) })
		k.rows = slices.Compact(k.rows)
	}
	local := l.Quant.Locals[0]
	for _, r := range k.rows {
		if r.truth == nil {
			r.truth = make([]nodeTruth, len(e.q.Leaves))
		}
		was, is := r.truth[l.ID], nodeTruth{in: len(r.vars[v.at].nodes) > 0}
		if is.in {
			e.locals[local], e.rows[local] = of(r.key), r
			e.keysDecided++
			is.holds = e.code[l.ID].inner(&e.env)
		}
		k.tell(was, -1)
		k.tell(is, 1)
		r.truth[l.ID] = is
	}
	k.rows, k.all = k.rows[:0], false
	some := k.trues > 0
	if l.Quant.All {
		some = k.trues == k.count
	}
	s.ok = some != l.Not
}

func (k *keyTruth) tell(t nodeTruth, by int) {
	if t.in {
		k.count += by
		if t.holds {
			k.trues += by
		}
	}
}

// rowFor is the row of an instance's key, nil if there is none yet.
func (e *engine) rowFor(in *instance) *keyRow {
	if in.row == nil {
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
	if r == nil {
		return e.byKey[keyID(key)]
	}
	if r.inst == nil {
		r.inst = e.byKey[keyID(key)]
	}
	return r.inst
}
