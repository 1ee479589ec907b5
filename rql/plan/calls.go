package plan

import (
	"hindcast.dev/rql/syntax"
)

// A function is what the checker knows of one.
type function struct {
	kind     kind
	min, max int // how many arguments
	agg      AggOp
	isAgg    bool
}

const manyArgs = syntax.MaxList

var functions = map[string]function{
	"MIN": {kindScalar, 1, manyArgs, AggMin, true}, "MAX": {kindScalar, 1, manyArgs, AggMax, true},
	"SUM": {kindScalar, 1, 1, AggSum, true}, "AVG": {kindScalar, 1, 1, AggAvg, true},
	"COUNT": {kindScalar, 1, 1, AggCount, true}, "VALUES": {kindSet, 1, 1, AggValues, true},
	"NODES": {kindSet, 1, 1, AggNodes, true}, "KEYS": {kindSet, 1, 1, AggKeys, true},
	"FLATTEN": {kindSet, 1, 1, AggFlatten, true},

	"ABS": {kind: kindScalar, min: 1, max: 1}, "CEIL": {kind: kindScalar, min: 1, max: 1},
	"FLOOR": {kind: kindScalar, min: 1, max: 1}, "ROUND": {kind: kindScalar, min: 1, max: 1},
	"SQRT": {kind: kindScalar, min: 1, max: 1}, "SIN": {kind: kindScalar, min: 1, max: 1},
	"COS": {kind: kindScalar, min: 1, max: 1}, "TAN": {kind: kindScalar, min: 1, max: 1},
	"LEN": {kind: kindScalar, min: 1, max: 1}, "LOWER": {kind: kindScalar, min: 1, max: 1},
	"UPPER": {kind: kindScalar, min: 1, max: 1}, "STARTSWITH": {kind: kindBool, min: 2, max: 2},
	"CONTAINS": {kind: kindBool, min: 2, max: 2}, "COALESCE": {kind: kindAny, min: 1, max: manyArgs},
	"INT": {kind: kindScalar, min: 1, max: 1}, "FLOAT": {kind: kindScalar, min: 1, max: 1},
	"LEAST": {kind: kindScalar, min: 1, max: manyArgs}, "GREATEST": {kind: kindScalar, min: 1, max: manyArgs},

	"TIME": {kind: kindScalar}, "NODE": {kind: kindScalar, min: 1, max: 1},
	"PRESENT": {kind: kindBool, min: 1, max: 1}, "PREV": {kind: kindAny, min: 1, max: 1},
	"CHANGED": {kind: kindBool, min: 1, max: 1}, "DURATION": {kind: kindScalar},
}

func (c *checker) call(e *syntax.Call) Expr {
	f, ok := functions[e.Name]
	switch {
	case !ok:
		fail(e.Pos, c.functionHint(e.Name), "there is no function %s", e.Name)
	case e.Star:
		if e.Name == "COUNT" {
			fail(e.Pos, "GROUP BY TRUE makes one group of all rows", "COUNT(*) counts the rows of a group")
		}
		fail(e.Pos, "", "%s can't be asked of *", e.Name)
	case e.Name == "DURATION":
		return c.duration(e)
	case len(e.Args) < f.min || len(e.Args) > f.max:
		fail(e.Pos, formHint(e.Name), "%s wants %s, found %d", e.Name, arity(f), len(e.Args))
	case e.Distinct && e.Name != "SUM" && e.Name != "COUNT":
		fail(e.Pos, "leave DISTINCT out", "DISTINCT goes with SUM and COUNT, not with %s", e.Name)
	}
	if f.isAgg && len(e.Args) == 1 {
		return c.aggregate(e, f.agg)
	}
	switch e.Name {
	case "MIN":
		return &Call{Pos: e.Pos, Func: "LEAST", Args: c.scalars(e.Args)}
	case "MAX":
		return &Call{Pos: e.Pos, Func: "GREATEST", Args: c.scalars(e.Args)}
	case "TIME":
		return &Now{Pos: e.Pos}
	case "NODE":
		return c.nodeOf(e)
	case "PRESENT":
		return c.ofVariable(e, ModePresent, true)
	case "CHANGED":
		return c.ofVariable(e, ModeChanged, true)
	case "PREV":
		return c.ofVariable(e, ModePrev, false)
	case "COALESCE":
		return c.coalesce(e)
	}
	return &Call{Pos: e.Pos, Func: e.Name, Args: c.scalars(e.Args)}
}

func arity(f function) string {
	switch {
	case f.max == 0:
		return "no argument"
	case f.max == manyArgs:
		return "at least " + itoa(f.min) + " argument"
	case f.max == 1:
		return "one argument"
	}
	return itoa(f.max) + " arguments"
}

func (c *checker) aggregate(e *syntax.Call, op AggOp) Expr {
	a := &Agg{Pos: e.Pos, Op: op, Distinct: e.Distinct, Cell: -1, Tally: -1}
	a.Arg = c.set(e.Args[0], e.Name)
	if s, ok := a.Arg.(*Spread); op == AggNodes && (!ok || s.Ref == nil) {
		fail(e.Args[0].Position(), "", "NODES wants a variable: other values belong to no node")
	}
	c.aggs = append(c.aggs, a)
	return a
}

// isVariable reports whether e is a path that begins with none of the query's
// own names.
func (c *checker) isVariable(e syntax.Expr) (*syntax.Path, bool) {
	p, ok := e.(*syntax.Path)
	if !ok || c.events != nil {
		return nil, false
	}
	root := p.Root()
	for _, l := range c.locals {
		if l.name == root {
			return nil, false
		}
	}
	_, computed := c.compute[root]
	return p, !computed
}

func (c *checker) ofVariable(e *syntax.Call, mode Mode, anyway bool) Expr {
	p, ok := c.isVariable(e.Args[0])
	if !ok {
		fail(e.Args[0].Position(), formHint(e.Name), "%s wants a variable, which %s is not", e.Name, syntax.Print(e.Args[0]))
	}
	v := c.variable(p, mode, anyway)
	return v
}

func (c *checker) coalesce(e *syntax.Call) Expr {
	out := &Call{Pos: e.Pos, Func: e.Name}
	args := e.Args
	if p, ok := c.isVariable(args[0]); ok {
		out.Args = append(out.Args, c.variable(p, ModeValue, true))
		args = args[1:]
	}
	out.Args = append(out.Args, c.scalars(args)...)
	return out
}
