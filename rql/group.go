package rql

import (
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"

	"hindcast.dev/event"
	"hindcast.dev/hlc"
	"hindcast.dev/rql/plan"
)

// maxGroups bounds how many groups a query may have.
const maxGroups = 1 << 20

// A lateValue is an expression of a row whose first parts are known and which
// waits for the end of the row.
type lateValue struct {
	late  *plan.Late
	nodes []string  // that it is shown for, where it runs over nodes
	first [][]value // the parts, for each of them or for the row
	cell  int       // where in the row it goes
}

// lateOf evaluates the first parts of an expression at this cut.
func (e *engine) lateOf(l *plan.Late) *lateValue {
	v := &lateValue{late: l}
	parts := func() (out []value) {
		for _, x := range l.First {
			out = append(out, e.eval(x))
		}
		return out
	}
	if l.Slot < 0 {
		v.first = append(v.first, parts())
		return v
	}
	for _, n := range e.w.nodes {
		if !e.candidate(l.Slot, n) {
			continue
		}
		e.slots[l.Slot] = n
		if first := parts(); l.Ref == nil || !first[0].isBot() {
			v.nodes = append(v.nodes, e.w.names[n])
			v.first = append(v.first, first)
		}
	}
	return v
}

// values are what the expression has at the end of a row: one, or one for each
// node.
func (e *env) values(v *lateValue, lasted value) []value {
	holes, duration := e.holes, e.lasted
	defer func() { e.holes, e.lasted = holes, duration }()
	out := make([]value, len(v.first))
	for i := range v.first {
		e.holes, e.lasted = v.first[i], lasted
		out[i] = e.eval(v.late.X)
	}
	return out
}

// showLate fills in a cell of a row that is over.
func (e *engine) showLate(r *Row, v *lateValue, lasted value) {
	c := &r.Values[v.cell]
	for i, x := range e.values(v, lasted) {
		shown, ok := x.shown()
		if !ok {
			e.fault(FaultRange, v.late.X.Position())
		}
		if c.PerNode {
			c.Nodes = append(c.Nodes, Field{v.nodes[i], shown})
		} else {
			c.Value = shown
		}
	}
}

// lasted is DURATION() in seconds: by physical time, whose ticks a float holds
// exactly. A row that isn't over lasts until the last cut.
func lasted(r *Row, now hlc.Timestamp) value {
	to := r.To
	if r.Open {
		to = now
	}
	return ofFloat(float64(to.Ticks()-r.From.Ticks()) / hlc.TicksPerSecond)
}

// A grouper merges rows with equal keys.
type grouper struct {
	e      *engine
	groups map[string]*group
	order  []*group // by their first row
}

type group struct {
	keys   []Cell
	values []value // of the keys
	folds  []fold
}

// A fold is an aggregate over the rows of a group so far.
type fold struct {
	rows int64
	bag  bag
	set  map[string]value // where equal values count once
}

// A groupedRow is what a row brings along for its group.
type groupedRow struct {
	keys  []*lateValue
	folds []*lateValue // nil where members or nothing but the row counts
	over  [][]value    // of a fold over a path: what it has at the first cut
}

func (e *engine) groupedRow() *groupedRow {
	g := &groupedRow{}
	for _, k := range e.q.Group.Keys {
		g.keys = append(g.keys, e.lateOf(k.Late))
	}
	g.folds = make([]*lateValue, len(e.q.Group.Folds))
	g.over = make([][]value, len(e.q.Group.Folds))
	for i, f := range e.q.Group.Folds {
		switch {
		case f.Over != nil:
			g.over[i], _ = e.collection(f.Over)
		case f.Arg != nil:
			g.folds[i] = e.lateOf(f.Arg)
		}
	}
	return g
}

// add merges a row that is over into its group.
func (g *grouper) add(r *Row, row *groupedRow, now hlc.Timestamp) error {
	long := lasted(r, now)
	cells, values := make([]Cell, len(row.keys)), make([]value, len(row.keys))
	var id strings.Builder
	for i, k := range row.keys {
		cells[i], values[i] = g.key(g.e.q.Group.Keys[i].Name, k, long)
		writeID(&id, values[i])
		id.WriteByte('\n')
	}
	in := g.groups[id.String()]
	if in == nil {
		if len(g.order) == maxGroups {
			return fmt.Errorf("the query has more than %d groups: GROUP BY something that fewer rows differ in", maxGroups)
		}
		in = &group{keys: cells, values: values, folds: make([]fold, len(row.folds))}
		g.groups[id.String()] = in
		g.order = append(g.order, in)
	}
	for i, f := range g.e.q.Group.Folds {
		in.folds[i].rows++
		for _, v := range row.over[i] {
			in.folds[i].add(f, v)
		}
		if late := row.folds[i]; late != nil {
			for _, v := range g.e.values(late, long) {
				in.folds[i].take(f, v)
			}
		}
	}
	return nil
}

// key is a key of a row as it is shown, and as a value; ⊥ is null.
func (g *grouper) key(name string, k *lateValue, long value) (Cell, value) {
	c := Cell{Name: name, PerNode: k.late.Slot >= 0}
	for i, v := range g.e.values(k, long) {
		shown, ok := v.shown()
		if !ok {
			g.e.fault(FaultRange, k.late.X.Position())
		}
		if !c.PerNode {
			c.Value = orNull(shown)
			if !ok {
				return c, v
			}
			return c, of(c.Value)
		}
		c.Nodes = append(c.Nodes, Field{k.nodes[i], shown})
	}
	return c, of(c.Map())
}

// take adds what a row has: a value, or the members of a collection.
func (f *fold) take(p *plan.Fold, v value) {
	if !p.Members {
		f.add(p, v)
		return
	}
	ms, _ := v.members()
	for _, m := range ms {
		f.add(p, m)
	}
}

func (f *fold) add(p *plan.Fold, v value) {
	switch {
	case v.isBot():
	case p.Distinct || p.Op >= plan.AggValues:
		var id strings.Builder
		writeID(&id, v)
		if f.set == nil {
			f.set = map[string]value{}
		}
		if old, ok := f.set[id.String()]; !ok || identity(v, old) < 0 {
			f.set[id.String()] = v
		}
	default:
		f.bag.add(v)
	}
}

// result is the aggregate over all rows of the group.
func (f *fold) result(e *env, p *plan.Fold) value {
	switch {
	case p.Arg == nil && p.Over == nil:
		return ofInt(f.rows)
	case p.Op >= plan.AggValues || p.Distinct:
		ms := make([]value, 0, len(f.set))
		for _, v := range f.set {
			ms = append(ms, v)
		}
		set := setOf(ms)
		if p.Op >= plan.AggValues {
			return set
		}
		f.bag = bag{}
		for _, m := range set.ext.set {
			f.bag.add(m)
		}
	}
	v := f.bag.result(p.Op)
	if v.isBot() && f.bag.count > 0 {
		e.fault(FaultAggregate, p.Pos)
	}
	return v
}

// give gives the groups as rows, no more than LIMIT allows.
func (g *grouper) give(limit int64, sum *Summary, incomplete bool, emit func(*Row) error) error {
	e := g.e
	for i, in := range g.order {
		if limit >= 0 && int64(i) == limit {
			return errLimit
		}
		r := &Row{Group: in.keys, Incomplete: incomplete}
		e.holes = in.values[:len(in.values):len(in.values)]
		for i := range in.folds {
			e.holes = append(e.holes, in.folds[i].result(&e.env, e.q.Group.Folds[i]))
		}
		for j := range e.q.Items {
			r.Values = append(r.Values, Cell{Name: e.q.Items[j].Name, Value: e.show(e.q.Items[j].X)})
		}
		sum.Rows++
		if err := emit(r); err != nil {
			return err
		}
	}
	return nil
}

// writeID writes a text that two values share only if they are equal to RQL,
// numbers of different types too.
func writeID(b *strings.Builder, v value) {
	if ms, ok := v.members(); ok {
		ms = normalMembers(v, ms)
		b.WriteString(v.rank().String() + strconv.Itoa(len(ms)))
		for _, m := range ms {
			b.WriteByte(' ')
			writeID(b, m)
		}
		return
	}
	switch {
	case v.isNumber():
		b.WriteString(numberID(v))
	case v.v.Type() == event.TypeMap:
		b.WriteString("map" + strconv.Itoa(v.v.Len()))
		for k, x := range v.v.AsMap().All() {
			b.WriteByte(' ')
			writeID(b, of(k))
			b.WriteByte(':')
			writeID(b, of(x))
		}
	default:
		b.WriteString(v.rank().String())
		b.Write(v.v.AppendJSON(nil))
	}
}

// normalMembers are those of a set in which 1 and 1.0 are one.
func normalMembers(v value, ms []value) []value {
	if v.rank() != event.TypeSet {
		return ms
	}
	n, _ := normalSet(v).members()
	return n
}

func numberID(v value) string {
	f, ok := v.float()
	switch {
	case !ok:
		return v.bigInt().String()
	case math.IsNaN(f) || math.IsInf(f, 0) || f != math.Trunc(f):
		return strconv.FormatFloat(f, 'g', -1, 64)
	}
	n, _ := new(big.Float).SetFloat64(f).Int(nil)
	return n.String()
}
