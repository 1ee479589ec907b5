package check

import (
	"fmt"
	"slices"
	"strings"
)

// A graphEdge says that one access comes before another.
type graphEdge struct {
	from, to int
	kind     string
	why      func() string // nil: one after the other on one client
	via      []int         // further accesses that it follows from
}

// A digraph is accesses and what must come before what.
type digraph struct {
	edges []graphEdge
	has   map[[2]int]bool
}

// add adds an edge; false if it is there.
func (g *digraph) add(from, to int, kind string, why func() string, via []int) bool {
	if g.has == nil {
		g.has = map[[2]int]bool{}
	}
	if g.has[[2]int{from, to}] {
		return false
	}
	g.has[[2]int{from, to}] = true
	g.edges = append(g.edges, graphEdge{from, to, kind, why, via})
	return true
}

// out lists the edges that leave each access.
func (g *digraph) out() map[int][]int {
	out := map[int][]int{}
	for i, e := range g.edges {
		out[e.from] = append(out[e.from], i)
	}
	return out
}

// cycleTriesMax bounds from how many edges a shortest cycle is looked for.
const cycleTriesMax = 64

// cycle returns a cycle, a short one, or nil if there is none. Edges along one
// client's operations count little and are drawn together.
func (g *digraph) cycle() []graphEdge {
	left := g.cyclic()
	if len(left) == 0 {
		return nil
	}
	out := map[int][]int{}
	for i, e := range g.edges {
		if left[e.from] && left[e.to] {
			out[e.from] = append(out[e.from], i)
		}
	}
	var best []graphEdge
	tries := 0
	for i := len(g.edges) - 1; i >= 0 && tries < cycleTriesMax; i-- {
		e := g.edges[i]
		if !left[e.from] || !left[e.to] || e.kind == "process" && best != nil {
			continue
		}
		tries++
		if path, ok := g.path(out, e.to, e.from); ok && (best == nil || len(path)+1 < len(best)) {
			best = append([]graphEdge{e}, path...)
		}
	}
	return joined(best)
}

// cyclic are the accesses that remain when those without an edge to or from what
// remains are taken away.
func (g *digraph) cyclic() map[int]bool {
	left, in, outs := map[int]bool{}, map[int]int{}, map[int]int{}
	for _, e := range g.edges {
		left[e.from], left[e.to] = true, true
		in[e.to]++
		outs[e.from]++
	}
	next, prev := map[int][]int{}, map[int][]int{}
	for _, e := range g.edges {
		next[e.from] = append(next[e.from], e.to)
		prev[e.to] = append(prev[e.to], e.from)
	}
	peel := func(degree map[int]int, other map[int]int, along, against map[int][]int) {
		var free []int
		for n := range left {
			if degree[n] == 0 {
				free = append(free, n)
			}
		}
		for len(free) > 0 {
			n := free[len(free)-1]
			free = free[:len(free)-1]
			if !left[n] {
				continue
			}
			delete(left, n)
			for _, m := range along[n] {
				if degree[m]--; degree[m] == 0 {
					free = append(free, m)
				}
			}
			for _, m := range against[n] {
				other[m]--
			}
		}
	}
	peel(in, outs, next, prev)
	peel(outs, in, prev, next)
	return left
}

// path is a way with few edges between different clients.
func (g *digraph) path(out map[int][]int, from, to int) ([]graphEdge, bool) {
	came := map[int]int{from: -1}
	level := []int{from}
	for len(level) > 0 {
		var further []int
		for i := 0; i < len(level); i++ { // grows: edges along a client cost nothing
			if level[i] == to {
				return g.back(came, from, to), true
			}
			for _, e := range out[level[i]] {
				n := g.edges[e].to
				if _, seen := came[n]; seen {
					continue
				}
				came[n] = e
				if g.edges[e].kind == "process" {
					level = append(level, n)
				} else {
					further = append(further, n)
				}
			}
		}
		level = further
	}
	return nil, false
}

func (g *digraph) back(came map[int]int, from, to int) []graphEdge {
	var path []graphEdge
	for n := to; n != from; {
		e := g.edges[came[n]]
		path = append(path, e)
		n = e.from
	}
	slices.Reverse(path)
	return path
}

// joined makes one edge of several along one client.
func joined(cycle []graphEdge) []graphEdge {
	if len(cycle) == 0 {
		return nil
	}
	// Begin behind an edge between clients, so that no run goes over the end.
	for i, e := range cycle {
		if e.kind != "process" {
			cycle = slices.Concat(cycle[i+1:], cycle[:i+1])
			break
		}
	}
	var out []graphEdge
	for _, e := range cycle {
		if n := len(out); n > 0 && e.kind == "process" && out[n-1].kind == "process" {
			out[n-1].to, out[n-1].why = e.to, nil
			continue
		}
		out = append(out, e)
	}
	return out
}

// explain makes a violation of a cycle, or of single accesses.
func (l *sessionLog) explain(property, title string, accesses []int, why string, cycle []graphEdge, o *Options) Violation {
	for _, e := range cycle {
		accesses = append(append(accesses, e.from, e.to), e.via...)
	}
	v := Violation{Property: property}
	keys := map[int32]bool{}
	var ops []int
	for _, a := range accesses {
		keys[l.accesses[a].key] = true
		ops = append(ops, l.accesses[a].op)
	}
	slices.Sort(ops)
	v.Operations = pick(l.ops, slices.Compact(ops))
	if len(keys) == 1 {
		v.Key = l.keys[l.accesses[accesses[0]].key]
	}
	if o.Plain {
		return v
	}
	text := title + "\n" + o.table(v.Operations)
	if cycle == nil {
		v.Text = text + timeline(v.Operations) + capital(why)
		return v
	}
	v.Cycle = l.cycleOf(cycle)
	v.Text = text + v.Cycle.Text() + "\n" + reasonOfCycle(cycle)
	return v
}

// reasonOfCycle is the sentence that says why there is no order.
func reasonOfCycle(cycle []graphEdge) string {
	var whys []string
	for _, e := range cycle {
		if e.why != nil {
			whys = append(whys, e.why())
		}
	}
	if len(whys) > reasonsMax {
		return "Each of these must come before the next, and the last before the first: no order has them all."
	}
	return capital(strings.Join(whys, "; ")) + ": no order has it all."
}

// reasonsMax bounds how many clauses one sentence has.
const reasonsMax = 4

// cycleOf is a cycle for pictures.
func (l *sessionLog) cycleOf(edges []graphEdge) *Cycle {
	c := &Cycle{}
	for i, e := range edges {
		c.Operations = append(c.Operations, l.ops[l.accesses[e.from].op])
		why := fmt.Sprintf("client %d did one after the other", l.clients[l.accesses[e.from].session])
		if e.why != nil {
			why = e.why()
		}
		c.Edges = append(c.Edges, Edge{From: i, To: (i + 1) % len(edges), Kind: e.kind, Why: why})
	}
	return c
}
