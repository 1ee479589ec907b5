package exec

import (
	"slices"

	"hindcast.dev/event"
	"hindcast.dev/history"
	"hindcast.dev/hlc"
	"hindcast.dev/rql"
)

// slicesMax is into how many slices the time asked is divided to look for those in
// which the condition can't hold.
const slicesMax = 2048

// A pruner finds slices of the walk in which the condition can't hold, by the
// statistics of blocks.
type pruner struct {
	q      *rql.Query
	vars   []history.VarID
	nodes  []int
	blocks [][]history.Block // by place in nodes
	next   []int             // likewise: the first block that doesn't end before the slice
	had    [][]known         // likewise, then by place in vars: what it had in the last block that changed it before
}

// A known is what is known of a variable on a node during some time.
type known struct {
	there bool // it may be present
	sure  bool // it is present at every moment
	ints  bool // what it has are ints within the bounds
	hull  rql.Hull
}

// prunable reports whether there is something to be known.
func prunable(q *rql.Query, src history.Source) bool {
	_, ok := history.Unwrap(src).(history.Blocked)
	return ok && q.Prunable(src.Meta())
}

// newPruner is nil where nothing can be known.
func newPruner(q *rql.Query, src history.Source, nodes []int) *pruner {
	if !prunable(q, src) {
		return nil
	}
	b := history.Unwrap(src).(history.Blocked)
	p := &pruner{q: q, vars: q.Variables(), nodes: nodes}
	if nodes == nil {
		for n := range src.Meta().Nodes {
			p.nodes = append(p.nodes, n)
		}
	}
	for _, n := range p.nodes {
		p.blocks = append(p.blocks, slices.Collect(b.Blocks(n)))
		p.had = append(p.had, make([]known, len(p.vars)))
	}
	p.next = make([]int, len(p.nodes))
	for i := range p.had {
		for v := range p.had[i] {
			p.had[i][v].ints = true // nothing is set yet
		}
	}
	return p
}

// dull reports whether the condition can't hold at any cut from one moment up to
// another. The moments of one call come after those of the call before.
func (p *pruner) dull(from, to hlc.Timestamp) bool {
	hulls := make([]rql.Hull, len(p.vars))
	some := make([]bool, len(p.vars))
	anchored := false // some node has all variables all the time
	for i := range p.nodes {
		all := true
		for v, k := range p.during(i, from, to) {
			switch {
			case !k.ints:
				return false
			case k.there && !some[v]:
				hulls[v], some[v] = k.hull, true
			case k.there:
				hulls[v] = union(hulls[v], k.hull)
			}
			all = all && k.there && k.sure
		}
		anchored = anchored || all
	}
	return anchored && p.q.Dull(len(p.nodes), func(id history.VarID) rql.Hull {
		v, _ := slices.BinarySearch(p.vars, id)
		return hulls[v]
	})
}

// during is what a node's variables may have from one moment up to another.
func (p *pruner) during(i int, from, to hlc.Timestamp) []known {
	blocks, had := p.blocks[i], p.had[i]
	for ; p.next[i] < len(blocks) && blocks[p.next[i]].Last.Time < from; p.next[i]++ {
		p.take(&blocks[p.next[i]], had, false)
	}
	now := slices.Clone(had)
	for j := p.next[i]; j < len(blocks) && blocks[j].First.Time < to; j++ {
		p.take(&blocks[j], now, true)
	}
	return now
}

// take takes in what is known of a block: in place of what is known so far, or
// beside it.
func (p *pruner) take(b *history.Block, into []known, beside bool) {
	if b.More {
		for v := range into {
			into[v].ints = false // more than is known changes
		}
		return
	}
	for v, id := range p.vars {
		at, ok := slices.BinarySearchFunc(b.Stats, id, func(s history.VarStat, id history.VarID) int { return int(s.Var) - int(id) })
		if !ok {
			continue
		}
		k := knownOf(&b.Stats[at])
		if old := into[v]; beside && old.there {
			k = known{true, k.there && k.sure && old.sure, k.ints && old.ints, union(k.hull, old.hull)}
		} else if beside {
			k.sure, k.ints = false, k.ints && old.ints
		}
		into[v] = k
	}
}

func knownOf(s *history.VarStat) known {
	k := known{there: len(s.Types) > 0, sure: !s.Absent, ints: true}
	for _, t := range s.Types {
		k.ints = k.ints && t == event.TypeInt
	}
	if !k.there || !k.ints {
		return k
	}
	least, ok1 := s.Least.AsInt()
	most, ok2 := s.Most.AsInt()
	k.ints, k.hull = ok1 && ok2, rql.Hull{Least: least, Most: most}
	return k
}

func union(a, b rql.Hull) rql.Hull {
	return rql.Hull{Least: min(a.Least, b.Least), Most: max(a.Most, b.Most)}
}
