package stepper

import (
	"cmp"
	"container/heap"
	"slices"

	"hindcast.dev/event"
)

// timers is the table of pending timers, one for each machine and name. Those
// that weren't offered to the journal yet are in a heap too, the first due on
// top.
type timers struct {
	byName  map[timerName]*timer
	waiting timerHeap
	spare   *timer // one that is over, to be used again
}

type timerName struct {
	machine, name string
}

type timer struct {
	event.Effect     // of kind EffectSetTimer
	place        int // in waiting; -1 if it was offered
}

func newTimers() timers {
	return timers{byName: map[timerName]*timer{}}
}

func (ts *timers) len() int { return len(ts.byName) }

// set takes in a timer and reports whether it replaced one.
func (ts *timers) set(e *event.Effect) bool {
	replaced := ts.cancel(e.Machine, e.Timer)
	t := ts.spare
	if ts.spare = nil; t == nil {
		t = &timer{}
	}
	t.Effect = *e
	ts.byName[timerName{e.Machine, e.Timer}] = t
	heap.Push(&ts.waiting, t)
	return replaced
}

// cancel removes a timer and reports whether it was pending.
func (ts *timers) cancel(machine, name string) bool {
	t := ts.byName[timerName{machine, name}]
	if t == nil {
		return false
	}
	delete(ts.byName, timerName{machine, name})
	if t.place >= 0 {
		heap.Remove(&ts.waiting, t.place)
	}
	*t = timer{}
	ts.spare = t
	return true
}

// find returns the pending timer with this id, nil if there is none. It is the
// next one to be due, or somebody has the time to look for it.
func (ts *timers) find(id event.MessageID) *timer {
	if t := ts.next(); t != nil && t.ID == id {
		return t
	}
	for _, t := range ts.byName {
		if t.ID == id {
			return t
		}
	}
	return nil
}

// drop removes the timer with this id, if it is pending.
func (ts *timers) drop(id event.MessageID) {
	if t := ts.find(id); t != nil {
		ts.cancel(t.Machine, t.Timer)
	}
}

// fire removes the timer with this id and reports whether it was still pending.
func (ts *timers) fire(machine, name string, id event.MessageID) bool {
	t := ts.byName[timerName{machine, name}]
	return t != nil && t.ID == id && ts.cancel(machine, name)
}

// next returns the timer that is due first and wasn't offered, nil if there is
// none.
func (ts *timers) next() *timer {
	if len(ts.waiting) == 0 {
		return nil
	}
	return ts.waiting[0]
}

func (ts *timers) offered(id event.MessageID) {
	if t := ts.find(id); t != nil && t.place >= 0 {
		heap.Remove(&ts.waiting, t.place)
	}
}

// all returns the pending timers in the order in which they are due.
func (ts *timers) all() []event.Effect {
	out := make([]event.Effect, 0, len(ts.byName))
	for _, t := range ts.byName {
		out = append(out, t.Effect)
	}
	slices.SortFunc(out, func(a, b event.Effect) int { return compareTimers(&a, &b) })
	return out
}

// compareTimers orders by due time, and then by when the timer was set.
func compareTimers(a, b *event.Effect) int {
	return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.ID.Boot, b.ID.Boot),
		cmp.Compare(a.ID.Seq, b.ID.Seq), cmp.Compare(a.ID.Effect, b.ID.Effect))
}

// A timerHeap is for package container/heap.
type timerHeap []*timer

func (h timerHeap) Len() int           { return len(h) }
func (h timerHeap) Less(i, j int) bool { return compareTimers(&h[i].Effect, &h[j].Effect) < 0 }

func (h timerHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = i, j
}

func (h *timerHeap) Push(x any) {
	t := x.(*timer)
	t.place = len(*h)
	*h = append(*h, t)
}

func (h *timerHeap) Pop() any {
	old := *h
	t := old[len(old)-1]
	t.place = -1
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return t
}
