package rql_test

import (
	"math"
	"math/big"
	"slices"

	"hindcast.dev/event"
	"hindcast.dev/hlc"
	"hindcast.dev/rql/syntax"
)

func (v *oenv) eval(e syntax.Expr) any {
	if v.group != nil {
		if x, ok := v.group.eval(e); ok {
			return x
		}
	}
	switch e := e.(type) {
	case *syntax.Time:
		return event.Time(v.o.instant(e))
	case *syntax.Duration:
		return float64(e.D*65536/1e9) / 65536 // cut down to units of 2^-16 s; those of tests are short
	case *syntax.Int:
		n, _ := new(big.Int).SetString(e.Text, 10)
		return n
	case *syntax.Float:
		return e.Value
	case *syntax.String:
		return e.Value
	case *syntax.Bool:
		return e.Value
	case *syntax.Null:
		return event.Null()
	case *syntax.Path:
		return v.path(e)
	case *syntax.Placeholder:
		if v.leave {
			return nil
		}
		h := v.o.holders[e.N-1]
		if n, ok := v.node[h.path]; ok && n >= 0 {
			return lift(v.variable(h.path, n, len(h.path.Steps)))
		}
		return nil
	case *syntax.Call:
		return v.call(e)
	case *syntax.SetLit:
		var out []any
		for _, x := range e.Elems {
			m := v.eval(x)
			if m == nil {
				return nil
			}
			out = append(out, m)
		}
		return dedupe(out)
	case *syntax.Quantifier:
		return v.quantifier(e)
	case *syntax.Case:
		for _, w := range e.Whens {
			if v.eval(w.Cond) == true {
				return v.eval(w.Then)
			}
		}
		if e.Else == nil {
			return event.Null()
		}
		return v.eval(e.Else)
	case *syntax.Unary:
		x := v.eval(e.X)
		if e.Op == syntax.Not {
			return x != true
		}
		switch x := x.(type) {
		case *big.Int:
			return new(big.Int).Neg(x)
		case float64:
			return -x
		}
		return nil
	case *syntax.Past, *syntax.For:
		return v.past(e, v.cut, v.w.cuts[v.cut].time.Ticks())
	case *syntax.Binary:
		if e.Op == syntax.Since {
			return v.past(e, v.cut, v.w.cuts[v.cut].time.Ticks())
		}
		return v.binary(e)
	case *syntax.Link:
		if !e.Each {
			return v.eval(e.X)
		}
		return v.eachNode(e)
	}
	panic("the oracle doesn't know " + syntax.Print(e))
}

// path is a variable on its node, a local or a COMPUTE name.
func (v *oenv) path(p *syntax.Path) any {
	if p.Log == "inv" {
		node := v.shown
		if n, ok := v.node[p]; ok {
			node = n
		}
		if node < 0 {
			return nil
		}
		return lift(v.variable(p, node, len(p.Steps)))
	}
	if x, ok := v.o.compute[p.Root()]; ok {
		if v.leave && v.hasHolders(x) {
			return nil
		}
		return v.eval(x)
	}
	x := v.locals[p.Root()]
	steps := p.Steps
	if p.Log == "" {
		steps = steps[1:]
	}
	for _, s := range steps {
		val := back(x)
		x = lift(val.Index(v.key(s)))
	}
	return x
}

// hasHolders reports whether a COMPUTE name stands for chosen nodes.
func (v *oenv) hasHolders(x syntax.Expr) bool {
	found := false
	syntax.Inspect(x, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.Path:
			h := v.o.byPath[n]
			found = found || h != nil && !h.each
			if inner, ok := v.o.compute[n.Root()]; ok {
				found = found || v.hasHolders(inner)
			}
		case *syntax.Placeholder:
			found = true
		case *syntax.Past, *syntax.For:
			return false
		case *syntax.Binary:
			return n.Op != syntax.Since
		}
		return true
	})
	return found
}

func (v *oenv) eachNode(e *syntax.Link) any {
	var paths []*syntax.Path
	for _, h := range v.o.holders {
		if h.each && v.o.within(e, h.path) {
			paths = append(paths, h.path)
		}
	}
	some := false
	for _, n := range v.o.nodes() {
		relevant := false
		for _, p := range paths {
			relevant = relevant || v.in(n) && v.ranges(p, n)
		}
		if !relevant {
			continue
		}
		some = true
		for _, p := range paths {
			v.node[p] = n
		}
		ok := v.eval(e.X) == true
		for _, p := range paths {
			delete(v.node, p)
		}
		if !ok {
			return false
		}
	}
	return some
}

func (o *oracle) within(e syntax.Node, p *syntax.Path) bool {
	found := false
	syntax.Inspect(e, func(n syntax.Node) bool {
		found = found || n == syntax.Node(p)
		return true
	})
	return found
}

func (v *oenv) quantifier(e *syntax.Quantifier) any {
	ms, ok := v.set(e.Set)
	if !ok {
		return false
	}
	saved := v.locals
	defer func() { v.locals = saved }()
	var try func(i int) bool
	try = func(i int) bool {
		if i == len(e.Names) {
			return v.eval(e.Body) == true
		}
		for _, m := range ms {
			next := map[string]any{}
			for k, x := range v.locals {
				next[k] = x
			}
			next[e.Names[i].Name] = m
			before := v.locals
			v.locals = next
			got := try(i + 1)
			v.locals = before
			if got != e.All {
				return !e.All
			}
		}
		return e.All
	}
	return try(0)
}

// set is the members of what stands in set position.
func (v *oenv) set(e syntax.Expr) ([]any, bool) {
	if v.group != nil {
		if x, ok := v.group.eval(e); ok {
			return membersOf(x)
		}
	}
	if p, ok := e.(*syntax.Path); ok && p.Log == "inv" {
		var out []any
		for _, n := range v.o.nodes() {
			out = append(out, v.spread(p, n)...)
		}
		return out, true
	}
	return membersOf(v.eval(e))
}

func membersOf(x any) ([]any, bool) {
	switch x := x.(type) {
	case []any:
		return x, true
	case event.Value:
		if x.Type() == event.TypeList {
			out := []any{}
			for _, m := range x.Members() {
				out = append(out, lift(m))
			}
			return out, true
		}
	}
	return nil, false
}

// spread is the values of a path on one node; the last [*] of generated queries
// follows the variable.
func (v *oenv) spread(p *syntax.Path, node int) []any {
	if !v.in(node) {
		return nil
	}
	at := slices.IndexFunc(p.Steps, func(s syntax.Step) bool { return s.Kind == syntax.StepAll })
	if at < 0 {
		if x := v.variable(p, node, len(p.Steps)); !x.IsAbsent() {
			return []any{lift(x)}
		}
		return nil
	}
	var out []any
	take := func(x event.Value) {
		for _, s := range p.Steps[at+1:] {
			x = x.Index(v.key(s))
		}
		if !x.IsAbsent() {
			out = append(out, lift(x))
		}
	}
	base := v.variable(p, node, at)
	for _, m := range base.Members() {
		take(m)
	}
	for _, m := range base.AsMap().All() {
		take(m)
	}
	return out
}

func (v *oenv) call(e *syntax.Call) any {
	if setFunctions[e.Name] && len(e.Args) == 1 {
		return v.aggregate(e)
	}
	switch e.Name {
	case "TIME":
		return event.Time(v.w.cuts[v.cut].time)
	case "DURATION":
		return v.lasted
	case "NODE":
		if v.leave {
			return nil
		}
		h := v.o.holders[e.Args[0].(*syntax.Placeholder).N-1]
		if n, ok := v.node[h.path]; ok && n >= 0 {
			return v.o.meta.Nodes[n].Name
		}
		return nil
	case "PRESENT", "CHANGED", "PREV":
		return v.ofVariable(e.Name, e.Args[0].(*syntax.Path))
	case "COALESCE":
		for _, a := range e.Args {
			if x := v.eval(a); x != nil && !isNull(x) {
				return x
			}
		}
		return nil
	}
	var args []any
	for _, a := range e.Args {
		x := v.eval(a)
		if x == nil {
			return nil
		}
		args = append(args, x)
	}
	return function(e.Name, args)
}

func (v *oenv) ofVariable(name string, p *syntax.Path) any {
	node := v.shown
	if n, ok := v.node[p]; ok {
		node = n
	}
	if node < 0 {
		return nil
	}
	now, was := v.variable(p, node, len(p.Steps)), v.from(v.w.cuts[v.cut].before[node], p, len(p.Steps))
	switch name {
	case "PRESENT":
		return !now.IsAbsent()
	case "CHANGED":
		return !event.Equal(now, was)
	}
	return lift(was)
}

func (v *oenv) aggregate(e *syntax.Call) any {
	p, bare := e.Args[0].(*syntax.Path)
	bare = bare && p.Log == "inv"
	if e.Name == "NODES" {
		var out []any
		for _, n := range v.o.nodes() {
			if len(v.spread(p, n)) > 0 {
				out = append(out, v.o.meta.Nodes[n].Name)
			}
		}
		return dedupe(out)
	}
	ms, ok := v.set(e.Args[0])
	if !ok {
		return nil
	}
	switch e.Name {
	case "KEYS":
		return keysOf(ms)
	case "FLATTEN":
		return flat(ms)
	}
	if !bare || e.Distinct || e.Name == "VALUES" {
		ms = dedupe(ms)
	}
	return total(e.Name, ms)
}

// total is VALUES, COUNT, MIN, MAX, SUM or AVG of members.
func total(name string, ms []any) any {
	switch name {
	case "VALUES":
		return dedupe(ms)
	case "COUNT":
		return big.NewInt(int64(len(ms)))
	case "MIN", "MAX":
		return extremeOf(ms, name == "MAX")
	}
	return sumOf(ms, name == "AVG")
}

func keysOf(ms []any) []any {
	var out []any
	for _, m := range ms {
		if m, ok := m.(event.Value); ok {
			for k := range m.AsMap().All() {
				out = append(out, lift(k))
			}
		}
	}
	return dedupe(out)
}

func flat(ms []any) []any {
	var out []any
	for _, m := range ms {
		if inner, ok := membersOf(m); ok {
			out = append(out, inner...)
		} else {
			out = append(out, m)
		}
	}
	return dedupe(out)
}

func (v *oenv) binary(e *syntax.Binary) any {
	switch e.Op {
	case syntax.And:
		return v.eval(e.L) == true && v.eval(e.R) == true
	case syntax.Or:
		return v.eval(e.L) == true || v.eval(e.R) == true
	case syntax.In, syntax.NotIn:
		a := v.eval(e.L)
		ms, ok := v.set(e.R)
		if a == nil || !ok || isNaN(a) {
			return false
		}
		in := slices.ContainsFunc(ms, func(m any) bool { return order(a, m) == 0 })
		return in == (e.Op == syntax.In)
	case syntax.Subset, syntax.Union, syntax.Intersect, syntax.Except:
		return v.setOperation(e)
	}
	a, b := v.eval(e.L), v.eval(e.R)
	if e.Op == syntax.Like {
		return likeOf(a, b)
	}
	if e.Op.IsComparison() {
		return compareOf(e.Op, a, b)
	}
	if t, ok := timeSum(e.Op, a, b); ok {
		return t
	}
	if rank(a) != rankNumber || rank(b) != rankNumber {
		return nil
	}
	x, intX := a.(*big.Int)
	y, intY := b.(*big.Int)
	if intX && intY {
		return intOf(e.Op, x, y)
	}
	f, g := floatOf(a), floatOf(b)
	switch {
	case e.Op == syntax.Add:
		return f + g
	case e.Op == syntax.Sub:
		return f - g
	case e.Op == syntax.Mul:
		return f * g
	case e.Op == syntax.Div && g != 0:
		return f / g
	}
	return nil
}

// timeSum is a sum in which there is a time: the seconds between two, or one that is
// moved by seconds, cut down to the unit of 2^-16 s.
func timeSum(op syntax.Op, a, b any) (sum any, ok bool) {
	t, isTime := a.(event.Value)
	u, isTime2 := b.(event.Value)
	isTime, isTime2 = isTime && t.Type() == event.TypeTime, isTime2 && u.Type() == event.TypeTime
	if isTime && isTime2 && op == syntax.Sub {
		return float64(int64(t.AsTime()>>16)-int64(u.AsTime()>>16)) / 65536, true
	}
	if isTime2 && op == syntax.Add {
		t, isTime, b, isTime2 = u, true, a, isTime
	}
	if !isTime || isTime2 || rank(b) != rankNumber || op != syntax.Add && op != syntax.Sub {
		return nil, false
	}
	if f, ok := b.(float64); ok && (math.IsNaN(f) || math.IsInf(f, 0)) {
		return nil, true
	}
	by := new(big.Rat).Mul(ratio(b), big.NewRat(65536, 1))
	units := new(big.Int).Quo(by.Num(), by.Denom())
	if op == syntax.Sub {
		units.Neg(units)
	}
	at := new(big.Int).SetUint64(uint64(t.AsTime()) >> 16)
	if at.Add(at, units); at.Sign() < 0 || at.BitLen() > 48 {
		return nil, true
	}
	return event.Time(hlc.Timestamp(at.Uint64()<<16 | uint64(t.AsTime())&0xffff)), true
}

func intOf(op syntax.Op, x, y *big.Int) any {
	z := new(big.Int)
	switch {
	case op == syntax.Add:
		return z.Add(x, y)
	case op == syntax.Sub:
		return z.Sub(x, y)
	case op == syntax.Mul:
		return z.Mul(x, y)
	case y.Sign() == 0:
		return nil
	case op == syntax.Div:
		return z.Quo(x, y)
	}
	return z.Rem(x, y)
}

func (v *oenv) setOperation(e *syntax.Binary) any {
	a, okA := v.set(e.L)
	b, okB := v.set(e.R)
	has := func(ms []any, x any) bool {
		return slices.ContainsFunc(ms, func(m any) bool { return order(m, x) == 0 })
	}
	if e.Op == syntax.Subset {
		return okA && okB && !slices.ContainsFunc(a, func(x any) bool { return !has(b, x) })
	}
	if !okA || !okB {
		return nil
	}
	var out []any
	for _, x := range a {
		if e.Op == syntax.Union || has(b, x) == (e.Op == syntax.Intersect) {
			out = append(out, x)
		}
	}
	if e.Op == syntax.Union {
		out = append(out, b...)
	}
	return dedupe(out)
}
