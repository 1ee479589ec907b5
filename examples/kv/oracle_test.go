package kv

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// An oracle judges what clients are told by the promises. It knows nothing of how
// the machine keeps them.
type oracle struct {
	problems []string
	floors   map[string]Item // per key: the newest fresh write that has returned
	acked    map[string]Item // per key: the newest write that has returned
	counts   map[string]int  // of answers, by kind and consistency
}

func newOracle() oracle {
	return oracle{floors: map[string]Item{}, acked: map[string]Item{}, counts: map[string]int{}}
}

func (o *oracle) fail(format string, args ...any) {
	o.problems = append(o.problems, fmt.Sprintf(format, args...))
}

func (o *oracle) invoked(w *world, op *operation) {
	op.floors = maps.Clone(o.floors)
	if m, ok := op.body.(Scan); ok {
		for key, item := range op.at.kv().Items.All() {
			if strings.HasPrefix(key, m.Prefix) && key >= m.From && !item.Deleted {
				op.local = append(op.local, key)
			}
		}
	}
}

func (o *oracle) returned(w *world, op *operation) {
	switch m := op.reply.(type) {
	case Answer:
		o.counts[fmt.Sprintf("%T %s", op.body, m.Consistency)]++
		switch b := op.body.(type) {
		case Put:
			o.wrote(op, m, b.Key)
			if !m.Found || m.Item.Value != b.Value {
				o.fail("%s: put of %q returns %+v", w.now, b.Value, m)
			}
		case Delete:
			o.wrote(op, m, b.Key)
			if m.Found || !m.Item.Deleted {
				o.fail("%s: delete returns %+v", w.now, m)
			}
		case Get:
			o.freshIsFresh(w, op, m)
		}
	case Listing:
		o.counts["kv.Scan "+string(m.Consistency)]++
		o.scanned(w, op, op.body.(Scan), m)
	case Failure:
		o.counts[fmt.Sprintf("%T %s", op.body, m.Code)]++
	}
}

func (o *oracle) wrote(op *operation, a Answer, key string) {
	if a.Item.newer(o.acked[key]) {
		o.acked[key] = a.Item
	}
	if a.Consistency != Fresh {
		return
	}
	if floor := op.floors[key]; !a.Item.newer(floor) {
		o.fail("a fresh write of %s has version %s, but %s had returned before it began", key, a.Item.Version, floor.Version)
	}
	if a.Item.newer(o.floors[key]) {
		o.floors[key] = a.Item
	}
}

// freshIsFresh is G1.
func (o *oracle) freshIsFresh(w *world, op *operation, a Answer) {
	if floor := op.floors[a.Key]; a.Consistency == Fresh && floor.newer(a.Item) {
		o.fail("G1: %s on %s: a fresh read of %s, begun at %s, returns %s of %s, but %s of %s had returned before",
			w.now, op.at.name, a.Key, op.invoked, a.Item.Version, a.Item.Writer, floor.Version, floor.Writer)
	}
	if a.Found == (a.Item.Deleted || a.Item.Version == 0) {
		o.fail("%s: read of %s returns %+v", w.now, a.Key, a)
	}
}

// scanned is G2: what was in the local copy is listed, but what was deleted.
func (o *oracle) scanned(w *world, op *operation, m Scan, l Listing) {
	listed := map[string]bool{}
	last := ""
	for _, a := range l.Answers {
		o.freshIsFresh(w, op, a)
		if !a.Found || a.Key <= last || !strings.HasPrefix(a.Key, m.Prefix) || !slices.Contains(op.local, a.Key) {
			o.fail("G2: %s: %+v is listed after %q in a scan for %q", w.now, a, last, m.Prefix)
		}
		listed[a.Key], last = true, a.Key
	}
	missing := op.local
	if l.Next != "" {
		missing = missing[:slices.Index(missing, l.Next)]
		if limit := min(cmp.Or(m.Limit, MaxBatch), MaxBatch); len(missing) != limit {
			o.fail("G2: %s: cut off at %q after %d keys, limit %d", w.now, l.Next, len(missing), limit)
		}
	}
	for _, key := range missing {
		if item, _ := op.at.kv().Items.Get(key); !listed[key] && !item.Deleted {
			o.fail("G2: %s: %s is here, isn't deleted and isn't listed", w.now, key)
		}
	}
}

// converged is G5, and that no acknowledged write is lost.
func (o *oracle) converged(w *world) {
	first := maps.Collect(w.nodes[0].kv().Items.All())
	for _, n := range w.nodes[1:] {
		if items := maps.Collect(n.kv().Items.All()); !maps.Equal(items, first) {
			o.fail("G5: %s has %d records that differ from those of %s", n.name, differing(items, first), w.nodes[0].name)
		}
	}
	for key, item := range o.acked {
		if item.newer(first[key]) {
			o.fail("an acknowledged write of %s (%s of %s) is lost", key, item.Version, item.Writer)
		}
	}
}

func differing(a, b map[string]Item) int {
	n := 0
	for key := range a {
		if a[key] != b[key] {
			n++
		}
	}
	for key := range b {
		if _, ok := a[key]; !ok {
			n++
		}
	}
	return n
}
