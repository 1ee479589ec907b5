package rql_test

import (
	"hindcast.dev/hlc"
	"hindcast.dev/rql/syntax"
)

// walk makes the cuts of the walk for a member of FOR EACH: one for each event,
// and ticks between them.
func (o *oracle) walk(member any) {
	o.owalk = &owalk{truths: map[truth]bool{}, locals: map[string]any{}}
	if f := o.q.ForEach; f != nil && member != nil {
		o.locals[f.Name.Name] = member
	}
	for i, e := range o.entries {
		if e.event.Base {
			continue
		}
		for {
			at, ok := o.nextTick()
			if o.q.ForEach != nil && member == nil {
				ok = false // for the collection of FOR EACH the events will do
			}
			if !ok || at > e.time.Ticks() {
				break
			}
			// A tick sees the bases before it.
			now := o.cuts[len(o.cuts)-1].states
			for _, b := range o.entries[:i] {
				if b.time.Ticks() < at {
					now = b.states
				}
			}
			o.cuts = append(o.cuts, snapshot{time: hlc.Timestamp(at << hlc.LogicalBits), states: now, before: now})
		}
		o.cuts = append(o.cuts, e)
	}
}

// nextTick is when, if the last cut just went on, the first FOR or WITHIN of the
// query would change its value.
func (o *oracle) nextTick() (at uint64, ok bool) {
	last := len(o.cuts) - 1
	if last < 0 {
		return 0, false
	}
	v := o.env(last)
	now := o.cuts[last].time.Ticks()
	for _, e := range o.timed {
		is := v.past(e, last, now)
		for cut := range o.cuts {
			t := o.cuts[cut].time.Ticks() + ticksOf(e)
			if t > now && (!ok || t < at) && v.past(e, last, t) != is {
				at, ok = t, true
			}
		}
	}
	return at, ok
}

func ticksOf(e syntax.Expr) uint64 {
	if x, ok := e.(*syntax.For); ok {
		return hlc.DurationTicks(x.D.D)
	}
	return hlc.DurationTicks(e.(*syntax.Past).Within.D)
}

// closed is the truth of an operand at a cut, with placeholders of its own.
func (v *oenv) closed(x syntax.Expr, cut int) bool {
	key := truth{x, cut}
	if known, ok := v.w.truths[key]; ok {
		return known
	}
	holds := v.w.env(v.o, cut).choose(0, v.o.scopes[x], x, map[int]int{})
	v.w.truths[key] = holds
	return holds
}

// past is an operator of past time at a cut that lasts until now.
func (v *oenv) past(e syntax.Expr, cut int, now uint64) bool {
	switch e := e.(type) {
	case *syntax.For:
		first := cut
		for first >= 0 && v.closed(e.X, first) {
			first--
		}
		return first < cut && now-v.w.cuts[first+1].time.Ticks() >= ticksOf(e)
	case *syntax.Binary: // L SINCE R
		for c := cut; c >= 0; c-- {
			if v.closed(e.R, c) {
				return true
			}
			if !v.closed(e.L, c) {
				return false
			}
		}
		return false
	}
	p := e.(*syntax.Past)
	if p.Op == syntax.Previously {
		return cut > 0 && v.closed(p.X, cut-1)
	}
	some, all := false, true
	for c := cut; c >= 0; c-- {
		if p.Within != nil && c < cut && v.w.cuts[c+1].time.Ticks()+ticksOf(e) <= now {
			break // it ended too long ago, as did those before it
		}
		holds := v.closed(p.X, c)
		some, all = some || holds, all && holds
	}
	if p.Op == syntax.Once {
		return some
	}
	return all
}
