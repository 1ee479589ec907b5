package rql_test

import (
	"hindcast.dev/hlc"
	"hindcast.dev/rql/syntax"
)

// What the oracle knows of nodes that are unknown: a row is incomplete if one is
// at some moment from the first event that the row looks back at, up to its end.

// missing reports whether a node asked is unknown at some moment in [from, to).
func (o *oracle) missing(from, to hlc.Timestamp) bool {
	for _, i := range o.nodes() {
		for _, s := range o.meta.Nodes[i].Unknown {
			if o.looks && from < s.To && s.From < to {
				return true
			}
		}
	}
	return false
}

// missingInRange is missing for all cuts of ON TIME.
func (o *oracle) missingInRange() bool {
	from, to := o.began(), hlc.Max
	if r := o.q.OnTime; r != nil {
		if to = o.instant(r.From) + 1; r.To != nil {
			to = o.instant(r.To) + 1
		}
		from = max(from, o.inForce(o.instant(r.From)))
		from = min(from, o.rowSight(from))
	}
	return o.missing(from, to)
}

// sight is from when on a row looks at what was.
func (o *oracle) sight(r *orow) hlc.Timestamp {
	t := r.From
	from := o.rowSight(t)
	first, _ := o.timeRange()
	if o.q.When != nil && o.q.Emit != syntax.EmitCuts && r.v.cut != first { // that it wasn't so before
		from = min(from, o.back(o.q.When.Cond, o.before(t)))
	}
	return from
}

// rowSight is how far back what a row is made of looks from a moment.
func (o *oracle) rowSight(t hlc.Timestamp) hlc.Timestamp {
	from := t
	if o.q.When != nil {
		from = min(from, o.back(o.q.When.Cond, t))
	}
	for _, it := range o.q.Items {
		from = min(from, o.back(it.X, t))
	}
	for _, k := range o.q.GroupBy {
		from = min(from, o.back(o.aliased(k), t))
	}
	return from
}

// back is how far back an expression looks from a moment.
func (o *oracle) back(e syntax.Expr, t hlc.Timestamp) hlc.Timestamp {
	from := t
	inner := func(x syntax.Expr, t hlc.Timestamp) { from = min(from, o.back(x, t)) }
	syntax.Inspect(e, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.Path:
			if x := o.compute[n.Root()]; x != nil && n.Log != "inv" {
				inner(x, t)
			}
		case *syntax.Call:
			if n.Name == "PREV" || n.Name == "CHANGED" {
				from = min(from, o.before(t))
			}
		case *syntax.For:
			inner(n.X, o.lasting(t, n))
			return false
		case *syntax.Past:
			switch {
			case n.Within != nil:
				inner(n.X, o.lasting(t, n))
			case n.Op == syntax.Previously:
				inner(n.X, o.before(t))
			default:
				inner(n.X, o.began())
			}
			return false
		case *syntax.Binary:
			if n.Op == syntax.Since {
				inner(n.L, o.began())
			}
		}
		return true
	})
	return from
}

// lasting is the event in force as long before as an operator says.
func (o *oracle) lasting(t hlc.Timestamp, e syntax.Expr) hlc.Timestamp {
	if ticksOf(e) > t.Ticks() {
		return o.began()
	}
	return min(t, o.inForce(hlc.Timestamp((t.Ticks()-ticksOf(e)+1)<<hlc.LogicalBits)-1))
}

// inForce is when the last event at a moment or before was, or else the first one.
func (o *oracle) inForce(t hlc.Timestamp) hlc.Timestamp {
	last := o.began()
	for _, e := range o.entries {
		if !e.event.Base && e.time <= t {
			last = e.time
		}
	}
	return last
}

// before is when the last event before a moment was, or else the first one.
func (o *oracle) before(t hlc.Timestamp) hlc.Timestamp { return o.inForce(t - 1) }

// began is when the first event was.
func (o *oracle) began() hlc.Timestamp {
	for _, e := range o.entries {
		if !e.event.Base {
			return e.time
		}
	}
	return hlc.Max
}
