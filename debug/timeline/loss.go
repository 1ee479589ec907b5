package timeline

import (
	"hash/maphash"
	"slices"
	"sync"

	"hindcast.dev/history"
)

// A Loss is what a node noted of a message that was dropped.
type Loss struct {
	Node   int
	Seq    uint64 // of the note
	Reason string
}

// LossOf returns the message that a note says was dropped, "" if e is no such
// note.
func LossOf(e *history.Event) (message string, l Loss) {
	link, ok := e.Lost()
	if !ok {
		return "", l
	}
	return link.ID, Loss{e.Node, e.Seq, e.Data.Field("reason").AsString()}
}

// Bounds on the reasons that are remembered: a recording has a handful.
const (
	reasonsMax = 1 << 12
	reasonMax  = 1 << 10 // bytes of one
)

// manyReasons stands for a reason that isn't remembered.
const manyReasons = "see the note"

// losses are the notes on dropped messages, in the order of the walk. Who extends it
// appends to all, of which this one has its own length.
type losses struct {
	all     []loss
	reasons []string
	sort    sync.Once
	byID    []uint32 // in all, by hash, and in order among equal ones
}

// A loss is a Loss of the message whose id has a hash.
type loss struct {
	hash   uint64
	node   int32
	at     uint32 // in its lane
	reason uint32
}

var lossSeed = maphash.MakeSeed()

// add takes in an event, the at-th of its lane. known are the numbers of reasons.
func (d *losses) add(e *history.Event, at uint32, known map[string]uint32) {
	id, note := LossOf(e)
	if id == "" {
		return
	}
	r, ok := known[note.Reason]
	if !ok && (len(known) >= reasonsMax || len(note.Reason) > reasonMax) {
		note.Reason = manyReasons
		r, ok = known[note.Reason]
	}
	if !ok {
		r = uint32(len(d.reasons))
		d.reasons = append(d.reasons, note.Reason)
		known[note.Reason] = r
	}
	d.all = append(d.all, loss{maphash.String(lossSeed, id), int32(e.Node), at, r})
}

// more returns losses that go on with these.
func (d *losses) more() *losses { return &losses{all: d.all, reasons: d.reasons} }

// of are those of a message.
func (d *losses) of(id string) []loss {
	if len(d.all) == 0 {
		return nil
	}
	d.sort.Do(func() {
		d.byID = make([]uint32, len(d.all))
		for i := range d.byID {
			d.byID[i] = uint32(i)
		}
		slices.SortStableFunc(d.byID, func(a, b uint32) int { return compareHashes(d.all[a].hash, d.all[b].hash) })
	})
	hash := maphash.String(lossSeed, id)
	i, _ := slices.BinarySearchFunc(d.byID, hash, func(i uint32, hash uint64) int { return compareHashes(d.all[i].hash, hash) })
	var out []loss
	for ; i < len(d.byID) && d.all[d.byID[i]].hash == hash; i++ {
		out = append(out, d.all[d.byID[i]])
	}
	return out
}

func compareHashes(a, b uint64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// Losses are the notes on a message that say it was dropped, in the order of the
// walk; none as long as the Index isn't linked. It may have been received all the
// same.
func (x *Index) Losses(message string) []Loss {
	if x == nil || x.losses == nil {
		return nil
	}
	var out []Loss
	for _, d := range x.losses.of(message) {
		out = append(out, Loss{int(d.node), x.lanes[d.node].seq(int(d.at)), x.losses.reasons[d.reason]})
	}
	return out
}
