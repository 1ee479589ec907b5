package history

import (
	"cmp"
	"encoding/binary"
	"slices"

	"hindcast.dev/hlc"
)

// Roles of an event towards a message.
const (
	roleSent     = 1 // an effect sends it
	roleReceived = 2 // the event, or an effect, is a "recv" with its id
	roleAnswered = 4 // the event is a "timer" or "result" with its id
)

// refPageMax bounds the references of one section, refsMax those that are
// sorted at once.
const (
	refPageMax = 4096
	refsMax    = 1 << 18
)

// A ref says that an entry of a run has to do with a message of this hash.
type ref struct {
	hash  uint64
	time  hlc.Timestamp
	entry uint64 // its number in the run, from 0
	role  byte
}

func compareRefs(a, b ref) int {
	return cmp.Or(cmp.Compare(a.hash, b.hash), cmp.Compare(a.entry, b.entry))
}

// appendRefs appends those of one entry to refs.
func appendRefs(refs []ref, e *Event, entry uint64) []ref {
	for l := range e.Arrivals() {
		role := byte(roleAnswered)
		if l.Kind == kindRecv {
			role = roleReceived
		}
		refs = append(refs, ref{hashID(l.ID), e.Time, entry, role})
	}
	for l := range e.Departures() {
		refs = append(refs, ref{hashID(l.ID), e.Time, entry, roleSent})
	}
	return refs
}

// sortRefs sorts and joins those of the same entry and hash.
func sortRefs(refs []ref) []ref {
	slices.SortFunc(refs, compareRefs)
	out := refs[:0]
	for _, r := range refs {
		if n := len(out); n > 0 && out[n-1].hash == r.hash && out[n-1].entry == r.entry {
			out[n-1].role |= r.role
			continue
		}
		out = append(out, r)
	}
	return out
}

func encodeRefs(refs []ref) []byte {
	var b []byte
	for _, r := range refs {
		b = binary.LittleEndian.AppendUint64(b, r.hash)
		b = binary.LittleEndian.AppendUint64(b, uint64(r.time))
		b = append(appendUint(b, r.entry), r.role)
	}
	return b
}

func decodeRefs(raw []byte, count int) ([]ref, error) {
	d := &decoder{b: raw}
	if count > refPageMax {
		return nil, errNumber
	}
	out := make([]ref, 0, count)
	for range count {
		r := ref{hash: d.fixed64(), time: hlc.Timestamp(d.fixed64()), entry: d.uint(), role: d.byte()}
		if n := len(out); n > 0 && compareRefs(out[n-1], r) >= 0 {
			d.fail(errNumber)
		}
		out = append(out, r)
	}
	return out, d.end()
}
