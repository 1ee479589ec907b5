package plan

import (
	"slices"

	"hindcast.dev/rql/syntax"
)

// treeOf makes a tree of the classes of a leaf, if every part speaks of two of them
// at most and the parts lead around in no circle; else nil.
func (q *Query) treeOf(l *Leaf) *Join {
	b := &joinBuilder{q: q, j: &Join{Kind: JoinTree}, class: map[int]int{}, known: map[Expr][]int{}}
	b.merge(l)
	parts := map[[2]int][]Expr{}
	for _, p := range l.Parts {
		if _, _, ok := nodeNames(p.X, syntax.Eq); ok {
			continue
		}
		switch cs := b.classes(p.X); len(cs) {
		case 1:
			c := &b.j.Classes[cs[0]]
			c.Filter = append(c.Filter, p.X)
		case 2:
			parts[[2]int(cs)] = append(parts[[2]int(cs)], p.X)
		default:
			return nil
		}
	}
	seen := make([]bool, len(b.j.Classes))
	for root := range seen {
		if seen[root] {
			continue
		}
		seen[root] = true
		for queue := []int{root}; len(queue) > 0; queue = queue[1:] {
			for child := range seen {
				key := [2]int{min(queue[0], child), max(queue[0], child)}
				if parts[key] == nil {
					continue
				}
				if seen[child] {
					return nil
				}
				seen[child] = true
				queue = append(queue, child)
				b.j.Edges = append(b.j.Edges, b.edge(queue[0], child, parts[key]))
				delete(parts, key)
			}
		}
	}
	return b.j
}

func (b *joinBuilder) edge(parent, child int, parts []Expr) JoinEdge {
	e := JoinEdge{Parent: parent, Child: child, Parts: parts}
	if c, ok := parts[0].(*Binary); ok && len(parts) == 1 && isOrder(c.Op) {
		l, r := b.classes(c.L), b.classes(c.R)
		if len(l) == 1 && len(r) == 1 {
			e.Cmp, e.Left = c, l[0] == parent
		}
	}
	return e
}

// byOrder reports whether every edge is one comparison by order.
func (j *Join) byOrder() bool {
	return !slices.ContainsFunc(j.Edges, func(e JoinEdge) bool { return e.Cmp == nil })
}
