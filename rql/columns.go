package rql

import (
	"math"

	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/rql/plan"
)

// A cellKind says what a cell holds.
type cellKind uint8

// The kinds of cell. What is no machine word is other.
const (
	cellAbsent cellKind = iota
	cellInt
	cellFloat
	cellBool
	cellOther
)

// A cell is a value as far as a machine word holds it: an int64, a float64 or a
// bool. Compiled code computes with cells; where it meets another kind it gives
// up, and the tree of the expression is evaluated.
type cell struct {
	bits uint64
	kind cellKind
}

// giveUp is the cell of what compiled code can't say.
var giveUp = cell{kind: cellOther}

func intCell(n int64) cell     { return cell{uint64(n), cellInt} }
func floatCell(f float64) cell { return cell{math.Float64bits(f), cellFloat} }

func boolCell(b bool) cell {
	if b {
		return cell{1, cellBool}
	}
	return cell{0, cellBool}
}

func (c cell) int() int64     { return int64(c.bits) }
func (c cell) float() float64 { return math.Float64frombits(c.bits) }

// cellOf is the cell of a variable's value.
func cellOf(v event.Value) cell { return cellAt(&v) }

// cellAt is cellOf for a value that lies somewhere.
func cellAt(v *event.Value) cell {
	switch v.Type() {
	case event.TypeInt:
		n, _ := v.AsInt()
		return intCell(n)
	case event.TypeAbsent:
		return cell{}
	case event.TypeFloat:
		f, _ := v.AsFloat()
		return floatCell(f)
	case event.TypeBool:
		return boolCell(v.AsBool())
	}
	return giveUp
}

// cellOfValue is the cell of an expression's value.
func cellOfValue(v value) cell {
	if v.ext != nil {
		return giveUp
	}
	return cellOf(v.v)
}

// value is what a cell holds, which isn't cellOther.
func (c cell) value() value {
	switch c.kind {
	case cellInt:
		return ofInt(c.int())
	case cellFloat:
		return ofFloat(c.float())
	case cellBool:
		return ofBool(c.bits == 1)
	}
	return bot
}

// columns are, node by node, what the paths that depend on nothing lead to.
type columns struct {
	width int
	cells []cell        // node*width + column
	vals  []event.Value // likewise; only of cells that are cellOther
	stats []*stats      // by column; nil where no aggregate asks
}

// row is what the columns are on a node.
func (c *columns) row(node int) []cell {
	return c.cells[node*c.width : (node+1)*c.width]
}

// value is what column number i is on a node.
func (c *columns) value(node, i int) event.Value {
	at := node*c.width + i
	if k := c.cells[at]; k.kind != cellOther {
		return k.value().v
	}
	return c.vals[at]
}

// A column is one path, and what follows its values.
type column struct {
	ref     *plan.Ref
	whole   bool // the path is a variable
	at      int
	watches []watch
	stats   *stats // over the nodes; nil unless an aggregate asks
}

// A varInfo is what the engine does when a variable changes.
type varInfo struct {
	used    bool // otherwise its changes are passed over
	past    bool // its value before counts: for PREV, or for what follows
	plain   bool // columns are all that follows it
	columns []*column
	watches []watch // of paths that are no column
	tallies []*tally
	keyed   *keyedVar // nil: it isn't kept by key
}

// info returns what is done about a variable, nil if nothing is.
func (e *engine) info(id history.VarID) *varInfo {
	if int(id) < len(e.infos) && e.infos[id].used {
		return &e.infos[id]
	}
	return nil
}

// makeInfos finds what is done about each variable.
func (e *engine) makeInfos() {
	used := usedVars(e.q)
	e.infos = make([]varInfo, len(e.vars))
	for i := range e.infos {
		e.infos[i].used = used == nil || used[history.VarID(i)]
		e.infos[i].past = e.q.UsesPrev
	}
	e.seesAll = used == nil
	e.cols = &columns{width: len(e.q.Columns)}
	e.cols.cells = make([]cell, len(e.w.names)*e.cols.width)
	e.cols.vals = make([]event.Value, len(e.cols.cells))
	for i, r := range e.q.Columns {
		c := &column{ref: r, at: i, whole: len(r.Vars) == 1 && len(r.Steps) == r.Vars[0].Rest}
		e.columns = append(e.columns, c)
		for _, v := range r.Vars {
			e.infos[v.Var].columns = append(e.infos[v.Var].columns, c)
		}
	}
}

// fillColumns takes over the states that the walk begins with.
func (e *engine) fillColumns() {
	for _, n := range e.w.nodes {
		if !e.w.in(n) {
			continue
		}
		for _, c := range e.columns {
			now := e.walked(c.ref, n, false)
			e.set(c, n, &now)
		}
	}
}

// followColumn brings a column up to date on a node after a change of a variable
// that it reads. It is false if it has the value that it had.
func (e *engine) followColumn(c *column, node int, id history.VarID) (changed bool) {
	if c.whole {
		return e.set(c, node, e.w.states[node].At(id))
	}
	now := e.walked(c.ref, node, false)
	return e.set(c, node, &now)
}

// set is false if the column had that value.
func (e *engine) set(c *column, node int, now *event.Value) bool {
	at := &e.cols.cells[node*e.cols.width+c.at]
	was, is := *at, cellAt(now)
	if was.kind == cellOther || is.kind == cellOther {
		return e.setOther(c, node, is, now)
	}
	if was == is {
		return false
	}
	*at = is
	if c.stats != nil {
		c.stats.changeCell(node, was, is)
	}
	return true
}

// setOther is set where a value is or was one that no cell holds.
func (e *engine) setOther(c *column, node int, is cell, now *event.Value) bool {
	i := node*e.cols.width + c.at
	was := e.cols.value(node, c.at)
	if e.cols.cells[i] == is && now.Type() < event.TypeList && event.Equal(*now, was) {
		return false
	}
	if c.stats != nil {
		c.stats.change(node, of(was), of(*now))
	}
	e.cols.cells[i], e.cols.vals[i] = is, event.Absent
	if is.kind == cellOther {
		e.cols.vals[i] = *now
	}
	return true
}

// present reports whether a path leads to something on a node.
func (e *env) present(r *plan.Ref, node int) bool {
	if r.Column > 0 && e.cols != nil {
		return e.cols.cells[node*e.cols.width+r.Column-1].kind != cellAbsent
	}
	return e.inRange(r, node)
}
