package rql

import (
	"hindcast.dev/rql/plan"
)

// A pastState is what is kept of an operator of past time, for one member of FOR
// EACH or for all.
type pastState struct {
	past  *plan.Past
	inst  *instance // nil for all
	holds bool
	known bool // it has seen a cut
	x     bool // its operand at the last cut
	ended bool // mark is set
	// mark is, in ticks of the clock, of FOR when the run of its operand began; of
	// WITHIN when its operand was last over: for ONCE true, for ALWAYS false.
	mark  uint64
	due   uint64 // when time alone will change it; only meaningful in the heap
	at    int    // its place in the heap of timers, -1 if it isn't there
	stamp uint64 // of the cut at which it was updated
}

// makePasts makes the states of the operators that are shared.
func (e *engine) makePasts() {
	e.wake = make([][]*pastState, len(e.q.Pasts))
	e.pasts = e.newPasts(nil)
}

func (e *engine) newPasts(in *instance) []pastState {
	out := make([]pastState, len(e.q.Pasts))
	for i, p := range e.q.Pasts {
		out[i] = pastState{past: p, inst: in, at: -1}
	}
	return out
}

// pastHolds is what an operator of past time has at this cut, for the member
// that was entered.
func (e *env) pastHolds(p *plan.Past) bool {
	if p.Shared {
		return e.pasts[p.ID].holds
	}
	return e.inst.pasts[p.ID].holds
}

// pass moves an operator to this cut, after its operands were decided: where one
// of them changed, and where the cut before or time asks for it.
func (e *engine) pass(p *plan.Past, touched []*instance) {
	if p.Shared {
		if len(touched) > 0 || len(e.wake[p.ID]) > 0 {
			e.update(&e.pasts[p.ID])
		}
	} else {
		for _, in := range touched {
			e.update(&in.pasts[p.ID])
		}
		for _, s := range e.wake[p.ID] {
			e.update(s)
		}
	}
	e.wake[p.ID] = e.wake[p.ID][:0]
}

func (e *engine) update(s *pastState) {
	if s.stamp == e.cut {
		return
	}
	s.stamp = e.cut
	p, was := s.past, s.holds
	x := e.truth(p.X.Root, s.inst)
	while := p.While.Root != nil && e.truth(p.While.Root, s.inst)
	due := s.follow(x, while, e.w.now.Ticks())
	e.timers.set(s, due)
	if p.Op == plan.PastPreviously && s.x != s.holds {
		e.before = append(e.before, s)
	}
	if s.holds == was {
		return
	}
	for _, l := range p.Leaves {
		if p.Shared {
			e.markAll(l, allNodes)
		} else {
			e.mark(mark{l, s.inst, allNodes})
		}
	}
}

// follow takes the operand's truth at a cut and decides the operator there. It
// returns when time alone will change that, 0 for never.
func (s *pastState) follow(x, while bool, now uint64) (due uint64) {
	p, first, was := s.past, !s.known, s.x
	s.known, s.x = true, x
	switch p.Op {
	case plan.PastPreviously:
		s.holds = !first && was
	case plan.PastOnce:
		if p.Timed {
			return s.within(x, !first && was, now, true)
		}
		s.holds = s.holds || x
	case plan.PastAlways:
		if p.Timed {
			return s.within(!x, !first && !was, now, false)
		}
		s.holds = x && (first || s.holds)
	case plan.PastSince:
		s.holds = x || while && s.holds
	case plan.PastFor:
		if x && (first || !was) {
			s.mark = now
		}
		s.holds = x && now-s.mark >= p.Ticks
		if x && !s.holds {
			return s.mark + p.Ticks
		}
	}
	return 0
}

// within decides whether something (x) is so at some of the cuts that lasted into
// the time of the operator; that makes it hold, or not.
func (s *pastState) within(x, was bool, now uint64, some bool) (due uint64) {
	if was && !x {
		s.ended, s.mark = true, now
	}
	lasts := s.ended && s.mark+s.past.Ticks > now
	s.holds = (x || lasts) == some
	if lasts && !x {
		return s.mark + s.past.Ticks
	}
	return 0
}
