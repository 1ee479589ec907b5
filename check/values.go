package check

import (
	"strings"

	"hindcast.dev/event"
)

// A valueTable numbers values: equal ones alike, from 0 on. Number 0 is Null.
type valueTable struct {
	ints    map[int64]int32
	strings map[string]int32
	others  map[string]int32 // by JSON form
	values  []event.Value
	buf     []byte
}

// null is the number of Null, and of Absent where a value is wanted.
const null int32 = 0

func newValueTable() *valueTable {
	return &valueTable{ints: map[int64]int32{}, strings: map[string]int32{}, others: map[string]int32{}, values: []event.Value{event.Null()}}
}

// id returns the number of v, which it gets if it has none.
func (t *valueTable) id(v event.Value) int32 {
	switch v.Type() {
	case event.TypeAbsent, event.TypeNull:
		return null
	case event.TypeString:
		s := v.AsString()
		id, ok := t.strings[s]
		if !ok {
			id = t.add(v)
			t.strings[s] = id
		}
		return id
	case event.TypeInt:
		if n, fits := v.AsInt(); fits {
			id, ok := t.ints[n]
			if !ok {
				id = t.add(v)
				t.ints[n] = id
			}
			return id
		}
	}
	t.buf = v.AppendJSON(t.buf[:0])
	id, ok := t.others[string(t.buf)]
	if !ok {
		id = t.add(v)
		t.others[string(t.buf)] = id
	}
	return id
}

func (t *valueTable) add(v event.Value) int32 {
	t.values = append(t.values, v)
	return int32(len(t.values) - 1)
}

// valueTextMax bounds, in bytes, how much of a value is shown.
const valueTextMax = 60

// valueText is a value for people, cut short in the middle if it is long.
func valueText(v event.Value) string {
	s := v.String()
	if len(s) <= valueTextMax {
		return s
	}
	head, tail := s[:valueTextMax/2], s[len(s)-valueTextMax/2:]
	return strings.ToValidUTF8(head, "") + "…" + strings.ToValidUTF8(tail, "")
}
