package check

import (
	"fmt"
	"slices"
	"sort"
)

// An orderView is what one client, or all, must agree to about the order of
// accesses: what each client did is in its order, what a read saw is before it,
// and so on, until nothing follows any more. If nothing contradicts itself then,
// there is an order for a client that sees all writes and its own reads: so for
// PRAM (Lipton and Sandberg, 1988; Wei et al., "Verifying PRAM consistency over
// read/write traces of data replicas", 2016) and for causal memory (Ahamad et al.,
// 1995; Bouajjani et al., "On verifying causal consistency", 2017, the patterns
// CyclicCO, WriteHBInitRead and CyclicHB). For sequential consistency, where all
// reads count, it is necessary only.
//
//	w ──► r reads w's value     then w' before r must be before w,
//	w' (same key)               and, for sequential, w' after w after r
type orderView struct {
	log     *sessionLog
	width   int
	past    []int32     // access × session → how many of that session's are before it, itself included
	next    [][]int32   // access → what comes directly after it, in edges
	edges   []graphEdge // all but those along clients
	has     map[[2]int]bool
	reads   []int // the reads that count
	both    bool  // every read counts, in both directions: sequential
	pending []int32
}

// viewCellsMax bounds the memory of an orderView: accesses × sessions.
const viewCellsMax = 200 << 20

// cellsOfStep is how many cells of an orderView cost about as much as a step of
// another search.
const cellsOfStep = 64

// newOrderView begins a view in which the given reads count, and those for which
// tied holds come after their writes.
func (l *sessionLog) newOrderView(reads []int, tied func(a int) bool) *orderView {
	n, width := len(l.accesses), len(l.sessions)
	v := &orderView{log: l, width: width, past: make([]int32, n*width), next: make([][]int32, n), has: map[[2]int]bool{}, reads: reads}
	for _, list := range l.sessions {
		for i := 1; i < len(list); i++ {
			v.next[list[i-1]] = append(v.next[list[i-1]], int32(list[i]))
		}
	}
	for s, a := range l.after {
		if a >= 0 && len(l.sessions[s]) > 0 {
			v.next[a] = append(v.next[a], int32(l.sessions[s][0]))
		}
	}
	for a := range l.accesses {
		r := &l.accesses[a]
		if !r.write && r.from >= 0 && tied(a) {
			v.edge(r.from, a, "wr", func() string {
				return fmt.Sprintf("client %d read %s, which client %d wrote", l.clients[r.session], l.valueOf(a), l.clients[l.accesses[r.from].session])
			}, nil)
		}
	}
	return v
}

func (v *orderView) edge(from, to int, kind string, why func() string, via []int) bool {
	if v.has[[2]int{from, to}] {
		return false
	}
	v.has[[2]int{from, to}] = true
	v.edges = append(v.edges, graphEdge{from, to, kind, why, via})
	v.next[from] = append(v.next[from], int32(to))
	return true
}

// order computes every access's past; false if there is a cycle.
func (v *orderView) order() bool {
	n := len(v.log.accesses)
	in := make([]int32, n)
	for _, list := range v.next {
		for _, b := range list {
			in[b]++
		}
	}
	free := v.pending[:0]
	clear(v.past)
	for a := range n {
		if in[a] == 0 {
			free = append(free, int32(a))
		}
	}
	done := 0
	for ; done < len(free); done++ {
		a := int(free[done])
		x := &v.log.accesses[a]
		mine := v.past[a*v.width : (a+1)*v.width]
		mine[x.session] = max(mine[x.session], int32(x.index+1))
		for _, b := range v.next[a] {
			its := v.past[int(b)*v.width : (int(b)+1)*v.width]
			for s, c := range mine {
				its[s] = max(its[s], c)
			}
			if in[b]--; in[b] == 0 {
				free = append(free, b)
			}
		}
	}
	v.pending = free
	return done == n
}

// before reports whether a is before b, or b itself.
func (v *orderView) before(a, b int) bool {
	x := &v.log.accesses[a]
	return v.past[b*v.width+x.session] > int32(x.index)
}

// A contradiction is why there is no order.
type contradiction struct {
	cycle    []graphEdge
	accesses []int // without a cycle: a read of the beginning after a write
	why      string
}

// saturate adds what follows until nothing more does. It returns what contradicts
// itself, nil if nothing; undecided if a bound was reached.
func (v *orderView) saturate(b *budget) (c *contradiction, undecided bool) {
	for {
		if !b.spend(int64(len(v.past) / cellsOfStep)) {
			return nil, true
		}
		if !v.order() {
			return &contradiction{cycle: v.findCycle()}, false
		}
		grew := false
		for _, r := range v.reads {
			if !b.spend(int64(1 + v.width/cellsOfStep)) {
				return nil, true
			}
			c, g := v.follow(r)
			if c != nil {
				return c, false
			}
			grew = grew || g
		}
		if !grew {
			return nil, false
		}
	}
}

// follow adds what follows from one read.
func (v *orderView) follow(r int) (c *contradiction, grew bool) {
	l, x := v.log, &v.log.accesses[r]
	if x.from == untied {
		return nil, false
	}
	client := l.clients[x.session]
	for s, n := range v.past[r*v.width : (r+1)*v.width] {
		w, ok := l.lastWrite(x.key, s, int(n))
		switch {
		case !ok || w == x.from:
		case x.from == beginningValue:
			return &contradiction{accesses: []int{w, r}, cycle: v.wayTo(w, r),
				why: fmt.Sprintf("client %d found nothing, though %s was written before, in what it must have seen", client, l.valueOf(w))}, false
		case !v.before(w, x.from):
			grew = v.edge(w, x.from, "ww", func() string {
				return fmt.Sprintf("client %d read %s where it must have seen %s, so that was before", client, l.valueOf(r), l.valueOf(w))
			}, []int{r}) || grew
		}
	}
	if v.both {
		grew = v.followLater(r) || grew
	}
	return nil, grew
}

// followLater adds that a read is before each write that comes after the one that
// it saw.
func (v *orderView) followLater(r int) (grew bool) {
	l, x := v.log, &v.log.accesses[r]
	for s := range l.sessions {
		ws := l.writes[placeOf(x.key, s)]
		i := 0
		if x.from >= 0 {
			i = sort.Search(len(ws), func(i int) bool { return ws[i] != x.from && v.before(x.from, ws[i]) })
			if i < len(ws) && ws[i] == x.from {
				i++
			}
		}
		if i < len(ws) && !(v.before(r, ws[i]) && !v.before(ws[i], r)) {
			grew = v.edge(r, ws[i], "rw", func() string {
				return fmt.Sprintf("client %d read %s, so the later write of %s came after that read", l.clients[x.session], l.valueOf(r), l.valueOf(ws[i]))
			}, []int{r}) || grew
		}
	}
	return grew
}

// graph is all edges, those along clients included.
func (v *orderView) graph() *digraph {
	g := &digraph{}
	for s, list := range v.log.sessions {
		if a := v.log.after[s]; a >= 0 && len(list) > 0 {
			g.add(a, list[0], "process", nil, nil)
		}
		for i := 1; i < len(list); i++ {
			g.add(list[i-1], list[i], "process", nil, nil)
		}
	}
	for _, e := range v.edges {
		g.add(e.from, e.to, e.kind, e.why, e.via)
	}
	return g
}

func (v *orderView) findCycle() []graphEdge { return v.graph().cycle() }

// wayTo is the edges by which w is before r, closed by the read of the beginning.
func (v *orderView) wayTo(w, r int) []graphEdge {
	g := v.graph()
	path, ok := g.path(g.out(), w, r)
	if !ok {
		return nil
	}
	l := v.log
	back := graphEdge{r, w, "rw", func() string {
		return fmt.Sprintf("client %d found nothing, so %s was not there yet", l.clients[l.accesses[r].session], l.valueOf(w))
	}, nil}
	return joined(append(path, back))
}

// readsOf are a session's reads.
func (l *sessionLog) readsOf(s int) []int {
	var reads []int
	for _, a := range l.sessions[s] {
		if !l.accesses[a].write {
			reads = append(reads, a)
		}
	}
	return reads
}

// clientsView judges PRAM or causal memory: for each client an order of its own.
func (l *sessionLog) clientsView(name string, o *Options) Result {
	r := l.result(name)
	b := newBudget(o)
	if len(l.accesses)*len(l.sessions) > viewCellsMax {
		r.Bound = fmt.Sprintf("%d operations of %d clients need more memory than is allowed: judge fewer at once", len(l.ops), len(l.sessions))
		l.finish(&r, o)
		return r
	}
	for s := range l.sessions {
		reads := l.readsOf(s)
		if len(reads) == 0 || len(r.Violations) >= o.violationsMax() {
			continue
		}
		v := l.newOrderView(reads, func(a int) bool { return name == Causal || l.accesses[a].session == s })
		c, undecided := v.saturate(b)
		if undecided {
			r.Bound = b.bound()
			break
		}
		if c != nil {
			title := fmt.Sprintf("%s is violated for client %d: no order of all writes and its reads explains what it saw", name, l.clients[s])
			bad := l.explain(name, title, c.accesses, c.why, c.cycle, o)
			if !slices.ContainsFunc(r.Violations, func(v Violation) bool { return sameOperations(v.Operations, bad.Operations) }) {
				r.Violations = append(r.Violations, bad)
			}
		}
	}
	r.Steps = b.spent
	l.finishOrder(&r, o)
	return r
}

func sameOperations(a, b []Operation) bool {
	return slices.EqualFunc(a, b, func(x, y Operation) bool { return x.Process == y.Process && x.Call == y.Call && x.F == y.F })
}
