package shiviz

import (
	"fmt"
	"slices"
)

// An order has the entries by host and finds what the clocks say of them.
type order struct {
	x      *execution
	byHost [][]*entry // ascending by seq
	sorted []*entry
}

// order checks the clocks and finds messages and depths.
func (x *execution) order() (*order, error) {
	o := &order{x: x, byHost: make([][]*entry, len(x.hosts))}
	for i := range x.entries {
		e := &x.entries[i]
		o.byHost[e.host] = append(o.byHost[e.host], e)
	}
	for h, list := range o.byHost {
		slices.SortStableFunc(list, func(a, b *entry) int { return compareSeq(a.seq, b.seq) })
		for i := 1; i < len(list); i++ {
			if list[i].seq == list[i-1].seq {
				return nil, x.errorAt(list[i].line, "%s has its event %d here and on line %d: is this more than one execution? Then say what stands between them",
					x.hosts[h], list[i].seq, list[i-1].line)
			}
		}
	}
	for _, list := range o.byHost {
		for i, e := range list {
			e.pos = i
			if err := o.receive(e, list[:i]); err != nil {
				return nil, err
			}
		}
	}
	return o, o.depths()
}

func compareSeq(a, b uint64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// receive finds from which events an entry received: where its clock knows more
// of a host than before, unless another of the events that it learnt of knew that
// already.
func (o *order) receive(e *entry, before []*entry) error {
	var was vector
	if n := len(before); n > 0 {
		was = before[n-1].clock
	}
	var fresh []component
	for _, c := range e.clock {
		if c.host == e.host {
			continue
		}
		switch old := was.at(c.host); {
		case c.n > old:
			fresh = append(fresh, c)
		case c.n < old:
			return o.x.errorAt(e.line, "%s knew of event %d of %s and now knows of %d only: its clock ran backwards",
				o.x.hosts[e.host], old, o.x.hosts[c.host], c.n)
		}
	}
	for _, c := range was {
		if e.clock.at(c.host) == 0 {
			return o.x.errorAt(e.line, "%s knew of event %d of %s and now of none: its clock ran backwards",
				o.x.hosts[e.host], c.n, o.x.hosts[c.host])
		}
	}
	for _, c := range fresh {
		if slices.ContainsFunc(fresh, func(d component) bool { return o.implies(d, c) }) {
			continue
		}
		if from := o.find(c); from != nil {
			e.before = append(e.before, link{c.host, c.n})
			from.after = append(from.after, link{e.host, e.seq})
		} else {
			o.x.note(e.line, "event %d of %s, of which %s knew, is not in the log", c.n, o.x.hosts[c.host], o.x.hosts[e.host])
		}
	}
	return nil
}

// implies reports whether whoever learnt of event d knew of c by it. Of two that
// imply each other, which no run can have made, neither does.
func (o *order) implies(d, c component) bool {
	if d == c {
		return false
	}
	a, b := o.find(d), o.find(c)
	return a != nil && a.clock.at(c.host) >= c.n && (b == nil || b.clock.at(d.host) < d.n)
}

// find returns an event; nil if it isn't in the log.
func (o *order) find(c component) *entry {
	list := o.byHost[c.host]
	i, ok := slices.BinarySearchFunc(list, c.n, func(e *entry, n uint64) int { return compareSeq(e.seq, n) })
	if !ok {
		return nil
	}
	return list[i]
}

// depths gives every entry the length of the longest way to it, and leaves the
// entries in an order that respects happened-before in o.sorted. It fails where
// events happened before themselves.
func (o *order) depths() error {
	waits := map[*entry]int{}
	var ready []*entry
	for _, list := range o.byHost {
		for i, e := range list {
			n := len(e.before)
			if i > 0 {
				n++
			}
			if waits[e] = n; n == 0 {
				ready = append(ready, e)
			}
		}
	}
	done := 0
	release := func(e *entry, depth int) {
		e.depth = max(e.depth, depth)
		if waits[e]--; waits[e] == 0 {
			ready = append(ready, e)
		}
	}
	for ; done < len(ready); done++ {
		e := ready[done]
		if list := o.byHost[e.host]; e.pos+1 < len(list) {
			release(list[e.pos+1], e.depth+1)
		}
		for _, l := range e.after {
			release(o.find(component{l.host, l.seq}), e.depth+1)
		}
	}
	if o.sorted = ready; done == len(o.x.entries) {
		return nil
	}
	for i := range o.x.entries {
		if e := &o.x.entries[i]; waits[e] > 0 && len(e.before) > 0 {
			l := e.before[0]
			return o.x.errorAt(e.line, "event %d of %s happened before itself: by the clocks it received from event %d of %s (line %d), which comes after it",
				e.seq, o.x.hosts[e.host], l.seq, o.x.hosts[l.host], o.find(component{l.host, l.seq}).line)
		}
	}
	return fmt.Errorf("%s: the clocks contradict each other", o.x.file)
}
