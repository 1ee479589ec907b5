package check

import (
	"cmp"
	"fmt"
	"math/bits"
	"slices"
)

// A frontier searches for an order of the operations on one key, from the first
// return to the last (Wing and Gong, 1993; "just in time" after Lowe, 2017): after
// each return it has every configuration that what came back until then allows.
//
//	time ──►   call w1   call r2   return r2      return w1
//	                               │              │
//	           r2 must have happened here:        and w1 here
//	           with w1 before it or not
//
// A configuration is a state of the object, and which of the operations that
// haven't returned have happened. Some things keep them few. An operation
// happens only when a return demands it. One that changes nothing happens as soon
// as it can. And a configuration in which fewer operations without an answer have
// happened stands for those with more: these can still happen, or never; of those
// that do the same the first stands for all.
type frontier struct {
	spec    spec
	entries []entry
	budget  *budget

	slots   [slotsMax]int // slot → entry that holds it, -1
	slotOf  []int         // entry → its slot
	infos   []int         // info slot → entry, of those that have been called
	infoOf  []int         // entry → its info slot
	active  uint64        // slots of operations that have been called and not returned
	pure    uint64        // those that change nothing
	configs *configSet
	next    *configSet
	visited *configSet
	work    []config
}

// slotsMax bounds the operations that overlap at one moment, infoWords × 64
// those without an answer.
const (
	slotsMax  = 64
	infoWords = 4
)

type configKey struct {
	state int32
	done  uint64 // slots of operations that changed something and have not returned
}

type config struct {
	configKey
	read  uint64            // slots of those that change nothing and have happened
	infos [infoWords]uint64 // info slots of those that have happened
	gone  bool              // another in the set covers it
}

// covers reports whether all that can follow d can follow c.
func (c *config) covers(d *config) bool {
	if d.read&^c.read != 0 {
		return false
	}
	for w := range c.infos {
		if c.infos[w]&^d.infos[w] != 0 {
			return false
		}
	}
	return true
}

// A frontierResult is what a search came to.
type frontierResult struct {
	verdict Verdict
	bound   string
	failed  int     // Violated: the entry whose return nothing explains
	states  []int32 // Violated: the states that were possible when it returned
}

// A moment is a call or a return.
type moment struct {
	at    int64
	ret   bool
	entry int
}

// moments are the calls and returns in order of time, of the same time the calls
// first: intervals are closed.
func moments(entries []entry) []moment {
	all := make([]moment, 0, 2*len(entries))
	for i, e := range entries {
		all = append(all, moment{e.call, false, i})
		if !e.info && e.ret != Open {
			all = append(all, moment{e.ret, true, i})
		}
	}
	slices.SortStableFunc(all, func(a, b moment) int {
		if c := cmp.Compare(a.at, b.at); c != 0 {
			return c
		}
		return cmp.Compare(b2i(a.ret), b2i(b.ret))
	})
	for i, e := range entries {
		if !e.info && e.ret == Open {
			all = append(all, moment{Open, true, i})
		}
	}
	return all
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// search looks for an order of the entries.
func search(s spec, entries []entry, b *budget) frontierResult {
	f := &frontier{spec: s, entries: entries, budget: b, slotOf: make([]int, len(entries)), infoOf: make([]int, len(entries)),
		configs: &configSet{}, next: &configSet{}, visited: &configSet{}}
	for i := range f.slots {
		f.slots[i] = -1
	}
	inits := []int32{s.init()}
	if any, ok := s.(interface{ inits() []int32 }); ok {
		inits = any.inits()
	}
	for _, state := range inits {
		f.configs.add(config{configKey: configKey{state: state}})
	}
	for _, m := range moments(entries) {
		switch {
		case !m.ret && !f.call(m.entry):
			return frontierResult{verdict: Undecided, bound: fmt.Sprintf("more than %d operations overlap, or more than %d have no answer", slotsMax, infoWords*64)}
		case m.ret && !f.back(m.entry):
			return frontierResult{verdict: Undecided, bound: b.bound()}
		case m.ret && len(f.configs.list) == 0:
			return frontierResult{verdict: Violated, failed: m.entry, states: f.states()}
		}
	}
	return frontierResult{verdict: Holds}
}

// call gives an operation a slot; false if there is none.
func (f *frontier) call(e int) bool {
	if f.entries[e].info {
		f.retire()
		f.infoOf[e] = slices.Index(f.infos, -1)
		if f.infoOf[e] < 0 {
			f.infoOf[e] = len(f.infos)
			f.infos = append(f.infos, e)
		}
		f.infos[f.infoOf[e]] = e
		return len(f.infos) <= infoWords*64
	}
	slot := bits.TrailingZeros64(^f.active)
	if slot == slotsMax {
		return false
	}
	f.slots[slot], f.slotOf[e] = e, slot
	f.active |= 1 << slot
	if f.spec.pure(f.entries[e].op) {
		f.pure |= 1 << slot
	}
	return true
}

// retire frees the slots of operations without an answer that have happened in
// every configuration.
func (f *frontier) retire() {
	if len(f.infos) < 8 {
		return
	}
	var all [infoWords]uint64
	for w := range all {
		all[w] = ^uint64(0)
	}
	f.configs.each(func(c *config) {
		for w := range all {
			all[w] &= c.infos[w]
		}
	})
	if all == [infoWords]uint64{} {
		return
	}
	f.configs.each(func(c *config) {
		for w := range all {
			c.infos[w] &^= all[w]
		}
	})
	for slot := range f.infos {
		if all[slot/64]&(1<<(slot%64)) != 0 {
			f.infos[slot] = -1
		}
	}
}

// back makes an operation that returned have happened; false if a bound was hit.
func (f *frontier) back(e int) bool {
	bit := uint64(1) << f.slotOf[e]
	f.next.clear()
	f.visited.clear()
	f.work = f.work[:0]
	f.configs.each(func(c *config) { f.enter(*c, bit) })
	for len(f.work) > 0 {
		c := f.work[len(f.work)-1]
		f.work = f.work[:len(f.work)-1]
		if !f.expand(c, bit) {
			return false
		}
	}
	f.configs, f.next = f.next, f.configs
	f.active &^= bit
	f.pure &^= bit
	f.slots[f.slotOf[e]] = -1
	return true
}

// expand lets every operation that can happen next do so.
func (f *frontier) expand(c config, bit uint64) bool {
	if !f.budget.spend(1) {
		return false
	}
	for left := f.active &^ f.pure &^ c.done; left != 0; left &= left - 1 {
		slot := bits.TrailingZeros64(left)
		if !f.budget.spend(1) {
			return false
		}
		if state, ok := f.spec.step(c.state, f.entries[f.slots[slot]].op); ok {
			d := c
			d.state, d.done = state, c.done|1<<slot
			f.enter(d, bit)
		}
	}
	for slot, e := range f.infos {
		if e < 0 || c.infos[slot/64]&(1<<(slot%64)) != 0 || f.alike(&c, slot) {
			continue
		}
		if !f.budget.spend(1) {
			return false
		}
		if state, ok := f.spec.step(c.state, f.entries[e].op); ok && state != c.state {
			d := c
			d.state = state
			d.infos[slot/64] |= 1 << (slot % 64)
			f.enter(d, bit)
		}
	}
	return true
}

// alike reports whether an operation without an answer that does the same as the
// one in a slot stands before it and has not happened either: any will do.
func (f *frontier) alike(c *config, slot int) bool {
	for other, e := range f.infos[:slot] {
		if e >= 0 && c.infos[other/64]&(1<<(other%64)) == 0 && f.spec.alike(f.entries[e].op, f.entries[f.infos[slot]].op) {
			return true
		}
	}
	return false
}

// enter takes a configuration in: among the results if what returned has happened
// in it, else among those to go on from; unless one there covers it.
func (f *frontier) enter(c config, bit uint64) {
	for left := f.active & f.pure &^ c.read; left != 0; left &= left - 1 {
		slot := bits.TrailingZeros64(left)
		if _, ok := f.spec.step(c.state, f.entries[f.slots[slot]].op); ok {
			c.read |= 1 << slot
		}
	}
	if (c.done|c.read)&bit != 0 {
		c.done &^= bit
		c.read &^= bit
		f.next.add(c)
		return
	}
	if f.visited.add(c) {
		f.work = append(f.work, c)
	}
}

// A configSet is configurations none of which covers another, in a fixed order.
type configSet struct {
	list  []config
	index map[configKey][]int // key → places in list, once there are many
}

// scanMax is up to how many configurations are looked through one by one.
const scanMax = 24

func (s *configSet) clear() {
	s.list, s.index = s.list[:0], nil
}

// each calls f with every configuration.
func (s *configSet) each(f func(*config)) {
	for i := range s.list {
		if !s.list[i].gone {
			f(&s.list[i])
		}
	}
}

// add takes c in; false if one that is there covers it.
func (s *configSet) add(c config) bool {
	at := -1
	look := func(i int) (covered bool) {
		d := &s.list[i]
		if d.gone || d.configKey != c.configKey {
			return false
		}
		if d.covers(&c) {
			return true
		}
		if c.covers(d) {
			if at < 0 {
				at = i
			}
			d.gone = true
		}
		return false
	}
	if s.index != nil {
		for _, i := range s.index[c.configKey] {
			if look(i) {
				return false
			}
		}
	} else {
		for i := range s.list {
			if look(i) {
				return false
			}
		}
	}
	if at >= 0 {
		s.list[at] = c
		return true
	}
	s.list = append(s.list, c)
	s.grown()
	return true
}

// grown keeps the index.
func (s *configSet) grown() {
	n := len(s.list) - 1
	switch {
	case s.index != nil:
		key := s.list[n].configKey
		s.index[key] = append(s.index[key], n)
	case n == scanMax:
		s.index = map[configKey][]int{}
		for i := range s.list {
			key := s.list[i].configKey
			s.index[key] = append(s.index[key], i)
		}
	}
}

// states are those in which the last return was tried, in order.
func (f *frontier) states() []int32 {
	var all []int32
	f.visited.each(func(c *config) { all = append(all, c.state) })
	slices.Sort(all)
	return slices.Compact(all)
}

// A budget bounds a search.
type budget struct {
	left, spent int64
	options     *Options
	stopped     bool
}

func newBudget(o *Options) *budget {
	b := &budget{options: o, left: o.Steps}
	if o.Steps == 0 {
		b.left = StepsDefault
	}
	if o.Steps < 0 {
		b.left = Open
	}
	return b
}

// pollEvery is how many steps lie between two looks at Options.Stop.
const pollEvery = 1 << 12

// spend takes n steps; false if there are none left.
func (b *budget) spend(n int64) bool {
	b.spent += n
	b.left -= n
	if b.spent%pollEvery < n && b.options.stopped() {
		b.stopped = true
	}
	return b.left >= 0 && !b.stopped
}

// bound says which bound was hit.
func (b *budget) bound() string {
	if b.stopped {
		return fmt.Sprintf("stopped after %d steps", b.spent)
	}
	return fmt.Sprintf("%d steps were not enough: allow more, or judge fewer operations", b.spent)
}
