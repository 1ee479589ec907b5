package rql_test

import (
	"math/big"
	"slices"

	"hindcast.dev/event"
	"hindcast.dev/rql"
	"hindcast.dev/rql/syntax"
)

// An ogroup is rows with equal keys.
type ogroup struct {
	o    *oracle
	rows []orow
	keys []rql.Cell
}

// groups merges rows with equal keys, in the order of their first ones.
func (o *oracle) groups(rows []orow) []*rql.Row {
	var groups []*ogroup
	for _, r := range rows {
		var keys []rql.Cell
		for i, k := range o.q.GroupBy {
			c := o.item(r.v, o.q.GroupText[i], o.aliased(k))
			if !c.PerNode && c.Value.IsAbsent() {
				c.Value = event.Null()
			}
			keys = append(keys, c)
		}
		at := slices.IndexFunc(groups, func(g *ogroup) bool {
			return slices.EqualFunc(g.keys, keys, func(a, b rql.Cell) bool {
				return order(lift(a.Map()), lift(b.Map())) == 0
			})
		})
		if at < 0 {
			at = len(groups)
			groups = append(groups, &ogroup{o: o, keys: keys})
		}
		groups[at].rows = append(groups[at].rows, r)
	}
	var out []*rql.Row
	for _, g := range groups {
		row := &rql.Row{Group: g.keys, Incomplete: o.missingInRange()}
		v := &oenv{o: o, group: g, shown: -1, locals: map[string]any{}}
		for _, it := range o.q.Items {
			row.Values = append(row.Values, rql.Cell{Name: it.Name(), Value: back(v.eval(it.X))})
		}
		out = append(out, row)
	}
	return out
}

// aliased is the item whose AS name a key is, or the key.
func (o *oracle) aliased(k syntax.Expr) syntax.Expr {
	if p, ok := k.(*syntax.Path); ok {
		if name, bare := p.Bare(); bare && o.compute[name] == nil && (o.q.ForEach == nil || o.q.ForEach.Name.Name != name) {
			for _, it := range o.q.Items {
				if it.As != nil && it.As.Name == name {
					return it.X
				}
			}
		}
	}
	return k
}

// eval is a key, or an aggregate over the rows; ok is false for anything else.
func (g *ogroup) eval(e syntax.Expr) (x any, ok bool) {
	for i, k := range g.o.q.GroupBy {
		if syntax.Print(g.o.aliased(k)) == syntax.Print(e) {
			if c := &g.keys[i]; c.PerNode {
				return lift(c.Map()), true
			}
			// Not what is shown: an int may be too large for that.
			return g.rows[0].v.eval(e), true
		}
	}
	c, ok := e.(*syntax.Call)
	if !ok || !c.Star && (!setFunctions[c.Name] || len(c.Args) != 1) {
		return nil, false
	}
	if c.Star {
		return big.NewInt(int64(len(g.rows))), true
	}
	var ms []any
	for _, r := range g.rows {
		ms = append(ms, g.o.contribution(r.v, c)...)
	}
	ms = slices.DeleteFunc(ms, func(m any) bool { return m == nil })
	if c.Distinct {
		ms = dedupe(ms)
	}
	if c.Name == "NODES" || c.Name == "KEYS" || c.Name == "FLATTEN" {
		return dedupe(ms), true
	}
	return total(c.Name, ms), true
}

// contribution is what a row brings to an aggregate over rows.
func (o *oracle) contribution(v *oenv, c *syntax.Call) []any {
	arg := c.Args[0]
	if p, ok := arg.(*syntax.Path); ok && p.Log == "inv" {
		if c.Name != "NODES" && c.Name != "KEYS" && c.Name != "FLATTEN" {
			ms, _ := v.set(arg)
			return ms
		}
	}
	perNode := func(e syntax.Expr) (out []any) {
		paths := selectPaths(e, false)
		if len(paths) == 0 {
			return []any{v.eval(e)}
		}
		for _, n := range o.nodes() {
			ok := v.in(n)
			for p, anyway := range paths {
				ok = ok && (anyway || v.ranges(p, n))
			}
			if ok {
				v.shown = n
				out = append(out, v.eval(e))
				v.shown = -1
			}
		}
		return out
	}
	switch c.Name {
	case "NODES", "KEYS", "FLATTEN":
		var out []any
		for _, set := range perNode(c) {
			ms, _ := membersOf(set)
			out = append(out, ms...)
		}
		return out
	}
	return perNode(arg)
}
