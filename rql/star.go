package rql

import (
	"slices"
	"strings"

	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/rql/plan"
)

// star appends the variables of the item's logs that are present on some node,
// log by log, by name; those that the row has already are left out.
func (e *engine) star(out []Cell, it *plan.Item) []Cell {
	if e.net != nil {
		e.net.settleAll(e.w)
	}
	present := map[history.VarID]bool{}
	for _, n := range e.w.nodes {
		for _, id := range e.w.states[n].Vars() {
			present[id] = true
		}
	}
	for _, log := range it.Logs {
		var ids []history.VarID
		for id := range present {
			if strings.HasPrefix(e.varName(id), log+".") {
				ids = append(ids, id)
			}
		}
		slices.SortFunc(ids, func(a, b history.VarID) int { return strings.Compare(e.varName(a), e.varName(b)) })
		for _, id := range ids {
			out = e.starCell(out, id)
		}
	}
	return out
}

func (e *engine) starCell(out []Cell, id history.VarID) []Cell {
	c := Cell{Name: e.varName(id), PerNode: true}
	if hasCell(out, c.Name) {
		return out
	}
	for _, n := range e.w.nodes {
		if v := e.w.states[n].Get(id); !v.IsAbsent() {
			c.Nodes = append(c.Nodes, Field{e.w.names[n], v})
		}
	}
	return append(out, c)
}

// hasCell reports whether * has brought a cell of this name already.
func hasCell(out []Cell, name string) bool {
	return slices.ContainsFunc(out, func(c Cell) bool { return c.Name == name })
}

func (e *engine) varName(id history.VarID) string { return e.vars[id] }

// keyID is a text that two keys share only if they are equal to RQL.
func keyID(v event.Value) string {
	if v.Type() == event.TypeString {
		return "s" + v.AsString()
	}
	if f, ok := v.AsFloat(); ok && f == float64(int64(f)) && f > -1<<62 && f < 1<<62 {
		v = event.Int(int64(f))
	}
	return v.Type().String() + string(v.AppendJSON(nil))
}

// memberID is keyID of a member of FOR EACH.
func memberID(v value) string {
	if v.ext != nil && v.ext.big != nil {
		return "big" + v.ext.big.String()
	}
	shown, _ := v.shown()
	return keyID(shown)
}
